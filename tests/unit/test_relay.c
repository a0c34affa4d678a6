#include "base/limits.h"
#include "base/mem.h"
#include "connector/relay.h"
#include "connector/runner_protocol.h"
#include "crypto/secret.h"
#include "egress/watchlist.h"
#include "os/child.h"
#include "os/loop.h"
#include "text/wire.h"
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define TOKEN "s3cr3t-token-0123456789"
#define MARK  "[secret removed]"
#define CALL  5 /* the one whose secrets are known */

struct stage {
	struct loop *loop;
	struct relay *relay;
	struct rpc_channel *runner, *control; /* as the runner and as control see it */
	struct secret *secret;
	struct watchlist *watchlist;
	int ended;
	struct err err;
};

static const struct watchlist *watchlist_of(void *context, uint32_t relay, uint32_t call)
{
	struct stage *stage = context;
	assert_int_equal(relay, 9);
	return call == CALL ? stage->watchlist : NULL;
}

static void on_ended(void *context, struct relay *relay, const struct err *err)
{
	struct stage *stage = context;
	assert_ptr_equal(relay, stage->relay);
	stage->ended++;
	err_clear(&stage->err);
	if (err != NULL)
		stage->err = *err;
	relay_free(TAKE(stage->relay));
}

static void send_body(struct rpc_channel *channel, uint16_t type, uint32_t id, struct str body)
{
	assert_int_equal(rpc_queue(channel, type, id, &body, 1, NULL), 0);
}

/* The next frame; the relay does its work meanwhile. False at the end. */
static bool next(struct stage *stage, struct rpc_channel *channel, struct rpc_frame *ret)
{
	for (;;) {
		int got = rpc_pump(channel, ret, NULL);
		if (got != 2)
			return got == 1;
		if (stage->runner != NULL)
			(void)!rpc_flush(stage->runner, NULL);
		if (stage->control != NULL)
			(void)!rpc_flush(stage->control, NULL);
		loop_turn(stage->loop, false);
	}
}

static void expect(struct stage *stage, struct rpc_channel *channel, uint16_t type, struct rpc_frame *ret)
{
	assert_true(next(stage, channel, ret));
	assert_int_equal(ret->type, type);
}

static void set_up(struct stage *stage)
{
	*stage = (struct stage){.loop = loop_new(NULL)};
	int runner[2], control[2];
	assert_int_equal(child_socketpair(runner, NULL), 0);
	assert_int_equal(child_socketpair(control, NULL), 0);
	stage->secret = secret_from(S(TOKEN), NULL);
	stage->watchlist = watchlist_new(stage->secret, NULL);
	assert_non_null(stage->watchlist);
	const struct relay_options options = {
		.loop = stage->loop,
		.id = 9,
		.runner_fd = runner[1],
		.control_fd = control[1],
		.watchlist = watchlist_of,
		.ended = on_ended,
		.context = stage,
	};
	stage->relay = relay_new(&options, NULL);
	assert_non_null(stage->relay);
	assert_int_equal(relay_id(stage->relay), 9);
	stage->runner = rpc_channel_new(runner[0], runner_child_rules);
	stage->control = rpc_channel_new(control[0], runner_parent_rules);
}

static void serve(struct stage *stage)
{
	struct rpc_frame frame;
	send_body(stage->runner, RUNNER_HELLO, 0, S("proof"));
	expect(stage, stage->control, RUNNER_HELLO, &frame);
	rpc_set_state(stage->control, RUNNER_STATE_LOADING);
	send_body(stage->control, RUNNER_START, 0, S("start"));
	expect(stage, stage->runner, RUNNER_START, &frame);
	assert_true(str_eq(frame.body, S("start")));
	rpc_set_state(stage->runner, RUNNER_STATE_SERVING);
	send_body(stage->runner, RUNNER_READY, 0, S("ready"));
	expect(stage, stage->control, RUNNER_READY, &frame);
	rpc_set_state(stage->control, RUNNER_STATE_SERVING);
}

static void tear_down(struct stage *stage)
{
	rpc_channel_free(stage->runner);
	rpc_channel_free(stage->control);
	relay_free(stage->relay);
	loop_free(stage->loop); /* waits for a search under way */
	watchlist_free(stage->watchlist);
	secret_free(stage->secret);
}

/* ---- what passes ---- */

#define TEXT "before " TOKEN " after"
#define CUT  "before " MARK " after"

