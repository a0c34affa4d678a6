#include "connector/runner_pool.h"
#include <stdlib.h>

struct pooled {
	uint8_t content_hash[CODE_FILE_HASH];
	struct runner *runner;
	uint64_t used; /* last found, or last seen with an open call */
};

struct runner_pool {
	size_t max, n;
	uint64_t idle_ns;
	struct pooled items[];
};

struct runner_pool *runner_pool_new(size_t max, uint64_t idle_ns)
{
	struct runner_pool *pool = xcalloc(1, sizeof *pool + max * sizeof pool->items[0]);
	pool->max = max;
	pool->idle_ns = idle_ns;
	return pool;
}

void runner_pool_free(struct runner_pool *pool)
{
	if (pool == NULL)
		return;
	for (size_t i = 0; i < pool->n; i++)
		runner_free(pool->items[i].runner);
	free(pool);
}

static void drop(struct runner_pool *pool, size_t index)
{
	runner_free(pool->items[index].runner);
	pool->items[index] = pool->items[--pool->n];
}

static bool is_dead(const struct pooled *item)
{
	return runner_phase(item->runner) == RUNNER_PHASE_ENDED;
}

struct runner *runner_pool_find(struct runner_pool *pool, const uint8_t content_hash[CODE_FILE_HASH], uint64_t now)
{
	for (size_t i = 0; i < pool->n; i++) {
		struct pooled *item = &pool->items[i];
		if (memcmp(item->content_hash, content_hash, CODE_FILE_HASH) != 0)
			continue;
		if (is_dead(item)) {
			drop(pool, i);
			return NULL;
		}
		item->used = now;
		return item->runner;
	}
	return NULL;
}

/* The runner without open calls that was used longest ago, or n. */
static size_t idlest(const struct runner_pool *pool)
{
	size_t found = pool->n;
	for (size_t i = 0; i < pool->n; i++) {
		if (runner_open_calls(pool->items[i].runner) > 0)
			continue;
		if (found == pool->n || pool->items[i].used < pool->items[found].used)
			found = i;
	}
	return found;
}

static void drop_dead(struct runner_pool *pool)
{
	for (size_t i = 0; i < pool->n;) {
		if (is_dead(&pool->items[i]))
			drop(pool, i);
		else
			i++;
	}
}

int runner_pool_add(struct runner_pool *pool, const uint8_t content_hash[CODE_FILE_HASH], struct runner *runner,
		    uint64_t now, struct err *err)
{
	drop_dead(pool);
	if (pool->n == pool->max) {
		size_t victim = idlest(pool);
		if (victim == pool->n)
			return fail(err, ERR_LIMIT,
				    "%zu connectors are running calls, which is the most; try again later", pool->n);
		drop(pool, victim);
	}
	struct pooled *item = &pool->items[pool->n++];
	memcpy(item->content_hash, content_hash, CODE_FILE_HASH);
	item->runner = runner;
	item->used = now;
	return 0;
}

uint64_t runner_pool_expire(struct runner_pool *pool, uint64_t now)
{
	uint64_t due = UINT64_MAX;
	drop_dead(pool);
	for (size_t i = 0; i < pool->n;) {
		struct pooled *item = &pool->items[i];
		if (runner_open_calls(item->runner) > 0)
			item->used = now;
		if (now - item->used >= pool->idle_ns) {
			drop(pool, i);
			continue;
		}
		due = item->used + pool->idle_ns < due ? item->used + pool->idle_ns : due;
		i++;
	}
	return due;
}

size_t runner_pool_count(const struct runner_pool *pool)
{
	return pool->n;
}

struct runner *runner_pool_at(const struct runner_pool *pool, size_t index)
{
	return index < pool->n ? pool->items[index].runner : NULL;
}
