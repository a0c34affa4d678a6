#include "base/limits.h"
#include "base/mem.h"
#include "http/client.h"
#include "http/trust.h"
#include "http/wiping_memory.h"
#include "http_server.h"
#include "os/loop.h"
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include "skips.h"
#include <signal.h>

/* What became of a request, kept after its callback. */
struct outcome {
	int calls;
	enum http_end end;
	int status, version;
	bool reused;
	char *body;
	size_t body_n;
	struct err err;
	char location[256];
};

struct bench {
	struct loop *loop;
	struct http_client *client;
	struct server *plain, *tls;
	int ca;
};

static struct bench b;

static void on_done(void *context, struct http_answer *answer)
{
	struct outcome *o = context;
	o->calls++;
	o->end = answer->end;
	o->status = answer->status;
	o->version = answer->http_version;
	o->reused = answer->reused;
	o->err = answer->err;
	struct str location;
	if (http_answer_header(answer, S("LOCATION"), &location))
		snprintf(o->location, sizeof o->location, "%.*s", STR_FMT(location));
	o->body = buf_steal(&answer->body, &o->body_n);
}

static void outcome_release(struct outcome *o)
{
	free(o->body);
}
#define AUTO_OUTCOME __attribute__((cleanup(outcome_release))) struct outcome

static struct sockaddr_storage address;

static struct http_call call_to(struct server *server, const char *url, struct outcome *o)
{
	address = server_address(server);
	return (struct http_call){.pool = S("pool"),
				  .method = S("GET"),
				  .url = str_from(url),
				  .peer = S("peer"),
				  .address = &address,
				  .coding = HTTP_CODING_GZIP,
				  .headers_max = 64 << 10,
				  .body_max = 1 << 20,
				  .connect_ms = 5000,
				  .total_ms = 20000,
				  .done = on_done,
				  .context = o};
}

static void wait_for(struct outcome *o)
{
	while (o->calls == 0)
		loop_turn(b.loop, true);
}

static char *url_of(struct server *server, const char *host, const char *path)
{
	return xasprintf("%s://%s:%u%s", server->kind == SERVER_PLAIN ? "http" : "https", host, server->port, path);
}

static void fetch(struct server *server, const char *path, struct outcome *o)
{
	AUTO_FREE char *url = url_of(server, "localhost", path);
	struct http_call call = call_to(server, url, o);
	assert_non_null(http_start(b.client, &call, NULL));
	wait_for(o);
}

static void new_client(void)
{
	http_client_free(b.client);
	struct http_client_options options = {.loop = b.loop, .buffered_max = 64 << 20};
	b.client = http_client_new(&options, NULL);
	assert_non_null(b.client);
	http_client_set_ca(b.client, b.ca);
}

static void assert_body(const struct outcome *o, const char *body)
{
	assert_int_equal(o->end, HTTP_ANSWERED);
	assert_int_equal(o->body_n, strlen(body));
	assert_memory_equal(o->body, body, o->body_n);
}

static void fetches_over_plain_http_and_tls(void **state)
{
	(void)state;
	struct server *servers[] = {b.plain, b.tls};
	for (size_t i = 0; i < 2; i++) {
		AUTO_OUTCOME o = {0};
		fetch(servers[i], "/hello", &o);
		assert_int_equal(o.status, 200);
		assert_int_equal(o.version, 11);
		assert_body(&o, "hello");
	}
}

static void sends_nothing_that_was_not_asked_for(void **state)
{
	(void)state;
	AUTO_OUTCOME o = {0};
	AUTO_FREE char *url = url_of(b.plain, "localhost", "/echo?q=%20");
	const char *headers[] = {"X-One: 1", "X-Empty: ", "User-Agent: mine"};
	struct http_call call = call_to(b.plain, url, &o);
	call.headers = headers;
	call.n_headers = ARRAY_LEN(headers);
	call.coding = HTTP_CODING_ANY;
	assert_non_null(http_start(b.client, &call, NULL));
	wait_for(&o);
	AUTO_FREE char *expected =
		xasprintf("GET /echo?q=%%20 HTTP/1.1\r\nHost: localhost:%u\r\nX-One: 1\r\nX-Empty:\r\n"
			  "User-Agent: mine\r\n\r\n",
			  b.plain->port);
	assert_body(&o, expected);
}

