#include "base/rand.h"
#include "base/err.h"
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

static _Atomic(const struct rand_source *) replacement;

void rand_replace(const struct rand_source *source)
{
	atomic_store(&replacement, source);
}

void rand_bytes(void *ret, size_t n)
{
	const struct rand_source *source = atomic_load(&replacement);
	if (source != NULL) {
		source->fill(source->context, ret, n);
		return;
	}
	char *to = ret;
	while (n > 0) {
		ssize_t got = getrandom(to, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			BUG("the kernel gave no random bytes: %s", strerrordesc_np(errno));
		to += got;
		n -= (size_t)got;
	}
}

uint64_t rand_u64(void)
{
	uint64_t value;
	rand_bytes(&value, sizeof value);
	return value;
}

uint64_t rand_below(uint64_t bound)
{
	if (bound == 0)
		BUG("a random number below 0");
	/* Values of the last, incomplete run of `bound` would make its first numbers likelier: drawn again. */
	uint64_t incomplete = (UINT64_MAX - bound + 1) % bound;
	uint64_t value;
	do
		value = rand_u64();
	while (value > UINT64_MAX - incomplete);
	return value % bound;
}
