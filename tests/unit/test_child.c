#include "os/child.h"
#include "base/buf.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "skips.h"

#define ALL_NAMESPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/* ---- what this program does when it is its own child: argv[1] names it, the answer goes to descriptor 1 */

static void print_file(const char *path, const char *wanted)
{
	char line[512];
	FILE *file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, wanted, strlen(wanted)) == 0)
			fputs(line, stdout);
	}
	if (file != NULL)
		fclose(file);
}

static int role_descriptors(char **argv)
{
	(void)argv;
	for (int fd = 0; fd < 1024; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			continue;
		char name = '-';
		if (fd > 1 && recv(fd, &name, 1, MSG_DONTWAIT) != 1)
			name = '?';
		printf("%d%c ", fd, name);
	}
	return 0;
}

static int role_signals(char **argv)
{
	(void)argv;
	print_file("/proc/self/status", "SigBlk");
	print_file("/proc/self/status", "SigIgn");
	return 0;
}

static int role_namespaces(char **argv)
{
	(void)argv;
	printf("pid %d uid %u gid %u\n", (int)getpid(), getuid(), getgid());
	print_file("/proc/self/setgroups", "");
	return 0;
}

static int role_rights(char **argv)
{
	(void)argv;
	print_file("/proc/self/status", "CapEff");
	return 0;
}

static int role_words(char **argv)
{
	extern char **environ;
	for (char **word = argv; *word != NULL; word++)
		printf("[%s]", *word);
	for (char **word = environ; *word != NULL; word++)
		printf("{%s}", *word);
	return 0;
}

static int role_exit(char **argv)
{
	return argv[2][0] - '0';
}

static int role_wait_for_ever(char **argv)
{
	(void)argv;
	pause();
	return 1;
}

/* Lives on until its standard input ends, which is after its parent has. */
static int role_say_and_end(char **argv)
{
	(void)argv;
	char byte;
	(void)!read(0, &byte, 1);
	printf("alive, leader %d", getsid(0) == getpid());
	return 0;
}

/* Starts a child that keeps descriptor 1 open for ever, and ends itself. */
static int role_leave_behind(char **argv)
{
	bool detached = argv[2][0] == 'd';
	const char *words[] = {argv[0], detached ? "say_and_end" : "wait_for_ever", NULL};
	struct child child = CHILD_INIT;
	child.detached = detached;
	if (detached)
		child.fds[child.n_fds++] = (struct child_fd){0, 0};
	child.path = "/proc/self/exe";
	child.argv = words;
	child.namespaces = argv[2][0] == 'n' ? ALL_NAMESPACES : 0;
	child.fds[child.n_fds++] = (struct child_fd){1, 1};
	if (detached) {
		bool started = child_start(&child, NULL) == 0;
		child_release(&child);
		_exit(started ? 7 : 1);
	}
	_exit(child_start(&child, NULL) == 0 ? 7 : 1);
}

static const struct {
	const char *name;
	int (*run)(char **argv);
} roles[] = {
	{"descriptors", role_descriptors},
	{"signals", role_signals},
	{"namespaces", role_namespaces},
	{"rights", role_rights},
	{"words", role_words},
	{"exit", role_exit},
	{"wait_for_ever", role_wait_for_ever},
	{"say_and_end", role_say_and_end},
	{"leave_behind", role_leave_behind},
};

/* ---- helpers of the tests */

static const char *const *words_of(const char *role, const char *argument)
{
	static const char *words[4];
	words[0] = "test_child";
	words[1] = role;
	words[2] = argument;
	return words;
}

static struct child self(const char *role, const char *argument)
{
	struct child child = CHILD_INIT;
	child.path = "/proc/self/exe";
	child.argv = words_of(role, argument);
	return child;
}

/* Runs it with its descriptor 1 as a pipe and gives what it wrote. */
static char *output_of(struct child *child)
{
	static char text[4096];
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	child->fds[child->n_fds++] = (struct child_fd){fds[1], 1};
	struct err err = {0};
	if (child_start(child, &err) != 0)
		fail_msg("%s", err.message);
	close(fds[1]);
	size_t n = 0;
	for (ssize_t got; (got = read(fds[0], text + n, sizeof text - 1 - n)) > 0;)
		n += (size_t)got;
	text[n] = '\0';
	close(fds[0]);
	assert_int_equal(child_wait(child, -1, &err), 1);
	return text;
}

static int count_descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* ---- tests */