static void send_method(const char *method, const char *body, struct outcome *o)
{
	AUTO_FREE char *url = url_of(b.tls, "localhost", "/body");
	struct http_call call = call_to(b.tls, url, o);
	call.method = str_from(method);
	call.body = str_from(body);
	assert_non_null(http_start(b.client, &call, NULL));
	wait_for(o);
}

static void methods_and_bodies_arrive(void **state)
{
	(void)state;
	static const struct {
		const char *method, *body;
		bool has_length;
	} rows[] = {{"POST", "some body", true}, {"PUT", "x", true},    {"PATCH", "{}", true},
		    {"POST", "", true},          {"DELETE", "", false}, {"GET", "odd", true},
		    {"get", "", false},          {"PURGE", "", false},  {"DELETE", "with body", true}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_OUTCOME o = {0};
		send_method(rows[i].method, rows[i].body, &o);
		assert_body(&o, rows[i].body);
		AUTO_FREE char *head = server_last_head(b.tls);
		AUTO_FREE char *start = xasprintf("%s /body HTTP/1.1\r\n", rows[i].method);
		assert_memory_equal(head, start, strlen(start));
		assert_int_equal(strstr(head, "Content-Length:") != NULL, rows[i].has_length);
		assert_null(strstr(head, "Content-Type:"));
		assert_null(strstr(head, "Expect:"));
	}
}

static void head_has_no_body(void **state)
{
	(void)state;
	AUTO_OUTCOME o = {0};
	AUTO_FREE char *url = url_of(b.plain, "localhost", "/hello");
	struct http_call call = call_to(b.plain, url, &o);
	call.method = S("HEAD");
	assert_non_null(http_start(b.client, &call, NULL));
	wait_for(&o);
	assert_int_equal(o.status, 200);
	assert_body(&o, "");
}

static void gzip_is_decoded_only_when_asked(void **state)
{
	(void)state;
	AUTO_OUTCOME decoded = {0}, raw = {0};
	fetch(b.tls, "/gzip", &decoded);
	assert_body(&decoded, "hello");

	AUTO_FREE char *url = url_of(b.tls, "localhost", "/gzip");
	struct http_call call = call_to(b.tls, url, &raw);
	call.coding = HTTP_CODING_ANY;
	assert_non_null(http_start(b.client, &call, NULL));
	wait_for(&raw);
	assert_int_equal(raw.body_n, sizeof gzip_hello);
	assert_memory_equal(raw.body, gzip_hello, raw.body_n);
}

static void redirects_are_answers(void **state)
{
	(void)state;
	AUTO_OUTCOME o = {0};
	fetch(b.plain, "/redirect/302//elsewhere", &o);
	assert_int_equal(o.end, HTTP_ANSWERED);
	assert_int_equal(o.status, 302);
	assert_string_equal(o.location, "/elsewhere");
}

static void interim_answers_and_trailers_are_not_the_answer(void **state)
{
	(void)state;
	AUTO_OUTCOME early = {0}, trailer = {0};
	fetch(b.plain, "/early", &early);
	assert_int_equal(early.status, 200);
	assert_body(&early, "early");
	assert_string_equal(early.location, "");
	fetch(b.plain, "/trailer", &trailer);
	assert_body(&trailer, "trailed");
	assert_int_equal(trailer.status, 200);
	assert_string_equal(trailer.location, "");
}

