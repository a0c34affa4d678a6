/*
 * child: a program of ours (or a tool of the system) as plain data
 *
 * Fill the struct, start it, wait for it. The child gets exactly the descriptors named in `fds`, the arguments and the
 * environment given here and nothing else: every other descriptor is closed, signals are at their defaults and
 * unblocked, and it dies with its parent (PR_SET_PDEATHSIG) unless it is detached. It is held by a pidfd, so a recycled pid is never hit.
 *
 * A program of ours has LD_BIND_NOW alone in its environment. Calls into a library that was not linked to be bound at once
 * are bound when they are first made, and glibc keeps the vector registers on the stack meanwhile. What was copied last is
 * in them, however long ago: a secret would be left where nobody wipes it.
 *
 * The kernel takes the *thread* that started it for its parent: start from one that lives as long as the child should.
 * The first process of a pid namespace is spared every signal that it does not handle, but for SIGKILL, SIGSTOP and
 * faults: end such a child with SIGKILL, and know its abort() by SIGSEGV. Any thread may start children; one object
 * belongs to one thread at a time.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_FDS_MAX  16
#define CHILD_BIND_NOW "LD_BIND_NOW=1"

/* child_start() dups `from` to number `to` in the child. The parent's `from` stays the caller's. */
struct child_fd {
	int from;
	int to;
};

struct child {
	/* in */
	const char *path;        /* of the program; no search in PATH. With program_fd, for messages alone */
	int program_fd;          /* the program itself (no script), opened before, O_PATH will do; -1 = by path */
	const char *const *argv; /* NULL-terminated, argv[0] included */
	const char *const *envp; /* NULL-terminated; NULL = that of a program of ours, as above */
	struct child_fd fds[CHILD_FDS_MAX];
	size_t n_fds;
	uint64_t namespaces; /* CLONE_NEW* flags wanted; see `ret_namespaces` */
	bool detached;       /* a session of its own, which outlives its parent; child_release() lets it be */

	/* out of child_start() */
	pid_t pid;               /* 0 when there is none */
	int pidfd;               /* readable when it has ended */
	uint64_t ret_namespaces; /* those it got: all that were wanted, or none when the kernel refuses them */

	/* out of child_wait() */
	bool ended;
	int exit_status; /* 0-255, or -1 when a signal ended it */
	int term_signal; /* 0 when it exited */
};
#define CHILD_INIT ((struct child){.program_fd = -1, .pidfd = -1})

/*
 * Starts it. With `namespaces` a user namespace (which comes with any other) maps the caller's own user and group to
 * themselves, and nothing else; when the kernel refuses them, the child is started without and ret_namespaces is 0 (the
 * caller decides). With CLONE_NEWNS the program has CAP_SYS_ADMIN in its namespaces, to be dropped by it.
 * SYSTEM when the program cannot be executed (told from the exec itself, with its errno).
 */
int child_start(struct child *child, struct err *err) __attribute__((warn_unused_result));
/* Waits until it has ended and reaps it; at most `ms` milliseconds (-1 = for ever). 1 ended, 0 not yet, -1 error. */
int child_wait(struct child *child, int ms, struct err *err) __attribute__((warn_unused_result));
void child_kill(struct child *child, int sig); /* nothing when it has ended */
/* Kills and reaps (unless it is detached), closes. Safe on CHILD_INIT and twice. */
void child_release(struct child *child);
#define AUTO_CHILD __attribute__((cleanup(child_release))) struct child
/* "exit status 3", "signal 9 (Killed)": into buf, which is returned. */
const char *child_how_ended(const struct child *child, char *buf, size_t n);

/* The program behind a path, opened to be started again and again whatever becomes of the path. A descriptor, or -1. */
int child_open_program(const char *path, struct err *err) __attribute__((warn_unused_result));
/*
 * The path of a program of ours: beside the running executable, else in ../libexec/aileron of it. Returns a fresh string,
 * or NULL with a message that names both places.
 */
char *child_own_program(const char *name, struct err *err) __attribute__((warn_unused_result));
/* A connected pair of stream sockets, close-on-exec. */
int child_socketpair(int ret[2], struct err *err) __attribute__((warn_unused_result));
