/*
 * envelope: what a guest asks of http_request
 *
 * A JSON object with the keys method, url, headers, body, credential. Compiled connectors were written against Go's
 * decoder, so keys match without case (an exact match before any other, then the last that matches), unknown keys are
 * ignored, the last of equal keys holds and null is the same as absent; so is a null header. Another JSON type for a
 * key, a top level that is neither object nor null, and trailing bytes are errors; so are U+0000, invalid UTF-8 and a
 * depth over JSON_DEPTH_MAX, which Go lets pass. A top-level null is an envelope without a URL.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "egress/message.h"

#define ENVELOPE_HEADERS_MAX 1024

struct envelope {
	struct str method; /* "GET" when none was given */
	struct str url;    /* "" when none was given */
	struct str body;
	struct str credential;                /* "" = none */
	const struct message_header *headers; /* as written, in the order of the text */
	size_t n_headers;
};

/* Parts live in the arena. CONNECTOR_RUNTIME_ERROR says what is wrong and never quotes the envelope. */
int envelope_parse(struct arena *arena, struct str json, struct envelope *ret, struct err *err)
	__attribute__((warn_unused_result));
