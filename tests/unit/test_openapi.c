#include "api/openapi.h"
#include "api/operation.h"
#include "base/mem.h"
#include "text/json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct json *document;

static int make_document(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(OPENAPI_MAX);
	openapi_put(&text);
	assert_true(buf_ok(&text));
	document = json_parse(buf_str(&text), JSON_READ_STRICT, NULL);
	return document == NULL;
}

static int free_document(void **state)
{
	(void)state;
	json_free(document);
	return 0;
}

static struct str text_of(const struct json *object, const char *name)
{
	struct str text = STR_EMPTY;
	(void)json_get_str(json_member(object, str_from(name)), &text);
	return text;
}

static const struct json *below(const struct json *object, const char *a, const char *b)
{
	return json_member(json_member(object, str_from(a)), str_from(b));
}

static const struct json *resolve(struct str reference)
{
	const struct json *at = document;
	assert_true(str_starts(reference, S("#/")));
	struct str rest = str_slice(reference, 2, reference.n);
	while (rest.n > 0) {
		struct str part;
		rest = str_cut(rest, '/', &part);
		at = json_member(at, part);
		assert_non_null(at);
	}
	return at;
}

static void the_same_bytes_each_time(void **state)
{
	(void)state;
	AUTO_BUF one = BUF_INIT(OPENAPI_MAX), two = BUF_INIT(OPENAPI_MAX);
	openapi_put(&one);
	openapi_put(&two);
	assert_true(str_eq(buf_str(&one), buf_str(&two)));
}

static void an_open_vault_answers_with_its_state(void **state)
{
	(void)state;
	const struct json *post = below(json_member(document, S("paths")), "/v1/vault/unlock", "post");
	const struct json *content = below(json_member(post, S("responses")), "409", "content");
	const struct json *schema = below(content, "application/json", "schema");
	assert_true(str_eq(text_of(schema, "$ref"), S("#/components/schemas/VaultStatus")));
}

static void it_says_what_it_is(void **state)
{
	(void)state;
	assert_true(str_eq(text_of(document, "openapi"), S("3.1.0")));
	assert_true(text_of(json_member(document, S("info")), "title").n > 0);
	assert_true(text_of(json_member(document, S("info")), "version").n > 0);
}

/* A schema, with everything below it: known keywords of JSON Schema, in their types; a reference leads somewhere. */
static void check_schema(const struct json *schema)
{
	static const char *const types[] = {"string", "integer", "boolean", "object", "array", "null"};
	assert_int_equal(json_kind(schema), JSON_KIND_OBJECT);
	struct str reference = text_of(schema, "$ref");
	if (reference.n > 0) {
		assert_non_null(resolve(reference));
		return;
	}
	const struct json *either = json_member(schema, S("anyOf"));
	for (size_t i = 0; i < json_length(either); i++)
		check_schema(json_at(either, i));
	if (either != NULL)
		return;
	const struct json *type = json_member(schema, S("type"));
	size_t n = json_kind(type) == JSON_KIND_ARRAY ? json_length(type) : 1;
	assert_true(n >= 1);
	for (size_t i = 0; i < n; i++) {
		struct str name;
		bool known = false;
		assert_true(json_get_str(json_kind(type) == JSON_KIND_ARRAY ? json_at(type, i) : type, &name));
		for (size_t j = 0; j < ARRAY_LEN(types); j++)
			known = known || str_eq(name, str_from(types[j]));
		assert_true(known);
	}
	struct json_iter it;
	const struct json *properties = json_member(schema, S("properties"));
	for (json_iter_init(&it, properties); json_iter_next(&it);)
		check_schema(it.value);
	const struct json *required = json_member(schema, S("required"));
	for (size_t i = 0; i < json_length(required); i++) {
		struct str name;
		assert_true(json_get_str(json_at(required, i), &name));
		assert_non_null(json_member(properties, name));
	}
	if (json_member(schema, S("items")) != NULL)
		check_schema(json_member(schema, S("items")));
	if (properties != NULL)
		assert_int_equal(json_kind(json_member(schema, S("additionalProperties"))), JSON_KIND_BOOL);
}

