/*
 * daemon: what the parent knows while it runs. Private to this folder: parent.c is its life, children.c its children.
 */
#pragma once
#include "crypto/secret.h"
#include "daemon/listeners.h"
#include "daemon/notices.h"
#include "daemon/parent.h"
#include "daemon/process.h"
#include "daemon/runners.h"
#include "daemon/state_dir.h"
#include "daemon/watches.h"
#include "os/lock.h"
#include "os/loop.h"

enum daemon_phase {
	DAEMON_STARTING, /* until all children are ready and daemon.json is there */
	DAEMON_RUNNING,
	DAEMON_STOPPING,
};
enum { CHILD_CONTROL, CHILD_KEEPER, CHILD_EGRESS, CHILDREN };

struct daemon {
	const struct daemon_options *options;
	enum daemon_phase phase;
	struct err failure; /* why it stops, when that is not because it was told to */

	struct lock lock;
	char *lock_path;
	bool keep_files; /* the state folder is another's by now */
	struct state_dir dir;
	struct listeners listeners;
	int null_fd, ca_fd;
	int ready_fd; /* -1 = nobody waits, or was told */

	struct secret *token;      /* 64 hexadecimal digits */
	struct secret *caveat_key; /* 32 bytes */
	char instance_id[33];
	uint64_t started_ns; /* Unix */

	struct loop *loop;
	struct loop_source *signals[4];
	struct loop_source *lock_watch, *pulse;
	struct loop_source *patience; /* with the start, with control's last work, with the others' end */
	bool others_told;             /* to stop */

	struct process children[CHILDREN];
	uint32_t gateway_pairs; /* that this control was sent */
	struct runners *runners;
	struct watches *watches;
	struct notices *notices;
};

/* children.c */
int children_init(struct daemon *daemon, struct err *err) __attribute__((warn_unused_result));
int children_start(struct daemon *daemon, struct err *err) __attribute__((warn_unused_result));
void children_pulse(struct daemon *daemon); /* a turn of the pulse: see process.h */
void children_kill(struct daemon *daemon);
void children_release(struct daemon *daemon);
bool children_are_down(const struct daemon *daemon);

/* parent.c; called by children.c when a step of theirs asks for it */
void daemon_all_ready(struct daemon *daemon);
/* The first failure is the one that is told. */
void daemon_fail(struct daemon *daemon, const struct err *why);
void daemon_proceed_stopping(struct daemon *daemon);
