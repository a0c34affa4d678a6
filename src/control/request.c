#include "base/base64.h"
#include "base/hex.h"
#include "control/control.h"
#include "control/tokens.h"
#include "control/keeper_client.h"
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

int request_ask_sealed(struct request *request, struct keeper_sealed *sealed, struct str *ret_body, struct err *err)
{
	if (request_sealed(request, &sealed->sealed, err) < 0)
		return -1;
	return keeper_ask_sealed(request->control->keeper, sealed, request->arena, ret_body, err);
}

static bool is_lower_hex(struct str text)
{
	bool zero = true;
	for (size_t i = 0; i < text.n; i++) {
		if (hex_digit(text.p[i]) < 0 || (text.p[i] >= 'A' && text.p[i] <= 'F'))
			return false;
		zero = zero && text.p[i] == '0';
	}
	return !zero;
}

/* "00-<32>-<16>-<2>"; ids of zeros are none. */
struct str request_trace(const struct request *request, struct str *ret_parent)
{
	struct str header = http_header(request->exchange, S("traceparent"));
	if (header.n != 55 || !str_starts(header, S("00-")) || header.p[35] != '-' || header.p[52] != '-')
		return STR_EMPTY;
	struct str id = str_slice(header, 3, 35), parent = str_slice(header, 36, 52);
	if (!is_lower_hex(id) || !is_lower_hex(parent))
		return STR_EMPTY;
	if (ret_parent != NULL)
		*ret_parent = arena_str(request->arena, parent);
	return arena_str(request->arena, id);
}

struct audit_event request_event(const struct request *request, enum audit_type type)
{
	struct audit_event event = {.type = type, .actor = AUDIT_ACTOR_HUMAN, .actor_id = S("user")};
	if (request->identity.kind == IDENTITY_SESSION) {
		event.actor = AUDIT_ACTOR_AGENT;
		event.actor_id = str_from(request->identity.session);
	} else if (request->identity.kind == IDENTITY_AGENT) {
		event.actor = AUDIT_ACTOR_AGENT;
		event.actor_id = str_from(request->identity.agent);
	}
	event.trace_id = request_trace(request, NULL);
	return event;
}

bool request_is_gone(void *request)
{
	return http_is_gone(((const struct request *)request)->exchange);
}

bool request_is_over(void *request)
{
	const struct request *r = request;
	return request_is_gone(request) || !tokens_stand(r->control->tokens, &r->identity);
}
