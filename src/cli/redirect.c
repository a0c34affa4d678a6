#include "cli/redirect.h"
#include "base/time.h"
#include "http/h1/message.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX 8
#define READ_SIZE       4096
#define BODY_MAX        1024
#define PAGE_MAX        ((size_t)4096)

/* A browser opens connections before it needs them: several wait side by side, each for its own time. */
struct connection {
	int fd; /* -1 = free */
	struct h1_parser *parser;
	uint64_t deadline; /* CLOCK_MONOTONIC, ns */
};

struct redirect {
	int listener, answer; /* descriptors; -1 = none */
	char uri[64];
	struct connection connections[CONNECTIONS_MAX];
};

/* ------------------------------------------------------------------------------------------------------------ listening */

static int listen_somewhere(struct redirect *redirect, struct err *err)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	redirect->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (redirect->listener < 0 || bind(redirect->listener, (const struct sockaddr *)&address, size) < 0 ||
	    listen(redirect->listener, CONNECTIONS_MAX) < 0 ||
	    getsockname(redirect->listener, (struct sockaddr *)&address, &size) < 0)
		return fail_errno(err, "cannot listen for the browser's return");
	snprintf(redirect->uri, sizeof redirect->uri, "http://127.0.0.1:%u/callback",
		 (unsigned)ntohs(address.sin_port));
	return 0;
}

struct redirect *redirect_new(struct err *err)
{
	AUTO(redirect) *redirect = NEW(struct redirect);
	redirect->listener = redirect->answer = -1;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		redirect->connections[i].fd = -1;
	return listen_somewhere(redirect, err) < 0 ? NULL : TAKE(redirect);
}

