/*
 * away: what a client is answered while there is no daemon
 *
 * Enough of MCP for an agent program to start, to list one tool that says what is wrong, and to be told that nothing was
 * run. Lines without their end; ids are raw JSON, as they were sent. Pure; any thread.
 */
#pragma once
#include "base/buf.h"

struct away_request {
	struct str id, method, params; /* raw JSON; method without quotes; params "" = none */
	bool is_modern;                /* revision 2026-07-28, which says so in each request */
	struct str why;                /* there is no daemon: a sentence */
	struct str version;            /* of this program */
};
/* Appends the answer. */
void away_answer(struct buf *out, const struct away_request *request);
/* A call was on its way when the connection was lost, and the daemon did not come back to be asked. */
void away_lost_call(struct buf *out, const struct away_request *request, struct str call_id);
/* It came back and does not know the call, which is too long to be kept and sent again. */
void away_dropped_call(struct buf *out, const struct away_request *request);
/* An error of JSON-RPC; `id` "" = none can be named. */
void away_error(struct buf *out, struct str id, int code, const char *message);