static void hostile_answers_fail_clearly(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		enum http_end end;
		int status;
		const char *says;
	} rows[] = {
		{"/badchunk", HTTP_FAILED, 200, "broke while reading"},
		{"/truncated", HTTP_FAILED, 200, "ended early"},
		{"/headers", HTTP_FAILED, 0, "the headers from 'peer' are larger than 65536 bytes"},
		{"/interim", HTTP_FAILED, 0, "the headers from 'peer' are larger than 65536 bytes"},
		{"/endless", HTTP_BODY_TOO_LARGE, 200, ""},
		{"/big/1048577", HTTP_BODY_TOO_LARGE, 200, ""},
		{"/bomb", HTTP_BODY_TOO_LARGE, 200, ""},
		{"/badgzip", HTTP_FAILED, 200, "cannot be decompressed"},
		{"/close", HTTP_FAILED, 0, "closed the connection"},
		{"/garbage", HTTP_FAILED, 0, "is not HTTP"},
	};
	struct server *servers[] = {b.plain, b.tls};
	for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		size_t row = i / 2;
		AUTO_OUTCOME o = {0};
		fetch(servers[i % 2], rows[row].path, &o);
		if (o.end != rows[row].end || o.status != rows[row].status ||
		    strstr(o.err.message, rows[row].says) == NULL)
			fail_msg("%s (%s): end %d, status %d, '%s'", rows[row].path, i % 2 == 0 ? "plain" : "tls",
				 (int)o.end, o.status, o.err.message);
		assert_int_equal(o.err.class, o.end == HTTP_FAILED ? ERR_NETWORK_ERROR : ERR_NONE);
		assert_int_equal(http_client_open(b.client), 0);
		assert_int_equal(http_client_buffered(b.client), 0);
	}
}

static void exactly_the_cap_is_allowed(void **state)
{
	(void)state;
	AUTO_OUTCOME o = {0};
	fetch(b.tls, "/big/1048576", &o);
	assert_int_equal(o.end, HTTP_ANSWERED);
	assert_int_equal(o.body_n, 1 << 20);
}

static void time_runs_out(void **state)
{
	(void)state;
	static const char *const paths[] = {"/hang", "/drip"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		AUTO_OUTCOME o = {0};
		AUTO_FREE char *url = url_of(b.tls, "localhost", paths[i]);
		struct http_call call = call_to(b.tls, url, &o);
		call.total_ms = 150;
		assert_non_null(http_start(b.client, &call, NULL));
		wait_for(&o);
		assert_int_equal(o.end, HTTP_FAILED);
		assert_string_equal(o.err.message, "no answer in time from 'peer'");
	}
}

static void certificates_are_checked(void **state)
{
	(void)state;
	struct server *wrong = server_start(SERVER_WRONG_NAME);
	AUTO_OUTCOME wrong_name = {0}, unknown = {0}, by_address = {0}, not_tls = {0};
	fetch(wrong, "/hello", &wrong_name);
	assert_int_equal(wrong_name.end, HTTP_FAILED);
	assert_non_null(strstr(wrong_name.err.message, "the certificate of 'peer' is not trusted"));
	assert_int_equal(atomic_load(&wrong->requests), 0);
	server_stop(wrong);

	AUTO_FREE char *url = url_of(b.tls, "127.0.0.1", "/hello");
	struct http_call call = call_to(b.tls, url, &by_address);
	assert_non_null(http_start(b.client, &call, NULL));
	wait_for(&by_address);
	assert_body(&by_address, "hello");

	AUTO_FREE char *plain_url = xasprintf("https://localhost:%u/hello", b.plain->port);
	call = call_to(b.plain, plain_url, &not_tls);
	assert_non_null(http_start(b.client, &call, NULL));
	wait_for(&not_tls);
	assert_int_equal(not_tls.end, HTTP_FAILED);
	assert_non_null(strstr(not_tls.err.message, "the TLS handshake with 'peer' failed"));

	/* With the system's bundle the test's authority is unknown. */
	new_client();
	http_client_set_ca(b.client, -1);
	fetch(b.tls, "/hello", &unknown);
	assert_int_equal(unknown.end, HTTP_FAILED);
	assert_non_null(strstr(unknown.err.message, "the certificate of 'peer' is not trusted"));
	new_client();
}

