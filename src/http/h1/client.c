#include "http/h1/client.h"
#include "base/time.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#define UNIX_CONNECT_S 5 /* while the listener's queue is full */
#define IN_ROOM        ((size_t)64 << 10)
#define INTERIM_MAX    16 /* answers of 1xx before the real one */
#define HEAD_MAX       (H1_LINE_MAX + H1_HEADERS_MAX)

struct h1_client {
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address;
	socklen_t address_n;
	uint64_t connect_ms; /* 0 = a Unix socket's */
	char *name;          /* for errors */
	char *host;
	int fd; /* -1 = not connected */
	struct h1_parser *parser;
	struct buf head; /* of the request; wiped, for it holds a token */
	char *in;
};

/* One request under way. */
struct turn {
	struct h1_client *client;
	uint64_t deadline; /* 0 = none */
	uint64_t timeout_ms;
	struct str unread; /* bytes of client->in behind what was parsed */
	int (*piece)(void *user, struct str bytes);
	void *user;
};

static void disconnect(struct h1_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

void h1_client_free(struct h1_client *client)
{
	if (client == NULL)
		return;
	disconnect(client);
	h1_parser_free(client->parser);
	buf_release(&client->head);
	free(client->name);
	free(client->host);
	free(client->in);
	free(client);
}

static int fail_connect(const struct h1_client *client, struct err *err)
{
	return fail(err, ERR_UNREACHABLE, "cannot connect to '%s': %s", client->name, strerror(errno));
}

/* Poll until then: 1, 0 when the time is over, -1. */
static int wait_for(int fd, short events, uint64_t deadline, short *ret_events)
{
	for (;;) {
		struct pollfd wait = {.fd = fd, .events = events};
		int ms = deadline != 0 ? time_ms_until(deadline, clock_monotonic_ns(NULL)) : -1;
		int n = poll(&wait, 1, ms);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 && deadline != 0 && clock_monotonic_ns(NULL) < deadline)
			continue;
		if (n > 0)
			*ret_events = wait.revents;
		return n;
	}
}

