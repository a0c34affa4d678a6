/* Control's side against a keeper that lists and permits what a test says. */
#include "control/credential.h"
#include "base/limits.h"
#include "control/keeper_client.h"
#include "store/schema.h"
#include "text/wire.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define OWNER "github.com/acme/svc@1.0.0"

static struct {
	char folder[64];
	struct control control;
	struct loop_source *stop;
	pthread_t loop_thread, keeper_thread;
	struct rpc_channel *channel; /* the keeper's end */
	struct arena *arena;
	/* what the keeper has, and what it did */
	struct keeper_entry entries[4];
	size_t n_entries;
	enum err_class refusal; /* of PERMIT; NONE = permitted */
	_Atomic unsigned permits, ended;
	char permitted[512]; /* "path host,host|…" */
} stage;

/* ---- the keeper */

static void answer(uint32_t id, const struct buf *body, enum err_class class)
{
	AUTO_BUF out = BUF_INIT(1 * MIB);
	wire_put_u8(&out, class == ERR_NONE);
	if (class != ERR_NONE) {
		struct err err = {0};
		(fail)(&err, class, "the keeper says no");
		wire_put_err(&out, &err);
	} else {
		buf_add_str(&out, buf_str(body));
	}
	const struct str part = buf_str(&out);
	assert_int_equal(rpc_send(stage.channel, KEEPER_ANSWER, id, &part, 1, NULL), 0);
}

static void on_permit(const struct rpc_frame *frame)
{
	AUTO(arena) *arena = arena_new();
	struct keeper_permit permit;
	AUTO_BUF words = BUF_INIT(sizeof stage.permitted);
	assert_int_equal(keeper_permit_get(arena, frame->body, &permit, NULL), 0);
	assert_true(str_eq(permit.connector, S(OWNER)));
	buf_addf(&words, "%.*s", STR_FMT(permit.path));
	for (size_t i = 0; i < permit.n_hosts; i++)
		buf_addf(&words, " %.*s", STR_FMT(permit.hosts[i]));
	size_t n = strlen(stage.permitted);
	snprintf(stage.permitted + n, sizeof stage.permitted - n, "%s|", words.p);
	stage.permits += stage.refusal == ERR_NONE;
	AUTO_BUF none = BUF_INIT(1);
	answer(frame->id, &none, stage.refusal);
}

static void on_list(const struct rpc_frame *frame)
{
	AUTO_BUF body = BUF_INIT(1 * MIB);
	wire_put_bool(&body, true);
	wire_put_u32(&body, (uint32_t)stage.n_entries);
	for (size_t i = 0; i < stage.n_entries; i++)
		keeper_entry_put(&body, &stage.entries[i]);
	answer(frame->id, &body, ERR_NONE);
}

static void *keep(void *user)
{
	(void)user;
	struct rpc_frame frame;
	while (rpc_recv(stage.channel, &frame, NULL) == 1) {
		if (frame.type == KEEPER_LIST)
			on_list(&frame);
		else if (frame.type == KEEPER_PERMIT)
			on_permit(&frame);
		else if (frame.type == KEEPER_END_USE)
			stage.ended++;
	}
	return NULL;
}

/* ---- control */

static void on_stop(void *user, int what)
{
	(void)what;
	loop_stop(user);
}

static void *run_loop(void *user)
{
	loop_run(user);
	return NULL;
}

