#include "control/agents.h"
#include "approval/grant.h"
#include "base/base64.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/vec.h"
#include "control/event.h"
#include "control/session.h"
#include "crypto/constant_time.h"
#include "crypto/hmac.h"
#include <pthread.h>
#include <stdlib.h>

#define RANDOM_BYTES 32
#define NOTED_NS     (UINT64_C(60) * TIME_SECOND) /* between two notes of an agent's use */
#define LIST_MAX     1000

struct valid {
	char id[ULID_SIZE], session[ULID_SIZE];
	char name[AGENT_NAME_SIZE];
	unsigned char hash[SHA256_SIZE];
	uint64_t noted_ns; /* monotonic; 0 = not yet */
	bool coming;       /* it is being registered: nobody's, and to be revoked already */
};

struct agents {
	struct db *db;
	const struct clock *clock;
	void (*revoked)(void *user, struct str id);
	void *revoked_user;

	pthread_mutex_t lock; /* all below */
	struct valid valid[AGENTS_VALID_MAX];
	size_t n;
};

/* ------------------------------------------------------------------------------------------------------- life cycle */

static bool copy(char *to, size_t size, struct str text)
{
	if (text.n >= size)
		return false;
	if (text.n > 0)
		memcpy(to, text.p, text.n);
	to[text.n] = '\0';
	return true;
}

static int read_valid(struct agents *agents, struct err *err)
{
	struct db_tx *tx = db_read(agents->db);
	struct db_stmt *q = db_stmt(tx, "SELECT id, name, session, hash FROM agents WHERE revoked_ns IS NULL"
					" ORDER BY created_ns DESC");
	int got = 0;
	while (agents->n < AGENTS_VALID_MAX && (got = db_step(q, err)) == 1) {
		struct valid *valid = &agents->valid[agents->n];
		struct str hash = db_blob(q, 3);
		if (hash.n != sizeof valid->hash || !copy(valid->id, sizeof valid->id, db_str(q, 0)) ||
		    !copy(valid->name, sizeof valid->name, db_str(q, 1)) ||
		    !copy(valid->session, sizeof valid->session, db_str(q, 2)))
			continue;
		memcpy(valid->hash, hash.p, hash.n);
		agents->n++;
	}
	db_finish(q);
	db_done(tx);
	return got < 0 ? -1 : 0;
}

struct agents *agents_new(struct db *db, const struct clock *clock, struct err *err)
{
	AUTO(agents) *agents = NEW(struct agents);
	pthread_mutex_init(&agents->lock, NULL);
	agents->db = db;
	agents->clock = clock;
	if (read_valid(agents, err) < 0)
		return NULL;
	return TAKE(agents);
}

void agents_free(struct agents *agents)
{
	if (agents == NULL)
		return;
	pthread_mutex_destroy(&agents->lock);
	free(agents);
}

void agents_on_revoke(struct agents *agents, void (*revoked)(void *user, struct str id), void *user)
{
	pthread_mutex_lock(&agents->lock);
	agents->revoked = revoked;
	agents->revoked_user = user;
	pthread_mutex_unlock(&agents->lock);
}

/* --------------------------------------------------------------------------------------------------------- identity */

bool agents_identify(struct agents *agents, struct str token, struct identity *ret)
{
	unsigned char hash[SHA256_SIZE];
	sha256(token, hash);
	bool found = false;
	pthread_mutex_lock(&agents->lock);
	for (size_t i = 0; i < agents->n; i++) {
		const struct valid *valid = &agents->valid[i];
		if (!constant_time_eq(str_of(hash, sizeof hash), str_of(valid->hash, sizeof valid->hash)) ||
		    valid->coming)
			continue;
		*ret = (struct identity){.kind = IDENTITY_AGENT};
		memcpy(ret->agent, valid->id, sizeof valid->id);
		memcpy(ret->agent_name, valid->name, sizeof valid->name);
		memcpy(ret->session, valid->session, sizeof valid->session);
		found = true;
	}
	pthread_mutex_unlock(&agents->lock);
	return found;
}

/* Under the lock; NULL = none. */
static struct valid *find(struct agents *agents, struct str id)
{
	for (size_t i = 0; i < agents->n; i++) {
		if (str_eq(id, str_from(agents->valid[i].id)))
			return &agents->valid[i];
	}
	return NULL;
}

bool agents_is_valid(struct agents *agents, struct str id)
{
	pthread_mutex_lock(&agents->lock);
	bool valid = find(agents, id) != NULL;
	pthread_mutex_unlock(&agents->lock);
	return valid;
}

struct use {
	char id[ULID_SIZE];
	uint64_t now_ns;
};

