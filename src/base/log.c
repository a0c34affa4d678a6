#include "base/log.h"
#include "base/escape.h"
#include "base/mem.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static struct log_options options = {.fd = STDERR_FILENO, .form = LOG_FORM_TEXT};
static _Atomic(enum log_level) threshold = LOG_LEVEL_INFO;

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_NONE] = "none",
};

const char *log_level_name(enum log_level level)
{
	return (size_t)level < ARRAY_LEN(level_names) ? level_names[level] : "";
}

bool log_level_named(struct str name, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (str_eq(name, str_from(level_names[i]))) {
			*ret = (enum log_level)i;
			return true;
		}
	}
	return false;
}

void log_setup(const struct log_options *wanted)
{
	options = *wanted;
	log_set_level(wanted->level);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return level >= atomic_load_explicit(&threshold, memory_order_relaxed) && level < LOG_LEVEL_NONE;
}

/* A line under way. Behind the fields there is always room for what ends it: the count of left-out fields and "}\n". */
struct line {
	struct buf text;
	bool json;
	unsigned left_out;
};
enum { ENDING = sizeof ",\"left_out\":4294967295}\n" + ESCAPE_CHAR_MAX, VALUE_MIN = DURATION_TEXT_SIZE };

static size_t room(const struct line *line)
{
	return LOG_LINE_MAX - ENDING - line->text.n;
}

/* Whether a value reads as one word of the text form. */
static bool is_word(struct str value)
{
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		if (c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '=')
			return false;
	}
	return value.n > 0;
}

static bool begin_field(struct line *line, const char *key, const char *suffix)
{
	if (strlen(key) + strlen(suffix) + sizeof ",\"\":\"\"" + VALUE_MIN > room(line)) {
		line->left_out++;
		return false;
	}
	buf_addf(&line->text, line->json ? ",\"%s%s\":" : " %s%s=", key, suffix);
	return true;
}

static void add_text_field(struct line *line, const char *key, struct str value)
{
	if (!begin_field(line, key, ""))
		return;
	bool quoted = line->json || !is_word(value);
	if (quoted)
		buf_add_char(&line->text, '"');
	escape_cut(&line->text, value, room(line) - 1, line->json ? escape_json : escape_quoted);
	if (quoted)
		buf_add_char(&line->text, '"');
}

/* A value that needs no escaping and is no longer than VALUE_MIN. */
static void add_plain_field(struct line *line, const char *key, const char *suffix, const char *value)
{
	if (begin_field(line, key, suffix))
		buf_add_z(&line->text, value);
}

static void add_field(struct line *line, const struct log_field *field)
{
	char text[DURATION_TEXT_SIZE];
	switch (field->kind) {
	case LOG_FIELD_STR:
		add_text_field(line, field->key, field->str);
		break;
	case LOG_FIELD_U64:
		snprintf(text, sizeof text, "%llu", (unsigned long long)field->u64);
		add_plain_field(line, field->key, "", text);
		break;
	case LOG_FIELD_I64:
		snprintf(text, sizeof text, "%lld", (long long)field->i64);
		add_plain_field(line, field->key, "", text);
		break;
	case LOG_FIELD_BOOL:
		add_plain_field(line, field->key, "", field->boolean ? "true" : "false");
		break;
	case LOG_FIELD_DURATION:
		if (line->json)
			snprintf(text, sizeof text, "%llu", (unsigned long long)field->u64);
		else
			duration_format(field->u64, text);
		add_plain_field(line, field->key, line->json ? "_ns" : "", text);
		break;
	case LOG_FIELD_ERR:
		add_text_field(line, "class", str_from(err_row(field->err->class)->name));
		add_text_field(line, "message", str_from(field->err->message));
		break;
	case LOG_FIELD_END:
		break;
	}
}

static void write_line(struct str line)
{
	while (line.n > 0) {
		ssize_t n = write(options.fd, line.p, line.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nobody is left to be told */
		line = str_slice(line, (size_t)n, line.n);
	}
}

void log_event(enum log_level level, const char *event, const struct log_field *fields)
{
	int kept = errno;
	char time[TIME_RFC3339_SIZE];
	time_format_rfc3339(clock_wall_ns(options.clock), 3, time);
	struct line line = {.text = BUF_INIT(LOG_LINE_MAX), .json = options.form == LOG_FORM_JSON};
	buf_addf(&line.text, line.json ? "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"" : "%s %s %s", time,
		 log_level_name(level), event);
	for (; fields->kind != LOG_FIELD_END; fields++)
		add_field(&line, fields);
	if (line.left_out > 0)
		buf_addf(&line.text, line.json ? ",\"left_out\":%u" : " left_out=%u", line.left_out);
	buf_add_z(&line.text, line.json ? "}\n" : "\n");
	write_line(buf_str(&line.text));
	buf_release(&line.text);
	errno = kept;
}
