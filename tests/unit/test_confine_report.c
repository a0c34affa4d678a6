/* The parent's side of confinement: the report as a message, as text, and the verdict. No process is needed. */
#include "confine/policies.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct confine_report good_report(void)
{
	struct confine_report report = {
		.namespaces = confine_runner_serve.namespaces,
		.empty_root = true,
		.landlock_abi = 7,
		.seccomp = true,
		.no_new_privs = true,
	};
	for (int act = 0; act < CONFINE_ACT__MAX; act++) {
		report.before_seccomp[act] = (struct confine_attempt){true, act == CONFINE_FORK ? 0 : EACCES};
		report.after[act] = (struct confine_attempt){true, EPERM};
	}
	return report;
}

static void assert_verdict(const struct confine_report *report, const char *allowed, const char *message)
{
	struct err err = {0};
	int verdict = confine_judge(report, "aileron-runner", str_from(allowed), &err);
	if (message == NULL) {
		if (verdict != 0)
			fail_msg("%s", err.message);
		return;
	}
	assert_int_equal(verdict, -1);
	assert_int_equal(err.class, ERR_UNCONFINED);
	assert_string_equal(err.message, message);
}

static void what_got_through_is_never_excused(void **state)
{
	(void)state;
	struct confine_report report = good_report();
	assert_verdict(&report, "", NULL);
	report.after[CONFINE_OPEN_FILE].error = 0;
	report.after[CONFINE_FORK].error = 0;
	assert_verdict(&report, "namespaces,root,landlock,capabilities,seccomp",
		       "'aileron-runner' is not confined: it could open a file, start a process");
	report = good_report();
	report.before_seccomp[CONFINE_SIGNAL].error = 0; /* Landlock and the pid namespace are there and did nothing */
	assert_verdict(&report, "seccomp", "'aileron-runner' is not confined: it could signal its parent");
	report = good_report();
	report.after[CONFINE_EXEC].tried = false;
	assert_verdict(&report, "",
		       "'aileron-runner' did not prove its confinement: it did not try to execute a program");
	report = good_report();
	report.after[CONFINE_CONNECT].tried = report.before_seccomp[CONFINE_CONNECT].tried = false;
	assert_verdict(&report, "", NULL);
	report.no_new_privs = false;
	assert_verdict(&report, "seccomp", "'aileron-runner' is not confined: it may gain privileges");
}

static void what_is_missing_is_excused_by_name(void **state)
{
	(void)state;
	struct confine_report report = good_report();
	report.namespaces = 0;
	report.empty_root = false;
	snprintf(report.missing, sizeof report.missing, "namespaces");
	const char *refusal = "'aileron-runner' cannot be confined on this machine: namespaces missing; "
			      "--allow-unconfined=namespaces goes on without";
	assert_verdict(&report, "", refusal);
	assert_verdict(&report, "landlock", refusal);
	assert_verdict(&report, "namespace", refusal);
	assert_verdict(&report, "landlock, namespaces", NULL);

	report.landlock_abi = 0;
	snprintf(report.missing, sizeof report.missing, "namespaces,landlock");
	for (int act = 0; act < CONFINE_ACT__MAX; act++)
		report.before_seccomp[act].error = 0; /* no wall was promised but seccomp, which holds */
	assert_verdict(&report, "namespaces,landlock", NULL);
	assert_verdict(&report, "landlock",
		       "'aileron-runner' cannot be confined on this machine: namespaces missing; "
		       "--allow-unconfined=namespaces goes on without");

	report.seccomp = false;
	snprintf(report.missing, sizeof report.missing, "namespaces,landlock,seccomp");
	for (int act = 0; act < CONFINE_ACT__MAX; act++)
		report.after[act].error = 0;
	assert_verdict(&report, "namespaces,landlock,seccomp", NULL);
	assert_verdict(&report, "",
		       "'aileron-runner' cannot be confined on this machine: namespaces,landlock,seccomp missing; "
		       "--allow-unconfined=namespaces,landlock,seccomp goes on without");
}

static void older_landlocks_promise_less(void **state)
{
	(void)state;
	struct confine_report report = good_report();
	report.namespaces = 0;
	report.empty_root = false;
	snprintf(report.missing, sizeof report.missing, "namespaces");
	report.landlock_abi = 3; /* no network, no signals yet */
	report.before_seccomp[CONFINE_CONNECT].error = 0;
	report.before_seccomp[CONFINE_LISTEN].error = 0;
	report.before_seccomp[CONFINE_SIGNAL].error = 0;
	assert_verdict(&report, "namespaces", NULL);
	report.before_seccomp[CONFINE_WRITE_FILE].error = 0;
	assert_verdict(&report, "namespaces", "'aileron-runner' is not confined: it could write a file");
}

static void boundaries_have_names(void **state)
{
	(void)state;
	assert_true(confine_is_boundary(S("seccomp")));
	assert_true(confine_is_boundary(S("namespaces")));
	assert_false(confine_is_boundary(S("")));
	assert_false(confine_is_boundary(S("seccomp,landlock")));
	assert_false(confine_is_boundary(S("everything")));
}

static void a_report_travels(void **state)
{
	(void)state;
	struct confine_report report = good_report(), got;
	snprintf(report.missing, sizeof report.missing, "root,seccomp");
	AUTO_BUF frame = BUF_INIT(4096);
	confine_report_put(&frame, &report);
	assert_true(buf_ok(&frame));
	assert_int_equal(confine_report_get(buf_str(&frame), &got, NULL), 0);
	AUTO_BUF again = BUF_INIT(4096);
	confine_report_put(&again, &got);
	assert_true(str_eq(buf_str(&frame), buf_str(&again)));

	for (size_t n = 0; n < frame.n; n++) {
		struct err err = {0};
		struct confine_report untouched = {.landlock_abi = 99};
		assert_int_equal(confine_report_get((struct str){frame.p, n}, &untouched, &err), -1);
		assert_int_equal(err.class, ERR_PROTOCOL);
		assert_int_equal(untouched.landlock_abi, 99);
	}
	snprintf(report.missing, sizeof report.missing, "seccomp; all is well");
	buf_clear(&frame);
	confine_report_put(&frame, &report);
	assert_int_equal(confine_report_get(buf_str(&frame), &got, NULL), -1);
}

static void a_report_can_be_read_by_a_person(void **state)
{
	(void)state;
	struct confine_report report = good_report();
	report.after[CONFINE_CONNECT].tried = false;
	report.after[CONFINE_LISTEN].error = 12345;
	AUTO_BUF text = BUF_INIT(4096);
	confine_report_text(&text, &report);
	assert_non_null(strstr(text.p, "open a file: EPERM (EACCES before seccomp)\n"));
	assert_non_null(strstr(text.p, "connect: not tried\n"));
	assert_non_null(strstr(text.p, "listen: error 12345 (EACCES before seccomp)\n"));
	assert_non_null(strstr(text.p, "start a process: EPERM (let through before seccomp)\n"));
	assert_non_null(strstr(text.p, "landlock: ABI 7\nmissing: nothing\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_got_through_is_never_excused),
		cmocka_unit_test(what_is_missing_is_excused_by_name),
		cmocka_unit_test(older_landlocks_promise_less),
		cmocka_unit_test(boundaries_have_names),
		cmocka_unit_test(a_report_travels),
		cmocka_unit_test(a_report_can_be_read_by_a_person),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
