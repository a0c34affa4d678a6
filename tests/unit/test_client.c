#include "cli/client.h"
#include "daemon/discovery.h"
#include "os/lock.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <cmocka.h>

#define INSTANCE "0123456789abcdef0123456789abcdef"
#define TOKEN    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define REVISION "\"api_revision\":" STR_DIGITS(API_REVISION)
#define HEALTH                                                                                                         \
	"{\"status\":\"ok\",\"service\":\"aileron\",\"version\":\"0.1.0\",\"timestamp\":\"\"," REVISION                \
	",\"instance_id\":\"" INSTANCE "\"}"

static struct err err;

/* ---------------------------------------------------------------------------------------------------- a daemon of paper */

struct fake {
	int listener;
	_Atomic int serving; /* the connection */
	uint16_t port;
	const char *health; /* body; NULL = it does not answer */
	const char *answer; /* status line's rest and body of everything else: "200 OK|{…}" */
	pthread_t thread;
	pthread_mutex_t lock;
	char requests[16][2048]; /* heads, as they came */
	size_t n;
};

static void respond(int fd, const char *answer)
{
	const char *bar = strchr(answer, '|');
	AUTO_BUF text = BUF_INIT(8192);
	buf_addf(&text, "HTTP/1.1 %.*s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
		 (int)(bar - answer), answer, strlen(bar + 1));
	if (strncmp(answer, "429", 3) == 0)
		buf_add_z(&text, "Retry-After: 7\r\n");
	buf_addf(&text, "\r\n%s", bar + 1);
	(void)!send(fd, text.p, text.n, MSG_NOSIGNAL);
}

/* One connection, as many requests as come. */
static void serve(struct fake *fake, int fd)
{
	char bytes[2048];
	size_t n = 0;
	for (;;) {
		ssize_t got = recv(fd, bytes + n, sizeof bytes - 1 - n, 0);
		if (got <= 0)
			return;
		n += (size_t)got;
		bytes[n] = '\0';
		if (strstr(bytes, "\r\n\r\n") == NULL)
			continue;
		pthread_mutex_lock(&fake->lock);
		memcpy(fake->requests[fake->n++ % 16], bytes, n + 1);
		pthread_mutex_unlock(&fake->lock);
		if (strncmp(bytes, "GET /v1/health ", 15) != 0)
			respond(fd, fake->answer);
		else if (fake->health == NULL)
			return;
		else
			respond(fd, fake->health);
		n = 0;
	}
}

static void *run_fake(void *user)
{
	struct fake *fake = user;
	int fd;
	while ((fd = accept(fake->listener, NULL, NULL)) >= 0) {
		fake->serving = fd;
		serve(fake, fd);
		close(fd);
	}
	return NULL;
}

static char folder[64];
static char long_health[1024];

