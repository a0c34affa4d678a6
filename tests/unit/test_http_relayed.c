/* Answers of another server, passed on by the HTTP server: their framing, their ends, and who holds them up. */
#include "base/mem.h"
#include "http/server/server.h"
#include "os/loop.h"
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define PIECE ((size_t)64 << 10)

static struct loop *loop;
static struct http_server *server;
static int listener;
static uint16_t port;
static char host[32];

/* What the handler does with the next request. */
static struct {
	struct http_answer head;
	struct str body;
	bool breaks, waits;
	struct http_exchange *x; /* that waits */
	size_t written, sents;
} next;

static void on_sent(void *user)
{
	(void)user;
	next.sents++;
	if (next.waits && http_stream_unsent(next.x) < PIECE && next.written < 64 * PIECE) {
		static char piece[PIECE];
		assert_int_equal(http_stream_write(next.x, str_of(piece, sizeof piece)), 0);
		next.written += sizeof piece;
	}
}

static void handle(void *user, struct http_exchange *x)
{
	(void)user;
	next.x = x;
	if (next.waits)
		http_on_sent(x, on_sent, NULL);
	http_stream_begin(x, &next.head);
	if (next.body.n > 0)
		(void)!http_stream_write(x, next.body);
	if (next.waits)
		return;
	if (next.breaks)
		http_stream_break(x);
	else
		http_stream_end(x);
}

static int connect_to(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static void ask(int fd, const char *method)
{
	AUTO_FREE char *request = xasprintf("%s /x HTTP/1.1\r\nHost: %s\r\nX-Request-ID: ours\r\n\r\n", method, host);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
}

/* Until the text ends so, or the connection does: true. */
static bool read_until(int fd, struct buf *out, const char *end)
{
	char bytes[4096];
	for (;;) {
		ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return true;
		if (n > 0)
			buf_add(out, bytes, (size_t)n);
		if (end != NULL && str_ends(buf_str(out), str_from(end)))
			return false;
		if (n < 0)
			loop_turn(loop, true);
	}
}

static void expect(const char *method, const char *said, bool closed)
{
	AUTO_FD fd = connect_to();
	AUTO_BUF got = BUF_INIT(1 << 20);
	ask(fd, method);
	assert_int_equal(read_until(fd, &got, closed ? NULL : said), closed);
	buf_add_char(&got, '\0');
	assert_string_equal(got.p, said);
}

static const struct h1_header fields[] = {
	{{"X-A", 3}, {"1", 1}}, {{"X-A", 3}, {"2", 1}}, {{"x-request-id", 12}, {"theirs", 6}}};

static void only_framing_is_added(void **state)
{
	(void)state;
	next.head = (struct http_answer){.status = 429, .relayed = true, .headers = fields, .n_headers = 3};
	next.body = S("abc");
	expect("GET",
	       "HTTP/1.1 429 Too Many Requests\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nX-A: 2\r\nx-request-id: "
	       "theirs\r\n\r\n"
	       "3\r\nabc\r\n0\r\n\r\n",
	       false);
	next.head.n_headers = 0;
	next.head.has_length = true;
	next.head.length = 3;
	expect("GET", "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 3\r\nX-Request-ID: ours\r\n\r\nabc", false);
}

static void bodies_that_are_none(void **state)
{
	(void)state;
	next.head = (struct http_answer){.status = 200, .relayed = true, .has_length = true, .length = 70};
	next.body = S("abc");
	expect("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 70\r\nX-Request-ID: ours\r\n\r\n", false);
	next.head.status = 304;
	expect("GET", "HTTP/1.1 304 Not Modified\r\nX-Request-ID: ours\r\n\r\n", false);
}

static void what_is_not_whole_ends_the_connection(void **state)
{
	(void)state;
	next.head = (struct http_answer){.status = 200, .relayed = true};
	next.body = S("abc");
	next.breaks = true;
	expect("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Request-ID: ours\r\n\r\n3\r\nabc\r\n", true);
	next.breaks = false;
	next.head.has_length = true;
	next.head.length = 4;
	expect("GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Request-ID: ours\r\n\r\nabc", true);
}

/* The rest would be read as the next answer. */
static void more_than_was_announced_is_cut_off(void **state)
{
	(void)state;
	next.head = (struct http_answer){.status = 200, .relayed = true, .has_length = true, .length = 2};
	next.body = S("abHTTP/1.1 200 OK\r\n\r\n");
	AUTO_FD fd = connect_to();
	for (int i = 0; i < 2; i++) {
		AUTO_BUF got = BUF_INIT(4096);
		ask(fd, "GET");
		assert_false(read_until(fd, &got, "\r\n\r\nab"));
	}
}

static void who_writes_is_told_of_room(void **state)
{
	(void)state;
	static char piece[PIECE];
	next.head = (struct http_answer){.status = 200, .relayed = true};
	next.body = str_of(piece, sizeof piece);
	next.waits = true;
	next.written = next.sents = 0;
	next.x = NULL;
	AUTO_FD fd = connect_to();
	ask(fd, "GET");
	AUTO_BUF got = BUF_INIT(64 << 20);
	char bytes[4096];
	while (got.n < 64 * PIECE) {
		assert_true(next.x == NULL || http_stream_unsent(next.x) < 3 * PIECE);
		ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
		assert_int_not_equal(n, 0);
		if (n > 0)
			buf_add(&got, bytes, (size_t)n);
		else
			loop_turn(loop, true);
	}
	assert_true(next.sents >= 64);
	next.waits = false;
	http_stream_end(next.x);
	assert_false(read_until(fd, &got, "0\r\n\r\n"));
}

static int set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof at;
	loop = loop_new(NULL);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&at, n) != 0 || listen(listener, 8) != 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &n) != 0)
		return -1;
	port = ntohs(at.sin_port);
	snprintf(host, sizeof host, "127.0.0.1:%u", port);
	const struct str hosts[] = {str_from(host)};
	const struct http_server_options options = {
		.loop = loop, .tcp_fd = listener, .unix_fd = -1, .hosts = hosts, .n_hosts = 1, .handler = handle};
	server = http_server_new(&options, NULL);
	return server != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	http_server_free(server);
	close(listener);
	loop_free(loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_framing_is_added),
		cmocka_unit_test(bodies_that_are_none),
		cmocka_unit_test(what_is_not_whole_ends_the_connection),
		cmocka_unit_test(more_than_was_announced_is_cut_off),
		cmocka_unit_test(who_writes_is_told_of_room),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
