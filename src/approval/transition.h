/*
 * transition: what leads from one state of a run to the next
 *
 * run_next() is the whole machine: a table. run_change() is one step of it in the database, with the event of the record that
 * says so, in a job of the writer; who comes second is told what became of it. docs/formats/run.md has the picture.
 */
#pragma once
#include "approval/run.h"
#include "audit/audit.h"

enum run_event {
	RUN_EVENT_APPROVE,
	RUN_EVENT_DENY,
	RUN_EVENT_EXPIRE,
	RUN_EVENT_CANCEL, /* before the claim: nothing ran */
	RUN_EVENT_REFUSE, /* a part is not what was approved, or it waited too long for the vault */
	RUN_EVENT_AWAIT,  /* the vault is locked */
	RUN_EVENT_RESUME,
	RUN_EVENT_CLAIM,
	RUN_EVENT_COMPLETE,
	RUN_EVENT_FAIL,
	RUN_EVENT_STOP, /* cancelled after the claim */
	RUN_EVENT_LOSE, /* it may have run */
	RUN_EVENT__MAX
};
/* False: the event is none of that state's; *ret is untouched. */
bool run_next(enum run_state from, enum run_event event, enum run_state *ret);

/* The arguments as a person changed them, and what they are bound to now. */
struct run_edit {
	struct str args, bound, request_key;
};
struct run_change {
	struct str id; /* of the run, or of its approval */
	enum run_event event;
	uint64_t now_ns;             /* Unix */
	struct audit_event who;      /* actor and trace; type and payload are made here */
	struct str by;               /* APPROVE, DENY: who decides, "user" */
	struct str reason;           /* DENY: the person's words; REFUSE: which part; CANCEL, STOP: why */
	const struct run_edit *edit; /* APPROVE; NULL = as asked for */
	struct str grant_id;         /* APPROVE: of the grant made along with it */
	uint64_t awaits_until_ns;    /* AWAIT */
	struct str result;           /* COMPLETE: JSON */
	const struct err *error;     /* FAIL, LOSE */
	struct str text;             /* of the same, as JSON */
};
/*
 * In a job. The state that it has now in *ret_state (may be NULL), the id of the event in ret_audit_id (may be NULL; AUDIT_ID_SIZE;
 * "" when the step has none). NOT_FOUND; ALREADY_DECIDED, which says by whom, for a decision that came too late; APPROVAL_STALE for
 * an approval of what was refused with nobody's decision; CONFLICT for anything else that its state does not take.
 */
int run_change(struct db_tx *tx, const struct run_change *change, enum run_state *ret_state, char *ret_audit_id,
	       struct err *err) __attribute__((warn_unused_result));
/* The same but for the row: only the record is told, and run->state becomes what follows. */
int run_tell_change(struct db_tx *tx, struct run *run, const struct run_change *change, char *ret_audit_id,
		    struct err *err) __attribute__((warn_unused_result));
/* -1 APPROVAL_STALE: the approval is refused, as that part is another now. */
int run_tell_stale(struct str approval_id, struct str part, struct err *err) __attribute__((warn_unused_result));
