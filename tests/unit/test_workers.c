#include "control/workers.h"
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <cmocka.h>

/* Jobs that wait at a gate, and how many got there. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t inside, done;
	bool open;
};

static void pass(void *user)
{
	struct gate *gate = user;
	pthread_mutex_lock(&gate->lock);
	gate->inside++;
	pthread_cond_broadcast(&gate->changed);
	while (!gate->open)
		pthread_cond_wait(&gate->changed, &gate->lock);
	gate->done++;
	pthread_mutex_unlock(&gate->lock);
}

static void wait_inside(struct gate *gate, size_t n)
{
	pthread_mutex_lock(&gate->lock);
	while (gate->inside < n)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

static void open_gate(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->open = true;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

#define GATE                                                                                                           \
	{                                                                                                              \
		.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                                 \
	}

static void as_many_threads_as_there_is_work_and_no_more(void **state)
{
	(void)state;
	struct gate gate = GATE;
	struct workers *workers = workers_new(4, 3);
	assert_int_equal(workers_threads(workers), 0);
	for (size_t i = 1; i <= 4; i++) {
		assert_true(workers_add(workers, pass, &gate));
		wait_inside(&gate, i);
		assert_int_equal(workers_threads(workers), i);
	}
	for (int i = 0; i < 3; i++)
		assert_true(workers_add(workers, pass, &gate));
	assert_false(workers_add(workers, pass, &gate));
	assert_int_equal(workers_threads(workers), 4);
	open_gate(&gate);
	workers_free(workers);
	assert_int_equal(gate.done, 7);
}

/* Who did the last job, and how many one after the other were the same one's. */
struct streak {
	struct gate gate;
	pthread_t last;
	size_t length;
};

static void count_streak(void *user)
{
	struct streak *streak = user;
	bool same = streak->gate.inside > 0 && pthread_equal(streak->last, pthread_self()) != 0;
	streak->length = same ? streak->length + 1 : 1;
	streak->last = pthread_self();
	pass(&streak->gate);
}

static void who_was_busy_last_is_woken_first(void **state)
{
	(void)state;
	enum { THREADS = 4, JOBS = 2 * THREADS };
	struct gate all = GATE;
	struct streak streak = {.gate = GATE};
	streak.gate.open = true;
	struct workers *workers = workers_new(THREADS, 1);
	for (size_t i = 1; i <= THREADS; i++) {
		assert_true(workers_add(workers, pass, &all));
		wait_inside(&all, i);
	}
	open_gate(&all);
	for (size_t i = 1; i <= JOBS; i++) { /* in turns none would be twice in a row */
		while (workers_idle(workers) < THREADS)
			sched_yield();
		assert_true(workers_add(workers, count_streak, &streak));
		wait_inside(&streak.gate, i);
	}
	assert_int_equal(streak.length, JOBS);
	workers_free(workers);
}

static void a_thread_that_is_idle_is_used_again(void **state)
{
	(void)state;
	struct gate gate = GATE;
	gate.open = true;
	struct workers *workers = workers_new(8, 8);
	for (size_t i = 1; i <= 100; i++) {
		assert_true(workers_add(workers, pass, &gate));
		wait_inside(&gate, i);
	}
	/* The one that has just left the gate may not be back yet when the next job comes. */
	assert_true(workers_threads(workers) <= 8);
	workers_free(workers);
	assert_int_equal(gate.done, 100);
}

/* Jobs of one thread are done in their order. */
struct order {
	size_t seen[64], n;
};
struct numbered {
	struct order *order;
	size_t number;
};

static void note(void *user)
{
	struct numbered *one = user;
	one->order->seen[one->order->n++] = one->number;
}

static void what_waits_is_done_in_order(void **state)
{
	(void)state;
	struct order order = {0};
	struct numbered jobs[64];
	struct workers *workers = workers_new(1, 64);
	for (size_t i = 0; i < 64; i++) {
		jobs[i] = (struct numbered){&order, i};
		assert_true(workers_add(workers, note, &jobs[i]));
	}
	workers_free(workers);
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(order.seen[i], i);
}

static void what_comes_too_late_is_not_taken(void **state)
{
	(void)state;
	struct gate gate = GATE;
	gate.open = true;
	AUTO(workers) *workers = workers_new(2, 8);
	assert_true(workers_add(workers, pass, &gate));
	workers_finish(workers);
	assert_int_equal(gate.done, 1);
	assert_false(workers_add(workers, pass, &gate));
	AUTO(workers) *unused = workers_new(2, 8);
	workers_finish(unused);
	assert_false(workers_add(unused, pass, &gate));
	assert_int_equal(gate.done, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_many_threads_as_there_is_work_and_no_more),
		cmocka_unit_test(a_thread_that_is_idle_is_used_again),
		cmocka_unit_test(who_was_busy_last_is_woken_first),
		cmocka_unit_test(what_waits_is_done_in_order),
		cmocka_unit_test(what_comes_too_late_is_not_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
