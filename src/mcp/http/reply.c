#include "mcp/http/reply.h"
#include "mcp/http/door.h"

#define PING_NS (MCP_HTTP_JSON_MS * TIME_MILLISECOND)

struct replies {
	struct mcp *mcp;
	pthread_mutex_t lock;
	struct reply *finished; /* under the lock */
};

struct reply {
	struct mcp_sink is;
	struct replies *replies;
	struct reply *next; /* of those that are finished */
	struct http_exchange *x;
	struct caller caller;
	struct accepted accepted;
	bool cancels;
	char session[SESSION_ID_TEXT_SIZE]; /* begins with this answer; "" = none */

	pthread_mutex_t lock; /* all below; held while the exchange is written */
	bool streaming, done;
	uint64_t wrote_ns; /* or began */
};

/* ---- Accept ---- */

/* "q=0", with or without decimals. */
static bool is_refused(struct str parameters)
{
	while (parameters.n > 0) {
		struct str one;
		parameters = str_cut(parameters, ';', &one);
		one = str_trim(one);
		if (!str_starts(one, S("q=")))
			continue;
		size_t zeros = 2;
		while (zeros < one.n && (one.p[zeros] == '0' || one.p[zeros] == '.'))
			zeros++;
		return one.n > 2 && zeros == one.n;
	}
	return false;
}

static bool is_one_of(struct str type, const char *a, const char *b)
{
	return str_eq(type, S("*/*")) || str_eq_fold(type, str_from(a)) || str_eq_fold(type, str_from(b));
}

struct accepted accepted_of(const struct http_exchange *x)
{
	struct str list = http_header(x, S("Accept"));
	struct accepted accepted = {.json = str_blank(list), .stream = str_blank(list)};
	while (list.n > 0) {
		struct str item, type;
		list = str_cut(list, ',', &item);
		struct str parameters = str_cut(item, ';', &type);
		type = str_trim(type);
		if (is_refused(parameters))
			continue;
		accepted.json = accepted.json || is_one_of(type, "application/json", "application/*");
		accepted.stream = accepted.stream || is_one_of(type, "text/event-stream", "text/*");
	}
	return accepted;
}

/* ---- Its life ---- */

struct replies *replies_new(struct mcp *mcp)
{
	struct replies *replies = NEW(struct replies);
	replies->mcp = mcp;
	pthread_mutex_init(&replies->lock, NULL);
	return replies;
}

void replies_sweep(struct replies *replies)
{
	pthread_mutex_lock(&replies->lock);
	struct reply *reply = TAKE(replies->finished);
	pthread_mutex_unlock(&replies->lock);
	while (reply != NULL) {
		struct reply *next = reply->next;
		pthread_mutex_destroy(&reply->lock);
		caller_release(&reply->caller);
		free(reply);
		reply = next;
	}
}

void replies_free(struct replies *replies)
{
	if (replies == NULL)
		return;
	replies_sweep(replies);
	pthread_mutex_destroy(&replies->lock);
	free(replies);
}

/* The client is gone: on the loop's thread, and before the reply is freed, which happens there too. */
static void gone(void *user)
{
	struct reply *reply = user;
	struct mcp *mcp = reply->replies->mcp;
	if (!listeners_end_sink(mcp, &reply->is) && reply->cancels)
		calls_cancel_sink(mcp, &reply->is);
}

/* ---- Writing, with the lock held ---- */

static size_t put_headers(const struct reply *reply, struct h1_header ret[3])
{
	size_t n = 0;
	if (reply->session[0] != '\0')
		ret[n++] = (struct h1_header){S("Mcp-Session-Id"), str_from(reply->session)};
	return n;
}

static void begin_stream(struct reply *reply)
{
	struct h1_header headers[3];
	size_t n = put_headers(reply, headers);
	headers[n++] = (struct h1_header){S("Cache-Control"), S("no-cache")};
	headers[n++] = (struct h1_header){S("X-Accel-Buffering"), S("no")};
	http_stream_begin(reply->x, &(struct http_answer){
					    .status = 200,
					    .content_type = S("text/event-stream"),
					    .headers = headers,
					    .n_headers = n,
				    });
	reply->streaming = true;
}

