/*
 * Who asks: the daemon's token, a person's by way of a code, a session's capability token; and what each may do.
 */
#include "control/tokens.h"
#include "base/base64.h"
#include "control/sessions.h"
#include "crypto/hmac.h"
#include "os/loop.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define DAEMON_TOKEN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SESSION      "01JZ0000000000000000000000"
#define INSTANCE     "0123456789abcdef0123456789abcdef"
#define ADDRESS      "127.0.0.1:8443"
/* Reference 2.6: 32 zero bytes as key, iat 2026-01-01. */
#define VECTOR                                                                                                         \
	"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."                                                                        \
	"eyJpc3MiOiJhaWxlcm9uLWRhZW1vbiIsInN1YiI6IjAxSlowMDAwMDAwMDAwMDAwMDAwMDAwMDAwIiwiaWF0IjoxNzY3MjI1NjAwLCJ0eXAi" \
	"OiJhaWxlcm9uLWNhdmVhdCIsImNhcHMiOlsiYWN0aW9uczpsaXN0IiwiYWN0aW9uczpydW4iLCJhcHByb3ZhbHM6cG9sbCIsImNvbW1zIl0s" \
	"InNlc3Npb24iOiIwMUpaMDAwMDAwMDAwMDAwMDAwMDAwMDAwMCJ9."                                                        \
	"N4qnUxLWlFZMaqSKGrDDUVS_XliH4JUUrQFP1RElIpM"
#define VECTOR_IAT 1767225600

static const char zero_key[32];
static char folder[] = "/tmp/aileron-tokens-XXXXXX";

static uint64_t fake_ns; /* both clocks */

static uint64_t read_fake(void *context)
{
	(void)context;
	return fake_ns;
}

static const struct clock fake_clock = {read_fake, read_fake, NULL};

struct stage {
	struct db *db;
	struct loop *loop;
	struct sessions *sessions;
	struct tokens *tokens;
};

/* As one start of the daemon has them, at one address. */
static struct tokens *make_tokens_of(const struct stage *stage, const char *instance, const char *address)
{
	const struct tokens_spec spec = {.daemon_token = S(DAEMON_TOKEN),
					 .caveat_key = str_of(zero_key, sizeof zero_key),
					 .instance = str_from(instance),
					 .address = str_from(address),
					 .db = stage->db,
					 .sessions = stage->sessions,
					 .clock = &fake_clock};
	struct tokens *tokens = tokens_new(&spec, NULL);
	assert_non_null(tokens);
	return tokens;
}

static struct tokens *make_tokens(const struct stage *stage)
{
	return make_tokens_of(stage, INSTANCE, ADDRESS);
}

static void set_up(struct stage *stage)
{
	fake_ns = UINT64_C(1767225600) * TIME_SECOND;
	stage->db = db_open(&(struct db_options){.name = "aileron.db"}, NULL);
	assert_non_null(stage->db);
	stage->loop = loop_new(NULL);
	stage->sessions = sessions_new(stage->loop, stage->db, NULL, NULL);
	assert_non_null(stage->sessions);
	stage->tokens = make_tokens(stage);
}

static void tear_down(struct stage *stage)
{
	tokens_free(stage->tokens);
	db_close(stage->db);
	sessions_free(stage->sessions);
	loop_free(stage->loop);
}

static enum identity_kind who(struct tokens *tokens, const char *token)
{
	AUTO_BUF header = BUF_INIT(4096);
	buf_addf(&header, "Bearer %s", token);
	struct identity identity = {0};
	struct err err = {0};
	if (tokens_identify(tokens, buf_str(&header), &identity, &err) == 0)
		return identity.kind;
	assert_int_equal(err.class, ERR_UNAUTHORIZED);
	assert_true(token[0] == '\0' || strstr(err.message, token) == NULL);
	return IDENTITY_NOBODY;
}

/* ------------------------------------------------------------------------------------------------ capability tokens */