/* The authority is found by what its name means, not by how the leaf spells it. */
static void issuers_are_compared_as_names(void **state)
{
	(void)state;
	struct server *odd = server_start(SERVER_ODD_ISSUER);
	new_client();
	AUTO_OUTCOME o = {0};
	fetch(odd, "/hello", &o);
	assert_body(&o, "hello");
	server_stop(odd);
}

/* A name that no resolver knows: only the given address can have been dialled, and the certificate is the name's. */
static void the_given_address_is_dialled(void **state)
{
	(void)state;
	AUTO_OUTCOME o = {0};
	AUTO_FREE char *url = url_of(b.tls, "api.test", "/echo");
	struct http_call call = call_to(b.tls, url, &o);
	assert_non_null(http_start(b.client, &call, NULL));
	wait_for(&o);
	assert_int_equal(o.status, 200);
	AUTO_FREE char *host = xasprintf("\r\nHost: api.test:%u\r\n", b.tls->port);
	assert_non_null(strstr(o.body, host));
}

/* The kernel takes the connection, nobody answers. */
static void a_silent_peer_does_not_hold_the_handshake(void **state)
{
	(void)state;
	struct http_client_options options = {.loop = b.loop, .buffered_max = 1 << 20, .handshake_ms = 100};
	http_client_free(b.client);
	b.client = http_client_new(&options, NULL);
	http_client_set_ca(b.client, b.ca);
	struct server silent = {.kind = SERVER_TLS, .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof at;
	assert_int_equal(bind(silent.listener, (struct sockaddr *)&at, n), 0);
	assert_int_equal(listen(silent.listener, 8), 0);
	assert_int_equal(getsockname(silent.listener, (struct sockaddr *)&at, &n), 0);
	silent.port = ntohs(at.sin_port);
	AUTO_OUTCOME o = {0}, connecting = {0};
	fetch(&silent, "/", &o);
	assert_int_equal(o.end, HTTP_FAILED);
	assert_string_equal(o.err.message, "the TLS handshake with 'peer' took too long");

	new_client();
	AUTO_FREE char *url = url_of(&silent, "localhost", "/");
	struct http_call call = call_to(&silent, url, &connecting);
	call.connect_ms = 100;
	assert_non_null(http_start(b.client, &call, NULL));
	wait_for(&connecting);
	assert_int_equal(connecting.end, HTTP_FAILED);
	assert_string_equal(connecting.err.message, "the TLS handshake with 'peer' took too long");
	close(silent.listener);
}

static void nothing_listens(void **state)
{
	(void)state;
	struct server *gone = server_start(SERVER_PLAIN);
	AUTO_OUTCOME o = {0};
	AUTO_FREE char *url = url_of(gone, "localhost", "/");
	struct http_call call = call_to(gone, url, &o);
	server_stop(gone);
	assert_non_null(http_start(b.client, &call, NULL));
	wait_for(&o);
	assert_int_equal(o.end, HTTP_UNREACHABLE);
	assert_string_equal(o.err.message, "cannot connect to 'peer': Connection refused");
}

static void the_environment_is_not_asked(void **state)
{
	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	setenv("SSL_CERT_FILE", "/nonexistent", 1);
	AUTO_OUTCOME plain = {0}, tls = {0};
	fetch(b.plain, "/hello", &plain);
	assert_body(&plain, "hello");
	fetch(b.tls, "/hello", &tls);
	assert_body(&tls, "hello");
	unsetenv("http_proxy");
	unsetenv("https_proxy");
	unsetenv("ALL_PROXY");
	unsetenv("SSL_CERT_FILE");
}

static void fetch_in(const char *pool, const char *path, struct outcome *o)
{
	AUTO_FREE char *url = url_of(b.tls, "localhost", path);
	struct http_call call = call_to(b.tls, url, o);
	call.pool = str_from(pool);
	assert_non_null(http_start(b.client, &call, NULL));
	wait_for(o);
}

static void connections_are_kept_within_a_pool(void **state)
{
	(void)state;
	new_client();
	int before = atomic_load(&b.tls->connections);
	for (int i = 0; i < 20; i++) {
		AUTO_OUTCOME o = {0};
		fetch_in(i % 2 == 0 ? "even" : "odd", "/hello", &o);
		assert_body(&o, "hello");
		assert_int_equal(o.reused, i >= 2);
	}
	assert_int_equal(atomic_load(&b.tls->connections) - before, 2);
}

static void pools_above_the_limit_are_closed(void **state)
{
	(void)state;
	new_client();
	int before = atomic_load(&b.tls->connections);
	for (int i = 0; i <= HTTP_POOLS_MAX; i++) {
		AUTO_OUTCOME o = {0};
		char name[16];
		snprintf(name, sizeof name, "%d", i);
		fetch_in(name, "/hello", &o);
		assert_false(o.reused);
	}
	AUTO_OUTCOME newest = {0}, oldest = {0};
	fetch_in("32", "/hello", &newest);
	assert_true(newest.reused);
	fetch_in("0", "/hello", &oldest);
	assert_false(oldest.reused);
	assert_int_equal(atomic_load(&b.tls->connections) - before, HTTP_POOLS_MAX + 2);
}

/* The server takes the second request of a connection and hangs up: a GET is repeated, a POST is not. */
static void only_what_is_idempotent_is_repeated(void **state)
{
	(void)state;
	new_client();
	AUTO_OUTCOME first = {0}, second = {0};
	fetch(b.plain, "/dropsecond", &first);
	assert_body(&first, "hello");
	fetch(b.plain, "/dropsecond", &second);
	assert_body(&second, "hello");

	int before = atomic_load(&b.plain->requests);
	AUTO_OUTCOME post = {0};
	AUTO_FREE char *url = url_of(b.plain, "localhost", "/dropsecond");
	struct http_call call = call_to(b.plain, url, &post);
	call.method = S("POST");
	call.body = S("pay 100");
	assert_non_null(http_start(b.client, &call, NULL));
	wait_for(&post);
	assert_int_equal(post.end, HTTP_FAILED);
	assert_int_equal(atomic_load(&b.plain->requests) - before, 1);
	assert_non_null(strstr(post.err.message, "not sent twice"));

	/* Without a body there is no second look, so such a request gets a connection of its own. */
	AUTO_OUTCOME again = {0}, bare = {0};
	fetch(b.plain, "/hello", &again);
	call = call_to(b.plain, url, &bare);
	call.method = S("POST");
	before = atomic_load(&b.plain->requests);
	assert_non_null(http_start(b.client, &call, NULL));
	wait_for(&bare);
	assert_int_equal(bare.end, HTTP_ANSWERED);
	assert_false(bare.reused);
	assert_int_equal(atomic_load(&b.plain->requests) - before, 1);
}

static void a_cancelled_request_is_never_heard_of_again(void **state)
{
	(void)state;
	new_client();
	AUTO_OUTCOME hung = {0}, fine = {0};
	AUTO_FREE char *url = url_of(b.tls, "localhost", "/hang");
	struct http_call call = call_to(b.tls, url, &hung);
	int before = atomic_load(&b.tls->requests);
	struct http_transfer *transfer = http_start(b.client, &call, NULL);
	while (atomic_load(&b.tls->requests) == before)
		loop_turn(b.loop, false);
	http_cancel(transfer);
	assert_int_equal(http_client_open(b.client), 0);
	fetch(b.tls, "/hello", &fine);
	assert_body(&fine, "hello");
	assert_int_equal(hung.calls, 0);
	while (atomic_load(&b.tls->live) > 1) /* the hung one's connection goes */
		loop_turn(b.loop, false);
}

static void many_at_once(void **state)
{
	(void)state;
	enum { N = 64 };
	static struct outcome outcomes[N];
	memset(outcomes, 0, sizeof outcomes);
	AUTO_FREE char *url = url_of(b.tls, "localhost", "/big/100000");
	for (int i = 0; i < N; i++) {
		struct http_call call = call_to(b.tls, url, &outcomes[i]);
		assert_non_null(http_start(b.client, &call, NULL));
	}
	for (int i = 0; i < N; i++) {
		wait_for(&outcomes[i]);
		assert_int_equal(outcomes[i].end, HTTP_ANSWERED);
		assert_int_equal(outcomes[i].body_n, 100000);
		outcome_release(&outcomes[i]);
	}
}

static void limit_buffered(size_t mark)
{
	http_client_free(b.client);
	struct http_client_options options = {.loop = b.loop, .buffered_max = mark};
	b.client = http_client_new(&options, NULL);
}

enum { UNFINISHED = 10, EACH = 1000000 };

/* Ten answers of which a megabyte each comes and then nothing, in as many pools as told; until `mark` bytes are there. */
static void collect_unfinished(size_t pools, size_t mark, struct http_transfer *transfers[UNFINISHED],
			       struct outcome outcomes[UNFINISHED])
{
	static const struct str names[] = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}};
	AUTO_FREE char *url = url_of(b.plain, "localhost", "/half/1000000");
	for (size_t i = 0; i < UNFINISHED; i++) {
		struct http_call call = call_to(b.plain, url, &outcomes[i]);
		call.pool = names[i % pools];
		transfers[i] = http_start(b.client, &call, NULL);
		assert_non_null(transfers[i]);
	}
	while (http_client_buffered(b.client) < mark)
		loop_turn(b.loop, true);
	for (int i = 0; i < 5000; i++)
		loop_turn(b.loop, false);
}

