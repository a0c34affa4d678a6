/* Paths and queries (RFC 3986, 2.1; "+" as in application/x-www-form-urlencoded). */
#include "base/hex.h"
#include "http/server/server.h"

/* The byte of "%41", or -1. */
static int escaped_byte(struct str s)
{
	int high = s.n >= 3 ? hex_digit(s.p[1]) : -1;
	int low = s.n >= 3 ? hex_digit(s.p[2]) : -1;
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool unescape(struct buf *out, struct str escaped, bool plus_is_space)
{
	for (size_t i = 0; i < escaped.n; i++) {
		int byte = (unsigned char)escaped.p[i];
		if (byte == '%') {
			byte = escaped_byte(str_slice(escaped, i, escaped.n));
			i += 2;
		} else if (byte == '+' && plus_is_space) {
			byte = ' ';
		}
		if (byte <= 0)
			return false;
		buf_add_char(out, (char)byte);
	}
	return buf_ok(out);
}

bool http_unescape(struct buf *out, struct str escaped, bool plus_is_space)
{
	size_t before = out->n;
	if (unescape(out, escaped, plus_is_space) && str_is_utf8(str_slice(buf_str(out), before, out->n)))
		return true;
	buf_truncate(out, before);
	return false;
}

bool http_query_next(struct str *query, struct str *ret_name, struct str *ret_value)
{
	struct str pair = STR_EMPTY;
	while (query->n > 0 && pair.n == 0)
		*query = str_cut(*query, '&', &pair);
	if (pair.n == 0)
		return false;
	*ret_value = str_cut(pair, '=', ret_name);
	return true;
}
