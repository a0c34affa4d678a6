#include "approval/digest.h"
#include "base/hex.h"
#include "base/time.h"
#include "crypto/digest.h"
#include "text/json_members.h"

#define PREFIX "aileron-approval-1\n"

/* ---------------------------------------------------------------------------------------------------------------- text */

/* Members in the order of their names, and numbers that are integers: canonical as it is written (text/json_writer.h). */
static void put_connectors(struct json_writer *w, const struct approval_parts *parts, bool hosts)
{
	member_begin_array(w, "connectors");
	for (size_t i = 0; i < parts->n_connectors; i++) {
		const struct approval_connector *c = &parts->connectors[i];
		jsonw_begin_object(w);
		member_str(w, "hash", c->hash);
		if (hosts)
			member_list(w, "hosts", c->hosts, c->n_hosts);
		member_str(w, "name", c->name);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

static void put_bindings(struct json_writer *w, const struct approval_parts *parts)
{
	member_begin_array(w, "bindings");
	for (size_t i = 0; i < parts->n_bindings; i++) {
		const struct approval_binding *b = &parts->bindings[i];
		jsonw_begin_object(w);
		member_str(w, "connector", b->connector);
		member_u64(w, "generation", b->generation);
		member_str(w, "name", b->name);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

int approval_bound(const struct approval_parts *parts, enum approval_text what, struct buf *out, struct err *err)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str(&w, "action", parts->action);
	member_str(&w, "action_hash", parts->action_hash);
	if (what != APPROVAL_TEXT_GRANT)
		member_raw(&w, "arguments", parts->args);
	put_bindings(&w, parts);
	member_str(&w, "caller", parts->caller);
	put_connectors(&w, parts, what == APPROVAL_TEXT_GRANT);
	if (what == APPROVAL_TEXT_DIGEST)
		member_u64(&w, "expires_at_ms", parts->expires_ns / TIME_MILLISECOND);
	member_str(&w, "policy", parts->policy);
	member_str(&w, "session", parts->session);
	jsonw_end_object(&w);
	return buf_check(out, "what is to be approved", err);
}

void approval_digest(struct str bound, unsigned char ret[APPROVAL_DIGEST])
{
	const struct str parts[] = {S(PREFIX), bound};
	sha256_parts(parts, ARRAY_LEN(parts), ret);
}

const char *approval_digest_text(struct str bound, char ret[APPROVAL_DIGEST_TEXT])
{
	unsigned char digest[APPROVAL_DIGEST];
	approval_digest(bound, digest);
	return hex_format(str_of(digest, sizeof digest), ret);
}

/* ---------------------------------------------------------------------------------------------------------- difference */

static struct str member_text(const struct json *object, const char *name)
{
	struct str text = STR_EMPTY;
	(void)json_get_str(json_member(object, str_from(name)), &text);
	return text;
}

/* The element of that name in a list of objects, NULL when there is none. */
static const struct json *named(const struct json *list, struct str name)
{
	for (size_t i = 0; i < json_length(list); i++) {
		if (str_eq(member_text(json_at(list, i), "name"), name))
			return json_at(list, i);
	}
	return NULL;
}

static void put_text(struct buf *out, const struct json *value)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	if (value != NULL)
		jsonw_value(&w, value);
}

static bool same(const struct json *a, const struct json *b)
{
	AUTO_BUF one = BUF_INIT(APPROVAL_BOUND_MAX);
	AUTO_BUF other = BUF_INIT(APPROVAL_BOUND_MAX);
	put_text(&one, a);
	put_text(&other, b);
	return str_eq(buf_str(&one), buf_str(&other));
}

/* Of two lists of objects with names: what is not in both, or not the same; "" when all is. */
static struct str list_difference(const struct json *then, const struct json *now)
{
	for (size_t i = 0; i < json_length(then); i++) {
		struct str name = member_text(json_at(then, i), "name");
		const struct json *other = named(now, name);
		if (other == NULL || !same(json_at(then, i), other))
			return name;
	}
	for (size_t i = 0; i < json_length(now); i++) {
		struct str name = member_text(json_at(now, i), "name");
		if (named(then, name) == NULL)
			return name;
	}
	return STR_EMPTY;
}

struct str approval_difference(struct arena *arena, struct str then, struct str now)
{
	static const struct {
		const char *member, *words;
	} plain[] = {
		{"action", "the action"},
		{"action_hash", "the action's file"},
		{"caller", "who asks"},
		{"session", "the session"},
		{"policy", "the settings that say what needs approval"},
		{"expires_at_ms", "the time it is good for"},
		{"arguments", "the arguments"},
	};
	if (str_eq(then, now))
		return STR_EMPTY;
	AUTO(json) *a = json_parse(then, JSON_READ_STRICT, NULL);
	AUTO(json) *b = json_parse(now, JSON_READ_STRICT, NULL);
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		struct str name = str_from(plain[i].member);
		if (!same(json_member(a, name), json_member(b, name)))
			return str_from(plain[i].words);
	}
	struct str name = list_difference(json_member(a, S("connectors")), json_member(b, S("connectors")));
	if (name.n > 0)
		return arena_printf(arena, "connector '%.*s'", STR_FMT(name));
	name = list_difference(json_member(a, S("bindings")), json_member(b, S("bindings")));
	if (name.n > 0)
		return arena_printf(arena, "binding '%.*s'", STR_FMT(name));
	return S("what was approved");
}
