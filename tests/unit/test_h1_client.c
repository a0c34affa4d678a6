/* The client against our own server, and against one that does everything wrong. */
#include "http/h1/client.h"
#include "http_lab.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct err err;
static struct h1_response response;

static int get(struct h1_client *client, const char *path, struct buf *out)
{
	struct h1_request request = {.method = S("GET"), .target = str_from(path), .timeout_ms = 20000};
	buf_clear(out);
	err_clear(&err);
	return h1_client_do(client, &request, &response, out, &err);
}

static struct h1_client *to_lab(const struct lab *lab, bool by_unix)
{
	struct h1_client *client = by_unix ? h1_client_unix(lab->path, S("aileron"), &err)
					   : h1_client_tcp(str_from(lab->host), 1000, &err);
	assert_non_null(client);
	return client;
}

static void requests_share_a_connection(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	for (int i = 0; i < 2; i++) {
		AUTO(h1_client) *client = to_lab(lab, i == 0);
		AUTO_BUF out = BUF_INIT(64 << 20);
		for (int n = 0; n < 3; n++) {
			assert_int_equal(get(client, n == 1 ? "/thread" : "/hello", &out), 0);
			assert_string_equal(out.p, "hello");
			assert_int_equal(response.status, 200);
			assert_true(str_eq(response.content_type, S("text/plain")));
			assert_int_equal(response.request_id.n, 16);
		}
		assert_int_equal(get(client, "/cached", &out), 0);
		assert_int_equal(response.status, 429);
		assert_int_equal(get(client, "/nothing", &out), 0);
		assert_int_equal(response.status, 204);
		assert_int_equal(get(client, "/bigthread", &out), 0);
		assert_int_equal(out.n, LAB_BIG);
		assert_int_equal(get(client, "/told?x=1", &out), 0);
		assert_string_equal(out.p, "GET|/told|x=1|");
		assert_int_equal(lab_connections(lab), 1);
		h1_client_free(TAKE(client));
		while (lab_connections(lab) > 0)
			;
	}
}

static void a_body_and_headers_are_sent(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO(h1_client) *client = to_lab(lab, true);
	AUTO_BUF out = BUF_INIT(64 << 20);
	AUTO_FREE char *bytes = xmalloc(5 << 20);
	memset(bytes, 'x', 5 << 20);
	struct h1_header header = {S("X-Test"), S("a b")};
	struct h1_request request = {.method = S("POST"),
				     .target = S("/echo"),
				     .headers = &header,
				     .n_headers = 1,
				     .body = str_of(bytes, 5 << 20),
				     .timeout_ms = 20000};
	assert_int_equal(h1_client_do(client, &request, &response, &out, &err), 0);
	assert_true(str_eq(buf_str(&out), request.body));

	buf_clear(&out);
	request.method = S("DELETE");
	request.target = S("/told");
	request.body = STR_EMPTY;
	assert_int_equal(h1_client_do(client, &request, &response, &out, &err), 0);
	assert_string_equal(out.p, "DELETE|/told||a b");

	buf_clear(&out);
	request.method = S("HEAD");
	assert_int_equal(h1_client_do(client, &request, &response, &out, &err), 0);
	assert_int_equal(response.status, 200);
	assert_int_equal(out.n, 0);
	assert_int_equal(lab_connections(lab), 1);
}

static void a_refusal_is_read_before_all_is_sent(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){.body_max = 1000});
	AUTO_FREE char *bytes = xcalloc(1, 20 << 20);
	for (int i = 0; i < 2; i++) {
		AUTO(h1_client) *client = to_lab(lab, i == 0);
		AUTO_BUF out = BUF_INIT(64 << 20);
		struct h1_request request = {.method = S("POST"),
					     .target = S("/echo"),
					     .body = str_of(bytes, 20 << 20),
					     .timeout_ms = 20000};
		assert_int_equal(h1_client_do(client, &request, &response, &out, &err), 0);
		assert_int_equal(response.status, 413);
		assert_int_equal(get(client, "/hello", &out), 0); /* over a new connection */
		assert_string_equal(out.p, "hello");
	}
}

static void a_connection_found_closed_is_made_anew(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){.limits = {.idle_ms = 150}});
	AUTO(h1_client) *client = to_lab(lab, false);
	AUTO_BUF out = BUF_INIT(1 << 20);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(get(client, "/hello", &out), 0);
		while (lab_connections(lab) > 0)
			;
	}
}

struct pieces {
	size_t n, stop_at;
	struct buf bytes;
};

static int take_piece(void *user, struct str bytes)
{
	struct pieces *pieces = user;
	pieces->n += bytes.n;
	buf_add_str(&pieces->bytes, bytes);
	return pieces->stop_at > 0 && pieces->n >= pieces->stop_at;
}

