#include "connector/outcome.h"
#include "base/utf8.h"
#include "text/json.h"
#include "text/json_writer.h"

#define MESSAGE_TEXT_MAX    ((size_t)ERR_MESSAGE_MAX)
#define CONNECTOR_CLASS_MAX ((size_t)200)
#define BACKTRACE_MAX       ((size_t)6 << 10)

void host_record_fail(struct host_record *record, const struct err *error)
{
	record->failed = true;
	record->error = *error;
	/* That no process could be confined is for the user of this machine; all else is one of the classes for callers. */
	if (!err_class_is_closed(error->class) && error->class != ERR_UNCONFINED)
		fail(&record->error, ERR_CONNECTOR_RUNTIME_ERROR, "%s", error->message);
}

void host_record_answer(struct host_record *record, int32_t status)
{
	record->failed = false;
	record->status = status;
}

/*
 * Guest bytes as text: what is not UTF-8, and NUL, becomes U+FFFD. At most `max` bytes are read. Control characters stay:
 * who prints makes them visible.
 */
static void add_text(struct buf *out, struct str text, size_t max)
{
	struct str rest = str_slice(text, 0, max);
	while (rest.n > 0) {
		struct utf8_char c = utf8_next(rest);
		if (c.code == UTF8_INVALID || c.code == 0)
			buf_add_z(out, "\xef\xbf\xbd");
		else
			buf_add(out, rest.p, c.n);
		rest = str_slice(rest, c.n, rest.n);
	}
}

void outcome_tail(struct buf *out, struct str bytes, bool cut, size_t max)
{
	if (cut || bytes.n > max)
		buf_add_z(out, "...");
	size_t from = bytes.n > max ? bytes.n - max : 0;
	/* Not from the middle of a character. */
	for (int i = 0; i < 3 && from > 0 && from < bytes.n && ((unsigned char)bytes.p[from] & 0xc0) == 0x80; i++)
		from++;
	add_text(out, str_slice(bytes, from, bytes.n), max);
}

/* What standard output said. Strings are borrowed from `json`. */
struct envelope {
	struct json *json;
	const struct json *output; /* NULL = absent or null */
	bool has_error;
	struct str class, message;
};

static const struct json *unless_null(const struct json *value)
{
	return json_kind(value) == JSON_KIND_NULL ? NULL : value;
}

/* A string member of the error object; null leaves it empty. */
static int get_text(const struct json *value, const char *name, struct str *ret, struct err *err)
{
	if (json_kind(value) == JSON_KIND_NULL) {
		*ret = STR_EMPTY;
		return 0;
	}
	if (!json_get_str(value, ret))
		return fail(err, ERR_PARSE_ERROR, "'error.%s' is %s, not a string", name,
			    json_kind_name(json_kind(value)));
	return 0;
}

static int read_error(const struct json *value, struct envelope *envelope, struct err *err)
{
	if (json_kind(value) != JSON_KIND_OBJECT)
		return fail(err, ERR_PARSE_ERROR, "'error' is %s, not an object", json_kind_name(json_kind(value)));
	struct json_iter it;
	for (json_iter_init(&it, value); json_iter_next(&it);) {
		if (str_eq_fold(it.name, S("class")) && get_text(it.value, "class", &envelope->class, err) < 0)
			return -1;
		if (str_eq_fold(it.name, S("message")) && get_text(it.value, "message", &envelope->message, err) < 0)
			return -1;
	}
	envelope->has_error = true;
	return 0;
}

static int read_members(struct envelope *envelope, struct err *err)
{
	if (json_kind(envelope->json) != JSON_KIND_OBJECT)
		return fail(err, ERR_PARSE_ERROR, "it is %s, not an object", json_kind_name(json_kind(envelope->json)));
	const struct json *error = NULL;
	struct json_iter it;
	for (json_iter_init(&it, envelope->json); json_iter_next(&it);) {
		if (str_eq_fold(it.name, S("output")))
			envelope->output = unless_null(it.value);
		else if (str_eq_fold(it.name, S("error")))
			error = unless_null(it.value);
	}
	if (envelope->output != NULL && json_kind(envelope->output) != JSON_KIND_OBJECT)
		return fail(err, ERR_PARSE_ERROR, "'output' is %s, not an object",
			    json_kind_name(json_kind(envelope->output)));
	return error != NULL ? read_error(error, envelope, err) : 0;
}

/* The caller frees envelope->json, whatever the result. */
static int envelope_read(struct str text, struct envelope *envelope, struct err *err)
{
	*envelope = (struct envelope){0};
	envelope->json = json_parse(text, JSON_READ_LAST_DUPLICATE | JSON_READ_SENSITIVE, err);
	return envelope->json == NULL ? -1 : read_members(envelope, err);
}

/* Whether the service refused: by its last status, or by the connector's word. */
static bool is_external(const struct envelope *envelope, const struct host_record *record)
{
	return record->status >= 400 || str_eq(envelope->class, S("external_api_error"));
}

