#include "crypto/x25519.h"
#include "base/rand.h"
#include "crypto/constant_time.h"
#include "crypto/provider.h"
#include <openssl/err.h>
#include <openssl/evp.h>

struct secret *x25519_generate(struct err *err)
{
	struct secret *private = secret_new(X25519_SIZE, err);
	if (private != NULL)
		rand_bytes(secret_borrow_mut(private), X25519_SIZE);
	return private;
}

static EVP_PKEY *private_key(const struct secret *private)
{
	crypto_start_secure();
	struct str bytes = secret_borrow(private);
	if (bytes.n != X25519_SIZE)
		BUG("an X25519 key of %zu bytes", bytes.n);
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, (const unsigned char *)bytes.p, bytes.n);
	if (pkey == NULL)
		BUG("an X25519 key cannot be made from its bytes");
	return pkey;
}

void x25519_public(const struct secret *private, unsigned char ret[X25519_SIZE])
{
	EVP_PKEY *pkey = private_key(private);
	size_t n = X25519_SIZE;
	if (EVP_PKEY_get_raw_public_key(pkey, ret, &n) != 1 || n != X25519_SIZE)
		BUG("an X25519 key has no public part");
	EVP_PKEY_free(pkey); /* wipes the private part */
}

/* Whether both came to a result, which OpenSSL refuses when it is zero. */
static bool derive(EVP_PKEY *own, EVP_PKEY *peer, char *ret)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
	size_t n = X25519_SIZE;
	bool derived = context != NULL && EVP_PKEY_derive_init(context) == 1 &&
		       EVP_PKEY_derive_set_peer(context, peer) == 1 &&
		       EVP_PKEY_derive(context, (unsigned char *)ret, &n) == 1 && n == X25519_SIZE;
	EVP_PKEY_CTX_free(context);
	return derived;
}

struct secret *x25519_shared(const struct secret *private, const unsigned char peer[X25519_SIZE], struct err *err)
{
	static const char zero[X25519_SIZE];
	AUTO(secret) *shared = secret_new(X25519_SIZE, err);
	if (shared == NULL)
		return NULL;
	EVP_PKEY *own = private_key(private);
	EVP_PKEY *other = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, peer, X25519_SIZE);
	if (other == NULL)
		BUG("an X25519 public key cannot be made from its bytes");
	ERR_set_mark();
	bool derived = derive(own, other, secret_borrow_mut(shared)) && !secret_eq(shared, str_of(zero, sizeof zero));
	ERR_pop_to_mark();
	EVP_PKEY_free(own);
	EVP_PKEY_free(other);
	if (!derived) {
		fail(err, ERR_VALIDATION_ERROR, "the X25519 public key is a point of small order");
		return NULL;
	}
	return TAKE(shared);
}
