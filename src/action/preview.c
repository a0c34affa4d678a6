/* Rows for people: what a preview answered, and the arguments. */
#include "action/action.h"
#include "action/template.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "text/jcs.h"
#include "text/json_members.h"

#define VALUE_MAX (64 * KIB) /* bytes of one row's text; what is longer is cut and ends in "..." */

/* ---- values as texts ---- */

static void put_indented(struct buf *out, const struct json *value, unsigned depth);

static void put_line(struct buf *out, unsigned depth)
{
	buf_addf(out, "\n%*s", (int)(2 * depth), "");
}

static void put_indented_members(struct buf *out, const struct json *value, unsigned depth)
{
	bool object = json_kind(value) == JSON_KIND_OBJECT;
	struct json_writer w;
	struct json_iter it;
	size_t n = json_length(value);
	buf_add_char(out, object ? '{' : '[');
	json_iter_init(&it, value);
	for (size_t i = 0; i < n && buf_ok(out); i++) {
		if (i > 0)
			buf_add_char(out, ',');
		put_line(out, depth + 1);
		if (object && json_iter_next(&it)) {
			jsonw_init(&w, out, JSON_WRITER_PLAIN);
			jsonw_str(&w, it.name);
			buf_add_str(out, S(": "));
		}
		put_indented(out, object ? it.value : json_at(value, i), depth + 1);
	}
	if (n > 0)
		put_line(out, depth);
	buf_add_char(out, object ? '}' : ']');
}

static void put_indented(struct buf *out, const struct json *value, unsigned depth)
{
	enum json_kind kind = json_kind(value);
	struct json_writer w;
	if (kind == JSON_KIND_OBJECT || kind == JSON_KIND_ARRAY) {
		put_indented_members(out, value, depth);
		return;
	}
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_value(&w, value);
}

static bool is_nested(const struct json *value)
{
	return json_kind(value) == JSON_KIND_OBJECT || json_kind(value) == JSON_KIND_ARRAY;
}

static void member_cut(struct json_writer *w, const char *name, struct str text, bool more)
{
	struct str cut = utf8_cut(text, VALUE_MAX);
	AUTO_BUF shown = BUF_INIT(VALUE_MAX + 3);
	if (cut.n == text.n && !more) {
		member_str(w, name, text);
		return;
	}
	buf_add_str(&shown, cut);
	buf_add_str(&shown, S("..."));
	member_str(w, name, buf_str(&shown));
}

/*
 * A buffer that is full takes nothing of the append that does not fit, so a nested value is written into one of several
 * times the size that is shown; of what is larger still, the beginning is shown.
 */
static void member_value(struct json_writer *w, const struct json *value, bool indented)
{
	AUTO_BUF text = BUF_INIT(4 * VALUE_MAX);
	struct json_writer plain;
	struct str string;
	if (json_get_str(value, &string)) {
		member_cut(w, "value", string, false);
		return;
	}
	if (indented) {
		put_indented(&text, value, 0);
	} else {
		jsonw_init(&plain, &text, JSON_WRITER_PLAIN);
		jsonw_value(&plain, value);
	}
	member_cut(w, "value", buf_str(&text), !buf_ok(&text));
}

/* ---- rows ---- */

static void put_row(struct json_writer *w, struct str label, const struct json *value, bool multiline, bool indented)
{
	jsonw_begin_object(w);
	member_str(w, "label", label);
	if (json_kind(value) == JSON_KIND_NULL)
		member_bool(w, "missing", true);
	else
		member_value(w, value, indented);
	if (multiline)
		member_bool(w, "multiline", true);
	jsonw_end_object(w);
}

static int finish(struct buf *out, size_t before, const char *what, struct err *err)
{
	int fits = buf_check(out, what, err);
	if (fits < 0)
		buf_truncate(out, before);
	return fits;
}

int action_preview_render(const struct action *action, const struct json *output, struct buf *out, struct err *err)
{
	size_t before = out->n;
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_begin_array(&w, "fields");
	for (size_t i = 0; i < action->preview.n_render; i++) {
		const struct action_render *row = &action->preview.render[i];
		put_row(&w, row->label, path_walk(output, row->path), row->multiline, false);
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return finish(out, before, "the preview", err);
}

int action_input_fields(const struct action *action, const struct json *args, struct buf *out, struct err *err)
{
	size_t before = out->n;
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_array(&w);
	for (size_t i = 0; i < action->n_inputs; i++) {
		const struct action_input *input = &action->inputs[i];
		const struct json *value = json_member(args, input->name);
		if (json_kind(value) == JSON_KIND_NULL && !input->required)
			continue;
		put_row(&w, input->label.n > 0 ? input->label : input->name, value,
			input->multiline || is_nested(value), true);
	}
	jsonw_end_array(&w);
	return finish(out, before, "the arguments as rows", err);
}