static struct fake *fake_start(const char *unix_path)
{
	struct fake *fake = NEW(struct fake);
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	socklen_t size = sizeof in;
	snprintf(long_health, sizeof long_health, "200 OK|%s", HEALTH);
	fake->health = long_health;
	fake->answer = "200 OK|{}";
	pthread_mutex_init(&fake->lock, NULL);
	fake->listener = socket(unix_path != NULL ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (unix_path != NULL) {
		snprintf(un.sun_path, sizeof un.sun_path, "%s", unix_path);
		assert_int_equal(bind(fake->listener, (const struct sockaddr *)&un, sizeof un), 0);
	} else {
		assert_int_equal(bind(fake->listener, (const struct sockaddr *)&in, sizeof in), 0);
		getsockname(fake->listener, (struct sockaddr *)&in, &size);
		fake->port = ntohs(in.sin_port);
	}
	assert_int_equal(listen(fake->listener, 8), 0);
	pthread_create(&fake->thread, NULL, run_fake, fake);
	return fake;
}

static void fake_stop(struct fake *fake)
{
	shutdown(fake->listener, SHUT_RDWR);
	pthread_join(fake->thread, NULL);
	close(fake->listener);
	pthread_mutex_destroy(&fake->lock);
	free(fake);
}

static void fake_hang_up(struct fake *fake)
{
	shutdown(fake->serving, SHUT_RDWR);
}

static bool was_asked(struct fake *fake, const char *text)
{
	bool found = false;
	pthread_mutex_lock(&fake->lock);
	for (size_t i = 0; i < MIN(fake->n, 16); i++)
		found = found || strstr(fake->requests[i], text) != NULL;
	pthread_mutex_unlock(&fake->lock);
	return found;
}

/* ------------------------------------------------------------------------------------------------------ its state folder */

static struct lock held = {.fd = -1};

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/aileron-test-client-XXXXXX");
	return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
	(void)state;
	static const char *const names[] = {"daemon.json", "daemon.pid", "daemon.lock", "daemon.sock"};
	lock_release(&held);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[128];
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

static void hold_lock(void)
{
	char path[128];
	snprintf(path, sizeof path, "%s/daemon.lock", folder);
	assert_int_equal(lock_try(&held, path, LOCK_ALONE, &err), 1);
}

static void write_discovery(uint16_t port, const char *socket_path)
{
	AUTO_DISCOVERY found = {.pid = getpid(), .api_revision = API_REVISION};
	snprintf(found.url, sizeof found.url, "http://127.0.0.1:%u", (unsigned)port);
	snprintf(found.version, sizeof found.version, "0.1.0");
	snprintf(found.started_at, sizeof found.started_at, "2026-01-01T00:00:00Z");
	snprintf(found.instance_id, sizeof found.instance_id, "%s", INSTANCE);
	snprintf(found.socket, sizeof found.socket, "%s", socket_path);
	found.token = secret_from(S(TOKEN), NULL);
	assert_int_equal(discovery_write(folder, &found, &err), 0);
}

static int open_client(struct client **ret)
{
	const struct client_options options = {.state_dir = folder};
	err_clear(&err);
	return client_open(&options, ret, &err);
}

static int get_status(struct client *client, struct json **ret)
{
	err_clear(&err);
	return client_call(client, &(struct client_request){.operation = OP_STATUS}, ret, &err);
}

/* -------------------------------------------------------------------------------------------------------------- finding */

static void nothing_is_there(void **state)
{
	(void)state;
	AUTO(client) *client = NULL;
	assert_int_equal(open_client(&client), 0);
	assert_null(client);
}

static void an_alive_one_gets_the_token(void **state)
{
	(void)state;
	struct fake *fake = fake_start(NULL);
	AUTO(client) *client = NULL;
	AUTO(json) *answer = NULL;
	write_discovery(fake->port, "");
	hold_lock();
	assert_int_equal(open_client(&client), 1);
	assert_true(was_asked(fake, "GET /v1/health "));
	assert_false(was_asked(fake, TOKEN));
	assert_non_null(client_discovery(client));
	fake->answer = "200 OK|{\"version\":\"x\"}";
	assert_int_equal(get_status(client, &answer), 0);
	assert_true(was_asked(fake, "Authorization: Bearer " TOKEN));
	assert_true(was_asked(fake, "X-Aileron-Api: " STR_DIGITS(API_REVISION)));
	client_free(TAKE(client));
	fake_stop(fake);
}

static void the_socket_comes_first(void **state)
{
	(void)state;
	char path[128];
	snprintf(path, sizeof path, "%s/daemon.sock", folder);
	struct fake *unix_fake = fake_start(path), *tcp_fake = fake_start(NULL);
	chmod(path, 0600);
	AUTO(client) *client = NULL;
	write_discovery(tcp_fake->port, path);
	hold_lock();
	assert_int_equal(open_client(&client), 1);
	assert_int_equal(get_status(client, NULL), 0);
	assert_true(was_asked(unix_fake, "Authorization: Bearer " TOKEN));
	assert_int_equal(tcp_fake->n, 0);
	client_free(TAKE(client));
	fake_stop(unix_fake);
	/* Without it, TCP does. */
	assert_int_equal(open_client(&client), 1);
	assert_int_equal(get_status(client, NULL), 0);
	assert_true(was_asked(tcp_fake, "Authorization: Bearer " TOKEN));
	client_free(TAKE(client));
	fake_stop(tcp_fake);
}

static void somebody_else_at_its_address_gets_nothing(void **state)
{
	(void)state;
	static const char *const others[] = {
		"200 OK|{\"instance_id\":\"ffffffffffffffffffffffffffffffff\"," REVISION "}",
		"200 OK|{}",
		"200 OK|not json",
		"404 Not Found|{}",
		NULL,
	};
	struct fake *fake = fake_start(NULL);
	write_discovery(fake->port, "");
	hold_lock();
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		AUTO(client) *client = NULL;
		fake->health = others[i];
		assert_int_equal(open_client(&client), -1);
		assert_int_equal(err.class, ERR_UNREACHABLE);
	}
	assert_false(was_asked(fake, TOKEN));
	fake_stop(fake);
}

