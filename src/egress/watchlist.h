/*
 * watchlist: the secret values of one call, and the scrubber that looks for them
 *
 * The call's credential from the beginning; each header value or signature that was made of it from the first request
 * that carried it. Made once a grant, so that a request does not pay for it, and kept to the grant's end, but for
 * signatures older than the newest seven values: a service may hand out later what it was sent before. One loop's thread.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "crypto/secret.h"
#include "egress/inject.h"
#include "egress/scrub.h"

struct watchlist;

/* `secret` is the grant's and must outlive it; NULL = none, and there is nothing to look for until something is added. */
struct watchlist *watchlist_new(const struct secret *secret, struct err *err) __attribute__((warn_unused_result));
void watchlist_free(struct watchlist *list); /* NULL is fine */
DEFINE_AUTO(watchlist, watchlist_free)

/* The call's credential, when it came after the grant did; as watchlist_new() takes it. Once; the same again is nothing. */
int watchlist_hold(struct watchlist *list, const struct secret *secret, struct err *err)
	__attribute__((warn_unused_result));

/* Of what it looks for now, with secrets of its own: for a search by another thread, beside which this one goes on. */
struct watchlist *watchlist_copy(const struct watchlist *list, struct err *err) __attribute__((warn_unused_result));

/* Looks for the secret headers and the signatures of an injection too, from now on; those that are known already cost nothing. */
int watchlist_add(struct watchlist *list, const struct injection *injection, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Striking out tells that something was there, so an answer of a host that was never sent the credential is a way to guess
 * it: a dictionary goes in, and what comes back says which word it was. Such an answer is not passed on, and the call makes
 * no further request: one guess a call. An origin ("https://host:443") that has the credential may echo it in
 * WATCHLIST_ECHOES_MAX answers of a call.
 */
#define WATCHLIST_ECHOES_MAX 64

void watchlist_sent(struct watchlist *list, struct str origin); /* something of what it looks for goes there, now */
/* An answer of `origin` had some of it: CAPABILITY_DENIED, rule "credential_echo", when it may not be passed on. */
int watchlist_echo(struct watchlist *list, struct str origin, struct err *err) __attribute__((warn_unused_result));
/* The same failure once there was one: nothing more goes out. */
int watchlist_check(const struct watchlist *list, struct err *err) __attribute__((warn_unused_result));

/* NULL when there is nothing to look for. */
const struct scrubber *watchlist_scrubber(const struct watchlist *list);