/* The oldest gets its own, the others stop at the mark; what is small comes through. */
static void transfers_pause_above_the_mark(void **state)
{
	(void)state;
	enum { MARK = 4 << 20 };
	limit_buffered(MARK);
	static struct outcome outcomes[UNFINISHED];
	struct http_transfer *transfers[UNFINISHED];
	collect_unfinished(5, MARK, transfers, outcomes);
	assert_true(http_client_buffered(b.client) < MARK + EACH + UNFINISHED * HTTP_FLOOR);
	AUTO_OUTCOME small = {0};
	fetch(b.plain, "/big/60000", &small);
	assert_int_equal(small.body_n, 60000);
	for (int i = 0; i < UNFINISHED; i++) {
		http_cancel(transfers[i]);
		assert_int_equal(outcomes[i].calls, 0);
	}
	assert_int_equal(http_client_buffered(b.client), 0);
	new_client();
}

/* Answers of one pool stop at its share, and another pool's large ones come through. */
static void a_pool_has_a_share(void **state)
{
	(void)state;
	enum { MARK = 4 << 20, SHARE = MARK / HTTP_POOL_SHARE };
	limit_buffered(MARK);
	static struct outcome outcomes[UNFINISHED];
	struct http_transfer *transfers[UNFINISHED];
	collect_unfinished(1, SHARE, transfers, outcomes);
	assert_true(http_client_buffered(b.client) < SHARE + EACH + UNFINISHED * HTTP_FLOOR);
	AUTO_OUTCOME large = {0};
	fetch(b.plain, "/big/1000000", &large);
	assert_int_equal(large.body_n, 1000000);
	for (int i = 0; i < UNFINISHED; i++)
		http_cancel(transfers[i]);
	assert_int_equal(http_client_buffered(b.client), 0);
	new_client();
}

