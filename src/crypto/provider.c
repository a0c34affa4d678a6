#include "crypto/provider.h"
#include "base/err.h"
#include <openssl/crypto.h>
#include <pthread.h>

/* Private keys are some hundred bytes each, and live for a handshake, a signature or a key of ours. */
enum { SECURE_HEAP = 256 << 10, SECURE_HEAP_MIN = 32 };

void crypto_start(void)
{
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		BUG("OpenSSL cannot be started");
}

static void prepare_heap(void)
{
	crypto_start();
	if (!CRYPTO_secure_malloc_initialized())
		CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_HEAP_MIN);
}

void crypto_start_secure(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, prepare_heap);
}