static int set_up(void **state)
{
	(void)state;
	int ends[2];
	memset(&stage, 0, sizeof stage);
	snprintf(stage.folder, sizeof stage.folder, "/tmp/test-credential-XXXXXX");
	assert_non_null(mkdtemp(stage.folder));
	assert_int_equal(chdir(stage.folder), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	stage.arena = arena_new();
	stage.control.db = db_open(&(struct db_options){.name = "aileron.db"}, NULL);
	assert_non_null(stage.control.db);
	stage.control.uses = credential_uses_new();
	stage.control.loop = loop_new(NULL);
	stage.stop = loop_wakeup(stage.control.loop, on_stop, stage.control.loop, NULL);
	stage.control.keeper = keeper_client_new(stage.control.loop, &(struct keeper_listener){0});
	assert_int_equal(keeper_client_attach(stage.control.keeper, ends[0], NULL), 0);
	stage.channel = rpc_channel_new(ends[1], keeper_control_rules);
	assert_int_equal(pthread_create(&stage.loop_thread, NULL, run_loop, stage.control.loop), 0);
	assert_int_equal(pthread_create(&stage.keeper_thread, NULL, keep, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_wake(stage.stop);
	pthread_join(stage.loop_thread, NULL);
	keeper_client_free(stage.control.keeper);
	pthread_join(stage.keeper_thread, NULL);
	rpc_channel_free(stage.channel);
	loop_source_free(stage.stop);
	loop_free(stage.control.loop);
	db_close(stage.control.db);
	credential_uses_free(stage.control.uses);
	arena_free(stage.arena);
	(void)unlink("aileron.db");
	assert_int_equal(chdir("/"), 0);
	return rmdir(stage.folder);
}

/* A binding of the owner's. `status` "" = active. */
static void bind_one(const char *kind, const char *identity, const char *status, const char *consent)
{
	struct arena *arena = stage.arena;
	stage.entries[stage.n_entries++] = (struct keeper_entry){
		.path = arena_printf(arena, "%s/svc/%s", kind, identity),
		.type = str_from(kind),
		.labels =
			arena_printf(arena, "{\"connector_fqn\":\"" OWNER "\",\"region\":\"%s\"%s%s%s}", identity,
				     status[0] != '\0' ? ",\"status\":\"" : "", status, status[0] != '\0' ? "\"" : ""),
		.consent = str_from(consent),
		.generation = 1,
	};
}

#define API_HOST "{\"hosts\":[\"api.example.com:443\"]}"
#define OPENED   "{\"allow_private\":[\"nas.lan:8443\"],\"hosts\":[\"api.example.com:443\"]}"
#define OTHER    "{\"hosts\":[\"other.example.com:443\"]}"

static const struct str hosts[] = {{"api.example.com:443", 19}};
static struct connector_manifest manifest;
static const struct credential_owner owner = {.fqn = {OWNER, sizeof OWNER - 1}, .manifest = &manifest};

static struct credential_use choose(enum credential_kind kind)
{
	struct credential_use use;
	struct err err = {0};
	manifest = (struct connector_manifest){.name = S(OWNER),
					       .hosts = {hosts, 1},
					       .credential = {.present = kind != CREDENTIAL_NONE, .kind = kind}};
	if (credential_choose(&stage.control, stage.arena, &owner, &use, &err) != 0)
		fail_msg("%s", err.message);
	return use;
}

static enum err_class permit(struct credential_use *use, struct err *err)
{
	err_clear(err);
	use->call = (struct credential_call){S("an execution"), S("send")};
	int rc = credential_permit(&stage.control, stage.arena, &owner, use, 77, err);
	assert_int_equal(rc, err->class == ERR_NONE ? 0 : -1);
	/* Whose they are is known for the record. */
	for (size_t i = 0; i < use->n_permits; i++) {
		struct credential_call call =
			credential_uses_find(stage.control.uses, stage.arena, use->permits[i].use);
		assert_true(str_eq(call.execution, S("an execution")) && str_eq(call.operation, S("send")));
	}
	return err->class;
}

/* ---- the tests */

static void what_declares_none_uses_none(void **state)
{
	(void)state;
	bind_one("api_key", "work", "", API_HOST);
	struct credential_use use = choose(CREDENTIAL_NONE);
	assert_int_equal(use.credential.binding, BINDING_NO_RESOLVER);
	assert_int_equal(use.names.n, 0);
	struct err err;
	assert_int_equal(permit(&use, &err), ERR_NONE);
	assert_int_equal(use.n_permits, 0);
}

static void what_is_not_bound_is_told_where_it_is_used(void **state)
{
	(void)state;
	bind_one("api_key", "old", "revoked", API_HOST);
	bind_one("basic", "work", "", API_HOST); /* of another kind */
	struct credential_use use = choose(CREDENTIAL_API_KEY);
	assert_int_equal(use.credential.binding, BINDING_MISSING);
	assert_non_null(strstr(arena_z(stage.arena, use.credential.error), "`aileron binding setup " OWNER "`"));
	assert_int_equal(use.bindings.n, 0);
}

static void the_one_that_is_bound_is_permitted_and_ended(void **state)
{
	(void)state;
	bind_one("api_key", "old", "revoked", API_HOST);
	bind_one("api_key", "work", "", OPENED);
	struct credential_use use = choose(CREDENTIAL_API_KEY);
	assert_int_equal(use.credential.binding, BINDING_PERMIT);
	assert_true(str_eq(use.names, S("api_key/svc/work")));
	struct err err;
	assert_int_equal(permit(&use, &err), ERR_NONE);
	assert_string_equal(stage.permitted, "api_key/svc/work api.example.com:443|");
	const struct call_limits limits = {.wall_time = 1};
	struct egress_grant grant = credential_grant(stage.arena, &owner, &limits, &use);
	assert_int_equal(grant.n_permits, 1);
	assert_true(grant.permits[0].use != 0);
	assert_true(str_eq(grant.bound_region, S("work")));
	assert_int_equal(grant.n_openings, 1);
	assert_true(str_eq(grant.openings[0].host, S("nas.lan")));
	assert_int_equal(grant.openings[0].port, 8443);
	credential_end(&stage.control, &use);
	/* In the order of the channel: when this is answered, that was heard. */
	struct keeper_entry *entries;
	size_t n;
	bool verified;
	assert_int_equal(keeper_ask_list(stage.control.keeper, STR_EMPTY, stage.arena, &entries, &n, &verified, &err),
			 0);
	assert_int_equal(stage.ended, 1);
}

static void of_several_none_is_chosen(void **state)
{
	(void)state;
	bind_one("api_key", "home", "", API_HOST);
	bind_one("api_key", "work", "", API_HOST);
	struct credential_use use = choose(CREDENTIAL_API_KEY);
	assert_int_equal(use.credential.binding, BINDING_MISSING);
	assert_non_null(strstr(arena_z(stage.arena, use.credential.error), "api_key/svc/home, api_key/svc/work"));
	struct err err;
	assert_int_equal(permit(&use, &err), ERR_NONE);
	assert_string_equal(stage.permitted, "");
}

static void several_of_aws_are_all_permitted(void **state)
{
	(void)state;
	bind_one("aws_sigv4", "eu-west-1", "", API_HOST);
	bind_one("aws_sigv4", "us-east-1", "", API_HOST);
	struct credential_use use = choose(CREDENTIAL_AWS_SIGV4);
	assert_true(str_eq(use.names, S("aws_sigv4/svc/eu-west-1 aws_sigv4/svc/us-east-1")));
	struct err err;
	assert_int_equal(permit(&use, &err), ERR_NONE);
	assert_int_equal(use.n_permits, 2);
	assert_true(str_eq(use.permits[1].region, S("us-east-1")));
	assert_true(use.permits[0].use != use.permits[1].use);
}

static void consent_to_other_hosts_is_none(void **state)
{
	(void)state;
	bind_one("api_key", "work", "", OTHER);
	struct credential_use use = choose(CREDENTIAL_API_KEY);
	struct err err;
	assert_int_equal(permit(&use, &err), ERR_BINDING_FAILED);
	assert_non_null(strstr(err.message, "was consented for other hosts"));
	assert_string_equal(stage.permitted, "");
}

static void what_the_keeper_refuses_is_told_as_callers_know_it(void **state)
{
	(void)state;
	bind_one("api_key", "work", "", API_HOST);
	static const struct {
		enum err_class refusal, told;
	} cases[] = {
		{ERR_VAULT_LOCKED, ERR_BINDING_REQUIRED}, {ERR_VAULT_MISSING, ERR_BINDING_REQUIRED},
		{ERR_UNAVAILABLE, ERR_BINDING_REQUIRED},  {ERR_BINDING_NOT_FOUND, ERR_BINDING_FAILED},
		{ERR_BINDING_FAILED, ERR_BINDING_FAILED},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		stage.refusal = cases[i].refusal;
		struct credential_use use = choose(CREDENTIAL_API_KEY);
		struct err err;
		assert_int_equal(permit(&use, &err), cases[i].told);
		assert_int_equal(use.n_permits, 0);
		if (cases[i].told == ERR_BINDING_REQUIRED)
			assert_non_null(strstr(err.details, "vault.passphrase"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_declares_none_uses_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_bound_is_told_where_it_is_used, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_one_that_is_bound_is_permitted_and_ended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(of_several_none_is_chosen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(several_of_aws_are_all_permitted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(consent_to_other_hosts_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_keeper_refuses_is_told_as_callers_know_it, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
