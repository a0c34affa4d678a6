/*
 * oauth: flows under way
 *
 * A flow is known by its id to whoever began it, and by its state to the browser that comes back; each is 32 random bytes. It
 * is used once and lasts OAUTH_FLOW_S. What makes the exchange possible (verifier, endpoints, client) lies with the keeper,
 * under the flow's ticket. In memory alone: a restart ends all flows. Any thread.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

#define OAUTH_FLOW_S   300
#define OAUTH_FLOWS    64
#define OAUTH_ID_CHARS 43 /* base64url of 32 bytes */

enum oauth_caller { OAUTH_CALLER_CLI, OAUTH_CALLER_DAEMON };
struct oauth_flow {
	struct str id, state;
	uint64_t ticket;
	enum oauth_caller caller;
	bool reauthorize, device;
	struct str binding, connector_fqn; /* names */
	struct str redirect_uri, return_to;
	struct str scopes; /* asked for, joined by one space */
	uint32_t interval; /* device flow: seconds between two polls */
};

struct oauth_flows;
struct oauth_flows *oauth_flows_new(const struct clock *clock) __attribute__((warn_unused_result, returns_nonnull));
void oauth_flows_free(struct oauth_flows *flows); /* NULL is fine */
DEFINE_AUTO(oauth_flows, oauth_flows_free)
/* A fresh id or state, in the arena. */
struct str oauth_random(struct arena *arena);
/* Keeps a copy; THROTTLED when OAUTH_FLOWS are under way. */
int oauth_flow_add(struct oauth_flows *flows, const struct oauth_flow *flow, struct err *err)
	__attribute__((warn_unused_result));
/* Takes it out: whatever comes of it, it was used. SESSION_NOT_FOUND. */
int oauth_flow_take(struct oauth_flows *flows, struct arena *arena, struct str id, struct oauth_flow *ret,
		    struct err *err) __attribute__((warn_unused_result));
int oauth_flow_take_by_state(struct oauth_flows *flows, struct arena *arena, struct str state, struct oauth_flow *ret,
			     struct err *err) __attribute__((warn_unused_result));
/* Adds to its interval between two polls, which the server wants longer. */
void oauth_flow_slow_down(struct oauth_flows *flows, struct str id, uint32_t seconds);
/* Looks at it and leaves it. */
int oauth_flow_look(struct oauth_flows *flows, struct arena *arena, struct str id, struct oauth_flow *ret,
		    struct err *err) __attribute__((warn_unused_result));
