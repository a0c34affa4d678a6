#include "api/operation.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static const char *const colours[] = {"red", "green", NULL};
static const struct api_field inner[] = {
	{"id", API_STRING, API_REQUIRED, 4, "", NULL, NULL},
	{NULL, API_STRING, 0, 0, NULL, NULL, NULL},
};
static const struct api_field fields[] = {
	{"name", API_STRING, API_REQUIRED, 8, "", NULL, NULL},
	{"colour", API_STRING, 0, 0, "", NULL, colours},
	{"count", API_INTEGER, API_NULLABLE, 10, "", NULL, NULL},
	{"on", API_BOOLEAN, 0, 0, "", NULL, NULL},
	{"one", API_OBJECT, 0, 0, "", inner, NULL},
	{"many", API_ARRAY, 0, 2, "", inner, NULL},
	{"words", API_ARRAY, 0, 2, "", NULL, NULL},
	{"labels", API_STRING_MAP, 0, 2, "", NULL, NULL},
	{"free", API_ANY_OBJECT, 0, 0, "", NULL, NULL},
	{NULL, API_STRING, 0, 0, NULL, NULL, NULL},
};

static struct err err;

static int check(const struct api_field *table, const char *text)
{
	AUTO(json) *json = json_parse(str_from(text), JSON_READ_STRICT, NULL);
	assert_non_null(json);
	err_clear(&err);
	return api_validate(table, json, &err);
}

static void what_fits_passes(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{\"name\":\"a\"}",
		"{\"name\":\"12345678\",\"colour\":\"green\",\"count\":10,\"on\":false}",
		"{\"name\":\"\",\"count\":null}",
		"{\"name\":\"a\",\"one\":{\"id\":\"x\"},\"many\":[{\"id\":\"x\"},{\"id\":\"yyyy\"}]}",
		"{\"name\":\"a\",\"many\":[],\"words\":[\"a\",\"b\"]}",
		"{\"name\":\"a\",\"labels\":{\"x\":\"y\"},\"free\":{\"any\":[1,{\"thing\":null}]}}",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(check(fields, texts[i]), 0);
	assert_int_equal(check(NULL, "{}"), 0);
}

static void what_does_not_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *text, *member;
	} cases[] = {
		{"{}", "name"},
		{"{\"name\":1}", "name"},
		{"{\"name\":null}", "name"},
		{"{\"name\":\"123456789\"}", "name"},
		{"{\"name\":\"a\",\"more\":1}", "more"},
		{"{\"name\":\"a\",\"Colour\":\"red\"}", "Colour"},
		{"{\"name\":\"a\",\"colour\":\"blue\"}", "colour"},
		{"{\"name\":\"a\",\"count\":11}", "count"},
		{"{\"name\":\"a\",\"count\":-1}", "count"},
		{"{\"name\":\"a\",\"count\":1.5}", "count"},
		{"{\"name\":\"a\",\"count\":\"1\"}", "count"},
		{"{\"name\":\"a\",\"on\":1}", "on"},
		{"{\"name\":\"a\",\"one\":[]}", "one"},
		{"{\"name\":\"a\",\"one\":{}}", "one.id"},
		{"{\"name\":\"a\",\"one\":{\"id\":\"12345\"}}", "one.id"},
		{"{\"name\":\"a\",\"one\":{\"id\":\"x\",\"y\":1}}", "one.y"},
		{"{\"name\":\"a\",\"many\":[{\"id\":\"x\"},{\"id\":2}]}", "many[1].id"},
		{"{\"name\":\"a\",\"many\":[{\"id\":\"x\"},1]}", "many[1]"},
		{"{\"name\":\"a\",\"many\":[{\"id\":\"x\"},{\"id\":\"x\"},{\"id\":\"x\"}]}", "many"},
		{"{\"name\":\"a\",\"words\":[\"a\",2]}", "words[1]"},
		{"{\"name\":\"a\",\"labels\":{\"x\":1}}", "labels.x"},
		{"{\"name\":\"a\",\"labels\":{\"x\":\"1\",\"y\":\"1\",\"z\":\"1\"}}", "labels"},
		{"{\"name\":\"a\",\"free\":[]}", "free"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char expected[64];
		assert_int_equal(check(fields, cases[i].text), -1);
		assert_int_equal(err.class, ERR_INVALID_REQUEST);
		snprintf(expected, sizeof expected, "'%s'", cases[i].member);
		assert_non_null(strstr(err.message, expected));
		assert_non_null(strstr(err.details, cases[i].member));
	}
	assert_int_equal(check(fields, "[]"), -1);
	assert_int_equal(check(NULL, "{\"a\":1}"), -1);
}

