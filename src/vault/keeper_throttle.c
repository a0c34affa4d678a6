#include "vault/keeper_throttle.h"
#include "base/mem.h"
#include "base/time.h"

uint64_t keeper_throttle_left_ms(const struct keeper_throttle *throttle, uint64_t now_ns)
{
	if (now_ns >= throttle->until_ns)
		return 0;
	/* Up, so that whoever waits as long as told is not told again. */
	return (throttle->until_ns - now_ns + TIME_MILLISECOND - 1) / TIME_MILLISECOND;
}

void keeper_throttle_wrong(struct keeper_throttle *throttle, uint64_t now_ns)
{
	throttle->wrong++;
	if (throttle->wrong < KEEPER_THROTTLE_FREE)
		return;
	unsigned doublings = MIN(throttle->wrong - KEEPER_THROTTLE_FREE, 6U);
	uint64_t ms = MIN(UINT64_C(1000) << doublings, (uint64_t)KEEPER_THROTTLE_MAX_MS);
	throttle->until_ns = now_ns + ms * TIME_MILLISECOND;
}

void keeper_throttle_right(struct keeper_throttle *throttle)
{
	*throttle = (struct keeper_throttle){0};
}
