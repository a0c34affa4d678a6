/*
 * This program is its own confined child: "test_confine MODE POLICY PARENT NAMESPACES". It confines itself, sends the
 * report through descriptor 3, and then whatever the mode says, as text. What a policy forbids is tried from inside and
 * the exact errno compared, so each wall is seen to stand.
 */
#include "base/limits.h"
#include "confine/policies.h"
#include "os/child.h"
#include "confine_acts.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <netdb.h>
#include <pthread.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "skips.h"

/* ---- inside: the modes */

static const struct confine_policy *const policies[COLUMNS] = {
	&confine_runner_compile, &confine_runner_serve, &confine_runner_serving,
	&confine_egress,         &confine_control,      &confine_keeper,
};

static bool has_folder(int column)
{
	return column == CONTROL || column == KEEPER;
}

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (write(OUT, line, strlen(line)) < 0)
		_exit(9);
}

static void mode_report(int column)
{
	(void)column;
}

static void mode_battery(int column)
{
	(void)column;
	for (size_t i = 0; i < ARRAY_LEN(battery); i++)
		say("%s %d\n", battery[i].name, battery[i].act());
}

static bool lists(const struct confine_policy *policy, int number)
{
	for (const struct confine_syscall *const *group = policy->syscalls; *group != NULL; group++) {
		for (const struct confine_syscall *row = *group; row->number != -1; row++) {
			if (row->number == number)
				return true;
		}
	}
	return false;
}

/* uretprobe and uprobe of x86-64: for the kernel's own trampolines, past every filter, and deadly for others. */
static bool is_kernels_own(int number)
{
#if defined(__x86_64__)
	return number == 335 || number == 336;
#else
	return number < 0;
#endif
}

/* Every number that there is or may come: what the table does not name fails with EPERM, whatever it may do one day. */
static void mode_sweep(int column)
{
	int through = 0, tried = 0;
	if (TRY(SYS_getppid) != EPERM)
		return say("no wall\n"); /* then the rest would do harm */
	for (int number = 0; number < 1024; number++) {
		if (lists(policies[column], number) || number == SYS_clone3 || is_kernels_own(number))
			continue;
		tried++;
		if (syscall(number, 0, 0, 0, 0, 0, 0) != -1 || errno != EPERM) {
			through++;
			say("%d let through\n", number);
		}
	}
	say("tried %s, %d let through\n", tried > 900 ? "all" : "some", through);
}

/* A thread that was there before the second table is bound by it too. */
static pthread_barrier_t barrier;
static void *map_code_later(void *ret_error)
{
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	*(int *)ret_error = make_memory_file();
	return NULL;
}

static void mode_tighten(int column)
{
	(void)column;
	int here = make_memory_file(), there = -1;
	pthread_t thread;
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, map_code_later, &there);
	pthread_barrier_wait(&barrier);
	struct err err = {0};
	if (confine_tighten(&confine_runner_serving, &err) != 0)
		return say("%s\n", err.message);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	say("before %d, then %d here and %d there\n", here, make_memory_file(), there);
}

static void mode_exhaust_memory(int column)
{
	(void)column;
	size_t got = 0;
	while (got < LIMIT_COMPILE_MEMORY + 1 * GIB && map_data() == 0) {
		void *p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			       0);
		if (p == MAP_FAILED)
			break;
		got += 64 * MIB;
	}
	say("%s with errno %d\n", got > LIMIT_COMPILE_MEMORY / 2 && got <= LIMIT_COMPILE_MEMORY ? "refused" : "odd",
	    errno);
}

#if defined(__x86_64__)
/* The same kernel by the old door: another table of numbers, which the filter does not judge but end. */
static void mode_old_door(int column)
{
	(void)column;
	long result = 20; /* getpid there */
	__asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
	say("survived with %ld\n", result);
}

static void mode_x32_door(int column)
{
	(void)column;
	say("survived with %ld\n", syscall(0x40000000 + SYS_getpid));
}
#endif

