#include "base/arena.h"
#include "base/limits.h"
#include "base/mem.h"
#include "confine/confine.h"
#include "confine/policies.h"
#include "crypto/held_key.h"
#include "connector/runner_protocol.h"
#include "egress/egress_protocol.h"
#include "egress/watchlist.h"
#include "http_server.h"
#include "os/child.h"
#include "supervise/supervise.h"
#include "text/wire.h"
#include "vault/keeper_protocol.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <cmocka.h>

/*
 * The real program under a parent, with a control and a keeper, all of them played by this test: it sees every byte that
 * egress sends to anybody.
 */
#define TOKEN "s3cr3t-token-0123456789"
#define CALL  7
#define RELAY 3

struct daemon {
	struct child child;
	int link;
	struct rpc_channel *control, *keeper;
};

static struct server *server, *plain;

/* ---- the parent ---- */

static void parent_send(struct daemon *d, uint32_t type, uint32_t id, struct str body, const int *fds, size_t n)
{
	struct err err = {0};
	if (supervise_send(d->link, type, id, body, fds, n, &err) != 0)
		fail_msg("%s", err.message);
}

static void parent_receive(struct daemon *d, struct supervise_message *ret)
{
	struct err err = {0};
	if (supervise_recv(d->link, ret, &err) != 1)
		fail_msg("nothing from egress: %s", err.message);
}

static void begin(struct daemon *d)
{
	*d = (struct daemon){.child = CHILD_INIT};
	int pair[2];
	assert_int_equal(supervise_pair(pair, NULL), 0);
	char parent[16], namespaces[24];
	snprintf(parent, sizeof parent, "%d", (int)getpid());
	snprintf(namespaces, sizeof namespaces, "%llu", (unsigned long long)confine_egress.namespaces);
	const char *argv[] = {"aileron-egress", parent, namespaces, NULL};
	d->child.path = BINARY_DIR "/aileron-egress";
	d->child.argv = argv;
	d->child.namespaces = confine_given(&confine_egress);
	AUTO_FD ca_fd = server_ca_fd();
	d->child.fds[d->child.n_fds++] = (struct child_fd){2, 2};
	d->child.fds[d->child.n_fds++] = (struct child_fd){pair[1], SUPERVISE_FD};
	d->child.fds[d->child.n_fds++] = (struct child_fd){ca_fd, EGRESS_FD_CA};
	struct err err = {0};
	if (child_start(&d->child, &err) != 0)
		fail_msg("%s", err.message);
	close(pair[1]);
	d->child.argv = NULL;
	d->link = pair[0];

	struct supervise_message message;
	parent_receive(d, &message);
	assert_int_equal(message.frame.type, SUPERVISE_PROOF);
	struct confine_report report;
	assert_int_equal(confine_report_get(supervise_body(&message), &report, NULL), 0);
	AUTO_BUF start = BUF_INIT(1000);
	wire_put_u32(&start, 1);
	wire_put_str(&start, S("ca_file"));
	wire_put_str(&start, S("1"));
	parent_send(d, SUPERVISE_START, 0, buf_str(&start), NULL, 0);
	parent_receive(d, &message);
	assert_int_equal(message.frame.type, SUPERVISE_READY);
}

/* A new pair of which egress gets one end. */
static struct rpc_channel *join(struct daemon *d, char role, const struct rpc_rule *rules)
{
	int pair[2];
	assert_int_equal(child_socketpair(pair, NULL), 0);
	parent_send(d, SUPERVISE_PEER, 0, str_of(&role, 1), &pair[1], 1);
	close(pair[1]);
	return rpc_channel_new(pair[0], rules);
}

static void join_control(struct daemon *d)
{
	rpc_channel_free(d->control);
	d->control = join(d, SUPERVISE_CONTROL, egress_parent_rules);
	rpc_set_state(d->control, EGRESS_STATE_SERVING);
}

static void join_keeper(struct daemon *d)
{
	rpc_channel_free(d->keeper);
	d->keeper = join(d, SUPERVISE_KEEPER, keeper_egress_rules);
}

/* The parent's words are heard in order: what comes from this control comes when the keeper is there. */
static void join_both(struct daemon *d)
{
	join_keeper(d);
	join_control(d);
}

static void start(struct daemon *d)
{
	begin(d);
	join_both(d);
}

/* It ends because its parent did, and well. */
static void stop(struct daemon *d)
{
	close(d->link);
	assert_int_equal(child_wait(&d->child, 10000, NULL), 1);
	assert_int_equal(d->child.exit_status, 0);
	child_release(&d->child);
	rpc_channel_free(d->control);
	rpc_channel_free(d->keeper);
}

/* It lets go of a control that lives, tells the parent why, and ends: only another egress gets that control another pair. */
static void assert_lets_go(struct daemon *d)
{
	struct rpc_frame frame;
	assert_int_equal(rpc_recv(d->control, &frame, NULL), 0);
	struct supervise_message message;
	parent_receive(d, &message);
	assert_int_equal(message.frame.type, SUPERVISE_FAILED);
	assert_int_equal(child_wait(&d->child, 10000, NULL), 1);
	assert_int_equal(d->child.exit_status, 1);
	close(d->link);
	child_release(&d->child);
	rpc_channel_free(d->control);
	rpc_channel_free(d->keeper);
}

/* ---- frames ---- */

static struct rpc_frame receive(struct rpc_channel *channel, uint16_t type)
{
	struct rpc_frame frame;
	struct err err = {0};
	if (rpc_recv(channel, &frame, &err) != 1)
		fail_msg("no frame: %s", err.message);
	assert_int_equal(frame.type, type);
	return frame;
}

static void send_body(struct rpc_channel *channel, uint16_t type, uint32_t id, const struct buf *body)
{
	const struct str part = buf_str(body);
	assert_int_equal(rpc_send(channel, type, id, &part, 1, NULL), 0);
}

static bool is_silent(struct rpc_channel *channel)
{
	struct pollfd fd = {.fd = rpc_fd(channel), .events = POLLIN};
	return !rpc_has_frame(channel) && poll(&fd, 1, 0) == 0;
}

/* ---- control ---- */

/* What the next grant says: whether a name may be private, and the manifest's region. */
static bool localhost;
static const char *manifest_region = "ap-south-1";

static struct egress_permit permit = {.use = 11, .binding = {"oauth2/svc/me", 13}};

static void grant_with(struct daemon *d, uint32_t id, enum credential_kind kind, const struct egress_permit *permits,
		       size_t n)
{
	char entries[4][64];
	struct str hosts[ARRAY_LEN(entries)];
	snprintf(entries[0], sizeof entries[0], "127.0.0.1:%u", server->port); /* a literal may be private */
	snprintf(entries[1], sizeof entries[1], "localhost:%u", server->port);
	snprintf(entries[2], sizeof entries[2], "127.0.0.1:%u", plain->port);
	snprintf(entries[3], sizeof entries[3], "169.254.169.254:80");
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		hosts[i] = str_from(entries[i]);
	const struct egress_opening openings[] = {
		{.host = S("localhost"), .port = localhost ? server->port : 1},
		{.host = S("169.254.169.254"), .port = 80},
	};
	const struct str components[] = {S("@method"), S("@path")};
	const struct egress_grant grant = {
		.connector = S("github://a/b"),
		.version = S("1.0.0"),
		.hosts = hosts,
		.n_hosts = ARRAY_LEN(hosts),
		.openings = openings,
		.n_openings = ARRAY_LEN(openings),
		.request_max = LIMIT_REQUEST_BODY,
		.response_max = LIMIT_RESPONSE_BODY,
		.declared = kind,
		.service = kind == CREDENTIAL_AWS_SIGV4 ? S("athena") : STR_EMPTY,
		.region = kind == CREDENTIAL_AWS_SIGV4 && n > 1 ? str_from(manifest_region) : STR_EMPTY,
		.algorithm = kind == CREDENTIAL_SIGNING_KEY ? S("ed25519") : STR_EMPTY,
		.components = components,
		.n_components = kind == CREDENTIAL_SIGNING_KEY ? ARRAY_LEN(components) : 0,
		.binding = BINDING_PERMIT,
		.bound = kind,
		.permits = permits,
		.n_permits = n,
		.relay = RELAY,
		.relay_call = id,
	};
	AUTO_BUF body = BUF_INIT(1 << 16);
	egress_grant_put_head(&body, &grant);
	wire_put_str(&body, STR_EMPTY);
	send_body(d->control, EGRESS_GRANT, id, &body);
}

