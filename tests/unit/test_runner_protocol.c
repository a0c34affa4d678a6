#include "base/limits.h"
#include "connector/runner_protocol.h"
#include "text/wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

/* Every shorter body and one longer body must be refused, and leave the output alone. */
#define REFUSES_OTHER_LENGTHS(type, get, body)                                                                         \
	do {                                                                                                           \
		struct str whole_ = (body);                                                                            \
		type before_, after_;                                                                                  \
		memset(&before_, 0x5a, sizeof before_);                                                                \
		memcpy(&after_, &before_, sizeof after_);                                                              \
		for (size_t n_ = 0; n_ <= whole_.n + 1; n_++) {                                                        \
			if (n_ == whole_.n)                                                                            \
				continue;                                                                              \
			AUTO_FREE char *cut_ = xcalloc(1, n_ + 1);                                                     \
			memcpy(cut_, whole_.p, MIN(n_, whole_.n));                                                     \
			static struct err err_;                                                                        \
			assert_int_equal(get(str_of(cut_, n_), &after_, &err_), -1);                                   \
			assert_int_equal(err_.class, ERR_PROTOCOL);                                                    \
			assert_memory_equal(&before_, &after_, sizeof before_);                                        \
		}                                                                                                      \
	} while (0)

static void start_round_trips(void **state)
{
	(void)state;
	struct runner_start m = {
		.strategy = RUNNER_WINCH, .pooling = true, .threads = 64, .memory_max = LIMIT_MEMORY_CEILING};
	memcpy(m.content_hash, "0123456789abcdef0123456789abcdef", 32);
	AUTO_BUF body = BUF_INIT(1 * KIB);
	runner_start_put(&body, &m);
	struct runner_start got;
	assert_int_equal(runner_start_get(buf_str(&body), &got, NULL), 0);
	assert_int_equal(got.strategy, RUNNER_WINCH);
	assert_true(got.pooling);
	assert_int_equal(got.threads, 64);
	assert_int_equal(got.memory_max, LIMIT_MEMORY_CEILING);
	assert_memory_equal(got.content_hash, m.content_hash, 32);
	REFUSES_OTHER_LENGTHS(struct runner_start, runner_start_get, buf_str(&body));

	m.threads = 65;
	buf_clear(&body);
	runner_start_put(&body, &m);
	assert_int_equal(runner_start_get(buf_str(&body), &got, NULL), -1);
	m.threads = 1;
	m.memory_max++;
	buf_clear(&body);
	runner_start_put(&body, &m);
	assert_int_equal(runner_start_get(buf_str(&body), &got, NULL), -1);
	m.memory_max = 0;
	buf_clear(&body);
	runner_start_put(&body, &m);
	body.p[0] = 2; /* a strategy that does not exist */
	assert_int_equal(runner_start_get(buf_str(&body), &got, NULL), -1);
}

static void compiled_and_ready_round_trip(void **state)
{
	(void)state;
	AUTO_BUF body = BUF_INIT(4 * KIB);
	struct runner_compiled compiled = {.code_bytes = 123456789012, .nanoseconds = 42}, got;
	runner_compiled_put(&body, &compiled);
	assert_int_equal(runner_compiled_get(buf_str(&body), &got, NULL), 0);
	assert_int_equal(got.code_bytes, 123456789012);
	assert_int_equal(got.nanoseconds, 42);
	REFUSES_OTHER_LENGTHS(struct runner_compiled, runner_compiled_get, buf_str(&body));

	buf_clear(&body);
	struct runner_ready ready = {
		.load_nanoseconds = 7, .imports = {S("log"), S(""), S("http_request")}, .n_imports = 3};
	runner_ready_put(&body, &ready);
	struct runner_ready back;
	assert_int_equal(runner_ready_get(buf_str(&body), &back, NULL), 0);
	assert_int_equal(back.n_imports, 3);
	assert_true(str_eq(back.imports[0], S("log")));
	assert_true(str_eq(back.imports[2], S("http_request")));
	REFUSES_OTHER_LENGTHS(struct runner_ready, runner_ready_get, buf_str(&body));

	buf_clear(&body); /* more imports than there are functions */
	wire_put_u64(&body, 0);
	wire_put_u32(&body, 17);
	for (int i = 0; i < 17; i++)
		wire_put_str(&body, S("x"));
	assert_int_equal(runner_ready_get(buf_str(&body), &back, NULL), -1);
}

