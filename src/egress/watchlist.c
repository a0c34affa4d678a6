#include "egress/watchlist.h"
#include "base/map.h"
#include <stdlib.h>

#define ORIGINS_MAX 4096

struct watchlist {
	const struct secret *secret;              /* the grant's; NULL = none */
	struct secret *own;                       /* of a copy: `secret` */
	struct scrubber *scrubber;                /* NULL while it is empty */
	struct secret *values[SCRUB_SECRETS - 1]; /* copies, which the scrubber borrows; the oldest first */
	size_t n;
	struct map *sent; /* origins; NULL = none */
	size_t echoes;
	bool denied;
};

static int look_for(struct watchlist *list, const struct secret *secret, struct err *err)
{
	if (list->scrubber == NULL)
		list->scrubber = scrubber_new(err);
	return list->scrubber != NULL ? scrub_add(list->scrubber, secret, err) : -1;
}

struct watchlist *watchlist_new(const struct secret *secret, struct err *err)
{
	AUTO(watchlist) *list = NEW(struct watchlist);
	list->secret = secret;
	if (secret != NULL && look_for(list, secret, err) != 0)
		return NULL;
	return TAKE(list);
}

void watchlist_free(struct watchlist *list)
{
	if (list == NULL)
		return;
	scrubber_free(list->scrubber);
	while (list->n > 0)
		secret_free(list->values[--list->n]);
	secret_free(list->own);
	map_free(list->sent);
	free(list);
}

static bool knows(const struct watchlist *list, struct str value)
{
	for (size_t i = 0; i < list->n; i++) {
		if (secret_eq(list->values[i], value))
			return true;
	}
	return false;
}

static int forget_oldest(struct watchlist *list, struct err *err)
{
	scrub_forget(list->scrubber);
	secret_free(list->values[0]);
	list->n--;
	memmove(list->values, list->values + 1, list->n * sizeof list->values[0]);
	int rc = list->secret != NULL ? look_for(list, list->secret, err) : 0;
	for (size_t i = 0; i < list->n && rc == 0; i++)
		rc = look_for(list, list->values[i], err);
	return rc;
}

static int add_value(struct watchlist *list, struct str value, struct err *err)
{
	if (value.n == 0 || knows(list, value))
		return 0;
	if (list->n == ARRAY_LEN(list->values) && forget_oldest(list, err) != 0)
		return -1;
	struct secret *copy = secret_from(value, err);
	if (copy == NULL)
		return -1;
	list->values[list->n++] = copy;
	return look_for(list, copy, err);
}

int watchlist_add(struct watchlist *list, const struct injection *injection, struct err *err)
{
	for (size_t i = 0; i < injection->n; i++) {
		const struct injected_header *header = &injection->headers[i];
		struct str value = header->secret != NULL ? secret_borrow(header->secret) : header->signature;
		if (add_value(list, value, err) != 0)
			return -1;
	}
	return 0;
}

int watchlist_hold(struct watchlist *list, const struct secret *secret, struct err *err)
{
	if (list->secret == secret)
		return 0;
	if (list->secret != NULL)
		BUG("a second credential of one call");
	if (look_for(list, secret, err) != 0)
		return -1;
	list->secret = secret;
	return 0;
}

struct watchlist *watchlist_copy(const struct watchlist *list, struct err *err)
{
	AUTO(watchlist) *copy = NEW(struct watchlist);
	if (list->secret != NULL) {
		copy->own = secret_from(secret_borrow(list->secret), err);
		copy->secret = copy->own;
		if (copy->own == NULL || look_for(copy, copy->own, err) != 0)
			return NULL;
	}
	for (size_t i = 0; i < list->n; i++) {
		if (add_value(copy, secret_borrow(list->values[i]), err) != 0)
			return NULL;
	}
	return TAKE(copy);
}

void watchlist_sent(struct watchlist *list, struct str origin)
{
	if (list->sent == NULL)
		list->sent = map_new(ORIGINS_MAX);
	/* One that there is no room for counts as never sent: the careful side. */
	(void)!map_add(list->sent, origin, NULL);
}

static int deny_echo(const char *message, struct err *err)
{
	fail(err, ERR_CAPABILITY_DENIED, "%s", message);
	err_detail(err, "rule", S("credential_echo"));
	return -1;
}

int watchlist_echo(struct watchlist *list, struct str origin, struct err *err)
{
	bool known = list->sent != NULL && map_has(list->sent, origin);
	if (known && ++list->echoes <= WATCHLIST_ECHOES_MAX)
		return 0;
	list->denied = true;
	return deny_echo(known ? "http_request: this call's credential came back too often"
			       : "http_request: this call's credential came back from where it was never sent",
			 err);
}

int watchlist_check(const struct watchlist *list, struct err *err)
{
	return list->denied ? deny_echo("http_request: this call makes no more requests: its credential came back from "
					"where it may not",
					err)
			    : 0;
}

const struct scrubber *watchlist_scrubber(const struct watchlist *list)
{
	return list->scrubber;
}
