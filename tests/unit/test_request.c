#include "base/arena.h"
#include "base/limits.h"
#include "base/mem.h"
#include "egress/request.h"
#include "egress/resolve.h"
#include "egress/watchlist.h"
#include "http/client.h"
#include "http_server.h"
#include "os/loop.h"
#include <net/if.h>
#include <netdb.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <cmocka.h>
#include "skips.h"

#define SECRET "s3cr3t-token-0123456789"

/* What became of a request, kept after its callback. */
struct outcome {
	int calls;
	int32_t rc, status;
	struct err err;
	char *body;
	size_t body_n;
	char note[512];
};

struct bench {
	struct server *tls, *other, *plain;
	struct egress_net net;
	int ca;
	atomic_int lookups;
};
static struct bench b;
static bool isolated; /* nothing but loopback can be reached: other addresses may be tried */

/* Names of this test: none of them is asked of a real resolver. */
static int lookup(void *context, const char *host, struct sockaddr_storage ret[RESOLVE_ADDRESSES_MAX], size_t *ret_n)
{
	(void)context;
	static const struct {
		const char *host, *addresses[3];
	} names[] = {
		{"localhost", {"127.0.0.1"}},
		{"two.test", {"127.0.0.2", "127.0.0.1"}}, /* nobody listens on the first */
		{"dead.test", {"127.0.0.2", "127.0.0.3"}},
		{"mixed.test", {"93.184.216.34", "127.0.0.1"}}, /* one address is refused */
		{"public.test", {"93.184.216.34"}},             /* a credential over plain http */
		{"rebound.test", {"169.254.169.254"}},
	};
	atomic_fetch_add(&b.lookups, 1);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i].host, host) != 0)
			continue;
		size_t n = 0;
		for (; n < 3 && names[i].addresses[n] != NULL; n++) {
			struct sockaddr_in a = {.sin_family = AF_INET};
			inet_pton(AF_INET, names[i].addresses[n], &a.sin_addr);
			memcpy(&ret[n], &a, sizeof a);
		}
		*ret_n = n;
		return 0;
	}
	return EAI_NONAME;
}

/* ---- a grant that reaches the test's servers by the names of their certificates ---- */

struct permit {
	struct egress_grant grant;
	struct egress_opening openings[8];
	struct str hosts[16];
	char texts[16][64];
	struct secret *secret;
	struct watchlist *watchlist; /* made by the first request */
};

static void allow(struct permit *p, const char *host, uint16_t port)
{
	char *text = p->texts[p->grant.n_hosts];
	snprintf(text, sizeof p->texts[0], "%s:%u", host, port);
	p->hosts[p->grant.n_hosts++] = str_from(text);
}

static void open_address(struct permit *p, const char *host, uint16_t port, const char *address)
{
	p->openings[p->grant.n_openings++] = (struct egress_opening){
		.host = str_from(host), .port = port, .address = str_from(address), .address_port = port};
}

static void make_permit(struct permit *p)
{
	*p = (struct permit){0};
	p->grant.connector = S("github.com/a/b");
	p->grant.version = S("1.0.0");
	p->grant.hosts = p->hosts;
	p->grant.openings = p->openings;
	p->grant.request_max = 1 << 20;
	p->grant.response_max = 1 << 20;
	p->grant.pool = S("pool");
	const struct server *servers[] = {b.tls, b.other, b.plain};
	for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
		allow(p, "api.test", servers[i]->port);
		open_address(p, "api.test", servers[i]->port, "127.0.0.1");
	}
	allow(p, "other.test", b.tls->port);
	open_address(p, "other.test", b.tls->port, "127.0.0.1");
}

static void give_key(struct permit *p, enum credential_kind kind, const char *header, const char *format)
{
	p->grant.declared = p->grant.bound = kind;
	p->grant.binding = BINDING_FOUND;
	p->grant.header = str_from(header);
	p->grant.format = str_from(format);
	p->grant.access_key_id = S("AKIAEXAMPLE");
	p->grant.username = S("user");
	p->secret = secret_from(S(SECRET), NULL);
	assert_non_null(p->secret);
	p->grant.secret = p->secret;
}

static void permit_release(struct permit *p)
{
	watchlist_free(p->watchlist);
	secret_free(p->secret);
}
#define AUTO_PERMIT __attribute__((cleanup(permit_release))) struct permit

/* ---- asking ---- */

static void on_done(void *context, struct egress_result *result)
{
	struct outcome *o = context;
	o->calls++;
	o->rc = result->rc;
	o->status = result->status;
	o->err = result->err;
	free(o->body);
	o->body = str_dup(result->body);
	o->body_n = result->body.n;
	snprintf(o->note, sizeof o->note, "%.*s", STR_FMT(result->note));
}

static void outcome_release(struct outcome *o)
{
	free(o->body);
}
#define AUTO_OUTCOME __attribute__((cleanup(outcome_release))) struct outcome

static struct egress_request *start(struct permit *p, struct str envelope, uint64_t left, struct outcome *o)
{
	if (p->watchlist == NULL)
		p->watchlist = watchlist_new(p->secret, NULL);
	struct egress_ask ask = {.net = &b.net,
				 .grant = &p->grant,
				 .watchlist = p->watchlist,
				 .envelope = envelope,
				 .time_left_ns = left,
				 .trace = true,
				 .done = on_done,
				 .context = o};
	struct egress_request *request = egress_request_start(&ask);
	assert_int_equal(o->calls, 0); /* never from inside */
	return request;
}

static void wait_for(struct outcome *o)
{
	while (o->calls == 0)
		loop_turn(b.net.loop, true);
	assert_int_equal(o->calls, 1);
	assert_int_equal(http_client_open(b.net.http), 0);
}

static void ask_raw(struct permit *p, struct str envelope, struct outcome *o)
{
	start(p, envelope, 20 * TIME_SECOND, o);
	wait_for(o);
}

