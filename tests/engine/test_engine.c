#include "engine/lab.h"
#include "engine/ping_module.h"
#include "engine/wasm_bytes.h"

static const struct lab_options variants[] = {
	{.strategy = RUNNER_CRANELIFT, .pooling = false, .threads = 1},
	{.strategy = RUNNER_CRANELIFT, .pooling = true, .threads = 2},
	{.strategy = RUNNER_WINCH, .pooling = false, .threads = 1},
	{.strategy = RUNNER_WINCH, .pooling = true, .threads = 2},
};

/* A module whose `_start` is `code`, with one page of memory and fd_write as function 0. */
static struct str module_of(struct wasm *m, const struct buf *code)
{
	wasm_import(m, WASI_MODULE, "fd_write", "iiii", "i");
	uint32_t start = wasm_function(m, wasm_type(m, "", ""), 1, code);
	wasm_memory(m, 1);
	wasm_export(m, "memory", WASM_MEMORY, 0);
	wasm_export(m, "_start", WASM_FUNC, start);
	return wasm_finish(m);
}

static void the_ping_module_has_its_bytes(void **state)
{
	(void)state;
	assert_int_equal(sizeof ping_module, PING_MODULE_SIZE + 1);
	assert_int_equal(strlen(PING_REQUEST), 119);
}

static void ping_answers_with_every_engine(void **state)
{
	(void)state;
	struct lab_http http = {.status = 200, .body = S("{\"ok\":true}")};
	for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
		struct lab lab;
		lab_start(&lab, str_of(ping_module, PING_MODULE_SIZE), &variants[i]);
		for (int round = 0; round < 3; round++) {
			AUTO_DONE done;
			struct runner_call ask = lab_ask(S("{\"args\":{},\"op\":\"ping\"}"));
			lab_call(&lab, &ask, &http, &done);
			assert_int_equal(done.done.end, RUNNER_END_EXIT);
			assert_int_equal(done.done.exit_code, 0);
			assert_str(done.done.output, S("{\"output\":{\"reply\":{\"ok\":true}}}\n"));
			assert_str(buf_str(&done.logs), S("info|ping start\n"));
			assert_str(buf_str(&done.envelopes), S("1:" PING_REQUEST "\n"));
			assert_int_equal(done.done.memory_peak, 64 * KIB);
		}
		lab_stop(&lab);
	}
}

static void ping_exits_with_one_when_refused(void **state)
{
	(void)state;
	struct lab_http denied = {.rc = -1}, failed = {.status = 500, .body = S("no")};
	struct runner_call ask = lab_ask(S("{}"));
	AUTO_DONE a, b;
	lab_once(str_of(ping_module, PING_MODULE_SIZE), &ask, &denied, &a);
	assert_int_equal(a.done.exit_code, 1);
	lab_once(str_of(ping_module, PING_MODULE_SIZE), &ask, &failed, &b);
	assert_int_equal(b.done.exit_code, 1);
}

static void every_function_links(void **state)
{
	(void)state;
	AUTO_WASM m;
	wasm_init(&m);
	unsigned n = 0;
	for (const struct host_module *module = host_modules; module->name != NULL; module++) {
		for (const struct host_function *f = module->functions; f->name != NULL; f++, n++)
			wasm_import(&m, module->name, f->name, f->params, f->returns ? "i" : "");
	}
	assert_int_equal(n, 57);
	struct lab lab;
	lab_start(&lab, wasm_finish(&m), &variants[1]);
	AUTO_DONE done;
	struct runner_call ask = lab_ask(S("{}"));
	lab_call(&lab, &ask, NULL, &done);
	assert_int_equal(done.done.end, RUNNER_END_EXIT); /* no `_start`: success without output */
	assert_int_equal(done.done.output.n, 0);
	lab_stop(&lab);
}

static void expect_refused(struct wasm *m, const char *reason, const char *in_message)
{
	struct lab lab;
	static struct err err;
	err_clear(&err);
	assert_int_equal(lab_try(&lab, wasm_finish(m), &variants[0], &err), -1);
	assert_int_equal(err.class, ERR_CONNECTOR_LOAD_FAILED);
	AUTO_FREE char *detail = xasprintf("\"reason\":\"%s\"", reason);
	if (strstr(err.details, detail) == NULL || strstr(err.message, in_message) == NULL)
		fail_msg("got '%s' with %s", err.message, err.details);
}

