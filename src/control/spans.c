#include "control/spans.h"
#include "base/hex.h"
#include "base/log.h"
#include "control/workers.h"
#include <stdatomic.h>
#include <stdlib.h>

struct spans {
	struct workers *workers;
	struct otlp_queue *queue;
	struct loop_source *wake, *timer;
	_Atomic bool flushing, failed, full; /* a worker sends; the last time it could not; there is a whole batch */
	bool armed;                          /* of the loop's thread: the timer runs */
};

/* ------------------------------------------------------------------------------------------------------------- sending */

static void flush(void *user)
{
	struct spans *spans = user;
	struct err err;
	err_clear(&err);
	spans->failed = otlp_flush(spans->queue, &err) < 0;
	if (spans->failed)
		log_debug("spans_not_sent", log_err(&err));
	spans->flushing = false;
	loop_wake(spans->wake);
}

void spans_flush(struct spans *spans)
{
	if (spans == NULL || spans->flushing)
		return;
	spans->full = false;
	spans->flushing = true;
	if (!workers_add(spans->workers, flush, spans))
		spans->flushing = false;
}

static void on_timer(void *user, int what)
{
	(void)what;
	struct spans *spans = user;
	spans->armed = false;
	spans_flush(spans);
}

/* A span was added, or some were sent. */
static void on_wake(void *user, int what)
{
	(void)what;
	struct spans *spans = user;
	if (spans->full && !spans->failed) {
		spans_flush(spans);
		return;
	}
	if (spans->armed || spans->flushing || otlp_count(spans->queue).queued == 0)
		return;
	spans->armed = true;
	loop_timer_start(spans->timer, spans->failed ? SPANS_RETRY_MS : SPANS_PAUSE_MS, 0);
}

void spans_add(struct spans *spans, const struct otlp_span *span)
{
	if (spans == NULL)
		return;
	if (otlp_add(spans->queue, span))
		spans->full = true;
	loop_wake(spans->wake);
}

/* ---------------------------------------------------------------------------------------------------------- life cycle */

struct spans *spans_new(const struct spans_spec *spec, struct err *err)
{
	AUTO(spans) *spans = NEW(struct spans);
	spans->workers = spec->workers;
	spans->queue = otlp_queue_new(&spec->resource, spec->send, spec->user);
	spans->timer = loop_timer(spec->loop, on_timer, spans);
	loop_source_background(spans->timer);
	spans->wake = loop_wakeup(spec->loop, on_wake, spans, err);
	if (spans->wake == NULL)
		return NULL;
	loop_source_background(spans->wake);
	return TAKE(spans);
}

void spans_free(struct spans *spans)
{
	if (spans == NULL)
		return;
	loop_source_free(spans->wake);
	loop_source_free(spans->timer);
	otlp_queue_free(spans->queue);
	free(spans);
}

/* ------------------------------------------------------------------------------------------------------ connector calls */

static bool read_hex(struct str text, unsigned char *ret, size_t n)
{
	AUTO_BUF bytes = BUF_INIT(OTLP_TRACE_ID);
	if (text.n != 2 * n || hex_decode(&bytes, text, NULL) < 0)
		return false;
	memcpy(ret, bytes.p, n);
	return true;
}

/* Ids of traceparent (W3C Trace Context 2.2.2), which request_trace() has checked. */
static void take_trace(const struct spans_call *call, struct otlp_span *span)
{
	if (!read_hex(call->trace_id, span->trace_id, sizeof span->trace_id) ||
	    !read_hex(call->parent_id, span->parent_id, sizeof span->parent_id)) {
		otlp_new_trace_id(span->trace_id);
		memset(span->parent_id, 0, sizeof span->parent_id);
	}
}

static void attribute(struct otlp_attribute *list, size_t *n, const char *key, struct str value)
{
	if (value.n > 0)
		list[(*n)++] = (struct otlp_attribute){.key = key, .kind = OTLP_STR, .str = value};
}

void spans_connector_call(struct spans *spans, const struct spans_call *call)
{
	if (spans == NULL)
		return;
	struct otlp_attribute attributes[OTLP_ATTRIBUTES_MAX];
	struct otlp_span span = {
		.name = OTLP_SPAN_CONNECTOR_CALL,
		.kind = OTLP_KIND_CLIENT,
		.start_ns = call->start_ns,
		.end_ns = call->end_ns,
		.attributes = attributes,
		.status = call->error == NULL ? OTLP_STATUS_OK : OTLP_STATUS_ERROR,
	};
	otlp_new_span_id(span.span_id);
	take_trace(call, &span);
	attribute(attributes, &span.attributes_n, "aileron.connector.fqn", call->connector);
	attribute(attributes, &span.attributes_n, "aileron.connector.operation", call->operation);
	attribute(attributes, &span.attributes_n, "aileron.binding.name", call->binding);
	attribute(attributes, &span.attributes_n, "aileron.execution.id", call->execution);
	if (call->error != NULL) {
		/* The class alone: messages may hold what a guest or a service said. */
		span.status_message = str_from(err_row(call->error->class)->name);
		attribute(attributes, &span.attributes_n, "aileron.failure.class", span.status_message);
	}
	spans_add(spans, &span);
}
