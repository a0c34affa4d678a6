#include "connector/relay.h"
#include "connector/runner_protocol.h"
#include "egress/scrub.h"
#include "egress/watchlist.h"
#include "os/loop.h"
#include "text/wire.h"
#include <stdlib.h>

#define FRAMES_AT_ONCE 64 /* of one side; then others have their turn */

struct side {
	struct rpc_channel *channel;
	struct loop_source *socket;
	int events;
	bool gone; /* it takes nothing any more, but may have said something before */
};

/* A long text on its way through another thread. */
struct search {
	struct relay *relay; /* NULL: it was freed meanwhile */
	struct watchlist *watchlist;
	uint16_t type;
	uint32_t id;
	char *body;
	size_t n;
	int rc;
	struct err err;
};

struct relay {
	struct relay_options options;
	struct side runner, control;
	struct loop_source *again; /* frames are buffered that no descriptor tells of */
	bool runner_left;
	struct search *search;
	struct err err;
};

/* ---- what is guest's text in a frame ---- */

/* The fields of a body: 's' a text, to be searched; '1', '4', '8' so many bytes, passed on. */
static const char *const layouts[] = {
	[RUNNER_LOG] = "ss",
	[RUNNER_HTTP] = "1s",
	[RUNNER_TRACE] = "s8",
	[RUNNER_AUDIT] = "s",
	[RUNNER_DONE] = "14ss1ss18888s",
};

static const char *layout_of(uint16_t type)
{
	return type < ARRAY_LEN(layouts) ? layouts[type] : NULL;
}

struct rewriting {
	const struct scrubber *scrubber;
	char *body;
	size_t n, read, written;
};

static void put_length(char *out, size_t n)
{
	for (int i = 0; i < 4; i++)
		out[i] = (char)(n >> (8 * i) & 0xff);
}

static int rewrite_text(struct rewriting *w, struct err *err)
{
	struct wire_reader r = wire_reader(str_of(w->body + w->read, w->n - w->read));
	struct str text = wire_str(&r);
	size_t left = 0;
	if (r.bad)
		return -1;
	char *place = w->body + w->read + sizeof(uint32_t);
	if (scrub_text(w->scrubber, place, text.n, &left, NULL, err) != 0)
		return -1;
	put_length(w->body + w->written, left);
	memmove(w->body + w->written + sizeof(uint32_t), place, left);
	w->read += sizeof(uint32_t) + text.n;
	w->written += sizeof(uint32_t) + left;
	return 0;
}

static bool keep_bytes(struct rewriting *w, size_t n)
{
	if (w->n - w->read < n)
		return false;
	memmove(w->body + w->written, w->body + w->read, n);
	w->read += n;
	w->written += n;
	return true;
}

/* Strikes out where it stands: texts only shrink. *n becomes the new length. */
static int rewrite(const struct scrubber *scrubber, uint16_t type, char *body, size_t *n, struct err *err)
{
	struct rewriting w = {.scrubber = scrubber, .body = body, .n = *n};
	const char *layout = layout_of(type);
	if (layout == NULL)
		BUG("no text in messages of type %u", type);
	bool whole = true;
	for (const char *field = layout; *field != '\0' && whole; field++)
		whole = *field == 's' ? rewrite_text(&w, err) == 0 : keep_bytes(&w, (size_t)(*field - '0'));
	if (!whole || w.read != w.n)
		return fail(err, ERR_PROTOCOL, "message of type %u cannot be searched for secrets", type);
	*n = w.written;
	return 0;
}

/* ---- the end ---- */

static void side_release(struct side *side)
{
	loop_source_free(TAKE(side->socket));
	rpc_channel_free(TAKE(side->channel));
}

void relay_free(struct relay *relay)
{
	if (relay == NULL)
		return;
	side_release(&relay->runner);
	side_release(&relay->control);
	loop_source_free(relay->again);
	if (relay->search != NULL)
		relay->search->relay = NULL;
	free(relay);
}

uint32_t relay_id(const struct relay *relay)
{
	return relay->options.id;
}

