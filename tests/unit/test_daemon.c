/*
 * The parent with fake children (fake_children.h), each daemon in a state folder of its own. This program is all of them:
 * "aileron daemon run [--spawned]" is the daemon, by AILERON_HOME.
 */
#include "base/rand.h"
#include "confine/sanitized.h"
#include "daemon/config.h"
#include "daemon/discovery.h"
#include "daemon/parent.h"
#include "daemon/spawn.h"
#include "daemon/state_dir.h"
#include "fake_children.h"
#include "os/child.h"
#include "os/file.h"
#include "os/lock.h"
#include <ftw.h>
#include <limits.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <cmocka.h>

static char self[PATH_MAX];
static char home[64];

/* ---- the daemon */

static int be_daemon(int argc, char **argv)
{
	static struct config config;
	AUTO_FREE char *path = state_dir_path(NULL);
	struct daemon_options options = {
		.state_dir = path,
		.spawned = argc > 3 && strcmp(argv[3], DAEMON_SPAWNED_FLAG) == 0,
		.log_level = getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
		.api_revision = 7,
		.bind = getenv("TEST_BIND"),
		.config = &config,
		.pulse_ms = getenv("TEST_PULSE") != NULL ? 200 : 0,
	};
	if (options.spawned)
		options.log_level = LOG_LEVEL_INFO;
	for (int role = 1; role < SUPERVISE_ROLE__MAX; role++)
		options.programs[role] = self;
	static struct err err;
	if (config_parse(STR_EMPTY, "config.yaml", &config, &err) < 0)
		return 3;
	if (daemon_run(&options, &err) == 0)
		return 0;
	fprintf(stdout, "%s: %s\n", err_row(err.class)->name, err.message);
	fflush(stdout);
	return 3;
}

/* ---- asking it */

static int connect_home(void)
{
	struct err err = {0};
	int fd = discovery_connect(home, &err);
	if (fd < 0)
		fail_msg("%s", err.message);
	struct timeval patience = {.tv_sec = 20};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

/* One line to the fake control, and its answer; "" when it died over it. */
__attribute__((format(printf, 1, 2))) static const char *ask(const char *fmt, ...)
{
	static char answers[4][4096];
	static unsigned next;
	char line[4096];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	AUTO_FD fd = connect_home();
	assert_int_equal(send(fd, line, (size_t)n, MSG_NOSIGNAL), n);
	char *answer = answers[next++ % ARRAY_LEN(answers)];
	size_t room = sizeof answers[0] - 1, got = 0;
	for (ssize_t part; (part = recv(fd, answer + got, room - got, 0)) > 0;)
		got += (size_t)part;
	answer[got] = '\0';
	return answer;
}

/* What the parent tells several of its children arrives at each in its own time. */
static void ask_until(const char *line, const char *expected)
{
	while (strcmp(ask("%s", line), expected) != 0)
		sched_yield();
}

static bool says_its_id(void *context, const struct discovery *found)
{
	(void)context;
	AUTO_FD fd = discovery_connect(home, NULL);
	char line[] = "setting instance_id", answer[64] = "";
	if (fd < 0 || send(fd, line, sizeof line - 1, MSG_NOSIGNAL) < 0 || recv(fd, answer, sizeof answer - 1, 0) <= 0)
		return false;
	return strcmp(answer, found->instance_id) == 0;
}

static int spawn(struct discovery *ret, struct err *err)
{
	const struct daemon_spawn_options options = {
		.state_dir = home, .program = self, .ask = says_its_id, .wait_ms = 30000};
	return daemon_spawn(&options, ret, err);
}

static void spawn_or_fail(struct discovery *ret)
{
	struct err err = {0};
	if (spawn(ret, &err) != 0)
		fail_msg("%s", err.message);
}

static void stop_or_fail(void)
{
	struct err err = {0};
	if (daemon_stop(home, 0, &err) != 1)
		fail_msg("not stopped: %s", err.message);
}

static char *in_home(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % ARRAY_LEN(paths)];
	snprintf(path, sizeof paths[0], "%s/%s", home, name);
	return path;
}

