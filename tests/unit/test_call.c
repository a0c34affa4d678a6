#include "fake_peer.h"
#include "base/limits.h"
#include "connector/call.h"
#include "connector/grant.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

/* A call over a scripted runner and a scripted egress. */
struct stage {
	struct runner *runner;
	struct egress_link *link;
	struct egress_grant grant;
	struct call *call;
	struct buf told;
};

static void on_log(void *owner, struct str level, struct str message)
{
	struct stage *stage = owner;
	buf_addf(&stage->told, "log(%.*s,%.*s) ", STR_FMT(level), STR_FMT(message));
}
static void on_trace(void *owner, struct str text, uint64_t nanoseconds)
{
	struct stage *stage = owner;
	buf_addf(&stage->told, "trace(%.*s,%llu) ", STR_FMT(text), (unsigned long long)nanoseconds);
}
static void on_granted(void *owner)
{
	struct stage *stage = owner;
	buf_addf(&stage->told, "granted ");
}
static void on_ended(void *owner)
{
	struct stage *stage = owner;
	buf_addf(&stage->told, "ended");
}
static int32_t on_audit(void *owner, struct str object)
{
	struct stage *stage = owner;
	buf_addf(&stage->told, "audit(%.*s) ", STR_FMT(object));
	return str_eq(object, S("{\"no\":1}")) ? -3 : 0;
}
static const struct call_events events = {
	.log = on_log, .trace = on_trace, .audit = on_audit, .granted = on_granted, .ended = on_ended};

static void set_up(struct stage *stage, const char *runner_script, const char *egress_script)
{
	*stage = (struct stage){.told = BUF_INIT(64 * KIB)};
	AUTO_FD code = fake_script(runner_script);
	struct runner_spec spec = {
		.program = "/proc/self/exe", .code_fd = code, .start = {.threads = 1, .memory_max = GIB}};
	stage->runner = runner_start(&spec, NULL);
	assert_non_null(stage->runner);
	static int script = -1;
	if (script >= 0)
		close(script);
	script = fake_script(egress_script);
	struct egress_link_spec link = {.program = "/proc/self/exe", .ca_fd = script};
	stage->link = egress_link_new(&link);
	stage->grant = (struct egress_grant){.connector = S("github://a/b"), .request_max = 1000, .response_max = 1000};
}

static void tear_down(struct stage *stage)
{
	call_free(stage->call);
	runner_free(stage->runner);
	egress_link_free(stage->link);
	buf_release(&stage->told);
}

static void start_call(struct stage *stage, bool trace)
{
	struct call_limits none = {0};
	struct call_spec spec = {
		.op = S("op"),
		.limits = call_limits_resolve(&none, NULL),
		.grant = &stage->grant,
		.trace = trace,
		.events = &events,
		.owner = stage,
	};
	stage->call = call_start(&spec, stage->runner, stage->link, NULL);
	assert_non_null(stage->call);
}

#define RUNNER "hello\nstart\nready\ncall\n"
#define EGRESS "hello\nstart\ngrant\nrequest\n"

/* Plays both scripts and checks what was told and what came out: the output, or "class: message". */
static void play(const char *runner_script, const char *egress_script, const char *told, const char *outcome)
{
	struct stage stage;
	set_up(&stage, runner_script, egress_script);
	start_call(&stage, false);
	call_wait(stage.call, -1);
	assert_true(call_has_ended(stage.call));
	const struct err *err = call_error(stage.call);
	AUTO_FREE char *got = err == NULL ? str_dup(call_output(stage.call))
					  : xasprintf("%s: %s", err_row(err->class)->name, err->message);
	assert_string_equal(got, outcome);
	if (told != NULL)
		assert_string_equal(stage.told.p, told);
	tear_down(&stage);
}

static void check_input(const char *op, const char *args, const char *expected)
{
	AUTO(json) *json = args != NULL ? json_parse(str_from(args), JSON_READ_STRICT, NULL) : NULL;
	AUTO_BUF out = BUF_INIT(4096);
	assert_int_equal(call_input(&out, str_from(op), json, NULL), 0);
	assert_string_equal(out.p, expected);
}

