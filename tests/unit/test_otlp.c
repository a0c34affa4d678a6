/*
 * Spans as OTLP in JSON: exactly what the protocol says, batches, what is dropped and what is tried again.
 *
 * test_otlp --print: one request with everything that a span can have, for those who have the protocol's own schema.
 */
#include "audit/otlp.h"
#include "text/json.h"
#include <pthread.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static const struct otlp_resource resource = {{"aileron", 7}, {"0.1.0", 5}, {"i-1", 3}};

static const struct otlp_attribute attributes[] = {
	{.key = "aileron.connector.fqn", .kind = OTLP_STR, .str = {"a\"b\xff\n", 5}},
	{.key = "aileron.call.requests", .kind = OTLP_INT, .integer = INT64_MIN},
	{.key = "aileron.call.warm", .kind = OTLP_BOOL, .boolean = true},
	{.key = "aileron.call.share", .kind = OTLP_REAL, .real = 0.5},
};

static struct otlp_span full_span(void)
{
	struct otlp_span span = {
		.name = OTLP_SPAN_CONNECTOR_CALL,
		.kind = OTLP_KIND_CLIENT,
		.start_ns = UINT64_C(1767225662123456789),
		.end_ns = UINT64_MAX,
		.attributes = attributes,
		.attributes_n = ARRAY_LEN(attributes),
		.status = OTLP_STATUS_ERROR,
		.status_message = S("network_error"),
	};
	for (size_t i = 0; i < sizeof span.trace_id; i++)
		span.trace_id[i] = (unsigned char)(0xa0 + i);
	memset(span.span_id, 0x1f, sizeof span.span_id);
	memset(span.parent_id, 0x2e, sizeof span.parent_id);
	return span;
}

#define FULL                                                                                                           \
	"{\"traceId\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\",\"spanId\":\"1f1f1f1f1f1f1f1f\","                           \
	"\"parentSpanId\":\"2e2e2e2e2e2e2e2e\",\"name\":\"aileron.connector.call\",\"kind\":3,"                        \
	"\"startTimeUnixNano\":\"1767225662123456789\",\"endTimeUnixNano\":\"18446744073709551615\","                  \
	"\"attributes\":[{\"key\":\"aileron.connector.fqn\",\"value\":{\"stringValue\":\"a\\\"b\xef\xbf\xbd\\n\"}},"   \
	"{\"key\":\"aileron.call.requests\",\"value\":{\"intValue\":\"-9223372036854775808\"}},"                       \
	"{\"key\":\"aileron.call.warm\",\"value\":{\"boolValue\":true}},"                                              \
	"{\"key\":\"aileron.call.share\",\"value\":{\"doubleValue\":0.5}}],"                                           \
	"\"status\":{\"code\":2,\"message\":\"network_error\"}}"
#define ROOT                                                                                                           \
	"{\"traceId\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\",\"spanId\":\"1f1f1f1f1f1f1f1f\","                           \
	"\"name\":\"aileron.approval.wait\",\"kind\":1,\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"2\","         \
	"\"attributes\":[]}"
#define REQUEST(spans)                                                                                                 \
	"{\"resourceSpans\":[{\"resource\":{\"attributes\":["                                                          \
	"{\"key\":\"service.name\",\"value\":{\"stringValue\":\"aileron\"}},"                                          \
	"{\"key\":\"service.version\",\"value\":{\"stringValue\":\"0.1.0\"}},"                                         \
	"{\"key\":\"service.instance.id\",\"value\":{\"stringValue\":\"i-1\"}}]},"                                     \
	"\"scopeSpans\":[{\"scope\":{\"name\":\"aileron\",\"version\":\"0.1.0\"},\"spans\":[" spans "]}]}]}"

static struct otlp_span root_span(void)
{
	struct otlp_span span = {
		.name = OTLP_SPAN_APPROVAL_WAIT, .kind = OTLP_KIND_INTERNAL, .start_ns = 1, .end_ns = 2};
	struct otlp_span full = full_span();
	memcpy(span.trace_id, full.trace_id, sizeof span.trace_id);
	memcpy(span.span_id, full.span_id, sizeof span.span_id);
	return span;
}

static void put_both(struct buf *out)
{
	AUTO_BUF spans = BUF_INIT(1 << 20);
	struct otlp_span full = full_span(), root = root_span();
	otlp_put_span(&spans, &full);
	buf_add_char(&spans, ',');
	otlp_put_span(&spans, &root);
	otlp_put_request(out, &resource, buf_str(&spans));
}

