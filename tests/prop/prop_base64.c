#include "base/base64.h"
#include "prop/generator.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { FORMS = BASE64_URL_NOPAD + 1 };

/* Bit by bit, as the definition reads: an independent and slow encoder. */
static void model_encode(struct buf *buf, struct str bytes, enum base64_form form)
{
	bool url = form == BASE64_URL || form == BASE64_URL_NOPAD;
	bool pad = form == BASE64_STANDARD || form == BASE64_URL;
	for (size_t bit = 0; bit < bytes.n * 8; bit += 6) {
		unsigned value = 0;
		for (size_t i = bit; i < bit + 6; i++)
			value = value * 2 +
				(i < bytes.n * 8 && (unsigned char)bytes.p[i / 8] >> (7 - i % 8) & 1 ? 1 : 0);
		char c = (char)(value < 26   ? 'A' + value
				: value < 52 ? 'a' + value - 26
				: value < 62 ? '0' + value - 52
				: value < 63 ? (url ? '-' : '+')
					     : (url ? '_' : '/'));
		buf_add_char(buf, c);
	}
	while (pad && buf->n % 4 != 0)
		buf_add_char(buf, '=');
}

static void encodes_like_the_model_and_decodes_back(void **state)
{
	(void)state;
	struct generator g = {3};
	for (int round = 0; round < 4000; round++) {
		char room[70];
		struct str bytes = generate_bytes(&g, room, sizeof room);
		enum base64_form form = (enum base64_form)generate_below(&g, FORMS);
		AUTO_BUF text = BUF_INIT(1000);
		AUTO_BUF expected = BUF_INIT(1000);
		AUTO_BUF back = BUF_INIT(1000);
		base64_encode(&text, bytes, form);
		model_encode(&expected, bytes, form);
		assert_string_equal(text.p, expected.p);
		assert_int_equal(text.n, base64_size(bytes.n, form));
		assert_int_equal(base64_decode(&back, buf_str(&text), form, NULL), 0);
		assert_true(str_eq(buf_str(&back), bytes));
	}
}

/* Whatever is accepted is the one spelling: encoding what came out gives the text again. */
static void accepts_only_what_it_would_write(void **state)
{
	(void)state;
	struct generator g = {4};
	size_t accepted = 0, refused = 0;
	for (int round = 0; round < 200000; round++) {
		char room[9];
		struct str text = generate_text(&g, S("AQgwB+/-_=z9"), room, sizeof room);
		for (int form = 0; form < FORMS; form++) {
			AUTO_BUF bytes = BUF_INIT(100);
			if (base64_decode(&bytes, text, (enum base64_form)form, NULL) < 0) {
				refused++;
				continue;
			}
			accepted++;
			AUTO_BUF again = BUF_INIT(100);
			base64_encode(&again, buf_str(&bytes), (enum base64_form)form);
			assert_true(str_eq(buf_str(&again), text));
		}
	}
	assert_true(accepted > 10000 && refused > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodes_like_the_model_and_decodes_back),
		cmocka_unit_test(accepts_only_what_it_would_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
