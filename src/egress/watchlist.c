#include "egress/watchlist.h"
#include <stdlib.h>

struct watchlist {
	struct scrubber *scrubber;            /* NULL while it is empty */
	struct secret *values[SCRUB_SECRETS]; /* copies, which the scrubber borrows */
	size_t n;
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
	free(list);
}

static bool knows(const struct watchlist *list, const struct secret *secret)
{
	for (size_t i = 0; i < list->n; i++) {
		if (secret_eq(list->values[i], secret_borrow(secret)))
			return true;
	}
	return false;
}

int watchlist_add(struct watchlist *list, const struct injection *injection, struct err *err)
{
	for (size_t i = 0; i < injection->n; i++) {
		const struct secret *value = injection->headers[i].secret;
		if (value == NULL || knows(list, value))
			continue;
		if (list->n == ARRAY_LEN(list->values))
			return fail(err, ERR_LIMIT, "more than %zu secret values in one call", list->n);
		struct secret *copy = secret_from(secret_borrow(value), err);
		if (copy == NULL)
			return -1;
		list->values[list->n++] = copy;
		if (look_for(list, copy, err) != 0)
			return -1;
	}
	return 0;
}

const struct scrubber *watchlist_scrubber(const struct watchlist *list)
{
	return list->scrubber;
}
