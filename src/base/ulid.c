#include "base/ulid.h"
#include "base/rand.h"
#include "base/time.h"
#include <string.h>

/* 26 characters of five bits each, for 128 bits: the first character has three of them. */
void ulid_format(uint64_t wall_ms, const unsigned char random[10], char ret[ULID_SIZE])
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	unsigned char bytes[16];
	for (int i = 0; i < 6; i++)
		bytes[i] = (unsigned char)(wall_ms >> (8 * (5 - i)));
	memcpy(bytes + 6, random, 10);
	unsigned bits = 0, n_bits = 2; /* two zero bits in front make 130, which is 26 times five */
	size_t n = 0;
	for (size_t i = 0; i < sizeof bytes; i++) {
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

void ulid_make(uint64_t wall_ns, char ret[ULID_SIZE])
{
	unsigned char random[10];
	rand_bytes(random, sizeof random);
	ulid_format(wall_ns / TIME_MILLISECOND, random, ret);
}
