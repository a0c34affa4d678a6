#include "daemon/spawn.h"
#include "base/time.h"
#include "daemon/ready.h"
#include "daemon/state_dir.h"
#include "os/child.h"
#include "os/file.h"
#include "os/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define POLL_MS    10   /* between looks at what another starter does */
#define AWAITED_MS 2000 /* for a service manager, of the time that a start has */

extern char **environ;

static uint64_t deadline(unsigned ms)
{
	return clock_monotonic_ns(NULL) + ms * TIME_MILLISECOND;
}

static int ms_left(uint64_t until)
{
	return time_ms_until(until, clock_monotonic_ns(NULL));
}

/* Ours without what is not to be inherited, and what child.h says; the strings stay where they are. A fresh array. */
static const char **clean_environment(void)
{
	static const char *const kept_back[] = {
		"AILERON_VAULT_PASSPHRASE=", "LISTEN_PID=", "LISTEN_FDS=", "NOTIFY_SOCKET=", "LD_BIND_NOW="};
	size_t n = 0, kept = 0;
	while (environ[n] != NULL)
		n++;
	const char **clean = xcalloc(n + 2, sizeof *clean);
	for (size_t i = 0; i < n; i++) {
		bool keep = true;
		for (size_t j = 0; j < ARRAY_LEN(kept_back); j++)
			keep = keep && !str_starts(str_from(environ[i]), str_from(kept_back[j]));
		if (keep)
			clean[kept++] = environ[i];
	}
	clean[kept] = CHILD_BIND_NOW;
	return clean;
}

static int open_log(const char *state_dir, struct err *err)
{
	AUTO_FREE char *path = state_dir_file(state_dir, "daemon.log");
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	return fd >= 0 ? fd : fail_errno(err, "cannot open '%s'", path);
}

static int start(const struct daemon_spawn_options *options, const struct lock *lock, int ready, struct err *err)
{
	AUTO_FD log = open_log(options->state_dir, err);
	if (log < 0)
		return -1;
	AUTO_FD null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null_fd < 0)
		return fail_errno(err, "cannot open '/dev/null'");
	AUTO_FREE const char **envp = clean_environment();
	const char *argv[] = {"aileron", "daemon", "run", DAEMON_SPAWNED_FLAG, NULL};
	AUTO_CHILD child = CHILD_INIT;
	child.path = options->program != NULL ? options->program : "/proc/self/exe";
	child.argv = argv;
	child.envp = envp;
	child.detached = true;
	child.fds[child.n_fds++] = (struct child_fd){null_fd, STDIN_FILENO};
	child.fds[child.n_fds++] = (struct child_fd){log, STDOUT_FILENO};
	child.fds[child.n_fds++] = (struct child_fd){log, STDERR_FILENO};
	child.fds[child.n_fds++] = (struct child_fd){lock->fd, DAEMON_FD_LOCK};
	child.fds[child.n_fds++] = (struct child_fd){ready, DAEMON_FD_READY};
	return child_start(&child, err);
}

/* With the lock held, which goes over to the daemon. */
static int start_and_wait(const struct daemon_spawn_options *options, const struct lock *lock, uint64_t until,
			  struct err *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return fail_errno(err, "cannot make a pipe for the daemon");
	AUTO_FD reading = ends[0];
	AUTO_FD writing = ends[1];
	if (start(options, lock, writing, err) != 0)
		return wrap(err, "starting the daemon");
	close(TAKE_FD(writing)); /* its end is the daemon's alone, so that its death is seen */
	int verdict = ready_wait(reading, ms_left(until), err);
	if (verdict == 1)
		return 0;
	return verdict == 0 ? -1 : wrap(err, "see '%s/daemon.log'", options->state_dir);
}

/*
 * A service manager that listens on daemon.sock starts a daemon by itself when somebody connects. The children of a daemon
 * that was killed hold its listener for a moment longer; whoever made that one is dead.
 */
static bool is_awaited(const char *state_dir)
{
	AUTO_FD fd = discovery_connect(state_dir, NULL);
	struct ucred maker;
	socklen_t n = sizeof maker;
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &maker, &n) != 0)
		return false;
	AUTO_FD pidfd = (int)syscall(SYS_pidfd_open, maker.pid, 0);
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};
	return pidfd >= 0 && poll(&ended, 1, 0) == 0;
}

/* A start under way, seen by one that starts too. */
struct attempt {
	const struct daemon_spawn_options *options;
	uint64_t until;   /* when to give up */
	uint64_t awaited; /* until when a service manager has time to start it; 0 = not looked yet */
};

