#include "engine/lab.h"
#include "engine/wasm_bytes.h"

/*
 * Each case is a module of its own: `_start` calls one function with constants, stores its result at 0x100, and writes
 * `n` bytes from there to standard output. What the function writes to guest memory from 0x104 on is then seen too.
 */
struct probe {
	const char *name;
	uint64_t args[9];
	uint32_t errno_wanted;
	const char *bytes; /* wanted behind the errno */
	size_t n;
	const char *data; /* placed at 0x200 before */
	size_t data_n;
};

enum { RESULT = 0x100, OUT = 0x104, IN = 0x200, END_OF_MEMORY = 65536, FAR = 0x7fffffff };

static const struct host_function *function_named(const char *name)
{
	for (const struct host_module *m = host_modules; m->name != NULL; m++) {
		for (const struct host_function *f = m->functions; f->name != NULL; f++) {
			if (strcmp(f->name, name) == 0)
				return f;
		}
	}
	fail_msg("no function '%s'", name);
	return NULL;
}

static void push_args(struct buf *code, const struct host_function *f, const uint64_t *args)
{
	for (size_t i = 0; f->params[i] != '\0'; i++) {
		if (f->params[i] == 'I')
			op_i64(code, args[i]);
		else
			op_i32(code, (uint32_t)args[i]);
	}
}

static struct str probe_module(struct wasm *m, const struct probe *probe, size_t calls)
{
	const struct host_function *f = function_named(probe->name);
	wasm_init(m);
	uint32_t write = wasm_import(m, WASI_MODULE, "fd_write", "iiii", "i");
	uint32_t target = wasm_import(m, WASI_MODULE, f->name, f->params, "i");
	AUTO_BUF code = BUF_INIT(64 * KIB);
	for (size_t i = 0; i < calls; i++) {
		op_i32(&code, RESULT);
		push_args(&code, f, probe->args);
		op_call(&code, target);
		op_store(&code);
	}
	op_write(&code, write, 1, 0, RESULT, (uint32_t)(4 + probe->n));
	uint32_t start = wasm_function(m, wasm_type(m, "", ""), 0, &code);
	wasm_memory(m, 1);
	if (probe->data != NULL)
		wasm_data(m, IN, str_of(probe->data, probe->data_n));
	/* what must not be touched shows */
	wasm_data(m, OUT, S("################################################################################"));
	wasm_export(m, "memory", WASM_MEMORY, 0);
	wasm_export(m, "_start", WASM_FUNC, start);
	return wasm_finish(m);
}

static void check(const struct probe *probe, struct str input, size_t calls)
{
	AUTO_WASM m;
	AUTO_DONE done;
	struct runner_call ask = lab_ask(input);
	lab_once(probe_module(&m, probe, calls), &ask, NULL, &done);
	assert_int_equal(done.done.end, RUNNER_END_EXIT);
	struct str out = done.done.output;
	if (out.n != 4 + probe->n)
		fail_msg("%s: %zu bytes of output", probe->name, out.n);
	uint32_t got = (uint32_t)memory_load((const uint8_t *)out.p, 4);
	if (got != probe->errno_wanted)
		fail_msg("%s(%llu, %llu, …) answered %u, wanted %u", probe->name, (unsigned long long)probe->args[0],
			 (unsigned long long)probe->args[1], got, probe->errno_wanted);
	if (probe->n > 0 && memcmp(out.p + 4, probe->bytes, probe->n) != 0)
		fail_msg("%s(%llu, …) wrote something else", probe->name, (unsigned long long)probe->args[0]);
}

#define GIVES(...) .args = {__VA_ARGS__}
#define BYTES(s)   .bytes = (s), .n = sizeof(s) - 1
#define DATA(s)    .data = (s), .data_n = sizeof(s) - 1
#define UNTOUCHED  BYTES("########")

#define RIGHTS "\xff\x01\xe0\x08\0\0\0\0"
#define ZERO8  "\0\0\0\0\0\0\0\0"

static const struct probe process_probes[] = {
	{"args_sizes_get", GIVES(OUT, OUT + 4), 0, BYTES(ZERO8)},
	{"args_sizes_get", GIVES(OUT, END_OF_MEMORY - 3), 21},
	{"args_sizes_get", GIVES(FAR, OUT), 21, UNTOUCHED},
	{"args_get", GIVES(OUT, OUT), 0, UNTOUCHED},
	{"environ_sizes_get", GIVES(OUT, OUT + 4), 0, BYTES(ZERO8)},
	{"environ_get", GIVES(OUT, OUT), 0, UNTOUCHED},
	{"sched_yield", GIVES(0), 0},
	{"proc_raise", GIVES(9), 52},
};