/* The connection is being made; waits for it. */
static int finish_connect(int fd, uint64_t connect_ms)
{
	short events;
	int error = 0;
	socklen_t n = sizeof error;
	int ready = wait_for(fd, POLLOUT, clock_monotonic_ns(NULL) + connect_ms * TIME_MILLISECOND, &events);
	if (ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
		return -1;
	errno = ready == 0 ? ETIMEDOUT : error;
	return errno == 0 ? 0 : -1;
}

static int connect_to(struct h1_client *client, struct err *err)
{
	bool is_unix = client->address.any.sa_family == AF_UNIX;
	AUTO_FD fd =
		socket(client->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | (is_unix ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0)
		return fail_connect(client, err);
	const struct timeval limit = {.tv_sec = UNIX_CONNECT_S};
	if (is_unix)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	else
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (connect(fd, &client->address.any, client->address_n) != 0 &&
	    (is_unix || errno != EINPROGRESS || finish_connect(fd, client->connect_ms) != 0))
		return fail_connect(client, err);
	client->fd = TAKE_FD(fd);
	return 0;
}

static struct h1_client *new_client(struct str name, struct str host)
{
	struct h1_client *client = NEW(struct h1_client);
	client->name = str_dup(name);
	client->host = str_dup(host);
	client->fd = -1;
	client->head = BUF_INIT_SECRET(HEAD_MAX);
	client->in = xmalloc(IN_ROOM);
	return client;
}

struct h1_client *h1_client_unix(const char *path, struct str host, struct err *err)
{
	AUTO(h1_client) *client = new_client(str_from(path), host);
	struct sockaddr_un *address = &client->address.un;
	size_t n = strlen(path);
	if (n == 0 || n >= sizeof address->sun_path) {
		fail(err, ERR_UNREACHABLE, "the path '%s' is empty or too long for a socket", path);
		return NULL;
	}
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, n + 1);
	client->address_n = sizeof *address;
	return connect_to(client, err) == 0 ? TAKE(client) : NULL;
}

/* "[::1]" or "127.0.0.1", alone. */
static bool set_host(struct h1_client *client, struct str host)
{
	char text[INET6_ADDRSTRLEN];
	bool v6 = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	if (v6)
		host = str_slice(host, 1, host.n - 1);
	if (host.n == 0 || host.n >= sizeof text)
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	struct sockaddr_in *in = &client->address.in;
	struct sockaddr_in6 *in6 = &client->address.in6;
	if (v6) {
		in6->sin6_family = AF_INET6;
		client->address_n = sizeof *in6;
		return inet_pton(AF_INET6, text, &in6->sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	}
	in->sin_family = AF_INET;
	client->address_n = sizeof *in;
	return inet_pton(AF_INET, text, &in->sin_addr) == 1 && ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static bool set_address(struct h1_client *client, struct str address)
{
	size_t colon = str_find_last_char(address, ':');
	uint64_t port;
	if (colon == STR_NPOS || !str_to_u64(str_slice(address, colon + 1, address.n), 65535, &port) || port == 0 ||
	    !set_host(client, str_slice(address, 0, colon)))
		return false;
	/* In the same place for both families. */
	client->address.in.sin_port = htons((uint16_t)port);
	return true;
}

struct h1_client *h1_client_tcp(struct str address, uint64_t connect_ms, struct err *err)
{
	AUTO(h1_client) *client = new_client(address, address);
	client->connect_ms = connect_ms;
	if (!set_address(client, address)) {
		fail(err, ERR_VALIDATION_ERROR, "'%.*s' is no loopback address with a port, like 127.0.0.1:8443",
		     STR_FMT(address));
		return NULL;
	}
	return connect_to(client, err) == 0 ? TAKE(client) : NULL;
}

/* A kept connection that the daemon has closed, or on which it said something unasked, is of no use. */
bool h1_client_is_connected(struct h1_client *client)
{
	char byte;
	if (client->fd >= 0 && (recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN))
		disconnect(client);
	return client->fd >= 0;
}

static int make_ready(struct h1_client *client, bool same_peer, struct err *err)
{
	if (h1_client_is_connected(client))
		return 0;
	if (same_peer)
		return fail(err, ERR_UNREACHABLE, "the connection to '%s' has ended", client->name);
	return connect_to(client, err);
}

static bool has_line_end(struct str s)
{
	return str_find_char(s, '\r') != STR_NPOS || str_find_char(s, '\n') != STR_NPOS ||
	       str_find_char(s, '\0') != STR_NPOS;
}

/* What is typed by a person may reach a target or a header: refused here, before h1_put_header() calls it a bug. */
static int put_head(struct h1_client *client, const struct h1_request *request, struct err *err)
{
	struct buf *out = &client->head;
	bool clean = !has_line_end(request->method) && !has_line_end(request->target) &&
		     str_find_char(request->target, ' ') == STR_NPOS;
	for (size_t i = 0; i < request->n_headers; i++)
		clean = clean && !has_line_end(request->headers[i].name) && !has_line_end(request->headers[i].value);
	if (!clean)
		return fail(err, ERR_VALIDATION_ERROR, "a line end or blank where a request may have none");
	buf_clear(out);
	h1_put_request_line(out, request->method, request->target);
	h1_put_header(out, S("Host"), str_from(client->host));
	for (size_t i = 0; i < request->n_headers; i++)
		h1_put_header(out, request->headers[i].name, request->headers[i].value);
	if (request->body.n > 0 || (!str_eq(request->method, S("GET")) && !str_eq(request->method, S("HEAD")))) {
		char length[24];
		int n = snprintf(length, sizeof length, "%zu", request->body.n);
		h1_put_header(out, S("Content-Length"), str_of(length, (size_t)n));
	}
	h1_put_end(out);
	return buf_check(out, "the head of a request", err);
}

static int fail_late(const struct turn *turn, struct err *err)
{
	return fail(err, ERR_UNREACHABLE, "no answer from '%s' within %llu ms", turn->client->name,
		    (unsigned long long)turn->timeout_ms);
}

static int fail_lost(const struct turn *turn, int error, struct err *err)
{
	return fail(err, ERR_UNREACHABLE, "the connection to '%s' was lost: %s", turn->client->name,
		    error == 0 ? "closed before the answer was complete" : strerror(error));
}

/* As much of both as the socket takes now. */
static ssize_t send_some(int fd, struct str head, struct str body)
{
	struct iovec parts[2] = {{.iov_base = (void *)(uintptr_t)head.p, .iov_len = head.n},
				 {.iov_base = (void *)(uintptr_t)body.p, .iov_len = body.n}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = body.n > 0 ? 2 : 1};
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/*
 * Sends the request: 1 all of it, 0 when the daemon answered or closed before it had all. That ends the connection, but its
 * answer, a refusal most likely, is still to be read.
 */
static int send_request(struct turn *turn, struct str body, struct err *err)
{
	struct str head = buf_str(&turn->client->head);
	while (head.n + body.n > 0) {
		ssize_t n = send_some(turn->client->fd, head, body);
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return fail_lost(turn, errno, err);
		size_t sent = n > 0 ? (size_t)n : 0, of_head = MIN(sent, head.n);
		head = str_slice(head, of_head, head.n);
		body = str_slice(body, sent - of_head, body.n);
		if (n > 0)
			continue;
		short events;
		int ready = wait_for(turn->client->fd, POLLIN | POLLOUT, turn->deadline, &events);
		if (ready < 0)
			return fail_lost(turn, errno, err);
		if (ready == 0)
			return fail_late(turn, err);
		if ((events & POLLOUT) == 0)
			return 0;
	}
	return 1;
}

/* More of the answer: 1, 0 at the end of the connection. */
static int receive(struct turn *turn, struct err *err)
{
	struct h1_client *client = turn->client;
	for (;;) {
		ssize_t n = recv(client->fd, client->in, IN_ROOM, MSG_DONTWAIT);
		if (n >= 0) {
			turn->unread = str_of(client->in, (size_t)n);
			return n > 0;
		}
		if (errno != EAGAIN && errno != EINTR)
			return fail_lost(turn, errno, err);
		short events;
		int ready = wait_for(client->fd, POLLIN, turn->deadline, &events);
		if (ready < 0)
			return fail_lost(turn, errno, err);
		if (ready == 0)
			return fail_late(turn, err);
	}
}

/* The next event that is not H1_MORE. */
static int next_event(struct turn *turn, enum h1_event *ret_event, struct str *ret_data, struct err *err)
{
	struct h1_parser *parser = turn->client->parser;
	for (;;) {
		enum h1_event event = h1_parse(parser, &turn->unread, ret_data);
		if (event == H1_REFUSED)
			return fail(err, ERR_PROTOCOL, "the answer of '%s' is not in order: %s", turn->client->name,
				    h1_refused_reason(parser));
		*ret_event = event;
		if (event != H1_MORE)
			return 0;
		int more = receive(turn, err);
		if (more < 0)
			return -1;
		if (more == 0 && (h1_head(parser)->status == 0 || !h1_end_of_input(parser)))
			return fail_lost(turn, 0, err);
	}
}

/* The head of the real answer. */
static int read_head(struct turn *turn, struct err *err)
{
	enum h1_event event;
	struct str data;
	for (int i = 0; i <= INTERIM_MAX; i++) {
		if (next_event(turn, &event, &data, err) != 0)
			return -1;
		unsigned status = h1_head(turn->client->parser)->status;
		if (status == 101)
			return fail(err, ERR_PROTOCOL, "'%s' changes to a protocol that nobody asked for",
				    turn->client->name);
		if (status >= 200)
			return 0;
		h1_parser_reset(turn->client->parser);
	}
	return fail(err, ERR_PROTOCOL, "'%s' sends interim answers without end", turn->client->name);
}

/* The body: 1 to its end, 0 when `piece` ended it. */
static int read_body(struct turn *turn, struct err *err)
{
	for (;;) {
		enum h1_event event;
		struct str data;
		if (next_event(turn, &event, &data, err) != 0)
			return -1;
		if (event == H1_END)
			return 1;
		if (event == H1_BODY && turn->piece(turn->user, data) != 0)
			return 0;
	}
}

static void new_parser(struct h1_client *client, const struct h1_request *request)
{
	h1_parser_free(client->parser);
	client->parser = h1_parser_new(&(struct h1_options){
		.kind = H1_RESPONSE,
		.body_max = UINT64_MAX,
		.head_response = str_eq(request->method, S("HEAD")),
	});
}

/* 1 when the connection may be used again, 0 when not. */
static int take_turn(struct turn *turn, const struct h1_request *request, struct h1_response *ret, struct err *err)
{
	int sent = send_request(turn, request->body, err);
	if (sent < 0 || read_head(turn, err) != 0)
		return -1;
	const struct h1_head *head = h1_head(turn->client->parser);
	*ret = (struct h1_response){
		.status = head->status,
		.content_type = h1_header(head, S("Content-Type"), NULL),
		.request_id = h1_header(head, S("X-Request-ID"), NULL),
	};
	int whole = read_body(turn, err);
	if (whole < 0)
		return -1;
	return sent == 1 && whole == 1 && head->keep_alive && turn->unread.n == 0;
}

int h1_client_stream(struct h1_client *client, const struct h1_request *request, struct h1_response *ret,
		     int (*piece)(void *user, struct str bytes), void *user, struct err *err)
{
	uint64_t limit = request->timeout_ms * TIME_MILLISECOND;
	struct turn turn = {
		.client = client,
		.deadline = request->timeout_ms > 0 ? clock_monotonic_ns(NULL) + limit : 0,
		.timeout_ms = request->timeout_ms,
		.piece = piece,
		.user = user,
	};
	if (put_head(client, request, err) != 0 || make_ready(client, request->same_peer, err) != 0)
		return -1;
	new_parser(client, request);
	int result = take_turn(&turn, request, ret, err);
	if (result != 1)
		disconnect(client);
	mem_wipe(client->in, IN_ROOM);
	buf_clear(&client->head);
	return result < 0 ? -1 : 0;
}

static int append(void *user, struct str bytes)
{
	struct buf *out = user;
	buf_add_str(out, bytes);
	return buf_ok(out) ? 0 : -1;
}

int h1_client_do(struct h1_client *client, const struct h1_request *request, struct h1_response *ret, struct buf *out,
		 struct err *err)
{
	struct h1_response response;
	size_t before = out->n;
	if (h1_client_stream(client, request, &response, append, out, err) == 0 &&
	    buf_check(out, "the answer", err) == 0) {
		*ret = response;
		return 0;
	}
	buf_truncate(out, before);
	return -1;
}
