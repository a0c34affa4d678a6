/*
 * hmac: HMAC-SHA256 (RFC 2104, FIPS 198-1)
 *
 * Any key length, the empty one included. Compare tags with constant_time_eq(). Any thread.
 */
#pragma once
#include "base/str.h"
#include "crypto/digest.h"

void hmac_sha256(struct str key, struct str message, unsigned char ret[SHA256_SIZE]);
