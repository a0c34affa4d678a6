#include "engine/lab.h"
#include "engine/wasm_bytes.h"

/* What the guests of these tests import, in this order. */
enum { WRITE, READ, POLL, EXIT, HTTP, LOG };

static void imports(struct wasm *m)
{
	wasm_init(m);
	wasm_import(m, WASI_MODULE, "fd_write", "iiii", "i");
	wasm_import(m, WASI_MODULE, "fd_read", "iiii", "i");
	wasm_import(m, WASI_MODULE, "poll_oneoff", "iiii", "i");
	wasm_import(m, WASI_MODULE, "proc_exit", "i", "");
	wasm_import(m, HOST_MODULE, "http_request", "ii", "i");
	wasm_import(m, HOST_MODULE, "log", "iiii", "");
	wasm_memory(m, 2);
	wasm_export(m, "memory", WASM_MEMORY, 0);
}

static struct str finish(struct wasm *m, const struct buf *code)
{
	uint32_t start = wasm_function(m, wasm_type(m, "", ""), 1, code);
	wasm_export(m, "_start", WASM_FUNC, start);
	return wasm_finish(m);
}

static const struct lab_options one_thread = {.threads = 1};

/* An iovec of n bytes at 0x1000 is written `times` to `fd`, until it fails: then exit code = errno. */
static void write_often(struct buf *code, uint32_t fd, uint32_t n, uint32_t times)
{
	op_i32(code, 0);
	op_i32(code, 0x1000);
	op_store(code);
	op_i32(code, 4);
	op_i32(code, n);
	op_store(code);
	buf_add(code, "\x03\x40", 2); /* loop: 0x20 counts */
	op_i32(code, 0x24);
	op_i32(code, fd);
	op_i32(code, 0);
	op_i32(code, 1);
	op_i32(code, 8);
	op_call(code, WRITE);
	op_store(code);
	op_i32(code, 0x24);
	op_load(code);
	buf_add(code, "\x04\x40", 2); /* if errno */
	op_i32(code, 0x24);
	op_load(code);
	op_call(code, EXIT);
	op(code, 0x0b);
	op_i32(code, 0x20);
	op_i32(code, 0x20);
	op_load(code);
	op_i32(code, 1);
	op(code, 0x6a);
	op_store(code);
	op_i32(code, 0x20);
	op_load(code);
	op_i32(code, times);
	buf_add(code, "\x49\x0d\x00\x0b", 4); /* i32.lt_u, br_if 0, end */
}

static void full_output_is_enospc_and_remembered(void **state)
{
	(void)state;
	AUTO_WASM m;
	AUTO_BUF code = BUF_INIT(4096);
	imports(&m);
	write_often(&code, 1, 40000, 1000);
	AUTO_DONE done;
	struct runner_call ask = lab_ask(S("{}"));
	lab_once(finish(&m, &code), &ask, NULL, &done);
	assert_int_equal(done.done.end, RUNNER_END_LIMIT);
	assert_str(done.done.limit, S("stdout"));
	assert_int_equal(done.done.exit_code, 51);
	assert_int_equal(done.done.output.n, LIMIT_STDOUT / 40000 * 40000);
}

static void output_of_exactly_the_limit_is_whole(void **state)
{
	(void)state;
	AUTO_WASM m;
	AUTO_BUF code = BUF_INIT(4096);
	imports(&m);
	write_often(&code, 1, 1000, 4);
	AUTO_DONE done;
	struct runner_call ask = lab_ask(S("{}"));
	ask.stdout_max = 4000;
	lab_once(finish(&m, &code), &ask, NULL, &done);
	assert_int_equal(done.done.end, RUNNER_END_EXIT);
	assert_int_equal(done.done.limit.n, 0);
	assert_int_equal(done.done.output.n, 4000);
}

/* Standard error keeps its end, for tails that are cut inside a write, at a write, and not at all. */
static void standard_error_keeps_its_tail(void **state)
{
	(void)state;
	static const struct {
		uint32_t n, times, max, wanted;
		bool cut;
	} cases[] = {
		{10, 3, 100, 30, false},   {10, 10, 100, 100, false},       {10, 11, 100, 100, true},
		{7, 1000, 100, 100, true}, {500, 1, 100, 100, true},        {500, 3, 100, 100, true},
		{10, 3, 0, 0, true},       {60000, 50, 65536, 65536, true},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_WASM m;
		AUTO_BUF code = BUF_INIT(4096), bytes = BUF_INIT(64 * KIB), model = BUF_INIT(16 * MIB);
		imports(&m);
		for (uint32_t k = 0; k < cases[i].n; k++)
			buf_add_char(&bytes, (char)('a' + k % 23));
		for (uint32_t k = 0; k < cases[i].times; k++)
			buf_add_str(&model, buf_str(&bytes));
		wasm_data(&m, 0x1000, buf_str(&bytes));
		write_often(&code, 2, cases[i].n, cases[i].times);
		AUTO_DONE done;
		struct runner_call ask = lab_ask(S("{}"));
		ask.stderr_tail_max = cases[i].max;
		lab_once(finish(&m, &code), &ask, NULL, &done);
		assert_int_equal(done.done.end, RUNNER_END_EXIT);
		assert_str(done.done.stderr_tail, str_slice(buf_str(&model), model.n - cases[i].wanted, model.n));
		assert_int_equal(done.done.stderr_cut, cases[i].cut);
	}
}

