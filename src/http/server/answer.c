/* Answers and streams, made on any thread; and server-sent events. */
#include "http/server/connection.h"
#include <sys/socket.h>

/* More is left to the loop: others wait for the lock. */
#define SENT_AT_ONCE_MAX ((size_t)64 << 10)

static struct str number(uint64_t value, char digits[20])
{
	size_t at = 20;
	do
		digits[--at] = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	return str_of(digits + at, 20 - at);
}

static bool names(const struct http_answer *answer, struct str name)
{
	for (size_t i = 0; i < answer->n_headers; i++) {
		if (str_eq_fold(answer->headers[i].name, name))
			return true;
	}
	return false;
}

static void put_type(const struct http_answer *answer, bool stream, struct buf *out)
{
	if (answer->content_type.n > 0)
		h1_put_header(out, S("Content-Type"), answer->content_type);
	else if (!answer->relayed && (stream || answer->body.n > 0))
		h1_put_header(out, S("Content-Type"), S("application/json"));
}

/* How the body ends, and what it is. */
static void put_framing(struct http_exchange *x, const struct http_answer *answer, bool stream, struct buf *out)
{
	bool never = answer->status == 204 || answer->status == 304;
	char digits[20];
	x->is_bodiless = x->is_head || never;
	x->has_length = stream && answer->has_length && !x->is_bodiless;
	x->left = answer->length;
	x->bare = stream && (x->is_old || x->has_length);
	if (never)
		return;
	put_type(answer, stream, out);
	if (!stream)
		h1_put_header(out, S("Content-Length"), number(answer->body.n, digits));
	else if (answer->has_length)
		h1_put_header(out, S("Content-Length"), number(answer->length, digits));
	else if (!x->bare)
		h1_put_header(out, S("Transfer-Encoding"), S("chunked"));
}

void answer_put_head(struct http_exchange *x, const struct http_answer *answer, bool stream, struct buf *out)
{
	if (x->connection->server->draining)
		x->keep = false;
	h1_put_status_line(out, answer->status);
	put_framing(x, answer, stream, out);
	if (!answer->relayed && !names(answer, S("Cache-Control")))
		h1_put_header(out, S("Cache-Control"), S("no-store"));
	if (!answer->relayed)
		h1_put_header(out, S("X-Content-Type-Options"), S("nosniff"));
	if (!answer->relayed || !names(answer, S("X-Request-ID")))
		h1_put_header(out, S("X-Request-ID"), http_request_id(x));
	if (!x->keep)
		h1_put_header(out, S("Connection"), S("close"));
	for (size_t i = 0; i < answer->n_headers; i++)
		h1_put_header(out, answer->headers[i].name, answer->headers[i].value);
	h1_put_end(out);
}

bool answer_post(struct http_exchange *x)
{
	struct http_server *server = x->connection->server;
	if (x->posted)
		return false;
	x->posted = true;
	x->next_posted = NULL;
	bool first = server->posted == NULL;
	*server->last_posted = x;
	server->last_posted = &x->next_posted;
	return first;
}

void answer_unpost(struct http_exchange *x)
{
	struct http_server *server = x->connection->server;
	if (!x->posted)
		return;
	for (struct http_exchange **link = &server->taken; *link != NULL; link = &(*link)->next_posted) {
		if (*link != x)
			continue;
		*link = x->next_posted;
		return;
	}
	struct http_exchange **link = &server->posted;
	while (*link != x)
		link = &(*link)->next_posted;
	*link = x->next_posted;
	if (server->last_posted == &x->next_posted)
		server->last_posted = link;
}

static bool on_loop(const struct http_server *server)
{
	return pthread_equal(pthread_self(), server->thread) != 0;
}

void answer_hand_over(struct http_exchange *x)
{
	struct http_server *server = x->connection->server;
	bool wake = answer_post(x);
	pthread_mutex_unlock(&server->lock);
	if (wake)
		loop_wake(server->wakeup);
}