static void standard_input_is_what_go_writes(void **state)
{
	(void)state;
	check_input("x", NULL, "{\"args\":{},\"op\":\"x\"}");
	check_input("x", "{}", "{\"args\":{},\"op\":\"x\"}");
	check_input("x", "{\"b\":1,\"a\":{\"z\":[1.50,1e21,9007199254740993],\"y\":null}}",
		    "{\"args\":{\"a\":{\"y\":null,\"z\":[1.5,1e+21,9007199254740992]},\"b\":1},\"op\":\"x\"}");
	check_input("<&>", "{\"k\":\"\\u2028\\u00e4<\"}",
		    "{\"args\":{\"k\":\"\\u2028\xc3\xa4\\u003c\"},\"op\":\"\\u003c\\u0026\\u003e\"}");
	check_input("bad\xff", NULL, "{\"args\":{},\"op\":\"bad\\ufffd\"}");
	AUTO_BUF small = BUF_INIT(10);
	struct err err = {0};
	assert_int_equal(call_input(&small, S("op"), NULL, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
}

static void the_guest_gets_its_input_and_its_answer_counts(void **state)
{
	(void)state;
	play(RUNNER "done {\"output\":^}\nhang", "hang", "ended", "{\"args\":{},\"op\":\"op\"}");
	play(RUNNER "log 1\ndone\nhang", "hang", "log(info,a line) ended", "{}");
	play(RUNNER "exit 4\nhang", "hang", "ended", "connector_runtime_error: connector exited 4; stderr: ");
}

static void requests_go_through_egress(void **state)
{
	(void)state;
	play(RUNNER "http {}\nanswer\ndone {\"output\":{\"got\":\"%\"}}\nhang", EGRESS "result 0 200 hello\nhang",
	     "granted ended", "{\"got\":\"0/200/hello\"}");
	/* The grant goes once. */
	play(RUNNER "http {}\nanswer\nhttp {}\nanswer\ndone {\"output\":{\"got\":\"%\"}}\nhang",
	     EGRESS "result 0 200 a\nrequest\nresult 0 201 b\nhang", "granted ended", "{\"got\":\"0/201/b\"}");
}

static void a_failed_request_is_sticky_until_one_is_answered(void **state)
{
	(void)state;
	play(RUNNER "http {}\nanswer\ndone {\"output\":{}}\nhang", EGRESS "result -1 0 \nhang", NULL,
	     "network_error: http_request: the fake says no");
	play(RUNNER "http {}\nanswer\nhttp {}\nanswer\ndone {\"output\":{}}\nhang",
	     EGRESS "result -1 0 \nrequest\nresult 0 200 \nhang", NULL, "{}");
	/* The status is the host's own. */
	play(RUNNER "http {}\nanswer\ndone {\"error\":{\"class\":\"c\",\"message\":\"m\"}}\nhang",
	     EGRESS "result 0 418 \nhang", NULL, "external_api_error: c: m");
}

static void bad_spans_never_reach_egress(void **state)
{
	(void)state;
	play(RUNNER "http-missing\nanswer\ndone {\"output\":{}}\nhang", "quit 1", "ended",
	     "connector_runtime_error: http_request: invalid memory range");
	play(RUNNER "http-long\nanswer\ndone {\"output\":{}}\nhang", "quit 1", "ended",
	     "resource_limit_exceeded: the connector reached its request_body limit of 8MiB");
	play(RUNNER "http-missing\nanswer\nhttp {}\nanswer\ndone {\"output\":{\"a\":\"%\"}}\nhang",
	     EGRESS "result 0 200 x\nhang", NULL, "{\"a\":\"0/200/x\"}");
}

static void spawning_is_refused(void **state)
{
	(void)state;
	play(RUNNER "spawn\nanswer\ndone {\"output\":{\"rc\":%}}\nhang", "hang", "ended",
	     "spawn_sandbox_unavailable: spawn: programs cannot be started by connectors yet, since nothing confines "
	     "them");
	play(RUNNER "spawn\nanswer\nhttp {}\nanswer\ndone {\"output\":{}}\nhang", EGRESS "result 0 200 x\nhang", NULL,
	     "{}");
}

/* What comes back is the answer to the last line; none of them makes the call fail. */
static void only_objects_reach_the_audit(void **state)
{
	(void)state;
	play(RUNNER "audit {\"a\":1}\nanswer\ndone {\"output\":{\"rc\":%}}\nhang", "hang", "audit({\"a\":1}) ended",
	     "{\"rc\":0}");
	play(RUNNER "audit {\"no\":1}\nanswer\ndone {\"output\":{\"rc\":%}}\nhang", "hang", "audit({\"no\":1}) ended",
	     "{\"rc\":-3}");
	static const char *const others[] = {"[]", "{", "{\"a\":1,\"a\":2}", "\"x\"", "{} x", "{\"a\":\"\xff\"}"};
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		AUTO_FREE char *script =
			xasprintf(RUNNER "audit %s\nanswer\ndone {\"output\":{\"rc\":%%}}\nhang", others[i]);
		play(script, "hang", "ended", "{\"rc\":-1}");
	}
	for (int levels = LIMIT_AUDIT_DEPTH; levels <= LIMIT_AUDIT_DEPTH + 1; levels++) {
		char open[LIMIT_AUDIT_DEPTH + 1] = "", close[LIMIT_AUDIT_DEPTH + 1] = "";
		memset(open, '[', (size_t)levels - 1);
		memset(close, ']', (size_t)levels - 1);
		AUTO_FREE char *script = xasprintf(
			RUNNER "audit {\"a\":%s%s}\nanswer\ndone {\"output\":{\"rc\":%%}}\nhang", open, close);
		AUTO_FREE char *told = xasprintf("audit({\"a\":%s%s}) ended", open, close);
		bool fits = levels == LIMIT_AUDIT_DEPTH;
		play(script, "hang", fits ? told : "ended", fits ? "{\"rc\":0}" : "{\"rc\":-1}");
	}
}

/* Whatever point egress dies at: the request fails, later ones of the call do too, and the guest goes on. */
static void a_crash_of_egress_is_a_network_error(void **state)
{
	(void)state;
	static const char *const scripts[] = {
		"quit 3",        "hello\nquit 3", "hello\nstart\nquit 3", "hello\nstart\ngrant\nquit 3",
		EGRESS "quit 3", EGRESS "half 2"};
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		struct stage stage;
		set_up(&stage, RUNNER "http {}\nanswer\nhttp {}\nanswer\ndone {\"output\":{\"a\":\"%\"}}\nhang",
		       scripts[i]);
		start_call(&stage, false);
		call_wait(stage.call, -1);
		const struct err *err = call_error(stage.call);
		assert_non_null(err);
		assert_int_equal(err->class, ERR_NETWORK_ERROR);
		assert_true(err->retriable);
		assert_non_null(strstr(err->message, "http_request: egress ended by "));
		tear_down(&stage);
	}
}

