/* Capability tokens from outside: first as they come, then signed with the right key, which only changes what is read. */
#include "base/base64.h"
#include "base/mem.h"
#include "control/tokens.h"
#include "crypto/hmac.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char key[32] = "a key that nobody is to find out";

static void check(struct str token, bool *ret_valid)
{
	struct identity identity = {0};
	*ret_valid = caveat_verify(str_of(key, sizeof key), token, &identity);
	if (!*ret_valid)
		return;
	if (identity.kind != IDENTITY_SESSION || identity.session[0] == '\0' ||
	    (identity.capabilities & ~CAPABILITIES_ALL) != 0)
		BUG("a token was accepted that says nothing");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	bool valid;
	struct str claims = str_of(data, n);
	check(claims, &valid);
	if (valid)
		BUG("a token was accepted that nobody signed");
	AUTO_BUF token = BUF_INIT(2 * n + 256);
	buf_add_z(&token, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.");
	base64_encode(&token, claims, BASE64_URL_NOPAD);
	unsigned char mac[SHA256_SIZE];
	hmac_sha256(str_of(key, sizeof key), buf_str(&token), mac);
	buf_add_char(&token, '.');
	base64_encode(&token, str_of(mac, sizeof mac), BASE64_URL_NOPAD);
	check(buf_str(&token), &valid);
	return 0;
}
