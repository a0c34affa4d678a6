/* The corpus: requests that two servers could read differently, each refused for its own reason however it is cut. */
#include "http/h1/message.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define BODY_MAX 1000

static const struct h1_options as_request = {.kind = H1_REQUEST, .body_max = BODY_MAX};
static const struct h1_options as_proxy = {.kind = H1_REQUEST, .body_max = BODY_MAX, .absolute_form = true};
static const struct h1_options as_response = {.kind = H1_RESPONSE, .body_max = BODY_MAX};
static const struct h1_options as_head_response = {.kind = H1_RESPONSE, .body_max = BODY_MAX, .head_response = true};

/* What came of a message: one line an event, pieces of the body joined. */
static void put_head(struct buf *trace, const struct h1_head *head)
{
	buf_addf(trace, "head %.*s %.*s %u 1.%u%s%s%s", STR_FMT(head->method), STR_FMT(head->target), head->status,
		 head->minor, head->keep_alive ? " keep" : "", head->expect_continue ? " expect" : "",
		 head->chunked ? " chunked" : "");
	if (head->has_length)
		buf_addf(trace, " length=%llu", (unsigned long long)head->length);
	for (size_t i = 0; i < head->n_headers; i++)
		buf_addf(trace, " %.*s=%.*s;", STR_FMT(head->headers[i].name), STR_FMT(head->headers[i].value));
	buf_add_char(trace, '\n');
}

static enum h1_event feed(struct h1_parser *parser, struct str piece, struct buf *trace, struct buf *body)
{
	for (;;) {
		struct str data;
		enum h1_event event = h1_parse(parser, &piece, &data);
		if (event == H1_HEAD)
			put_head(trace, h1_head(parser));
		else if (event == H1_BODY)
			buf_add_str(body, data);
		else if (event == H1_END)
			buf_addf(trace, "body '%.*s' end, rest %zu\n", STR_FMT(buf_str(body)), piece.n);
		else if (event == H1_REFUSED)
			buf_addf(trace, "body '%.*s' refused %u %s\n", STR_FMT(buf_str(body)),
				 h1_refused_status(parser), h1_refused_reason(parser));
		if (event != H1_HEAD && event != H1_BODY)
			return event;
	}
}

/* In two pieces, copied so that the sanitizer sees a read past the end; `rest` of the second counts as if not cut. */
static enum h1_event parse_cut(const struct h1_options *options, struct str bytes, size_t cut, struct buf *trace)
{
	AUTO(h1_parser) *parser = h1_parser_new(options);
	AUTO_BUF body = BUF_INIT(1 << 20);
	AUTO_FREE char *first = str_dup(str_slice(bytes, 0, cut));
	AUTO_FREE char *second = str_dup(str_slice(bytes, cut, bytes.n));
	enum h1_event event = feed(parser, str_of(first, cut), trace, &body);
	if (event == H1_MORE)
		event = feed(parser, str_of(second, bytes.n - cut), trace, &body);
	return event;
}

static enum h1_event parse_bytewise(const struct h1_options *options, struct str bytes, struct buf *trace)
{
	AUTO(h1_parser) *parser = h1_parser_new(options);
	AUTO_BUF body = BUF_INIT(1 << 20);
	enum h1_event event = H1_MORE;
	for (size_t i = 0; i < bytes.n && event == H1_MORE; i++)
		event = feed(parser, str_slice(bytes, i, i + 1), trace, &body);
	return event;
}

/* The result of the whole; the same for every cut. */
static enum h1_event parse_every_way(const struct h1_options *options, struct str bytes, struct buf *trace)
{
	enum h1_event whole = parse_cut(options, bytes, bytes.n, trace);
	AUTO_BUF again = BUF_INIT(1 << 20);
	for (size_t cut = 0; cut < bytes.n; cut++) {
		buf_clear(&again);
		if (parse_cut(options, bytes, cut, &again) != whole || !str_eq(buf_str(trace), buf_str(&again)))
			fail_msg("cut at %zu of '%.*s': %s, and whole: %s", cut, STR_FMT(bytes), again.p, trace->p);
	}
	buf_clear(&again);
	if (parse_bytewise(options, bytes, &again) != whole || !str_eq(buf_str(trace), buf_str(&again)))
		fail_msg("bytewise '%.*s': %s, and whole: %s", STR_FMT(bytes), again.p, trace->p);
	return whole;
}

struct refusal {
	struct str bytes;
	unsigned status;
	const char *reason;
};

