/* Streams of the HTTP client: bodies asked for in pieces, answers handed on in pieces, both held up by whoever says so. */
#include "base/limits.h"
#include "base/mem.h"
#include "http/client.h"
#include "http_server.h"
#include "os/loop.h"
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <signal.h>

static struct loop *loop;
static struct http_client *client;
static struct server *server;
static struct sockaddr_storage address;

struct stream {
	struct http_transfer *transfer;
	struct str body; /* what is left of it to be given */
	size_t given;    /* at most so many bytes may be asked for now */
	size_t taken_max;
	int heads, dones, refusals;
	int status;
	char headers[4096];
	struct buf answer;
	enum http_end end;
	struct loop_source *soon; /* lets it go on */
};

static size_t on_read(void *context, char *out, size_t n)
{
	struct stream *s = context;
	size_t take = MIN(n, MIN(s->given, s->body.n));
	memcpy(out, s->body.p, take);
	s->body = str_slice(s->body, take, s->body.n);
	s->given -= take;
	if (take == 0)
		loop_timer_start(s->soon, 0, 0);
	return take;
}

static void on_head(void *context, int status, struct str headers)
{
	struct stream *s = context;
	s->heads++;
	s->status = status;
	snprintf(s->headers, sizeof s->headers, "%.*s", STR_FMT(headers));
	assert_int_equal(s->answer.n, 0);
}

static bool on_piece(void *context, struct str bytes)
{
	struct stream *s = context;
	assert_int_equal(s->heads, 1);
	if (bytes.n > s->taken_max) {
		s->refusals++;
		loop_timer_start(s->soon, 0, 0);
		return false;
	}
	s->taken_max -= bytes.n;
	buf_add_str(&s->answer, bytes);
	return true;
}

static void on_done(void *context, struct http_answer *answer)
{
	struct stream *s = context;
	s->dones++;
	s->end = answer->end;
	assert_int_equal(answer->body.n, 0);
}

static void on_soon(void *user, int what)
{
	(void)what;
	struct stream *s = user;
	s->given = 1000;
	s->taken_max = 20000;
	if (s->dones == 0)
		http_resume(s->transfer);
}

static void start(struct stream *s, const char *method, const char *path)
{
	AUTO_FREE char *url = xasprintf("https://localhost:%u%s", server->port, path);
	const struct http_stream pieces = {.length = s->body.n, .read = on_read, .head = on_head, .piece = on_piece};
	address = server_address(server);
	s->answer = BUF_INIT(64 << 20);
	s->soon = loop_timer(loop, on_soon, s);
	const struct http_call call = {.pool = S("pool"),
				       .method = str_from(method),
				       .url = str_from(url),
				       .peer = S("peer"),
				       .address = &address,
				       .stream = &pieces,
				       .headers_max = 64 << 10,
				       .connect_ms = 5000,
				       .done = on_done,
				       .context = s};
	s->transfer = http_start(client, &call, NULL);
	assert_non_null(s->transfer);
}

static void finish(struct stream *s)
{
	while (s->dones == 0) {
		loop_turn(loop, true);
		assert_int_equal(http_client_buffered(client), 0);
	}
}

static void release(struct stream *s)
{
	loop_source_free(s->soon);
	buf_release(&s->answer);
}
#define AUTO_STREAM __attribute__((cleanup(release))) struct stream

static void an_answer_waits_for_its_reader(void **state)
{
	(void)state;
	AUTO_STREAM s = {.taken_max = 0};
	start(&s, "GET", "/big/3000000");
	finish(&s);
	assert_int_equal(s.end, HTTP_ANSWERED);
	assert_int_equal(s.status, 200);
	assert_int_equal(s.answer.n, 3000000);
	assert_true(s.refusals > 100);
	for (size_t i = 0; i < s.answer.n; i++)
		assert_int_equal(s.answer.p[i], 'x');
}

static void a_body_comes_when_it_comes(void **state)
{
	(void)state;
	static char text[100000];
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 7);
	AUTO_STREAM s = {.body = str_of(text, sizeof text), .taken_max = SIZE_MAX};
	start(&s, "POST", "/body");
	finish(&s);
	assert_int_equal(s.end, HTTP_ANSWERED);
	assert_int_equal(s.answer.n, sizeof text);
	assert_memory_equal(s.answer.p, text, sizeof text);
	AUTO_FREE char *head = server_last_head(server);
	assert_non_null(strstr(head, "Content-Length: 100000\r\n"));
	assert_null(strstr(head, "Expect"));
}

