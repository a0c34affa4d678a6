/*
 * Runners and compilers are this program following a script (fake_peer.h), started by a launcher as control's parent
 * starts them; egress is a socket of the test's own.
 */
#include "control/calls.h"
#include "fake_peer.h"
#include "base/time.h"
#include "connector/content_hash.h"
#include "os/child.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define CHILDREN_MAX 16
#define COMPILES     "hello\nstart\n"
#define SERVES(end)  COMPILES "emit hello|start|ready|" end "|\ncompiled\n"
#define ANSWERS      "call|done {\"output\":{\"n\":1}}"

/* ---- who starts them ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t started;
	struct child children[CHILDREN_MAX];
	uint32_t n, compilers;
} launches = {.lock = PTHREAD_MUTEX_INITIALIZER, .started = PTHREAD_COND_INITIALIZER};

static int launch(void *context, const struct peer_spec *spec, struct peer_started *ret, struct err *err)
{
	(void)context;
	(void)err;
	int sockets[2], words[2];
	char parent[16];
	const char *argv[] = {spec->name, spec->life, parent, "0", NULL};
	snprintf(parent, sizeof parent, "%d", (int)getpid());
	pthread_mutex_lock(&launches.lock);
	assert_true(launches.n < CHILDREN_MAX);
	assert_int_equal(child_socketpair(sockets, NULL), 0);
	assert_int_equal(pipe2(words, O_CLOEXEC), 0);
	struct child *child = &launches.children[launches.n++];
	*child = CHILD_INIT;
	child->path = "/proc/self/exe";
	child->argv = argv;
	child->fds[child->n_fds++] = (struct child_fd){words[1], 2};
	child->fds[child->n_fds++] = (struct child_fd){sockets[1], RUNNER_FD_SOCKET};
	for (size_t i = 0; i < spec->n_fds; i++)
		child->fds[child->n_fds++] = spec->fds[i];
	assert_int_equal(child_start(child, NULL), 0);
	child->argv = NULL;
	launches.compilers += strcmp(spec->life, "compile") == 0;
	*ret = (struct peer_started){
		.id = launches.n, .pid = child->pid, .socket_fd = sockets[0], .stderr_fd = words[0]};
	pthread_cond_broadcast(&launches.started);
	pthread_mutex_unlock(&launches.lock);
	close(sockets[1]);
	close(words[1]);
	return 0;
}

static void launch_kill(void *context, uint32_t id)
{
	(void)context;
	pthread_mutex_lock(&launches.lock);
	child_release(&launches.children[id - 1]);
	pthread_mutex_unlock(&launches.lock);
}

static int launch_ended(void *context, uint32_t id, int ms, int *ret_exit_status, int *ret_signal)
{
	(void)context;
	struct child *child = &launches.children[id - 1];
	if (child_wait(child, ms, NULL) != 1)
		return 0;
	*ret_exit_status = child->exit_status;
	*ret_signal = child->term_signal;
	child_release(child);
	return 1;
}

static const struct peer_launcher launcher = {launch, launch_kill, launch_ended, NULL};

static void wait_for_compilers(uint32_t n)
{
	pthread_mutex_lock(&launches.lock);
	while (launches.compilers < n)
		pthread_cond_wait(&launches.started, &launches.lock);
	pthread_mutex_unlock(&launches.lock);
}

/* ---- the stage ---- */

static char folder[64];
static struct calls *calls;

static void begin_with(struct str allowed)
{
	struct err err = {0};
	launches.n = launches.compilers = 0;
	calls = calls_new(&launcher, folder, allowed, &err);
	if (calls == NULL)
		fail_msg("%s", err.message);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/test-calls-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	begin_with(STR_EMPTY);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	calls_free(calls);
	DIR *dir = opendir(folder);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	return rmdir(folder);
}

/* A connector, and a worker that calls it. */
struct caller {
	pthread_t thread;
	int module_fd;
	uint8_t hash[SHA256_SIZE];
	struct connector_manifest manifest;
	struct egress_grant grant;
	_Atomic bool gone;
	int prepared;
	struct calls_result result;
};

static bool is_gone(void *user)
{
	const struct caller *caller = user;
	return caller->gone;
}

static void caller_open(struct caller *caller, const char *script)
{
	*caller = (struct caller){.module_fd = fake_script(script), .manifest = {.name = S("local/fake@1.0.0")}};
	assert_int_equal(content_hash(caller->module_fd, "connector.wasm", S("m"), caller->hash, NULL), 0);
}

static void caller_close(struct caller *caller)
{
	close(caller->module_fd);
	buf_release(&caller->result.output);
}

static void caller_run(struct caller *caller)
{
	const struct calls_spec spec = {
		.manifest = &caller->manifest,
		.manifest_bytes = S("m"),
		.module_fd = caller->module_fd,
		.content_hash = caller->hash,
		.op = S("echo"),
		.limits = {.wall_time = 20 * TIME_SECOND,
			   .memory = 64 * MIB,
			   .stdout_bytes = MIB,
			   .log_lines = 10,
			   .request_body = KIB,
			   .response_body = KIB},
		.grant = &caller->grant,
		.gone = is_gone,
		.user = caller,
	};
	caller->prepared = calls_prepare(calls, &spec, &caller->result.error);
	if (caller->prepared == 0)
		calls_run(calls, &spec, &caller->result);
}

static void *caller_main(void *user)
{
	caller_run(user);
	return NULL;
}

static void caller_start(struct caller *caller)
{
	assert_int_equal(pthread_create(&caller->thread, NULL, caller_main, caller), 0);
}

