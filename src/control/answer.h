/*
 * answer: what goes back for a request
 *
 * Every answer carries X-Aileron-Api with API_REVISION. Errors take one of two shapes: the failure envelope for classes
 * of the closed set where the operation has it, the CRUD envelope for everything else. base/errors.def gives the
 * status. Any thread; the exchange is gone afterwards.
 */
#pragma once
#include "api/operation.h"
#include "http/h1/message.h"
#include "http/server/server.h"

#define ANSWER_HEADERS 4

/* `body` is JSON, or "" with 204. */
void answer_result(struct http_exchange *x, unsigned status, struct str body);

struct answer_failure {
	enum api_envelope envelope;
	const struct err *err;
	struct str audit_id;      /* "" = none */
	struct h1_header further; /* name "" = none */
};
/* The detail `retry_after_ms` becomes Retry-After in seconds, rounded up. */
void answer_failure(struct http_exchange *x, const struct answer_failure *failure);

/* The headers that a stream or a page begins with, in addition to its own: X-Aileron-Api. */
struct h1_header answer_revision(void);