static const struct probe clock_probes[] = {
	{"clock_res_get", GIVES(0, OUT), 0, BYTES("\xe8\x03\0\0\0\0\0\0")},
	{"clock_res_get", GIVES(1, OUT), 0, BYTES("\x01\0\0\0\0\0\0\0")},
	{"clock_res_get", GIVES(2, OUT), 28, UNTOUCHED},
	{"clock_res_get", GIVES(0, END_OF_MEMORY - 7), 21},
	{"clock_time_get", GIVES(0, 0, END_OF_MEMORY - 8), 0},
	{"clock_time_get", GIVES(1, 0, END_OF_MEMORY - 7), 21},
	{"clock_time_get", GIVES(2, 0, OUT), 28, UNTOUCHED},
	{"clock_time_get", GIVES(3, 0, FAR), 28},
	{"random_get", GIVES(OUT, 0), 0, UNTOUCHED},
	{"random_get", GIVES(END_OF_MEMORY, 0), 0},
	{"random_get", GIVES(END_OF_MEMORY, 1), 21},
	{"random_get", GIVES(OUT, 0xffffffff), 21, UNTOUCHED},
};

static const struct probe descriptor_probes[] = {
	{"fd_close", GIVES(2), 0},
	{"fd_close", GIVES(3), 8},
	{"fd_close", GIVES(0xffffffff), 8},
	{"fd_fdstat_get", GIVES(0, OUT), 0, BYTES("\x01\0\0\0\0\0\0\0" RIGHTS ZERO8 "####")},
	{"fd_fdstat_get", GIVES(2, OUT), 0, BYTES("\x01\0\0\0\0\0\0\0" RIGHTS ZERO8 "####")},
	{"fd_fdstat_get", GIVES(3, OUT), 8, UNTOUCHED},
	{"fd_fdstat_get", GIVES(3, END_OF_MEMORY - 23), 21},
	{"fd_fdstat_set_flags", GIVES(1, 0), 0},
	{"fd_fdstat_set_flags", GIVES(1, 4), 52},
	{"fd_fdstat_set_flags", GIVES(0, 1), 52},
	{"fd_fdstat_set_flags", GIVES(1, 2), 28},
	{"fd_fdstat_set_flags", GIVES(1, 8), 28},
	{"fd_fdstat_set_flags", GIVES(1, 16), 28},
	{"fd_fdstat_set_flags", GIVES(3, 0), 8},
	{"fd_fdstat_set_rights", GIVES(1, 0, 0), 52},
	{"fd_filestat_get", GIVES(1, OUT), 0,
	 BYTES(ZERO8 ZERO8 "\x01\0\0\0\0\0\0\0"
			   "\x01\0\0\0\0\0\0\0" ZERO8 ZERO8 ZERO8 ZERO8 "####")},
	{"fd_filestat_get", GIVES(4, OUT), 8, UNTOUCHED},
	{"fd_filestat_get", GIVES(1, END_OF_MEMORY - 63), 21},
	{"fd_prestat_get", GIVES(0, OUT), 0, BYTES(ZERO8 "####")},
	{"fd_prestat_get", GIVES(3, OUT), 8, UNTOUCHED},
	{"fd_prestat_get", GIVES(1, END_OF_MEMORY - 7), 21},
	{"fd_prestat_dir_name", GIVES(3, OUT, 8), 8, UNTOUCHED},
	{"fd_prestat_dir_name", GIVES(0, OUT, 0), 0, UNTOUCHED},
	{"fd_prestat_dir_name", GIVES(0, OUT, 1), 37, UNTOUCHED},
	{"fd_pread", GIVES(0, IN, 1, 0, OUT), 8, UNTOUCHED},
	{"fd_pwrite", GIVES(1, IN, 1, 0, OUT), 8, UNTOUCHED},
	{"fd_advise", GIVES(0, 0, 0, 0), 0},
	{"fd_advise", GIVES(0, 0, 0, 6), 28},
	{"fd_advise", GIVES(5, 0, 0, 0), 8},
	{"fd_allocate", GIVES(1, 0, 10), 52},
	{"fd_allocate", GIVES(7, 0, 10), 8},
	{"fd_datasync", GIVES(1), 0},
	{"fd_sync", GIVES(1), 0},
	{"fd_sync", GIVES(9), 8},
	{"fd_seek", GIVES(0, 0, 0, OUT), 52, UNTOUCHED},
	{"fd_seek", GIVES(3, 0, 0, OUT), 8, UNTOUCHED},
	{"fd_tell", GIVES(0, OUT), 52, UNTOUCHED},
	{"fd_tell", GIVES(3, OUT), 8, UNTOUCHED},
	{"fd_readdir", GIVES(0, OUT, 24, 0, OUT), 8, UNTOUCHED},
	{"fd_readdir", GIVES(0, OUT, 23, 0, OUT), 28, UNTOUCHED},
	{"fd_renumber", GIVES(0, 1), 58},
	{"fd_renumber", GIVES(3, 1), 8},
	{"fd_renumber", GIVES(0, 0xffffffff), 8},
	{"fd_filestat_set_size", GIVES(1, 0), 52},
	{"fd_filestat_set_size", GIVES(3, 0), 8},
	{"fd_filestat_set_times", GIVES(1, 0, 0, 0), 52},
	{"fd_filestat_set_times", GIVES(3, 0, 0, 0), 8},
};

