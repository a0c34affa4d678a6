/* The server with real sockets: what a client may do to it, and what its handlers may. */
#include "http/server/server.h"
#include "http_lab.h"
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "skips.h"

#define OF(lab, line) send_request(fd, line, (lab)->host, "")

static void send_text(int fd, struct str s)
{
	while (s.n > 0) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
		assert_true(n > 0);
		s = str_slice(s, (size_t)n, s.n);
	}
}

static void send_request(int fd, const char *line, const char *host, const char *rest)
{
	AUTO_FREE char *text = xasprintf("%s HTTP/1.1\r\nHost: %s\r\n%s\r\n", line, host, rest);
	send_text(fd, str_from(text));
}

/* One answer off a socket; what comes behind it is kept for the next. */
struct reply {
	unsigned status;
	char head[4096]; /* fields, "name: value\n" */
	struct buf body;
	bool ends;   /* the connection ended behind it, or the server says that it will */
	bool broken; /* no whole answer came */
};

struct reader {
	int fd;
	bool head_only;
	char bytes[65536];
	size_t n;
};

static void note_head(struct reply *reply, const struct h1_head *head)
{
	reply->status = head->status;
	reply->ends = !head->keep_alive;
	for (size_t i = 0; i < head->n_headers; i++) {
		size_t at = strlen(reply->head);
		snprintf(reply->head + at, sizeof reply->head - at, "%.*s: %.*s\n", STR_FMT(head->headers[i].name),
			 STR_FMT(head->headers[i].value));
	}
}

static void read_reply(struct reader *reader, struct reply *reply)
{
	buf_release(&reply->body);
	*reply = (struct reply){.body = BUF_INIT(64 << 20)};
	AUTO(h1_parser) *parser = h1_parser_new(
		&(struct h1_options){.kind = H1_RESPONSE, .body_max = UINT64_MAX, .head_response = reader->head_only});
	for (;;) {
		struct str input = str_of(reader->bytes, reader->n), data;
		enum h1_event event;
		do {
			event = h1_parse(parser, &input, &data);
			if (event == H1_HEAD)
				note_head(reply, h1_head(parser));
			else if (event == H1_BODY)
				buf_add_str(&reply->body, data);
		} while (event == H1_HEAD || event == H1_BODY);
		assert_int_not_equal(event, H1_REFUSED);
		if (input.n > 0)
			memmove(reader->bytes, input.p, input.n);
		reader->n = input.n;
		if (event == H1_END)
			return;
		ssize_t n = recv(reader->fd, reader->bytes, sizeof reader->bytes, 0);
		if (n > 0) {
			reader->n = (size_t)n;
			continue;
		}
		reply->broken = reply->status == 0 || !h1_end_of_input(parser);
		return;
	}
}

static struct reply reply; /* of the last read_reply() */

static void assert_reply(struct reader *reader, unsigned status, const char *body)
{
	read_reply(reader, &reply);
	assert_false(reply.broken);
	assert_int_equal(reply.status, status);
	if (body != NULL)
		assert_string_equal(reply.body.p, body);
}

/* Nothing more comes, and the end is orderly. */
static void assert_closed(struct reader *reader)
{
	assert_int_equal(reader->n, 0);
	assert_int_equal(recv(reader->fd, reader->bytes, sizeof reader->bytes, 0), 0);
}

static void answers_carry_what_they_must(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FD fd = lab_connect(lab);
	struct reader reader = {.fd = fd};
	send_request(fd, "GET /hello", lab->host, "X-Request-ID: mine-1\r\n");
	assert_reply(&reader, 200, "hello");
	assert_string_equal(reply.head, "Content-Type: text/plain\nContent-Length: 5\nCache-Control: no-store\n"
					"X-Content-Type-Options: nosniff\nX-Request-ID: mine-1\n");
	send_request(fd, "GET /cached", lab->host, "X-Request-ID: 7\r\n");
	assert_reply(&reader, 429, "{}");
	assert_string_equal(reply.head,
			    "Content-Type: application/json\nContent-Length: 2\nX-Content-Type-Options: nosniff\n"
			    "X-Request-ID: 7\ncache-control: max-age=60\nRetry-After: 7\n");
	send_request(fd, "POST /nothing", lab->host, "X-Request-ID: 7\r\n");
	assert_reply(&reader, 204, "");
	assert_string_equal(reply.head, "Cache-Control: no-store\nX-Content-Type-Options: nosniff\nX-Request-ID: 7\n");
	send_request(fd, "GET /told?a=b&c", lab->host, "X-Test: y\r\n");
	assert_reply(&reader, 200, "GET|/told|a=b&c|y");
	send_request(fd, "OPTIONS /none", lab->host, "");
	assert_reply(&reader, 404, "{}");
	assert_int_equal(lab_connections(lab), 1);
}

static void request_ids_that_are_none_are_replaced(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FD fd = lab_connect(lab);
	struct reader reader = {.fd = fd};
	static const char *const ids[] = {
		"", "X-Request-ID: a b\r\n", "X-Request-ID: \r\n", "X-Request-ID: \"\r\n",
		"X-Request-ID: 12345678901234567890123456789012345678901234567890123456789012345\r\n"};
	char last[32] = "";
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		send_request(fd, "GET /hello", lab->host, ids[i]);
		assert_reply(&reader, 200, "hello");
		const char *id = strstr(reply.head, "X-Request-ID: ");
		assert_non_null(id);
		id += strlen("X-Request-ID: ");
		assert_int_equal(strspn(id, "0123456789abcdef"), 16);
		assert_int_equal(id[16], '\n');
		assert_int_not_equal(strncmp(id, last, 16), 0);
		memcpy(last, id, 16);
	}
}

