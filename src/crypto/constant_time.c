#include "crypto/constant_time.h"
#include <openssl/crypto.h>

bool constant_time_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}