static void grant(struct daemon *d, uint32_t id)
{
	grant_with(d, id, CREDENTIAL_OAUTH2, &permit, 1);
}

static void request_raw(struct daemon *d, uint32_t id, const char *url, const char *more, uint64_t left_ms)
{
	AUTO_FREE char *envelope = xasprintf("{\"url\":\"%s\"%s}", url, more);
	AUTO_BUF body = BUF_INIT(1 << 20);
	wire_put_u64(&body, left_ms * MS);
	wire_put_bool(&body, true);
	wire_put_str(&body, str_from(envelope));
	send_body(d->control, EGRESS_REQUEST, id, &body);
}

static void request(struct daemon *d, uint32_t id, const char *path, const char *credential)
{
	AUTO_FREE char *url = xasprintf("https://127.0.0.1:%u%s", server->port, path);
	AUTO_FREE char *more = credential != NULL ? xasprintf(",\"credential\":\"%s\"", credential) : xstrdup("");
	request_raw(d, id, url, more, 20000);
}

static void end_call(struct daemon *d, uint32_t id)
{
	assert_int_equal(rpc_send(d->control, EGRESS_END, id, NULL, 0, NULL), 0);
}

/* The next result; its texts live until the next receive. */
static struct egress_result *result_of(struct daemon *d, uint32_t id)
{
	static struct egress_result result;
	struct rpc_frame frame = receive(d->control, EGRESS_RESULT);
	assert_int_equal(frame.id, id);
	assert_int_equal(egress_result_get(frame.body, &result, NULL), 0);
	return &result;
}

static void assert_answered(struct daemon *d, uint32_t id, const char *body)
{
	struct egress_result *result = result_of(d, id);
	if (result->rc != 0)
		fail_msg("%s: %s", err_row(result->err.class)->name, result->err.message);
	AUTO_FREE char *got = str_dup(result->body);
	if (body != NULL && strstr(got, body) == NULL)
		fail_msg("'%s' is not in '%s'", body, got);
	assert_null(strstr(got, TOKEN));
}

static void assert_refused(struct daemon *d, uint32_t id, enum err_class class, const char *says)
{
	struct egress_result *result = result_of(d, id);
	assert_int_equal(result->rc, -1);
	if (result->err.class != class ||
	    (strstr(result->err.message, says) == NULL && strstr(result->err.details, says) == NULL))
		fail_msg("%s: %s {%s}", err_row(result->err.class)->name, result->err.message, result->err.details);
}

/* ---- the keeper ---- */

static uint32_t expect_target(struct daemon *d, enum keeper_message type, uint64_t use, const char *name, uint16_t port,
			      uint8_t way)
{
	struct rpc_frame frame = receive(d->keeper, (uint16_t)type);
	struct wire_reader r = wire_reader(frame.body);
	struct keeper_target target;
	char host[64];
	snprintf(host, sizeof host, "%s:%u", name, port);
	assert_int_equal(wire_u64(&r), use);
	keeper_target_get(&r, &target);
	assert_true(str_eq(target.host, str_from(host)));
	assert_int_equal(target.way, way);
	assert_int_equal(wire_done(&r, "claim", NULL), 0);
	return frame.id;
}

static uint32_t expect_claim(struct daemon *d, uint64_t use)
{
	return expect_target(d, KEEPER_CLAIM, use, "127.0.0.1", server->port, KEEPER_WAY_PRIVATE);
}

static void release_value(struct daemon *d, uint32_t id, const char *kind, const char *username, const char *value)
{
	AUTO_BUF body = BUF_INIT(1 << 16);
	wire_put_bool(&body, true);
	wire_put_str(&body, str_from(kind));
	wire_put_str(&body, str_from(username));
	wire_put_str(&body, S("pool"));
	wire_put_str(&body, str_from(value));
	send_body(d->keeper, KEEPER_RELEASED, id, &body);
}

static void refuse(struct daemon *d, uint16_t type, uint32_t id, enum err_class class, const char *why)
{
	struct err err = {0};
	(fail)(&err, class, "%s", why);
	AUTO_BUF body = BUF_INIT(1 << 16);
	wire_put_bool(&body, false);
	wire_put_err(&body, &err);
	send_body(d->keeper, type, id, &body);
}

/* ------------------------------------------------------------------------------------------------------------- values */

static void a_value_is_claimed_when_it_is_needed_and_once_a_call(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	grant(&d, CALL);
	request(&d, CALL, "/hello", NULL);
	assert_answered(&d, CALL, "hello");
	assert_true(is_silent(d.keeper));

	request(&d, CALL, "/echo", "oauth2");
	release_value(&d, expect_claim(&d, 11), "oauth2", "", TOKEN);
	assert_answered(&d, CALL, "Authorization: [");
	AUTO_FREE char *head = server_last_head(server);
	assert_non_null(strstr(head, "Authorization: Bearer " TOKEN "\r\n"));

	request(&d, CALL, "/echo", "oauth2"); /* held for the call */
	assert_answered(&d, CALL, "Authorization: [");
	assert_true(is_silent(d.keeper));

	end_call(&d, CALL);
	grant(&d, CALL); /* another call's needs a claim of its own */
	request(&d, CALL, "/hello", "oauth2");
	release_value(&d, expect_claim(&d, 11), "oauth2", "", TOKEN);
	assert_answered(&d, CALL, "hello");
	stop(&d);
}

static void a_user_name_comes_with_the_value(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	grant_with(&d, CALL, CREDENTIAL_BASIC, &permit, 1);
	request(&d, CALL, "/hello", "basic");
	release_value(&d, expect_claim(&d, 11), "basic", "me", "pass word");
	assert_answered(&d, CALL, "hello");
	AUTO_FREE char *head = server_last_head(server);
	assert_non_null(strstr(head, "Authorization: Basic bWU6cGFzcyB3b3Jk\r\n"));
	stop(&d);
}

static void the_keeper_is_not_asked_for_what_is_refused_anyway(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	grant(&d, CALL);
	request(&d, CALL, "/hello", "api_key");
	assert_refused(&d, CALL, ERR_CAPABILITY_DENIED, "another kind");
	request_raw(&d, CALL, "https://elsewhere.test/", ",\"credential\":\"oauth2\"", 20000);
	assert_refused(&d, CALL, ERR_CAPABILITY_DENIED, "not_listed");
	assert_true(is_silent(d.keeper));
	stop(&d);
}

