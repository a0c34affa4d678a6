/*
 * jcs: the canonical form that others know too (RFC 8785, JSON Canonicalization Scheme)
 *
 * Members sorted by the UTF-16 units of their names, no blanks, strings with only the escapes that JSON demands, numbers as
 * ECMAScript writes doubles. Arguments of actions are kept and hashed in this form, so that anybody can compute an
 * approval's digest. text/canonical.h is another form, for what our own files hash: it sorts by bytes, has no fractions and
 * must never be mixed up with this one.
 *
 * RFC 8785 takes every number for a double. An integer that no double says exactly is refused here, and never rounded.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "text/json.h"

/* The largest integer of which the neighbours are exact too: 2^53 - 1. */
#define JCS_INTEGER_MAX ((INT64_C(1) << 53) - 1)

enum jcs_flag {
	JCS_STRICT = 0,
	JCS_KEEP_INTEGERS = 1, /* integers of 64 bits as their digits: for texts, not for digests */
};

/* Appends. VALIDATION_ERROR for an integer beyond ±JCS_INTEGER_MAX; LIMIT when `out` is full, which is then as before. */
int jcs_write(struct buf *out, const struct json *value, unsigned flags, struct err *err)
	__attribute__((warn_unused_result));
/* The order of names: <0, 0, >0. Both are UTF-8. */
int jcs_compare(struct str a, struct str b);
