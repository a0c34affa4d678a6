/*
 * What control and egress say to a keeper: messages that are read, written again, are the same bytes; tokens that are read
 * are written and read again as the same; sealed messages and metadata only ever fail. The first byte chooses which.
 */
#include "base/arena.h"
#include "text/wire.h"
#include "vault/keeper_metadata.h"
#include "vault/keeper_protocol.h"
#include "vault/keeper_token.h"
#include "vault/sealed.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void same(struct buf *again, struct str body)
{
	if (!buf_ok(again) || !str_eq(buf_str(again), body))
		abort();
	buf_release(again);
}

static void sealed_request(struct str body)
{
	struct keeper_sealed m;
	if (keeper_sealed_get(body, &m, NULL) != 0)
		return;
	struct buf again = BUF_INIT(body.n + 1);
	keeper_sealed_put(&again, &m);
	same(&again, body);
}

static void permit(struct str body)
{
	AUTO(arena) *arena = arena_new();
	struct keeper_permit m;
	if (keeper_permit_get(arena, body, &m, NULL) != 0)
		return;
	struct buf again = BUF_INIT(body.n + 1);
	keeper_permit_put(&again, &m);
	same(&again, body);
}

static void state(struct str body)
{
	struct wire_reader r = wire_reader(body);
	struct keeper_state m;
	keeper_state_get(&r, &m);
	if (wire_done(&r, "state", NULL) != 0)
		return;
	struct buf again = BUF_INIT(body.n + 1);
	keeper_state_put(&again, &m);
	same(&again, body);
}

static void entry(struct str body)
{
	struct wire_reader r = wire_reader(body);
	struct keeper_entry m;
	keeper_entry_get(&r, &m);
	if (wire_done(&r, "entry", NULL) != 0)
		return;
	struct buf again = BUF_INIT(body.n + 1);
	keeper_entry_put(&again, &m);
	same(&again, body);
}

static void tokens(struct str body)
{
	struct wire_reader r = wire_reader(body);
	struct keeper_tokens m;
	keeper_tokens_get(&r, &m);
	if (wire_done(&r, "tokens", NULL) != 0)
		return;
	struct buf again = BUF_INIT(body.n + 1);
	keeper_tokens_put(&again, &m);
	same(&again, body);
}

static void exchange(struct str body)
{
	struct wire_reader r = wire_reader(body);
	struct keeper_exchange m;
	keeper_exchange_get(&r, &m);
	if (wire_done(&r, "exchange", NULL) != 0)
		return;
	struct buf again = BUF_INIT(body.n + 1);
	keeper_exchange_put(&again, &m);
	same(&again, body);
}

static void stored_token(struct str body)
{
	AUTO_TOKEN token = {0};
	if (keeper_token_read(body, &token, NULL) != 0)
		return;
	AUTO(secret) *json = keeper_token_write(&token, NULL);
	if (json == NULL) /* escapes made it too long */
		return;
	AUTO_TOKEN again = {0};
	if (keeper_token_read(secret_borrow(json), &again, NULL) != 0 ||
	    !str_eq(again.access_token, token.access_token) || !str_eq(again.refresh_token, token.refresh_token) ||
	    !str_eq(again.token_url, token.token_url) || !str_eq(again.client_secret, token.client_secret))
		abort();
}

static void sealed(struct str body)
{
	static struct sealed_key *key;
	if (key == NULL)
		key = sealed_key_new(NULL);
	const struct sealed_context context = {.operation = S("vault.put")};
	struct sealed_opened opened;
	if (key == NULL || sealed_open(key, body, &context, &opened, NULL) == 0)
		abort();
}

static void metadata(struct str body)
{
	AUTO(arena) *arena = arena_new();
	static struct keeper_metadata m;
	if (keeper_metadata_read(arena, body, &m, NULL) == 0 && m.labels.n > VAULT_LABELS_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static void (*const targets[])(struct str body) = {sealed_request, permit,       state,  entry,   tokens,
							   exchange,       stored_token, sealed, metadata};
	if (n > 0)
		targets[data[0] % ARRAY_LEN(targets)](str_of(data + 1, n - 1));
	return 0;
}