static void an_exit_status_is_told(void **state)
{
	(void)state;
	AUTO_CHILD child = self("exit", "3");
	output_of(&child);
	assert_int_equal(child.exit_status, 3);
	assert_int_equal(child.term_signal, 0);
	char text[64];
	assert_string_equal(child_how_ended(&child, text, sizeof text), "exit status 3");
}

static void a_signal_is_told(void **state)
{
	(void)state;
	AUTO_CHILD child = self("wait_for_ever", NULL);
	assert_int_equal(child_start(&child, NULL), 0);
	assert_int_equal(child_wait(&child, 0, NULL), 0);
	assert_int_equal(child_wait(&child, 20, NULL), 0);
	child_kill(&child, SIGKILL);
	assert_int_equal(child_wait(&child, -1, NULL), 1);
	assert_int_equal(child.exit_status, -1);
	assert_int_equal(child.term_signal, SIGKILL);
	char text[64];
	assert_string_equal(child_how_ended(&child, text, sizeof text), "signal 9 (Killed)");
	child_kill(&child, SIGKILL);
	assert_int_equal(child_wait(&child, -1, NULL), 1);
}

static void a_failed_exec_is_an_error_of_start(void **state)
{
	(void)state;
	int before = count_descriptors();
	struct err err = {0};
	AUTO_CHILD child = self("exit", "0");
	child.path = "/nonexistent/program";
	assert_int_equal(child_start(&child, &err), -1);
	assert_int_equal(err.class, ERR_SYSTEM);
	assert_int_equal(err.os_errno, ENOENT);
	assert_string_equal(err.message, "cannot execute '/nonexistent/program': No such file or directory");
	assert_int_equal(child.pid, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);

	child.namespaces = ALL_NAMESPACES; /* its absence is no refusal of namespaces */
	assert_int_equal(child_start(&child, &err), -1);
	assert_string_equal(err.message, "cannot execute '/nonexistent/program': No such file or directory");
	child.path = "/";
	assert_int_equal(child_start(&child, &err), -1);
	assert_int_equal(err.os_errno, EACCES);
	assert_int_equal(count_descriptors(), before);
}

/* A program that was replaced meanwhile is started as it was, and nothing of its descriptor is left in it. */
static void a_program_is_started_by_its_descriptor(void **state)
{
	(void)state;
	struct err err = {0};
	AUTO_FD program = child_open_program("/proc/self/exe", NULL);
	assert_true(program >= 0);
	AUTO_CHILD child = self("descriptors", NULL);
	child.path = "/nonexistent/program";
	child.program_fd = program;
	child.fds[child.n_fds++] = (struct child_fd){program, program + 1};
	child.fds[child.n_fds - 1].from = STDERR_FILENO;
	char expected[32];
	snprintf(expected, sizeof expected, "1- %d? ", program + 1);
	assert_string_equal(output_of(&child), expected);

	AUTO_CHILD other = self("namespaces", NULL);
	other.program_fd = program;
	other.namespaces = ALL_NAMESPACES;
	output_of(&other);
	assert_int_equal(other.exit_status, 0);

	AUTO_FD folder = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CHILD none = self("exit", "0");
	none.path = "the folder";
	none.program_fd = folder;
	assert_int_equal(child_start(&none, &err), -1);
	assert_string_equal(err.message, "cannot execute 'the folder': Permission denied");
	assert_int_equal(child_open_program("/nonexistent/program", &err), -1);
	assert_string_equal(err.message, "cannot open the program '/nonexistent/program': No such file or directory");
}

/* Sources and targets overlap in a circle, and one source has two targets. */
static void descriptors_are_exactly_those_named(void **state)
{
	(void)state;
	int a[2], b[2], open_but_not_named = open("/dev/null", O_RDONLY);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
	assert_int_equal(send(a[1], "aa", 2, 0), 2);
	assert_int_equal(send(b[1], "b", 1, 0), 1);

	AUTO_CHILD child = self("descriptors", NULL);
	child.fds[child.n_fds++] = (struct child_fd){a[0], b[0]};
	child.fds[child.n_fds++] = (struct child_fd){b[0], a[0]};
	child.fds[child.n_fds++] = (struct child_fd){a[0], 40};
	char expected[128];
	snprintf(expected, sizeof expected, "1- %d%c %d%c 40a ", MIN(a[0], b[0]), a[0] < b[0] ? 'b' : 'a',
		 MAX(a[0], b[0]), a[0] < b[0] ? 'a' : 'b');
	assert_string_equal(output_of(&child), expected);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
	close(open_but_not_named);
}

