/*
 * spawn: starting and stopping the daemon from another program
 *
 * The starter takes daemon.lock, starts `aileron daemon run --spawned` in a session of its own with the locked descriptor
 * (the lock survives, so nobody else can come in between), and waits at the other end of a pipe for the verdict. Of two
 * starters at once one gets the lock; the other waits until the first one's daemon is alive. Where a service manager
 * listens on daemon.sock for a daemon that does not run (socket activation), a connection makes it start one.
 */
#pragma once
#include "daemon/discovery.h"

/* `--spawned`: the lock and the pipe are these; standard output and error are daemon.log. */
#define DAEMON_SPAWNED_FLAG "--spawned"
#define DAEMON_FD_LOCK      3
#define DAEMON_FD_READY     4

#define DAEMON_SPAWN_MS    5000
#define DAEMON_STOP_MS     35000
#define DAEMON_NAMELESS_MS 10000 /* how long one that holds the lock may be starting before its files say who it is */

struct daemon_spawn_options {
	const char *state_dir;
	const char *program; /* NULL = the running one */
	discovery_ask *ask;
	void *context;
	unsigned wait_ms; /* 0 = DAEMON_SPAWN_MS */
};
/*
 * The running daemon, started when none is. UNREACHABLE when it is not ready in time; the daemon's own error when it
 * refused to start. The environment passes on, but for AILERON_VAULT_PASSPHRASE.
 */
int daemon_spawn(const struct daemon_spawn_options *options, struct discovery *ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Asks it to stop (SIGTERM) and waits until it has ended, at most `wait_ms` (0 = DAEMON_STOP_MS): 1 stopped, 0 none was
 * running (files that a dead one left behind are removed), -1. Where daemon.json is gone or damaged, daemon.pid says which
 * process it is.
 */
int daemon_stop(const char *state_dir, unsigned wait_ms, struct err *err) __attribute__((warn_unused_result));
