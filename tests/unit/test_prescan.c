#include "base/limits.h"
#include "connector/prescan.h"
#include "engine/ping_module.h"
#include "engine/wasm_bytes.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void expect(struct str wasm, const char *rule)
{
	static struct err err;
	err_clear(&err);
	int result = prescan_module(wasm, &err);
	if (rule == NULL) {
		if (result != 0)
			fail_msg("refused: %s", err.message);
		return;
	}
	assert_int_equal(result, -1);
	assert_int_equal(err.class, ERR_RESOURCE_LIMIT_EXCEEDED);
	assert_non_null(strstr(err.details, "\"limit\":\"compile\""));
	AUTO_FREE char *detail = xasprintf("\"rule\":\"%s\"", rule);
	if (strstr(err.details, detail) == NULL)
		fail_msg("got %s, wanted %s", err.details, rule);
}

static void ordinary_modules_pass(void **state)
{
	(void)state;
	expect(str_of(ping_module, PING_MODULE_SIZE), NULL);
	expect(str_of(ping_module, 8), NULL);
	expect(S(""), NULL);
	expect(S("no module at all"), NULL);
}

static void functions_are_counted(void **state)
{
	(void)state;
	for (int over = 0; over < 2; over++) {
		AUTO_WASM m;
		AUTO_BUF code = BUF_INIT(16);
		wasm_init(&m);
		uint32_t type = wasm_type(&m, "", "");
		for (int i = 0; i < 10; i++)
			wasm_import(&m, "m", "n", "", "");
		for (unsigned i = 0; i < LIMIT_FUNCTIONS - 10U + (unsigned)over; i++)
			wasm_function(&m, type, 0, &code);
		expect(wasm_finish(&m), over ? "functions" : NULL);
	}
}

/* A count in the code section alone, without the functions that it claims. */
static void claimed_bodies_are_counted(void **state)
{
	(void)state;
	expect(str_of("\0asm\1\0\0\0\x0a\x03\xa1\x8d\x06", 13), "functions");
}

static void locals_are_added_up(void **state)
{
	(void)state;
	static const struct {
		uint32_t first, second;
		const char *rule;
	} cases[] = {
		{LIMIT_LOCALS, 0, NULL},   {LIMIT_LOCALS, 1, "locals"},        {1, LIMIT_LOCALS, "locals"},
		{0xffffffff, 0, "locals"}, {0xffffffff, 0xffffffff, "locals"}, {5000, 5000, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_WASM m;
		wasm_init(&m);
		AUTO_BUF body = BUF_INIT(64);
		wasm_u32(&body, 2);
		wasm_u32(&body, cases[i].first);
		buf_add_char(&body, 0x7f);
		wasm_u32(&body, cases[i].second);
		buf_add(&body, "\x7e\x0b", 2);
		wasm_u32(&m.parts[WASM_CODE], body.n);
		buf_add_str(&m.parts[WASM_CODE], buf_str(&body));
		m.counts[WASM_CODE] = 1;
		expect(wasm_finish(&m), cases[i].rule);
	}
}

static void bodies_have_a_size(void **state)
{
	(void)state;
	for (int over = 0; over < 2; over++) {
		AUTO_WASM m;
		AUTO_BUF code = BUF_INIT(16 * MIB);
		wasm_init(&m);
		size_t n = LIMIT_FUNCTION_BODY - 2 + (size_t)over; /* beside the count of locals and the end */
		memset(buf_reserve(&code, n), 0x01, n);
		buf_commit(&code, n);
		wasm_function(&m, wasm_type(&m, "", ""), 0, &code);
		expect(wasm_finish(&m), over ? "function_body" : NULL);
	}
}

static void table_elements_are_added_up(void **state)
{
	(void)state;
	for (int over = 0; over < 2; over++) {
		AUTO_WASM m;
		wasm_init(&m);
		wasm_table(&m, LIMIT_TABLE_ELEMENTS / 2);
		wasm_table(&m, LIMIT_TABLE_ELEMENTS / 2 + (uint64_t)over);
		expect(wasm_finish(&m), over ? "table_elements" : NULL);
	}
}

static void modules_have_a_size(void **state)
{
	(void)state;
	AUTO_BUF large = BUF_INIT(LIMIT_MODULE + 1);
	memset(buf_reserve(&large, LIMIT_MODULE + 1), 0, LIMIT_MODULE + 1);
	buf_commit(&large, LIMIT_MODULE + 1);
	expect(buf_str(&large), "module_size");
	expect(str_of(large.p, LIMIT_MODULE), NULL);
}

/* Whatever is cut off or changed, nothing past the end is read (the sanitizer sees it). */
static void malformed_modules_are_left_to_the_engine(void **state)
{
	(void)state;
	for (size_t n = 0; n <= PING_MODULE_SIZE; n++) {
		AUTO_FREE char *copy = xmalloc(n + 1);
		memcpy(copy, ping_module, n);
		char *exact = xmalloc(n > 0 ? n : 1);
		memcpy(exact, ping_module, n);
		expect(str_of(exact, n), NULL);
		free(exact);
	}
	srand(3);
	for (int round = 0; round < 20000; round++) {
		char *copy = xmalloc(PING_MODULE_SIZE);
		memcpy(copy, ping_module, PING_MODULE_SIZE);
		for (int i = 0; i < 3; i++)
			copy[rand() % PING_MODULE_SIZE] = (char)rand();
		(void)!prescan_module(str_of(copy, PING_MODULE_SIZE), NULL);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_modules_pass),
		cmocka_unit_test(functions_are_counted),
		cmocka_unit_test(claimed_bodies_are_counted),
		cmocka_unit_test(locals_are_added_up),
		cmocka_unit_test(bodies_have_a_size),
		cmocka_unit_test(table_elements_are_added_up),
		cmocka_unit_test(modules_have_a_size),
		cmocka_unit_test(malformed_modules_are_left_to_the_engine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