/* Guests that never end by themselves, one a way of not ending. */
enum endless { ENDLESS_LOOP, ENDLESS_HTTP, ENDLESS_SLEEP, ENDLESS_LOG, ENDLESS_WRITE, ENDLESS__MAX };

static struct str endless(struct wasm *m, enum endless way)
{
	AUTO_BUF code = BUF_INIT(4096);
	imports(m);
	switch (way) {
	case ENDLESS_LOOP:
		op_loop_for_ever(&code);
		break;
	case ENDLESS_HTTP:
		op_i32(&code, 0);
		op_i32(&code, 4);
		op_call(&code, HTTP);
		op_drop(&code);
		break;
	case ENDLESS_SLEEP:
		/* an hour: kind 0 at 0x108, timeout at 0x118 */
		wasm_data(m, 0x118, str_of("\x00\xa0\xb8\x30\x46\x03\0\0", 8));
		op_i32(&code, 0x100);
		op_i32(&code, 0x200);
		op_i32(&code, 1);
		op_i32(&code, 0x300);
		op_call(&code, POLL);
		op_drop(&code);
		break;
	case ENDLESS_LOG:
		buf_add(&code, "\x03\x40", 2);
		for (int i = 0; i < 4; i++)
			op_i32(&code, 16);
		op_call(&code, LOG);
		buf_add(&code, "\x0c\x00\x0b", 3);
		break;
	case ENDLESS_WRITE:
		/* 64 MiB of ones are eight million overlapping iovecs of 16 MiB each */
		op_grow(&code, 1022);
		op_drop(&code);
		op_i32(&code, 0);
		op_i32(&code, 1);
		op_i32(&code, 1024 * 65536);
		buf_add(&code, "\xfc\x0b\x00", 3); /* memory.fill */
		op_i32(&code, 2);
		op_i32(&code, 0);
		op_i32(&code, 1024 * 65536 / 8);
		op_i32(&code, 0);
		op_call(&code, WRITE);
		op_drop(&code);
		break;
	case ENDLESS__MAX:
		break;
	}
	op_i32(&code, 3); /* never reached */
	op_call(&code, EXIT);
	return finish(m, &code);
}

static void wall_time_ends_whatever_goes_on(void **state)
{
	(void)state;
	struct lab_http never = {.silent = true};
	for (int pooling = 0; pooling < 2; pooling++) {
		for (int winch = 0; winch < 2; winch++) {
			for (int way = 0; way < ENDLESS__MAX; way++) {
				AUTO_WASM m;
				struct lab lab;
				struct lab_options options = {.strategy = winch, .pooling = pooling, .threads = 1};
				lab_start(&lab, endless(&m, way), &options);
				struct runner_call ask = lab_ask(S("{}"));
				ask.wall_time_ns = 100 * TIME_MILLISECOND;
				AUTO_DONE done;
				uint64_t before = clock_monotonic_ns(NULL);
				lab_call(&lab, &ask, &never, &done);
				uint64_t took = clock_monotonic_ns(NULL) - before;
				assert_int_equal(done.done.end, RUNNER_END_LIMIT);
				assert_str(done.done.limit, S("wall_time"));
				assert_in_range(took, 100 * TIME_MILLISECOND, 2 * TIME_SECOND);
				lab_stop(&lab);
			}
		}
	}
}

/* Blocked in http_request: the parent cancels on seeing the request. The other ways: it cancels after the first log. */
static void cancelling_ends_whatever_goes_on(void **state)
{
	(void)state;
	struct lab_http cancel = {.cancel = true};
	struct runner_call ask = lab_ask(S("{}"));
	AUTO_WASM http;
	AUTO_DONE done;
	lab_once(endless(&http, ENDLESS_HTTP), &ask, &cancel, &done);
	assert_int_equal(done.done.end, RUNNER_END_CANCELLED);

	for (int way = 0; way < ENDLESS__MAX; way++) {
		AUTO_WASM m;
		struct lab lab;
		lab_start(&lab, endless(&m, way), &one_thread);
		lab_send_call(&lab, 5, &ask);
		lab_send_empty(&lab, RUNNER_CANCEL, 77); /* of a call that is not known */
		lab_send_empty(&lab, RUNNER_CANCEL, 5);
		struct lab_http silent = {.silent = true};
		AUTO_DONE each;
		assert_int_equal(lab_wait(&lab, &silent, &each), 5);
		assert_int_equal(each.done.end, RUNNER_END_CANCELLED);
		lab_stop(&lab);
	}
}