static void make_file(const char *path, const char *text)
{
	AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static const char *read_text(const char *path)
{
	static struct buf text = BUF_INIT((size_t)1 << 20);
	buf_clear(&text);
	if (file_read(path, &text, NULL) != 0)
		buf_clear(&text);
	return text.p;
}

static int mode_of(const char *path)
{
	struct stat info;
	return lstat(path, &info) == 0 ? (int)(info.st_mode & 07777) : -1;
}

/* ---- life of a test */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int make_home(void **state)
{
	(void)state;
	snprintf(home, sizeof home, "/tmp/test_daemon-XXXXXX");
	if (mkdtemp(home) == NULL)
		return -1;
	return setenv("AILERON_HOME", home, 1);
}

static int remove_home(void **state)
{
	(void)state;
	(void)!daemon_stop(home, 0, NULL);
	return nftw(home, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- starting and stopping */

static void a_started_daemon_can_be_found(void **state)
{
	(void)state;
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	assert_int_equal(mode_of(in_home("daemon.json")), 0600);
	assert_int_equal(mode_of(in_home("daemon.pid")), 0600);
	assert_int_equal(mode_of(in_home("daemon.lock")), 0600);
	assert_int_equal(mode_of(in_home("daemon.log")), 0600);
	assert_int_equal(mode_of(in_home("daemon.sock")), 0600);
	assert_int_equal(mode_of(in_home("keeper.pub")), 0600);
	assert_int_equal(mode_of(in_home("vault")), 0700);
	assert_int_equal(mode_of(in_home("control")), 0700);
	char pid[16];
	snprintf(pid, sizeof pid, "%d\n", found.pid);
	assert_string_equal(read_text(in_home("daemon.pid")), pid);
	assert_int_equal(getsid(found.pid), found.pid);
	char link[64], folder[8] = "";
	snprintf(link, sizeof link, "/proc/%d/cwd", found.pid);
	if (geteuid() == 0) { /* it is not dumpable */
		assert_int_equal(readlink(link, folder, sizeof folder - 1), 1);
		assert_string_equal(folder, "/");
	}
	assert_int_equal(found.api_revision, 7);
	assert_string_equal(found.socket, in_home("daemon.sock"));
	assert_string_equal(read_text(in_home("keeper.pub")),
			    "7075626c6963206b6579206f6620746865206b65657065722c20612074657374\n");
	assert_string_equal(read_text(in_home("device.pub")),
			    "7075626c6963206b6579206f66206465766963652c20696e206120746573742e\n");

	/* Control has the same token and address. */
	assert_true(str_eq(secret_borrow(found.token), str_from(ask("setting token"))));
	assert_int_equal(strlen(ask("setting caveat_key")) > 0, true);
	assert_string_equal(found.url + strlen("http://"), ask("setting listen"));
	assert_string_equal(ask("setting state_dir"), home);
	assert_string_equal(ask("setting auto_lock_ms"), "");
	assert_string_equal(ask("peers"), "1 1");

	/* A second caller gets the same one. */
	AUTO_DISCOVERY again = {0};
	spawn_or_fail(&again);
	assert_string_equal(again.instance_id, found.instance_id);

	stop_or_fail();
	static const char *const gone[] = {"daemon.json", "daemon.pid", "daemon.sock", "keeper.pub"};
	for (size_t i = 0; i < ARRAY_LEN(gone); i++)
		assert_int_equal(mode_of(in_home(gone[i])), -1);
	assert_int_equal(daemon_stop(home, 0, NULL), 0);
}

static void without_its_file_it_is_told_and_stopped(void **state)
{
	(void)state;
	static const char *const damages[] = {NULL, "{", "{\"url\":1}"};
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		struct err err = {0};
		AUTO_DISCOVERY found = {0};
		char process[32];
		spawn_or_fail(&found);
		if (damages[i] == NULL)
			unlink(in_home("daemon.json"));
		else
			make_file(in_home("daemon.json"), damages[i]);
		assert_int_equal(discovery_find(home, says_its_id, NULL, &found, NULL), 0);
		assert_int_equal(discovery_pid(home), found.pid);
		assert_int_equal(discovery_refuse(home, &err), -1);
		assert_int_equal(err.class, ERR_UNREACHABLE);
		snprintf(process, sizeof process, "process %d", found.pid);
		assert_non_null(strstr(err.message, process));
		assert_non_null(strstr(err.message, "daemon restart"));
		assert_non_null(strstr(err.message, i == 0 ? "is gone" : "cannot be read"));
		stop_or_fail();
	}
}

/* A number that is left behind and is another's by now is no daemon. */
static void another_process_is_not_taken_for_it(void **state)
{
	(void)state;
	struct err err = {0};
	char pid[32];
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	unlink(in_home("daemon.json"));
	snprintf(pid, sizeof pid, "%d\n", getpid());
	make_file(in_home("daemon.pid"), pid);
	assert_int_equal(discovery_pid(home), 0);
	assert_int_equal(daemon_stop(home, 1, &err), -1);
	assert_non_null(strstr(err.message, "neither"));
	snprintf(pid, sizeof pid, "%d\n", found.pid);
	make_file(in_home("daemon.pid"), pid);
	stop_or_fail();
}

static void two_starters_get_one_daemon(void **state)
{
	(void)state;
	enum { STARTERS = 6 };
	int pipe_fds[2];
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	for (int i = 0; i < STARTERS; i++) {
		if (fork() != 0)
			continue;
		AUTO_DISCOVERY found = {0};
		static struct err err;
		bool good = spawn(&found, &err) == 0 && write(pipe_fds[1], found.instance_id, 32) == 32;
		if (!good)
			fprintf(stderr, "%s\n", err.message);
		_exit(good ? 0 : 1);
	}
	char first[33] = "", id[33] = "";
	for (int i = 0; i < STARTERS; i++) {
		int status;
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
		assert_int_equal(read(pipe_fds[0], id, 32), 32);
		if (i == 0)
			memcpy(first, id, sizeof first);
		assert_string_equal(id, first);
	}
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	stop_or_fail();
}

static void open_end(int pid, int *ret_pidfd)
{
	*ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(*ret_pidfd >= 0);
}

static void await_end(int pidfd)
{
	struct pollfd ended = {pidfd, POLLIN, 0};
	assert_int_equal(poll(&ended, 1, 20000), 1);
	close(pidfd);
}

static int pid_in(const char *answer)
{
	uint64_t pid = 0;
	struct str head;
	(void)str_cut(str_from(answer), ' ', &head);
	assert_true(str_to_u64(head, INT32_MAX, &pid));
	return (int)pid;
}

static void children_die_with_it_and_leave_it_startable(void **state)
{
	(void)state;
	static const char *const roles[] = {"control", "keeper", "egress"};
	AUTO_DISCOVERY found = {0}, next = {0};
	spawn_or_fail(&found);
	int ends[ARRAY_LEN(roles)], parent, runner;
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		open_end(pid_in(ask("child %s", roles[i])), &ends[i]);
	open_end(pid_in(strrchr(ask("runner serve"), ' ') + 1), &runner);
	open_end(found.pid, &parent);
	assert_int_equal(kill(found.pid, SIGKILL), 0);
	await_end(parent);
	await_end(runner);
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		await_end(ends[i]);

	/* Its files are stale, and nobody takes them for a daemon. */
	assert_true(mode_of(in_home("daemon.json")) > 0);
	assert_int_equal(discovery_find(home, says_its_id, NULL, &next, NULL), 0);
	spawn_or_fail(&next);
	assert_string_not_equal(next.instance_id, found.instance_id);
	assert_int_equal(kill(next.pid, SIGKILL), 0);
	while (discovery_is_locked(home, NULL) == 1)
		sched_yield();
	assert_int_equal(daemon_stop(home, 0, NULL), 0);
	assert_int_equal(mode_of(in_home("daemon.json")), -1);
}

/* Its children hold the listener for a moment longer, which is no service manager's. */
/* One that nobody has now, below those that the system gives to others' connections (ip_local_port_range). */
static unsigned free_port(void)
{
	AUTO_FD port = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (;;) {
		unsigned number = 20000 + (unsigned)(rand_u64() % 10000);
		const struct sockaddr_in address = {.sin_family = AF_INET,
						    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
						    .sin_port = htons((uint16_t)number)};
		if (bind(port, (const struct sockaddr *)&address, sizeof address) == 0)
			return number;
	}
}

static void right_after_a_kill_it_starts_at_once(void **state)
{
	(void)state;
	char bind_to[32];
	snprintf(bind_to, sizeof bind_to, "127.0.0.1:%u", free_port());
	setenv("TEST_BIND", bind_to, 1);
	for (int i = 0; i < 10; i++) {
		AUTO_DISCOVERY found = {0};
		uint64_t before = clock_monotonic_ns(NULL);
		spawn_or_fail(&found);
		assert_true(clock_monotonic_ns(NULL) - before < 1900 * TIME_MILLISECOND);
		assert_string_equal(found.url + strlen("http://"), bind_to);
		assert_int_equal(kill(found.pid, SIGKILL), 0);
	}
	unsetenv("TEST_BIND");
}

/* Nobody starts anything for the connection: after a while the starter does. */
static void a_service_manager_that_does_nothing_is_passed_over(void **state)
{
	(void)state;
	AUTO_FD listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s/daemon.sock", home);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 16), 0);
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
}

/* The child of a plain start, with its standard output. */
struct foreground {
	struct child child;
	int out;
};

static struct foreground start_in_foreground(void)
{
	extern char **environ;
	static const char *const argv[] = {"aileron", "daemon", "run", NULL};
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	struct foreground f = {.child = CHILD_INIT, .out = fds[0]};
	f.child.path = self;
	f.child.argv = argv;
	f.child.envp = (const char *const *)environ;
	f.child.fds[f.child.n_fds++] = (struct child_fd){fds[1], STDOUT_FILENO};
	f.child.fds[f.child.n_fds++] = (struct child_fd){STDERR_FILENO, STDERR_FILENO};
	assert_int_equal(child_start(&f.child, NULL), 0);
	close(fds[1]);
	return f;
}

/* Its exit status, and what it said. */
static int finish(struct foreground *f, char *ret_said, size_t room)
{
	size_t n = 0;
	for (ssize_t got; (got = read(f->out, ret_said + n, room - 1 - n)) > 0;)
		n += (size_t)got;
	ret_said[n] = '\0';
	close(f->out);
	assert_int_equal(child_wait(&f->child, -1, NULL), 1);
	child_release(&f->child);
	return f->child.exit_status;
}

static void in_the_foreground_it_ends_well_and_alone(void **state)
{
	(void)state;
	char said[1024], expected[256];
	struct foreground first = start_in_foreground();
	AUTO_DISCOVERY found = {0};
	while (discovery_find(home, says_its_id, NULL, &found, NULL) != 1)
		sched_yield();
	assert_int_equal(found.pid, first.child.pid);
	struct foreground second = start_in_foreground();
	assert_int_equal(finish(&second, said, sizeof said), 3);
	snprintf(expected, sizeof expected,
		 "conflict: a daemon runs already in '%s'; stop it with: aileron daemon stop\n", home);
	assert_string_equal(said, expected);
	assert_true(mode_of(in_home("daemon.json")) > 0);
	child_kill(&first.child, SIGINT);
	assert_int_equal(finish(&first, said, sizeof said), 0);
	assert_string_equal(said, "");
	assert_int_equal(mode_of(in_home("daemon.json")), -1);
}

/* Nothing of it may take the place of a standard descriptor. */
static void without_standard_descriptors_it_works(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		syscall(SYS_close_range, 0, ~0U, 0);
		execl(self, "aileron", "daemon", "run", (char *)NULL);
		_exit(9);
	}
	AUTO_DISCOVERY found = {0};
	while (discovery_find(home, says_its_id, NULL, &found, NULL) != 1)
		sched_yield();
	int status;
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_string_equal(read_text(in_home("daemon.lock")), "");
}

static void a_second_signal_does_not_wait(void **state)
{
	(void)state;
	char said[64];
	struct foreground f = start_in_foreground();
	AUTO_DISCOVERY found = {0};
	while (discovery_find(home, says_its_id, NULL, &found, NULL) != 1)
		sched_yield();
	make_file(in_home("control/linger"), "");
	int control;
	open_end(pid_in(ask("child control")), &control);
	child_kill(&f.child, SIGINT);
	(void)!daemon_stop(home, 1, NULL);
	await_end(control);
	assert_int_equal(finish(&f, said, sizeof said), 0);
}

/* ---- a start that fails */

static void why_it_cannot_start_is_told(void **state)
{
	(void)state;
	static const struct {
		const char *file;
		enum err_class class;
		const char *message;
	} cases[] = {
		{"vault/fail", ERR_VAULT_TRUNCATED, "the vault file is cut short"},
		{"control/die", ERR_SYSTEM, "aileron-control ended by exit status 9"},
		{"vault/die", ERR_SYSTEM, "aileron-keeper ended by exit status 9"},
		{"vault/lie", ERR_UNCONFINED, "'aileron-keeper' is not confined: it may gain privileges"},
	};
	assert_int_equal(mkdir(in_home("vault"), 0700), 0);
	assert_int_equal(mkdir(in_home("control"), 0700), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make_file(in_home(cases[i].file), "");
		AUTO_DISCOVERY found = {0};
		struct err err = {0};
		assert_int_equal(spawn(&found, &err), -1);
		assert_string_equal(err.message, cases[i].message);
		assert_int_equal(err.class, cases[i].class);
		assert_int_equal(mode_of(in_home("daemon.json")), -1);
		while (discovery_is_locked(home, NULL) == 1)
			sched_yield();
		assert_int_equal(unlink(in_home(cases[i].file)), 0);
	}
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
}

/* Somebody put folders where its files go. */
static void what_cannot_be_published_is_told(void **state)
{
	(void)state;
	static const char *const names[] = {"daemon.json", "daemon.pid", "keeper.pub"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_DISCOVERY found = {0};
		struct err err = {0};
		assert_int_equal(mkdir(in_home(names[i]), 0700), 0);
		assert_int_equal(spawn(&found, &err), -1);
		assert_non_null(strstr(err.message, "cannot put '"));
		assert_int_equal(rmdir(in_home(names[i])), 0);
		while (discovery_is_locked(home, NULL) == 1)
			sched_yield();
	}
}

static void a_wrong_address_is_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {"0.0.0.0:0", "127.0.0.1", "127.0.0.1:65536", "localhost:0", "[::]:0", ""};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		setenv("TEST_BIND", wrong[i], 1);
		char said[512];
		struct foreground f = start_in_foreground();
		assert_int_equal(finish(&f, said, sizeof said), 3);
		assert_non_null(strstr(said, "is no loopback address"));
	}
	setenv("TEST_BIND", "[::1]:0", 1);
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	assert_int_equal(strncmp(found.url, "http://[::1]:", 13), 0);
	unsetenv("TEST_BIND");
}