/* The relay is gone afterwards. That a socket failed means that its other end was closed, which is no error. */
static void end(struct relay *relay, const struct err *err)
{
	bool closed = err == NULL || err->class == ERR_SYSTEM;
	relay->options.ended(relay->options.context, relay, closed ? NULL : err);
}

/* ---- passing on ---- */

static int pass(struct relay *relay, struct side *to, uint16_t type, uint32_t id, struct str body)
{
	return rpc_queue(to->channel, type, id, &body, 1, &relay->err);
}

static void search_body(void *user)
{
	struct search *search = user;
	search->rc =
		rewrite(watchlist_scrubber(search->watchlist), search->type, search->body, &search->n, &search->err);
}

static void search_free(struct search *search)
{
	watchlist_free(search->watchlist);
	free(search->body);
	free(search);
}

static void go_on(struct relay *relay);

static void on_searched(void *user)
{
	struct search *search = user;
	struct relay *relay = search->relay;
	int rc = search->rc;
	if (relay != NULL) {
		relay->search = NULL;
		relay->err = search->err;
		if (rc == 0)
			rc = pass(relay, &relay->control, search->type, search->id, str_of(search->body, search->n));
	}
	search_free(search);
	if (relay != NULL && rc != 0)
		end(relay, &relay->err);
	else if (relay != NULL)
		go_on(relay);
}

/* The body becomes the search's. */
static int search_beside(struct relay *relay, const struct rpc_frame *frame, const struct watchlist *watchlist,
			 char *body)
{
	struct search *search = NEW(struct search);
	*search = (struct search){.relay = relay, .type = frame->type, .id = frame->id, .body = body};
	search->n = frame->body.n;
	search->watchlist = watchlist_copy(watchlist, &relay->err);
	if (search->watchlist == NULL) {
		search_free(search);
		return -1;
	}
	relay->search = search;
	loop_work(relay->options.loop, search_body, on_searched, search);
	return 0;
}

static int pass_searched(struct relay *relay, struct rpc_frame *frame, const struct watchlist *watchlist)
{
	size_t n = frame->body.n;
	AUTO_FREE char *body = rpc_take_body(relay->runner.channel, frame);
	if (n > RELAY_SEARCH_AT_ONCE)
		return search_beside(relay, frame, watchlist, TAKE(body));
	if (rewrite(watchlist_scrubber(watchlist), frame->type, body, &n, &relay->err) != 0)
		return -1;
	return pass(relay, &relay->control, frame->type, frame->id, str_of(body, n));
}

static int from_runner(struct relay *relay, struct rpc_frame *frame)
{
	if (frame->type == RUNNER_COMPILED)
		return fail(&relay->err, ERR_PROTOCOL, "message 'compiled' of a runner that serves");
	if (frame->type == RUNNER_READY) {
		rpc_set_state(relay->runner.channel, RUNNER_STATE_SERVING);
		rpc_set_state(relay->control.channel, RUNNER_STATE_SERVING);
	}
	const struct watchlist *watchlist = NULL;
	if (layout_of(frame->type) != NULL)
		watchlist = relay->options.watchlist(relay->options.context, relay->options.id, frame->id);
	if (watchlist != NULL)
		return pass_searched(relay, frame, watchlist);
	return pass(relay, &relay->control, frame->type, frame->id, frame->body);
}

static int from_control(struct relay *relay, struct rpc_frame *frame)
{
	if (frame->type == RUNNER_START) {
		rpc_set_state(relay->runner.channel, RUNNER_STATE_LOADING);
		rpc_set_state(relay->control.channel, RUNNER_STATE_LOADING);
	}
	if (!relay->runner.gone && pass(relay, &relay->runner, frame->type, frame->id, frame->body) != 0) {
		if (relay->err.class != ERR_SYSTEM)
			return -1;
		relay->runner.gone = true; /* but its last words are still to be read */
	}
	return 0;
}

/* ---- turns ---- */

static bool may_read_runner(const struct relay *relay)
{
	return !relay->runner_left && relay->search == NULL && rpc_queued(relay->control.channel) < RELAY_QUEUE;
}