static void egress_that_lies_is_ended(void **state)
{
	(void)state;
	static const char *const scripts[] = {EGRESS "raw 2 = 10\nhang", EGRESS "raw 99 = 10\nhang",
					      "hello\nhello\nhang"};
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		struct stage stage;
		set_up(&stage, RUNNER "http {}\nanswer\ndone {}\nhang", scripts[i]);
		start_call(&stage, false);
		call_wait(stage.call, -1);
		assert_int_equal(call_error(stage.call)->class, ERR_NETWORK_ERROR);
		assert_non_null(strstr(call_error(stage.call)->message, "egress was stopped"));
		tear_down(&stage);
	}
}

static void unconfined_egress_is_refused(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, RUNNER "http {}\nanswer\ndone {}\nhang", "hello-open\nhang");
	struct err err = {0};
	assert_int_equal(egress_link_start(stage.link, &err), 0);
	assert_int_equal(egress_link_wait_ready(stage.link, &err), -1);
	assert_int_equal(err.class, ERR_UNCONFINED);
	assert_int_equal(egress_link_pid(stage.link), 0);
	start_call(&stage, false);
	call_wait(stage.call, -1);
	assert_int_equal(call_error(stage.call)->class, ERR_UNCONFINED);
	tear_down(&stage);
}

/* Nobody waited for egress before the connector asked; the verdict is as clear. */
static void unconfined_egress_is_refused_at_the_first_request(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, RUNNER "http {}\nanswer\ndone {}\nhang", "hello-open\nhang");
	assert_int_equal(egress_link_start(stage.link, NULL), 0);
	start_call(&stage, false);
	call_wait(stage.call, -1);
	assert_int_equal(call_error(stage.call)->class, ERR_UNCONFINED);
	assert_non_null(strstr(call_error(stage.call)->message, "aileron-egress"));
	tear_down(&stage);

	/* Who asks for nothing is not concerned. */
	set_up(&stage, RUNNER "log 1\ndone {}\nhang", "hello-open\nhang");
	assert_int_equal(egress_link_start(stage.link, NULL), 0);
	start_call(&stage, false);
	call_wait(stage.call, -1);
	assert_null(call_error(stage.call));
	tear_down(&stage);
}

