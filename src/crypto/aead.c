#include "crypto/aead.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/provider.h"
#include <openssl/evp.h>
#include <pthread.h>

/* Found by name once, as in digest.c. */
static EVP_CIPHER *cipher;

static void fetch(void)
{
	crypto_start();
	cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (cipher == NULL)
		BUG("this OpenSSL has no AES-256-GCM");
}

/* OpenSSL takes lengths as int, and NULL with length 0 as something else than nothing. */
static const unsigned char *bytes_of(struct str s)
{
	return (const unsigned char *)(s.n > 0 ? s.p : "");
}

static EVP_CIPHER_CTX *begin(struct str key, const unsigned char *nonce, struct str aad, int sealing)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, fetch);
	if (key.n != AEAD_KEY)
		BUG("a key of %zu bytes", key.n);
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int n = 0;
	if (context == NULL || EVP_CipherInit_ex2(context, cipher, bytes_of(key), nonce, sealing, NULL) != 1 ||
	    (aad.n > 0 && EVP_CipherUpdate(context, NULL, &n, bytes_of(aad), (int)aad.n) != 1))
		BUG("a cipher cannot be started");
	return context;
}

static void update(EVP_CIPHER_CTX *context, struct str from, unsigned char *to)
{
	int n = 0;
	if (from.n > 0 && (EVP_CipherUpdate(context, to, &n, bytes_of(from), (int)from.n) != 1 || (size_t)n != from.n))
		BUG("a cipher cannot be continued");
}

void aead_seal(struct str key, const unsigned char nonce[AEAD_NONCE], struct str aad, struct str plain, void *ret)
{
	if (plain.n > AEAD_MAX || aad.n > AEAD_MAX)
		BUG("%zu bytes to seal with %zu", plain.n, aad.n);
	EVP_CIPHER_CTX *context = begin(key, nonce, aad, 1);
	unsigned char *to = ret;
	int n = 0;
	update(context, plain, to);
	if (EVP_CipherFinal_ex(context, to + plain.n, &n) != 1 || n != 0 ||
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, to + plain.n) != 1)
		BUG("a cipher cannot be finished");
	EVP_CIPHER_CTX_free(context); /* wipes */
}

bool aead_open(struct str key, const unsigned char nonce[AEAD_NONCE], struct str aad, struct str sealed, void *ret)
{
	if (sealed.n < AEAD_TAG || sealed.n - AEAD_TAG > AEAD_MAX || aad.n > AEAD_MAX)
		return false;
	struct str text = str_slice(sealed, 0, sealed.n - AEAD_TAG);
	unsigned char tag[AEAD_TAG];
	memcpy(tag, sealed.p + text.n, sizeof tag);
	EVP_CIPHER_CTX *context = begin(key, nonce, aad, 0);
	unsigned char *to = ret;
	int n = 0;
	update(context, text, to);
	if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, tag) != 1)
		BUG("a cipher cannot be given its tag");
	bool holds = EVP_CipherFinal_ex(context, to + text.n, &n) == 1;
	EVP_CIPHER_CTX_free(context);
	if (!holds && text.n > 0)
		mem_wipe(to, text.n); /* what was deciphered is nobody's before the tag holds */
	return holds;
}