static void components_are_schemas(void **state)
{
	(void)state;
	struct json_iter it;
	size_t n = 0;
	for (json_iter_init(&it, below(document, "components", "schemas")); json_iter_next(&it); n++)
		check_schema(it.value);
	assert_true(n > 15);
	static const char *const envelopes[] = {"Error", "Failure", "Page"};
	for (size_t i = 0; i < ARRAY_LEN(envelopes); i++) {
		const struct json *response =
			below(below(document, "components", "responses"), envelopes[i], "content");
		check_schema(below(response, "application/json", "schema"));
	}
	for (json_iter_init(&it, below(document, "components", "securitySchemes")); json_iter_next(&it);)
		assert_true(str_eq(text_of(it.value, "scheme"), S("bearer")));
}

static void check_parameters(const struct operation *operation, const struct json *parameters)
{
	size_t in_path = 0, in_query = 0, wanted = 0;
	for (size_t i = 0; i < json_length(parameters); i++) {
		const struct json *parameter = json_at(parameters, i);
		bool path = str_eq(text_of(parameter, "in"), S("path")), required = false;
		in_path += path;
		in_query += !path;
		assert_true(json_get_bool(json_member(parameter, S("required")), &required));
		assert_true(required || !path);
		check_schema(json_member(parameter, S("schema")));
	}
	for (const char *c = operation->route; *c != '\0'; c++)
		wanted += *c == '{';
	assert_int_equal(in_path, wanted);
	wanted = 0;
	for (const struct api_field *field = operation->query; field != NULL && field->name != NULL; field++)
		wanted++;
	assert_int_equal(in_query, wanted);
}

static void check_contents(const struct json *response)
{
	struct json_iter it;
	assert_true(text_of(response, "description").n > 0);
	for (json_iter_init(&it, json_member(response, S("content"))); json_iter_next(&it);)
		check_schema(json_member(it.value, S("schema")));
}

/* No body counts as an empty object: it has to be sent only where that would not do. */
static void check_body(const struct operation *operation, const struct json *body)
{
	bool required = false, wanted = false;
	for (const struct api_field *field = operation->request; field->name != NULL; field++)
		wanted = wanted || (field->flags & API_REQUIRED) != 0;
	assert_true(json_get_bool(json_member(body, S("required")), &required));
	assert_int_equal(required, wanted);
	check_schema(below(json_member(body, S("content")), "application/json", "schema"));
}

static void every_operation_is_there(void **state)
{
	(void)state;
	for (enum api_operation_id id = 0; id < OP__MAX; id++) {
		const struct operation *operation = operation_at(id);
		char method[16];
		size_t n = 0;
		for (; operation->method[n] != '\0'; n++)
			method[n] = (char)(operation->method[n] - 'A' + 'a');
		method[n] = '\0';
		const struct json *path = below(document, "paths", operation->route);
		const struct json *at = json_member(path, str_from(method));
		assert_non_null(at);
		assert_true(str_eq(text_of(at, "operationId"), str_from(operation->name)));
		check_parameters(operation, json_member(at, S("parameters")));
		const struct json *responses = json_member(at, S("responses"));
		const char *status = (operation->flags & API_NO_CONTENT) != 0 ? "204"
				     : (operation->flags & API_CREATED) != 0  ? "201"
									      : "200";
		check_contents(json_member(responses, str_from(status)));
		assert_non_null(resolve(text_of(json_member(responses, S("default")), "$ref")));
		bool renewed = (operation->flags & API_RENEWED) != 0, there = operation->there != NULL;
		bool accepted = (operation->flags & API_ACCEPTED) != 0;
		assert_int_equal(json_length(responses), 2U + renewed + accepted + there);
		if (accepted)
			check_contents(json_member(responses, S("202")));
		if (renewed)
			check_contents(json_member(responses, S("200")));
		if (there)
			check_contents(json_member(responses, S("409")));
		assert_int_equal(json_length(json_member(at, S("security"))) == 0, operation->permission == API_OPEN);
		const struct json *body = json_member(at, S("requestBody"));
		assert_int_equal(body != NULL, operation->request != NULL);
		if (body != NULL)
			check_body(operation, body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_bytes_each_time),
		cmocka_unit_test(it_says_what_it_is),
		cmocka_unit_test(an_open_vault_answers_with_its_state),
		cmocka_unit_test(components_are_schemas),
		cmocka_unit_test(every_operation_is_there),
	};
	return cmocka_run_group_tests(tests, make_document, free_document);
}