static bool may_read_control(const struct relay *relay)
{
	return relay->runner.gone || rpc_queued(relay->runner.channel) < RELAY_QUEUE;
}

/* 0, 1 when there is nothing more to be read now, 2 at the end of that side, -1 with relay->err. */
static int read_runner(struct relay *relay)
{
	for (int i = 0; i < FRAMES_AT_ONCE && may_read_runner(relay); i++) {
		struct rpc_frame frame;
		int got = rpc_pump(relay->runner.channel, &frame, &relay->err);
		if (got == 2)
			return 1;
		if (got == 0 || (got < 0 && relay->err.class == ERR_SYSTEM))
			return 2;
		if (got < 0 || from_runner(relay, &frame) != 0)
			return -1;
	}
	return 0;
}

static int read_control(struct relay *relay)
{
	for (int i = 0; i < FRAMES_AT_ONCE && may_read_control(relay); i++) {
		struct rpc_frame frame;
		int got = rpc_pump(relay->control.channel, &frame, &relay->err);
		if (got == 2)
			return 1;
		if (got == 0 || (got < 0 && relay->err.class == ERR_SYSTEM))
			return 2;
		if (got < 0 || from_control(relay, &frame) != 0)
			return -1;
	}
	return 0;
}

static void want(struct side *side, bool reading)
{
	int events = reading ? LOOP_READ : 0;
	if (!side->gone && rpc_queued(side->channel) > 0)
		events |= LOOP_WRITE;
	if (side->socket != NULL && events != side->events)
		loop_watch_set(side->socket, events);
	side->events = events;
}

/* Reads what may be read, and asks the loop for what is to come. The relay may be gone afterwards. */
static void go_on(struct relay *relay)
{
	int runner = read_runner(relay);
	int control = runner < 0 ? 0 : read_control(relay);
	if (runner < 0 || control < 0) {
		end(relay, &relay->err);
		return;
	}
	relay->runner_left = relay->runner_left || runner == 2;
	relay->runner.gone = relay->runner.gone || relay->runner_left;
	bool drained = relay->search == NULL && rpc_queued(relay->control.channel) == 0;
	if (control == 2 || (relay->runner_left && drained)) {
		end(relay, NULL);
		return;
	}
	want(&relay->runner, may_read_runner(relay));
	want(&relay->control, may_read_control(relay));
	if ((rpc_has_frame(relay->runner.channel) && may_read_runner(relay)) ||
	    (rpc_has_frame(relay->control.channel) && may_read_control(relay)))
		loop_timer_start(relay->again, 0, 0);
}

static void on_runner(void *user, int what)
{
	struct relay *relay = user;
	if ((what & LOOP_WRITE) != 0 && rpc_flush(relay->runner.channel, NULL) != 0)
		relay->runner.gone = true;
	if ((what & LOOP_GONE) != 0)
		relay->runner.gone = true;
	go_on(relay);
}

static void on_control(void *user, int what)
{
	struct relay *relay = user;
	bool lost = (what & LOOP_WRITE) != 0 && rpc_flush(relay->control.channel, NULL) != 0;
	if (lost || (what & LOOP_GONE) != 0)
		end(relay, NULL);
	else
		go_on(relay);
}

static void on_again(void *user, int what)
{
	(void)what;
	go_on(user);
}

static int watch(struct relay *relay, struct side *side, loop_fn *fn, struct err *err)
{
	side->events = LOOP_READ;
	side->socket = loop_watch(relay->options.loop, rpc_fd(side->channel), LOOP_READ, fn, relay, err);
	return side->socket != NULL ? 0 : -1;
}

struct relay *relay_new(const struct relay_options *options, struct err *err)
{
	AUTO(relay) *relay = NEW(struct relay);
	relay->options = *options;
	relay->runner.channel = rpc_channel_new(options->runner_fd, runner_parent_rules);
	relay->control.channel = rpc_channel_new(options->control_fd, runner_child_rules);
	relay->again = loop_timer(options->loop, on_again, relay);
	if (watch(relay, &relay->runner, on_runner, err) != 0 || watch(relay, &relay->control, on_control, err) != 0)
		return NULL;
	return TAKE(relay);
}
