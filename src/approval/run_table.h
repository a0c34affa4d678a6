/*
 * run_table: rows of runs and of their steps
 *
 * Reading: any transaction; strings live in the arena. Writing: in a job of the writer; run_insert() tells the record what was asked
 * for, everything after it goes through run_change() (transition.h).
 */
#pragma once
#include "approval/transition.h"

/* What is looked for: 1 found, 0 there is none, -1. By id: the run's or the approval's; by call: its own or one that joined it. */
int run_find(struct db_tx *tx, struct arena *arena, struct str id, struct run *ret, struct err *err)
	__attribute__((warn_unused_result));
int run_find_call(struct db_tx *tx, struct arena *arena, struct str caller, struct str call_id, struct run *ret,
		  struct err *err) __attribute__((warn_unused_result));
int run_find_pending(struct db_tx *tx, struct arena *arena, struct str request_key, struct run *ret, struct err *err)
	__attribute__((warn_unused_result));
int run_count_pending(struct db_tx *tx, struct str caller, uint64_t *ret, struct err *err)
	__attribute__((warn_unused_result));

struct run_filter {                                        /* "" and 0 = any */
	struct str state, action, caller, session, before; /* before: a run's id */
	uint64_t since_ns;                                 /* asked for then or later */
	bool open;                                         /* only those that have not ended */
	bool approval;                                     /* only those that were asked of a person */
	uint32_t limit;
};
struct run_list {
	struct run *items;
	size_t n;
};
/* Newest first, without `result`, which may be long. */
int run_list(struct db_tx *tx, struct arena *arena, const struct run_filter *filter, struct run_list *ret,
	     struct err *err) __attribute__((warn_unused_result));
/* When the first of those that wait for a person expires, or for the vault is given up; 0 = none does. */
int run_next_due(struct db_tx *tx, uint64_t *ret_ns, struct err *err) __attribute__((warn_unused_result));
/* Whose time that is. */
int run_list_due(struct db_tx *tx, struct arena *arena, uint64_t now_ns, struct run_list *ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * As its state says: pending_approval (approval.requested; `bound`, `request_key` and `expires_ns` are there) or running
 * (run.started). CONFLICT when the caller's call id was seen, or the same request waits already: look it up again. the
 * same when the grant that it runs under has ended. THROTTLED when RUN_PENDING_MAX of the caller wait.
 */
struct run_new {
	const struct run *run;
	struct str request_key; /* "" without a gate */
	struct audit_event who;
};
int run_insert(struct db_tx *tx, const struct run_new *new, struct err *err) __attribute__((warn_unused_result));
/*
 * Of one that a person is to be asked for, before it is inserted: 1 with the run that the call id gave already, or that waits for the
 * same, which the call id gives from then on, unless RUN_JOINED_MAX do already; 0 there is none.
 */
int run_join(struct db_tx *tx, struct arena *arena, const struct run_new *new, struct run *ret, struct err *err)
	__attribute__((warn_unused_result));
/* The same in two parts, for one that ended before it was written: what is told of it, and with its end (run_change()) the row. */
int run_tell_new(struct db_tx *tx, const struct run_new *new, struct err *err) __attribute__((warn_unused_result));
int run_insert_over(struct db_tx *tx, const struct run_new *new, const struct run_change *change,
		    enum run_state *ret_state, char *ret_audit_id, struct err *err) __attribute__((warn_unused_result));
/* What a person is shown of the world, JSON; the event of what is decided has its SHA-256. Nothing when it waits no more. */
int run_store_preview(struct db_tx *tx, struct str id, struct str preview, struct err *err)
	__attribute__((warn_unused_result));

/* --------------------------------------------------------------------------------------------------------------- steps */

struct run_step {
	struct str run;
	uint32_t step, attempt; /* from 0, from 1 */
	struct str name, connector, content_hash, op, effect, binding;
	uint64_t started_ns, ended_ns; /* ended: 0 = under way */
	struct str class;              /* of how it failed; "" = it did not */
};
struct run_step_list {
	struct run_step *items;
	size_t n;
};
/* `over`: with its end, in one row. */
int run_step_begin(struct db_tx *tx, const struct run_step *step, bool over, struct err *err)
	__attribute__((warn_unused_result));
int run_step_end(struct db_tx *tx, const struct run_step *step, struct err *err) __attribute__((warn_unused_result));
int run_steps(struct db_tx *tx, struct arena *arena, struct str run, struct run_step_list *ret, struct err *err)
	__attribute__((warn_unused_result));

/* ------------------------------------------------------------------------------------------------------------ a start */

/*
 * At the start of control, in a job before anything new begins: what ran is outcome_unknown, grants have ended. What waits
 * stays, and what was approved and not claimed goes on.
 */
int run_interrupt_open(struct db_tx *tx, uint64_t now_ns, struct err *err) __attribute__((warn_unused_result));
