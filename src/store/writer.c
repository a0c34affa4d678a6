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
 * One transaction a group. Whoever has the connection (leads) takes what waits, runs it, and commits when nothing waits any
 * more; what arrives during the commit (a write to the disk and its sync, most of the time) is the next group.
 *
 * Who waits for a job leads himself when nobody does: a caller alone pays for no switch of threads. He leads until his own job
 * is over. What he leaves, what nobody waits for, and what was begun by somebody who does other things meanwhile is the
 * thread's.
 *
 * Callers that wait come back together: after a commit all of the group are woken, and the first to write again would
 * get a transaction of its own, while the rest waits for that. So before a commit who leads waits until the group has as
 * many jobs as the last one had, for a part of what a commit takes; what comes meanwhile is run at once. A caller alone
 * never waits, and when others stay away only one commit is late.
 */
#define GROUP_MAX     1024                    /* jobs a transaction */
#define GATHER_PART   2                       /* of the time of a commit */
#define GATHER_WORTH  (20 * TIME_MICROSECOND) /* a commit that is quicker is not worth a wait */
#define GATHER_MAX_NS (2 * TIME_MILLISECOND)

/*
 * Jobs that nobody waits for, or that others follow, are run with the next that somebody does wait for, or after this time.
 * But what nobody waits for and need not be synced is written at once when nobody leads: a commit of its own costs little
 * then, and whoever comes has that much less to do.
 */
#define LINGER_NS (5 * TIME_MILLISECOND)

struct job {
	db_job *run;
	void *user;
	struct err *err;                                 /* of the caller that waits */
	void (*done)(void *user, const struct err *err); /* NULL = one waits, and the job is on its stack */
	bool relaxed;                                    /* need not be synced */
	bool lingers;                                    /* until due_ns, unless another one comes */
	bool waits;                                      /* in the list; under the lock */
	uint64_t due_ns;
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
	pthread_mutex_t lock;   /* guards what follows */
	pthread_cond_t arrived; /* the thread's */
	pthread_cond_t joined;  /* of who leads, when he waits for others */
	struct job_list waiting;
	size_t n_urgent, n_strict; /* of those that wait: do not linger; are to be synced */
	uint64_t looks_ns;         /* when the thread looks by itself */
	bool led;                  /* somebody leads */
	bool stopping;
	void (*committed)(void *user);
	void *committed_user;

	/* Of who leads. */
	struct db_tx *tx;
	size_t last_awaited; /* jobs of the last group that somebody waited for */
	uint64_t commit_ns;  /* a commit that is synced takes about this long */
	bool relaxed;        /* commits are not synced now */
	struct err err;      /* of jobs that nobody waits for */
};

static _Thread_local const struct writer *led_here;

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

/* Undoes what a job has done, and nothing else: what follows has a transaction. */
static int undo_job(struct db_tx *tx, bool first, bool in_transaction)
{
	int code = SQLITE_OK;
	renew_version(tx);
	if (first) {
		code = in_transaction ? store_exec(tx, "ROLLBACK") : SQLITE_OK;
		return code == SQLITE_OK ? store_exec(tx, "BEGIN IMMEDIATE") : code;
	}
	if (!in_transaction) /* a full disk ends one by itself, with all that is in it */
		return SQLITE_ABORT;
	code = store_exec(tx, "ROLLBACK TO job");
	return code == SQLITE_OK ? store_exec(tx, "RELEASE job") : code;
}

/*
 * Runs a job so that it can be undone alone: in a savepoint, for which SQLite copies every page that is written to, unless
 * the transaction holds nothing else yet. SQLITE_OK: it is part of the transaction, or was undone and is over. Anything
 * else: the transaction has failed as a whole, and the job, whatever it said, with it.
 */
static int run_job(struct writer *writer, struct job *job, struct job_list *done)
{
	struct db_tx *tx = writer->tx;
	bool first = done->n == 0;
	int code = first ? SQLITE_OK : store_exec(tx, "SAVEPOINT job");
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
		if (!in_transaction(writer))
			return SQLITE_ABORT;
		return first ? SQLITE_OK : store_exec(tx, "RELEASE job");
	}
	code = undo_job(tx, first, in_transaction(writer));
	finish(job, -1, err);
	return code;
}

