#include "control/processes.h"
#include "control/event.h"
#include "audit/audit.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/time.h"
#include <pthread.h>
#include <stdlib.h>

#define PROOF_TEXT_MAX (16 * KIB)

struct process {
	bool known;
	struct supervise_child child; /* texts are ours */
};

/* Texts are ours. */
struct crashes {
	uint64_t count;
	struct str last_connector, last_end;
	uint64_t last_ns; /* Unix */
};

struct processes {
	struct db *db;
	pthread_mutex_t lock;
	struct process by_role[SUPERVISE_ROLE__MAX];
	struct crashes crashes; /* of runners */
};

struct processes *processes_new(struct db *db)
{
	struct processes *processes = NEW(struct processes);
	processes->db = db;
	pthread_mutex_init(&processes->lock, NULL);
	return processes;
}

static struct str own_text(struct str text)
{
	return (struct str){str_dup(text), text.n};
}

static void free_text(struct str text)
{
	free((void *)(uintptr_t)text.p);
}

static void release_texts(struct process *process)
{
	free_text(process->child.last_end);
	free_text(process->child.confinement);
}

void processes_free(struct processes *processes)
{
	if (processes == NULL)
		return;
	for (size_t i = 0; i < SUPERVISE_ROLE__MAX; i++)
		release_texts(&processes->by_role[i]);
	free_text(processes->crashes.last_connector);
	free_text(processes->crashes.last_end);
	pthread_mutex_destroy(&processes->lock);
	free(processes);
}

/* ---------------------------------------------------------------------------------------------------- process.ended */

static void record_ended(struct db *db, const struct supervise_child *child)
{
	AUTO_EVENT event;
	event_begin(&event, audit_of_service(AUDIT_PROCESS_ENDED, "daemon"));
	member_z(&event.json, "aileron.process.role", supervise_role_name(child->role));
	member_str(&event.json, "aileron.process.end", child->last_end);
	member_u64(&event.json, "aileron.process.restarts", child->restarts);
	event_later(db, &event);
}

static void record_crashed(struct db *db, struct str connector, struct str how)
{
	AUTO_EVENT event;
	event_begin(&event, audit_of_service(AUDIT_PROCESS_ENDED, "daemon"));
	member_z(&event.json, "aileron.process.role", supervise_role_name(SUPERVISE_RUNNER));
	member_str(&event.json, "aileron.process.end", how);
	member_str_given(&event.json, "aileron.connector.fqn", connector);
	event_later(db, &event);
}

/* What ended before this control was started was recorded by the one before it, but for that one's own end. */
static bool is_news(const struct process *before, const struct supervise_child *now)
{
	if (now->last_end.n == 0)
		return false;
	if (!before->known)
		return now->role == SUPERVISE_CONTROL;
	return now->restarts != before->child.restarts ? before->child.running : before->child.running && !now->running;
}

void processes_told(struct processes *processes, const struct supervise_child *child)
{
	if (child->role <= 0 || child->role >= SUPERVISE_ROLE__MAX)
		return;
	struct process *process = &processes->by_role[child->role];
	if (is_news(process, child))
		record_ended(processes->db, child);
	struct process now = {.known = true, .child = *child};
	now.child.last_end = own_text(child->last_end);
	now.child.confinement = own_text(child->confinement);
	pthread_mutex_lock(&processes->lock);
	release_texts(process);
	*process = now;
	pthread_mutex_unlock(&processes->lock);
}

void processes_runner_crashed(struct processes *processes, struct str connector, struct str how)
{
	record_crashed(processes->db, connector, how);
	pthread_mutex_lock(&processes->lock);
	struct crashes *crashes = &processes->crashes;
	free_text(crashes->last_connector);
	free_text(crashes->last_end);
	*crashes = (struct crashes){.count = crashes->count + 1,
				    .last_connector = own_text(connector),
				    .last_end = own_text(how),
				    .last_ns = clock_wall_ns(NULL)};
	pthread_mutex_unlock(&processes->lock);
}

/* ---------------------------------------------------------------------------------------------------------- telling */

size_t processes_list(struct processes *processes, struct arena *arena, struct supervise_child ret[SUPERVISE_ROLE__MAX])
{
	size_t n = 0;
	pthread_mutex_lock(&processes->lock);
	for (size_t i = 0; i < SUPERVISE_ROLE__MAX; i++) {
		const struct process *process = &processes->by_role[i];
		if (!process->known)
			continue;
		ret[n] = process->child;
		ret[n].last_end = arena_str(arena, process->child.last_end);
		ret[n].confinement = arena_str(arena, process->child.confinement);
		n++;
	}
	pthread_mutex_unlock(&processes->lock);
	return n;
}

void processes_put_crashes(struct processes *processes, struct json_writer *w)
{
	pthread_mutex_lock(&processes->lock);
	const struct crashes *crashes = &processes->crashes;
	member_begin_object(w, "runner_crashes");
	member_u64(w, "count", crashes->count);
	member_str_given(w, "last_connector", crashes->last_connector);
	member_str_given(w, "last_end", crashes->last_end);
	member_time_given(w, "last_at", crashes->last_ns);
	jsonw_end_object(w);
	pthread_mutex_unlock(&processes->lock);
}

void process_put_confinement(struct json_writer *w, const struct confine_report *report)
{
	AUTO_BUF text = BUF_INIT(PROOF_TEXT_MAX);
	confine_report_text(&text, report);
	member_begin_object(w, "confinement");
	member_words(w, "proof", buf_str(&text), '\n');
	if (report->missing[0] != '\0') {
		member_words(w, "missing", str_from(report->missing), ',');
	}
	jsonw_end_object(w);
}

void process_put_json(struct json_writer *w, const struct supervise_child *child)
{
	jsonw_begin_object(w);
	member_z(w, "role", supervise_role_name(child->role));
	member_bool(w, "running", child->running);
	if (child->silent)
		member_bool(w, "silent", true);
	member_u64_given(w, "pid", child->running ? child->pid : 0);
	member_u64(w, "restarts", child->restarts);
	member_time_given(w, "started_at", child->started_at);
	member_str_given(w, "last_end", child->last_end);
	struct confine_report report;
	if (child->confinement.n > 0 && confine_report_get(child->confinement, &report, NULL) == 0)
		process_put_confinement(w, &report);
	jsonw_end_object(w);
}