/* 1 started, 0 somebody else is at it, -1. */
static int try_to_start(struct attempt *attempt, struct err *err)
{
	if (clock_monotonic_ns(NULL) < attempt->awaited) /* it is about to take the lock */
		return 0;
	const char *state_dir = attempt->options->state_dir;
	AUTO_LOCK lock = LOCK_INIT;
	AUTO_FREE char *path = state_dir_file(state_dir, "daemon.lock");
	int got = lock_try(&lock, path, LOCK_ALONE, err);
	if (got != 1)
		return got;
	if (attempt->awaited == 0 && is_awaited(state_dir)) {
		attempt->awaited = deadline(AWAITED_MS);
		return 0;
	}
	return start_and_wait(attempt->options, &lock, attempt->until, err) == 0 ? 1 : -1;
}

int daemon_spawn(const struct daemon_spawn_options *options, struct discovery *ret, struct err *err)
{
	if (file_make_private_folder(options->state_dir, err) != 0)
		return -1;
	unsigned wait_ms = options->wait_ms != 0 ? options->wait_ms : DAEMON_SPAWN_MS;
	struct attempt attempt = {.options = options, .until = deadline(wait_ms)};
	for (;;) {
		int found = discovery_find(options->state_dir, options->ask, options->context, ret, err);
		if (found != 0)
			return found == 1 ? 0 : -1;
		if (ms_left(attempt.until) == 0)
			return discovery_refuse(options->state_dir, err);
		int started = try_to_start(&attempt, err);
		if (started < 0)
			return -1;
		if (started == 0)
			(void)poll(NULL, 0, POLL_MS);
	}
}

/* ---- stopping */

/* A dead daemon's files mean nothing and are in the way of none; a starting one's are not there yet. */
static int remove_stale(const char *state_dir, struct err *err)
{
	AUTO_LOCK lock = LOCK_INIT;
	AUTO_FREE char *path = state_dir_file(state_dir, "daemon.lock");
	int got = lock_try(&lock, path, LOCK_ALONE, err);
	if (got == 1)
		discovery_remove(state_dir);
	return got < 0 ? -1 : 0;
}

/* 1 it has ended, 0 not within the time, -1. */
static int wait_for_end(int pidfd, uint64_t until, struct err *err)
{
	for (;;) {
		struct pollfd ended = {.fd = pidfd, .events = POLLIN};
		int n = poll(&ended, 1, ms_left(until));
		if (n >= 0)
			return n;
		if (errno != EINTR)
			return fail_errno(err, "cannot wait for the daemon");
	}
}

static int stop_process(const char *state_dir, int pid, uint64_t until, struct err *err)
{
	AUTO_FD pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 && errno != ESRCH)
		return fail_errno(err, "cannot find the daemon, process %d", pid);
	if (pidfd < 0)
		return remove_stale(state_dir, err);
	/* The descriptor stands for one process: were the number another's by now, the lock would be free. */
	int locked = discovery_is_locked(state_dir, err);
	if (locked != 1)
		return locked < 0 ? -1 : remove_stale(state_dir, err);
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) != 0 && errno != ESRCH)
		return fail_errno(err, "cannot stop the daemon, process %d", pid);
	int ended = wait_for_end(pidfd, until, err);
	if (ended == 0)
		return fail(err, ERR_UNREACHABLE, "the daemon, process %d, did not stop in time", pid);
	if (ended < 0 || remove_stale(state_dir, err) != 0)
		return -1;
	return 1;
}

/* The process that daemon.json names, else daemon.pid: 0 while neither does. */
static int daemon_pid(const char *state_dir)
{
	AUTO_DISCOVERY found = {0};
	return discovery_read(state_dir, &found, NULL) == 1 ? found.pid : discovery_pid(state_dir);
}

int daemon_stop(const char *state_dir, unsigned wait_ms, struct err *err)
{
	uint64_t until = deadline(wait_ms != 0 ? wait_ms : DAEMON_STOP_MS);
	uint64_t named = MIN(until, deadline(DAEMON_NAMELESS_MS));
	for (;;) {
		int locked = discovery_is_locked(state_dir, err);
		if (locked < 0)
			return -1;
		if (locked == 0) {
			AUTO_FREE char *lock = state_dir_file(state_dir, "daemon.lock");
			return access(lock, F_OK) == 0 ? remove_stale(state_dir, err) : 0;
		}
		int pid = daemon_pid(state_dir);
		if (pid > 0) {
			int stopped = stop_process(state_dir, pid, until, err);
			if (stopped != 0)
				return stopped;
		}
		if (ms_left(named) == 0)
			return discovery_refuse(state_dir, err);
		(void)poll(NULL, 0, POLL_MS); /* it is starting, or just ending */
	}
}