static void a_head_request_gets_no_body(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FD fd = lab_connect(lab);
	static const char *const paths[] = {"HEAD /hello", "HEAD /thread", "HEAD /events", "HEAD /stream"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct reader reader = {.fd = fd, .head_only = true};
		OF(lab, paths[i]);
		assert_reply(&reader, 200, "");
		reader.head_only = false;
		OF(lab, "GET /hello");
		assert_reply(&reader, 200, "hello");
	}
}

static void bodies_arrive_whole(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FD fd = lab_connect_unix(lab);
	struct reader reader = {.fd = fd};
	send_text(fd, S("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
			"chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n"));
	assert_reply(&reader, 200, "abcde");

	AUTO_FREE char *bytes = xmalloc(3 << 20);
	for (size_t i = 0; i < 3 << 20; i++)
		bytes[i] = (char)('a' + i % 23);
	AUTO_FREE char *head = xasprintf("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 3 << 20);
	send_text(fd, str_from(head));
	send_text(fd, str_of(bytes, 3 << 20));
	assert_reply(&reader, 200, NULL);
	assert_true(str_eq(buf_str(&reply.body), str_of(bytes, 3 << 20)));
	OF(lab, "GET /told");
	assert_reply(&reader, 200, "GET|/told||");
}

static void large_answers_arrive_whole(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FD fd = lab_connect(lab);
	struct reader reader = {.fd = fd};
	for (int round = 0; round < 2; round++) {
		OF(lab, round == 0 ? "GET /big" : "GET /bigthread");
		assert_reply(&reader, 200, NULL);
		assert_int_equal(reply.body.n, LAB_BIG);
		for (size_t i = 0; i < LAB_BIG; i++) {
			if (reply.body.p[i] != (char)(i * 7 + i / 4096))
				fail_msg("byte %zu is wrong", i);
		}
	}
}

static int busy_fd;

static void *release_elsewhere(void *user)
{
	lab_release_one(user);
	return NULL;
}

/* On the loop's thread, which does nothing else until the client has its answer. */
static void answer_while_busy(struct lab *lab)
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, release_elsewhere, lab), 0);
	pthread_join(thread, NULL);
	struct pollfd wait = {.fd = busy_fd, .events = POLLIN};
	lab->connections = (size_t)poll(&wait, 1, 10000);
}

static void an_answer_waits_for_no_busy_loop(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FD fd = lab_connect(lab);
	struct reader reader = {.fd = fd};
	for (int round = 0; round < 3; round++) {
		OF(lab, "GET /late");
		lab_await(lab, &lab->n_held, 1);
		busy_fd = fd;
		lab_do(lab, answer_while_busy);
		assert_int_equal(lab->connections, 1);
		assert_reply(&reader, 200, "hello");
	}
}

/* Of what is sent at once the socket takes a part; the loop has the rest. */
static void an_answer_that_goes_in_parts_arrives_whole(void **state)
{
	(void)state;
	enum { BODY = 60000 };
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	assert_int_equal(setsockopt(lab->tcp_fd, SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int)), 0);
	AUTO_FD fd = lab_connect(lab);
	struct reader reader = {.fd = fd};
	AUTO_FREE char *bytes = xmalloc(BODY);
	for (size_t i = 0; i < BODY; i++)
		bytes[i] = (char)(i * 7 + i / 4096);
	OF(lab, "GET /late");
	lab_await(lab, &lab->n_held, 1);
	http_answer(lab->held[0], &(struct http_answer){.status = 200, .body = str_of(bytes, BODY)});
	assert_reply(&reader, 200, NULL);
	assert_true(str_eq(buf_str(&reply.body), str_of(bytes, BODY)));
}

static void what_is_pipelined_is_answered_in_order(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FD fd = lab_connect(lab);
	struct reader reader = {.fd = fd};
	AUTO_BUF all = BUF_INIT(1 << 20);
	for (int i = 0; i < 60; i++)
		buf_addf(&all, "POST /%s HTTP/1.1\r\nHost: %s\r\nX-Request-ID: %d\r\nContent-Length: 2\r\n\r\n%02d",
			 i % 3 == 0   ? "echo"
			 : i % 3 == 1 ? "thread"
				      : "events",
			 lab->host, i, i);
	send_text(fd, buf_str(&all));
	for (int i = 0; i < 60; i++) {
		char echo[8], id[32];
		snprintf(echo, sizeof echo, "%02d", i);
		snprintf(id, sizeof id, "X-Request-ID: %d\n", i);
		assert_reply(&reader, 200, i % 3 == 0 ? echo : i % 3 == 1 ? "hello" : NULL);
		assert_non_null(strstr(reply.head, id));
	}
}

