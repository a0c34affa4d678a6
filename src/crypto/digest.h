/*
 * digest: SHA-256 (FIPS 180-4)
 *
 * One-shot for what is in memory, incremental for what is not. The algorithm is looked up once a process; nothing here
 * fails for a reason that a caller could handle, so nothing returns an error. One-shot: any thread; an incremental one
 * is used by one thread at a time.
 */
#pragma once
#include "base/mem.h"
#include "base/str.h"

#define SHA256_SIZE          32
#define SHA256_HEX_TEXT_SIZE 65 /* digits and a NUL */

void sha256(struct str bytes, unsigned char ret[SHA256_SIZE]);
/* Of the parts one after the other, as if they were one. */
void sha256_parts(const struct str *parts, size_t n, unsigned char ret[SHA256_SIZE]);
/* The same as lower-case digits; returns ret. */
const char *sha256_hex(struct str bytes, char ret[SHA256_HEX_TEXT_SIZE]);

struct digest;
struct digest *digest_new(void) __attribute__((warn_unused_result, returns_nonnull));
void digest_free(struct digest *digest); /* NULL is fine; wipes the state */
DEFINE_AUTO(digest, digest_free)
void digest_add(struct digest *digest, struct str bytes);
/* The digest of what was added; the object starts anew. */
void digest_finish(struct digest *digest, unsigned char ret[SHA256_SIZE]);
