#include "base/time.h"
#include "base/wait.h"
#include "store/connection.h"
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

/*
 * One transaction a group. The writer takes whatever waits, runs it, and commits when nothing waits any more; what
 * arrives during the commit (a write to the disk and its sync, most of the time) is the next group.
 *
 * Callers that wait come back together: after a commit all of the group are woken, and the first to write again would
 * get a transaction of its own, while the rest waits for that. So before a commit the writer waits until the group has as
 * many jobs as the last one had, for a part of what a commit takes; what comes meanwhile is run at once. A caller alone
 * never waits, and when others stay away only one commit is late.
 */
#define GROUP_MAX     1024                    /* jobs a transaction */
#define GATHER_PART   2                       /* of the time of a commit */
#define GATHER_WORTH  (20 * TIME_MICROSECOND) /* a commit that is quicker is not worth a wait */
#define GATHER_MAX_NS (2 * TIME_MILLISECOND)

/*
 * Jobs that nobody waits for, or that others follow, are run at once, and committed with the next that somebody does wait
 * for, or after this time.
 */
#define LINGER_NS (5 * TIME_MILLISECOND)

struct job {
	db_job *run;
	void *user;
	struct err *err;                                 /* of the caller that waits */
	void (*done)(void *user, const struct err *err); /* NULL = one waits, and the job is on its stack */
	bool relaxed;                                    /* need not be synced */
	bool lingers;                                    /* another one follows soon */
	int result;
	sem_t over; /* of a job that is waited for */
	struct job *next;
};

struct job_list {
	struct job *first, **end;
	size_t n;
};

struct writer {
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t arrived;
	struct job_list waiting;
	bool stopping;
	void (*committed)(void *user);
	void *committed_user;

	/* The thread's own. */
	struct db_tx *tx;
	size_t last_awaited; /* jobs of the last group that somebody waited for */
	uint64_t commit_ns;  /* a commit that is synced takes about this long */
	bool relaxed;        /* commits are not synced now */
	struct err err;      /* of jobs that nobody waits for */
};

static void list_add(struct job_list *list, struct job *job)
{
	if (list->n == 0)
		list->end = &list->first;
	job->next = NULL;
	*list->end = job;
	list->end = &job->next;
	list->n++;
}

static struct job *list_take(struct job_list *list)
{
	struct job *job = list->first;
	if (job != NULL) {
		list->first = job->next;
		list->n--;
	}
	return job;
}

/* The job is gone when this returns. */
static void finish(struct job *job, int result, const struct err *err)
{
	if (job->done != NULL) {
		job->done(job->user, result == 0 ? NULL : err);
		free(job);
		return;
	}
	job->result = result;
	sem_post(&job->over);
}

static struct err *err_of(struct writer *writer, struct job *job)
{
	if (job->done == NULL)
		return job->err;
	err_clear(&writer->err);
	return &writer->err;
}

/* Ends every job of the list with one failure. */
static void fail_all(struct writer *writer, struct job_list *list, int code)
{
	for (struct job *job; (job = list_take(list)) != NULL;) {
		struct err *err = err_of(writer, job);
		store_fail(writer->tx->handle, code, err);
		finish(job, -1, err);
	}
}

static bool in_transaction(const struct writer *writer)
{
	return sqlite3_get_autocommit(writer->tx->handle) == 0;
}

static void renew_version(struct db_tx *tx)
{
	static atomic_uint_fast64_t versions;
	tx->version = atomic_fetch_add(&versions, 1) + 1;
}

uint64_t db_tx_version(const struct db_tx *tx)
{
	return tx->version;
}

/*
 * Runs a job in a savepoint of its own. SQLITE_OK: it is part of the transaction, or has undone itself and is over.
 * Anything else: the transaction has failed as a whole, and the job, whatever it said, with it.
 */