/* More than is read at once, while the first request is not answered: it waits in the socket. */
static void a_flood_waits_in_the_socket(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FD fd = lab_connect_unix(lab);
	struct reader reader = {.fd = fd};
	OF(lab, "GET /hold");
	lab_await(lab, &lab->n_held, 1);
	AUTO_BUF all = BUF_INIT(1 << 20);
	for (int i = 0; i < 1500; i++)
		buf_add_z(&all, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	send_text(fd, str_slice(buf_str(&all), 0, 100 * 32));
	lab_release(lab);
	send_text(fd, str_slice(buf_str(&all), 100 * 32, all.n));
	for (int i = 0; i < 1501; i++)
		assert_reply(&reader, 200, "hello");
}

static void a_client_that_shuts_its_side_gets_its_answers(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	for (int round = 0; round < 4; round++) {
		AUTO_FD fd = round % 2 == 0 ? lab_connect(lab) : lab_connect_unix(lab);
		struct reader reader = {.fd = fd};
		OF(lab, "GET /thread");
		OF(lab, "GET /hello");
		OF(lab, "GET /thread");
		if (round >= 2)
			OF(lab, "GET /stream");
		shutdown(fd, SHUT_WR);
		for (int i = 0; i < 3; i++)
			assert_reply(&reader, 200, "hello");
		if (round >= 2) {
			assert_reply(&reader, 200, NULL);
			assert_int_equal(reply.body.n, LAB_PIECE * LAB_PIECES);
		}
		assert_closed(&reader);
	}
}

static void an_answer_may_ask_to_close(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	static const struct {
		const char *bytes;
		const char *body;
	} requests[] = {
		{"GET /hello HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", "hello"},
		{"GET /thread HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\nGET /hello", "hello"},
		{"GET /hello HTTP/1.0\r\nHost: %s\r\nConnection: keep-alive\r\n\r\n", "hello"},
		{"GET /events HTTP/1.0\r\nHost: %s\r\n\r\n",
		 "event: tick\ndata: x\n\nevent: tick\nid: 7\ndata: x\n\nevent: tick\ndata: a\ndata: b\ndata: c\n\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		AUTO_FD fd = lab_connect(lab);
		struct reader reader = {.fd = fd};
		AUTO_BUF bytes = BUF_INIT(1 << 10);
		struct str behind = str_from(requests[i].bytes), before;
		behind = str_cut(behind, '%', &before);
		buf_add_str(&bytes, before);
		buf_add_z(&bytes, lab->host);
		buf_add_str(&bytes, str_slice(behind, 1, behind.n));
		send_text(fd, buf_str(&bytes));
		assert_reply(&reader, 200, requests[i].body);
		assert_true(reply.ends);
		assert_non_null(strstr(reply.head, "Connection: close\n"));
		assert_null(strstr(reply.head, "chunked"));
		assert_closed(&reader);
	}
}

static void a_client_that_expects_it_is_told_to_go_on(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){.body_max = 100});
	AUTO_FD fd = lab_connect(lab);
	struct reader reader = {.fd = fd};
	send_request(fd, "POST /echo", lab->host, "Expect: 100-continue\r\nContent-Length: 3\r\n");
	assert_reply(&reader, 100, "");
	send_text(fd, S("abc"));
	assert_reply(&reader, 200, "abc");
	/* The body is there, or is none: nothing is said. */
	AUTO_FREE char *whole = xasprintf(
		"POST /echo HTTP/1.1\r\nHost: %s\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", lab->host);
	send_text(fd, str_from(whole));
	assert_reply(&reader, 200, "x");
	send_request(fd, "POST /echo", lab->host, "Expect: 100-continue\r\nContent-Length: 0\r\n");
	assert_reply(&reader, 200, "");
	/* One that is too large is refused before it is sent. */
	send_request(fd, "POST /echo", lab->host, "Expect: 100-continue\r\nContent-Length: 101\r\n");
	assert_reply(&reader, 413, NULL);
	assert_closed(&reader);
}

static void a_broken_request_is_refused_and_closed(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){.body_max = 100, .bodies_max = 50});
	static const struct {
		const char *line, *rest;
		unsigned status;
		const char *code, *reason;
	} refused[] = {
		{"GET  /hello", "", 400, "invalid_request", "a target that is no path"},
		{"GET /hello", "Host: y\r\n", 400, "invalid_request", "several Host"},
		{"GET /hello", "Content-Length: 101\r\n", 413, "limit_reached", "the body is too large [body]"},
		{"GET /hello", "Transfer-Encoding: gzip\r\n", 501, "invalid_request",
		 "a transfer coding other than one chunked"},
		{"POST /echo",
		 "Transfer-Encoding: chunked\r\n\r\n60\r\n012345678901234567890123456789012345678901234567"
		 "890123456789",
		 503, "unavailable", "the bodies of all requests together are too large [bodies]"},
	};
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		AUTO_FD fd = lab_connect_unix(lab);
		struct reader reader = {.fd = fd};
		OF(lab, "GET /hello");
		send_request(fd, refused[i].line, "x", refused[i].rest);
		OF(lab, "GET /hello"); /* is not answered any more */
		assert_reply(&reader, 200, "hello");
		assert_reply(&reader, refused[i].status, NULL);
		const char *id = strstr(reply.head, "X-Request-ID: ") + strlen("X-Request-ID: ");
		AUTO_FREE char *want =
			xasprintf("{\"error\":{\"code\":\"%s\",\"message\":\"%s\",\"request_id\":\"%.16s\"}}",
				  refused[i].code, refused[i].reason, id);
		assert_string_equal(reply.body.p, want);
		assert_true(reply.ends);
		assert_closed(&reader);
	}
	/* Memory of bodies is given back. */
	AUTO_FD fd = lab_connect_unix(lab);
	struct reader reader = {.fd = fd};
	for (int i = 0; i < 10; i++) {
		send_request(fd, "POST /echo", "x", "Content-Length: 40\r\n");
		send_text(fd, S("0123456789012345678901234567890123456789"));
		assert_reply(&reader, 200, "0123456789012345678901234567890123456789");
	}
}

