#include "engine/lab.h"
#include "engine/wasm_bytes.h"

/* A guest that calls aileron_host as its test says; results go to memory from RESULTS on and are written at the end. */
enum { RESULTS = 0x400, ENVELOPE = 0x800, BUFFER = 0x1000, END_OF_MEMORY = 65536 };
enum { LOG, HTTP, SIZE, STATUS, READ, SPAWN, SPAWN_OP, SPAWN_STATUS, SPAWN_SIZE, SPAWN_READ, AUDIT, WRITE, N_IMPORTS };

struct guest_code {
	struct wasm m;
	struct buf code;
	uint32_t results;
};

static void begin(struct guest_code *g)
{
	wasm_init(&g->m);
	buf_init(&g->code, 1 * MIB);
	g->results = 0;
	for (const struct host_function *f = host_functions; f->name != NULL; f++)
		wasm_import(&g->m, HOST_MODULE, f->name, f->params, f->returns ? "i" : "");
	wasm_import(&g->m, WASI_MODULE, "fd_write", "iiii", "i");
	wasm_memory(&g->m, 1);
	wasm_export(&g->m, "memory", WASM_MEMORY, 0);
}

/* Calls import `f` and keeps its result. */
static void call_i(struct guest_code *g, uint32_t f, size_t n, const uint32_t *args)
{
	op_i32(&g->code, RESULTS + 4 * g->results++);
	for (size_t i = 0; i < n; i++)
		op_i32(&g->code, args[i]);
	op_call(&g->code, f);
	op_store(&g->code);
}
#define CALL(g, f, ...)                                                                                                \
	do {                                                                                                           \
		const uint32_t args_[] = {0, ##__VA_ARGS__};                                                           \
		call_i(g, f, ARRAY_LEN(args_) - 1, args_ + 1);                                                         \
	} while (0)

static void call_log(struct guest_code *g, uint32_t level, uint32_t level_n, uint32_t text, uint32_t text_n)
{
	const uint32_t args[] = {level, level_n, text, text_n};
	for (size_t i = 0; i < 4; i++)
		op_i32(&g->code, args[i]);
	op_call(&g->code, LOG);
}

static struct str finish(struct guest_code *g)
{
	op_write(&g->code, WRITE, 1, 0, RESULTS, 4 * g->results);
	uint32_t start = wasm_function(&g->m, wasm_type(&g->m, "", ""), 0, &g->code);
	wasm_export(&g->m, "_start", WASM_FUNC, start);
	return wasm_finish(&g->m);
}

static void release(struct guest_code *g)
{
	wasm_release(&g->m);
	buf_release(&g->code);
}

static void expect(const struct lab_done *done, size_t n, const int32_t *wanted)
{
	assert_int_equal(done->done.end, RUNNER_END_EXIT);
	assert_int_equal(done->done.output.n, 4 * n);
	for (size_t i = 0; i < n; i++) {
		int32_t got = (int32_t)memory_load((const uint8_t *)done->done.output.p + 4 * i, 4);
		if (got != wanted[i])
			fail_msg("result %zu is %d, wanted %d", i, got, wanted[i]);
	}
}
#define EXPECT(done, ...)                                                                                              \
	do {                                                                                                           \
		const int32_t wanted_[] = {__VA_ARGS__};                                                               \
		expect(done, ARRAY_LEN(wanted_), wanted_);                                                             \
	} while (0)

static void run(struct guest_code *g, const struct runner_call *ask, const struct lab_http *http, struct lab_done *done)
{
	struct runner_call usual = lab_ask(S("{}"));
	lab_once(finish(g), ask != NULL ? ask : &usual, http, done);
}

static void nothing_is_there_before_the_first_response(void **state)
{
	(void)state;
	struct guest_code g;
	begin(&g);
	CALL(&g, SIZE);
	CALL(&g, STATUS);
	CALL(&g, READ, BUFFER, 10);
	CALL(&g, READ, BUFFER, 0);
	CALL(&g, SPAWN_STATUS);
	CALL(&g, SPAWN_SIZE, 0);
	CALL(&g, SPAWN_READ, 0, BUFFER, 0);
	AUTO_DONE done;
	run(&g, NULL, NULL, &done);
	EXPECT(&done, -1, -1, -1, -1, -2, -1, -1);
	release(&g);
}

static void a_response_is_read_from_its_start_each_time(void **state)
{
	(void)state;
	struct guest_code g;
	begin(&g);
	wasm_data(&g.m, ENVELOPE, S("{\"url\":\"u\"}"));
	CALL(&g, HTTP, ENVELOPE, 11);
	CALL(&g, SIZE);
	CALL(&g, STATUS);
	CALL(&g, READ, RESULTS + 64, 3);
	CALL(&g, READ, RESULTS + 68, 100);
	CALL(&g, READ, END_OF_MEMORY, 0);
	CALL(&g, READ, END_OF_MEMORY - 4, 100);        /* five bytes do not fit */
	CALL(&g, READ, END_OF_MEMORY - 5, 0xffffffff); /* five do, whatever the length says */
	CALL(&g, READ, 0xffffffff, 1);
	g.results = 20; /* so that what was read is written out too */
	struct lab_http http = {.status = 404, .body = S("hello")};
	AUTO_DONE done;
	run(&g, NULL, &http, &done);
	EXPECT(&done, 0, 5, 404, 3, 5, 0, -1, 5, -1, 0, 0, 0, 0, 0, 0, 0, 0x006c6568, 0x6c6c6568, 0x6f, 0);
	assert_str(buf_str(&done.envelopes), S("1:{\"url\":\"u\"}\n"));
	release(&g);
}

static void an_empty_body_is_a_response(void **state)
{
	(void)state;
	struct guest_code g;
	begin(&g);
	wasm_data(&g.m, ENVELOPE, S("{}"));
	CALL(&g, HTTP, ENVELOPE, 2);
	CALL(&g, SIZE);
	CALL(&g, STATUS);
	CALL(&g, READ, BUFFER, 10);
	struct lab_http http = {.status = 204};
	AUTO_DONE done;
	run(&g, NULL, &http, &done);
	EXPECT(&done, 0, 0, 204, 0);
	release(&g);
}

static void a_failed_request_answers_its_code(void **state)
{
	(void)state;
	for (int32_t rc = -2; rc < 0; rc++) {
		struct guest_code g;
		begin(&g);
		wasm_data(&g.m, ENVELOPE, S("{}"));
		CALL(&g, HTTP, ENVELOPE, 2);
		CALL(&g, SIZE);
		struct lab_http http = {.rc = rc, .status = 200, .body = S("not to be seen")};
		AUTO_DONE done;
		run(&g, NULL, &http, &done);
		EXPECT(&done, rc, -1);
		release(&g);
	}
}

static void wait_http(struct lab *lab, uint32_t id)
{
	struct rpc_frame frame;
	static struct err err;
	assert_int_equal(rpc_recv(lab->parent, &frame, &err), 1);
	assert_int_equal(frame.type, RUNNER_HTTP);
	assert_int_equal(frame.id, id);
}

/* The previous response stays readable after a failure, and a new one replaces it. */
static void the_slot_survives_a_failure(void **state)
{
	(void)state;
	struct guest_code g;
	begin(&g);
	wasm_data(&g.m, ENVELOPE, S("{}"));
	for (int i = 0; i < 3; i++) {
		CALL(&g, HTTP, ENVELOPE, 2);
		CALL(&g, SIZE);
		CALL(&g, STATUS);
	}
	struct lab lab;
	lab_start(&lab, finish(&g), &(struct lab_options){.threads = 1});
	struct runner_call ask = lab_ask(S("{}"));
	lab_send_call(&lab, 9, &ask);
	wait_http(&lab, 9);
	lab_answer_http(&lab, 9, 0, 200, S("first"));
	wait_http(&lab, 9);
	lab_answer_http(&lab, 9, -1, 0, S(""));
	wait_http(&lab, 9);
	AUTO_BUF large = BUF_INIT(1 * MIB);
	memset(buf_reserve(&large, 100000), 'x', 100000);
	buf_commit(&large, 100000);
	lab_answer_http(&lab, 9, 0, 500, buf_str(&large));
	AUTO_DONE done;
	lab_wait(&lab, NULL, &done);
	EXPECT(&done, 0, 5, 200, -1, 5, 200, 0, 100000, 500);
	lab_stop(&lab);
	release(&g);
}

static void spans_of_envelopes_are_told_apart(void **state)
{
	(void)state;
	struct guest_code g;
	begin(&g);
	wasm_data(&g.m, ENVELOPE, S("0123456789"));
	CALL(&g, HTTP, ENVELOPE, 0);
	CALL(&g, HTTP, END_OF_MEMORY - 1, 2);
	CALL(&g, HTTP, 0xffffffff, 0xffffffff);
	CALL(&g, HTTP, ENVELOPE, 11);
	CALL(&g, HTTP, ENVELOPE, 10);
	CALL(&g, HTTP, END_OF_MEMORY - 1, 1);
	struct runner_call ask = lab_ask(S("{}"));
	ask.envelope_max = 10;
	struct lab_http http = {.rc = -2};
	AUTO_DONE done;
	run(&g, &ask, &http, &done);
	assert_str(buf_str(&done.envelopes), str_of("0:\n0:\n0:\n2:\n1:0123456789\n1:\0\n", 29));
	release(&g);
}

static void logs_arrive_whole_and_bad_spans_are_empty(void **state)
{
	(void)state;
	struct guest_code g;
	begin(&g);
	wasm_data(&g.m, BUFFER, S("infohello"));
	call_log(&g, BUFFER, 4, BUFFER + 4, 5);
	call_log(&g, BUFFER, 0, BUFFER + 4, 5);
	call_log(&g, END_OF_MEMORY, 1, 0xffffffff, 3);
	call_log(&g, BUFFER, 4, END_OF_MEMORY - 4, 5);
	AUTO_DONE done;
	run(&g, NULL, NULL, &done);
	assert_str(buf_str(&done.logs), S("info|hello\n|hello\n|\ninfo|\n"));
	assert_int_equal(done.done.logs_dropped, 0);
	release(&g);
}

static void logs_have_caps(void **state)
{
	(void)state;
	struct guest_code g;
	begin(&g);
	wasm_data(&g.m, BUFFER, S("0123456789"));
	for (int i = 0; i < 7; i++)
		call_log(&g, BUFFER, 10, BUFFER, 9);
	struct runner_call ask = lab_ask(S("{}"));
	ask.log_lines_max = 3;
	ask.log_line_max = 6;
	AUTO_DONE done;
	run(&g, &ask, NULL, &done);
	assert_str(buf_str(&done.logs), S("012345|012345\n012345|012345\n012345|012345\n"));
	assert_int_equal(done.done.logs_dropped, 4);
	release(&g);
}

/* What the parent answers is passed on; what it need not see is answered here. */
static void lines_for_the_audit_are_bounded(void **state)
{
	(void)state;
	struct guest_code g;
	begin(&g);
	wasm_data(&g.m, BUFFER, S("{\"a\":1}"));
	CALL(&g, AUDIT, BUFFER, 7);
	CALL(&g, AUDIT, BUFFER, 0);
	CALL(&g, AUDIT, 0xffffffff, 10);
	CALL(&g, AUDIT, END_OF_MEMORY - 4, 5);
	CALL(&g, AUDIT, BUFFER, 4097);
	CALL(&g, AUDIT, BUFFER, 4096);
	for (int i = 0; i < 98; i++)
		CALL(&g, AUDIT, BUFFER, 7);
	CALL(&g, AUDIT, BUFFER, 7);
	CALL(&g, AUDIT, BUFFER, 4097);
	AUTO_DONE done;
	run(&g, NULL, NULL, &done);
	assert_int_equal(done.audits, 100);
	const int32_t *rc = (const int32_t *)(const void *)done.done.output.p;
	static const int32_t first[] = {-7, -1, -1, -1, -2, -7};
	assert_memory_equal(rc, first, sizeof first);
	assert_int_equal(rc[6], -7);
	assert_int_equal(rc[103], -7);
	assert_int_equal(rc[104], -3);
	assert_int_equal(rc[105], -2);
	release(&g);
}

static void spawn_is_refused(void **state)
{
	(void)state;
	struct guest_code g;
	begin(&g);
	CALL(&g, SPAWN, BUFFER, 10);
	CALL(&g, SPAWN_OP, BUFFER, 4, BUFFER, 4);
	CALL(&g, SPAWN, 0xffffffff, 10);
	CALL(&g, SPAWN_STATUS);
	CALL(&g, SPAWN_SIZE, 0);
	CALL(&g, SPAWN_SIZE, 1);
	CALL(&g, SPAWN_SIZE, 2);
	CALL(&g, SPAWN_READ, 0, BUFFER, 1);
	AUTO_DONE done;
	run(&g, NULL, NULL, &done);
	EXPECT(&done, -3, -3, -3, -2, -1, -1, -1, -1);
	release(&g);
}

/* Numbers and results, and not a byte of what lies in the guest's memory. */
static void a_trace_names_calls_and_shows_no_bytes(void **state)
{
	(void)state;
	struct guest_code g;
	begin(&g);
	wasm_data(&g.m, BUFFER, S("infocanary"));
	call_log(&g, BUFFER, 4, BUFFER + 4, 6);
	CALL(&g, HTTP, BUFFER, 10);
	struct runner_call ask = lab_ask(S("canary"));
	ask.trace = true;
	struct lab_http http = {.rc = -1};
	AUTO_DONE done;
	run(&g, &ask, &http, &done);
	assert_str(buf_str(&done.traces),
		   S("log(4096, 4, 4100, 6)\nhttp_request(4096, 10) = -1\nfd_write(1, 0, 1, 8) = 0\n"));
	release(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_there_before_the_first_response),
		cmocka_unit_test(a_response_is_read_from_its_start_each_time),
		cmocka_unit_test(an_empty_body_is_a_response),
		cmocka_unit_test(a_failed_request_answers_its_code),
		cmocka_unit_test(the_slot_survives_a_failure),
		cmocka_unit_test(spans_of_envelopes_are_told_apart),
		cmocka_unit_test(logs_arrive_whole_and_bad_spans_are_empty),
		cmocka_unit_test(logs_have_caps),
		cmocka_unit_test(lines_for_the_audit_are_bounded),
		cmocka_unit_test(spawn_is_refused),
		cmocka_unit_test(a_trace_names_calls_and_shows_no_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
