/* Streamable HTTP with real sockets: statuses, headers, streams, sessions, and the order in which a request is judged. */
#include "http/h1/message.h"
#include "mcp/http/door.h"
#include "os/loop.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <cmocka.h>
#include "unit/mcp_lab.h"

/* ---- A server on a thread of its own ---- */

struct site {
	struct mcp_lab *lab;
	struct mcp_door *door;
	struct loop *loop;
	struct http_server *server;
	struct loop_source *wakeup;
	pthread_t thread;
	int fd;
	uint16_t port;
	_Atomic bool stop, end_streams;
	sem_t ticked, queued;
	const char *_Atomic caller;
};

static void serve(void *user, struct http_exchange *x)
{
	struct site *site = user;
	mcp_door_serve(site->door, x, &(struct mcp_caller){.id = str_from(site->caller)});
}

static void woken(void *user, int what)
{
	(void)what;
	struct site *site = user;
	mcp_tick(site->lab->mcp);
	if (site->end_streams)
		mcp_end_streams(site->lab->mcp);
	if (site->stop)
		loop_stop(site->loop);
	sem_post(&site->ticked);
}

static struct site *tick_site; /* whom a change wakes */

static void wake_site(void *user)
{
	(void)user;
	loop_wake(tick_site->wakeup);
}

/* What waits is done by the test's own thread, and told by a semaphore. */
static bool run_later(void *user, const struct mcp_caller *caller, void (*work)(void *job), void *what)
{
	(void)caller;
	struct mcp_lab *lab = user;
	if (lab->jobs_max == 0) {
		work(what);
		return true;
	}
	lab->jobs[lab->n_jobs].work = work;
	lab->jobs[lab->n_jobs++].what = what;
	sem_post(&tick_site->queued);
	return true;
}

static void *turn(void *user)
{
	struct site *site = user;
	site->server = http_server_new(
		&(struct http_server_options){
			.loop = site->loop,
			.tcp_fd = site->fd,
			.unix_fd = -1,
			.hosts = (const struct str[]){S("lab")},
			.n_hosts = 1,
			.handler = serve,
			.user = site,
		},
		NULL);
	sem_post(&site->ticked);
	loop_run(site->loop);
	http_server_free(site->server);
	return NULL;
}

static struct site *site_new(void)
{
	struct site *site = tick_site = NEW(struct site);
	site->lab = NEW(struct mcp_lab);
	site->lab->out = BUF_INIT(1 << 20);
	site->lab->now_ns = TIME_HOUR;
	site->caller = "a";
	lab_add_tools(site->lab, 2);
	struct mcp_backend backend = lab_backend(site->lab);
	sem_init(&site->ticked, 0, 0);
	sem_init(&site->queued, 0, 0);
	lab_start_with(site->lab, &backend, 0, run_later, wake_site);
	site->loop = loop_new(NULL);
	site->wakeup = loop_wakeup(site->loop, woken, site, NULL);
	site->door = mcp_door_new(site->lab->mcp);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof at;
	site->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(site->fd, (struct sockaddr *)&at, n), 0);
	assert_int_equal(listen(site->fd, 16), 0);
	assert_int_equal(getsockname(site->fd, (struct sockaddr *)&at, &n), 0);
	site->port = ntohs(at.sin_port);
	assert_int_equal(pthread_create(&site->thread, NULL, turn, site), 0);
	sem_wait(&site->ticked);
	return site;
}

/* A turn of the loop's that begins after this call. */
static void site_tick(struct site *site)
{
	while (sem_trywait(&site->ticked) == 0)
		;
	loop_wake(site->wakeup);
	sem_wait(&site->ticked);
	loop_wake(site->wakeup);
	sem_wait(&site->ticked);
}

static void site_free(struct site *site)
{
	if (site == NULL)
		return;
	site->stop = true;
	loop_wake(site->wakeup);
	pthread_join(site->thread, NULL);
	close(site->fd);
	loop_source_free(site->wakeup);
	mcp_end_streams(site->lab->mcp);
	mcp_door_free(site->door);
	loop_free(site->loop);
	sem_destroy(&site->ticked);
	sem_destroy(&site->queued);
	mcp_lab_free(site->lab);
	free(site);
}
DEFINE_AUTO(site, site_free)

/* ---- A client ---- */

struct reply {
	int fd;
	struct h1_parser *parser;
	unsigned status;
	char head[2048]; /* fields, "name: value\n" */
	struct buf body;
	bool ended;
};