/* And without an environment there is what the loader is told. */
static void words_and_environment_are_exactly_those_given(void **state)
{
	(void)state;
	AUTO_CHILD child = self("words", "two words");
	assert_string_equal(output_of(&child), "[test_child][words][two words]{LD_BIND_NOW=1}");
	const char *environment[] = {"A=1", NULL};
	AUTO_CHILD other = self("words", NULL);
	other.envp = environment;
	assert_string_equal(output_of(&other), "[test_child][words]{A=1}");
}

static void signals_are_at_their_defaults(void **state)
{
	(void)state;
	sigset_t some;
	sigemptyset(&some);
	sigaddset(&some, SIGUSR1);
	sigaddset(&some, SIGTERM);
	sigprocmask(SIG_BLOCK, &some, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGRTMIN + 3, SIG_IGN);
	AUTO_CHILD child = self("signals", NULL);
	assert_string_equal(output_of(&child), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	signal(SIGPIPE, SIG_DFL);
	signal(SIGRTMIN + 3, SIG_DFL);
	sigset_t now;
	sigprocmask(SIG_UNBLOCK, &some, &now);
	assert_true(sigismember(&now, SIGUSR1)); /* the parent's own mask was put back */
}

/* Its descriptor 1 is a pipe: it reads as ended only when nobody holds the other end, the orphan included. */
static void it_dies_with_its_parent(const char *how)
{
	AUTO_CHILD child = self("leave_behind", how);
	assert_string_equal(output_of(&child), "");
	assert_int_equal(child.exit_status, 7);
}

static void a_child_dies_with_its_parent(void **state)
{
	(void)state;
	it_dies_with_its_parent("plain");
	it_dies_with_its_parent("namespaces");
}

static void a_detached_child_outlives_its_parent(void **state)
{
	(void)state;
	int in[2], out[2];
	char said[64] = "";
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	AUTO_CHILD child = self("leave_behind", "detached");
	child.fds[child.n_fds++] = (struct child_fd){in[0], 0};
	child.fds[child.n_fds++] = (struct child_fd){out[1], 1};
	assert_int_equal(child_start(&child, NULL), 0);
	close(in[0]);
	close(out[1]);
	assert_int_equal(child_wait(&child, -1, NULL), 1);
	assert_int_equal(child.exit_status, 7);
	close(in[1]);
	size_t n = 0;
	for (ssize_t got; (got = read(out[0], said + n, sizeof said - 1 - n)) > 0;)
		n += (size_t)got;
	close(out[0]);
	assert_string_equal(said, "alive, leader 1");
}

static void namespaces_map_the_caller_alone(void **state)
{
	(void)state;
	AUTO_CHILD child = self("namespaces", NULL);
	child.namespaces = CLONE_NEWPID; /* the user namespace comes by itself */
	char *got = output_of(&child);
	assert_int_equal(child.namespaces, CLONE_NEWPID);
	if (child.ret_namespaces == 0)
		skip_because("no namespaces here");
	assert_int_equal(child.ret_namespaces, CLONE_NEWPID | CLONE_NEWUSER);
	char expected[128];
	snprintf(expected, sizeof expected, "pid 1 uid %u gid %u\ndeny\n", geteuid(), getegid());
	assert_string_equal(got, expected);
}

/* In a copy of this process, so that what it does to itself ends with it. */
static int in_a_copy(int (*run)(void))
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(run());
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

enum { GOOD = 0, NO_NAMESPACES = 40 };

/* As the programs that hold secrets are: undumpable, and mostly run by an ordinary user. */
static int start_undumpable(void)
{
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
		return 1;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 2;
	AUTO_CHILD child = self("rights", NULL);
	child.namespaces = ALL_NAMESPACES;
	char *got = output_of(&child);
	if (child.ret_namespaces == 0)
		return NO_NAMESPACES;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 3;
	return strcmp(got, "CapEff:\t0000000000200000\n") == 0 ? GOOD : 4; /* CAP_SYS_ADMIN, for the mount namespace */
}

static void an_undumpable_ordinary_user_gets_namespaces_too(void **state)
{
	(void)state;
	int result = in_a_copy(start_undumpable);
	if (result == NO_NAMESPACES)
		skip_because("no namespaces here");
	assert_int_equal(result, GOOD);
}

static int start_where_namespaces_are_refused(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
			     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER)) != 0 ||
	    seccomp_load(filter) != 0)
		return 1;
	seccomp_release(filter);
	AUTO_CHILD child = self("words", NULL);
	child.namespaces = ALL_NAMESPACES;
	if (strcmp(output_of(&child), "[test_child][words]{LD_BIND_NOW=1}") != 0 || child.exit_status != 0)
		return 2;
	return child.ret_namespaces == 0 && child.namespaces == ALL_NAMESPACES ? GOOD : 3;
}