static int store_use(struct db_tx *tx, void *user, struct err *err)
{
	const struct use *use = user;
	struct db_stmt *update = db_stmt(tx, "UPDATE agents SET last_used_ns = ? WHERE id = ?");
	db_bind_int(update, (int64_t)use->now_ns);
	db_bind_str(update, str_from(use->id));
	return db_run(update, err) < 0 ? -1 : 0;
}

static void use_stored(void *user, const struct err *err)
{
	if (err != NULL)
		log_warn("agent_use_not_noted", log_err(err));
	free(user);
}

void agents_note_use(struct agents *agents, struct str id)
{
	uint64_t now = clock_monotonic_ns(agents->clock);
	pthread_mutex_lock(&agents->lock);
	struct valid *valid = find(agents, id);
	bool due = valid != NULL && (valid->noted_ns == 0 || now - valid->noted_ns >= NOTED_NS);
	if (due)
		valid->noted_ns = now;
	pthread_mutex_unlock(&agents->lock);
	if (!due)
		return;
	struct use *use = NEW(struct use);
	(void)copy(use->id, sizeof use->id, id);
	use->now_ns = clock_wall_ns(agents->clock);
	db_write_later(agents->db, store_use, use, use_stored);
}

/* ------------------------------------------------------------------------------------------------------ registering */

struct registration {
	const struct agent *agent;
	struct valid valid;
	struct event event;
	uint64_t now_ns;
};

static int begin_event(struct event *event, const struct audit_event *by, enum audit_type type,
		       const struct agent *agent, struct err *err)
{
	struct audit_event who = *by;
	who.type = type;
	event_begin(event, who);
	member_str(&event->json, "aileron.agent.id", agent->id);
	member_str_given(&event->json, "aileron.agent.name", agent->name);
	member_str_given(&event->json, "aileron.agent.kind", agent->kind);
	member_str_given(&event->json, "aileron.agent.program", agent->program);
	member_str_given(&event->json, "aileron.session.id", agent->session);
	return event_end(event, err);
}

static int refuse_session(struct str session, struct err *err)
{
	return fail(err, ERR_SESSION_NOT_FOUND, "there is no session '%.*s' that runs", STR_FMT(session));
}

static int check_session(struct db_tx *tx, struct str session, struct err *err)
{
	if (session.n == 0)
		return 0;
	int open = session_is_open_in(tx, session, err);
	if (open < 0)
		return -1;
	return open == 1 ? 0 : refuse_session(session, err);
}

static int store_registration(struct db_tx *tx, void *user, struct err *err)
{
	const struct registration *registration = user;
	const struct agent *agent = registration->agent;
	if (check_session(tx, agent->session, err) < 0)
		return -1;
	struct db_stmt *insert = db_stmt(tx, "INSERT INTO agents (id, name, kind, program, hash, session, created_ns)"
					     " VALUES (?, ?, ?, ?, ?, ?, ?)");
	db_bind_str(insert, str_from(registration->valid.id));
	db_bind_str(insert, agent->name);
	db_bind_str(insert, agent->kind);
	db_bind_str(insert, agent->program);
	db_bind_blob(insert, str_of(registration->valid.hash, sizeof registration->valid.hash));
	db_bind_str_given(insert, agent->session);
	db_bind_int(insert, (int64_t)registration->now_ns);
	if (db_run(insert, err) < 0)
		return -1;
	return event_append(tx, &registration->event, err);
}

static void make_token(char ret[AGENTS_TOKEN_SIZE])
{
	unsigned char bytes[RANDOM_BYTES];
	rand_bytes(bytes, sizeof bytes);
	AUTO_BUF text = BUF_INIT_SECRET(AGENTS_TOKEN_SIZE - 1);
	buf_add_z(&text, AGENT_TOKEN_PREFIX);
	base64_encode(&text, str_of(bytes, sizeof bytes), BASE64_URL_NOPAD);
	if (!buf_ok(&text) || text.n != AGENTS_TOKEN_SIZE - 1)
		BUG("a token does not fit");
	memcpy(ret, text.p, text.n + 1);
	mem_wipe(bytes, sizeof bytes);
}

static int check_names(const struct agent *agent, struct err *err)
{
	if (agent->name.n == 0 || agent->name.n >= AGENT_NAME_SIZE)
		return fail(err, ERR_INVALID_REQUEST, "'name' must have 1 to %d bytes", AGENT_NAME_SIZE - 1);
	for (size_t i = 0; i < agent->name.n; i++) {
		unsigned char c = (unsigned char)agent->name.p[i];
		if (c < ' ' || c == 0x7f)
			return fail(err, ERR_INVALID_REQUEST, "'name' has a control character");
	}
	if (agent->program.n > AGENT_PROGRAM_MAX)
		return fail(err, ERR_INVALID_REQUEST, "'program' is longer than %d bytes", AGENT_PROGRAM_MAX);
	return 0;
}

