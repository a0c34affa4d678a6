/*
 * client: one request at a time over a socket to the daemon
 *
 * For the command line, which talks to the daemon on this machine and nobody else: a Unix socket or a numeric loopback
 * address, no TLS, no names, no redirects. Keeps the connection for the next request. Blocking, with a deadline. One
 * thread at a time.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "http/h1/message.h"

struct h1_client;
/* UNREACHABLE when nobody listens. `host` is what the Host field says. */
struct h1_client *h1_client_unix(const char *path, struct str host, struct err *err)
	__attribute__((warn_unused_result));
/* "127.0.0.1:53817" or "[::1]:53817"; anything but a loopback address is VALIDATION_ERROR. */
struct h1_client *h1_client_tcp(struct str address, uint64_t connect_ms, struct err *err)
	__attribute__((warn_unused_result));
void h1_client_free(struct h1_client *client); /* NULL is fine */
DEFINE_AUTO(h1_client, h1_client_free)
/* Whether the connection still stands, as far as is known here; else the next request makes a new one. */
bool h1_client_is_connected(struct h1_client *client);

struct h1_request {
	struct str method, target;
	const struct h1_header *headers;
	size_t n_headers;
	struct str body;
	uint64_t timeout_ms; /* for all of it; 0 = none (streams) */
	/* Only on the connection that there is, for what another peer must not see: UNREACHABLE when it has ended. */
	bool same_peer;
};
struct h1_response {
	unsigned status;
	struct str content_type, request_id; /* borrowed until the next request */
};
/* The whole answer, its body appended to `out`. UNREACHABLE when the connection fails, PROTOCOL when the answer is no HTTP. */
int h1_client_do(struct h1_client *client, const struct h1_request *request, struct h1_response *ret, struct buf *out,
		 struct err *err) __attribute__((warn_unused_result));
/* The same, a piece of the body at a time; *ret is there before the first one; `piece` returns non-zero to end it. */
int h1_client_stream(struct h1_client *client, const struct h1_request *request, struct h1_response *ret,
		     int (*piece)(void *user, struct str bytes), void *user, struct err *err)
	__attribute__((warn_unused_result));
