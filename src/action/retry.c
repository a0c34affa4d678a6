#include "action/retry.h"
#include "base/time.h"

uint64_t action_retry_ns(const struct err *err, unsigned n, bool safe, bool unsent, uint32_t random)
{
	bool may_help = (err->class == ERR_NETWORK_ERROR || err->class == ERR_EXTERNAL_API_ERROR) && err->retriable;
	if (!may_help || (!safe && !unsent) || n == 0 || n > ACTION_RETRIES)
		return 0;
	uint64_t delay = TIME_SECOND << (n - 1); /* 1, 2, 4 s, and up to a fifth more, so that not all come at once */
	return delay + delay / 5 * random / UINT32_MAX;
}
