#include "base/base64.h"
#include "base/hex.h"
#include "crypto/sign.h"
#include <setjmp.h>
#include <stdarg.h>
#include <openssl/err.h>
#include <cmocka.h>

/* RFC 8032, section 7.1, tests 1 to 3. */
static const struct {
	const char *seed, *public, *message, *signature;
} rfc8032[] = {
	{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	 "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
	 "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bb"
	 "e24"
	 "655141438e7a100b"},
	{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	 "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
	 "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302"
	 "aee"
	 "b00d291612bb0c00"},
	{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	 "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
	 "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed"
	 "28d"
	 "c027beceea1ec40a"},
};

static struct str unhex(struct buf *buf, const char *hex)
{
	buf_clear(buf);
	assert_int_equal(hex_decode(buf, str_from(hex), NULL), 0);
	return buf_str(buf);
}

static void agrees_with_the_rfc(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rfc8032); i++) {
		AUTO_BUF buf = BUF_INIT(100);
		AUTO_BUF message = BUF_INIT(100);
		AUTO(secret) *seed = secret_from(unhex(&buf, rfc8032[i].seed), NULL);
		AUTO(sign_key) *key = sign_key_new(seed, NULL);
		assert_non_null(key);
		unsigned char public[ED25519_PUBLIC_SIZE], signature[ED25519_SIGNATURE_SIZE];
		sign_key_public(key, public);
		assert_memory_equal(public, unhex(&buf, rfc8032[i].public).p, sizeof public);
		unhex(&message, rfc8032[i].message);
		sign_message(key, buf_str(&message), signature);
		assert_memory_equal(signature, unhex(&buf, rfc8032[i].signature).p, sizeof signature);
		assert_true(sign_verify(str_of(public, sizeof public), buf_str(&message), buf_str(&buf)));
	}
}

