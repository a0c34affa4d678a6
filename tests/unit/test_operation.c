#include "api/operation.h"
#include "audit/audit.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static const struct operation *find(const char *method, const char *path, struct str *parameters, bool *known)
{
	return operation_find(str_from(method), str_from(path), parameters, known);
}

static enum api_operation_id found(const char *method, const char *path)
{
	struct str parameters[API_PATH_PARAMETERS];
	bool known;
	const struct operation *operation = find(method, path, parameters, &known);
	assert_non_null(operation);
	assert_true(known);
	return operation->id;
}

static void rows_are_whole(void **state)
{
	(void)state;
	for (enum api_operation_id id = 0; id < OP__MAX; id++) {
		const struct operation *operation = operation_at(id);
		assert_int_equal(operation->id, id);
		assert_true(operation->name[0] >= 'a' && operation->name[0] <= 'z');
		assert_true(operation->summary[0] != '\0');
		assert_true(str_starts(str_from(operation->route), S("/")));
		/* As its own route, each name in braces a segment, it is what is found. */
		struct str parameters[API_PATH_PARAMETERS];
		bool known;
		assert_ptr_equal(find(operation->method, operation->route, parameters, &known), operation);
		bool answers = operation->result != NULL;
		if ((operation->flags & (API_NO_CONTENT | API_STREAM)) != 0)
			assert_false(answers);
		if ((operation->flags & API_NO_CONTENT) != 0)
			assert_int_equal(operation->flags & API_CREATED, 0);
		if (strcmp(operation->method, "GET") == 0 || strcmp(operation->method, "DELETE") == 0)
			assert_null(operation->request);
	}
}

/* The two spellings of a row are one name. */
static void names_are_symbols_in_small_letters(void **state)
{
	(void)state;
	static const char *const symbols[OP__MAX] = {
#define OPERATION(name, symbol, ...) #symbol,
#include "api/operations.def"
#undef OPERATION
	};
	for (enum api_operation_id id = 0; id < OP__MAX; id++) {
		struct str name = str_from(operation_at(id)->name);
		assert_true(str_eq_fold(name, str_from(symbols[id])));
		for (size_t i = 0; i < name.n; i++)
			assert_true(name.p[i] == '_' || (name.p[i] >= 'a' && name.p[i] <= 'z'));
	}
}

static bool is_event(struct str name)
{
	for (enum audit_type type = 0; type < AUDIT_TYPE__MAX; type++) {
		if (str_eq(name, str_from(audit_type_name(type))))
			return true;
	}
	return false;
}

static void what_is_audited_are_events(void **state)
{
	(void)state;
	for (enum api_operation_id id = 0; id < OP__MAX; id++) {
		struct str rest = str_from(operation_at(id)->audited);
		while (rest.n > 0) {
			struct str name;
			rest = str_cut(rest, ',', &name);
			if (!is_event(str_trim(name)))
				fail_msg("%s: '%s'", operation_at(id)->name, operation_at(id)->audited);
		}
	}
}

/* Every route, with a value for each name, finds its own row. */
static void every_route_is_found(void **state)
{
	(void)state;
	for (enum api_operation_id id = 0; id < OP__MAX; id++) {
		const struct operation *operation = operation_at(id);
		struct str parameters[API_PATH_PARAMETERS];
		char path[256];
		size_t n = 0;
		bool known, inside = false;
		for (const char *c = operation->route; *c != '\0'; c++) {
			if (*c == '{')
				path[n++] = 'x';
			inside = (inside || *c == '{') && *c != '}';
			if (!inside && *c != '}')
				path[n++] = *c;
		}
		path[n] = '\0';
		const struct operation *other = find(operation->method, path, parameters, &known);
		assert_non_null(other);
		assert_string_equal(other->name, operation->name);
	}
}

static void names_take_one_segment(void **state)
{
	(void)state;
	struct str parameters[API_PATH_PARAMETERS] = {{NULL, 0}};
	bool known;
	assert_non_null(find("GET", "/v1/bindings/api_key%2Fstripe%2Fwork", parameters, &known));
	assert_true(str_eq(parameters[0], S("api_key%2Fstripe%2Fwork")));
	assert_null(find("GET", "/v1/bindings/a/b", parameters, &known));
	assert_false(known);
	assert_null(find("GET", "/v1/bindings/", parameters, &known));
	assert_false(known);
}

static void what_is_spelled_out_wins(void **state)
{
	(void)state;
	assert_int_equal(found("GET", "/v1/audit/tail"), OP_AUDIT_TAIL);
	assert_int_equal(found("GET", "/v1/audit/export"), OP_AUDIT_EXPORT);
	assert_int_equal(found("GET", "/v1/audit/audit-1"), OP_AUDIT_GET);
	assert_int_equal(found("POST", "/v1/bindings/setup"), OP_BINDING_SETUP);
	assert_int_equal(found("POST", "/v1/bindings/setup/rebind"), OP_BINDING_REBIND);
	assert_int_equal(found("GET", "/v1/bindings/setup"), OP_BINDING_GET);
	assert_int_equal(found("DELETE", "/v1/person/tokens/current"), OP_TOKEN_REVOKE);
}

static void another_method_is_told_from_no_route(void **state)
{
	(void)state;
	struct str parameters[API_PATH_PARAMETERS];
	bool known = false;
	assert_null(find("PATCH", "/v1/health", parameters, &known));
	assert_true(known);
	static const char *const paths[] = {
		"", "/", "v1/health", "/v1/health/", "//v1/health", "/v1/healt", "/v1/Health", "/1/2/3/4/5/6/7/8/9/10"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		assert_null(find("GET", paths[i], parameters, &known));
		assert_false(known);
	}
	assert_null(find("get", "/v1/health", parameters, &known));
	assert_true(known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_whole),
		cmocka_unit_test(names_are_symbols_in_small_letters),
		cmocka_unit_test(what_is_audited_are_events),
		cmocka_unit_test(every_route_is_found),
		cmocka_unit_test(names_take_one_segment),
		cmocka_unit_test(what_is_spelled_out_wins),
		cmocka_unit_test(another_method_is_told_from_no_route),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
