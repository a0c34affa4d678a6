#include "fake_peer.h"
#include "base/time.h"
#include "connector/runner.h"
#include "connector/runner_pool.h"
#include <poll.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include "skips.h"

/* What a call's owner was told, as one line of words. */
struct told {
	struct buf words;
	struct runner *runner;
	uint32_t id;
	int ended;
	struct err lost;
};

/* More than a socket holds. */
static struct str big_answer(void)
{
	static char bytes[32 * MIB];
	return str_of(bytes, sizeof bytes);
}

static void on_log(void *owner, struct str level, struct str message)
{
	struct told *told = owner;
	buf_addf(&told->words, "log(%.*s,%.*s) ", STR_FMT(level), STR_FMT(message));
}
static void on_http(void *owner, enum runner_envelope kind, struct str envelope)
{
	struct told *told = owner;
	buf_addf(&told->words, "http(%d,%.*s) ", (int)kind, STR_FMT(envelope));
	if (str_eq(envelope, S("{no answer}")))
		return;
	if (str_eq(envelope, S("{big}"))) {
		runner_answer_http(told->runner, told->id, 0, 200, big_answer());
		return;
	}
	runner_answer_http(told->runner, told->id, 0, 207, S("body"));
	runner_answer_http(told->runner, told->id, 0, 500, S("a second answer goes nowhere"));
}
static void on_spawn(void *owner, unsigned which)
{
	struct told *told = owner;
	buf_addf(&told->words, "spawn(%u) ", which);
	runner_answer_spawn(told->runner, told->id, -3);
}
static void on_trace(void *owner, struct str text, uint64_t nanoseconds)
{
	struct told *told = owner;
	buf_addf(&told->words, "trace(%.*s,%llu) ", STR_FMT(text), (unsigned long long)nanoseconds);
}
static void on_audit(void *owner, struct str text)
{
	struct told *told = owner;
	buf_addf(&told->words, "audit(%.*s) ", STR_FMT(text));
	if (str_eq(text, S("{no answer}")))
		return;
	runner_answer_audit(told->runner, told->id, -1);
	runner_answer_audit(told->runner, told->id, 0);
}
static void on_done(void *owner, const struct runner_done *done)
{
	struct told *told = owner;
	buf_addf(&told->words, "done(%d,%u,%.*s) ", (int)done->end, done->exit_code, STR_FMT(done->output));
	told->ended++;
}
static void on_lost(void *owner, const struct err *err)
{
	struct told *told = owner;
	buf_addf(&told->words, "lost(%s) ", err_row(err->class)->name);
	told->lost = *err;
	told->ended++;
}
static const struct runner_sink sink = {on_log, on_http, on_spawn, on_trace, on_audit, on_done, on_lost};

static const struct runner_call plain_call = {
	.wall_time_ns = 20000 * MS,
	.memory_bytes = MIB,
	.stdout_max = 4096,
	.stderr_tail_max = 4096,
	.log_lines_max = 3,
	.log_line_max = 100,
	.envelope_max = 100,
	.input = {"{\"in\":1}", 8},
};

static struct runner *start_with(const char *script, const struct connector_manifest *manifest, const char *allowed)
{
	AUTO_FD fd = fake_script(script);
	struct runner_spec spec = {
		.program = "/proc/self/exe",
		.code_fd = fd,
		.start = {.threads = 1, .memory_max = MIB},
		.allowed = str_from(allowed),
		.manifest = manifest,
	};
	struct err err = {0};
	struct runner *runner = runner_start(&spec, &err);
	if (runner == NULL)
		fail_msg("%s", err.message);
	return runner;
}

static void begin(struct told *told, const struct runner_call *call)
{
	told->words = BUF_INIT(64 * KIB);
	told->ended = 0;
	told->id = runner_call(told->runner, call, &sink, told, NULL);
}

static void wait_for_end(struct told *told)
{
	while (told->ended == 0)
		(void)runner_wait(told->runner, -1, NULL);
	assert_int_equal(told->ended, 1);
}

