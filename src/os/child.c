#include "os/child.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/*
 * Between clone and exec the child is a copy of a program that may have other threads: whatever lock those held stays
 * locked for ever. It therefore calls nothing but the kernel, by number, which also keeps the sanitizers' wrappers out.
 *
 * It is a copy (no CLONE_VM), so it may change its own dumpable flag and cannot harm the parent's stack. The parent
 * sleeps until the exec (CLONE_VFORK): nothing is copied on write behind the child's back, and when clone returns, the
 * exec has happened or its error is in the pipe. The plain clone is used, not clone3, which containers and valgrind
 * answer with ENOSYS.
 */

#define WITHOUT_SANITIZER __attribute__((no_sanitize("address", "thread", "undefined")))

enum start_step {
	STEP_DESCRIPTORS,
	STEP_SIGNALS,
	STEP_PARENT,
	STEP_NAMESPACES,
	STEP_EXEC,
};

static const char *const step_names[] = {
	[STEP_DESCRIPTORS] = "arranging descriptors for",
	[STEP_SIGNALS] = "resetting signals for",
	[STEP_PARENT] = "binding to its parent",
	[STEP_NAMESPACES] = "entering namespaces for",
	[STEP_EXEC] = "cannot execute",
};

/* What goes through the pipe when the child gives up. */
struct start_failure {
	int32_t step;
	int32_t error;
};

/* Everything the child needs, made by the parent, so that the child computes little. */
struct start_plan {
	const struct child *child;
	const char *const *envp;
	int program; /* -1 = by path */
	int report;  /* write end of the pipe */
	int parent;  /* a pidfd of the parent: readable when it has died */
	int first;   /* lowest number above every target descriptor */
	char uid_map[32], gid_map[32];
	size_t uid_map_n, gid_map_n;
};

/* The kernel's own form of an action; zero is SIG_DFL without flags. */
struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};
#define KERNEL_SIGSET_BYTES 8
#define SIGNALS_MAX         64

WITHOUT_SANITIZER static int plan_descriptors(struct start_plan *plan)
{
	const struct child *child = plan->child;
	int moved[CHILD_FDS_MAX];

	/* All sources move above all targets first, so that no dup hits one that is still wanted. */
	plan->report = (int)syscall(SYS_fcntl, plan->report, F_DUPFD_CLOEXEC, plan->first);
	plan->parent = (int)syscall(SYS_fcntl, plan->parent, F_DUPFD_CLOEXEC, plan->first);
	if (plan->program >= 0)
		plan->program = (int)syscall(SYS_fcntl, plan->program, F_DUPFD_CLOEXEC, plan->first);
	if (plan->report < 0 || plan->parent < 0 || (plan->program < 0 && child->program_fd >= 0))
		return -1;
	for (size_t i = 0; i < child->n_fds; i++) {
		moved[i] = (int)syscall(SYS_fcntl, child->fds[i].from, F_DUPFD_CLOEXEC, plan->first);
		if (moved[i] < 0)
			return -1;
	}
	/* Nothing survives the exec but what is put in its place now. */
	if (syscall(SYS_close_range, 0U, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
		return -1;
	for (size_t i = 0; i < child->n_fds; i++) {
		if (syscall(SYS_dup3, moved[i], child->fds[i].to, 0) < 0)
			return -1;
	}
	return 0;
}

/* An ignored signal stays ignored across exec, so each is set; the handlers would go by themselves. */
WITHOUT_SANITIZER static int plan_signals(void)
{
	struct kernel_sigaction defaults = {0};
	for (int sig = 1; sig <= SIGNALS_MAX; sig++) {
		if (sig != SIGKILL && sig != SIGSTOP)
			(void)syscall(SYS_rt_sigaction, sig, &defaults, NULL, KERNEL_SIGSET_BYTES);
	}
	uint64_t none = 0;
	return (int)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, KERNEL_SIGSET_BYTES);
}

/* In a pid namespace getppid() says 0, so the parent's life is asked of its pidfd. */
WITHOUT_SANITIZER static int plan_parent(const struct start_plan *plan)
{
	if (plan->child->detached)
		return (int)syscall(SYS_setsid) < 0 ? -1 : 0;
	if (syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return -1;
	struct pollfd died = {.fd = plan->parent, .events = POLLIN};
	struct timespec now = {0};
	if (syscall(SYS_ppoll, &died, 1, &now, NULL, KERNEL_SIGSET_BYTES) > 0)
		syscall(SYS_exit_group, 1);
	return 0;
}

WITHOUT_SANITIZER static int put_file(const char *path, const char *bytes, size_t n)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	ssize_t put = syscall(SYS_write, fd, bytes, n);
	int error = errno;
	syscall(SYS_close, fd);
	errno = error;
	return put == (ssize_t)n ? 0 : -1;
}

/*
 * The right to mount, and no other, goes through the exec when there is a mount namespace: the program uses it to get
 * rid of its root and then drops it. It reaches no further than the child's own user namespace.
 */
WITHOUT_SANITIZER static int keep_mount_right(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {{0}};
	if (syscall(SYS_capget, &header, caps) != 0)
		return -1;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		caps[i].inheritable = 0;
	caps[CAP_TO_INDEX(CAP_SYS_ADMIN)].inheritable = CAP_TO_MASK(CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &header, caps) != 0)
		return -1;
	return (int)syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0);
}

