#include "egress/envelope.h"
#include "text/json.h"

/* The member of that name: an exact match, else the last that is equal but for case. NULL and null are the same. */
static const struct json *member(const struct json *object, struct str name)
{
	const struct json *found = json_member(object, name);
	if (found == NULL) {
		struct json_iter it;
		for (json_iter_init(&it, object); json_iter_next(&it);)
			found = str_eq_fold(it.name, name) ? it.value : found;
	}
	return found != NULL && json_kind(found) != JSON_KIND_NULL ? found : NULL;
}

static int wrong_type(const char *key, const struct json *value, const char *wanted, struct err *err)
{
	return fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "'%s' is of type %s and must be %s", key,
		    json_kind_name(json_kind(value)), wanted);
}

static int read_text(struct arena *arena, const struct json *root, const char *key, struct str *ret, struct err *err)
{
	const struct json *value = member(root, str_from(key));
	struct str text = STR_EMPTY;
	if (value != NULL && !json_get_str(value, &text))
		return wrong_type(key, value, "a string", err);
	*ret = arena_str(arena, text);
	return 0;
}

static int read_headers(struct arena *arena, const struct json *root, struct envelope *ret, struct err *err)
{
	const struct json *headers = member(root, S("headers"));
	if (headers == NULL)
		return 0;
	if (json_kind(headers) != JSON_KIND_OBJECT)
		return wrong_type("headers", headers, "an object", err);
	size_t most = json_length(headers);
	if (most > ENVELOPE_HEADERS_MAX)
		return fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "'headers' has %zu entries and may have %d", most,
			    ENVELOPE_HEADERS_MAX);

	struct message_header *list = arena_array(arena, most, sizeof *list);
	size_t n = 0;
	struct json_iter it;
	for (json_iter_init(&it, headers); json_iter_next(&it);) {
		struct str value;
		if (json_kind(it.value) == JSON_KIND_NULL)
			continue;
		if (!json_get_str(it.value, &value))
			return wrong_type("headers.*", it.value, "a string", err);
		list[n++] = (struct message_header){arena_str(arena, it.name), arena_str(arena, value)};
	}
	ret->headers = list;
	ret->n_headers = n;
	return 0;
}

int envelope_parse(struct arena *arena, struct str text, struct envelope *ret, struct err *err)
{
	struct err why = {0};
	AUTO(json) *root = json_parse(text, JSON_READ_LAST_DUPLICATE | JSON_READ_SENSITIVE, &why);
	if (root == NULL)
		return fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "%s", why.message);
	if (json_kind(root) != JSON_KIND_OBJECT && json_kind(root) != JSON_KIND_NULL)
		return fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "the top level is of type %s and must be an object",
			    json_kind_name(json_kind(root)));

	struct envelope e = {0};
	if (read_text(arena, root, "method", &e.method, err) != 0 || read_text(arena, root, "url", &e.url, err) != 0 ||
	    read_headers(arena, root, &e, err) != 0 || read_text(arena, root, "body", &e.body, err) != 0 ||
	    read_text(arena, root, "credential", &e.credential, err) != 0)
		return -1;
	if (e.method.n == 0)
		e.method = S("GET");
	*ret = e;
	return 0;
}