/* One call over one scripted runner: what its owner was told. The error of a loss is left in *ret_lost. */
static void play(const char *script, const struct runner_call *call, const char *expected, struct err *ret_lost)
{
	struct told told = {.runner = start_with(script, NULL, "")};
	begin(&told, call);
	assert_int_not_equal(told.id, 0);
	wait_for_end(&told);
	if (strcmp(told.words.p, expected) != 0)
		fail_msg("script:\n%s\nexpected %s\ngot      %s(%s)", script, expected, told.words.p,
			 told.lost.message);
	if (ret_lost != NULL)
		*ret_lost = told.lost;
	assert_int_equal(runner_open_calls(told.runner), 0);
	runner_free(told.runner);
	buf_release(&told.words);
}

static void a_call_from_start_to_end(void **state)
{
	(void)state;
	play("hello\nstart\nready\ncall\ndone ^\nhang", &plain_call, "done(0,0,{\"in\":1}) ", NULL);
	play("hello\nstart\nready\ncall\nexit 7\nhang", &plain_call, "done(0,7,) ", NULL);
	play("hello\nstart\nready\ncall\nlog 2\nhttp {x}\nanswer\nspawn\nanswer\ndone %\nhang", &plain_call,
	     "log(info,a line) log(info,a line) http(1,{x}) spawn(0) done(0,0,-3) ", NULL);
	play("hello\nstart\nready\ncall\naudit {x}\nanswer\nspawn\nanswer\naudit {y}\nanswer\ndone %\nhang",
	     &plain_call, "audit({x}) spawn(0) audit({y}) done(0,0,-1) ", NULL);
	play("hello\nstart\nready\ncall\nhttp-missing\nanswer\nhttp-long\nanswer\ndone %\nhang", &plain_call,
	     "http(0,) http(2,) done(0,0,0/207/body) ", NULL);
	struct runner_call traced = plain_call;
	traced.trace = true;
	play("hello\nstart\nready\ncall\ntrace\ndone {}\nhang", &traced, "trace(a host call,9) done(0,0,{}) ", NULL);
}

static void calls_wait_for_the_runner_and_run_one_after_the_other(void **state)
{
	(void)state;
	struct runner *runner = start_with("hello\nstart\nready\ncall\ncall\ncall\ndone last\nhang", NULL, "");
	struct told told[3];
	for (int i = 0; i < 3; i++) {
		told[i] = (struct told){.runner = runner};
		begin(&told[i], &plain_call);
	}
	assert_int_equal(runner_open_calls(runner), 3);
	wait_for_end(&told[2]); /* the fake answers the call that it saw last */
	assert_string_equal(told[2].words.p, "done(0,0,last) ");
	assert_int_equal(runner_open_calls(runner), 2);
	assert_int_equal(runner_phase(runner), RUNNER_PHASE_SERVING);
	assert_int_equal(runner_load_ns(runner), 5);
	runner_free(runner); /* open calls are forgotten without a word */
	for (int i = 0; i < 3; i++)
		buf_release(&told[i].words);
}

static void check_loss(const char *script, const char *message)
{
	struct err lost = {0};
	play(script, &plain_call, "lost(connector_runtime_error) ", &lost);
	if (strstr(lost.message, message) == NULL)
		fail_msg("'%s' does not say '%s'", lost.message, message);
}

/* The fakes are the first processes of a pid namespace where there is one, and then exit instead of dying. */
static void a_crash_at_any_point_ends_the_call_clearly(void **state)
{
	(void)state;
	check_loss("quit 3", "the runner ended by exit status 3");
	check_loss("hello\nquit 3", "the runner ended by exit status 3");
	check_loss("hello\nstart\nquit 3", "the runner ended by exit status 3");
	check_loss("hello\nstart\nready\nquit 3", "the runner ended by exit status 3; the next call starts a new one");
	check_loss("hello\nstart\nready\ncall\nquit 0", "the runner ended by exit status 0");
	struct err lost = {0};
	play("hello\nstart\nready\ncall\nhttp {}\nanswer\nquit 3", &plain_call,
	     "http(1,{}) lost(connector_runtime_error) ", &lost);
	play("hello\nstart\nready\ncall\nhttp {no answer}\nquit 3", &plain_call,
	     "http(1,{no answer}) lost(connector_runtime_error) ", &lost);
	check_loss("hello\nstart\nready\ncall\nhalf 9", "the runner ended by ");
}

