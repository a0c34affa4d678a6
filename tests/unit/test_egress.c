#include "base/arena.h"
#include "base/limits.h"
#include "base/mem.h"
#include "confine/confine.h"
#include "confine/policies.h"
#include "egress/egress_protocol.h"
#include "http_server.h"
#include "os/child.h"
#include "text/wire.h"
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "skips.h"

#define SECRET "s3cr3t-token-0123456789"

/* The real program as a child, spoken to as its parent does. */
struct egress {
	struct child child;
	struct rpc_channel *channel;
};

static struct server *server;

static struct egress start(bool ca)
{
	struct egress e = {.child = CHILD_INIT};
	int pair[2];
	assert_int_equal(child_socketpair(pair, NULL), 0);
	char parent[16], namespaces[24];
	snprintf(parent, sizeof parent, "%d", (int)getpid());
	snprintf(namespaces, sizeof namespaces, "%llu", (unsigned long long)confine_egress.namespaces);
	const char *argv[] = {"aileron-egress", parent, namespaces, NULL};
	e.child.path = BINARY_DIR "/aileron-egress";
	e.child.argv = argv;
	e.child.namespaces = confine_given(&confine_egress);
	e.child.fds[e.child.n_fds++] = (struct child_fd){2, 2};
	e.child.fds[e.child.n_fds++] = (struct child_fd){pair[1], EGRESS_FD_SOCKET};
	AUTO_FD ca_fd = ca ? server_ca_fd() : -1;
	if (ca)
		e.child.fds[e.child.n_fds++] = (struct child_fd){ca_fd, EGRESS_FD_CA};
	struct err err = {0};
	if (child_start(&e.child, &err) != 0)
		fail_msg("%s", err.message);
	close(pair[1]);
	e.channel = rpc_channel_new(pair[0], egress_parent_rules);
	e.child.argv = NULL;
	return e;
}

static void stop(struct egress *e)
{
	rpc_channel_free(e->channel);
	e->channel = NULL;
	assert_int_equal(child_wait(&e->child, 10000, NULL), 1);
	child_release(&e->child);
}

static struct rpc_frame receive(struct egress *e)
{
	struct rpc_frame frame;
	struct err err = {0};
	if (rpc_recv(e->channel, &frame, &err) != 1)
		fail_msg("no frame: %s", err.message);
	return frame;
}

static void send_frame(struct egress *e, uint16_t type, uint32_t id, struct str body)
{
	assert_int_equal(rpc_send(e->channel, type, id, &body, 1, NULL), 0);
}

static void hello_and_start(struct egress *e, bool ca)
{
	struct rpc_frame hello = receive(e);
	assert_int_equal(hello.type, EGRESS_HELLO);
	struct confine_report report;
	assert_int_equal(confine_report_get(hello.body, &report, NULL), 0);
	rpc_set_state(e->channel, EGRESS_STATE_SERVING);
	AUTO_BUF body = BUF_INIT(16);
	wire_put_bool(&body, ca);
	send_frame(e, EGRESS_START, 0, buf_str(&body));
}

static struct egress serving(void)
{
	struct egress e = start(true);
	hello_and_start(&e, true);
	return e;
}

/* A call that reaches the server by the name api.test, at the address given; and by localhost, as it is resolved. */
static void grant(struct egress *e, uint32_t id)
{
	char entries[2][64];
	snprintf(entries[0], sizeof entries[0], "api.test:%u", server->port);
	snprintf(entries[1], sizeof entries[1], "localhost:%u", server->port);
	struct str hosts[] = {str_from(entries[0]), str_from(entries[1])};
	struct egress_opening openings[] = {
		{.host = S("api.test"), .port = server->port, .address = S("127.0.0.1"), .address_port = server->port},
		{.host = S("localhost"), .port = server->port},
	};
	struct egress_grant g = {.connector = S("github.com/a/b"),
				 .version = S("1.0.0"),
				 .hosts = hosts,
				 .n_hosts = ARRAY_LEN(hosts),
				 .openings = openings,
				 .n_openings = ARRAY_LEN(openings),
				 .request_max = LIMIT_REQUEST_BODY,
				 .response_max = LIMIT_RESPONSE_BODY,
				 .declared = CREDENTIAL_OAUTH2,
				 .binding = BINDING_FOUND,
				 .bound = CREDENTIAL_OAUTH2,
				 .pool = S("p")};
	AUTO_BUF body = BUF_INIT(1 << 16);
	egress_grant_put_head(&body, &g);
	wire_put_str(&body, S(SECRET));
	send_frame(e, EGRESS_GRANT, id, buf_str(&body));
}

