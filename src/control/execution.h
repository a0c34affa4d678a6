/*
 * execution: one call of a connector in the record
 *
 * A row of `calls_open` while it is under way, and two events: execution.started is committed before the call is sent (of one
 * that is relaxed: within 5 ms, or in one job with its end, which then needs no row), execution.succeeded or .failed before the caller is
 * answered. What a crash leaves open is ended at the next start (reason `interrupted`); one whose end could not be written,
 * when there is room again (reason `not_recorded`). Neither is run again. Worker threads.
 */
#pragma once
#include "audit/audit.h"
#include "connector/call.h"

struct execution_end {
	const struct err *error; /* NULL = it succeeded */
	const struct call_report *report;
	char *ret_audit_id; /* AUDIT_ID_SIZE; of the event, there when `ended` is called; good when the end is 0 */
};
struct execution;
struct execution_starting;
/* A step of a run: what its events name, and what is written in the same transactions as they. */
struct execution_of {
	struct str run, step, action, approval, grant, session; /* "" = none */
	struct str pinned_hash;                                 /* of the connector, as the action says */
	bool relaxed; /* it changes nothing anywhere: its rows need not be synced (store/db.h) */
	/*
	 * In the jobs, before and after their events: -1 undoes all of it, and nothing is sent or told. NULL = nothing. `over`: it
	 * has ended already, `ending` said how, and both are called in one job.
	 */
	int (*started)(struct db_tx *tx, void *user, const struct execution *execution, bool over, struct err *err);
	int (*ended)(struct db_tx *tx, void *user, const struct execution_end *end, struct err *err);
	/* Before the second, on the thread of whoever ends it. */
	void (*ending)(void *user, const struct execution_end *end);
	void *user;
};
#define EXECUTION_ID_SIZE 33
struct execution {
	char id[EXECUTION_ID_SIZE]; /* of the row */
	uint64_t started_ns;        /* Unix */
	struct str connector, content_hash, op;
	struct str binding;            /* its name, or several joined by one space; "" = none */
	const struct execution_of *of; /* NULL = it is of no run */
};
struct executions; /* of a database, which is closed before they are freed */
struct executions *executions_new(struct db *db);
void executions_free(struct executions *executions);
/*
 * `by` says who asks: actor and trace id of both events. Fills id and started_ns. The start is on its way to the disk from then
 * on, while the caller gets ready; only when execution_start_end() says 0 is it there, and the call may be sent. One that is
 * relaxed is sent at once, and its start is awaited with its end: *starting is NULL when it has been awaited before.
 */
struct execution_starting *execution_start_begin(struct executions *executions, const struct audit_event *by,
						 struct execution *execution) __attribute__((warn_unused_result));
bool execution_is_relaxed(const struct execution *execution);
int execution_start_end(struct execution_starting *starting, struct err *err) __attribute__((warn_unused_result));
int execution_end(struct executions *executions, const struct audit_event *by, const struct execution *execution,
		  struct execution_starting *starting, const struct execution_end *end, struct err *err)
	__attribute__((warn_unused_result));
/* At the start of the daemon: what is open failed, interrupted. */
int execution_interrupt_open(struct db *db, struct err *err) __attribute__((warn_unused_result));
