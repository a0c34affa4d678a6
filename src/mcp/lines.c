/* The door of lines: both eras on one pipe, message by message. */
#include "mcp/core.h"

struct mcp_peer {
	struct mcp *mcp;
	unsigned refs; /* under the core's lock: the owner, and each sink */
	struct scope scope;
	struct mcp_session *session; /* whose caller is the peer's */
	bool complained;             /* of a line that could not be read; not again before one that can */
	pthread_mutex_t writing;
	bool closed; /* under `writing` */
	void (*write)(void *user, struct str message);
	void *user;
};

struct mcp_peer *mcp_peer_new(struct mcp *mcp, const struct mcp_peer_options *options)
{
	struct mcp_peer *peer = NEW(struct mcp_peer);
	*peer = (struct mcp_peer){
		.mcp = mcp,
		.refs = 1,
		.session = session_new(),
		.write = options->write,
		.user = options->user,
	};
	peer->session->caller = caller_dup(&options->caller);
	pthread_mutex_init(&peer->writing, NULL);
	return peer;
}

static void peer_unref(struct mcp_peer *peer)
{
	struct mcp *mcp = peer->mcp;
	pthread_mutex_lock(&mcp->lock);
	bool last = --peer->refs == 0;
	pthread_mutex_unlock(&mcp->lock);
	if (!last)
		return;
	session_unref(mcp, peer->session);
	pthread_mutex_destroy(&peer->writing);
	free(peer);
}

void mcp_peer_free(struct mcp_peer *peer)
{
	if (peer == NULL)
		return;
	pthread_mutex_lock(&peer->writing);
	peer->closed = true;
	pthread_mutex_unlock(&peer->writing);
	calls_cancel_scope(peer->mcp, &peer->scope);
	listeners_end_scope(peer->mcp, &peer->scope);
	listeners_end_scope(peer->mcp, &peer->session->scope);
	peer_unref(peer);
}

size_t mcp_peer_open(struct mcp_peer *peer)
{
	pthread_mutex_lock(&peer->mcp->lock);
	size_t n = peer->scope.n_open;
	pthread_mutex_unlock(&peer->mcp->lock);
	return n;
}

static void say(struct mcp_peer *peer, struct str message)
{
	pthread_mutex_lock(&peer->writing);
	if (!peer->closed)
		peer->write(peer->user, message);
	pthread_mutex_unlock(&peer->writing);
}

static void say_error(struct mcp_peer *peer, struct str id, int code, const char *why)
{
	AUTO_BUF out = BUF_INIT(MCP_MESSAGE_MAX);
	render_error(id, code, str_from(why), STR_EMPTY, &out);
	say(peer, buf_str(&out));
}

/* ---- Sinks ---- */

struct line_sink {
	struct mcp_sink is;
	struct mcp_peer *peer;
};

static bool line_tell(struct mcp_sink *sink, struct str message, bool wait)
{
	(void)wait; /* `write` never waits for long */
	say(((struct line_sink *)sink)->peer, message);
	return true;
}

static void line_finish(struct mcp_sink *sink, unsigned status, struct str message)
{
	(void)status;
	struct line_sink *line = (struct line_sink *)sink;
	if (message.n > 0)
		say(line->peer, message);
	peer_unref(line->peer);
	free(line);
}

static const struct mcp_sink_ops line_ops = {.tell = line_tell, .finish = line_finish};

static struct mcp_sink *sink_new(struct mcp_peer *peer)
{
	struct line_sink *line = NEW(struct line_sink);
	*line = (struct line_sink){{&line_ops, false}, peer};
	pthread_mutex_lock(&peer->mcp->lock);
	peer->refs++;
	pthread_mutex_unlock(&peer->mcp->lock);
	return &line->is;
}

/* ---- Messages ---- */

static void feed_request(struct mcp_peer *peer, struct message *message, struct mcp_sink *sink)
{
	struct arrival arrival = {
		.message = message,
		.sink = sink,
		.caller = &peer->session->caller.is,
		.scope = &peer->scope,
		.session = peer->session,
	};
	bool is_modern = message->claims || (!peer->session->greeted && serve_is_modern_method(message->method));
	if (is_modern)
		arrival.session = NULL;
	if (is_modern)
		serve_modern(peer->mcp, &arrival);
	else
		serve_legacy(peer->mcp, &arrival);
}

static void feed_notification(struct mcp_peer *peer, const struct message *message)
{
	struct mcp_session *session = peer->session;
	serve_notification(peer->mcp, &peer->scope, session, message);
	if (session->is_ready && !session->has_stream) {
		struct mcp_sink *sink = sink_new(peer);
		if (!listener_of_session(peer->mcp, session, sink))
			sink->ops->finish(sink, 200, STR_EMPTY);
	}
}

/* One that is no batch; `sink` is used when it is a request. */
static void feed_one(struct mcp_peer *peer, struct message *message, struct mcp_sink *sink)
{
	switch (message->kind) {
	case MESSAGE_REQUEST:
		feed_request(peer, message, sink);
		return;
	case MESSAGE_RESPONSE:
		serve_response(peer->mcp, peer->session, message);
		return;
	case MESSAGE_NOTIFICATION:
		feed_notification(peer, message);
		break;
	case MESSAGE_MALFORMED:
		if (message->id.n > 0)
			say_error(peer, message->id, MCP_INVALID_REQUEST, message->why);
		break;
	case MESSAGE_BATCH:
	case MESSAGE_UNREADABLE:
		break;
	}
	message_free(message);
}

/* What cannot be read is told once: two sides that answer errors with errors would never stop. */
static void complain(struct mcp_peer *peer, int code, const char *why)
{
	if (!peer->complained)
		say_error(peer, STR_EMPTY, code, why);
	peer->complained = true;
}

static void feed_batch(struct mcp_peer *peer, struct message *message)
{
	if (!peer->session->greeted || peer->session->version != MCP_2025_03_26 || !batch_is_allowed(message)) {
		complain(peer, MCP_INVALID_REQUEST, "a batch is not accepted here");
		message_free(message);
		return;
	}
	peer->complained = false;
	struct batch *batch = batch_new(sink_new(peer));
	for (size_t i = 0, at = 0; i < json_length(message->document); i++) {
		struct message *one = message_read(message_next_element(message->text, &at));
		const char *wrong = batch_refuses(one);
		if (wrong != NULL) {
			batch_add_error(batch, one->id, wrong);
			message_free(one);
		} else {
			feed_one(peer, one, one->kind == MESSAGE_REQUEST ? batch_sink(batch) : NULL);
		}
	}
	message_free(message);
	batch_close(batch);
}

void mcp_peer_feed(struct mcp_peer *peer, struct str line)
{
	line = str_trim(line);
	if (line.n == 0)
		return;
	if (line.n > MCP_MESSAGE_MAX) {
		mcp_peer_too_long(peer);
		return;
	}
	struct message *message = message_read(line);
	if (message->kind == MESSAGE_BATCH) {
		feed_batch(peer, message);
	} else if (message->kind == MESSAGE_UNREADABLE) {
		complain(peer, MCP_PARSE_ERROR, message->why);
		message_free(message);
	} else {
		peer->complained = peer->complained && message->kind != MESSAGE_REQUEST;
		feed_one(peer, message, message->kind == MESSAGE_REQUEST ? sink_new(peer) : NULL);
	}
}

void mcp_peer_too_long(struct mcp_peer *peer)
{
	complain(peer, MCP_PARSE_ERROR, "a message has at most 4 MiB");
}
