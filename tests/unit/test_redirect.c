#include "cli/redirect.h"
#include "base/mem.h"
#include "cli/oauth.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <cmocka.h>

static struct err err;

static uint16_t port_of(const struct redirect *redirect)
{
	uint64_t port = 0;
	struct str uri = str_from(redirect_uri(redirect)), rest;
	assert_true(str_starts(uri, S("http://127.0.0.1:")));
	assert_true(str_ends(uri, S("/callback")));
	(void)str_cut(str_slice(uri, 17, uri.n), '/', &rest);
	assert_true(str_to_u64(rest, 65535, &port));
	return (uint16_t)port;
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All that comes until the other side has no more. */
static void receive(int fd, char *ret, size_t size)
{
	size_t n = 0;
	ssize_t got;
	while (n + 1 < size && (got = recv(fd, ret + n, size - 1 - n, 0)) > 0)
		n += (size_t)got;
	ret[n] = '\0';
	close(fd);
}

/* A browser of several connections: what each sends, what each got. */
struct browser {
	uint16_t port;
	const char *requests[4];
	char answers[4][2048];
	size_t n;
};

static void *browse(void *user)
{
	struct browser *browser = user;
	for (size_t i = 0; i < browser->n; i++) {
		char text[1024];
		const char *at = strstr(browser->requests[i], "PORT");
		int fd = connect_to(browser->port);
		if (at == NULL)
			at = browser->requests[i] + strlen(browser->requests[i]);
		snprintf(text, sizeof text, "%.*s%u%s", (int)(at - browser->requests[i]), browser->requests[i],
			 (unsigned)browser->port, *at != '\0' ? at + 4 : "");
		send_text(fd, text);
		receive(fd, browser->answers[i], sizeof browser->answers[i]);
	}
	return NULL;
}

static void run(struct browser *browser, struct redirect *redirect, struct buf *query, bool worked)
{
	pthread_t thread;
	browser->port = port_of(redirect);
	int silent = connect_to(browser->port);
	pthread_create(&thread, NULL, browse, browser);
	assert_int_equal(redirect_wait(redirect, 20000, query, &err), 0);
	redirect_answer(redirect, worked);
	pthread_join(thread, NULL);
	close(silent);
}

#define HOST " HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n"

static void the_first_callback_is_taken(void **state)
{
	(void)state;
	AUTO_BUF query = BUF_INIT(1024);
	AUTO(redirect) *redirect = redirect_new(&err);
	static struct browser browser = {
		.requests = {"GET /favicon.ico" HOST, "POST /callback?code=evil" HOST,
			     "GET /callback?code=rebound HTTP/1.1\r\nHost: evil.example:PORT\r\n\r\n",
			     "GET /callback?code=c%20d&state=s" HOST},
		.n = 4,
	};
	run(&browser, redirect, &query, true);
	assert_string_equal(query.p, "code=c%20d&state=s");
	for (size_t i = 0; i < 3; i++)
		assert_non_null(strstr(browser.answers[i], "404"));
	assert_non_null(strstr(browser.answers[3], "HTTP/1.1 200 "));
	assert_null(strstr(browser.answers[3], "c%20d"));
	/* The listener is gone: later requests meet nobody. */
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(browser.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), -1);
}

static void a_failure_is_told_too(void **state)
{
	(void)state;
	AUTO_BUF query = BUF_INIT(1024);
	AUTO(redirect) *redirect = redirect_new(&err);
	static struct browser browser = {.requests = {"GET /callback" HOST}, .n = 1};
	run(&browser, redirect, &query, false);
	assert_string_equal(query.p, "");
	assert_non_null(strstr(browser.answers[0], "HTTP/1.1 400 "));
}

static void what_is_no_request_is_refused(void **state)
{
	(void)state;
	AUTO_BUF query = BUF_INIT(1024);
	AUTO(redirect) *redirect = redirect_new(&err);
	static struct browser browser = {
		.requests = {"GET /callback HTTP/1.1\nHost: x\n\n", "nonsense\r\n\r\n", "GET /callback?a=b" HOST},
		.n = 3,
	};
	run(&browser, redirect, &query, true);
	assert_non_null(strstr(browser.answers[0], "HTTP/1.1 4"));
	assert_non_null(strstr(browser.answers[1], "HTTP/1.1 4"));
	assert_string_equal(query.p, "a=b");
}

static void nobody_comes(void **state)
{
	(void)state;
	AUTO_BUF query = BUF_INIT(1024);
	AUTO(redirect) *redirect = redirect_new(&err);
	assert_int_equal(redirect_wait(redirect, 20, &query, &err), -1);
	assert_int_equal(err.class, ERR_APPROVAL_TIMEOUT);
}

/* ------------------------------------------------------------------------------------------- the address of the browser */

#define GOOD                                                                                                           \
	"client_id=x&redirect_uri=http%3A%2F%2F127.0.0.1%3A5%2Fcallback&code_challenge=CH&code_challenge_method=S256&" \
	"state=s"

static void the_address_is_ours(void **state)
{
	(void)state;
	static const struct {
		const char *address, *endpoint;
		int rc;
	} cases[] = {
		{"https://a.example/auth?" GOOD, "https://a.example/auth", 0},
		{"https://a.example/auth?x=1&" GOOD, "https://a.example/auth?x=1", 0},
		{"https://evil.example/auth?" GOOD, "https://a.example/auth", -1},
		{"https://a.example/auth.evil?" GOOD, "https://a.example/auth", -1},
		{"https://a.example/auth@evil.example/?" GOOD, "https://a.example/auth", -1},
		{"https://a.example/auth?x=1?" GOOD, "https://a.example/auth?x=1", -1},
		{"https://a.example/auth", "https://a.example/auth", -1},
		{"https://a.example/auth#?" GOOD, "https://a.example/auth", -1},
		{"https://a.example/auth?y=1#" GOOD, "https://a.example/auth", -1},
		{"https://a.example/auth?" GOOD, "", -1},
		{"javascript:alert(1)?" GOOD, "javascript:alert(1)", -1},
		{"file:///etc/passwd?" GOOD, "file:///etc/passwd", -1},
		{"https://a.example/auth?" GOOD "&code_challenge=OTHER", "https://a.example/auth", -1},
		{"https://a.example/auth?" GOOD "&code_challenge_method=plain", "https://a.example/auth", -1},
		{"https://a.example/auth?" GOOD "&redirect_uri=http%3A%2F%2Fevil", "https://a.example/auth", -1},
		{"https://a.example/auth?redirect_uri=http%3A%2F%2F127.0.0.1%3A5%2Fcallback&code_challenge=CH",
		 "https://a.example/auth", -1},
		{"https://a.example/auth?redirect_uri=http%3A%2F%2F127.0.0.1%3A6%2Fcallback&code_challenge=CH&"
		 "code_challenge_method=S256",
		 "https://a.example/auth", -1},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int rc = oauth_check_address(str_from(cases[i].address), str_from(cases[i].endpoint), S("CH"),
					     S("http://127.0.0.1:5/callback"), &err);
		if (rc != cases[i].rc)
			fail_msg("'%s' gives %d", cases[i].address, rc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_callback_is_taken),   cmocka_unit_test(a_failure_is_told_too),
		cmocka_unit_test(what_is_no_request_is_refused), cmocka_unit_test(nobody_comes),
		cmocka_unit_test(the_address_is_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
