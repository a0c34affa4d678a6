/*
 * Sessions: an end takes all with it, at once in memory and until it is written in the database; what is final is not continued,
 * and what an earlier control left is ended unless somebody has it.
 */
#include "control/sessions.h"
#include "approval/grant.h"
#include "base/time.h"
#include "base/ulid.h"
#include "control/agents.h"
#include "os/loop.h"
#include "scratch.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define GUEST S("01JZ0000000000000000000009")
#define MANY  3000 /* more than a pool of workers would take */

static const struct audit_event by_user = {.actor = AUDIT_ACTOR_HUMAN, .actor_id = {"user", 4}};

struct stage {
	struct loop *loop;
	struct loop_source *alive; /* what the test waits for is in the background */
	struct db *db;
	struct agents *agents;
	struct sessions *sessions;
	struct str had;
	pthread_mutex_t lock; /* below: told by the writer's thread, too */
	char ended[ULID_SIZE];
	size_t n_ended;
};

static void note_ended(void *user, struct str id)
{
	struct stage *stage = user;
	pthread_mutex_lock(&stage->lock);
	memcpy(stage->ended, id.p, MIN(id.n, sizeof stage->ended - 1));
	stage->n_ended++;
	pthread_mutex_unlock(&stage->lock);
}

static size_t count_told(struct stage *stage)
{
	pthread_mutex_lock(&stage->lock);
	size_t n = stage->n_ended;
	pthread_mutex_unlock(&stage->lock);
	return n;
}

static void assert_told(struct stage *stage, const char *id)
{
	pthread_mutex_lock(&stage->lock);
	assert_string_equal(stage->ended, id);
	pthread_mutex_unlock(&stage->lock);
}

static bool has(void *user, struct str id)
{
	return str_eq(id, ((struct stage *)user)->had);
}

static void on_alive(void *user, int what)
{
	(void)user;
	(void)what;
}

static void start_sessions(struct stage *stage)
{
	stage->agents = agents_new(stage->db, NULL, NULL);
	assert_non_null(stage->agents);
	stage->sessions = sessions_new(stage->loop, stage->db, stage->agents, NULL);
	assert_non_null(stage->sessions);
	const struct sessions_listener listener = {note_ended, has, stage};
	sessions_listen(stage->sessions, &listener);
}

static void stop_sessions(struct stage *stage)
{
	sessions_stop(stage->sessions);
	sessions_free(stage->sessions);
	agents_free(stage->agents);
}

static int set_up(void **state)
{
	static struct stage stage;
	stage = (struct stage){.lock = PTHREAD_MUTEX_INITIALIZER};
	stage.loop = loop_new(NULL);
	stage.db = db_open(&(struct db_options){.name = "aileron.db"}, NULL);
	assert_true(stage.loop != NULL && stage.db != NULL);
	stage.alive = loop_timer(stage.loop, on_alive, NULL);
	loop_timer_start(stage.alive, 50, 50);
	start_sessions(&stage);
	*state = &stage;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *stage = *state;
	sessions_stop(stage->sessions);
	db_close(stage->db);
	sessions_free(stage->sessions);
	agents_free(stage->agents);
	loop_source_free(stage->alive);
	loop_free(stage->loop);
	unlink("aileron.db");
	unlink("aileron.db-wal");
	unlink("aileron.db-shm");
	return 0;
}

static int do_sql(struct db_tx *tx, void *user, struct err *err)
{
	return db_run(db_stmt(tx, user), err) < 0 ? -1 : 0;
}

#define SQL(stage, text) assert_int_equal(db_write((stage)->db, do_sql, (void *)(uintptr_t)(text), NULL), 0)

/* What was put to the writer without waiting is done. */
static void settle(struct stage *stage)
{
	SQL(stage, "DELETE FROM mcp_key");
}

static int add_one(void *user, uint64_t seq, struct str text)
{
	(void)seq;
	(void)text;
	++*(size_t *)user;
	return 0;
}

static size_t count_events(struct stage *stage, enum audit_type type)
{
	size_t n = 0;
	const struct audit_query query = {.type = str_from(audit_type_name(type)), .limit = 1000};
	struct db_tx *tx = db_read(stage->db);
	assert_int_equal(audit_list(tx, &query, add_one, &n, NULL), 0);
	db_done(tx);
	return n;
}

static struct session guests(struct str id)
{
	return (struct session){.id = id, .agent = S("claude"), .caller = GUEST, .started_ns = 5, .exit_code = 0};
}

static void start(struct stage *stage, struct str id)
{
	const struct session session = {.id = id, .agent = S("claude"), .started_ns = 5};
	assert_int_equal(sessions_start(stage->sessions, &session, &by_user, NULL), 0);
}

