#include "control/oauth.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static uint64_t now;
static uint64_t tell_now(void *context)
{
	(void)context;
	return now;
}
static const struct clock still = {.monotonic = tell_now, .wall = tell_now};

static struct oauth_flow flow_of(struct arena *arena)
{
	return (struct oauth_flow){
		.id = oauth_random(arena),
		.state = oauth_random(arena),
		.ticket = 7,
		.binding = S("oauth2/mail/alice"),
	};
}

static void test_a_flow_is_used_once(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	AUTO(oauth_flows) *flows = oauth_flows_new(&still);
	struct oauth_flow flow = flow_of(arena), got = {.ticket = 99};
	struct err err = {0};
	assert_int_equal(flow.id.n, OAUTH_ID_CHARS);
	assert_int_equal(oauth_flow_add(flows, &flow, &err), 0);
	assert_int_equal(oauth_flow_look(flows, arena, flow.id, &got, &err), 0);
	assert_int_equal(oauth_flow_take(flows, arena, flow.id, &got, &err), 0);
	assert_int_equal(got.ticket, 7);
	assert_true(str_eq(got.binding, flow.binding));
	got.ticket = 99;
	assert_int_equal(oauth_flow_take(flows, arena, flow.id, &got, &err), -1);
	assert_int_equal(err.class, ERR_SESSION_NOT_FOUND);
	assert_int_equal(got.ticket, 99);
}

static void test_by_state_and_not_by_each_others_names(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	AUTO(oauth_flows) *flows = oauth_flows_new(&still);
	struct oauth_flow flow = flow_of(arena), got;
	assert_int_equal(oauth_flow_add(flows, &flow, NULL), 0);
	assert_int_equal(oauth_flow_take(flows, arena, flow.state, &got, NULL), -1);
	assert_int_equal(oauth_flow_take_by_state(flows, arena, flow.id, &got, NULL), -1);
	assert_int_equal(oauth_flow_take_by_state(flows, arena, STR_EMPTY, &got, NULL), -1);
	assert_int_equal(oauth_flow_take_by_state(flows, arena, flow.state, &got, NULL), 0);
}

static void test_a_flow_ends_with_its_time(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	AUTO(oauth_flows) *flows = oauth_flows_new(&still);
	struct oauth_flow flow = flow_of(arena), got;
	assert_int_equal(oauth_flow_add(flows, &flow, NULL), 0);
	now += OAUTH_FLOW_S * TIME_SECOND - 1;
	assert_int_equal(oauth_flow_look(flows, arena, flow.id, &got, NULL), 0);
	now += 1;
	assert_int_equal(oauth_flow_look(flows, arena, flow.id, &got, NULL), -1);
}

static void test_there_is_a_most(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	AUTO(oauth_flows) *flows = oauth_flows_new(&still);
	struct err err = {0};
	for (int i = 0; i < OAUTH_FLOWS; i++) {
		struct oauth_flow flow = flow_of(arena);
		assert_int_equal(oauth_flow_add(flows, &flow, NULL), 0);
	}
	struct oauth_flow one_more = flow_of(arena);
	assert_int_equal(oauth_flow_add(flows, &one_more, &err), -1);
	assert_int_equal(err.class, ERR_THROTTLED);
	now += OAUTH_FLOW_S * TIME_SECOND;
	assert_int_equal(oauth_flow_add(flows, &one_more, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_flow_is_used_once),
		cmocka_unit_test(test_by_state_and_not_by_each_others_names),
		cmocka_unit_test(test_a_flow_ends_with_its_time),
		cmocka_unit_test(test_there_is_a_most),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
