/*
 * doctor: what can be seen from outside of the daemon
 *
 * The state directory with the modes of what lies in it, the programs, what the kernel offers for confinement and locked memory
 * and, when no daemon runs, the database and the chain of the audit. Nothing is changed and nothing is started. The result is
 * that of the daemon's own doctor (openapi: Check), so that both can stand in one list.
 */
#pragma once
#include "cli/cli.h"
#include "text/json_writer.h"

struct doctor {
	struct buf *checks; /* items of an array of JSON */
	bool ok;
};
/* Adds one; `advice` "" = none. */
void doctor_add(struct doctor *doctor, const char *name, bool ok, struct str summary, const char *advice);
void doctor_look(struct doctor *doctor, const char *state_dir, bool daemon_runs);
/* The public keys that a running daemon has written. `keeper` is the one that it says is the keeper's, in hex; "" = unknown. */
void doctor_look_at_keys(struct doctor *doctor, const char *state_dir, struct str keeper);