const char *redirect_uri(const struct redirect *redirect)
{
	return redirect->uri;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void drop(struct connection *connection)
{
	close_fd(&connection->fd);
	h1_parser_free(connection->parser);
	connection->parser = NULL;
}

static void close_all(struct redirect *redirect)
{
	close_fd(&redirect->listener);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		drop(&redirect->connections[i]);
}

void redirect_free(struct redirect *redirect)
{
	if (redirect == NULL)
		return;
	close_all(redirect);
	close_fd(&redirect->answer);
	free(redirect);
}

/* ------------------------------------------------------------------------------------------------------------ answering */

static void send_page(int fd, unsigned status, const char *title, const char *text)
{
	AUTO_BUF body = BUF_INIT(PAGE_MAX);
	AUTO_BUF page = BUF_INIT(2 * PAGE_MAX);
	char length[24];
	buf_addf(&body,
		 "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>aileron</title>"
		 "<body style=\"font:16px sans-serif;margin:4em\"><h1>%s</h1><p>%s</p></body></html>\n",
		 title, text);
	snprintf(length, sizeof length, "%zu", body.n);
	h1_put_status_line(&page, status);
	h1_put_header(&page, S("Content-Type"), S("text/html; charset=utf-8"));
	h1_put_header(&page, S("Content-Length"), str_from(length));
	h1_put_header(&page, S("Cache-Control"), S("no-store"));
	h1_put_header(&page, S("Content-Security-Policy"), S("default-src 'none'; style-src 'unsafe-inline'"));
	h1_put_header(&page, S("Referrer-Policy"), S("no-referrer"));
	h1_put_header(&page, S("Connection"), S("close"));
	h1_put_end(&page);
	buf_add_str(&page, buf_str(&body));
	(void)!send(fd, page.p, page.n, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
}

void redirect_answer(struct redirect *redirect, bool worked)
{
	if (redirect->answer < 0)
		return;
	if (worked)
		send_page(redirect->answer, 200, "Connected", "You can close this page and go back to the terminal.");
	else
		send_page(redirect->answer, 400, "That did not work",
			  "The terminal says why. You can close this page.");
	close_fd(&redirect->answer);
}

/* -------------------------------------------------------------------------------------------------------------- waiting */

static void take_connection(struct redirect *redirect)
{
	int fd = accept4(redirect->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct connection *place = &redirect->connections[0];
	if (fd < 0)
		return;
	/* A free place, else the one that has waited longest. */
	for (size_t i = 0; i < CONNECTIONS_MAX && place->fd >= 0; i++) {
		struct connection *other = &redirect->connections[i];
		if (other->fd < 0 || other->deadline < place->deadline)
			place = other;
	}
	drop(place);
	*place = (struct connection){
		.fd = fd,
		.parser = h1_parser_new(&(struct h1_options){.kind = H1_REQUEST, .body_max = BODY_MAX}),
		.deadline = clock_monotonic_ns(NULL) + REDIRECT_HEAD_MS * TIME_MILLISECOND,
	};
}

/* Whether it is what is waited for; anything else is answered here. */
static bool is_callback(const struct redirect *redirect, const struct connection *connection, struct str *ret_query)
{
	const struct h1_head *head = h1_head(connection->parser);
	struct str path, host = h1_header(head, S("Host"), NULL);
	struct str authority = str_slice(str_from(redirect->uri), sizeof "http://" - 1, sizeof redirect->uri);
	(void)str_cut(authority, '/', &authority);
	struct str query = str_cut(head->target, '?', &path);
	if (!str_eq(path, S("/callback")) || !str_eq(head->method, S("GET")) || !str_eq_fold(host, authority)) {
		send_page(connection->fd, 404, "Nothing here", "This address is for one sign-in alone.");
		return false;
	}
	*ret_query = query;
	return true;
}

/* What came on one connection: 1 the callback, 0 nothing yet or something else. */
static int serve(struct redirect *redirect, struct connection *connection, struct buf *query)
{
	char bytes[READ_SIZE];
	ssize_t n = recv(connection->fd, bytes, sizeof bytes, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	struct str input = str_of(bytes, n > 0 ? (size_t)n : 0), data, found;
	enum h1_event event = n > 0 ? h1_parse(connection->parser, &input, &data) : H1_REFUSED;
	if (event == H1_MORE)
		return 0;
	if (event == H1_REFUSED && n > 0)
		send_page(connection->fd, h1_refused_status(connection->parser), "That is no request", "");
	if (event != H1_HEAD || !is_callback(redirect, connection, &found)) {
		drop(connection);
		return 0;
	}
	buf_add_str(query, found);
	redirect->answer = connection->fd;
	connection->fd = -1;
	return 1;
}

static int next_wait_ms(const struct redirect *redirect, uint64_t now, uint64_t end)
{
	uint64_t first = end;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (redirect->connections[i].fd >= 0)
			first = MIN(first, redirect->connections[i].deadline);
	}
	return first <= now ? 0 : (int)((first - now) / TIME_MILLISECOND + 1);
}

/* One round: 1 the callback came, 0 not yet, -1. */
static int wait_once(struct redirect *redirect, uint64_t end, struct buf *query, struct err *err)
{
	struct pollfd fds[CONNECTIONS_MAX + 1];
	uint64_t now = clock_monotonic_ns(NULL);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		fds[i] = (struct pollfd){.fd = redirect->connections[i].fd, .events = POLLIN};
	fds[CONNECTIONS_MAX] = (struct pollfd){.fd = redirect->listener, .events = POLLIN};
	if (poll(fds, CONNECTIONS_MAX + 1, next_wait_ms(redirect, now, end)) < 0 && errno != EINTR)
		return fail_errno(err, "cannot wait for the browser");
	now = clock_monotonic_ns(NULL);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &redirect->connections[i];
		if (connection->fd >= 0 && fds[i].revents != 0 && serve(redirect, connection, query) == 1)
			return 1;
		if (connection->fd >= 0 && connection->deadline <= now)
			drop(connection);
	}
	if (fds[CONNECTIONS_MAX].revents != 0)
		take_connection(redirect);
	return 0;
}

int redirect_wait(struct redirect *redirect, unsigned wait_ms, struct buf *query, struct err *err)
{
	uint64_t end = clock_monotonic_ns(NULL) + wait_ms * TIME_MILLISECOND;
	int got = 0;
	while (got == 0 && clock_monotonic_ns(NULL) < end)
		got = wait_once(redirect, end, query, err);
	close_all(redirect);
	if (got == 0)
		return fail(err, ERR_APPROVAL_TIMEOUT, "the browser did not come back within %u seconds",
			    wait_ms / 1000);
	return got < 0 ? -1 : buf_check(query, "the redirect", err);
}