struct group {
	size_t n, n_awaited;  /* jobs so far */
	bool relaxed;         /* each of them is; ends with the first that is not */
	bool ahead;           /* ends before what is waited for later: that may be withdrawn */
	uint64_t deadline_ns; /* of the wait for others, on the steady clock */
};

static void count_in(const struct writer *writer, struct group *group, const struct job *job)
{
	group->n++;
	if (job->done == NULL && !job->lingers && ++group->n_awaited == 1)
		group->deadline_ns = clock_monotonic_ns(NULL) + MIN(writer->commit_ns / GATHER_PART, GATHER_MAX_NS);
}

/* ----------------------------------------------------------------------------------------- the list; under the lock */

static void add_waiting(struct writer *writer, struct job *job)
{
	list_add(&writer->waiting, job);
	job->waits = true;
	writer->n_urgent += !job->lingers;
	writer->n_strict += !job->relaxed;
}

static void count_out(struct writer *writer, struct job *job)
{
	job->waits = false;
	writer->n_urgent -= !job->lingers;
	writer->n_strict -= !job->relaxed;
}

static struct job *take_waiting(struct writer *writer)
{
	struct job *job = list_take(&writer->waiting);
	if (job != NULL)
		count_out(writer, job);
	return job;
}

static void drop_waiting(struct writer *writer, struct job *job)
{
	struct job_list *list = &writer->waiting;
	struct job **at = &list->first;
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	if (job->next == NULL)
		list->end = at;
	list->n--;
	count_out(writer, job);
}

/* Whether the next is one that is written at once although it lingers, and nothing but such ones is to be done. */
static bool next_is_ahead(const struct writer *writer)
{
	return writer->waiting.n > 0 && writer->n_urgent == 0 && writer->n_strict == 0 &&
	       writer->waiting.first->done != NULL;
}

/* When the thread is wanted. */
static uint64_t next_due(const struct writer *writer)
{
	if (writer->led || writer->waiting.n == 0)
		return UINT64_MAX;
	bool now = writer->n_urgent > 0 || writer->stopping || next_is_ahead(writer);
	return now ? 0 : writer->waiting.first->due_ns;
}

/* Whether the thread has to be told. It is, when the lock is free, which it wants next. */
static bool wants_thread(const struct writer *writer)
{
	return next_due(writer) < writer->looks_ns;
}

/* ----------------------------------------------------------------------------------------------------------- one group */

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
	bool waited = group->n_awaited == 0 || group->n_awaited >= writer->last_awaited ||
		      writer->commit_ns < GATHER_WORTH || group->relaxed;
	pthread_mutex_lock(&writer->lock);
	while (writer->waiting.n == 0 && !waited && !writer->stopping)
		waited = !wait_until(&writer->joined, &writer->lock, group->deadline_ns);
	bool fits =
		group->n < GROUP_MAX && (!group->relaxed || (writer->waiting.n > 0 && writer->waiting.first->relaxed));
	if (group->ahead && writer->n_urgent == 0)
		fits = fits && next_is_ahead(writer);
	struct job *job = fits ? take_waiting(writer) : NULL;
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

static void run_group(struct writer *writer, struct job *job, struct group group)
{
	struct job_list done = {0};
	renew_version(writer->tx);
	store_write_begins(writer->tx->db);
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
	store_write_ended(writer->tx->db);
	if (code == SQLITE_OK && done.n > 0)
		tell_of_commit(writer);
	while ((job = list_take(&done)) != NULL)
		finish(job, 0, NULL);
	if (!group.relaxed)
		writer->last_awaited = group.n_awaited;
}

/* Under the lock, which is let go of meanwhile: a group of what waits, which is something. */
static void lead(struct writer *writer)
{
	const struct group group = {.relaxed = writer->n_strict == 0, .ahead = next_is_ahead(writer)};
	struct job *job = take_waiting(writer);
	writer->led = true;
	pthread_mutex_unlock(&writer->lock);
	led_here = writer;
	run_group(writer, job, group);
	led_here = NULL;
	pthread_mutex_lock(&writer->lock);
	writer->led = false;
}