static void put_done(struct buf *out, struct str text, struct str output)
{
	const struct runner_done done = {
		.end = RUNNER_END_TRAP,
		.exit_code = 3,
		.trap = text,
		.limit = text,
		.memory_refused = true,
		.message = text,
		.stderr_tail = text,
		.stderr_cut = true,
		.logs_dropped = 4,
		.instantiate_ns = 5,
		.run_ns = 6,
		.memory_peak = 7,
		.output = output,
	};
	runner_done_put_head(out, &done);
	buf_add_str(out, output);
}

static void put_words(struct buf *out, uint16_t type, struct str text)
{
	if (type == RUNNER_LOG)
		wire_put_str(out, text);
	if (type == RUNNER_HTTP)
		wire_put_u8(out, 1);
	if (type == RUNNER_DONE)
		put_done(out, text, text);
	else
		wire_put_str(out, text);
	if (type == RUNNER_TRACE)
		wire_put_u64(out, 8);
}

static void secrets_are_struck_out_of_every_text(void **state)
{
	(void)state;
	static const uint16_t types[] = {RUNNER_LOG, RUNNER_TRACE, RUNNER_HTTP, RUNNER_AUDIT, RUNNER_DONE};
	struct stage stage;
	set_up(&stage);
	serve(&stage);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		AUTO_BUF said = BUF_INIT(1000);
		AUTO_BUF heard = BUF_INIT(1000);
		struct rpc_frame frame;
		put_words(&said, types[i], S(TEXT));
		put_words(&heard, types[i], S(CUT));
		send_body(stage.runner, types[i], CALL, buf_str(&said));
		expect(&stage, stage.control, types[i], &frame);
		assert_int_equal(frame.id, CALL);
		assert_true(str_eq(frame.body, buf_str(&heard)));
		/* Another call's, about whose secrets nothing is known. */
		send_body(stage.runner, types[i], CALL + 1, buf_str(&said));
		expect(&stage, stage.control, types[i], &frame);
		assert_true(str_eq(frame.body, buf_str(&said)));
	}
	struct rpc_frame frame;
	send_body(stage.runner, RUNNER_SPAWN, CALL, S("\0"));
	expect(&stage, stage.control, RUNNER_SPAWN, &frame);
	tear_down(&stage);
}

static void what_control_says_passes_as_it_is(void **state)
{
	(void)state;
	static const uint16_t types[] = {RUNNER_CALL, RUNNER_HTTP_RESULT, RUNNER_SPAWN_RESULT, RUNNER_AUDIT_RESULT};
	struct stage stage;
	set_up(&stage);
	serve(&stage);
	struct rpc_frame frame;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		send_body(stage.control, types[i], CALL, S("whatever " TOKEN));
		expect(&stage, stage.runner, types[i], &frame);
		assert_true(frame.id == CALL && str_eq(frame.body, S("whatever " TOKEN)));
	}
	send_body(stage.control, RUNNER_CANCEL, CALL, STR_EMPTY);
	expect(&stage, stage.runner, RUNNER_CANCEL, &frame);
	tear_down(&stage);
}

/* A text that takes long is searched beside the loop, and what the runner says next waits for it. */
static void long_texts_keep_their_place(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	serve(&stage);
	AUTO_FREE char *output = xcalloc(LIMIT_STDOUT, 1);
	memset(output, 'x', LIMIT_STDOUT);
	memcpy(output + LIMIT_STDOUT - 100, TOKEN, strlen(TOKEN));
	AUTO_BUF body = BUF_INIT(16 * MIB);
	put_done(&body, S(TEXT), str_of(output, LIMIT_STDOUT));
	AUTO_BUF word = BUF_INIT(100);
	put_words(&word, RUNNER_AUDIT, S("{}"));
	send_body(stage.runner, RUNNER_DONE, CALL, buf_str(&body));
	send_body(stage.runner, RUNNER_AUDIT, CALL + 1, buf_str(&word));
	struct rpc_frame frame;
	struct runner_done done;
	expect(&stage, stage.control, RUNNER_DONE, &frame);
	assert_int_equal(runner_done_get(frame.body, &done, NULL), 0);
	assert_int_equal(done.output.n, LIMIT_STDOUT - strlen(TOKEN) + strlen(MARK));
	assert_int_equal(str_find(done.output, S(TOKEN)), STR_NPOS);
	assert_true(str_eq(done.message, S(CUT)) && done.memory_peak == 7);
	expect(&stage, stage.control, RUNNER_AUDIT, &frame);
	/* It may be over before the search is. */
	send_body(stage.runner, RUNNER_DONE, CALL, buf_str(&body));
	for (int i = 0; i < 50; i++) {
		(void)!rpc_flush(stage.runner, NULL);
		loop_turn(stage.loop, false);
	}
	tear_down(&stage);
}