/* `more` is further members of the envelope, each with a comma before it. */
static void ask(struct permit *p, const char *url, const char *more, struct outcome *o)
{
	AUTO_FREE char *envelope = xasprintf("{\"url\":\"%s\"%s}", url, more);
	ask_raw(p, str_from(envelope), o);
}

static char *url_at(const char *scheme, const char *host, struct server *server, const char *path)
{
	return xasprintf("%s://%s:%u%s", scheme, host, server->port, path);
}

static void ask_path(struct permit *p, const char *path, const char *more, struct outcome *o)
{
	AUTO_FREE char *url = url_at("https", "api.test", b.tls, path);
	ask(p, url, more, o);
}

static void assert_fails(const struct outcome *o, int32_t rc, enum err_class class, const char *says)
{
	if (o->rc != rc || o->err.class != class || strstr(o->err.message, says) == NULL)
		fail_msg("rc %d, %s: '%s', but wanted rc %d, %s: '%s'", o->rc, err_row(o->err.class)->name,
			 o->err.message, rc, err_row(class)->name, says);
}

static bool has_detail(const struct outcome *o, const char *member)
{
	return strstr(o->err.details, member) != NULL;
}

/* ---- steps 1 to 3: the envelope ---- */

static void bad_envelopes_give_minus_two(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	static const struct {
		struct str envelope;
		const char *says;
	} rows[] = {
		{{"", 0}, "http_request: invalid memory range"},
		{{"{", 1}, "http_request: invalid JSON envelope: "},
		{{"{} x", 4}, "http_request: invalid JSON envelope: "},
		{{"[]", 2}, "http_request: invalid JSON envelope: "},
		{{"3", 1}, "http_request: invalid JSON envelope: "},
		{{"null", 4}, "http_request: empty URL"},
		{{"{}", 2}, "http_request: empty URL"},
		{{"{\"url\":\"\"}", 10}, "http_request: empty URL"},
		{{"{\"url\":null}", 12}, "http_request: empty URL"},
		{{"{\"url\":1}", 9}, "http_request: invalid JSON envelope: 'url' is of type integer"},
		{{"{\"url\":\"x\",\"body\":[]}", 21}, "'body' is of type array"},
		{{"{\"headers\":{\"a\":1}}", 19}, "'headers.*' is of type integer"},
		{{"{\"headers\":[]}", 14}, "'headers' is of type array"},
		{{"{\"method\":true}", 15}, "'method' is of type boolean"},
		{{"{\"credential\":{}}", 17}, "'credential' is of type object"},
		{{"{\"url\":\"\\u0000\"}", 16}, "http_request: invalid JSON envelope: "},
		{{"{\"url\":\"\xff\"}", 11}, "http_request: invalid JSON envelope: "},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_OUTCOME o = {0};
		ask_raw(&p, rows[i].envelope, &o);
		assert_fails(&o, -2, ERR_CONNECTOR_RUNTIME_ERROR, rows[i].says);
	}
	AUTO_BUF deep = BUF_INIT(4096);
	buf_add_z(&deep, "{\"x\":");
	for (int i = 0; i < 600; i++)
		buf_add_char(&deep, '[');
	AUTO_OUTCOME o = {0};
	ask_raw(&p, buf_str(&deep), &o);
	assert_fails(&o, -2, ERR_CONNECTOR_RUNTIME_ERROR, "http_request: invalid JSON envelope: ");
}

static void keys_are_read_as_go_reads_them(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	AUTO_FREE char *url = url_at("https", "api.test", b.tls, "/echo");
	AUTO_FREE char *envelope =
		xasprintf("{\"extra\":[1],\"URL\":\"ftp://wrong\",\"Url\":\"%s\",\"METHOD\":\"PUT\",\"method\":null,"
			  "\"headers\":{\"x-amz-target\":\"a\",\"X-AMZ-TARGET\":\"b\",\"x-none\":null},\"body\":null}",
			  url);
	AUTO_OUTCOME o = {0};
	ask_raw(&p, str_from(envelope), &o);
	assert_int_equal(o.rc, 0);
	assert_memory_equal(o.body, "GET /echo ", 10); /* the exact key is there, and null */
	assert_non_null(strstr(o.body, "\r\nX-Amz-Target: b\r\n"));
	assert_null(strstr(o.body, "X-None"));
	assert_null(strstr(o.body, "X-Amz-Target: a"));

	AUTO_FREE char *repeated = xasprintf("{\"url\":\"ftp://wrong\",\"url\":\"%s\",\"mEthod\":\"PUT\"}", url);
	AUTO_OUTCOME last = {0};
	ask_raw(&p, str_from(repeated), &last);
	assert_int_equal(last.rc, 0);
	assert_memory_equal(last.body, "PUT /echo ", 10);
}

/* ---- steps 4 to 7: the gate, the request, the credential ---- */

static void the_gate_decides_before_anything_else(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	int before = atomic_load(&b.lookups);
	AUTO_OUTCOME host = {0}, scheme = {0}, broken = {0}, first = {0}, narrowed = {0};
	ask(&p, "https://denied.test/x", "", &host);
	assert_fails(&host, -1, ERR_CAPABILITY_DENIED, "");
	assert_true(has_detail(&host, "\"requested\":\"network:denied.test:443\""));
	assert_memory_not_equal(host.err.message, "http_request: ", 14);
	ask(&p, "ftp://api.test/", "", &scheme);
	assert_fails(&scheme, -1, ERR_CAPABILITY_DENIED, "");
	ask(&p, "https://user:pw@api.test/", "", &broken);
	assert_fails(&broken, -1, ERR_CAPABILITY_DENIED, "");
	/* A bad method and a bad header are later steps. */
	ask(&p, "https://denied.test/x", ",\"method\":\"B D\",\"headers\":{\"a b\":\"\"}", &first);
	assert_fails(&first, -1, ERR_CAPABILITY_DENIED, "");

	static const struct str subset[] = {{"elsewhere.test:443", 18}};
	p.grant.subset = subset;
	p.grant.n_subset = 1;
	ask_path(&p, "/hello", "", &narrowed);
	assert_fails(&narrowed, -1, ERR_CAPABILITY_DENIED, "http_request: ");
	assert_true(has_detail(&narrowed, "\"boundary_detail\":\"action\""));
	assert_int_equal(atomic_load(&b.lookups), before);
}

