#include "daemon/notices.h"
#include "base/log.h"
#include "os/child.h"
#include "text/wire.h"
#include <stdlib.h>

#define VARIABLES 2

struct notices {
	struct loop *loop;
	struct loop_source *timer; /* runs while nothing may be told yet */
	struct loop_source *ended;
	struct child child;
	int null_fd;
	bool wanted, waits; /* until the timer ends */
	char next[SUPERVISE_NOTICE_MAX + 1];
};

static void on_turn(void *user, int what);

struct notices *notices_new(struct loop *loop, int null_fd, bool wanted)
{
	struct notices *notices = NEW(struct notices);
	*notices = (struct notices){.loop = loop, .child = CHILD_INIT, .null_fd = null_fd, .wanted = wanted};
	notices->timer = loop_timer(loop, on_turn, notices);
	return notices;
}

/* One that still tries has had its time. */
static void end_child(struct notices *notices)
{
	loop_source_free(TAKE(notices->ended));
	child_release(&notices->child);
	notices->child = CHILD_INIT;
}

void notices_free(struct notices *notices)
{
	if (notices == NULL)
		return;
	end_child(notices);
	loop_source_free(notices->timer);
	free(notices);
}

static void on_ended(void *user, int what)
{
	(void)what;
	struct notices *notices = user;
	if (child_wait(&notices->child, 0, NULL) == 1)
		log_debug("notice_told", log_u64("exit_status", (uint64_t)notices->child.exit_status));
	end_child(notices);
}

/* What is needed to find the session's bus, and what every program of ours has. */
static const char **environment(char *owned[VARIABLES])
{
	static const char *const names[VARIABLES] = {"DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"};
	const char **all = xcalloc(VARIABLES + 2, sizeof *all);
	size_t n = 0;
	for (size_t i = 0; i < VARIABLES; i++) {
		const char *value = getenv(names[i]);
		owned[i] = value != NULL ? xasprintf("%s=%s", names[i], value) : NULL;
		if (value != NULL)
			all[n++] = owned[i];
	}
	all[n] = CHILD_BIND_NOW;
	return all;
}

static int start(struct notices *notices, struct err *err)
{
	static const char program[] = "/proc/self/exe";
	const char *const argv[] = {"aileron", "notify", notices->next, NULL};
	char *owned[VARIABLES];
	const char **envp = environment(owned);
	struct child *child = &notices->child;
	child->path = program;
	child->argv = argv;
	child->envp = envp;
	for (int to = STDIN_FILENO; to <= STDERR_FILENO; to++)
		child->fds[child->n_fds++] = (struct child_fd){notices->null_fd, to};
	int rc = child_start(child, err);
	for (size_t i = 0; i < VARIABLES; i++)
		free(owned[i]);
	free(envp);
	child->argv = NULL;
	child->envp = NULL;
	if (rc < 0)
		return -1;
	notices->ended = loop_child(notices->loop, child, on_ended, notices, err);
	return notices->ended != NULL ? 0 : -1;
}

static void tell(struct notices *notices)
{
	static struct err err;
	err_clear(&err);
	end_child(notices);
	if (start(notices, &err) < 0) {
		log_warn("notice_not_told", log_err(&err));
		end_child(notices);
	}
	notices->next[0] = '\0';
	notices->waits = true;
	loop_timer_start(notices->timer, NOTICES_MS, 0);
}

static void on_turn(void *user, int what)
{
	(void)what;
	struct notices *notices = user;
	notices->waits = false;
	if (notices->next[0] != '\0')
		tell(notices);
}

bool notices_asked(struct notices *notices, const struct supervise_message *m)
{
	struct wire_reader r = wire_reader(supervise_body(m));
	struct str id = wire_str(&r);
	if (wire_done(&r, "notice", NULL) != 0 || m->n_fds != 0 || !supervise_notice_is_valid(id))
		return false;
	if (!notices->wanted)
		return true;
	memcpy(notices->next, id.p, id.n);
	notices->next[id.n] = '\0';
	if (!notices->waits)
		tell(notices);
	return true;
}
