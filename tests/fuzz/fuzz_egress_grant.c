/* GRANT as egress reads it, and RESULT as its parent does: what one accepts, written again, is the same bytes. */
#include "base/arena.h"
#include "egress/egress_protocol.h"
#include "text/wire.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void grant(const uint8_t *data, size_t n)
{
	AUTO(arena) *arena = arena_new();
	AUTO(secret) *secret = NULL;
	AUTO_FREE char *body = xmalloc(n + 1);
	if (n > 0)
		memcpy(body, data, n);
	struct egress_grant got;
	struct err err = {0};
	int rc = egress_grant_get(arena, body, n, &got, &secret, &err);
	for (size_t i = 0; i < n; i++) {
		if (body[i] != 0)
			abort();
	}
	if (rc != 0)
		return;
	AUTO_BUF again = BUF_INIT(n + 1);
	egress_grant_put_head(&again, &got);
	wire_put_str(&again, secret != NULL ? secret_borrow(secret) : STR_EMPTY);
	if (!buf_ok(&again) || !str_eq(buf_str(&again), str_of(data, n)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	grant(data, n);
	static struct egress_result result;
	struct err err = {0};
	if (egress_result_get(str_of(data, n), &result, &err) == 0 && (result.rc > 0 || result.rc < -2))
		abort();
	return 0;
}