/* What egress is for: a name, a file of certificates, a connection. The test sends the port to connect to. */
static void mode_reach_out(int column)
{
	(void)column;
	uint16_t port;
	if (read(OUT, &port, sizeof port) != sizeof port)
		return;
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *found = NULL;
	int resolved = getaddrinfo("localhost", NULL, &hints, &found);
	if (resolved != 0)
		return say("localhost is not known: %s\n", gai_strerror(resolved));
	struct sockaddr_in address = {0};
	memcpy(&address, found->ai_addr, MIN(sizeof address, found->ai_addrlen));
	address.sin_port = port;
	freeaddrinfo(found);
	AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	int connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
	int certificates = try_open("/etc/ssl/certs/ca-certificates.crt", O_RDONLY | O_CLOEXEC);
	say("connected %d, certificates %d\n", connected, certificates == ENOENT ? 0 : certificates);
}

static void mode_wait(int column)
{
	(void)column;
	char byte;
	(void)!read(OUT, &byte, 1);
}

static const struct {
	const char *name;
	void (*run)(int column);
} modes[] = {
	{"report", mode_report},
	{"battery", mode_battery},
	{"sweep", mode_sweep},
	{"tighten", mode_tighten},
	{"exhaust_memory", mode_exhaust_memory},
#if defined(__x86_64__)
	{"old_door", mode_old_door},
	{"x32_door", mode_x32_door},
#endif
	{"reach_out", mode_reach_out},
	{"wait", mode_wait},
};

static int number_of(const char *text)
{
	uint64_t number = 0;
	return str_to_u64(str_from(text), UINT32_MAX, &number) ? (int)number : -1;
}

static int be_confined(char **argv)
{
	int column = number_of(argv[2]);
	parent_pid = number_of(argv[3]);
	struct confine_options options = {
		.parent_pid = parent_pid, .keep_fds = OUT + 1, .namespaces = (uint64_t)number_of(argv[4])};
	if (has_folder(column)) {
		options.own_folder = OWN;
		options.keep_fds = OWN + 1;
	}
	struct confine_report report;
	struct err err = {0};
	const struct confine_policy *policy = policies[column == SERVING ? SERVE : column];
	if (confine_apply(policy, &options, &report, &err) != 0 ||
	    (column == SERVING && confine_tighten(policies[SERVING], &err) != 0)) {
		say("%s\n", err.message);
		return 1;
	}
	AUTO_BUF frame = BUF_INIT(4096);
	confine_report_put(&frame, &report);
	uint32_t n = (uint32_t)frame.n;
	if (write(OUT, &n, sizeof n) != sizeof n || write(OUT, frame.p, frame.n) != (ssize_t)frame.n)
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (strcmp(argv[1], modes[i].name) == 0)
			modes[i].run(column);
	}
	return 0;
}

/* Starts a process that confines itself and waits, and ends itself at once or while that happens. */
static int leave_behind(char **argv)
{
	const char *words[] = {argv[0], "wait", argv[2], "0", argv[4], NULL};
	struct child child = CHILD_INIT;
	child.path = "/proc/self/exe";
	child.argv = words;
	child.namespaces = (uint64_t)number_of(argv[4]);
	child.fds[child.n_fds++] = (struct child_fd){OUT, OUT};
	_exit(child_start(&child, NULL) != 0);
}

/* ---- outside */

struct run {
	struct child child;
	struct confine_report report;
	char text[16384];
};

static char own_folder_path[64];
static int own_folder = -1;   /* of control and keeper */
static uint16_t told_port;    /* what run_inside() tells the child, in network order; 0 = nothing */
static bool machine_confines; /* namespaces, Landlock with every right that a column of the tests relies on */

static void read_all(int fd, char *text, size_t room)
{
	size_t n = 0;
	for (ssize_t got; (got = read(fd, text + n, room - 1 - n)) > 0;)
		n += (size_t)got;
	text[n] = '\0';
}

