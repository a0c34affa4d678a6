/* No escaped form may hold a hidden character or grow past its bound; visible text stays as it is. */
#include "base/escape.h"
#include "base/mem.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(struct str escaped, struct str input, size_t growth)
{
	if (escaped.n > growth * input.n || !str_is_utf8(escaped))
		BUG("%zu bytes became %zu, or not UTF-8", input.n, escaped.n);
	while (escaped.n > 0) {
		struct utf8_char c = utf8_next(escaped);
		if (escape_hides(c.code))
			BUG("U+%04X came through", c.code);
		escaped = str_slice(escaped, c.n, escaped.n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str input = str_of(data, n);
	if (n > 1 << 16)
		return 0;
	AUTO_BUF escaped = BUF_INIT(1 << 20);
	AUTO_BUF again = BUF_INIT(1 << 20);
	escape_json(&escaped, input);
	check(buf_str(&escaped), input, 6);
	buf_clear(&escaped);
	escape_quoted(&escaped, input);
	check(buf_str(&escaped), input, 4);
	buf_clear(&escaped);
	escape_visible(&escaped, input);
	check(buf_str(&escaped), input, 4);
	escape_visible(&again, buf_str(&escaped));
	if (!str_eq(buf_str(&again), buf_str(&escaped)) || !buf_ok(&again))
		BUG("visible text was escaped again");
	return 0;
}