static void what_the_keeper_refuses_is_told(void **state)
{
	(void)state;
	static const struct {
		enum err_class said, told;
		const char *shows;
	} rows[] = {
		{ERR_BINDING_REQUIRED, ERR_BINDING_REQUIRED, "\"required\":\"vault.passphrase\""},
		{ERR_VAULT_LOCKED, ERR_BINDING_REQUIRED, "\"hint\":"},
		{ERR_BINDING_FAILED, ERR_BINDING_FAILED, "as the keeper says"},
		{ERR_CAPABILITY_DENIED, ERR_CAPABILITY_DENIED, "as the keeper says"},
		{ERR_SYSTEM, ERR_BINDING_FAILED, "as the keeper says"},
	};
	struct daemon d;
	start(&d);
	grant(&d, CALL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		request(&d, CALL, "/hello", "oauth2");
		refuse(&d, KEEPER_RELEASED, expect_claim(&d, 11), rows[i].said, "as the keeper says");
		assert_refused(&d, CALL, rows[i].told, rows[i].shows);
	}
	request(&d, CALL, "/hello", "oauth2");
	release_value(&d, expect_claim(&d, 11), "api_key", "", TOKEN);
	assert_refused(&d, CALL, ERR_CAPABILITY_DENIED, "of another kind");
	stop(&d);
}

/* The claim of a request that was given up is refused: that is not the answer of the one that goes elsewhere. */
static void a_refusal_is_for_where_it_was_asked_about(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	grant(&d, CALL);
	AUTO_FREE char *unsafe = xasprintf("http://127.0.0.1:%u/hello", plain->port);
	request_raw(&d, CALL, unsafe, ",\"credential\":\"oauth2\"", 300);
	uint32_t id = expect_target(&d, KEEPER_CLAIM, 11, "127.0.0.1", plain->port, KEEPER_WAYS);
	assert_refused(&d, CALL, ERR_BINDING_FAILED, "did not give out");
	grant(&d, CALL + 1);
	request(&d, CALL, "/hello", "oauth2");
	request(&d, CALL + 1, "/hello", NULL); /* when it is answered, the other one waits */
	assert_answered(&d, CALL + 1, "hello");
	refuse(&d, KEEPER_RELEASED, id, ERR_CAPABILITY_DENIED, "not plain");
	release_value(&d, expect_claim(&d, 11), "oauth2", "", TOKEN);
	assert_answered(&d, CALL, "hello");
	stop(&d);
}

/* A control that was taken over names its own listener, without TLS; the keeper hears what it would be. */
static void the_keeper_hears_of_plain_http_and_private_addresses(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	grant(&d, CALL);
	AUTO_FREE char *url = xasprintf("http://127.0.0.1:%u/never", plain->port);
	request_raw(&d, CALL, url, ",\"credential\":\"oauth2\"", 20000);
	uint32_t id = expect_target(&d, KEEPER_CLAIM, 11, "127.0.0.1", plain->port, KEEPER_WAYS);
	refuse(&d, KEEPER_RELEASED, id, ERR_CAPABILITY_DENIED, "not over plain http");
	assert_refused(&d, CALL, ERR_CAPABILITY_DENIED, "not over plain http");
	AUTO_FREE char *head = server_last_head(plain);
	assert_null(strstr(head, "/never"));
	stop(&d);
}

/* What was released for one host goes to no other before the keeper said so. */
static void a_value_that_is_held_goes_nowhere_else_unasked(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	localhost = true;
	grant(&d, CALL);
	localhost = false;
	request(&d, CALL, "/hello", "oauth2");
	release_value(&d, expect_claim(&d, 11), "oauth2", "", TOKEN);
	assert_answered(&d, CALL, "hello");
	AUTO_FREE char *url = xasprintf("https://localhost:%u/hello", server->port);
	AUTO_FREE char *unsafe = xasprintf("http://127.0.0.1:%u/hello", plain->port);
	for (int i = 0; i < 3; i++) { /* refused once, and then for good */
		request_raw(&d, CALL, url, ",\"credential\":\"oauth2\"", 20000);
		if (i < 2) {
			uint32_t id =
				expect_target(&d, KEEPER_EXTEND, 11, "localhost", server->port, KEEPER_WAY_PRIVATE);
			if (i == 0)
				refuse(&d, KEEPER_RELEASED, id, ERR_CAPABILITY_DENIED, "not there");
			else
				release_value(&d, id, "oauth2", "", "");
		}
		if (i == 0)
			assert_refused(&d, CALL, ERR_CAPABILITY_DENIED, "not there");
		else
			assert_answered(&d, CALL, "hello");
	}
	request_raw(&d, CALL, unsafe, ",\"credential\":\"oauth2\"", 20000);
	uint32_t id = expect_target(&d, KEEPER_EXTEND, 11, "127.0.0.1", plain->port, KEEPER_WAYS);
	refuse(&d, KEEPER_RELEASED, id, ERR_CAPABILITY_DENIED, "not plain");
	assert_refused(&d, CALL, ERR_CAPABILITY_DENIED, "not plain");
	request(&d, CALL, "/hello", "oauth2");
	assert_answered(&d, CALL, "hello");
	assert_true(is_silent(d.keeper));
	stop(&d);
}

static void metadata_services_are_out_of_reach(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	grant(&d, CALL); /* listed literally, and opened */
	request_raw(&d, CALL, "http://169.254.169.254/latest/", "", 20000);
	assert_refused(&d, CALL, ERR_CAPABILITY_DENIED, "link-local (metadata)");
	AUTO_FREE char *url = xasprintf("https://localhost:%u/hello", server->port);
	request_raw(&d, CALL, url, "", 20000); /* listed, but a name leads to this machine only when it was opened */
	assert_refused(&d, CALL, ERR_CAPABILITY_DENIED, "\"range\":\"loopback\"");
	stop(&d);
}

/* A dictionary goes in, and what is struck out would be the word: one guess a call. */
static void an_answer_does_not_tell_what_the_credential_is(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	AUTO_FREE char *own = xasprintf("http://127.0.0.1:%u/given", plain->port);
	static const char *const guesses[] = {"own", "https://" TOKEN ".test/", NULL};
	for (size_t i = 0; i < ARRAY_LEN(guesses); i++) {
		grant(&d, CALL);
		request(&d, CALL, "/echo", "oauth2");
		release_value(&d, expect_claim(&d, 11), "oauth2", "", TOKEN);
		assert_answered(&d, CALL, "Authorization: [");
		server_give(plain, 200, i == 0 ? "Winter2025! " TOKEN " letmein1" : "Winter2025! letmein1");
		request_raw(&d, CALL, i == 1 ? guesses[1] : own, "", 20000);
		if (guesses[i] != NULL) {
			assert_refused(&d, CALL, ERR_CAPABILITY_DENIED, "\"rule\":\"credential_echo\"");
			request(&d, CALL, "/hello", NULL);
			assert_refused(&d, CALL, ERR_CAPABILITY_DENIED, "makes no more requests");
		} else {
			assert_answered(&d, CALL, "Winter2025! letmein1");
		}
		end_call(&d, CALL);
	}
	grant(&d, CALL);
	request(&d, CALL, "/echo", "oauth2");
	release_value(&d, expect_claim(&d, 11), "oauth2", "", TOKEN);
	for (int i = 0; i < WATCHLIST_ECHOES_MAX; i++) {
		assert_answered(&d, CALL, "Authorization: [");
		request(&d, CALL, "/echo", "oauth2");
	}
	assert_refused(&d, CALL, ERR_CAPABILITY_DENIED, "came back too often");
	stop(&d);
}

static void others_go_on_while_the_keeper_is_silent(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	grant(&d, CALL);
	grant(&d, CALL + 1);
	AUTO_FREE char *url = xasprintf("https://127.0.0.1:%u/hello", server->port);
	request_raw(&d, CALL, url, ",\"credential\":\"oauth2\"", 300);
	uint32_t claim = expect_claim(&d, 11);
	request(&d, CALL + 1, "/hello", NULL);
	assert_answered(&d, CALL + 1, "hello");
	assert_refused(&d, CALL, ERR_BINDING_FAILED, "did not give out");
	/* The claim goes on, and its value is the call's next request's. */
	request(&d, CALL, "/echo", "oauth2");
	release_value(&d, claim, "oauth2", "", TOKEN);
	assert_answered(&d, CALL, "Authorization: [");
	assert_true(is_silent(d.keeper));
	stop(&d);
}

