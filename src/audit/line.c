#include "audit/line.h"
#include "base/hex.h"
#include "text/canonical.h"
#include <stdio.h>

#define HASH_TAG "aileron-audit-1" /* hashed with its NUL */
#define HASH_KEY ",\"hash\":\""
#define PREV_KEY ",\"prev\":\""

const unsigned char audit_no_hash[SHA256_SIZE] = {0};

static struct str text_member(const struct json *object, const char *name)
{
	struct str text = STR_EMPTY;
	json_get_str(json_member(object, str_from(name)), &text);
	return text;
}

static struct str or_else(struct str first, struct str second)
{
	return first.n > 0 ? first : second;
}

struct audit_columns audit_columns_of(const struct json *payload, struct str credential_binding)
{
	const struct json *details = json_member(payload, S("aileron.failure.details"));
	return (struct audit_columns){
		.connector = or_else(text_member(payload, "aileron.connector.fqn"), text_member(details, "connector")),
		.action = text_member(payload, "aileron.action.fqn"),
		.class = text_member(payload, "aileron.failure.class"),
		.binding = or_else(credential_binding, text_member(payload, "aileron.binding.name")),
	};
}

static void put_back(struct buf *out, struct str trace_id, const struct audit_link *link)
{
	buf_add_z(out, PREV_KEY);
	hex_encode(out, str_of(link->prev, SHA256_SIZE));
	buf_addf(out, "\",\"seq\":%llu", (unsigned long long)link->seq);
	if (trace_id.n > 0) {
		buf_add_z(out, ",\"trace_id\":\"");
		buf_add_str(out, trace_id);
		buf_add_char(out, '"');
	}
	buf_add_char(out, '}');
}

static void make_hash(struct str front, struct str back, const unsigned char *prev, unsigned char *ret)
{
	const struct str parts[] = {{HASH_TAG, sizeof HASH_TAG}, str_of(prev, SHA256_SIZE), front, back};
	sha256_parts(parts, 4, ret);
}

void audit_line_close(struct buf *front, struct str trace_id, struct audit_link *link)
{
	AUTO_BUF back = BUF_INIT(256);
	buf_reserve(&back, 255);
	put_back(&back, trace_id, link);
	make_hash(buf_str(front), buf_str(&back), link->prev, link->hash);
	buf_add_z(front, HASH_KEY);
	hex_encode(front, str_of(link->hash, SHA256_SIZE));
	buf_add_char(front, '"');
	buf_add_str(front, buf_str(&back));
}

bool audit_is_deeper(struct str text, unsigned most)
{
	unsigned depth = 0;
	bool in_string = false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (in_string) {
			i += c == '\\';
			in_string = c != '"';
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > most)
				return true;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return false;
}

bool audit_hex(struct str text, unsigned char *ret, size_t n)
{
	if (text.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		char high = text.p[2 * i], low = text.p[2 * i + 1];
		if (hex_digit(high) < 0 || hex_digit(low) < 0 || (high >= 'A' && high <= 'F') ||
		    (low >= 'A' && low <= 'F'))
			return false;
		ret[i] = (unsigned char)(hex_digit(high) << 4 | hex_digit(low));
	}
	return true;
}

static bool complain(char *why, uint64_t seq, const char *what)
{
	if (seq > 0)
		snprintf(why, AUDIT_WHY, "event %llu %s", (unsigned long long)seq, what);
	else
		snprintf(why, AUDIT_WHY, "an event %s", what);
	return false;
}

/* The members that make the chain; `trace_id` is optional and must be hex digits, so that it is written one way. */
static bool read_members(const struct json *json, struct audit_link *link, struct str *trace_id)
{
	int64_t seq = 0;
	unsigned char trace[16];
	*trace_id = text_member(json, "trace_id");
	bool has_trace = json_member(json, S("trace_id")) != NULL;
	if (json_get_int(json_member(json, S("seq")), &seq) && seq > 0)
		link->seq = (uint64_t)seq;
	return seq > 0 && json_kind(json_member(json, S("event"))) == JSON_KIND_OBJECT &&
	       audit_hex(text_member(json, "prev"), link->prev, SHA256_SIZE) &&
	       audit_hex(text_member(json, "hash"), link->hash, SHA256_SIZE) &&
	       (!has_trace || audit_hex(*trace_id, trace, sizeof trace)) && json_length(json) == (has_trace ? 5u : 4u);
}

bool audit_line_read(struct str text, struct audit_link *ret, char *why)
{
	*ret = (struct audit_link){0};
	AUTO(json) *json = json_parse(text, JSON_READ_ALLOW_NUL | JSON_READ_SENSITIVE, NULL);
	if (json == NULL)
		return complain(why, 0, "is no JSON text");
	struct str trace_id;
	if (!read_members(json, ret, &trace_id))
		return complain(why, ret->seq, "lacks a member of the chain or has one too many");
	if (!json_is_canonical(text))
		return complain(why, ret->seq, "is not in the canonical form");

	/* Canonical, so that what follows the event stands at the end and has a length that its values give. */
	AUTO_BUF back = BUF_INIT(256);
	put_back(&back, trace_id, ret);
	size_t hash_member = sizeof HASH_KEY - 1 + 2 * SHA256_SIZE + 1;
	struct str front = str_slice(text, 0, text.n - back.n - hash_member);
	unsigned char hash[SHA256_SIZE];
	make_hash(front, buf_str(&back), ret->prev, hash);
	if (memcmp(hash, ret->hash, sizeof hash) != 0)
		return complain(why, ret->seq, "was changed: its hash is another");
	return true;
}