static void what_cannot_be_sent_is_found_before_dialling(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	p.grant.request_max = 5;
	static const struct {
		const char *more, *says;
		enum err_class class;
	} rows[] = {
		{",\"method\":\"G T\"", "http_request: build: invalid method 'G T'", ERR_CONNECTOR_RUNTIME_ERROR},
		{",\"method\":\"CONNECT\"", "http_request: build: ", ERR_CONNECTOR_RUNTIME_ERROR},
		{",\"headers\":{\"a b\":\"1\"}", "http_request: header name 'a b'", ERR_CONNECTOR_RUNTIME_ERROR},
		{",\"headers\":{\"\":\"1\"}", "http_request: header name ''", ERR_CONNECTOR_RUNTIME_ERROR},
		{",\"headers\":{\"a\":\"1\\r\\nb: 2\"}", "http_request: the value of header 'a'",
		 ERR_CONNECTOR_RUNTIME_ERROR},
		{",\"body\":\"123456\"", "http_request: the request body is larger than 5",
		 ERR_RESOURCE_LIMIT_EXCEEDED},
	};
	int before = atomic_load(&b.tls->connections);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_OUTCOME o = {0};
		ask_path(&p, "/hello", rows[i].more, &o);
		assert_fails(&o, -1, rows[i].class, rows[i].says);
		if (rows[i].class == ERR_RESOURCE_LIMIT_EXCEEDED)
			assert_true(has_detail(&o, "\"limit\":\"request_body\""));
	}
	assert_int_equal(atomic_load(&b.tls->connections), before);
	AUTO_OUTCOME fits = {0};
	ask_path(&p, "/body", ",\"method\":\"POST\",\"body\":\"12345\"", &fits);
	assert_string_equal(fits.body, "12345");
}

static void credentials_that_were_not_granted_are_refused(void **state)
{
	(void)state;
	AUTO_PERMIT none, other, unbound;
	make_permit(&none);
	AUTO_OUTCOME a = {0}, c = {0}, d = {0};
	ask_path(&none, "/hello", ",\"credential\":\"api_key\"", &a);
	assert_fails(&a, -1, ERR_CAPABILITY_DENIED, "http_request: ");
	assert_true(has_detail(&a, "\"boundary_detail\":\"connector_manifest\""));

	make_permit(&other);
	give_key(&other, CREDENTIAL_API_KEY, "", "");
	ask_path(&other, "/hello", ",\"credential\":\"oauth2\"", &c);
	assert_fails(&c, -1, ERR_CAPABILITY_DENIED, "http_request: ");
	assert_true(has_detail(&c, "\"declared\":\"credential:api_key\""));

	make_permit(&unbound);
	unbound.grant.declared = CREDENTIAL_API_KEY;
	unbound.grant.binding = BINDING_MISSING;
	ask_path(&unbound, "/hello", ",\"credential\":\"api_key\"", &d);
	assert_fails(&d, -1, ERR_BINDING_REQUIRED, "");
}

/* ---- what arrives at the service, and what comes back ---- */

static void any_status_is_an_answer(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	static const int statuses[] = {200, 204, 304, 404, 500};
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		AUTO_FREE char *path = xasprintf("/status/%d", statuses[i]);
		AUTO_OUTCOME o = {0};
		ask_path(&p, path, "", &o);
		assert_int_equal(o.rc, 0);
		assert_int_equal(o.status, statuses[i]);
		http_client_free(b.net.http); /* 204 and 304 have a body on the wire that is not theirs */
		struct http_client_options options = {.loop = b.net.loop, .buffered_max = 64 << 20};
		b.net.http = http_client_new(&options, NULL);
		http_client_set_ca(b.net.http, b.ca);
	}
}

static void default_and_dropped_headers(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	AUTO_OUTCOME o = {0}, own = {0};
	ask_path(&p, "/echo",
		 ",\"headers\":{\"Host\":\"evil\",\"content-length\":\"999\",\"Connection\":\"close, "
		 "X-Hop\",\"x-hop\":\"1\","
		 "\"Transfer-Encoding\":\"chunked\",\"te\":\"trailers\",\"Upgrade\":\"h2c\",\"proxy\":\"p\",\"proxy-"
		 "Foo\":\"f\",\"x-kept\":\"yes\"}",
		 &o);
	AUTO_FREE char *expected = xasprintf("GET /echo HTTP/1.1\r\nHost: api.test:%u\r\nAccept-Encoding: gzip\r\n"
					     "X-Kept: yes\r\nUser-Agent: aileron-connector/1\r\n\r\n",
					     b.tls->port);
	assert_string_equal(o.body, expected);
	assert_non_null(strstr(
		o.note, "dropped host, content-length, connection, x-hop, transfer-encoding, te, upgrade, proxy, "
			"proxy-foo"));
	ask_path(&p, "/echo", ",\"headers\":{\"user-agent\":\"mine\",\"accept-encoding\":\"identity\"}", &own);
	assert_non_null(strstr(own.body, "\r\nUser-Agent: mine\r\n"));
	assert_non_null(strstr(own.body, "\r\nAccept-Encoding: identity\r\n"));
	assert_null(strstr(own.body, "gzip"));
}

static void gzip_is_unpacked_unless_the_guest_asked_itself(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	AUTO_OUTCOME o = {0}, raw = {0};
	ask_path(&p, "/gzip", "", &o);
	assert_string_equal(o.body, "hello");
	ask_path(&p, "/gzip", ",\"headers\":{\"Accept-Encoding\":\"gzip\"}", &raw);
	assert_int_equal(raw.body_n, sizeof gzip_hello);
}

