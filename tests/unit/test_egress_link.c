#include "fake_peer.h"
#include "base/time.h"
#include "connector/egress_link.h"
#include "os/child.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define GRACE  (200 * MS)
#define LEFT   (50 * MS)
#define SECOND (1000 * MS)

/* A link over a scripted egress, and what a request was answered. */
struct stage {
	int script;
	struct egress_link *link;
	struct egress_grant grant;
	int answers;
	int32_t rc, status;
	struct err err;
};

static void set_up(struct stage *stage, const char *script)
{
	*stage = (struct stage){.script = fake_script(script)};
	struct egress_link_spec spec = {.program = "/proc/self/exe", .ca_fd = stage->script, .grace_ns = GRACE};
	stage->link = egress_link_new(&spec);
	stage->grant = (struct egress_grant){.connector = S("github://a/b"), .request_max = 1000, .response_max = 1000};
}

static void tear_down(struct stage *stage)
{
	egress_link_free(stage->link);
	close(stage->script);
}

/* The fake reads its script from the start of the file, so the next one that is started follows this one. */
static void set_script(struct stage *stage, const char *script)
{
	assert_int_equal(ftruncate(stage->script, 0), 0);
	assert_int_equal(pwrite(stage->script, script, strlen(script), 0), strlen(script));
}

static void on_result(void *owner, const struct egress_result *result)
{
	struct stage *stage = owner;
	stage->answers++;
	stage->rc = result->rc;
	stage->status = result->status;
	stage->err = result->err;
}

static void step(struct stage *stage)
{
	uint64_t deadline = egress_link_deadline(stage->link), now = clock_monotonic_ns(NULL);
	struct pollfd fd = {.fd = egress_link_fd(stage->link), .events = egress_link_events(stage->link)};
	assert_true(deadline != UINT64_MAX || fd.fd >= 0);
	uint64_t left = deadline == UINT64_MAX ? 60 * SECOND : deadline > now ? deadline - now : 0;
	(void)poll(&fd, 1, (int)((left + MS - 1) / MS));
	egress_link_process(stage->link);
}

static void ask(struct stage *stage, struct link_call *call, uint64_t left_ns)
{
	int before = stage->answers;
	link_call_request(call, S("{}"), left_ns, false, on_result, stage);
	while (stage->answers == before)
		step(stage);
	assert_int_equal(stage->answers, before + 1);
}

#define EGRESS "hello\nstart\ngrant\nrequest\n"

static void a_silent_egress_is_killed_and_started_anew(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, EGRESS "hang");
	struct link_call *call = link_call_new(stage.link, &stage.grant);
	struct link_call *innocent = link_call_new(stage.link, &stage.grant);
	uint64_t start = clock_monotonic_ns(NULL);
	ask(&stage, call, LEFT);
	assert_in_range(clock_monotonic_ns(NULL) - start, LEFT + GRACE, 8 * SECOND);
	assert_int_equal(stage.rc, -1);
	assert_int_equal(stage.err.class, ERR_NETWORK_ERROR);
	assert_string_equal(stage.err.message, "http_request: egress did not answer in time and was killed; the next "
					       "call starts it again");
	assert_int_equal(egress_link_pid(stage.link), 0);
	assert_int_equal(egress_link_deadline(stage.link), UINT64_MAX);

	set_script(&stage, EGRESS "result 0 200 x\nhang");
	ask(&stage, call, LEFT); /* it had used the one that hung */
	assert_int_equal(stage.rc, -1);
	ask(&stage, innocent, 30 * SECOND);
	if (stage.rc != 0)
		fail_msg("%s", stage.err.message);
	assert_int_equal(stage.status, 200);
	link_call_free(call);
	link_call_free(innocent);
	tear_down(&stage);
}

/* All that use it are told at once, also who has time left. */
static void the_requests_of_others_fail_with_it(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, EGRESS "grant\nrequest\nhang");
	struct link_call *patient = link_call_new(stage.link, &stage.grant);
	struct link_call *hasty = link_call_new(stage.link, &stage.grant);
	link_call_request(patient, S("{}"), 100 * SECOND, false, on_result, &stage);
	link_call_request(hasty, S("{}"), LEFT, false, on_result, &stage);
	while (stage.answers < 2)
		step(&stage);
	assert_int_equal(stage.err.class, ERR_NETWORK_ERROR);
	link_call_free(patient);
	link_call_free(hasty);
	tear_down(&stage);
}

