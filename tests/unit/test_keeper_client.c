#include "control/keeper_client.h"
#include "base/time.h"
#include "text/wire.h"
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <cmocka.h>

/* A client on a loop of its own thread, and the other end of its channel in the test's hands. */
struct stage {
	struct loop *loop;
	struct keeper_client *client;
	struct rpc_channel *keeper;
	int offered; /* a descriptor for the loop's thread to attach; -1 = none */
	struct loop_source *attach, *stop;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int attached;
	/* what was pushed */
	int n_changed, n_noted;
	enum keeper_lock_state state;
	char reason[32], noted[128];
};

static void on_attach(void *user, int what)
{
	(void)what;
	struct stage *stage = user;
	pthread_mutex_lock(&stage->lock);
	if (stage->offered >= 0) {
		if (keeper_client_attach(stage->client, stage->offered, NULL) != 0)
			abort();
		stage->offered = -1;
		stage->attached++;
		pthread_cond_broadcast(&stage->changed);
	}
	pthread_mutex_unlock(&stage->lock);
}

static void on_stop(void *user, int what)
{
	(void)what;
	loop_stop(((struct stage *)user)->loop);
}

static void on_changed(void *user, const struct keeper_state *state, struct str reason)
{
	struct stage *stage = user;
	pthread_mutex_lock(&stage->lock);
	stage->n_changed++;
	stage->state = state->state;
	snprintf(stage->reason, sizeof stage->reason, "%.*s", STR_FMT(reason));
	pthread_cond_broadcast(&stage->changed);
	pthread_mutex_unlock(&stage->lock);
}

static void on_noted(void *user, struct str what, struct str path, uint64_t use, struct str host, struct str detail)
{
	struct stage *stage = user;
	pthread_mutex_lock(&stage->lock);
	stage->n_noted++;
	snprintf(stage->noted, sizeof stage->noted, "%.*s %.*s %d %.*s %.*s", STR_FMT(what), STR_FMT(path), (int)use,
		 STR_FMT(host), STR_FMT(detail));
	pthread_cond_broadcast(&stage->changed);
	pthread_mutex_unlock(&stage->lock);
}

static void *run_loop(void *user)
{
	loop_run(((struct stage *)user)->loop);
	return NULL;
}

/* A new keeper: the old one, when there is one, stays in *ret_old. */
static void connect_keeper(struct stage *stage)
{
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	pthread_mutex_lock(&stage->lock);
	int before = stage->attached;
	stage->offered = ends[0];
	loop_wake(stage->attach);
	while (stage->attached == before)
		pthread_cond_wait(&stage->changed, &stage->lock);
	pthread_mutex_unlock(&stage->lock);
	stage->keeper = rpc_channel_new(ends[1], keeper_control_rules);
}

static void set_up(struct stage *stage, bool connected)
{
	*stage = (struct stage){.offered = -1};
	pthread_mutex_init(&stage->lock, NULL);
	pthread_cond_init(&stage->changed, NULL);
	stage->loop = loop_new(NULL);
	assert_non_null(stage->loop);
	stage->attach = loop_wakeup(stage->loop, on_attach, stage, NULL);
	stage->stop = loop_wakeup(stage->loop, on_stop, stage, NULL);
	const struct keeper_listener listener = {on_changed, on_noted, stage};
	stage->client = keeper_client_new(stage->loop, &listener);
	pthread_create(&stage->thread, NULL, run_loop, stage);
	if (connected)
		connect_keeper(stage);
}

static void tear_down(struct stage *stage)
{
	loop_wake(stage->stop);
	pthread_join(stage->thread, NULL);
	keeper_client_free(stage->client);
	loop_source_free(stage->attach);
	loop_source_free(stage->stop);
	loop_free(stage->loop);
	rpc_channel_free(stage->keeper);
}

static struct rpc_frame expect(struct rpc_channel *keeper, uint16_t type)
{
	struct pollfd ready = {.fd = rpc_fd(keeper), .events = POLLIN};
	struct rpc_frame frame;
	int got;
	/* What is never asked fails the test, and does not hang it. */
	while ((got = rpc_pump(keeper, &frame, NULL)) == 2)
		assert_int_equal(poll(&ready, 1, 10000), 1);
	assert_int_equal(got, 1);
	assert_int_equal(frame.type, type);
	return frame;
}

static void answer(struct rpc_channel *keeper, uint32_t id, struct str body)
{
	const struct str parts[] = {str_of("\1", 1), body};
	assert_int_equal(rpc_send(keeper, KEEPER_ANSWER, id, parts, 2, NULL), 0);
}

/* One worker's question and what came of it. */
struct question {
	struct keeper_client *client;
	char path[16];
	int rc;
	char got[32];
	struct err err;
	pthread_t thread;
};

