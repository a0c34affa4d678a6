/*
 * Agents: a token is told once and kept as a hash, opens no operation, survives a restart, and ends with its revocation or
 * with the session that it was made for.
 */
#include "control/agents.h"
#include "control/session.h"
#include "control/tokens.h"
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define DAEMON_TOKEN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char zero_key[32];
static char folder[] = "/tmp/aileron-agents-XXXXXX";
static const struct audit_event by_user = {.actor = AUDIT_ACTOR_HUMAN, .actor_id = {"user", 4}};

struct stage {
	struct db *db;
	struct agents *agents;
};

static int set_up(void **state)
{
	static struct stage stage;
	stage.db = db_open(&(struct db_options){.name = "aileron.db"}, NULL);
	assert_non_null(stage.db);
	stage.agents = agents_new(stage.db, NULL, NULL);
	assert_non_null(stage.agents);
	*state = &stage;
	return 0;
}

static int clear_all(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	return db_run(db_stmt(tx, "DELETE FROM agents"), err) < 0 ||
			       db_run(db_stmt(tx, "DELETE FROM sessions"), err) < 0
		       ? -1
		       : 0;
}

static int tear_down(void **state)
{
	struct stage *stage = *state;
	agents_free(stage->agents);
	assert_int_equal(db_write(stage->db, clear_all, NULL, NULL), 0);
	db_close(stage->db);
	return 0;
}

static void restart(struct stage *stage)
{
	agents_free(stage->agents);
	stage->agents = agents_new(stage->db, NULL, NULL);
	assert_non_null(stage->agents);
}

static enum err_class try_register(struct stage *stage, struct agent agent, char id[ULID_SIZE],
				   char token[AGENTS_TOKEN_SIZE])
{
	struct err err = {0};
	if (agents_register(stage->agents, &agent, &by_user, id, token, &err) == 0)
		return ERR_NONE;
	return err.class;
}

static bool is_valid(struct stage *stage, const char *token, struct identity *ret)
{
	return agents_identify(stage->agents, str_from(token), ret);
}

struct counts {
	const char *name;
	size_t all, revoked;
};

static int count(void *user, const struct agent *agent)
{
	struct counts *counts = user;
	counts->all++;
	counts->revoked += agent->revoked_ns > 0;
	assert_true(str_eq(agent->name, str_from(counts->name)) && agent->created_ns > 0);
	return 0;
}

struct session_end {
	struct str id;
};

static int revoke_session(struct db_tx *tx, void *user, struct err *err)
{
	return agents_revoke_session(tx, ((struct session_end *)user)->id, &by_user, 1, err);
}

static void end_session(struct stage *stage, struct str session)
{
	struct session_end end = {session};
	agents_forget_session(stage->agents, session);
	assert_int_equal(db_write(stage->db, revoke_session, &end, NULL), 0);
}

static int insert_session(struct db_tx *tx, void *user, struct err *err)
{
	return session_insert(tx, user, err);
}