static void run_inside(struct run *run, const char *mode, int column, uint64_t namespaces)
{
	int sockets[2];
	assert_int_equal(child_socketpair(sockets, NULL), 0);
	char numbers[3][24];
	snprintf(numbers[0], sizeof numbers[0], "%d", column);
	snprintf(numbers[1], sizeof numbers[1], "%d", (int)getpid());
	snprintf(numbers[2], sizeof numbers[2], "%llu", (unsigned long long)namespaces);
	const char *words[] = {"test_confine", mode, numbers[0], numbers[1], numbers[2], NULL};
	run->child = CHILD_INIT;
	run->child.path = "/proc/self/exe";
	run->child.argv = words;
	run->child.namespaces = namespaces != 0 ? confine_given(policies[column == SERVING ? SERVE : column]) : 0;
	run->child.fds[run->child.n_fds++] = (struct child_fd){sockets[1], OUT};
	run->child.fds[run->child.n_fds++] = (struct child_fd){STDERR_FILENO, STDERR_FILENO};
	if (has_folder(column))
		run->child.fds[run->child.n_fds++] = (struct child_fd){own_folder, OWN};
	run->child.fds[run->child.n_fds++] = (struct child_fd){sockets[1], CLOSED};
	assert_int_equal(child_start(&run->child, NULL), 0);
	close(sockets[1]);
	if (told_port != 0)
		assert_int_equal(write(sockets[0], &told_port, sizeof told_port), sizeof told_port);

	uint32_t n = 0;
	char frame[4096];
	if (recv(sockets[0], &n, sizeof n, MSG_WAITALL) == sizeof n && n <= sizeof frame &&
	    recv(sockets[0], frame, n, MSG_WAITALL) == (ssize_t)n) {
		struct err err = {0};
		if (confine_report_get((struct str){frame, n}, &run->report, &err) != 0)
			fail_msg("%s", err.message);
	}
	read_all(sockets[0], run->text, sizeof run->text);
	close(sockets[0]);
	assert_int_equal(child_wait(&run->child, -1, NULL), 1);
	child_release(&run->child);
}

static void assert_attempts(const struct confine_attempt *got, const int expected[CONFINE_ACT__MAX], const char *when)
{
	for (int act = 0; act < CONFINE_ACT__MAX; act++) {
		int error = got[act].tried ? got[act].error : -1;
		if (error != expected[act])
			fail_msg("%s, %s: errno %d, not %d", when, confine_act_name((enum confine_act)act), error,
				 expected[act]);
	}
}

enum { UNTRIED = -1 };

static void every_probe_fails_as_it_should(void **state)
{
	(void)state;
	static const int all_refused[] = {EPERM, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM};
	static const int egress_refused[] = {EACCES, EPERM, UNTRIED, EPERM, EPERM, EPERM, EPERM, EPERM};
	static const int no_such_file[] = {ENOENT, ENOENT, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM};
	static const int not_its_file[] = {EACCES, EACCES, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM};
	static const struct {
		int column;
		bool namespaces;
		const int *after;
		int before[CONFINE_ACT__MAX];
	} cases[] = {
		/* An empty root has nothing to open or execute; in a pid namespace the parent has no number. */
		{COMPILE, true, all_refused, {ENOENT, ENOENT, EACCES, EACCES, ENOENT, ESRCH, ESRCH, 0}},
		{SERVE, true, all_refused, {ENOENT, ENOENT, EACCES, EACCES, ENOENT, ESRCH, ESRCH, 0}},
		{EGRESS, true, egress_refused, {EACCES, EACCES, UNTRIED, EACCES, EACCES, EPERM, EPERM, 0}},
		{CONTROL, true, no_such_file, {ENOENT, ENOENT, EACCES, EACCES, ENOENT, EPERM, EPERM, 0}},
		{KEEPER, true, no_such_file, {ENOENT, ENOENT, EACCES, EACCES, ENOENT, EPERM, EPERM, 0}},
		/* Landlock alone. */
		{CONTROL, false, not_its_file, {EACCES, EACCES, EACCES, EACCES, EACCES, EPERM, EPERM, 0}},
		{KEEPER, false, not_its_file, {EACCES, EACCES, EACCES, EACCES, EACCES, EPERM, EPERM, 0}},
		{COMPILE, false, all_refused, {EACCES, EACCES, EACCES, EACCES, EACCES, EPERM, EPERM, 0}},
		{SERVE, false, all_refused, {EACCES, EACCES, EACCES, EACCES, EACCES, EPERM, EPERM, 0}},
		{EGRESS, false, egress_refused, {EACCES, EACCES, UNTRIED, EACCES, EACCES, EPERM, EPERM, 0}},
	};
	if (!machine_confines)
		skip_because("this machine does not confine");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t namespaces = cases[i].namespaces ? policies[cases[i].column]->namespaces : 0;
		struct run run = {0};
		run_inside(&run, "report", cases[i].column, namespaces);
		assert_string_equal(run.text, "");
		assert_true(run.report.seccomp && run.report.no_new_privs);
		assert_int_equal(run.report.namespaces, namespaces);
		assert_int_equal(run.report.empty_root, (namespaces & CLONE_NEWNS) != 0);
		assert_string_equal(run.report.missing, cases[i].namespaces ? "" : "namespaces");
		assert_attempts(run.report.before_seccomp, cases[i].before, "before seccomp");
		assert_attempts(run.report.after, cases[i].after, "after");

		struct err err = {0};
		int verdict = confine_judge(&run.report, "x", STR_EMPTY, &err);
		assert_int_equal(verdict, cases[i].namespaces ? 0 : -1);
		assert_int_equal(confine_judge(&run.report, "x", S("namespaces"), NULL), 0);
	}
}

