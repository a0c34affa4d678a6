#include "control/tokens.h"
#include "base/base64.h"
#include "base/rand.h"
#include "control/agents.h"
#include "control/sessions.h"
#include "crypto/constant_time.h"
#include "crypto/hmac.h"
#include "text/json_members.h"
#include <pthread.h>
#include <stdlib.h>

#define RANDOM_BYTES  32
#define PERSON_PREFIX "person_"
#define PROOF_NAME    "aileron-person-proof-1"

struct code {
	unsigned char hash[SHA256_SIZE];
	uint64_t expires_ns; /* monotonic; 0 = free */
};

struct person {
	uint64_t id;
	unsigned char hash[SHA256_SIZE];
	uint64_t expires_ns; /* wall */
};

struct tokens {
	struct secret *daemon_token, *caveat_key;
	struct db *db;
	struct agents *agents;
	struct sessions *sessions;
	const struct clock *clock;
	char instance[TOKENS_NAME_MAX], address[TOKENS_NAME_MAX];
	unsigned char nobody[SHA256_SIZE]; /* random: what proofs of tokens that there are not come from */

	pthread_mutex_t lock; /* all below */
	struct code codes[TOKENS_CODES];
	struct person persons[TOKENS_PERSONS];
	size_t n_persons;
};

/* ------------------------------------------------------------------------------------------------------- life cycle */

static int read_persons(struct tokens *tokens, struct err *err)
{
	struct db_tx *tx = db_read(tokens->db);
	struct db_stmt *q =
		db_stmt(tx, "SELECT id, hash, expires_ns FROM person_tokens"
			    " WHERE instance = ? AND instance <> '' AND revoked_ns IS NULL AND expires_ns > ?"
			    " ORDER BY id DESC");
	db_bind_str(q, str_from(tokens->instance));
	db_bind_int(q, (int64_t)clock_wall_ns(tokens->clock));
	int got = 0;
	while (tokens->n_persons < TOKENS_PERSONS && (got = db_step(q, err)) == 1) {
		struct str hash = db_blob(q, 1);
		struct person *person = &tokens->persons[tokens->n_persons];
		if (hash.n != sizeof person->hash)
			continue;
		person->id = (uint64_t)db_int(q, 0);
		memcpy(person->hash, hash.p, hash.n);
		person->expires_ns = (uint64_t)db_int(q, 2);
		tokens->n_persons++;
	}
	db_finish(q);
	db_done(tx);
	return got < 0 ? -1 : 0;
}

static int copy_name(struct str name, char ret[TOKENS_NAME_MAX], struct err *err)
{
	if (name.n >= TOKENS_NAME_MAX)
		return fail(err, ERR_PROTOCOL, "'%.*s' is no name of a daemon", STR_FMT(name));
	if (name.n > 0)
		memcpy(ret, name.p, name.n);
	ret[name.n] = '\0';
	return 0;
}

struct tokens *tokens_new(const struct tokens_spec *spec, struct err *err)
{
	AUTO(tokens) *tokens = NEW(struct tokens);
	pthread_mutex_init(&tokens->lock, NULL);
	tokens->db = spec->db;
	tokens->agents = spec->agents;
	tokens->sessions = spec->sessions;
	tokens->clock = spec->clock;
	rand_bytes(tokens->nobody, sizeof tokens->nobody);
	if (copy_name(spec->instance, tokens->instance, err) < 0 || copy_name(spec->address, tokens->address, err) < 0)
		return NULL;
	tokens->daemon_token = secret_from(spec->daemon_token, err);
	if (tokens->daemon_token == NULL)
		return NULL;
	tokens->caveat_key = secret_from(spec->caveat_key, err);
	if (tokens->caveat_key == NULL)
		return NULL;
	if (tokens->db != NULL && read_persons(tokens, err) < 0)
		return NULL;
	return TAKE(tokens);
}

void tokens_free(struct tokens *tokens)
{
	if (tokens == NULL)
		return;
	secret_free(tokens->daemon_token);
	secret_free(tokens->caveat_key);
	pthread_mutex_destroy(&tokens->lock);
	free(tokens);
}

/* ---------------------------------------------------------------------------------------------------- caveat tokens */

