#include "vault/keeper_private.h"

static const struct request {
	uint16_t type;
	int (*serve)(struct keeper *keeper, const struct rpc_frame *frame, struct err *err);
} requests[] = {
	{KEEPER_CLAIM, keeper_on_claim},
	{KEEPER_EXTEND, keeper_on_extend},
	{KEEPER_SIGN_SIGV4, keeper_on_sign_sigv4},
	{KEEPER_SIGN_BYTES, keeper_on_sign_bytes},
	{KEEPER_REFRESHED, keeper_on_refreshed},
	{KEEPER_REFRESH_FAILED, keeper_on_refresh_failed},
	{KEEPER_EXCHANGE, keeper_on_exchange},
	{KEEPER_TOKENS, keeper_on_tokens},
	{KEEPER_DEVICE_CODE, keeper_on_device_code},
};

int keeper_serve_egress(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
{
	if (frame->id == 0)
		return fail(err, ERR_PROTOCOL, "message of type %u without an id", (unsigned)frame->type);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		if (requests[i].type == frame->type)
			return requests[i].serve(keeper, frame, err);
	}
	return fail(err, ERR_PROTOCOL, "message of type %u", (unsigned)frame->type);
}