static void nothing_escapes(void **state)
{
	(void)state;
	if (!machine_confines)
		skip_because("this machine does not confine");
	AUTO_FD listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = abstract_address(getpid());
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 1), 0);
	for (int column = 0; column < COLUMNS; column++) {
		static struct run run;
		run_inside(&run, "battery", column, policies[column == SERVING ? SERVE : column]->namespaces);
		struct str rest = str_from(run.text);
		for (size_t i = 0; i < ARRAY_LEN(battery); i++) {
			char expected[128];
			struct str line;
			snprintf(expected, sizeof expected, "%s %d", battery[i].name, battery[i].errors[column]);
			rest = str_cut(rest, '\n', &line);
			if (!str_eq(line, str_from(expected)))
				fail_msg("policy %s: '%.*s', not '%s'", policies[column]->name, STR_FMT(line),
					 expected);
		}
		assert_int_equal(rest.n, 0);
		assert_int_equal(run.child.exit_status, 0);
	}
}

static void whatever_is_not_listed_is_refused(void **state)
{
	(void)state;
	for (int column = 0; column < COLUMNS; column++) {
		static struct run run;
		run_inside(&run, "sweep", column, policies[column == SERVING ? SERVE : column]->namespaces);
		assert_string_equal(run.text, "tried all, 0 let through\n");
	}
}

static void egress_can_do_its_work(void **state)
{
	(void)state;
	AUTO_FD listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof address;
	assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n), 0);
	told_port = address.sin_port;
	static struct run run;
	run_inside(&run, "reach_out", EGRESS, confine_egress.namespaces);
	told_port = 0;
	assert_string_equal(run.text, "connected 0, certificates 0\n");
}

static void the_second_table_binds_all_threads(void **state)
{
	(void)state;
	static struct run run;
	run_inside(&run, "tighten", SERVE, confine_runner_serve.namespaces);
	char expected[64];
	snprintf(expected, sizeof expected, "before 0, then %d here and %d there\n", EPERM, EPERM);
	assert_string_equal(run.text, expected);
}

static void compiling_runs_out_of_memory_with_an_error(void **state)
{
	(void)state;
	if (CONFINE_SANITIZED)
		skip_because("a sanitizer needs address space of its own");
	static struct run run;
	run_inside(&run, "exhaust_memory", COMPILE, confine_runner_compile.namespaces);
	char expected[64];
	snprintf(expected, sizeof expected, "refused with errno %d\n", ENOMEM);
	assert_string_equal(run.text, expected);
}

static void the_doors_of_other_machine_words_end_the_process(void **state)
{
	(void)state;
#if defined(__x86_64__)
	static const char *const doors[] = {"old_door", "x32_door"};
	for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
		static struct run run;
		run_inside(&run, doors[i], SERVE, confine_runner_serve.namespaces);
		assert_string_equal(run.text, "");
		/* A kernel without the old door ends it all the same. */
		assert_true(run.child.term_signal == SIGSYS || run.child.term_signal == SIGSEGV);
	}