/* A secret cannot be found in what is compressed or cut into pieces. */
static void an_answer_that_may_hold_the_secret_can_be_searched(void **state)
{
	(void)state;
	static const struct {
		const char *headers, *path, *asked, *note;
		bool carried;
	} rows[] = {
		{"\"Accept-Encoding\":\"gzip\"", "/gzip", "\r\nAccept-Encoding: gzip\r\n", "dropped accept-encoding",
		 true},
		{"\"accept-encoding\":\"deflate\"", "/gzip", "\r\nAccept-Encoding: gzip\r\n", "dropped accept-encoding",
		 false},
		{"\"Range\":\"bytes=0-9\",\"if-range\":\"x\"", "/gzip", "\r\nAccept-Encoding: gzip\r\n",
		 "dropped range, if-range", true},
		{"\"Range\":\"bytes=0-9\"", "/hello", "\r\nAccept-Encoding: identity\r\n", "dialled", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_PERMIT p;
		make_permit(&p);
		give_key(&p, CREDENTIAL_OAUTH2, "", "");
		AUTO_FREE char *more = xasprintf(",\"headers\":{%s}%s", rows[i].headers,
						 rows[i].carried ? ",\"credential\":\"oauth2\"" : "");
		AUTO_OUTCOME o = {0};
		ask_path(&p, rows[i].path, more, &o);
		assert_string_equal(o.body, "hello");
		assert_non_null(strstr(o.note, rows[i].note));
		AUTO_FREE char *head = server_last_head(b.tls);
		assert_non_null(strstr(head, rows[i].asked));
		assert_null(strstr(head, "deflate"));
		assert_true(!rows[i].carried || strstr(head, "ange:") == NULL);
	}
	AUTO_PERMIT p;
	make_permit(&p);
	give_key(&p, CREDENTIAL_OAUTH2, "", "");
	AUTO_OUTCOME coded = {0}, head = {0};
	ask_path(&p, "/gzip", ",\"headers\":{\"Range\":\"bytes=0-9\"}", &coded);
	assert_fails(&coded, -1, ERR_NETWORK_ERROR, "has a coding that was not asked for");
	ask_path(&p, "/hello", ",\"method\":\"HEAD\",\"headers\":{\"Accept-Encoding\":\"br\"}", &head);
	assert_int_equal(head.status, 200);
}

static void codings_that_were_not_asked_for_are_not_undone(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	static const char *const refused[] = {"/twice", "/twolines", "/deflate", "/tegzip"};
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		AUTO_OUTCOME o = {0};
		ask_path(&p, refused[i], "", &o);
		assert_fails(&o, -1, ERR_NETWORK_ERROR, "http_request: the answer of 'api.test:");
		assert_fails(&o, -1, ERR_NETWORK_ERROR, "has a coding that was not asked for");
	}
	AUTO_OUTCOME plain = {0}, own = {0}, transfer = {0};
	ask_path(&p, "/identity", "", &plain);
	assert_string_equal(plain.body, "hello");
	ask_path(&p, "/twice", ",\"headers\":{\"Accept-Encoding\":\"gzip\"}", &own);
	assert_string_equal(own.body, "hello"); /* as it came */
	ask_path(&p, "/tegzip", ",\"headers\":{\"Accept-Encoding\":\"gzip\"}", &transfer);
	assert_fails(&transfer, -1, ERR_NETWORK_ERROR, "has a coding that was not asked for");
}

static void the_service_sees_the_credential_and_the_guest_does_not(void **state)
{
	(void)state;
	static const struct {
		enum credential_kind kind;
		const char *header, *format, *sent, *shown;
	} rows[] = {
		{CREDENTIAL_OAUTH2, "", "", "\r\nAuthorization: Bearer " SECRET "\r\n", "\r\nAuthorization: "},
		{CREDENTIAL_API_KEY, "X-API-Key", "{key}", "\r\nX-API-Key: " SECRET "\r\n", "\r\nX-API-Key: "},
		{CREDENTIAL_API_KEY, "", "token {key}", "\r\nAuthorization: token " SECRET "\r\n",
		 "\r\nAuthorization: "},
		{CREDENTIAL_BASIC, "", "", "\r\nAuthorization: Basic dXNlcjpzM2NyM3QtdG9rZW4tMDEyMzQ1Njc4OQ==\r\n",
		 "\r\nAuthorization: "},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_PERMIT p;
		make_permit(&p);
		give_key(&p, rows[i].kind, rows[i].header, rows[i].format);
		AUTO_FREE char *more = xasprintf(",\"credential\":\"%s\",\"headers\":{\"authorization\":\"mine\"}",
						 credential_kind_name(rows[i].kind));
		AUTO_OUTCOME o = {0};
		ask_path(&p, "/echo", more, &o);
		assert_int_equal(o.rc, 0);
		AUTO_FREE char *head = server_last_head(b.tls);
		assert_non_null(strstr(head, rows[i].sent));
		assert_non_null(strstr(o.body, rows[i].shown));
		assert_null(strstr(o.body, SECRET));
		assert_null(strstr(o.body, "dXNlcjpzM2"));
		assert_null(strstr(o.body, "s3cr3t"));
		assert_non_null(strstr(o.note, "struck out the secret"));
	}
}