static void request_raw(struct egress *e, uint32_t id, struct str envelope, uint64_t left_ms)
{
	AUTO_BUF body = BUF_INIT(64 << 20);
	wire_put_u64(&body, left_ms * MS);
	wire_put_bool(&body, true);
	wire_put_str(&body, envelope);
	send_frame(e, EGRESS_REQUEST, id, buf_str(&body));
}

static void request_at(struct egress *e, uint32_t id, const char *host, const char *path, const char *more)
{
	AUTO_FREE char *envelope = xasprintf("{\"url\":\"https://%s:%u%s\"%s}", host, server->port, path, more);
	request_raw(e, id, str_from(envelope), 20000);
}

static void request(struct egress *e, uint32_t id, const char *path, const char *more)
{
	request_at(e, id, "api.test", path, more);
}

static struct egress_result result_of(struct egress *e, uint32_t *ret_id)
{
	struct rpc_frame frame = receive(e);
	assert_int_equal(frame.type, EGRESS_RESULT);
	*ret_id = frame.id;
	struct egress_result result;
	assert_int_equal(egress_result_get(frame.body, &result, NULL), 0);
	return result;
}

static void it_proves_itself_and_answers(void **state)
{
	(void)state;
	struct egress e = serving();
	uint32_t id;
	grant(&e, 7);
	request(&e, 7, "/echo", ",\"credential\":\"oauth2\"");
	struct egress_result result = result_of(&e, &id);
	if (result.rc != 0)
		fail_msg("%s", result.err.message);
	assert_int_equal(id, 7);
	assert_int_equal(result.status, 200);
	assert_true(result.nanoseconds > 0);
	assert_true(str_find(result.body, S("Authorization: ")) != STR_NPOS);
	assert_true(str_find(result.body, S(SECRET)) == STR_NPOS);
	assert_true(str_find(result.note, S("dialled 127.0.0.1:")) != STR_NPOS);
	AUTO_FREE char *head = server_last_head(server);
	assert_non_null(strstr(head, "\r\nAuthorization: Bearer " SECRET "\r\n"));

	request(&e, 7, "/status/404", "");
	assert_int_equal(result_of(&e, &id).status, 404);
	send_frame(&e, EGRESS_END, 7, STR_EMPTY);
	stop(&e);
	assert_int_equal(e.child.exit_status, 0);
}

static void the_confinement_holds(void **state)
{
	(void)state;
	struct egress e = start(false);
	struct rpc_frame hello = receive(&e);
	struct confine_report report;
	assert_int_equal(confine_report_get(hello.body, &report, NULL), 0);
	struct err err = {0};
	if (confine_judge(&report, "aileron-egress", S("namespaces,landlock,seccomp"), &err) != 0)
		fail_msg("%s", err.message);
	stop(&e);
	assert_int_equal(e.child.exit_status, 0);
}

/* With the system's certificates, read from inside the confinement, the test's authority is unknown. */
static void the_system_bundle_can_be_read(void **state)
{
	(void)state;
	struct egress e = start(false);
	hello_and_start(&e, false);
	uint32_t id;
	grant(&e, 1);
	request(&e, 1, "/hello", "");
	struct egress_result result = result_of(&e, &id);
	assert_int_equal(result.rc, -1);
	assert_int_equal(result.err.class, ERR_NETWORK_ERROR);
	if (strstr(result.err.message, "install ca-certificates") != NULL)
		skip_because("no certificates of the system here");
	assert_non_null(strstr(result.err.message, "is not trusted"));
	stop(&e);
}