static void a_folder_open_to_others_is_refused(void **state)
{
	(void)state;
	struct err err = {0};
	AUTO_DISCOVERY found = {0};
	assert_int_equal(chmod(home, 0755), 0);
	assert_int_equal(spawn(&found, &err), -1);
	assert_non_null(strstr(err.message, "is open to other users (mode 755)"));
	assert_int_equal(chmod(home, 0700), 0);
}

static void an_old_vault_moves_before_any_child_runs(void **state)
{
	(void)state;
	make_file(in_home("secrets.json"), "old vault");
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	assert_int_equal(mode_of(in_home("secrets.json")), -1);
	assert_string_equal(read_text(in_home("vault/secrets.json")), "old vault");
	stop_or_fail();
	make_file(in_home("secrets.json"), "another");
	struct err err = {0};
	assert_int_equal(spawn(&found, &err), -1);
	assert_int_equal(err.class, ERR_CONFLICT);
	assert_string_equal(read_text(in_home("vault/secrets.json")), "old vault");
	assert_int_equal(unlink(in_home("secrets.json")), 0);
	assert_int_equal(symlink("/etc/passwd", in_home("secrets.json")), 0);
	assert_int_equal(spawn(&found, &err), -1);
	assert_non_null(strstr(err.message, "is not a file"));
}

