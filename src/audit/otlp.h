/*
 * otlp: spans of what was done, as OTLP over HTTP in JSON (OpenTelemetry protocol 1.x, "JSON Protobuf Encoding")
 *
 * A span becomes text as soon as it ends; the queue keeps texts, at most OTLP_QUEUE_MAX, and drops the oldest for a new
 * one: telemetry never holds anything up. Somebody who may wait calls otlp_flush() now and then, on one thread at a time;
 * it makes batches of what is queued and gives each to `send`, which posts it to <endpoint>/v1/traces with
 * Content-Type application/json. Everything else is any thread's.
 *
 * Ids are lower-case hex digits (unlike other bytes of Protobuf's JSON), times strings of nanoseconds, enums numbers.
 * Attributes hold names, never secrets and never what guests said.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define OTLP_QUEUE_MAX      2048              /* spans */
#define OTLP_BATCH_MAX      256               /* spans of one request */
#define OTLP_ATTRIBUTES_MAX 32                /* of one span; more are counted in droppedAttributesCount */
#define OTLP_SPAN_MAX       ((size_t)8 << 10) /* bytes of text; a larger span is dropped */

#define OTLP_TRACE_ID 16
#define OTLP_SPAN_ID  8

/* OTLP_SPAN_NAME(symbol, name) */
#define OTLP_SPAN_NAMES(X)                                                                                             \
	X(MCP_TOOL_CALL, "aileron.mcp.tool.call")                                                                      \
	X(ACTION_EXECUTE, "aileron.action.execute")                                                                    \
	X(ACTION_PREVIEW, "aileron.action.preview")                                                                    \
	X(CAPABILITY_CHECK, "aileron.capability.check")                                                                \
	X(CONNECTOR_CALL, "aileron.connector.call")                                                                    \
	X(APPROVAL_WAIT, "aileron.approval.wait")

enum otlp_span_name {
#define OTLP_ENUM(symbol, name) OTLP_SPAN_##symbol,
	OTLP_SPAN_NAMES(OTLP_ENUM)
#undef OTLP_ENUM
		OTLP_SPAN__MAX
};

/* Values of the protocol. */
enum otlp_kind { OTLP_KIND_INTERNAL = 1, OTLP_KIND_SERVER = 2, OTLP_KIND_CLIENT = 3 };
enum otlp_status { OTLP_STATUS_UNSET = 0, OTLP_STATUS_OK = 1, OTLP_STATUS_ERROR = 2 };

enum otlp_value { OTLP_STR, OTLP_INT, OTLP_BOOL, OTLP_REAL };
struct otlp_attribute {
	const char *key;
	enum otlp_value kind;
	struct str str;
	int64_t integer;
	bool boolean;
	double real;
};

struct otlp_span {
	enum otlp_span_name name;
	enum otlp_kind kind;
	unsigned char trace_id[OTLP_TRACE_ID];
	unsigned char span_id[OTLP_SPAN_ID];
	unsigned char parent_id[OTLP_SPAN_ID]; /* zeros = a root */
	uint64_t start_ns, end_ns;             /* Unix */
	const struct otlp_attribute *attributes;
	size_t attributes_n;
	enum otlp_status status;
	struct str status_message; /* of OTLP_STATUS_ERROR */
};
/* Random, and not zero, which means "none". */
void otlp_new_trace_id(unsigned char ret[OTLP_TRACE_ID]);
void otlp_new_span_id(unsigned char ret[OTLP_SPAN_ID]);

/* Who reports: the attributes service.name, service.version and service.instance.id. "" = left out. */
struct otlp_resource {
	struct str name, version, instance;
};

/* One span as JSON; and a whole ExportTraceServiceRequest of spans that are JSON already, with commas between them. */
void otlp_put_span(struct buf *out, const struct otlp_span *span);
void otlp_put_request(struct buf *out, const struct otlp_resource *resource, struct str spans);

/* The status of the answer, or -1 with an error when there was none. */
typedef int otlp_send(void *user, struct str body, struct err *err);

struct otlp_counts {
	uint64_t queued; /* now */
	uint64_t sent;
	uint64_t dropped; /* for want of room, or too large */
	uint64_t refused; /* by the receiver */
};

struct otlp_queue;
struct otlp_queue *otlp_queue_new(const struct otlp_resource *resource, otlp_send *send, void *user)
	__attribute__((warn_unused_result, returns_nonnull));
void otlp_queue_free(struct otlp_queue *queue); /* what is queued is lost; NULL is fine */
DEFINE_AUTO(otlp_queue, otlp_queue_free)
/* Never waits for the receiver. True when there is a whole batch: a good moment to flush. */
bool otlp_add(struct otlp_queue *queue, const struct otlp_span *span);
/*
 * Sends what is queued, batch by batch. 0 when all went or was refused for good; -1 when the receiver cannot be reached or
 * asks to come later (429, 502, 503, 504): that batch is queued again, as the oldest. Try again after a pause.
 */
int otlp_flush(struct otlp_queue *queue, struct err *err) __attribute__((warn_unused_result));
struct otlp_counts otlp_count(struct otlp_queue *queue);
