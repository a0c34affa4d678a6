/*
 * loads: whose turn it is to load a connector
 *
 * Loading may compile, for a minute and more. Nobody loads what another is loading, and no more than LOADS_MAX load at
 * once, since each compiler may take LIMIT_COMPILE_MEMORY; connectors that have a runner wait for nobody. A turn ends early
 * when whoever asked for it has gone. Any thread.
 */
#pragma once
#include "base/err.h"
#include "connector/code_file.h"

#define LOADS_MAX     4
#define LOADS_POLL_NS UINT64_C(250000000) /* how often it is asked whether somebody has gone */

struct loads;
struct loads *loads_new(void) __attribute__((warn_unused_result, returns_nonnull));
void loads_free(struct loads *loads); /* NULL is fine; nobody has a turn any more */
DEFINE_AUTO(loads, loads_free)

/* Of one worker, on its stack. */
struct load_turn {
	const uint8_t *content_hash; /* CODE_FILE_HASH bytes */
	bool (*gone)(void *user);    /* NULL = never; called by whoever waits, and by loads_tend() */
	void *user;
	int cancel_fd; /* while it has the turn: readable when it is to give up */
	struct load_turn *next;
};
/*
 * Waits. 1: it is this one's turn, until loads_leave(). 0: another loaded the same meanwhile: look whether it is there.
 * CANCELLED: gone.
 */
int loads_enter(struct loads *loads, struct load_turn *turn, struct err *err) __attribute__((warn_unused_result));
void loads_leave(struct loads *loads, struct load_turn *turn);
/* Tells turns to give up whose askers have gone; to be called every LOADS_POLL_NS while it answers true: some load. */
bool loads_tend(struct loads *loads);
