#include "mcp/message.h"
#include "base/ascii.h"
#include "mcp/names.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_blanks(struct str text, size_t at)
{
	while (at < text.n && is_blank(text.p[at]))
		at++;
	return at;
}

static size_t skip_string(struct str text, size_t at)
{
	for (at++; at < text.n && text.p[at] != '"'; at++) {
		if (text.p[at] == '\\')
			at++;
	}
	return at + 1;
}

/* Behind the value that begins at `at`, in valid JSON. */
static size_t skip_value(struct str text, size_t at)
{
	size_t depth = 0;
	while (at < text.n) {
		char c = text.p[at];
		if (c == '"') {
			at = skip_string(text, at);
		} else if (c == '{' || c == '[') {
			depth++;
			at++;
			continue;
		} else if (c == '}' || c == ']') {
			depth--;
			at++;
		} else if (c == ',' || c == ':' || is_blank(c)) {
			at++;
			continue;
		} else {
			while (at < text.n && !is_blank(text.p[at]) && memchr(",:]}", text.p[at], 4) == NULL)
				at++;
		}
		if (depth == 0)
			return MIN(at, text.n);
	}
	return text.n;
}

/* The next value of an object or array, of which `*at` is the bracket that opens it or where the one before ended. */
static struct str next_value(struct str text, bool is_object, size_t *at)
{
	size_t from = skip_blanks(text, skip_blanks(text, *at) + 1);
	if (is_object)
		from = skip_blanks(text, skip_blanks(text, skip_string(text, from)) + 1);
	*at = skip_value(text, from);
	return str_slice(text, from, *at);
}

struct str message_raw_member(struct str text, const struct json *object, struct str name)
{
	struct json_iter it;
	size_t at = 0;
	for (json_iter_init(&it, object); json_iter_next(&it);) {
		struct str value = next_value(text, true, &at);
		if (str_eq(it.name, name))
			return value;
	}
	return STR_EMPTY;
}

struct str message_next_element(struct str text, size_t *at)
{
	return next_value(text, false, at);
}

struct str message_raw_param(const struct message *message, struct str name)
{
	struct str params = message_raw_member(message->text, message->document, S("params"));
	return message_raw_member(params, message->params, name);
}

struct str message_raw_meta(const struct message *message, struct str name)
{
	if (message->meta == NULL)
		return STR_EMPTY;
	return message_raw_member(message_raw_param(message, S("_meta")), message->meta, name);
}

bool message_is_id(struct str raw)
{
	if (raw.n == 0 || raw.n > MESSAGE_ID_MAX)
		return false;
	if (raw.p[0] == '"')
		return true;
	struct str digits = str_slice(raw, raw.p[0] == '-' ? 1 : 0, raw.n);
	for (size_t i = 0; i < digits.n; i++) {
		if (!ascii_is_digit(digits.p[i]))
			return false;
	}
	return digits.n > 0;
}

static enum message_kind malformed(struct message *message, const char *why)
{
	message->why = why;
	return MESSAGE_MALFORMED;
}

static void read_params(struct message *message)
{
	const struct json *params = json_member(message->document, S("params"));
	if (params == NULL)
		return;
	if (json_kind(params) != JSON_KIND_OBJECT) {
		message->has_bad_params = true;
		return;
	}
	message->params = params;
	const struct json *meta = json_member(params, S("_meta"));
	if (meta != NULL && json_kind(meta) == JSON_KIND_OBJECT)
		message->meta = meta;
	message->claims = json_member(message->meta, NAME_PROTOCOL_VERSION) != NULL;
}

static enum message_kind classify(struct message *message)
{
	const struct json *root = message->document;
	if (json_kind(root) == JSON_KIND_ARRAY)
		return MESSAGE_BATCH;
	if (json_kind(root) != JSON_KIND_OBJECT)
		return malformed(message, "a message is a JSON object");
	struct str id = message_raw_member(message->text, root, S("id")), version;
	bool has_id = id.n > 0;
	if (message_is_id(id))
		message->id = id;
	if (!json_get_str(json_member(root, S("jsonrpc")), &version) || !str_eq(version, S("2.0")))
		return malformed(message, "'jsonrpc' is not \"2.0\"");
	if (has_id && message->id.n == 0)
		return malformed(message, "'id' is neither a string nor an integer");
	if (json_get_str(json_member(root, S("method")), &message->method)) {
		read_params(message);
		return has_id ? MESSAGE_REQUEST : MESSAGE_NOTIFICATION;
	}
	if (json_member(root, S("method")) != NULL)
		return malformed(message, "'method' is not a string");
	if (json_member(root, S("result")) != NULL || json_member(root, S("error")) != NULL)
		return MESSAGE_RESPONSE;
	return malformed(message, "there is neither 'method' nor 'result' nor 'error'");
}

struct message *message_read(struct str text)
{
	struct message *message = NEW(struct message);
	message->copy = str_dup(text);
	message->text = str_of(message->copy, text.n);
	message->document = json_parse(message->text, JSON_READ_SENSITIVE, NULL);
	if (message->document == NULL) {
		message->kind = MESSAGE_UNREADABLE;
		message->why = "the message is not JSON as RFC 8259 has it, or repeats a key";
	} else {
		message->kind = classify(message);
	}
	return message;
}

void message_free(struct message *message)
{
	if (message == NULL)
		return;
	json_free(message->document);
	free(message->copy);
	free(message);
}
