/*
 * kdf: keys from keys (HKDF) and keys from passphrases (Argon2id)
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "crypto/secret.h"
#include <stdint.h>

/*
 * HKDF-SHA256 (RFC 5869): n bytes, at most HKDF_MAX, from a secret `key`; different `info` give keys that tell nothing of
 * one another. An empty salt is 32 zero bytes. Ends the program for more than HKDF_MAX. Any thread.
 */
#define HKDF_MAX ((size_t)255 * 32)
void hkdf_sha256(struct str key, struct str salt, struct str info, void *ret, size_t n);

/*
 * Argon2id version 0x13 (RFC 9106): time is passes, memory_kib blocks of 1 KiB, lanes the parallelism that goes into the
 * result; one thread computes them all. Its blocks lie in a mapping of their own that is left out of core dumps, wiped,
 * and given back; it is not locked. 64 MiB and three passes take about 0.15 s.
 *
 * Writes 32 bytes (ARGON2_KEY). VALIDATION_ERROR for an empty passphrase, a salt shorter than ARGON2_SALT_MIN, or a cost
 * outside the bounds below (nothing was computed); SYSTEM when the memory cannot be had. Any thread.
 */
struct argon2_cost {
	uint32_t time, memory_kib, lanes;
};
#define ARGON2_KEY        32
#define ARGON2_SALT_MIN   16
#define ARGON2_TIME_MAX   16
#define ARGON2_MEMORY_MIN ((uint32_t)19 << 10) /* KiB; the least that OWASP's cheat sheet of 2023 still names */
#define ARGON2_MEMORY_MAX ((uint32_t)1 << 20)
#define ARGON2_LANES_MAX  16
#define ARGON2_DEFAULT    ((struct argon2_cost){.time = 3, .memory_kib = 64 << 10, .lanes = 4})

/* 1 <= time <= 16, 19 MiB <= memory <= 1 GiB, 1 <= lanes <= 16. VALIDATION_ERROR says which is out of bounds. */
int argon2_cost_check(const struct argon2_cost *cost, struct err *err) __attribute__((warn_unused_result));
int argon2id(struct str passphrase, struct str salt, const struct argon2_cost *cost, void *ret, struct err *err)
	__attribute__((warn_unused_result));