/* A call that ends at its wall time frees its request, and nobody else might ever see that egress hangs. */
static void an_egress_that_ignores_a_cancellation_is_killed(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, EGRESS "hang");
	struct link_call *call = link_call_new(stage.link, &stage.grant);
	link_call_request(call, S("{}"), 100 * SECOND, false, on_result, &stage);
	assert_int_equal(egress_link_wait_ready(stage.link, NULL), 0);
	uint64_t start = clock_monotonic_ns(NULL);
	link_call_free(call);
	while (egress_link_pid(stage.link) != 0)
		step(&stage);
	assert_in_range(clock_monotonic_ns(NULL) - start, GRACE, 8 * SECOND);
	assert_int_equal(stage.answers, 0);
	tear_down(&stage);
}

static void a_cancelled_request_is_answered_to_nobody(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, EGRESS "egress-cancel\nresult -1 0 \nend\ngrant\nrequest\nresult 0 204 \nhang");
	struct link_call *call = link_call_new(stage.link, &stage.grant);
	link_call_request(call, S("{}"), 100 * SECOND, false, on_result, &stage);
	assert_int_equal(egress_link_wait_ready(stage.link, NULL), 0);
	link_call_free(call);
	while (egress_link_deadline(stage.link) != UINT64_MAX)
		step(&stage);
	call = link_call_new(stage.link, &stage.grant);
	ask(&stage, call, 2 * SECOND);
	assert_int_equal(stage.answers, 1);
	assert_int_equal(stage.status, 204);
	while (egress_link_deadline(stage.link) != UINT64_MAX)
		step(&stage);
	assert_int_not_equal(egress_link_pid(stage.link), 0); /* what was answered is not held against it */
	link_call_free(call);
	tear_down(&stage);
}

static void a_result_that_nobody_waits_for_is_a_lie(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, EGRESS "result 0 200 x\nresult 0 200 x\nhang");
	struct link_call *call = link_call_new(stage.link, &stage.grant);
	ask(&stage, call, 30 * SECOND);
	assert_int_equal(stage.rc, 0);
	while (egress_link_pid(stage.link) != 0)
		step(&stage);
	ask(&stage, call, 30 * SECOND);
	assert_non_null(strstr(stage.err.message, "answered a request that was not made"));
	link_call_free(call);
	tear_down(&stage);
}

/* ---- an egress that somebody else started ---- */

struct foreign {
	struct egress_link *link;
	struct rpc_channel *egress; /* as egress sees it */
	struct egress_grant grant;
	int answers;
	struct egress_result result;
	struct egress_oauth_result oauth;
};

static void attach(struct foreign *foreign)
{
	int pair[2];
	assert_int_equal(child_socketpair(pair, NULL), 0);
	rpc_channel_free(foreign->egress);
	foreign->egress = rpc_channel_new(pair[1], egress_child_rules);
	rpc_set_state(foreign->egress, EGRESS_STATE_SERVING);
	assert_int_equal(egress_link_attach(foreign->link, pair[0], NULL), 0);
}

static void set_up_foreign(struct foreign *foreign)
{
	*foreign = (struct foreign){.grant = {.connector = S("github://a/b"), .response_max = 1000}};
	const struct egress_link_spec spec = {.ca_fd = -1, .grace_ns = GRACE, .foreign = true};
	foreign->link = egress_link_new(&spec);
}

static void tear_down_foreign(struct foreign *foreign)
{
	egress_link_free(foreign->link);
	rpc_channel_free(foreign->egress);
}

static void on_foreign(void *owner, const struct egress_result *result)
{
	struct foreign *foreign = owner;
	foreign->answers++;
	foreign->result = *result;
}

static void on_oauth(void *owner, const struct egress_oauth_result *result)
{
	struct foreign *foreign = owner;
	foreign->answers++;
	foreign->oauth = *result;
}

