#include "base/log.h"
#include "control/runs_private.h"
#include <stdlib.h>

#define UNWRITTEN_MAX 256 /* what ran when the room ended; nothing begins after that */

struct unwritten {
	struct unwritten *next;
	struct arena *arena; /* of the strings */
	struct run_end end;
	struct err error;   /* of the end */
	struct run_new new; /* what `insert` points to, and that */
	struct run run;
};

static void copy_new(struct unwritten *to, const struct run_new *from)
{
	to->new = *from;
	to->run = *from->run;
	to->new.run = &to->run;
	struct run *run = &to->run;
	struct run_caller *caller = &run->caller;
	struct str *const strings[] = {
		&run->id,
		&caller->id,
		&caller->name,
		&caller->session,
		&caller->working_dir,
		&run->call_id,
		&run->action,
		&run->action_version,
		&run->action_hash,
		&run->args,
		&run->bound,
		&run->approval_id,
		&run->grant_id,
		&run->preview,
		&to->new.request_key,
		&to->new.who.actor_id,
		&to->new.who.trace_id,
	};
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		*strings[i] = arena_str(to->arena, *strings[i]);
	to->end.insert = &to->new;
}

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
	if (end->insert != NULL)
		copy_new(to, end->insert);
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
	const struct run_end *end = job->end;
	AUTO(arena) *arena = arena_new();
	struct run there;
	int found = end->insert != NULL ? run_find(tx, arena, end->change.id, &there, err) : 1;
	if (found < 0)
		return -1;
	if (found == 0)
		return run_tell_new(tx, end->insert, err) < 0
			       ? -1
			       : run_insert_over(tx, end->insert, &end->change, &job->state, job->audit_id, err);
	if (end->last.run.n > 0 && run_step_end(tx, &end->last, err) < 0)
		return -1;
	return run_change(tx, &end->change, &job->state, job->audit_id, err);
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
