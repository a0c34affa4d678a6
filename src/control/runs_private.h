/*
 * runs_private: what the files of runs share; nobody else includes it
 *
 *   runs.c           asked for, asked about, waited for, cancelled
 *   runs_plan.c      an action with all that it takes, opened and hashed
 *   runs_work.c      its steps
 *   runs_ends.c      an end that could not be written
 *   runs_executor.c  what a person approved: claimed and run on threads of its own
 *   runs_preview.c   what a person is shown before, fetched on threads of its own
 *   runs_minder.c    what time, vault and changes do to those that wait; start and stop
 *   runs_decide.c    decisions
 *   runs_show.c      as JSON
 */
#pragma once
#include "approval/digest.h"
#include "approval/grant.h"
#include "approval/run_table.h"
#include "control/actions.h"
#include "control/connectors.h"
#include "control/invoke.h"
#include "control/runs.h"
#include "control/workers.h"
#include <pthread.h>

#define RUNS_EXECUTORS     8
#define RUNS_PREVIEWERS    2
#define RUNS_WAITING_MAX   4096
#define RUNS_LISTENERS_MAX 8
#define RUNS_GONE_POLL_NS  (250 * TIME_MILLISECOND)

/* A run that executes now, so that it can be told to stop. */
struct running_run {
	struct running_run *next;
	char id[RUN_ID_SIZE];
	_Atomic bool cancelled;
};

struct runs {
	struct control *control;
	const struct clock *clock; /* of the pause before another try; NULL = the system's */
	bool may_grant, confirms;
	uint64_t expiry_ns;
	char policy[72];                        /* "sha256:…" of the two */
	struct workers *executors, *previewers; /* what was approved never waits behind what is only shown */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	uint64_t changes;     /* of runs' states so far */
	uint64_t locks;       /* of the vault, each of which ends all grants … */
	uint64_t locks_ended; /* … and how many of them did so in the database */
	struct running_run *running;
	struct {
		void (*fn)(void *user, struct str run_id, enum run_state state);
		void *user;
	} listeners[RUNS_LISTENERS_MAX];
	size_t n_listeners;

	/* The thread that minds the clock (runs_minder.c). */
	pthread_t minder;
	pthread_cond_t wake;
	bool minding, stopping, draining;
	unsigned tasks;       /* that it has to do now */
	unsigned tasks_again; /* that something was away for: at again_ns (monotonic, 0 = none) */
	uint64_t again_ns;
	struct unwritten *unwritten; /* runs_ends.c */
	size_t n_unwritten;
};

bool runs_is_draining(struct runs *runs);
uint64_t runs_locks(struct runs *runs); /* how often the vault was locked so far */
/* False while a lock has ended what the database still has as grants. */
bool runs_grants_hold(struct runs *runs);
/* Whether it says that a process or the database was away, and so nothing about the parts of a run. */
bool runs_is_away(const struct err *err);
/* A run's state changed: whoever waits or listens is told. */
void runs_announce(struct runs *runs, struct str id, enum run_state state);

/* ---------------------------------------------------------------------------------------------------------------- plan */

struct run_plan {
	const struct action_set *set;
	const struct action_entry *entry;
	const struct action *action;
	struct connector_opened *opened; /* one for each of action->connectors */
	struct credential_use *uses;     /* of what is bound, chosen once for all steps; the same */
	struct approval_parts parts;     /* but for caller, session, expiry, arguments */
	bool needs_vault;
};
/* As runs_request() fails. Strings in the arena, which outlives it. */
int run_plan_make(struct runs *runs, struct arena *arena, struct str action, struct run_plan *ret, struct err *err)
	__attribute__((warn_unused_result));
void run_plan_release(struct run_plan *plan); /* safe on {0} and twice */
/* Before it is claimed: what was opened is what all its steps use, however files are written to (connector_pin). */
int run_plan_pin(const struct run_plan *plan, struct err *err) __attribute__((warn_unused_result));
/* Whether a step may run twice: it says so, or it says nothing and the connector says so in so many words. */
bool run_plan_is_safe(const struct run_plan *plan, size_t step);
/* The hosts that a connector may reach for the action. */
struct str_list run_plan_hosts(const struct run_plan *plan, size_t connector);
/* approval_bound() of the plan for that run, in the arena. */
int run_plan_bound(const struct run_plan *plan, struct arena *arena, const struct run *run, enum approval_text what,
		   struct str *ret, struct err *err) __attribute__((warn_unused_result));
/* Whether the vault must be unlocked and is not. -1 UNAVAILABLE when nobody knows. */
int run_plan_vault_locked(struct runs *runs, struct arena *arena, const struct run_plan *plan, bool *ret,
			  struct err *err) __attribute__((warn_unused_result));