static void test_token(void **state)
{
	struct stage *stage = *state;
	char id[ULID_SIZE], token[AGENTS_TOKEN_SIZE];
	const struct agent agent = {.name = S("claude"), .kind = S("registered"), .program = S("claude")};
	assert_int_equal(try_register(stage, agent, id, token), ERR_NONE);
	assert_int_equal(strlen(token), AGENTS_TOKEN_SIZE - 1);
	assert_int_equal(strncmp(token, AGENT_TOKEN_PREFIX, strlen(AGENT_TOKEN_PREFIX)), 0);

	struct identity identity = {0};
	assert_true(is_valid(stage, token, &identity));
	assert_int_equal(identity.kind, IDENTITY_AGENT);
	assert_string_equal(identity.agent, id);
	assert_string_equal(identity.agent_name, "claude");
	assert_string_equal(identity.session, "");

	restart(stage);
	assert_true(is_valid(stage, token, &identity));
	char other[AGENTS_TOKEN_SIZE];
	memcpy(other, token, sizeof other);
	other[AGENTS_TOKEN_SIZE - 2] = other[AGENTS_TOKEN_SIZE - 2] == 'A' ? 'B' : 'A';
	assert_false(is_valid(stage, other, &identity));
	assert_false(is_valid(stage, "", &identity));

	assert_int_equal(agents_revoke(stage->agents, str_from(id), &by_user, NULL), 0);
	assert_false(is_valid(stage, token, &identity));
	assert_false(agents_is_valid(stage->agents, str_from(id)));
	restart(stage);
	assert_false(is_valid(stage, token, &identity));
	struct err err = {0};
	assert_int_equal(agents_revoke(stage->agents, str_from(id), &by_user, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
}

static int look_for(void *user, uint64_t seq, struct str text)
{
	(void)seq;
	return str_find(text, *(struct str *)user) != STR_NPOS;
}

/* Neither in the record nor in the file. */
static void test_token_is_nowhere(void **state)
{
	struct stage *stage = *state;
	char id[ULID_SIZE], token[AGENTS_TOKEN_SIZE];
	const struct agent agent = {.name = S("claude"), .kind = S("http")};
	assert_int_equal(try_register(stage, agent, id, token), ERR_NONE);
	struct str needle = str_from(token);
	struct db_tx *tx = db_read(stage->db);
	const struct audit_query query = {.limit = 100};
	assert_int_equal(audit_list(tx, &query, look_for, &needle, NULL), 0);
	struct db_stmt *q = db_stmt(tx, "SELECT 1 FROM agents WHERE instr(hash, ?) > 0 OR name = ?");
	db_bind_str(q, needle);
	db_bind_str(q, needle);
	assert_int_equal(db_step(q, NULL), 0);
	db_finish(q);
	db_done(tx);
}

static void test_launch(void **state)
{
	struct stage *stage = *state;
	char id[ULID_SIZE], token[AGENTS_TOKEN_SIZE];
	struct agent agent = {.name = S("codex"), .kind = S("launch"), .session = S("01JZ0000000000000000000000")};
	assert_int_equal(try_register(stage, agent, id, token), ERR_SESSION_NOT_FOUND);
	struct session session = {
		.id = agent.session, .agent = S("codex"), .working_dir = S("/home/me"), .started_ns = 1};
	assert_int_equal(db_write(stage->db, insert_session, &session, NULL), 0);
	assert_int_equal(try_register(stage, agent, id, token), ERR_NONE);
	struct identity identity = {0};
	assert_true(is_valid(stage, token, &identity));
	assert_string_equal(identity.session, "01JZ0000000000000000000000");
	end_session(stage, S("01JZ0000000000000000000001"));
	assert_true(is_valid(stage, token, &identity));
	agents_forget_session(stage->agents, agent.session);
	assert_false(is_valid(stage, token, &identity));
	restart(stage);
	assert_true(is_valid(stage, token, &identity));
	end_session(stage, agent.session);
	assert_false(is_valid(stage, token, &identity));
	restart(stage);
	assert_false(is_valid(stage, token, &identity));
}

/* Commits nothing until it is let go on. */
static int hold_up(struct db_tx *tx, void *user, struct err *err)
{
	(void)tx;
	(void)err;
	return sem_wait(user);
}

struct registering {
	struct stage *stage;
	enum err_class class;
	char id[ULID_SIZE], token[AGENTS_TOKEN_SIZE];
};

static void *register_launch(void *user)
{
	struct registering *registering = user;
	const struct agent agent = {
		.name = S("codex"), .kind = S("launch"), .session = S("01JZ0000000000000000000002")};
	registering->class = try_register(registering->stage, agent, registering->id, registering->token);
	return NULL;
}

static void count_revoked(void *user, struct str id)
{
	assert_int_equal(id.n, ULID_SIZE - 1);
	++*(int *)user;
}

/* A session's end that falls into a registration finds the token that is not stored yet. */
static void test_end_while_registering(void **state)
{
	struct stage *stage = *state;
	const struct str id = S("01JZ0000000000000000000002");
	struct session session = {.id = id, .agent = S("codex"), .working_dir = S("/home/me"), .started_ns = 1};
	assert_int_equal(db_write(stage->db, insert_session, &session, NULL), 0);
	int revoked = 0;
	agents_on_revoke(stage->agents, count_revoked, &revoked);
	sem_t held;
	sem_init(&held, 0, 0);
	db_write_later(stage->db, hold_up, &held, NULL);
	struct registering registering = {.stage = stage, .token = "untouched"};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, register_launch, &registering), 0);
	while (revoked == 0) {
		agents_forget_session(stage->agents, id);
		sched_yield();
	}
	sem_post(&held);
	pthread_join(thread, NULL);
	assert_int_equal(registering.class, ERR_SESSION_NOT_FOUND);
	assert_string_equal(registering.token, "untouched");
	end_session(stage, id);
	struct counts counts = {.name = "codex"};
	struct db_tx *tx = db_read(stage->db);
	assert_int_equal(agents_list(tx, count, &counts, NULL), 0);
	db_done(tx);
	assert_int_equal(counts.all, counts.revoked);
	sem_destroy(&held);
}