/* A launch without its session would never end; what is none has no end to wait for. */
static int check_kind(const struct agent *agent, struct err *err)
{
	bool launch = str_eq(agent->kind, S("launch"));
	if (!launch && !str_eq(agent->kind, S("registered")) && !str_eq(agent->kind, S("http")))
		return fail(err, ERR_INVALID_REQUEST, "'kind' must be 'registered', 'launch' or 'http'");
	if (launch != (agent->session.n > 0))
		return fail(err, ERR_INVALID_REQUEST,
			    launch ? "a launch needs its 'session'" : "only a launch has a 'session'");
	if (agent->session.n >= ULID_SIZE)
		return fail(err, ERR_SESSION_NOT_FOUND, "there is no session '%.*s'", STR_FMT(agent->session));
	return 0;
}

static void fill_registration(struct registration *registration, const struct agent *agent,
			      char token[AGENTS_TOKEN_SIZE])
{
	struct valid *valid = &registration->valid;
	ulid_make(registration->now_ns, valid->id);
	(void)copy(valid->name, sizeof valid->name, agent->name);
	(void)copy(valid->session, sizeof valid->session, agent->session);
	make_token(token);
	sha256(str_from(token), valid->hash);
}

/* A place among the valid ones comes first: an end of the session that falls into the registration finds the token there. */
static int take_place(struct agents *agents, const struct valid *valid, struct err *err)
{
	pthread_mutex_lock(&agents->lock);
	bool room = agents->n < AGENTS_VALID_MAX;
	if (room) {
		agents->valid[agents->n] = *valid;
		agents->valid[agents->n++].coming = true;
	}
	pthread_mutex_unlock(&agents->lock);
	return room ? 0
		    : fail(err, ERR_THROTTLED,
			   "there are %d agent tokens already; revoke some with `aileron mcp revoke`",
			   AGENTS_VALID_MAX);
}

/* On disk and in the record. */
static int store(struct agents *agents, const struct agent *agent, const struct audit_event *by,
		 struct registration *registration, struct err *err)
{
	struct agent told = *agent;
	told.id = str_from(registration->valid.id);
	int rc = begin_event(&registration->event, by, AUDIT_AGENT_REGISTERED, &told, err);
	if (rc == 0)
		rc = db_write(agents->db, store_registration, registration, err);
	event_release(&registration->event);
	return rc;
}

/* Now it may ask; or its place is given back. */
static int use_place(struct agents *agents, const struct registration *registration, bool stored, struct err *err)
{
	pthread_mutex_lock(&agents->lock);
	struct valid *valid = find(agents, str_from(registration->valid.id));
	if (valid != NULL && stored)
		valid->coming = false;
	else if (valid != NULL)
		*valid = agents->valid[--agents->n];
	pthread_mutex_unlock(&agents->lock);
	if (!stored)
		return -1;
	if (valid == NULL && registration->agent->session.n == 0)
		return fail(err, ERR_CONFLICT, "the agent was revoked before it had its token");
	return valid != NULL ? 0 : refuse_session(registration->agent->session, err);
}

int agents_register(struct agents *agents, const struct agent *agent, const struct audit_event *by,
		    char ret_id[ULID_SIZE], char ret_token[AGENTS_TOKEN_SIZE], struct err *err)
{
	if (check_names(agent, err) < 0 || check_kind(agent, err) < 0)
		return -1;
	struct registration registration = {.agent = agent, .now_ns = clock_wall_ns(agents->clock)};
	char token[AGENTS_TOKEN_SIZE];
	fill_registration(&registration, agent, token);
	int rc = take_place(agents, &registration.valid, err);
	if (rc == 0)
		rc = use_place(agents, &registration, store(agents, agent, by, &registration, err) == 0, err);
	if (rc == 0) {
		memcpy(ret_id, registration.valid.id, ULID_SIZE);
		memcpy(ret_token, token, sizeof token);
	}
	mem_wipe(token, sizeof token); /* also that of one that was not made */
	return rc;
}

/* --------------------------------------------------------------------------------------------------------- revoking */

struct revocation {
	struct str id;
	struct event event;
	uint64_t now_ns;
};