static void a_keeper_that_ends_is_a_locked_vault(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	grant(&d, CALL);
	request(&d, CALL, "/hello", "oauth2");
	expect_claim(&d, 11);
	rpc_channel_free(TAKE(d.keeper));
	assert_refused(&d, CALL, ERR_BINDING_REQUIRED, "\"required\":\"vault.passphrase\"");
	request(&d, CALL, "/hello", "oauth2");
	assert_refused(&d, CALL, ERR_BINDING_REQUIRED, "does not run");
	join_both(&d);
	grant(&d, CALL);
	request(&d, CALL, "/hello", "oauth2");
	release_value(&d, expect_claim(&d, 11), "oauth2", "", TOKEN);
	assert_answered(&d, CALL, "hello");
	stop(&d);
}

static void a_keeper_that_talks_nonsense_is_let_go(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	static const struct str nonsense[] = {{"", 0}, {"\1", 1}, {"\2", 1}, {"\0", 1}};
	for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
		grant(&d, CALL);
		request(&d, CALL, "/hello", "oauth2");
		uint32_t id = expect_claim(&d, 11);
		assert_int_equal(rpc_send(d.keeper, KEEPER_RELEASED, id, &nonsense[i], 1, NULL), 0);
		assert_refused(&d, CALL, ERR_BINDING_REQUIRED, "was let go");
		struct rpc_frame frame;
		assert_int_equal(rpc_recv(d.keeper, &frame, NULL), 0);
		join_both(&d);
	}
	grant(&d, CALL);
	request(&d, CALL, "/hello", "oauth2");
	uint32_t id = expect_claim(&d, 11);
	release_value(&d, id + 1, "oauth2", "", TOKEN);
	assert_refused(&d, CALL, ERR_BINDING_REQUIRED, "answers no question");
	stop(&d);
}

/* ------------------------------------------------------------------------------------------------------- keys that sign */

static void expect_signing(struct daemon *d, uint32_t *ret_id, struct str *ret_region, struct str *ret_text)
{
	struct rpc_frame frame = receive(d->keeper, KEEPER_SIGN_SIGV4);
	struct wire_reader r = wire_reader(frame.body);
	assert_int_not_equal(wire_u64(&r), 0);
	struct keeper_target target;
	keeper_target_get(&r, &target);
	assert_int_equal(target.way, KEEPER_WAY_PRIVATE);
	assert_int_equal(wire_str(&r).n, 8);
	*ret_region = wire_str(&r);
	assert_true(str_eq(wire_str(&r), S("athena")));
	*ret_text = wire_str(&r);
	assert_int_equal(wire_done(&r, "sign", NULL), 0);
	*ret_id = frame.id;
}

static void answer_signing(struct daemon *d, uint32_t id, struct str signature)
{
	AUTO_BUF body = BUF_INIT(1000);
	wire_put_bool(&body, true);
	wire_put_str(&body, signature);
	send_body(d->keeper, KEEPER_SIGNED, id, &body);
}

static void aws_request(struct daemon *d, const char *path)
{
	AUTO_FREE char *url = xasprintf("https://127.0.0.1:%u%s", server->port, path);
	request_raw(d, CALL, url, ",\"credential\":\"aws_sigv4\",\"method\":\"POST\",\"body\":\"x\"", 20000);
}

static void the_keeper_signs_each_request(void **state)
{
	(void)state;
	static const struct egress_permit one = {
		.use = 5, .binding = {"aws_sigv4/a/b", 13}, .region = {"eu-west-1", 9}, .access_key_id = {"AKIDX", 5}};
	static const char mac[SHA256_SIZE + 1] = "0123456789abcdef0123456789abcdef";
	struct daemon d;
	start(&d);
	grant_with(&d, CALL, CREDENTIAL_AWS_SIGV4, &one, 1);
	for (int i = 0; i < 2; i++) {
		uint32_t id;
		struct str region, text;
		aws_request(&d, "/echo");
		expect_signing(&d, &id, &region, &text);
		assert_true(str_eq(region, S("eu-west-1"))); /* the host does not tell: the binding's */
		assert_true(str_starts(text, S("AWS4-HMAC-SHA256\n")));
		answer_signing(&d, id, str_of(mac, SHA256_SIZE));
		assert_answered(&d, CALL, "Credential=AKIDX/");
		AUTO_FREE char *head = server_last_head(server);
		assert_non_null(strstr(head, "Signature=3031323334353637383961626364656630313233"));
	}
	stop(&d);
}

static void the_region_chooses_the_permit(void **state)
{
	(void)state;
	static const struct egress_permit permits[] = {
		{.use = 1, .binding = {"aws_sigv4/a/eu", 14}, .region = {"eu-west-1", 9}, .access_key_id = {"AKEU", 4}},
		{.use = 2, .binding = {"aws_sigv4/a/us", 14}, .region = {"us-east-1", 9}, .access_key_id = {"AKUS", 4}},
		{.use = 3, .binding = {"aws_sigv4/a/any", 15}, .access_key_id = {"AKAN", 4}},
	};
	static const struct {
		const char *region;
		size_t n;
		uint64_t use;
	} rows[] = {
		{"us-east-1", 3, 2},
		{"ap-south-1", 3, 3},
		{"us-east-1", 1, 1},
		{"ap-south-1", 2, 0},
	};
	struct daemon d;
	start(&d);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		manifest_region = rows[i].region;
		grant_with(&d, CALL, CREDENTIAL_AWS_SIGV4, permits, rows[i].n);
		AUTO_FREE char *url = xasprintf("https://127.0.0.1:%u/echo", server->port);
		request_raw(&d, CALL, url, ",\"credential\":\"aws_sigv4\"", 20000);
		if (rows[i].use != 0) {
			struct rpc_frame frame = receive(d.keeper, KEEPER_SIGN_SIGV4);
			struct wire_reader r = wire_reader(frame.body);
			assert_int_equal(wire_u64(&r), rows[i].use);
			refuse(&d, KEEPER_SIGNED, frame.id, ERR_BINDING_FAILED, "no");
			assert_refused(&d, CALL, ERR_BINDING_FAILED, "no");
		} else {
			assert_refused(&d, CALL, ERR_CONNECTOR_RUNTIME_ERROR,
				       "\"candidates\":[\"aws_sigv4/a/eu\",\"aws_sigv4/a/us\"]");
		}
		end_call(&d, CALL);
	}
	stop(&d);
}

static void other_keys_sign_bytes(void **state)
{
	(void)state;
	char signature[64];
	memset(signature, 'S', sizeof signature);
	struct daemon d;
	start(&d);
	grant_with(&d, CALL, CREDENTIAL_SIGNING_KEY, &permit, 1);
	static const size_t lengths[] = {64, 32, 0};
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		request(&d, CALL, "/echo", "signing_key");
		struct rpc_frame frame = receive(d.keeper, KEEPER_SIGN_BYTES);
		struct wire_reader r = wire_reader(frame.body);
		assert_int_equal(wire_u64(&r), 11);
		struct keeper_target target;
		keeper_target_get(&r, &target);
		assert_int_equal(target.way, KEEPER_WAY_PRIVATE);
		assert_int_equal(wire_u8(&r), SIGNING_ED25519);
		assert_true(str_starts(wire_str(&r), S("\"@method\": GET\n\"@path\": /echo\n")));
		answer_signing(&d, frame.id, str_of(signature, lengths[i]));
		if (i == 0)
			assert_answered(&d, CALL, "Signature-Input: sig1=");
		else
			assert_refused(&d, CALL, ERR_BINDING_FAILED, "signature has");
	}
	stop(&d);
}

