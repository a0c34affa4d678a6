#include "base/mem.h"
#include "crypto/aead.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static const unsigned char nonce[AEAD_NONCE] = "twelve bytes";
#define KEY  S("0123456789abcdef0123456789abcdef")
#define TEXT S("attack at dawn")
#define AAD  S("api_key/stripe/work")

static struct str seal(unsigned char ret[64])
{
	aead_seal(KEY, nonce, AAD, TEXT, ret);
	return str_of(ret, TEXT.n + AEAD_TAG);
}

static void opens_what_it_sealed(void **state)
{
	(void)state;
	unsigned char sealed[64], text[64];
	struct str s = seal(sealed);
	assert_true(aead_open(KEY, nonce, AAD, s, text));
	assert_memory_equal(text, TEXT.p, TEXT.n);
	aead_seal(KEY, nonce, STR_EMPTY, STR_EMPTY, sealed);
	assert_true(aead_open(KEY, nonce, STR_EMPTY, str_of(sealed, AEAD_TAG), text));
}

static void works_in_place(void **state)
{
	(void)state;
	unsigned char sealed[64], bytes[64];
	seal(sealed);
	memcpy(bytes, TEXT.p, TEXT.n);
	aead_seal(KEY, nonce, AAD, str_of(bytes, TEXT.n), bytes);
	assert_memory_equal(bytes, sealed, TEXT.n + AEAD_TAG);
	assert_true(aead_open(KEY, nonce, AAD, str_of(bytes, TEXT.n + AEAD_TAG), bytes));
	assert_memory_equal(bytes, TEXT.p, TEXT.n);
}

static void any_changed_byte_is_refused_and_nothing_shown(void **state)
{
	(void)state;
	static const unsigned char zero[64];
	unsigned char sealed[64], text[64], other_nonce[AEAD_NONCE];
	struct str s = seal(sealed);
	for (size_t i = 0; i < s.n; i++) {
		sealed[i] ^= 1;
		memset(text, 0xa5, sizeof text);
		assert_false(aead_open(KEY, nonce, AAD, s, text));
		assert_memory_equal(text, zero, TEXT.n);
		sealed[i] ^= 1;
	}
	assert_false(aead_open(KEY, nonce, S("api_key/stripe/worl"), s, text));
	assert_false(aead_open(KEY, nonce, STR_EMPTY, s, text));
	assert_false(aead_open(S("0123456789abcdef0123456789abcdeg"), nonce, AAD, s, text));
	memcpy(other_nonce, nonce, sizeof nonce);
	other_nonce[0] ^= 1;
	assert_false(aead_open(KEY, other_nonce, AAD, s, text));
	for (size_t n = 0; n < s.n; n++)
		assert_false(aead_open(KEY, nonce, AAD, str_slice(s, 0, n), text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_what_it_sealed),
		cmocka_unit_test(works_in_place),
		cmocka_unit_test(any_changed_byte_is_refused_and_nothing_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