static void assert_answered(const struct caller *caller)
{
	if (!caller->result.ok)
		fail_msg("%s", caller->result.error.message);
	assert_string_equal(caller->result.output.p, "{\"n\":1}");
}

/* ---- loading ---- */

static void a_call_loads_its_connector_once(void **state)
{
	(void)state;
	struct caller caller;
	caller_open(&caller, SERVES(ANSWERS "|" ANSWERS "|hang"));
	caller_run(&caller);
	assert_answered(&caller);
	buf_release(&caller.result.output);
	caller_run(&caller);
	assert_answered(&caller);
	assert_true(caller.result.warm);
	assert_int_equal(launches.n, 2); /* compiler, runner */
	caller_close(&caller);
}

static void a_warm_call_waits_for_no_compiler_of_another(void **state)
{
	(void)state;
	static struct caller slow, warm;
	caller_open(&warm, SERVES(ANSWERS "|" ANSWERS "|hang"));
	caller_run(&warm);
	buf_release(&warm.result.output);
	caller_open(&slow, COMPILES "hang\n");
	caller_start(&slow);
	wait_for_compilers(2);
	caller_run(&warm); /* and ends, though the other compiles on */
	assert_answered(&warm);
	/* Another cold one does not wait either. */
	static struct caller cold;
	caller_open(&cold, SERVES(ANSWERS "|hang") "\n");
	caller_run(&cold);
	assert_answered(&cold);
	slow.gone = true;
	pthread_join(slow.thread, NULL);
	assert_int_equal(slow.prepared, -1);
	assert_int_equal(slow.result.error.class, ERR_CANCELLED);
	caller_close(&slow);
	caller_close(&warm);
	caller_close(&cold);
}

static void who_waits_for_the_same_compiler_may_leave_alone(void **state)
{
	(void)state;
	static struct caller first, second;
	caller_open(&first, COMPILES "hang\n");
	caller_open(&second, COMPILES "hang\n");
	caller_start(&first);
	wait_for_compilers(1);
	second.gone = true;
	caller_run(&second);
	assert_int_equal(second.result.error.class, ERR_CANCELLED);
	assert_int_equal(launches.compilers, 1);
	first.gone = true;
	pthread_join(first.thread, NULL);
	assert_int_equal(first.result.error.class, ERR_CANCELLED);
	caller_close(&first);
	caller_close(&second);
}

static void what_the_user_goes_without_is_not_asked_of_runners(void **state)
{
	(void)state;
	static const char script[] =
		"hello-without landlock\nstart\nemit hello-without landlock|start|ready|" ANSWERS "|hang|\ncompiled\n";
	struct caller caller;
	caller_open(&caller, script);
	caller_run(&caller);
	assert_int_equal(caller.prepared, -1);
	assert_int_equal(caller.result.error.class, ERR_UNCONFINED);
	calls_free(calls);
	begin_with(S("landlock"));
	err_clear(&caller.result.error);
	caller_run(&caller);
	assert_answered(&caller);
	caller_close(&caller);
}

/* ---- running ---- */

static size_t runners(void)
{
	AUTO(arena) *arena = arena_new();
	struct calls_runner *items;
	return calls_list_runners(calls, arena, &items);
}

static void a_runner_that_ended_is_started_again(void **state)
{
	(void)state;
	struct caller caller;
	caller_open(&caller, SERVES(ANSWERS "|quit 0"));
	caller_run(&caller);
	assert_answered(&caller);
	buf_release(&caller.result.output);
	while (runners() > 0)
		sched_yield();
	caller_run(&caller);
	assert_answered(&caller);
	assert_int_equal(launches.compilers, 1);
	assert_int_equal(launches.n, 3);
	caller_close(&caller);
}

static void a_call_ends_with_its_client(void **state)
{
	(void)state;
	struct caller caller;
	caller_open(&caller, SERVES("call|cancel|cancelled|hang"));
	caller_start(&caller);
	while (runners() == 0)
		sched_yield();
	caller.gone = true;
	pthread_join(caller.thread, NULL);
	assert_int_equal(caller.prepared, 0);
	assert_int_equal(caller.result.error.class, ERR_CANCELLED);
	caller_close(&caller);
}

/* ---- egress ---- */

static void *post(void *user)
{
	struct err *err = user;
	const struct egress_post request = {
		.url = S("http://127.0.0.1:1/"), .content_type = S("text/plain"), .left_ns = 20 * TIME_SECOND};
	int status;
	assert_int_equal(calls_post(calls, &request, &status, err), -1);
	return NULL;
}

static void an_errand_ends_with_the_egress_that_has_it(void **state)
{
	(void)state;
	static struct err err;
	post(&err); /* there is none at all */
	assert_int_equal(err.class, ERR_NETWORK_ERROR);
	err_clear(&err);

	int old[2], new[2];
	assert_int_equal(child_socketpair(old, NULL), 0);
	assert_int_equal(child_socketpair(new, NULL), 0);
	calls_attach_egress(calls, old[0]);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, post, &err), 0);
	struct pollfd arrived = {.fd = old[1], .events = POLLIN};
	assert_int_equal(poll(&arrived, 1, 10000), 1);
	calls_attach_egress(calls, new[0]);
	pthread_join(thread, NULL);
	assert_int_equal(err.class, ERR_NETWORK_ERROR);
	close(old[1]);
	close(new[1]);
}

int main(int argc, char **argv)
{
	fake_main(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_call_loads_its_connector_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_warm_call_waits_for_no_compiler_of_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_waits_for_the_same_compiler_may_leave_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_user_goes_without_is_not_asked_of_runners, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_runner_that_ended_is_started_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_call_ends_with_its_client, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_errand_ends_with_the_egress_that_has_it, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