static int fail_connector_error(const struct envelope *envelope, const struct host_record *record, struct err *err)
{
	AUTO_BUF class = BUF_INIT(3 * CONNECTOR_CLASS_MAX);
	AUTO_BUF message = BUF_INIT(3 * MESSAGE_TEXT_MAX);
	add_text(&class, envelope->class, CONNECTOR_CLASS_MAX);
	add_text(&message, envelope->message, MESSAGE_TEXT_MAX);

	bool external = is_external(envelope, record);
	enum err_class ours = external ? ERR_EXTERNAL_API_ERROR : ERR_CONNECTOR_RUNTIME_ERROR;
	/* "external_api_error: external_api_error: …" would say nothing twice. */
	if (class.n == 0 || str_eq(buf_str(&class), str_from(err_row(ours)->name)))
		fail(err, ours, "%s", message.p);
	else
		fail(err, ours, "%s: %s", class.p, message.p);
	if (class.n > 0)
		err_detail(err, "connector_class", buf_str(&class));
	if (external && record->status > 0)
		err_detail_int(err, "status", record->status);
	if (external && err != NULL)
		err->retriable = record->status == 429 || (record->status >= 500 && record->status <= 599);
	return -1;
}

static int fail_exit(const struct runner_done *done, struct err *err)
{
	AUTO_BUF tail = BUF_INIT(4 * OUTCOME_STDERR_TAIL);
	outcome_tail(&tail, done->stderr_tail, done->stderr_cut, OUTCOME_STDERR_TAIL);
	fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "connector exited %u; stderr: %s", done->exit_code, tail.p);
	err_detail_int(err, "exit_code", done->exit_code);
	return -1;
}

static int decide_nonzero_exit(const struct runner_done *done, const struct host_record *record, struct err *err)
{
	struct envelope envelope = {0};
	int rc;
	if (!str_blank(done->output) && envelope_read(done->output, &envelope, NULL) == 0 && envelope.has_error)
		rc = fail_connector_error(&envelope, record, err);
	else
		rc = fail_exit(done, err);
	json_free(envelope.json);
	return rc;
}

static int put_output(const struct json *output, struct buf *out, struct err *err)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	if (output == NULL)
		jsonw_raw(&w, S("{}"));
	else
		jsonw_value(&w, output);
	return buf_check(out, "the connector's output", err);
}

static int decide_zero_exit(const struct runner_done *done, const struct host_record *record, struct buf *out,
			    struct err *err)
{
	if (str_blank(done->output))
		return put_output(NULL, out, err);
	struct envelope envelope;
	struct err why = {0};
	int rc;
	if (envelope_read(done->output, &envelope, &why) < 0)
		rc = fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "stdout is not a valid JSON envelope: %s", why.message);
	else if (envelope.has_error)
		rc = fail_connector_error(&envelope, record, err);
	else
		rc = put_output(envelope.output, out, err);
	json_free(envelope.json);
	return rc;
}

/* The first line of a trap's text is the message, the rest the backtrace. */
static int fail_trap(const struct runner_done *done, struct err *err)
{
	struct str first;
	struct str rest = str_cut(done->message, '\n', &first);
	AUTO_BUF message = BUF_INIT(3 * MESSAGE_TEXT_MAX);
	AUTO_BUF trap = BUF_INIT(3 * CONNECTOR_CLASS_MAX);
	AUTO_BUF backtrace = BUF_INIT(3 * BACKTRACE_MAX);
	add_text(&message, first, MESSAGE_TEXT_MAX);
	add_text(&trap, done->trap, CONNECTOR_CLASS_MAX);
	add_text(&backtrace, rest, BACKTRACE_MAX);
	fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "the connector trapped: %s", message.n > 0 ? message.p : trap.p);
	err_detail(err, "trap", buf_str(&trap));
	if (backtrace.n > 0)
		err_detail(err, "backtrace", buf_str(&backtrace));
	return -1;
}

static int fail_not_started(const struct runner_done *done, struct err *err)
{
	AUTO_BUF message = BUF_INIT(3 * MESSAGE_TEXT_MAX);
	add_text(&message, done->message, MESSAGE_TEXT_MAX);
	fail(err, ERR_CONNECTOR_LOAD_FAILED, "the connector cannot be instantiated: %s", message.p);
	err_detail(err, "reason", S("instantiation"));
	return -1;
}

static bool failed_in_guest(const struct runner_done *done)
{
	return done->end == RUNNER_END_TRAP || (done->end == RUNNER_END_EXIT && done->exit_code != 0);
}

int outcome_decide(const struct runner_done *done, const struct host_record *record, struct buf *out, struct err *err)
{
	if (done->end == RUNNER_END_CANCELLED)
		return fail(err, ERR_CANCELLED, "the call was cancelled");
	if (done->limit.n > 0)
		return call_limits_exceeded(&record->limits, done->limit, err);
	if (done->memory_refused && failed_in_guest(done))
		return call_limits_exceeded(&record->limits, S("memory"), err);
	if (record->failed) {
		if (err != NULL)
			*err = record->error;
		return -1;
	}
	switch (done->end) {
	case RUNNER_END_TRAP:
		return fail_trap(done, err);
	case RUNNER_END_NOT_STARTED:
		return fail_not_started(done, err);
	case RUNNER_END_EXIT:
		return done->exit_code == 0 ? decide_zero_exit(done, record, out, err)
					    : decide_nonzero_exit(done, record, err);
	case RUNNER_END_LIMIT:
	case RUNNER_END_CANCELLED:
	case RUNNER_END__MAX:
		break;
	}
	return fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "the runner did not say how the call ended");
}