static void egress_is_started_again_for_the_next_call(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, RUNNER "http {}\nanswer\ndone {}\ncall\nhttp {}\nanswer\ndone {\"output\":{\"a\":\"%\"}}\nhang",
	       EGRESS "result 0 200 x\nhang");
	start_call(&stage, false);
	while (egress_link_pid(stage.link) == 0)
		(void)runner_wait(stage.runner, -1, NULL);
	int first = egress_link_pid(stage.link);
	assert_int_equal(kill(first, SIGKILL), 0);
	call_wait(stage.call, -1);
	assert_int_equal(call_error(stage.call)->class, ERR_NETWORK_ERROR);
	call_free(TAKE(stage.call));

	start_call(&stage, false);
	call_wait(stage.call, -1);
	assert_null(call_error(stage.call));
	assert_int_not_equal(egress_link_pid(stage.link), first);
	tear_down(&stage);
}

static void a_crash_of_the_runner_ends_the_request_too(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, RUNNER "http {}\nquit 3", "hello\nstart\nhang");
	start_call(&stage, false);
	call_wait(stage.call, -1);
	assert_int_equal(call_error(stage.call)->class, ERR_CONNECTOR_RUNTIME_ERROR);
	assert_string_equal(call_error(stage.call)->message,
			    "the runner ended by exit status 3; the next call starts a new one");
	assert_int_not_equal(egress_link_pid(stage.link), 0); /* it serves others */
	tear_down(&stage);
}

static void a_runner_that_has_ended_takes_no_call(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, "quit 3", "hang");
	assert_int_equal(runner_wait_ready(stage.runner, &(struct err){0}), -1);
	struct call_spec spec = {.op = S("op"), .grant = &stage.grant, .events = &events, .owner = &stage};
	struct err err = {0};
	assert_null(call_start(&spec, stage.runner, stage.link, &err));
	assert_int_equal(err.class, ERR_CONNECTOR_RUNTIME_ERROR);
	tear_down(&stage);
}

static void the_caller_can_give_up(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, RUNNER "log 1\ncancel\ncancelled\nhang", "hang");
	start_call(&stage, false);
	AUTO_FD cancel = eventfd(1, EFD_CLOEXEC);
	call_wait(stage.call, cancel);
	assert_int_equal(call_error(stage.call)->class, ERR_CANCELLED);
	call_cancel(stage.call); /* too late */
	tear_down(&stage);

	/* While egress is asked. */
	set_up(&stage, RUNNER "http {}\ncancel\ncancelled\nhang", EGRESS "hang");
	start_call(&stage, false);
	while (stage.told.n == 0 && !call_has_ended(stage.call)) {
		(void)runner_wait(stage.runner, 10, NULL);
		egress_link_process(stage.link);
		if (egress_link_pid(stage.link) != 0)
			buf_addf(&stage.told, "x");
	}
	call_cancel(stage.call);
	call_wait(stage.call, -1);
	assert_int_equal(call_error(stage.call)->class, ERR_CANCELLED);
	tear_down(&stage);
}

/* More hosts than egress takes would end it, for every call. */
static void too_large_a_grant_is_refused_here(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, RUNNER "http {}\nanswer\ndone {}\nhang", "hang");
	AUTO_FREE struct str *hosts = xcalloc(4097, sizeof *hosts);
	stage.grant.hosts = hosts;
	stage.grant.n_hosts = 4097;
	start_call(&stage, false);
	call_wait(stage.call, -1);
	assert_int_equal(call_error(stage.call)->class, ERR_CAPABILITY_DENIED);
	assert_int_equal(egress_link_pid(stage.link), 0);
	tear_down(&stage);
}

static void a_trace_tells_every_host_call(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, RUNNER "trace\nhttp {}\nanswer\ndone\nhang", EGRESS "result 0 200 x\nhang");
	start_call(&stage, true);
	call_wait(stage.call, -1);
	assert_null(call_error(stage.call));
	assert_string_equal(stage.told.p, "trace(a host call,9) granted trace(a note,7) ended");
	const struct call_report *report = call_report(stage.call);
	assert_int_equal(report->requests, 1);
	assert_int_equal(report->request_ns, 7);
	assert_int_equal(report->instantiate_ns, 1);
	assert_int_equal(report->run_ns, 2);
	tear_down(&stage);
}