size_t answer_send_at_once(struct http_exchange *x, struct str bytes)
{
	if (x->broken || x->unsent > 0 || x->sent != NULL || bytes.n > SENT_AT_ONCE_MAX)
		return 0;
	ssize_t n = send(x->connection->fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n > 0 ? (size_t)n : 0;
}

static void finish(struct http_exchange *x)
{
	x->gone = x->sent = NULL;
	x->finished = true;
	answer_hand_over(x);
}

void http_answer(struct http_exchange *x, const struct http_answer *answer)
{
	struct connection *connection = x->connection;
	if (on_loop(connection->server) && connection->state == CONNECTION_ASKED) {
		x->gone = NULL;
		answer_put_head(x, answer, false, &connection->out);
		connection_write(connection, x->is_bodiless ? STR_EMPTY : answer->body);
		return;
	}
	answer_put_head(x, answer, false, &x->queued);
	if (!x->is_bodiless)
		buf_add_str(&x->queued, answer->body);
	pthread_mutex_lock(&connection->server->lock);
	if (connection->server->posted == NULL) /* else the loop is awake, and sends several at a time */
		buf_consume(&x->queued, answer_send_at_once(x, buf_str(&x->queued)));
	finish(x);
}

void http_stream_begin(struct http_exchange *x, const struct http_answer *head)
{
	pthread_mutex_lock(&x->connection->server->lock);
	answer_put_head(x, head, true, &x->queued);
	x->unsent = x->queued.n;
	x->streaming = true;
	answer_hand_over(x);
}

int http_stream_write(struct http_exchange *x, struct str bytes)
{
	struct http_server *server = x->connection->server;
	bool may_wait = !on_loop(server);
	pthread_mutex_lock(&server->lock);
	while (may_wait && !x->broken && x->unsent > HTTP_STREAM_HIGH)
		pthread_cond_wait(&x->room, &server->lock);
	bool broken = x->broken;
	if (broken || x->is_bodiless || bytes.n == 0) {
		pthread_mutex_unlock(&server->lock);
		return broken ? -1 : 0;
	}
	if (x->has_length) { /* more than was announced would be the next answer */
		bytes = str_slice(bytes, 0, (size_t)MIN(x->left, (uint64_t)bytes.n));
		x->left -= bytes.n;
	}
	size_t before = x->queued.n;
	if (x->bare)
		buf_add_str(&x->queued, bytes);
	else
		h1_put_chunk(&x->queued, bytes);
	x->unsent += x->queued.n - before;
	answer_hand_over(x);
	return 0;
}

void http_stream_end(struct http_exchange *x)
{
	pthread_mutex_lock(&x->connection->server->lock);
	x->incomplete = x->has_length && x->left > 0;
	if (!x->broken && !x->is_bodiless && !x->bare) {
		size_t before = x->queued.n;
		h1_put_chunk_head(&x->queued, 0);
		x->unsent += x->queued.n - before;
	}
	finish(x);
}

void http_stream_break(struct http_exchange *x)
{
	pthread_mutex_lock(&x->connection->server->lock);
	x->incomplete = true;
	if (x->receive != NULL) {
		buf_release(&x->queued);
		exchange_sent(x, x->unsent);
	}
	finish(x);
}

size_t http_stream_unsent(struct http_exchange *x)
{
	pthread_mutex_lock(&x->connection->server->lock);
	size_t unsent = x->unsent;
	pthread_mutex_unlock(&x->connection->server->lock);
	return unsent;
}

void http_on_sent(struct http_exchange *x, void (*sent)(void *user), void *user)
{
	pthread_mutex_lock(&x->connection->server->lock);
	x->sent = sent;
	x->sent_user = user;
	pthread_mutex_unlock(&x->connection->server->lock);
}

void http_on_gone(struct http_exchange *x, void (*gone)(void *user), void *user)
{
	pthread_mutex_lock(&x->connection->server->lock);
	x->gone = gone;
	x->gone_user = user;
	if (x->is_gone)
		answer_hand_over(x);
	else
		pthread_mutex_unlock(&x->connection->server->lock);
}

static void put_event_field(struct buf *out, struct str name, struct str value)
{
	if (str_find_char(value, '\n') != STR_NPOS || str_find_char(value, '\r') != STR_NPOS)
		BUG("a line end in the %.*s of an event", STR_FMT(name));
	if (value.n == 0)
		return;
	buf_add_str(out, name);
	buf_add_str(out, S(": "));
	buf_add_str(out, value);
	buf_add_char(out, '\n');
}

/* A CR ends a line of an event stream too, alone or before an LF. */
static size_t line_end(struct str s)
{
	size_t n = 0;
	while (n < s.n && s.p[n] != '\n' && s.p[n] != '\r')
		n++;
	return n;
}

void http_put_event(struct buf *out, struct str event, struct str id, struct str data)
{
	put_event_field(out, S("event"), event);
	put_event_field(out, S("id"), id);
	for (;;) {
		size_t n = line_end(data);
		buf_add_str(out, S("data: "));
		buf_add_str(out, str_slice(data, 0, n));
		buf_add_char(out, '\n');
		if (n == data.n)
			break;
		n += str_starts(str_slice(data, n, data.n), S("\r\n")) ? 2 : 1;
		data = str_slice(data, n, data.n);
	}
	buf_add_char(out, '\n');
}