/* ---- crashes */

static void survivors_get_new_pairs(void **state)
{
	(void)state;
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	assert_string_equal(ask("peers"), "1 1");
	ask_until("ask keeper e", "1");
	ask_until("ask egress k", "1");
	ask_until("ask egress g", "1");
	assert_string_equal(ask("ask keeper g"), "0");

	/* The keeper: control and egress get new ends, and the new one has fresh ones. */
	assert_string_equal(ask("ask keeper x"), "gone");
	assert_string_equal(ask("down keeper"), "exit status 9");
	ask("back keeper");
	assert_string_equal(ask("peers"), "2 1");
	ask_until("ask keeper e", "1");
	ask_until("ask egress k", "2");
	assert_non_null(strstr(ask("child keeper"), " 1 exit status 9"));

	/* Egress. */
	assert_string_equal(ask("ask egress x"), "gone");
	assert_string_equal(ask("down egress"), "exit status 9");
	ask("back egress");
	assert_string_equal(ask("peers"), "2 2");
	ask_until("ask egress k", "1");
	ask_until("ask keeper e", "2");
	ask_until("ask egress g", "1"); /* since its own start */

	/* Control: the listeners live on, connections wait for the new one; the token stays. */
	assert_string_equal(ask("exit"), "");
	assert_string_equal(ask("peers"), "1 1");
	ask_until("ask keeper c", "2");
	ask_until("ask egress c", "2"); /* since its own start */
	ask_until("ask egress g", "2");
	assert_string_equal(ask("ask keeper g"), "0");
	assert_non_null(strstr(ask("child control"), " 1 exit status 9"));
	assert_true(str_eq(secret_borrow(found.token), str_from(ask("setting token"))));
	AUTO_DISCOVERY still = {0};
	assert_int_equal(discovery_find(home, says_its_id, NULL, &still, NULL), 1);
	assert_string_equal(still.instance_id, found.instance_id);
}

