#include "crypto/digest.h"
#include "base/err.h"
#include "base/hex.h"
#include "crypto/provider.h"
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

/* Found by name once; a lookup costs more than the digest of a short text. */
static EVP_MD *algorithm;

static void fetch(void)
{
	crypto_start();
	algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (algorithm == NULL)
		BUG("this OpenSSL has no SHA-256");
}

static EVP_MD_CTX *context_new(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, fetch);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (context == NULL || EVP_DigestInit_ex2(context, algorithm, NULL) != 1)
		BUG("a digest cannot be started");
	return context;
}

static void add(EVP_MD_CTX *context, struct str bytes)
{
	if (EVP_DigestUpdate(context, bytes.p, bytes.n) != 1)
		BUG("a digest cannot be continued");
}

static void finish(EVP_MD_CTX *context, unsigned char *ret)
{
	if (EVP_DigestFinal_ex(context, ret, NULL) != 1)
		BUG("a digest cannot be finished");
}

void sha256_parts(const struct str *parts, size_t n, unsigned char ret[SHA256_SIZE])
{
	EVP_MD_CTX *context = context_new();
	for (size_t i = 0; i < n; i++)
		add(context, parts[i]);
	finish(context, ret);
	EVP_MD_CTX_free(context);
}

void sha256(struct str bytes, unsigned char ret[SHA256_SIZE])
{
	sha256_parts(&bytes, 1, ret);
}

const char *sha256_hex(struct str bytes, char ret[SHA256_HEX_TEXT_SIZE])
{
	unsigned char digest[SHA256_SIZE];
	sha256(bytes, digest);
	return hex_format(str_of(digest, sizeof digest), ret);
}

struct digest {
	EVP_MD_CTX *context;
};

struct digest *digest_new(void)
{
	struct digest *digest = NEW(struct digest);
	digest->context = context_new();
	return digest;
}

void digest_free(struct digest *digest)
{
	if (digest == NULL)
		return;
	EVP_MD_CTX_free(digest->context); /* wipes */
	free(digest);
}

void digest_add(struct digest *digest, struct str bytes)
{
	add(digest->context, bytes);
}

void digest_finish(struct digest *digest, unsigned char ret[SHA256_SIZE])
{
	finish(digest->context, ret);
	if (EVP_DigestInit_ex2(digest->context, NULL, NULL) != 1)
		BUG("a digest cannot be started anew");
}