static void a_request_is_written_as_the_protocol_says(void **state)
{
	(void)state;
	AUTO_BUF out = BUF_INIT(1 << 20);
	put_both(&out);
	assert_string_equal(out.p, REQUEST(FULL "," ROOT));
	buf_clear(&out);
	otlp_put_request(&out, &(struct otlp_resource){0}, STR_EMPTY);
	assert_string_equal(out.p, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[]},\"scopeSpans\":[{\"scope\":"
				   "{\"name\":\"aileron\"},\"spans\":[]}]}]}");
}

static void too_many_attributes_are_counted(void **state)
{
	(void)state;
	struct otlp_attribute many[OTLP_ATTRIBUTES_MAX + 3];
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct otlp_attribute){.key = "k", .kind = OTLP_INT};
	struct otlp_span span = full_span();
	span.attributes = many;
	span.attributes_n = ARRAY_LEN(many);
	AUTO_BUF out = BUF_INIT(1 << 20);
	otlp_put_span(&out, &span);
	assert_non_null(strstr(out.p, "],\"droppedAttributesCount\":3,"));
	AUTO(json) *json = json_parse(buf_str(&out), JSON_READ_STRICT, NULL);
	assert_int_equal(json_length(json_member(json, S("attributes"))), OTLP_ATTRIBUTES_MAX);
}

static void new_ids_are_no_zeros_and_differ(void **state)
{
	(void)state;
	static const unsigned char zeros[OTLP_TRACE_ID];
	unsigned char one[OTLP_TRACE_ID], other[OTLP_TRACE_ID];
	otlp_new_trace_id(one);
	otlp_new_trace_id(other);
	assert_memory_not_equal(one, other, sizeof one);
	assert_memory_not_equal(one, zeros, sizeof one);
	otlp_new_span_id(one);
	otlp_new_span_id(other);
	assert_memory_not_equal(one, other, OTLP_SPAN_ID);
}

/* ------------------------------------------------------------------------------------------------------------- queue */

struct receiver {
	int status; /* to answer */
	size_t requests, spans;
	uint64_t next; /* startTimeUnixNano that must come */
};

static int receive(void *user, struct str body, struct err *err)
{
	struct receiver *receiver = user;
	if (receiver->status < 0)
		return (fail)(err, ERR_NETWORK_ERROR, "nobody is there");
	receiver->requests++;
	if (receiver->status >= 300)
		return receiver->status;
	AUTO(json) *json = json_parse(body, JSON_READ_STRICT, NULL);
	assert_non_null(json);
	const struct json *resources = json_at(json_member(json, S("resourceSpans")), 0);
	const struct json *spans = json_member(json_at(json_member(resources, S("scopeSpans")), 0), S("spans"));
	assert_in_range(json_length(spans), 1, OTLP_BATCH_MAX);
	for (size_t i = 0; i < json_length(spans); i++) {
		struct str start;
		assert_true(json_get_str(json_member(json_at(spans, i), S("startTimeUnixNano")), &start));
		uint64_t number;
		assert_true(str_to_u64(start, UINT64_MAX, &number));
		assert_int_equal(number, receiver->next++);
	}
	receiver->spans += json_length(spans);
	return receiver->status;
}

static bool add_number(struct otlp_queue *queue, uint64_t number)
{
	struct otlp_span span = full_span();
	span.start_ns = number;
	return otlp_add(queue, &span);
}

static void spans_are_sent_in_batches_and_order(void **state)
{
	(void)state;
	struct receiver receiver = {.status = 200};
	AUTO(otlp_queue) *queue = otlp_queue_new(&resource, receive, &receiver);
	assert_int_equal(otlp_flush(queue, NULL), 0);
	assert_int_equal(receiver.requests, 0);
	for (uint64_t i = 0; i < 2 * OTLP_BATCH_MAX + 1; i++)
		assert_int_equal(add_number(queue, i), i >= OTLP_BATCH_MAX - 1);
	assert_int_equal(otlp_flush(queue, NULL), 0);
	assert_int_equal(receiver.requests, 3);
	assert_int_equal(receiver.spans, 2 * OTLP_BATCH_MAX + 1);
	struct otlp_counts counts = otlp_count(queue);
	assert_int_equal(counts.sent, 2 * OTLP_BATCH_MAX + 1);
	assert_int_equal(counts.queued + counts.dropped + counts.refused, 0);
}

