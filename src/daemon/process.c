#include "daemon/process.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/time.h"
#include "text/wire.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

int process_init(struct process *process, struct loop *loop, const struct process_row *row, const char *path,
		 struct err *err)
{
	process->row = row;
	process->loop = loop;
	process->program = -1;
	process->child = CHILD_INIT;
	process->backoff_ms = DAEMON_BACKOFF_MS;
	buf_init(&process->proof, SUPERVISE_BODY);
	AUTO_FREE char *found = path != NULL ? xstrdup(path) : child_own_program(row->program, err);
	if (found == NULL)
		return -1;
	process->program = child_open_program(found, err);
	return process->program >= 0 ? 0 : -1;
}

/* Keeps the first reason: what comes after is its consequence. */
static void note_why(struct process *process, const struct err *why)
{
	if (process->why != NULL || why->class == ERR_NONE)
		return;
	process->why = NEW(struct err);
	*process->why = *why;
}

static void note_breach(struct process *process, uint32_t type)
{
	static struct err err;
	fail(&err, ERR_PROTOCOL, "%s sent message %u, which is not its to send", process->row->program, type);
	note_why(process, &err);
	process_kill(process);
}

/* ---- what it says */

static void on_proof(struct process *process, struct str body)
{
	static struct confine_report report;
	static struct err err;
	err_clear(&err);
	if (confine_report_get(body, &report, &err) != 0 ||
	    confine_judge(&report, process->row->program, process->allowed, &err) != 0) {
		note_why(process, &err);
		process_kill(process);
		return;
	}
	buf_clear(&process->proof);
	buf_add_str(&process->proof, body);
	AUTO_BUF settings = BUF_INIT_SECRET(SUPERVISE_BODY);
	process->listener.settings(process->listener.user, process, &settings);
	process->state = PROCESS_STARTING;
	process_send(process, SUPERVISE_START, 0, buf_str(&settings), NULL, 0);
	process->listener.changed(process->listener.user, process);
}

static void on_ready(struct process *process, struct str body)
{
	static struct err err;
	err_clear(&err);
	process->state = PROCESS_READY;
	process->turns = 0;
	if (process->listener.ready(process->listener.user, process, body, &err) == 0)
		return;
	process->state = PROCESS_STARTING;
	note_why(process, &err);
	process_kill(process);
}

static void on_failed(struct process *process, struct str body)
{
	static struct err err;
	err_clear(&err);
	struct wire_reader r = wire_reader(body);
	wire_get_err(&r, &err);
	if (wire_done(&r, "failure", NULL) == 0 && err.class != ERR_NONE)
		note_why(process, &err);
	process_kill(process);
}

/* ---- whether it lives */

static void set_silent(struct process *process, bool silent)
{
	if (process->silent == silent)
		return;
	process->silent = silent;
	if (silent)
		log_warn("child_silent", log_z("program", process->row->program),
			 log_u64("pid", (uint64_t)process->child.pid));
	process->listener.changed(process->listener.user, process);
}

static void on_sign_of_life(struct process *process)
{
	process->turns = 0;
	set_silent(process, false);
}

void process_pulse(struct process *process)
{
	if (process->state == PROCESS_DOWN || process->why != NULL)
		return;
	unsigned turns = process->turns++;
	if (turns >= process->row->turns_max) {
		static struct err err;
		fail(&err, ERR_UNAVAILABLE, "%s gave no sign of life", process->row->program);
		note_why(process, &err);
		return process_kill(process);
	}
	if (process->state != PROCESS_READY) /* it says so when it is */
		return;
	if (turns > 0)
		set_silent(process, true);
	process_send(process, SUPERVISE_PING, 0, STR_EMPTY, NULL, 0);
}

/* ---- what it says, by type */

static void on_message(void *user, struct supervise_message *m)
{
	struct process *process = user;
	enum process_state state = process->state;
	bool bare = m->n_fds == 0;
	if (process->why != NULL) /* it is being ended */
		return;
	if (m->frame.type == SUPERVISE_PROOF && state == PROCESS_PROVING && bare)
		return on_proof(process, supervise_body(m));
	if (m->frame.type == SUPERVISE_FAILED && bare)
		return on_failed(process, supervise_body(m));
	if (m->frame.type == SUPERVISE_READY && state == PROCESS_STARTING && bare)
		return on_ready(process, supervise_body(m));
	if (m->frame.type == SUPERVISE_PONG && state == PROCESS_READY && bare)
		return on_sign_of_life(process);
	if (state != PROCESS_READY || !process->listener.request(process->listener.user, process, m))
		note_breach(process, m->frame.type);
}

static void on_gone(void *user, const struct err *why)
{
	struct process *process = user;
	note_why(process, why);
	process_kill(process);
}

/* ---- its end */

static void on_again(void *user, int what)
{
	(void)what;
	struct process *process = user;
	static struct err err;
	err_clear(&err);
	process->restarts++;
	if (process_start(process, &err) == 0)
		return;
	log_error("child_not_restarted", log_z("program", process->row->program), log_err(&err));
	loop_timer_start(process->again, process->backoff_ms, 0);
	process->backoff_ms = MIN(2 * process->backoff_ms, (uint64_t)DAEMON_BACKOFF_MAX_MS);
}