static struct rpc_frame hear(struct foreign *foreign, uint16_t type)
{
	struct rpc_frame frame;
	assert_int_equal(rpc_recv(foreign->egress, &frame, NULL), 1);
	assert_int_equal(frame.type, type);
	return frame;
}

static void answer(struct foreign *foreign, uint32_t id, int32_t status)
{
	const struct egress_result result = {.status = status};
	AUTO_BUF body = BUF_INIT(1000);
	egress_result_put_head(&body, &result);
	wire_put_u32(&body, 0);
	const struct str part = buf_str(&body);
	assert_int_equal(rpc_send(foreign->egress, EGRESS_RESULT, id, &part, 1, NULL), 0);
	egress_link_process(foreign->link);
}

static void a_foreign_egress_serves_at_once_and_may_be_replaced(void **state)
{
	(void)state;
	struct foreign foreign;
	set_up_foreign(&foreign);
	struct link_call *early = link_call_new(foreign.link, &foreign.grant);
	link_call_request(early, S("{}"), SECOND, false, on_foreign, &foreign);
	assert_int_equal(foreign.answers, 1);
	assert_int_equal(foreign.result.err.class, ERR_NETWORK_ERROR);
	assert_non_null(strstr(foreign.result.err.message, "egress does not run"));

	attach(&foreign);
	struct link_call *call = link_call_new(foreign.link, &foreign.grant);
	link_call_request(call, S("{}"), SECOND, false, on_foreign, &foreign);
	uint32_t id = hear(&foreign, EGRESS_GRANT).id;
	assert_int_equal(hear(&foreign, EGRESS_REQUEST).id, id);
	answer(&foreign, id, 201);
	assert_int_equal(foreign.answers, 2);
	assert_int_equal(foreign.result.status, 201);

	/* It dies with a request under way; the call is lost, and another one is not. */
	link_call_request(call, S("{}"), 100 * SECOND, false, on_foreign, &foreign);
	rpc_channel_free(TAKE(foreign.egress));
	egress_link_process(foreign.link);
	assert_int_equal(foreign.answers, 3);
	assert_string_equal(foreign.result.err.message, "http_request: egress ended; try again in a moment");
	assert_int_equal(egress_link_fd(foreign.link), -1);
	attach(&foreign);
	link_call_request(call, S("{}"), SECOND, false, on_foreign, &foreign);
	assert_int_equal(foreign.answers, 4);
	assert_int_equal(foreign.result.rc, -1);
	link_call_free(call);
	call = link_call_new(foreign.link, &foreign.grant);
	link_call_request(call, S("{}"), 100 * SECOND, false, on_foreign, &foreign);
	hear(&foreign, EGRESS_GRANT);

	attach(&foreign); /* in its place */
	assert_int_equal(foreign.answers, 5);
	assert_non_null(strstr(foreign.result.err.message, "started anew"));
	link_call_free(call);
	link_call_free(early);
	tear_down_foreign(&foreign);
}

/* It knew the grant and was asked for nothing: what is asked of it now has not left, and may be asked again. */
static void what_an_egress_never_heard_is_unsent(void **state)
{
	(void)state;
	struct foreign foreign;
	struct str unsent = STR_EMPTY;
	set_up_foreign(&foreign);
	attach(&foreign);
	struct link_call *call = link_call_new(foreign.link, &foreign.grant);
	link_call_grant(call);
	hear(&foreign, EGRESS_GRANT);
	attach(&foreign);
	link_call_request(call, S("{}"), SECOND, false, on_foreign, &foreign);
	assert_int_equal(foreign.answers, 1);
	assert_int_equal(foreign.result.err.class, ERR_NETWORK_ERROR);
	assert_true(err_detail_get(&foreign.result.err, "unsent", &unsent) && str_eq(unsent, S("1")));
	link_call_free(call);
	tear_down_foreign(&foreign);
}