static int run_job(struct writer *writer, struct job *job, struct job_list *done)
{
	struct db_tx *tx = writer->tx;
	int code = store_exec(tx, "SAVEPOINT job");
	if (code != SQLITE_OK) {
		list_add(done, job);
		return code;
	}
	struct err *err = err_of(writer, job);
	tx->in_job = true;
	int result = job->run(tx, job->user, err);
	tx->in_job = false;
	if (tx->unfinished != 0)
		BUG("a job left %u statements unfinished", tx->unfinished);
	if (result == 0) {
		list_add(done, job);
		code = in_transaction(writer) ? store_exec(tx, "RELEASE job") : SQLITE_ABORT;
		return code;
	}
	/* A full disk ends a transaction by itself. */
	if (!in_transaction(writer))
		code = SQLITE_ABORT;
	renew_version(tx);
	if (code == SQLITE_OK)
		code = store_exec(tx, "ROLLBACK TO job");
	if (code == SQLITE_OK)
		code = store_exec(tx, "RELEASE job");
	finish(job, -1, err);
	return code;
}

struct group {
	size_t n, n_awaited;  /* jobs so far */
	bool relaxed;         /* each of them is; ends with the first that is not */
	uint64_t deadline_ns; /* on the steady clock */
};

/* What the group waits for once it has this job too. */
static void count_in(const struct writer *writer, struct group *group, const struct job *job)
{
	group->n++;
	if (job->done == NULL && !job->lingers && ++group->n_awaited == 1)
		group->deadline_ns = clock_monotonic_ns(NULL) + MIN(writer->commit_ns / GATHER_PART, GATHER_MAX_NS);
	else if (group->n == 1)
		group->deadline_ns = clock_monotonic_ns(NULL) + LINGER_NS;
}

