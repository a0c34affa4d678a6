/* Whatever base64 or hex accepts must be what it would write; nothing is read past the end. */
#include "base/base64.h"
#include "base/hex.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void decode_and_encode(struct str text, enum base64_form form)
{
	AUTO_BUF bytes = BUF_INIT(1 << 20);
	AUTO_BUF again = BUF_INIT(1 << 21);
	if (base64_decode(&bytes, text, form, NULL) < 0)
		return;
	base64_encode(&again, buf_str(&bytes), form);
	if (!str_eq(buf_str(&again), text))
		BUG("a second spelling was accepted");
}

static void encode_and_decode(struct str bytes, enum base64_form form)
{
	AUTO_BUF text = BUF_INIT(1 << 21);
	AUTO_BUF back = BUF_INIT(1 << 20);
	base64_encode(&text, bytes, form);
	if (text.n != base64_size(bytes.n, form) || base64_decode(&back, buf_str(&text), form, NULL) < 0 ||
	    !str_eq(buf_str(&back), bytes))
		BUG("base64 does not come back");
}

static void through_hex(struct str text)
{
	AUTO_BUF bytes = BUF_INIT(1 << 20);
	AUTO_BUF again = BUF_INIT(1 << 21);
	if (hex_decode(&bytes, text, NULL) < 0)
		return;
	hex_encode(&again, buf_str(&bytes));
	if (!str_eq_fold(buf_str(&again), text))
		BUG("hex does not come back");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str input = str_of(data, n);
	if (n > 1 << 19)
		return 0;
	for (int form = BASE64_STANDARD; form <= BASE64_URL_NOPAD; form++) {
		decode_and_encode(input, (enum base64_form)form);
		encode_and_decode(input, (enum base64_form)form);
	}
	through_hex(input);
	return 0;
}