/* Whether the client still reads is learned otherwise. */
static void write_bytes(struct reply *reply, struct str bytes)
{
	reply->wrote_ns = mcp_now(reply->replies->mcp);
	(void)!http_stream_write(reply->x, bytes);
}

static void write_event(struct reply *reply, struct str message)
{
	AUTO_BUF event = BUF_INIT(MCP_ANSWER_MAX * 2);
	http_put_event(&event, STR_EMPTY, STR_EMPTY, message);
	write_bytes(reply, buf_str(&event));
}

static bool reply_tell(struct mcp_sink *sink, struct str message, bool wait)
{
	struct reply *reply = (struct reply *)sink;
	if (wait)
		pthread_mutex_lock(&reply->lock);
	else if (pthread_mutex_trylock(&reply->lock) != 0)
		return false;
	if (!reply->streaming)
		begin_stream(reply);
	write_event(reply, message);
	pthread_mutex_unlock(&reply->lock);
	return true;
}

static void answer_json(struct reply *reply, unsigned status, struct str message)
{
	struct h1_header headers[3];
	http_answer(reply->x, &(struct http_answer){
				      .status = status,
				      .body = message,
				      .headers = headers,
				      .n_headers = put_headers(reply, headers),
			      });
}

static void write_last(struct reply *reply, unsigned status, struct str message)
{
	bool stream = reply->streaming ||
		      (status == 200 && reply->accepted.stream && (!reply->accepted.json || message.n == 0));
	if (!stream) {
		answer_json(reply, message.n > 0 ? status : 202, message);
		return;
	}
	if (!reply->streaming)
		begin_stream(reply);
	if (message.n > 0)
		write_event(reply, message);
	http_stream_end(reply->x);
}

static void reply_finish(struct mcp_sink *sink, unsigned status, struct str message)
{
	struct reply *reply = (struct reply *)sink;
	struct replies *replies = reply->replies;
	pthread_mutex_lock(&reply->lock);
	write_last(reply, status, message);
	reply->done = true;
	pthread_mutex_unlock(&reply->lock);
	pthread_mutex_lock(&replies->lock);
	reply->next = replies->finished;
	replies->finished = reply;
	pthread_mutex_unlock(&replies->lock);
}

/* On the loop's thread, where writing queues and never waits. */
static void reply_turn(struct mcp_sink *sink, uint64_t now_ns)
{
	struct reply *reply = (struct reply *)sink;
	if (sink->one_answer || pthread_mutex_trylock(&reply->lock) != 0)
		return;
	if (!reply->done && now_ns - reply->wrote_ns >= PING_NS) {
		if (!reply->streaming)
			begin_stream(reply);
		write_bytes(reply, S(": still here\n\n"));
	}
	pthread_mutex_unlock(&reply->lock);
}

static void reply_greeted(struct mcp_sink *sink, struct mcp_session *session)
{
	struct reply *reply = (struct reply *)sink;
	session_publish(reply->replies->mcp, session, &reply->caller.is, reply->session);
}

static const struct mcp_sink_ops reply_ops = {
	.tell = reply_tell,
	.finish = reply_finish,
	.turn = reply_turn,
	.greeted = reply_greeted,
};

struct mcp_sink *reply_new(struct replies *replies, struct http_exchange *x, const struct mcp_caller *caller,
			   struct accepted accepted, bool cancels)
{
	struct reply *reply = NEW(struct reply);
	*reply = (struct reply){
		.is = {&reply_ops, !accepted.stream},
		.replies = replies,
		.x = x,
		.caller = caller_dup(caller),
		.accepted = accepted,
		.cancels = cancels,
		.wrote_ns = mcp_now(replies->mcp),
	};
	pthread_mutex_init(&reply->lock, NULL);
	http_on_gone(x, gone, reply);
	return &reply->is;
}

struct mcp_sink *reply_empty_new(struct replies *replies, struct http_exchange *x)
{
	return reply_new(replies, x, &(struct mcp_caller){0}, (struct accepted){.json = true}, false);
}

struct mcp_sink *reply_stream_new(struct replies *replies, struct http_exchange *x, const struct mcp_caller *caller)
{
	struct reply *reply = (struct reply *)reply_new(replies, x, caller, (struct accepted){.stream = true}, true);
	pthread_mutex_lock(&reply->lock);
	begin_stream(reply);
	pthread_mutex_unlock(&reply->lock);
	return &reply->is;
}
