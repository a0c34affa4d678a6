#include "cli/arguments.h"
#include "base/escape.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "os/file.h"

/* ------------------------------------------------------------------------------------------------------ one at a time */

static const struct json *input_named(const struct json *inputs, struct str name)
{
	for (size_t i = 0; i < json_length(inputs); i++) {
		if (str_eq(cli_str(json_at(inputs, i), "name"), name))
			return json_at(inputs, i);
	}
	return NULL;
}

static int refuse_name(const struct arguments_wish *wish, struct str name, struct err *err)
{
	AUTO_BUF names = BUF_INIT(64 * KIB);
	char shown[ESCAPE_SHOWN_SIZE];
	for (size_t i = 0; i < json_length(wish->inputs); i++)
		buf_addf(&names, "%s%.*s", i > 0 ? ", " : "", STR_FMT(cli_str(json_at(wish->inputs, i), "name")));
	escape_shown(name, shown);
	if (names.n == 0)
		return fail(err, ERR_USAGE, "--%s names '%s', and the action takes nothing", wish->single, shown);
	return fail(err, ERR_USAGE, "--%s names '%s', which the action does not take; it takes %s", wish->single, shown,
		    names.p);
}

/* Of JSON's kinds; an integer may be written 1.0, which the daemon takes as 1. */
static bool is_of_type(const struct json *value, struct str type)
{
	enum json_kind kind = json_kind(value);
	if (str_eq(type, S("integer")) || str_eq(type, S("number")))
		return kind == JSON_KIND_INT || kind == JSON_KIND_REAL;
	return str_eq(type, str_from(json_kind_name(kind)));
}

static bool is_utf8(struct str text)
{
	while (text.n > 0) {
		struct utf8_char c = utf8_next(text);
		if (c.code == UTF8_INVALID)
			return false;
		text = str_slice(text, c.n, text.n);
	}
	return true;
}

static int put_typed(struct json_writer *w, const struct arguments_wish *wish, struct str name, struct str value,
		     struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	const struct json *input = input_named(wish->inputs, name);
	if (input == NULL)
		return refuse_name(wish, name, err);
	struct str type = cli_str(input, "type");
	if (str_eq(type, S("string"))) {
		jsonw_key(w, name);
		jsonw_str(w, value);
		return 0;
	}
	AUTO(json) *json = json_parse(value, JSON_READ_STRICT, NULL);
	if (json == NULL || !is_of_type(json, type))
		return fail(err, ERR_USAGE, "--%s: '%.*s' is of type %.*s, and '%s' is none", wish->single,
			    STR_FMT(name), STR_FMT(type), escape_shown(value, shown));
	jsonw_key(w, name);
	jsonw_value(w, json);
	return 0;
}

int arguments_put(struct json_writer *w, const struct arguments_wish *wish, struct str given, struct err *err)
{
	struct str name;
	char shown[ESCAPE_SHOWN_SIZE];
	if (str_find_char(given, '=') == STR_NPOS)
		return fail(err, ERR_USAGE, "--%s takes name=value, not '%s'", wish->single,
			    escape_shown(given, shown));
	struct str value = str_cut(given, '=', &name);
	if (!is_utf8(given))
		return fail(err, ERR_USAGE, "--%s: '%s' is not UTF-8", wish->single, escape_shown(given, shown));
	if (wish->inputs != NULL)
		return put_typed(w, wish, name, value, err);
	jsonw_key(w, name);
	jsonw_str(w, value);
	return 0;
}

static struct str name_of(const char *given)
{
	struct str name;
	(void)str_cut(str_from(given), '=', &name);
	return name;
}

static bool is_given(const struct cli *cli, const char *flag, struct str name)
{
	const char *one;
	for (size_t i = 0; (one = verb_text_at(cli->line, flag, i)) != NULL; i++) {
		if (str_eq(name_of(one), name))
			return true;
	}
	return false;
}

static int put_single(struct cli *cli, const struct arguments_wish *wish, struct buf *text, struct err *err)
{
	struct json_writer w;
	struct json_iter it;
	const char *one;
	jsonw_init(&w, text, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	for (json_iter_init(&it, wish->base); json_iter_next(&it);) {
		if (is_given(cli, wish->single, it.name))
			continue;
		jsonw_key(&w, it.name);
		jsonw_value(&w, it.value);
	}
	for (size_t i = 0; (one = verb_text_at(cli->line, wish->single, i)) != NULL; i++) {
		if (arguments_put(&w, wish, str_from(one), err) < 0)
			return -1;
	}
	jsonw_end_object(&w);
	return 0;
}

/* --------------------------------------------------------------------------------------------------------------- whole */

static int put_whole(const char *given, struct buf *text, struct err *err)
{
	if (given[0] == '@')
		return file_read(given + 1, text, err);
	if (strcmp(given, "-") == 0)
		return file_read_fd(STDIN_FILENO, "standard input", text, err);
	buf_add_z(text, given);
	return 0;
}

bool arguments_given(const struct cli *cli, const struct arguments_wish *wish)
{
	return verb_text(cli->line, "args") != NULL || verb_text_at(cli->line, wish->single, 0) != NULL;
}

struct json *arguments_read(struct cli *cli, const struct arguments_wish *wish, struct err *err)
{
	AUTO_BUF text = BUF_INIT(LIMIT_INPUT);
	const char *given = verb_text(cli->line, "args");
	if (given != NULL && verb_text_at(cli->line, wish->single, 0) != NULL) {
		fail(err, ERR_USAGE, "--args and --%s exclude each other", wish->single);
		return NULL;
	}
	if ((given != NULL ? put_whole(given, &text, err) : put_single(cli, wish, &text, err)) < 0 ||
	    buf_check(&text, "the arguments", err) < 0)
		return NULL;
	AUTO(json) *args = json_parse(buf_str(&text), JSON_READ_STRICT, err);
	if (args == NULL) {
		cli_refuse(given != NULL ? "args" : wish->single, err);
		return NULL;
	}
	if (json_kind(args) != JSON_KIND_OBJECT) {
		fail(err, ERR_USAGE, "the arguments are of the kind %s, not an object: {\"name\": …}",
		     json_kind_name(json_kind(args)));
		return NULL;
	}
	return TAKE(args);
}
