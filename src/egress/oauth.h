/*
 * oauth: token requests
 *
 * Where to ask, as whom and with which verifier comes from the keeper with a ticket; the tokens that come back go to the
 * keeper, and whoever asked learns scope and expiry. All on one loop, many at once:
 *
 *     OAUTH_CODE          ticket -> POST token_url grant_type=authorization_code (RFC 6749 4.1.3, RFC 7636 4.5) -> stored
 *     OAUTH_DEVICE_START  ticket -> POST device_authorization_url (RFC 8628 3.1) -> the device code is stored
 *     OAUTH_DEVICE_POLL   ticket -> POST token_url grant_type=…:device_code (3.4) -> stored, or `pending`
 *     a refresh           POST token_url grant_type=refresh_token (RFC 6749 6) -> the keeper
 *
 * One request each, never repeated: an answer that is lost may have been the only one. Client id and, when there is one,
 * client secret stand in the form. A refusal is an answer with an `error` code, or any 4xx but 408 and 429:
 * TOKEN_EXCHANGE_FAILED with details error, status; for a refresh BINDING_FAILED. What may be otherwise the next time
 * (transport, 5xx, temporarily_unavailable, an answer that cannot be read) is NETWORK_ERROR. No error has a byte of what
 * was secret in the request. What the keeper refuses is told in its own words.
 *
 * One loop's thread; callbacks come from the loop.
 */
#pragma once
#include "egress/egress_protocol.h"

#define OAUTH_STEPS_MAX  256                /* at once */
#define OAUTH_REFRESH_NS (20 * TIME_SECOND) /* for one refresh; the calls that wait have deadlines of their own */

struct egress_net;
struct keeper_exchange;
struct keeper_link;
struct oauth;

struct oauth_options {
	const struct egress_net *net; /* outlives it, as does the link */
	struct keeper_link *keeper;
	/* Once for each step, from the loop; borrowed. */
	void (*done)(void *context, uint32_t id, const struct egress_oauth_result *result);
	void *context;
};
struct oauth *oauth_new(const struct oauth_options *options) __attribute__((returns_nonnull));
void oauth_free(struct oauth *oauth); /* gives up what is under way; NULL is fine */
DEFINE_AUTO(oauth, oauth_free)

/* The id is the asker's and comes back with the result. The step is borrowed for the length of the call. */
void oauth_step(struct oauth *oauth, uint32_t id, const struct egress_oauth *step);
/* For keeper_link_options.refresh: answered by keeper_refreshed() or keeper_refresh_failed(). */
void oauth_refresh(struct oauth *oauth, uint32_t id, const struct keeper_exchange *exchange);

/* Whoever asked is gone: steps go on, so that no token is lost, and their results are told to nobody. */
void oauth_forget_asker(struct oauth *oauth);
size_t oauth_open(const struct oauth *oauth); /* steps and refreshes under way */