static void what_it_says_before_it_dies_is_shown(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip_because("a sanitizer writes there too");
#endif
#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	skip_because("a sanitizer writes there too");
#endif
#endif
	check_loss("say out of \x1b[31m memory\nquit 3", "exit status 3: out of \\x1b[31m memory");
}

static void a_signal_is_named(void **state)
{
	(void)state;
	struct told told = {.runner = start_with("hello\nstart\nready\ncall\nlog 1\nhang", NULL, "")};
	begin(&told, &plain_call);
	while (told.words.n == 0)
		(void)runner_wait(told.runner, -1, NULL);
	assert_int_equal(kill(runner_pid(told.runner), SIGKILL), 0);
	wait_for_end(&told);
	assert_string_equal(told.lost.message, "the runner ended by signal 9 (Killed); the next call starts a new one");
	assert_int_equal(runner_call(told.runner, &plain_call, &sink, &told, &told.lost), 0);
	assert_int_equal(told.lost.class, ERR_CONNECTOR_RUNTIME_ERROR);
	assert_int_equal(runner_fd(told.runner), -1);
	assert_int_equal(runner_phase(told.runner), RUNNER_PHASE_ENDED);
	runner_free(told.runner);
	buf_release(&told.words);
}

#define SERVING "hello\nstart\nready\ncall\n"

static void lies_end_the_runner(void **state)
{
	(void)state;
	static const struct {
		const char *script, *message;

	} lies[] = {
		{"raw 9 1 5\nhang", "'done' arrived out of turn"},
		{"hello\nhello\nhang", "out of turn"},
		{"hello\nstart\nraw 2 0 16\nhang", "sent a message that is not a server's"},
		{"hello\nstart\nraw 4 0 3\nhang", "malformed 'ready'"},
		{SERVING "raw 99 0 0\nhang", "unknown type 99"},
		{SERVING "raw 9 0 100\nhang", "spoke of a call that is not open"},
		{SERVING "raw 9 5000 100\nhang", "spoke of a call that is not open"},
		{SERVING "raw 9 = 3\nhang", "malformed 'done'"},
		{SERVING "raw 5 = 3\nhang", "malformed 'log'"},
		{SERVING "raw 6 = 3\nhang", "malformed 'http'"},
		{SERVING "raw 7 = 0\nhang", "malformed 'spawn'"},
		{SERVING "raw 5 = 40000\nhang", "'log' has 40000 bytes"},
		{SERVING "raw 10 = 3\nhang", "malformed 'audit'"},
		{SERVING "raw 10 = 30000\nhang", "'audit' has 30000 bytes"},
		{SERVING "trace\nhang", "'trace' that is malformed or was not asked for"},
		{SERVING "cancelled\nhang", "cancelled a call by itself"},
	};
	for (size_t i = 0; i < ARRAY_LEN(lies); i++)
		check_loss(lies[i].script, lies[i].message);
	struct err lost = {0};
	play(SERVING "http {no answer}\nhttp {}\nhang", &plain_call,
	     "http(1,{no answer}) lost(connector_runtime_error) ", &lost);
	assert_non_null(strstr(lost.message, "a second thing before the first was answered"));
	play(SERVING "audit {no answer}\nspawn\nhang", &plain_call, "audit({no answer}) lost(connector_runtime_error) ",
	     &lost);
	assert_non_null(strstr(lost.message, "a second thing before the first was answered"));
	struct told told = {.runner = start_with(SERVING "audits 101\nhang", NULL, "")};
	begin(&told, &plain_call);
	wait_for_end(&told);
	assert_non_null(strstr(told.lost.message, "more lines for the audit than it was allowed"));
	runner_free(told.runner);
	buf_release(&told.words);
	play(SERVING "log 4\nhang", &plain_call,
	     "log(info,a line) log(info,a line) log(info,a line) lost(connector_runtime_error) ", &lost);
	assert_non_null(strstr(lost.message, "more log lines than it was allowed"));
	struct runner_call small = plain_call;
	small.stdout_max = 4;
	play(SERVING "done 12345\nhang", &small, "lost(connector_runtime_error) ", &lost);
	assert_non_null(strstr(lost.message, "more output than it was allowed"));
	small.envelope_max = 4;
	play(SERVING "http 12345\nhang", &small, "lost(connector_runtime_error) ", &lost);
	assert_non_null(strstr(lost.message, "a longer request than it was allowed"));
}

