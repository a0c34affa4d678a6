/*
 * processes: what the parent tells of the daemon's processes, kept and put on record
 *
 * The newest word about each role, with its proof of confinement. An end that is news becomes process.ended: of any
 * process while this control lives, and of the control before this one. processes_told() on the loop's thread, the rest
 * anywhere.
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
/* All that were ever told of, by role; texts in the arena. */
size_t processes_list(struct processes *processes, struct arena *arena,
		      struct supervise_child ret[SUPERVISE_ROLE__MAX]);

/* The API's Process. */
void process_put_json(struct json_writer *w, const struct supervise_child *child);
/* The member `confinement`: the proof's lines, and the boundaries that are missing. */
void process_put_confinement(struct json_writer *w, const struct confine_report *report);
