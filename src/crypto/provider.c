#include "crypto/provider.h"
#include "base/err.h"
#include "crypto/digest.h"
#include "crypto/sign.h"
#include <openssl/crypto.h>

void crypto_start(void)
{
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		BUG("OpenSSL cannot be started");
}

void crypto_prepare(void)
{
	/* Each of them once: what they look up, they keep. */
	unsigned char ignored[SHA256_SIZE];
	sha256(STR_EMPTY, ignored);
	static const char zeros[ED25519_SIGNATURE_SIZE];
	(void)sign_verify(str_of(zeros, ED25519_PUBLIC_SIZE), STR_EMPTY, str_of(zeros, ED25519_SIGNATURE_SIZE));
}
