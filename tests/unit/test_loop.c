#include "os/loop.h"
#include "os/child.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <cmocka.h>

/* What a source's function saw, and what it is to do. */
struct seen {
	struct loop *loop;
	struct loop_source *source;
	int fd;
	int calls;
	int what;
	int stop_after; /* calls */
	bool free_itself;
};

static void note(void *user, int what)
{
	struct seen *seen = user;
	seen->calls++;
	seen->what = what;
	char byte;
	if ((what & LOOP_READ) != 0 && seen->fd > 0)
		(void)!read(seen->fd, &byte, 1);
	if (seen->free_itself) {
		loop_source_free(seen->source);
		seen->source = NULL;
	}
	if (seen->calls == seen->stop_after)
		loop_stop(seen->loop);
}

static void a_descriptor_is_watched_until_it_is_paused(void **state)
{
	(void)state;
	AUTO(loop) *loop = loop_new(NULL);
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct seen seen = {.loop = loop, .fd = pair[0], .stop_after = 2};
	seen.source = loop_watch(loop, pair[0], LOOP_READ, note, &seen, NULL);
	assert_int_equal(write(pair[1], "ab", 2), 2);
	loop_run(loop);
	assert_int_equal(seen.calls, 2); /* a byte a call: level-triggered */
	assert_int_equal(seen.what, LOOP_READ);

	loop_watch_set(seen.source, LOOP_READ | LOOP_WRITE);
	loop_turn(loop, true);
	assert_int_equal(seen.what, LOOP_WRITE);
	loop_watch_set(seen.source, 0);
	assert_int_equal(write(pair[1], "c", 1), 1);
	loop_turn(loop, false);
	assert_int_equal(seen.calls, 3);

	loop_watch_set(seen.source, LOOP_READ);
	close(pair[1]);
	loop_turn(loop, true);
	loop_turn(loop, true);
	assert_int_equal(seen.calls, 5); /* the byte, then the end */
	loop_source_free(seen.source);
	close(pair[0]);
}

static void a_source_may_free_itself(void **state)
{
	(void)state;
	AUTO(loop) *loop = loop_new(NULL);
	struct seen seen = {.loop = loop, .free_itself = true};
	seen.source = loop_timer(loop, note, &seen);
	loop_timer_start(seen.source, 0, 1);
	loop_run(loop); /* ends because nothing is left */
	assert_int_equal(seen.calls, 1);
}

static void a_freed_source_is_silent(void **state)
{
	(void)state;
	AUTO(loop) *loop = loop_new(NULL);
	struct seen seen = {.loop = loop};
	struct loop_source *wakeup = loop_wakeup(loop, note, &seen, NULL);
	loop_wake(wakeup);
	loop_source_free(wakeup);
	loop_source_free(NULL);
	loop_run(loop);
	assert_int_equal(seen.calls, 0);
}

static void a_timer_repeats_and_stops(void **state)
{
	(void)state;
	AUTO(loop) *loop = loop_new(NULL);
	struct seen seen = {.loop = loop, .stop_after = 3};
	AUTO(loop_source) *timer = loop_timer(loop, note, &seen);
	loop_timer_start(timer, 1, 1);
	loop_run(loop);
	assert_int_equal(seen.calls, 3);
	loop_timer_stop(timer);
	loop_run(loop);
	assert_int_equal(seen.calls, 3);
}