/* ---- what ends it ---- */

struct lie {
	uint16_t type;
	uint32_t id;
	struct str body;
	const char *says;
};

static void assert_breaks(struct stage *stage, const struct lie *lie)
{
	struct rpc_frame frame;
	while (next(stage, stage->control, &frame))
		assert_int_not_equal(frame.type, lie->type);
	while (next(stage, stage->runner, &frame))
		;
	assert_int_equal(stage->ended, 1);
	assert_int_equal(stage->err.class, ERR_PROTOCOL);
	if (strstr(stage->err.message, lie->says) == NULL)
		fail_msg("'%s' does not say '%s'", stage->err.message, lie->says);
}

static void a_runner_that_lies_is_cut_off(void **state)
{
	(void)state;
	static const struct lie lies[] = {
		{RUNNER_LOG, CALL, {"\0\0\0\0", 4}, "cannot be searched"},
		{RUNNER_LOG, CALL, {"\0\0\0\0\1\0\0\0", 8}, "cannot be searched"},
		{RUNNER_LOG, CALL, {"\0\0\0\0\xff\xff\xff\xff", 8}, "cannot be searched"},
		{RUNNER_LOG, CALL, {"\0\0\0\0\0\0\0\0x", 9}, "cannot be searched"},
		{RUNNER_TRACE, CALL, {"\0\0\0\0", 4}, "cannot be searched"},
		{RUNNER_HTTP, CALL, {"", 0}, "cannot be searched"},
		{RUNNER_AUDIT, CALL, {"\1", 1}, "cannot be searched"},
		{RUNNER_DONE, CALL, {"\0\0\0\0\0\0\0\0\0", 9}, "cannot be searched"},
		{RUNNER_HELLO, 0, {"again", 5}, "out of turn"},
		{RUNNER_READY, 0, {"again", 5}, "out of turn"},
		{RUNNER_FAILED, 0, {"late", 4}, "out of turn"},
		{99, 0, {"", 0}, "unknown type 99"},
		{RUNNER_START, 0, {"mine", 4}, "unknown type 32"},
	};
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		struct stage stage;
		set_up(&stage);
		serve(&stage);
		send_body(stage.runner, lies[i].type, lies[i].id, lies[i].body);
		assert_breaks(&stage, &lies[i]);
		tear_down(&stage);
	}
}

static void nobody_speaks_out_of_turn(void **state)
{
	(void)state;
	static const struct lie early[] = {
		{RUNNER_LOG, CALL, {"", 0}, "out of turn"},
		{RUNNER_READY, 0, {"", 0}, "out of turn"},
		{RUNNER_COMPILED, 0, {"", 0}, "out of turn"},
	};
	for (size_t i = 0; i < ARRAY_LEN(early); i++) {
		struct stage stage;
		set_up(&stage);
		send_body(stage.runner, early[i].type, early[i].id, early[i].body);
		assert_breaks(&stage, &early[i]);
		tear_down(&stage);
	}
	static const struct lie others[] = {
		{RUNNER_CALL, CALL, {"", 0}, "out of turn"},
		{RUNNER_LOG, CALL, {"", 0}, "unknown type 5"},
	};
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		struct stage stage;
		set_up(&stage);
		send_body(stage.control, others[i].type, others[i].id, others[i].body);
		assert_breaks(&stage, &others[i]);
		tear_down(&stage);
	}
	struct stage stage;
	struct rpc_frame frame;
	set_up(&stage); /* one that loads may not say that it compiled */
	send_body(stage.control, RUNNER_START, 0, S("start"));
	expect(&stage, stage.runner, RUNNER_START, &frame);
	send_body(stage.runner, RUNNER_COMPILED, 0, S("x"));
	assert_breaks(&stage, &(struct lie){.type = RUNNER_COMPILED, .says = "of a runner that serves"});
	tear_down(&stage);
	set_up(&stage);
	send_body(stage.control, RUNNER_START, 0, S("start"));
	send_body(stage.control, RUNNER_START, 0, S("start"));
	assert_breaks(&stage, &(struct lie){.type = RUNNER_HELLO, .says = "out of turn"});
	tear_down(&stage);
}

