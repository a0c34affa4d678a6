#include "control/answer.h"
#include "base/mem.h"
#include "text/json_members.h"

#define BODY_MAX (6 * ERR_MESSAGE_MAX + ERR_DETAILS_MAX + 4096)

struct h1_header answer_revision(void)
{
	return (struct h1_header){S("X-Aileron-Api"), S(STR_DIGITS(API_REVISION))};
}

void answer_result(struct http_exchange *x, unsigned status, struct str body)
{
	const struct h1_header revision = answer_revision();
	const struct http_answer answer = {.status = status, .body = body, .headers = &revision, .n_headers = 1};
	http_answer(x, &answer);
}

static void put_crud(struct json_writer *w, const struct err *err, struct str request_id)
{
	member_z(w, "code", err_row(err->class)->name);
	member_z(w, "message", err->message);
	if (err->details_n > 0) {
		member_begin_array(w, "details");
		jsonw_begin_object(w);
		jsonw_raw_members(w, str_of(err->details, err->details_n));
		jsonw_end_object(w);
		jsonw_end_array(w);
	}
	member_str(w, "request_id", request_id);
}

static void put_failure(struct json_writer *w, const struct answer_failure *failure, struct str request_id)
{
	const struct err *err = failure->err;
	member_z(w, "class", err_row(err->class)->name);
	member_z(w, "message", err->message);
	member_bool(w, "retriable", err->retriable);
	member_z(w, "boundary", err_boundary_name(err->boundary));
	if (failure->audit_id.n > 0)
		member_str(w, "audit_id", failure->audit_id);
	member_begin_object(w, "details");
	jsonw_raw_members(w, str_of(err->details, err->details_n));
	jsonw_end_object(w);
	member_str(w, "request_id", request_id);
}

/* Seconds, rounded up; 0 = the error does not say. */
static uint64_t retry_after(const struct err *err)
{
	struct str text;
	uint64_t value = 0;
	if (err_detail_get(err, "retry_after_ms", &text))
		(void)str_to_u64(text, INT64_MAX, &value);
	return (value + 999) / 1000;
}

void answer_failure(struct http_exchange *x, const struct answer_failure *failure)
{
	const struct err *err = failure->err;
	AUTO_BUF body = BUF_INIT(BODY_MAX);
	struct json_writer w;
	jsonw_init(&w, &body, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_begin_object(&w, "error");
	if (failure->envelope == API_FAILURE && err_class_is_closed(err->class))
		put_failure(&w, failure, http_request_id(x));
	else
		put_crud(&w, err, http_request_id(x));
	jsonw_end_object(&w);
	jsonw_end_object(&w);
	if (!buf_ok(&body))
		BUG("an error does not fit its envelope");

	struct h1_header headers[ANSWER_HEADERS] = {answer_revision()};
	size_t n = 1;
	char seconds[24];
	uint64_t after = err->class == ERR_THROTTLED ? retry_after(err) : 0;
	if (after > 0) {
		snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)after);
		headers[n++] = (struct h1_header){S("Retry-After"), str_from(seconds)};
	}
	if (err->class == ERR_UNAUTHORIZED && !str_eq(failure->further.name, S("WWW-Authenticate")))
		headers[n++] = (struct h1_header){S("WWW-Authenticate"), S("Bearer")};
	if (failure->further.name.n > 0)
		headers[n++] = failure->further;
	const struct http_answer answer = {
		.status = (unsigned)err_row(err->class)->http_status,
		.body = buf_str(&body),
		.headers = headers,
		.n_headers = n,
	};
	http_answer(x, &answer);
}