#define MINUS_1 0xffffffff
#define PATH    IN, 5
static const struct probe absent_probes[] = {
	{"path_create_directory", GIVES(MINUS_1, PATH), 8},
	{"path_create_directory", GIVES(0, PATH), 54},
	{"path_create_directory", GIVES(0, END_OF_MEMORY, 1), 21},
	{"path_filestat_get", GIVES(3, 0, PATH, OUT), 8, UNTOUCHED},
	{"path_filestat_get", GIVES(1, 0, PATH, OUT), 54, UNTOUCHED},
	{"path_filestat_set_times", GIVES(2, 0, PATH, 0, 0, 0), 54},
	{"path_link", GIVES(3, 0, PATH, 3, PATH), 8},
	{"path_open", GIVES(MINUS_1, 0, PATH, 0, 0, 0, 0, OUT), 8, UNTOUCHED},
	{"path_open", GIVES(3, 0, PATH, 0, 0, 0, 0, OUT), 8, UNTOUCHED},
	{"path_open", GIVES(0, 0, PATH, 0, 0, 0, 0, OUT), 54, UNTOUCHED},
	{"path_open", GIVES(0, 0, FAR, 5, 0, 0, 0, 0, OUT), 21, UNTOUCHED},
	{"path_readlink", GIVES(3, PATH, OUT, 8, OUT), 8, UNTOUCHED},
	{"path_remove_directory", GIVES(1, PATH), 54},
	{"path_rename", GIVES(3, PATH, 3, PATH), 8},
	{"path_symlink", GIVES(PATH, 3, PATH), 8},
	{"path_symlink", GIVES(PATH, 1, PATH), 54},
	{"path_symlink", GIVES(FAR, 1, 1, PATH), 21},
	{"path_unlink_file", GIVES(3, PATH), 8},
	{"sock_accept", GIVES(3, 0, OUT), 8, UNTOUCHED},
	{"sock_recv", GIVES(0, IN, 1, 0, OUT, OUT), 8, UNTOUCHED},
	{"sock_send", GIVES(1, IN, 1, 0, OUT), 8, UNTOUCHED},
	{"sock_shutdown", GIVES(0, 0), 8},
};

static void check_all(const struct probe *probes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(&probes[i], S("{}"), 1);
}

static void process_functions(void **state)
{
	(void)state;
	check_all(process_probes, ARRAY_LEN(process_probes));
}

static void clock_functions(void **state)
{
	(void)state;
	check_all(clock_probes, ARRAY_LEN(clock_probes));
}

static void descriptor_functions(void **state)
{
	(void)state;
	check_all(descriptor_probes, ARRAY_LEN(descriptor_probes));
}

static void absent_functions(void **state)
{
	(void)state;
	check_all(absent_probes, ARRAY_LEN(absent_probes));
}

static void closed_descriptors_stay_closed(void **state)
{
	(void)state;
	struct probe twice = {"fd_close", GIVES(0), 8};
	check(&twice, S("{}"), 2);
}

