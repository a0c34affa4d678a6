#include "http/server/connection.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* What an answer may be is its handler's to limit. */
#define OUT_MAX ((size_t)1 << 40)
/* A connection keeps memory up to this between two requests. */
#define KEPT_ROOM ((size_t)16 << 10)
/* A body up to this is copied behind its head. */
#define JOINED_MAX ((size_t)4 << 10)
/* Written to one connection before the others have their turn. */
#define PUSHED_MAX ((size_t)1 << 20)
/* Thrown away behind a refusal before the client is cut off. */
#define THROWN_AWAY_MAX ((size_t)4 << 20)

static void on_event(void *user, int what);

bool connection_new(struct http_server *server, int fd, bool is_unix)
{
	struct loop_source *watch;
	struct connection *connection = NEW(struct connection);
	watch = loop_watch(server->loop, fd, LOOP_READ, on_event, connection, NULL);
	if (watch == NULL) {
		free(connection);
		return false;
	}
	connection->server = server;
	connection->fd = fd;
	connection->is_unix = is_unix;
	connection->watch = watch;
	connection->watched = LOOP_READ;
	connection->parser = h1_parser_new(&(struct h1_options){.kind = H1_REQUEST, .body_max = server->body_max});
	connection->rest = BUF_INIT_SECRET(HTTP_IN_ROOM);
	connection->out = BUF_INIT_SECRET(OUT_MAX);
	connection->exchange.connection = connection;
	connection->exchange.body = BUF_INIT_SECRET(server->body_max);
	connection->exchange.queued = BUF_INIT_SECRET(OUT_MAX);
	pthread_cond_init(&connection->exchange.room, NULL);
	connection_join(connection);
	connection_wait(connection, WAIT_IDLE);
	return true;
}

/* The socket goes; whoever waits for room in a stream learns it. */
static void disconnect(struct connection *connection)
{
	struct http_server *server = connection->server;
	struct http_exchange *x = &connection->exchange;
	loop_source_free(TAKE(connection->watch));
	pthread_mutex_lock(&server->lock);
	x->broken = true; /* before the socket goes, which another thread may be writing to */
	pthread_cond_broadcast(&x->room);
	pthread_mutex_unlock(&server->lock);
	close(TAKE_FD(connection->fd));
	server->n--;
}

void connection_free(struct connection *connection)
{
	struct http_server *server = connection->server;
	struct http_exchange *x = &connection->exchange;
	if (connection->fd >= 0)
		disconnect(connection);
	else
		server->n_closed--;
	connection_leave(connection);
	pthread_mutex_lock(&server->lock);
	answer_unpost(x);
	pthread_mutex_unlock(&server->lock);
	exchange_clear(x);
	buf_release(&x->body);
	buf_release(&x->queued);
	pthread_cond_destroy(&x->room);
	buf_release(&connection->rest);
	buf_release(&connection->out);
	h1_parser_free(connection->parser);
	free(connection);
	server_lost_one(server);
}

/* Tells the handler's side that the client is gone, once. */
static void tell_gone(struct connection *connection)
{
	struct http_server *server = connection->server;
	struct http_exchange *x = &connection->exchange;
	x->is_gone = true;
	pthread_mutex_lock(&server->lock);
	void (*gone)(void *user) = x->gone;
	void *user = x->gone_user;
	x->gone = NULL;
	pthread_mutex_unlock(&server->lock);
	if (gone != NULL)
		gone(user);
}

static bool is_asked(const struct connection *connection)
{
	return connection->state == CONNECTION_ASKED || connection->state == CONNECTION_STREAMING;
}

/* Whether somebody has the exchange and will answer it. */
static bool is_awaited(struct connection *connection)
{
	if (!is_asked(connection))
		return false;
	pthread_mutex_lock(&connection->server->lock);
	bool finished = connection->exchange.finished;
	pthread_mutex_unlock(&connection->server->lock);
	return !finished;
}

void connection_close(struct connection *connection)
{
	if (!is_awaited(connection)) {
		connection_free(connection);
		return;
	}
	struct http_server *server = connection->server;
	connection->state = CONNECTION_CLOSED;
	connection_wait(connection, -1);
	disconnect(connection);
	server->n_closed++;
	server_lost_one(server);
	tell_gone(connection);
}

