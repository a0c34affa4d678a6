/*
 * generator: repeatable choices for property tests
 *
 * SplitMix64 (Steele, Lea, Flood 2014): every seed gives the same run on every machine, so a failure can be repeated.
 */
#pragma once
#include "base/str.h"

struct generator {
	uint64_t state;
};

static inline uint64_t generate(struct generator *g)
{
	uint64_t z = g->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* From 0 to bound - 1. */
static inline size_t generate_below(struct generator *g, size_t bound)
{
	return (size_t)(generate(g) % bound);
}

/* Fewer than `room` bytes, of any value or of an alphabet. */
static inline struct str generate_bytes(struct generator *g, char *bytes, size_t room)
{
	size_t n = generate_below(g, room);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(unsigned char)generate(g);
	return (struct str){bytes, n};
}

static inline struct str generate_text(struct generator *g, struct str alphabet, char *bytes, size_t room)
{
	size_t n = generate_below(g, room);
	for (size_t i = 0; i < n; i++)
		bytes[i] = alphabet.p[generate_below(g, alphabet.n)];
	return (struct str){bytes, n};
}
