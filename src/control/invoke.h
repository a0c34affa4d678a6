/*
 * invoke: the call of a connector, whoever asks for it
 *
 * The connector is opened anew; what it may use is chosen and permitted; its start is on disk before it is sent, its end
 * before it is told, with a span for the collector. What the connector says of itself (audit_emit) is on disk before its
 * end is. Worker threads.
 */
#pragma once
#include "connector/call.h"
#include "control/calls.h"
#include "control/connectors.h"
#include "control/control.h"
#include "control/credential.h"
#include "control/execution.h"
#include "control/lines.h"

/*
 * A call that is a step of a run: what was opened and hashed for the run is used, however the folder changes meanwhile, and
 * nothing wider than the action says.
 */
struct invoke_step {
	const struct connector_opened *opened;
	const struct credential_use *use; /* as chosen for the run, without permits */
	struct str_list hosts;            /* "host:port" of the action; items NULL = all of the manifest's */
	struct execution_of of;
};

struct invoke {
	struct control *control;
	struct arena *arena;
	struct audit_event by;  /* who asks, and in which trace: actor and trace id of the events */
	struct str parent_span; /* of the caller; "" = none */
	struct str connector;   /* FQN, or the name that it was linked as */
	struct str op;
	const struct json *args;
	uint64_t timeout_ms; /* 0 = the connector's own limit */
	bool trace;
	const struct invoke_step *step; /* NULL = a call by itself; else `connector` is not read */
	/* True when nobody waits any more: it is cancelled. Several threads. NULL = never. */
	bool (*gone)(void *user);
	void *user;

	/* What came of it; strings in the arena. */
	bool sent;                    /* its start is on disk, and the runner was asked */
	char audit_id[AUDIT_ID_SIZE]; /* of the event that says how it ended; "" when none is on record */
	struct str content_hash;
	struct str previous_hash; /* what the last use found, when that was another; "" = the same */
	struct calls_result result;
	struct lines logs, trace_lines;
	struct credential_use use; /* what it was permitted */
};
/* The connector's own error, or why it was not called or not recorded. `invoke` stays where it is meanwhile. */
int invoke_connector(struct invoke *invoke, struct err *err) __attribute__((warn_unused_result));
/* Ends its permits and frees the results; safe on one that was not invoked. While the arena is there. */
void invoke_release(struct invoke *invoke);