/* The client goes on sending what was refused; it still gets the refusal, whole. */
static void a_refusal_reaches_a_client_that_still_sends(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){.body_max = 100});
	AUTO_FD fd = lab_connect(lab);
	struct reader reader = {.fd = fd};
	send_request(fd, "POST /echo", lab->host, "Content-Length: 2000000\r\n");
	AUTO_FREE char *bytes = xcalloc(1, 2000000);
	send_text(fd, str_of(bytes, 2000000));
	assert_reply(&reader, 413, NULL);
	assert_closed(&reader);
}

static void other_hosts_and_origins_are_refused(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FREE char *own = xasprintf("Origin: http://%s\r\n", lab->host);
	AUTO_FREE char *tls = xasprintf("Origin: https://%s\r\n", lab->host);
	AUTO_FREE char *path = xasprintf("Origin: http://%s/\r\n", lab->host);
	AUTO_FREE char *twice = xasprintf("%s%s", own, own);
	const struct {
		const char *host, *rest;
		const char *message; /* NULL = answered */
	} requests[] = {
		{lab->host, "", NULL},
		{"LocalHost:1", "", NULL},
		{lab->host, own, NULL},
		{lab->host, "Origin: http://localhost:1\r\n", NULL},
		{"127.0.0.1", "", "the Host is not this server"},
		{"evil.test", "", "the Host is not this server"},
		{"localhost:2", "", "the Host is not this server"},
		{"localhost:1.evil.test", "", "the Host is not this server"},
		{lab->host, "Origin: http://evil.test\r\n", "the Origin is not this server"},
		{lab->host, "Origin: null\r\n", "the Origin is not this server"},
		{lab->host, "Origin: \r\n", "the Origin is not this server"},
		{lab->host, tls, "the Origin is not this server"},
		{lab->host, path, "the Origin is not this server"},
		{lab->host, twice, "the Origin is not this server"},
	};
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		AUTO_FD fd = lab_connect(lab);
		struct reader reader = {.fd = fd};
		send_request(fd, "GET /hello", requests[i].host, requests[i].rest);
		assert_reply(&reader, requests[i].message == NULL ? 200 : 403, NULL);
		if (requests[i].message == NULL)
			continue;
		assert_non_null(strstr(reply.body.p, "\"code\":\"forbidden\""));
		assert_non_null(strstr(reply.body.p, requests[i].message));
		assert_closed(&reader);
	}
	/* On the Unix socket the name does not matter: no browser gets there. */
	AUTO_FD fd = lab_connect_unix(lab);
	struct reader reader = {.fd = fd};
	send_request(fd, "GET /hello", "daemon", "Origin: http://x\r\n");
	assert_reply(&reader, 200, "hello");
}

/* Of a host that is not ours no body is waited for. */
static void a_refused_host_need_not_send_its_body(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FD fd = lab_connect(lab);
	struct reader reader = {.fd = fd};
	send_request(fd, "POST /echo", "evil.test", "Expect: 100-continue\r\nContent-Length: 1000\r\n");
	assert_reply(&reader, 403, NULL);
	assert_closed(&reader);
}

static bool admit_who_says_please(void *user, const struct http_exchange *x, uint64_t *ret_max)
{
	(void)user;
	*ret_max = 10;
	return str_eq(http_header(x, S("X-Please")), S("yes"));
}

static void a_body_is_read_from_whom_it_may(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){.admit_body = admit_who_says_please});
	static const struct {
		const char *request, *answer;
	} cases[] = {
		{"POST /hello HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000000\r\n\r\n", "HTTP/1.1 401 "},
		{"POST /hello HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 401 "},
		{"POST /hello HTTP/1.1\r\nHost: %s\r\nX-Please: yes\r\nContent-Length: 11\r\n\r\n", "HTTP/1.1 413 "},
		{"POST /hello HTTP/1.1\r\nHost: %s\r\nX-Please: yes\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "b\r\n12345678901\r\n",
		 "HTTP/1.1 413 "},
		{"POST /hello HTTP/1.1\r\nHost: %s\r\nX-Please: yes\r\nContent-Length: 10\r\n\r\n1234567890",
		 "HTTP/1.1 200 "},
		{"GET /hello HTTP/1.1\r\nHost: %s\r\n\r\n", "HTTP/1.1 200 "},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FD fd = lab_connect(lab);
		AUTO_BUF request = BUF_INIT(1 << 10);
		struct str text = str_from(cases[i].request), before;
		text = str_cut(text, '%', &before);
		buf_add_str(&request, before);
		buf_add_z(&request, lab->host);
		buf_add_str(&request, str_slice(text, 1, text.n));
		char got[14] = "";
		assert_int_equal(send(fd, request.p, request.n, MSG_NOSIGNAL), (ssize_t)request.n);
		assert_int_equal(recv(fd, got, 13, MSG_WAITALL), 13);
		assert_string_equal(got, cases[i].answer);
	}
}