static void a_foreign_egress_that_hangs_is_let_go(void **state)
{
	(void)state;
	struct foreign foreign;
	set_up_foreign(&foreign);
	attach(&foreign);
	const struct egress_post post = {
		.url = S("http://x/"), .content_type = S("a/b"), .body = S("{}"), .left_ns = 0};
	egress_link_post(foreign.link, &post, on_foreign, &foreign);
	while (foreign.answers == 0) {
		struct pollfd fd = {.fd = egress_link_fd(foreign.link), .events = POLLIN};
		(void)poll(&fd, 1, 10);
		egress_link_process(foreign.link);
	}
	assert_non_null(strstr(foreign.result.err.message, "egress did not answer in time; try again"));
	hear(&foreign, EGRESS_POST);
	struct rpc_frame frame;
	assert_int_equal(rpc_recv(foreign.egress, &frame, NULL), 0);
	tear_down_foreign(&foreign);
}

static void errands_are_answered(void **state)
{
	(void)state;
	struct foreign foreign;
	set_up_foreign(&foreign);
	const struct egress_oauth ask = {
		.step = OAUTH_CODE, .ticket = 3, .left_ns = SECOND, .code = S("c"), .redirect_uri = S("http://r")};
	egress_link_oauth(foreign.link, &ask, on_oauth, &foreign);
	assert_int_equal(foreign.answers, 1);
	assert_int_equal(foreign.oauth.err.class, ERR_NETWORK_ERROR);

	attach(&foreign);
	egress_link_oauth(foreign.link, &ask, on_oauth, &foreign);
	struct rpc_frame frame = hear(&foreign, EGRESS_OAUTH);
	struct egress_oauth heard;
	assert_int_equal(egress_oauth_get(frame.body, &heard, NULL), 0);
	assert_true(heard.step == OAUTH_CODE && heard.ticket == 3 && str_eq(heard.code, S("c")));
	const struct egress_oauth_result told = {.scope = S("a b"), .expires_in = 9};
	AUTO_BUF body = BUF_INIT(1000);
	egress_oauth_result_put(&body, &told);
	const struct str part = buf_str(&body);
	assert_int_equal(rpc_send(foreign.egress, EGRESS_OAUTH_RESULT, frame.id, &part, 1, NULL), 0);
	egress_link_process(foreign.link);
	assert_int_equal(foreign.answers, 2);
	assert_true(foreign.oauth.err.class == ERR_NONE && foreign.oauth.expires_in == 9);

	const struct egress_post post = {.url = S("u"), .content_type = S("t"), .body = S("b"), .left_ns = SECOND};
	egress_link_post(foreign.link, &post, on_foreign, &foreign);
	frame = hear(&foreign, EGRESS_POST);
	answer(&foreign, frame.id, 202);
	assert_int_equal(foreign.answers, 3);
	assert_int_equal(foreign.result.status, 202);

	/* An answer of the other kind, and one to nothing, are lies. */
	egress_link_oauth(foreign.link, &ask, on_oauth, &foreign);
	answer(&foreign, hear(&foreign, EGRESS_OAUTH).id, 200);
	assert_int_equal(foreign.answers, 4);
	assert_non_null(strstr(foreign.oauth.err.message, "a request that was not made"));
	attach(&foreign);
	egress_link_post(foreign.link, &post, on_foreign, &foreign);
	answer(&foreign, hear(&foreign, EGRESS_POST).id + 1, 200);
	assert_int_equal(foreign.answers, 5);
	assert_int_equal(foreign.result.rc, -1);
	tear_down_foreign(&foreign);
}

int main(int argc, char **argv)
{
	fake_main(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_egress_is_killed_and_started_anew),
		cmocka_unit_test(the_requests_of_others_fail_with_it),
		cmocka_unit_test(an_egress_that_ignores_a_cancellation_is_killed),
		cmocka_unit_test(a_cancelled_request_is_answered_to_nobody),
		cmocka_unit_test(a_result_that_nobody_waits_for_is_a_lie),
		cmocka_unit_test(a_foreign_egress_serves_at_once_and_may_be_replaced),
		cmocka_unit_test(a_foreign_egress_that_hangs_is_let_go),
		cmocka_unit_test(what_an_egress_never_heard_is_unsent),
		cmocka_unit_test(errands_are_answered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
