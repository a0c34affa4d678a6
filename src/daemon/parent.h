/*
 * parent: `aileron daemon run`, the process that holds the others together
 *
 * It owns the lock, the listeners, the keys and the programs; starts control, keeper, egress and, when control asks,
 * runners; judges their proofs; joins them with socket pairs; starts again what crashed, with back-off and new pairs for
 * the survivors. It parses nothing from outside: fixed-size frames of its own children (supervise/supervise.h) and signals
 * are all that it reads. A child that hangs is noticed within two turns of its pulse, told in `status`, and in the end
 * started again (process.h).
 *
 *     SIGTERM, SIGINT  stop: control finishes what is under way (at most DAEMON_DRAIN_MS), then the others; again: at once
 *     SIGHUP           daemon.log is opened anew and passed on (when detached)
 *     SIGUSR1          the keeper locks the vault
 *
 * One thread; the whole process is its.
 */
#pragma once
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "supervise/supervise.h"

#define DAEMON_DRAIN_MS     30000
#define DAEMON_PULSE_MS     5000 /* between two questions whether a child lives */
#define DAEMON_TURNS        4    /* of the pulse without a sign of life, after which a child is ended: 20 s */
#define DAEMON_TURNS_KEEPER 18   /* the keeper: 90 s */

struct config;
struct daemon_options {
	const char *state_dir;    /* state_dir_path() */
	const char *bind;         /* "127.0.0.1:PORT" or "[::1]:PORT"; NULL = "127.0.0.1:0" */
	struct str allowed;       /* --allow-unconfined; "" for none */
	enum log_level log_level; /* of the children, too */
	bool spawned; /* by spawn.h: DAEMON_FD_LOCK and DAEMON_FD_READY are open, standard error is daemon.log */
	unsigned api_revision;       /* for daemon.json */
	unsigned pulse_ms;           /* 0 = DAEMON_PULSE_MS */
	const struct config *config; /* daemon/config.h, with what flags and variables set */
	const char *ca_file;         /* certificates for egress to trust instead of the system's; NULL = none */
	const char *programs[SUPERVISE_ROLE__MAX]; /* paths; NULL = beside this program */
};
/*
 * Runs until it is told to stop: 0. -1 with why it could not start (then whoever waits at DAEMON_FD_READY was told, too)
 * or go on; CONFLICT when another daemon holds the lock.
 */
int daemon_run(const struct daemon_options *options, struct err *err) __attribute__((warn_unused_result));
