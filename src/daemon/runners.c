#include "daemon/runners.h"
#include "base/log.h"
#include "base/mem.h"
#include "confine/policies.h"
#include "confine/sanitized.h"
#include "text/wire.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* connector/runner_protocol.h, which lies on a floor above: the numbers of its descriptors and the words of its lives. */
#define RUNNER_FD_SOCKET 3
#define RUNNER_FD_FIRST  4

struct life {
	const char *name;
	const struct confine_policy *policy;
	size_t n_fds; /* input, output */
	bool relayed;
};
static const struct life lives[] = {
	{"compile", &confine_runner_compile, 2, false},
	{"serve", &confine_runner_serve, 1, true},
};

struct runner {
	struct runners *runners;
	const struct life *life;
	uint32_t id;
	bool orphan; /* the control that asked for it is gone: a new one may use the number anew */
	bool killed; /* by us: its end is no crash */
	struct child child;
	struct loop_source *end;
	struct runner *next;
};

struct runners {
	struct process *control, *egress;
	int program;
	struct runner *first;
	size_t n;
};

struct runners *runners_new(struct process *control, struct process *egress, const char *program, struct err *err)
{
	AUTO(runners) *runners = NEW(struct runners);
	*runners = (struct runners){.control = control, .egress = egress, .program = -1};
	AUTO_FREE char *path = program != NULL ? xstrdup(program) : child_own_program("aileron-runner", err);
	if (path == NULL)
		return NULL;
	runners->program = child_open_program(path, err);
	return runners->program >= 0 ? TAKE(runners) : NULL;
}

static void free_runner(struct runner *runner)
{
	loop_source_free(runner->end);
	child_release(&runner->child);
	free(runner);
}

void runners_free(struct runners *runners)
{
	if (runners == NULL)
		return;
	while (runners->first != NULL) {
		struct runner *runner = runners->first;
		runners->first = runner->next;
		free_runner(runner);
	}
	if (runners->program >= 0)
		close(runners->program);
	free(runners);
}

static struct runner *find(struct runners *runners, uint32_t id)
{
	struct runner *runner = runners->first;
	while (runner != NULL && (runner->orphan || runner->id != id))
		runner = runner->next;
	return runner;
}

static void take_out(struct runners *runners, struct runner *runner)
{
	struct runner **place = &runners->first;
	while (*place != runner)
		place = &(*place)->next;
	*place = runner->next;
	runners->n--;
}

/* One that nobody listens to any more exits with 0, and with 1 one that has said what it failed at. */
static bool has_crashed(const struct runner *runner)
{
	const struct child *child = &runner->child;
	return !runner->killed && child->ended && (child->term_signal != 0 || child->exit_status > 1);
}

static void log_crash(const struct runner *runner)
{
	static struct err why;
	char how[64];
	err_clear(&why);
	fail(&why, ERR_SYSTEM, "aileron-runner ended by %s", child_how_ended(&runner->child, how, sizeof how));
	log_warn("child_ended", log_z("program", "aileron-runner"), log_z("life", runner->life->name),
		 log_u64("pid", (uint64_t)runner->child.pid), log_err(&why));
}

static void tell_ended(struct runner *runner)
{
	bool known = child_wait(&runner->child, -1, NULL) == 1, crashed = has_crashed(runner);
	AUTO_BUF body = BUF_INIT(64);
	wire_put_i32(&body, known ? runner->child.exit_status : -1);
	wire_put_i32(&body, known ? runner->child.term_signal : 0);
	wire_put_bool(&body, crashed);
	if (crashed)
		log_crash(runner);
	process_send(runner->runners->control, SUPERVISE_RUNNER_ENDED, runner->id, buf_str(&body), NULL, 0);
}

static void on_end(void *user, int what)
{
	(void)what;
	struct runner *runner = user;
	if (!runner->orphan)
		tell_ended(runner);
	take_out(runner->runners, runner);
	free_runner(runner);
}

/* Everything that a start needs open, closed together. */
struct wiring {
	int runner;           /* the runner's end */
	int control;          /* control's end */
	int relay[2];         /* egress's ends, towards the runner and towards control; -1 without a relay */
	int words_r, words_w; /* standard error of the runner */
};

static void close_wiring(struct wiring *w)
{
	const int fds[] = {w->runner, w->control, w->relay[0], w->relay[1], w->words_r, w->words_w};
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}
#define AUTO_WIRING __attribute__((cleanup(close_wiring))) struct wiring

static int make_wiring(const struct life *life, struct wiring *w, struct err *err)
{
	int pair[2], words[2];
	if (child_socketpair(pair, err) != 0)
		return -1;
	w->runner = pair[0];
	w->control = pair[1];
	if (life->relayed) {
		w->relay[0] = pair[1];
		w->control = -1;
		if (child_socketpair(pair, err) != 0)
			return -1;
		w->relay[1] = pair[0];
		w->control = pair[1];
	}
	if (pipe2(words, O_CLOEXEC | O_NONBLOCK) != 0)
		return fail_errno(err, "cannot make a pipe for a runner");
	w->words_r = words[0];
	w->words_w = words[1];
	return 0;
}