static void a_timer_does_not_come_early(void **state)
{
	(void)state;
	AUTO(loop) *loop = loop_new(NULL);
	struct seen seen = {.loop = loop};
	AUTO(loop_source) *timer = loop_timer(loop, note, &seen);
	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	do
		clock_gettime(CLOCK_MONOTONIC, &end);
	while (end.tv_sec == start.tv_sec &&
	       end.tv_nsec - start.tv_nsec < 30000000); /* the loop's idea of now is old */
	clock_gettime(CLOCK_MONOTONIC, &start);
	loop_timer_start(timer, 20, 0);
	loop_run(loop);
	clock_gettime(CLOCK_MONOTONIC, &end);
	int64_t ms = (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000;
	assert_int_equal(seen.calls, 1);
	assert_true(ms >= 19);
}

static void a_signal_is_told(void **state)
{
	(void)state;
	AUTO(loop) *loop = loop_new(NULL);
	struct seen seen = {.loop = loop, .stop_after = 1};
	AUTO(loop_source) *source = loop_signal(loop, SIGUSR1, note, &seen, NULL);
	assert_non_null(source);
	raise(SIGUSR1);
	loop_run(loop);
	assert_int_equal(seen.what, SIGUSR1);
	struct err err = {0};
	assert_null(loop_signal(loop, SIGKILL, note, &seen, &err));
	assert_int_equal(err.class, ERR_SYSTEM);
}

static void a_background_source_does_not_keep_it_going(void **state)
{
	(void)state;
	AUTO(loop) *loop = loop_new(NULL);
	struct seen seen = {.loop = loop};
	struct loop_source *signal = loop_signal(loop, SIGUSR1, note, &seen, NULL);
	loop_source_background(signal);
	loop_run(loop); /* loop_free() closes it */
	assert_int_equal(seen.calls, 0);
}

static void a_child_that_ends_is_told_once(void **state)
{
	(void)state;
	AUTO(loop) *loop = loop_new(NULL);
	AUTO_CHILD child = CHILD_INIT;
	const char *words[] = {"true", NULL};
	child.path = "/bin/true";
	child.argv = words;
	assert_int_equal(child_start(&child, NULL), 0);
	struct seen seen = {.loop = loop};
	AUTO(loop_source) *source = loop_child(loop, &child, note, &seen, NULL);
	assert_non_null(source);
	loop_run(loop);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(child_wait(&child, 0, NULL), 1);
	assert_int_equal(child.exit_status, 0);
}

static void *wake_often(void *source)
{
	for (int i = 0; i < 1000; i++)
		loop_wake(source);
	return NULL;
}

static void another_thread_may_wake_it(void **state)
{
	(void)state;
	AUTO(loop) *loop = loop_new(NULL);
	struct seen seen = {.loop = loop, .stop_after = 1};
	AUTO(loop_source) *source = loop_wakeup(loop, note, &seen, NULL);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, wake_often, source), 0);
	loop_run(loop);
	pthread_join(thread, NULL);
	assert_true(seen.calls >= 1);
}

struct errand {
	pthread_t worker;
	int steps;
};

static void run_errand(void *user)
{
	struct errand *errand = user;
	errand->worker = pthread_self();
	errand->steps++;
}

static void errand_done(void *user)
{
	struct errand *errand = user;
	assert_int_equal(errand->steps++, 1);
	assert_false(pthread_equal(errand->worker, pthread_self()));
}

static void work_is_done_on_another_thread(void **state)
{
	(void)state;
	AUTO(loop) *loop = loop_new(NULL);
	struct errand errands[20] = {0};
	for (size_t i = 0; i < ARRAY_LEN(errands); i++)
		loop_work(loop, run_errand, errand_done, &errands[i]);
	loop_run(loop);
	for (size_t i = 0; i < ARRAY_LEN(errands); i++)
		assert_int_equal(errands[i].steps, 2);
}

static void a_bad_descriptor_is_an_error(void **state)
{
	(void)state;
	AUTO(loop) *loop = loop_new(NULL);
	struct err err = {0};
	assert_null(loop_watch(loop, 1000, LOOP_READ, note, NULL, &err));
	assert_int_equal(err.class, ERR_SYSTEM);
	loop_run(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_descriptor_is_watched_until_it_is_paused),
		cmocka_unit_test(a_source_may_free_itself),
		cmocka_unit_test(a_freed_source_is_silent),
		cmocka_unit_test(a_timer_repeats_and_stops),
		cmocka_unit_test(a_timer_does_not_come_early),
		cmocka_unit_test(a_signal_is_told),
		cmocka_unit_test(a_background_source_does_not_keep_it_going),
		cmocka_unit_test(a_child_that_ends_is_told_once),
		cmocka_unit_test(another_thread_may_wake_it),
		cmocka_unit_test(work_is_done_on_another_thread),
		cmocka_unit_test(a_bad_descriptor_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
