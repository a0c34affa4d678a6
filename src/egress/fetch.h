/*
 * fetch: one POST of the daemon's own, which is no guest's
 *
 * To a token endpoint, or to where the user wants his traces. The URL comes from whom the person trusted with it (the
 * keeper, or the user's own setting), so there is no gate; addresses are judged as everywhere, but that a literal loopback
 * in the URL (or "localhost") opens that address. What carries a credential goes over https or to this machine. A redirect is an answer like
 * any other: it is never followed.
 *
 * One loop's thread. `done` comes from the loop, never from inside a function below.
 */
#pragma once
#include "base/buf.h"
#include "egress/request.h"

#define FETCH_LINES_MAX 4

struct fetch;

/* Valid during the callback. */
struct fetch_answer {
	const struct err *err; /* NULL = a whole answer: CAPABILITY_DENIED, NETWORK_ERROR */
	int status;
	struct buf *body; /* wiped afterwards when it is sensitive */
};

struct fetch_ask {
	const struct egress_net *net;
	struct str url;
	const char *lines[FETCH_LINES_MAX]; /* "Name: value" */
	size_t n_lines;
	struct str body; /* with the lines, borrowed until the end */
	bool sensitive;  /* request and answer hold secrets */
	size_t answer_max;
	uint64_t left_ns;
	void (*done)(void *context, const struct fetch_answer *answer); /* once, unless it is cancelled */
	void *context;
};

struct fetch *fetch_start(const struct fetch_ask *ask) __attribute__((warn_unused_result, returns_nonnull));
void fetch_cancel(struct fetch *fetch); /* no callback; NULL is fine */