#else
	skip_because("no other machine words here");
#endif
}

/* Nobody holds the other end of the socket once the orphan has gone too. */
static void a_confined_process_dies_with_its_parent(void **state)
{
	(void)state;
	int sockets[2];
	assert_int_equal(child_socketpair(sockets, NULL), 0);
	char namespaces[24];
	snprintf(namespaces, sizeof namespaces, "%llu", (unsigned long long)confine_runner_serve.namespaces);
	const char *words[] = {"test_confine", "leave_behind", "1", "0", namespaces, NULL};
	AUTO_CHILD child = CHILD_INIT;
	child.path = "/proc/self/exe";
	child.argv = words;
	child.fds[child.n_fds++] = (struct child_fd){sockets[1], OUT};
	assert_int_equal(child_start(&child, NULL), 0);
	close(sockets[1]);
	static char text[4096];
	read_all(sockets[0], text, sizeof text);
	close(sockets[0]);
}

/* ---- the root, the capabilities and the rest, seen with a policy that allows looking */

static const struct confine_syscall looking[] = {
	{SCMP_SYS(newfstatat), {{0, 0, 0}}},
	{SCMP_SYS(mkdirat), {{0, 0, 0}}},
	{SCMP_SYS(mkdir), {{0, 0, 0}}},
	{SCMP_SYS(capget), {{0, 0, 0}}},
	{SCMP_SYS(write), {{0, 0, 0}}},
	{SCMP_SYS(prctl), {{0, 0, 0}}},
	{SCMP_SYS(exit_group), {{0, 0, 0}}},
	{SCMP_SYS(prlimit64), {{0, 0, 0}}},
	{SCMP_SYS(getpid), {{0, 0, 0}}},
	{SCMP_SYS(munmap), {{0, 0, 0}}},
	{SCMP_SYS(mmap), {{0, 0, 0}}},
	{SCMP_SYS(futex), {{0, 0, 0}}},
	{-1, {{0, 0, 0}}},
};
static const struct confine_syscall *const looking_calls[] = {looking, NULL};
static const struct confine_rlimit looking_rlimits[] = {{RLIMIT_CORE, 0}, {RLIMIT_NOFILE, 64}, {-1, 0}};

static int look_around(char **argv)
{
	const struct confine_policy policy = {
		.name = "looking", .namespaces = CLONE_NEWNS, .syscalls = looking_calls, .rlimits = looking_rlimits};
	struct confine_options options = {.keep_fds = OUT + 1, .namespaces = (uint64_t)number_of(argv[4])};
	struct confine_report report;
	if (confine_apply(&policy, &options, &report, NULL) != 0)
		return 1;
	struct stat info;
	say("passwd %d\n", TRY(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &info, 0));
	say("proc %d\n", TRY(SYS_newfstatat, AT_FDCWD, "/proc", &info, 0));
	say("above %d\n", TRY(SYS_newfstatat, AT_FDCWD, "/../../etc", &info, 0));
	say("make %d\n", TRY(SYS_mkdirat, AT_FDCWD, "/made", 0700));
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {{1, 1, 1}};
	say("capget %d\n", TRY(SYS_capget, &header, caps));
	say("caps %x %x %x\n", caps[0].effective | caps[1].effective, caps[0].permitted | caps[1].permitted,
	    caps[0].inheritable | caps[1].inheritable);
	say("dumpable %d\n", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	int death = 0;
	prctl(PR_GET_PDEATHSIG, &death, 0, 0, 0);
	say("death %d\n", death);
	struct rlimit core, files;
	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_NOFILE, &files);
	say("core %d files %d\n", (int)core.rlim_max, (int)files.rlim_max);
	return 0;
}