/* iovec {OUT + 4, 16} at IN; nread at OUT. */
static void standard_input_is_read_to_its_end(void **state)
{
	(void)state;
	struct probe once = {"fd_read", GIVES(0, IN, 1, OUT), 0, BYTES("\x05\0\0\0hello#"),
			     DATA("\x08\x01\0\0\x10\0\0\0")};
	check(&once, S("hello"), 1);
	struct probe at_end = {"fd_read", GIVES(0, IN, 1, OUT), 0, BYTES("\0\0\0\0hello#"),
			       DATA("\x08\x01\0\0\x10\0\0\0")};
	check(&at_end, S("hello"), 2);
	struct probe empty = {"fd_read", GIVES(0, IN, 1, OUT), 0, BYTES("\0\0\0\0####"),
			      DATA("\x08\x01\0\0\x10\0\0\0")};
	check(&empty, S(""), 1);
}

static void iovecs_are_filled_in_order(void **state)
{
	(void)state;
	/* {OUT+4, 2}, {nowhere, 0}, {OUT+8, 3}, {OUT+12, 9}: the empty one is skipped, the last one stays short */
	struct probe several = {"fd_read", GIVES(0, IN, 4, OUT), 0, BYTES("\x06\0\0\0he##llo#!##"),
				DATA("\x08\x01\0\0\x02\0\0\0"
				     "\xff\xff\xff\xff\0\0\0\0"
				     "\x0c\x01\0\0\x03\0\0\0"
				     "\x10\x01\0\0\x09\0\0\0")};
	check(&several, S("hello!"), 1);
}

static const struct probe read_probes[] = {
	{"fd_read", GIVES(1, IN, 1, OUT), 8, UNTOUCHED, DATA("\x08\x01\0\0\x10\0\0\0")},
	{"fd_read", GIVES(2, IN, 1, OUT), 8, UNTOUCHED, DATA("\x08\x01\0\0\x10\0\0\0")},
	{"fd_read", GIVES(3, IN, 1, OUT), 8, UNTOUCHED, DATA("\x08\x01\0\0\x10\0\0\0")},
	{"fd_read", GIVES(0, END_OF_MEMORY - 7, 1, OUT), 21, UNTOUCHED},
	{"fd_read", GIVES(0, IN, 0x20000000, OUT), 21, UNTOUCHED}, /* 2^29 entries: 2^32 bytes */
	{"fd_read", GIVES(0, IN, 1, OUT), 21, UNTOUCHED, DATA("\xf1\xff\0\0\x10\0\0\0")},
	{"fd_read", GIVES(0, IN, 1, END_OF_MEMORY - 3), 21, BYTES("####in"), DATA("\x08\x01\0\0\x02\0\0\0")},
	{"fd_read", GIVES(0, IN, 0, OUT), 0, BYTES("\0\0\0\0####")},
};

static void bad_spans_for_reading_are_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(read_probes); i++)
		check(&read_probes[i], S("input"), 1);
}

static const struct probe write_probes[] = {
	{"fd_write", GIVES(0, IN, 1, OUT), 8, UNTOUCHED, DATA("\x08\x01\0\0\x02\0\0\0")},
	{"fd_write", GIVES(3, IN, 1, OUT), 8, UNTOUCHED, DATA("\x08\x01\0\0\x02\0\0\0")},
	{"fd_write", GIVES(2, IN, 1, OUT), 0, BYTES("\x02\0\0\0####"), DATA("\x08\x01\0\0\x02\0\0\0")},
	{"fd_write", GIVES(2, IN, 1, OUT), 21, UNTOUCHED, DATA("\xff\xff\0\0\x02\0\0\0")},
	{"fd_write", GIVES(2, FAR, 1, OUT), 21, UNTOUCHED},
	{"fd_write", GIVES(2, IN, 1, END_OF_MEMORY - 3), 21, UNTOUCHED, DATA("\x08\x01\0\0\x02\0\0\0")},
};

static void bad_spans_for_writing_are_faults(void **state)
{
	(void)state;
	check_all(write_probes, ARRAY_LEN(write_probes));
}