static void launch(struct stage *stage, struct str id, char token[AGENTS_TOKEN_SIZE])
{
	char agent_id[ULID_SIZE];
	const struct agent agent = {.name = S("claude"), .kind = S("launch"), .session = id};
	assert_int_equal(agents_register(stage->agents, &agent, &by_user, agent_id, token, NULL), 0);
}

static bool is_let_in(struct stage *stage, const char *token)
{
	struct identity identity;
	return agents_identify(stage->agents, str_from(token), &identity);
}

static int issue(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	const struct grant grant = {.id = S("g"),
				    .caller = GUEST,
				    .session = S("A"),
				    .action = S("a"),
				    .bound = S("{}"),
				    .expires_ns = UINT64_MAX / 4};
	return grant_issue(tx, &grant, &by_user, err);
}

static size_t count_grants(struct stage *stage)
{
	AUTO(arena) *arena = arena_new();
	struct grant_list list = {0};
	struct db_tx *tx = db_read(stage->db);
	assert_int_equal(grant_list(tx, arena, 1, &list, NULL), 0);
	db_done(tx);
	return list.n;
}

static void an_end_takes_all_with_it(void **state)
{
	struct stage *stage = *state;
	char token[AGENTS_TOKEN_SIZE];
	start(stage, S("A"));
	launch(stage, S("A"), token);
	assert_int_equal(db_write(stage->db, issue, NULL, NULL), 0);
	assert_int_equal(count_grants(stage), 1);
	assert_true(is_let_in(stage, token) && session_is_open(stage->db, S("A")));

	assert_int_equal(sessions_end(stage->sessions, S("A"), 3, &by_user, NULL), 0);
	assert_false(is_let_in(stage, token));
	assert_true(session_is_over(stage->db, S("A")));
	assert_int_equal(count_grants(stage), 0);
	assert_told(stage, "A");
	assert_int_equal(count_events(stage, AUDIT_SESSION_STARTED), 1);
	assert_int_equal(count_events(stage, AUDIT_SESSION_ENDED), 1);
	assert_int_equal(count_events(stage, AUDIT_AGENT_REVOKED), 1);
	assert_int_equal(count_events(stage, AUDIT_GRANT_REVOKED), 1);
	stop_sessions(stage);
	start_sessions(stage);
	assert_false(is_let_in(stage, token));

	struct err err = {0};
	assert_int_equal(sessions_end(stage->sessions, S("A"), 3, &by_user, &err), -1);
	assert_int_equal(err.class, ERR_CONFLICT);
	assert_int_equal(sessions_continue(stage->sessions, S("A"), &by_user, &err), -1);
	assert_int_equal(err.class, ERR_CONFLICT);
	assert_int_equal(sessions_end(stage->sessions, S("B"), 3, &by_user, &err), -1);
	assert_int_equal(err.class, ERR_SESSION_NOT_FOUND);
	assert_int_equal(sessions_continue(stage->sessions, S("B"), &by_user, &err), -1);
	assert_int_equal(err.class, ERR_SESSION_NOT_FOUND);
	assert_int_equal(count_events(stage, AUDIT_SESSION_ENDED), 1);
}

static void a_guest_comes_back_unless_its_session_was_ended(void **state)
{
	struct stage *stage = *state;
	const struct session session = guests(S("G"));
	sessions_start_later(stage->sessions, &session);
	sessions_end_later(stage->sessions, &session, false);
	sessions_continue_later(stage->sessions, &session);
	settle(stage);
	assert_true(session_is_open(stage->db, S("G")));
	assert_int_equal(count_events(stage, AUDIT_SESSION_STARTED), 2);
	assert_int_equal(count_events(stage, AUDIT_SESSION_ENDED), 1);

	/* A person ends it just when it comes back. */
	assert_int_equal(sessions_end(stage->sessions, S("G"), -1, &by_user, NULL), 0);
	assert_false(session_is_to_continue(stage->db, S("G"), GUEST));
	size_t before = count_told(stage);
	sessions_continue_later(stage->sessions, &session);
	settle(stage);
	assert_int_equal(count_told(stage), before + 1);
	assert_true(session_is_over(stage->db, S("G")));
}

static void wait_for_end(struct stage *stage, struct str id)
{
	while (!session_is_over(stage->db, id))
		loop_turn(stage->loop, true);
}

