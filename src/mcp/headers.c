/* The headers that repeat parts of a request of revision 2026-07-28 for whoever routes it: they must say the same. */
#include "base/base64.h"
#include "mcp/core.h"
#include "mcp/names.h"

#define VALUE_MAX    ((size_t)64 << 10)
#define SCHEMA_DEPTH 32

/* The one value; NULL, or what is wrong. */
static const char *take(const struct arrival *arrival, struct str name, struct str *ret)
{
	size_t n = 0;
	struct str value = arrival->header(arrival->header_user, name, &n);
	if (n == 0)
		return "a header that this request needs is missing";
	if (n > 1)
		return "a header that this request needs stands there more than once";
	*ret = str_trim(value);
	return NULL;
}

const char *header_check_version(const struct arrival *arrival)
{
	struct str value, claimed = STR_EMPTY;
	if (arrival->header == NULL)
		return NULL;
	const char *wrong = take(arrival, S("MCP-Protocol-Version"), &value);
	if (wrong != NULL)
		return wrong;
	(void)json_get_str(json_member(arrival->message->meta, NAME_PROTOCOL_VERSION), &claimed);
	return str_eq(value, claimed) ? NULL : "'MCP-Protocol-Version' is not what the request's _meta says";
}

const char *header_check_method(const struct arrival *arrival)
{
	struct str value;
	if (arrival->header == NULL)
		return NULL;
	const char *wrong = take(arrival, S("Mcp-Method"), &value);
	if (wrong != NULL)
		return wrong;
	return str_eq(value, arrival->message->method) ? NULL : "'Mcp-Method' is not the request's method";
}

/* A value that a client wrapped because a header cannot carry it as it is; without both marks it is literal. */
static bool unwrap(struct str value, struct buf *ret)
{
	struct str begin = S("=?base64?"), end = S("?=");
	if (value.n < begin.n + end.n || !str_starts(value, begin) || !str_ends(value, end)) {
		buf_add_str(ret, value);
		return buf_ok(ret);
	}
	struct str text = str_slice(value, begin.n, value.n - end.n);
	return base64_decode(ret, text, BASE64_STANDARD, NULL) == 0 && str_is_utf8(buf_str(ret));
}

static bool says(struct str value, struct str expected)
{
	AUTO_BUF text = BUF_INIT(VALUE_MAX);
	return unwrap(value, &text) && str_eq(buf_str(&text), expected);
}

const char *header_check_name(const struct arrival *arrival, struct str member)
{
	struct str value, expected;
	if (arrival->header == NULL || member.n == 0 ||
	    !json_get_str(json_member(arrival->message->params, member), &expected))
		return NULL; /* a member that is missing is told as what it is */
	const char *wrong = take(arrival, S("Mcp-Name"), &value);
	if (wrong != NULL)
		return wrong;
	return says(value, expected) ? NULL : "'Mcp-Name' is not what the request names";
}

static bool says_number(struct str value, const struct json *argument)
{
	AUTO_BUF text = BUF_INIT(VALUE_MAX);
	if (!unwrap(value, &text))
		return false;
	AUTO(json) *number = json_parse(buf_str(&text), JSON_READ_SENSITIVE, NULL);
	double said, expected;
	return json_get_real(number, &said) && json_get_real(argument, &expected) && said == expected;
}

static const char *check_argument(const struct arrival *arrival, struct str name, const struct json *argument)
{
	AUTO_BUF header = BUF_INIT(VALUE_MAX);
	buf_add_str(&header, S("Mcp-Param-"));
	buf_add_str(&header, name);
	struct str value, text;
	const char *wrong = take(arrival, buf_str(&header), &value);
	if (wrong != NULL)
		return wrong;
	bool right, flag;
	if (json_get_str(argument, &text))
		right = says(value, text);
	else if (json_get_bool(argument, &flag))
		right = says(value, flag ? S("true") : S("false"));
	else
		right = says_number(value, argument);
	return right ? NULL : "an 'Mcp-Param-' header is not the argument that it repeats";
}

/* Follows `properties` alone: elsewhere the mark has no meaning. */
static const char *check_properties(const struct arrival *arrival, const struct json *schema,
				    const struct json *arguments, unsigned depth)
{
	struct json_iter it;
	if (depth == 0)
		return NULL;
	for (json_iter_init(&it, json_member(schema, S("properties"))); json_iter_next(&it);) {
		const struct json *argument = json_member(arguments, it.name);
		if (argument == NULL || json_kind(argument) == JSON_KIND_NULL)
			continue;
		struct str header;
		const char *wrong = NULL;
		if (json_get_str(json_member(it.value, S("x-mcp-header")), &header))
			wrong = check_argument(arrival, header, argument);
		else
			wrong = check_properties(arrival, it.value, argument, depth - 1);
		if (wrong != NULL)
			return wrong;
	}
	return NULL;
}

const char *header_check_arguments(const struct arrival *arrival, const struct mcp_call *call, struct str schema)
{
	if (arrival->header == NULL || call->arguments == NULL || str_find(schema, S("\"x-mcp-header\"")) == STR_NPOS)
		return NULL;
	AUTO(json) *document = json_parse(schema, JSON_READ_SENSITIVE, NULL);
	return check_properties(arrival, document, call->arguments, SCHEMA_DEPTH);
}
