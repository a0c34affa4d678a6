#include "cli/session_hold.h"
#include "base/time.h"
#include "base/wait.h"
#include <errno.h>
#include <stdlib.h>

#define RETRY_NS  (500 * TIME_MILLISECOND)
#define OPEN_NS   (10 * TIME_SECOND)
#define FINISH_NS (2 * TIME_SECOND)

struct session_hold {
	struct client_options options;
	char *id;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	bool open, tried, over, finished, left; /* left: the thread frees, when it finishes */
	struct err why;
};

static void destroy(struct session_hold *hold)
{
	pthread_mutex_destroy(&hold->lock);
	pthread_cond_destroy(&hold->changed);
	free(hold->id);
	free(hold);
}

static int on_piece(void *user, struct str bytes)
{
	(void)bytes;
	struct session_hold *hold = user;
	pthread_mutex_lock(&hold->lock);
	hold->open = true;
	pthread_cond_broadcast(&hold->changed);
	bool over = hold->over;
	pthread_mutex_unlock(&hold->lock);
	return over ? 1 : 0;
}

/* One stream, from its beginning to its end. */
static void hold_once(struct session_hold *hold, struct err *err)
{
	AUTO(client) *client = NULL;
	const struct client_request request = {.operation = OP_SESSION_HOLD, .parameters = {str_from(hold->id)}};
	int found = client_open(&hold->options, &client, err);
	if (found == 1)
		(void)!client_stream(client, &request, on_piece, hold, err);
	else if (found == 0)
		fail(err, ERR_UNREACHABLE, "the daemon is not running");
}

static uint64_t in_ns(uint64_t ns)
{
	return clock_monotonic_ns(NULL) + ns;
}

static void *keep(void *user)
{
	struct session_hold *hold = user;
	struct err err;
	pthread_mutex_lock(&hold->lock);
	while (!hold->over) {
		pthread_mutex_unlock(&hold->lock);
		err_clear(&err);
		hold_once(hold, &err);
		pthread_mutex_lock(&hold->lock);
		/* A session that has ended is not to be taken up again. */
		if (err.class == ERR_CONFLICT || err.class == ERR_SESSION_NOT_FOUND)
			hold->over = true;
		if (!hold->open)
			hold->why = err;
		hold->tried = true;
		pthread_cond_broadcast(&hold->changed);
		if (!hold->over)
			(void)wait_until(&hold->changed, &hold->lock, in_ns(RETRY_NS));
	}
	hold->finished = true;
	pthread_cond_broadcast(&hold->changed);
	bool left = hold->left;
	pthread_mutex_unlock(&hold->lock);
	if (left)
		destroy(hold);
	return NULL;
}

struct session_hold *session_hold_new(struct cli *cli, struct str id, struct err *err)
{
	AUTO(session_hold) *hold = NEW(struct session_hold);
	const char *api_url = getenv("AILERON_API_URL");
	hold->options = (struct client_options){
		.state_dir = cli->state_dir,
		.api_url = api_url != NULL && api_url[0] != '\0' ? api_url : NULL,
		.token = cli->token,
	};
	hold->id = xasprintf("%.*s", STR_FMT(id));
	pthread_mutex_init(&hold->lock, NULL);
	wait_init(&hold->changed);
	errno = pthread_create(&hold->thread, NULL, keep, hold);
	if (errno != 0) {
		fail_errno(err, "cannot start a thread");
		return NULL;
	}
	hold->started = true;
	uint64_t until = in_ns(OPEN_NS);
	pthread_mutex_lock(&hold->lock);
	while (!hold->open && !hold->tried && wait_until(&hold->changed, &hold->lock, until))
		;
	bool open = hold->open;
	if (!open && hold->tried && err != NULL)
		*err = hold->why;
	else if (!open)
		fail(err, ERR_UNREACHABLE, "the daemon does not hold the session");
	pthread_mutex_unlock(&hold->lock);
	return open ? TAKE(hold) : NULL;
}

/* Waits for a little: the daemon ends the stream of a session that has ended, and one that hangs is not waited for. */
void session_hold_free(struct session_hold *hold)
{
	if (hold == NULL)
		return;
	if (!hold->started) {
		destroy(hold);
		return;
	}
	uint64_t until = in_ns(FINISH_NS);
	pthread_mutex_lock(&hold->lock);
	hold->over = true;
	pthread_cond_broadcast(&hold->changed);
	while (!hold->finished && wait_until(&hold->changed, &hold->lock, until))
		;
	bool finished = hold->finished;
	pthread_t thread = hold->thread;
	hold->left = !finished;
	pthread_mutex_unlock(&hold->lock);
	if (finished) {
		pthread_join(thread, NULL);
		destroy(hold);
	} else {
		pthread_detach(thread);
	}
}
