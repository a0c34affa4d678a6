/*
 * spans: what was done, on its way to the user's collector
 *
 * Off unless START has `otlp_endpoint`. A span is queued (audit/otlp.h) and goes out with others, from a worker and through
 * egress, within SPANS_PAUSE_MS or when a batch is full; a collector that cannot be reached is tried again after
 * SPANS_RETRY_MS. Nothing waits for it, and what does not fit is dropped.
 */
#pragma once
#include "audit/otlp.h"
#include "control/control.h"

#define SPANS_PAUSE_MS 5000
#define SPANS_RETRY_MS 30000

struct spans_spec {
	struct loop *loop;
	struct workers *workers;
	struct otlp_resource resource;
	otlp_send *send; /* on a worker */
	void *user;
};
struct spans *spans_new(const struct spans_spec *spec, struct err *err) __attribute__((warn_unused_result));
void spans_free(struct spans *spans); /* when no worker is left; NULL is fine */
DEFINE_AUTO(spans, spans_free)
void spans_add(struct spans *spans, const struct otlp_span *span); /* any thread; NULL is fine */
void spans_flush(struct spans *spans);                             /* soon; on the loop's thread; NULL is fine */

/* aileron.connector.call, under the trace that the request's traceparent names, if it does. */
struct spans_call {
	struct str trace_id, parent_id;                      /* hex, of whoever asked; "" = a trace of its own */
	struct str connector, operation, binding, execution; /* names; "" = left out */
	uint64_t start_ns, end_ns;                           /* Unix */
	const struct err *error;                             /* NULL = it succeeded */
};
/* `spans` NULL is fine: none is configured. */
void spans_connector_call(struct spans *spans, const struct spans_call *call);