static void missing_imports_are_named(void **state)
{
	(void)state;
	AUTO_WASM a, b, c;
	wasm_init(&a);
	wasm_import(&a, HOST_MODULE, "foo", "i", "i");
	expect_refused(&a, "missing_import", "'aileron_host.foo', which does not exist");
	wasm_init(&b);
	wasm_import(&b, "env", "log", "iiii", "");
	expect_refused(&b, "missing_import", "'env.log', but no module of that name");
	wasm_init(&c);
	wasm_import(&c, WASI_MODULE, "sock_open", "iii", "i");
	expect_refused(&c, "missing_import", "sock_open");
}

static void wrong_signatures_are_named(void **state)
{
	(void)state;
	const char *wrong[][2] = {{"iii", "i"}, {"iIii", "i"}, {"iiii", ""}, {"iiii", "I"}};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		AUTO_WASM m;
		wasm_init(&m);
		wasm_import(&m, WASI_MODULE, "fd_write", wrong[i][0], wrong[i][1]);
		expect_refused(&m, "signature_mismatch", "'wasi_snapshot_preview1.fd_write'");
	}
	AUTO_WASM m;
	wasm_init(&m);
	AUTO_BUF code = BUF_INIT(64);
	uint32_t start = wasm_function(&m, wasm_type(&m, "i", ""), 0, &code);
	wasm_export(&m, "_start", WASM_FUNC, start);
	expect_refused(&m, "signature_mismatch", "'_start'");
}

static void garbage_is_an_invalid_module(void **state)
{
	(void)state;
	static const struct {
		const char *p;
		size_t n;
	} garbage[] = {{"", 0},
		       {"hello", 5},
		       {"\0asm", 4},
		       {"\0asm\2\0\0\0", 8},
		       {"\0asm\1\0\0\0\1\xff", 10},
		       {"\0asm\x0d\0\1\0", 8}};
	for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
		for (int winch = 0; winch < 2; winch++) {
			static struct err err;
			err_clear(&err);
			assert_int_equal(lab_compile(str_of(garbage[i].p, garbage[i].n), winch, &err), -1);
			assert_int_equal(err.class, ERR_CONNECTOR_LOAD_FAILED);
			assert_non_null(strstr(err.details, "\"reason\":\"invalid_module\""));
			assert_true(str_starts(str_from(err.message), S("compile WASM: ")));
			assert_null(strchr(err.message, '\n'));
		}
	}
}

