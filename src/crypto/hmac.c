#include "crypto/hmac.h"
#include "base/err.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <pthread.h>

/* Knows the algorithm and no key; every use starts from a copy. */
static EVP_MAC_CTX *model;

static void prepare(void)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	model = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
	char name[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_construct_end(),
	};
	if (model == NULL || EVP_MAC_CTX_set_params(model, params) != 1)
		BUG("this OpenSSL has no HMAC-SHA256");
	EVP_MAC_free(mac); /* the model keeps its own reference */
}

void hmac_sha256(struct str key, struct str message, unsigned char ret[SHA256_SIZE])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, prepare);
	/* NULL would mean "the key that is set already"; an empty key is one as well. */
	const char *key_bytes = key.n > 0 ? key.p : "";
	EVP_MAC_CTX *context = EVP_MAC_CTX_dup(model);
	size_t n = 0;
	if (context == NULL || EVP_MAC_init(context, (const unsigned char *)key_bytes, key.n, NULL) != 1 ||
	    EVP_MAC_update(context, (const unsigned char *)message.p, message.n) != 1 ||
	    EVP_MAC_final(context, ret, &n, SHA256_SIZE) != 1 || n != SHA256_SIZE)
		BUG("a message cannot be authenticated");
	EVP_MAC_CTX_free(context);
}
