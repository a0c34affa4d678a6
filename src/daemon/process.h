/*
 * process: one of the parent's three standing children, from its start to its next one
 *
 * Started with the descriptors and namespaces of its row, it proves its confinement, gets its settings, says that it is
 * ready, and is started again after it has died: at once after DAEMON_BACKOFF_MS, then twice as late each time, at most
 * DAEMON_BACKOFF_MAX_MS; after DAEMON_STEADY_MS of life it begins anew. What to do about each step is the listener's.
 *
 * At each turn of the pulse it is asked for a sign of life. One that gave none since the last turn is silent, which is
 * logged and told; one that gave none for as many turns as its row allows hangs, and is ended. Turns are counted instead of
 * time, so that a machine that stood still as a whole finds no child guilty.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "daemon/link.h"
#include "os/child.h"
#include "os/loop.h"
#include "supervise/supervise.h"

#define DAEMON_BACKOFF_MS     100
#define DAEMON_BACKOFF_MAX_MS 10000
#define DAEMON_STEADY_MS      30000

struct process_row {
	enum supervise_role role;
	const char *program; /* "aileron-control" */
	const struct confine_policy *policy;
	unsigned turns_max; /* of the pulse without a sign of life */
};

enum process_state {
	PROCESS_DOWN,     /* does not run */
	PROCESS_PROVING,  /* was started, no proof yet */
	PROCESS_STARTING, /* has its settings, is not ready */
	PROCESS_READY,
};

struct process;
struct process_listener {
	/* Appends the settings of START; they may hold keys. */
	void (*settings)(void *user, const struct process *process, struct buf *out);
	/* -1 with why it cannot be used as it is: it is ended. */
	int (*ready)(void *user, struct process *process, struct str body, struct err *err);
	/* Of a process that is ready. False: it may not send this, and is ended. */
	bool (*request)(void *user, struct process *process, struct supervise_message *m);
	void (*changed)(void *user, struct process *process); /* what supervise_child tells of it */
	/* It is down. `why`: what it said in FAILED, the verdict on its proof, or how it ended. True: start it again. */
	bool (*ended)(void *user, struct process *process, const struct err *why);
	void *user;
};

struct process {
	const struct process_row *row;
	struct process_listener listener;
	struct loop *loop;
	struct str allowed;
	int program;                        /* open; its own */
	struct child_fd fds[CHILD_FDS_MAX]; /* besides standard ones and the link; the descriptors are the owner's */
	size_t n_fds;
	int null_fd; /* the owner's */

	enum process_state state;
	struct child child;
	struct link *link; /* NULL when down */
	struct loop_source *end, *again;
	struct err *why; /* what it said or did before its end; NULL = nothing */
	uint32_t restarts;
	uint64_t started_at;   /* Unix ns of the last start */
	uint64_t started_mono; /* the same on the steady clock */
	uint64_t backoff_ms;   /* before the next start */
	unsigned turns;        /* of the pulse since the last sign of life */
	bool silent;
	char last_end[64];
	struct buf proof;
};

/* Opens the program: `path`, or with NULL the one beside this program. The process is down then. */
int process_init(struct process *process, struct loop *loop, const struct process_row *row, const char *path,
		 struct err *err) __attribute__((warn_unused_result));
int process_start(struct process *process, struct err *err) __attribute__((warn_unused_result));
void process_send(struct process *process, uint32_t type, uint32_t id, struct str body, const int *fds, size_t n_fds);
void process_kill(struct process *process);  /* `ended` follows */
void process_pulse(struct process *process); /* a turn of the pulse; may end it */
void process_cancel_restart(struct process *process);
bool process_is_ready(const struct process *process);
struct supervise_child process_child(const struct process *process); /* texts are borrowed */
void process_release(struct process *process);                       /* kills and reaps; tells nobody */
