/*
 * execution: one call of a connector in the record
 *
 * A row of `executions` and two events: execution.started is committed before the call is sent, execution.succeeded or
 * .failed before the caller is answered. What a crash leaves open is ended at the next start (reason `interrupted`), never run
 * again. Worker threads.
 */
#pragma once
#include "control/connectors.h"
#include "control/control.h"

struct execution {
	char id[33]; /* of the row */
	char audit_id[AUDIT_ID_SIZE];
	uint64_t seq;
	uint64_t started_ns; /* Unix */
	struct str connector, content_hash, op;
	struct str binding; /* its name, or several joined by one space; "" = none */
};
int execution_start(struct request *request, struct execution *execution, struct err *err)
	__attribute__((warn_unused_result));
/* `error` NULL = it succeeded. request->audit_id gets the id of the event; a span goes to the collector, if there is one. */
struct call_report;
int execution_end(struct request *request, const struct execution *execution, const struct err *error,
		  const struct call_report *report, struct err *err) __attribute__((warn_unused_result));
/* At the start of the daemon: what is open failed, interrupted. */
int execution_interrupt_open(struct db *db, struct err *err) __attribute__((warn_unused_result));
