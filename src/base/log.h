/*
 * log: what happened, as an event with fields, one line each
 *
 *     log_info("runner_started", log_u64("pid", pid), log_str("hash", hash));
 *     log_error("connector_refused", log_str("name", name), log_err(&err));
 *
 * Text form:  2026-01-02T03:04:05.678Z info runner_started pid=41 hash=sha256:0f…
 * JSON form:  {"time":"2026-01-02T03:04:05.678Z","level":"info","event":"runner_started","pid":41,"hash":"sha256:0f…"}
 *
 * A line is one write of at most LOG_LINE_MAX bytes, which a pipe takes whole, so lines of threads and processes never
 * mix. Values that do not fit are cut and end in "...", fields that do not fit are left out and counted in `left_out`.
 * Values come from anywhere: hidden characters are made visible (base/escape.h). Never pass a secret. Event names and
 * keys are literals of lower-case letters, digits and underscores. An event is its subject and what became of it
 * ("child_ended", "vault_locked"); what did not come about is <subject>_not_<participle> ("log_not_reopened"). Libraries log at debug only; programs log once.
 * Logging keeps errno, never fails and is any thread's.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

#define LOG_LINE_MAX ((size_t)4096) /* PIPE_BUF */

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_NONE };
const char *log_level_name(enum log_level level);
bool log_level_named(struct str name, enum log_level *ret);

enum log_form { LOG_FORM_TEXT, LOG_FORM_JSON };

/* Until told otherwise: standard error, text, info, system clock. Set before other threads start. */
struct log_options {
	int fd;
	enum log_form form;
	enum log_level level;      /* the least that is written */
	const struct clock *clock; /* NULL = the system's */
};
void log_setup(const struct log_options *options);
void log_set_level(enum log_level level); /* any time, any thread */
bool log_enabled(enum log_level level);

enum log_field_kind {
	LOG_FIELD_END,
	LOG_FIELD_STR,
	LOG_FIELD_U64,
	LOG_FIELD_I64,
	LOG_FIELD_BOOL,
	LOG_FIELD_DURATION, /* ns; text as duration_format(), in JSON a number with the key as given */
	LOG_FIELD_ERR       /* becomes class= and message= */
};

struct log_field {
	enum log_field_kind kind;
	const char *key;
	union {
		struct str str;
		uint64_t u64;
		int64_t i64;
		bool boolean;
		const struct err *err;
	};
};

static inline struct log_field log_str(const char *key, struct str value)
{
	return (struct log_field){LOG_FIELD_STR, key, {.str = value}};
}
static inline struct log_field log_z(const char *key, const char *value)
{
	return (struct log_field){LOG_FIELD_STR, key, {.str = str_from(value)}};
}
static inline struct log_field log_u64(const char *key, uint64_t value)
{
	return (struct log_field){LOG_FIELD_U64, key, {.u64 = value}};
}
static inline struct log_field log_i64(const char *key, int64_t value)
{
	return (struct log_field){LOG_FIELD_I64, key, {.i64 = value}};
}
static inline struct log_field log_bool(const char *key, bool value)
{
	return (struct log_field){LOG_FIELD_BOOL, key, {.boolean = value}};
}
static inline struct log_field log_duration(const char *key, uint64_t ns)
{
	return (struct log_field){LOG_FIELD_DURATION, key, {.u64 = ns}};
}
static inline struct log_field log_err(const struct err *err)
{
	return (struct log_field){LOG_FIELD_ERR, NULL, {.err = err}};
}

#define log_debug(...) LOG_EVENT_(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  LOG_EVENT_(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  LOG_EVENT_(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) LOG_EVENT_(LOG_LEVEL_ERROR, __VA_ARGS__)

/* Fields are not even evaluated when the level is off. */
#define LOG_EVENT_(level, event, ...)                                                                                  \
	do {                                                                                                           \
		if (log_enabled(level))                                                                                \
			log_event(level, event,                                                                        \
				  (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){LOG_FIELD_END, NULL, {{0}}}}); \
	} while (0)
/* `fields` ends with LOG_FIELD_END. */
void log_event(enum log_level level, const char *event, const struct log_field *fields);
