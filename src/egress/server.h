/*
 * server: egress as its parent talks to it
 *
 * Reads GRANT, REQUEST, CANCEL and END from the channel and answers each REQUEST with one RESULT. Many calls at once on
 * one loop; one request of a call at a time. END forgets the grant, wipes its secret and ends its request without an
 * answer. What the protocol does not allow ends the server: the parent then starts another.
 *
 * Frames are always read, so that CANCEL, END and deadlines hold whatever the services do. Above LIMIT_REQUESTS_OPEN
 * requests wait for their turn, first come, first served, while their deadlines run; above LIMIT_REQUESTS_WAITING bytes
 * of envelopes one is refused with network_error. Above LIMIT_EGRESS_BUFFERED bytes of answers, queued for the parent or
 * being collected, the transfers stop reading from theirs.
 */
#pragma once
#include "base/err.h"
#include "egress/resolve.h"
#include "rpc/rpc.h"

struct egress_server;

struct egress_server_options {
	struct rpc_channel *channel; /* stays the caller's */
	resolve_lookup *lookup;      /* NULL = the system's resolver */
	void *lookup_context;
};

/* Everything that can be made ready before START. */
struct egress_server *egress_server_new(const struct egress_server_options *options, struct err *err)
	__attribute__((warn_unused_result));
/*
 * Serves a channel that is in EGRESS_STATE_SERVING. `ca_fd`: PEM certificates to trust instead of the system's, or -1.
 * 0 when the parent closed its end; -1 with PROTOCOL or SYSTEM otherwise.
 */
int egress_server_run(struct egress_server *server, int ca_fd, struct err *err) __attribute__((warn_unused_result));
void egress_server_free(struct egress_server *server); /* wipes every grant; NULL is fine */
DEFINE_AUTO(egress_server, egress_server_free)