/* -------------------------------------------------------------------------------------------------------------- tokens */

static void put_exchange(struct buf *body, const char *more_url)
{
	AUTO_FREE char *url = xasprintf("http://127.0.0.1:%u%s", plain->port, more_url);
	const struct keeper_exchange exchange = {
		.token_url = str_from(url),
		.device_authorization_url = str_from(url),
		.client_id = S("client"),
		.client_secret = S("hush & hush"),
		.refresh_token = S("r3fr3sh-one"),
		.verifier = S("v3r1f13r-0123456789"),
		.device_code = S("d3v1c3-code"),
		.scopes = S("mail.read mail.send"),
		.allow_private = true,
	};
	keeper_exchange_put(body, &exchange);
}

static void send_refresh(struct daemon *d, uint32_t id, const char *path)
{
	AUTO_BUF body = BUF_INIT(1 << 16);
	put_exchange(&body, path);
	send_body(d->keeper, KEEPER_REFRESH, id, &body);
}

static void assert_form(const char *expected)
{
	AUTO_FREE char *form = server_last_body(plain);
	assert_string_equal(form, expected);
	AUTO_FREE char *head = server_last_head(plain);
	assert_non_null(strstr(head, "Accept: application/json\r\n"));
	assert_non_null(strstr(head, "Content-Type: application/x-www-form-urlencoded\r\n"));
}

static void a_token_is_refreshed_before_it_is_used(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	grant(&d, CALL);
	request(&d, CALL, "/echo", "oauth2");
	uint32_t id = expect_claim(&d, 11);
	server_give(plain, 200,
		    "{\"access_token\":\"new-\\u0074oken\",\"token_type\":\"bearer\",\"expires_in\":3600,"
		    "\"refresh_token\":\"r3fr3sh-two\"}");
	send_refresh(&d, id, "/given");
	struct rpc_frame frame = receive(d.keeper, KEEPER_REFRESHED);
	assert_int_equal(frame.id, id);
	struct wire_reader r = wire_reader(frame.body);
	struct keeper_tokens tokens;
	keeper_tokens_get(&r, &tokens);
	assert_int_equal(wire_done(&r, "tokens", NULL), 0);
	assert_true(str_eq(tokens.access_token, S("new-token")) && str_eq(tokens.refresh_token, S("r3fr3sh-two")));
	assert_int_equal(tokens.expires_in, 3600);
	assert_false(tokens.has_scope);
	assert_form("grant_type=refresh_token&refresh_token=r3fr3sh-one&client_id=client&client_secret=hush+%26+hush");
	release_value(&d, id, "oauth2", "", TOKEN);
	assert_answered(&d, CALL, "Authorization: [");
	stop(&d);
}

static void a_refresh_fails_for_good_or_for_now(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *path, *answer;
		enum err_class class;
		const char *says;
	} rows[] = {
		{400, "/given", "{\"error\":\"invalid_grant\"}", ERR_BINDING_FAILED, "'invalid_grant'"},
		{401, "/given", "{\"error\":\"invalid_client\"}", ERR_BINDING_FAILED, "'invalid_client'"},
		{200, "/given", "{\"error\":\"bad_refresh\"}", ERR_BINDING_FAILED, "'bad_refresh'"},
		{404, "/given", "<html>", ERR_BINDING_FAILED, "status 404"},
		{400, "/given", "{\"error\":\"temporarily_unavailable\"}", ERR_NETWORK_ERROR, "temporarily"},
		{503, "/given", "", ERR_NETWORK_ERROR, "status 503"},
		{429, "/given", "slow", ERR_NETWORK_ERROR, "status 429"},
		{200, "/given", "{\"access_token\":\"x\"", ERR_NETWORK_ERROR, "JSON"},
		{200, "/given", "{}", ERR_NETWORK_ERROR, "no access_token"},
		{200, "/given", "{\"access_token\":\"x\",\"token_type\":\"mac\"}", ERR_NETWORK_ERROR, "Bearer"},
		{200, "/given", "{\"access_token\":\"a\\nb\"}", ERR_NETWORK_ERROR, "'access_token'"},
		{0, "/close", "", ERR_NETWORK_ERROR, ""},
		{0, "/garbage", "", ERR_NETWORK_ERROR, ""},
		{0, "/redirect/302/http://127.0.0.1/", "", ERR_NETWORK_ERROR, "status 302"},
		{0, "/big/1000000", "", ERR_NETWORK_ERROR, "larger than"},
	};
	struct daemon d;
	start(&d);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		grant(&d, CALL);
		request(&d, CALL, "/hello", "oauth2");
		uint32_t id = expect_claim(&d, 11);
		server_give(plain, rows[i].status, rows[i].answer);
		send_refresh(&d, id, rows[i].path);
		struct rpc_frame frame = receive(d.keeper, KEEPER_REFRESH_FAILED);
		struct wire_reader r = wire_reader(frame.body);
		static struct err err;
		wire_get_err(&r, &err);
		assert_int_equal(wire_done(&r, "refresh failed", NULL), 0);
		if (frame.id != id || err.class != rows[i].class || strstr(err.message, rows[i].says) == NULL)
			fail_msg("%zu: %s: %s", i, err_row(err.class)->name, err.message);
		refuse(&d, KEEPER_RELEASED, id, err.class, err.message);
		assert_refused(&d, CALL, rows[i].class, "refreshing the token");
		end_call(&d, CALL);
	}
	stop(&d);
}

static void ask_oauth_within(struct daemon *d, enum egress_oauth_step step, uint64_t ms)
{
	const struct egress_oauth ask = {
		.step = step,
		.ticket = 77,
		.left_ns = ms * MS,
		.code = step == OAUTH_CODE ? S("c0de/1") : STR_EMPTY,
		.redirect_uri = step == OAUTH_CODE ? S("http://127.0.0.1:5/callback") : STR_EMPTY,
	};
	AUTO_BUF body = BUF_INIT(1 << 16);
	egress_oauth_put(&body, &ask);
	send_body(d->control, EGRESS_OAUTH, 99, &body);
}

static void ask_oauth(struct daemon *d, enum egress_oauth_step step)
{
	ask_oauth_within(d, step, 20000);
}

static void give_ticket(struct daemon *d, const char *path)
{
	struct rpc_frame frame = receive(d->keeper, KEEPER_EXCHANGE);
	struct wire_reader r = wire_reader(frame.body);
	assert_int_equal(wire_u64(&r), 77);
	assert_int_equal(wire_done(&r, "exchange", NULL), 0);
	AUTO_BUF body = BUF_INIT(1 << 16);
	wire_put_bool(&body, true);
	put_exchange(&body, path);
	send_body(d->keeper, KEEPER_TICKET, frame.id, &body);
}

static void store(struct daemon *d, uint32_t id)
{
	AUTO_BUF body = BUF_INIT(16);
	wire_put_bool(&body, true);
	send_body(d->keeper, KEEPER_STORED, id, &body);
}

static struct egress_oauth_result *oauth_result(struct daemon *d)
{
	static struct egress_oauth_result result;
	struct rpc_frame frame = receive(d->control, EGRESS_OAUTH_RESULT);
	assert_int_equal(frame.id, 99);
	static const char *const secrets[] = {TOKEN, "r3fr3sh", "c0de", "v3r1f13r", "hush", "d3v1c3"};
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
		assert_int_equal(str_find(frame.body, str_from(secrets[i])), STR_NPOS);
	assert_int_equal(egress_oauth_result_get(frame.body, &result, NULL), 0);
	return &result;
}