static bool is_upgraded(const struct connection *connection)
{
	return is_asked(connection) && connection->exchange.receive != NULL;
}

static bool wants_input(struct connection *connection)
{
	if (connection->state == CONNECTION_READING || connection->state == CONNECTION_LINGERING)
		return true;
	if (connection->input_ended)
		return false;
	/* While an answer is made, reading shows when the client is gone. */
	return is_upgraded(connection) ? upgrade_reads(&connection->exchange) : !connection->paused;
}

static void set_watch(struct connection *connection)
{
	int events = 0;
	if (wants_input(connection))
		events |= LOOP_READ;
	if (connection->out.n > 0)
		events |= LOOP_WRITE;
	if (events != connection->watched)
		loop_watch_set(connection->watch, events);
	connection->watched = events;
}

static void trim(struct buf *buf)
{
	if (buf->room > KEPT_ROOM)
		buf_release(buf);
}

/* The answer is out: on to the next request, or to the end. `more`: bytes were read behind it. */
static void next_request(struct connection *connection, bool more)
{
	struct http_exchange *x = &connection->exchange;
	bool unread = connection->paused || more;
	bool ends = !x->keep || x->incomplete || connection->server->draining || (connection->input_ended && !more);
	exchange_clear(x);
	trim(&x->body);
	trim(&x->queued);
	trim(&connection->out);
	h1_parser_reset(connection->parser);
	connection->began = connection->asked = connection->paused = false;
	if (!ends) {
		connection->state = CONNECTION_READING;
		connection_wait(connection, WAIT_IDLE);
	} else if ((connection->linger || unread) && !connection->input_ended) {
		/* Closing over unread bytes would reset the connection and take the answer from the client. */
		shutdown(connection->fd, SHUT_WR);
		connection->state = CONNECTION_LINGERING;
		connection_wait(connection, WAIT_LINGER);
	} else {
		connection->failed = true;
	}
}

/* After whatever happened; the connection may be gone behind it. */
static void settle(struct connection *connection)
{
	struct http_server *server = connection->server;
	if (connection->running)
		return;
	if (!connection->failed && connection->state == CONNECTION_ANSWERED) {
		if (connection->rest.n > 0) { /* the next handler is not to be called by whoever answered */
			pthread_mutex_lock(&server->lock);
			bool wake = answer_post(&connection->exchange);
			pthread_mutex_unlock(&server->lock);
			if (wake)
				loop_wake(server->wakeup);
			return;
		}
		next_request(connection, false);
	}
	if (connection->failed)
		connection_close(connection);
	else
		set_watch(connection);
}

/* Bytes went out, or did not. */
static void note_written(struct connection *connection, bool some)
{
	if (connection->failed)
		return;
	if (connection->out.n > 0 && (some || connection->waiting != WAIT_WRITE))
		connection_wait(connection, WAIT_WRITE);
	else if (connection->out.n == 0 && connection->waiting >= 0)
		connection_wait(connection, -1);
	if (connection->out.n == 0 && connection->state == CONNECTION_ANSWERING)
		connection->state = CONNECTION_ANSWERED;
}

