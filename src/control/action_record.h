/*
 * action_record: what is remembered of actions by name, and what becomes of them, on record; for actions.c alone
 *
 * Of each name the database has whether it is switched on and which hash it had when it was seen last. A new set is held
 * against that: what came, changed or went is an event, in one job with what is remembered. One thread at a time.
 */
#pragma once
#include "base/vec.h"
#include "control/actions.h"

struct action_states;
struct action_states *action_states_new(void) __attribute__((warn_unused_result, returns_nonnull));
void action_states_free(struct action_states *states);
int action_states_read(struct action_states *states, struct db_tx *tx, struct err *err)
	__attribute__((warn_unused_result));
bool action_states_enabled(const struct action_states *states, struct str name); /* what is not known is */

/* One thing that is written. */
struct action_change {
	enum audit_type type;
	struct str name, path;
	const struct action *action; /* NULL when it is gone */
	struct str previous;         /* hash */
};
struct action_writing {
	const struct audit_event *by; /* NULL: nobody asked */
	VEC(struct action_change) changes;
	const char *link_path, *unlink_path; /* rows that come and go, or NULL */
	uint64_t linked_ns;
};
/* Adds what is another in that set; strings are borrowed from both. An action at fault has not gone. */
void action_changes_find(const struct action_states *states, const struct action_set *set,
			 struct action_writing *writing);
/* On disk, then in the log and in `states`; or -1 and in none. Waits for the commit. */
int action_changes_write(struct action_states *states, struct db *db, struct action_writing *writing, struct err *err)
	__attribute__((warn_unused_result));
