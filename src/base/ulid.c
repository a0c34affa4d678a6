#include "base/ulid.h"
#include "base/rand.h"
#include "base/time.h"
#include <string.h>

#define TIME_BYTES 6

static void put_time(uint64_t wall_ms, unsigned char ret[ULID_BYTES])
{
	for (int i = 0; i < TIME_BYTES; i++)
		ret[i] = (unsigned char)(wall_ms >> (8 * (TIME_BYTES - 1 - i)));
}

/* 26 characters of five bits each, for 128 bits: the first character has three of them. */
static void encode(const unsigned char bytes[ULID_BYTES], char ret[ULID_SIZE])
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	unsigned bits = 0, n_bits = 2; /* two zero bits in front make 130, which is 26 times five */
	size_t n = 0;
	for (size_t i = 0; i < ULID_BYTES; i++) {
		bits = bits << 8 | bytes[i];
		n_bits += 8;
		while (n_bits >= 5) {
			n_bits -= 5;
			ret[n++] = digits[bits >> n_bits & 31];
		}
		bits &= (1u << n_bits) - 1;
	}
	ret[n] = '\0';
}

void ulid_format(uint64_t wall_ms, const unsigned char random[10], char ret[ULID_SIZE])
{
	unsigned char bytes[ULID_BYTES];
	put_time(wall_ms, bytes);
	memcpy(bytes + TIME_BYTES, random, ULID_BYTES - TIME_BYTES);
	encode(bytes, ret);
}

void ulid_bytes(uint64_t wall_ns, unsigned char ret[ULID_BYTES])
{
	put_time(wall_ns / TIME_MILLISECOND, ret);
	rand_bytes(ret + TIME_BYTES, ULID_BYTES - TIME_BYTES);
}

void ulid_make(uint64_t wall_ns, char ret[ULID_SIZE])
{
	unsigned char bytes[ULID_BYTES];
	ulid_bytes(wall_ns, bytes);
	encode(bytes, ret);
}