static void the_target_is_sent_as_written(void **state)
{
	(void)state;
	static const char *const targets[] = {"/echo?", "/echo/../echo", "/echo//x?a=%2e%2E&b=[]", "/echo/@host/:80"};
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		AUTO_STREAM s = {.taken_max = SIZE_MAX};
		start(&s, "GET", targets[i]);
		finish(&s);
		AUTO_FREE char *head = server_last_head(server);
		AUTO_FREE char *line = xasprintf("GET %s HTTP/1.1\r\n", targets[i]);
		assert_memory_equal(head, line, strlen(line));
	}
}

static void nothing_is_decoded_or_followed(void **state)
{
	(void)state;
	static const struct {
		const char *path, *header;
		int status;
	} rows[] = {{"/gzip", "Content-Encoding: gzip", 200},
		    {"/redirect/302/x", "Location: ", 302},
		    {"/status/404", "", 404}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_STREAM s = {.taken_max = SIZE_MAX};
		start(&s, "GET", rows[i].path);
		finish(&s);
		assert_int_equal(s.end, HTTP_ANSWERED);
		assert_int_equal(s.status, rows[i].status);
		assert_non_null(strstr(s.headers, rows[i].header));
		assert_int_equal(s.heads, 1);
		assert_false(i == 0 && s.answer.n == strlen("hello"));
	}
}

static void interim_answers_are_no_heads(void **state)
{
	(void)state;
	AUTO_STREAM s = {.taken_max = SIZE_MAX};
	start(&s, "GET", "/early");
	finish(&s);
	assert_int_equal(s.heads, 1);
	assert_int_equal(s.status, 200);
}

static void what_breaks_off_has_failed(void **state)
{
	(void)state;
	AUTO_STREAM s = {.taken_max = SIZE_MAX};
	start(&s, "GET", "/truncated");
	finish(&s);
	assert_int_equal(s.end, HTTP_FAILED);
	assert_int_equal(s.heads, 1);
	assert_int_equal(s.answer.n, 10);
	AUTO_STREAM none = {.taken_max = SIZE_MAX};
	start(&none, "POST", "/close");
	finish(&none);
	assert_int_equal(none.end, HTTP_FAILED);
	assert_int_equal(none.heads, 0);
}

static void a_stream_that_waits_can_be_cancelled(void **state)
{
	(void)state;
	AUTO_STREAM s = {.taken_max = 0};
	start(&s, "GET", "/endless");
	while (s.refusals == 0)
		loop_turn(loop, true);
	loop_timer_stop(s.soon);
	http_cancel(s.transfer);
	AUTO_STREAM other = {.taken_max = SIZE_MAX};
	start(&other, "GET", "/hello");
	finish(&other);
	assert_int_equal(s.dones, 0);
	assert_int_equal(http_client_open(client), 0);
}

/* One waits for its reader on a connection of its own. */
static void others_go_on_meanwhile(void **state)
{
	(void)state;
	AUTO_STREAM slow = {.taken_max = 0};
	start(&slow, "GET", "/endless");
	while (slow.refusals == 0)
		loop_turn(loop, true);
	loop_timer_stop(slow.soon);
	for (int i = 0; i < 20; i++) {
		AUTO_STREAM s = {.taken_max = SIZE_MAX};
		start(&s, "GET", "/hello");
		finish(&s);
		assert_int_equal(s.answer.n, 5);
	}
	http_cancel(slow.transfer);
}

static int set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	server = server_start(SERVER_TLS);
	loop = loop_new(NULL);
	const struct http_client_options options = {.loop = loop, .buffered_max = 1 << 20};
	client = http_client_new(&options, NULL);
	http_client_set_ca(client, server_ca_fd());
	return loop == NULL || client == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	http_client_free(client);
	loop_free(loop);
	server_stop(server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_waits_for_its_reader),
		cmocka_unit_test(a_body_comes_when_it_comes),
		cmocka_unit_test(the_target_is_sent_as_written),
		cmocka_unit_test(nothing_is_decoded_or_followed),
		cmocka_unit_test(interim_answers_are_no_heads),
		cmocka_unit_test(what_breaks_off_has_failed),
		cmocka_unit_test(others_go_on_meanwhile),
		cmocka_unit_test(a_stream_that_waits_can_be_cancelled),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