/* It could fill the memory of its parent with answers. */
static void a_runner_that_asks_and_does_not_read_is_ended(void **state)
{
	(void)state;
	struct err lost = {0};
	play(SERVING "http {big}\nhttp {}\nhang", &plain_call, "http(1,{big}) lost(connector_runtime_error) ", &lost);
	assert_non_null(strstr(lost.message, "without reading the answer to the first"));
	play(SERVING "http {big}\nspawn\nhang", &plain_call, "http(1,{big}) lost(connector_runtime_error) ", &lost);
	assert_non_null(strstr(lost.message, "without reading the answer to the first"));
	/* One that reads may go on as long as it likes. */
	play(SERVING "http {big}\nanswer\nhttp {big}\nanswer\nspawn\nanswer\ndone %\nhang", &plain_call,
	     "http(1,{big}) http(1,{big}) spawn(0) done(0,0,-3) ", NULL);
}

static void answer_bigly(void *owner, enum runner_envelope kind, struct str envelope)
{
	struct told *told = owner;
	(void)kind, (void)envelope;
	runner_answer_http(told->runner, told->id, 0, 200, big_answer());
}

/* One answer for each of many calls, which is no lie of any of them, is too much all the same. */
static void a_runner_that_never_reads_is_ended(void **state)
{
	(void)state;
	enum { CALLS = 18 };
	static const struct runner_sink bigly = {on_log, answer_bigly, on_spawn, on_trace, on_audit, on_done, on_lost};
	AUTO_BUF script = BUF_INIT(4096);
	buf_add_z(&script, "hello\nstart\nready\n");
	for (int i = 0; i < CALLS; i++)
		buf_addf(&script, "call\n");
	for (int i = 0; i < CALLS; i++)
		buf_addf(&script, "raw %d %d 5\n", RUNNER_HTTP, 1 << 10 | i);
	buf_addf(&script, "hang");
	struct runner *runner = start_with(script.p, NULL, "");
	struct told told[CALLS];
	for (int i = 0; i < CALLS; i++) {
		told[i] = (struct told){.runner = runner, .words = BUF_INIT(64 * KIB)};
		told[i].id = runner_call(runner, &plain_call, &bigly, &told[i], NULL);
		assert_int_equal(told[i].id, 1 << 10 | i);
	}
	wait_for_end(&told[0]);
	assert_non_null(strstr(told[0].lost.message, "does not read what it is sent"));
	assert_int_equal(runner_open_calls(runner), 0);
	for (int i = 0; i < CALLS; i++)
		buf_release(&told[i].words);
	runner_free(runner);
}

static void a_second_end_of_a_call_ends_the_runner(void **state)
{
	(void)state;
	struct told told = {.runner = start_with(SERVING "done x\ndone x\nhang", NULL, "")};
	begin(&told, &plain_call);
	wait_for_end(&told);
	struct err err = {0};
	while (runner_wait(told.runner, -1, &err) == 0)
		continue;
	assert_non_null(strstr(err.message, "spoke of a call that is not open"));
	assert_int_equal(told.ended, 1);
	runner_free(told.runner);
	buf_release(&told.words);
}

static uint64_t now_ms(void)
{
	return clock_monotonic_ns(NULL) / TIME_MILLISECOND;
}