static void test_refused(void **state)
{
	struct stage *stage = *state;
	char id[ULID_SIZE] = "untouched", token[AGENTS_TOKEN_SIZE];
	static const struct agent wrong[] = {
		{.name = {"", 0}, .kind = {"http", 4}},
		{.name = {"a\nb", 3}, .kind = {"http", 4}},
		{.name = {"12345678901234567890123456789012345678901234567890123456789012345", 65},
		 .kind = {"http", 4}},
		{.name = {"a", 1}, .kind = {"person", 6}},
		{.name = {"a", 1}, .kind = {"launch", 6}},
		{.name = {"a", 1}, .kind = {"http", 4}, .session = {"01JZ0000000000000000000000", 26}},
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(try_register(stage, wrong[i], id, token), ERR_INVALID_REQUEST);
	assert_string_equal(id, "untouched");
	const struct agent agent = {.name = S("a"), .kind = S("http")};
	for (size_t i = 0; i < AGENTS_VALID_MAX; i++)
		assert_int_equal(try_register(stage, agent, id, token), ERR_NONE);
	assert_int_equal(try_register(stage, agent, id, token), ERR_THROTTLED);
	assert_int_equal(agents_revoke(stage->agents, str_from(id), &by_user, NULL), 0);
	assert_int_equal(try_register(stage, agent, id, token), ERR_NONE);
}

/* No operation of the API is an agent's, but what needs no token at all. */
static void test_permits_nothing(void **state)
{
	struct stage *stage = *state;
	char id[ULID_SIZE], token[AGENTS_TOKEN_SIZE];
	const struct agent agent = {.name = S("a"), .kind = S("http")};
	assert_int_equal(try_register(stage, agent, id, token), ERR_NONE);
	const struct tokens_spec spec = {.daemon_token = S(DAEMON_TOKEN),
					 .caveat_key = str_of(zero_key, sizeof zero_key),
					 .db = stage->db,
					 .agents = stage->agents};
	AUTO(tokens) *tokens = tokens_new(&spec, NULL);
	AUTO_BUF header = BUF_INIT(256);
	buf_addf(&header, "Bearer %s", token);
	struct identity identity = {0};
	assert_int_equal(tokens_identify(tokens, buf_str(&header), &identity, NULL), 0);
	assert_int_equal(identity.kind, IDENTITY_AGENT);
	for (enum api_operation_id op = 0; op < OP__MAX; op++) {
		enum api_permission permission = operation_at(op)->permission;
		struct err err = {0};
		int rc = identity_permits(&identity, permission, STR_EMPTY, &err);
		assert_int_equal(rc, permission == API_OPEN ? 0 : -1);
		assert_int_equal(err.class, permission == API_OPEN ? ERR_NONE : ERR_FORBIDDEN);
	}
}

static struct str told;

static void note_revoked(void *user, struct str id)
{
	assert_ptr_equal(user, &told);
	assert_true(str_eq(id, told));
	told = STR_EMPTY;
}

static void test_list(void **state)
{
	struct stage *stage = *state;
	char id[ULID_SIZE], token[AGENTS_TOKEN_SIZE];
	const struct agent agent = {.name = S("a"), .kind = S("http")};
	assert_int_equal(try_register(stage, agent, id, token), ERR_NONE);
	agents_note_use(stage->agents, str_from(id));
	assert_int_equal(try_register(stage, agent, id, token), ERR_NONE);
	told = str_from(id);
	agents_on_revoke(stage->agents, note_revoked, &told);
	assert_int_equal(agents_revoke(stage->agents, str_from(id), &by_user, NULL), 0);
	assert_int_equal(told.n, 0);
	struct counts counts = {.name = "a"};
	struct db_tx *tx = db_read(stage->db);
	assert_int_equal(agents_list(tx, count, &counts, NULL), 0);
	db_done(tx);
	assert_int_equal(counts.all, 2);
	assert_int_equal(counts.revoked, 1);
}

static int remove_folder(void **state)
{
	(void)state;
	unlink("aileron.db");
	unlink("aileron.db-wal");
	unlink("aileron.db-shm");
	return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL || chdir(folder) < 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_token, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_token_is_nowhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_launch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_end_while_registering, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_permits_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_list, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
