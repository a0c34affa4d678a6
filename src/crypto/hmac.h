/*
 * hmac: HMAC-SHA256 (RFC 2104, FIPS 198-1)
 *
 * Any key length, the empty one included. Compare tags with constant_time_eq(). Any thread.
 */
#pragma once
#include "base/str.h"
#include "crypto/digest.h"

void hmac_sha256(struct str key, struct str message, unsigned char ret[SHA256_SIZE]);
/* Of the parts one after the other, as if they were one message; at most HMAC_PARTS_MAX. */
#define HMAC_PARTS_MAX 7
void hmac_sha256_parts(struct str key, const struct str *parts, size_t n, unsigned char ret[SHA256_SIZE]);
