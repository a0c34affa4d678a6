/*
 * The first byte is the secret's length, the secret follows, the rest is the text. The text never grows, the secret's raw
 * form is gone, and what was not found was not touched.
 */
#include "base/mem.h"
#include "egress/scrub.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t secret_n = n > 0 ? data[0] : 0;
	if (n < 1 + secret_n || secret_n == 0)
		return 0;
	AUTO(secret) *secret = secret_from(str_of(data + 1, secret_n), NULL);
	AUTO(scrubber) *scrubber = scrubber_new(NULL);
	if (secret == NULL || scrubber == NULL || scrub_add(scrubber, secret, NULL) < 0)
		abort();
	size_t text_n = n - 1 - secret_n;
	const uint8_t *before = data + 1 + secret_n;
	AUTO_FREE char *text = xmalloc(text_n > 0 ? text_n : 1);
	memcpy(text, before, text_n);
	size_t out_n = 0, found = 0;
	if (scrub_text(scrubber, text, text_n, &out_n, &found, NULL) < 0 || out_n > text_n)
		abort();
	if (found == 0 && (out_n != text_n || memcmp(text, before, text_n) != 0))
		abort();
	/* A secret that could be made of a mark and its neighbours is left out of this one. */
	struct str word = secret_borrow(secret);
	bool like_a_mark = str_find_char(word, '[') != STR_NPOS || str_find_char(word, ']') != STR_NPOS ||
			   str_find_char(word, '*') != STR_NPOS;
	if (secret_n >= SCRUB_MIN && !like_a_mark && str_find(str_of(text, out_n), word) != STR_NPOS)
		abort();
	return 0;
}