static void a_code_becomes_tokens_that_only_the_keeper_sees(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	server_give(plain, 200,
		    "{\"access_token\":\"" TOKEN "\",\"expires_in\":\"3599\",\"refresh_token\":\"r3fr3sh\","
		    "\"scope\":\"mail.read\",\"id_token\":{\"a\":[1,{\"b\":null}]},\"token_type\":\"Bearer\"}");
	ask_oauth(&d, OAUTH_CODE);
	give_ticket(&d, "/given");
	struct rpc_frame frame = receive(d.keeper, KEEPER_TOKENS);
	struct wire_reader r = wire_reader(frame.body);
	struct keeper_tokens tokens;
	assert_int_equal(wire_u64(&r), 77);
	keeper_tokens_get(&r, &tokens);
	assert_int_equal(wire_done(&r, "tokens", NULL), 0);
	assert_true(str_eq(tokens.access_token, S(TOKEN)) && str_eq(tokens.refresh_token, S("r3fr3sh")));
	assert_true(tokens.has_scope && str_eq(tokens.scope, S("mail.read")));
	assert_form("grant_type=authorization_code&redirect_uri=http%3A%2F%2F127.0.0.1%3A5%2Fcallback&code=c0de%2F1"
		    "&code_verifier=v3r1f13r-0123456789&client_id=client&client_secret=hush+%26+hush");
	assert_true(is_silent(d.control)); /* not before they are stored */
	store(&d, frame.id);
	struct egress_oauth_result *result = oauth_result(&d);
	assert_int_equal(result->err.class, ERR_NONE);
	assert_true(str_eq(result->scope, S("mail.read")) && result->has_refresh_token && !result->pending);
	assert_int_equal(result->expires_in, 3599);
	stop(&d);
}

static void a_refused_code_tells_why_and_no_secret(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *path, *answer;
		enum err_class class;
		const char *says;
	} rows[] = {
		{400, "/given", "{\"error\":\"invalid_grant\",\"error_description\":\"c0de/1 is old\"}",
		 ERR_TOKEN_EXCHANGE_FAILED, "\"error\":\"invalid_grant\",\"status\":400"},
		/* It says what it was sent. */
		{400, "/given", "{\"error\":\"v3r1f13r-0123456789\"}", ERR_TOKEN_EXCHANGE_FAILED, "\"status\":400"},
		{403, "/given", "{\"error\":\"c0de/1\"}", ERR_TOKEN_EXCHANGE_FAILED, "no known code"},
		{404, "/given", "", ERR_TOKEN_EXCHANGE_FAILED, "status 404"},
		{500, "/given", "{}", ERR_NETWORK_ERROR, "status 500"},
		{0, "/close", "", ERR_NETWORK_ERROR, ""},
	};
	struct daemon d;
	start(&d);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		server_give(plain, rows[i].status, rows[i].answer);
		ask_oauth(&d, OAUTH_CODE);
		give_ticket(&d, rows[i].path);
		struct egress_oauth_result *result = oauth_result(&d);
		if (result->err.class != rows[i].class || (strstr(result->err.message, rows[i].says) == NULL &&
							   strstr(result->err.details, rows[i].says) == NULL))
			fail_msg("%zu: %s: %s {%s}", i, err_row(result->err.class)->name, result->err.message,
				 result->err.details);
		assert_true(is_silent(d.keeper));
	}
	ask_oauth(&d, OAUTH_CODE);
	struct rpc_frame frame = receive(d.keeper, KEEPER_EXCHANGE);
	refuse(&d, KEEPER_TICKET, frame.id, ERR_VAULT_LOCKED, "the vault is locked");
	assert_int_equal(oauth_result(&d)->err.class, ERR_VAULT_LOCKED);

	server_give(plain, 200, "{\"access_token\":\"" TOKEN "\"}");
	ask_oauth(&d, OAUTH_CODE);
	give_ticket(&d, "/given");
	frame = receive(d.keeper, KEEPER_TOKENS);
	refuse(&d, KEEPER_STORED, frame.id, ERR_BINDING_EXISTS, "it exists");
	assert_int_equal(oauth_result(&d)->err.class, ERR_BINDING_EXISTS);

	rpc_channel_free(TAKE(d.keeper));
	ask_oauth(&d, OAUTH_CODE);
	assert_int_equal(oauth_result(&d)->err.class, ERR_UNAVAILABLE);
	stop(&d);
}

static void a_device_asks_until_it_may(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	server_give(plain, 200,
		    "{\"device_code\":\"d3v1c3-code\",\"user_code\":\"WDJB-MJHT\",\"verification_uri\":"
		    "\"https://x.test/d\",\"verification_uri_complete\":\"https://x.test/d?c=1\","
		    "\"expires_in\":1800,\"interval\":7}");
	ask_oauth(&d, OAUTH_DEVICE_START);
	give_ticket(&d, "/given");
	struct rpc_frame frame = receive(d.keeper, KEEPER_DEVICE_CODE);
	struct wire_reader r = wire_reader(frame.body);
	assert_int_equal(wire_u64(&r), 77);
	assert_true(str_eq(wire_str(&r), S("d3v1c3-code")));
	assert_form("scope=mail.read+mail.send&client_id=client&client_secret=hush+%26+hush");
	store(&d, frame.id);
	struct egress_oauth_result *result = oauth_result(&d);
	assert_int_equal(result->err.class, ERR_NONE);
	assert_true(str_eq(result->user_code, S("WDJB-MJHT")) &&
		    str_eq(result->verification_uri, S("https://x.test/d")));
	assert_true(str_eq(result->verification_uri_complete, S("https://x.test/d?c=1")));
	assert_true(result->interval == 7 && result->expires_in == 1800);

	static const struct {
		const char *answer;
		bool pending;
		uint32_t interval;
		enum err_class class;
	} polls[] = {
		{"{\"error\":\"authorization_pending\"}", true, 0, ERR_NONE},
		{"{\"error\":\"slow_down\"}", true, 5, ERR_NONE},
		{"{\"error\":\"access_denied\"}", false, 0, ERR_TOKEN_EXCHANGE_FAILED},
		{"{\"error\":\"expired_token\"}", false, 0, ERR_TOKEN_EXCHANGE_FAILED},
	};
	for (size_t i = 0; i < ARRAY_LEN(polls); i++) {
		server_give(plain, 400, polls[i].answer);
		ask_oauth(&d, OAUTH_DEVICE_POLL);
		give_ticket(&d, "/given");
		result = oauth_result(&d);
		assert_int_equal(result->err.class, polls[i].class);
		assert_int_equal(result->pending, polls[i].pending);
		assert_int_equal(result->interval, polls[i].interval);
	}
	assert_form("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=d3v1c3-code"
		    "&client_id=client&client_secret=hush+%26+hush");
	server_give(plain, 200, "{\"access_token\":\"" TOKEN "\"}");
	ask_oauth(&d, OAUTH_DEVICE_POLL);
	give_ticket(&d, "/given");
	store(&d, receive(d.keeper, KEEPER_TOKENS).id);
	assert_int_equal(oauth_result(&d)->err.class, ERR_NONE);
	stop(&d);
}