static void schedule_restart(struct process *process)
{
	uint64_t lived_ms = (clock_monotonic_ns(NULL) - process->started_mono) / TIME_MILLISECOND;
	if (lived_ms >= DAEMON_STEADY_MS)
		process->backoff_ms = DAEMON_BACKOFF_MS;
	if (process->again == NULL)
		process->again = loop_timer(process->loop, on_again, process);
	loop_timer_start(process->again, process->backoff_ms, 0);
	process->backoff_ms = MIN(2 * process->backoff_ms, (uint64_t)DAEMON_BACKOFF_MAX_MS);
}

static void on_end(void *user, int what)
{
	(void)what;
	struct process *process = user;
	static struct err err;
	err_clear(&err);
	/* Its last words may still be on their way. */
	link_drain(process->link);
	if (child_wait(&process->child, -1, &err) != 1)
		log_error("child_not_awaited", log_z("program", process->row->program), log_err(&err));
	child_how_ended(&process->child, process->last_end, sizeof process->last_end);
	fail(&err, ERR_SYSTEM, "%s ended by %s", process->row->program, process->last_end);
	note_why(process, &err);

	loop_source_free(TAKE(process->end));
	link_free(TAKE(process->link));
	child_release(&process->child);
	process->state = PROCESS_DOWN;
	AUTO_FREE struct err *why = TAKE(process->why);
	bool again = process->listener.ended(process->listener.user, process, why);
	if (again)
		schedule_restart(process);
	process->listener.changed(process->listener.user, process);
}

/* ---- its start */

static int start_child(struct process *process, int link, uint64_t namespaces, struct err *err)
{
	char parent[16], told[24];
	snprintf(parent, sizeof parent, "%d", (int)getpid());
	snprintf(told, sizeof told, "%llu", (unsigned long long)namespaces);
	const char *argv[] = {process->row->program, parent, told, NULL};
	struct child child = CHILD_INIT;
	child.path = process->row->program;
	child.program_fd = process->program;
	child.argv = argv;
	child.namespaces = namespaces != 0 ? confine_given(process->row->policy) : 0;
	child.fds[child.n_fds++] = (struct child_fd){process->null_fd, STDIN_FILENO};
	child.fds[child.n_fds++] = (struct child_fd){process->null_fd, STDOUT_FILENO};
	child.fds[child.n_fds++] = (struct child_fd){STDERR_FILENO, STDERR_FILENO};
	child.fds[child.n_fds++] = (struct child_fd){link, SUPERVISE_FD};
	for (size_t i = 0; i < process->n_fds; i++)
		child.fds[child.n_fds++] = process->fds[i];
	if (child_start(&child, err) != 0)
		return -1;
	child.argv = NULL; /* does not outlive this function */
	process->child = child;
	return 0;
}

/*
 * A child is told in its arguments which namespaces it has, or is to enter. Where the kernel refused to give them it was
 * told wrong, so it is started a second time without; it proves what it has either way.
 */
static int start_truthfully(struct process *process, int link, struct err *err)
{
	const struct confine_policy *policy = process->row->policy;
	uint64_t given = confine_given(policy);
	if (start_child(process, link, policy->namespaces, err) != 0)
		return -1;
	if ((process->child.ret_namespaces & given) == given)
		return 0;
	child_release(&process->child);
	return start_child(process, link, 0, err);
}

int process_start(struct process *process, struct err *err)
{
	int ends[2];
	if (supervise_pair(ends, err) != 0)
		return -1;
	const struct link_listener listener = {on_message, on_gone, process};
	AUTO_FD theirs = ends[1];
	AUTO(link) *link = link_new(process->loop, ends[0], &listener, err);
	if (link == NULL || start_truthfully(process, theirs, err) != 0)
		return -1;
	process->end = loop_child(process->loop, &process->child, on_end, process, err);
	if (process->end == NULL) {
		child_release(&process->child);
		return -1;
	}
	process->link = TAKE(link);
	process->state = PROCESS_PROVING;
	process->turns = 0;
	process->silent = false;
	process->started_at = clock_wall_ns(NULL);
	process->started_mono = clock_monotonic_ns(NULL);
	buf_clear(&process->proof);
	return 0;
}

void process_send(struct process *process, uint32_t type, uint32_t id, struct str body, const int *fds, size_t n_fds)
{
	if (process->link != NULL)
		link_send(process->link, type, id, body, fds, n_fds);
}

void process_kill(struct process *process)
{
	child_kill(&process->child, SIGKILL);
}

void process_cancel_restart(struct process *process)
{
	if (process->again != NULL)
		loop_timer_stop(process->again);
}

bool process_is_ready(const struct process *process)
{
	return process->state == PROCESS_READY;
}

struct supervise_child process_child(const struct process *process)
{
	return (struct supervise_child){
		.role = process->row->role,
		.running = process->state != PROCESS_DOWN,
		.silent = process->state != PROCESS_DOWN && process->silent,
		.pid = process->state != PROCESS_DOWN ? (uint32_t)process->child.pid : 0,
		.restarts = process->restarts,
		.started_at = process->started_at,
		.last_end = str_from(process->last_end),
		.confinement = buf_str(&process->proof),
	};
}

void process_release(struct process *process)
{
	if (process->row == NULL) /* never made */
		return;
	loop_source_free(TAKE(process->end));
	loop_source_free(TAKE(process->again));
	link_free(TAKE(process->link));
	child_release(&process->child);
	free(TAKE(process->why));
	buf_release(&process->proof);
	if (process->program >= 0)
		close(process->program);
	process->program = -1;
}
