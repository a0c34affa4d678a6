/* The envelope of http_request, straight from a guest, and the header fields that are made of it. */
#include "base/arena.h"
#include "egress/envelope.h"
#include "egress/headers.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(arena) *arena = arena_new();
	struct envelope envelope;
	struct err err = {0};
	if (envelope_parse(arena, str_of(data, n), &envelope, &err) != 0) {
		if (err.class != ERR_CONNECTOR_RUNTIME_ERROR)
			abort();
		return 0;
	}
	AUTO_BUF dropped = BUF_INIT(4096);
	struct header_list list;
	if (headers_make(arena, envelope.headers, envelope.n_headers, &list, &dropped, &err) != 0)
		return 0;
	for (size_t i = 0; i < list.n; i++) {
		if (!headers_is_token(list.items[i].name) ||
		    headers_find(&list, list.items[i].name) != &list.items[i] ||
		    str_find_char(list.items[i].value, '\n') != STR_NPOS)
			abort();
	}
	headers_remove_content(&list);
	headers_remove_credentials(&list, S("X-API-Key"));
	if (headers_find(&list, S("authorization")) != NULL || headers_find(&list, S("x-api-key")) != NULL)
		abort();
	return 0;
}
