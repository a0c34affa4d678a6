/*
 * parser: what the parts of the HTTP/1.1 parser share
 *
 * message.c finds lines and bodies, head.c judges lines. Only they include this.
 */
#pragma once
#include "base/buf.h"
#include "http/h1/message.h"

enum h1_state {
	H1_AT_START_LINE,
	H1_AT_FIELDS,
	H1_IN_LENGTH,    /* `left` bytes of the body are missing */
	H1_UNTIL_CLOSE,  /* the body is what comes */
	H1_AT_CHUNK,     /* a chunk's size */
	H1_IN_CHUNK,     /* `left` bytes of the chunk are missing */
	H1_BEHIND_CHUNK, /* `left` bytes of its CRLF are missing */
	H1_AT_TRAILERS,
	H1_AT_END,
	H1_AT_REFUSAL,
};

/* Fields that decide about the message itself. */
enum h1_known {
	H1_KNOWN_HOST,
	H1_KNOWN_CONTENT_LENGTH,
	H1_KNOWN_TRANSFER_ENCODING,
	H1_KNOWN_CONNECTION,
	H1_KNOWN_EXPECT,
	H1_KNOWN__MAX,
};

/* A piece of `head`, which moves while it grows. */
struct h1_piece {
	size_t at, n;
};
struct h1_field {
	struct h1_piece name, value;
};

struct h1_parser {
	struct h1_options options;
	enum h1_state state;
	struct buf head;     /* the head's lines as they came, the last one perhaps begun */
	size_t line_at;      /* where that begins */
	size_t fields_bytes; /* header and trailer lines so far */
	struct buf line;     /* a chunk's size or a trailer, perhaps begun */
	uint64_t left;
	uint64_t body_bytes;
	size_t extra_bytes; /* chunk extensions */

	struct h1_piece method, target;
	struct h1_field *fields;
	struct h1_header *headers; /* made of `fields` when the head is complete */
	size_t n_fields, room;
	unsigned count[H1_KNOWN__MAX];
	struct h1_piece first[H1_KNOWN__MAX]; /* values */
	bool says_close, says_keep_alive, expects;

	struct h1_head result;
	unsigned refused_status;
	const char *refused_reason;
};

/* Each returns 0, or -1 after h1_refuse(). `line` lies in `head` (a trailer: in `line`), without its CRLF. */
int h1_refuse(struct h1_parser *parser, unsigned status, const char *reason);
int h1_take_request_line(struct h1_parser *parser, struct str line);
int h1_take_status_line(struct h1_parser *parser, struct str line);
int h1_take_field(struct h1_parser *parser, struct str line);
int h1_take_trailer(struct h1_parser *parser, struct str line);
int h1_take_chunk_line(struct h1_parser *parser, struct str line);
/* The head is complete: its fields together, how the body ends, and so the next state. */
int h1_judge_head(struct h1_parser *parser);
