/*
 * resolve: from names to addresses, without blocking the loop
 *
 * getaddrinfo() on threads of its own (it cannot be interrupted), at most RESOLVE_THREADS at once; questions for the same
 * name share one answer. Answers are kept for RESOLVE_KEEP_NS, so that the requests of a call and its connections agree
 * on an address; failures are not kept. Names only: literal addresses and odd spellings of them never come here
 * (egress/address). What comes out is unjudged.
 *
 * One loop's thread calls; callbacks come from the loop, never from inside a function below.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/time.h"
#include <sys/socket.h>

#define RESOLVE_ADDRESSES_MAX 16 /* of one name; more are left out */
#define RESOLVE_THREADS       8
#define RESOLVE_CACHE_MAX     256 /* names */
#define RESOLVE_KEEP_NS       (30 * TIME_SECOND)

struct loop;
struct resolver;
struct resolve_query;

/* Called on a thread of the resolver: 0 and at least one address, or an EAI_ code of getaddrinfo(). */
typedef int resolve_lookup(void *context, const char *host, struct sockaddr_storage ret[RESOLVE_ADDRESSES_MAX],
			   size_t *ret_n);

struct resolver_options {
	struct loop *loop;
	const struct clock *clock; /* NULL = the system's */
	resolve_lookup *lookup;    /* NULL = getaddrinfo() */
	void *lookup_context;      /* must outlive every lookup, also those that outlive the resolver */
};

struct resolver *resolver_new(const struct resolver_options *options, struct err *err)
	__attribute__((warn_unused_result));
/* Does not wait for lookups under way: their threads end by themselves. Every query must have ended. NULL is fine. */
void resolver_free(struct resolver *resolver);
DEFINE_AUTO(resolver, resolver_free)

/* What is known without asking; addresses have port 0. False when the name must be asked for. */
bool resolver_known(struct resolver *resolver, struct str host, struct sockaddr_storage ret[RESOLVE_ADDRESSES_MAX],
		    size_t *ret_n);

/* Valid during the callback. NETWORK_ERROR in `err` when n is 0. */
struct resolve_answer {
	const struct sockaddr_storage *addresses;
	size_t n;
	struct err err;
};

/* Asks; `done` comes once unless the query is cancelled. */
struct resolve_query *resolver_ask(struct resolver *resolver, struct str host,
				   void (*done)(void *context, const struct resolve_answer *answer), void *context)
	__attribute__((returns_nonnull));
void resolve_cancel(struct resolve_query *query); /* no callback; NULL is fine */