static void the_root_is_empty_and_the_rights_are_gone(void **state)
{
	(void)state;
	if (!machine_confines)
		skip_because("this machine does not confine");
	int sockets[2];
	assert_int_equal(child_socketpair(sockets, NULL), 0);
	char namespaces[24];
	snprintf(namespaces, sizeof namespaces, "%u", CLONE_NEWUSER | CLONE_NEWNS);
	const char *words[] = {"test_confine", "look_around", "0", "0", namespaces, NULL};
	AUTO_CHILD child = CHILD_INIT;
	child.path = "/proc/self/exe";
	child.argv = words;
	child.namespaces = CLONE_NEWUSER | CLONE_NEWNS;
	child.fds[child.n_fds++] = (struct child_fd){sockets[1], OUT};
	assert_int_equal(child_start(&child, NULL), 0);
	close(sockets[1]);
	char text[4096], expected[512];
	read_all(sockets[0], text, sizeof text);
	close(sockets[0]);
	snprintf(expected, sizeof expected,
		 "passwd %d\nproc %d\nabove %d\nmake %d\ncapget 0\ncaps 0 0 0\ndumpable 0\ndeath %d\ncore 0 files 64\n",
		 ENOENT, ENOENT, ENOENT, EROFS, SIGKILL);
	assert_string_equal(text, expected);
}

/* What is above the folder, and folders and programs in it, by Landlock and seccomp alone. */
static void without_namespaces_the_folder_is_the_limit(void **state)
{
	(void)state;
	static const struct {
		const char *act;
		int error;
	} expected[] = {
		{"open_passwd", EACCES},
		{"open_above_folder", EACCES},
		{"write_above_folder", EACCES},
		{"open_own_memory", EACCES},
		{"open_device", EACCES},
		{"make_file", 0},
		{"name_file_twice", 0},
		{"rename_own_file", 0},
		{"lock_file", 0},
		{"map_file", 0},
		{"execute_own_file", EPERM},
		{"list_folder", 0},
		{"remove_own_files", 0},
		{"open_for_writing", EACCES},
		{"connect_to_abstract_address", EPERM},
	};
	if (!machine_confines)
		skip_because("this machine does not confine");
	for (int column = CONTROL; column <= KEEPER; column++) {
		static struct run run;
		run_inside(&run, "battery", column, 0);
		for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
			char line[64];
			snprintf(line, sizeof line, "\n%s %d\n", expected[i].act, expected[i].error);
			if (strstr(run.text, line) == NULL)
				fail_msg("not '%s %d' but '%.30s'", expected[i].act, expected[i].error,
					 strstr(run.text, expected[i].act));
		}
	}
}

static int learn_about_machine(void **state)
{
	(void)state;
	snprintf(own_folder_path, sizeof own_folder_path, "/tmp/test_confine-XXXXXX");
	if (mkdtemp(own_folder_path) == NULL)
		return -1;
	own_folder = open(own_folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct run run = {0};
	run_inside(&run, "report", SERVE, confine_runner_serve.namespaces);
	machine_confines = run.report.missing[0] == '\0' && run.report.landlock_abi >= 6;
	if (!machine_confines)
		print_message("this machine lacks: '%s' (Landlock ABI %d); tests that need them are skipped\n",
			      run.report.missing, run.report.landlock_abi);
	return 0;
}

/* Fails, and shows so, when a test left something in the folder. */
static int remove_folder(void **state)
{
	(void)state;
	close(own_folder);
	return rmdir(own_folder_path);
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "leave_behind") == 0)
		return leave_behind(argv);
	if (argc == 5 && strcmp(argv[1], "look_around") == 0)
		return look_around(argv);
	if (argc == 5)
		return be_confined(argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_probe_fails_as_it_should),
		cmocka_unit_test(nothing_escapes),
		cmocka_unit_test(whatever_is_not_listed_is_refused),
		cmocka_unit_test(egress_can_do_its_work),
		cmocka_unit_test(the_second_table_binds_all_threads),
		cmocka_unit_test(compiling_runs_out_of_memory_with_an_error),
		cmocka_unit_test(the_doors_of_other_machine_words_end_the_process),
		cmocka_unit_test(a_confined_process_dies_with_its_parent),
		cmocka_unit_test(the_root_is_empty_and_the_rights_are_gone),
		cmocka_unit_test(without_namespaces_the_folder_is_the_limit),
	};
	return cmocka_run_group_tests(tests, learn_about_machine, remove_folder);
}