/* However fast an answer comes, no turn of the loop takes more than a slice and what libcurl holds. */
static void a_fast_answer_comes_in_slices(void **state)
{
	(void)state;
	enum { N = 16 << 20 };
	new_client();
	AUTO_OUTCOME o = {0};
	AUTO_FREE char *url = url_of(b.plain, "localhost", "/big/16777216");
	struct http_call call = call_to(b.plain, url, &o);
	call.body_max = N;
	assert_non_null(http_start(b.client, &call, NULL));
	size_t before = 0, most = 0;
	while (o.calls == 0) {
		loop_turn(b.loop, true);
		size_t now = o.calls == 0 ? http_client_buffered(b.client) : N;
		most = now - before > most ? now - before : most;
		before = now;
	}
	assert_int_equal(o.body_n, N);
	assert_true(most <= 2 * HTTP_SLICE);
}

/* Bytes that libcurl held back may be too many only when they are let go. */
static void a_paused_answer_may_break(void **state)
{
	(void)state;
	new_client();
	AUTO_OUTCOME o = {0};
	AUTO_FREE char *url = url_of(b.plain, "localhost", "/burst");
	struct http_call call = call_to(b.plain, url, &o);
	call.body_max = HTTP_SLICE + HTTP_SLICE / 2;
	call.total_ms = 0; /* nothing else ends it */
	assert_non_null(http_start(b.client, &call, NULL));
	wait_for(&o);
	assert_int_equal(o.end, HTTP_BODY_TOO_LARGE);
	assert_int_equal(http_client_open(b.client), 0);
}

