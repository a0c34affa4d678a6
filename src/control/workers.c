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

struct workers {
	size_t threads_max, waiting_max;
	pthread_t *threads;
	bool finished; /* all were joined */

	pthread_mutex_t lock; /* all below */
	pthread_cond_t added;
	struct job *first, **last;
	size_t waiting, n_threads, idle;
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

static void *work(void *user)
{
	struct workers *workers = user;
	pthread_mutex_lock(&workers->lock);
	for (;;) {
		struct job *job;
		while ((job = take(workers)) == NULL && !workers->ending) {
			workers->idle++;
			pthread_cond_wait(&workers->added, &workers->lock);
			workers->idle--;
		}
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
	pthread_cond_init(&workers->added, NULL);
	return workers;
}

void workers_finish(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	workers->ending = true;
	pthread_cond_broadcast(&workers->added);
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
	pthread_cond_destroy(&workers->added);
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
	if (!workers->ending && workers->waiting >= workers->idle && workers->n_threads < workers->threads_max)
		start_thread(workers);
	bool taken = !workers->ending && workers->n_threads > 0 && workers->waiting < workers->waiting_max;
	if (taken) {
		struct job *job = NEW(struct job);
		*job = (struct job){.work = work_, .user = user};
		*workers->last = job;
		workers->last = &job->next;
		workers->waiting++;
	}
	pthread_mutex_unlock(&workers->lock);
	if (taken) /* who wakes finds the lock free */
		pthread_cond_signal(&workers->added);
	return taken;
}

size_t workers_threads(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	size_t n = workers->n_threads;
	pthread_mutex_unlock(&workers->lock);
	return n;
}