/* Any one bit of key, message or signature matters; any other length is refused. */
static void a_changed_bit_does_not_verify(void **state)
{
	(void)state;
	char message[] = "pay 10 to bob";
	unsigned char public[ED25519_PUBLIC_SIZE], signature[ED25519_SIGNATURE_SIZE + 1] = {0};
	struct str m = str_from(message), p = str_of(public, sizeof public),
		   s = str_of(signature, ED25519_SIGNATURE_SIZE);
	AUTO(secret) *seed = secret_from(S("0123456789abcdef0123456789abcdef"), NULL);
	AUTO(sign_key) *key = sign_key_new(seed, NULL);
	sign_key_public(key, public);
	sign_message(key, m, signature);
	assert_true(sign_verify(p, m, s));
	for (size_t bit = 0; bit < 8 * ED25519_SIGNATURE_SIZE; bit++) {
		signature[bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_false(sign_verify(p, m, s));
		signature[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * ED25519_PUBLIC_SIZE; bit++) {
		public[bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_false(sign_verify(p, m, s));
		public[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	message[4] ^= 1;
	assert_false(sign_verify(p, m, s));
	message[4] ^= 1;
	assert_false(sign_verify(p, m, str_of(signature, ED25519_SIGNATURE_SIZE + 1)));
	assert_false(sign_verify(p, m, str_of(signature, ED25519_SIGNATURE_SIZE - 1)));
	assert_false(sign_verify(p, m, STR_EMPTY));
	assert_false(sign_verify(str_of(public, sizeof public - 1), m, s));
	assert_false(sign_verify(STR_EMPTY, m, s));
	assert_true(sign_verify(p, m, s));
	assert_int_equal(ERR_peek_error(), 0); /* refusals leave no trace for the next user of OpenSSL */
}

/* RFC 9421, B.1.4: the key of the RFC's examples, and RFC 8032's first seed in the second version of the structure. */
#define BEGIN        "-----BEGIN PRIVATE KEY-----\n"
#define END          "-----END PRIVATE KEY-----\n"
#define RFC9421_BODY "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n"
static const char rfc9421_public[] = "26b40b8f93fff3d897112f7ebc582b232dbd72517d082fe83cfb30ddce43d1bb";

static void assert_reads_pem(const char *pem, const char *public_hex)
{
	struct err err = {0};
	AUTO_BUF expected = BUF_INIT(100);
	AUTO(secret) *secret = secret_from(str_from(pem), NULL);
	AUTO(sign_key) *key = sign_key_new(secret, &err);
	if (key == NULL)
		fail_msg("%s", err.message);
	unsigned char public[ED25519_PUBLIC_SIZE];
	sign_key_public(key, public);
	assert_memory_equal(public, unhex(&expected, public_hex).p, sizeof public);
}

/* The second version: its head, the seed, the mark of the public key, the public key. */
static const char *version_2(struct buf *pem, const char *public_hex)
{
	AUTO_BUF der = BUF_INIT(200);
	assert_int_equal(hex_decode(&der, S("3051020101300506032b657004220420"), NULL), 0);
	assert_int_equal(hex_decode(&der, str_from(rfc8032[0].seed), NULL), 0);
	assert_int_equal(hex_decode(&der, S("812100"), NULL), 0);
	assert_int_equal(hex_decode(&der, str_from(public_hex), NULL), 0);
	buf_add_z(pem, BEGIN);
	base64_encode(pem, buf_str(&der), BASE64_STANDARD);
	buf_add_z(pem, "\n" END);
	return pem->p;
}

static void reads_pkcs8_of_both_versions(void **state)
{
	(void)state;
	assert_reads_pem(BEGIN RFC9421_BODY END, rfc9421_public);
	assert_reads_pem("\n  " BEGIN "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqV\r\nTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\r\n" END
			 "\n",
			 rfc9421_public);
	AUTO_BUF pem = BUF_INIT(500);
	assert_reads_pem(version_2(&pem, rfc8032[0].public), rfc8032[0].public);
}

static void refuses_other_keys_without_quoting_them(void **state)
{
	(void)state;
	AUTO_BUF foreign = BUF_INIT(500);
	const struct {
		const char *text, *message;
	} rows[] = {
		{"", "neither 32 bytes of seed nor a PEM text"},
		{"0123456789abcdef0123456789abcde", "neither 32 bytes of seed nor a PEM text"},
		{"0123456789abcdef0123456789abcdef0", "neither 32 bytes of seed nor a PEM text"},
		{BEGIN, "neither 32 bytes of seed nor a PEM text"},
		{"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" RFC9421_BODY "-----END ENCRYPTED PRIVATE KEY-----\n",
		 "neither 32 bytes of seed nor a PEM text"},
		{BEGIN RFC9421_BODY "-----END PUBLIC KEY-----\n", "neither 32 bytes of seed nor a PEM text"},
		{BEGIN RFC9421_BODY END BEGIN RFC9421_BODY END, "signing key: not a base64 character"},
		{BEGIN "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSn\n" END, "signing key: base64"},
		{BEGIN "!" RFC9421_BODY END, "signing key: "},
		{BEGIN END, "not an Ed25519 key in PKCS#8 form"},
		/* one byte short, and an X25519 key */
		{BEGIN "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSk=\n" END,
		 "not an Ed25519 key in PKCS#8 form"},
		{BEGIN "MC4CAQAwBQYDK2VuBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n" END,
		 "not an Ed25519 key in PKCS#8 form"},
		{version_2(&foreign, rfc9421_public), "holds a public key that is not its own"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = {0};
		AUTO(secret) *secret = secret_from(str_from(rows[i].text), NULL);
		AUTO(sign_key) *key = sign_key_new(secret, &err);
		assert_null(key);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
		if (strstr(err.message, rows[i].message) == NULL)
			fail_msg("row %zu: %s", i, err.message);
		assert_null(strstr(err.message, "MC4C"));
		assert_null(strstr(err.message, "0123"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_rfc),
		cmocka_unit_test(a_changed_bit_does_not_verify),
		cmocka_unit_test(reads_pkcs8_of_both_versions),
		cmocka_unit_test(refuses_other_keys_without_quoting_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
