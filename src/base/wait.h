/*
 * wait: a condition with a time limit
 *
 * Conditions that are waited for until a moment of the steady clock, which no change of the date moves. They are signalled,
 * waited for without limit, and destroyed by the functions of pthread.h. Any thread.
 */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

void wait_init(pthread_cond_t *cond);
/*
 * Waits, as pthread_cond_wait() does, until it is woken or the clock stands at `deadline_ns` (clock_monotonic_ns(NULL);
 * UINT64_MAX: without limit). False: the time is over. The caller looks whether what it waits for is there either way.
 */
bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns);