/* A signature is no secret for long, but until then who has it may send the request again. More than are remembered. */
static void signatures_are_struck_out(void **state)
{
	(void)state;
	static const struct str components[] = {{"@path", 5}};
	static const struct {
		enum credential_kind kind;
		const char *before, *after;
	} rows[] = {{CREDENTIAL_AWS_SIGV4, "Signature=", "\r"}, {CREDENTIAL_SIGNING_KEY, "Signature: sig1=:", ":"}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_PERMIT p;
		make_permit(&p);
		give_key(&p, rows[i].kind, "", "");
		p.grant.region = S("us-east-1");
		p.grant.service = S("athena");
		p.grant.algorithm = S("hmac-sha256");
		p.grant.label = S("sig1");
		p.grant.components = components;
		p.grant.n_components = 1;
		AUTO_FREE char *more = xasprintf(",\"credential\":\"%s\"", credential_kind_name(rows[i].kind));
		for (int n = 0; n < 3 * SCRUB_SECRETS; n++) {
			AUTO_FREE char *path = xasprintf("/echo?n=%d", n);
			AUTO_OUTCOME o = {0};
			ask_path(&p, path, more, &o);
			assert_int_equal(o.rc, 0);
			AUTO_FREE char *head = server_last_head(b.tls);
			char *signature = strstr(head, rows[i].before);
			assert_non_null(signature);
			signature += strlen(rows[i].before);
			signature[strcspn(signature, rows[i].after)] = '\0';
			assert_true(strlen(signature) >= 44);
			assert_null(strstr(o.body, signature));
			assert_non_null(strstr(o.body, "[secret removed]"));
		}
	}
}

static void the_body_survives_signing(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	give_key(&p, CREDENTIAL_AWS_SIGV4, "", "");
	p.grant.region = S("us-east-1");
	p.grant.service = S("athena");
	AUTO_OUTCOME o = {0};
	ask_path(&p, "/body", ",\"method\":\"POST\",\"credential\":\"aws_sigv4\",\"body\":\"{\\\"a\\\":1}\"", &o);
	assert_int_equal(o.rc, 0);
	assert_string_equal(o.body, "{\"a\":1}");
	AUTO_FREE char *head = server_last_head(b.tls);
	assert_non_null(strstr(head, "/us-east-1/athena/aws4_request, SignedHeaders="));
	assert_non_null(strstr(head, "\r\nX-Amz-Content-Sha256: "
				     "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862\r\n"));
}

/* ---- redirects ---- */

static void redirects_change_the_method_as_go_does(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *method, *start;
		bool keeps_body;
	} rows[] = {
		{301, "POST", "GET /echo", false}, {302, "POST", "GET /echo", false}, {303, "PUT", "GET /echo", false},
		{307, "POST", "POST /echo", true}, {308, "PUT", "PUT /echo", true},   {302, "GET", "GET /echo", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_PERMIT p;
		make_permit(&p);
		AUTO_FREE char *path = xasprintf("/redirect/%d//echo", rows[i].status);
		AUTO_FREE char *more =
			xasprintf(",\"method\":\"%s\",\"body\":\"12\",\"headers\":{\"content-type\":\"a/b\","
				  "\"x-kept\":\"1\"}",
				  rows[i].method);
		AUTO_OUTCOME o = {0};
		ask_path(&p, path, more, &o);
		assert_int_equal(o.status, 200);
		assert_memory_equal(o.body, rows[i].start, strlen(rows[i].start));
		assert_int_equal(strstr(o.body, "Content-Length: 2") != NULL, rows[i].keeps_body);
		assert_int_equal(strstr(o.body, "Content-Type") != NULL, rows[i].keeps_body);
		assert_non_null(strstr(o.body, "X-Kept: 1"));
		assert_non_null(strstr(o.note, "1 redirect"));
	}
	AUTO_PERMIT p;
	make_permit(&p);
	AUTO_OUTCOME head = {0}, nowhere = {0};
	ask_path(&p, "/redirect/303//hello", ",\"method\":\"HEAD\"", &head);
	assert_int_equal(head.status, 200);
	AUTO_FREE char *sent = server_last_head(b.tls);
	assert_memory_equal(sent, "HEAD /hello", 11);
	ask_path(&p, "/nolocation", "", &nowhere);
	assert_int_equal(nowhere.status, 302);
	assert_string_equal(nowhere.body, "here");
}

static void redirects_end_after_ten(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	int before = atomic_load(&b.tls->requests);
	AUTO_OUTCOME o = {0};
	ask_path(&p, "/loop", "", &o);
	assert_fails(&o, -1, ERR_NETWORK_ERROR, "http_request: stopped after 10 redirects");
	assert_int_equal(atomic_load(&b.tls->requests) - before, 11);
}

#define GUEST_HEADERS ",\"headers\":{\"cookie\":\"c=1\",\"x-kept\":\"1\"}"

static void a_credential_follows_within_the_origin(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	give_key(&p, CREDENTIAL_API_KEY, "X-API-Key", "{key}");
	AUTO_OUTCOME o = {0};
	ask_path(&p, "/redirect/302//echo", ",\"credential\":\"api_key\"" GUEST_HEADERS, &o);
	assert_int_equal(o.status, 200);
	AUTO_FREE char *head = server_last_head(b.tls);
	assert_non_null(strstr(head, "\r\nX-API-Key: " SECRET "\r\n"));
	assert_non_null(strstr(head, "\r\nCookie: c=1\r\n"));
	assert_null(strstr(o.body, SECRET));
}

static void assert_bare(struct server *server)
{
	AUTO_FREE char *head = server_last_head(server);
	assert_non_null(strstr(head, "\r\nX-Kept: 1\r\n"));
	assert_null(strstr(head, SECRET));
	assert_null(strcasestr(head, "X-API-Key"));
	assert_null(strcasestr(head, "Authorization"));
	assert_null(strcasestr(head, "Cookie"));
}

/* Another port, another name on the same port, plain http: each is another origin. */
static void a_credential_does_not_leave_its_origin(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	give_key(&p, CREDENTIAL_API_KEY, "X-API-Key", "{key}");
	AUTO_FREE char *port = url_at("https", "api.test", b.other, "/echo");
	AUTO_FREE char *name = url_at("https", "other.test", b.tls, "/echo");
	AUTO_FREE char *scheme = url_at("http", "api.test", b.plain, "/echo");
	const struct {
		const char *to;
		struct server *server;
	} rows[] = {{port, b.other}, {name, b.tls}, {scheme, b.plain}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *path = xasprintf("/redirect/307/%s", rows[i].to);
		AUTO_OUTCOME o = {0};
		ask_path(&p, path, ",\"credential\":\"api_key\"" GUEST_HEADERS, &o);
		assert_int_equal(o.status, 200);
		assert_bare(rows[i].server);
	}
	/* The guest's own Authorization and key header do not leave either. */
	AUTO_FREE char *path = xasprintf("/redirect/302/%s", port);
	AUTO_OUTCOME o = {0};
	ask_path(&p, path,
		 ",\"headers\":{\"authorization\":\"Bearer "
		 "own\",\"x-api-key\":\"own\",\"cookie\":\"c\",\"x-kept\":\"1\"}",
		 &o);
	assert_int_equal(o.status, 200);
	assert_bare(b.other);
}