/* Subscriptions: userdata, kind, padding; then id or fd, padding, timeout, precision, flags. */
#define CLOCK_OF(user, timeout, flags)                                                                                 \
	user "\0\0\0\0\0\0\0"                                                                                          \
	     "\0\0\0\0\0\0\0\0"                                                                                        \
	     "\x01\0\0\0\0\0\0\0" timeout "\0\0\0\0\0\0\0\0" flags "\0\0\0\0\0\0\0"
#define FD_OF(user, kind, fd) user "\0\0\0\0\0\0\0" kind "\0\0\0\0\0\0\0" fd "\0\0\0\0" ZERO8 ZERO8 ZERO8
#define MS_1                  "\x40\x42\x0f\0\0\0\0\0"
#define HOUR_1                "\x00\xa0\xb8\x30\x46\x03\0\0"

static const struct probe poll_probes[] = {
	{"poll_oneoff", GIVES(IN, OUT, 0, OUT), 28, UNTOUCHED},
	{"poll_oneoff", GIVES(END_OF_MEMORY - 47, OUT, 1, OUT), 21, UNTOUCHED},
	{"poll_oneoff", GIVES(IN, END_OF_MEMORY - 31, 1, OUT), 21, UNTOUCHED},
	{"poll_oneoff", GIVES(IN, OUT, 0xffffffff, OUT), 21, UNTOUCHED},
	{"poll_oneoff", GIVES(IN, OUT, 1, FAR), 21, UNTOUCHED, DATA(CLOCK_OF("u", MS_1, "\0"))},
	{"poll_oneoff", GIVES(IN, 0x400, 1, OUT), 0, BYTES("\x01\0\0\0####"), DATA(CLOCK_OF("u", MS_1, "\0"))},
	{"poll_oneoff", GIVES(IN, OUT, 1, 0x400), 0,
	 BYTES("u\0\0\0\0\0\0\0"
	       "\0\0"
	       "\0\0\0\0"
	       "\0\0"),
	 DATA(CLOCK_OF("u", MS_1, "\0"))},
	/* an absolute time, and a flag that does not exist */
	{"poll_oneoff", GIVES(IN, 0x400, 1, 0x500), 58, .data = CLOCK_OF("u", MS_1, "\1"), .data_n = 48},
	{"poll_oneoff", GIVES(IN, 0x400, 1, 0x500), 28, .data = CLOCK_OF("u", MS_1, "\2"), .data_n = 48},
	/* standard input is ready at once, an hour's clock beside it is acknowledged */
	{"poll_oneoff", GIVES(IN, OUT, 2, 0x400), 0,
	 BYTES("c\0\0\0\0\0\0\0"
	       "\0\0"
	       "\0\0\0\0"
	       "\0\0" ZERO8 ZERO8 "r\0\0\0\0\0\0\0"
	       "\0\0"
	       "\1\0\0\0"
	       "\0\0"),
	 DATA(CLOCK_OF("c", HOUR_1, "\0") FD_OF("r", "\1", "\0\0\0\0"))},
	{"poll_oneoff", GIVES(IN, OUT, 1, 0x400), 0,
	 BYTES("w\0\0\0\0\0\0\0"
	       "\x3a\0"
	       "\2\0\0\0"),
	 DATA(FD_OF("w", "\2", "\1\0\0\0"))},
	{"poll_oneoff", GIVES(IN, OUT, 1, 0x400), 0,
	 BYTES("x\0\0\0\0\0\0\0"
	       "\x08\0"
	       "\1\0\0\0"),
	 DATA(FD_OF("x", "\1", "\x09\0\0\0"))},
	{"poll_oneoff", GIVES(IN, OUT, 1, 0x400), 8, .data = FD_OF("x", "\1", "\xff\xff\xff\xff"), .data_n = 48},
	{"poll_oneoff", GIVES(IN, OUT, 1, 0x400), 28, .data = FD_OF("x", "\3", "\0\0\0\0"), .data_n = 48},
};

static void poll_answers_as_it_always_did(void **state)
{
	(void)state;
	check_all(poll_probes, ARRAY_LEN(poll_probes));
}

static void sleep_is_real(void **state)
{
	(void)state;
	/* 30 ms */
	struct probe nap = {"poll_oneoff", GIVES(IN, 0x400, 1, OUT), 0, BYTES("\x01\0\0\0"),
			    DATA(CLOCK_OF("u", "\x80\xc3\xc9\x01\0\0\0\0", "\0"))};
	uint64_t before = clock_monotonic_ns(NULL);
	check(&nap, S("{}"), 1);
	assert_true(clock_monotonic_ns(NULL) - before >= 30 * TIME_MILLISECOND);
}