static int store_revocation(struct db_tx *tx, void *user, struct err *err)
{
	const struct revocation *revocation = user;
	struct db_stmt *update = db_stmt(tx, "UPDATE agents SET revoked_ns = ? WHERE id = ? AND revoked_ns IS NULL");
	db_bind_int(update, (int64_t)revocation->now_ns);
	db_bind_str(update, revocation->id);
	int64_t changed = db_run(update, err);
	if (changed < 0)
		return -1;
	if (changed == 0)
		return fail(err, ERR_NOT_FOUND, "there is no agent '%.*s' whose token is valid; see `aileron mcp list`",
			    STR_FMT(revocation->id));
	/* What came over HTTP had the agent itself as its session. */
	const struct grant_end grants = {
		.session = revocation->id,
		.why = S("agent revoked"),
		.now_ns = revocation->now_ns,
		.who = audit_of_service(AUDIT_GRANT_REVOKED, "control"),
	};
	return grant_end(tx, &grants, err) < 0 ? -1 : event_append(tx, &revocation->event, err);
}

static void forget(struct agents *agents, struct str id)
{
	pthread_mutex_lock(&agents->lock);
	struct valid *valid = find(agents, id);
	if (valid != NULL)
		*valid = agents->valid[--agents->n];
	void (*revoked)(void *user, struct str id) = agents->revoked;
	void *user = agents->revoked_user;
	pthread_mutex_unlock(&agents->lock);
	if (revoked != NULL)
		revoked(user, id);
}

int agents_revoke(struct agents *agents, struct str id, const struct audit_event *by, struct err *err)
{
	struct revocation revocation = {.id = id, .now_ns = clock_wall_ns(agents->clock)};
	const struct agent agent = {.id = id};
	int rc = begin_event(&revocation.event, by, AUDIT_AGENT_REVOKED, &agent, err);
	if (rc == 0)
		rc = db_write(agents->db, store_revocation, &revocation, err);
	event_release(&revocation.event);
	if (rc == 0)
		forget(agents, id);
	return rc;
}

/* Not under the lock: the id of one that was made for this session. */
static bool next_of_session(struct agents *agents, struct str session, char ret[ULID_SIZE])
{
	bool found = false;
	pthread_mutex_lock(&agents->lock);
	for (size_t i = 0; i < agents->n && !found; i++) {
		found = str_eq(session, str_from(agents->valid[i].session));
		if (found)
			memcpy(ret, agents->valid[i].id, ULID_SIZE);
	}
	pthread_mutex_unlock(&agents->lock);
	return found;
}

void agents_forget_session(struct agents *agents, struct str session)
{
	char id[ULID_SIZE];
	while (session.n > 0 && next_of_session(agents, session, id))
		forget(agents, str_from(id));
}

static int append_revoked(struct db_tx *tx, struct str id, const struct audit_event *by, struct err *err)
{
	AUTO_EVENT event;
	const struct agent agent = {.id = id};
	return begin_event(&event, by, AUDIT_AGENT_REVOKED, &agent, err) < 0 ? -1 : event_append(tx, &event, err);
}

int agents_revoke_session(struct db_tx *tx, struct str session, const struct audit_event *by, uint64_t now_ns,
			  struct err *err)
{
	AUTO(arena) *arena = arena_new();
	AUTO_VEC(struct str) ids = VEC_INIT(AGENTS_VALID_MAX);
	struct db_stmt *q = db_stmt(tx, "SELECT id FROM agents WHERE session = ? AND revoked_ns IS NULL");
	db_bind_str(q, session);
	int got;
	while ((got = db_step(q, err)) == 1 && vec_push(&ids, arena_str(arena, db_str(q, 0))))
		continue;
	db_finish(q);
	struct db_stmt *update =
		db_stmt(tx, "UPDATE agents SET revoked_ns = ? WHERE session = ? AND revoked_ns IS NULL");
	db_bind_int(update, (int64_t)now_ns);
	db_bind_str(update, session);
	if (db_run(update, err) < 0 || got < 0)
		return -1;
	for (size_t i = 0; i < ids.n; i++) {
		if (append_revoked(tx, ids.items[i], by, err) < 0)
			return -1;
	}
	return 0;
}

/* ---------------------------------------------------------------------------------------------------------- the list */

int agents_list(struct db_tx *tx, agent_row *row, void *user, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, "SELECT id, name, kind, program, session, created_ns, last_used_ns, revoked_ns"
					" FROM agents ORDER BY id DESC LIMIT ?");
	db_bind_int(q, LIST_MAX);
	int got;
	while ((got = db_step(q, err)) == 1) {
		const struct agent agent = {
			.id = db_str(q, 0),
			.name = db_str(q, 1),
			.kind = db_str(q, 2),
			.program = db_str(q, 3),
			.session = db_str(q, 4),
			.created_ns = db_time(q, 5),
			.last_used_ns = db_time(q, 6),
			.revoked_ns = db_time(q, 7),
		};
		if (row(user, &agent) != 0)
			break;
	}
	db_finish(q);
	return got < 0 ? -1 : 0;
}