static void a_step_ends_in_its_time(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	ask_oauth_within(&d, OAUTH_CODE, 200);
	receive(d.keeper, KEEPER_EXCHANGE); /* and no ticket */
	assert_int_equal(oauth_result(&d)->err.class, ERR_UNAVAILABLE);
	ask_oauth_within(&d, OAUTH_CODE, 300);
	give_ticket(&d, "/hang");
	assert_int_equal(oauth_result(&d)->err.class, ERR_NETWORK_ERROR);
	server_give(plain, 200, "{\"access_token\":\"" TOKEN "\"}");
	ask_oauth_within(&d, OAUTH_CODE, 1000);
	give_ticket(&d, "/given");
	struct rpc_frame frame = receive(d.keeper, KEEPER_TOKENS);
	assert_int_equal(oauth_result(&d)->err.class, ERR_UNAVAILABLE);
	store(&d, frame.id); /* which nobody waits for any more, and is no lie */
	ask_oauth(&d, OAUTH_CODE);
	give_ticket(&d, "/given");
	store(&d, receive(d.keeper, KEEPER_TOKENS).id);
	assert_int_equal(oauth_result(&d)->err.class, ERR_NONE);
	stop(&d);
}

/* Tokens that were given are kept, whoever asked for them. */
static void a_step_outlives_its_control(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	server_give(plain, 200, "{\"access_token\":\"" TOKEN "\"}");
	ask_oauth(&d, OAUTH_CODE);
	struct rpc_frame frame = receive(d.keeper, KEEPER_EXCHANGE);
	uint32_t id = frame.id;
	join_control(&d);
	AUTO_BUF body = BUF_INIT(1 << 16);
	wire_put_bool(&body, true);
	put_exchange(&body, "/given");
	send_body(d.keeper, KEEPER_TICKET, id, &body);
	store(&d, receive(d.keeper, KEEPER_TOKENS).id);
	grant(&d, CALL);
	request(&d, CALL, "/hello", NULL);
	assert_answered(&d, CALL, "hello"); /* and no result before */
	stop(&d);
}

/* Secrets go over https or to this machine, and to no private address. */
static void token_urls_are_judged(void **state)
{
	(void)state;
	static const char *const urls[] = {"http://api.test/t",
					   "http://93.184.216.34/t",
					   "https://10.0.0.1/t",
					   "https://169.254.169.254/t",
					   "ftp://127.0.0.1/t",
					   "http://127.1/t",
					   "x"};
	struct daemon d;
	start(&d);
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		ask_oauth(&d, OAUTH_CODE);
		struct rpc_frame frame = receive(d.keeper, KEEPER_EXCHANGE);
		const struct keeper_exchange exchange = {.token_url = str_from(urls[i]), .client_id = S("c")};
		AUTO_BUF body = BUF_INIT(1 << 16);
		wire_put_bool(&body, true);
		keeper_exchange_put(&body, &exchange);
		send_body(d.keeper, KEEPER_TICKET, frame.id, &body);
		struct egress_oauth_result *result = oauth_result(&d);
		if (result->err.class != ERR_CAPABILITY_DENIED)
			fail_msg("%s: %s", urls[i], result->err.message);
	}
	stop(&d);
}

static void posts_go_where_the_user_said(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	static const struct {
		const char *url;
		int32_t rc, status;
	} rows[] = {
		{"http://127.0.0.1:%u/given", 0, 202},
		{"http://localhost:%u/given", 0, 202},
		{"http://10.0.0.1:%u/given", -1, 0},
		{"http://127.0.0.1:%u/close", -1, 0},
	};
	server_give(plain, 202, "thanks");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *port = xasprintf("%u", plain->port);
		AUTO_BUF url = BUF_INIT(100);
		struct str head, tail = str_cut(str_from(rows[i].url), '%', &head);
		buf_add_str(&url, head);
		buf_add_z(&url, port);
		buf_add_str(&url, str_slice(tail, 1, tail.n));
		const struct egress_post post = {.url = buf_str(&url),
						 .content_type = S("application/json"),
						 .body = S("{\"resourceSpans\":[]}"),
						 .left_ns = 20000 * MS};
		AUTO_BUF body = BUF_INIT(1 << 16);
		egress_post_put(&body, &post);
		send_body(d.control, EGRESS_POST, 55, &body);
		struct egress_result *result = result_of(&d, 55);
		if (result->rc != rows[i].rc || result->status != rows[i].status || result->body.n != 0)
			fail_msg("%s: %d, %d: %s", rows[i].url, result->rc, result->status, result->err.message);
	}
	AUTO_FREE char *sent = server_last_body(plain);
	assert_string_equal(sent, "{\"resourceSpans\":[]}");
	stop(&d);
}

/* ---------------------------------------------------------------------------------------------- those who come and go */

static void a_new_control_begins_anew(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	grant(&d, CALL);
	request(&d, CALL, "/hang", NULL);
	grant(&d, CALL + 1);
	request(&d, CALL + 1, "/hello", "oauth2");
	uint32_t claim = expect_claim(&d, 11);
	struct rpc_channel *old = TAKE(d.control);
	join_control(&d);
	struct rpc_frame frame;
	assert_int_equal(rpc_recv(old, &frame, NULL), 0); /* nothing of what it had asked for */
	rpc_channel_free(old);
	release_value(&d, claim, "oauth2", "", TOKEN); /* to nobody */
	grant(&d, CALL);                               /* the same number, another call */
	request(&d, CALL, "/hello", "oauth2");
	release_value(&d, expect_claim(&d, 11), "oauth2", "", TOKEN);
	assert_answered(&d, CALL, "hello");
	stop(&d);
}

static void a_control_that_breaks_the_rules_is_let_go(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	request(&d, CALL, "/hello", NULL); /* without a grant */
	assert_lets_go(&d);
	start(&d);
	grant(&d, CALL);
	grant(&d, CALL + 1);
	struct egress_permit other = permit;
	other.use = 0; /* no use has that number */
	grant_with(&d, CALL + 2, CREDENTIAL_OAUTH2, &other, 1);
	assert_lets_go(&d);
	const struct egress_opening dialled[] = {
		{.host = S("api.test"), .port = 443, .address = S("127.0.0.1"), .address_port = 1},
		{.host = S("api.test"), .port = 443, .address = S("93.184.216.34")},
		{.host = S("api.test"), .port = 443, .address_port = 1},
	};
	for (size_t i = 0; i < ARRAY_LEN(dialled); i++) { /* --resolve is not control's */
		start(&d);
		const struct egress_grant grant = {.connector = S("a"), .openings = &dialled[i], .n_openings = 1};
		AUTO_BUF body = BUF_INIT(1 << 16);
		egress_grant_put_head(&body, &grant);
		wire_put_str(&body, STR_EMPTY);
		send_body(d.control, EGRESS_GRANT, CALL, &body);
		assert_lets_go(&d);
	}
}

/* A token that was asked for may be the only good one: it is waited for, though not for long. */
static void a_step_outlives_a_control_that_is_let_go(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	server_give(plain, 200, "{\"access_token\":\"" TOKEN "\"}");
	ask_oauth(&d, OAUTH_CODE);
	uint32_t id = receive(d.keeper, KEEPER_EXCHANGE).id;
	request(&d, CALL, "/hello", NULL); /* without a grant */
	struct rpc_frame frame;
	assert_int_equal(rpc_recv(d.control, &frame, NULL), 0);
	AUTO_BUF body = BUF_INIT(1 << 16);
	wire_put_bool(&body, true);
	put_exchange(&body, "/given");
	send_body(d.keeper, KEEPER_TICKET, id, &body);
	store(&d, receive(d.keeper, KEEPER_TOKENS).id);
	assert_lets_go(&d);
}

static void another_control_is_waited_for_when_one_dies(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	for (size_t sent = 0; sent < 2; sent++) { /* at the end of a message, and within its header */
		assert_int_equal(send(rpc_fd(d.control), "x", sent, 0), (int)sent);
		rpc_channel_free(TAKE(d.control));
		for (int turn = 0; turn < 2; turn++) { /* it has seen that when it answers the second one */
			struct supervise_message message;
			parent_send(&d, SUPERVISE_PING, 0, STR_EMPTY, NULL, 0);
			parent_receive(&d, &message);
			assert_int_equal(message.frame.type, SUPERVISE_PONG);
		}
		join_control(&d);
		grant(&d, CALL);
		request(&d, CALL, "/hello", NULL);
		assert_answered(&d, CALL, "hello");
	}
	stop(&d);
}

