/*
 * retry: whether a step that failed is tried again, and when
 *
 * Pure; any thread.
 */
#pragma once
#include "base/err.h"

#define ACTION_RETRIES 3
/*
 * How long to wait before retry n (1 and up) of a step that failed so, or 0: it is not tried again. `safe` says that the
 * operation may run twice; without it only a failure that egress proves to be of before the first request byte counts
 * (`unsent`). `random` is any number: the jitter.
 */
uint64_t action_retry_ns(const struct err *err, unsigned n, bool safe, bool unsent, uint32_t random);
