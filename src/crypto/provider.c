#include "crypto/provider.h"
#include "base/err.h"
#include <openssl/crypto.h>

void crypto_start(void)
{
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		BUG("OpenSSL cannot be started");
}
