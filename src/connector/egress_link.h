/*
 * egress_link: the one door to the network, as its parent sees it
 *
 * One link holds one `aileron-egress` and carries the requests of many calls. The process is started by the first request,
 * or before by egress_link_start(). When it dies, calls whose grant it knew get NETWORK_ERROR for this request and every
 * later one; the first request of another call starts it anew. A link_call is one connector call's permission: its grant
 * (with the secret) is sent once, with its first request, so that a call that asks for nothing shows its secret to nobody,
 * or before, when it has none (link_call_grant()); it is taken back when the call is freed.
 *
 * The parent's own watch: a request that egress has not answered EGRESS_GRACE_NS after its time was over, or after it was
 * cancelled, proves that egress hangs; it is killed, which is as if it had died.
 *
 * Where this process may start none (control), somebody else does: a `foreign` link is without an egress until
 * egress_link_attach() gives it one's socket, and again when that has ended. It cannot kill one that hangs; it lets go of
 * it, whereupon egress ends itself unless it gets a new socket.
 *
 * Beside the requests of calls a link carries the daemon's own errands: token requests under a ticket of the keeper, and
 * posts to where the user wants his traces.
 *
 * Nothing here blocks but egress_link_wait_ready(). Watch egress_link_fd() for egress_link_events() and call
 * egress_link_process(). One thread at a time.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "egress/egress_protocol.h"

#define EGRESS_START_NS UINT64_C(10000000000) /* from start to the proof of confinement */
/* Past a request's time, or its cancellation. One thread serves all calls, so an answer may have to wait for another's. */
#define EGRESS_GRACE_NS UINT64_C(5000000000)

struct egress_link;
struct link_call;

struct egress_link_spec {
	const char *program; /* path of aileron-egress; NULL = beside this program */
	int ca_fd;           /* certificates to trust instead of the system's; -1 = none; stays the caller's, open */
	struct str allowed;  /* boundaries that the user goes without (confine_judge) */
	uint64_t grace_ns;   /* 0 = EGRESS_GRACE_NS */
	bool foreign;        /* never started from here: egress_link_attach() */
};

struct egress_link *egress_link_new(const struct egress_link_spec *spec) __attribute__((warn_unused_result));
/* Ends the process. Free its calls first; errands are forgotten without a word. NULL is fine. */
void egress_link_free(struct egress_link *link);
DEFINE_AUTO(egress_link, egress_link_free)

/*
 * A foreign link gets its egress, whose proof was judged by whoever started it, and which serves at once. What was under
 * way on the socket before ends as if egress had died. `fd` is taken over.
 */
int egress_link_attach(struct egress_link *link, int fd, struct err *err) __attribute__((warn_unused_result));
/* Starts the process when it does not run. SYSTEM when it cannot be started, or is a foreign link's to wait for. */
int egress_link_start(struct egress_link *link, struct err *err) __attribute__((warn_unused_result));
/* Waits until a started process has proven its confinement: 0, or -1 with UNCONFINED or how it ended. */
int egress_link_wait_ready(struct egress_link *link, struct err *err) __attribute__((warn_unused_result));

int egress_link_fd(const struct egress_link *link); /* -1 while it does not run */
short egress_link_events(const struct egress_link *link);
uint64_t egress_link_deadline(const struct egress_link *link); /* monotonic ns; UINT64_MAX = none */
void egress_link_process(struct egress_link *link);
int egress_link_pid(const struct egress_link *link); /* 0 while it does not run, and of a foreign one */

/* `result` and its texts are borrowed for the length of the call. */
typedef void link_result(void *owner, const struct egress_result *result);

/* `grant` and what it points to stay until the call is freed; its secret only until link_call_has_granted(). */
struct link_call *link_call_new(struct egress_link *link, const struct egress_grant *grant)
	__attribute__((warn_unused_result));
/* Cancels the request under way, whose result is then told to nobody, and takes the grant back. NULL is fine. */
void link_call_free(struct link_call *call);
DEFINE_AUTO(link_call, link_call_free)

/* Sends the grant when egress serves, so that the first request is all that is sent later. It has no secret. */
void link_call_grant(struct link_call *call);

/* Whether the grant was sent, which never happens twice. */
bool link_call_has_granted(const struct link_call *call);

/*
 * Asks for one request; the envelope is copied when it cannot be sent at once. `result` is called exactly once, from
 * egress_link_process() or, when egress cannot be started, before this returns. One request of a call at a time.
 */
void link_call_request(struct link_call *call, struct str envelope, uint64_t left_ns, bool trace, link_result *result,
		       void *owner);

/* ----------------------------------------------------------------------------------------------------------- errands */

/*
 * One step of an OAuth flow, and one POST of at most EGRESS_POST_MAX bytes. The message is borrowed for the call alone.
 * `result` is called exactly once: before these return when egress does not serve (NETWORK_ERROR), else from
 * egress_link_process() or egress_link_attach(). There is nothing to call off: `left_ns` bounds it.
 */
typedef void link_oauth_result(void *owner, const struct egress_oauth_result *result);
void egress_link_oauth(struct egress_link *link, const struct egress_oauth *ask, link_oauth_result *result,
		       void *owner);
void egress_link_post(struct egress_link *link, const struct egress_post *post, link_result *result, void *owner);
