#include "base/mem.h"
#include "base/time.h"
#include "base/wait.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct meeting {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool here;
};

static void *come(void *user)
{
	struct meeting *meeting = user;
	pthread_mutex_lock(&meeting->lock);
	meeting->here = true;
	pthread_cond_broadcast(&meeting->changed);
	pthread_mutex_unlock(&meeting->lock);
	return NULL;
}

static void time_runs_out(void **state)
{
	(void)state;
	struct meeting meeting = {.lock = PTHREAD_MUTEX_INITIALIZER};
	wait_init(&meeting.changed);
	uint64_t deadline = clock_monotonic_ns(NULL) + 20 * TIME_MILLISECOND;
	pthread_mutex_lock(&meeting.lock);
	while (wait_until(&meeting.changed, &meeting.lock, deadline))
		continue;
	assert_true(clock_monotonic_ns(NULL) >= deadline);
	assert_false(wait_until(&meeting.changed, &meeting.lock, 0)); /* long ago */
	pthread_mutex_unlock(&meeting.lock);
	pthread_cond_destroy(&meeting.changed);
}

static void who_waits_is_woken(void **state)
{
	(void)state;
	const uint64_t limits[] = {clock_monotonic_ns(NULL) + TIME_HOUR, UINT64_MAX};
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		struct meeting meeting = {.lock = PTHREAD_MUTEX_INITIALIZER};
		wait_init(&meeting.changed);
		pthread_mutex_lock(&meeting.lock);
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, come, &meeting), 0); /* which waits for the lock */
		while (!meeting.here)
			assert_true(wait_until(&meeting.changed, &meeting.lock, limits[i]));
		pthread_mutex_unlock(&meeting.lock);
		pthread_join(thread, NULL);
		pthread_cond_destroy(&meeting.changed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_runs_out),
		cmocka_unit_test(who_waits_is_woken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
