/*
 * confine: a process gives up what it must not be able to do, and proves it
 *
 * A policy is data: a row a program (policies.h has ours). confine_apply() carries it out in the calling process, which
 * must still have one thread, in this order, each step named in the report:
 *
 *   0. namespaces, when the policy says that the program enters them by itself
 *   1. not dumpable, no new privileges, parent-death signal, rlimits
 *   2. descriptors: everything from `keep_fds` up is closed
 *   3. namespaces that were not entered are asked of the parent (os/child.h) and only looked at here; inside a
 *      mount namespace the root is replaced when the policy names no paths: by the process's own folder when it has one
 *      (nosuid, nodev), else by an empty, read-only one
 *   4. Landlock: every right of the running ABI is handled; only the policy's paths are allowed, and its own folder: to
 *      read, write, make and remove ordinary files
 *   5. capabilities dropped
 *   6. first probe: each act that must fail is tried, with the walls of 3 to 5 alone
 *   7. seccomp: an allow-list; everything else fails with EPERM (clone3 with ENOSYS, so that libc falls back)
 *   8. second probe, with all walls
 *
 * A process whose memory holds secrets enters its namespaces after it was executed. The memory of a program belongs to the
 * user namespace that it was executed in, and the owner of a user namespace, which every program of the same user is, may
 * trace what belongs to it, dumpable or not. What enters by itself cannot be in a new pid namespace, which takes a fork;
 * seccomp, and Landlock from ABI 6 on, keep it from sending signals. A runner holds no secrets, and executes foreign code:
 * it is put into all namespaces by its parent, so that it was never outside.
 *
 * The report goes to the parent, which decides with confine_judge(). Source of the rules: landlock(7), seccomp(2),
 * namespaces(7), capabilities(7). Nothing here is undone or can be: a process is confined until its end.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

/* What the probe tries. All must fail; CONFINE_CONNECT is not tried where the policy allows connecting. */
enum confine_act {
	CONFINE_OPEN_FILE,  /* open("/etc/passwd", O_RDONLY); with an own folder also by climbing out of it */
	CONFINE_WRITE_FILE, /* create a file in /tmp; with an own folder also in the folder above it */
	CONFINE_CONNECT,    /* a TCP socket to 127.0.0.1 */
	CONFINE_LISTEN,     /* a listening TCP socket */
	CONFINE_EXEC,       /* execve("/bin/true") */
	CONFINE_SIGNAL,     /* kill(parent, 0), by its pid outside, which the parent passes */
	CONFINE_PTRACE,     /* PTRACE_SEIZE of the parent */
	CONFINE_FORK,       /* a process (not a thread) by clone */
	CONFINE_ACT__MAX
};
const char *confine_act_name(enum confine_act act);

struct confine_attempt {
	bool tried;
	int error; /* the errno it failed with; 0 = it succeeded */
};

struct confine_report {
	uint64_t namespaces; /* CLONE_NEW* that differ from the parent's, by its word and our look (user, pid, net) */
	bool empty_root;     /* the old root is out of reach: there is an empty one, or the process's own folder */
	int landlock_abi;    /* 0 = the kernel has none */
	bool seccomp;
	bool no_new_privs;
	struct confine_attempt before_seccomp[CONFINE_ACT__MAX];
	struct confine_attempt after[CONFINE_ACT__MAX];
	/*
	 * Boundaries that could not be had, comma-separated words: "namespaces" (not all that the policy wants), "root" (it
	 * could not be replaced), "landlock" (the kernel has none), "capabilities", "seccomp".
	 */
	char missing[512];
};

struct confine_path {
	const char *path; /* a file or folder; one that does not exist is left out */
	bool write;
};

struct confine_rlimit {
	int resource;
	uint64_t value;
};

/* (argument & mask) == value; a mask of 0 is no test. */
struct confine_test {
	unsigned argument; /* from 0 */
	uint64_t mask, value;
};
#define CONFINE_OWN_PID UINT64_MAX /* as a value: the pid of the process, as it sees it */
#define CONFINE_TESTS   3

/* One allowed system call, when all tests hold. Several rows of one call allow what any of them allows. */
struct confine_syscall {
	int number; /* SCMP_SYS(…) of libseccomp */
	struct confine_test tests[CONFINE_TESTS];
};

struct confine_policy {
	const char *name;
	uint64_t namespaces; /* CLONE_NEW* that it is to be in */
	bool enters;         /* it enters them by itself; else the parent is to ask for them */
	const struct confine_syscall *const *syscalls; /* groups, ended by NULL; each ended by number -1 */
	const struct confine_path *paths;              /* ended by path NULL; NULL = none */
	const struct confine_rlimit *rlimits;          /* ended by resource -1 */
	bool connects;                                 /* may open TCP connections */
};

/* What the parent is to ask for (os/child.h). */
static inline uint64_t confine_given(const struct confine_policy *policy)
{
	return policy->enters ? 0 : policy->namespaces;
}

struct confine_options {
	int parent_pid; /* as seen outside, for the signal probe; 0 = do not try */
	int keep_fds;   /* descriptors below this stay */
	/* What the parent says it gave: ret_namespaces of os/child.h; where the policy says `enters`, what to enter. */
	uint64_t namespaces;
	int own_folder; /* a folder, above the standard descriptors, which becomes the working directory; 0, -1 = none */
};

/*
 * Called by main() of a program that another one of ours starts, first of all: reads the arguments PARENT-PID and NAMESPACES
 * (argv[1], argv[2]; both in decimal), gives 0 to 2 to /dev/null where they are closed, ignores SIGPIPE and SIGXFSZ, leaves the
 * starter's process group, and takes its name. -1, when it was started by hand: that is said, and the caller exits.
 */
int confine_begin(const char *name, int argc, char **argv, struct confine_options *ret)
	__attribute__((warn_unused_result));

/*
 * Fills *ret_report even when it fails. -1 only when a step that must never fail did (no_new_privs, closing, entering its
 * own folder). The descriptor of the own folder is the same number afterwards; where the root was replaced nothing above
 * the folder can be reached by it.
 */
int confine_apply(const struct confine_policy *policy, const struct confine_options *options,
		  struct confine_report *ret_report, struct err *err) __attribute__((warn_unused_result));
/*
 * A second, narrower allow-list on top (for `serve`, after the code is loaded: nothing may become executable). Only the
 * policy's `syscalls` count. It binds all threads; the first policy must allow seccomp(2).
 */
int confine_tighten(const struct confine_policy *policy, struct err *err) __attribute__((warn_unused_result));

/*
 * The parent's verdict: 0, or UNCONFINED naming each act that succeeded and each boundary that is missing. `allowed` is
 * the value of --allow-unconfined: a comma-separated list of boundary words that the user goes without, "" for none. It
 * excuses a boundary that is missing, never an act that a boundary which is there should have stopped, nor one that was
 * not tried.
 */
int confine_judge(const struct confine_report *report, const char *program, struct str allowed, struct err *err)
	__attribute__((warn_unused_result));
/* Words that --allow-unconfined takes. */
bool confine_is_boundary(struct str word);

void confine_report_put(struct buf *out, const struct confine_report *report); /* for a frame */
int confine_report_get(struct str body, struct confine_report *ret, struct err *err)
	__attribute__((warn_unused_result));
/* The report as lines for a person: "open file: EPERM (EACCES before seccomp)" … */
void confine_report_text(struct buf *out, const struct confine_report *report);
