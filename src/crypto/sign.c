#include "crypto/sign.h"
#include "base/base64.h"
#include "crypto/provider.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* A DER key of either version is 85 bytes at most; PEM adds its lines. Longer is something else. */
#define PEM_MAX ((size_t)1024)

struct sign_key {
	EVP_PKEY *pkey;
	unsigned char public[ED25519_PUBLIC_SIZE];
};

/*
 * RFC 8410, section 7, byte for byte: OneAsymmetricKey of version 1, or of version 2 with the public key behind the
 * private one; OCTET STRING within OCTET STRING holds the seed. DER leaves no other spelling without attributes.
 */
static const unsigned char pkcs8_v1[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
					 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
static const unsigned char pkcs8_v2[] = {0x30, 0x51, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06,
					 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
static const unsigned char pkcs8_v2_public[] = {0x81, 0x21, 0x00};

/* The text between the armour lines without its line ends, decoded. */
static int decode_pem(struct str pem, struct buf *ret_der, struct err *err)
{
	struct str begin = S("-----BEGIN PRIVATE KEY-----"), end = S("-----END PRIVATE KEY-----");
	if (pem.n > PEM_MAX || !str_starts(pem, begin) || !str_ends(pem, end) || pem.n < begin.n + end.n)
		return fail(err, ERR_VALIDATION_ERROR,
			    "signing key is neither %d bytes of seed nor a PEM text with one unencrypted 'PRIVATE KEY' "
			    "(make one with 'openssl genpkey -algorithm ed25519')",
			    ED25519_SEED_SIZE);
	AUTO_BUF body = BUF_INIT_SECRET(PEM_MAX);
	for (size_t i = begin.n; i < pem.n - end.n; i++) {
		if (pem.p[i] != '\n' && pem.p[i] != '\r')
			buf_add_char(&body, pem.p[i]);
	}
	struct err why = {0};
	if (base64_decode(ret_der, buf_str(&body), BASE64_STANDARD, &why) < 0)
		return fail(err, ERR_VALIDATION_ERROR, "signing key: %s", why.message);
	return 0;
}

/* Finds the seed, and in version 2 the public key (else empty), both as views into the structure. */
static int parse_pkcs8(struct str der, struct str *ret_seed, struct str *ret_public, struct err *err)
{
	struct str v1 = str_of(pkcs8_v1, sizeof pkcs8_v1), v2 = str_of(pkcs8_v2, sizeof pkcs8_v2);
	size_t seed_end = sizeof pkcs8_v1 + ED25519_SEED_SIZE;
	size_t public_start = seed_end + sizeof pkcs8_v2_public;
	bool is_v1 = str_starts(der, v1) && der.n == seed_end;
	bool is_v2 = str_starts(der, v2) && der.n == public_start + ED25519_PUBLIC_SIZE &&
		     str_eq(str_slice(der, seed_end, public_start), str_of(pkcs8_v2_public, sizeof pkcs8_v2_public));
	if (!is_v1 && !is_v2)
		return fail(err, ERR_VALIDATION_ERROR, "signing key is not an Ed25519 key in PKCS#8 form");
	*ret_seed = str_slice(der, sizeof pkcs8_v1, seed_end);
	*ret_public = is_v2 ? str_slice(der, public_start, der.n) : STR_EMPTY;
	return 0;
}

static struct sign_key *key_from_seed(struct str seed)
{
	crypto_start_secure();
	struct sign_key *key = NEW(struct sign_key);
	key->pkey = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, (const unsigned char *)seed.p, seed.n);
	size_t n = sizeof key->public;
	if (key->pkey == NULL || EVP_PKEY_get_raw_public_key(key->pkey, key->public, &n) != 1 ||
	    n != sizeof key->public)
		BUG("an Ed25519 key cannot be made from its seed");
	return key;
}

struct sign_key *sign_key_new(const struct secret *secret, struct err *err)
{
	struct str text = secret_borrow(secret);
	if (text.n == ED25519_SEED_SIZE)
		return key_from_seed(text);
	AUTO_BUF der = BUF_INIT_SECRET(PEM_MAX);
	struct str seed, public;
	if (decode_pem(str_trim(text), &der, err) < 0 || parse_pkcs8(buf_str(&der), &seed, &public, err) < 0)
		return NULL;
	AUTO(sign_key) *key = key_from_seed(seed);
	if (public.n > 0 && !str_eq(public, str_of(key->public, sizeof key->public))) {
		fail(err, ERR_VALIDATION_ERROR, "signing key holds a public key that is not its own");
		return NULL;
	}
	return TAKE(key);
}

void sign_key_free(struct sign_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey); /* wipes the private part */
	free(key);
}

void sign_key_public(const struct sign_key *key, unsigned char ret[ED25519_PUBLIC_SIZE])
{
	memcpy(ret, key->public, sizeof key->public);
}

void sign_message(const struct sign_key *key, struct str message, unsigned char ret[ED25519_SIGNATURE_SIZE])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t n = ED25519_SIGNATURE_SIZE;
	if (context == NULL || EVP_DigestSignInit_ex(context, NULL, NULL, NULL, NULL, key->pkey, NULL) != 1 ||
	    EVP_DigestSign(context, ret, &n, (const unsigned char *)message.p, message.n) != 1 ||
	    n != ED25519_SIGNATURE_SIZE)
		BUG("a message cannot be signed");
	EVP_MD_CTX_free(context);
}

bool sign_verify(struct str public_key, struct str message, struct str signature)
{
	crypto_start();
	if (public_key.n != ED25519_PUBLIC_SIZE || signature.n != ED25519_SIGNATURE_SIZE)
		return false;
	ERR_set_mark(); /* what OpenSSL notes about a bad signature is nobody else's business */
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, (const unsigned char *)public_key.p,
							public_key.n);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool verifies = pkey != NULL && context != NULL &&
			EVP_DigestVerifyInit_ex(context, NULL, NULL, NULL, NULL, pkey, NULL) == 1 &&
			EVP_DigestVerify(context, (const unsigned char *)signature.p, signature.n,
					 (const unsigned char *)message.p, message.n) == 1;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(pkey);
	ERR_pop_to_mark();
	return verifies;
}
