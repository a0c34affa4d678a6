#include "confine/steps.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/*
 * Each act returns the errno it failed with, or 0 when it was let through; whatever it brought about is undone. What is
 * asked is whether a wall stood in the way: a connection that nobody answers was let through all the same.
 */
struct probe {
	int parent_pid;
	bool parent_unseen; /* we are the first of a pid namespace: the parent has no number in it */
	int own_folder;     /* -1 = none */
	int fork_error;     /* found by act_exec() for act_fork(), which comes later */
};

/* By its name, and from the process's own folder upwards, deeper than folders of states lie. */
static int act_open_file(struct probe *probe)
{
	AUTO_FD fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 || probe->own_folder < 0)
		return fd >= 0 ? 0 : errno;
	int error = errno;
	AUTO_FD climbed =
		openat(probe->own_folder, "../../../../../../../../../../../../etc/passwd", O_RDONLY | O_CLOEXEC);
	return climbed >= 0 ? 0 : error;
}

static int try_to_make(int folder, const char *prefix)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	char path[64];
	snprintf(path, sizeof path, "%s/.aileron-probe-%d-%ld", prefix, (int)getpid(), now.tv_nsec);
	AUTO_FD fd = openat(folder, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	unlinkat(folder, path, 0);
	return 0;
}

/* Where the own folder is the root, the folder above it is itself, and may be written. */
static bool is_root(int folder)
{
	struct stat here, above;
	return fstat(folder, &here) == 0 && fstatat(folder, "..", &above, 0) == 0 && here.st_dev == above.st_dev &&
	       here.st_ino == above.st_ino;
}

static int act_write_file(struct probe *probe)
{
	int error = try_to_make(AT_FDCWD, "/tmp");
	if (error == 0 || probe->own_folder < 0 || is_root(probe->own_folder))
		return error;
	return try_to_make(probe->own_folder, "..") == 0 ? 0 : error;
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

/* Port 1 has had no service for decades. A refusal by its absence means that the attempt went through. */
static int act_connect(struct probe *probe)
{
	(void)probe;
	AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	struct sockaddr_in address = loopback(1);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return 0;
	bool through = errno == ECONNREFUSED || errno == EINPROGRESS || errno == ETIMEDOUT;
	return through ? 0 : errno;
}

static int act_listen(struct probe *probe)
{
	(void)probe;
	AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	struct sockaddr_in address = loopback(0);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
		return errno;
	return listen(fd, 1) == 0 ? 0 : errno;
}

#define EXEC_PATH "/bin/true"
static const char *const exec_words[] = {EXEC_PATH, NULL};

/* As in os/child.c: a copy of this process may call nothing but the kernel, and no sanitizer's wrapper. */
__attribute__((no_sanitize("address", "thread", "undefined"))) static long execute_in_copy(void)
{
	long pid = syscall(SYS_clone, (unsigned long)(CLONE_VFORK | SIGCHLD), NULL, NULL, NULL, NULL);
	if (pid == 0) {
		syscall(SYS_execve, EXEC_PATH, exec_words, exec_words + 1);
		for (;;)
			syscall(SYS_exit_group, errno);
	}
	return pid;
}

static int reap(long pid)
{
	int status = 0;
	while (waitpid((pid_t)pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

/*
 * Two acts in one, since making a process is the dearest part of the probe. Where one can be made, that one tries to
 * execute, and its exit status is the errno. Where none can be made, this process tries itself: were that let through, it
 * would be no more, its parent would see the socket close before any report, and refuse it.
 */
static int act_exec(struct probe *probe)
{
	long pid = execute_in_copy();
	probe->fork_error = pid > 0 ? 0 : errno;
	if (pid > 0)
		return reap(pid);
	syscall(SYS_execve, EXEC_PATH, exec_words, exec_words + 1);
	return errno;
}

static int act_signal(struct probe *probe)
{
	if (probe->parent_unseen)
		return ESRCH;
	return kill(probe->parent_pid, 0) == 0 ? 0 : errno;
}

static int act_ptrace(struct probe *probe)
{
	if (probe->parent_unseen)
		return ESRCH;
	if (ptrace(PTRACE_SEIZE, probe->parent_pid, NULL, NULL) != 0)
		return errno;
	/* It may be let go only while it is stopped. */
	ptrace(PTRACE_INTERRUPT, probe->parent_pid, NULL, NULL);
	waitpid(probe->parent_pid, NULL, __WALL);
	ptrace(PTRACE_DETACH, probe->parent_pid, NULL, NULL);
	return 0;
}

static int act_fork(struct probe *probe)
{
	return probe->fork_error;
}

void probe_acts(const struct confine_policy *policy, const struct confine_options *options, uint64_t namespaces,
		struct confine_attempt ret[CONFINE_ACT__MAX])
{
	static int (*const acts[CONFINE_ACT__MAX])(struct probe *) = {
		[CONFINE_OPEN_FILE] = act_open_file, [CONFINE_WRITE_FILE] = act_write_file,
		[CONFINE_CONNECT] = act_connect,     [CONFINE_LISTEN] = act_listen,
		[CONFINE_EXEC] = act_exec,           [CONFINE_SIGNAL] = act_signal,
		[CONFINE_PTRACE] = act_ptrace,       [CONFINE_FORK] = act_fork,
	};
	/* A parent that is process 1 outside has the number that we have inside. */
	struct probe probe = {
		.parent_pid = options->parent_pid,
		.own_folder = options->own_folder > 0 ? options->own_folder : -1,
		.parent_unseen = (namespaces & CLONE_NEWPID) != 0 && options->parent_pid == getpid(),
	};
	for (int act = 0; act < CONFINE_ACT__MAX; act++) {
		bool parent_unknown = options->parent_pid == 0 && (act == CONFINE_SIGNAL || act == CONFINE_PTRACE);
		bool permitted = policy->connects && act == CONFINE_CONNECT;
		ret[act].tried = !parent_unknown && !permitted;
		if (ret[act].tried)
			ret[act].error = acts[act](&probe);
	}
}
