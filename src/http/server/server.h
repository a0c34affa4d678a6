/*
 * server: HTTP/1.1 on an event loop
 *
 * Accepts on listeners that somebody else made, keeps connections alive, reads one request at a time from each (what is
 * pipelined waits in the socket), and hands it, complete with its body, to one function on the loop's thread. Whoever answers
 * does so from any thread, now or later: at once with http_answer(), or as a stream (chunked; SSE is a stream whose pieces are
 * events) with back-pressure. What a client may not do: take longer than HTTP_HEAD_MS for a head or HTTP_BODY_MS between two
 * pieces of a body, send more than the limits of h1/message.h, hold more than the server's connections (the one that is idle
 * longest makes room). A client that breaks the protocol gets its status and is closed; the function never hears of it.
 *
 * DNS rebinding: on a TCP listener a request whose Host is not one of `hosts`, or whose Origin is there and is not "http://"
 * and one of them, gets 403 before anything else. On the Unix listener the peer's user must be our own (SO_PEERCRED).
 *
 * What the server answers itself (docs/formats/http.md lists it) is {"error":{"code","message","request_id"}}, after which the
 * connection is closed. HTTP/1.0 is answered and closed; a stream to it has no chunks.
 *
 * No CORS headers are ever sent; OPTIONS is a method like others. Every answer carries X-Request-ID (the client's, when it is
 * 1 to 64 of [A-Za-z0-9._-], else 16 hex digits), Cache-Control: no-store unless the handler says otherwise, X-Content-Type-Options:
 * nosniff, Content-Length or chunks, never both.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/h1/message.h"
#include "os/loop.h"

#define HTTP_HEAD_MS     10000             /* from the first byte of a head to its end */
#define HTTP_BODY_MS     30000             /* between two pieces of a body */
#define HTTP_IDLE_MS     120000            /* a connection without a request */
#define HTTP_WRITE_MS    60000             /* a client that takes nothing */
#define HTTP_LINGER_MS   1000              /* after a refusal, while what the client still sends is thrown away */
#define HTTP_STREAM_HIGH ((size_t)1 << 20) /* bytes queued above which http_stream_write() waits */

#define HTTP_CONNECTIONS 4096
#define HTTP_BODY_MAX    ((uint64_t)32 << 20)  /* of a request, [body] */
#define HTTP_BODIES_MAX  ((uint64_t)256 << 20) /* of all requests at a time, [bodies]; more is refused with 503 */
#define HTTP_UPGRADES_MAX                                                                                              \
	((uint64_t)256 << 20) /* that all connections of other protocols have queued; see http_upgraded_write() */

struct http_server;
struct http_exchange; /* one request and its answer */

/* On the loop's thread. The exchange is to be answered exactly once. */
typedef void http_handler(void *user, struct http_exchange *exchange);

/* In milliseconds; 0 = what the names above say. */
struct http_limits {
	uint64_t head_ms, body_ms, idle_ms, write_ms, linger_ms;
};

/*
 * On the loop's thread, when the head of a request with a body is here: whether its body is taken, and how long it may be
 * (*ret_max, at most the server's). False: 401 at once, so that nobody fills memory whom nothing is owed.
 */
typedef bool http_admit_body(void *user, const struct http_exchange *exchange, uint64_t *ret_max);

struct http_server_options {
	struct loop *loop;
	int tcp_fd, unix_fd;     /* listening, non-blocking or not; -1 = none; stay the caller's */
	const struct str *hosts; /* "127.0.0.1:8443", "localhost:8443", "[::1]:8443" */
	size_t n_hosts;
	size_t connections;    /* 0 = HTTP_CONNECTIONS */
	uint64_t body_max;     /* 0 = HTTP_BODY_MAX */
	uint64_t bodies_max;   /* 0 = HTTP_BODIES_MAX */
	uint64_t upgrades_max; /* 0 = HTTP_UPGRADES_MAX */
	struct http_limits limits;
	http_handler *handler;
	http_admit_body *admit_body; /* NULL: every body up to body_max */
	void *user;
};
/* On the loop's thread. `hosts` are copied. */
struct http_server *http_server_new(const struct http_server_options *options, struct err *err)
	__attribute__((warn_unused_result));
/* Stops accepting and closes idle connections; `done` when the last answer is out, or after `ms`. */
void http_server_drain(struct http_server *server, uint64_t ms, void (*done)(void *user), void *user);
/*
 * Closes everything, on the loop's thread. Exchanges without an answer end with it: whoever holds one on another thread is
 * stopped before. `done` may call this.
 */
void http_server_free(struct http_server *server);
DEFINE_AUTO(http_server, http_server_free)
size_t http_server_connections(const struct http_server *server);