static void another_user_is_not_heard(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip_because("only root is another user too");
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	pid_t child = fork();
	if (child == 0) {
		char byte;
		if (setresuid(65534, 65534, 65534) != 0)
			_exit(2);
		int fd = lab_connect_unix(lab);
		if (fd < 0)
			_exit(3);
		const char *request = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
		(void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
		_exit(recv(fd, &byte, 1, 0) <= 0 ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	AUTO_FD fd = lab_connect_unix(lab);
	struct reader reader = {.fd = fd};
	OF(lab, "GET /hello");
	assert_reply(&reader, 200, "hello");
}

/* A byte every few milliseconds until the server has had enough. */
static void drip(int fd, const char *text)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	for (; poll(&wait, 1, 5) == 0; text += *text != '\0')
		(void)!send(fd, *text != '\0' ? text : "x", 1, MSG_NOSIGNAL);
}

static void a_slow_client_is_cut_off(void **state)
{
	(void)state;
	struct http_limits limits = {.head_ms = 200, .body_ms = 400, .idle_ms = 400};
	AUTO(lab) *lab = lab_start((struct http_server_options){.limits = limits});
	{
		AUTO_FD fd = lab_connect(lab);
		struct reader reader = {.fd = fd};
		drip(fd, "GET /hello HTTP/1.1\r\nX: ");
		assert_reply(&reader, 408, NULL);
		assert_non_null(strstr(reply.body.p, "[head_ms]"));
		assert_closed(&reader);
	}
	{
		AUTO_FD fd = lab_connect(lab);
		struct reader reader = {.fd = fd};
		send_request(fd, "POST /echo", lab->host, "Content-Length: 5\r\n");
		send_text(fd, S("abcd"));
		assert_reply(&reader, 408, NULL);
		assert_non_null(strstr(reply.body.p, "[body_ms]"));
		assert_closed(&reader);
	}
	{
		AUTO_FD fd = lab_connect(lab), other = lab_connect(lab);
		struct reader reader = {.fd = fd}, silent = {.fd = other};
		OF(lab, "GET /hello");
		assert_reply(&reader, 200, "hello");
		assert_closed(&reader);
		assert_closed(&silent);
	}
	/* A body that takes long but never pauses that long is waited for. */
	AUTO_FD fd = lab_connect(lab);
	struct reader reader = {.fd = fd};
	send_request(fd, "POST /echo", lab->host, "Content-Length: 100\r\n");
	for (int i = 0; i < 100; i++) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		assert_int_equal(poll(&wait, 1, 5), 0);
		send_text(fd, S("x"));
	}
	assert_reply(&reader, 200, NULL);
}

static void a_client_that_takes_nothing_is_cut_off(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){.limits = {.write_ms = 50}});
	static const char *const lines[] = {"GET /big", "GET /bigthread", "GET /stream"};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		AUTO_FD fd = lab_connect_unix(lab);
		OF(lab, lines[i]);
		while (recv(fd, &(char){0}, 1, MSG_PEEK) != 1)
			;
		while (lab_connections(lab) > 0)
			sched_yield();
	}
	assert_int_equal(lab->connections, 0);
}

static void raise_descriptors(void)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < 3000)
		skip_because("fewer than 3000 descriptors");
}

static void a_thousand_idle_connections_cost_nothing(void **state)
{
	(void)state;
	enum { IDLE = 1000 };
	raise_descriptors();
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	static int fds[IDLE];
	static struct reader reader;
	for (int i = 0; i < IDLE; i++) {
		int fd = fds[i] = lab_connect(lab);
		reader = (struct reader){.fd = fd};
		OF(lab, "GET /hello");
		assert_reply(&reader, 200, "hello");
	}
	assert_int_equal(lab_connections(lab), IDLE);
	AUTO_FD fd = lab_connect(lab);
	reader = (struct reader){.fd = fd};
	for (int i = 0; i < 100; i++) {
		OF(lab, i % 2 == 0 ? "GET /hello" : "GET /thread");
		assert_reply(&reader, 200, "hello");
	}
	for (int i = 0; i < IDLE; i += 100) { /* and each of them is alive */
		fd = fds[i];
		reader = (struct reader){.fd = fd};
		OF(lab, "GET /hello");
		assert_reply(&reader, 200, "hello");
	}
	for (int i = 0; i < IDLE; i++)
		close(fds[i]);
	fd = -1;
}

static void the_one_that_is_idle_longest_makes_room(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){.connections = 3});
	int fds[5];
	struct reader reader;
	for (int i = 0; i < 5; i++) {
		if (i == 3) { /* the first is not the one that is idle longest any more */
			int fd = fds[0];
			reader = (struct reader){.fd = fd};
			OF(lab, "GET /hello");
			assert_reply(&reader, 200, "hello");
		}
		int fd = fds[i] = lab_connect(lab);
		reader = (struct reader){.fd = fd};
		OF(lab, "GET /hello");
		assert_reply(&reader, 200, "hello");
	}
	assert_int_equal(lab_connections(lab), 3);
	for (int i = 0; i < 5; i++) {
		bool evicted = i == 1 || i == 2;
		int fd = fds[i];
		reader = (struct reader){.fd = fd};
		if (evicted) {
			assert_closed(&reader);
		} else {
			OF(lab, "GET /hello");
			assert_reply(&reader, 200, "hello");
		}
		close(fd);
	}
}

