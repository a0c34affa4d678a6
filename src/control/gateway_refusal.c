#include "control/gateway_refusal.h"
#include "text/json_members.h"

#define BODY_MAX ((size_t)32 << 10)

static const struct {
	enum err_class class;
	unsigned status;
} statuses[] = {
	{ERR_BINDING_REQUIRED, 412}, {ERR_BINDING_FAILED, 412}, {ERR_BINDING_NOT_FOUND, 412},
	{ERR_KIND_MISMATCH, 412},    {ERR_VAULT_LOCKED, 412},   {ERR_VAULT_MISSING, 412},
	{ERR_NETWORK_ERROR, 502},    {ERR_UPSTREAM_ERROR, 502}, {ERR_CAPABILITY_DENIED, 502},
	{ERR_PARSE_ERROR, 503},
};

unsigned gateway_refusal_status(const struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		if (statuses[i].class == err->class)
			return statuses[i].status;
	}
	return (unsigned)err_row(err->class)->http_status;
}

/* The name of ours for it. */
static const char *code_of(const struct err *err, unsigned status)
{
	if (status == 412)
		return err_row(ERR_BINDING_REQUIRED)->name;
	if (status == 502)
		return err_row(ERR_UPSTREAM_ERROR)->name;
	if (err->class == ERR_PARSE_ERROR)
		return err_row(ERR_GATEWAY_NOT_CONFIGURED)->name;
	return err_row(err->class)->name;
}

static const char *anthropic_type(unsigned status)
{
	switch (status) {
	case 401:
		return "authentication_error";
	case 403:
		return "permission_error";
	case 404:
		return "not_found_error";
	case 413:
		return "request_too_large";
	default:
		return status < 500 ? "invalid_request_error" : "api_error";
	}
}

static void put_anthropic(struct json_writer *w, const struct err *err, unsigned status)
{
	member_z(w, "type", "error");
	member_begin_object(w, "error");
	member_z(w, "type", anthropic_type(status));
	member_z(w, "message", err->message);
	member_z(w, "code", code_of(err, status));
	jsonw_end_object(w);
}

static void put_openai(struct json_writer *w, const struct err *err, unsigned status)
{
	member_begin_object(w, "error");
	member_z(w, "message", err->message);
	member_z(w, "type", status < 500 ? "invalid_request_error" : "server_error");
	jsonw_key(w, S("param"));
	jsonw_null(w);
	member_z(w, "code", code_of(err, status));
	jsonw_end_object(w);
}

unsigned gateway_refuse(struct http_exchange *x, enum stream_provider provider, const struct err *err)
{
	unsigned status = gateway_refusal_status(err);
	AUTO_BUF body = BUF_INIT(BODY_MAX);
	struct json_writer w;
	jsonw_init(&w, &body, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	if (provider == STREAM_ANTHROPIC)
		put_anthropic(&w, err, status);
	else
		put_openai(&w, err, status);
	jsonw_end_object(&w);
	static const struct h1_header allow = {S("Allow"), S(STREAM_METHODS)};
	struct http_answer answer = {.status = status, .body = buf_str(&body)};
	if (err->class == ERR_METHOD_NOT_ALLOWED) {
		answer.headers = &allow;
		answer.n_headers = 1;
	}
	http_answer(x, &answer);
	return status;
}