static void streams_come_in_pieces_and_may_be_ended(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO(h1_client) *client = to_lab(lab, true);
	struct h1_request request = {.method = S("GET"), .target = S("/stream")};
	struct pieces pieces = {.bytes = BUF_INIT(64 << 20)};
	assert_int_equal(h1_client_stream(client, &request, &response, take_piece, &pieces, &err), 0);
	assert_int_equal(pieces.n, LAB_PIECE * LAB_PIECES);

	buf_clear(&pieces.bytes);
	pieces.n = 0;
	pieces.stop_at = 7;
	request.target = S("/quiet");
	assert_int_equal(h1_client_stream(client, &request, &response, take_piece, &pieces, &err), 0);
	assert_string_equal(pieces.bytes.p, ": here\n\n");
	lab_await(lab, &lab->n_gone, 1);
	buf_release(&pieces.bytes);
	AUTO_BUF out = BUF_INIT(1 << 20);
	assert_int_equal(get(client, "/hello", &out), 0);
}

static void an_answer_over_the_cap_is_a_limit(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO(h1_client) *client = to_lab(lab, true);
	AUTO_BUF out = BUF_INIT(1000);
	response = (struct h1_response){.status = 7};
	assert_int_equal(get(client, "/big", &out), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(response.status, 7);
	assert_int_equal(out.n, 0);
	buf_clear(&out);
	assert_int_equal(get(client, "/hello", &out), 0);
}

static void the_deadline_holds_for_all_of_it(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO(h1_client) *client = to_lab(lab, true);
	AUTO_BUF out = BUF_INIT(1 << 20);
	struct h1_request request = {.method = S("GET"), .target = S("/quiet"), .timeout_ms = 30};
	err_clear(&err);
	assert_int_equal(h1_client_do(client, &request, &response, &out, &err), -1);
	assert_int_equal(err.class, ERR_UNREACHABLE);
	assert_non_null(strstr(err.message, "within 30 ms"));
	assert_int_equal(out.n, 0);
	lab_await(lab, &lab->n_gone, 1);
}

static void nobody_there_is_unreachable(void **state)
{
	(void)state;
	AUTO_FD bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* and not listening */
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof in;
	assert_int_equal(bind(bound, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(getsockname(bound, (struct sockaddr *)&in, &n), 0);
	char address[32];
	snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(in.sin_port));
	assert_null(h1_client_tcp(str_from(address), 1000, &err));
	assert_int_equal(err.class, ERR_UNREACHABLE);
	assert_null(h1_client_unix("/nonexistent/socket", S("x"), &err));
	assert_int_equal(err.class, ERR_UNREACHABLE);
	char path[200];
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_null(h1_client_unix(path, S("x"), &err));
	assert_int_equal(err.class, ERR_UNREACHABLE);
	assert_null(h1_client_unix("", S("x"), &err));
}

static void only_loopback_addresses_are_taken(void **state)
{
	(void)state;
	static const char *const addresses[] = {
		"10.0.0.1:80",
		"localhost:80",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:0",
		"127.0.0.1:65536",
		"127.0.0.1:+80",
		"127.1:80",
		"[::2]:80",
		"::1:80",
		"[::1]",
		"[::1:80",
		"0.0.0.0:80",
		"[::]:80",
		"[127.0.0.1]:80",
		"2130706433:80",
		"",
		":80",
		"127.0.0.1\0:80x",
		"128.0.0.1:80",
		"127.0.0.1 :80",
		"127.0.0.1:80 ",
		"[]:80",
		"[::ffff:127.0.0.1]:80",
	};
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		err_clear(&err);
		assert_null(h1_client_tcp(str_from(addresses[i]), 100, &err));
		if (err.class != ERR_VALIDATION_ERROR)
			fail_msg("'%s': %s", addresses[i], err.message);
	}
}

static void what_would_split_a_request_is_refused(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO(h1_client) *client = to_lab(lab, true);
	AUTO_BUF out = BUF_INIT(1 << 20);
	static const char *const targets[] = {"/a b", "/a\r\nX: y", "/a\n"};
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		assert_int_equal(get(client, targets[i], &out), -1);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
	}
	struct h1_header headers[] = {{S("X"), S("a\nb")}, {S("X\r"), S("a")}, {S("X"), S("\0")}};
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		struct h1_request request = {
			.method = S("GET"), .target = S("/"), .headers = &headers[i], .n_headers = 1};
		assert_int_equal(h1_client_do(client, &request, &response, &out, &err), -1);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
	}
	assert_int_equal(get(client, "/hello", &out), 0);
}

