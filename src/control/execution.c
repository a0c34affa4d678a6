#include "control/execution.h"
#include "base/buf.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/time.h"
#include "base/arena.h"
#include "control/event.h"
#include <pthread.h>
#include <stdlib.h>

/* Calls whose end is not on record; those above it are ended at the next start. */
#define LOST_MAX 64

struct executions {
	struct db *db;
	pthread_mutex_t lock; /* guards what follows */
	char lost[LOST_MAX][EXECUTION_ID_SIZE];
	size_t n_lost, n_ending; /* the first ones are being ended */
};

struct executions *executions_new(struct db *db)
{
	struct executions *executions = NEW(struct executions);
	executions->db = db;
	pthread_mutex_init(&executions->lock, NULL);
	return executions;
}

void executions_free(struct executions *executions)
{
	if (executions == NULL)
		return;
	pthread_mutex_destroy(&executions->lock);
	free(executions);
}

/* ------------------------------------------------------------------------------------------------------------- payload */

/* A long message of a guest's is cut: the record says what happened, not all that was said. */
static void put_failure(struct json_writer *w, const struct err *error)
{
	const struct err_row *row = err_row(error->class);
	member_str_given(w, "aileron.failure.boundary", str_from(err_boundary_name(error->boundary)));
	member_str_given(w, "aileron.failure.class", str_from(row->name));
	if (error->details_n > 0) {
		/* As text: details may hold numbers that have no canonical form. */
		AUTO_BUF details = BUF_INIT(ERR_DETAILS_MAX + 8);
		buf_addf(&details, "{%s}", error->details);
		member_str_given(w, "aileron.failure.details", buf_str(&details));
	}
	member_str_given(w, "aileron.failure.message", str_from(error->message));
	member_bool(w, "aileron.failure.retriable", error->retriable);
}

static void put_report(struct json_writer *w, const struct call_report *report)
{
	member_u64(w, "aileron.call.logs_dropped", report->logs_dropped);
	member_u64(w, "aileron.call.memory_peak", report->memory_peak);
	member_u64(w, "aileron.call.requests", report->requests);
	member_u64(w, "aileron.call.total_us", report->total_ns / TIME_MICROSECOND);
}

/* In the order of their names, as the record keeps them: then it takes them as they are. `end` NULL = it begins. */
static void put_payload(struct json_writer *w, const struct execution *execution, const struct execution_end *end)
{
	static const struct execution_of none;
	const struct execution_of *of = execution->of != NULL ? execution->of : &none;
	member_str_given(w, "aileron.action.fqn", of->action);
	member_str_given(w, "aileron.approval.id", of->approval);
	member_str_given(w, "aileron.binding.name", execution->binding);
	if (end != NULL && end->report != NULL)
		put_report(w, end->report);
	member_str_given(w, "aileron.connector.fqn", execution->connector);
	member_str_given(w, "aileron.connector.hash", execution->content_hash);
	member_bool(w, "aileron.connector.linked", true);
	member_str_given(w, "aileron.connector.operation", execution->op);
	member_str_given(w, "aileron.connector.pinned_hash", of->pinned_hash);
	member_str_given(w, "aileron.execution.id", str_from(execution->id));
	if (end != NULL && end->error != NULL)
		put_failure(w, end->error);
	member_str_given(w, "aileron.grant.id", of->grant);
	member_str_given(w, "aileron.run.id", of->run);
	member_str_given(w, "aileron.run.step", of->step);
	member_str_given(w, "aileron.session.id", of->session);
}

static void begin_event(struct event *event, const struct audit_event *by, const struct execution *execution,
			const struct execution_end *end)
{
	event_begin(event, *by);
	event->audit.type = AUDIT_EXECUTION_STARTED;
	if (end != NULL)
		event->audit.type = end->error == NULL ? AUDIT_EXECUTION_SUCCEEDED : AUDIT_EXECUTION_FAILED;
	event->audit.credential_binding = execution->binding;
	put_payload(&event->json, execution, end);
}

bool execution_is_relaxed(const struct execution *execution)
{
	return execution->of != NULL && execution->of->relaxed;
}

/* --------------------------------------------------------------------------------------------------------------- start */

struct execution_starting {
	const struct execution *execution;
	struct event event;
	struct db_pending *pending; /* NULL = it could not be told */
	struct err err;
};