/* The request; any thread, until it is answered. */
struct str http_method(const struct http_exchange *x);
struct str http_path(const struct http_exchange *x);                    /* raw, without the query */
struct str http_query(const struct http_exchange *x);                   /* raw, "" when there is none */
struct str http_target(const struct http_exchange *x);                  /* raw: both, with the '?' */
struct str http_header(const struct http_exchange *x, struct str name); /* "" when absent; of several the first */
size_t http_header_count(const struct http_exchange *x, struct str name);
const struct h1_header *http_headers(const struct http_exchange *x, size_t *ret_n); /* all, as sent */
struct str http_body(const struct http_exchange *x);
struct str http_request_id(const struct http_exchange *x);
/*
 * The client has closed, or its half of the connection: a reason to give up what was asked for. The exchange must be answered
 * all the same, and the answer is still sent, in case it was only the half.
 */
bool http_is_gone(const struct http_exchange *x);
/*
 * Called on the loop's thread when that happens before the answer is out (long polls, streams), at most once; soon, when it
 * had happened. It may answer. With requests of the client waiting behind this one, its end is not seen before its answer.
 * A function that is under way when another thread answers is not waited for: `user` outlives both.
 */
void http_on_gone(struct http_exchange *x, void (*gone)(void *user), void *user);

struct http_answer {
	unsigned status;                 /* with 204 and 304 the body is left out */
	struct str content_type;         /* "" = application/json, and none beside an empty body */
	struct str body;                 /* copied when it cannot be written at once */
	const struct h1_header *headers; /* further ones */
	size_t n_headers;
	/*
	 * Of a stream: another server's answer, passed on. To its headers nothing is added but framing and X-Request-ID, unless
	 * they have one; with a length there is a Content-Length in the place of chunks, and who gets less is cut off.
	 */
	bool relayed, has_length;
	uint64_t length;
};
/* Any thread; the exchange is gone afterwards. */
void http_answer(struct http_exchange *x, const struct http_answer *answer);

/* A stream: head first, then pieces, then the end (after which the exchange is gone). Any one thread. */
void http_stream_begin(struct http_exchange *x, const struct http_answer *head);
/*
 * Waits while more than HTTP_STREAM_HIGH bytes are queued (never on the loop's thread: there it queues). -1: the connection is
 * closed; http_stream_end() is called all the same.
 */
int http_stream_write(struct http_exchange *x, struct str bytes) __attribute__((warn_unused_result));
void http_stream_end(struct http_exchange *x);
/*
 * The same for a stream that is not whole: the connection ends in a way that its client can tell. That of another protocol
 * ends at once, and what is queued is thrown away.
 */
void http_stream_break(struct http_exchange *x);
/*
 * For who writes on the loop's thread, and so must see to it that not too much is queued: what the socket has not taken yet,
 * and a function that is called on the loop's thread when that has become less. It may write, and neither end nor answer.
 */
size_t http_stream_unsent(struct http_exchange *x);
void http_on_sent(struct http_exchange *x, void (*sent)(void *user), void *user);
/* One server-sent event, made of lines of `data`. */
void http_put_event(struct buf *out, struct str event, struct str id, struct str data);

/*
 * Another protocol over the connection of a request that asked for it (RFC 9110 7.8): raw bytes both ways, until
 * http_stream_end(). While more than HTTP_STREAM_HIGH bytes wait to be sent nothing is read, so that who does not listen is not
 * heard. http_on_gone() tells the end of the client's bytes as well as of the connection. The loop's thread may be in `receive`
 * when another one ends it: `user` outlives both.
 */
#define HTTP_UPGRADE_QUEUE ((size_t)64 << 20) /* bytes that wait to be sent; above, http_upgraded_write() says no */
struct http_upgrade {
	struct str protocol;             /* as http_upgrade_asked() said it */
	const struct h1_header *headers; /* of the 101, further ones */
	size_t n_headers;
	/*
	 * On the loop's thread; may write and end. How many it took: the rest comes again when no more than
	 * HTTP_STREAM_HIGH waits to be sent, so who took less had written more.
	 */
	size_t (*receive)(void *user, struct str bytes);
	void *user;
};
/* The one protocol of the header Upgrade, when Connection names that header; else "". */
struct str http_upgrade_asked(const struct http_exchange *x);
/* In the place of an answer, on the loop's thread: 101, and from then on the bytes. */
void http_upgrade(struct http_exchange *x, const struct http_upgrade *upgrade);
/*
 * Queues, without waiting; any thread, one at a time. -1: it is closed, or does not listen: it is to be ended. 1: queued, and
 * now all together have more than upgrades_max: some are to be broken off, until http_upgrades_excess() is 0.
 */
int http_upgraded_write(struct http_exchange *x, struct str bytes) __attribute__((warn_unused_result));
uint64_t http_upgrades_excess(struct http_server *server); /* any thread */
