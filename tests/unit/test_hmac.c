#include "base/hex.h"
#include "crypto/hmac.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void assert_tag(struct str key, struct str message, const char *hex)
{
	unsigned char tag[SHA256_SIZE];
	char text[SHA256_HEX_TEXT_SIZE];
	hmac_sha256(key, message, tag);
	assert_string_equal(hex_format(str_of(tag, sizeof tag), text), hex);
}

/* RFC 4231, test cases 1, 2, 6 and 7. */
static void agrees_with_the_rfc(void **state)
{
	(void)state;
	char key[131];
	memset(key, 0x0b, 20);
	assert_tag(str_of(key, 20), S("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	assert_tag(S("Jefe"), S("what do ya want for nothing?"),
		   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof key);
	assert_tag(str_of(key, sizeof key), S("Test Using Larger Than Block-Size Key - Hash Key First"),
		   "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	assert_tag(str_of(key, sizeof key),
		   S("This is a test using a larger than block-size key and a larger than block-size data. The key "
		     "needs to "
		     "be hashed before being used by the HMAC algorithm."),
		   "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

/* Keys are filled up with zeros, so the empty one and a zero give the same tag; never that of the key used before. */
static void the_empty_key_is_a_key(void **state)
{
	(void)state;
	static const char empty[] = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
	unsigned char ignored[SHA256_SIZE];
	hmac_sha256(S("another key first"), S("x"), ignored);
	assert_tag(STR_EMPTY, STR_EMPTY, empty);
	assert_tag(S("\0"), S(""), empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_rfc),
		cmocka_unit_test(the_empty_key_is_a_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