/* The connection ends, and at the daemon's address somebody else listens from then on. */
static void a_successor_is_asked_who_it_is_before_it_gets_the_token(void **state)
{
	(void)state;
	AUTO(client) *client = NULL;
	struct fake *fake = fake_start(NULL);
	write_discovery(fake->port, "");
	hold_lock();
	assert_int_equal(open_client(&client), 1);
	fake->health = "200 OK|{\"instance_id\":\"ffffffffffffffffffffffffffffffff\"," REVISION "}";
	fake_hang_up(fake);
	assert_int_equal(get_status(client, NULL), -1);
	assert_int_equal(err.class, ERR_UNREACHABLE);
	assert_false(was_asked(fake, TOKEN));

	/* The same daemon, which only closes what was idle for long. */
	fake->health = long_health;
	fake_hang_up(fake);
	assert_int_equal(get_status(client, NULL), 0);
	assert_true(was_asked(fake, TOKEN));
	client_free(TAKE(client));
	fake_stop(fake);
}

static void a_lock_that_nobody_holds_is_a_dead_daemon(void **state)
{
	(void)state;
	struct fake *fake = fake_start(NULL);
	AUTO(client) *client = NULL;
	write_discovery(fake->port, "");
	assert_int_equal(open_client(&client), 0);
	assert_int_equal(fake->n, 0);
	fake_stop(fake);
}

static void another_revision_is_refused(void **state)
{
	(void)state;
	struct fake *fake = fake_start(NULL);
	AUTO(client) *client = NULL;
	write_discovery(fake->port, "");
	hold_lock();
	fake->health = "200 OK|{\"instance_id\":\"" INSTANCE "\",\"api_revision\":1}";
	assert_int_equal(open_client(&client), -1);
	assert_int_equal(err.class, ERR_API_REVISION);
	assert_non_null(strstr(err.message, "aileron daemon restart"));
	fake_stop(fake);
}

/* ------------------------------------------------------------------------------------------------------ AILERON_API_URL */

static void an_address_may_be_given(void **state)
{
	(void)state;
	static const char *const forms[] = {"", "/", "/v1", "/v1/"};
	struct fake *fake = fake_start(NULL);
	AUTO(secret) *token = secret_from(S("mine"), NULL);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		char url[64];

		snprintf(url, sizeof url, "http://127.0.0.1:%u%s", (unsigned)fake->port, forms[i]);
		AUTO(client) *client = NULL;
		const struct client_options options = {.state_dir = folder, .api_url = url, .token = token};
		assert_int_equal(client_open(&options, &client, &err), 1);
		assert_int_equal(get_status(client, NULL), 0);
	}
	assert_true(was_asked(fake, "GET /v1/status "));
	assert_true(was_asked(fake, "Authorization: Bearer mine"));
	fake_stop(fake);
}

static void other_addresses_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"127.0.0.1:5",
					  "https://127.0.0.1:5",
					  "http://127.0.0.1:5/v2",
					  "http://example.com:5",
					  "http://127.0.0.1:5/v1?x",
					  "http://127.0.0.1:5/#x",
					  "",
					  "http://u@127.0.0.1:5"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(client) *client = NULL;
		const struct client_options options = {.state_dir = folder, .api_url = bad[i]};
		assert_int_equal(client_open(&options, &client, &err), -1);
	}
}

static void the_files_token_goes_to_the_files_daemon_alone(void **state)
{
	(void)state;
	struct fake *one = fake_start(NULL), *other = fake_start(NULL);
	char url[64];
	AUTO(client) *client = NULL;
	write_discovery(one->port, "");
	hold_lock();
	snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)other->port);
	const struct client_options elsewhere = {.state_dir = folder, .api_url = url};
	assert_int_equal(client_open(&elsewhere, &client, &err), 1);
	assert_int_equal(get_status(client, NULL), 0);
	assert_false(was_asked(other, "Authorization"));
	client_free(TAKE(client));
	snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)one->port);
	assert_int_equal(client_open(&elsewhere, &client, &err), 1);
	assert_int_equal(get_status(client, NULL), 0);
	assert_true(was_asked(one, "Authorization: Bearer " TOKEN));
	client_free(TAKE(client));
	fake_stop(one);
	fake_stop(other);
}

/* -------------------------------------------------------------------------------------------------------------- answers */