static void *ask(void *user)
{
	struct question *q = user;
	AUTO(arena) *arena = arena_new();
	AUTO_BUF body = BUF_INIT(1024);
	wire_put_str(&body, str_from(q->path));
	struct str got = STR_EMPTY;
	q->rc = keeper_ask(q->client, KEEPER_GET, buf_str(&body), arena, &got, &q->err);
	snprintf(q->got, sizeof q->got, "%.*s", STR_FMT(got));
	return NULL;
}

static struct question *ask_many(struct stage *stage, size_t n)
{
	struct question *questions = xcalloc(n, sizeof *questions);
	for (size_t i = 0; i < n; i++) {
		questions[i].client = stage->client;
		snprintf(questions[i].path, sizeof questions[i].path, "secret/%zu", i);
		assert_int_equal(pthread_create(&questions[i].thread, NULL, ask, &questions[i]), 0);
	}
	return questions;
}

#define MANY 32

static void each_of_many_gets_its_own_answer(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, true);
	struct question *questions = ask_many(&stage, MANY);
	/* Collected first and answered backwards, so that none comes in its turn. */
	uint32_t ids[MANY];
	char paths[MANY][16];
	for (size_t i = 0; i < MANY; i++) {
		struct rpc_frame frame = expect(stage.keeper, KEEPER_GET);
		struct wire_reader r = wire_reader(frame.body);
		struct str path = wire_str(&r);
		snprintf(paths[i], sizeof paths[i], "%.*s", STR_FMT(path));
		ids[i] = frame.id;
	}
	for (size_t i = MANY; i-- > 0;)
		answer(stage.keeper, ids[i], str_from(paths[i]));
	for (size_t i = 0; i < MANY; i++) {
		pthread_join(questions[i].thread, NULL);
		assert_int_equal(questions[i].rc, 0);
		assert_string_equal(questions[i].got, questions[i].path);
	}
	free(questions);
	tear_down(&stage);
}

static void a_refusal_is_the_workers_error(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, true);
	struct question *question = ask_many(&stage, 1);
	uint32_t id = expect(stage.keeper, KEEPER_GET).id;
	struct err told = {0};
	(fail)(&told, ERR_VAULT_NOT_FOUND, "the vault has no 'secret/0'");
	AUTO_BUF body = BUF_INIT(16 << 10);
	wire_put_u8(&body, 0);
	wire_put_err(&body, &told);
	const struct str part = buf_str(&body);
	assert_int_equal(rpc_send(stage.keeper, KEEPER_ANSWER, id, &part, 1, NULL), 0);
	pthread_join(question->thread, NULL);
	assert_int_equal(question->rc, -1);
	assert_int_equal(question->err.class, ERR_VAULT_NOT_FOUND);
	assert_string_equal(question->err.message, told.message);
	free(question);
	tear_down(&stage);
}

static void a_replaced_keeper_ends_every_wait(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, true);
	struct question *questions = ask_many(&stage, MANY);
	uint32_t first = expect(stage.keeper, KEEPER_GET).id;
	for (size_t i = 1; i < MANY; i++)
		expect(stage.keeper, KEEPER_GET);
	struct rpc_channel *old = stage.keeper;
	connect_keeper(&stage);
	for (size_t i = 0; i < MANY; i++) {
		pthread_join(questions[i].thread, NULL);
		assert_int_equal(questions[i].rc, -1);
		assert_int_equal(questions[i].err.class, ERR_UNAVAILABLE);
		assert_true(questions[i].err.retriable);
	}
	free(questions);
	/* What the old one says now reaches nobody; the new one serves. */
	struct err err = {0};
	const struct str parts[] = {str_of("\1", 1), S("old")};
	(void)!rpc_send(old, KEEPER_ANSWER, first, parts, 2, &err);
	struct question *question = ask_many(&stage, 1);
	answer(stage.keeper, expect(stage.keeper, KEEPER_GET).id, S("new"));
	pthread_join(question->thread, NULL);
	assert_string_equal(question->got, "new");
	free(question);
	rpc_channel_free(old);
	tear_down(&stage);
}

static void a_keeper_that_ends_is_unavailable(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, true);
	struct question *questions = ask_many(&stage, 2);
	expect(stage.keeper, KEEPER_GET);
	expect(stage.keeper, KEEPER_GET);
	rpc_channel_free(TAKE(stage.keeper));
	for (int i = 0; i < 2; i++) {
		pthread_join(questions[i].thread, NULL);
		assert_int_equal(questions[i].err.class, ERR_UNAVAILABLE);
	}
	free(questions);
	struct err err = {0};
	assert_int_equal(keeper_ask(stage.client, KEEPER_STATE, STR_EMPTY, NULL, NULL, &err), -1);
	assert_int_equal(err.class, ERR_UNAVAILABLE);
	keeper_tell_end_use(stage.client, 7); /* nothing to tell, nobody to tell it to */
	tear_down(&stage);
}

