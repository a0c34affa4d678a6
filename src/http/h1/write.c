#include "base/mem.h"
#include "http/h1/message.h"

static const struct {
	unsigned status;
	const char *text;
} statuses[] = {
	{101, "Switching Protocols"},
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{204, "No Content"},
	{100, "Continue"},
	{301, "Moved Permanently"},
	{302, "Found"},
	{303, "See Other"},
	{304, "Not Modified"},
	{307, "Temporary Redirect"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{410, "Gone"},
	{411, "Length Required"},
	{412, "Precondition Failed"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{417, "Expectation Failed"},
	{422, "Unprocessable Content"},
	{423, "Locked"},
	{426, "Upgrade Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{499, "Client Closed Request"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
	{507, "Insufficient Storage"},
};

const char *h1_status_text(unsigned status)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		if (statuses[i].status == status)
			return statuses[i].text;
	}
	return "Other";
}

/* What is written comes from our own code; a line end in it would be a second message. */
static void put_checked(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0')
			BUG("a line end or NUL is to be written into an HTTP head");
	}
	buf_add_str(out, s);
}

void h1_put_request_line(struct buf *out, struct str method, struct str target)
{
	if (str_find_char(method, ' ') != STR_NPOS || str_find_char(target, ' ') != STR_NPOS)
		BUG("a blank is to be written into a request line");
	put_checked(out, method);
	buf_add_char(out, ' ');
	put_checked(out, target);
	buf_add_str(out, S(" HTTP/1.1\r\n"));
}

void h1_put_status_line(struct buf *out, unsigned status)
{
	if (status < 100 || status > 599)
		BUG("%u is no HTTP status", status);
	char code[3] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10), (char)('0' + status % 10)};
	buf_add_str(out, S("HTTP/1.1 "));
	buf_add(out, code, sizeof code);
	buf_add_char(out, ' ');
	buf_add_z(out, h1_status_text(status));
	buf_add_str(out, S("\r\n"));
}

void h1_put_header(struct buf *out, struct str name, struct str value)
{
	put_checked(out, name);
	buf_add_str(out, S(": "));
	put_checked(out, value);
	buf_add_str(out, S("\r\n"));
}

void h1_put_end(struct buf *out)
{
	buf_add_str(out, S("\r\n"));
}

void h1_put_chunk_head(struct buf *out, size_t n)
{
	char digits[sizeof n * 2];
	size_t at = sizeof digits;
	do
		digits[--at] = "0123456789abcdef"[n & 0xf];
	while ((n >>= 4) > 0);
	buf_add(out, digits + at, sizeof digits - at);
	buf_add_str(out, at == sizeof digits - 1 && digits[at] == '0' ? S("\r\n\r\n") : S("\r\n"));
}

void h1_put_chunk(struct buf *out, struct str bytes)
{
	if (bytes.n == 0)
		return;
	h1_put_chunk_head(out, bytes.n);
	buf_add_str(out, bytes);
	buf_add_str(out, S("\r\n"));
}