static void a_trace_is_bounded(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, RUNNER "trace 10003\ndone\nhang", "hang");
	stage.told = BUF_INIT(4 * MIB);
	start_call(&stage, true);
	call_wait(stage.call, -1);
	assert_null(call_error(stage.call));
	const struct call_report *report = call_report(stage.call);
	assert_int_equal(report->traces, LIMIT_TRACE_LINES);
	assert_int_equal(report->traces_dropped, 3);
	assert_int_equal(stage.told.n, LIMIT_TRACE_LINES * strlen("trace(a host call,9) ") + strlen("ended"));
	tear_down(&stage);
}

static void a_long_trace_is_cut(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, RUNNER "trace-long\ndone\nhang", "hang");
	start_call(&stage, true);
	call_wait(stage.call, -1);
	assert_null(call_error(stage.call));
	assert_int_equal(stage.told.n, strlen("trace(,9) ended") + LIMIT_TRACE_LINE);
	tear_down(&stage);
}

static void an_open_call_may_be_freed(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage, RUNNER "log 1\nhttp {}\ncancel\ncancelled\nquit 0", "hello\nstart\nhang");
	start_call(&stage, false);
	while (egress_link_pid(stage.link) == 0)
		(void)runner_wait(stage.runner, -1, NULL);
	call_free(TAKE(stage.call));
	while (runner_wait(stage.runner, -1, NULL) == 0)
		continue;
	assert_string_equal(stage.told.p, "log(info,a line) ");
	tear_down(&stage);
}

static void a_grant_is_made_of_manifest_and_binding(void **state)
{
	(void)state;
	static const struct str hosts[] = {{"a.example:443", 13}};
	struct connector_manifest manifest = {
		.name = S("github://a/b"),
		.has_network = true,
		.hosts = {hosts, 1},
		.credential = {.present = true, .kind = CREDENTIAL_BASIC, .username = S("from-manifest")},
	};
	struct call_limits none = {0}, limits = call_limits_resolve(&none, NULL);
	struct egress_grant grant = grant_make(&manifest, &limits, NULL, (struct grant_openings){0});
	assert_int_equal(grant.binding, BINDING_NO_RESOLVER);
	assert_int_equal(grant.declared, CREDENTIAL_BASIC);
	assert_int_equal(grant.request_max, 8 * MIB);
	assert_int_equal(grant.response_max, 32 * MIB);
	assert_false(grant.permissive);
	assert_true(grant_has_network(&manifest));

	struct credential credential = {.binding = BINDING_FOUND, .kind = CREDENTIAL_BASIC};
	assert_true(str_eq(grant_make(&manifest, &limits, &credential, (struct grant_openings){0}).username,
			   S("from-manifest")));
	credential.username = S("bound");
	assert_true(
		str_eq(grant_make(&manifest, &limits, &credential, (struct grant_openings){0}).username, S("bound")));

	/* A table without hosts grants nothing; only a local connector without the table is free. */
	manifest.hosts.n = 0;
	assert_false(grant_has_network(&manifest));
	manifest.origin = S("local");
	assert_false(grant_is_permissive(&manifest));
	manifest.has_network = false;
	assert_true(grant_is_permissive(&manifest));
	assert_true(grant_has_network(&manifest));
}

int main(int argc, char **argv)
{
	fake_main(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(standard_input_is_what_go_writes),
		cmocka_unit_test(the_guest_gets_its_input_and_its_answer_counts),
		cmocka_unit_test(requests_go_through_egress),
		cmocka_unit_test(a_failed_request_is_sticky_until_one_is_answered),
		cmocka_unit_test(bad_spans_never_reach_egress),
		cmocka_unit_test(spawning_is_refused),
		cmocka_unit_test(only_objects_reach_the_audit),
		cmocka_unit_test(a_crash_of_egress_is_a_network_error),
		cmocka_unit_test(egress_that_lies_is_ended),
		cmocka_unit_test(unconfined_egress_is_refused),
		cmocka_unit_test(unconfined_egress_is_refused_at_the_first_request),
		cmocka_unit_test(egress_is_started_again_for_the_next_call),
		cmocka_unit_test(a_crash_of_the_runner_ends_the_request_too),
		cmocka_unit_test(a_runner_that_has_ended_takes_no_call),
		cmocka_unit_test(the_caller_can_give_up),
		cmocka_unit_test(too_large_a_grant_is_refused_here),
		cmocka_unit_test(a_trace_tells_every_host_call),
		cmocka_unit_test(a_trace_is_bounded),
		cmocka_unit_test(a_long_trace_is_cut),
		cmocka_unit_test(an_open_call_may_be_freed),
		cmocka_unit_test(a_grant_is_made_of_manifest_and_binding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