static void when_all_are_busy_the_next_waits(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){.connections = 2});
	int busy[2];
	for (size_t i = 0; i < 2; i++) {
		int fd = busy[i] = lab_connect(lab);
		OF(lab, "GET /hold");
		lab_await(lab, &lab->n_held, i + 1);
	}
	AUTO_FD fd = lab_connect(lab); /* the listener's queue takes it */
	struct reader reader = {.fd = fd}, first = {.fd = busy[0]};
	OF(lab, "GET /hello");
	assert_int_equal(lab_connections(lab), 2);
	lab_release(lab);
	assert_reply(&first, 200, "hello");
	assert_closed(&first); /* it has nothing to do now, and makes room */
	assert_reply(&reader, 200, "hello");
	assert_int_equal(lab_connections(lab), 2);
	close(busy[0]);
	lab_release(lab);
	close(busy[1]);
}

static void a_client_that_leaves_is_told_of(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	for (size_t i = 0; i < 2; i++) {
		int fd = i == 0 ? lab_connect(lab) : lab_connect_unix(lab);
		OF(lab, "GET /hold");
		lab_await(lab, &lab->n_held, 1);
		close(fd);
		lab_await(lab, &lab->n_gone, i + 1);
		lab_release(lab); /* the answer is thrown away */
		while (lab_connections(lab) > 0)
			sched_yield();
	}
	/* With a reset instead of an end. */
	int fd = lab_connect(lab);
	OF(lab, "GET /hold");
	lab_await(lab, &lab->n_held, 1);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
	close(fd);
	lab_await(lab, &lab->n_gone, 3);
	lab_release(lab);
	while (lab_connections(lab) > 0)
		sched_yield();
}

static void ask_late(struct lab *lab)
{
	http_on_gone(lab->held[0], lab_hold_gone, lab);
}

static void is_it_gone(struct lab *lab)
{
	lab->connections = http_is_gone(lab->held[0]);
}

static void who_asks_late_is_told_too(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	int fd = lab_connect(lab);
	OF(lab, "GET /late");
	lab_await(lab, &lab->n_held, 1);
	lab_do(lab, is_it_gone);
	assert_int_equal(lab->connections, 0);
	close(fd);
	do
		lab_do(lab, is_it_gone);
	while (lab->connections == 0);
	assert_int_equal(lab->n_gone, 0);
	ask_late(lab); /* on this thread, as a worker would */
	lab_await(lab, &lab->n_gone, 1);
	lab_release_one(lab); /* while the loop may look at what was posted */
}

static void a_quiet_stream_ends_with_its_client(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	for (size_t i = 0; i < 2; i++) {
		int fd = i == 0 ? lab_connect(lab) : lab_connect_unix(lab);
		OF(lab, "GET /quiet");
		char bytes[512] = "";
		size_t n = 0;
		while (strstr(bytes, ": here") == NULL) { /* the first piece comes at once */
			ssize_t got = recv(fd, bytes + n, sizeof bytes - 1 - n, 0);
			assert_true(got > 0);
			n += (size_t)got;
		}
		close(fd);
		lab_await(lab, &lab->n_gone, i + 1);
		while (lab_connections(lab) > 0)
			sched_yield();
	}
}

static void a_stream_waits_for_its_reader(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FD fd = lab_connect_unix(lab);
	OF(lab, "GET /stream");
	while (lab->written < HTTP_STREAM_HIGH)
		sched_yield();
	size_t total = 0;
	AUTO_FREE char *bytes = xmalloc(LAB_PIECE);
	AUTO(h1_parser) *parser = h1_parser_new(&(struct h1_options){.kind = H1_RESPONSE, .body_max = UINT64_MAX});
	enum h1_event event = H1_MORE;
	while (event != H1_END) {
		/* queued, and one piece, and what the socket holds */
		assert_true(lab->written <= total + HTTP_STREAM_HIGH + LAB_PIECE + (1 << 20));
		ssize_t n = recv(fd, bytes, LAB_PIECE, 0);
		assert_true(n > 0);
		struct str input = str_of(bytes, (size_t)n), data;
		while ((event = h1_parse(parser, &input, &data)) == H1_HEAD || event == H1_BODY) {
			for (size_t i = 0; event == H1_BODY && i < data.n; i++, total++) {
				if (data.p[i] != (char)('a' + total / LAB_PIECE % 26))
					fail_msg("byte %zu of the stream is wrong", total);
			}
		}
		assert_int_not_equal(event, H1_REFUSED);
	}
	assert_int_equal(total, LAB_PIECE * LAB_PIECES);
	assert_int_equal(lab->write_failed, 0);
}

static void a_writer_that_waits_learns_that_its_reader_left(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	for (int i = 0; i < 2; i++) {
		lab->write_failed = 0;
		lab->written = 0;
		int fd = i == 0 ? lab_connect_unix(lab) : lab_connect(lab);
		OF(lab, "GET /stream");
		while (lab->written < HTTP_STREAM_HIGH)
			sched_yield();
		close(fd);
		while (lab_connections(lab) > 0)
			sched_yield();
		while (lab->write_failed == 0)
			sched_yield();
		assert_true(lab->written < LAB_PIECE * LAB_PIECES);
	}
}

static void note_drained(void *user)
{
	struct lab *lab = user;
	lab_say(lab, &lab->n_drained);
}

static void drain_long(struct lab *lab)
{
	http_server_drain(lab->server, 20000, note_drained, lab);
}

static void drain_short(struct lab *lab)
{
	http_server_drain(lab->server, 20, note_drained, lab);
}