/* Some systems allow the clone and refuse the maps. */
static int start_where_maps_are_refused(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(write), 1, SCMP_A2(SCMP_CMP_EQ, 4, 0)) != 0 ||
	    seccomp_load(filter) != 0)
		return 1;
	seccomp_release(filter);
	AUTO_CHILD child = self("words", NULL);
	child.namespaces = CLONE_NEWUSER;
	if (strcmp(output_of(&child), "[test_child][words]{LD_BIND_NOW=1}") != 0)
		return 2;
	return child.ret_namespaces == 0 ? GOOD : 3;
}

static void without_namespaces_it_starts_all_the_same(void **state)
{
	(void)state;
	assert_int_equal(in_a_copy(start_where_namespaces_are_refused), GOOD);
	assert_int_equal(in_a_copy(start_where_maps_are_refused), GOOD);
}

static void release_ends_what_runs_and_leaks_nothing(void **state)
{
	(void)state;
	int before = count_descriptors();
	for (int i = 0; i < 20; i++) {
		struct child child = self("wait_for_ever", NULL);
		child.namespaces = i % 2 == 0 ? ALL_NAMESPACES : 0;
		assert_int_equal(child_start(&child, NULL), 0);
		if (i % 4 < 2) /* as an event loop does */
			assert_int_equal(fcntl(child.pidfd, F_SETFL, O_NONBLOCK), 0);
		child_release(&child);
		assert_int_equal(child.term_signal, SIGKILL);
		child_release(&child);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(count_descriptors(), before);
}

/* Room for `room` more descriptors: whatever cannot be opened then, nothing stays behind. */
static int start_with_little_room(int room)
{
	int before = count_descriptors();
	struct rlimit limit = {.rlim_cur = (rlim_t)(before + room), .rlim_max = (rlim_t)(before + room)};
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1;
	struct err err = {0};
	struct child child = self("exit", "0");
	int started = child_start(&child, &err);
	if (started != 0 && (err.class != ERR_SYSTEM || child.pid != 0 || child.pidfd != -1))
		return 2;
	child_release(&child);
	if (count_descriptors() != before || waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		return 3;
	return started == 0 ? GOOD : 4;
}

static void a_start_that_fails_half_way_leaves_nothing(void **state)
{
	(void)state;
	int failed = 0, result = 4;
	for (int room = 0; result == 4 && room < 16; room++) {
		fflush(stdout);
		pid_t pid = fork();
		if (pid == 0) {
			for (int fd = 3; fd < 64; fd++) /* so that numbers and counts agree */
				close(fd);
			_exit(start_with_little_room(room));
		}
		int status = 0;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		result = WEXITSTATUS(status);
		failed += result == 4;
	}
	assert_int_equal(result, GOOD);
	assert_true(failed >= 4); /* the pidfd of the parent, the pipe, the pidfd of the child, what the child moves */
}

static void own_programs_lie_beside_or_in_libexec(void **state)
{
	(void)state;
	AUTO_FREE char *path = child_own_program("test_child", NULL);
	assert_non_null(path);
	assert_int_equal(access(path, X_OK), 0);
	struct err err = {0};
	assert_null(child_own_program("no-such-program", &err));
	assert_non_null(strstr(err.message, "/no-such-program' nor '"));
	assert_non_null(strstr(err.message, "/../libexec/aileron/no-such-program'"));
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(roles); i++) {
		if (strcmp(argv[1], roles[i].name) == 0) {
			int status = roles[i].run(argv);
			fflush(stdout);
			return status;
		}
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_exit_status_is_told),
		cmocka_unit_test(a_signal_is_told),
		cmocka_unit_test(a_failed_exec_is_an_error_of_start),
		cmocka_unit_test(a_program_is_started_by_its_descriptor),
		cmocka_unit_test(descriptors_are_exactly_those_named),
		cmocka_unit_test(words_and_environment_are_exactly_those_given),
		cmocka_unit_test(signals_are_at_their_defaults),
		cmocka_unit_test(a_child_dies_with_its_parent),
		cmocka_unit_test(a_detached_child_outlives_its_parent),
		cmocka_unit_test(namespaces_map_the_caller_alone),
		cmocka_unit_test(an_undumpable_ordinary_user_gets_namespaces_too),
		cmocka_unit_test(without_namespaces_it_starts_all_the_same),
		cmocka_unit_test(release_ends_what_runs_and_leaks_nothing),
		cmocka_unit_test(a_start_that_fails_half_way_leaves_nothing),
		cmocka_unit_test(own_programs_lie_beside_or_in_libexec),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
