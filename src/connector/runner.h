/*
 * runner: one confined `aileron-runner serve`, which runs the calls of one connector
 *
 * A runner is started with the connector's compiled code, proves its confinement, loads, and then answers many calls,
 * several at once. runner_start() returns at once; a call may be handed over before the runner is ready and is sent when
 * it is. Nothing here blocks but runner_wait():
 *
 *     runner = runner_start(&spec, &err);
 *     id = runner_call(runner, &call, &sink, owner, &err);
 *     while (!done)                                   // or: watch runner_fd() for runner_events() and runner_deadline()
 *             runner_wait(runner, -1, &err);          // on a loop, and call runner_process()
 *
 * What the runner says reaches the owner of the call through its sink; each call that was accepted ends with exactly one
 * `done` or one `lost`. A sink may start, answer and cancel calls, and may not free the runner. When the runner ends, for
 * whatever reason, or breaks a rule of the protocol, or does not answer in time, it is gone for good: every open call is
 * lost with a clear error, and the next call needs a new runner.
 *
 * The parent's own watch: a call that has not ended two seconds after its wall time (counting what runs before it) or
 * after it was cancelled proves that the runner hangs; it is killed. So is one that asks for the next thing without having
 * read the last answer, or that leaves RPC_QUEUE_MAX bytes unread: answers wait in this process's memory. One thread at a
 * time.
 */
#pragma once
#include "artifact/connector_manifest.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "confine/confine.h"
#include "connector/peer.h"
#include "connector/runner_protocol.h"

#define RUNNER_CALLS_MAX 1024            /* open calls of one runner */
#define RUNNER_GRACE_NS  (2000 * MS)     /* past a call's wall time, or its cancellation */
#define RUNNER_LOAD_MS   UINT64_C(30000) /* from start to READY */

struct runner;

struct runner_spec {
	const char *program;                  /* path of aileron-runner; NULL = beside this program */
	const struct peer_launcher *launcher; /* who starts it; NULL = this process. Outlives the runner */
	int code_fd; /* compiled code, sealed (code_file.h); stays the caller's, may be closed after the start */
	struct runner_start start;
	struct str allowed; /* boundaries that the user goes without (confine_judge) */
	/* Held against the module's imports of aileron_host once it is loaded; lives until then. NULL = all are granted. */
	const struct connector_manifest *manifest;
};

enum runner_phase {
	RUNNER_PHASE_STARTING, /* until READY */
	RUNNER_PHASE_SERVING,
	RUNNER_PHASE_ENDED, /* runner_error() says why */
};

/* Texts are the guest's bytes, borrowed for the length of the call. */
struct runner_sink {
	void (*log)(void *owner, struct str level, struct str message);
	/* To be answered, now or later, by runner_answer_http(). */
	void (*http)(void *owner, enum runner_envelope kind, struct str envelope);
	/* To be answered by runner_answer_spawn(); which: 0 = spawn, 1 = spawn_op. */
	void (*spawn)(void *owner, unsigned which);
	void (*trace)(void *owner, struct str text, uint64_t nanoseconds);
	/* To be answered by runner_answer_audit(). */
	void (*audit)(void *owner, struct str text);
	void (*done)(void *owner, const struct runner_done *done);
	void (*lost)(void *owner, const struct err *err);
};

/* NULL: SYSTEM when the program cannot be started. */
struct runner *runner_start(const struct runner_spec *spec, struct err *err) __attribute__((warn_unused_result));
/* Ends the process. Open calls are forgotten without a word: end them first. NULL is fine. */
void runner_free(struct runner *runner);
DEFINE_AUTO(runner, runner_free)

enum runner_phase runner_phase(const struct runner *runner);
/*
 * Why it ended, ERR_NONE while it has not. CONNECTOR_LOAD_FAILED (details.reason), CAPABILITY_DENIED (an import that the
 * manifest does not list), RESOURCE_LIMIT_EXCEEDED and HASH_MISMATCH (damaged or stale code) are about the connector;
 * UNCONFINED about the machine; anything else is CONNECTOR_RUNTIME_ERROR.
 */
const struct err *runner_error(const struct runner *runner);
/* What it said when it was ready: how long loading took. */
uint64_t runner_load_ns(const struct runner *runner);
size_t runner_open_calls(const struct runner *runner);
int runner_pid(const struct runner *runner);
/* Of a launched runner: the number that names its relay to egress (supervise.h). 0 = this process started it. */
uint32_t runner_relay(const struct runner *runner);
/* The proof of confinement that it started with; NULL until it came. */
const struct confine_report *runner_proof(const struct runner *runner);

int runner_fd(const struct runner *runner);       /* -1 once it has ended */
short runner_events(const struct runner *runner); /* POLLIN, and POLLOUT while something waits to be sent */
uint64_t runner_deadline(
	const struct runner *runner); /* monotonic ns at which runner_process() is due; UINT64_MAX = none */
/* Dispatches what arrived and checks the deadlines. -1 when the runner has ended (now or before); err may be NULL. */
int runner_process(struct runner *runner, struct err *err);
/* Waits for something to arrive, at most `ms` (-1: as long as it takes), and processes it. As runner_process(). */
int runner_wait(struct runner *runner, int ms, struct err *err);
/* Waits until it serves. -1: it ended instead. */
int runner_wait_ready(struct runner *runner, struct err *err) __attribute__((warn_unused_result));

/*
 * Hands over a call; call->input must stay until it has ended. Returns its id, or 0: the runner has ended, or LIMIT when
 * RUNNER_CALLS_MAX are open.
 */
uint32_t runner_call(struct runner *runner, const struct runner_call *call, const struct runner_sink *sink, void *owner,
		     struct err *err) __attribute__((warn_unused_result));
/* The same for an id that is not open (any more) does nothing. */
void runner_answer_http(struct runner *runner, uint32_t id, int32_t rc, int32_t status, struct str body);
void runner_answer_spawn(struct runner *runner, uint32_t id, int32_t rc);
void runner_answer_audit(struct runner *runner, uint32_t id, int32_t rc);
void runner_cancel(struct runner *runner, uint32_t id);
/* Cancels it and tells its owner nothing any more. */
void runner_forget(struct runner *runner, uint32_t id);