/* Asks for a page and says with its exit code whether it got the answer's first byte. */
static struct str asking(struct wasm *m)
{
	AUTO_BUF code = BUF_INIT(4096);
	imports(m);
	op_i32(&code, 0);
	op_i32(&code, 4);
	op_call(&code, HTTP);
	op_call(&code, EXIT);
	return finish(m, &code);
}

static void several_calls_run_at_once(void **state)
{
	(void)state;
	enum { THREADS = 4, CALLS = 10 };
	AUTO_WASM m;
	struct lab lab;
	lab_start(&lab, asking(&m), &(struct lab_options){.threads = THREADS, .pooling = true});
	struct runner_call ask = lab_ask(S("{}"));
	for (uint32_t id = 1; id <= CALLS; id++)
		lab_send_call(&lab, id, &ask);

	/* All threads are in http_request at the same time, and the rest wait. */
	uint32_t asked[CALLS];
	size_t n = 0, done = 0;
	static struct err err;
	while (n < THREADS) {
		struct rpc_frame frame;
		assert_int_equal(rpc_recv(lab.parent, &frame, &err), 1);
		assert_int_equal(frame.type, RUNNER_HTTP);
		asked[n++] = frame.id;
	}
	/* Answered in another order than asked; each answer goes where it belongs. */
	for (size_t i = n; i-- > 0;)
		lab_answer_http(&lab, asked[i], (int32_t)asked[i], 200, S(""));
	bool seen[CALLS + 1] = {false};
	while (done < CALLS) {
		struct rpc_frame frame;
		assert_int_equal(rpc_recv(lab.parent, &frame, &err), 1);
		if (frame.type == RUNNER_HTTP) {
			lab_answer_http(&lab, frame.id, (int32_t)frame.id, 200, S(""));
			continue;
		}
		assert_int_equal(frame.type, RUNNER_DONE);
		struct runner_done result;
		assert_int_equal(runner_done_get(frame.body, &result, &err), 0);
		assert_int_equal(result.exit_code, frame.id);
		assert_false(seen[frame.id]);
		seen[frame.id] = true;
		done++;
	}
	lab_stop(&lab);
}

/* While one thread computes for long, another call is served, an answer delivered, a cancellation heard. */
static void a_long_call_holds_up_nobody(void **state)
{
	(void)state;
	/* stdin "x": loops for ever; else exits with 7 */
	AUTO_WASM m;
	AUTO_BUF code = BUF_INIT(4096);
	imports(&m);
	op_i32(&code, 0);
	op_i32(&code, 0x100);
	op_store(&code);
	op_i32(&code, 4);
	op_i32(&code, 4);
	op_store(&code);
	op_i32(&code, 0);
	op_i32(&code, 0);
	op_i32(&code, 1);
	op_i32(&code, 8);
	op_call(&code, READ);
	op_drop(&code);
	op_i32(&code, 0x100);
	op_load(&code);
	op_i32(&code, 'x');
	buf_add(&code, "\x46\x04\x40", 3); /* eq, if */
	op_loop_for_ever(&code);
	op(&code, 0x0b);
	op_i32(&code, 7);
	op_call(&code, EXIT);
	struct lab lab;
	lab_start(&lab, finish(&m, &code), &(struct lab_options){.threads = 2});
	struct runner_call slow = lab_ask(S("x")), quick = lab_ask(S("y"));
	lab_send_call(&lab, 1, &slow);
	for (uint32_t id = 2; id < 20; id++) {
		AUTO_DONE done;
		lab_send_call(&lab, id, &quick);
		assert_int_equal(lab_wait(&lab, NULL, &done), id);
		assert_int_equal(done.done.exit_code, 7);
	}
	AUTO_DONE done;
	lab_send_empty(&lab, RUNNER_CANCEL, 1);
	assert_int_equal(lab_wait(&lab, NULL, &done), 1);
	assert_int_equal(done.done.end, RUNNER_END_CANCELLED);
	lab_stop(&lab);
}