static int start_child(struct runner *runner, const struct wiring *w, const int *fds, uint64_t namespaces,
		       struct err *err)
{
	char parent[16], told[24];
	snprintf(parent, sizeof parent, "%d", (int)getpid());
	snprintf(told, sizeof told, "%llu", (unsigned long long)namespaces);
	const char *argv[] = {"aileron-runner", runner->life->name, parent, told, NULL};
	struct child child = CHILD_INIT;
	child.path = "aileron-runner";
	child.program_fd = runner->runners->program;
	child.argv = argv;
	child.namespaces = namespaces;
	int null_fd = runner->runners->control->null_fd;
	child.fds[child.n_fds++] = (struct child_fd){null_fd, STDIN_FILENO};
	child.fds[child.n_fds++] = (struct child_fd){null_fd, STDOUT_FILENO};
	/* Sanitizers explain themselves at length; in such a build that goes to the log. */
	child.fds[child.n_fds++] = (struct child_fd){CONFINE_SANITIZED ? STDERR_FILENO : w->words_w, STDERR_FILENO};
	child.fds[child.n_fds++] = (struct child_fd){w->runner, RUNNER_FD_SOCKET};
	for (size_t i = 0; i < runner->life->n_fds; i++)
		child.fds[child.n_fds++] = (struct child_fd){fds[i], RUNNER_FD_FIRST + (int)i};
	if (child_start(&child, err) != 0)
		return -1;
	child.argv = NULL; /* does not outlive this function */
	runner->child = child;
	return 0;
}

/* As in process.c: told again, truthfully, where the kernel refuses namespaces. */
static int start_truthfully(struct runner *runner, const struct wiring *w, const int *fds, struct err *err)
{
	uint64_t wanted = runner->life->policy->namespaces;
	if (start_child(runner, w, fds, wanted, err) != 0)
		return -1;
	if ((runner->child.ret_namespaces & wanted) == wanted)
		return 0;
	child_release(&runner->child);
	return start_child(runner, w, fds, 0, err);
}

static int check(struct runners *runners, const struct life *life, uint32_t id, struct err *err)
{
	if (find(runners, id) != NULL)
		return fail(err, ERR_CONFLICT, "runner %u runs already", id);
	if (runners->n >= RUNNERS_MAX)
		return fail(err, ERR_LIMIT, "%d runners run already", RUNNERS_MAX);
	if (life->relayed && !process_is_ready(runners->egress))
		return fail(err, ERR_UNAVAILABLE, "egress does not run");
	return 0;
}

static void tell_started(struct runners *runners, const struct runner *runner, const struct wiring *w)
{
	AUTO_BUF body = BUF_INIT(64);
	wire_put_u32(&body, (uint32_t)runner->child.pid);
	wire_put_u64(&body, runner->child.ret_namespaces);
	if (runner->life->relayed)
		process_send(runners->egress, SUPERVISE_RELAY, runner->id, STR_EMPTY, w->relay, 2);
	const int fds[] = {w->control, w->words_r};
	process_send(runners->control, SUPERVISE_RUNNER_STARTED, runner->id, buf_str(&body), fds, ARRAY_LEN(fds));
}

static int start(struct runners *runners, const struct life *life, const struct supervise_message *m, struct err *err)
{
	AUTO_WIRING wiring = {-1, -1, {-1, -1}, -1, -1};
	if (check(runners, life, m->frame.id, err) != 0 || make_wiring(life, &wiring, err) != 0)
		return -1;
	struct runner *runner = NEW(struct runner);
	*runner = (struct runner){.runners = runners, .life = life, .id = m->frame.id, .child = CHILD_INIT};
	if (start_truthfully(runner, &wiring, m->fds, err) == 0)
		runner->end = loop_child(runners->control->loop, &runner->child, on_end, runner, err);
	if (runner->end == NULL) {
		free_runner(runner);
		return -1;
	}
	runner->next = runners->first;
	runners->first = runner;
	runners->n++;
	tell_started(runners, runner, &wiring);
	return 0;
}

bool runners_start(struct runners *runners, const struct supervise_message *m)
{
	struct wire_reader r = wire_reader(supervise_body(m));
	uint8_t number = wire_u8(&r);
	if (wire_done(&r, "start of a runner", NULL) != 0 || number >= ARRAY_LEN(lives) ||
	    m->n_fds != lives[number].n_fds)
		return false;
	static struct err err;
	err_clear(&err);
	if (start(runners, &lives[number], m, &err) == 0)
		return true;
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	supervise_put_err(&body, &err);
	process_send(runners->control, SUPERVISE_RUNNER_FAILED, m->frame.id, buf_str(&body), NULL, 0);
	return true;
}

/* One that has ended already did so by itself, though nobody has looked yet. */
static void kill_runner(struct runner *runner)
{
	runner->killed = runner->killed || child_wait(&runner->child, 0, NULL) == 0;
	child_kill(&runner->child, SIGKILL);
}

bool runners_kill(struct runners *runners, const struct supervise_message *m)
{
	if (m->frame.n != 0 || m->n_fds != 0)
		return false;
	struct runner *runner = find(runners, m->frame.id);
	if (runner != NULL) /* else its end is on its way */
		kill_runner(runner);
	return true;
}

void runners_kill_all(struct runners *runners)
{
	for (struct runner *runner = runners->first; runner != NULL; runner = runner->next) {
		runner->orphan = true;
		kill_runner(runner);
	}
}

void runners_kill_serving(struct runners *runners)
{
	for (struct runner *runner = runners->first; runner != NULL; runner = runner->next) {
		if (runner->life->relayed)
			kill_runner(runner);
	}
}