static void a_silent_runner_is_killed(void **state)
{
	(void)state;
	struct runner_call hasty = plain_call;
	hasty.wall_time_ns = 10 * MS;
	struct err lost = {0};
	uint64_t start = now_ms();
	play(SERVING "hang", &hasty, "lost(connector_runtime_error) ", &lost);
	assert_string_equal(lost.message,
			    "the runner did not answer in time and was killed; the next call starts a new one");
	assert_in_range(now_ms() - start, 2000, 8000);
}

static void a_cancelled_call_ends(void **state)
{
	(void)state;
	struct told told = {.runner = start_with(SERVING "log 1\ncancel\ncancelled\nhang", NULL, "")};
	begin(&told, &plain_call);
	while (told.words.n == 0)
		(void)runner_wait(told.runner, -1, NULL);
	runner_cancel(told.runner, told.id);
	runner_cancel(told.runner, told.id);
	wait_for_end(&told);
	assert_string_equal(told.words.p, "log(info,a line) done(3,0,) ");
	runner_cancel(told.runner, told.id); /* not open any more */
	runner_free(told.runner);
	buf_release(&told.words);
}

static void a_call_that_was_not_sent_is_cancelled_at_once(void **state)
{
	(void)state;
	struct told told = {.runner = start_with("hang", NULL, "")};
	begin(&told, &plain_call);
	runner_cancel(told.runner, told.id);
	assert_string_equal(told.words.p, "done(3,0,) ");
	runner_free(told.runner);
	buf_release(&told.words);
}

static void a_runner_that_ignores_a_cancellation_is_killed(void **state)
{
	(void)state;
	struct told told = {.runner = start_with(SERVING "log 1\nhang", NULL, "")};
	begin(&told, &plain_call);
	while (told.words.n == 0)
		(void)runner_wait(told.runner, -1, NULL);
	uint64_t start = now_ms();
	runner_cancel(told.runner, told.id);
	wait_for_end(&told);
	assert_string_equal(told.words.p, "log(info,a line) lost(connector_runtime_error) ");
	assert_in_range(now_ms() - start, 1900, 8000);
	runner_free(told.runner);
	buf_release(&told.words);
}

static void a_forgotten_call_tells_nobody(void **state)
{
	(void)state;
	struct told told = {.runner = start_with(SERVING "log 1\ncancel\nlog 1\ndone x\nquit 0", NULL, "")};
	begin(&told, &plain_call);
	while (told.words.n == 0)
		(void)runner_wait(told.runner, -1, NULL);
	runner_forget(told.runner, told.id);
	while (runner_wait(told.runner, -1, NULL) == 0)
		continue;
	assert_string_equal(told.words.p, "log(info,a line) ");
	runner_free(told.runner);
	buf_release(&told.words);
}

static void an_unconfined_runner_is_refused(void **state)
{
	(void)state;
	struct told told = {.runner = start_with("hello-open\nstart\nready\nhang", NULL, "")};
	begin(&told, &plain_call);
	wait_for_end(&told);
	assert_int_equal(told.lost.class, ERR_UNCONFINED);
	assert_non_null(strstr(told.lost.message, "aileron-runner"));
	struct err err = {0};
	assert_int_equal(runner_wait_ready(told.runner, &err), -1);
	assert_int_equal(err.class, ERR_UNCONFINED);
	runner_free(told.runner);
	buf_release(&told.words);
}

static void load_failures_keep_their_class_and_no_other_can_be_claimed(void **state)
{
	(void)state;
	static const struct {
		const char *claimed;
		enum err_class class;
	} rows[] = {
		{"connector_load_failed", ERR_CONNECTOR_LOAD_FAILED},
		{"resource_limit_exceeded", ERR_RESOURCE_LIMIT_EXCEEDED},
		{"hash_mismatch", ERR_HASH_MISMATCH},
		{"approval_denied", ERR_CONNECTOR_RUNTIME_ERROR},
		{"binding_required", ERR_CONNECTOR_RUNTIME_ERROR},
		{"system_error", ERR_CONNECTOR_RUNTIME_ERROR},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *script = xasprintf("hello\nstart\nfailed %s missing_import\nhang", rows[i].claimed);
		struct runner *runner = start_with(script, NULL, "");
		struct err err = {0};
		assert_int_equal(runner_wait_ready(runner, &err), -1);
		assert_int_equal(err.class, rows[i].class);
		assert_int_equal(runner_error(runner)->class, rows[i].class);
		runner_free(runner);
	}
}