static int record_start(struct db_tx *tx, const struct execution_starting *starting, bool over, struct err *err)
{
	const struct execution *execution = starting->execution;
	const struct execution_of *of = execution->of;
	if (of != NULL && of->started != NULL && of->started(tx, of->user, execution, over, err) < 0)
		return -1;
	if (audit_append(tx, &starting->event.audit, NULL, NULL, err) < 0)
		return -1;
	/* To the second: calls that follow each other change a page less. */
	struct db_stmt *q = db_stmt(tx, "INSERT INTO connector_use (connector, last_used_ns) VALUES (?1, ?2)"
					" ON CONFLICT (connector) DO UPDATE SET last_used_ns = ?2"
					" WHERE abs(?2 - last_used_ns) > 1000000000");
	db_bind_str(q, execution->connector);
	db_bind_int(q, (int64_t)execution->started_ns);
	return db_run(q, err) < 0 ? -1 : 0;
}

static int do_start(struct db_tx *tx, void *user, struct err *err)
{
	const struct execution_starting *starting = user;
	const struct execution *execution = starting->execution;
	if (record_start(tx, starting, false, err) < 0)
		return -1;
	struct db_stmt *q = db_stmt(tx, "INSERT INTO calls_open (id, connector, op, started_ns) VALUES (?, ?, ?, ?)");
	db_bind_str(q, str_from(execution->id));
	db_bind_str(q, execution->connector);
	db_bind_str(q, execution->op);
	db_bind_int(q, (int64_t)execution->started_ns);
	return db_run(q, err) < 0 ? -1 : 0;
}

struct execution_starting *execution_start_begin(struct executions *executions, const struct audit_event *by,
						 struct execution *execution)
{
	unsigned char random[16];
	rand_bytes(random, sizeof random);
	hex_format(str_of(random, sizeof random), execution->id);
	execution->started_ns = clock_wall_ns(NULL);
	struct execution_starting *starting = NEW(struct execution_starting);
	starting->execution = execution;
	begin_event(&starting->event, by, execution, NULL);
	if (event_end(&starting->event, &starting->err) == 0)
		starting->pending = execution_is_relaxed(execution)
					    ? db_write_begin_relaxed(executions->db, do_start, starting, &starting->err)
					    : db_write_begin(executions->db, do_start, starting, &starting->err);
	return starting;
}

static void starting_free(struct execution_starting *starting)
{
	event_release(&starting->event);
	free(starting);
}

int execution_start_end(struct execution_starting *starting, struct err *err)
{
	int rc = starting->pending != NULL ? db_write_end(starting->pending) : -1;
	if (rc < 0)
		*err = starting->err;
	starting_free(starting);
	return rc;
}

/* ------------------------------------------------------------------------------------------------------- without an end */

/* How many there were: one, or none when its start was undone. */
static int64_t drop_row(struct db_tx *tx, struct str id, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, "DELETE FROM calls_open WHERE id = ?");
	db_bind_str(q, id);
	return db_run(q, err);
}

/* Of one that is open: the one with that id, or the oldest. */
static int read_open(struct db_tx *tx, struct str id, struct arena *arena, struct execution *ret, struct err *err)
{
	struct db_stmt *q =
		id.n > 0 ? db_stmt(tx, "SELECT id, connector, op FROM calls_open WHERE id = ?")
			 : db_stmt(tx, "SELECT id, connector, op FROM calls_open ORDER BY started_ns LIMIT 1");
	if (id.n > 0)
		db_bind_str(q, id);
	int got = db_step(q, err);
	if (got == 1) {
		id = str_slice(db_str(q, 0), 0, sizeof ret->id - 1);
		memcpy(ret->id, id.p, id.n);
		ret->connector = arena_str(arena, db_str(q, 1));
		ret->op = arena_str(arena, db_str(q, 2));
	}
	db_finish(q);
	return got;
}

/* Why it has no end of its own. */
struct endless {
	const char *reason, *message;
};

static int end_one(struct db_tx *tx, const struct execution *execution, const struct endless *endless, struct err *err)
{
	static struct err why; /* of one job at a time */
	err_clear(&why);
	fail(&why, ERR_CONNECTOR_RUNTIME_ERROR, "%s", endless->message);
	err_set_boundary(&why, BOUNDARY_RUNTIME);
	err_detail(&why, "reason", str_from(endless->reason));
	AUTO_EVENT event;
	const struct audit_event by = audit_of_service(AUDIT_EXECUTION_FAILED, "control");
	const struct execution_end end = {.error = &why};
	begin_event(&event, &by, execution, &end);
	member_z(&event.json, "aileron.reason", endless->reason);
	if (drop_row(tx, str_from(execution->id), err) < 0)
		return -1;
	return event_end(&event, err) < 0 ? -1 : event_append(tx, &event, err);
}

