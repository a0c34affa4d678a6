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
/* Before anything new can begin: what a kill left running is outcome_unknown. */
struct runs *runs_new(struct control *control, struct err *err) __attribute__((warn_unused_result));
/* With keeper, actions and calls there: what was approved and not claimed goes on. */
int runs_start(struct runs *runs, struct err *err) __attribute__((warn_unused_result));
/* The daemon ends: nothing more is claimed, and who waits or follows is sent away. Any thread; does not wait. */
void runs_drain(struct runs *runs);
/* Then: until nothing runs any more, or `until_ns` (monotonic) has passed. Not on the loop's thread. */
void runs_settle(struct runs *runs, uint64_t until_ns);
/* No worker asks any more; ends its threads. Once, or not at all before runs_free(). */
void runs_stop(struct runs *runs);
void runs_free(struct runs *runs); /* before the database is closed; NULL is fine */

struct run_request {
	struct run_caller caller; /* approval/run.h */
	struct str
		call_id; /* of the guest; "" = none. One that was seen gives the run of then, whatever else is asked */
	struct str action;
	const struct json *args; /* object; NULL = {} */
	bool dry_run;            /* nothing is written; run.result tells what would be asked and run, as JSON */
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
 * For whoever follows all of them: waits until some run's state changed since `*seen` (0 at first: at once), `until_ns` has passed
 * or `gone` says so: 1 with a change, and *seen for the next time; 0 without; -1 when the daemon ends.
 */
int runs_await(struct runs *runs, uint64_t *seen, uint64_t until_ns, bool (*gone)(void *user), void *user);

/*
 * The envelope of design (mcp, API): {"status","action","run_id","output"?,"steps"?,"approval_id"?,"message"?,"review_url"?}, which
 * action_output_schema() declares; its members, into an object that is open. For completed, and for what has not ended, which is
 * pending_approval; other states have their error (run_error()).
 */
void run_put_envelope_members(struct control *control, struct json_writer *w, const struct run *run);
/* Where a person sees it on the page and decides. */
struct str run_page(struct control *control, struct arena *arena, const struct run *run);
/* The failure of a run that ended otherwise, which says whether it ran, did not run or may have run (details.ran). */
void run_error(const struct run *run, struct err *ret);
/* The API's Run; without its attempts where `steps` is NULL. */
struct run_step_list;
void run_put_json(struct json_writer *w, const struct run *run, const struct run_step_list *steps);

/* ------------------------------------------------------------------------------------------------------------- deciding */

struct run_decision {
	struct str id; /* of the approval, or of the run */
	bool approved;
	struct str reason;
	const struct json *edited; /* the arguments in their place; NULL = as asked for */
	bool grant;                /* and for GRANT_S any arguments, in that session */
	struct str sealed;         /* the person's passphrase for the keeper, where settings want one; "" = none */
	struct audit_event by;
};
/*
 * NOT_FOUND, ALREADY_DECIDED; VAULT_LOCKED, which leaves it waiting; APPROVAL_STALE, after which it is refused; INVALID_REQUEST for
 * edited arguments, or a grant, that the action or the settings do not have; SEALED_REQUIRED, WRONG_PASSPHRASE.
 */
int runs_decide(struct runs *runs, const struct run_decision *decision, struct err *err)
	__attribute__((warn_unused_result));
/* The API's PendingItem; what keeps it from being shown whole is its `problem`. May ask parent and keeper: workers. */
int run_put_pending(struct runs *runs, struct arena *arena, const struct run *run, struct json_writer *w,
		    struct err *err) __attribute__((warn_unused_result));
/* The vault was locked or unlocked. Any thread; does not wait. */
void runs_tell_vault(struct runs *runs, bool unlocked);