static struct runner_call largest_call(void)
{
	return (struct runner_call){.wall_time_ns = LIMIT_WALL_CEILING_MS * MS,
				    .memory_bytes = LIMIT_MEMORY_CEILING,
				    .stdout_max = LIMIT_STDOUT,
				    .stderr_tail_max = LIMIT_STDERR_TAIL,
				    .log_lines_max = LIMIT_LOG_LINES,
				    .log_line_max = LIMIT_LOG_LINE,
				    .envelope_max = LIMIT_ENVELOPE,
				    .trace = true,
				    .input = S("{\"op\":\"x\"}")};
}

static void put_call(struct buf *body, const struct runner_call *m)
{
	buf_clear(body);
	runner_call_put_head(body, m);
	buf_add_str(body, m->input);
}

static void call_round_trips(void **state)
{
	(void)state;
	AUTO_BUF body = BUF_INIT(4 * KIB);
	struct runner_call m = largest_call(), got;
	put_call(&body, &m);
	assert_int_equal(runner_call_get(buf_str(&body), &got, NULL), 0);
	assert_int_equal(got.wall_time_ns, m.wall_time_ns);
	assert_int_equal(got.memory_bytes, m.memory_bytes);
	assert_int_equal(got.envelope_max, m.envelope_max);
	assert_int_equal(got.log_lines_max, m.log_lines_max);
	assert_true(got.trace);
	assert_true(str_eq(got.input, m.input));
	REFUSES_OTHER_LENGTHS(struct runner_call, runner_call_get, buf_str(&body));
}

static void no_limit_of_a_call_passes_its_ceiling(void **state)
{
	(void)state;
	AUTO_BUF body = BUF_INIT(4 * KIB);
	for (int which = 0; which < 6; which++) {
		struct runner_call m = largest_call(), got;
		m.wall_time_ns += which == 0;
		m.memory_bytes += which == 1;
		m.stdout_max += which == 2;
		m.stderr_tail_max += which == 3;
		m.log_line_max += which == 4;
		m.envelope_max += which == 5;
		put_call(&body, &m);
		assert_int_equal(runner_call_get(buf_str(&body), &got, NULL), -1);
	}
}

static void done_round_trips(void **state)
{
	(void)state;
	struct runner_done m = {.end = RUNNER_END_TRAP,
				.exit_code = 0xffffffff,
				.trap = S("unreachable"),
				.limit = S("stdout"),
				.memory_refused = true,
				.message = S("what\nhappened"),
				.output = S("{}"),
				.stderr_tail = S("tail"),
				.stderr_cut = true,
				.logs_dropped = 3,
				.instantiate_ns = 4,
				.run_ns = 5,
				.memory_peak = 6};
	AUTO_BUF body = BUF_INIT(4 * KIB);
	runner_done_put_head(&body, &m);
	buf_add_str(&body, m.output);
	struct runner_done got;
	assert_int_equal(runner_done_get(buf_str(&body), &got, NULL), 0);
	assert_int_equal(got.end, RUNNER_END_TRAP);
	assert_int_equal(got.exit_code, 0xffffffff);
	assert_true(str_eq(got.trap, m.trap));
	assert_true(str_eq(got.limit, m.limit));
	assert_true(str_eq(got.message, m.message));
	assert_true(str_eq(got.output, m.output));
	assert_true(str_eq(got.stderr_tail, m.stderr_tail));
	assert_true(got.memory_refused && got.stderr_cut);
	assert_int_equal(got.logs_dropped, 3);
	assert_int_equal(got.instantiate_ns, 4);
	assert_int_equal(got.run_ns, 5);
	assert_int_equal(got.memory_peak, 6);
	REFUSES_OTHER_LENGTHS(struct runner_done, runner_done_get, buf_str(&body));
	body.p[0] = RUNNER_END__MAX;
	assert_int_equal(runner_done_get(buf_str(&body), &got, NULL), -1);
}

/* Whoever may send a message has no row for it: each type is in exactly one table. */
static void every_message_has_one_direction(void **state)
{
	(void)state;
	for (uint16_t type = 0; type < 64; type++) {
		int rows = 0;
		for (const struct rpc_rule *r = runner_parent_rules; r->name != NULL; r++)
			rows += r->type == type;
		for (const struct rpc_rule *r = runner_child_rules; r->name != NULL; r++)
			rows += r->type == type;
		bool known = (type >= RUNNER_HELLO && type <= RUNNER_AUDIT) ||
			     (type >= RUNNER_START && type <= RUNNER_AUDIT_RESULT);
		assert_int_equal(rows, known ? 1 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(start_round_trips), cmocka_unit_test(compiled_and_ready_round_trip),
		cmocka_unit_test(call_round_trips),  cmocka_unit_test(no_limit_of_a_call_passes_its_ceiling),
		cmocka_unit_test(done_round_trips),  cmocka_unit_test(every_message_has_one_direction),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