static void a_capability_token_is_the_references(void **state)
{
	(void)state;
	AUTO_BUF token = BUF_INIT(TOKENS_CAVEAT_MAX);
	caveat_mint(str_of(zero_key, sizeof zero_key), S(SESSION), VECTOR_IAT, &token);
	assert_string_equal(token.p, VECTOR);
	struct identity identity = {0};
	assert_true(caveat_verify(str_of(zero_key, sizeof zero_key), S(VECTOR), &identity));
	assert_int_equal(identity.kind, IDENTITY_SESSION);
	assert_string_equal(identity.session, SESSION);
	assert_int_equal(identity.capabilities, CAPABILITIES_ALL);
}

static void no_byte_of_a_capability_token_can_change(void **state)
{
	(void)state;
	char token[sizeof VECTOR];
	struct identity identity = {0};
	for (size_t i = 0; i < sizeof VECTOR - 1; i++) {
		memcpy(token, VECTOR, sizeof VECTOR);
		token[i] = token[i] == 'A' ? 'B' : 'A';
		assert_false(caveat_verify(str_of(zero_key, sizeof zero_key), str_from(token), &identity));
	}
	for (size_t n = 0; n < sizeof VECTOR - 1; n++)
		assert_false(caveat_verify(str_of(zero_key, sizeof zero_key), str_of(VECTOR, n), &identity));
	assert_false(caveat_verify(S("another key"), S(VECTOR), &identity));
}

/* Signed with the right key, and yet not what a capability token says. */
static bool claims_pass(const char *header, const char *claims)
{
	AUTO_BUF token = BUF_INIT(4096);
	base64_encode(&token, str_from(header), BASE64_URL_NOPAD);
	buf_add_char(&token, '.');
	base64_encode(&token, str_from(claims), BASE64_URL_NOPAD);
	unsigned char mac[32];
	hmac_sha256(str_of(zero_key, sizeof zero_key), buf_str(&token), mac);
	buf_add_char(&token, '.');
	base64_encode(&token, str_of(mac, sizeof mac), BASE64_URL_NOPAD);
	struct identity identity = {0};
	return caveat_verify(str_of(zero_key, sizeof zero_key), buf_str(&token), &identity);
}

#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define CLAIMS(iss, sub, typ, session)                                                                                 \
	"{\"iss\":\"" iss "\",\"sub\":\"" sub "\",\"iat\":1,\"typ\":\"" typ "\",\"caps\":[],\"session\":\"" session    \
	"\"}"

static void a_signed_token_must_say_the_right_things(void **state)
{
	(void)state;
	assert_true(claims_pass(HS256, CLAIMS("aileron-daemon", "S", "aileron-caveat", "S")));
	assert_false(claims_pass("{\"alg\":\"none\",\"typ\":\"JWT\"}",
				 CLAIMS("aileron-daemon", "S", "aileron-caveat", "S")));
	assert_false(claims_pass(HS256, CLAIMS("another", "S", "aileron-caveat", "S")));
	assert_false(claims_pass(HS256, CLAIMS("aileron-daemon", "S", "aileron-user", "S")));
	assert_false(claims_pass(HS256, CLAIMS("aileron-daemon", "T", "aileron-caveat", "S")));
	assert_false(claims_pass(HS256, CLAIMS("aileron-daemon", "", "aileron-caveat", "")));
	assert_false(claims_pass(HS256, "[]"));
	assert_false(claims_pass(HS256, "not JSON"));
	assert_false(claims_pass(HS256, CLAIMS("aileron-daemon", "0123456789012345678901234567890123456789",
					       "aileron-caveat", "0123456789012345678901234567890123456789")));
}

static int insert_session(struct db_tx *tx, void *user, struct err *err)
{
	const struct session session = {.id = str_from(user), .agent = S("claude"), .started_ns = 1, .exit_code = -1};
	return session_insert(tx, &session, err);
}