static void *work(void *context)
{
	struct writer *writer = context;
	pthread_mutex_lock(&writer->lock);
	while (!writer->stopping || writer->waiting.n > 0) {
		uint64_t due_ns = next_due(writer);
		if (due_ns <= clock_monotonic_ns(NULL)) {
			lead(writer);
			continue;
		}
		writer->looks_ns = due_ns;
		(void)wait_until(&writer->arrived, &writer->lock, due_ns);
		writer->looks_ns = 0; /* it looks now */
	}
	pthread_mutex_unlock(&writer->lock);
	return NULL;
}

struct writer *writer_start(struct db_tx *tx, struct err *err)
{
	struct writer *writer = NEW(struct writer);
	writer->tx = tx;
	pthread_mutex_init(&writer->lock, NULL);
	wait_init(&writer->arrived);
	wait_init(&writer->joined);

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
	pthread_cond_destroy(&writer->joined);
	pthread_cond_destroy(&writer->arrived);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
}

/* -------------------------------------------------------------------------------------------------------- the callers */

/* `stays`: the caller sees to it, and the thread need not. */
static void hand_over(struct writer *writer, struct job *job, bool stays)
{
	if (job->lingers)
		job->due_ns = clock_monotonic_ns(NULL) + LINGER_NS;
	pthread_mutex_lock(&writer->lock);
	add_waiting(writer, job);
	bool led = writer->led, wake = !led && !stays && wants_thread(writer);
	pthread_mutex_unlock(&writer->lock);
	if (led || wake)
		pthread_cond_signal(led ? &writer->joined : &writer->arrived);
}

/* A job that is waited for. */
static void begin(struct writer *writer, struct job *job, bool stays)
{
	if (led_here == writer)
		BUG("who writes cannot wait for himself");
	sem_init(&job->over, 0, 0);
	hand_over(writer, job, stays);
}

static bool is_over(struct job *job)
{
	return sem_trywait(&job->over) == 0;
}

static int end(struct writer *writer, struct job *job)
{
	pthread_mutex_lock(&writer->lock);
	bool over = is_over(job);
	while (!over && !writer->led && writer->waiting.n > 0) {
		lead(writer);
		over = is_over(job);
	}
	if (!over && job->waits && job->lingers) {
		job->lingers = false;
		writer->n_urgent++;
	}
	bool wake = wants_thread(writer);
	pthread_mutex_unlock(&writer->lock);
	if (wake)
		pthread_cond_signal(&writer->arrived);
	while (!over && sem_wait(&job->over) != 0)
		; /* a signal */
	sem_destroy(&job->over);
	return job->result;
}

int writer_run(struct writer *writer, db_job *run, void *user, bool relaxed, struct err *err)
{
	struct job job = {.run = run, .user = user, .err = err, .relaxed = relaxed};
	begin(writer, &job, true);
	return end(writer, &job);
}

struct db_pending {
	struct writer *writer;
	struct job job;
};

struct db_pending *writer_begin(struct writer *writer, db_job *run, void *user, bool relaxed, struct err *err)
{
	struct db_pending *pending = NEW(struct db_pending);
	pending->writer = writer;
	pending->job = (struct job){.run = run, .user = user, .err = err, .relaxed = relaxed, .lingers = relaxed};
	begin(writer, &pending->job, false);
	return pending;
}

int db_write_end(struct db_pending *pending)
{
	int result = end(pending->writer, &pending->job);
	free(pending);
	return result;
}

bool db_write_withdraw(struct db_pending *pending)
{
	struct writer *writer = pending->writer;
	pthread_mutex_lock(&writer->lock);
	bool waits = pending->job.waits;
	if (waits)
		drop_waiting(writer, &pending->job);
	pthread_mutex_unlock(&writer->lock);
	if (waits) {
		sem_destroy(&pending->job.over);
		free(pending);
	}
	return waits;
}

static void tell_nobody(void *user, const struct err *err)
{
	(void)user, (void)err;
}

void writer_run_later(struct writer *writer, db_job *run, void *user, void (*done)(void *user, const struct err *err),
		      bool relaxed)
{
	struct job *job = NEW(struct job);
	*job = (struct job){.run = run,
			    .user = user,
			    .done = done != NULL ? done : tell_nobody,
			    .relaxed = relaxed,
			    .lingers = true};
	hand_over(writer, job, false);
}

void writer_on_commit(struct writer *writer, void (*committed)(void *user), void *user)
{
	pthread_mutex_lock(&writer->lock);
	writer->committed = committed;
	writer->committed_user = user;
	pthread_mutex_unlock(&writer->lock);
}