static void a_credential_does_not_come_back_either(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	give_key(&p, CREDENTIAL_OAUTH2, "", "");
	AUTO_FREE char *back = url_at("https", "api.test", b.tls, "/echo");
	AUTO_FREE char *there = url_at("https", "api.test", b.other, "/redirect/302/");
	AUTO_FREE char *path = xasprintf("/redirect/302/%s%s", there, back);
	AUTO_OUTCOME o = {0};
	ask_path(&p, path, ",\"credential\":\"oauth2\"" GUEST_HEADERS, &o);
	assert_int_equal(o.status, 200);
	assert_non_null(strstr(o.note, "2 redirects"));
	assert_bare(b.tls);
}

static void each_hop_is_gated(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	give_key(&p, CREDENTIAL_OAUTH2, "", "");
	AUTO_OUTCOME o = {0}, scheme = {0};
	ask_path(&p, "/redirect/302/https://denied.test/", ",\"credential\":\"oauth2\"", &o);
	assert_fails(&o, -1, ERR_CAPABILITY_DENIED, "");
	assert_true(has_detail(&o, "\"requested\":\"network:denied.test:443\""));
	assert_true(has_detail(&o, "\"redirects\":1"));
	ask_path(&p, "/redirect/302/file:///etc/passwd", "", &scheme);
	assert_fails(&scheme, -1, ERR_CAPABILITY_DENIED, "");
}

/* A service may put what it was sent into what an error quotes. */
static void errors_are_searched_for_the_secret(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	give_key(&p, CREDENTIAL_OAUTH2, "", "");
	AUTO_OUTCOME o = {0};
	ask_path(&p, "/redirect/302/https://" SECRET ":pw@denied.test/", ",\"credential\":\"oauth2\"", &o);
	assert_fails(&o, -1, ERR_CAPABILITY_DENIED, "");
	assert_non_null(strstr(o.err.details, "denied.test"));
	assert_null(strstr(o.err.message, SECRET));
	assert_null(strstr(o.err.details, SECRET));
}

/* Also when this request did not carry it: a service may store what an earlier one did. */
/* The loop goes on meanwhile, and nothing ends the request: neither its deadline nor who asked. */
static void a_large_answer_is_searched_beside_the_loop(void **state)
{
	(void)state;
	enum { N = 1 << 20 };
	AUTO_PERMIT p;
	make_permit(&p);
	give_key(&p, CREDENTIAL_OAUTH2, "", "");
	AUTO_FREE char *hostile = xcalloc(1, N + 1);
	for (size_t i = 0; i < N; i++)
		hostile[i] = "%2525"[i % 5];
	memcpy(hostile + N / 2, SECRET, sizeof SECRET - 1);
	AUTO_FREE char *url = url_at("https", "api.test", b.tls, "/body");
	AUTO_FREE char *envelope = xasprintf(
		"{\"url\":\"%s\",\"method\":\"PUT\",\"body\":\"%s\",\"credential\":\"oauth2\"}", url, hostile);
	AUTO_OUTCOME o = {0};
	struct egress_request *request = start(&p, str_from(envelope), 20 * TIME_SECOND, &o);
	while (http_client_open(b.net.http) > 0)
		loop_turn(b.net.loop, true);
	assert_int_equal(o.calls, 0);
	egress_request_cancel(request);
	wait_for(&o);
	assert_int_equal(o.rc, 0);
	assert_null(strstr(o.body, SECRET));
	assert_int_equal(o.body_n, N - (sizeof SECRET - 1) + strlen("[secret removed]"));
	assert_non_null(strstr(o.note, "struck out the secret 1 time"));
}

static void every_answer_of_the_call_is_searched(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	give_key(&p, CREDENTIAL_OAUTH2, "", "");
	AUTO_OUTCOME carried = {0}, o = {0};
	ask_path(&p, "/hello", ",\"credential\":\"oauth2\"", &carried);
	assert_int_equal(carried.rc, 0);
	ask_path(&p, "/body", ",\"method\":\"POST\",\"body\":\"a " SECRET " b\"", &o);
	assert_int_equal(o.rc, 0);
	assert_null(strstr(o.body, SECRET));
	assert_memory_equal(o.body, "a ", 2);
}

/* What is struck out tells what was guessed: not to whom the secret was never sent, nor to the call afterwards. */
static void an_echo_of_what_was_never_sent_ends_the_call(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	give_key(&p, CREDENTIAL_OAUTH2, "", "");
	AUTO_OUTCOME carried = {0}, o = {0}, after = {0};
	ask_path(&p, "/hello", ",\"credential\":\"oauth2\"", &carried);
	assert_int_equal(carried.rc, 0);
	AUTO_FREE char *url = url_at("https", "other.test", b.tls, "/body"); /* the same server by another name */
	ask(&p, url, ",\"method\":\"POST\",\"body\":\"a " SECRET " b\"", &o);
	assert_fails(&o, -1, ERR_CAPABILITY_DENIED, "");
	assert_true(has_detail(&o, "\"rule\":\"credential_echo\""));
	assert_int_equal(o.body_n, 0);
	ask_path(&p, "/hello", ",\"credential\":\"oauth2\"", &after);
	assert_fails(&after, -1, ERR_CAPABILITY_DENIED, "");
	assert_true(has_detail(&after, "\"rule\":\"credential_echo\""));
}

/* ---- addresses ---- */

