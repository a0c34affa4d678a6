/* How dear a passphrase can be made on this machine. */
#include "base/rand.h"
#include "vault/vault_file.h"
#include <unistd.h>

enum { TARGET_MIN_MS = 50, TARGET_MAX_MS = 10000, LANES = 4, PASSES = 3, PASSES_MIN = 2, STEPS = 4 };

/* The better of two, since what else the machine does only ever makes it slower; a long one is measured once. */
static int measure(const struct clock *clock, const struct argon2_cost *cost, uint64_t *ret_ns, struct err *err)
{
	unsigned char salt[ARGON2_SALT_MIN], key[ARGON2_KEY];
	uint64_t least = UINT64_MAX;
	rand_bytes(salt, sizeof salt);
	for (int i = 0; i < 2 && (i == 0 || least < TIME_SECOND / 2); i++) {
		uint64_t start = clock_monotonic_ns(clock);
		if (argon2id(S("a passphrase of ordinary length"), str_of(salt, sizeof salt), cost, key, err) < 0)
			return -1;
		least = MIN(least, clock_monotonic_ns(clock) - start);
	}
	*ret_ns = MAX(least, 1);
	return 0;
}

/* In KiB; a machine's memory is its other programs' too. */
static uint64_t most_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t quarter = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size / 4096 : ARGON2_MEMORY_MAX;
	return MAX(MIN(quarter, ARGON2_MEMORY_MAX), ARGON2_MEMORY_MIN);
}

/* Time grows as passes times memory. Whole MiB, so that what is proposed can be said. */
static struct argon2_cost cost_for(uint64_t work, uint64_t most)
{
	struct argon2_cost cost = {.time = PASSES, .lanes = LANES};
	uint64_t memory = MIN(work / PASSES, most);
	if (work / PASSES > most)
		cost.time = (uint32_t)MIN(MAX(work / most, PASSES), ARGON2_TIME_MAX);
	if (memory < ARGON2_MEMORY_MIN)
		cost.time = (uint32_t)MIN(MAX(work / ARGON2_MEMORY_MIN, PASSES_MIN), PASSES);
	cost.memory_kib = (uint32_t)MAX(memory / 1024 * 1024, ARGON2_MEMORY_MIN);
	return cost;
}

int vault_tune(uint32_t target_ms, const struct clock *clock, struct argon2_cost *ret, uint32_t *ret_ms,
	       struct err *err)
{
	if (target_ms < TARGET_MIN_MS || target_ms > TARGET_MAX_MS)
		return fail(err, ERR_VALIDATION_ERROR, "%u ms to aim at: %d to %d are accepted", target_ms,
			    TARGET_MIN_MS, TARGET_MAX_MS);
	struct argon2_cost cost = {.time = PASSES_MIN, .memory_kib = ARGON2_MEMORY_MIN, .lanes = LANES};
	uint64_t target = target_ms * TIME_MILLISECOND, took = 0, most = most_memory();
	/* Each step measures what the last one proposed, as larger memory is a little slower than in proportion. */
	for (int step = 0; step < STEPS; step++) {
		if (measure(clock, &cost, &took, err) < 0)
			return -1;
		struct argon2_cost better = cost_for((uint64_t)cost.time * cost.memory_kib * target / took, most);
		bool close = took > target * 9 / 10 && took < target * 11 / 10;
		bool same = better.time == cost.time && better.memory_kib == cost.memory_kib;
		if (close || same || step == STEPS - 1)
			break;
		cost = better;
	}
	*ret = cost;
	*ret_ms = (uint32_t)(took / TIME_MILLISECOND);
	return 0;
}