static void last_words_arrive(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	struct rpc_frame frame;
	send_body(stage.control, RUNNER_START, 0, S("start"));
	expect(&stage, stage.runner, RUNNER_START, &frame);
	send_body(stage.runner, RUNNER_FAILED, 0, S("why"));
	rpc_channel_free(TAKE(stage.runner));
	rpc_set_state(stage.control, RUNNER_STATE_LOADING);
	expect(&stage, stage.control, RUNNER_FAILED, &frame);
	assert_true(str_eq(frame.body, S("why")));
	assert_false(next(&stage, stage.control, &frame));
	tear_down(&stage);

	set_up(&stage);
	serve(&stage);
	AUTO_FREE char *output = xcalloc(LIMIT_STDOUT, 1);
	AUTO_BUF body = BUF_INIT(16 * MIB);
	put_done(&body, S(TEXT), str_of(output, 200000));
	send_body(stage.runner, RUNNER_DONE, CALL, buf_str(&body));
	while (rpc_queued(stage.runner) > 0) {
		assert_int_equal(rpc_flush(stage.runner, NULL), 0);
		loop_turn(stage.loop, false);
	}
	rpc_channel_free(TAKE(stage.runner));
	expect(&stage, stage.control, RUNNER_DONE, &frame);
	assert_false(next(&stage, stage.control, &frame));
	assert_int_equal(stage.ended, 1);
	assert_int_equal(stage.err.class, ERR_NONE);
	tear_down(&stage);
}

static void the_end_of_control_ends_the_runner(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	serve(&stage);
	struct rpc_frame frame;
	rpc_channel_free(TAKE(stage.control));
	assert_false(next(&stage, stage.runner, &frame));
	assert_int_equal(stage.ended, 1);
	assert_int_equal(stage.err.class, ERR_NONE);
	tear_down(&stage);
}

/* ---- back-pressure ---- */

/* Sends until the other side has taken no more for a while; how many frames went. */
static uint32_t flood(struct stage *stage, struct rpc_channel *channel, uint16_t type, struct str body)
{
	uint32_t sent = 0;
	for (int idle = 0; idle < 100; idle++) {
		while (rpc_queued(channel) == 0) {
			send_body(channel, type, ++sent + CALL, body);
			idle = 0;
		}
		assert_int_equal(rpc_flush(channel, NULL), 0);
		loop_turn(stage->loop, false);
	}
	return sent;
}

static void whoever_does_not_read_stops_the_other(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	serve(&stage);
	AUTO_FREE char *bytes = xcalloc(MIB, 1);
	AUTO_BUF http = BUF_INIT(2 * MIB);
	wire_put_u8(&http, 1);
	wire_put_str(&http, str_of(bytes, MIB / 4));
	uint32_t sent = flood(&stage, stage.runner, RUNNER_HTTP, buf_str(&http));
	assert_in_range(sent, 16, 32); /* RELAY_QUEUE and what sockets hold */
	struct rpc_frame frame;
	for (uint32_t i = 1; i <= sent; i++) {
		expect(&stage, stage.control, RUNNER_HTTP, &frame);
		assert_int_equal(frame.id, i + CALL);
	}
	sent = flood(&stage, stage.control, RUNNER_HTTP_RESULT, str_of(bytes, MIB / 4));
	assert_in_range(sent, 16, 32);
	/* The other way is open. */
	send_body(stage.runner, RUNNER_SPAWN, 1, S("\0"));
	expect(&stage, stage.control, RUNNER_SPAWN, &frame);
	for (uint32_t i = 1; i <= sent; i++) {
		expect(&stage, stage.runner, RUNNER_HTTP_RESULT, &frame);
		assert_int_equal(frame.id, i + CALL);
	}
	tear_down(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_are_struck_out_of_every_text),
		cmocka_unit_test(what_control_says_passes_as_it_is),
		cmocka_unit_test(long_texts_keep_their_place),
		cmocka_unit_test(a_runner_that_lies_is_cut_off),
		cmocka_unit_test(nobody_speaks_out_of_turn),
		cmocka_unit_test(last_words_arrive),
		cmocka_unit_test(the_end_of_control_ends_the_runner),
		cmocka_unit_test(whoever_does_not_read_stops_the_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