/* A listener that gives one canned answer a connection and closes. */
struct canned {
	int fd;
	const struct str *answers;
	size_t n;
};

static void *give_answers(void *user)
{
	const struct canned *canned = user;
	for (size_t i = 0; i < canned->n; i++) {
		AUTO_FD fd = accept4(canned->fd, NULL, NULL, SOCK_CLOEXEC);
		char bytes[4096];
		size_t n = 0;
		while (memmem(bytes, n, "\r\n\r\n", 4) == NULL) {
			ssize_t got = recv(fd, bytes + n, sizeof bytes - n, 0);
			if (got <= 0)
				break;
			n += (size_t)got;
		}
		(void)!send(fd, canned->answers[i].p, canned->answers[i].n, MSG_NOSIGNAL);
	}
	return NULL;
}

#define INTERIM "HTTP/1.1 100 Continue\r\n\r\n"
#define MANY    INTERIM INTERIM INTERIM INTERIM

static void wrong_answers_have_their_errors(void **state)
{
	(void)state;
	static const struct {
		struct str bytes;
		enum err_class class;
		const char *message;
	} wrong[] = {
		{S("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), ERR_NONE, ""},
		{S("HTTP/1.1 200 OK\r\n\r\nhello"), ERR_NONE, ""},
		{S(INTERIM "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
		 ERR_NONE, ""},
		{S(""), ERR_UNREACHABLE, "closed before the answer"},
		{S("HTTP/1.1 200 OK\r\nContent-Le"), ERR_UNREACHABLE, "closed before the answer"},
		{S("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello"), ERR_UNREACHABLE, "closed before the answer"},
		{S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), ERR_UNREACHABLE,
		 "closed before"},
		{S(INTERIM), ERR_UNREACHABLE, "closed before the answer"},
		{S(MANY MANY MANY MANY MANY), ERR_PROTOCOL, "interim answers without end"},
		{S("HTTP/1.1 101 Switching Protocols\r\n\r\n"), ERR_PROTOCOL, "a protocol that nobody asked for"},
		{S("SSH-2.0-OpenSSH\r\n"), ERR_PROTOCOL, "not in order"},
		{S("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), ERR_PROTOCOL,
		 "several Content-Length"},
	};
	struct str answers[ARRAY_LEN(wrong)];
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		answers[i] = wrong[i].bytes;
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof in;
	AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
	char address[32];
	snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(in.sin_port));
	struct canned canned = {fd, answers, ARRAY_LEN(answers)};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, give_answers, &canned), 0);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		AUTO(h1_client) *client = h1_client_tcp(str_from(address), 1000, &err);
		AUTO_BUF out = BUF_INIT(1 << 20);
		assert_non_null(client);
		int result = get(client, "/", &out);
		if (err.class != wrong[i].class || strstr(err.message, wrong[i].message) == NULL)
			fail_msg("answer %zu: %s", i, err.message);
		assert_int_equal(result, wrong[i].class == ERR_NONE ? 0 : -1);
		assert_string_equal(out.p, result == 0 ? "hello" : "");
	}
	pthread_join(thread, NULL);
}

/* A request that was sent is not sent again, whatever becomes of the connection. */
static void a_lost_request_is_not_repeated(void **state)
{
	(void)state;
	AUTO(lab) *lab = lab_start((struct http_server_options){0});
	AUTO(h1_client) *client = to_lab(lab, true);
	AUTO_BUF out = BUF_INIT(1 << 20);
	assert_int_equal(get(client, "/hello", &out), 0);
	struct h1_request request = {.method = S("GET"), .target = S("/hold"), .timeout_ms = 30};
	assert_int_equal(h1_client_do(client, &request, &response, &out, &err), -1);
	lab_await(lab, &lab->n_gone, 1);
	assert_int_equal(lab->n_held, 1);
	lab_release(lab);
	assert_int_equal(get(client, "/hello", &out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_share_a_connection),
		cmocka_unit_test(a_body_and_headers_are_sent),
		cmocka_unit_test(a_refusal_is_read_before_all_is_sent),
		cmocka_unit_test(a_connection_found_closed_is_made_anew),
		cmocka_unit_test(streams_come_in_pieces_and_may_be_ended),
		cmocka_unit_test(an_answer_over_the_cap_is_a_limit),
		cmocka_unit_test(the_deadline_holds_for_all_of_it),
		cmocka_unit_test(nobody_there_is_unreachable),
		cmocka_unit_test(only_loopback_addresses_are_taken),
		cmocka_unit_test(what_would_split_a_request_is_refused),
		cmocka_unit_test(wrong_answers_have_their_errors),
		cmocka_unit_test(a_lost_request_is_not_repeated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
