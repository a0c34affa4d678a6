/*
 * runs: an action, from being asked for to its end
 *
 * A run is a row of `runs` (approval/run.h has the states and what leads from one to the next). Without a gate it runs on
 * the worker that asked; with one it waits for a person and then runs on a thread of the executor's, whoever waits. Workers.
 */
#pragma once
#include "approval/run.h"
#include "control/control.h"

struct runs; /* control->runs */

struct run_request {
	struct run_caller caller; /* approval/run.h */
	struct str
		call_id; /* of the guest; "" = none. One that was seen gives the run of then, whatever else is asked */
	struct str action;
	const struct json *args; /* object; NULL = {} */
	bool dry_run;            /* told what would be asked and run, nothing is written */
	struct audit_event by;   /* actor and trace id */
	/* While an ungated one runs: step `done` of `total` begins or has ended. NULL = not wanted. */
	void (*progress)(void *user, size_t done, size_t total, struct str message);
	bool (*gone)(void *user); /* polled: true cancels an ungated run. NULL = never */
	void *user;
};
/*
 * Ungated: returns when it has ended (completed, failed, cancelled, outcome_unknown), or an error when it did not begin.
 * Gated: returns at once with pending_approval and the approval. Strings of *ret live in `arena`.
 */
int runs_request(struct runs *runs, struct arena *arena, const struct run_request *request, struct run *ret,
		 struct err *err) __attribute__((warn_unused_result));
/* NOT_FOUND when there is none, or it is another caller's (caller.id "" = a person asks: any). By run id or approval id. */
int runs_get(struct runs *runs, struct arena *arena, struct str caller, struct str id, struct run *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Until it is terminal, `until_ns` (monotonic) has passed or `gone` says so; then as runs_get(). */
int runs_wait(struct runs *runs, struct arena *arena, struct str caller, struct str id, uint64_t until_ns,
	      bool (*gone)(void *user), void *user, struct run *ret, struct err *err)
	__attribute__((warn_unused_result));
/* CONFLICT when it is terminal. What runs stops between steps. */
int runs_cancel(struct runs *runs, struct str caller, struct str id, const struct audit_event *by, struct err *err)
	__attribute__((warn_unused_result));
/* Called after each change of a run's state, with its id, on whichever thread; must not wait. */
void runs_on_change(struct runs *runs, void (*changed)(void *user, struct str run_id, enum run_state state),
		    void *user);

/*
 * The envelope of design (mcp, API): {"status","action","run_id","output"?,"steps"?,"approval_id"?,"message"?,"review_url"?}.
 * For completed and pending_approval; other states have their error (run_error()).
 */
void run_put_envelope(struct control *control, struct json_writer *w, const struct run *run);
/* The failure of a run that ended otherwise, which says whether it ran, did not run or may have run. */
void run_error(const struct run *run, struct err *ret);