static void assert_refused(const struct h1_options *options, struct str bytes, unsigned status, const char *reason)
{
	AUTO_BUF trace = BUF_INIT(1 << 20);
	AUTO_FREE char *want = xasprintf("refused %u %s\n", status, reason);
	if (parse_every_way(options, bytes, &trace) != H1_REFUSED)
		fail_msg("'%.*s' was not refused: %s", STR_FMT(bytes), trace.p);
	if (!str_ends(buf_str(&trace), str_from(want)))
		fail_msg("'%.*s': %s, and not: %s", STR_FMT(bytes), trace.p, want);
}

#define GET     "GET / HTTP/1.1\r\n"
#define HOST    "Host: a\r\n"
#define POST    "POST / HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

#define LF       "a line ends with a bare LF"
#define CR       "a bare CR"
#define BOTH     "both Content-Length and Transfer-Encoding"
#define LENGTHS  "several Content-Length"
#define LENGTH   "a Content-Length that is no decimal number"
#define LARGE    "the body is too large [body]"
#define CODINGS  "several Transfer-Encoding"
#define CODING   "a transfer coding other than one chunked"
#define HOSTS    "several Host"
#define NO_HOST  "no Host"
#define BAD_HOST "a Host that is none"
#define FOLDED   "a folded header line"
#define COLON    "blanks before the colon of a header line"
#define NO_COLON "a header line without a colon"
#define NAME     "a header name that is empty or has a byte that is not allowed"
#define VALUE    "a header value with a control character"
#define LINE     "a request line that is none"
#define METHOD   "a method that is not of capital letters"
#define TARGET   "a target that is no path"
#define BYTE     "a target with a byte that is not allowed"
#define NO_VER   "no HTTP version where one belongs"
#define VERSION  "an HTTP version other than 1.0 and 1.1"
#define SIZE     "a chunk's size that is no hexadecimal number"
#define DIGITS   "a chunk's size of more than 16 digits"
#define BEHIND   "no CRLF behind a chunk"
#define TRAILER  "a trailer that may only be a header"
#define EXPECT   "an expectation other than 100-continue"

