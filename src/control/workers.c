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

/* A thread that has nothing to do, on its own stack. */
struct idle {
	struct idle *below;
	pthread_cond_t wanted;
	bool woken;
};

/*
 * Who became idle last is woken first: what it touched is in its processor's caches still, and the threads of one busy
 * hour rest when there is little to do.
 */
struct workers {
	size_t threads_max, waiting_max;
	pthread_t *threads;
	bool finished; /* all were joined */

	pthread_mutex_t lock; /* all below */
	struct job *first, **last;
	struct idle *idle; /* the last one first */
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
static void be_idle(struct workers *workers, struct idle *me)
{
	me->woken = false;
	me->below = workers->idle;
	workers->idle = me;
	workers->n_idle++;
	while (!me->woken)
		pthread_cond_wait(&me->wanted, &workers->lock);
	workers->n_idle--;
}

/* Under the lock. */
static void wake_one(struct workers *workers)
{
	struct idle *one = workers->idle;
	if (one == NULL)
		return;
	workers->idle = one->below;
	one->woken = true;
	pthread_cond_signal(&one->wanted);
}

static void *work(void *user)
{
	struct workers *workers = user;
	struct idle me = {0};
	pthread_cond_init(&me.wanted, NULL);
	pthread_mutex_lock(&workers->lock);
	for (;;) {
		struct job *job;
		while ((job = take(workers)) == NULL && !workers->ending)
			be_idle(workers, &me);
		if (job == NULL)
			break;
		pthread_mutex_unlock(&workers->lock);
		job->work(job->user);
		free(job);
		pthread_mutex_lock(&workers->lock);
	}
	pthread_mutex_unlock(&workers->lock);
	pthread_cond_destroy(&me.wanted);
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
	return workers;
}

void workers_finish(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	workers->ending = true;
	while (workers->idle != NULL)
		wake_one(workers);
	pthread_mutex_unlock(&workers->lock);
	/* No thread is started any more. */
	for (size_t i = 0; i < workers->n_threads; i++)
		pthread_join(workers->threads[i], NULL);
	workers->finished = true;
}

void workers_free(struct workers *workers)
{
	if (workers == NULL)
		return;
	if (!workers->finished)
		workers_finish(workers);
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
	if (pthread_create(&workers->threads[workers->n_threads], &attributes, work, workers) == 0)
		workers->n_threads++;
	pthread_attr_destroy(&attributes);
}

bool workers_add(struct workers *workers, void (*work_)(void *user), void *user)
{
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
		wake_one(workers);
	}
	pthread_mutex_unlock(&workers->lock);
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
