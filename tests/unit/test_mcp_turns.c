#include "control/mcp_turns.h"
#include "control/workers.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define WORKERS (MCP_TURNS_MAX + 2)

/* Jobs that hang until they are let go, and the order in which they began. */
struct lab {
	struct workers *workers;
	struct mcp_turns *turns;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char began[2048]; /* the caller's letter for each */
	size_t n_began, n_done, allowed;
};

struct job {
	struct lab *lab;
	char letter;
};

static void hang(void *what)
{
	struct job *job = what;
	struct lab *lab = job->lab;
	pthread_mutex_lock(&lab->lock);
	lab->began[lab->n_began++] = job->letter;
	pthread_cond_broadcast(&lab->changed);
	while (lab->allowed == 0)
		pthread_cond_wait(&lab->changed, &lab->lock);
	lab->allowed--;
	lab->n_done++;
	pthread_mutex_unlock(&lab->lock);
	free(job);
}

static bool ask(struct lab *lab, char letter)
{
	struct job *job = NEW(struct job);
	*job = (struct job){lab, letter};
	bool taken = mcp_turns_add(lab->turns, str_of(&letter, 1), hang, job);
	if (!taken)
		free(job);
	return taken;
}

static void ask_many(struct lab *lab, char letter, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_true(ask(lab, letter));
}

static void let_go(struct lab *lab, size_t n)
{
	pthread_mutex_lock(&lab->lock);
	lab->allowed += n;
	pthread_cond_broadcast(&lab->changed);
	pthread_mutex_unlock(&lab->lock);
}

static void wait_began(struct lab *lab, size_t n)
{
	pthread_mutex_lock(&lab->lock);
	while (lab->n_began < n)
		pthread_cond_wait(&lab->changed, &lab->lock);
	assert_int_equal(lab->n_began, n);
	pthread_mutex_unlock(&lab->lock);
}

static size_t count(struct lab *lab, char letter, size_t from)
{
	size_t n = 0;
	for (size_t i = from; i < lab->n_began; i++)
		n += lab->began[i] == letter;
	return n;
}

static void start(struct lab *lab)
{
	*lab = (struct lab){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	lab->workers = workers_new(WORKERS, 64);
	lab->turns = mcp_turns_new(lab->workers);
}

/* All that was taken is done. */
static void finish(struct lab *lab, size_t taken)
{
	let_go(lab, taken - lab->n_done);
	workers_finish(lab->workers);
	assert_int_equal(lab->n_done, taken);
	mcp_turns_free(lab->turns);
	workers_free(lab->workers);
}

static void one_has_its_share_and_no_more(void **state)
{
	(void)state;
	struct lab lab;
	start(&lab);
	ask_many(&lab, 'a', 40);
	wait_began(&lab, MCP_TURNS_CALLER_MAX);
	assert_int_equal(workers_threads(lab.workers), MCP_TURNS_CALLER_MAX);
	/* Another is served although many of the first wait. */
	ask_many(&lab, 'b', 1);
	wait_began(&lab, MCP_TURNS_CALLER_MAX + 1);
	assert_int_equal(count(&lab, 'b', 0), 1);
	finish(&lab, 41);
}

static void all_have_theirs_and_no_more(void **state)
{
	(void)state;
	struct lab lab;
	start(&lab);
	ask_many(&lab, 'a', MCP_TURNS_CALLER_MAX + 20);
	ask_many(&lab, 'b', MCP_TURNS_CALLER_MAX + 20);
	ask_many(&lab, 'c', 3);
	wait_began(&lab, MCP_TURNS_MAX);
	assert_int_equal(workers_threads(lab.workers), MCP_TURNS_MAX);
	assert_int_equal(count(&lab, 'c', 0), 0);
	/* Whose turn it is goes round: the third need not wait for what the others asked before. */
	for (size_t i = 1; i <= 6; i++) {
		let_go(&lab, 1);
		wait_began(&lab, MCP_TURNS_MAX + i);
	}
	assert_in_range(count(&lab, 'c', MCP_TURNS_MAX), 2, 3);
	assert_int_equal(workers_threads(lab.workers), MCP_TURNS_MAX);
	finish(&lab, 2 * (MCP_TURNS_CALLER_MAX + 20) + 3);
}

static void what_is_too_much_is_refused(void **state)
{
	(void)state;
	struct lab lab;
	start(&lab);
	size_t taken = MCP_TURNS_CALLER_MAX + MCP_TURNS_CALLER_WAITING_MAX;
	ask_many(&lab, 'a', taken);
	assert_false(ask(&lab, 'a'));
	for (char letter = 'b'; letter < 'e'; letter++) {
		ask_many(&lab, letter, MCP_TURNS_CALLER_WAITING_MAX);
		taken += MCP_TURNS_CALLER_WAITING_MAX;
	}
	ask_many(&lab, 'e', MCP_TURNS_CALLER_MAX); /* 'b' has as many on workers: those wait no more */
	taken += MCP_TURNS_CALLER_MAX;
	assert_false(ask(&lab, 'f'));
	finish(&lab, taken);
}

static void what_is_idle_is_had_anew(void **state)
{
	(void)state;
	struct lab lab;
	start(&lab);
	for (size_t i = 1; i <= 100; i++) {
		ask_many(&lab, 'a', 1);
		wait_began(&lab, i);
		let_go(&lab, 1);
	}
	finish(&lab, 100);
}

static void nothing_is_taken_by_a_pool_that_ends(void **state)
{
	(void)state;
	struct lab lab;
	start(&lab);
	workers_finish(lab.workers);
	assert_false(ask(&lab, 'a'));
	mcp_turns_free(lab.turns);
	workers_free(lab.workers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_has_its_share_and_no_more),        cmocka_unit_test(all_have_theirs_and_no_more),
		cmocka_unit_test(what_is_too_much_is_refused),          cmocka_unit_test(what_is_idle_is_had_anew),
		cmocka_unit_test(nothing_is_taken_by_a_pool_that_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
