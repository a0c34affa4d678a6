/*
 * peer: a confined program of ours and the channel to it, as its parent sees them
 *
 * What runner, compiler and egress have in common: start in namespaces of its own with nothing but its descriptors, judge
 * the proof of confinement that it sends first, take frames as they arrive, and say how it ended. Nothing that a peer
 * sends is believed before its HELLO was judged, and a frame that its permit table refuses ends it.
 *
 * The channel never blocks: what cannot be written is queued and goes out when peer_events() asks for POLLOUT. Standard
 * error of a peer is a pipe of which only the first lines are ever read, and only to explain its death. One thread at a
 * time.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "confine/confine.h"
#include "os/child.h"
#include "rpc/rpc.h"

#define PEER_FDS_MAX 2 /* besides standard ones and the socket */

struct peer_spec;
/*
 * Who starts a peer where this process may start none (control): another process does, and answers with the ends of its
 * socket and of its standard error. NULL in a spec: this process starts it itself. `start` may wait; the descriptors of
 * the spec stay the caller's. Each peer that was started is let go exactly once: by kill(), which waits for nothing, or by
 * an ended() that answered 1.
 */
struct peer_started {
	uint32_t id; /* the launcher's; names the relay of a serving runner, too */
	int pid;
	uint64_t namespaces;      /* those it got */
	int socket_fd, stderr_fd; /* the peer's from now on */
};
struct peer_launcher {
	int (*start)(void *context, const struct peer_spec *spec, struct peer_started *ret, struct err *err);
	void (*kill)(void *context, uint32_t id);
	/* Waits at most `ms` until it has ended, and forgets it: 1 with how, 0 not yet. */
	int (*ended)(void *context, uint32_t id, int ms, int *ret_exit_status, int *ret_signal);
	void *context;
};

struct peer_spec {
	const char *name;                     /* of the program: "aileron-runner" */
	const char *title;                    /* in sentences: "the runner" */
	const char *program;                  /* its path; NULL = beside this program */
	const char *life;                     /* first argument; NULL = none */
	const struct peer_launcher *launcher; /* NULL = this process */
	const struct rpc_rule *rules;         /* what it may send; outlives the peer */
	struct child_fd fds[PEER_FDS_MAX];
	size_t n_fds;
	const struct confine_policy *policy; /* which namespaces it wants */
	struct str connector;                /* whose code it runs, for the launcher to tell of; "" = not known */
};

struct peer {
	const char *name, *title;
	struct child child;                   /* of a launched one the pid and, at last, how it ended */
	const struct peer_launcher *launcher; /* NULL: `child` is this process's own; must outlive the peer */
	uint32_t id;                          /* the launcher's */
	bool attached;                        /* somebody else's process: only its socket is ours */
	struct rpc_channel *channel;          /* NULL when it does not run */
	int stderr_fd;
};
#define PEER_INIT ((struct peer){.child = CHILD_INIT, .stderr_fd = -1})

/* `peer` is PEER_INIT or stopped. SYSTEM when the program cannot be found or started. */
int peer_start(struct peer *peer, const struct peer_spec *spec, struct err *err) __attribute__((warn_unused_result));
/*
 * A process that somebody else started and watches, by its socket (taken over): its confinement was judged there, and when
 * it ends nobody here knows how. `peer` is PEER_INIT or stopped.
 */
int peer_attach(struct peer *peer, const char *title, int fd, const struct rpc_rule *rules, struct err *err)
	__attribute__((warn_unused_result));
/* Kills and reaps what is ours, closes everything. Safe on PEER_INIT and twice. */
void peer_stop(struct peer *peer);

bool peer_runs(const struct peer *peer);
int peer_fd(const struct peer *peer);       /* to be watched; -1 when it does not run */
short peer_events(const struct peer *peer); /* for poll() */

/* The verdict on the confinement report that HELLO carries, which is *ret_report (NULL = not wanted) also when it is bad. */
int peer_judge(const struct peer *peer, struct str hello, struct str allowed, struct confine_report *ret_report,
	       struct err *err) __attribute__((warn_unused_result));

/* Queues a frame and writes what the socket takes. -1: the peer is gone; peer_receive() will say how it ended. */
int peer_send(struct peer *peer, uint16_t type, uint32_t id, const struct str *parts, size_t n_parts)
	__attribute__((warn_unused_result));
/*
 * Writes what is queued and takes the next frame: 1; 0 when there is none now. -1 when the peer has ended or broke the
 * protocol: it is stopped, and err (never NULL here; SYSTEM or PROTOCOL) says how: "the runner ended by signal 9
 * (Killed)".
 */
int peer_receive(struct peer *peer, struct rpc_frame *ret, struct err *err) __attribute__((warn_unused_result));
/* Stops a peer that lies. Returns -1 with PROTOCOL and what it did. */
int peer_break(struct peer *peer, struct err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Whether frames were received that peer_receive() has not given out: poll() would not tell. */
bool peer_has_frame(const struct peer *peer);
