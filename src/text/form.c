#include "text/form.h"
#include "base/ascii.h"

static bool is_plain(char c)
{
	return ascii_is_alnum(c) || c == '*' || c == '-' || c == '.' || c == '_';
}

void form_escape(struct buf *out, struct str text)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (is_plain(text.p[i])) {
			buf_add_char(out, text.p[i]);
		} else if (c == ' ') {
			buf_add_char(out, '+');
		} else {
			buf_add_char(out, '%');
			buf_add_char(out, digits[c >> 4]);
			buf_add_char(out, digits[c & 15]);
		}
	}
}

void form_put(struct buf *out, struct str name, struct str value)
{
	char last = out->n > 0 ? out->p[out->n - 1] : '&';
	if (last != '&' && last != '?')
		buf_add_char(out, '&');
	form_escape(out, name);
	buf_add_char(out, '=');
	form_escape(out, value);
}
