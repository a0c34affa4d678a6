/*
 * processes: what the parent tells of the daemon's processes, kept and put on record
 *
 * The newest word about each role, with its proof of confinement. An end that is news becomes process.ended: of any
 * process while this control lives, and of the control before this one. Of runners those are counted that crashed since this
 * control was started. processes_told() and processes_runner_crashed() on the loop's thread, the rest anywhere.
 */
#pragma once
#include "base/arena.h"
#include "confine/confine.h"
#include "store/db.h"
#include "supervise/supervise.h"
#include "text/json_writer.h"

struct processes;
struct processes *processes_new(struct db *db) __attribute__((warn_unused_result, returns_nonnull));
void processes_free(struct processes *processes); /* after the database was closed; NULL is fine */
DEFINE_AUTO(processes, processes_free)

void processes_told(struct processes *processes, const struct supervise_child *child);
/* `connector`: whose code it ran, "" when that is not known; `how` it ended: "signal 9 (Killed)". */
void processes_runner_crashed(struct processes *processes, struct str connector, struct str how);
/* All that were ever told of, by role; texts in the arena. */
size_t processes_list(struct processes *processes, struct arena *arena,
		      struct supervise_child ret[SUPERVISE_ROLE__MAX]);

/* The member `runner_crashes`. */
void processes_put_crashes(struct processes *processes, struct json_writer *w);
/* The API's Process. */
void process_put_json(struct json_writer *w, const struct supervise_child *child);
/* The member `confinement`: the proof's lines, and the boundaries that are missing. */
void process_put_confinement(struct json_writer *w, const struct confine_report *report);