/* How the connection commits can be changed between two transactions alone. */
static int set_relaxed(struct writer *writer, bool relaxed)
{
	if (writer->relaxed == relaxed)
		return SQLITE_OK;
	int code = store_exec(writer->tx, relaxed ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL");
	if (code == SQLITE_OK)
		writer->relaxed = relaxed;
	return code;
}

/* The next job of a group, or NULL when it is time to commit. */
static struct job *next_of_group(struct writer *writer, const struct group *group)
{
	/* A commit that is not synced is not worth a wait. */
	bool is_whole = group->n_awaited >= writer->last_awaited || writer->commit_ns < GATHER_WORTH || group->relaxed;
	bool waited = group->n_awaited > 0 && is_whole;
	pthread_mutex_lock(&writer->lock);
	while (writer->waiting.n == 0 && !waited && !writer->stopping)
		waited = !wait_until(&writer->arrived, &writer->lock, group->deadline_ns);
	bool fits =
		group->n < GROUP_MAX && (!group->relaxed || (writer->waiting.n > 0 && writer->waiting.first->relaxed));
	struct job *job = fits ? list_take(&writer->waiting) : NULL;
	pthread_mutex_unlock(&writer->lock);
	return job;
}

static int commit(struct writer *writer)
{
	uint64_t start = clock_monotonic_ns(NULL);
	int code = store_exec(writer->tx, "COMMIT");
	uint64_t took = clock_monotonic_ns(NULL) - start;
	if (!writer->relaxed)
		writer->commit_ns = writer->commit_ns == 0 ? took : (7 * writer->commit_ns + took) / 8;
	return code;
}

/* For whoever follows what is written, before the group's own are answered. */
static void tell_of_commit(struct writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	void (*committed)(void *user) = writer->committed;
	void *user = writer->committed_user;
	pthread_mutex_unlock(&writer->lock);
	if (committed != NULL)
		committed(user);
}

static void run_group(struct writer *writer, struct job *job)
{
	struct job_list done = {0};
	struct group group = {.relaxed = job->relaxed};
	renew_version(writer->tx);
	int code = set_relaxed(writer, group.relaxed);
	if (code == SQLITE_OK)
		code = store_exec(writer->tx, "BEGIN IMMEDIATE");
	if (code != SQLITE_OK)
		list_add(&done, job);
	while (job != NULL && code == SQLITE_OK) {
		count_in(writer, &group, job);
		code = run_job(writer, job, &done); /* which may be the end of the job */
		job = code == SQLITE_OK ? next_of_group(writer, &group) : NULL;
	}
	if (code == SQLITE_OK)
		code = commit(writer);
	if (code != SQLITE_OK) {
		/* The jobs first: rolling back forgets what the failure was. */
		fail_all(writer, &done, code);
		if (in_transaction(writer) && store_exec(writer->tx, "ROLLBACK") != SQLITE_OK && in_transaction(writer))
			BUG("a transaction can be neither committed nor rolled back");
	}
	if (code == SQLITE_OK && done.n > 0)
		tell_of_commit(writer);
	while ((job = list_take(&done)) != NULL)
		finish(job, 0, NULL);
	if (!group.relaxed)
		writer->last_awaited = group.n_awaited;
}

static void *work(void *context)
{
	struct writer *writer = context;
	for (;;) {
		pthread_mutex_lock(&writer->lock);
		while (writer->waiting.n == 0 && !writer->stopping)
			pthread_cond_wait(&writer->arrived, &writer->lock);
		struct job *job = list_take(&writer->waiting);
		pthread_mutex_unlock(&writer->lock);
		if (job == NULL)
			return NULL;
		run_group(writer, job);
	}
}

struct writer *writer_start(struct db_tx *tx, struct err *err)
{
	struct writer *writer = NEW(struct writer);
	writer->tx = tx;
	pthread_mutex_init(&writer->lock, NULL);
	wait_init(&writer->arrived);

	/* Signals are for whoever asked for them. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&writer->thread, NULL, work, writer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed == 0)
		return writer;
	free(writer);
	errno = failed;
	fail_errno(err, "cannot start the thread that writes the database");
	return NULL;
}

void writer_stop(struct writer *writer)
{
	if (writer == NULL)
		return;
	pthread_mutex_lock(&writer->lock);
	writer->stopping = true;
	pthread_cond_signal(&writer->arrived);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->thread, NULL);
	pthread_cond_destroy(&writer->arrived);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
}

static void hand_over(struct writer *writer, struct job *job)
{
	pthread_mutex_lock(&writer->lock);
	list_add(&writer->waiting, job);
	pthread_mutex_unlock(&writer->lock);
	pthread_cond_signal(&writer->arrived); /* who wakes finds the lock free */
}

/* A job that is waited for. */
static void begin(struct writer *writer, struct job *job)
{
	if (pthread_equal(pthread_self(), writer->thread))
		BUG("the thread that writes cannot wait for itself");
	sem_init(&job->over, 0, 0);
	hand_over(writer, job);
}

static int end(struct job *job)
{
	while (sem_wait(&job->over) != 0)
		; /* a signal */
	sem_destroy(&job->over);
	return job->result;
}

int writer_run(struct writer *writer, db_job *run, void *user, bool relaxed, struct err *err)
{
	struct job job = {.run = run, .user = user, .err = err, .relaxed = relaxed};
	begin(writer, &job);
	return end(&job);
}

struct db_pending {
	struct job job;
};

struct db_pending *writer_begin(struct writer *writer, db_job *run, void *user, bool relaxed, struct err *err)
{
	struct db_pending *pending = NEW(struct db_pending);
	pending->job = (struct job){.run = run, .user = user, .err = err, .relaxed = relaxed, .lingers = relaxed};
	begin(writer, &pending->job);
	return pending;
}

int db_write_end(struct db_pending *pending)
{
	int result = end(&pending->job);
	free(pending);
	return result;
}

static void tell_nobody(void *user, const struct err *err)
{
	(void)user, (void)err;
}

void writer_run_later(struct writer *writer, db_job *run, void *user, void (*done)(void *user, const struct err *err),
		      bool relaxed)
{
	struct job *job = NEW(struct job);
	*job = (struct job){.run = run, .user = user, .done = done != NULL ? done : tell_nobody, .relaxed = relaxed};
	hand_over(writer, job);
}

void writer_on_commit(struct writer *writer, void (*committed)(void *user), void *user)
{
	pthread_mutex_lock(&writer->lock);
	writer->committed = committed;
	writer->committed_user = user;
	pthread_mutex_unlock(&writer->lock);
}
