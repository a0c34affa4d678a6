/*
 * call: one call of a connector, from its op and arguments to its outcome
 *
 * The call hands its standard input to a runner, passes what the guest asks for on to egress, keeps the host's own record
 * of what came back, and decides the outcome from both (connector/outcome.h). Standard input is exactly
 *
 *     {"args":{…},"op":"…"}
 *
 * as Go's encoding/json writes it: sorted keys, numbers as doubles, no blanks, no newline.
 *
 * A call is driven by whoever drives its runner and its link: their events become the call's. call_wait() does it for one
 * call on a thread of its own. One thread at a time.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "connector/call_limits.h"
#include "connector/egress_link.h"
#include "connector/runner.h"
#include "text/json.h"

struct call;

/* What is told while it runs; members may be NULL. Texts are borrowed, and raw: the guest's bytes. */
struct call_events {
	void (*log)(void *owner, struct str level, struct str message);
	/* One host call; no guest bytes in it. At most LIMIT_TRACE_LINES of LIMIT_TRACE_LINE bytes. */
	void (*trace)(void *owner, struct str text, uint64_t nanoseconds);
	/*
	 * One line of the connector's own for the audit: an object that text/json.h accepts, at most LIMIT_AUDIT_LINE bytes,
	 * LIMIT_AUDIT_LINES a call. Answers what audit_emit() does: 0 stored, else not 0. Without it, 0.
	 */
	int32_t (*audit)(void *owner, struct str object);
	void (*granted)(void *owner); /* egress has the secret; the call needs it no more */
	void (*ended)(void *owner);   /* the outcome is there; the call may not be freed from here */
};

struct call_spec {
	struct str op;
	const struct json *args;          /* an object; NULL = {} */
	struct call_limits limits;        /* resolved */
	const struct egress_grant *grant; /* lives as long as the call */
	bool trace;
	const struct call_events *events;
	void *owner;
};

struct call_report {
	uint64_t total_ns, instantiate_ns, run_ns;
	uint64_t requests, request_ns; /* asked of egress, answered or not; how long those that were took in all */
	uint64_t memory_peak;          /* bytes of linear memory */
	uint64_t logs_dropped, audits;
	uint64_t traces, traces_dropped; /* lines told to `trace`, and those after LIMIT_TRACE_LINES */
};

/* The bytes of standard input, appended. LIMIT when they are more than LIMIT_INPUT. */
int call_input(struct buf *out, struct str op, const struct json *args, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Starts a call; runner and link must outlive it. NULL: the input is too large, the runner has ended or is full.
 */
struct call *call_start(const struct call_spec *spec, struct runner *runner, struct egress_link *link, struct err *err)
	__attribute__((warn_unused_result));
/* Cancels it when it has not ended. NULL is fine. */
void call_free(struct call *call);
DEFINE_AUTO(call, call_free)

/* The caller gives up: the outcome will be CANCELLED, soon. */
void call_cancel(struct call *call);
/* Drives runner and link until the call has ended. When `cancel_fd` (-1 = none) becomes readable, it is cancelled. */
void call_wait(struct call *call, int cancel_fd);

bool call_has_ended(const struct call *call);
/* The outcome, after the end: the output as one line of JSON, an object; or NULL and the error. */
const struct err *call_error(const struct call *call);
struct str call_output(const struct call *call);
const struct call_report *call_report(const struct call *call);