/* Both parts of an answer, as far as the socket takes them. One part is cheaper for the kernel. */
static ssize_t send_both(int fd, struct str head, struct str body)
{
	if (body.n == 0)
		return send(fd, head.p, head.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	struct iovec parts[2] = {{.iov_base = (void *)(uintptr_t)head.p, .iov_len = head.n},
				 {.iov_base = (void *)(uintptr_t)body.p, .iov_len = body.n}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = ARRAY_LEN(parts)};
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void connection_write(struct connection *connection, struct str body)
{
	if (body.n <= JOINED_MAX) {
		buf_add_str(&connection->out, body);
		body = STR_EMPTY;
	}
	connection->state = CONNECTION_ANSWERING;
	ssize_t n = send_both(connection->fd, buf_str(&connection->out), body);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		connection->failed = true;
	size_t sent = n > 0 ? (size_t)n : 0;
	if (sent < connection->out.n) {
		connection->sent = sent;
		buf_add_str(&connection->out, body);
	} else {
		sent -= connection->out.n;
		buf_clear(&connection->out);
		buf_add_str(&connection->out, str_slice(body, sent, body.n));
	}
	note_written(connection, true);
	settle(connection);
}

/*
 * Under the lock: takes what a stream, or another thread, has queued. Until either is so, a whole answer may be in the making
 * there, without the lock. `sent` bytes have left since the last time.
 */
static void take_queued(struct connection *connection, size_t sent)
{
	struct http_exchange *x = &connection->exchange;
	if (connection->out.n == 0 && (x->streaming || x->finished)) {
		struct buf empty = connection->out;
		connection->out = x->queued;
		x->queued = empty;
	}
	exchange_sent(x, sent);
	if (x->streaming && x->unsent <= HTTP_STREAM_HIGH)
		pthread_cond_broadcast(&x->room);
	if (x->finished && x->queued.n == 0)
		connection->state = CONNECTION_ANSWERING;
	else if (x->streaming)
		connection->state = CONNECTION_STREAMING;
}

/* True when there is something to write. */
static bool refill(struct connection *connection, size_t sent)
{
	if (!is_asked(connection))
		return connection->out.n > 0;
	pthread_mutex_lock(&connection->server->lock);
	take_queued(connection, sent);
	pthread_mutex_unlock(&connection->server->lock);
	return connection->out.n > 0;
}

static void tell_sent(struct connection *connection, size_t n)
{
	const struct http_exchange *x = &connection->exchange;
	if (n == 0 || connection->failed)
		return;
	/* Another thread may be ending the answer. */
	pthread_mutex_lock(&connection->server->lock);
	void (*sent)(void *user) = x->sent;
	void *user = x->sent_user;
	pthread_mutex_unlock(&connection->server->lock);
	if (sent != NULL)
		sent(user);
}

/* What another protocol did not take comes again when there is room for what it brings. */
static void ask_for_rest(struct connection *connection)
{
	struct http_server *server = connection->server;
	if (connection->failed || !is_upgraded(connection) || connection->rest.n == 0 ||
	    !upgrade_reads(&connection->exchange))
		return;
	pthread_mutex_lock(&server->lock);
	bool wake = answer_post(&connection->exchange);
	pthread_mutex_unlock(&server->lock);
	if (wake)
		loop_wake(server->wakeup);
}

/* Writes until the socket is full, there is nothing more, or others should have their turn. */
static void push(struct connection *connection)
{
	size_t total = 0;
	while (connection->out.n > 0 && total < PUSHED_MAX && !connection->failed) {
		struct str left = str_slice(buf_str(&connection->out), connection->sent, connection->out.n);
		ssize_t n = send(connection->fd, left.p, left.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0 && errno != EINTR)
			connection->failed = true;
		size_t sent = n > 0 ? (size_t)n : 0;
		total += sent;
		connection->sent += sent;
		if (connection->sent == connection->out.n) {
			buf_clear(&connection->out);
			connection->sent = 0;
		}
		refill(connection, sent);
	}
	tell_sent(connection, total);
	ask_for_rest(connection);
	note_written(connection, total > 0);
	settle(connection);
}

/* The CRUD envelope of the API; reasons are our own plain text and need no escapes. */
static void put_refusal(struct buf *out, unsigned status, const char *reason, struct str request_id)
{
	enum err_class class = ERR_INVALID_REQUEST;
	if (status == 401)
		class = ERR_UNAUTHORIZED;
	else if (status == 403)
		class = ERR_FORBIDDEN;
	else if (status == 413 || status == 414 || status == 431)
		class = ERR_LIMIT;
	else if (status == 503)
		class = ERR_UNAVAILABLE;
	buf_addf(out, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\",\"request_id\":\"%.*s\"}}", err_row(class)->name,
		 reason, STR_FMT(request_id));
}

void connection_refuse(struct connection *connection, unsigned status, const char *reason)
{
	struct http_exchange *x = &connection->exchange;
	if (x->request_id_n == 0)
		exchange_make_id(x);
	AUTO_BUF body = BUF_INIT(1 << 10);
	put_refusal(&body, status, reason, http_request_id(x));
	struct http_answer answer = {.status = status, .body = buf_str(&body)};
	x->keep = false;
	connection->linger = true;
	answer_put_head(x, &answer, false, &connection->out);
	connection_write(connection, x->is_head ? STR_EMPTY : answer.body);
}

/* Whether the body that the head announces is taken; refuses it otherwise. */
static bool admit_body(struct connection *connection, const struct h1_head *head)
{
	struct http_server *server = connection->server;
	struct http_exchange *x = &connection->exchange;
	x->body_max = server->body_max;
	if (server->admit_body == NULL || (!head->chunked && head->length == 0))
		return true;
	if (!server->admit_body(server->user, x, &x->body_max)) {
		connection_refuse(connection, 401, "missing or invalid token; a body is not read without one");
		return false;
	}
	if (head->length <= x->body_max)
		return true;
	connection_refuse(connection, 413, "the body is too long for this request [body]");
	return false;
}

/* The head of a request is here. */
static void take_head(struct connection *connection, bool body_follows)
{
	struct http_exchange *x = &connection->exchange;
	const struct h1_head *head = h1_head(connection->parser);
	connection->asked = true;
	exchange_begin(x, head);
	const char *forbidden = exchange_forbidden(x, head);
	if (forbidden != NULL) {
		connection_refuse(connection, 403, forbidden);
	} else if (!admit_body(connection, head)) {
		return;
	} else if (head->expect_continue && !body_follows && (head->chunked || head->length > 0)) {
		struct str go_on = S("HTTP/1.1 100 Continue\r\n\r\n");
		ssize_t n = send(connection->fd, go_on.p, go_on.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		connection->failed = n != (ssize_t)go_on.n;
	}
}

static void take_body(struct connection *connection, struct str data)
{
	struct http_server *server = connection->server;
	if (data.n > server->bodies_max - server->body_bytes) {
		connection_refuse(connection, 503, "the bodies of all requests together are too large [bodies]");
		return;
	}
	if (data.n > connection->exchange.body_max - connection->exchange.body.n) {
		connection_refuse(connection, 413, "the body is too long for this request [body]");
		return;
	}
	server->body_bytes += data.n;
	buf_add_str(&connection->exchange.body, data);
}

/* All that was read is taken, and the request is not complete. */
static void wait_for_more(struct connection *connection)
{
	if (connection->input_ended)
		connection->failed = true;
	else if (connection->asked)
		connection_wait(connection, WAIT_BODY);
	else if (connection->began && connection->waiting != WAIT_HEAD)
		connection_wait(connection, WAIT_HEAD);
}

/* Takes requests from the input until it is used up or one waits for its answer. */
static void parse(struct connection *connection, struct str *input)
{
	struct str data;
	while (!connection->failed) {
		if (connection->state == CONNECTION_ANSWERED)
			next_request(connection, input->n > 0);
		if (connection->failed || connection->state != CONNECTION_READING)
			return;
		connection->began = connection->began || input->n > 0;
		switch (h1_parse(connection->parser, input, &data)) {
		case H1_MORE:
			wait_for_more(connection);
			return;
		case H1_HEAD:
			take_head(connection, input->n > 0);
			break;
		case H1_BODY:
			take_body(connection, data);
			break;
		case H1_END:
			connection_wait(connection, -1);
			connection->state = CONNECTION_ASKED;
			connection->server->handler(connection->server->user, &connection->exchange);
			break;
		case H1_REFUSED:
			connection_refuse(connection, h1_refused_status(connection->parser),
					  h1_refused_reason(connection->parser));
			break;
		}
	}
}

/* The connection may be gone behind it. */
static void run(struct connection *connection, struct str input)
{
	connection->running = true;
	parse(connection, &input);
	if (connection->state != CONNECTION_LINGERING)
		buf_add_str(&connection->rest, input);
	connection->running = false;
	settle(connection);
}

static void read_request(struct connection *connection)
{
	char *in = connection->server->in;
	ssize_t n = recv(connection->fd, in, HTTP_IN_ROOM, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		connection_close(connection);
		return;
	}
	run(connection, str_of(in, (size_t)n));
	mem_wipe(in, (size_t)n);
}

/* While an answer is made: bytes stay in the socket; the end is told. */
static void look_ahead(struct connection *connection)
{
	char byte;
	ssize_t n = recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		connection_close(connection);
		return;
	}
	connection->paused = n > 0;
	connection->input_ended = n == 0;
	set_watch(connection);
	if (n == 0)
		tell_gone(connection);
}

/* What is left is kept. */
static void give(struct connection *connection, struct str bytes)
{
	size_t taken = upgrade_receive(&connection->exchange, bytes);
	buf_add_str(&connection->rest, str_slice(bytes, taken, bytes.n));
}

/* What came behind the request that asked for the other protocol, or was left. */
static void give_rest(struct connection *connection)
{
	if (!is_upgraded(connection) || connection->rest.n == 0 || !upgrade_reads(&connection->exchange))
		return;
	AUTO_BUF rest = connection->rest;
	connection->rest = BUF_INIT_SECRET(HTTP_IN_ROOM);
	give(connection, buf_str(&rest));
}

/* Another protocol's. */
static void read_upgraded(struct connection *connection)
{
	struct http_exchange *x = &connection->exchange;
	char *in = connection->server->in;
	give_rest(connection);
	if (connection->rest.n > 0 || !upgrade_reads(x)) {
		set_watch(connection);
		return;
	}
	ssize_t n = recv(connection->fd, in, HTTP_IN_ROOM, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		connection_close(connection);
		return;
	}
	if (n > 0) {
		give(connection, str_of(in, (size_t)n));
		mem_wipe(in, (size_t)n);
	}
	connection->input_ended = n == 0;
	set_watch(connection);
	if (n == 0)
		tell_gone(connection);
}

static void throw_away(struct connection *connection)
{
	ssize_t n = recv(connection->fd, connection->server->in, HTTP_IN_ROOM, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	connection->thrown_away += n > 0 ? (size_t)n : 0;
	if (n <= 0 || connection->thrown_away > THROWN_AWAY_MAX)
		connection_close(connection);
	else
		mem_wipe(connection->server->in, (size_t)n);
}

/* One thing a call, for each may end the connection; what else there is comes again. */
static void on_event(void *user, int what)
{
	struct connection *connection = user;
	if ((what & LOOP_GONE) != 0) /* a reset; it is not watched any more */
		connection_close(connection);
	else if (connection->state == CONNECTION_READING)
		read_request(connection);
	else if (connection->state == CONNECTION_LINGERING)
		throw_away(connection);
	else if ((what & LOOP_WRITE) != 0)
		push(connection);
	else if (is_upgraded(connection))
		read_upgraded(connection);
	else
		look_ahead(connection);
}

void connection_take_posted(struct connection *connection)
{
	struct http_server *server = connection->server;
	struct http_exchange *x = &connection->exchange;
	pthread_mutex_lock(&server->lock);
	x->posted = false;
	bool finished = x->finished, tell = x->gone != NULL && x->is_gone;
	bool cut_off = finished && x->incomplete && x->receive != NULL;
	bool wake = tell && answer_post(x); /* telling may end the connection; what else there is comes then */
	if (is_asked(connection) && !tell)
		take_queued(connection, 0);
	pthread_mutex_unlock(&server->lock);
	if (wake)
		loop_wake(server->wakeup);
	if (connection->state == CONNECTION_CLOSED && finished) {
		connection_free(connection);
	} else if (tell) {
		tell_gone(connection);
	} else if (cut_off) {
		connection_close(connection);
	} else if (connection->state == CONNECTION_ANSWERED) {
		AUTO_BUF rest = connection->rest;
		connection->rest = BUF_INIT_SECRET(HTTP_IN_ROOM);
		run(connection, buf_str(&rest));
	} else if (is_asked(connection) || connection->state == CONNECTION_ANSWERING) {
		give_rest(connection);
		push(connection);
	}
}