/*
 * The maps are files under /proc/self, which belong to root while the process is not dumpable, as our programs are;
 * the flag is this copy's own and falls back at once. setgroups must be denied before an ordinary user may map a group.
 */
WITHOUT_SANITIZER static int plan_namespaces(const struct start_plan *plan)
{
	if (plan->child->namespaces == 0)
		return 0;
	int dumpable = (int)syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
	if (dumpable != 1 && syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
		return -1;
	if (put_file("/proc/self/setgroups", "deny", 4) != 0 ||
	    put_file("/proc/self/uid_map", plan->uid_map, plan->uid_map_n) != 0 ||
	    put_file("/proc/self/gid_map", plan->gid_map, plan->gid_map_n) != 0)
		return -1;
	if (dumpable != 1 && syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return -1;
	return (plan->child->namespaces & CLONE_NEWNS) != 0 ? keep_mount_right() : 0;
}

WITHOUT_SANITIZER static enum start_step carry_out(struct start_plan *plan)
{
	if (plan_descriptors(plan) != 0)
		return STEP_DESCRIPTORS;
	if (plan_signals() != 0)
		return STEP_SIGNALS;
	if (plan_namespaces(plan) != 0)
		return STEP_NAMESPACES;
	if (plan_parent(plan) != 0) /* last: changing credentials would clear the signal */
		return STEP_PARENT;
	if (plan->program >= 0)
		syscall(SYS_execveat, plan->program, "", plan->child->argv, plan->envp, AT_EMPTY_PATH);
	else
		syscall(SYS_execve, plan->child->path, plan->child->argv, plan->envp);
	return STEP_EXEC;
}

WITHOUT_SANITIZER static _Noreturn void run_child(struct start_plan *plan)
{
	struct start_failure failure = {.step = (int32_t)carry_out(plan)};
	failure.error = errno;
	syscall(SYS_write, plan->report, &failure, sizeof failure);
	for (;;)
		syscall(SYS_exit_group, 127);
}

static void plan_maps(struct start_plan *plan)
{
	unsigned uid = geteuid(), gid = getegid();
	plan->uid_map_n = (size_t)snprintf(plan->uid_map, sizeof plan->uid_map, "%u %u 1", uid, uid);
	plan->gid_map_n = (size_t)snprintf(plan->gid_map, sizeof plan->gid_map, "%u %u 1", gid, gid);
}

/* The raw call: libc's fork would run handlers, and its clone() wants a stack. */
static pid_t clone_copy(uint64_t namespaces, int *ret_pidfd)
{
	uint64_t flags = CLONE_PIDFD | CLONE_VFORK | SIGCHLD | namespaces;
	return (pid_t)syscall(SYS_clone, flags, NULL, ret_pidfd, NULL, NULL);
}

static int reap(struct child *child, int ms);

/*
 * One attempt with child->namespaces as they stand. 0 started; -1 with errno and *ret_step (STEP_NAMESPACES also when
 * it was clone itself that refused them).
 */
static int try_start(struct child *child, struct start_plan *plan, enum start_step *ret_step)
{
	int pipe_fds[2];
	*ret_step = child->namespaces != 0 ? STEP_NAMESPACES : STEP_EXEC;
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) != 0) {
		*ret_step = STEP_DESCRIPTORS;
		return -1;
	}
	AUTO_FD reading = pipe_fds[0];
	AUTO_FD writing = pipe_fds[1];
	plan->report = writing;
	plan->program = child->program_fd;

	/* No handler of ours may run in the copy before its signals are at their defaults. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int pidfd = -1;
	pid_t pid = clone_copy(child->namespaces, &pidfd);
	if (pid == 0)
		run_child(plan);
	int error = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0) {
		errno = error;
		return -1;
	}

	child->pid = pid;
	child->pidfd = pidfd;
	child->ended = false;
	struct start_failure failure;
	if (read(reading, &failure, sizeof failure) != (ssize_t)sizeof failure)
		return 0;
	(void)reap(child, -1); /* it is about to end by itself */
	child_release(child);
	*ret_step = (enum start_step)failure.step;
	errno = failure.error;
	return -1;
}

static bool is_refusal(int error)
{
	return error == EPERM || error == EACCES || error == ENOSPC || error == EINVAL || error == EUSERS ||
	       error == ENOSYS || error == ENOENT;
}

static int check(const struct child *child)
{
	if (child->path == NULL || child->argv == NULL || child->argv[0] == NULL)
		BUG("a child without a path or arguments");
	if (child->n_fds > CHILD_FDS_MAX)
		BUG("%zu descriptors for a child", child->n_fds);
	int first = 3;
	for (size_t i = 0; i < child->n_fds; i++) {
		if (child->fds[i].from < 0 || child->fds[i].to < 0)
			BUG("descriptor %d as %d for a child", child->fds[i].from, child->fds[i].to);
		first = MAX(first, child->fds[i].to + 1);
	}
	return first;
}