static void refused_addresses_are_not_dialled(void **state)
{
	(void)state;
	if (!isolated)
		skip_because("no network namespace here");
	AUTO_PERMIT p;
	make_permit(&p);
	static const char *const hosts[] = {"localhost", "mixed.test", "127.0.0.1", "0x7f.1", "2130706433", "[::1]"};
	int before = atomic_load(&b.plain->connections);
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		p.grant.permissive = true; /* so that the gate does not decide it */
		AUTO_FREE char *url = url_at("http", hosts[i], b.plain, "/hello");
		AUTO_OUTCOME o = {0};
		ask(&p, url, "", &o);
		assert_fails(&o, -1, ERR_CAPABILITY_DENIED, "");
	}
	assert_int_equal(atomic_load(&b.plain->connections), before);
}

static void the_next_address_is_tried(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	AUTO_OUTCOME o = {0}, dead = {0}, unknown = {0};
	AUTO_FREE char *url = url_at("http", "two.test", b.plain, "/hello");
	allow(&p, "two.test", b.plain->port);
	open_address(&p, "two.test", b.plain->port, "");
	ask(&p, url, "", &o);
	assert_int_equal(o.status, 200);
	assert_non_null(strstr(o.note, "dialled 127.0.0.2:"));
	assert_non_null(strstr(o.note, ", dialled 127.0.0.1:"));

	AUTO_FREE char *dead_url = url_at("http", "dead.test", b.plain, "/hello");
	allow(&p, "dead.test", b.plain->port);
	open_address(&p, "dead.test", b.plain->port, "");
	ask(&p, dead_url, "", &dead);
	assert_fails(&dead, -1, ERR_NETWORK_ERROR, "http_request: cannot connect to 'dead.test:");

	AUTO_FREE char *unknown_url = url_at("http", "unknown.test", b.plain, "/hello");
	allow(&p, "unknown.test", b.plain->port);
	ask(&p, unknown_url, "", &unknown);
	assert_fails(&unknown, -1, ERR_NETWORK_ERROR, "http_request: cannot resolve 'unknown.test'");
}

static void a_name_is_resolved_once(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	allow(&p, "localhost", b.plain->port);
	open_address(&p, "localhost", b.plain->port, "");
	AUTO_FREE char *url = url_at("http", "localhost", b.plain, "/redirect/302//hello");
	AUTO_OUTCOME first = {0}, second = {0};
	ask(&p, url, "", &first);
	int before = atomic_load(&b.lookups);
	ask(&p, url, "", &second);
	assert_int_equal(second.status, 200);
	assert_int_equal(atomic_load(&b.lookups), before);
}

static void a_credential_needs_tls_or_this_machine(void **state)
{
	(void)state;
	if (!isolated)
		skip_because("no network namespace here");
	AUTO_PERMIT p;
	make_permit(&p);
	give_key(&p, CREDENTIAL_OAUTH2, "", "");
	AUTO_OUTCOME public = {0}, opened = {0}, local = {0};
	allow(&p, "public.test", 80);
	int before = atomic_load(&b.lookups);
	ask(&p, "http://public.test/", ",\"credential\":\"oauth2\"", &public);
	assert_fails(&public, -1, ERR_CAPABILITY_DENIED, "a credential does not go over plain http");
	assert_int_equal(atomic_load(&b.lookups), before); /* known without asking */
	open_address(&p, "public.test", 81, "");
	allow(&p, "public.test", 81);
	ask(&p, "http://public.test:81/", ",\"credential\":\"oauth2\"", &opened);
	assert_fails(&opened, -1, ERR_CAPABILITY_DENIED, "a credential does not go over plain http");
	assert_int_equal(atomic_load(&b.lookups), before + 1);
	AUTO_FREE char *url = url_at("http", "api.test", b.plain, "/echo");
	ask(&p, url, ",\"credential\":\"oauth2\"", &local);
	assert_int_equal(local.status, 200);
	assert_null(strstr(local.body, SECRET));
}

/* ---- the end of time, and hostile answers ---- */

static void failures_of_the_transfer(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	give_key(&p, CREDENTIAL_OAUTH2, "", "");
	static const struct {
		const char *path, *says;
		enum err_class class;
	} rows[] = {
		{"/truncated", "http_request: read body: the answer of 'api.test:", ERR_NETWORK_ERROR},
		{"/badchunk", "http_request: read body: ", ERR_NETWORK_ERROR},
		{"/badgzip", "http_request: read body: ", ERR_NETWORK_ERROR},
		{"/close", "http_request: no answer from 'api.test:", ERR_NETWORK_ERROR},
		{"/garbage", "http_request: the answer of 'api.test:", ERR_NETWORK_ERROR},
		{"/headers", "http_request: the headers from 'api.test:", ERR_NETWORK_ERROR},
		{"/interim", "http_request: the headers from 'api.test:", ERR_NETWORK_ERROR},
		{"/endless", "http_request: the response body is larger than 1MiB", ERR_RESOURCE_LIMIT_EXCEEDED},
		{"/bomb", "http_request: the response body is larger than 1MiB", ERR_RESOURCE_LIMIT_EXCEEDED},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_OUTCOME o = {0};
		ask_path(&p, rows[i].path, ",\"credential\":\"oauth2\"", &o);
		assert_fails(&o, -1, rows[i].class, rows[i].says);
		assert_int_equal(o.err.retriable, rows[i].class == ERR_NETWORK_ERROR);
		if (rows[i].class == ERR_RESOURCE_LIMIT_EXCEEDED)
			assert_true(has_detail(&o, "\"limit\":\"response_body\",\"configured\":\"1MiB\""));
	}
}

static void the_deadline_ends_it(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	static const char *const paths[] = {"/hang", "/drip", "/hello"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		AUTO_FREE char *url = url_at("https", "api.test", b.tls, paths[i]);
		AUTO_FREE char *envelope = xasprintf("{\"url\":\"%s\"}", url);
		AUTO_OUTCOME o = {0};
		start(&p, str_from(envelope), i == 2 ? 0 : 100 * TIME_MILLISECOND, &o);
		wait_for(&o);
		assert_fails(&o, -1, ERR_NETWORK_ERROR, "http_request: the call's deadline passed before 'api.test:");
	}
}