static void reply_free(struct reply *reply)
{
	if (reply == NULL)
		return;
	close(reply->fd);
	h1_parser_free(reply->parser);
	buf_release(&reply->body);
	free(reply);
}
DEFINE_AUTO(reply, reply_free)

static void note_head(struct reply *reply)
{
	const struct h1_head *head = h1_head(reply->parser);
	reply->status = head->status;
	for (size_t i = 0; i < head->n_headers; i++) {
		size_t at = strlen(reply->head);
		snprintf(reply->head + at, sizeof reply->head - at, "%.*s: %.*s\n", STR_FMT(head->headers[i].name),
			 STR_FMT(head->headers[i].value));
	}
}

/* Reads until the answer has ended, or until its body holds `text`. */
static void read_until(struct reply *reply, const char *text)
{
	while (!reply->ended && (text == NULL || reply->status == 0 || strstr(reply->body.p, text) == NULL)) {
		char bytes[4096];
		ssize_t n = recv(reply->fd, bytes, sizeof bytes, 0);
		assert_true(n > 0);
		struct str input = str_of(bytes, (size_t)n), data;
		enum h1_event event;
		while ((event = h1_parse(reply->parser, &input, &data)) == H1_HEAD || event == H1_BODY) {
			if (event == H1_HEAD)
				note_head(reply);
			else
				buf_add_str(&reply->body, data);
		}
		assert_int_not_equal(event, H1_REFUSED);
		reply->ended = event == H1_END;
	}
}

