#include "approval/run.h"
#include "text/json_members.h"

void run_put_error(struct buf *out, const struct err *error)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_z(&w, "class", err_row(error->class)->name);
	member_z(&w, "message", error->message);
	member_bool(&w, "retriable", error->retriable);
	member_z(&w, "boundary", err_boundary_name(error->boundary));
	member_begin_object(&w, "details");
	jsonw_raw_members(&w, str_of(error->details, error->details_n));
	jsonw_end_object(&w);
	jsonw_end_object(&w);
}

static enum err_boundary boundary_named(struct str name, enum err_boundary otherwise)
{
	for (int i = BOUNDARY_NONE + 1; i < BOUNDARY__MAX; i++) {
		if (str_eq(name, str_from(err_boundary_name((enum err_boundary)i))))
			return (enum err_boundary)i;
	}
	return otherwise;
}

static void get_details(const struct json *details, struct err *ret)
{
	AUTO_BUF text = BUF_INIT(sizeof ret->details + 1);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	if (json_kind(details) != JSON_KIND_OBJECT)
		return;
	jsonw_value(&w, details);
	if (!buf_ok(&text))
		return;
	struct str members = str_slice(buf_str(&text), 1, text.n - 1);
	memcpy(ret->details, members.p, members.n);
	ret->details[members.n] = '\0';
	ret->details_n = (uint32_t)members.n;
}

void run_get_error(struct str text, struct err *ret)
{
	struct str name = STR_EMPTY, message = STR_EMPTY, boundary = STR_EMPTY;
	AUTO(json) *json = json_parse(text, JSON_READ_STRICT, NULL);
	(void)json_get_str(json_member(json, S("class")), &name);
	(void)json_get_str(json_member(json, S("message")), &message);
	(void)json_get_str(json_member(json, S("boundary")), &boundary);
	enum err_class class = err_class_named(name);
	err_clear(ret);
	if (class == ERR_NONE) {
		fail(ret, ERR_INTERNAL, "how it failed was not stored");
		return;
	}
	fail(ret, class, "%.*s", STR_FMT(message));
	ret->boundary = boundary_named(boundary, ret->boundary);
	(void)json_get_bool(json_member(json, S("retriable")), &ret->retriable);
	get_details(json_member(json, S("details")), ret);
}
