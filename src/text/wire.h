/*
 * wire: the fields of a frame's body, written and read in a fixed order
 *
 * Integers are little-endian, a string is u32 length and bytes, a list is u32 count and its items. The reader is
 * sticky: after the first field that is short or out of range everything else reads as zero and wire_done() fails, so a
 * message is read straight through and checked once. Strings are borrowed from the body.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct wire_reader {
	struct str rest;
	bool bad;
};

static inline struct wire_reader wire_reader(struct str body)
{
	return (struct wire_reader){.rest = body};
}
uint8_t wire_u8(struct wire_reader *r);
uint16_t wire_u16(struct wire_reader *r);
uint32_t wire_u32(struct wire_reader *r);
uint64_t wire_u64(struct wire_reader *r);
int32_t wire_i32(struct wire_reader *r);
bool wire_bool(struct wire_reader *r); /* 0 or 1; else bad */
struct str wire_str(struct wire_reader *r);
/* A count of items of `item_min` > 0 bytes each or more: bad when so many cannot follow, so safe to allocate by. */
uint32_t wire_count(struct wire_reader *r, size_t item_min);
/* 0 when every field was there and nothing is left; else PROTOCOL naming `message`. */
int wire_done(const struct wire_reader *r, const char *message, struct err *err) __attribute__((warn_unused_result));

void wire_put_u8(struct buf *out, uint8_t v);
void wire_put_u16(struct buf *out, uint16_t v);
void wire_put_u32(struct buf *out, uint32_t v);
void wire_put_u64(struct buf *out, uint64_t v);
void wire_put_i32(struct buf *out, int32_t v);
void wire_put_bool(struct buf *out, bool v);
void wire_put_str(struct buf *out, struct str s); /* more than 4 GiB - 1 makes the buf fail */

/*
 * An err and back, "no error" too. Bad are unknown classes and boundaries, texts that do not fit their field or hold a
 * NUL, and details that are not the inside of a JSON object; *ret is "no error" then. Details are only passed on,
 * never trusted for decisions.
 */
void wire_put_err(struct buf *out, const struct err *err);
void wire_get_err(struct wire_reader *r, struct err *ret);