static void a_caller_may_give_up(void **state)
{
	(void)state;
	AUTO_PERMIT p;
	make_permit(&p);
	AUTO_FREE char *url = url_at("https", "api.test", b.tls, "/hang");
	AUTO_FREE char *envelope = xasprintf("{\"url\":\"%s\"}", url);
	AUTO_OUTCOME o = {0}, ended = {0};
	int before = atomic_load(&b.tls->requests);
	struct egress_request *request = start(&p, str_from(envelope), 20 * TIME_SECOND, &o);
	while (atomic_load(&b.tls->requests) == before)
		loop_turn(b.net.loop, false);
	egress_request_cancel(request);
	egress_request_cancel(request); /* once more changes nothing */
	assert_int_equal(o.calls, 0);
	wait_for(&o);
	assert_fails(&o, -1, ERR_NETWORK_ERROR, "http_request: cancelled by the caller");

	request = start(&p, S("{"), 20 * TIME_SECOND, &ended);
	egress_request_cancel(request); /* after its end: the first reason stands */
	wait_for(&ended);
	assert_fails(&ended, -2, ERR_CONNECTOR_RUNTIME_ERROR, "invalid JSON");
}

/* ---- the metadata service ---- */

static void metadata_is_never_reached(void **state)
{
	(void)state;
	if (!isolated)
		skip_because("no network namespace here");
	static const char *const targets[] = {"http://169.254.169.254/latest", "http://rebound.test/latest",
					      "http://[fe80::1]/", "http://0xa9fea9fe/"};
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		AUTO_PERMIT p;
		make_permit(&p);
		allow(&p, "169.254.169.254", 80);
		allow(&p, "rebound.test", 80);
		allow(&p, "fe80::1", 80);
		allow(&p, "0xa9fea9fe", 80);
		AUTO_FREE char *path = xasprintf("/redirect/302/%s", targets[i]);
		AUTO_FREE char *url = url_at("http", "api.test", b.plain, path);
		AUTO_OUTCOME direct = {0}, redirected = {0};
		ask(&p, targets[i], "", &direct);
		assert_fails(&direct, -1, ERR_CAPABILITY_DENIED, "");
		ask(&p, url, "", &redirected);
		assert_fails(&redirected, -1, ERR_CAPABILITY_DENIED, "");
		assert_null(strstr(redirected.note, "dialled 169"));
	}
}

/* ---- the bench ---- */

static void make_net(void)
{
	b.net.loop = loop_new(NULL);
	struct http_client_options http = {.loop = b.net.loop, .buffered_max = 64 << 20};
	b.net.http = http_client_new(&http, NULL);
	struct resolver_options resolver = {.loop = b.net.loop, .lookup = lookup};
	b.net.resolver = resolver_new(&resolver, NULL);
	b.plain = server_start(SERVER_PLAIN);
	b.tls = server_start(SERVER_TLS);
	b.other = server_start(SERVER_TLS);
	b.ca = server_ca_fd();
	http_client_set_ca(b.net.http, b.ca);
}

static void free_net(void)
{
	http_client_free(b.net.http);
	resolver_free(b.net.resolver);
	loop_free(b.net.loop);
	server_stop(b.plain);
	server_stop(b.tls);
	server_stop(b.other);
	close(b.ca);
}

static bool loopback_up(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	bool up = ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
	close(fd);
	return up;
}

static int set_up(void **state)
{
	(void)state;
	make_net();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free_net();
	X509_free(server_ca);
	EVP_PKEY_free(server_ca_key);
	return 0;
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	/* A network with nothing but loopback, so that a broken gate reaches nobody. Before there are threads. */
	isolated = unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && loopback_up();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_envelopes_give_minus_two),
		cmocka_unit_test(keys_are_read_as_go_reads_them),
		cmocka_unit_test(the_gate_decides_before_anything_else),
		cmocka_unit_test(what_cannot_be_sent_is_found_before_dialling),
		cmocka_unit_test(credentials_that_were_not_granted_are_refused),
		cmocka_unit_test(any_status_is_an_answer),
		cmocka_unit_test(default_and_dropped_headers),
		cmocka_unit_test(gzip_is_unpacked_unless_the_guest_asked_itself),
		cmocka_unit_test(an_answer_that_may_hold_the_secret_can_be_searched),
		cmocka_unit_test(codings_that_were_not_asked_for_are_not_undone),
		cmocka_unit_test(the_service_sees_the_credential_and_the_guest_does_not),
		cmocka_unit_test(signatures_are_struck_out),
		cmocka_unit_test(the_body_survives_signing),
		cmocka_unit_test(redirects_change_the_method_as_go_does),
		cmocka_unit_test(redirects_end_after_ten),
		cmocka_unit_test(a_credential_follows_within_the_origin),
		cmocka_unit_test(a_credential_does_not_leave_its_origin),
		cmocka_unit_test(a_credential_does_not_come_back_either),
		cmocka_unit_test(each_hop_is_gated),
		cmocka_unit_test(errors_are_searched_for_the_secret),
		cmocka_unit_test(a_large_answer_is_searched_beside_the_loop),
		cmocka_unit_test(every_answer_of_the_call_is_searched),
		cmocka_unit_test(an_echo_of_what_was_never_sent_ends_the_call),
		cmocka_unit_test(refused_addresses_are_not_dialled),
		cmocka_unit_test(the_next_address_is_tried),
		cmocka_unit_test(a_name_is_resolved_once),
		cmocka_unit_test(a_credential_needs_tls_or_this_machine),
		cmocka_unit_test(failures_of_the_transfer),
		cmocka_unit_test(the_deadline_ends_it),
		cmocka_unit_test(a_caller_may_give_up),
		cmocka_unit_test(metadata_is_never_reached),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