/* Control was started anew, and is asked before the keeper that runs was joined to it. */
static void the_first_keeper_is_waited_for(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, false);
	struct question *questions = ask_many(&stage, MANY);
	connect_keeper(&stage);
	for (size_t i = 0; i < MANY; i++)
		answer(stage.keeper, expect(stage.keeper, KEEPER_GET).id, S("here"));
	for (size_t i = 0; i < MANY; i++) {
		pthread_join(questions[i].thread, NULL);
		assert_int_equal(questions[i].rc, 0);
		assert_string_equal(questions[i].got, "here");
	}
	free(questions);
	tear_down(&stage);
}

static void a_keeper_that_never_comes_is_unavailable(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, false);
	uint64_t begun = clock_monotonic_ns(NULL);
	struct question *question = ask_many(&stage, 1);
	pthread_join(question->thread, NULL);
	assert_int_equal(question->err.class, ERR_UNAVAILABLE);
	assert_true(clock_monotonic_ns(NULL) - begun < 5 * TIME_SECOND);
	free(question);
	tear_down(&stage);
}

static void whoever_gave_up_gets_no_answer_and_disturbs_nobody(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, true);
	keeper_client_set_patience(stage.client, 1);
	struct question *question = ask_many(&stage, 1);
	pthread_join(question->thread, NULL);
	assert_int_equal(question->rc, -1);
	assert_int_equal(question->err.class, ERR_UNAVAILABLE);
	assert_non_null(strstr(question->err.message, "did not answer"));
	free(question);
	keeper_client_set_patience(stage.client, 0);
	answer(stage.keeper, expect(stage.keeper, KEEPER_GET).id, S("late"));
	question = ask_many(&stage, 1);
	answer(stage.keeper, expect(stage.keeper, KEEPER_GET).id, S("in time"));
	pthread_join(question->thread, NULL);
	assert_string_equal(question->got, "in time");
	free(question);
	tear_down(&stage);
}

static void what_the_keeper_would_not_take_is_not_sent(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, true);
	static char large[1 << 20];
	struct err err = {0};
	assert_int_equal(keeper_ask(stage.client, KEEPER_DROP_BACKUP, str_of(large, sizeof large), NULL, NULL, &err),
			 -1);
	assert_int_equal(err.class, ERR_LIMIT);
	tear_down(&stage);
}

static void push_changed(struct rpc_channel *keeper)
{
	AUTO_BUF body = BUF_INIT(1024);
	keeper_state_put(&body, &(struct keeper_state){.state = KEEPER_UNLOCKED, .generation = 4});
	wire_put_str(&body, S("unlocked"));
	struct str part = buf_str(&body);
	assert_int_equal(rpc_send(keeper, KEEPER_CHANGED, 0, &part, 1, NULL), 0);
}

static void pushes_reach_the_listener(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, true);
	push_changed(stage.keeper);
	AUTO_BUF noted = BUF_INIT(1024);
	wire_put_str(&noted, S("released"));
	wire_put_str(&noted, S("api_key/a/b"));
	wire_put_u64(&noted, 17);
	wire_put_str(&noted, S("example.com:443"));
	wire_put_str(&noted, S("x"));
	struct str part = buf_str(&noted);
	assert_int_equal(rpc_send(stage.keeper, KEEPER_NOTED, 0, &part, 1, NULL), 0);
	pthread_mutex_lock(&stage.lock);
	while (stage.n_noted == 0)
		pthread_cond_wait(&stage.changed, &stage.lock);
	pthread_mutex_unlock(&stage.lock);
	assert_int_equal(stage.n_changed, 1);
	assert_int_equal(stage.state, KEEPER_UNLOCKED);
	assert_string_equal(stage.reason, "unlocked");
	assert_string_equal(stage.noted, "released api_key/a/b 17 example.com:443 x");
	tear_down(&stage);
}

/* Answers one LIST with the body that it was given. */
struct lister {
	struct rpc_channel *keeper;
	struct str body;
	bool changes; /* between question and answer */
	pthread_t thread;
};

static void *answer_list(void *user)
{
	struct lister *lister = user;
	uint32_t id = expect(lister->keeper, KEEPER_LIST).id;
	if (lister->changes)
		push_changed(lister->keeper);
	answer(lister->keeper, id, lister->body);
	return NULL;
}