static void what_is_under_way_ends_before_the_drain_does(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FD idle = lab_connect(lab), begun = lab_connect(lab), fd = lab_connect(lab);
	struct reader reader = {.fd = fd}, idle_reader = {.fd = idle}, begun_reader = {.fd = begun};
	OF(lab, "GET /hold");
	send_text(begun, S("GET /hel"));
	lab_await(lab, &lab->n_held, 1);
	while (lab_connections(lab) < 3)
		sched_yield();
	lab_do(lab, drain_long);
	assert_closed(&idle_reader);
	AUTO_FREE char *rest = xasprintf("lo HTTP/1.1\r\nHost: %s\r\n\r\n", lab->host);
	send_text(begun, str_from(rest));
	assert_reply(&begun_reader, 200, "hello");
	assert_true(reply.ends);
	assert_closed(&begun_reader);
	assert_int_equal(lab->n_drained, 0);
	lab_release(lab);
	assert_reply(&reader, 200, "hello");
	assert_true(reply.ends);
	assert_closed(&reader);
	lab_await(lab, &lab->n_drained, 1);
	assert_int_equal(lab_connections(lab), 0);
}

static void a_drain_has_an_end(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FD fd = lab_connect(lab);
	OF(lab, "GET /hold");
	lab_await(lab, &lab->n_held, 1);
	lab_do(lab, drain_short);
	lab_await(lab, &lab->n_drained, 1);
	assert_int_equal(lab_connections(lab), 1); /* freed with the server, unanswered */
}

static void an_idle_server_is_drained_at_once(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	lab_do(lab, drain_long);
	lab_await(lab, &lab->n_drained, 1);
}

/* Many clients on both listeners, each mixing kinds of requests and some leaving in the middle. */
static void *visit(void *user)
{
	struct lab *lab = user;
	static const char *const lines[] = {"GET /hello", "GET /thread", "GET /events", "GET /bigthread", "GET /told"};
	for (int i = 0; i < 40; i++) {
		AUTO_FD fd = i % 2 == 0 ? lab_connect(lab) : lab_connect_unix(lab);
		AUTO_FREE char *request = xasprintf("%s HTTP/1.1\r\nHost: %s\r\n\r\n", lines[i % 5], lab->host);
		char byte;
		if (fd < 0 || send(fd, request, strlen(request), MSG_NOSIGNAL) < 0 ||
		    (i % 7 != 0 && recv(fd, &byte, 1, 0) != 1))
			return lab;
	}
	return NULL;
}

static void many_come_and_go_at_once(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	pthread_t threads[8];
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, visit, lab), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *failed;
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
}

#define ASK_ECHO "Connection: keep-alive, Upgrade\r\nUpgrade: echo\r\n"

/* Reads until the text is there. */
static void read_until(int fd, struct buf *got, const char *text)
{
	while (strstr(got->p, text) == NULL) {
		char bytes[4096];
		ssize_t n = recv(fd, bytes, sizeof bytes, 0);
		assert_true(n > 0);
		buf_add(got, bytes, (size_t)n);
	}
}

static void another_protocol_gets_the_bytes(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	for (int i = 0; i < 2; i++) {
		AUTO_FD fd = i == 0 ? lab_connect(lab) : lab_connect_unix(lab);
		AUTO_BUF got = BUF_INIT(1 << 16);
		send_request(fd, "GET /upgrade", lab->host, ASK_ECHO);
		send_text(fd, S("early")); /* behind the head, or soon after */
		read_until(fd, &got, "early");
		assert_int_equal(strncmp(got.p, "HTTP/1.1 101 Switching Protocols\r\n", 34), 0);
		assert_non_null(strstr(got.p, "\r\nUpgrade: echo\r\n"));
		assert_non_null(strstr(got.p, "\r\nX-Lab: yes\r\n"));
		assert_null(strstr(got.p, "Content-Length"));
		assert_null(strstr(got.p, "chunked"));
		assert_non_null(strstr(got.p, "\r\n\r\nearly"));
		send_text(fd, S("GET /hello HTTP/1.1\r\n\r\n;")); /* no request any more */
		read_until(fd, &got, "GET /hello HTTP/1.1\r\n\r\n;");
		send_text(fd, S("bye!"));
		read_until(fd, &got, "bye!");
		char byte;
		assert_int_equal(recv(fd, &byte, 1, 0), 0);
	}
	while (lab_connections(lab) > 0)
		sched_yield();
	assert_int_equal(lab->n_gone, 0);
}

static void who_does_not_ask_for_it_stays_with_http(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FD fd = lab_connect(lab);
	struct reader reader = {.fd = fd};
	static const char *const asked[] = {"", "Upgrade: echo\r\n", "Connection: Upgrade\r\n",
					    "Connection: Upgrade\r\nUpgrade: h2c\r\n"};
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		send_request(fd, "GET /upgrade", lab->host, asked[i]);
		assert_reply(&reader, 426, "");
	}
}

static void the_end_of_an_upgraded_client_is_told_once(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	for (size_t i = 0; i < 4; i++) {
		int fd = i % 2 == 0 ? lab_connect(lab) : lab_connect_unix(lab);
		AUTO_BUF got = BUF_INIT(1 << 16);
		send_request(fd, "GET /upgrade", lab->host, ASK_ECHO);
		send_text(fd, S("x;"));
		read_until(fd, &got, "x;");
		if (i < 2)
			close(fd);
		else
			shutdown(fd, SHUT_WR);
		lab_await(lab, &lab->n_gone, i + 1);
		while (lab_connections(lab) > 0)
			sched_yield();
		if (i >= 2)
			close(fd);
	}
	assert_int_equal(lab->n_gone, 4);
}