/* The resolver's thread, files and sockets within the confinement. */
static void names_are_resolved_inside(void **state)
{
	(void)state;
	struct egress e = serving();
	uint32_t id;
	grant(&e, 1);
	request_at(&e, 1, "localhost", "/hello", ",\"credential\":\"oauth2\"");
	struct egress_result result = result_of(&e, &id);
	if (result.rc != 0)
		fail_msg("%s", result.err.message);
	assert_true(str_eq(result.body, S("hello")));
	stop(&e);
}

/* The threads that search large answers within the confinement. */
static void large_answers_are_searched_inside(void **state)
{
	(void)state;
	struct egress e = serving();
	uint32_t id;
	grant(&e, 1);
	request(&e, 1, "/big/1000000", ",\"credential\":\"oauth2\"");
	struct egress_result result = result_of(&e, &id);
	assert_int_equal(result.rc, 0);
	assert_int_equal(result.body.n, 1000000);
	stop(&e);
	assert_int_equal(e.child.exit_status, 0);
}

static void many_calls_at_once(void **state)
{
	(void)state;
	enum { CALLS = 300, ROUNDS = 3 }; /* more than LIMIT_REQUESTS_OPEN: the rest waits */
	struct egress e = serving();
	for (uint32_t id = 1; id <= CALLS; id++)
		grant(&e, id);
	int open[CALLS + 1] = {0}, answers = 0;
	for (uint32_t id = 1; id <= CALLS; id++, open[id - 1] = 1)
		request(&e, id, "/big/3000", "");
	while (answers < CALLS * ROUNDS) {
		uint32_t id;
		struct egress_result result = result_of(&e, &id);
		if (result.rc != 0)
			fail_msg("%s", result.err.message);
		assert_int_equal(result.body.n, 3000);
		answers++;
		if (open[id]++ < ROUNDS)
			request(&e, id, "/big/3000", "");
		else
			send_frame(&e, EGRESS_END, id, STR_EMPTY);
	}
	stop(&e);
	assert_int_equal(e.child.exit_status, 0);
}

/* With every place taken by a service that does not answer, frames are read and deadlines hold. */
static void the_full_house_is_still_served(void **state)
{
	(void)state;
	enum { LAST = LIMIT_REQUESTS_OPEN, LATE = LAST + 1, GIVEN_UP, DROPPED, NEXT, LARGE, TOO_MUCH };
	struct egress e = serving();
	struct egress_result result;
	uint32_t id;
	for (id = 1; id <= TOO_MUCH; id++)
		grant(&e, id);
	for (id = 1; id <= LAST; id++)
		request(&e, id, "/hang", "");
	request_raw(&e, LATE, S("{}"), 50);
	result = result_of(&e, &id);
	assert_int_equal(id, LATE);
	assert_string_equal(result.err.message, "http_request: the call's deadline passed while others were served");

	request(&e, GIVEN_UP, "/hello", "");
	request(&e, DROPPED, "/hello", "");
	request(&e, NEXT, "/hello", "");
	send_frame(&e, EGRESS_CANCEL, GIVEN_UP, STR_EMPTY);
	result = result_of(&e, &id);
	assert_int_equal(id, GIVEN_UP);
	assert_string_equal(result.err.message, "http_request: cancelled by the caller");

	size_t n = LIMIT_REQUESTS_WAITING / 2;
	AUTO_FREE char *large = xcalloc(1, n);
	request_raw(&e, LARGE, str_of(large, n), 20000);
	request_raw(&e, TOO_MUCH, str_of(large, n), 20000);
	result = result_of(&e, &id);
	assert_int_equal(id, TOO_MUCH);
	assert_int_equal(result.err.class, ERR_NETWORK_ERROR);
	assert_string_equal(result.err.message, "http_request: too much is waiting to be sent already");

	send_frame(&e, EGRESS_END, DROPPED, STR_EMPTY); /* no answer any more */
	send_frame(&e, EGRESS_END, LARGE, STR_EMPTY);
	send_frame(&e, EGRESS_END, 1, STR_EMPTY); /* makes room for the one that waits */
	result = result_of(&e, &id);
	assert_int_equal(id, NEXT);
	assert_int_equal(result.status, 200);
	stop(&e);
	assert_int_equal(e.child.exit_status, 0);
}