int child_start(struct child *child, struct err *err)
{
	static const char *const of_ours[] = {CHILD_BIND_NOW, NULL};
	int first = check(child);
	AUTO_FD parent = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (parent < 0)
		return fail_errno(err, "cannot watch this process for '%s'", child->path);
	struct start_plan plan = {
		.child = child,
		.envp = child->envp != NULL ? child->envp : of_ours,
		.parent = parent,
		.first = first,
	};
	plan_maps(&plan);

	uint64_t wanted = child->namespaces;
	if (wanted != 0)
		child->namespaces |= CLONE_NEWUSER;
	enum start_step step;
	int result = try_start(child, &plan, &step);
	if (result == 0) {
		child->ret_namespaces = child->namespaces;
	} else if (wanted != 0 && step == STEP_NAMESPACES && is_refusal(errno)) {
		child->namespaces = 0;
		result = try_start(child, &plan, &step);
		child->ret_namespaces = 0;
	}
	child->namespaces = wanted;
	if (result == 0)
		return 0;
	return fail_errno(err, "%s '%s'", step_names[step], child->path);
}

static void note_end(struct child *child, const siginfo_t *info)
{
	child->ended = true;
	bool exited = info->si_code == CLD_EXITED;
	child->exit_status = exited ? info->si_status : -1;
	child->term_signal = exited ? 0 : info->si_status;
}

/* poll() for at most `ms` whatever interrupts it: 1, 0, -1 with errno. */
static int poll_pidfd(int pidfd, int ms)
{
	struct timespec start, now;
	clock_gettime(CLOCK_MONOTONIC, &start);
	int left = ms;
	for (;;) {
		struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
		int ready = poll(&poll_fd, 1, left);
		if (ready >= 0 || errno != EINTR)
			return ready;
		if (ms <= 0)
			continue;
		clock_gettime(CLOCK_MONOTONIC, &now);
		int64_t passed = (int64_t)(now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
		left = passed >= ms ? 0 : (int)(ms - passed);
	}
}

/* A loop makes the pidfd non-blocking, whereupon waitid() does not wait either; so it is polled first. */
static int reap(struct child *child, int ms)
{
	int ready = poll_pidfd(child->pidfd, ms);
	if (ready <= 0)
		return ready;
	siginfo_t info = {0};
	if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED) != 0)
		return -1;
	note_end(child, &info);
	return 1;
}

int child_wait(struct child *child, int ms, struct err *err)
{
	if (child->ended)
		return 1;
	if (child->pid == 0)
		BUG("waiting for a child that was not started");
	int result = reap(child, ms);
	return result >= 0 ? result : fail_errno(err, "cannot wait for process %d", (int)child->pid);
}

void child_kill(struct child *child, int sig)
{
	if (child->pid != 0 && !child->ended)
		(void)syscall(SYS_pidfd_send_signal, child->pidfd, sig, NULL, 0);
}

void child_release(struct child *child)
{
	if (child->pid != 0 && !child->ended && !child->detached) {
		child_kill(child, SIGKILL);
		(void)reap(child, -1);
	}
	if (child->pidfd >= 0)
		close(child->pidfd);
	child->pidfd = -1;
	child->pid = 0;
}

const char *child_how_ended(const struct child *child, char *buf, size_t n)
{
	if (!child->ended)
		snprintf(buf, n, "still running");
	else if (child->term_signal != 0)
		snprintf(buf, n, "signal %d (%s)", child->term_signal, sigdescr_np(child->term_signal));
	else
		snprintf(buf, n, "exit status %d", child->exit_status);
	return buf;
}

int child_open_program(const char *path, struct err *err)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	return fd >= 0 ? fd : fail_errno(err, "cannot open the program '%s'", path);
}

char *child_own_program(const char *name, struct err *err)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self);
	if (n < 0 || (size_t)n >= sizeof self) {
		fail_errno(err, "cannot tell where this program lies");
		return NULL;
	}
	struct str folder = {self, (size_t)n};
	size_t slash = str_find_last_char(folder, '/');
	folder.n = slash == STR_NPOS ? 0 : slash;

	AUTO_FREE char *beside = xasprintf("%.*s/%s", STR_FMT(folder), name);
	if (access(beside, X_OK) == 0)
		return TAKE(beside);
	AUTO_FREE char *installed = xasprintf("%.*s/../libexec/aileron/%s", STR_FMT(folder), name);
	if (access(installed, X_OK) == 0)
		return TAKE(installed);
	fail(err, ERR_SYSTEM, "the program '%s' is missing: it is neither '%s' nor '%s'; build or install it", name,
	     beside, installed);
	return NULL;
}

int child_socketpair(int ret[2], struct err *err)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		return fail_errno(err, "cannot make a pair of sockets");
	ret[0] = fds[0];
	ret[1] = fds[1];
	return 0;
}