static void who_breaks_the_rules_is_started_again(void **state)
{
	(void)state;
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	assert_string_equal(ask("misbehave"), "");
	const char *told = ask("child control");
	if (strstr(told, " 1 signal 9 (Killed)") == NULL)
		fail_msg("'%s'", told);
	assert_non_null(
		strstr(read_text(in_home("daemon.log")), "aileron-control sent message 1, which is not its to send"));
}

static void a_child_that_cannot_go_on_says_why(void **state)
{
	(void)state;
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	assert_string_equal(ask("fail"), "");
	assert_string_equal(ask("child control") != NULL ? "back" : "", "back");
	const char *log = read_text(in_home("daemon.log"));
	const char *once = strstr(log, "the disk went away");
	assert_non_null(once);
	assert_null(strstr(once + 1, "the disk went away"));
	assert_null(strstr(log, "not its to send"));
}

static void restarts_back_off(void **state)
{
	(void)state;
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	ask("peers");
	static const uint64_t least_ms[] = {100, 200, 400};
	for (size_t i = 0; i < ARRAY_LEN(least_ms); i++) {
		uint64_t ms;
		assert_string_equal(ask("ask keeper x"), "gone");
		assert_string_equal(ask("down keeper"), "exit status 9");
		assert_true(str_to_u64(str_from(ask("back keeper")), UINT32_MAX, &ms));
		if (ms < least_ms[i] || ms > least_ms[i] + 5000)
			fail_msg("back after %d ms", (int)ms);
	}
}