/* Proposals after core 2.0: each of these validates in an engine that has them. */
static void later_proposals_are_refused(void **state)
{
	(void)state;
	static struct err err;
	AUTO_WASM tail, two, wide, relaxed;
	AUTO_BUF code = BUF_INIT(64);

	wasm_init(&tail);
	buf_add(&code, "\x12\x00", 2); /* return_call 0 */
	wasm_function(&tail, wasm_type(&tail, "", ""), 0, &code);
	assert_int_equal(lab_compile(wasm_finish(&tail), RUNNER_CRANELIFT, &err), -1);

	wasm_init(&two);
	wasm_memory(&two, 1);
	wasm_memory(&two, 1);
	assert_int_equal(lab_compile(wasm_finish(&two), RUNNER_CRANELIFT, &err), -1);

	wasm_init(&wide); /* a 64-bit memory */
	buf_add(&wide.parts[WASM_MEMORIES], "\x04\x01", 2);
	wide.counts[WASM_MEMORIES] = 1;
	assert_int_equal(lab_compile(wasm_finish(&wide), RUNNER_CRANELIFT, &err), -1);

	wasm_init(&relaxed); /* i8x16.relaxed_swizzle of two constants */
	buf_clear(&code);
	for (int i = 0; i < 2; i++)
		buf_add(&code, "\xfd\x0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18);
	buf_add(&code, "\xfd\x80\x02\x1a", 4);
	wasm_function(&relaxed, wasm_type(&relaxed, "", ""), 0, &code);
	assert_int_equal(lab_compile(wasm_finish(&relaxed), RUNNER_CRANELIFT, &err), -1);
}

#if AILERON_WASMTIME_EXTRAS
/* Those that the C API has no switch for. */
static void proposals_without_a_switch_are_refused(void **state)
{
	(void)state;
	static const char extended[] = "\0asm\1\0\0\0\6\11\1\x7f\0\x41\1\x41\2\x6a\x0b"; /* a global of 1 + 2 */
	static struct err err;
	AUTO_WASM typed;
	AUTO_BUF code = BUF_INIT(64);
	wasm_init(&typed);
	buf_add(&code, "\xd0\x00\x14\x00", 4); /* ref.null of type 0, call_ref */
	wasm_function(&typed, wasm_type(&typed, "", ""), 0, &code);
	struct str typed_bytes = wasm_finish(&typed);
	for (int strategy = RUNNER_CRANELIFT; strategy <= RUNNER_WINCH; strategy++) {
		assert_int_equal(lab_compile(str_of(extended, sizeof extended - 1), strategy, &err), -1);
		assert_non_null(strstr(err.details, "\"reason\":\"invalid_module\""));
		assert_int_equal(lab_compile(typed_bytes, strategy, &err), -1);
		assert_non_null(strstr(err.details, "\"reason\":\"invalid_module\""));
	}
}
#endif

struct trap_case {
	const char *name;
	const char *code;
	size_t n;
};
#define CODE(name, bytes)                                                                                              \
	{                                                                                                              \
		name, bytes, sizeof(bytes) - 1                                                                         \
	}

static const struct trap_case trap_cases[] = {
	CODE("unreachable", "\x00"),
	CODE("memory_out_of_bounds", "\x41\x7f\x28\x02\x00\x1a"),             /* load at 2^32 - 1 */
	CODE("integer_divide_by_zero", "\x41\x01\x41\x00\x6d\x1a"),           /* 1 / 0 */
	CODE("integer_overflow", "\x41\x80\x80\x80\x80\x78\x41\x7f\x6d\x1a"), /* INT_MIN / -1 */
	CODE("bad_conversion_to_integer", "\x43\x00\x00\xc0\x7f\xa8\x1a"),    /* i32.trunc_f32_s(nan) */
	CODE("indirect_call_to_null", "\x41\x01\x11\x01\x00"),                /* call_indirect of slot 1 */
	CODE("bad_signature", "\x41\x05\x41\x00\x11\x00\x00\x1a"),            /* slot 0 as (i32 x4) -> i32 */
	CODE("table_out_of_bounds", "\x41\xe4\x00\x11\x01\x00"),              /* slot 100 */
	CODE("stack_overflow", "\x10\x01"),                                   /* calls itself */
};

static struct str trapping(struct wasm *m, const struct trap_case *trap)
{
	wasm_init(m);
	AUTO_BUF code = BUF_INIT(1024);
	if (strcmp(trap->name, "bad_signature") == 0)
		for (int i = 0; i < 3; i++)
			op_i32(&code, 5);
	buf_add(&code, trap->code, trap->n);
	wasm_import(m, WASI_MODULE, "fd_write", "iiii", "i"); /* type 0 */
	uint32_t start = wasm_function(m, wasm_type(m, "", ""), 0, &code);
	wasm_memory(m, 1);
	wasm_table(m, 2);
	wasm_element(m, 0, start);
	wasm_export(m, "memory", WASM_MEMORY, 0);
	wasm_export(m, "_start", WASM_FUNC, start);
	return wasm_finish(m);
}

static void traps_have_names(void **state)
{
	(void)state;
	for (size_t v = 0; v < ARRAY_LEN(variants); v++) {
		for (size_t i = 0; i < ARRAY_LEN(trap_cases); i++) {
			AUTO_WASM m;
			struct lab lab;
			lab_start(&lab, trapping(&m, &trap_cases[i]), &variants[v]);
			AUTO_DONE done;
			struct runner_call ask = lab_ask(S("{}"));
			lab_call(&lab, &ask, NULL, &done);
			assert_int_equal(done.done.end, RUNNER_END_TRAP);
			assert_str(done.done.trap, str_from(trap_cases[i].name));
			assert_true(str_find(done.done.message, S("\n  0: ")) != STR_NPOS);
			lab_stop(&lab);
		}
	}
}

static void backtraces_use_the_name_section(void **state)
{
	(void)state;
	AUTO_WASM m;
	struct str wasm = trapping(&m, &trap_cases[0]);
	AUTO_BUF named = BUF_INIT(64 * KIB);
	buf_add_str(&named, wasm);
	/* custom section "name", function names: function 1 is "deep_inside" */
	static const char names[] = "\x00\x15\x04name\x01\x0e\x01\x01\x0b"
				    "deep_inside";
	buf_add(&named, names, sizeof names - 1);
	AUTO_DONE done;
	struct runner_call ask = lab_ask(S("{}"));
	lab_once(buf_str(&named), &ask, NULL, &done);
	assert_str(done.done.trap, S("unreachable"));
	assert_true(
		str_starts(done.done.message, S("unreachable instruction executed\n  0: deep_inside (function 1, ")));
}

/* A start section runs before `_start`; a trap there is a trap, not a failed instantiation. */
static void the_start_section_runs_first(void **state)
{
	(void)state;
	AUTO_WASM m, bad;
	AUTO_BUF first = BUF_INIT(256), second = BUF_INIT(256);
	wasm_init(&m);
	uint32_t fd_write = wasm_import(&m, WASI_MODULE, "fd_write", "iiii", "i");
	op_write(&first, fd_write, 1, 0, 0x100, 1);
	op_write(&second, fd_write, 1, 0, 0x101, 1);
	uint32_t type = wasm_type(&m, "", "");
	m.start = wasm_function(&m, type, 0, &first);
	uint32_t start = wasm_function(&m, type, 0, &second);
	wasm_memory(&m, 1);
	wasm_data(&m, 0x100, S("ab"));
	wasm_export(&m, "memory", WASM_MEMORY, 0);
	wasm_export(&m, "_start", WASM_FUNC, start);
	AUTO_DONE done, trapped;
	struct runner_call ask = lab_ask(S("{}"));
	lab_once(wasm_finish(&m), &ask, NULL, &done);
	assert_str(done.done.output, S("ab"));

	wasm_init(&bad);
	buf_clear(&first);
	op_unreachable(&first);
	bad.start = wasm_function(&bad, wasm_type(&bad, "", ""), 0, &first);
	lab_once(wasm_finish(&bad), &ask, NULL, &trapped);
	assert_int_equal(trapped.done.end, RUNNER_END_TRAP);
	assert_str(trapped.done.trap, S("unreachable"));
}

/* More than the pool has for one module: it is served all the same. */
static void a_module_may_have_many_tables(void **state)
{
	(void)state;
	for (size_t v = 0; v < ARRAY_LEN(variants); v++) {
		AUTO_WASM m;
		AUTO_BUF code = BUF_INIT(256);
		struct lab lab;
		wasm_init(&m);
		uint32_t fd_write = wasm_import(&m, WASI_MODULE, "fd_write", "iiii", "i");
		op_write(&code, fd_write, 1, 0, 0x100, 2);
		uint32_t start = wasm_function(&m, wasm_type(&m, "", ""), 0, &code);
		wasm_memory(&m, 1);
		wasm_data(&m, 0x100, S("ok"));
		for (int i = 0; i < 20; i++)
			wasm_table(&m, 2);
		wasm_export(&m, "memory", WASM_MEMORY, 0);
		wasm_export(&m, "_start", WASM_FUNC, start);
		lab_start(&lab, wasm_finish(&m), &variants[v]);
		AUTO_DONE done;
		struct runner_call ask = lab_ask(S("{}"));
		lab_call(&lab, &ask, NULL, &done);
		assert_str(done.done.output, S("ok"));
		lab_stop(&lab);
	}
}

/* Data that does not fit in the memory: nothing of the guest ran. */
static void a_failed_instantiation_is_no_trap(void **state)
{
	(void)state;
	AUTO_WASM m;
	wasm_init(&m);
	wasm_memory(&m, 1);
	wasm_data(&m, 65535, S("ab"));
	AUTO_DONE done;
	struct runner_call ask = lab_ask(S("{}"));
	lab_once(wasm_finish(&m), &ask, NULL, &done);
	assert_int_equal(done.done.end, RUNNER_END_NOT_STARTED);
	assert_true(done.done.message.n > 0);
}

static void initial_memory_above_the_limit_is_named(void **state)
{
	(void)state;
	for (int exported = 0; exported < 2; exported++) {
		for (size_t v = 0; v < ARRAY_LEN(variants); v++) {
			AUTO_WASM m;
			wasm_init(&m);
			wasm_memory(&m, 32);
			if (exported)
				wasm_export(&m, "memory", WASM_MEMORY, 0);
			struct lab lab;
			lab_start(&lab, wasm_finish(&m), &variants[v]);
			AUTO_DONE done, fits;
			struct runner_call ask = lab_ask(S("{}"));
			ask.memory_bytes = 31 * 64 * KIB;
			lab_call(&lab, &ask, NULL, &done);
			assert_int_equal(done.done.end, RUNNER_END_LIMIT);
			assert_str(done.done.limit, S("memory"));
			ask.memory_bytes = 32 * 64 * KIB;
			lab_call(&lab, &ask, NULL, &fits);
			assert_int_equal(fits.done.end, RUNNER_END_EXIT);
			lab_stop(&lab);
		}
	}
}

/* More than any call may have is found at the call too, not when the code is loaded. */
static void a_module_may_ask_for_too_much(void **state)
{
	(void)state;
	for (size_t v = 0; v < 2; v++) {
		AUTO_WASM m;
		wasm_init(&m);
		wasm_memory(&m, 65536);
		struct lab lab;
		lab_start(&lab, wasm_finish(&m), &variants[v]);
		AUTO_DONE done;
		struct runner_call ask = lab_ask(S("{}"));
		ask.memory_bytes = LIMIT_MEMORY_CEILING;
		lab_call(&lab, &ask, NULL, &done);
		assert_str(done.done.limit, S("memory"));
		lab_stop(&lab);
	}
}

static void a_refused_grow_is_remembered(void **state)
{
	(void)state;
	for (size_t v = 0; v < ARRAY_LEN(variants); v++) {
		AUTO_WASM m;
		AUTO_BUF code = BUF_INIT(256);
		wasm_init(&m);
		op_i32(&code, 0x200);
		op_grow(&code, 3); /* 4 pages: fits */
		op_store(&code);
		op_i32(&code, 0x204);
		op_grow(&code, 1); /* 5: does not */
		op_store(&code);
		op_write(&code, 0, 1, 0, 0x200, 8);
		struct lab lab;
		lab_start(&lab, module_of(&m, &code), &variants[v]);
		AUTO_DONE done, roomy;
		struct runner_call ask = lab_ask(S("{}"));
		ask.memory_bytes = 4 * 64 * KIB;
		lab_call(&lab, &ask, NULL, &done);
		assert_int_equal(done.done.end, RUNNER_END_EXIT); /* it coped */
		assert_str(done.done.output, str_of("\1\0\0\0\xff\xff\xff\xff", 8));
		assert_true(done.done.memory_refused);
		assert_int_equal(done.done.memory_peak, 4 * 64 * KIB);
		ask.memory_bytes = LIMIT_MEMORY_DEFAULT;
		lab_call(&lab, &ask, NULL, &roomy);
		assert_false(roomy.done.memory_refused);
		assert_str(roomy.done.output, str_of("\1\0\0\0\4\0\0\0", 8));
		lab_stop(&lab);
	}
}

/* Each call starts from the module's data, not from what the last one left. */
static void every_instance_is_fresh(void **state)
{
	(void)state;
	for (size_t v = 0; v < ARRAY_LEN(variants); v++) {
		AUTO_WASM m;
		AUTO_BUF code = BUF_INIT(256);
		wasm_init(&m);
		op_write(&code, 0, 1, 0, 0x8000, 4);
		op_i32(&code, 0x8000);
		op_i32(&code, 0x41414141);
		op_store(&code);
		op_write(&code, 0, 1, 0, 0x8000, 4);
		wasm_data(&m, 0x8000, S("new!"));
		struct lab lab;
		lab_start(&lab, module_of(&m, &code), &variants[v]);
		for (int i = 0; i < 20; i++) {
			AUTO_DONE done;
			struct runner_call ask = lab_ask(S("{}"));
			lab_call(&lab, &ask, NULL, &done);
			assert_str(done.done.output, S("new!AAAA"));
		}
		lab_stop(&lab);
	}
}

/* The engine's code with a trailer behind it loads; any damaged byte is found before the engine sees it. */
static void damaged_code_is_refused(void **state)
{
	(void)state;
	AUTO_WASM m;
	AUTO_BUF code = BUF_INIT(64);
	wasm_init(&m);
	static struct err err;
	AUTO_FD fd = lab_compile(module_of(&m, &code), RUNNER_CRANELIFT, &err);
	assert_true(fd >= 0);
	int pair[2];
	assert_int_equal(child_socketpair(pair, &err), 0);
	AUTO(rpc_channel) *channel = rpc_channel_new(pair[0], runner_child_rules);
	close(pair[1]);
	struct runner_start start = {.threads = 1};
	memcpy(start.content_hash, lab_hash, sizeof start.content_hash);

	off_t n = lseek(fd, 0, SEEK_END);
	for (off_t at = 0; at < n; at += at + 200 < n ? 199 : 1) {
		char byte, other;
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		other = (char)(byte ^ 0x10);
		assert_int_equal(pwrite(fd, &other, 1, at), 1);
		err_clear(&err);
		assert_null(server_new(channel, &start, fd, &err));
		assert_int_equal(err.class, ERR_HASH_MISMATCH);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	AUTO(server) *sound = server_new(channel, &start, fd, &err);
	assert_non_null(sound);

	start.strategy = RUNNER_WINCH; /* another fingerprint */
	assert_null(server_new(channel, &start, fd, &err));
	assert_non_null(strstr(err.details, "stale_code"));
}

/* Sound by its checksum, and still not code of this engine. */
static void code_of_another_engine_is_stale(void **state)
{
	(void)state;
	static struct err err;
	AUTO_FD fd = memfd_create("code", MFD_CLOEXEC);
	char nonsense[8192] = "\x7f"
			      "ELF";
	assert_int_equal(write(fd, nonsense, sizeof nonsense), sizeof nonsense);
	uint8_t fingerprint[CODE_FILE_HASH];
	connector_code_fingerprint(RUNNER_CRANELIFT, fingerprint);
	assert_int_equal(code_file_seal(fd, lab_hash, fingerprint, &err), 0);
	int pair[2];
	assert_int_equal(child_socketpair(pair, &err), 0);
	AUTO(rpc_channel) *channel = rpc_channel_new(pair[0], runner_child_rules);
	close(pair[1]);
	struct runner_start start = {.threads = 1};
	memcpy(start.content_hash, lab_hash, sizeof start.content_hash);
	assert_null(server_new(channel, &start, fd, &err));
	assert_int_equal(err.class, ERR_HASH_MISMATCH);
	assert_non_null(strstr(err.details, "stale_code"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ping_module_has_its_bytes),
		cmocka_unit_test(ping_answers_with_every_engine),
		cmocka_unit_test(ping_exits_with_one_when_refused),
		cmocka_unit_test(every_function_links),
		cmocka_unit_test(missing_imports_are_named),
		cmocka_unit_test(wrong_signatures_are_named),
		cmocka_unit_test(garbage_is_an_invalid_module),
		cmocka_unit_test(later_proposals_are_refused),
#if AILERON_WASMTIME_EXTRAS
		cmocka_unit_test(proposals_without_a_switch_are_refused),
#endif
		cmocka_unit_test(traps_have_names),
		cmocka_unit_test(backtraces_use_the_name_section),
		cmocka_unit_test(the_start_section_runs_first),
		cmocka_unit_test(a_module_may_have_many_tables),
		cmocka_unit_test(a_failed_instantiation_is_no_trap),
		cmocka_unit_test(initial_memory_above_the_limit_is_named),
		cmocka_unit_test(a_module_may_ask_for_too_much),
		cmocka_unit_test(a_refused_grow_is_remembered),
		cmocka_unit_test(every_instance_is_fresh),
		cmocka_unit_test(damaged_code_is_refused),
		cmocka_unit_test(code_of_another_engine_is_stale),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
