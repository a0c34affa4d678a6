/*
 * client: HTTP and HTTPS requests, many at once, on one loop
 *
 * libcurl's multi interface behind a narrow face; src/http is the only folder that knows of it. A request goes to the one
 * address that its caller checked: no name is resolved here, nothing is read from the environment (no proxy, no netrc),
 * there are no cookies, no redirects, no retries but one on a kept connection that turns out to be dead before anything
 * of the request can have been acted upon, no Alt-Svc, no HSTS. TLS 1.2 or newer, verified against `trust`; HTTP/2 where
 * the server offers it.
 *
 * Connections are kept and shared by requests of the same pool to the same origin at the same address, and by no
 * others: a pool is named by the credential that its requests carry.
 *
 * Nothing is decoded but one layer of gzip that was asked for: the codings of an answer are looked at before its body,
 * and any transfer coding but chunked is a broken answer.
 *
 * Answers are collected in memory under caps. Above `buffered_max` bytes of bodies (and whatever http_client_outside()
 * was told of) transfers stop reading their sockets, but for the oldest, so that one always comes to its end; a pool's
 * stop above its share of that already, but for the pool's oldest. Every transfer may have HTTP_FLOOR bytes whatever
 * the others hold: answers that never end stop nobody's small ones, and large ones only of their own pool.
 *
 * libcurl reads a connection for as long as something comes. After every HTTP_SLICE bytes of bodies all transfers stop
 * until the loop has turned, so that a fast service holds up nobody else.
 *
 * Header lines may carry secrets. They are borrowed, not copied, by us; libcurl copies them into buffers of its own,
 * which are wiped when they are released (each transfer has its own). What nghttp2 and OpenSSL keep for the life of a
 * connection is beyond our reach, as is the kernel's socket buffer.
 *
 * A *stream* is a call whose request body is asked for piece by piece and whose answer is handed on as it comes: nothing of
 * it is kept or decoded, its caller says when it can take no more, and none of the caps above counts it. It goes over
 * HTTP/1.1, so that one which waits for its reader holds up a connection of its own and nobody else's.
 *
 * One loop's thread. Callbacks come from the loop, never from inside a function below, and may call all of them; those of
 * struct http_stream may call http_resume() alone.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <sys/socket.h>

struct loop;
struct http_client;
struct http_transfer;

#define HTTP_POOLS_MAX        32 /* with kept connections; the least recently used idle one is closed above that */
#define HTTP_POOL_CONNECTIONS 16 /* kept in one pool */
#define HTTP_TLS_HANDSHAKE_MS 10000
#define HTTP_POOL_SHARE       4 /* a pool may hold one part in so many of buffered_max */
#define HTTP_FLOOR            ((size_t)64 << 10)
#define HTTP_SLICE            ((size_t)1 << 20)

struct http_client_options {
	struct loop *loop;
	size_t buffered_max;
	uint64_t handshake_ms; /* 0 = HTTP_TLS_HANDSHAKE_MS */
};

/* INTERNAL when libcurl cannot be initialised or lacks TLS. */
struct http_client *http_client_new(const struct http_client_options *options, struct err *err)
	__attribute__((warn_unused_result));
/* Ends what is under way without callbacks and closes every connection. NULL is fine. */
void http_client_free(struct http_client *client);
DEFINE_AUTO(http_client, http_client_free)

/* PEM certificates to trust instead of the system's; the descriptor is read at the first https request. Before that. */
void http_client_set_ca(struct http_client *client, int fd);

/*
 * Does now what the first https request would wait for some 4 ms: reads the certificates, lets OpenSSL look up what TLS
 * needs. For a moment when nobody waits; its failures are told by the first request.
 */
void http_client_warm_up(struct http_client *client);

enum http_end {
	HTTP_ANSWERED,       /* status, headers and the whole body are there */
	HTTP_UNREACHABLE,    /* no connection to that address, and nothing was sent: another address may do */
	HTTP_BODY_TOO_LARGE, /* larger than body_max after decompression */
	HTTP_FAILED,         /* TLS, time, a broken answer */
};

/* Valid during the callback. */
struct http_answer {
	enum http_end end;
	int status;      /* 100 to 999; 0 when no answer began */
	struct buf body; /* the callback's to steal (buf_steal()); else released after it */
	struct str
		headers; /* lines of the final answer without trailers, each ended by CR LF; see http_answer_header() */
	int http_version; /* 10, 11, 20; 0 when no answer began */
	bool reused;      /* the connection was a kept one */
	bool unsent;      /* it failed, and no byte of the request had left */
	struct err err;   /* NETWORK_ERROR unless ANSWERED or BODY_TOO_LARGE; text of the peer in it is made visible */
};

/* The first value of a header, without blanks around it; false when there is none. */
bool http_answer_header(const struct http_answer *answer, struct str name, struct str *ret_value);

/* What is asked for in Accept-Encoding, and what the answer's body may then be. */
enum http_coding {
	HTTP_CODING_ANY,  /* nothing is asked for, or what the headers say; the body is passed on as it comes */
	HTTP_CODING_GZIP, /* gzip is, and undone; FAILED when the answer has another coding, or gzip twice */
	HTTP_CODING_NONE, /* identity is; FAILED when the answer has a coding */
};

struct http_stream {
	uint64_t length; /* of the request's body, known before */
	/* At most n bytes of it, and at least one; 0 when there are none yet: http_resume() when there are. */
	size_t (*read)(void *context, char *out, size_t n);
	/* The final head, once, as soon as it is complete. */
	void (*head)(void *context, int status, struct str headers);
	/* Some of the body. False: nothing of it was taken, and it comes again after http_resume(). */
	bool (*piece)(void *context, struct str bytes);
};

struct http_call {
	struct str pool;
	struct str method;                      /* a token, sent as it is; not CONNECT */
	struct str url;                         /* http or https, as url_text() writes it */
	struct str peer;                        /* "host:port" for error messages */
	const struct sockaddr_storage *address; /* with its port: what is dialled */
	const char *const *headers; /* NUL-terminated "Name: value" lines without CR LF; borrowed until the end */
	size_t n_headers;
	struct str body; /* borrowed until the end; not sent with HEAD */
	const struct http_stream
		*stream; /* copied; NULL = the answer is collected. Then body, coding and body_max are unused */
	enum http_coding coding;
	bool sensitive;     /* the answer may hold a secret: its buffer is wiped */
	size_t headers_max; /* bytes of all header lines of the answer, interim ones and trailers included */
	size_t body_max;
	uint64_t connect_ms;                                     /* TCP and TLS; TLS alone has at most handshake_ms */
	uint64_t total_ms;                                       /* everything; 0 = no limit */
	void (*done)(void *context, struct http_answer *answer); /* once, unless cancelled */
	void *context;
};

/*
 * Starts a request. NULL with NETWORK_ERROR, PARSE_ERROR or SYSTEM when it cannot even be started: no trusted
 * certificates for https, a URL that libcurl refuses.
 */
struct http_transfer *http_start(struct http_client *client, const struct http_call *call, struct err *err)
	__attribute__((warn_unused_result));
/* Gives up a request that is under way: no callback. Its connection is closed. NULL is fine. */
void http_cancel(struct http_transfer *transfer);
/* Of a stream: `read` or `piece` may be called again. */
void http_resume(struct http_transfer *transfer);

/* Bytes of answers that left the client but wait elsewhere. Counts toward buffered_max; alone above it stops all. */
void http_client_outside(struct http_client *client, size_t bytes);
/* Transfers under way, and bytes of body that they hold. */
size_t http_client_open(const struct http_client *client);
size_t http_client_buffered(const struct http_client *client);