static int finish_session(struct db_tx *tx, void *user, struct err *err)
{
	const struct session ended = {.id = str_from(user), .ended_ns = 2};
	return session_end(tx, &ended, true, err) == 1 ? 0 : -1;
}

static void a_capability_token_dies_with_its_session(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	static char id[] = SESSION;
	AUTO_BUF token = BUF_INIT(TOKENS_CAVEAT_MAX);
	tokens_mint_caveat(stage.tokens, S(SESSION), &token);
	assert_int_equal(who(stage.tokens, token.p), IDENTITY_NOBODY); /* no such session */
	assert_int_equal(db_write(stage.db, insert_session, id, NULL), 0);
	assert_int_equal(who(stage.tokens, token.p), IDENTITY_SESSION);
	assert_int_equal(db_write(stage.db, finish_session, id, NULL), 0);
	assert_int_equal(who(stage.tokens, token.p), IDENTITY_NOBODY);
	tear_down(&stage);
}

/* ------------------------------------------------------------------------------------------------------ permissions */

static void each_identity_may_what_it_may(void **state)
{
	(void)state;
	const struct identity nobody = {0}, daemon = {.kind = IDENTITY_DAEMON}, person = {.kind = IDENTITY_PERSON};
	struct identity session = {.kind = IDENTITY_SESSION, .session = SESSION, .capabilities = CAPABILITIES_ALL};
	const struct {
		const struct identity *identity;
		enum api_permission permission;
		const char *session;
		enum err_class class;
		const char *says;
	} rows[] = {
		{&nobody, API_OPEN, "", ERR_NONE, ""},
		{&nobody, API_DAEMON, "", ERR_UNAUTHORIZED, "missing"},
		{&nobody, API_PERSON, "", ERR_UNAUTHORIZED, "missing"},
		{&nobody, API_CAVEAT_COMMS, "", ERR_UNAUTHORIZED, "missing"},
		{&daemon, API_DAEMON, "", ERR_NONE, ""},
		{&daemon, API_PERSON, "", ERR_NONE, ""},
		{&daemon, API_CAVEAT_ACTIONS, "", ERR_NONE, ""},
		{&person, API_PERSON, "", ERR_NONE, ""},
		{&person, API_CAVEAT_COMMS, "X", ERR_NONE, ""},
		{&person, API_DAEMON, "", ERR_FORBIDDEN, "daemon's own token"},
		{&session, API_CAVEAT_ACTIONS, "", ERR_NONE, ""},
		{&session, API_CAVEAT_COMMS, SESSION, ERR_NONE, ""},
		{&session, API_CAVEAT_COMMS, "X", ERR_FORBIDDEN, "another session"},
		{&session, API_PERSON, "", ERR_FORBIDDEN, "does not open this route"},
		{&session, API_DAEMON, "", ERR_FORBIDDEN, "daemon's own token"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = {0};
		int rc = identity_permits(rows[i].identity, rows[i].permission, str_from(rows[i].session), &err);
		assert_int_equal(err.class, rows[i].class);
		assert_int_equal(rc, rows[i].class == ERR_NONE ? 0 : -1);
		assert_non_null(strstr(err.message, rows[i].says));
	}
	struct err err = {0};
	session.capabilities = CAPABILITY_COMMS;
	assert_int_equal(identity_permits(&session, API_CAVEAT_ACTIONS, STR_EMPTY, &err), -1);
	assert_string_equal(err.message, "the capability token lacks 'actions:list'");
	session.capabilities = CAPABILITY_ACTIONS_LIST;
	assert_int_equal(identity_permits(&session, API_CAVEAT_COMMS, S(SESSION), &err), -1);
}

static void only_the_whole_token_in_the_right_place_counts(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	assert_int_equal(who(stage.tokens, DAEMON_TOKEN), IDENTITY_DAEMON);
	assert_int_equal(who(stage.tokens, DAEMON_TOKEN "0"), IDENTITY_NOBODY);
	assert_int_equal(who(stage.tokens, ""), IDENTITY_NOBODY);
	struct identity identity;
	static const char *const headers[] = {"", "Bearer", DAEMON_TOKEN, "Basic " DAEMON_TOKEN,
					      "Bearer  " DAEMON_TOKEN};
	for (size_t i = 0; i < ARRAY_LEN(headers); i++)
		assert_int_equal(tokens_identify(stage.tokens, str_from(headers[i]), &identity, NULL), -1);
	assert_int_equal(tokens_identify(stage.tokens, S("bearer " DAEMON_TOKEN), &identity, NULL), 0);
	tear_down(&stage);
}

/* ---------------------------------------------------------------------------------------------------- person tokens */

static void a_code_is_good_once_and_for_a_minute(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	char code[TOKENS_TEXT_MAX], token[TOKENS_TEXT_MAX] = "untouched";
	uint64_t id = 0, expires = 0;
	tokens_new_code(stage.tokens, code, &expires);
	assert_int_equal(expires, fake_ns + 60 * TIME_SECOND);
	assert_int_equal(who(stage.tokens, code), IDENTITY_NOBODY);

	struct err err = {0};
	assert_int_equal(tokens_exchange(stage.tokens, S("guess"), token, &id, &expires, &err), -1);
	assert_int_equal(err.class, ERR_UNAUTHORIZED);
	assert_string_equal(token, "untouched");
	assert_int_equal(id, 0);
	assert_int_equal(tokens_exchange(stage.tokens, str_from(code), token, &id, &expires, &err), 0);
	assert_int_equal(expires, fake_ns + TOKENS_PERSON_S * TIME_SECOND);
	assert_int_equal(who(stage.tokens, token), IDENTITY_PERSON);
	assert_int_equal(tokens_exchange(stage.tokens, str_from(code), token, &id, &expires, &err), -1);

	tokens_new_code(stage.tokens, code, &expires);
	fake_ns += 60 * TIME_SECOND + 1;
	assert_int_equal(tokens_exchange(stage.tokens, str_from(code), token, &id, &expires, &err), -1);
	tear_down(&stage);
}

static void of_many_codes_the_oldest_makes_room(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	char codes[TOKENS_CODES + 1][TOKENS_TEXT_MAX], token[TOKENS_TEXT_MAX];
	uint64_t id, expires;
	for (size_t i = 0; i <= TOKENS_CODES; i++, fake_ns++)
		tokens_new_code(stage.tokens, codes[i], &expires);
	assert_int_equal(tokens_exchange(stage.tokens, str_from(codes[0]), token, &id, &expires, NULL), -1);
	assert_int_equal(tokens_exchange(stage.tokens, str_from(codes[1]), token, &id, &expires, NULL), 0);
	assert_int_equal(tokens_exchange(stage.tokens, str_from(codes[TOKENS_CODES]), token, &id, &expires, NULL), 0);
	tear_down(&stage);
}

/* Returns its number. */
static uint64_t issue(struct stage *stage, char token[TOKENS_TEXT_MAX])
{
	char code[TOKENS_TEXT_MAX];
	uint64_t id = 0, expires;
	tokens_new_code(stage->tokens, code, &expires);
	assert_int_equal(tokens_exchange(stage->tokens, str_from(code), token, &id, &expires, NULL), 0);
	return id;
}

static void a_person_token_survives_a_restart_of_control_and_ends_by_time_or_by_word(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	char first[TOKENS_TEXT_MAX], second[TOKENS_TEXT_MAX];
	issue(&stage, first);
	issue(&stage, second);
	struct identity identity;
	AUTO_BUF header = BUF_INIT(256);
	buf_addf(&header, "Bearer %s", first);
	assert_int_equal(tokens_identify(stage.tokens, buf_str(&header), &identity, NULL), 0);

	tokens_free(stage.tokens);
	stage.tokens = make_tokens(&stage);
	assert_int_equal(who(stage.tokens, first), IDENTITY_PERSON);
	assert_true(tokens_stand(stage.tokens, &identity));
	assert_int_equal(tokens_revoke(stage.tokens, identity.token_id, NULL), 0);
	assert_int_equal(who(stage.tokens, first), IDENTITY_NOBODY);
	assert_false(tokens_stand(stage.tokens, &identity));
	assert_int_equal(who(stage.tokens, second), IDENTITY_PERSON);
	struct err err = {0};
	assert_int_equal(tokens_revoke(stage.tokens, identity.token_id, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);

	tokens_free(stage.tokens);
	stage.tokens = make_tokens(&stage);
	assert_int_equal(who(stage.tokens, first), IDENTITY_NOBODY);
	fake_ns += TOKENS_PERSON_S * TIME_SECOND;
	assert_int_equal(who(stage.tokens, second), IDENTITY_NOBODY);
	tear_down(&stage);
}

static void a_person_token_ends_with_the_daemon_that_gave_it_out(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	char token[TOKENS_TEXT_MAX];
	issue(&stage, token);
	tokens_free(stage.tokens);
	stage.tokens = make_tokens_of(&stage, "another", ADDRESS);
	assert_int_equal(who(stage.tokens, token), IDENTITY_NOBODY);
	/* Those of before take nobody's place. */
	for (size_t i = 0; i < TOKENS_PERSONS; i++)
		issue(&stage, token);
	assert_int_equal(who(stage.tokens, token), IDENTITY_PERSON);
	char code[TOKENS_TEXT_MAX];
	uint64_t id, expires;
	struct err err = {0};
	tokens_new_code(stage.tokens, code, &expires);
	assert_int_equal(tokens_exchange(stage.tokens, str_from(code), token, &id, &expires, &err), -1);
	assert_int_equal(err.class, ERR_THROTTLED);
	tear_down(&stage);
}

static const unsigned char nonces[2][TOKENS_NONCE] = {{1}, {2}};

static bool proves(struct tokens *tokens, uint64_t id, const char *token, const unsigned char *nonce,
		   const char *address)
{
	unsigned char key[SHA256_SIZE], said[SHA256_SIZE], proof[SHA256_SIZE];
	AUTO_BUF message = BUF_INIT(256);
	buf_add_z(&message, "aileron-person-proof-1");
	buf_add_str(&message, str_of(nonce, TOKENS_NONCE));
	buf_add_z(&message, address);
	sha256(str_from(token), key);
	hmac_sha256(str_of(key, sizeof key), buf_str(&message), proof);
	tokens_prove(tokens, id, str_of(nonce, TOKENS_NONCE), said);
	return memcmp(said, proof, sizeof said) == 0;
}

static void the_daemon_proves_that_it_knows_a_token_at_its_own_address_alone(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	char token[TOKENS_TEXT_MAX], other[TOKENS_TEXT_MAX];
	uint64_t id = issue(&stage, token), other_id = issue(&stage, other);
	assert_true(id != other_id);
	assert_true(proves(stage.tokens, id, token, nonces[0], ADDRESS));
	assert_true(proves(stage.tokens, id, token, nonces[1], ADDRESS));
	assert_true(proves(stage.tokens, other_id, other, nonces[0], ADDRESS));
	assert_false(proves(stage.tokens, other_id, token, nonces[0], ADDRESS));
	/* Whoever passes the question on to a daemon elsewhere gets what is good there. */
	assert_false(proves(stage.tokens, id, token, nonces[0], "127.0.0.1:8444"));
	assert_false(proves(stage.tokens, id, token, nonces[0], "localhost:8443"));

	tokens_free(stage.tokens);
	stage.tokens = make_tokens(&stage); /* another control */
	assert_true(proves(stage.tokens, id, token, nonces[0], ADDRESS));
	assert_int_equal(tokens_revoke(stage.tokens, id, NULL), 0);
	assert_false(proves(stage.tokens, id, token, nonces[0], ADDRESS));
	fake_ns += TOKENS_PERSON_S * TIME_SECOND;
	assert_false(proves(stage.tokens, other_id, other, nonces[0], ADDRESS));
	tear_down(&stage);
}

static void another_start_of_the_daemon_proves_nothing(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	char token[TOKENS_TEXT_MAX];
	uint64_t id = issue(&stage, token);
	tokens_free(stage.tokens);
	stage.tokens = make_tokens_of(&stage, "another", ADDRESS);
	assert_false(proves(stage.tokens, id, token, nonces[0], ADDRESS));
	tear_down(&stage);
}

/* Nobody learns by asking whether there is a token of that number. */
static void the_proof_of_a_token_that_is_not_there_looks_like_one(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	unsigned char first[SHA256_SIZE], again[SHA256_SIZE], otherwise[SHA256_SIZE], another[SHA256_SIZE];
	tokens_prove(stage.tokens, 7, str_of(nonces[0], TOKENS_NONCE), first);
	tokens_prove(stage.tokens, 7, str_of(nonces[0], TOKENS_NONCE), again);
	tokens_prove(stage.tokens, 7, str_of(nonces[1], TOKENS_NONCE), otherwise);
	tokens_prove(stage.tokens, 8, str_of(nonces[0], TOKENS_NONCE), another);
	assert_memory_equal(first, again, sizeof first);
	assert_memory_not_equal(first, otherwise, sizeof first);
	assert_memory_not_equal(first, another, sizeof first);
	tear_down(&stage);
}

static void the_database_has_no_token(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	char token[TOKENS_TEXT_MAX];
	issue(&stage, token);
	struct db_tx *tx = db_read(stage.db);
	struct db_stmt *q = db_stmt(tx, "SELECT count(*) FROM person_tokens WHERE instr(hash, CAST(? AS BLOB)) > 0");
	db_bind_str(q, str_from(token));
	assert_int_equal(db_step(q, NULL), 1);
	assert_int_equal(db_int(q, 0), 0);
	db_finish(q);
	q = db_stmt(tx, "SELECT count(*) FROM audit WHERE type = 'person.token_issued' AND instr(text, ?) = 0");
	db_bind_str(q, str_from(token));
	assert_int_equal(db_step(q, NULL), 1);
	assert_true(db_int(q, 0) > 0);
	db_finish(q);
	db_done(tx);
	tear_down(&stage);
}

static int enter_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int remove_files(void **state)
{
	(void)state;
	unlink("aileron.db");
	unlink("aileron.db-wal");
	unlink("aileron.db-shm");
	return 0;
}

static int leave_folder(void **state)
{
	remove_files(state);
	return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_capability_token_is_the_references),
		cmocka_unit_test(no_byte_of_a_capability_token_can_change),
		cmocka_unit_test(a_signed_token_must_say_the_right_things),
		cmocka_unit_test_setup(a_capability_token_dies_with_its_session, remove_files),
		cmocka_unit_test(each_identity_may_what_it_may),
		cmocka_unit_test_setup(only_the_whole_token_in_the_right_place_counts, remove_files),
		cmocka_unit_test_setup(a_code_is_good_once_and_for_a_minute, remove_files),
		cmocka_unit_test_setup(of_many_codes_the_oldest_makes_room, remove_files),
		cmocka_unit_test_setup(a_person_token_survives_a_restart_of_control_and_ends_by_time_or_by_word,
				       remove_files),
		cmocka_unit_test_setup(a_person_token_ends_with_the_daemon_that_gave_it_out, remove_files),
		cmocka_unit_test_setup(the_daemon_proves_that_it_knows_a_token_at_its_own_address_alone, remove_files),
		cmocka_unit_test_setup(another_start_of_the_daemon_proves_nothing, remove_files),
		cmocka_unit_test_setup(the_proof_of_a_token_that_is_not_there_looks_like_one, remove_files),
		cmocka_unit_test_setup(the_database_has_no_token, remove_files),
	};
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
