#include "control/spans.h"
#include "control/workers.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

/* A collector that is this test. The loop turns on the test's thread until something was sent. */
struct stage {
	struct loop *loop;
	struct workers *workers;
	struct spans *spans;
	struct loop_source *sent_wake;
	int status; /* its answer; -1 = it cannot be reached */
	struct buf body;
	size_t sent;
};

static void on_sent(void *user, int what)
{
	(void)what;
	loop_stop(((struct stage *)user)->loop);
}

static int collect(void *user, struct str body, struct err *err)
{
	struct stage *stage = user;
	buf_clear(&stage->body);
	buf_add_str(&stage->body, body);
	stage->sent++;
	loop_wake(stage->sent_wake);
	return stage->status < 0 ? (fail)(err, ERR_NETWORK_ERROR, "nobody is there") : stage->status;
}

static void set_up(struct stage *stage)
{
	*stage = (struct stage){.status = 200, .body = BUF_INIT(16 << 20)};
	stage->loop = loop_new(NULL);
	stage->workers = workers_new(2, 16);
	stage->sent_wake = loop_wakeup(stage->loop, on_sent, stage, NULL);
	const struct spans_spec spec = {.loop = stage->loop,
					.workers = stage->workers,
					.resource = {.name = S("aileron"), .version = S("1"), .instance = S("i")},
					.send = collect,
					.user = stage};
	stage->spans = spans_new(&spec, NULL);
	assert_non_null(stage->spans);
}

static void tear_down(struct stage *stage)
{
	workers_free(stage->workers);
	spans_free(stage->spans);
	loop_source_free(stage->sent_wake);
	loop_free(stage->loop);
	buf_release(&stage->body);
}

static void add(struct stage *stage, size_t n)
{
	struct otlp_span span = {
		.name = OTLP_SPAN_CONNECTOR_CALL, .kind = OTLP_KIND_CLIENT, .start_ns = 1, .end_ns = 2};
	otlp_new_trace_id(span.trace_id);
	otlp_new_span_id(span.span_id);
	for (size_t i = 0; i < n; i++)
		spans_add(stage->spans, &span);
}

static void a_whole_batch_goes_out_at_once(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	add(&stage, OTLP_BATCH_MAX);
	loop_run(stage.loop); /* no timer is as long as a test's patience */
	assert_int_equal(stage.sent, 1);
	assert_non_null(strstr(stage.body.p, "aileron.connector.call"));
	assert_non_null(strstr(stage.body.p, "service.name"));
	tear_down(&stage);
}

static void a_flush_sends_what_there_is(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	add(&stage, 1);
	spans_flush(stage.spans);
	loop_run(stage.loop);
	assert_int_equal(stage.sent, 1);
	tear_down(&stage);
}

static void without_a_collector_nothing_is_lost_and_nothing_hurries(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	stage.status = -1;
	add(&stage, OTLP_BATCH_MAX);
	loop_run(stage.loop);
	assert_int_equal(stage.sent, 1);
	workers_free(stage.workers); /* the failed flush has ended */
	stage.workers = workers_new(2, 16);
	spans_free(stage.spans);
	stage.spans = NULL;
	spans_add(stage.spans, NULL);
	spans_flush(stage.spans);
	tear_down(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_batch_goes_out_at_once),
		cmocka_unit_test(a_flush_sends_what_there_is),
		cmocka_unit_test(without_a_collector_nothing_is_lost_and_nothing_hurries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