/* 1 = there was one. */
static int end_open(struct db_tx *tx, struct str id, const struct endless *endless, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct execution execution = {0};
	int got = read_open(tx, id, arena, &execution, err);
	return got == 1 && end_one(tx, &execution, endless, err) < 0 ? -1 : got;
}

static int do_interrupt(struct db_tx *tx, void *user, struct err *err)
{
	static const struct endless interrupted = {
		"interrupted",
		"the daemon ended while the call ran; whether it took effect is not known, and it is not run again"};
	(void)user;
	int got;
	while ((got = end_open(tx, STR_EMPTY, &interrupted, err)) == 1)
		;
	return got;
}

int execution_interrupt_open(struct db *db, struct err *err)
{
	return db_write(db, do_interrupt, NULL, err);
}

static void note_lost(struct executions *executions, const struct execution *execution)
{
	pthread_mutex_lock(&executions->lock);
	if (executions->n_lost < LOST_MAX)
		memcpy(executions->lost[executions->n_lost++], execution->id, sizeof execution->id);
	pthread_mutex_unlock(&executions->lock);
}

static int do_end_lost(struct db_tx *tx, void *user, struct err *err)
{
	static const struct endless lost = {"not_recorded", "the end of the call could not be recorded; whether it "
							    "took effect is not known, and it is not run again"};
	const struct executions *executions = user;
	for (size_t i = 0; i < executions->n_ending; i++) { /* which nobody changes meanwhile */
		if (end_open(tx, str_from(executions->lost[i]), &lost, err) < 0)
			return -1;
	}
	return 0;
}

static void ended_lost(void *user, const struct err *err)
{
	struct executions *executions = user;
	pthread_mutex_lock(&executions->lock);
	if (err == NULL) {
		executions->n_lost -= executions->n_ending;
		memmove(executions->lost, executions->lost + executions->n_ending,
			executions->n_lost * sizeof *executions->lost);
	}
	executions->n_ending = 0;
	pthread_mutex_unlock(&executions->lock);
}

/* The disk was full or broken, and something could be written again. */
static void end_lost(struct executions *executions)
{
	pthread_mutex_lock(&executions->lock);
	bool begin = executions->n_lost > 0 && executions->n_ending == 0;
	if (begin)
		executions->n_ending = executions->n_lost;
	pthread_mutex_unlock(&executions->lock);
	if (begin)
		db_write_later(executions->db, do_end_lost, executions, ended_lost);
}

/* ----------------------------------------------------------------------------------------------------------------- end */

struct end_job {
	const struct execution *execution;
	struct event event;
	const struct execution_end *end;
	struct execution_starting *starting; /* NULL = its start was written before */
};

static int do_end(struct db_tx *tx, void *user, struct err *err)
{
	const struct end_job *job = user;
	if (job->starting != NULL) {
		if (record_start(tx, job->starting, true, err) < 0)
			return -1;
	} else {
		int64_t rows = drop_row(tx, str_from(job->execution->id), err);
		if (rows <= 0)
			return rows < 0 ? -1 : fail(err, ERR_STORE_ERROR, "the start of the call is not on record");
	}
	if (audit_append(tx, &job->event.audit, job->end->ret_audit_id, NULL, err) < 0)
		return -1;
	const struct execution_of *of = job->execution->of;
	return of != NULL && of->ended != NULL ? of->ended(tx, of->user, job->end, err) : 0;
}

static int write_end(struct executions *executions, struct end_job *job, const struct audit_event *by, struct err *err)
{
	begin_event(&job->event, by, job->execution, job->end);
	int rc = event_end(&job->event, err);
	if (rc == 0)
		rc = execution_is_relaxed(job->execution) ? db_write_relaxed(executions->db, do_end, job, err)
							  : db_write(executions->db, do_end, job, err);
	event_release(&job->event);
	return rc;
}

int execution_end(struct executions *executions, const struct audit_event *by, const struct execution *execution,
		  struct execution_starting *starting, const struct execution_end *end, struct err *err)
{
	const struct execution_of *of = execution->of;
	if (of != NULL && of->ending != NULL)
		of->ending(of->user, end);
	struct end_job job = {.execution = execution, .end = end};
	if (starting != NULL && starting->pending != NULL && db_write_withdraw(starting->pending))
		job.starting = TAKE(starting);
	int rc = write_end(executions, &job, by, err);
	if (rc == 0)
		end_lost(executions);
	else if (!execution_is_relaxed(execution))
		note_lost(executions, execution);
	if (job.starting != NULL)
		starting_free(job.starting);
	/* Why it could not begin says more than that it did not. */
	if (starting != NULL && execution_start_end(starting, err) < 0)
		rc = -1;
	return rc;
}