static void cancel_and_end(void **state)
{
	(void)state;
	struct egress e = serving();
	uint32_t id;
	grant(&e, 1);
	grant(&e, 2);
	int before = atomic_load(&server->requests);
	request(&e, 1, "/hang", "");
	request(&e, 2, "/hang", "");
	while (atomic_load(&server->requests) < before + 2)
		sched_yield();
	send_frame(&e, EGRESS_CANCEL, 1, STR_EMPTY);
	struct egress_result result = result_of(&e, &id);
	assert_int_equal(id, 1);
	assert_string_equal(result.err.message, "http_request: cancelled by the caller");
	send_frame(&e, EGRESS_CANCEL, 1, STR_EMPTY); /* too late, no error */
	send_frame(&e, EGRESS_END, 2, STR_EMPTY);    /* no answer any more */
	request(&e, 1, "/hello", "");
	result = result_of(&e, &id);
	assert_int_equal(id, 1);
	assert_int_equal(result.rc, 0);
	stop(&e);
	assert_int_equal(e.child.exit_status, 0);
}

/* What a parent of ours never sends ends the process. */
static void broken_frames_end_it(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++) {
		struct egress e = serving();
		grant(&e, 1);
		switch (i) {
		case 0:
			grant(&e, 1);
			break;
		case 1:
			request(&e, 9, "/hello", "");
			break;
		case 2:
			send_frame(&e, EGRESS_REQUEST, 1, S("short"));
			break;
		case 3:
			send_frame(&e, EGRESS_GRANT, 2, S("short"));
			break;
		case 4:
			request(&e, 1, "/hang", "");
			request(&e, 1, "/hang", "");
			break;
		default:
			send_frame(&e, EGRESS_START, 0, S("\1"));
			break;
		}
		struct rpc_frame frame;
		assert_int_equal(rpc_recv(e.channel, &frame, NULL), 0);
		stop(&e);
		assert_int_equal(e.child.exit_status, 1);
	}
}

static void it_ends_with_its_parent(void **state)
{
	(void)state;
	struct egress e = serving();
	int before = atomic_load(&server->requests);
	grant(&e, 1);
	request(&e, 1, "/hang", "");
	while (atomic_load(&server->requests) == before)
		sched_yield();
	stop(&e);
	assert_int_equal(e.child.exit_status, 0);
}

static void it_is_not_started_by_hand(void **state)
{
	(void)state;
	AUTO_CHILD child = CHILD_INIT;
	const char *argv[] = {"aileron-egress", NULL};
	child.path = BINARY_DIR "/aileron-egress";
	child.argv = argv;
	assert_int_equal(child_start(&child, NULL), 0);
	assert_int_equal(child_wait(&child, 10000, NULL), 1);
	assert_int_equal(child.exit_status, 2);
}

static int set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	server = server_start(SERVER_TLS);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	server_stop(server);
	X509_free(server_ca);
	EVP_PKEY_free(server_ca_key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_proves_itself_and_answers),
		cmocka_unit_test(the_confinement_holds),
		cmocka_unit_test(the_system_bundle_can_be_read),
		cmocka_unit_test(names_are_resolved_inside),
		cmocka_unit_test(large_answers_are_searched_inside),
		cmocka_unit_test(many_calls_at_once),
		cmocka_unit_test(the_full_house_is_still_served),
		cmocka_unit_test(cancel_and_end),
		cmocka_unit_test(broken_frames_end_it),
		cmocka_unit_test(it_ends_with_its_parent),
		cmocka_unit_test(it_is_not_started_by_hand),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