/* A keeper that cannot start any more is tried again and again, while the others work. */
static void a_failed_restart_is_tried_again(void **state)
{
	(void)state;
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	ask("peers");
	make_file(in_home("vault/fail"), "");
	assert_string_equal(ask("ask keeper x"), "gone");
	while (strstr(ask("child keeper"), " 3 ") == NULL)
		continue;
	ask_until("ask egress k", "1");
	assert_int_equal(unlink(in_home("vault/fail")), 0);
	ask_until("ask egress k", "2");
	assert_non_null(strstr(read_text(in_home("daemon.log")), "the vault file is cut short"));
}

static void who_hangs_is_told_and_ended(void **state)
{
	(void)state;
	AUTO_DISCOVERY found = {0};
	setenv("TEST_PULSE", "1", 1);
	spawn_or_fail(&found);
	unsetenv("TEST_PULSE");
	ask("peers");
	make_file(in_home("vault/mute"), "");
	assert_string_equal(ask("silent keeper"), "silent");
	assert_int_equal(unlink(in_home("vault/mute")), 0);
	assert_string_equal(ask("heard keeper"), "heard");
	assert_non_null(strstr(read_text(in_home("daemon.log")), "child_silent"));

	make_file(in_home("control/mute"), "");
	while (strstr(read_text(in_home("daemon.log")), "aileron-control gave no sign of life") == NULL)
		(void)poll(NULL, 0, 10);
	assert_int_equal(unlink(in_home("control/mute")), 0);
	assert_non_null(strstr(ask("child control"), " signal 9 (Killed)"));
	assert_non_null(strstr(ask("child keeper"), " 0 "));
}

/* ---- signals */

static void the_log_is_opened_anew(void **state)
{
	(void)state;
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	assert_int_equal(rename(in_home("daemon.log"), in_home("daemon.log.1")), 0);
	assert_int_equal(kill(found.pid, SIGHUP), 0);
	assert_string_equal(ask("log"), "reopened");
	assert_non_null(strstr(read_text(in_home("daemon.log.1")), "\"event\":\"daemon_ready\""));
	const char *text = read_text(in_home("daemon.log"));
	assert_non_null(strstr(text, "\"event\":\"log_reopened\""));
	assert_non_null(strstr(text, "control writes"));
	assert_int_equal(mode_of(in_home("daemon.log")), 0600);
}

static void a_signal_locks(void **state)
{
	(void)state;
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	ask("peers");
	assert_string_equal(ask("ask keeper l"), "0");
	assert_int_equal(kill(found.pid, SIGUSR1), 0);
	ask_until("ask keeper l", "1");
}

static void a_replaced_folder_ends_it(void **state)
{
	(void)state;
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	int parent;
	open_end(found.pid, &parent);
	assert_int_equal(unlink(in_home("daemon.lock")), 0);
	make_file(in_home("daemon.lock"), "");
	await_end(parent);
	assert_true(mode_of(in_home("daemon.json")) > 0); /* it may be a successor's */
	assert_true(mode_of(in_home("daemon.sock")) > 0);
}

/* ---- runners */

/* In a sanitizer build the runner's standard error is the log. */
#if CONFINE_SANITIZED
#define WORDS ""
#else
#define WORDS "words"
#endif

static void assert_starts(const char *text, const char *start)
{
	if (strncmp(text, start, strlen(start)) != 0)
		fail_msg("'%s' does not start with '%s'", text, start);
}

static void runners_are_wired_as_their_life_wants(void **state)
{
	(void)state;
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	ask("peers");
	assert_starts(ask("runner compile"), "1 C " WORDS " ");
	assert_string_equal(ask("end release"), "1 7 0 crashed");
	assert_starts(ask("runner serve"), "2 s " WORDS " "); /* 'r', raised by the relay */
	assert_string_equal(ask("end kill"), "2 -1 9");
	assert_non_null(strstr(read_text(in_home("daemon.log")), "aileron-runner ended by exit status 7"));

	/* Egress takes those down that it relays for. */
	assert_starts(ask("runner serve"), "3 s " WORDS " ");
	int runner;
	open_end(pid_in(strrchr(ask("runner compile"), ' ') + 1), &runner);
	assert_string_equal(ask("ask egress x"), "gone");
	assert_string_equal(ask("down egress"), "exit status 9");
	assert_string_equal(ask("runner serve"), "unavailable: egress does not run");
	ask("back egress");
	assert_starts(ask("runner serve"), "6 s " WORDS " ");

	/* Control's end is the end of all of its. */
	assert_string_equal(ask("exit"), "");
	await_end(runner);
	assert_string_equal(ask("peers"), "1 1");
	assert_starts(ask("runner serve"), "1 s " WORDS " ");
	/* None but the first ended by itself. */
	assert_null(strstr(read_text(in_home("daemon.log")), "aileron-runner ended by signal"));
}

