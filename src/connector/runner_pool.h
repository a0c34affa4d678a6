/*
 * runner_pool: runners that wait for the next call of their connector
 *
 * At most `max` runners, one a content hash. A runner that has ended is dropped when it is met; one that has had no call for
 * `idle_ns` is ended by runner_pool_expire(); when the pool is full, the one that was idle longest makes room. Time is an
 * argument: monotonic nanoseconds. One thread at a time, the one that drives the runners.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "connector/code_file.h"
#include "connector/runner.h"

struct runner_pool;

struct runner_pool *runner_pool_new(size_t max, uint64_t idle_ns) __attribute__((warn_unused_result));
void runner_pool_free(struct runner_pool *pool); /* ends all runners; NULL is fine */
DEFINE_AUTO(runner_pool, runner_pool_free)

/* The living runner of that hash, which counts as used now; NULL when there is none. It stays the pool's. */
struct runner *runner_pool_find(struct runner_pool *pool, const uint8_t content_hash[CODE_FILE_HASH], uint64_t now);
/*
 * Takes over a runner, in the place of one of the same hash that has ended. LIMIT, and the runner stays the caller's, when
 * the pool is full of runners with open calls.
 */
int runner_pool_add(struct runner_pool *pool, const uint8_t content_hash[CODE_FILE_HASH], struct runner *runner,
		    uint64_t now, struct err *err) __attribute__((warn_unused_result));
/* Ends what has ended by itself and what was idle too long. Returns when it is due again; UINT64_MAX = never. */
uint64_t runner_pool_expire(struct runner_pool *pool, uint64_t now);

size_t runner_pool_count(const struct runner_pool *pool);
/* For a loop over all: NULL from count on. What removes runners changes the order. */
struct runner *runner_pool_at(const struct runner_pool *pool, size_t index);