static void the_oldest_are_dropped_for_the_newest(void **state)
{
	(void)state;
	struct receiver receiver = {.status = 200, .next = 100};
	AUTO(otlp_queue) *queue = otlp_queue_new(&resource, receive, &receiver);
	for (uint64_t i = 0; i < OTLP_QUEUE_MAX + 100; i++)
		add_number(queue, i);
	assert_int_equal(otlp_count(queue).dropped, 100);
	assert_int_equal(otlp_count(queue).queued, OTLP_QUEUE_MAX);
	assert_int_equal(otlp_flush(queue, NULL), 0);
	assert_int_equal(receiver.spans, OTLP_QUEUE_MAX);

	static char large[OTLP_SPAN_MAX];
	memset(large, 'x', sizeof large);
	struct otlp_span span = full_span();
	span.status_message = str_of(large, sizeof large);
	assert_false(otlp_add(queue, &span));
	assert_int_equal(otlp_count(queue).dropped, 101);
	assert_int_equal(otlp_count(queue).queued, 0);
}

static void what_could_not_be_sent_is_tried_again(void **state)
{
	(void)state;
	static const int later[] = {-1, 429, 502, 503, 504};
	struct receiver receiver = {0};
	AUTO(otlp_queue) *queue = otlp_queue_new(&resource, receive, &receiver);
	for (uint64_t i = 0; i < OTLP_BATCH_MAX + 5; i++)
		add_number(queue, i);
	for (size_t i = 0; i < ARRAY_LEN(later); i++) {
		struct err err = {0};
		receiver.status = later[i];
		assert_int_equal(otlp_flush(queue, &err), -1);
		assert_int_equal(err.class, later[i] < 0 ? ERR_NETWORK_ERROR : ERR_UNAVAILABLE);
		assert_int_equal(otlp_count(queue).queued, OTLP_BATCH_MAX + 5);
	}
	receiver.status = 202;
	assert_int_equal(otlp_flush(queue, NULL), 0);
	assert_int_equal(otlp_count(queue).sent, OTLP_BATCH_MAX + 5);
	assert_int_equal(otlp_count(queue).dropped, 0);
}

static void what_is_refused_is_not(void **state)
{
	(void)state;
	struct receiver receiver = {.status = 400};
	AUTO(otlp_queue) *queue = otlp_queue_new(&resource, receive, &receiver);
	for (uint64_t i = 0; i < 10; i++)
		add_number(queue, i);
	assert_int_equal(otlp_flush(queue, NULL), 0);
	assert_int_equal(otlp_count(queue).refused, 10);
	assert_int_equal(otlp_count(queue).queued, 0);
}

/* Newer ones come while a batch is under way that then fails: the batch is older and must go. */
static struct otlp_queue *filled;

static int fill_and_fail(void *user, struct str body, struct err *err)
{
	(void)user, (void)body, (void)err;
	for (uint64_t i = 0; i < OTLP_QUEUE_MAX - 10; i++)
		add_number(filled, i);
	return 503;
}

static void newer_spans_leave_no_room_for_what_failed(void **state)
{
	(void)state;
	filled = otlp_queue_new(&resource, fill_and_fail, NULL);
	for (uint64_t i = 0; i < 50; i++)
		add_number(filled, i);
	assert_int_equal(otlp_flush(filled, NULL), -1);
	assert_int_equal(otlp_count(filled).queued, OTLP_QUEUE_MAX);
	assert_int_equal(otlp_count(filled).dropped, 40);
	otlp_queue_free(filled);
}

static void *add_many(void *queue)
{
	for (uint64_t i = 0; i < 3000; i++)
		add_number(queue, i);
	return NULL;
}

static int take_all(void *user, struct str body, struct err *err)
{
	(void)user, (void)body, (void)err;
	return 200;
}

static void many_add_while_one_sends(void **state)
{
	(void)state;
	AUTO(otlp_queue) *queue = otlp_queue_new(&resource, take_all, NULL);
	pthread_t threads[4];
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, queue), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(otlp_flush(queue, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(otlp_flush(queue, NULL), 0);
	struct otlp_counts counts = otlp_count(queue);
	assert_int_equal(counts.sent + counts.dropped, 4 * 3000);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--print") == 0) {
		AUTO_BUF out = BUF_INIT(1 << 20);
		put_both(&out);
		puts(out.p);
		return 0;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_written_as_the_protocol_says),
		cmocka_unit_test(too_many_attributes_are_counted),
		cmocka_unit_test(new_ids_are_no_zeros_and_differ),
		cmocka_unit_test(spans_are_sent_in_batches_and_order),
		cmocka_unit_test(the_oldest_are_dropped_for_the_newest),
		cmocka_unit_test(what_could_not_be_sent_is_tried_again),
		cmocka_unit_test(what_is_refused_is_not),
		cmocka_unit_test(newer_spans_leave_no_room_for_what_failed),
		cmocka_unit_test(many_add_while_one_sends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
