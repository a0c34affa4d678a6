/*
 * workers: a bounded pool of threads for what may wait
 *
 * Threads are started when there is work and none is idle, up to a maximum, and stay. What is added is done in that
 * order, by the thread that was busy last; above `waiting_max` jobs nothing more is taken. Stacks are small: a job keeps large things in an arena.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include <stdbool.h>

struct workers;

struct workers *workers_new(size_t threads_max, size_t waiting_max)
	__attribute__((warn_unused_result, returns_nonnull));
/* Waits until all that was added is done; from its beginning on nothing more is taken. Once, never on a worker. */
void workers_finish(struct workers *workers);
/* Finishes, if that was not done; every other call has returned. NULL is fine. */
void workers_free(struct workers *workers);
DEFINE_AUTO(workers, workers_free)

/* Any thread. False when too many wait, no thread can be had, or it is finishing; `work` is then never called. */
bool workers_add(struct workers *workers, void (*work)(void *user), void *user) __attribute__((warn_unused_result));
size_t workers_threads(struct workers *workers); /* that were started */
size_t workers_idle(struct workers *workers);    /* of them, that wait for something to do */