static uint64_t read_u64(const char *name, uint64_t first_arg)
{
	struct probe probe = {name, GIVES(first_arg, 0, OUT), 0, .n = 8};
	if (strcmp(name, "random_get") == 0) {
		probe.args[0] = OUT;
		probe.args[1] = 8;
	}
	AUTO_WASM m;
	AUTO_DONE done;
	struct runner_call ask = lab_ask(S("{}"));
	lab_once(probe_module(&m, &probe, 1), &ask, NULL, &done);
	assert_int_equal(memory_load((const uint8_t *)done.done.output.p, 4), 0);
	return memory_load((const uint8_t *)done.done.output.p + 4, 8);
}

static void clocks_are_real(void **state)
{
	(void)state;
	uint64_t before = clock_wall_ns(NULL), now = read_u64("clock_time_get", 0), after = clock_wall_ns(NULL);
	assert_in_range(now, before, after);
	before = clock_monotonic_ns(NULL);
	now = read_u64("clock_time_get", 1);
	after = clock_monotonic_ns(NULL);
	assert_in_range(now, before, after);
}

static void randomness_is_real(void **state)
{
	(void)state;
	uint64_t a = read_u64("random_get", 0), b = read_u64("random_get", 0);
	assert_true(a != b);
	assert_true((a & 0xff) != 0x53 || (b & 0xff) != 0x53 || (a >> 8 & 0xff) != 0x8c); /* the old fixed stream */
}

static void any_exit_code_is_one(void **state)
{
	(void)state;
	static const uint32_t codes[] = {0, 1, 2, 255, 256, 0x7fffffff, 0xefffffff, 0xffffffff};
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		AUTO_WASM m;
		AUTO_BUF code = BUF_INIT(64);
		wasm_init(&m);
		uint32_t leave = wasm_import(&m, WASI_MODULE, "proc_exit", "i", "");
		op_i32(&code, codes[i]);
		op_call(&code, leave);
		op_unreachable(&code);
		uint32_t start = wasm_function(&m, wasm_type(&m, "", ""), 0, &code);
		wasm_export(&m, "_start", WASM_FUNC, start);
		AUTO_DONE done;
		struct runner_call ask = lab_ask(S("{}"));
		lab_once(wasm_finish(&m), &ask, NULL, &done);
		assert_int_equal(done.done.end, RUNNER_END_EXIT);
		assert_int_equal(done.done.exit_code, codes[i]);
	}
}

/* Without an exported memory every access is a fault and nothing crashes. */
static void a_guest_without_memory_gets_faults(void **state)
{
	(void)state;
	AUTO_WASM m;
	AUTO_BUF code = BUF_INIT(64);
	wasm_init(&m);
	uint32_t random = wasm_import(&m, WASI_MODULE, "random_get", "ii", "i");
	uint32_t leave = wasm_import(&m, WASI_MODULE, "proc_exit", "i", "");
	op_i32(&code, 0);
	op_i32(&code, 1);
	op_call(&code, random);
	op_call(&code, leave);
	uint32_t start = wasm_function(&m, wasm_type(&m, "", ""), 0, &code);
	wasm_export(&m, "_start", WASM_FUNC, start);
	AUTO_DONE done;
	struct runner_call ask = lab_ask(S("{}"));
	lab_once(wasm_finish(&m), &ask, NULL, &done);
	assert_int_equal(done.done.exit_code, 21);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(process_functions),
		cmocka_unit_test(clock_functions),
		cmocka_unit_test(descriptor_functions),
		cmocka_unit_test(absent_functions),
		cmocka_unit_test(closed_descriptors_stay_closed),
		cmocka_unit_test(standard_input_is_read_to_its_end),
		cmocka_unit_test(iovecs_are_filled_in_order),
		cmocka_unit_test(bad_spans_for_reading_are_faults),
		cmocka_unit_test(bad_spans_for_writing_are_faults),
		cmocka_unit_test(poll_answers_as_it_always_did),
		cmocka_unit_test(sleep_is_real),
		cmocka_unit_test(clocks_are_real),
		cmocka_unit_test(randomness_is_real),
		cmocka_unit_test(any_exit_code_is_one),
		cmocka_unit_test(a_guest_without_memory_gets_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