static const struct refusal refusals[] = {
	/* where a body ends: two answers */
	{S(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX"), 400, BOTH},
	{S(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nX"), 400, BOTH},
	{S(POST "Content-Length: 0\r\nTransfer-Encoding: identity\r\n\r\n"), 400, BOTH},
	{S(POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), 400, LENGTHS},
	{S(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), 400, LENGTHS},
	{S(POST "Content-Length: 3\r\ncontent-length: 3\r\n\r\nabc"), 400, LENGTHS},
	{S(POST "Content-Length: 3, 3\r\n\r\nabc"), 400, LENGTH},
	{S(POST "Content-Length: 3 3\r\n\r\nabc"), 400, LENGTH},
	{S(POST "Content-Length: +5\r\n\r\nabcde"), 400, LENGTH},
	{S(POST "Content-Length: -1\r\n\r\n"), 400, LENGTH},
	{S(POST "Content-Length: 0x5\r\n\r\nabcde"), 400, LENGTH},
	{S(POST "Content-Length: 5.0\r\n\r\nabcde"), 400, LENGTH},
	{S(POST "Content-Length: 5e0\r\n\r\nabcde"), 400, LENGTH},
	{S(POST "Content-Length: 05\r\n\r\nabcde"), 400, LENGTH},
	{S(POST "Content-Length: 00\r\n\r\n"), 400, LENGTH},
	{S(POST "Content-Length:\r\n\r\n"), 400, LENGTH},
	{S(POST "Content-Length: \"5\"\r\n\r\nabcde"), 400, LENGTH},
	{S(POST "Content-Length: 5;\r\n\r\nabcde"), 400, LENGTH},
	{S(POST "Content-Length: \xef\xbc\x95\r\n\r\nabcde"), 400, LENGTH}, /* a five of another script */
	{S(POST "Content-Length: 5\v\r\n\r\nabcde"), 400, VALUE},
	{S(POST "Content-Length: 1001\r\n\r\n"), 413, LARGE},
	{S(POST "Content-Length: 18446744073709551615\r\n\r\n"), 413, LARGE},
	{S(POST "Content-Length: 18446744073709551616\r\n\r\n"), 413, LARGE}, /* 0 for who wraps */
	{S(POST "Content-Length: 18446744073709551621\r\n\r\nabcde"), 413, LARGE},
	{S(POST "Content-Length: 99999999999999999999999999999999\r\n\r\n"), 413, LARGE},
	/* transfer codings */
	{S(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400, CODINGS},
	{S(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"), 400, CODINGS},
	{S(POST "Transfer-Encoding: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), 400, CODINGS},
	{S(POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), 501, CODING},
	{S(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501, CODING},
	{S(POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"), 501, CODING},
	{S(POST "Transfer-Encoding: identity\r\n\r\n"), 501, CODING},
	{S(POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 501, CODING},
	{S(POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"), 501, CODING},
	{S(POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), 501, CODING},
	{S(POST "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"), 501, CODING},
	{S(POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n"), 501, CODING},
	{S(POST "Transfer-Encoding: chun\xc3\xb6ked\r\n\r\n"), 501, CODING},
	{S(POST "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n"), 400, VALUE},
	{S(POST "Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n"), 400, VALUE},
	{S(POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), 400, COLON},
	{S(POST "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"), 400, COLON},
	{S(POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"), 400, FOLDED},
	{S(POST " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400, FOLDED},
	{S(POST "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400, CR},
	{S(POST "Transfer-Encoding\0: chunked\r\n\r\n0\r\n\r\n"), 400, NAME},
	{S("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400,
	 "Transfer-Encoding in HTTP/1.0"},
	/* ends of lines */
	{S("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400, LF},
	{S(GET "Host: a\n\r\n"), 400, LF},
	{S(GET HOST "\n"), 400, LF},
	{S(GET HOST "X: y\n\n"), 400, LF},
	{S("\n" GET HOST "\r\n"), 400, LF},
	{S("GET / HTTP/1.1\rHost: a\r\n\r\n"), 400, CR},
	{S("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"), 400, CR},
	{S(GET HOST "X: a\rb\r\n\r\n"), 400, CR},
	{S(GET HOST "\r\r\n"), 400, CR},
	{S(GET "\rHost: a\r\n\r\n"), 400, CR},
	/* folded lines */
	{S(GET HOST "X: a\r\n b\r\n\r\n"), 400, FOLDED},
	{S(GET HOST "X: a\r\n\tb\r\n\r\n"), 400, FOLDED},
	{S(GET " " HOST "\r\n"), 400, FOLDED},
	{S(GET HOST " \r\n\r\n"), 400, FOLDED},
	/* names and values */
	{S(GET HOST "X : y\r\n\r\n"), 400, COLON},
	{S(GET HOST ": y\r\n\r\n"), 400, NAME},
	{S(GET HOST "X Y: z\r\n\r\n"), 400, NAME},
	{S(GET HOST "X\x80: z\r\n\r\n"), 400, NAME},
	{S(GET HOST "X(: z\r\n\r\n"), 400, NAME},
	{S(GET HOST "X\0Y: z\r\n\r\n"), 400, NAME},
	{S(GET HOST "no colon\r\n\r\n"), 400, NO_COLON},
	{S(GET HOST "X: a\0b\r\n\r\n"), 400, VALUE},
	{S(GET HOST "X: a\x01"
		    "b\r\n\r\n"),
	 400, VALUE},
	{S(GET HOST "X: a\x7f\r\n\r\n"), 400, VALUE},
	/* who is meant */
	{S(GET "\r\n"), 400, NO_HOST},
	{S("GET / HTTP/1.0\r\n\r\n"), 400, NO_HOST},
	{S(GET HOST HOST "\r\n"), 400, HOSTS},
	{S(GET HOST "host: b\r\n\r\n"), 400, HOSTS},
	{S(GET "Host:\r\n\r\n"), 400, BAD_HOST},
	{S(GET "Host: a, b\r\n\r\n"), 400, BAD_HOST},
	{S(GET "Host: a b\r\n\r\n"), 400, BAD_HOST},
	{S(GET "Host: a/b\r\n\r\n"), 400, BAD_HOST},
	{S(GET "Host: a@b\r\n\r\n"), 400, BAD_HOST},
	{S(GET "Host: a\0b\r\n\r\n"), 400, VALUE},
	{S(GET "Host : a\r\n\r\n"), 400, COLON},
	/* the request line */
	{S("\r\n" GET HOST "\r\n"), 400, LINE},
	{S("GET\r\n\r\n"), 400, LINE},
	{S("GET /\r\n" HOST "\r\n"), 400, NO_VER}, /* HTTP/0.9 */
	{S("get / HTTP/1.1\r\n" HOST "\r\n"), 400, METHOD},
	{S("Get / HTTP/1.1\r\n" HOST "\r\n"), 400, METHOD},
	{S("G\0T / HTTP/1.1\r\n" HOST "\r\n"), 400, METHOD},
	{S("G3T / HTTP/1.1\r\n" HOST "\r\n"), 400, METHOD},
	{S(" GET / HTTP/1.1\r\n" HOST "\r\n"), 400, METHOD},
	{S("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), 400, METHOD},
	{S("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" HOST "\r\n"), 400, METHOD},
	{S("\x16\x03\x01\x02 / HTTP/1.1\r\n"), 400, METHOD}, /* TLS */
	{S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400, TARGET},
	{S("GET  / HTTP/1.1\r\n" HOST "\r\n"), 400, TARGET},
	{S("GET /  HTTP/1.1\r\n" HOST "\r\n"), 400, NO_VER},
	{S("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400, NO_VER},
	{S("GET / x HTTP/1.1\r\n" HOST "\r\n"), 400, NO_VER},
	{S("GET /\tHTTP/1.1\r\n" HOST "\r\n"), 400, BYTE},
	{S("GET /a\0b HTTP/1.1\r\n" HOST "\r\n"), 400, BYTE},
	{S("GET /\x7f HTTP/1.1\r\n" HOST "\r\n"), 400, BYTE},
	{S("GET /\xc3\xb6 HTTP/1.1\r\n" HOST "\r\n"), 400, BYTE},
	{S("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), 400, BYTE},
	{S("GET a HTTP/1.1\r\n" HOST "\r\n"), 400, TARGET},
	{S("GET http://a/ HTTP/1.1\r\n" HOST "\r\n"), 400, TARGET},
	{S("GET http://b/ HTTP/1.1\r\n" HOST "\r\n"), 400, TARGET},
	{S("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 400, TARGET},
	{S("CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n"), 400, TARGET},
	{S("GET / HTTP/1.2\r\n" HOST "\r\n"), 505, VERSION},
	{S("GET / HTTP/2.0\r\n" HOST "\r\n"), 505, VERSION},
	{S("GET / HTTP/0.9\r\n" HOST "\r\n"), 505, VERSION},
	{S("GET / HTTP/1\r\n" HOST "\r\n"), 400, NO_VER},
	{S("GET / HTTP/1.10\r\n" HOST "\r\n"), 400, NO_VER},
	{S("GET / HTTP/01.1\r\n" HOST "\r\n"), 400, NO_VER},
	{S("GET / HTTP/1,1\r\n" HOST "\r\n"), 400, NO_VER},
	{S("GET / http/1.1\r\n" HOST "\r\n"), 400, NO_VER},
	{S("GET / HTTPS/1.1\r\n" HOST "\r\n"), 400, NO_VER},
	{S(POST "Expect: 200-ok\r\n\r\n"), 417, EXPECT},
	{S(POST "Expect: 100-continue, x\r\n\r\n"), 417, EXPECT},
	/* chunks */
	{S(CHUNKED "\r\n\r\n"), 400, SIZE},
	{S(CHUNKED "g\r\n"), 400, SIZE},
	{S(CHUNKED "0x5\r\nabcde\r\n0\r\n\r\n"), 400, SIZE},
	{S(CHUNKED "+5\r\nabcde\r\n0\r\n\r\n"), 400, SIZE},
	{S(CHUNKED "-5\r\nabcde\r\n0\r\n\r\n"), 400, SIZE},
	{S(CHUNKED " 5\r\nabcde\r\n0\r\n\r\n"), 400, SIZE},
	{S(CHUNKED "5 \r\nabcde\r\n0\r\n\r\n"), 400, SIZE},
	{S(CHUNKED "5 ;x\r\nabcde\r\n0\r\n\r\n"), 400, SIZE},
	{S(CHUNKED "5,5\r\nabcde\r\n0\r\n\r\n"), 400, SIZE},
	{S(CHUNKED "5\0\r\nabcde\r\n0\r\n\r\n"), 400, SIZE},
	{S(CHUNKED ";x\r\nabcde\r\n0\r\n\r\n"), 400, SIZE},
	{S(CHUNKED "5\nabcde\r\n0\r\n\r\n"), 400, LF},
	{S(CHUNKED "5\r\r\nabcde\r\n0\r\n\r\n"), 400, CR},
	{S(CHUNKED "5;a\rb\r\nabcde\r\n0\r\n\r\n"), 400, CR},
	{S(CHUNKED "5;a\nabcde\r\n0\r\n\r\n"), 400, LF},
	{S(CHUNKED "5;a\x01\r\nabcde\r\n0\r\n\r\n"), 400, "a chunk extension with a control character"},
	{S(CHUNKED "5\r\nabcdefg\r\n0\r\n\r\n"), 400, BEHIND},
	{S(CHUNKED "5\r\nabcde\n0\r\n\r\n"), 400, BEHIND},
	{S(CHUNKED "5\r\nabcde0\r\n\r\n"), 400, BEHIND},
	{S(CHUNKED "5\r\nabcde\r0\r\n\r\n"), 400, BEHIND},
	{S(CHUNKED "5\r\nabcde\r\r\n0\r\n\r\n"), 400, BEHIND},
	{S(CHUNKED "fffffffffffffffb\r\nabcde\r\n0\r\n\r\n"), 413, LARGE},
	{S(CHUNKED "10000000000000005\r\nabcde\r\n0\r\n\r\n"), 400, DIGITS},
	{S(CHUNKED "00000000000000005\r\nabcde\r\n0\r\n\r\n"), 400, DIGITS},
	{S(CHUNKED "3\r\nabc\r\n3e6\r\n"), 413, LARGE}, /* 1001 together */
	{S(CHUNKED "3\r\nabc\r\nffffffffffffffff\r\n"), 413, LARGE},
	/* trailers */
	{S(CHUNKED "0\r\nContent-Length: 5\r\n\r\n"), 400, TRAILER},
	{S(CHUNKED "0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, TRAILER},
	{S(CHUNKED "0\r\nhost: b\r\n\r\n"), 400, TRAILER},
	{S(CHUNKED "0\r\nAuthorization: x\r\n\r\n"), 400, TRAILER},
	{S(CHUNKED "0\r\nOrigin: x\r\n\r\n"), 400, TRAILER},
	{S(CHUNKED "0\r\nX : y\r\n\r\n"), 400, COLON},
	{S(CHUNKED "0\r\nX: y\r\n z\r\n\r\n"), 400, FOLDED},
	{S(CHUNKED "0\r\nGET / HTTP/1.1\r\n\r\n"), 400, NO_COLON},
	{S(CHUNKED "0\r\nX: y\n\r\n"), 400, LF},
	{S(CHUNKED "0\r\n\n"), 400, LF},
	{S(CHUNKED "0\r\nX: \0\r\n\r\n"), 400, VALUE},
};

static void hostile_requests_are_refused_however_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		assert_refused(&as_request, refusals[i].bytes, refusals[i].status, refusals[i].reason);
}

static void every_refusal_is_documented(void **state)
{
	(void)state;
	static char text[64 << 10];
	FILE *file = fopen(SOURCE_DIR "/docs/formats/http.md", "rb");
	assert_non_null(file);
	size_t n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const char *name = strchr(refusals[i].reason, '['); /* of a limit */
		AUTO_FREE char *cell = name != NULL
					       ? xasprintf("| `%s` |", name)
					       : xasprintf("| %u | `%s` |", refusals[i].status, refusals[i].reason);
		if (str_find(str_of(text, n), str_from(cell)) == STR_NPOS)
			fail_msg("docs/formats/http.md does not know %u '%s'", refusals[i].status, refusals[i].reason);
	}
}

static const struct refusal refused_responses[] = {
	{S("HTTP/1.1 200\r\n\r\n"), 400, "a status line that is none"},
	{S("HTTP/1.1 20 OK\r\n\r\n"), 400, "a status that is no number from 100 to 599"},
	{S("HTTP/1.1 099 OK\r\n\r\n"), 400, "a status that is no number from 100 to 599"},
	{S("HTTP/1.1 600 OK\r\n\r\n"), 400, "a status that is no number from 100 to 599"},
	{S("HTTP/1.1 2000 OK\r\n\r\n"), 400, "a status that is no number from 100 to 599"},
	{S("HTTP/1.1  200 OK\r\n\r\n"), 400, "a status that is no number from 100 to 599"},
	{S("HTTP/1.1 200 \x01\r\n\r\n"), 400, "a status line that is none"},
	{S("HTTP/2.0 200 OK\r\n\r\n"), 505, VERSION},
	{S("ICY 200 OK\r\n\r\n"), 400, NO_VER},
	{S("HTTP/1.1 200 OK\n\r\n"), 400, LF},
	{S("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, BOTH},
	{S("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400, LENGTHS},
	{S("HTTP/1.1 204 No\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, BOTH},
	{S("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), 501, CODING},
	{S("HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n"), 400, FOLDED},
};

static void hostile_responses_are_refused_however_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused_responses); i++)
		assert_refused(&as_response, refused_responses[i].bytes, refused_responses[i].status,
			       refused_responses[i].reason);
}

struct good {
	const struct h1_options *options;
	struct str bytes;
	const char *trace;
};

static const struct good goods[] = {
	{&as_request, S(GET HOST "\r\n"), "head GET / 0 1.1 keep Host=a;\nbody '' end, rest 0\n"},
	{&as_request, S("GET /a?b=%20&c HTTP/1.0\r\n" HOST "\r\n"),
	 "head GET /a?b=%20&c 0 1.0 Host=a;\nbody '' end, rest 0\n"},
	{&as_request, S("GET / HTTP/1.0\r\n" HOST "Connection: Keep-Alive\r\n\r\n"),
	 "head GET / 0 1.0 keep Host=a; Connection=Keep-Alive;\nbody '' end, rest 0\n"},
	{&as_request, S(GET HOST "Connection: x, Close\r\n\r\n"),
	 "head GET / 0 1.1 Host=a; Connection=x, Close;\nbody '' end, rest 0\n"},
	{&as_request, S(GET HOST "Connection: keep-alive\r\nConnection:close\r\n\r\n"),
	 "head GET / 0 1.1 Host=a; Connection=keep-alive; Connection=close;\nbody '' end, rest 0\n"},
	{&as_request, S(GET "Host: [::1]:8443\r\nX:\r\nY: \t a b\xc3\xb6 \t\r\n\r\n"),
	 "head GET / 0 1.1 keep Host=[::1]:8443; X=; Y=a b\xc3\xb6;\nbody '' end, rest 0\n"},
	{&as_request, S("M-SEARCH //x HTTP/1.1\r\n" HOST "\r\n"),
	 "head M-SEARCH //x 0 1.1 keep Host=a;\nbody '' end, rest 0\n"},
	{&as_request, S(POST "Content-Length: 5\r\n\r\nabcde"),
	 "head POST / 0 1.1 keep length=5 Host=a; Content-Length=5;\nbody 'abcde' end, rest 0\n"},
	{&as_request, S(POST "Content-Length: 0\r\n\r\n"),
	 "head POST / 0 1.1 keep length=0 Host=a; Content-Length=0;\nbody '' end, rest 0\n"},
	{&as_request, S(POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx"),
	 "head POST / 0 1.1 keep expect length=1 Host=a; Expect=100-Continue; Content-Length=1;\nbody 'x' end, rest "
	 "0\n"},
	{&as_request,
	 S(POST "transfer-encoding:CHUNKED\r\n\r\n5\r\nabcde\r\n00A;x=\"y z\";q\r\n0123456789\r\n000\r\nX: y\r\n\r\n"),
	 "head POST / 0 1.1 keep chunked Host=a; transfer-encoding=CHUNKED;\nbody 'abcde0123456789' end, rest 0\n"},
	{&as_request, S(CHUNKED "0000000000000001\r\nx\r\n0;last\r\n\r\n"),
	 "head POST / 0 1.1 keep chunked Host=a; Transfer-Encoding=chunked;\nbody 'x' end, rest 0\n"},
	{&as_proxy, S("GET http://a:1/x HTTP/1.1\r\nHost: a:1\r\n\r\n"),
	 "head GET http://a:1/x 0 1.1 keep Host=a:1;\nbody '' end, rest 0\n"},
	{&as_response, S("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok"),
	 "head   200 1.1 keep length=2 Content-Length=2;\nbody 'ok' end, rest 0\n"},
	{&as_response, S("HTTP/1.0 404 Not Found\r\nContent-Length: 2\r\n\r\nno"),
	 "head   404 1.0 length=2 Content-Length=2;\nbody 'no' end, rest 0\n"},
	{&as_response, S("HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n"),
	 "head   304 1.1 keep Content-Length=5000;\nbody '' end, rest 0\n"},
	{&as_response, S("HTTP/1.1 100 Continue\r\n\r\n"), "head   100 1.1 keep\nbody '' end, rest 0\n"},
	{&as_head_response, S("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
	 "head   200 1.1 keep Content-Length=5;\nbody '' end, rest 0\n"},
};

static void good_messages_pass_however_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
		AUTO_BUF trace = BUF_INIT(1 << 20);
		assert_int_equal(parse_every_way(goods[i].options, goods[i].bytes, &trace), H1_END);
		assert_string_equal(trace.p, goods[i].trace);
	}
}

static void an_absolute_target_needs_a_host(void **state)
{
	(void)state;
	assert_refused(&as_proxy, S("GET http:/// HTTP/1.1\r\n" HOST "\r\n"), 400, TARGET);
	assert_refused(&as_proxy, S("GET http:// HTTP/1.1\r\n" HOST "\r\n"), 400, TARGET);
	assert_refused(&as_proxy, S("GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n"), 400, TARGET);
}

static void what_follows_is_the_next_message(void **state)
{
	(void)state;
	AUTO(h1_parser) *parser = h1_parser_new(&as_request);
	struct str input = S(POST "Content-Length: 3\r\n\r\nabc" CHUNKED "1\r\nx\r\n0\r\n\r\n" GET HOST "\r\n"), data;
	for (int i = 0; i < 3; i++) {
		AUTO_BUF body = BUF_INIT(1 << 20);
		enum h1_event event;
		do {
			event = h1_parse(parser, &input, &data);
			if (event == H1_BODY)
				buf_add_str(&body, data);
		} while (event == H1_HEAD || event == H1_BODY);
		assert_int_equal(event, H1_END);
		assert_int_equal(h1_parse(parser, &input, &data), H1_END); /* takes nothing until it is reset */
		assert_string_equal(body.p, i == 0 ? "abc" : i == 1 ? "x" : "");
		assert_true(str_eq(h1_head(parser)->method, i == 2 ? S("GET") : S("POST")));
		assert_int_equal(h1_head(parser)->n_headers, i == 2 ? 1 : 2);
		h1_parser_reset(parser);
	}
	assert_int_equal(input.n, 0);
}

static void a_field_is_found_in_any_case_and_counted(void **state)
{
	(void)state;
	AUTO(h1_parser) *parser = h1_parser_new(&as_request);
	struct str input = S(GET HOST "X-a: 1\r\nx-A: 2\r\n\r\n"), data;
	assert_int_equal(h1_parse(parser, &input, &data), H1_HEAD);
	size_t n;
	assert_true(str_eq(h1_header(h1_head(parser), S("X-A"), &n), S("1")));
	assert_int_equal(n, 2);
	assert_true(str_eq(h1_header(h1_head(parser), S("Y"), &n), STR_EMPTY));
	assert_int_equal(n, 0);
}

/* A limit is met exactly, and then passed by one byte. */
static void assert_limit(const struct h1_options *options, struct str bytes, unsigned status, const char *reason)
{
	static const size_t steps[] = {1, 7, 1000, SIZE_MAX};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		AUTO(h1_parser) *parser = h1_parser_new(options);
		AUTO_BUF trace = BUF_INIT(1 << 20);
		AUTO_BUF body = BUF_INIT(1 << 20);
		enum h1_event event = H1_MORE;
		for (size_t at = 0; at < bytes.n && event == H1_MORE;) {
			size_t n = MIN(steps[i], bytes.n - at);
			event = feed(parser, str_slice(bytes, at, at + n), &trace, &body);
			at += n;
		}
		assert_int_equal(event, status == 0 ? H1_END : H1_REFUSED);
		assert_int_equal(h1_refused_status(parser), status);
		assert_string_equal(h1_refused_reason(parser), reason);
	}
}

static void put_filled(struct buf *out, const char *before, size_t n, const char *behind)
{
	buf_add_z(out, before);
	for (size_t i = 0; i < n; i++)
		buf_add_char(out, 'x');
	buf_add_z(out, behind);
}

static void limits_are_exact(void **state)
{
	(void)state;
	for (size_t over = 0; over < 2; over++) {
		AUTO_BUF line = BUF_INIT(1 << 20);
		put_filled(&line, "GET /", H1_LINE_MAX - strlen("GET / HTTP/1.1") + over, " HTTP/1.1\r\n" HOST "\r\n");
		assert_limit(&as_request, buf_str(&line), over ? 414 : 0,
			     over ? "the request line is too long [line]" : "");

		AUTO_BUF headers = BUF_INIT(1 << 20);
		put_filled(&headers, GET HOST "X: ", H1_HEADERS_MAX - strlen(HOST "X: \r\n\r\n") + over, "\r\n\r\n");
		assert_limit(&as_request, buf_str(&headers), over ? 431 : 0,
			     over ? "the header lines are too large [headers]" : "");

		AUTO_BUF trailers = BUF_INIT(1 << 20);
		put_filled(&trailers, CHUNKED "0\r\nX: ",
			   H1_HEADERS_MAX - strlen(HOST "Transfer-Encoding: chunked\r\n\r\nX: \r\n\r\n") + over,
			   "\r\n\r\n");
		assert_limit(&as_request, buf_str(&trailers), over ? 431 : 0,
			     over ? "the header lines are too large [headers]" : "");

		AUTO_BUF count = BUF_INIT(1 << 20);
		buf_add_z(&count, GET HOST);
		for (size_t i = 1; i < H1_HEADERS_N + over; i++)
			buf_addf(&count, "X%zu: y\r\n", i);
		buf_add_z(&count, "\r\n");
		assert_limit(&as_request, buf_str(&count), over ? 431 : 0,
			     over ? "too many header lines [header_count]" : "");

		AUTO_BUF chunk = BUF_INIT(1 << 20);
		put_filled(&chunk, CHUNKED "0;", H1_CHUNK_LINE_MAX - strlen("0;\r\n") + over, "\r\n\r\n");
		assert_limit(&as_request, buf_str(&chunk), over ? 400 : 0,
			     over ? "a chunk's size and extension are too long [chunk_line]" : "");

		AUTO_BUF body = BUF_INIT(1 << 20);
		put_filled(&body, over ? CHUNKED "3e9\r\n" : CHUNKED "3e8\r\n", BODY_MAX + over, "\r\n0\r\n\r\n");
		assert_limit(&as_request, buf_str(&body), over ? 413 : 0, over ? LARGE : "");
	}
}

static void chunk_extensions_are_limited_together(void **state)
{
	(void)state;
	AUTO_BUF bytes = BUF_INIT(1 << 20);
	buf_add_z(&bytes, CHUNKED);
	for (int i = 0; i < 82; i++) /* 200 bytes each: 16,400 */
		put_filled(&bytes, "1;", 199, "\r\nx\r\n");
	buf_add_z(&bytes, "0\r\n\r\n");
	assert_limit(&as_request, buf_str(&bytes), 400, "the chunk extensions are too large [chunk_extensions]");
}

static void a_body_until_close_is_limited(void **state)
{
	(void)state;
	AUTO_BUF bytes = BUF_INIT(1 << 20);
	put_filled(&bytes, "HTTP/1.1 200 OK\r\n\r\n", BODY_MAX + 1, "");
	assert_limit(&as_response, buf_str(&bytes), 413, LARGE);
}

/* The connection ends here: whether that is in order. */
static void the_end_of_input_is_judged(void **state)
{
	(void)state;
	static const struct {
		const struct h1_options *options;
		struct str bytes;
		bool fine;
	} ends[] = {
		{&as_request, S(""), true},
		{&as_request, S("G"), false},
		{&as_request, S(GET HOST), false},
		{&as_request, S(GET HOST "\r\n"), true},
		{&as_request, S(POST "Content-Length: 2\r\n\r\nx"), false},
		{&as_request, S(CHUNKED "0\r\n"), false},
		{&as_request, S("\n"), false},
		{&as_response, S("HTTP/1.1 200 OK\r\n\r\nabc"), true},
		{&as_response, S("HTTP/1.1 200 OK\r\n\r\n"), true},
		{&as_response, S("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc"), false},
	};
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		AUTO(h1_parser) *parser = h1_parser_new(ends[i].options);
		AUTO_BUF trace = BUF_INIT(1 << 20);
		AUTO_BUF body = BUF_INIT(1 << 20);
		feed(parser, ends[i].bytes, &trace, &body);
		assert_int_equal(h1_end_of_input(parser), ends[i].fine);
	}
}

static void what_is_written_is_exact(void **state)
{
	(void)state;
	AUTO_BUF out = BUF_INIT(1 << 20);
	h1_put_request_line(&out, S("POST"), S("/x?y"));
	h1_put_header(&out, S("Host"), S("a"));
	h1_put_header(&out, S("X"), STR_EMPTY);
	h1_put_end(&out);
	h1_put_status_line(&out, 413);
	h1_put_status_line(&out, 599);
	h1_put_chunk(&out, S("0123456789abcdef"));
	h1_put_chunk(&out, STR_EMPTY);
	h1_put_chunk_head(&out, 0xfab0);
	h1_put_chunk_head(&out, 0);
	assert_string_equal(out.p, "POST /x?y HTTP/1.1\r\nHost: a\r\nX: \r\n\r\nHTTP/1.1 413 Content Too Large\r\n"
				   "HTTP/1.1 599 Other\r\n10\r\n0123456789abcdef\r\nfab0\r\n0\r\n\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_requests_are_refused_however_cut),
		cmocka_unit_test(every_refusal_is_documented),
		cmocka_unit_test(hostile_responses_are_refused_however_cut),
		cmocka_unit_test(good_messages_pass_however_cut),
		cmocka_unit_test(an_absolute_target_needs_a_host),
		cmocka_unit_test(what_follows_is_the_next_message),
		cmocka_unit_test(a_field_is_found_in_any_case_and_counted),
		cmocka_unit_test(limits_are_exact),
		cmocka_unit_test(chunk_extensions_are_limited_together),
		cmocka_unit_test(a_body_until_close_is_limited),
		cmocka_unit_test(the_end_of_input_is_judged),
		cmocka_unit_test(what_is_written_is_exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
