#include "text/content_hash.h"
#include "base/ascii.h"
#include "base/hex.h"

bool content_hash_is_valid(struct str text)
{
	struct str prefix = S("sha256:");
	if (text.n != CONTENT_HASH_TEXT_SIZE || !str_starts(text, prefix))
		return false;
	for (size_t i = prefix.n; i < text.n; i++) {
		if (hex_digit(text.p[i]) < 0 || ascii_is_upper(text.p[i]))
			return false;
	}
	return true;
}
