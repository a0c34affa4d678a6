/*
 * ulid: ids that sort by time
 *
 * 48 bits of Unix milliseconds and 80 random ones, as 26 characters of Crockford's base 32 (the ULID specification). Those of
 * one millisecond sort by chance. Pure but for the random bytes; any thread.
 */
#pragma once
#include <stdint.h>

#define ULID_SIZE  27 /* with a NUL */
#define ULID_BYTES 16

/* `random` is the lower 80 bits, the highest byte first. */
void ulid_format(uint64_t wall_ms, const unsigned char random[10], char ret[ULID_SIZE]);
void ulid_make(uint64_t wall_ns, char ret[ULID_SIZE]); /* a new one, of that time */
/* The bits of a new one, the highest byte first: for ids of another form that sort by time, too. */
void ulid_bytes(uint64_t wall_ns, unsigned char ret[ULID_BYTES]);
