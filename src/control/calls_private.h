/*
 * calls_private: what the parts of calls share
 *
 * calls_lead.c has the one thread at a time that drives the pool of runners and the link to egress; calls.c the calls of
 * connectors, their runners and the life cycle; calls_errands.c what is asked of egress alone. Only they include this.
 */
#pragma once
#include "base/vec.h"
#include "connector/runner_pool.h"
#include "control/calls.h"
#include <pthread.h>

#define CALLS_RUNNERS_MAX 32

/* What a worker hands over and waits for; it lies on the worker's stack. */
struct task {
	struct task *next;
	struct task *next_awaited;
	void (*begin)(struct calls *calls, struct task *task);
	/* Every quarter of a second, without the lock; may be NULL. */
	void (*tick)(struct calls *calls, struct task *task);
	bool done;
	pthread_cond_t wake;
};

/* A runner of the pool, by name. */
struct served {
	const struct runner *runner;
	uint8_t hash[CODE_FILE_HASH];
	char *connector;
	uint64_t calls;
};

struct calls {
	const struct peer_launcher *launcher;
	struct code_cache *cache;
	struct str allowed; /* boundaries that the user goes without */
	struct loads *loads;
	pthread_t thread;
	int wake_fd, thread_fd; /* of who leads; of the thread */

	pthread_mutex_t lock; /* of what follows */
	struct task *first, **last;
	struct task *awaited; /* by somebody who does not lead */
	bool led;
	uint64_t thread_until; /* when the thread looks by itself */
	int egress_fd;         /* to be attached; -1 = none */
	bool stopping;
	VEC(struct served) served; /* changed by who leads alone */

	/* of who leads */
	struct runner_pool *pool;
	struct egress_link *link;
	struct run *running;
	uint64_t due; /* when there is something to do by the clock */
};

/* calls_lead.c */
void calls_task_init(struct task *task, void (*begin)(struct calls *calls, struct task *task));
void calls_perform(struct calls *calls, struct task *task); /* hands it over and waits until it is done */
/* By who leads. The task is its worker's again, and may be gone at once. */
void calls_finish(struct calls *calls, struct task *task);
/* Who leads looks again, and the thread, should that one have had its last look. Any thread. */
void calls_wake(struct calls *calls);
void calls_process_runners(struct calls *calls); /* by who leads: takes what they sent */
void *calls_thread(void *calls);                 /* of a thread of its own, until all is to end */

/* calls.c; by who leads */
void calls_tend_runs(struct calls *calls, bool stopping); /* gives back those that have ended, cancels */
bool calls_is_one_run(const struct calls *calls);         /* one runs, and no other */
void calls_prune_served(struct calls *calls);             /* what the pool has ended meanwhile is served no more */
