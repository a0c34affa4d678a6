/*
 * request: one http_request of a guest, from the envelope to the answer
 *
 * The order of checks is fixed (docs/formats/egress.md) and every failure has its return code, class and wording. What
 * is dialled is what was judged: each hop of a redirect is parsed, gated, resolved, judged and given its credential
 * anew, and a hop to another origin goes on without the credential for good.
 *
 * A request is driven by its loop; grant and watchlist must outlive it. Every request that was started ends with its
 * `done`, and is gone then. One loop's thread.
 */
#pragma once
#include "base/time.h"
#include "egress/egress_protocol.h"

struct loop;
struct http_client;
struct resolver;
struct permits;
struct watchlist;
struct egress_request;

/* What all requests of a process share. */
struct egress_net {
	struct loop *loop;
	struct http_client *http;
	struct resolver *resolver;
	const struct clock *clock; /* NULL = the system's */
};

struct egress_ask {
	const struct egress_net *net;
	const struct egress_grant *grant;
	struct watchlist *watchlist; /* of the grant's secret; may grow */
	struct permits *permits;     /* of a grant whose credential the keeper has; else NULL */
	struct str envelope;         /* borrowed for the call alone */
	uint64_t time_left_ns;       /* then it fails with network_error */
	bool waits;                  /* nothing is looked at before egress_request_go() */
	bool trace;                  /* fill result.note */
	/* Once, never from inside egress_request_start(); the request is gone afterwards. The result is borrowed. */
	void (*done)(void *context, struct egress_result *result);
	void *context;
};

struct egress_request *egress_request_start(const struct egress_ask *ask)
	__attribute__((warn_unused_result, returns_nonnull));
/* Once, for a request that waits. Its deadline runs since its start. */
void egress_request_go(struct egress_request *request);
/* The caller gives up: `done` is called from the loop with a network_error that says so. */
void egress_request_cancel(struct egress_request *request);