static const struct {
	const char *name;
	enum capability capability;
} capability_names[] = {
	{"actions:list", CAPABILITY_ACTIONS_LIST},
	{"actions:run", CAPABILITY_ACTIONS_RUN},
	{"approvals:poll", CAPABILITY_APPROVALS_POLL},
	{"comms", CAPABILITY_COMMS},
};

/* {"alg":"HS256","typ":"JWT"}: the only header that is written, and the only one that is read. */
#define JWT_HEADER "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

void caveat_mint(struct str key, struct str session, uint64_t issued_at_s, struct buf *out)
{
	AUTO_BUF claims = BUF_INIT(TOKENS_CAVEAT_MAX);
	struct json_writer w;
	jsonw_init(&w, &claims, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_z(&w, "iss", "aileron-daemon");
	member_str(&w, "sub", session);
	member_u64(&w, "iat", issued_at_s);
	member_z(&w, "typ", "aileron-caveat");
	member_begin_array(&w, "caps");
	for (size_t i = 0; i < ARRAY_LEN(capability_names); i++)
		jsonw_str(&w, str_from(capability_names[i].name));
	jsonw_end_array(&w);
	member_str(&w, "session", session);
	jsonw_end_object(&w);

	size_t start = out->n;
	buf_add_z(out, JWT_HEADER ".");
	base64_encode(out, buf_str(&claims), BASE64_URL_NOPAD);
	unsigned char mac[SHA256_SIZE];
	hmac_sha256(key, str_slice(buf_str(out), start, out->n), mac);
	buf_add_char(out, '.');
	base64_encode(out, str_of(mac, sizeof mac), BASE64_URL_NOPAD);
}

void tokens_mint_caveat(struct tokens *tokens, struct str session, struct buf *out)
{
	caveat_mint(secret_borrow(tokens->caveat_key), session, clock_wall_ns(tokens->clock) / TIME_SECOND, out);
}

static bool claim_is(const struct json *claims, const char *name, struct str expected)
{
	struct str value;
	return json_get_str(json_member(claims, str_from(name)), &value) && str_eq(value, expected);
}

/* Capabilities that nobody here knows count for nothing. */
static unsigned read_capabilities(const struct json *list)
{
	unsigned capabilities = 0;
	for (size_t i = 0; i < json_length(list); i++) {
		struct str name = STR_EMPTY;
		(void)json_get_str(json_at(list, i), &name);
		for (size_t k = 0; k < ARRAY_LEN(capability_names); k++) {
			if (str_eq(name, str_from(capability_names[k].name)))
				capabilities |= capability_names[k].capability;
		}
	}
	return capabilities;
}

static bool read_claims(struct str text, struct identity *ret)
{
	AUTO(json) *claims = json_parse(text, JSON_READ_SENSITIVE, NULL);
	struct str session;
	if (claims == NULL || !json_get_str(json_member(claims, S("session")), &session))
		return false;
	struct identity identity = {.kind = IDENTITY_SESSION};
	if (session.n == 0 || session.n >= sizeof identity.session)
		return false;
	if (!claim_is(claims, "iss", S("aileron-daemon")) || !claim_is(claims, "typ", S("aileron-caveat")) ||
	    !claim_is(claims, "sub", session))
		return false;
	memcpy(identity.session, session.p, session.n);
	identity.capabilities = read_capabilities(json_member(claims, S("caps")));
	*ret = identity;
	return true;
}

bool caveat_verify(struct str key, struct str token, struct identity *ret)
{
	size_t dot = str_find_last_char(token, '.');
	if (dot == STR_NPOS || token.n > 2 * TOKENS_CAVEAT_MAX)
		return false;
	struct str signed_part = str_slice(token, 0, dot);
	AUTO_BUF given = BUF_INIT(SHA256_SIZE);
	if (base64_decode(&given, str_slice(token, dot + 1, token.n), BASE64_URL_NOPAD, NULL) < 0)
		return false;
	unsigned char mac[SHA256_SIZE];
	hmac_sha256(key, signed_part, mac);
	if (!constant_time_eq(buf_str(&given), str_of(mac, sizeof mac)))
		return false;
	struct str header, claims = str_cut(signed_part, '.', &header);
	AUTO_BUF text = BUF_INIT(2 * TOKENS_CAVEAT_MAX);
	if (!str_eq(header, S(JWT_HEADER)) || base64_decode(&text, claims, BASE64_URL_NOPAD, NULL) < 0)
		return false;
	return read_claims(buf_str(&text), ret);
}

/* --------------------------------------------------------------------------------------------------------- identity */

/* All are looked at, so that time does not tell which one came near. */
static bool find_person(struct tokens *tokens, struct str token, struct identity *ret)
{
	unsigned char hash[SHA256_SIZE];
	sha256(token, hash);
	uint64_t now = clock_wall_ns(tokens->clock);
	bool found = false;
	pthread_mutex_lock(&tokens->lock);
	for (size_t i = 0; i < tokens->n_persons; i++) {
		const struct person *person = &tokens->persons[i];
		bool same = constant_time_eq(str_of(hash, sizeof hash), str_of(person->hash, sizeof person->hash));
		if (same && person->expires_ns > now) {
			*ret = (struct identity){.kind = IDENTITY_PERSON, .token_id = person->id};
			found = true;
		}
	}
	pthread_mutex_unlock(&tokens->lock);
	return found;
}

static bool session_stands(struct tokens *tokens, const struct identity *identity)
{
	return tokens->sessions == NULL || sessions_is_open(tokens->sessions, str_from(identity->session));
}

int tokens_identify(struct tokens *tokens, struct str authorization, struct identity *ret, struct err *err)
{
	struct str scheme, token = str_cut(authorization, ' ', &scheme);
	if (!str_eq_fold(scheme, S("Bearer")))
		token = STR_EMPTY;
	if (secret_eq(tokens->daemon_token, token) && token.n > 0) {
		*ret = (struct identity){.kind = IDENTITY_DAEMON};
		return 0;
	}
	struct identity identity;
	if (str_starts(token, S(PERSON_PREFIX)) && find_person(tokens, token, ret))
		return 0;
	if (tokens->agents != NULL && str_starts(token, S(AGENT_TOKEN_PREFIX)) &&
	    agents_identify(tokens->agents, token, ret))
		return 0;
	if (str_starts(token, S(JWT_HEADER ".")) &&
	    caveat_verify(secret_borrow(tokens->caveat_key), token, &identity) && session_stands(tokens, &identity)) {
		*ret = identity;
		return 0;
	}
	return fail(err, ERR_UNAUTHORIZED, "missing or invalid daemon token");
}

static bool person_stands(struct tokens *tokens, uint64_t id)
{
	uint64_t now = clock_wall_ns(tokens->clock);
	bool stands = false;
	pthread_mutex_lock(&tokens->lock);
	for (size_t i = 0; i < tokens->n_persons && !stands; i++)
		stands = tokens->persons[i].id == id && tokens->persons[i].expires_ns > now;
	pthread_mutex_unlock(&tokens->lock);
	return stands;
}

bool tokens_stand(struct tokens *tokens, const struct identity *identity)
{
	if (identity->kind == IDENTITY_PERSON)
		return person_stands(tokens, identity->token_id);
	return identity->kind != IDENTITY_SESSION || session_stands(tokens, identity);
}

static int check_session(const struct identity *identity, enum capability needed, const char *name, struct str session,
			 struct err *err)
{
	if ((identity->capabilities & needed) == 0)
		return fail(err, ERR_FORBIDDEN, "the capability token lacks '%s'", name);
	if (session.n > 0 && !str_eq(session, str_from(identity->session)))
		return fail(err, ERR_FORBIDDEN, "the capability token is bound to another session");
	return 0;
}

int identity_permits(const struct identity *identity, enum api_permission permission, struct str session,
		     struct err *err)
{
	if (permission == API_OPEN || identity->kind == IDENTITY_DAEMON)
		return 0;
	if (identity->kind == IDENTITY_NOBODY)
		return fail(err, ERR_UNAUTHORIZED, "missing or invalid daemon token");
	if (permission == API_DAEMON)
		return fail(err, ERR_FORBIDDEN, "only the daemon's own token allows this");
	if (identity->kind == IDENTITY_PERSON)
		return 0;
	if (identity->kind == IDENTITY_AGENT)
		return fail(err, ERR_FORBIDDEN, "an agent's token opens /mcp and nothing else");
	switch (permission) {
	case API_CAVEAT_ACTIONS:
		return check_session(identity, CAPABILITY_ACTIONS_LIST, "actions:list", STR_EMPTY, err);
	case API_CAVEAT_COMMS:
		return check_session(identity, CAPABILITY_COMMS, "comms", session, err);
	case API_OPEN:
	case API_DAEMON:
	case API_PERSON:
		break;
	}
	return fail(err, ERR_FORBIDDEN, "a capability token does not open this route");
}

/* ------------------------------------------------------------------------------------------ codes and person tokens */

static void make_random(const char *prefix, char ret[TOKENS_TEXT_MAX])
{
	unsigned char bytes[RANDOM_BYTES];
	rand_bytes(bytes, sizeof bytes);
	AUTO_BUF text = BUF_INIT_SECRET(TOKENS_TEXT_MAX - 1);
	buf_add_z(&text, prefix);
	base64_encode(&text, str_of(bytes, sizeof bytes), BASE64_URL_NOPAD);
	if (!buf_ok(&text))
		BUG("a token does not fit");
	memcpy(ret, text.p, text.n + 1);
	mem_wipe(bytes, sizeof bytes);
}

void tokens_new_code(struct tokens *tokens, char ret[TOKENS_TEXT_MAX], uint64_t *ret_expires_ns)
{
	make_random("", ret);
	uint64_t now = clock_monotonic_ns(tokens->clock);
	pthread_mutex_lock(&tokens->lock);
	struct code *oldest = &tokens->codes[0];
	for (size_t i = 1; i < TOKENS_CODES; i++) {
		if (tokens->codes[i].expires_ns < oldest->expires_ns)
			oldest = &tokens->codes[i];
	}
	sha256(str_from(ret), oldest->hash);
	oldest->expires_ns = now + TOKENS_CODE_S * TIME_SECOND;
	pthread_mutex_unlock(&tokens->lock);
	*ret_expires_ns = clock_wall_ns(tokens->clock) + TOKENS_CODE_S * TIME_SECOND;
}

static bool use_code(struct tokens *tokens, struct str code)
{
	unsigned char hash[SHA256_SIZE];
	sha256(code, hash);
	uint64_t now = clock_monotonic_ns(tokens->clock);
	bool good = false;
	pthread_mutex_lock(&tokens->lock);
	for (size_t i = 0; i < TOKENS_CODES; i++) {
		struct code *one = &tokens->codes[i];
		if (one->expires_ns != 0 &&
		    constant_time_eq(str_of(hash, sizeof hash), str_of(one->hash, sizeof one->hash))) {
			good = one->expires_ns > now;
			one->expires_ns = 0;
		}
	}
	pthread_mutex_unlock(&tokens->lock);
	return good;
}

/* Under the lock. */
static void drop_expired(struct tokens *tokens)
{
	uint64_t now = clock_wall_ns(tokens->clock);
	size_t kept = 0;
	for (size_t i = 0; i < tokens->n_persons; i++) {
		if (tokens->persons[i].expires_ns > now)
			tokens->persons[kept++] = tokens->persons[i];
	}
	tokens->n_persons = kept;
}

struct storing {
	struct person *person;
	const char *instance;
};

static int store_person(struct db_tx *tx, void *user, struct err *err)
{
	const struct storing *storing = user;
	struct person *person = storing->person;
	struct db_stmt *insert = db_stmt(tx, "INSERT INTO person_tokens (hash, issued_ns, expires_ns, instance)"
					     " VALUES (?, ?, ?, ?) RETURNING id");
	db_bind_blob(insert, str_of(person->hash, sizeof person->hash));
	db_bind_int(insert, (int64_t)(person->expires_ns - TOKENS_PERSON_S * TIME_SECOND));
	db_bind_int(insert, (int64_t)person->expires_ns);
	db_bind_str(insert, str_from(storing->instance));
	int got = db_step(insert, err);
	if (got == 1)
		person->id = (uint64_t)db_int(insert, 0);
	db_finish(insert);
	if (got != 1)
		return got < 0 ? -1 : fail(err, ERR_STORE_ERROR, "the token was not stored");
	const struct audit_event event = {.type = AUDIT_PERSON_TOKEN_ISSUED, .actor_id = S("user")};
	return audit_append(tx, &event, NULL, NULL, err);
}

static int refuse_more(struct err *err)
{
	return fail(err, ERR_THROTTLED, "there are %d person tokens already; revoke one or wait", TOKENS_PERSONS);
}

/* Stores it, then knows it. */
static int keep_person(struct tokens *tokens, struct person *person, struct err *err)
{
	pthread_mutex_lock(&tokens->lock);
	drop_expired(tokens);
	bool full = tokens->n_persons == TOKENS_PERSONS;
	pthread_mutex_unlock(&tokens->lock);
	if (full)
		return refuse_more(err);
	struct storing storing = {person, tokens->instance};
	if (db_write(tokens->db, store_person, &storing, err) < 0)
		return -1;
	pthread_mutex_lock(&tokens->lock);
	bool kept = tokens->n_persons < TOKENS_PERSONS;
	if (kept)
		tokens->persons[tokens->n_persons++] = *person;
	pthread_mutex_unlock(&tokens->lock);
	return kept ? 0 : refuse_more(err);
}

int tokens_exchange(struct tokens *tokens, struct str code, char ret[TOKENS_TEXT_MAX], uint64_t *ret_id,
		    uint64_t *ret_expires_ns, struct err *err)
{
	if (!use_code(tokens, code))
		return fail(err, ERR_UNAUTHORIZED,
			    "the code is unknown, used or older than %d seconds; run `aileron open` again",
			    TOKENS_CODE_S);
	char token[TOKENS_TEXT_MAX];
	make_random(PERSON_PREFIX, token);
	struct person person = {.expires_ns = clock_wall_ns(tokens->clock) + TOKENS_PERSON_S * TIME_SECOND};
	sha256(str_from(token), person.hash);
	int rc = keep_person(tokens, &person, err);
	if (rc == 0) {
		memcpy(ret, token, sizeof token);
		*ret_id = person.id;
		*ret_expires_ns = person.expires_ns;
	}
	mem_wipe(token, sizeof token);
	return rc;
}

void tokens_prove(struct tokens *tokens, uint64_t id, struct str nonce, unsigned char ret[SHA256_SIZE])
{
	unsigned char key[SHA256_SIZE];
	hmac_sha256(str_of(tokens->nobody, sizeof tokens->nobody), str_of(&id, sizeof id), key);
	uint64_t now = clock_wall_ns(tokens->clock);
	pthread_mutex_lock(&tokens->lock);
	for (size_t i = 0; i < tokens->n_persons; i++) {
		const struct person *person = &tokens->persons[i];
		if (person->id == id && person->expires_ns > now)
			memcpy(key, person->hash, sizeof key);
	}
	pthread_mutex_unlock(&tokens->lock);
	const struct str parts[] = {S(PROOF_NAME), nonce, str_from(tokens->address)};
	hmac_sha256_parts(str_of(key, sizeof key), parts, ARRAY_LEN(parts), ret);
	mem_wipe(key, sizeof key);
}

struct revocation {
	uint64_t id, now_ns;
};

static int store_revocation(struct db_tx *tx, void *user, struct err *err)
{
	const struct revocation *revocation = user;
	struct db_stmt *update =
		db_stmt(tx, "UPDATE person_tokens SET revoked_ns = ? WHERE id = ? AND revoked_ns IS NULL");
	db_bind_int(update, (int64_t)revocation->now_ns);
	db_bind_int(update, (int64_t)revocation->id);
	int64_t changed = db_run(update, err);
	if (changed < 0)
		return -1;
	if (changed == 0)
		return fail(err, ERR_NOT_FOUND, "there is no such token");
	const struct audit_event event = {.type = AUDIT_PERSON_TOKEN_REVOKED, .actor_id = S("user")};
	return audit_append(tx, &event, NULL, NULL, err);
}

int tokens_revoke(struct tokens *tokens, uint64_t id, struct err *err)
{
	struct revocation revocation = {.id = id, .now_ns = clock_wall_ns(tokens->clock)};
	if (db_write(tokens->db, store_revocation, &revocation, err) < 0)
		return -1;
	pthread_mutex_lock(&tokens->lock);
	for (size_t i = 0; i < tokens->n_persons; i++) {
		if (tokens->persons[i].id == id)
			tokens->persons[i--] = tokens->persons[--tokens->n_persons];
	}
	pthread_mutex_unlock(&tokens->lock);
	return 0;
}
