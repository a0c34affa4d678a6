/* Rounds of a request of revision 2026-07-28: what was asked of the client, and the state that it carries back. */
#include "crypto/digest.h"
#include "mcp/core.h"
#include "text/canonical.h"

#define STATE_LIFE_NS (15 * TIME_MINUTE)
#define STATE_LABEL   S("request state")

/* Who asks for what: the state is good for nothing else. */
static void put_binding(const struct mcp_call *call, struct buf *out)
{
	AUTO_BUF text = BUF_INIT(2 * MCP_MESSAGE_MAX);
	if (call->arguments == NULL || json_canonical_quoting(&text, call->arguments, NULL) != 0) {
		buf_clear(&text);
		buf_add_str(&text, call->arguments_text);
	}
	char digest[SHA256_HEX_TEXT_SIZE];
	sha256_hex(buf_str(&text), digest);
	buf_add_str(out, call->caller.is.id);
	buf_add_char(out, '\n');
	buf_add_str(out, call->method->name);
	buf_add_char(out, '\n');
	buf_add_z(out, digest);
	buf_add_str(out, call->name);
}

void call_put_state(const struct mcp_call *call, struct str state, struct buf *out)
{
	uint64_t until = clock_wall_ns(call->mcp->options.clock) + STATE_LIFE_NS;
	AUTO_BUF payload = BUF_INIT(SEAL_PAYLOAD_MAX);
	AUTO_BUF binding = BUF_INIT(2 * MCP_MESSAGE_MAX);
	buf_add(&payload, &until, sizeof until);
	buf_add_str(&payload, state);
	put_binding(call, &binding);
	seal_put(call->mcp->options.key, STATE_LABEL, buf_str(&binding), buf_str(&payload), out);
}

static const char *take_state(struct mcp_call *call, const struct json *value)
{
	static const char refused[] = "'requestState' is not one that this server gave for this request, or is too old";
	struct str text;
	if (!json_get_str(value, &text))
		return refused;
	AUTO_BUF binding = BUF_INIT(2 * MCP_MESSAGE_MAX);
	put_binding(call, &binding);
	AUTO_BUF payload = BUF_INIT(SEAL_PAYLOAD_MAX);
	uint64_t until;
	if (!seal_open(call->mcp->options.key, STATE_LABEL, buf_str(&binding), text, &payload) ||
	    payload.n < sizeof until)
		return refused;
	memcpy(&until, payload.p, sizeof until);
	if (clock_wall_ns(call->mcp->options.clock) > until)
		return refused;
	buf_add_str(&call->state, str_slice(buf_str(&payload), sizeof until, payload.n));
	return NULL;
}

const char *call_take_round(struct mcp_call *call)
{
	const struct json *responses = json_member(call->message->params, S("inputResponses"));
	if (responses != NULL && json_kind(responses) != JSON_KIND_OBJECT)
		return "'inputResponses' is not an object";
	struct json_iter it;
	for (json_iter_init(&it, responses); json_iter_next(&it);) {
		if (json_kind(it.value) != JSON_KIND_OBJECT)
			return "an answer in 'inputResponses' is not an object";
	}
	const struct json *state = json_member(call->message->params, S("requestState"));
	return state == NULL ? NULL : take_state(call, state);
}

const struct json *mcp_call_input(const struct mcp_call *call, struct str key)
{
	if (!call_is_modern(call))
		return NULL;
	return json_member(json_member(call->message->params, S("inputResponses")), key);
}

struct str mcp_call_state(const struct mcp_call *call)
{
	return buf_str(&call->state);
}