/* Its user notices first, and has it killed; the parent looks at neither until both are there. */
static void a_runner_that_ended_before_it_was_killed_has_crashed(void **state)
{
	(void)state;
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	ask("peers");
	int runner;
	open_end(pid_in(strrchr(ask("runner compile"), ' ') + 1), &runner);
	assert_int_equal(kill(found.pid, SIGSTOP), 0);
	pid_t waker = fork();
	if (waker == 0) {
		struct pollfd ended = {runner, POLLIN, 0};
		(void)!poll(&ended, 1, 20000);
		kill(found.pid, SIGCONT);
		_exit(0);
	}
	close(runner);
	assert_string_equal(ask("end late"), "1 7 0 crashed");
	assert_int_equal(waitpid(waker, NULL, 0), waker);
}

/* ---- folders */

static void a_folder_is_opened_or_refused(void **state)
{
	(void)state;
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	char folder[128], expected[512], other[128];
	snprintf(folder, sizeof folder, "%s/connector", home);
	snprintf(other, sizeof other, "%s/link", home);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(symlink(folder, other), 0);

	snprintf(expected, sizeof expected,
		 "invalid_request: cannot open '%s/manifest.toml': No such file or directory", folder);
	assert_string_equal(ask("folder %s", folder), expected);
	make_file(in_home("connector/manifest.toml"), "toml");
	make_file(in_home("connector/connector.wasm"), "wasm");
	snprintf(expected, sizeof expected, "%s toml wasm", folder);
	assert_string_equal(ask("folder %s", folder), expected);
	assert_string_equal(ask("folder %s/../link/.", folder), expected); /* canonical */

	assert_int_equal(unlink(in_home("connector/connector.wasm")), 0);
	assert_int_equal(symlink("manifest.toml", in_home("connector/connector.wasm")), 0);
	snprintf(expected, sizeof expected,
		 "invalid_request: '%s/connector.wasm' is a symbolic link; put the file itself there", folder);
	assert_string_equal(ask("folder %s", folder), expected);

	assert_int_equal(unlink(in_home("connector/connector.wasm")), 0);
	assert_int_equal(mkfifo(in_home("connector/connector.wasm"), 0600), 0);
	snprintf(expected, sizeof expected, "invalid_request: '%s/connector.wasm' is not an ordinary file", folder);
	assert_string_equal(ask("folder %s", folder), expected);
	assert_int_equal(unlink(in_home("connector/connector.wasm")), 0);

	assert_string_equal(ask("folder relative"), "invalid_request: a folder is named by its absolute path");
	assert_string_equal(ask("folder /nonexistent"),
			    "invalid_request: cannot open the folder '/nonexistent': No such file or directory");
	snprintf(expected, sizeof expected, "invalid_request: cannot open the folder '%s': Not a directory",
		 in_home("daemon.log"));
	assert_string_equal(ask("folder %s", in_home("daemon.log")), expected);
	if (geteuid() != 0)
		return;
	make_file(in_home("connector/connector.wasm"), "wasm");
	assert_int_equal(chown(in_home("connector/connector.wasm"), 65534, (gid_t)-1), 0);
	snprintf(expected, sizeof expected, "invalid_request: '%s/connector.wasm' belongs to user 65534, not to user 0",
		 folder);
	assert_string_equal(ask("folder %s", folder), expected);
	assert_int_equal(chown(folder, 65534, (gid_t)-1), 0);
	snprintf(expected, sizeof expected, "invalid_request: '%s' belongs to user 65534, not to user 0", folder);
	assert_string_equal(ask("folder %s", folder), expected);
}

static void files_are_watched_listed_and_opened(void **state)
{
	(void)state;
	AUTO_DISCOVERY found = {0};
	spawn_or_fail(&found);
	char folder[128], expected[512];
	snprintf(folder, sizeof folder, "%s/actions", home);
	assert_int_equal(mkdir(folder, 0700), 0);
	snprintf(expected, sizeof expected,
		 "invalid_request: cannot open the folder '%s/none': No such file or directory", home);
	assert_string_equal(ask("watch %s/none", home), expected);
	assert_string_equal(ask("list"), "invalid_request: it is not watched");
	assert_string_equal(ask("watch %s/../actions/", folder), folder);
	assert_string_equal(ask("list"), "");

	make_file(in_home("actions/a.md"), "one");
	assert_string_equal(ask("changed"), "7");
	make_file(in_home("actions/b.txt"), "");
	assert_int_equal(mkfifo(in_home("actions/p.md"), 0600), 0);
	assert_string_equal(ask("changed"), "7");
	assert_string_equal(ask("list"), "a.md p.md");
	assert_string_equal(ask("list a.md"), "p.md");
	assert_string_equal(ask("open a.md"), "one");
	snprintf(expected, sizeof expected, "invalid_request: '%s/p.md' is not an ordinary file", folder);
	assert_string_equal(ask("open p.md"), expected);
	assert_string_equal(ask("open ../daemon.log"),
			    "invalid_request: '../daemon.log' is none of the files that are watched");
	assert_int_equal(unlink(in_home("actions/p.md")), 0);
	assert_string_equal(ask("changed"), "7");

	/* More names than a frame has room for, in pages. */
	char name[64];
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "actions/%047d.md", i);
		make_file(in_home(name), "");
	}
	assert_starts(ask("list"), "+ 00");
	assert_starts(ask("list %047d.md", 97), "00");
	snprintf(name, sizeof name, "%047d.md a.md", 99);
	assert_string_equal(ask("list %047d.md", 98), name);
	assert_string_equal(ask("unwatch"), "done");
	assert_string_equal(ask("list"), "invalid_request: it is not watched");
}

