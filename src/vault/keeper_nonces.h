/*
 * keeper_nonces: numbers that are good for one sealed message
 *
 * Given out by the keeper, each for one use within SEALED_NONCE_S seconds. At most KEEPER_NONCES_MAX are out at once: one
 * more takes the place of the oldest. A plain value; times are CLOCK_MONOTONIC.
 */
#pragma once
#include "vault/sealed.h"
#include <stdbool.h>
#include <stdint.h>

#define KEEPER_NONCES_MAX 256

struct keeper_nonces {
	struct {
		unsigned char bytes[SEALED_NONCE];
		uint64_t until_ns; /* 0 = free */
	} slots[KEEPER_NONCES_MAX];
	size_t next; /* the slot that is taken next: the oldest */
};

void keeper_nonces_give(struct keeper_nonces *nonces, uint64_t now_ns, unsigned char ret[SEALED_NONCE]);
/* Whether it was out and in time; in any case it is used up. */
bool keeper_nonces_use(struct keeper_nonces *nonces, uint64_t now_ns, const unsigned char nonce[SEALED_NONCE]);
