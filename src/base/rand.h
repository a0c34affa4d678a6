/*
 * rand: random bytes from the kernel
 *
 * getrandom(2), for keys, nonces, names and hash seeds alike; there is no other generator. A kernel that cannot give
 * them ends the program. Any thread.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *ret, size_t n);
uint64_t rand_u64(void);
uint64_t rand_below(uint64_t bound); /* evenly from 0 to bound - 1; bound > 0 */

/* For tests: bytes come from `source` until it is called with NULL. The source must outlive its use. */
struct rand_source {
	void (*fill)(void *context, void *ret, size_t n);
	void *context;
};
void rand_replace(const struct rand_source *source);
