#include "base/base64.h"
#include "base/hex.h"
#include "control/control.h"
#include "vault/sealed.h"

#define SEALED_MAX (SEALED_OVERHEAD + SEALED_FIELDS_MAX)

struct str request_query(const struct request *request, const char *name)
{
	struct str value = STR_EMPTY;
	(void)json_get_str(json_member(request->query, str_from(name)), &value);
	return value;
}

uint64_t request_query_u64(const struct request *request, const char *name, uint64_t otherwise)
{
	uint64_t value = otherwise;
	(void)str_to_u64(request_query(request, name), UINT64_MAX, &value);
	return value;
}

bool request_query_bool(const struct request *request, const char *name)
{
	struct str value = request_query(request, name);
	return str_eq(value, S("true")) || str_eq(value, S("1"));
}

const struct json *request_member(const struct request *request, const char *name)
{
	return json_member(request->body, str_from(name));
}

struct str request_str(const struct request *request, const char *name)
{
	struct str value = STR_EMPTY;
	(void)json_get_str(request_member(request, name), &value);
	return value;
}

bool request_bool(const struct request *request, const char *name, bool otherwise)
{
	bool value = otherwise;
	(void)json_get_bool(request_member(request, name), &value);
	return value;
}

int request_sealed(struct request *request, struct str *ret, struct err *err)
{
	struct str text = request_str(request, "sealed");
	if (text.n == 0)
		return fail(err, ERR_SEALED_REQUIRED,
			    "the member 'sealed' is missing: secrets are sent sealed to the keeper");
	AUTO_BUF bytes = BUF_INIT(SEALED_MAX);
	if (base64_decode(&bytes, text, BASE64_STANDARD, err) < 0) {
		err_clear(err);
		return fail(err, ERR_INVALID_REQUEST, "'sealed' is not the base64 of at most %zu bytes", SEALED_MAX);
	}
	*ret = arena_str(request->arena, buf_str(&bytes));
	return 0;
}

/* The trace id of a traceparent header (W3C Trace Context 2.2.2): "00-<32>-<16>-<2>"; "" when there is none. */
static struct str trace_id(const struct request *request)
{
	struct str header = http_header(request->exchange, S("traceparent"));
	if (header.n != 55 || !str_starts(header, S("00-")) || header.p[35] != '-')
		return STR_EMPTY;
	struct str id = str_slice(header, 3, 35);
	bool zero = true;
	for (size_t i = 0; i < id.n; i++) {
		bool lower_hex = hex_digit(id.p[i]) >= 0 && !(id.p[i] >= 'A' && id.p[i] <= 'F');
		if (!lower_hex)
			return STR_EMPTY;
		zero = zero && id.p[i] == '0';
	}
	return zero ? STR_EMPTY : arena_str(request->arena, id);
}

struct audit_event request_event(const struct request *request, enum audit_type type)
{
	struct audit_event event = {.type = type, .actor = AUDIT_ACTOR_HUMAN, .actor_id = S("user")};
	if (request->identity.kind == IDENTITY_SESSION) {
		event.actor = AUDIT_ACTOR_AGENT;
		event.actor_id = str_from(request->identity.session);
	}
	event.trace_id = trace_id(request);
	return event;
}
