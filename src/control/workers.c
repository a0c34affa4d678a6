#include "control/workers.h"
#include "confine/sanitized.h"
#include <pthread.h>
#include <stdlib.h>

#define STACK_SIZE ((size_t)256 << 10)

struct job {
	struct job *next;
	void (*work)(void *user);
	void *user;
};

struct worker {
	struct workers *workers;
	pthread_t thread;
	struct worker *below; /* of those that have nothing to do */
	pthread_cond_t wanted;
	bool woken;
};

/*
 * Who became idle last is woken first: what it touched is in its processor's caches still, and the threads of one busy
 * hour rest when there is little to do.
 */
struct workers {
	size_t threads_max, waiting_max;
	struct worker *threads;
	bool finished; /* all were joined */

	pthread_mutex_t lock; /* all below */
	struct job *first, **last;
	struct worker *idle; /* the last one first */
	size_t waiting, n_threads, n_idle;
	bool ending;
};

static struct job *take(struct workers *workers)
{
	struct job *job = workers->first;
	if (job == NULL)
		return NULL;
	workers->first = job->next;
	if (workers->first == NULL)
		workers->last = &workers->first;
	workers->waiting--;
	return job;
}

/* Under the lock, which is let go of meanwhile. */
static void be_idle(struct workers *workers, struct worker *me)
{
	me->woken = false;
	me->below = workers->idle;
	workers->idle = me;
	workers->n_idle++;
	while (!me->woken)
		pthread_cond_wait(&me->wanted, &workers->lock);
	workers->n_idle--;
}

/* Under the lock: who is to be woken, NULL = all are at work. It is told when the lock is free, which it wants next. */
static struct worker *choose(struct workers *workers)
{
	struct worker *one = workers->idle;
	if (one == NULL)
		return NULL;
	workers->idle = one->below;
	one->woken = true;
	return one;
}

static void wake(struct worker *one)
{
	if (one != NULL)
		pthread_cond_signal(&one->wanted);
}

static void *work(void *user)
{
	struct worker *me = user;
	struct workers *workers = me->workers;
	pthread_mutex_lock(&workers->lock);
	for (;;) {
		struct job *job;
		while ((job = take(workers)) == NULL && !workers->ending)
			be_idle(workers, me);
		if (job == NULL)
			break;
		pthread_mutex_unlock(&workers->lock);
		job->work(job->user);
		free(job);
		pthread_mutex_lock(&workers->lock);
	}
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

struct workers *workers_new(size_t threads_max, size_t waiting_max)
{
	struct workers *workers = NEW(struct workers);
	workers->threads_max = threads_max;
	workers->waiting_max = waiting_max;
	workers->threads = xcalloc(threads_max, sizeof *workers->threads);
	workers->last = &workers->first;
	pthread_mutex_init(&workers->lock, NULL);
	for (size_t i = 0; i < threads_max; i++) {
		workers->threads[i].workers = workers;
		pthread_cond_init(&workers->threads[i].wanted, NULL);
	}
	return workers;
}

void workers_finish(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	workers->ending = true;
	while (workers->idle != NULL)
		wake(choose(workers));
	pthread_mutex_unlock(&workers->lock);
	/* No thread is started any more. */
	for (size_t i = 0; i < workers->n_threads; i++)
		pthread_join(workers->threads[i].thread, NULL);
	workers->finished = true;
}

void workers_free(struct workers *workers)
{
	if (workers == NULL)
		return;
	if (!workers->finished)
		workers_finish(workers);
	for (size_t i = 0; i < workers->threads_max; i++)
		pthread_cond_destroy(&workers->threads[i].wanted);
	pthread_mutex_destroy(&workers->lock);
	free(workers->threads);
	free(workers);
}

/* Under the lock. */
static void start_thread(struct workers *workers)
{
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, CONFINE_SANITIZED ? 8 * STACK_SIZE : STACK_SIZE);
	struct worker *worker = &workers->threads[workers->n_threads];
	if (pthread_create(&worker->thread, &attributes, work, worker) == 0)
		workers->n_threads++;
	pthread_attr_destroy(&attributes);
}

bool workers_add(struct workers *workers, void (*work_)(void *user), void *user)
{
	struct worker *wanted = NULL;
	pthread_mutex_lock(&workers->lock);
	/* Jobs that wait have idle threads promised to them. */
	if (!workers->ending && workers->waiting >= workers->n_idle && workers->n_threads < workers->threads_max)
		start_thread(workers);
	bool taken = !workers->ending && workers->n_threads > 0 && workers->waiting < workers->waiting_max;
	if (taken) {
		struct job *job = NEW(struct job);
		*job = (struct job){.work = work_, .user = user};
		*workers->last = job;
		workers->last = &job->next;
		workers->waiting++;
		wanted = choose(workers);
	}
	pthread_mutex_unlock(&workers->lock);
	wake(wanted);
	return taken;
}

size_t workers_idle(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	size_t n = workers->n_idle;
	pthread_mutex_unlock(&workers->lock);
	return n;
}

size_t workers_threads(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	size_t n = workers->n_threads;
	pthread_mutex_unlock(&workers->lock);
	return n;
}