/* One byte in brings 64 KiB out: who does not read them is not heard any more. */
static void who_does_not_listen_is_not_heard(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO_FD fd = lab_connect_unix(lab);
	send_request(fd, "GET /flood", lab->host, ASK_ECHO);
	enum { ASKED = 200 };
	for (size_t i = 0; i < ASKED; i++) {
		send_text(fd, S("x"));
		/* each alone, as long as it is heard */
		while (lab->received < i + 1 && lab->received * LAB_PIECE < HTTP_STREAM_HIGH)
			sched_yield();
	}
	AUTO_FREE char *bytes = xmalloc(LAB_PIECE);
	size_t total = 0;
	/* What is queued, what the socket holds, and what one turn may have read at once on top of it. */
	assert_true(lab->received * LAB_PIECE <= HTTP_STREAM_HIGH + (size_t)ASKED * LAB_PIECE);
	while (total < (size_t)ASKED * LAB_PIECE) {
		ssize_t n = recv(fd, bytes, LAB_PIECE, 0);
		assert_true(n > 0);
		total += (size_t)n;
	}
	assert_int_equal(lab->received, ASKED);
	assert_int_equal(lab->write_failed, 0);
}

/* However many bytes come at once: of a piece no more is given than what was answered finds room, and the rest by itself later. */
static void what_brings_too_much_is_given_later(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){.upgrades_max = HTTP_STREAM_HIGH / 2});
	AUTO_FD fd = lab_connect_unix(lab), other = lab_connect_unix(lab);
	send_request(fd, "GET /flood", lab->host, ASK_ECHO);
	char asked[1000];
	memset(asked, 'x', sizeof asked);
	send_text(fd, str_of(asked, sizeof asked));
	while (lab->received * LAB_PIECE <= HTTP_STREAM_HIGH)
		sched_yield();
	assert_int_equal(lab->crowded, 1);
	/* The loop has been elsewhere. */
	struct reader reader = {.fd = other};
	send_request(other, "GET /hello", lab->host, "");
	assert_reply(&reader, 200, "hello");
	assert_true(lab->received < sizeof asked / 2);
	AUTO_FREE char *bytes = xmalloc(LAB_PIECE);
	size_t total = 0;
	while (total < sizeof asked * LAB_PIECE) {
		ssize_t n = recv(fd, bytes, LAB_PIECE, 0);
		assert_true(n > 0);
		total += (size_t)n;
	}
	assert_int_equal(lab->received, sizeof asked);
	assert_int_equal(lab->write_failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_carry_what_they_must),
		cmocka_unit_test(request_ids_that_are_none_are_replaced),
		cmocka_unit_test(a_head_request_gets_no_body),
		cmocka_unit_test(bodies_arrive_whole),
		cmocka_unit_test(large_answers_arrive_whole),
		cmocka_unit_test(an_answer_waits_for_no_busy_loop),
		cmocka_unit_test(an_answer_that_goes_in_parts_arrives_whole),
		cmocka_unit_test(what_is_pipelined_is_answered_in_order),
		cmocka_unit_test(a_flood_waits_in_the_socket),
		cmocka_unit_test(a_client_that_shuts_its_side_gets_its_answers),
		cmocka_unit_test(an_answer_may_ask_to_close),
		cmocka_unit_test(a_client_that_expects_it_is_told_to_go_on),
		cmocka_unit_test(a_broken_request_is_refused_and_closed),
		cmocka_unit_test(a_refusal_reaches_a_client_that_still_sends),
		cmocka_unit_test(other_hosts_and_origins_are_refused),
		cmocka_unit_test(a_refused_host_need_not_send_its_body),
		cmocka_unit_test(a_body_is_read_from_whom_it_may),
		cmocka_unit_test(another_user_is_not_heard),
		cmocka_unit_test(a_slow_client_is_cut_off),
		cmocka_unit_test(a_client_that_takes_nothing_is_cut_off),
		cmocka_unit_test(a_thousand_idle_connections_cost_nothing),
		cmocka_unit_test(the_one_that_is_idle_longest_makes_room),
		cmocka_unit_test(when_all_are_busy_the_next_waits),
		cmocka_unit_test(a_client_that_leaves_is_told_of),
		cmocka_unit_test(who_asks_late_is_told_too),
		cmocka_unit_test(a_quiet_stream_ends_with_its_client),
		cmocka_unit_test(a_stream_waits_for_its_reader),
		cmocka_unit_test(a_writer_that_waits_learns_that_its_reader_left),
		cmocka_unit_test(what_is_under_way_ends_before_the_drain_does),
		cmocka_unit_test(a_drain_has_an_end),
		cmocka_unit_test(an_idle_server_is_drained_at_once),
		cmocka_unit_test(many_come_and_go_at_once),
		cmocka_unit_test(another_protocol_gets_the_bytes),
		cmocka_unit_test(who_does_not_ask_for_it_stays_with_http),
		cmocka_unit_test(the_end_of_an_upgraded_client_is_told_once),
		cmocka_unit_test(who_does_not_listen_is_not_heard),
		cmocka_unit_test(what_brings_too_much_is_given_later),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	buf_release(&reply.body);
	return failed;
}
