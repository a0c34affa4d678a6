/*
 * What control and egress say to each other of the gateway's streams: a message that is read, written again, is the same bytes,
 * and has nothing in it that could be a line of its own. And a body as the gateway looks for its model. The first byte chooses.
 */
#include "base/arena.h"
#include "control/gateway_model.h"
#include "egress/stream_protocol.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void same(const struct buf *again, struct str body)
{
	if (!buf_ok(again) || !str_eq(buf_str(again), body))
		abort();
}

static void expect_no_lines(const struct stream_headers *headers)
{
	for (size_t i = 0; i < headers->n; i++) {
		const struct stream_header *h = &headers->items[i];
		if (str_find_char(h->name, '\n') != STR_NPOS || str_find_char(h->value, '\n') != STR_NPOS ||
		    str_find_char(h->value, '\r') != STR_NPOS || str_find_char(h->value, '\0') != STR_NPOS)
			abort();
	}
}

static void open_message(struct arena *arena, struct str body)
{
	struct stream_open m;
	if (stream_open_get(arena, body, &m, NULL) != 0)
		return;
	AUTO_BUF again = BUF_INIT(body.n + 1);
	stream_open_put(&again, &m);
	same(&again, body);
	expect_no_lines(&m.headers);
	struct str connection = stream_connection_of(arena, &m.headers);
	for (size_t i = 0; i < m.headers.n; i++)
		(void)stream_header_is_of_hop(m.headers.items[i].name, connection);
}

static void head_message(struct arena *arena, struct str body)
{
	struct stream_head m;
	if (stream_head_get(arena, body, &m, NULL) != 0)
		return;
	AUTO_BUF again = BUF_INIT(body.n + 1);
	stream_head_put(&again, &m);
	same(&again, body);
	expect_no_lines(&m.headers);
}

/* Where it is cut makes no difference. */
static void model(struct str body)
{
	struct gateway_model whole = {0}, pieces = {0};
	gateway_model_feed(&whole, body);
	for (size_t i = 0; i < body.n; i++)
		gateway_model_feed(&pieces, str_slice(body, i, i + 1));
	if (!str_eq(gateway_model_found(&whole), gateway_model_found(&pieces)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n == 0)
		return 0;
	AUTO(arena) *arena = arena_new();
	struct str body = str_of(data + 1, n - 1);
	switch (data[0] % 4) {
	case 0:
		open_message(arena, body);
		break;
	case 1:
		head_message(arena, body);
		break;
	case 2:
		(void)stream_target_is_good(body);
		break;
	default:
		model(body);
		break;
	}
	return 0;
}
