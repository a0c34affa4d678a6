/*
 * openapi: the API as an OpenAPI 3.1 document
 *
 * Made from operations.def and the field tables alone, so it says what api_validate() does: unknown members are refused,
 * lengths and values are bounded. The same program always makes the same bytes. Beyond the standard stand `x-aileron-verb`
 * (the verb of the command line), `x-aileron-audited` (the events that it may leave) and `x-aileron-needs-vault`.
 */
#pragma once
#include "base/buf.h"

#define OPENAPI_MAX ((size_t)1 << 20)

/* Appends the document, compact JSON. */
void openapi_put(struct buf *out);
