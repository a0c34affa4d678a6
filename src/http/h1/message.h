/*
 * message: HTTP/1.1 as bytes (RFC 9112), strictly
 *
 * One codec for all sides, so that no two of ours disagree about where a message ends. Push bytes, get events. Refused, each
 * with its own reason: both Content-Length and Transfer-Encoding, several or differing Content-Length, any transfer coding
 * but a single final `chunked`, bare LF or CR, obs-fold, blanks before a colon, bytes outside field-vchar, no or several
 * Host (requests), a target that is not origin-form (absolute-form only where the options allow), versions but 1.0 and 1.1,
 * chunk sizes that overflow, are not hex or carry extensions over the limit, trailers that are framing or routing fields;
 * other trailers are dropped. What is refused does not depend on how the bytes were cut into pieces. Limits are named in the
 * reason; all of it is written down in docs/formats/http.md. Heads may hold tokens and are wiped. Pure: no I/O, no clock. One
 * thread at a time.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define H1_LINE_MAX    ((size_t)8 << 10)  /* request line, [line] */
#define H1_HEADERS_MAX ((size_t)64 << 10) /* all header and trailer lines and the empty ones behind them, [headers] */
#define H1_HEADERS_N   100                /* header fields, [header_count] */
#define H1_METHOD_MAX  32                 /* capital letters and '-' */

#define H1_CHUNK_LINE_MAX  ((size_t)256)      /* a chunk's size with its extension and CRLF, [chunk_line] */
#define H1_CHUNK_EXTRA_MAX ((size_t)16 << 10) /* extensions of all chunks of a message, [chunk_extensions] */

struct h1_header {
	struct str name, value; /* as sent; value without blanks at the ends */
};

enum h1_kind { H1_REQUEST, H1_RESPONSE };
enum h1_event {
	H1_MORE,    /* all bytes were taken; give more */
	H1_HEAD,    /* the head is complete */
	H1_BODY,    /* `data` holds some bytes of the body, borrowed from the input */
	H1_END,     /* the message is complete; the next one may follow in the rest of the input */
	H1_REFUSED, /* `status` and `reason`; nothing more is taken */
};

struct h1_parser;
struct h1_options {
	enum h1_kind kind;
	uint64_t body_max;  /* [body] bytes; more is refused with 413 */
	bool head_response; /* the response is to a HEAD request */
	bool absolute_form; /* "http://host/path" is a target too, and given as it was sent */
};
struct h1_parser *h1_parser_new(const struct h1_options *options) __attribute__((warn_unused_result, returns_nonnull));
void h1_parser_free(struct h1_parser *parser); /* NULL is fine */
DEFINE_AUTO(h1_parser, h1_parser_free)
void h1_parser_reset(struct h1_parser *parser); /* for the next message on the connection */

/* Takes from the front of *input, which is moved on; *ret_data is set for H1_BODY. Call until H1_MORE, H1_END or H1_REFUSED. */
enum h1_event h1_parse(struct h1_parser *parser, struct str *input, struct str *ret_data);

/* After H1_HEAD, until the reset. */
struct h1_head {
	struct str method, target; /* of a request */
	unsigned status;           /* of a response */
	unsigned minor;            /* HTTP/1.minor */
	const struct h1_header *headers;
	size_t n_headers;
	bool keep_alive;
	bool expect_continue;
	bool has_length;
	uint64_t length; /* Content-Length, when has_length */
	bool chunked;
};
const struct h1_head *h1_head(const struct h1_parser *parser);
/* The value of the first field with that name, any case; *ret_n counts them when not NULL. "" when absent. */
struct str h1_header(const struct h1_head *head, struct str name, size_t *ret_n);
unsigned h1_refused_status(const struct h1_parser *parser); /* 400, 413, 414, 417, 431, 501, 505 */
const char *h1_refused_reason(const struct h1_parser *parser);
/* At the end of the connection: true when that was a proper end of the message (a response without length), or between two. */
bool h1_end_of_input(struct h1_parser *parser);

/* Writing. Names and values are ours or checked here: a value with CR, LF or NUL is BUG(). */
void h1_put_request_line(struct buf *out, struct str method, struct str target);
void h1_put_status_line(struct buf *out, unsigned status);
void h1_put_header(struct buf *out, struct str name, struct str value);
void h1_put_end(struct buf *out);                     /* the empty line */
void h1_put_chunk_head(struct buf *out, size_t n);    /* 0 = the last chunk, with the empty trailer */
void h1_put_chunk(struct buf *out, struct str bytes); /* a whole one; nothing when there are no bytes */
const char *h1_status_text(unsigned status);
