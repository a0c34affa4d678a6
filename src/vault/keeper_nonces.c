#include "vault/keeper_nonces.h"
#include "base/rand.h"
#include "base/time.h"
#include "crypto/constant_time.h"

void keeper_nonces_give(struct keeper_nonces *nonces, uint64_t now_ns, unsigned char ret[SEALED_NONCE])
{
	__auto_type slot = &nonces->slots[nonces->next];
	nonces->next = (nonces->next + 1) % KEEPER_NONCES_MAX;
	rand_bytes(slot->bytes, SEALED_NONCE);
	slot->until_ns = now_ns + SEALED_NONCE_S * TIME_SECOND;
	memcpy(ret, slot->bytes, SEALED_NONCE);
}

bool keeper_nonces_use(struct keeper_nonces *nonces, uint64_t now_ns, const unsigned char nonce[SEALED_NONCE])
{
	for (size_t i = 0; i < KEEPER_NONCES_MAX; i++) {
		__auto_type slot = &nonces->slots[i];
		if (slot->until_ns == 0 ||
		    !constant_time_eq(str_of(slot->bytes, SEALED_NONCE), str_of(nonce, SEALED_NONCE)))
			continue;
		bool in_time = now_ns < slot->until_ns;
		slot->until_ns = 0;
		return in_time;
	}
	return false;
}