static void imports_are_held_against_the_manifest(void **state)
{
	(void)state;
	static const struct str listed[] = {{"log", 3}, {"wasi:http/outgoing-handler", 26}};
	struct connector_manifest manifest = {.has_imports = true, .imports = {listed, 2}};
	struct runner *runner = start_with("hello\nstart\nready log\nhang", &manifest, "");
	struct err err = {0};
	assert_int_equal(runner_wait_ready(runner, &err), 0);
	runner_free(runner);

	runner = start_with("hello\nstart\nready log,http_request,spawn\nhang", &manifest, "");
	assert_int_equal(runner_wait_ready(runner, &err), -1);
	assert_int_equal(err.class, ERR_CAPABILITY_DENIED);
	assert_non_null(strstr(err.message, "'http_request', 'spawn'"));
	assert_string_equal(err.details, "\"requested\":[\"http_request\",\"spawn\"],\"granted\":[\"log\","
					 "\"wasi:http/outgoing-handler\"],\"boundary_detail\":\"connector_manifest\"");
	runner_free(runner);

	manifest.has_imports = false;
	runner = start_with("hello\nstart\nready log,http_request\nhang", &manifest, "");
	assert_int_equal(runner_wait_ready(runner, &err), 0);
	runner_free(runner);
}

/* ---- somebody else starts it ---- */

struct launcher {
	struct child child;
	int started, killed, ended;
	bool refuses;
	bool silent_end; /* it never hears that it has ended */
};

static int launch(void *context, const struct peer_spec *spec, struct peer_started *ret, struct err *err)
{
	struct launcher *launcher = context;
	if (launcher->refuses)
		return (fail)(err, ERR_SYSTEM, "nobody starts it");
	int sockets[2], words[2];
	assert_int_equal(child_socketpair(sockets, NULL), 0);
	assert_int_equal(pipe2(words, O_CLOEXEC), 0);
	char parent[16];
	snprintf(parent, sizeof parent, "%d", (int)getpid());
	const char *argv[] = {spec->name, spec->life, parent, "0", NULL};
	launcher->child = CHILD_INIT;
	launcher->child.path = "/proc/self/exe";
	launcher->child.argv = argv;
	launcher->child.fds[launcher->child.n_fds++] = (struct child_fd){words[1], 2};
	launcher->child.fds[launcher->child.n_fds++] = (struct child_fd){sockets[1], RUNNER_FD_SOCKET};
	for (size_t i = 0; i < spec->n_fds; i++)
		launcher->child.fds[launcher->child.n_fds++] = spec->fds[i];
	assert_int_equal(child_start(&launcher->child, NULL), 0);
	launcher->child.argv = NULL;
	close(sockets[1]);
	close(words[1]);
	launcher->started++;
	*ret = (struct peer_started){
		.id = 41, .pid = launcher->child.pid, .socket_fd = sockets[0], .stderr_fd = words[0]};
	return 0;
}

static void launcher_kill(void *context, uint32_t id)
{
	struct launcher *launcher = context;
	assert_int_equal(id, 41);
	launcher->killed++;
	child_release(&launcher->child);
}

static int launcher_ended(void *context, uint32_t id, int ms, int *ret_exit_status, int *ret_signal)
{
	struct launcher *launcher = context;
	assert_int_equal(id, 41);
	if (launcher->silent_end || child_wait(&launcher->child, ms, NULL) != 1)
		return 0;
	launcher->ended++;
	*ret_exit_status = launcher->child.exit_status;
	*ret_signal = launcher->child.term_signal;
	child_release(&launcher->child);
	return 1;
}