/* More answers than fit together all come to their end, one after the other. */
static void paused_transfers_go_on(void **state)
{
	(void)state;
	enum { N = 40 };
	limit_buffered(1 << 20);
	static struct outcome outcomes[N];
	memset(outcomes, 0, sizeof outcomes);
	AUTO_FREE char *url = url_of(b.plain, "localhost", "/big/1000000");
	for (int i = 0; i < N; i++) {
		struct http_call call = call_to(b.plain, url, &outcomes[i]);
		assert_non_null(http_start(b.client, &call, NULL));
	}
	for (int i = 0; i < N; i++) {
		wait_for(&outcomes[i]);
		assert_int_equal(outcomes[i].body_n, 1000000);
		outcome_release(&outcomes[i]);
	}
	assert_int_equal(http_client_buffered(b.client), 0);
	new_client();
}

static void answers_that_wait_elsewhere_stop_all(void **state)
{
	(void)state;
	new_client();
	AUTO_OUTCOME o = {0};
	AUTO_FREE char *url = url_of(b.plain, "localhost", "/big/1000000");
	struct http_call call = call_to(b.plain, url, &o);
	http_client_outside(b.client, 64 << 20);
	int before = atomic_load(&b.plain->requests);
	assert_non_null(http_start(b.client, &call, NULL));
	while (atomic_load(&b.plain->requests) == before)
		loop_turn(b.loop, false);
	for (int i = 0; i < 1000; i++)
		loop_turn(b.loop, false);
	assert_int_equal(o.calls, 0);
	assert_int_equal(http_client_buffered(b.client), 0);
	http_client_outside(b.client, 0);
	wait_for(&o);
	assert_int_equal(o.body_n, 1000000);
}

/* A server that accepts and says nothing holds the handshake; freeing the client in the middle leaves nothing. */
static void freeing_in_the_middle_of_everything(void **state)
{
	(void)state;
	static struct outcome outcomes[3];
	memset(outcomes, 0, sizeof outcomes);
	const char *paths[] = {"/hang", "/drip", "/endless"};
	for (size_t i = 0; i < 3; i++) {
		AUTO_FREE char *url = url_of(b.tls, "localhost", paths[i]);
		struct http_call call = call_to(b.tls, url, &outcomes[i]);
		assert_non_null(http_start(b.client, &call, NULL));
	}
	for (int i = 0; i < 5; i++)
		loop_turn(b.loop, true);
	new_client();
	for (size_t i = 0; i < 3; i++) {
		assert_true(outcomes[i].calls == 0 || i == 2);
		outcome_release(&outcomes[i]);
	}
}

