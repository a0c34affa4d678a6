#include "base/log.h"
#include "control/runs_private.h"
#include <stdlib.h>

#define UNWRITTEN_MAX 256 /* what ran when the room ended; nothing begins after that */

struct unwritten {
	struct unwritten *next;
	struct arena *arena; /* of the strings */
	struct run_end end;
	struct err error; /* of the end */
};

static struct unwritten *copy(const struct run_end *end)
{
	struct unwritten *to = NEW(struct unwritten);
	const struct run_step *last = &end->last;
	to->arena = arena_new();
	to->end.change = end->change;
	to->end.last = (struct run_step){
		.run = last->run,
		.step = last->step,
		.attempt = last->attempt,
		.ended_ns = last->ended_ns,
		.class = last->class,
	};
	struct run_change *change = &to->end.change;
	struct str *const strings[] = {
		&change->id,           &change->text,         &to->end.last.run, &to->end.last.class,
		&change->who.actor_id, &change->who.trace_id, &change->result,
	};
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		*strings[i] = arena_str(to->arena, *strings[i]);
	if (change->error != NULL) {
		to->error = *change->error;
		change->error = &to->error;
	}
	return to;
}

static void release(struct unwritten *unwritten)
{
	arena_free(unwritten->arena);
	free(unwritten);
}

/* Takes it over. */
static void keep(struct runs *runs, struct unwritten *unwritten)
{
	pthread_mutex_lock(&runs->lock);
	bool room = runs->n_unwritten < UNWRITTEN_MAX;
	if (room) {
		unwritten->next = runs->unwritten;
		runs->unwritten = unwritten;
		runs->n_unwritten++;
	}
	pthread_mutex_unlock(&runs->lock);
	if (room)
		runs_mind_ends(runs);
	else
		release(unwritten);
}

static struct unwritten *take_all(struct runs *runs)
{
	pthread_mutex_lock(&runs->lock);
	struct unwritten *all = runs->unwritten;
	runs->unwritten = NULL;
	runs->n_unwritten = 0;
	pthread_mutex_unlock(&runs->lock);
	return all;
}

/* ------------------------------------------------------------------------------------------------------------- writing */

struct end_job {
	const struct run_end *end;
	enum run_state state; /* that it has now */
	char audit_id[AUDIT_ID_SIZE];
};

static int do_end(struct db_tx *tx, void *user, struct err *err)
{
	struct end_job *job = user;
	if (job->end->last.run.n > 0 && run_step_end(tx, &job->end->last, err) < 0)
		return -1;
	return run_change(tx, &job->end->change, &job->state, job->audit_id, err);
}

bool runs_end(struct runs *runs, const struct run_end *end, char ret_audit_id[AUDIT_ID_SIZE])
{
	struct end_job job = {.end = end};
	struct err err;
	err_clear(&err);
	if (db_write(runs->control->db, do_end, &job, &err) == 0) {
		memcpy(ret_audit_id, job.audit_id, sizeof job.audit_id);
		return true;
	}
	log_error("run_end_not_recorded", log_str("run", end->change.id), log_err(&err));
	if (runs_is_away(&err))
		keep(runs, copy(end));
	return false;
}

/* Takes it over. */
static void write_again(struct runs *runs, struct unwritten *unwritten)
{
	struct end_job job = {.end = &unwritten->end};
	struct err err;
	err_clear(&err);
	int rc = db_write(runs->control->db, do_end, &job, &err);
	if (rc < 0 && runs_is_away(&err)) {
		keep(runs, unwritten);
		return;
	}
	if (rc == 0)
		runs_announce(runs, unwritten->end.change.id, job.state);
	else
		log_error("run_end_not_recorded", log_str("run", unwritten->end.change.id), log_err(&err));
	release(unwritten);
}

void runs_end_again(struct runs *runs)
{
	struct unwritten *next;
	for (struct unwritten *at = take_all(runs); at != NULL; at = next) {
		next = at->next;
		write_again(runs, at);
	}
}

void runs_forget_ends(struct runs *runs)
{
	struct unwritten *next;
	for (struct unwritten *at = take_all(runs); at != NULL; at = next) {
		next = at->next;
		release(at);
	}
}
