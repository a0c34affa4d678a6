/*
 * Any bytes as the query of an operation (the first byte chooses it) and, behind a newline, as the body of its request: what is
 * accepted fits its fields, what is refused says so, and the members of an accepted query come back through escaping.
 */
#include "api/query.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_refusal(const struct err *err)
{
	if (err->class != ERR_INVALID_REQUEST && err->class != ERR_SEALED_REQUIRED)
		BUG("refused as %s: %s", err_row(err->class)->name, err->message);
	if (!str_is_utf8(str_from(err->message)))
		BUG("a message that is no text");
}

/* Written again from what was read, it reads as the same. */
static void check_query(const struct operation *operation, const struct json *query)
{
	AUTO_BUF text = BUF_INIT(8 * API_QUERY_MAX);
	struct json_iter it;
	struct str value;
	for (json_iter_init(&it, query); json_iter_next(&it);) {
		if (!json_get_str(it.value, &value))
			BUG("a parameter that is no text");
		buf_addf(&text, "%s%.*s=", text.n > 0 ? "&" : "", STR_FMT(it.name));
		api_escape(&text, value);
	}
	if (text.n > API_QUERY_MAX)
		return;
	AUTO(json) *again = api_query(operation, buf_str(&text), NULL);
	if (again == NULL || json_length(again) != json_length(query))
		BUG("'%s' does not come back", text.p);
	for (json_iter_init(&it, query); json_iter_next(&it);) {
		struct str other;
		if (!json_get_str(it.value, &value) || !json_get_str(json_member(again, it.name), &other) ||
		    !str_eq(value, other))
			BUG("'%.*s' does not come back", STR_FMT(it.name));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct err err;
	if (n == 0)
		return 0;
	const struct operation *operation = operation_at(data[0] % OP__MAX);
	struct str text = str_of(data + 1, n - 1), first;
	struct str body = str_cut(text, '\n', &first);
	err_clear(&err);
	AUTO(json) *query = api_query(operation, first, &err);
	if (query != NULL)
		check_query(operation, query);
	else
		check_refusal(&err);
	AUTO(json) *json = json_parse(body, JSON_READ_STRICT, NULL);
	err_clear(&err);
	if (json != NULL && api_validate(operation->request, json, &err) < 0)
		check_refusal(&err);
	struct str parameters[API_PATH_PARAMETERS] = {{NULL, 0}};
	bool known;
	const struct operation *found = operation_find(S("GET"), first, parameters, &known);
	if (found != NULL && !known)
		BUG("found and not known");
	return 0;
}