static void errors_come_back_as_they_were_made(void **state)
{
	(void)state;
	static const struct {
		const char *answer, *message;
		enum err_class class;
	} cases[] = {
		{"423 Locked|{\"error\":{\"code\":\"vault_locked\",\"message\":\"locked\",\"request_id\":\"1\"}}",
		 "locked", ERR_VAULT_LOCKED},
		{"412 Precondition "
		 "Failed|{\"error\":{\"class\":\"binding_required\",\"message\":\"none\",\"retriable\":false,"
		 "\"boundary\":\"runtime\",\"details\":{\"required\":\"vault.passphrase\"}}}",
		 "none", ERR_BINDING_REQUIRED},
		{"429 Too Many "
		 "Requests|{\"error\":{\"code\":\"throttled\",\"message\":\"slowly; wait 7 s\",\"request_id\":\"1\"}}",
		 "slowly; wait 7 s", ERR_THROTTLED},
		{"500 Internal Server Error|oops", "status 500: oops", ERR_PROTOCOL},
		{"418 Teapot|{\"error\":{\"code\":\"made_up\",\"message\":\"x\"}}", "status 418", ERR_PROTOCOL},
	};
	struct fake *fake = fake_start(NULL);
	write_discovery(fake->port, "");
	hold_lock();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(client) *client = NULL;
		AUTO(json) *answer = NULL;
		assert_int_equal(open_client(&client), 1);
		fake->answer = cases[i].answer;
		assert_int_equal(get_status(client, &answer), -1);
		assert_int_equal(err.class, cases[i].class);
		assert_non_null(strstr(err.message, cases[i].message));
		if (cases[i].class == ERR_THROTTLED) /* Retry-After says what the message does */
			assert_string_equal(err.message, cases[i].message);
		assert_null(answer);
		if (cases[i].class == ERR_BINDING_REQUIRED)
			assert_non_null(strstr(err.details, "\"required\":\"vault.passphrase\""));
	}
	fake_stop(fake);
}

static void names_in_a_path_are_escaped(void **state)
{
	(void)state;
	struct fake *fake = fake_start(NULL);
	AUTO(client) *client = NULL;
	AUTO_BUF query = BUF_INIT(256);
	write_discovery(fake->port, "");
	hold_lock();
	assert_int_equal(open_client(&client), 1);
	const struct client_request rebind = {
		.operation = OP_BINDING_REBIND, .parameters = {S("api_key/a b/\xc3\xa4?")}, .body = S("{}")};
	assert_int_equal(client_call(client, &rebind, NULL, &err), 0);
	assert_true(was_asked(fake, "POST /v1/bindings/api_key%2Fa%20b%2F%C3%A4%3F/rebind HTTP/1.1"));
	assert_true(was_asked(fake, "Content-Type: application/json"));
	client_query_add(&query, "connector_fqn", S("github://a/b&kind=x"));
	client_query_add(&query, "kind", S("basic"));
	const struct client_request list = {.operation = OP_BINDING_LIST, .query = buf_str(&query)};
	assert_int_equal(client_call(client, &list, NULL, &err), 0);
	assert_true(was_asked(fake, "?connector_fqn=github%3A%2F%2Fa%2Fb%26kind%3Dx&kind=basic HTTP"));
	client_free(TAKE(client));
	fake_stop(fake);
}

static void what_is_unlocked_already_is_no_failure(void **state)
{
	(void)state;
	struct fake *fake = fake_start(NULL);
	AUTO(client) *client = NULL;
	AUTO(json) *answer = NULL;
	write_discovery(fake->port, "");
	hold_lock();
	assert_int_equal(open_client(&client), 1);
	fake->answer = "409 Conflict|{\"locked\":false,\"state\":\"unlocked\"}";
	const struct client_request unlock = {.operation = OP_VAULT_UNLOCK, .body = S("{\"sealed\":\"AA\"}")};
	assert_int_equal(client_call(client, &unlock, &answer, &err), 0);
	assert_non_null(answer);
	fake->answer = "409 Conflict|{\"error\":{\"code\":\"vault_rolled_back\",\"message\":\"older\"}}";
	assert_int_equal(client_call(client, &unlock, NULL, &err), -1);
	assert_int_equal(err.class, ERR_VAULT_ROLLED_BACK);
	client_free(TAKE(client));
	fake_stop(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_there, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(an_alive_one_gets_the_token, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(the_socket_comes_first, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(somebody_else_at_its_address_gets_nothing, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_successor_is_asked_who_it_is_before_it_gets_the_token, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(a_lock_that_nobody_holds_is_a_dead_daemon, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(another_revision_is_refused, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(an_address_may_be_given, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(other_addresses_are_refused, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(the_files_token_goes_to_the_files_daemon_alone, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(errors_come_back_as_they_were_made, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(names_in_a_path_are_escaped, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(what_is_unlocked_already_is_no_failure, make_folder, remove_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
