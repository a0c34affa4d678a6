#include "audit/otlp.h"
#include "base/hex.h"
#include "base/rand.h"
#include "text/json_members.h"

static bool is_zero(const unsigned char *id, size_t n)
{
	unsigned char any = 0;
	for (size_t i = 0; i < n; i++)
		any |= id[i];
	return any == 0;
}

void otlp_new_trace_id(unsigned char ret[OTLP_TRACE_ID])
{
	do {
		rand_bytes(ret, OTLP_TRACE_ID);
	} while (is_zero(ret, OTLP_TRACE_ID));
}

void otlp_new_span_id(unsigned char ret[OTLP_SPAN_ID])
{
	do {
		rand_bytes(ret, OTLP_SPAN_ID);
	} while (is_zero(ret, OTLP_SPAN_ID));
}

static void put_id(struct json_writer *w, const char *key, const unsigned char *id, size_t n)
{
	char digits[2 * OTLP_TRACE_ID + 1];
	member_str(w, key, str_from(hex_format(str_of(id, n), digits)));
}

/* 64 bits do not fit in what JavaScript calls a number: Protobuf writes them as strings. */
static void put_u64(struct json_writer *w, const char *key, uint64_t value)
{
	AUTO_BUF digits = BUF_INIT(24);
	buf_addf(&digits, "%llu", (unsigned long long)value);
	member_str(w, key, buf_str(&digits));
}

static void put_value(struct json_writer *w, const struct otlp_attribute *attribute)
{
	AUTO_BUF digits = BUF_INIT(24);
	switch (attribute->kind) {
	case OTLP_STR:
		member_str(w, "stringValue", attribute->str);
		break;
	case OTLP_INT:
		buf_addf(&digits, "%lld", (long long)attribute->integer);
		member_str(w, "intValue", buf_str(&digits));
		break;
	case OTLP_BOOL:
		member_bool(w, "boolValue", attribute->boolean);
		break;
	case OTLP_REAL:
		jsonw_key(w, S("doubleValue"));
		jsonw_real(w, attribute->real);
		break;
	}
}

static void put_attribute(struct json_writer *w, const struct otlp_attribute *attribute)
{
	jsonw_begin_object(w);
	member_str(w, "key", str_from(attribute->key));
	member_begin_object(w, "value");
	put_value(w, attribute);
	jsonw_end_object(w);
	jsonw_end_object(w);
}

static void put_status(struct json_writer *w, const struct otlp_span *span)
{
	if (span->status == OTLP_STATUS_UNSET)
		return;
	member_begin_object(w, "status");
	member_u64(w, "code", (uint64_t)span->status);
	if (span->status == OTLP_STATUS_ERROR && span->status_message.n > 0)
		member_str(w, "message", span->status_message);
	jsonw_end_object(w);
}

void otlp_put_span(struct buf *out, const struct otlp_span *span)
{
	static const char *const names[] = {
#define OTLP_NAME(symbol, name) [OTLP_SPAN_##symbol] = (name),
		OTLP_SPAN_NAMES(OTLP_NAME)
#undef OTLP_NAME
	};
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	put_id(&w, "traceId", span->trace_id, OTLP_TRACE_ID);
	put_id(&w, "spanId", span->span_id, OTLP_SPAN_ID);
	if (!is_zero(span->parent_id, OTLP_SPAN_ID))
		put_id(&w, "parentSpanId", span->parent_id, OTLP_SPAN_ID);
	member_str(&w, "name", str_from(names[span->name]));
	member_u64(&w, "kind", (uint64_t)span->kind);
	put_u64(&w, "startTimeUnixNano", span->start_ns);
	put_u64(&w, "endTimeUnixNano", span->end_ns);
	size_t kept = MIN(span->attributes_n, OTLP_ATTRIBUTES_MAX);
	member_begin_array(&w, "attributes");
	for (size_t i = 0; i < kept; i++)
		put_attribute(&w, &span->attributes[i]);
	jsonw_end_array(&w);
	if (kept < span->attributes_n)
		member_u64(&w, "droppedAttributesCount", span->attributes_n - kept);
	put_status(&w, span);
	jsonw_end_object(&w);
}

static void put_resource_attribute(struct json_writer *w, const char *key, struct str value)
{
	if (value.n > 0)
		put_attribute(w, &(struct otlp_attribute){.key = key, .kind = OTLP_STR, .str = value});
}

void otlp_put_request(struct buf *out, const struct otlp_resource *resource, struct str spans)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_begin_array(&w, "resourceSpans");
	jsonw_begin_object(&w);
	member_begin_object(&w, "resource");
	member_begin_array(&w, "attributes");
	put_resource_attribute(&w, "service.name", resource->name);
	put_resource_attribute(&w, "service.version", resource->version);
	put_resource_attribute(&w, "service.instance.id", resource->instance);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	member_begin_array(&w, "scopeSpans");
	jsonw_begin_object(&w);
	member_begin_object(&w, "scope");
	member_str(&w, "name", S("aileron"));
	if (resource->version.n > 0)
		member_str(&w, "version", resource->version);
	jsonw_end_object(&w);
	member_begin_array(&w, "spans");
	if (spans.n > 0)
		jsonw_raw(&w, spans);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
}