/* ---------------------------------------------------------------------------------------------------------------- work */

struct run_work {
	struct runs *runs;
	struct arena *arena;
	struct run *run; /* its state, result, error and times become those of its end */
	const struct run_plan *plan;
	struct running_run *running;  /* that runs_enter() was given; NULL = one of its own */
	const struct run_new *insert; /* its row is written with its first step's start; NULL = it is there */
	struct audit_event by;
	void (*progress)(void *user, size_t done, size_t total, struct str message);
	bool (*gone)(void *user);
	void *user;
};
void runs_enter(struct runs *runs, struct running_run *running, struct str id);
void runs_leave(struct runs *runs, struct running_run *running);
/* 0: it has ended, as run->state says. -1: it did not begin, and is not there. */
int run_work(struct run_work *work, struct err *err) __attribute__((warn_unused_result));

/*
 * What a dry run tells: {"dry_run":true,"action","args","gated","editable","expires_in_s"?,"calls":[…],"fields":[…],"preview"?},
 * in the arena; the preview's operation is not called.
 */
int runs_tell_plan(struct arena *arena, const struct run_plan *plan, const struct run *run, struct str *ret,
		   struct err *err) __attribute__((warn_unused_result));
/* The steps as a person is shown them, an array: with the connector's publisher and the identity of its binding. */
int run_put_steps(struct json_writer *w, const struct run_plan *plan, const struct json *args, struct err *err)
	__attribute__((warn_unused_result));

/* ---------------------------------------------------------------------------------------------------------------- ends */

/* How a run ended, with how its last attempt did (run "" = it made none). */
struct run_end {
	struct run_step last;
	struct run_change change;
	const struct run_new *insert; /* of one whose row may have gone with its start; NULL = it is there */
};
/*
 * Whether it is written. What finds no room in the database is written as soon as there is, once a second; with more than can have
 * run at once, or when this process does not live to see it, it is outcome_unknown at the next start.
 */
bool runs_end(struct runs *runs, const struct run_end *end, char ret_audit_id[AUDIT_ID_SIZE]);
void runs_end_again(struct runs *runs); /* the minder: those that were not written */
void runs_forget_ends(struct runs *runs);

/* ------------------------------------------------------------------------------------------------------------ executor */

/* An approved run has its turn; on an executor. */
void runs_execute_later(struct runs *runs, struct str id);

/* A job of a thread for approved runs or previews, which frees it. */
struct turn {
	struct runs *runs;
	char id[RUN_ID_SIZE];
};
/* What is not taken stays as it is in the database; `otherwise` is then the minder's, in a while. */
void runs_later(struct runs *runs, struct workers *by, struct str id, void (*work)(void *user), unsigned otherwise);
/* Of a run that waits. One that its state does not take any more was changed by somebody else, who won. */
void runs_apply(struct runs *runs, struct run_change *change, enum run_state state);
void runs_refuse(struct runs *runs, struct str id, struct str part);

/* ------------------------------------------------------------------------------------------------------------- preview */

#define RUNS_PREVIEW_LOCKED "{\"unavailable\":\"vault locked\"}" /* fetched once more when a person unlocks */

/*
 * Of an action that has a preview: the arguments for its operation, as JSON, if that is one that may be called before anybody was
 * asked.
 */
int run_preview_arguments(struct arena *arena, const struct run_plan *plan, const struct json *args, struct buf *out,
			  struct err *err) __attribute__((warn_unused_result));
/* The preview of one that waits, fetched on a thread for previews. */
void runs_preview_later(struct runs *runs, struct str id);
/* Whether it waits for a person without the preview that its action has. */
bool runs_awaits_preview(struct runs *runs, const struct run *run);

/* -------------------------------------------------------------------------------------------------------------- minder */

/* What the minder has to do. */
enum {
	MIND_DUE = 1,      /* there is a new row with a time of its own */
	MIND_LOCKED = 2,   /* grants end */
	MIND_UNLOCKED = 4, /* what awaits the vault goes on, and what could not be shown without it */
	MIND_PARTS = 8,    /* some action or connector is another */
	MIND_QUEUED = 16,
	MIND_PREVIEWS = 32, /* some were not fetched */
	MIND_ENDS = 64,     /* of runs, that could not be written (runs_ends.c) */
	/* What a database that failed may have come between. */
	MIND_CHANGES = MIND_UNLOCKED | MIND_PARTS | MIND_QUEUED,
};
/* In a while: something is away. */
void runs_mind_soon(struct runs *runs, unsigned tasks);
/* There is a new row with a time of its own. */
void runs_mind(struct runs *runs);
/* There is an end that could not be written: the minder tries it again in a second. */
void runs_mind_ends(struct runs *runs);
