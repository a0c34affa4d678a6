/*
 * server: egress as whoever asks for requests talks to it
 *
 * Reads GRANT, REQUEST, CANCEL and END from the channel and answers each REQUEST with one RESULT. Many calls at once on
 * one loop; one request of a call at a time. END forgets the grant, wipes its secret and ends its request without an
 * answer. OAUTH and POST have one answer each, too, and need no grant.
 *
 * Frames are always read, so that CANCEL, END and deadlines hold whatever the services do. Above LIMIT_REQUESTS_OPEN
 * requests wait for their turn, first come, first served, while their deadlines run; above LIMIT_REQUESTS_WAITING bytes
 * of envelopes one is refused with network_error. Above LIMIT_EGRESS_BUFFERED bytes of answers, queued for whoever asked
 * or being collected, the transfers stop reading from theirs.
 *
 * Two lives. Under the developer's harness the channel is its parent's, for good: its end, and what the protocol does not
 * allow, end the server. In the daemon control's end of a pair is attached, and so is the keeper's; either may go and
 * another come. When control's goes, whatever the reason, all its grants go with it; the server serves on.
 */
#pragma once
#include "base/err.h"
#include "egress/resolve.h"
#include "rpc/rpc.h"

struct egress_server;
struct loop;
struct stream_upstream;
struct watchlist;

struct egress_server_options {
	struct rpc_channel *channel; /* the parent's, which stays the caller's; NULL in the daemon */
	resolve_lookup *lookup;      /* NULL = the system's resolver */
	void *lookup_context;
	/*
	 * The daemon's: there is no control any more. It closed its end, or the server did because of what came from it
	 * (`err`, else NULL). `alive`: its end is open still. May be NULL.
	 */
	void (*control_left)(void *context, bool alive, const struct err *err);
	void *context;
	/* The daemon's: where the gateway's requests go (stream.h), one a provider; outlive the server. NULL = there is none. */
	const struct stream_upstream *upstreams;
};

/* Everything that can be made ready before START. */
struct egress_server *egress_server_new(const struct egress_server_options *options, struct err *err)
	__attribute__((warn_unused_result));
/*
 * The harness's life: serves a channel that is in EGRESS_STATE_SERVING. `ca_fd`: PEM certificates to trust instead of the
 * system's, or -1. 0 when the parent closed its end; -1 with PROTOCOL or SYSTEM otherwise.
 */
int egress_server_run(struct egress_server *server, int ca_fd, struct err *err) __attribute__((warn_unused_result));

/* ---------------------------------------------------------------------------------------------- the daemon's life */

struct loop *egress_server_loop(struct egress_server *server);
/* PEM certificates to trust instead of the system's, or -1. Once, before anything is attached. */
void egress_server_set_ca(struct egress_server *server, int ca_fd);
/* The end of a pair, taken over, in the place of the one before. */
int egress_server_attach_control(struct egress_server *server, int fd, struct err *err)
	__attribute__((warn_unused_result));
int egress_server_attach_keeper(struct egress_server *server, int fd, struct err *err)
	__attribute__((warn_unused_result));
/* Of the gateway (streams.h), beside the one above; only with upstreams. */
int egress_server_attach_streams(struct egress_server *server, int fd, struct err *err)
	__attribute__((warn_unused_result));
/*
 * What is looked for in what a runner says of this call: NULL when no grant names it, or nothing is secret in it. Borrowed
 * until the loop goes on.
 */
const struct watchlist *egress_server_watchlist(const struct egress_server *server, uint32_t relay,
						uint32_t relay_call);
/* Whether nothing is under way. */
bool egress_server_is_idle(const struct egress_server *server);

void egress_server_free(struct egress_server *server); /* wipes every grant; NULL is fine */
DEFINE_AUTO(egress_server, egress_server_free)