/* Sends a request; `headers` are whole lines. */
static struct reply *ask(struct site *site, const char *method, const char *headers, const char *body)
{
	struct reply *reply = NEW(struct reply);
	*reply = (struct reply){
		.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
		.parser = h1_parser_new(&(struct h1_options){.kind = H1_RESPONSE, .body_max = UINT64_MAX}),
		.body = BUF_INIT(64 << 20),
	};
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons(site->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(connect(reply->fd, (struct sockaddr *)&at, sizeof at), 0);
	AUTO_BUF out = BUF_INIT(64 << 20);
	buf_addf(&out, "%s /mcp HTTP/1.1\r\nHost: lab\r\n%s", method, headers);
	if (body != NULL)
		buf_addf(&out, "Content-Length: %zu\r\n", strlen(body));
	buf_add_str(&out, S("\r\n"));
	if (body != NULL)
		buf_add_z(&out, body);
	for (size_t sent = 0; sent < out.n;) {
		ssize_t n = send(reply->fd, out.p + sent, out.n - sent, MSG_NOSIGNAL);
		assert_true(n > 0);
		sent += (size_t)n;
	}
	return reply;
}

static struct reply *ask_all(struct site *site, const char *method, const char *headers, const char *body)
{
	struct reply *reply = ask(site, method, headers, body);
	read_until(reply, NULL);
	return reply;
}

static bool has(const struct reply *reply, const char *line)
{
	return strstr(reply->head, line) != NULL;
}

#define JSON_TYPE     "Content-Type: application/json\r\n"
#define BOTH_ACCEPTED "Accept: application/json, text/event-stream\r\n"
#define POSTED        JSON_TYPE BOTH_ACCEPTED
#define REQUEST(id, method, params)                                                                                    \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":" params "}"
#define INITIALIZE(version) REQUEST("1", "initialize", "{\"protocolVersion\":\"" version "\",\"capabilities\":{}}")
#define INITIALIZED         "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"
#define PING                REQUEST("7", "ping", "{}")
#define PONG                "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}"

/* Shakes hands; `ret` is the header line of the session. */
static void begin_session(struct site *site, const char *version, char ret[256])
{
	AUTO_FREE char *body = xasprintf(
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"%s\"}}",
		version);
	AUTO(reply) *reply = ask_all(site, "POST", POSTED, body);
	assert_int_equal(reply->status, 200);
	const char *id = strstr(reply->head, "Mcp-Session-Id: ");
	assert_non_null(id);
	snprintf(ret, 256, "%.*s\r\n", (int)strcspn(id, "\n"), id);
	AUTO_FREE char *headers = xasprintf("%s%s", POSTED, ret);
	AUTO(reply) *ready = ask_all(site, "POST", headers, INITIALIZED);
	assert_int_equal(ready->status, 202);
}

/* ---- Sessions ---- */

static void a_handshake_begins_a_session(void **state)
{
	(void)state;
	AUTO(site) *site = site_new();
	/* The header says something else than the body: on the handshake it says nothing. */
	AUTO(reply) *reply =
		ask_all(site, "POST", POSTED "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: initialize\r\n",
			INITIALIZE("2025-06-18"));
	assert_int_equal(reply->status, 200);
	assert_true(has(reply, "Content-Type: application/json\n"));
	assert_non_null(strstr(reply->body.p, "\"protocolVersion\":\"2025-06-18\""));
	const char *id = strstr(reply->head, "Mcp-Session-Id: ") + strlen("Mcp-Session-Id: ");
	assert_int_equal(strcspn(id, "\n"), 46);
	for (const char *at = id; *at != '\n'; at++)
		assert_true(*at > 0x20 && *at < 0x7f);
	char session[256];
	begin_session(site, "2025-11-25", session);
	AUTO_FREE char *headers = xasprintf("%s%s", POSTED, session);
	AUTO(reply) *ready = ask_all(site, "POST", headers, INITIALIZED);
	assert_int_equal(ready->status, 202);
	assert_true(has(ready, "Content-Length: 0\n"));
	assert_false(has(ready, "\nContent-Type: "));
	assert_int_equal(ready->body.n, 0);
	AUTO(reply) *bad = ask_all(site, "POST", POSTED, REQUEST("1", "initialize", "{}"));
	assert_int_equal(bad->status, 200);
	assert_false(has(bad, "Mcp-Session-Id"));
}

static void a_session_is_asked_for_by_its_id(void **state)
{
	(void)state;
	AUTO(site) *site = site_new();
	char session[256];
	begin_session(site, "2025-11-25", session);
	static const struct {
		const char *name, *headers;
		bool with_session;
		unsigned status;
	} rows[] = {
		{"its id", "", true, 200},
		{"no version", "", true, 200},
		{"another version with a handshake", "MCP-Protocol-Version: 2024-11-05\r\n", true, 200},
		{"no session", "", false, 400},
		{"no such session", "Mcp-Session-Id: AAAA\r\n", false, 404},
		{"an id that was changed", "Mcp-Session-Id: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n", false,
		 404},
		{"a version that nobody knows", "MCP-Protocol-Version: 3000-01-01\r\n", true, 400},
		{"the version without a claim", "MCP-Protocol-Version: 2026-07-28\r\n", true, 400},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *headers =
			xasprintf("%s%s%s", POSTED, rows[i].headers, rows[i].with_session ? session : "");
		AUTO(reply) *reply = ask_all(site, "POST", headers, REQUEST("7", "tools/list", "{}"));
		if (reply->status != rows[i].status)
			print_error("row '%s'\n", rows[i].name);
		assert_int_equal(reply->status, rows[i].status);
		/* A refusal is JSON with the request's id, or clients take it for something else. */
		assert_true(has(reply, "Content-Type: application/json\n"));
		assert_non_null(strstr(reply->body.p, "\"id\":7"));
	}
	AUTO(reply) *ping = ask_all(site, "POST", POSTED, PING); /* gateways do, before the handshake */
	assert_int_equal(ping->status, 200);
	assert_string_equal(ping->body.p, PONG);
}

static void an_id_outlives_the_server_and_not_its_end(void **state)
{
	(void)state;
	char session[256];
	struct site *before = site_new();
	begin_session(before, "2025-11-25", session);
	site_free(before);
	AUTO(site) *site = site_new();
	AUTO_FREE char *headers = xasprintf("%s%s", POSTED, session);
	site->caller = "b";
	AUTO(reply) *forgotten = ask_all(site, "POST", headers, PING); /* nothing but the id says whose it is */
	assert_int_equal(forgotten->status, 404);
	site->caller = "a";
	AUTO(reply) *known = ask_all(site, "POST", headers, PING);
	assert_int_equal(known->status, 200);
	site->caller = "b";
	AUTO(reply) *others = ask_all(site, "POST", headers, PING);
	assert_int_equal(others->status, 404);
	AUTO(reply) *not_his = ask_all(site, "DELETE", session, NULL);
	assert_int_equal(not_his->status, 404);
	site->caller = "a";
	AUTO(reply) *ended = ask_all(site, "DELETE", session, NULL);
	assert_int_equal(ended->status, 204);
	AUTO(reply) *gone = ask_all(site, "POST", headers, PING);
	assert_int_equal(gone->status, 404);
	AUTO(reply) *again = ask_all(site, "DELETE", session, NULL);
	assert_int_equal(again->status, 404);
	AUTO(reply) *nameless = ask_all(site, "DELETE", "", NULL);
	assert_int_equal(nameless->status, 400);
}

static void a_session_has_one_stream(void **state)
{
	(void)state;
	AUTO(site) *site = site_new();
	char session[256];
	begin_session(site, "2025-11-25", session);
	AUTO_FREE char *headers = xasprintf("Accept: text/event-stream\r\n%s", session);
	AUTO_FREE char *no_stream = xasprintf("Accept: application/json\r\n%s", session);
	/* Anything but 405 makes clients try for ever. */
	AUTO(reply) *without = ask_all(site, "GET", "Accept: text/event-stream\r\n", NULL);
	assert_int_equal(without->status, 405);
	assert_true(has(without, "Allow: POST, DELETE\n"));
	AUTO(reply) *json = ask_all(site, "GET", no_stream, NULL);
	assert_int_equal(json->status, 405);
	AUTO(reply) *stream = ask(site, "GET", headers, NULL);
	read_until(stream, "");
	assert_int_equal(stream->status, 200);
	assert_true(has(stream, "Content-Type: text/event-stream\n"));
	assert_true(has(stream, "Cache-Control: no-cache\n"));
	assert_true(has(stream, "X-Accel-Buffering: no\n"));
	assert_false(has(stream, "Content-Length"));
	AUTO(reply) *second = ask_all(site, "GET", headers, NULL);
	assert_int_equal(second->status, 409);
	mcp_changed(site->lab->mcp, MCP_TOOLS);
	read_until(stream, "\n\n");
	assert_string_equal(stream->body.p,
			    "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n");
	site->lab->now_ns += MCP_HTTP_JSON_MS * TIME_MILLISECOND;
	site_tick(site);
	read_until(stream, ": still here\n\n");
	AUTO(reply) *ended = ask_all(site, "DELETE", session, NULL);
	assert_int_equal(ended->status, 204);
	read_until(stream, NULL);
	AUTO(reply) *gone = ask_all(site, "GET", headers, NULL);
	assert_int_equal(gone->status, 404);
}

static void what_is_no_message_is_refused(void **state)
{
	(void)state;
	AUTO(site) *site = site_new();
	AUTO_BUF large = BUF_INIT(8 << 20);
	while (large.n <= MCP_MESSAGE_MAX)
		buf_add_char(&large, ' ');
	const struct {
		const char *name, *method, *headers, *body;
		unsigned status;
		const char *has;
	} rows[] = {
		{"other methods", "PUT", POSTED, PING, 405, "-32600"},
		{"no type", "POST", BOTH_ACCEPTED, PING, 415, "-32600"},
		{"another type", "POST", BOTH_ACCEPTED "Content-Type: text/plain\r\n", PING, 415, "-32600"},
		{"type with parameters", "POST", BOTH_ACCEPTED "Content-Type: Application/JSON; charset=utf-8\r\n",
		 PING, 200, PONG},
		{"no JSON", "POST", POSTED, "{", 400, "-32700"},
		{"nothing", "POST", POSTED, "", 400, "-32700"},
		{"no message", "POST", POSTED, "7", 400, "-32600"},
		{"too large", "POST", POSTED, large.p, 413, "-32600"},
		{"a batch", "POST", POSTED, "[" PING "]", 400, "-32600"},
		{"an empty batch", "POST", POSTED, "[]", 400, "-32600"},
		{"a response without a session", "POST", POSTED, PONG, 400, "-32600"},
		{"null as id", "POST", POSTED, REQUEST("null", "ping", "{}"), 400, "-32600"},
		{"no Accept", "POST", JSON_TYPE, PING, 200, PONG},
		{"only JSON", "POST", JSON_TYPE "Accept: application/json\r\n", PING, 200, PONG},
		{"everything", "POST", JSON_TYPE "Accept: */*\r\n", PING, 200, PONG},
		{"odd lists", "POST", JSON_TYPE "Accept: text/html;level=1,, application/*;q=0.1 ,x\r\n", PING, 200,
		 PONG},
		{"only streams", "POST", JSON_TYPE "Accept: text/event-stream\r\n", PING, 200, "data: " PONG "\n\n"},
		{"nothing that there is", "POST", JSON_TYPE "Accept: text/html, application/json;q=0.0\r\n", PING, 406,
		 "\"id\":7"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(reply) *reply = ask_all(site, rows[i].method, rows[i].headers, rows[i].body);
		if (reply->status != rows[i].status || strstr(reply->body.p, rows[i].has) == NULL)
			print_error("row '%s': %u %s\n", rows[i].name, reply->status, reply->body.p);
		assert_int_equal(reply->status, rows[i].status);
		assert_non_null(strstr(reply->body.p, rows[i].has));
	}
	AUTO(reply) *put = ask_all(site, "PUT", POSTED, PING);
	assert_true(has(put, "Allow: GET, POST, DELETE\n"));
}

/* ---- Requests that stand alone ---- */

#define CLAIMS(version) "\"_meta\":{\"" LAB_P "protocolVersion\":\"" version "\",\"" LAB_P "clientCapabilities\":{}}"
#define CALL_ECHO       REQUEST("7", "tools/call", "{\"name\":\"echo\"," CLAIMS("2026-07-28") "}")
#define CALL_ACT(arguments)                                                                                            \
	REQUEST("7", "tools/call", "{\"name\":\"act\",\"arguments\":" arguments "," CLAIMS("2026-07-28") "}")
#define VERSION  "MCP-Protocol-Version: 2026-07-28\r\n"
#define ROUTED   VERSION "Mcp-Method: tools/call\r\n"
#define TO_ECHO  ROUTED "Mcp-Name: echo\r\n"
#define TO_ACT   ROUTED "Mcp-Name: act\r\n"
#define MISMATCH 400, "\"code\":-32020"

struct judged {
	const char *name, *headers, *body;
	unsigned status;
	const char *has;
};

static void judge(struct site *site, const struct judged *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		AUTO_FREE char *headers = xasprintf("%s%s", POSTED, rows[i].headers);
		AUTO(reply) *reply = ask_all(site, "POST", headers, rows[i].body);
		if (reply->status != rows[i].status || strstr(reply->body.p, rows[i].has) == NULL)
			print_error("row '%s': %u %s\n", rows[i].name, reply->status, reply->body.p);
		assert_int_equal(reply->status, rows[i].status);
		assert_non_null(strstr(reply->body.p, rows[i].has));
		assert_true(reply->status == 200 || strstr(reply->body.p, "\"id\":7") != NULL);
		assert_false(has(reply, "Mcp-Session-Id"));
	}
}

/* Each row has the fault of its step and one of a later step: the first is told. */
static void checks_have_an_order(void **state)
{
	(void)state;
	static const struct judged rows[] = {
		{"_meta before the header", "",
		 REQUEST("7", "nope", "{\"_meta\":{\"" LAB_P "protocolVersion\":\"x\"}}"), 400, "\"code\":-32602"},
		{"era by the header alone", VERSION, REQUEST("7", "server/discover", "{}"), 400, "\"code\":-32602"},
		{"header before the version", VERSION, REQUEST("7", "nope", "{" CLAIMS("v999.0.0") "}"), MISMATCH},
		{"missing header before the version", "", REQUEST("7", "nope", "{" CLAIMS("v999.0.0") "}"), MISMATCH},
		{"a header of before beside a claim", "MCP-Protocol-Version: 2025-11-25\r\n", CALL_ECHO, MISMATCH},
		{"version before the method's header", "MCP-Protocol-Version: v999.0.0\r\n",
		 REQUEST("7", "nope", "{" CLAIMS("v999.0.0") "}"), 400,
		 "{\"supported\":[\"2026-07-28\"],\"requested\":\"v999.0.0\"}"},
		{"method's header before the method", VERSION "Mcp-Method: other\r\n",
		 REQUEST("7", "nope", "{" CLAIMS("2026-07-28") "}"), MISMATCH},
		{"no method's header", VERSION, CALL_ECHO, MISMATCH},
		{"method", VERSION "Mcp-Method: nope\r\n", REQUEST("7", "nope", "{" CLAIMS("2026-07-28") "}"), 404,
		 "\"code\":-32601"},
		{"initialize", VERSION "Mcp-Method: initialize\r\n",
		 REQUEST("7", "initialize", "{" CLAIMS("2026-07-28") "}"), 404, "\"code\":-32601"},
		{"name's header before the params", ROUTED "Mcp-Name: other\r\n",
		 REQUEST("7", "tools/call", "{\"name\":\"nope\",\"arguments\":1," CLAIMS("2026-07-28") "}"), MISMATCH},
		{"params", ROUTED, REQUEST("7", "tools/call", "{\"arguments\":1," CLAIMS("2026-07-28") "}"), 200,
		 "\"code\":-32602"},
		{"no such tool", ROUTED "Mcp-Name: nope\r\n",
		 REQUEST("7", "tools/call", "{\"name\":\"nope\"," CLAIMS("2026-07-28") "}"), 200, "\"code\":-32602"},
		{"capability", TO_ACT "Mcp-Param-Do: needs\r\n", CALL_ACT("{\"do\":\"needs\"}"), 400,
		 "\"code\":-32021"},
		{"a task's capability", VERSION "Mcp-Method: tasks/get\r\nMcp-Name: nope\r\n",
		 REQUEST("7", "tasks/get", "{\"taskId\":\"nope\"," CLAIMS("2026-07-28") "}"), 400, "\"code\":-32021"},
		{"parameter's header before the handler", TO_ACT, CALL_ACT("{\"do\":\"needs\"}"), MISMATCH},
		{"all is right", TO_ECHO "Mcp-Session-Id: whatever\r\n", CALL_ECHO, 200, "\"resultType\":\"complete\""},
	};
	AUTO(site) *site = site_new();
	judge(site, rows, ARRAY_LEN(rows));
	AUTO(reply) *told = ask_all(site, "POST", POSTED VERSION,
				    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{}}");
	assert_int_equal(told->status, 202);
}

static void headers_say_what_the_body_says(void **state)
{
	(void)state;
	static const struct judged rows[] = {
		{"case of a method", VERSION "Mcp-Method: TOOLS/CALL\r\nMcp-Name: echo\r\n", CALL_ECHO, MISMATCH},
		{"case of a name", ROUTED "Mcp-Name: Echo\r\n", CALL_ECHO, MISMATCH},
		{"case of headers, blanks",
		 "mcp-protocol-VERSION: \t2026-07-28 \r\nMCP-METHOD: tools/call\t\r\nmcp-name:  echo  \r\n", CALL_ECHO,
		 200, "content"},
		{"a header twice", TO_ECHO "Mcp-Name: echo\r\n", CALL_ECHO, MISMATCH},
		{"no name", ROUTED, CALL_ECHO, MISMATCH},
		{"wrapped name", ROUTED "Mcp-Name: =?base64?ZWNobw==?=\r\n", CALL_ECHO, 200, "content"},
		{"wrapped, without padding", ROUTED "Mcp-Name: =?base64?ZWNobw?=\r\n", CALL_ECHO, MISMATCH},
		{"wrapped, another alphabet", ROUTED "Mcp-Name: =?base64?ZWNob_==?=\r\n", CALL_ECHO, MISMATCH},
		{"wrapped, loose bits", ROUTED "Mcp-Name: =?base64?ZWNobx==?=\r\n", CALL_ECHO, MISMATCH},
		{"wrapped, no UTF-8", ROUTED "Mcp-Name: =?base64?/w==?=\r\n", CALL_ECHO, MISMATCH},
		{"half a wrapping is literal", ROUTED "Mcp-Name: =?base64?ZWNobw==\r\n", CALL_ECHO, MISMATCH},
		{"marks in capitals are literal", ROUTED "Mcp-Name: =?BASE64?ZWNobw==?=\r\n", CALL_ECHO, MISMATCH},
		{"parameter", TO_ACT "Mcp-Param-Do: log\r\n", CALL_ACT("{\"do\":\"log\"}"), 200, "content"},
		{"wrapped parameter", TO_ACT "Mcp-Param-Do: =?base64?bG9n?=\r\n", CALL_ACT("{\"do\":\"log\"}"), 200,
		 "content"},
		{"half a wrapping", TO_ACT "Mcp-Param-Do: =?base64?bG9n\r\n", CALL_ACT("{\"do\":\"=?base64?bG9n\"}"),
		 200, "content"},
		{"another parameter", TO_ACT "Mcp-Param-Do: error\r\n", CALL_ACT("{\"do\":\"log\"}"), MISMATCH},
		{"missing parameter", TO_ACT, CALL_ACT("{\"do\":\"log\"}"), MISMATCH},
		{"argument that is null", TO_ACT, CALL_ACT("{\"do\":null}"), 200, "content"},
		{"no argument", TO_ACT "Mcp-Param-Do: log\r\n", CALL_ACT("{}"), 200, "content"},
		{"a header that nobody asked for", TO_ACT "Mcp-Param-Other: 1\r\n", CALL_ACT("{}"), 200, "content"},
		{"number", TO_ACT "Mcp-Param-N: 42.0\r\n", CALL_ACT("{\"n\":42}"), 200, "content"},
		{"another number", TO_ACT "Mcp-Param-N: 43\r\n", CALL_ACT("{\"n\":42}"), MISMATCH},
		{"no number", TO_ACT "Mcp-Param-N: \"42\"\r\n", CALL_ACT("{\"n\":42}"), MISMATCH},
	};
	AUTO(site) *site = site_new();
	judge(site, rows, ARRAY_LEN(rows));
}

/* ---- Streams ---- */

#define WITH_TOKEN                                                                                                     \
	REQUEST("7", "tools/call",                                                                                     \
		"{\"name\":\"act\",\"arguments\":{\"do\":\"progress\"},\"_meta\":{\"progressToken\":0,\"" LAB_P        \
		"protocolVersion\":\"2026-07-28\",\"" LAB_P "clientCapabilities\":{}}}")
static void an_answer_becomes_a_stream_with_its_first_notification(void **state)
{
	(void)state;
	AUTO(site) *site = site_new();
	AUTO(reply) *stream = ask_all(site, "POST", POSTED TO_ACT "Mcp-Param-Do: progress\r\n", WITH_TOKEN);
	assert_int_equal(stream->status, 200);
	assert_true(has(stream, "Content-Type: text/event-stream\n"));
	const char *progress = "data: "
			       "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/"
			       "progress\",\"params\":{\"progressToken\":0,\"progress\":1,";
	assert_int_equal(strncmp(stream->body.p, progress, strlen(progress)), 0);
	assert_non_null(strstr(stream->body.p, "\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":"));
	AUTO(reply) *json = ask_all(
		site, "POST", JSON_TYPE "Accept: application/json\r\n" TO_ACT "Mcp-Param-Do: progress\r\n", WITH_TOKEN);
	assert_int_equal(json->status, 200);
	assert_true(has(json, "Content-Type: application/json\n"));
	assert_null(strstr(json->body.p, "progressToken"));
}

static void a_slow_answer_becomes_a_stream(void **state)
{
	(void)state;
	AUTO(site) *site = site_new();
	site->lab->jobs_max = 8;
	AUTO(reply) *slow = ask(site, "POST", POSTED TO_ECHO, CALL_ECHO);
	sem_wait(&site->queued);
	site->lab->now_ns += (MCP_HTTP_JSON_MS - 1) * TIME_MILLISECOND;
	site_tick(site);
	site->lab->now_ns += TIME_MILLISECOND;
	site_tick(site);
	read_until(slow, ": still here\n\n");
	assert_true(has(slow, "Content-Type: text/event-stream\n"));
	lab_work(site->lab);
	read_until(slow, NULL);
	assert_non_null(strstr(slow->body.p, "data: {\"jsonrpc\":\"2.0\",\"id\":7,"));
}

/* Closes, and waits until the server has seen it. */
static void leave(struct site *site, struct reply *reply)
{
	shutdown(reply->fd, SHUT_RDWR);
	for (size_t i = 0; i < 4; i++)
		site_tick(site);
}

static void a_client_that_is_gone_has_cancelled_what_stands_alone(void **state)
{
	(void)state;
	AUTO(site) *site = site_new();
	site->lab->jobs_max = 8;
	AUTO(reply) *alone =
		ask(site, "POST", POSTED TO_ACT "Mcp-Param-Do: cancelled\r\n", CALL_ACT("{\"do\":\"cancelled\"}"));
	sem_wait(&site->queued);
	leave(site, alone);
	lab_work(site->lab);
	assert_true(site->lab->was_cancelled);

	/* In a session it goes on, and is cancelled by a message. */
	char session[256];
	begin_session(site, "2025-11-25", session);
	AUTO_FREE char *headers = xasprintf("%s%s", POSTED, session);
	static const char call[] =
		REQUEST("7", "tools/call", "{\"name\":\"act\",\"arguments\":{\"do\":\"cancelled\"}}");
	AUTO(reply) *of_session = ask(site, "POST", headers, call);
	sem_wait(&site->queued);
	leave(site, of_session);
	lab_work(site->lab);
	assert_false(site->lab->was_cancelled);
	AUTO(reply) *cancelled = ask(site, "POST", headers, call);
	sem_wait(&site->queued);
	AUTO(reply) *cancels =
		ask_all(site, "POST", headers,
			"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":7}}");
	assert_int_equal(cancels->status, 202);
	lab_work(site->lab);
	assert_true(site->lab->was_cancelled);
	read_until(cancelled, NULL);
	assert_int_equal(cancelled->body.n, 0);
}

#define LISTEN                                                                                                         \
	REQUEST("7", "subscriptions/listen", "{\"notifications\":{\"toolsListChanged\":true}," CLAIMS("2026-07-28") "}")
#define TO_LISTEN VERSION "Mcp-Method: subscriptions/listen\r\n"
static void who_listens_has_a_stream_until_its_end(void **state)
{
	(void)state;
	AUTO(site) *site = site_new();
	AUTO(reply) *json = ask_all(site, "POST", JSON_TYPE "Accept: application/json\r\n" TO_LISTEN, LISTEN);
	assert_int_equal(json->status, 406);
	AUTO(reply) *gone = ask(site, "POST", POSTED TO_LISTEN, LISTEN);
	read_until(gone, "acknowledged");
	leave(site, gone);
	AUTO(reply) *stream = ask(site, "POST", POSTED TO_LISTEN, LISTEN);
	read_until(stream, "acknowledged");
	mcp_changed(site->lab->mcp, MCP_TOOLS);
	read_until(stream, "notifications/tools/list_changed");
	site->end_streams = true;
	site_tick(site);
	read_until(stream, NULL);
	assert_non_null(
		strstr(stream->body.p, "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"resultType\":\"complete\","));
	/* Nothing begins any more that would outlive the server. */
	char session[256];
	begin_session(site, "2025-11-25", session);
	AUTO_FREE char *headers = xasprintf("Accept: text/event-stream\r\n%s", session);
	AUTO(reply) *late = ask_all(site, "GET", headers, NULL);
	assert_int_equal(late->status, 503);
}

static void *work_all(void *user)
{
	lab_work(user);
	return NULL;
}

static void a_client_is_asked_on_the_stream_of_its_request(void **state)
{
	(void)state;
	AUTO(site) *site = site_new();
	site->lab->jobs_max = 8;
	AUTO(reply) *greeted = ask_all(
		site, "POST", POSTED,
		REQUEST("1", "initialize", "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"roots\":{}}}"));
	const char *id = strstr(greeted->head, "Mcp-Session-Id: ");
	AUTO_FREE char *headers = xasprintf("%s%.*s\r\n", POSTED, (int)strcspn(id, "\n"), id);
	AUTO(reply) *stream = ask(site, "POST", headers,
				  REQUEST("7", "tools/call", "{\"name\":\"act\",\"arguments\":{\"do\":\"ask\"}}"));
	sem_wait(&site->queued);
	pthread_t worker;
	assert_int_equal(pthread_create(&worker, NULL, work_all, site->lab), 0);
	read_until(stream, "data: {\"jsonrpc\":\"2.0\",\"id\":\"ask-1\",\"method\":\"roots/list\",\"params\":{}}\n\n");
	AUTO(reply) *answered =
		ask_all(site, "POST", headers, "{\"jsonrpc\":\"2.0\",\"id\":\"ask-1\",\"result\":{\"text\":\"here\"}}");
	assert_int_equal(answered->status, 202);
	read_until(stream, NULL);
	assert_non_null(strstr(stream->body.p, "{\"type\":\"text\",\"text\":\"here\"}"));
	pthread_join(worker, NULL);
}

static void a_batch_is_answered_as_one(void **state)
{
	(void)state;
	AUTO(site) *site = site_new();
	char session[256];
	begin_session(site, "2025-03-26", session);
	AUTO_FREE char *headers = xasprintf("%s%s", POSTED, session);
	AUTO(reply) *batch = ask_all(site, "POST", headers, "[" PING "," REQUEST("8", "ping", "{}") "]");
	assert_int_equal(batch->status, 200);
	assert_string_equal(batch->body.p, "[" PONG ",{\"jsonrpc\":\"2.0\",\"id\":8,\"result\":{}}]");
	AUTO(reply) *told = ask_all(site, "POST", headers, "[" INITIALIZED "]");
	assert_int_equal(told->status, 202);
	assert_int_equal(told->body.n, 0);
	begin_session(site, "2025-06-18", session);
	AUTO_FREE char *later = xasprintf("%s%s", POSTED, session);
	AUTO(reply) *refused = ask_all(site, "POST", later, "[" PING "]");
	assert_int_equal(refused->status, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handshake_begins_a_session),
		cmocka_unit_test(a_session_is_asked_for_by_its_id),
		cmocka_unit_test(an_id_outlives_the_server_and_not_its_end),
		cmocka_unit_test(a_session_has_one_stream),
		cmocka_unit_test(what_is_no_message_is_refused),
		cmocka_unit_test(checks_have_an_order),
		cmocka_unit_test(headers_say_what_the_body_says),
		cmocka_unit_test(an_answer_becomes_a_stream_with_its_first_notification),
		cmocka_unit_test(a_slow_answer_becomes_a_stream),
		cmocka_unit_test(a_client_that_is_gone_has_cancelled_what_stands_alone),
		cmocka_unit_test(who_listens_has_a_stream_until_its_end),
		cmocka_unit_test(a_client_is_asked_on_the_stream_of_its_request),
		cmocka_unit_test(a_batch_is_answered_as_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
