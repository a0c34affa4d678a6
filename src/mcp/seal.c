#include "mcp/seal.h"
#include "base/base64.h"
#include "crypto/constant_time.h"
#include "crypto/hmac.h"

static void tag_of(const unsigned char key[MCP_KEY_SIZE], struct str label, struct str context, struct str payload,
		   unsigned char ret[SHA256_SIZE])
{
	const uint64_t lengths[2] = {label.n, context.n};
	const struct str parts[] = {str_of(lengths, sizeof lengths), label, context, payload};
	hmac_sha256_parts(str_of(key, MCP_KEY_SIZE), parts, ARRAY_LEN(parts), ret);
}

void seal_put(const unsigned char key[MCP_KEY_SIZE], struct str label, struct str context, struct str payload,
	      struct buf *out)
{
	unsigned char tag[SHA256_SIZE];
	tag_of(key, label, context, payload, tag);
	AUTO_BUF bytes = BUF_INIT(SEAL_TAG_SIZE + SEAL_PAYLOAD_MAX);
	buf_add(&bytes, tag, SEAL_TAG_SIZE);
	buf_add_str(&bytes, payload);
	if (!buf_ok(&bytes))
		BUG("%zu bytes to be sealed", payload.n);
	base64_encode(out, buf_str(&bytes), BASE64_URL_NOPAD);
}

bool seal_open(const unsigned char key[MCP_KEY_SIZE], struct str label, struct str context, struct str text,
	       struct buf *ret)
{
	AUTO_BUF bytes = BUF_INIT(SEAL_TAG_SIZE + SEAL_PAYLOAD_MAX);
	if (text.n > base64_size(bytes.cap, BASE64_URL_NOPAD) ||
	    base64_decode(&bytes, text, BASE64_URL_NOPAD, NULL) != 0)
		return false;
	if (bytes.n < SEAL_TAG_SIZE)
		return false;
	struct str tag = str_slice(buf_str(&bytes), 0, SEAL_TAG_SIZE),
		   payload = str_slice(buf_str(&bytes), SEAL_TAG_SIZE, bytes.n);
	unsigned char expected[SHA256_SIZE];
	tag_of(key, label, context, payload, expected);
	if (!constant_time_eq(tag, str_of(expected, SEAL_TAG_SIZE)))
		return false;
	buf_add_str(ret, payload);
	return buf_ok(ret);
}
