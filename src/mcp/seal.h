/*
 * seal: text that a client keeps for us and cannot change
 *
 * Session ids, cursors and request states: base64url of an HMAC-SHA256 cut to 16 bytes and the payload, which anybody can
 * read. `label` names the use and `context` what the text is bound to; neither is in the text. Any thread.
 */
#pragma once
#include "base/buf.h"
#include "mcp/mcp.h"

#define SEAL_PAYLOAD_MAX ((size_t)16 << 10)
#define SEAL_TAG_SIZE    16

void seal_put(const unsigned char key[MCP_KEY_SIZE], struct str label, struct str context, struct str payload,
	      struct buf *out);
/* False when it was not made so, under this key, label and context. Appends the payload. */
bool seal_open(const unsigned char key[MCP_KEY_SIZE], struct str label, struct str context, struct str text,
	       struct buf *ret) __attribute__((warn_unused_result));