static void it_finishes_what_is_under_way_when_it_is_stopped(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	grant(&d, CALL);
	request(&d, CALL, "/hello", "oauth2");
	uint32_t claim = expect_claim(&d, 11);
	AUTO_BUF body = BUF_INIT(16);
	wire_put_u64(&body, 20000);
	parent_send(&d, SUPERVISE_STOP, 0, buf_str(&body), NULL, 0);
	release_value(&d, claim, "oauth2", "", TOKEN);
	assert_answered(&d, CALL, "hello");
	assert_int_equal(child_wait(&d.child, 10000, NULL), 1);
	stop(&d);

	start(&d);
	grant(&d, CALL);
	request(&d, CALL, "/hang", NULL);
	buf_clear(&body);
	wire_put_u64(&body, 1);
	parent_send(&d, SUPERVISE_STOP, 0, buf_str(&body), NULL, 0);
	assert_int_equal(child_wait(&d.child, 10000, NULL), 1);
	stop(&d);
}

static void the_log_can_be_another_file(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	AUTO_FD log = memfd_create("log", MFD_CLOEXEC);
	parent_send(&d, SUPERVISE_LOG, 0, STR_EMPTY, &log, 1);
	request(&d, CALL, "/hello", NULL); /* without a grant */
	assert_lets_go(&d);
	char text[1000] = "";
	assert_true(pread(log, text, sizeof text - 1, 0) > 0);
	assert_non_null(strstr(text, "control_let_go"));
}

/* ------------------------------------------------------------------------------------------------------------- relays */

struct relayed {
	struct rpc_channel *runner, *control; /* as the runner and as control see it */
};

static struct relayed relay(struct daemon *d)
{
	int runner[2], control[2];
	assert_int_equal(child_socketpair(runner, NULL), 0);
	assert_int_equal(child_socketpair(control, NULL), 0);
	const int theirs[] = {runner[1], control[1]};
	parent_send(d, SUPERVISE_RELAY, RELAY, STR_EMPTY, theirs, 2);
	close(theirs[0]);
	close(theirs[1]);
	struct relayed r = {rpc_channel_new(runner[0], runner_child_rules),
			    rpc_channel_new(control[0], runner_parent_rules)};
	AUTO_BUF body = BUF_INIT(1 << 16);
	buf_add_z(&body, "proof");
	send_body(r.runner, RUNNER_HELLO, 0, &body);
	assert_true(str_eq(receive(r.control, RUNNER_HELLO).body, S("proof")));
	rpc_set_state(r.control, RUNNER_STATE_LOADING);
	send_body(r.control, RUNNER_START, 0, &body);
	assert_true(str_eq(receive(r.runner, RUNNER_START).body, S("proof")));
	rpc_set_state(r.runner, RUNNER_STATE_SERVING);
	send_body(r.runner, RUNNER_READY, 0, &body);
	receive(r.control, RUNNER_READY);
	rpc_set_state(r.control, RUNNER_STATE_SERVING);
	return r;
}

static void a_runners_words_lose_the_secrets_of_their_call(void **state)
{
	(void)state;
	struct daemon d;
	start(&d);
	struct relayed r = relay(&d);
	grant(&d, CALL);
	AUTO_BUF body = BUF_INIT(1 << 16);
	wire_put_str(&body, S("info"));
	wire_put_str(&body, S("is " TOKEN " known?"));
	send_body(r.runner, RUNNER_LOG, CALL, &body); /* nobody has claimed it yet */
	assert_int_not_equal(str_find(receive(r.control, RUNNER_LOG).body, S(TOKEN)), STR_NPOS);

	request(&d, CALL, "/hello", "oauth2");
	release_value(&d, expect_claim(&d, 11), "oauth2", "", TOKEN);
	assert_answered(&d, CALL, "hello");
	send_body(r.runner, RUNNER_LOG, CALL, &body);
	struct rpc_frame frame = receive(r.control, RUNNER_LOG);
	struct wire_reader words = wire_reader(frame.body);
	assert_int_equal(frame.id, CALL);
	assert_true(str_eq(wire_str(&words), S("info")));
	assert_true(str_eq(wire_str(&words), S("is [secret removed] known?")));
	assert_int_equal(wire_done(&words, "log", NULL), 0);

	end_call(&d, CALL);
	grant(&d, CALL + 1); /* which egress has seen when this is answered */
	request(&d, CALL + 1, "/hello", NULL);
	assert_answered(&d, CALL + 1, "hello");
	send_body(r.runner, RUNNER_LOG, CALL, &body);
	assert_int_not_equal(str_find(receive(r.control, RUNNER_LOG).body, S(TOKEN)), STR_NPOS);
	rpc_channel_free(r.runner);
	struct rpc_frame none;
	assert_int_equal(rpc_recv(r.control, &none, NULL), 0);
	rpc_channel_free(r.control);
	stop(&d);
}

static int set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN); /* the test's server may write to whom has gone */
	server = server_start(SERVER_TLS);
	plain = server_start(SERVER_PLAIN);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	server_stop(server);
	server_stop(plain);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_claimed_when_it_is_needed_and_once_a_call),
		cmocka_unit_test(a_user_name_comes_with_the_value),
		cmocka_unit_test(the_keeper_is_not_asked_for_what_is_refused_anyway),
		cmocka_unit_test(what_the_keeper_refuses_is_told),
		cmocka_unit_test(a_refusal_is_for_where_it_was_asked_about),
		cmocka_unit_test(the_keeper_hears_of_plain_http_and_private_addresses),
		cmocka_unit_test(a_value_that_is_held_goes_nowhere_else_unasked),
		cmocka_unit_test(metadata_services_are_out_of_reach),
		cmocka_unit_test(an_answer_does_not_tell_what_the_credential_is),
		cmocka_unit_test(others_go_on_while_the_keeper_is_silent),
		cmocka_unit_test(a_keeper_that_ends_is_a_locked_vault),
		cmocka_unit_test(a_keeper_that_talks_nonsense_is_let_go),
		cmocka_unit_test(the_keeper_signs_each_request),
		cmocka_unit_test(the_region_chooses_the_permit),
		cmocka_unit_test(other_keys_sign_bytes),
		cmocka_unit_test(a_token_is_refreshed_before_it_is_used),
		cmocka_unit_test(a_refresh_fails_for_good_or_for_now),
		cmocka_unit_test(a_code_becomes_tokens_that_only_the_keeper_sees),
		cmocka_unit_test(a_refused_code_tells_why_and_no_secret),
		cmocka_unit_test(a_device_asks_until_it_may),
		cmocka_unit_test(a_step_ends_in_its_time),
		cmocka_unit_test(a_step_outlives_its_control),
		cmocka_unit_test(token_urls_are_judged),
		cmocka_unit_test(posts_go_where_the_user_said),
		cmocka_unit_test(a_new_control_begins_anew),
		cmocka_unit_test(a_control_that_breaks_the_rules_is_let_go),
		cmocka_unit_test(a_step_outlives_a_control_that_is_let_go),
		cmocka_unit_test(another_control_is_waited_for_when_one_dies),
		cmocka_unit_test(it_finishes_what_is_under_way_when_it_is_stopped),
		cmocka_unit_test(the_log_can_be_another_file),
		cmocka_unit_test(a_runners_words_lose_the_secrets_of_their_call),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