static void secrets_are_never_taken_plain(void **state)
{
	(void)state;
	const struct api_field *unlock = operation_at(OP_VAULT_UNLOCK)->request;
	const struct api_field *setup = operation_at(OP_BINDING_SETUP)->request;
	assert_int_equal(check(unlock, "{\"sealed\":\"AAAA\"}"), 0);
	static const char *const plain[] = {"{}", "{\"passphrase\":\"x\"}", "{\"sealed\":\"AA\",\"passphrase\":\"x\"}"};
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		assert_int_equal(check(unlock, plain[i]), -1);
		assert_int_equal(err.class, ERR_SEALED_REQUIRED);
	}
	assert_int_equal(check(setup, "{\"connector_fqn\":\"f\",\"bindings\":[{\"identity\":\"i\",\"source\":{\"kind\":"
				      "\"api_key\",\"value\":\"v\"}}]}"),
			 -1);
	assert_int_equal(err.class, ERR_SEALED_REQUIRED);
	assert_non_null(strstr(err.message, "bindings[0].source.value"));
	/* Where nothing is sealed, such a member is unknown like any other. */
	assert_int_equal(check(fields, "{\"name\":\"a\",\"value\":\"v\"}"), -1);
	assert_int_equal(err.class, ERR_INVALID_REQUEST);
}

static void a_name_from_outside_is_shown_safely(void **state)
{
	(void)state;
	assert_int_equal(check(fields, "{\"name\":\"a\",\"x\\u001b[31m\\u202ey\":1}"), -1);
	assert_null(strchr(err.message, '\033'));
	assert_null(strstr(err.message, "\xe2\x80\xae"));
	/* A name that is longer than anybody reads is cut. */
	AUTO_BUF text = BUF_INIT(8192);
	buf_add_z(&text, "{\"name\":\"a\",\"");
	for (int i = 0; i < 4000; i++)
		buf_add_char(&text, 'x');
	buf_add_z(&text, "\":1}");
	assert_int_equal(check(fields, text.p), -1);
	assert_true(strlen(err.message) < 600);
}

/* ------------------------------------------------------------------------------------------------ shapes of our own */

static void check_fields(const struct api_field *table, bool answer)
{
	for (const struct api_field *field = table; field != NULL && field->name != NULL; field++) {
		assert_true(field->name[0] != '\0');
		assert_non_null(field->about);
		for (const struct api_field *other = table; other != field; other++)
			assert_string_not_equal(other->name, field->name);
		if (field->type == API_OBJECT)
			assert_non_null(field->of);
		if (field->values != NULL)
			assert_int_equal(field->type, API_STRING);
		if (field->of != NULL)
			assert_true(field->type == API_OBJECT || field->type == API_ARRAY);
		/* What comes from outside is bounded. */
		if (!answer && field->values == NULL && field->type != API_BOOLEAN && field->type != API_OBJECT &&
		    field->type != API_ANY_OBJECT)
			assert_true(field->max > 0);
		/* No answer ever holds a secret's name. */
		if (answer)
			assert_int_equal(field->flags & API_SEALED, 0);
		check_fields(field->of, answer);
	}
}

static void every_shape_is_well_formed(void **state)
{
	(void)state;
	for (enum api_operation_id id = 0; id < OP__MAX; id++) {
		const struct operation *operation = operation_at(id);
		check_fields(operation->query, false);
		check_fields(operation->request, false);
		check_fields(operation->result, true);
		for (const struct api_field *field = operation->query; field != NULL && field->name != NULL; field++)
			assert_true(field->type == API_STRING || field->type == API_INTEGER ||
				    field->type == API_BOOLEAN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_passes),
		cmocka_unit_test(what_does_not_is_named),
		cmocka_unit_test(secrets_are_never_taken_plain),
		cmocka_unit_test(a_name_from_outside_is_shown_safely),
		cmocka_unit_test(every_shape_is_well_formed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