static struct runner *launch_with(struct launcher *launcher, const char *script, struct peer_launcher *peer)
{
	AUTO_FD code = fake_script(script);
	*peer = (struct peer_launcher){launch, launcher_kill, launcher_ended, launcher};
	const struct runner_spec spec = {.launcher = peer, .code_fd = code, .start = {.threads = 1, .memory_max = GIB}};
	return runner_start(&spec, NULL);
}

static void somebody_else_may_start_it(void **state)
{
	(void)state;
	struct peer_launcher peer;
	struct launcher launcher = {.child = CHILD_INIT};
	struct told told = {.runner = launch_with(&launcher, "hello\nstart\nready\ncall\ndone {}\nhang", &peer)};
	assert_non_null(told.runner);
	assert_null(runner_proof(told.runner));
	assert_int_equal(runner_relay(told.runner), 41);
	assert_int_equal(runner_pid(told.runner), launcher.child.pid);
	begin(&told, &plain_call);
	wait_for_end(&told);
	assert_string_equal(told.words.p, "done(0,0,{}) ");
	assert_true(runner_proof(told.runner)->no_new_privs);
	runner_free(told.runner);
	buf_release(&told.words);
	assert_true(launcher.started == 1 && launcher.killed == 1 && launcher.ended == 0);

	/* Its end is told as that of a child of our own. */
	launcher = (struct launcher){.child = CHILD_INIT};
	told = (struct told){
		.runner = launch_with(&launcher, "hello\nstart\nready\ncall\nsay what a pity\nquit 3", &peer)};
	begin(&told, &plain_call);
	wait_for_end(&told);
	assert_non_null(strstr(told.lost.message, "the runner ended by exit status 3"));
	assert_non_null(strstr(told.lost.message, "what a pity"));
	runner_free(told.runner);
	buf_release(&told.words);
	assert_true(launcher.killed == 0 && launcher.ended == 1);

	launcher = (struct launcher){.child = CHILD_INIT, .silent_end = true};
	told = (struct told){.runner = launch_with(&launcher, "hello\nquit 0", &peer)};
	begin(&told, &plain_call);
	wait_for_end(&told);
	assert_non_null(strstr(told.lost.message, "closed its socket and did not end"));
	runner_free(told.runner);
	buf_release(&told.words);
	assert_true(launcher.killed == 1 && launcher.ended == 0);

	launcher = (struct launcher){.refuses = true};
	assert_null(launch_with(&launcher, "hang", &peer));
	assert_int_equal(launcher.killed, 0);
}

static void open_calls_are_bounded(void **state)
{
	(void)state;
	struct runner *runner = start_with("hang", NULL, "");
	struct told told = {.runner = runner, .words = BUF_INIT(1 * MIB)};
	for (int i = 0; i < RUNNER_CALLS_MAX; i++)
		assert_int_not_equal(runner_call(runner, &plain_call, &sink, &told, NULL), 0);
	struct err err = {0};
	assert_int_equal(runner_call(runner, &plain_call, &sink, &told, &err), 0);
	assert_int_equal(err.class, ERR_LIMIT);
	runner_free(runner);
	buf_release(&told.words);
}

static void a_program_that_is_not_there_is_an_error(void **state)
{
	(void)state;
	struct err err = {0};
	struct runner_spec spec = {.program = "/nonexistent/aileron-runner", .code_fd = 0};
	assert_null(runner_start(&spec, &err));
	assert_int_equal(err.class, ERR_SYSTEM);
}

