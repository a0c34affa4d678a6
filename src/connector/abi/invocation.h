/*
 * invocation: one call of a connector, from its CALL frame to its DONE frame
 *
 * Holds what the guest can touch besides its memory: standard input, output and error, the response slot, the counters
 * of its limits. The object is reused from call to call by the thread that owns it and keeps its buffers; nothing that
 * a guest wrote is seen by the next one.
 *
 * The owner thread runs the guest. Other threads may only cancel it and deliver answers, with the functions that say so.
 */
#pragma once
#include "base/buf.h"
#include "connector/abi/memory.h"
#include "connector/runner_protocol.h"
#include "rpc/rpc.h"
#include <pthread.h>
#include <stdatomic.h>

/* What a call needs of the server that it runs in. Both functions are called on the owner thread. */
struct invocation_link {
	struct rpc_channel *channel;
	void (*before_wait)(void *context); /* it will block: somebody else must read the socket */
	void (*before_done)(void *context); /* DONE will be sent: from then on the parent may use the id again */
	void *context;
};

enum invocation_stop { STOP_NOT, STOP_EXITED, STOP_DEADLINE, STOP_CANCELLED };

/* An answer of the parent's, as it waits to be taken by the owner thread. */
struct invocation_answer {
	bool here;
	uint16_t type; /* RUNNER_HTTP_RESULT, RUNNER_SPAWN_RESULT or RUNNER_AUDIT_RESULT */
	int32_t rc, status;
	struct str body;
	char *memory; /* what `body` lies in, for free(); NULL when it is empty */
};

struct invocation {
	const struct invocation_link *link;
	uint32_t id;
	struct runner_call ask; /* ask.input is borrowed until invocation_run() returns */
	struct program_run run;
	enum invocation_stop stop;
	uint32_t exit_code;

	size_t input_at;   /* bytes of standard input that were read */
	bool closed[3];    /* standard descriptors that the guest closed */
	struct buf output; /* standard output */
	bool output_full;  /* something did not fit */
	struct buf tail;   /* the end of standard error, up to twice the tail's size */
	bool tail_cut;
	uint32_t log_lines, audit_lines;
	uint64_t logs_dropped;
	struct buf text;  /* of a trap */
	struct buf frame; /* head of a frame that is being sent */

	bool has_response; /* some http_request has succeeded; status and body are the last one's */
	int32_t status;
	struct str body;
	char *body_memory;

	pthread_mutex_t lock; /* guards the rest but the atomics */
	pthread_cond_t changed;
	uint16_t awaits; /* type of the answer that the guest waits for, 0 = none */
	struct invocation_answer answer;
	atomic_bool cancelled;
	atomic_uint_least64_t deadline; /* monotonic ns; 0 = not running */
};

void invocation_init(struct invocation *call, const struct invocation_link *link);
void invocation_release(struct invocation *call);

/*
 * In this order, on the owner thread: takes up a call, which may be cancelled from then on; instantiates, runs, sends
 * DONE, cleans up, and returns how long the guest ran. When DONE cannot be sent the reader of the channel finds out too.
 */
void invocation_begin(struct invocation *call, uint32_t id, const struct runner_call *ask);
uint64_t invocation_run(struct invocation *call, struct program *program);

/* Any thread. */
void invocation_cancel(struct invocation *call); /* the guest also needs engine_interrupt() when it is not waiting */
bool invocation_overdue(struct invocation *call, uint64_t now); /* it runs and ought to be interrupted */
/* Hands over an answer, which is consumed; one that nobody waits for is dropped. */
void invocation_deliver(struct invocation *call, struct invocation_answer *answer);

/* ---- for host functions, on the owner thread ---- */

struct invocation *invocation_of(struct guest *guest);
/* Whether the guest is to end now, by the clock or by the caller; then it is stopped. */
bool invocation_must_stop(struct invocation *call, struct guest *guest);
/* The same for loops whose length the guest chooses: looks at the clock every 256th time. */
static inline bool invocation_must_stop_at(struct invocation *call, struct guest *guest, uint64_t i)
{
	return (i & 0xff) == 0xff && invocation_must_stop(call, guest);
}
/* Ends the guest with this exit code. */
void invocation_exit(struct invocation *call, struct guest *guest, uint32_t code);
/* Sleeps; false when it was cut short because the guest is to end. */
bool invocation_sleep(struct invocation *call, struct guest *guest, uint64_t nanoseconds);
/* Sends a frame; when the channel is broken the guest is stopped. */
void invocation_send(struct invocation *call, struct guest *guest, uint16_t type, const struct str *parts, size_t n);
/*
 * Sends a request and waits for its answer; the caller owns ret->memory. False when the guest is to end first.
 */
bool invocation_ask(struct invocation *call, struct guest *guest, uint16_t type, const struct str *parts, size_t n,
		    uint16_t answer_type, struct invocation_answer *ret);