static void an_end_that_cannot_be_written_is_tried_again(void **state)
{
	struct stage *stage = *state;
	char token[AGENTS_TOKEN_SIZE];
	start(stage, S("A"));
	start(stage, S("B"));
	launch(stage, S("A"), token);
	SQL(stage, "CREATE TRIGGER full BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'full'); END");
	const struct session lost = {.id = S("A"), .exit_code = -1};
	sessions_end_later(stage->sessions, &lost, true);
	assert_false(is_let_in(stage, token));
	assert_told(stage, "A");
	struct err err = {0};
	assert_int_equal(sessions_end(stage->sessions, S("B"), 7, &by_user, &err), -1);
	assert_int_not_equal(err.class, ERR_CONFLICT);
	settle(stage);
	assert_true(session_is_open(stage->db, S("A")) && session_is_open(stage->db, S("B")));
	for (int i = 0; i < 2; i++) { /* over all the same, and while it is tried again */
		assert_false(sessions_is_open(stage->sessions, S("A")) || sessions_is_open(stage->sessions, S("B")));
		(void)usleep(1000 * (SESSIONS_AGAIN_MS + 1));
		loop_turn(stage->loop, false);
	}
	SQL(stage, "DROP TRIGGER full");
	wait_for_end(stage, S("A"));
	wait_for_end(stage, S("B"));
	assert_int_equal(count_events(stage, AUDIT_AGENT_REVOKED), 1);
	assert_int_equal(count_events(stage, AUDIT_SESSION_ENDED), 2);
	stop_sessions(stage);
	start_sessions(stage);
	assert_false(is_let_in(stage, token));
}

static void a_guest_that_is_back_keeps_what_could_not_be_ended(void **state)
{
	struct stage *stage = *state;
	const struct session back = guests(S("G")), gone = guests(S("H"));
	sessions_start_later(stage->sessions, &back);
	sessions_start_later(stage->sessions, &gone);
	SQL(stage, "CREATE TRIGGER full BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'full'); END");
	sessions_end_later(stage->sessions, &back, false);
	sessions_end_later(stage->sessions, &gone, false);
	settle(stage);
	assert_true(sessions_is_open(stage->sessions, S("G"))); /* who had it may come back */
	stage->had = S("G");
	SQL(stage, "DROP TRIGGER full");
	wait_for_end(stage, S("H"));
	assert_true(session_is_open(stage->db, S("G")));
}

static void however_many_end_at_once(void **state)
{
	struct stage *stage = *state;
	char id[16];
	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof id, "%d", i);
		const struct session session = guests(str_from(id));
		sessions_start_later(stage->sessions, &session);
	}
	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof id, "%d", i);
		const struct session session = guests(str_from(id));
		sessions_end_later(stage->sessions, &session, false);
	}
	settle(stage);
	struct db_tx *tx = db_read(stage->db);
	struct db_stmt *q = db_stmt(tx, "SELECT count(*) FROM sessions WHERE ended_ns IS NOT NULL");
	assert_int_equal(db_step(q, NULL), 1);
	assert_int_equal(db_int(q, 0), MANY);
	db_finish(q);
	db_done(tx);
}

static int reap(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	return session_reap(tx, 10, 20, err) < 0 ? -1 : 0;
}

static void what_an_earlier_control_left(void **state)
{
	struct stage *stage = *state;
	char reaped[AGENTS_TOKEN_SIZE], open[AGENTS_TOKEN_SIZE], held[AGENTS_TOKEN_SIZE];
	start(stage, S("REAPED"));
	launch(stage, S("REAPED"), reaped);
	assert_int_equal(db_write(stage->db, reap, NULL, NULL), 0);
	start(stage, S("OPEN"));
	launch(stage, S("OPEN"), open);
	start(stage, S("HELD"));
	launch(stage, S("HELD"), held);
	start(stage, S("NOBODYS"));
	const struct session lost = guests(S("LOST"));
	sessions_start_later(stage->sessions, &lost);
	settle(stage);
	stage->had = S("HELD");

	sessions_end_left_over(stage->sessions);
	settle(stage);
	assert_false(is_let_in(stage, reaped) || is_let_in(stage, open));
	assert_true(is_let_in(stage, held));
	assert_true(session_is_over(stage->db, S("OPEN")) && session_is_over(stage->db, S("LOST")));
	/* Whoever began it without a launch ends it, too. */
	assert_true(session_is_open(stage->db, S("NOBODYS")) && session_is_open(stage->db, S("HELD")));
	assert_int_equal(sessions_continue(stage->sessions, S("REAPED"), &by_user, NULL), -1);
	assert_true(session_is_to_continue(stage->db, S("LOST"), GUEST));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_end_takes_all_with_it),
		TEST(a_guest_comes_back_unless_its_session_was_ended),
		TEST(an_end_that_cannot_be_written_is_tried_again),
		TEST(a_guest_that_is_back_keeps_what_could_not_be_ended),
		TEST(however_many_end_at_once),
		TEST(what_an_earlier_control_left),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