static int count_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void nothing_is_left_behind(void **state)
{
	(void)state;
	int before = count_fds();
	for (int i = 0; i < 5; i++) {
		play(SERVING "done x\nhang", &plain_call, "done(0,0,x) ", NULL);
		check_loss(SERVING "quit 1", "exit status 1");
	}
	assert_int_equal(count_fds(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* ------------------------------------------------------------------------------------------------------------- pool */

static const uint8_t hash_a[32] = {1}, hash_b[32] = {2}, hash_c[32] = {3};

static void the_pool_finds_drops_and_expires(void **state)
{
	(void)state;
	struct runner_pool *pool = runner_pool_new(2, 100);
	struct runner *a = start_with("hang", NULL, ""), *b = start_with("hang", NULL, ""),
		      *c = start_with("hang", NULL, "");
	assert_null(runner_pool_find(pool, hash_a, 0));
	assert_int_equal(runner_pool_add(pool, hash_a, a, 0, NULL), 0);
	assert_int_equal(runner_pool_add(pool, hash_b, b, 10, NULL), 0);
	assert_ptr_equal(runner_pool_find(pool, hash_a, 20), a);
	/* Full: b was idle longest. */
	assert_int_equal(runner_pool_add(pool, hash_c, c, 30, NULL), 0);
	assert_null(runner_pool_find(pool, hash_b, 30));
	assert_int_equal(runner_pool_count(pool), 2);
	assert_int_equal(runner_pool_expire(pool, 60), 120);
	assert_int_equal(runner_pool_expire(pool, 120), 130); /* a is gone, c is due at 130 */
	assert_null(runner_pool_find(pool, hash_a, 120));
	assert_ptr_equal(runner_pool_at(pool, 0), c);
	assert_int_equal(runner_pool_expire(pool, 130), UINT64_MAX);
	assert_int_equal(runner_pool_count(pool), 0);
	assert_null(runner_pool_at(pool, 0));
	runner_pool_free(pool);
}

static void the_pool_keeps_what_is_busy_and_drops_what_is_dead(void **state)
{
	(void)state;
	struct runner_pool *pool = runner_pool_new(1, 100);
	struct runner *a = start_with("hang", NULL, ""), *b = start_with("hang", NULL, "");
	struct told told = {.runner = a};
	assert_int_equal(runner_pool_add(pool, hash_a, a, 0, NULL), 0);
	begin(&told, &plain_call);
	struct err err = {0};
	assert_int_equal(runner_pool_add(pool, hash_b, b, 0, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(runner_pool_expire(pool, 1000), 1100); /* not while it has a call */
	assert_int_equal(kill(runner_pid(a), SIGKILL), 0);
	wait_for_end(&told);
	assert_null(runner_pool_find(pool, hash_a, 1000));
	assert_int_equal(runner_pool_add(pool, hash_b, b, 1000, &err), 0);
	runner_pool_free(pool);
	buf_release(&told.words);
}

int main(int argc, char **argv)
{
	fake_main(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_from_start_to_end),
		cmocka_unit_test(calls_wait_for_the_runner_and_run_one_after_the_other),
		cmocka_unit_test(a_crash_at_any_point_ends_the_call_clearly),
		cmocka_unit_test(what_it_says_before_it_dies_is_shown),
		cmocka_unit_test(a_signal_is_named),
		cmocka_unit_test(lies_end_the_runner),
		cmocka_unit_test(a_runner_that_asks_and_does_not_read_is_ended),
		cmocka_unit_test(a_runner_that_never_reads_is_ended),
		cmocka_unit_test(a_second_end_of_a_call_ends_the_runner),
		cmocka_unit_test(a_silent_runner_is_killed),
		cmocka_unit_test(a_cancelled_call_ends),
		cmocka_unit_test(a_call_that_was_not_sent_is_cancelled_at_once),
		cmocka_unit_test(a_runner_that_ignores_a_cancellation_is_killed),
		cmocka_unit_test(a_forgotten_call_tells_nobody),
		cmocka_unit_test(an_unconfined_runner_is_refused),
		cmocka_unit_test(load_failures_keep_their_class_and_no_other_can_be_claimed),
		cmocka_unit_test(imports_are_held_against_the_manifest),
		cmocka_unit_test(somebody_else_may_start_it),
		cmocka_unit_test(open_calls_are_bounded),
		cmocka_unit_test(a_program_that_is_not_there_is_an_error),
		cmocka_unit_test(nothing_is_left_behind),
		cmocka_unit_test(the_pool_finds_drops_and_expires),
		cmocka_unit_test(the_pool_keeps_what_is_busy_and_drops_what_is_dead),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