/* How many entries there are; `by` NULL: without asking the keeper. */
static size_t list(struct stage *stage, struct str prefix, struct lister *by)
{
	AUTO(arena) *arena = arena_new();
	struct keeper_entry *entries = NULL;
	size_t n = 0;
	bool verified = false;
	if (by != NULL)
		pthread_create(&by->thread, NULL, answer_list, by);
	assert_int_equal(keeper_ask_list(stage->client, prefix, arena, &entries, &n, &verified, NULL), 0);
	if (by != NULL)
		pthread_join(by->thread, NULL);
	assert_true(verified);
	return n;
}

static void a_list_is_kept_until_something_changes(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, true);
	AUTO_BUF none = BUF_INIT(64);
	wire_put_bool(&none, true);
	wire_put_u32(&none, 0);
	AUTO_BUF one = BUF_INIT(1024);
	wire_put_bool(&one, true);
	wire_put_u32(&one, 1);
	keeper_entry_put(&one, &(struct keeper_entry){.path = S("api_key/a/b"), .labels = S("{}")});
	struct lister with_one = {.keeper = stage.keeper, .body = buf_str(&one)};
	struct lister with_none = {.keeper = stage.keeper, .body = buf_str(&none)};

	assert_int_equal(list(&stage, S("api_key/"), &with_one), 1);
	assert_int_equal(list(&stage, S("api_key/"), NULL), 1);
	assert_int_equal(list(&stage, S("basic/"), &with_none), 0);
	assert_int_equal(list(&stage, S("basic/"), NULL), 0);
	assert_int_equal(list(&stage, S("api_key/"), &with_one), 1);

	push_changed(stage.keeper);
	pthread_mutex_lock(&stage.lock);
	while (stage.n_changed == 0)
		pthread_cond_wait(&stage.changed, &stage.lock);
	pthread_mutex_unlock(&stage.lock);
	with_none.changes = true; /* the answer may be of before it */
	assert_int_equal(list(&stage, S("api_key/"), &with_none), 0);
	with_none.changes = false;
	assert_int_equal(list(&stage, S("api_key/"), &with_none), 0);
	assert_int_equal(list(&stage, S("api_key/"), NULL), 0);

	struct rpc_channel *old = stage.keeper;
	connect_keeper(&stage);
	rpc_channel_free(old);
	with_one.keeper = stage.keeper;
	assert_int_equal(list(&stage, S("api_key/"), &with_one), 1);
	tear_down(&stage);
}

static void a_list_is_read_and_a_broken_one_refused(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, true);
	AUTO(arena) *arena = arena_new();
	AUTO_BUF body = BUF_INIT(1024);
	wire_put_bool(&body, true);
	wire_put_u32(&body, 2);
	keeper_entry_put(&body, &(struct keeper_entry){.path = S("api_key/a/b"), .labels = S("{}"), .generation = 3});
	keeper_entry_put(&body, &(struct keeper_entry){.path = S("secret/x"), .labels = S("{}")});

	struct keeper_entry *entries = NULL;
	size_t n = 0;
	bool verified = false;
	struct err err = {0};
	struct lister lister = {.keeper = stage.keeper, .body = buf_str(&body)};
	pthread_create(&lister.thread, NULL, answer_list, &lister);
	assert_int_equal(keeper_ask_list(stage.client, S(""), arena, &entries, &n, &verified, &err), 0);
	pthread_join(lister.thread, NULL);
	assert_true(verified);
	assert_int_equal(n, 2);
	assert_true(str_eq(entries[0].path, S("api_key/a/b")));
	assert_int_equal(entries[0].generation, 3);

	n = 77;
	lister.body.n--;
	pthread_create(&lister.thread, NULL, answer_list, &lister);
	assert_int_equal(keeper_ask_list(stage.client, S("x"), arena, &entries, &n, &verified, &err), -1);
	pthread_join(lister.thread, NULL);
	assert_int_equal(err.class, ERR_PROTOCOL);
	assert_int_equal(n, 77);
	tear_down(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_of_many_gets_its_own_answer),
		cmocka_unit_test(a_refusal_is_the_workers_error),
		cmocka_unit_test(a_replaced_keeper_ends_every_wait),
		cmocka_unit_test(a_keeper_that_ends_is_unavailable),
		cmocka_unit_test(the_first_keeper_is_waited_for),
		cmocka_unit_test(a_keeper_that_never_comes_is_unavailable),
		cmocka_unit_test(whoever_gave_up_gets_no_answer_and_disturbs_nobody),
		cmocka_unit_test(what_the_keeper_would_not_take_is_not_sent),
		cmocka_unit_test(pushes_reach_the_listener),
		cmocka_unit_test(a_list_is_read_and_a_broken_one_refused),
		cmocka_unit_test(a_list_is_kept_until_something_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
