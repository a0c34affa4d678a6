#include "text/content_hash.h"

bool content_hash_is_valid(struct str text)
{
	struct str prefix = S("sha256:");
	if (text.n != CONTENT_HASH_TEXT_SIZE || !str_starts(text, prefix))
		return false;
	for (size_t i = prefix.n; i < text.n; i++) {
		char c = text.p[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}
