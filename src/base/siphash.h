/*
 * siphash: SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012)
 *
 * For hash tables whose keys come from outside: without the key nobody can make entries collide. Not for signing or
 * anything stored. No allocation; any thread.
 */
#pragma once
#include "base/str.h"

struct siphash_key {
	uint64_t k0, k1; /* the 16 key bytes as two little-endian words */
};

uint64_t siphash(struct siphash_key key, struct str bytes);