static void the_system_bundle_is_indexed_and_not_parsed(void **state)
{
	(void)state;
	struct err err = {0};
	AUTO(trust) *trust = trust_new_system(&err);
	if (trust == NULL)
		skip_because(err.message);
	assert_true(trust_size(trust) > 20);
	assert_int_equal(trust_parsed(trust), 0);
}

static void bad_bundles_are_refused(void **state)
{
	(void)state;
	struct err err = {0};
	assert_null(trust_new(S(""), "f", &err));
	assert_string_equal(err.message, "'f' holds no certificate in PEM form");
	assert_null(trust_new(S("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "f", &err));
	assert_string_equal(err.message, "'f': certificate 1 is not valid DER");
	assert_null(trust_new(S("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"), "f", &err));
	assert_string_equal(err.message, "'f': certificate 1 is not valid base64");
	assert_int_equal(err.class, ERR_PARSE_ERROR);
	assert_null(trust_new(S("-----BEGIN CERTIFICATE-----\nAAAA\n"), "f", &err));
	assert_string_equal(err.message, "'f': certificate 1 has no end");
}

static void freed_memory_is_wiped(void **state)
{
	(void)state;
	char *p = wiping_malloc(64);
	memset(p, 's', 64);
	char *grown = wiping_realloc(p, 100000);
	assert_int_equal(grown[0], 's');
	assert_int_equal(grown[63], 's');
	wiping_free(grown);
	char *zeros = wiping_calloc(3, 5);
	assert_int_equal(zeros[14], 0);
	wiping_free(zeros);
	wiping_free(NULL);
}

static int set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	b.loop = loop_new(NULL);
	b.plain = server_start(SERVER_PLAIN);
	b.tls = server_start(SERVER_TLS);
	b.ca = server_ca_fd();
	new_client();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	http_client_free(b.client);
	loop_free(b.loop);
	server_stop(b.plain);
	server_stop(b.tls);
	close(b.ca);
	X509_free(server_ca);
	EVP_PKEY_free(server_ca_key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fetches_over_plain_http_and_tls),
		cmocka_unit_test(sends_nothing_that_was_not_asked_for),
		cmocka_unit_test(methods_and_bodies_arrive),
		cmocka_unit_test(head_has_no_body),
		cmocka_unit_test(gzip_is_decoded_only_when_asked),
		cmocka_unit_test(redirects_are_answers),
		cmocka_unit_test(interim_answers_and_trailers_are_not_the_answer),
		cmocka_unit_test(hostile_answers_fail_clearly),
		cmocka_unit_test(exactly_the_cap_is_allowed),
		cmocka_unit_test(time_runs_out),
		cmocka_unit_test(certificates_are_checked),
		cmocka_unit_test(issuers_are_compared_as_names),
		cmocka_unit_test(the_given_address_is_dialled),
		cmocka_unit_test(a_silent_peer_does_not_hold_the_handshake),
		cmocka_unit_test(nothing_listens),
		cmocka_unit_test(the_environment_is_not_asked),
		cmocka_unit_test(connections_are_kept_within_a_pool),
		cmocka_unit_test(pools_above_the_limit_are_closed),
		cmocka_unit_test(only_what_is_idempotent_is_repeated),
		cmocka_unit_test(a_cancelled_request_is_never_heard_of_again),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(transfers_pause_above_the_mark),
		cmocka_unit_test(a_pool_has_a_share),
		cmocka_unit_test(a_fast_answer_comes_in_slices),
		cmocka_unit_test(a_paused_answer_may_break),
		cmocka_unit_test(paused_transfers_go_on),
		cmocka_unit_test(answers_that_wait_elsewhere_stop_all),
		cmocka_unit_test(freeing_in_the_middle_of_everything),
		cmocka_unit_test(the_system_bundle_is_indexed_and_not_parsed),
		cmocka_unit_test(bad_bundles_are_refused),
		cmocka_unit_test(freed_memory_is_wiped),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
