/*
 * timestamp: times in requests (RFC 3339), read
 *
 * "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678+02:00": up to nine digits of a fraction, an offset or Z, 'T' and 'Z' in
 * either case. A leap second (:60) is the second after it. Years 1970 to 2553. Any thread.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

/* Unix nanoseconds. INVALID_REQUEST when it is no such time. */
int timestamp_parse(struct str text, uint64_t *ret_ns, struct err *err) __attribute__((warn_unused_result));
