#include "base/wait.h"
#include "base/mem.h"
#include "base/time.h"
#include <errno.h>

void wait_init(pthread_cond_t *cond)
{
	pthread_condattr_t attributes;
	if (pthread_condattr_init(&attributes) != 0 || pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
	    pthread_cond_init(cond, &attributes) != 0)
		BUG("no condition on the steady clock");
	pthread_condattr_destroy(&attributes);
}

bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns)
{
	const struct timespec at = {
		.tv_sec = (time_t)(deadline_ns / TIME_SECOND),
		.tv_nsec = (long)(deadline_ns % TIME_SECOND),
	};
	return pthread_cond_timedwait(cond, lock, &at) != ETIMEDOUT;
}