static void a_waiting_call_can_be_cancelled(void **state)
{
	(void)state;
	AUTO_WASM m;
	struct lab lab;
	lab_start(&lab, endless(&m, ENDLESS_LOOP), &one_thread);
	struct runner_call ask = lab_ask(S("{}"));
	lab_send_call(&lab, 1, &ask);
	lab_send_call(&lab, 2, &ask);
	lab_send_empty(&lab, RUNNER_CANCEL, 2);
	AUTO_DONE second, first;
	assert_int_equal(lab_wait(&lab, NULL, &second), 2);
	assert_int_equal(second.done.end, RUNNER_END_CANCELLED);
	lab_send_empty(&lab, RUNNER_CANCEL, 1);
	assert_int_equal(lab_wait(&lab, NULL, &first), 1);
	lab_stop(&lab);
}

/* The parent goes away while guests run, wait and are queued: the server ends all the same. */
static void the_server_ends_with_its_parent(void **state)
{
	(void)state;
	for (int way = 0; way < ENDLESS__MAX; way++) {
		AUTO_WASM m;
		struct lab lab;
		lab_start(&lab, endless(&m, way), &(struct lab_options){.threads = 2});
		struct runner_call ask = lab_ask(S("{}"));
		for (uint32_t id = 1; id < 5; id++)
			lab_send_call(&lab, id, &ask);
		lab_stop(&lab);
	}
}

static void a_broken_protocol_ends_the_server(void **state)
{
	(void)state;
	static const struct {
		uint16_t type;
		uint32_t id;
		const char *body;
		size_t n;
	} bad[] = {
		{RUNNER_START, 0, "", 0},
		{RUNNER_CALL, 1, "", 0},
		{RUNNER_HTTP_RESULT, 1, "\0", 1},
		{RUNNER_CANCEL, 1, "more", 4},
		{RUNNER_DONE, 1, "", 0},
		{999, 0, "", 0},
		{RUNNER_SPAWN_RESULT, 1, "12345", 5},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_WASM m;
		struct lab lab;
		lab_start(&lab, asking(&m), &one_thread);
		struct str part = str_of(bad[i].body, bad[i].n);
		assert_int_equal(rpc_send(lab.parent, bad[i].type, bad[i].id, &part, 1, NULL), 0);
		pthread_join(lab.thread, NULL);
		assert_int_equal(lab.result, -1);
		assert_int_equal(lab.err.class, ERR_PROTOCOL);
		server_free(lab.server);
		rpc_channel_free(lab.child);
		rpc_channel_free(lab.parent);
	}
}

/* Large input, several frames long, and a call of another size after it. */
static void input_of_any_size_arrives(void **state)
{
	(void)state;
	/* Reads all of standard input into 0x1000.. (at most 64 KiB a time) and writes the sum of what it read. */
	AUTO_WASM m;
	AUTO_BUF code = BUF_INIT(4096), input = BUF_INIT(16 * MIB);
	imports(&m);
	op_i32(&code, 0);
	op_i32(&code, 0x1000);
	op_store(&code);
	op_i32(&code, 4);
	op_i32(&code, 0x10000);
	op_store(&code);
	buf_add(&code, "\x03\x40", 2);
	op_i32(&code, 0);
	op_i32(&code, 0);
	op_i32(&code, 1);
	op_i32(&code, 8);
	op_call(&code, READ);
	op_drop(&code);
	op_i32(&code, 0x20);
	op_i32(&code, 0x20);
	op_load(&code);
	op_i32(&code, 8);
	op_load(&code);
	op(&code, 0x6a);
	op_store(&code);
	op_i32(&code, 8);
	op_load(&code);
	buf_add(&code, "\x0d\x00\x0b", 3);
	op_i32(&code, 0x20);
	op_load(&code);
	op_call(&code, EXIT);
	struct lab lab;
	lab_start(&lab, finish(&m, &code), &one_thread);
	static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 3000000, 5, LIMIT_INPUT, 23};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		buf_clear(&input);
		if (sizes[i] > 0)
			memset(buf_reserve(&input, sizes[i]), 'a', sizes[i]);
		buf_commit(&input, sizes[i]);
		struct runner_call ask = lab_ask(buf_str(&input));
		AUTO_DONE done;
		lab_call(&lab, &ask, NULL, &done);
		assert_int_equal(done.done.exit_code, sizes[i]);
	}
	lab_stop(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_output_is_enospc_and_remembered),
		cmocka_unit_test(output_of_exactly_the_limit_is_whole),
		cmocka_unit_test(standard_error_keeps_its_tail),
		cmocka_unit_test(wall_time_ends_whatever_goes_on),
		cmocka_unit_test(cancelling_ends_whatever_goes_on),
		cmocka_unit_test(several_calls_run_at_once),
		cmocka_unit_test(a_long_call_holds_up_nobody),
		cmocka_unit_test(a_waiting_call_can_be_cancelled),
		cmocka_unit_test(the_server_ends_with_its_parent),
		cmocka_unit_test(a_broken_protocol_ends_the_server),
		cmocka_unit_test(input_of_any_size_arrives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