/* ---- socket activation */

/* As a service manager does it: the socket as descriptor 3, its number and the pid in the environment. */
static int run_activated(int listener)
{
	char pid[16];
	if (dup2(listener, 3) < 0 || fcntl(3, F_SETFD, 0) != 0)
		return 1;
	syscall(SYS_close_range, 4, ~0U, 0);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	execl(self, "aileron", "daemon", "run", (char *)NULL);
	return 1;
}

static void a_service_manager_may_listen_for_it(void **state)
{
	(void)state;
	AUTO_FD listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s/daemon.sock", home);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 16), 0);

	/* A starter's connection is what makes the manager start it. */
	pid_t starter = fork();
	if (starter == 0) {
		AUTO_DISCOVERY found = {0};
		_exit(spawn(&found, NULL) == 0 ? 0 : 1);
	}
	struct pollfd connected = {listener, POLLIN, 0};
	assert_int_equal(poll(&connected, 1, 20000), 1);
	pid_t manager = fork();
	if (manager == 0)
		_exit(run_activated(listener));
	int status;
	assert_int_equal(waitpid(starter, &status, 0), starter);
	assert_int_equal(status, 0);
	AUTO_DISCOVERY found = {0};
	assert_int_equal(discovery_find(home, says_its_id, NULL, &found, NULL), 1);
	assert_int_equal(found.pid, manager);
	assert_int_equal(kill(manager, SIGTERM), 0);
	assert_int_equal(waitpid(manager, &status, 0), manager);
	assert_int_equal(status, 0);
	assert_true(mode_of(in_home("daemon.sock")) > 0); /* the manager's */
	assert_int_equal(mode_of(in_home("daemon.json")), -1);
}

#define WITH_HOME(test) cmocka_unit_test_setup_teardown(test, make_home, remove_home)

int main(int argc, char **argv)
{
	int status = be_fake_child(argc, argv);
	if (status >= 0)
		return status;
	if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
		return 1;
	if (argc >= 3 && strcmp(argv[1], "daemon") == 0)
		return be_daemon(argc, argv);
	const struct CMUnitTest tests[] = {
		WITH_HOME(a_started_daemon_can_be_found),
		WITH_HOME(without_its_file_it_is_told_and_stopped),
		WITH_HOME(another_process_is_not_taken_for_it),
		WITH_HOME(two_starters_get_one_daemon),
		WITH_HOME(children_die_with_it_and_leave_it_startable),
		WITH_HOME(right_after_a_kill_it_starts_at_once),
		WITH_HOME(a_service_manager_that_does_nothing_is_passed_over),
		WITH_HOME(in_the_foreground_it_ends_well_and_alone),
		WITH_HOME(without_standard_descriptors_it_works),
		WITH_HOME(a_second_signal_does_not_wait),
		WITH_HOME(why_it_cannot_start_is_told),
		WITH_HOME(what_cannot_be_published_is_told),
		WITH_HOME(a_wrong_address_is_refused),
		WITH_HOME(a_folder_open_to_others_is_refused),
		WITH_HOME(an_old_vault_moves_before_any_child_runs),
		WITH_HOME(survivors_get_new_pairs),
		WITH_HOME(who_breaks_the_rules_is_started_again),
		WITH_HOME(restarts_back_off),
		WITH_HOME(a_child_that_cannot_go_on_says_why),
		WITH_HOME(a_failed_restart_is_tried_again),
		WITH_HOME(who_hangs_is_told_and_ended),
		WITH_HOME(the_log_is_opened_anew),
		WITH_HOME(a_signal_locks),
		WITH_HOME(a_replaced_folder_ends_it),
		WITH_HOME(runners_are_wired_as_their_life_wants),
		WITH_HOME(a_runner_that_ended_before_it_was_killed_has_crashed),
		WITH_HOME(a_folder_is_opened_or_refused),
		WITH_HOME(files_are_watched_listed_and_opened),
		WITH_HOME(a_service_manager_may_listen_for_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
