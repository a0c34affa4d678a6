#include "base/hex.h"
#include "crypto/x25519.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct secret *secret_of(struct str digits)
{
	AUTO_BUF bytes = BUF_INIT(64);
	assert_int_equal(hex_decode(&bytes, digits, NULL), 0);
	return secret_from(buf_str(&bytes), NULL);
}

static void assert_hex(const void *bytes, const char *digits)
{
	char got[2 * X25519_SIZE + 1];
	assert_string_equal(hex_format(str_of(bytes, X25519_SIZE), got), digits);
}

/* RFC 7748, section 6.1. */
static void two_sides_reach_the_secret_of_the_rfc(void **state)
{
	(void)state;
	AUTO(secret) *alice = secret_of(S("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
	AUTO(secret) *bob = secret_of(S("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
	unsigned char alices[X25519_SIZE], bobs[X25519_SIZE];
	x25519_public(alice, alices);
	x25519_public(bob, bobs);
	assert_hex(alices, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
	assert_hex(bobs, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
	AUTO(secret) *one = x25519_shared(alice, bobs, NULL);
	AUTO(secret) *other = x25519_shared(bob, alices, NULL);
	assert_non_null(one);
	assert_hex(secret_borrow(one).p, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
	assert_true(secret_eq(other, secret_borrow(one)));
}

static void generated_keys_differ_and_agree(void **state)
{
	(void)state;
	AUTO(secret) *a = x25519_generate(NULL);
	AUTO(secret) *b = x25519_generate(NULL);
	assert_false(secret_eq(a, secret_borrow(b)));
	unsigned char of_a[X25519_SIZE], of_b[X25519_SIZE];
	x25519_public(a, of_a);
	x25519_public(b, of_b);
	AUTO(secret) *one = x25519_shared(a, of_b, NULL);
	AUTO(secret) *other = x25519_shared(b, of_a, NULL);
	assert_true(secret_eq(one, secret_borrow(other)));
}

/* Zero, one, and the two points of order eight: RFC 7748, section 6.1, asks for the check. */
static void points_of_small_order_are_refused(void **state)
{
	(void)state;
	const struct str points[] = {
		S("0000000000000000000000000000000000000000000000000000000000000000"),
		S("0100000000000000000000000000000000000000000000000000000000000000"),
		S("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
		S("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
	};
	AUTO(secret) *private = x25519_generate(NULL);
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		static struct err err;
		err_clear(&err);
		AUTO_BUF peer = BUF_INIT(64);
		assert_int_equal(hex_decode(&peer, points[i], NULL), 0);
		assert_null(x25519_shared(private, (const unsigned char *)peer.p, &err));
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_sides_reach_the_secret_of_the_rfc),
		cmocka_unit_test(generated_keys_differ_and_agree),
		cmocka_unit_test(points_of_small_order_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
