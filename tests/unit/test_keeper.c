#include "keeper_client.h"
#include "base/log.h"
#include "crypto/held_key.h"
#include "crypto/sign.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <cmocka.h>

#define PASSPHRASE "correct horse battery staple"

static const struct rig_binding api_key = {
	.path = "api_key/svc/work",
	.kind = "api_key",
	.value = "sk-example-0001",
	.hosts = {"api.example.com:443", "up.example.com:443"},
};

static int start(void **state)
{
	static struct rig rig;
	rig_start(&rig);
	*state = &rig;
	return 0;
}

static int stop(void **state)
{
	rig_stop(*state);
	return 0;
}

static void unlock(struct rig *rig)
{
	assert_int_equal(rig_with_passphrase(rig, KEEPER_OP_UNLOCK, PASSPHRASE), 0);
}

static void init(struct rig *rig)
{
	assert_int_equal(rig_with_passphrase(rig, KEEPER_OP_INIT, PASSPHRASE), 0);
}

static void lock(struct rig *rig)
{
	assert_int_equal(rig_ask(rig, KEEPER_LOCK, STR_EMPTY, NULL), 0);
}

static void assert_class(const struct rig *rig, enum err_class class)
{
	if (rig->err.class != class)
		fail_msg("%s: %s", err_row(rig->err.class)->name, rig->err.message);
}

/* ---- the vault ---- */

static void a_nonce_comes_with_the_key_that_it_is_for(void **state)
{
	struct rig *rig = *state;
	struct str answer = STR_EMPTY;
	unsigned char id[SEALED_KEY_ID];
	assert_int_equal(rig_ask(rig, KEEPER_NONCE, STR_EMPTY, &answer), 0);
	assert_int_equal(answer.n, SEALED_NONCE + SEALED_KEY_ID + SEALED_PUBLIC);
	sealed_key_id(rig->public_key, id);
	assert_memory_equal(answer.p + SEALED_NONCE, id, sizeof id);
	assert_memory_equal(answer.p + SEALED_NONCE + SEALED_KEY_ID, rig->public_key, SEALED_PUBLIC);
}

static void a_vault_is_missing_made_locked_and_opened(void **state)
{
	struct rig *rig = *state;
	assert_int_equal(rig_state(rig).state, KEEPER_MISSING);
	assert_int_equal(rig_with_passphrase(rig, KEEPER_OP_UNLOCK, PASSPHRASE), -1);
	assert_class(rig, ERR_VAULT_MISSING);
	assert_int_equal(rig_put(rig, &api_key), -1);
	assert_class(rig, ERR_VAULT_MISSING);

	init(rig);
	struct keeper_state now = rig_state(rig);
	assert_int_equal(now.state, KEEPER_UNLOCKED);
	assert_int_equal(now.version, 2);
	assert_int_equal(now.unlocked_at_s, rig->wall_s);
	assert_int_equal(now.vault_id.n, 32);
	assert_int_equal(now.device_key_id.n, 16);
	assert_int_equal(now.members, 1);
	assert_string_equal(rig->reason, "unlocked");
	assert_int_equal(rig_with_passphrase(rig, KEEPER_OP_INIT, PASSPHRASE), -1);
	assert_class(rig, ERR_VAULT_EXISTS);

	lock(rig);
	assert_string_equal(rig->reason, "locked");
	assert_int_equal(rig->state.state, KEEPER_LOCKED);
	assert_int_equal(rig_state(rig).unlocked_at_s, 0);
	assert_int_equal(rig_with_passphrase(rig, KEEPER_OP_UNLOCK, "wrong"), -1);
	assert_class(rig, ERR_WRONG_PASSPHRASE);
	unlock(rig);
	assert_int_equal(rig_state(rig).state, KEEPER_UNLOCKED);
}

static void an_empty_passphrase_is_none(void **state)
{
	struct rig *rig = *state;
	assert_int_equal(rig_with_passphrase(rig, KEEPER_OP_INIT, ""), -1);
	assert_class(rig, ERR_MISSING_PASSPHRASE);
	const struct sealed_field both[] = {{SEALED_PASSPHRASE, S("a")},
					    {SEALED_KEY_FILE, S("0123456789abcdef0123456789abcdef")}};
	assert_int_equal(rig_sealed(rig, (struct keeper_sealed){.operation = KEEPER_OP_INIT}, both, 2, NULL), -1);
	assert_class(rig, ERR_MISSING_PASSPHRASE);
}

static void while_it_is_locked_nothing_is_written(void **state)
{
	struct rig *rig = *state;
	init(rig);
	assert_int_equal(rig_put(rig, &api_key), 0);
	lock(rig);

	AUTO_BUF path = BUF_INIT(1024);
	wire_put_str(&path, str_from(api_key.path));
	assert_int_equal(rig_put(rig, &api_key), -1);
	assert_class(rig, ERR_VAULT_LOCKED);
	assert_int_equal(rig_ask(rig, KEEPER_DELETE, buf_str(&path), NULL), -1);
	assert_class(rig, ERR_VAULT_LOCKED);
	AUTO_BUF labels = BUF_INIT(1024);
	buf_add_str(&labels, buf_str(&path));
	wire_put_u32(&labels, 1);
	wire_put_str(&labels, S("status"));
	wire_put_str(&labels, S("stale"));
	assert_int_equal(rig_ask(rig, KEEPER_LABELS, buf_str(&labels), NULL), -1);
	assert_class(rig, ERR_VAULT_LOCKED);
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "api.example.com:443"), -1);
	assert_class(rig, ERR_VAULT_LOCKED);
	static const enum keeper_operation writes[] = {KEEPER_OP_PASSWD,  KEEPER_OP_MEMBER_ADD, KEEPER_OP_MEMBER_REMOVE,
						       KEEPER_OP_CONSENT, KEEPER_OP_EXPORT,     KEEPER_OP_IMPORT,
						       KEEPER_OP_OAUTH,   KEEPER_OP_DECIDE};
	for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
		assert_int_equal(rig_with_passphrase(rig, writes[i], PASSPHRASE), -1);
		assert_class(rig, ERR_VAULT_LOCKED);
	}
	/* Reading is possible, and says that nothing was verified. */
	struct str body = STR_EMPTY;
	assert_int_equal(rig_ask(rig, KEEPER_GET, buf_str(&path), &body), 0);
	assert_true(str_starts(body, str_of("\0", 1)));
	unlock(rig);
	assert_int_equal(rig_ask(rig, KEEPER_GET, buf_str(&path), &body), 0);
	assert_true(str_starts(body, S("\1")));
}

static void entries_are_listed_by_prefix_and_deleted(void **state)
{
	struct rig *rig = *state;
	init(rig);
	struct rig_binding other = api_key;
	other.path = "api_key/svc/home";
	assert_int_equal(rig_put(rig, &api_key), 0);
	assert_int_equal(rig_put(rig, &other), 0);
	AUTO_BUF prefix = BUF_INIT(1024);
	wire_put_str(&prefix, S("api_key/svc/w"));
	struct str body = STR_EMPTY;
	assert_int_equal(rig_ask(rig, KEEPER_LIST, buf_str(&prefix), &body), 0);
	struct wire_reader r = wire_reader(body);
	assert_true(wire_bool(&r));
	assert_int_equal(wire_u32(&r), 1);
	struct keeper_entry entry;
	keeper_entry_get(&r, &entry);
	assert_int_equal(wire_done(&r, "list", NULL), 0);
	assert_true(str_eq(entry.path, str_from(api_key.path)));
	assert_true(str_eq(entry.type, S("api_key")));
	assert_true(str_eq(entry.consent, S("{\"hosts\":[\"api.example.com:443\",\"up.example.com:443\"]}")));
	assert_string_equal(arena_z(rig->arena, entry.labels),
			    "{\"connector_fqn\":\"github.com/acme/svc\",\"created_at\":\"1767225600\","
			    "\"identity\":\"work\",\"service\":\"svc\",\"status\":\"active\"}");

	AUTO_BUF path = BUF_INIT(1024);
	wire_put_str(&path, str_from(api_key.path));
	assert_int_equal(rig_ask(rig, KEEPER_DELETE, buf_str(&path), NULL), 0);
	assert_string_equal(rig->reason, "written");
	assert_int_equal(rig_ask(rig, KEEPER_DELETE, buf_str(&path), NULL), -1);
	assert_class(rig, ERR_VAULT_NOT_FOUND);
	assert_int_equal(rig_ask(rig, KEEPER_GET, buf_str(&path), NULL), -1);
	assert_class(rig, ERR_VAULT_NOT_FOUND);
}

static void labels_that_control_may_set_alone(void **state)
{
	struct rig *rig = *state;
	init(rig);
	assert_int_equal(rig_put(rig, &api_key), 0);
	static const struct {
		const char *key;
		int rc;
	} cases[] = {{"status", 0},  {"stale_reason", 0},   {"missing_scopes", 0},
		     {"account", 0}, {"connector_fqn", -1}, {"region", -1},
		     {"", -1}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF body = BUF_INIT(1024);
		wire_put_str(&body, str_from(api_key.path));
		wire_put_u32(&body, 1);
		wire_put_str(&body, str_from(cases[i].key));
		wire_put_str(&body, S("x"));
		assert_int_equal(rig_ask(rig, KEEPER_LABELS, buf_str(&body), NULL), cases[i].rc);
	}
	assert_non_null(strstr(rig_labels(rig, api_key.path), "\"connector_fqn\":\"github.com/acme/svc\""));
	assert_non_null(strstr(rig_labels(rig, api_key.path), "\"stale_reason\":\"x\""));
}

static void members_and_passphrases_change(void **state)
{
	struct rig *rig = *state;
	init(rig);
	char key_file[32];
	memset(key_file, 'k', sizeof key_file);
	const struct sealed_field robot[] = {{SEALED_NEW_KEY_FILE, str_of(key_file, sizeof key_file)},
					     {SEALED_PASSPHRASE, str_from(PASSPHRASE)}};
	struct keeper_sealed add = {.operation = KEEPER_OP_MEMBER_ADD, .name = S("robot")};
	/* Whoever relays can seal as well as anybody, but knows nothing that opens the vault. */
	assert_int_equal(rig_sealed(rig, add, robot, 1, NULL), -1);
	assert_class(rig, ERR_MISSING_PASSPHRASE);
	const struct sealed_field own[] = {robot[0], {SEALED_PASSPHRASE, S("of control's own")}};
	assert_int_equal(rig_sealed(rig, add, own, 2, NULL), -1);
	assert_class(rig, ERR_WRONG_PASSPHRASE);
	assert_int_equal(rig_sealed(rig, add, robot, 2, NULL), 0);
	struct str body = STR_EMPTY;
	assert_int_equal(rig_ask(rig, KEEPER_MEMBERS, STR_EMPTY, &body), 0);
	struct wire_reader r = wire_reader(body);
	assert_int_equal(wire_u32(&r), 2);
	/* A name that control puts in the place of the one that was sealed. */
	assert_int_equal(rig_seal(rig, &add, robot, 2), 0);
	add.name = S("mallory");
	assert_int_equal(rig_send_sealed(rig, &add, NULL), -1);
	assert_class(rig, ERR_SEALED_REFUSED);

	const struct sealed_field change[] = {{SEALED_PASSPHRASE, str_from(PASSPHRASE)},
					      {SEALED_NEW_PASSPHRASE, S("another")}};
	struct keeper_sealed passwd = {.operation = KEEPER_OP_PASSWD};
	assert_int_equal(rig_sealed(rig, passwd, change, 2, &body), 0);
	r = wire_reader(body);
	assert_true(str_eq(wire_str(&r), S("owner")));
	assert_true(str_eq(wire_str(&r), S("passphrase")));
	assert_int_equal(wire_u32(&r), 0);
	lock(rig);
	assert_int_equal(rig_with_passphrase(rig, KEEPER_OP_UNLOCK, PASSPHRASE), -1);
	assert_class(rig, ERR_WRONG_PASSPHRASE);
	const struct sealed_field open = {SEALED_KEY_FILE, str_of(key_file, sizeof key_file)};
	struct keeper_sealed with_file = {.operation = KEEPER_OP_UNLOCK};
	assert_int_equal(rig_sealed(rig, with_file, &open, 1, &body), 0);
	r = wire_reader(body);
	assert_int_equal(wire_u8(&r), 2);
	assert_int_equal(wire_str(&r).n, 0);
	assert_true(str_eq(wire_str(&r), S("robot")));

	const struct sealed_field staying = {SEALED_PASSPHRASE, S("another")};
	struct keeper_sealed removing = {.operation = KEEPER_OP_MEMBER_REMOVE, .name = S("robot")};
	assert_int_equal(rig_sealed(rig, removing, &staying, 1, NULL), 0);
	lock(rig);
	assert_int_equal(rig_sealed(rig, with_file, &open, 1, NULL), -1);
	assert_class(rig, ERR_WRONG_PASSPHRASE);
}

/* What a flag asks for is sealed with the message: control cannot add it. */
static void flags_and_files_are_those_that_were_sealed(void **state)
{
	struct rig *rig = *state;
	init(rig);
	lock(rig);
	const struct sealed_field passphrase = {SEALED_PASSPHRASE, str_from(PASSPHRASE)};
	struct keeper_sealed unlock = {.operation = KEEPER_OP_UNLOCK};
	assert_int_equal(rig_seal(rig, &unlock, &passphrase, 1), 0);
	unlock.flags = KEEPER_FLAG_ACCEPT_ROLLBACK;
	assert_int_equal(rig_send_sealed(rig, &unlock, NULL), -1);
	assert_class(rig, ERR_SEALED_REFUSED);
	assert_int_equal(rig_with_passphrase(rig, KEEPER_OP_UNLOCK, PASSPHRASE), 0);
	struct keeper_sealed import = {.operation = KEEPER_OP_IMPORT, .blob = S("one file")};
	assert_int_equal(rig_seal(rig, &import, &passphrase, 1), 0);
	import.blob = S("another");
	assert_int_equal(rig_send_sealed(rig, &import, NULL), -1);
	assert_class(rig, ERR_SEALED_REFUSED);
}

static void an_export_is_imported_elsewhere(void **state)
{
	struct rig *rig = *state;
	init(rig);
	assert_int_equal(rig_put(rig, &api_key), 0);
	const struct sealed_field out[] = {{SEALED_PASSPHRASE, str_from(PASSPHRASE)},
					   {SEALED_NEW_PASSPHRASE, S("for the road")}};
	struct str body = STR_EMPTY;
	assert_int_equal(rig_sealed(rig, (struct keeper_sealed){.operation = KEEPER_OP_EXPORT}, out, 2, &body), 0);
	struct wire_reader r = wire_reader(body);
	assert_true(str_eq(wire_str(&r), S("owner")));
	assert_true(str_eq(wire_str(&r), S("passphrase")));
	assert_int_equal(wire_u32(&r), 1);
	struct str file = wire_str(&r);
	assert_int_equal(str_find(file, S("sk-example")), STR_NPOS);

	AUTO_BUF path = BUF_INIT(1024);
	wire_put_str(&path, str_from(api_key.path));
	assert_int_equal(rig_ask(rig, KEEPER_DELETE, buf_str(&path), NULL), 0);
	const struct sealed_field in = {SEALED_PASSPHRASE, S("for the road")};
	struct keeper_sealed import = {.operation = KEEPER_OP_IMPORT, .blob = file};
	assert_int_equal(rig_sealed(rig, import, &in, 1, &body), 0);
	r = wire_reader(body);
	assert_int_equal(wire_u32(&r), 1);
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "api.example.com:443"), 0);
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 1, "api.example.com:443", &released), 0);
	assert_string_equal(released.secret, api_key.value);
}

/* ---- sealed messages ---- */

static void a_sealed_message_works_once_and_for_what_it_says(void **state)
{
	struct rig *rig = *state;
	init(rig);
	const struct sealed_field fields[] = {{SEALED_VALUE, S("v")}, {SEALED_CONSENT, rig_consent(rig, &api_key)}};
	struct keeper_sealed m = {
		.operation = KEEPER_OP_PUT, .path = str_from(api_key.path), .metadata = rig_metadata(rig, &api_key)};
	assert_int_equal(rig_seal(rig, &m, fields, 2), 0);
	assert_int_equal(rig_send_sealed(rig, &m, NULL), 0);
	assert_int_equal(rig_send_sealed(rig, &m, NULL), -1); /* again */
	assert_class(rig, ERR_SEALED_REFUSED);

	assert_int_equal(rig_seal(rig, &m, fields, 2), 0);
	m.path = S("api_key/svc/other");
	assert_int_equal(rig_send_sealed(rig, &m, NULL), -1);
	assert_class(rig, ERR_SEALED_REFUSED);
	m.path = str_from(api_key.path); /* the nonce is gone with that */
	assert_int_equal(rig_send_sealed(rig, &m, NULL), -1);
	assert_class(rig, ERR_SEALED_REFUSED);

	assert_int_equal(rig_seal(rig, &m, fields, 2), 0);
	rig->now_ns += SEALED_NONCE_S * TIME_SECOND;
	assert_int_equal(rig_send_sealed(rig, &m, NULL), -1);
	assert_class(rig, ERR_SEALED_REFUSED);
}

static void what_a_binding_must_have(void **state)
{
	struct rig *rig = *state;
	init(rig);
	struct keeper_sealed m = {
		.operation = KEEPER_OP_PUT, .path = str_from(api_key.path), .metadata = rig_metadata(rig, &api_key)};
	const struct sealed_field fields[] = {{SEALED_VALUE, S("v")}, {SEALED_CONSENT, rig_consent(rig, &api_key)}};
	assert_int_equal(rig_sealed(rig, m, &fields[1], 1, NULL), -1);
	assert_class(rig, ERR_MISSING_VALUE);
	assert_int_equal(rig_sealed(rig, m, fields, 1, NULL), -1); /* nobody agreed to a host */
	assert_class(rig, ERR_VALIDATION_ERROR);
	m.metadata = S("{\"environment\":\"\",\"labels\":{\"connector_fqn\":\"x\"},\"type\":\"magic\"}");
	assert_int_equal(rig_sealed(rig, m, fields, 2, NULL), -1);
	assert_class(rig, ERR_UNSUPPORTED_KIND);
	m.metadata = S("{\"environment\":\"\",\"labels\":{},\"type\":\"api_key\"}");
	assert_int_equal(rig_sealed(rig, m, fields, 2, NULL), -1);
	assert_class(rig, ERR_VALIDATION_ERROR);
	m.metadata = S("{\"labels\":{},\"type\":\"api_key\"}");
	assert_int_equal(rig_sealed(rig, m, fields, 2, NULL), -1);
	assert_class(rig, ERR_VALIDATION_ERROR);
	m.metadata = S("{ \"environment\":\"\",\"labels\":{},\"type\":\"api_key\"}");
	assert_int_equal(rig_sealed(rig, m, fields, 2, NULL), -1);
	assert_class(rig, ERR_VALIDATION_ERROR);
	/* Other entries need no consent. */
	m.path = S("secret/thing");
	m.metadata = S("{\"environment\":\"\",\"labels\":{},\"type\":\"secret\"}");
	assert_int_equal(rig_sealed(rig, m, fields, 1, NULL), 0);
	m.flags = KEEPER_FLAG_CREATE;
	assert_int_equal(rig_sealed(rig, m, fields, 1, NULL), -1);
	assert_class(rig, ERR_CONFLICT);
	struct rig_binding token = api_key;
	token.path = "oauth2/svc/work";
	token.kind = "oauth2";
	assert_int_equal(rig_put(rig, &token), -1);
	assert_class(rig, ERR_PARSE_ERROR);
}

static void created_once_and_rebound(void **state)
{
	struct rig *rig = *state;
	init(rig);
	struct rig_binding binding = api_key;
	binding.region = "eu-west-1";
	binding.flags = KEEPER_FLAG_CREATE;
	assert_int_equal(rig_put(rig, &binding), 0);
	assert_int_equal(rig_put(rig, &binding), -1);
	assert_class(rig, ERR_BINDING_EXISTS);
	rig_pass(rig, 100 * TIME_SECOND);
	binding.region = NULL;
	binding.value = "sk-example-0002";
	binding.flags = KEEPER_FLAG_KEEP;
	assert_int_equal(rig_put(rig, &binding), 0);
	const char *labels = rig_labels(rig, binding.path);
	assert_non_null(strstr(labels, "\"created_at\":\"1767225600\""));
	assert_non_null(strstr(labels, "\"region\":\"eu-west-1\""));
	assert_int_equal(rig_permit(rig, 1, binding.path, "api_key", "api.example.com:443"), 0);
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 1, "api.example.com:443", &released), 0);
	assert_string_equal(released.secret, "sk-example-0002");
	binding.flags = 0;
	assert_int_equal(rig_put(rig, &binding), 0);
	assert_null(strstr(rig_labels(rig, binding.path), "region"));
}

/* ---- uses ---- */

static void one_release_a_use(void **state)
{
	struct rig *rig = *state;
	init(rig);
	struct rig_binding binding = api_key;
	binding.path = "basic/svc/work";
	binding.kind = "basic";
	binding.username = "ann";
	assert_int_equal(rig_put(rig, &binding), 0);
	assert_int_equal(rig_permit(rig, 7, binding.path, "basic", "api.example.com:443"), 0);
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 7, "API.example.com:443", &released), 0);
	assert_string_equal(released.kind, "basic");
	assert_string_equal(released.username, "ann");
	assert_string_equal(released.secret, binding.value);
	assert_non_null(strstr(released.pool, binding.path));
	assert_int_equal(rig_claim_now(rig, 7, "api.example.com:443", &released), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
	rig_hear(rig);
	assert_int_equal(rig->n_notes, 1);
	assert_string_equal(rig->notes[0].what, "released");
	assert_string_equal(rig->notes[0].path, binding.path);
	assert_int_equal(rig->notes[0].use, 7);
	assert_string_equal(rig->notes[0].host, "API.example.com:443");
	assert_string_equal(rig->notes[0].detail, "github.com/acme/svc");

	/* Two uses of one binding are two releases, of what may share connections. */
	const char *pool = released.pool;
	assert_int_equal(rig_permit(rig, 8, binding.path, "basic", "api.example.com:443"), 0);
	assert_int_equal(rig_claim_now(rig, 8, "api.example.com:443", &released), 0);
	assert_string_equal(released.pool, pool);
}

static void only_where_the_person_agreed_to(void **state)
{
	struct rig *rig = *state;
	init(rig);
	assert_int_equal(rig_put(rig, &api_key), 0);
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "evil.example:443"), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
	assert_non_null(strstr(rig->err.message, "evil.example:443"));
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "api.example.com:80"), -1);
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "*"), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
	/* A host that was agreed to, but not for this call. */
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "up.example.com:443"), 0);
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 1, "api.example.com:443", &released), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
	assert_int_equal(rig_claim_now(rig, 1, "*", &released), -1);
	assert_int_equal(rig_claim_now(rig, 1, "up.example.com:443", &released), 0);

	struct rig_binding any = api_key;
	any.hosts[0] = "*";
	any.hosts[1] = NULL;
	assert_int_equal(rig_put(rig, &any), 0);
	assert_int_equal(rig_permit(rig, 2, any.path, "api_key", "*"), 0);
	assert_int_equal(rig_claim_now(rig, 2, "whoever.example:443", &released), 0);
}

/* What is less than a public address over TLS was named by the person, and "*" names nothing. */
static void only_in_a_way_that_the_person_opened(void **state)
{
	static const struct {
		const char *listed, *opened, *asked;
		uint8_t way;
		bool released;
	} rows[] = {
		{"api.example.com:443", NULL, "api.example.com:443", 0, true},
		{"api.example.com:443", NULL, "api.example.com:443", KEEPER_WAY_PLAIN, false},
		{"api.example.com:443", NULL, "api.example.com:443", KEEPER_WAY_PRIVATE, false},
		{"api.example.com:443", NULL, "api.example.com:443", KEEPER_WAY_PLAIN | KEEPER_WAY_PRIVATE, false},
		{"api.example.com:443", "api.example.com:443", "api.example.com:443", KEEPER_WAYS, true},
		{"api.example.com:443", "up.example.com:443", "api.example.com:443", KEEPER_WAYS, false},
		{"api.example.com:443", "api.example.com:80", "api.example.com:443", KEEPER_WAYS, false},
		{"127.0.0.1:8080", NULL, "127.0.0.1:8080", KEEPER_WAYS, true},
		{"[::1]:8080", NULL, "[::1]:8080", KEEPER_WAYS, true},
		{"127.0.0.1.example:8080", NULL, "127.0.0.1.example:8080", KEEPER_WAYS, false},
		{"localhost:8080", NULL, "localhost:8080", KEEPER_WAYS, false},
		{"*", NULL, "127.0.0.1:8080", KEEPER_WAYS, false},
		{"*", NULL, "127.0.0.1:8080", KEEPER_WAY_PRIVATE, false},
		{"*", NULL, "api.example.com:443", 0, true},
		{"*", "127.0.0.1:8080", "127.0.0.1:8080", KEEPER_WAYS, true},
	};
	struct rig *rig = *state;
	init(rig);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig_binding binding = api_key;
		binding.hosts[0] = rows[i].listed;
		binding.hosts[1] = NULL;
		binding.allow_private[0] = rows[i].opened;
		assert_int_equal(rig_put(rig, &binding), 0);
		uint64_t use = i + 1;
		assert_int_equal(rig_permit(rig, use, binding.path, "api_key", rows[i].listed), 0);
		uint32_t id = ++rig->next_id;
		const struct keeper_target target = {.host = str_from(rows[i].asked), .way = rows[i].way};
		rig_claim_by(rig, KEEPER_CLAIM, id, use, target);
		struct rig_released released = {0};
		int rc = rig_hear_release(rig, id, &released);
		if ((rc == 0) != rows[i].released)
			fail_msg("row %zu: %s", i, rig->err.message);
		if (rc != 0) {
			assert_class(rig, ERR_CAPABILITY_DENIED);
			assert_non_null(strstr(rig->err.details, "\"rule\":\"private\""));
		}
	}
}

static int extend(struct rig *rig, uint64_t use, const char *host, uint8_t way, struct rig_released *ret)
{
	uint32_t id = ++rig->next_id;
	rig_claim_by(rig, KEEPER_EXTEND, id, use, (struct keeper_target){.host = str_from(host), .way = way});
	return rig_hear_release(rig, id, ret);
}

/* Egress holds the value then; where else it takes it is for the keeper to say. */
static void a_released_value_goes_where_the_keeper_was_asked_about(void **state)
{
	struct rig *rig = *state;
	init(rig);
	assert_int_equal(rig_put(rig, &api_key), 0);
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "*"), -1);
	static const struct str hosts[] = {{"api.example.com:443", 19}, {"up.example.com:443", 18}};
	struct keeper_permit permit = {.use = 1,
				       .path = str_from(api_key.path),
				       .connector = S("github.com/acme/svc"),
				       .kind = S("api_key"),
				       .hosts = hosts,
				       .n_hosts = 2,
				       .deadline_ns = rig->now_ns + TIME_SECOND};
	AUTO_BUF body = BUF_INIT(4096);
	keeper_permit_put(&body, &permit);
	assert_int_equal(rig_ask(rig, KEEPER_PERMIT, buf_str(&body), NULL), 0);
	struct rig_released released = {0};
	assert_int_equal(extend(rig, 1, "up.example.com:443", 0, &released), -1); /* nothing was released */
	assert_class(rig, ERR_CAPABILITY_DENIED);
	assert_int_equal(rig_claim_now(rig, 1, "api.example.com:443", &released), 0);
	assert_string_equal(released.secret, api_key.value);
	assert_int_equal(extend(rig, 1, "up.example.com:443", 0, &released), 0);
	assert_string_equal(released.secret, "");
	assert_int_equal(extend(rig, 1, "up.example.com:443", KEEPER_WAY_PLAIN, &released), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
	assert_int_equal(extend(rig, 1, "evil.example:443", 0, &released), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
	rig_end_use(rig, 1);
	assert_int_equal(extend(rig, 1, "up.example.com:443", 0, &released), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
}

static void a_consent_that_shrinks_holds_for_permits_that_are_out(void **state)
{
	struct rig *rig = *state;
	init(rig);
	assert_int_equal(rig_put(rig, &api_key), 0);
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "up.example.com:443"), 0);
	struct rig_binding less = api_key;
	less.hosts[1] = NULL;
	const struct sealed_field fields[] = {{SEALED_PASSPHRASE, str_from(PASSPHRASE)},
					      {SEALED_CONSENT, rig_consent(rig, &less)}};
	struct keeper_sealed m = {.operation = KEEPER_OP_CONSENT, .path = str_from(api_key.path)};
	assert_int_equal(rig_sealed(rig, m, fields, 2, NULL), 0);
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 1, "up.example.com:443", &released), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
	/* Without the passphrase nobody changes it. */
	assert_int_equal(rig_sealed(rig, m, &fields[1], 1, NULL), -1);
	assert_class(rig, ERR_MISSING_PASSPHRASE);
	const struct sealed_field wrong[] = {{SEALED_PASSPHRASE, S("wrong")},
					     {SEALED_CONSENT, rig_consent(rig, &api_key)}};
	assert_int_equal(rig_sealed(rig, m, wrong, 2, NULL), -1);
	assert_class(rig, ERR_WRONG_PASSPHRASE);
}

static void permits_for_what_is_not_so(void **state)
{
	struct rig *rig = *state;
	init(rig);
	assert_int_equal(rig_put(rig, &api_key), 0);
	assert_int_equal(rig_permit(rig, 1, "api_key/svc/none", "api_key", "api.example.com:443"), -1);
	assert_class(rig, ERR_BINDING_NOT_FOUND);
	assert_int_equal(rig_permit(rig, 1, api_key.path, "basic", "api.example.com:443"), -1);
	assert_class(rig, ERR_KIND_MISMATCH);
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "api.example.com:443"), 0);
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "api.example.com:443"), -1);
	assert_class(rig, ERR_INVALID_REQUEST);

	struct str host = S("api.example.com:443");
	struct keeper_permit permit = {.use = 2,
				       .path = str_from(api_key.path),
				       .connector = S("github.com/evil/svc"),
				       .kind = S("api_key"),
				       .hosts = &host,
				       .n_hosts = 1,
				       .deadline_ns = rig->now_ns + TIME_SECOND};
	AUTO_BUF body = BUF_INIT(4096);
	keeper_permit_put(&body, &permit);
	assert_int_equal(rig_ask(rig, KEEPER_PERMIT, buf_str(&body), NULL), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
	permit.connector = S("github.com/acme/svc");
	static const int64_t ends[] = {0, -1, 3600 * (int64_t)TIME_SECOND + 1};
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		permit.deadline_ns = rig->now_ns + (uint64_t)ends[i];
		buf_clear(&body);
		keeper_permit_put(&body, &permit);
		assert_int_equal(rig_ask(rig, KEEPER_PERMIT, buf_str(&body), NULL), -1);
		assert_class(rig, ERR_INVALID_REQUEST);
	}
	permit.deadline_ns = rig->now_ns + 1;
	permit.n_hosts = 0;
	buf_clear(&body);
	keeper_permit_put(&body, &permit);
	assert_int_equal(rig_ask(rig, KEEPER_PERMIT, buf_str(&body), NULL), -1);
	assert_class(rig, ERR_INVALID_REQUEST);
}

static int permit_version(struct rig *rig, uint64_t use, const char *path, const char *kind, uint64_t version)
{
	struct str host = S("api.example.com:443");
	const struct keeper_permit permit = {.use = use,
					     .path = str_from(path),
					     .connector = S("github.com/acme/svc"),
					     .kind = str_from(kind),
					     .hosts = &host,
					     .n_hosts = 1,
					     .deadline_ns = rig->now_ns + TIME_SECOND,
					     .version = version};
	AUTO_BUF body = BUF_INIT(4096);
	keeper_permit_put(&body, &permit);
	return rig_ask(rig, KEEPER_PERMIT, buf_str(&body), NULL);
}

/* What a run was approved with is what it uses: at the permit, and at each claim. */
static void a_binding_that_was_put_anew_is_another(void **state)
{
	struct rig *rig = *state;
	init(rig);
	assert_int_equal(rig_put(rig, &api_key), 0);
	uint64_t version = rig_generation(rig, api_key.path);
	assert_int_not_equal(version, 0);
	assert_int_equal(permit_version(rig, 1, api_key.path, "api_key", version + 1), -1);
	assert_class(rig, ERR_BINDING_FAILED);
	assert_int_equal(permit_version(rig, 1, api_key.path, "api_key", version), 0);
	assert_int_equal(permit_version(rig, 2, api_key.path, "api_key", 0), 0); /* of a call that was bound to none */
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 1, "api.example.com:443", &released), 0);
	struct rig_binding anew = api_key;
	anew.flags = 0;
	assert_int_equal(rig_put(rig, &anew), 0);
	assert_int_equal(rig_claim_now(rig, 1, "api.example.com:443", &released), -1);
	assert_class(rig, ERR_BINDING_FAILED);
	assert_int_equal(rig_claim_now(rig, 2, "api.example.com:443", &released), 0);
	assert_int_equal(permit_version(rig, 3, api_key.path, "api_key", version), -1);
	assert_int_equal(permit_version(rig, 3, api_key.path, "api_key", rig_generation(rig, api_key.path)), 0);
}

static void a_use_ends_with_its_call_and_its_time(void **state)
{
	struct rig *rig = *state;
	init(rig);
	assert_int_equal(rig_put(rig, &api_key), 0);
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 1, "api.example.com:443", &released), -1); /* never permitted */
	assert_class(rig, ERR_CAPABILITY_DENIED);
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "api.example.com:443"), 0);
	rig_end_use(rig, 1);
	assert_int_equal(rig_claim_now(rig, 1, "api.example.com:443", &released), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
	assert_int_equal(rig_permit(rig, 2, api_key.path, "api_key", "api.example.com:443"), 0);
	rig_pass(rig, 30 * TIME_SECOND - 1);
	assert_int_equal(rig_permit(rig, 3, api_key.path, "api_key", "api.example.com:443"), 0);
	rig_pass(rig, 1);
	assert_int_equal(rig_claim_now(rig, 2, "api.example.com:443", &released), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
	assert_int_equal(rig_claim_now(rig, 3, "api.example.com:443", &released), 0);
	rig_end_use(rig, 99); /* one that is not there */
}

static void locking_takes_all_uses(void **state)
{
	struct rig *rig = *state;
	init(rig);
	assert_int_equal(rig_put(rig, &api_key), 0);
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "api.example.com:443"), 0);
	lock(rig);
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 1, "api.example.com:443", &released), -1);
	assert_class(rig, ERR_BINDING_REQUIRED);
	unlock(rig);
	assert_int_equal(rig_claim_now(rig, 1, "api.example.com:443", &released), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
}

static void so_many_uses_are_permitted_at_once(void **state)
{
	struct rig *rig = *state;
	init(rig);
	assert_int_equal(rig_put(rig, &api_key), 0);
	for (uint64_t use = 1; use <= KEEPER_USES_MAX; use++)
		assert_int_equal(rig_permit(rig, use, api_key.path, "api_key", "api.example.com:443"), 0);
	assert_int_equal(rig_permit(rig, KEEPER_USES_MAX + 1, api_key.path, "api_key", "api.example.com:443"), -1);
	assert_class(rig, ERR_UNAVAILABLE);
	rig->now_ns += 31 * TIME_SECOND; /* those that are over make room */
	assert_int_equal(rig_permit(rig, KEEPER_USES_MAX + 1, api_key.path, "api_key", "api.example.com:443"), 0);
}

/* ---- signing ---- */

static void sign_sigv4(struct rig *rig, uint64_t use, const char *day, const char *region, const char *to_sign)
{
	AUTO_BUF body = BUF_INIT(4096);
	wire_put_u64(&body, use);
	keeper_target_put(&body, &(struct keeper_target){.host = S("athena.us-east-1.amazonaws.com:443")});
	wire_put_str(&body, str_from(day));
	wire_put_str(&body, str_from(region));
	wire_put_str(&body, S("athena"));
	wire_put_str(&body, str_from(to_sign));
	rig_tell(rig, KEEPER_SIGN_SIGV4, 5, &body);
}

static int hear_signature(struct rig *rig, struct str *ret)
{
	uint32_t id = 0;
	bool ok = false;
	struct str rest = STR_EMPTY;
	assert_int_equal(rig_hear_egress(rig, &id, &ok, &rest), KEEPER_SIGNED);
	assert_int_equal(id, 5);
	struct wire_reader r = wire_reader(rest);
	if (ok)
		*ret = wire_str(&r);
	return ok ? 0 : -1;
}

#define TO_SIGN                                                                                                        \
	"AWS4-HMAC-SHA256\n20260101T000000Z\n20260101/us-east-1/athena/aws4_request\n"                                 \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void aws_keys_sign_and_stay(void **state)
{
	struct rig *rig = *state;
	init(rig);
	const struct rig_binding aws = {.path = "aws_sigv4/svc/work",
					.kind = "aws_sigv4",
					.value = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
					.region = "us-east-1",
					.hosts = {"athena.us-east-1.amazonaws.com:443"}};
	assert_int_equal(rig_put(rig, &aws), 0);
	assert_int_equal(rig_permit(rig, 1, aws.path, "aws_sigv4", aws.hosts[0]), 0);
	struct rig_released released = {0};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_claim_now(rig, 1, aws.hosts[0], &released), 0);
		assert_string_equal(released.kind, "aws_sigv4");
		assert_string_equal(released.secret, "");
	}
	struct str signature = STR_EMPTY, again = STR_EMPTY;
	sign_sigv4(rig, 1, "20260101", "us-east-1", TO_SIGN);
	assert_int_equal(hear_signature(rig, &signature), 0);
	/* hmac of the chain of keys, made with another implementation */
	static const unsigned char expected[32] = {0x53, 0x29, 0x09, 0x20, 0xa4, 0xdd, 0xfc, 0x8a, 0x5c, 0x64, 0x71,
						   0xdd, 0x26, 0x8b, 0x3f, 0x98, 0xb3, 0xbc, 0xaa, 0x7c, 0x70, 0x9f,
						   0xa3, 0x41, 0xc7, 0x55, 0xa9, 0xf9, 0x82, 0x3f, 0x4f, 0x8c};
	assert_int_equal(signature.n, 32);
	assert_memory_equal(signature.p, expected, 32);
	sign_sigv4(rig, 1, "20260101", "us-east-1", TO_SIGN);
	assert_int_equal(hear_signature(rig, &again), 0);
	assert_memory_equal(again.p, expected, 32);
	rig_hear(rig);
	assert_int_equal(rig->n_notes, 1); /* one a use */
	assert_string_equal(rig->notes[0].what, "signed");

	/* Nothing but requests, of that scope, in the region that it is for. */
	static const char *const bad[][3] = {
		{"20260101", "us-east-1", "anything"}, {"20260102", "us-east-1", TO_SIGN},
		{"20260101", "eu-west-1", TO_SIGN},    {"2026010", "us-east-1", TO_SIGN},
		{"2026010x", "us-east-1", TO_SIGN},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		sign_sigv4(rig, 1, bad[i][0], bad[i][1], bad[i][2]);
		assert_int_equal(hear_signature(rig, &signature), -1);
		assert_class(rig, ERR_CAPABILITY_DENIED);
	}
	sign_sigv4(rig, 2, "20260101", "us-east-1", TO_SIGN);
	assert_int_equal(hear_signature(rig, &signature), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
}

static void sign_bytes(struct rig *rig, uint64_t use, uint8_t algorithm)
{
	AUTO_BUF body = BUF_INIT(4096);
	wire_put_u64(&body, use);
	keeper_target_put(&body, &(struct keeper_target){.host = S("api.example.com:443")});
	wire_put_u8(&body, algorithm);
	wire_put_str(&body, S("message"));
	rig_tell(rig, KEEPER_SIGN_BYTES, 5, &body);
}

static void signing_keys_sign_and_stay(void **state)
{
	struct rig *rig = *state;
	init(rig);
	struct rig_binding key = api_key;
	key.path = "signing_key/svc/work";
	key.kind = "signing_key";
	key.value = "0123456789abcdef0123456789abcdef";
	assert_int_equal(rig_put(rig, &key), 0);
	assert_int_equal(rig_permit(rig, 1, key.path, "signing_key", "api.example.com:443"), 0);
	struct str signature = STR_EMPTY;
	sign_bytes(rig, 1, SIGNING_ED25519);
	assert_int_equal(hear_signature(rig, &signature), 0);
	AUTO(secret) *seed = secret_from(str_from(key.value), NULL);
	AUTO(sign_key) *pair = sign_key_new(seed, NULL);
	unsigned char public_key[ED25519_PUBLIC_SIZE];
	sign_key_public(pair, public_key);
	assert_true(sign_verify(str_of(public_key, sizeof public_key), S("message"), signature));
	sign_bytes(rig, 1, SIGNING_HMAC_SHA256);
	assert_int_equal(hear_signature(rig, &signature), 0);
	assert_int_equal(signature.n, 32);

	/* Nor is what is no key taken for one where the connector signs so; what was there stays. */
	key.flags = KEEPER_FLAG_ED25519;
	assert_int_equal(rig_put(rig, &key), 0);
	key.value = "0123456789abcdef0123456789abcde";
	assert_int_equal(rig_put(rig, &key), -1);
	assert_class(rig, ERR_VALIDATION_ERROR);
	key.flags = 0;
	assert_int_equal(rig_permit(rig, 4, key.path, "signing_key", "api.example.com:443"), 0);
	sign_bytes(rig, 4, SIGNING_ED25519);
	assert_int_equal(hear_signature(rig, &signature), 0);
	assert_true(sign_verify(str_of(public_key, sizeof public_key), S("message"), signature));

	/* A value of another kind is not a key. */
	assert_int_equal(rig_put(rig, &api_key), 0);
	assert_int_equal(rig_permit(rig, 2, api_key.path, "api_key", "api.example.com:443"), 0);
	sign_bytes(rig, 2, SIGNING_HMAC_SHA256);
	assert_int_equal(hear_signature(rig, &signature), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
	/* No key of Ed25519 */
	key.value = "short";
	assert_int_equal(rig_put(rig, &key), 0);
	assert_int_equal(rig_permit(rig, 3, key.path, "signing_key", "api.example.com:443"), 0);
	sign_bytes(rig, 3, SIGNING_ED25519);
	assert_int_equal(hear_signature(rig, &signature), -1);
	assert_class(rig, ERR_BINDING_FAILED);
}

static void the_device_key_signs_heads_alone_and_stays_the_same(void **state)
{
	struct rig *rig = *state;
	static const char head[] = "aileron-audit-head-1\0and what follows";
	AUTO_BUF body = BUF_INIT(1024);
	wire_put_str(&body, str_of(head, sizeof head - 1));
	struct str answer = STR_EMPTY;
	assert_int_equal(rig_ask(rig, KEEPER_SIGN_HEAD, buf_str(&body), &answer), 0); /* no vault is needed */
	assert_int_equal(answer.n, 96);
	assert_memory_equal(answer.p + 64, rig->device_key, 32);
	assert_true(sign_verify(str_of(rig->device_key, 32), str_of(head, sizeof head - 1), str_slice(answer, 0, 64)));
	buf_clear(&body);
	wire_put_str(&body, S("aileron-audit-head-2 is something else"));
	assert_int_equal(rig_ask(rig, KEEPER_SIGN_HEAD, buf_str(&body), &answer), -1);
	assert_class(rig, ERR_INVALID_REQUEST);

	unsigned char before[32], sealing[32];
	memcpy(before, rig->device_key, 32);
	memcpy(sealing, rig->public_key, 32);
	rig_close(rig);
	rig_open(rig);
	assert_memory_equal(rig->device_key, before, 32);
	assert_memory_not_equal(rig->public_key, sealing, 32); /* of this start alone */
	char path[128];
	snprintf(path, sizeof path, "%s/device.key", rig->folder);
	struct stat info;
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_int_equal(info.st_size, 32);
}

/* ---- when it locks ---- */

static void wrong_passphrases_make_everybody_wait(void **state)
{
	struct rig *rig = *state;
	init(rig);
	lock(rig);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rig_with_passphrase(rig, KEEPER_OP_UNLOCK, "wrong"), -1);
		assert_class(rig, ERR_WRONG_PASSPHRASE);
	}
	assert_int_equal(rig_with_passphrase(rig, KEEPER_OP_UNLOCK, PASSPHRASE), -1);
	assert_class(rig, ERR_THROTTLED);
	assert_non_null(strstr(rig->err.details, "\"retry_after_ms\":1000"));
	assert_string_equal(rig->err.message, "too many wrong passphrases; wait 1 s");
	assert_int_equal(rig_state(rig).throttled_ms, 1000);
	rig->now_ns += TIME_SECOND;
	assert_int_equal(rig_with_passphrase(rig, KEEPER_OP_UNLOCK, "wrong"), -1);
	assert_class(rig, ERR_WRONG_PASSPHRASE);
	assert_int_equal(rig_state(rig).throttled_ms, 2000);
	rig->now_ns += 2 * TIME_SECOND;
	unlock(rig);
	assert_int_equal(rig_state(rig).throttled_ms, 0);
	/* A proof counts as a try too. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig_with_passphrase(rig, KEEPER_OP_EXPORT, "wrong"), -1);
	assert_int_equal(rig_with_passphrase(rig, KEEPER_OP_PASSWD, PASSPHRASE), -1);
	assert_class(rig, ERR_THROTTLED);
}

static void it_locks_when_nobody_uses_it(void **state)
{
	struct rig *rig = *state;
	rig_close(rig);
	rig->auto_lock_ms = 60000;
	rig_open(rig);
	init(rig);
	assert_int_equal(rig_put(rig, &api_key), 0);
	rig_pass(rig, 59 * TIME_SECOND);
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "api.example.com:443"), 0);
	rig_pass(rig, 29 * TIME_SECOND);
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 1, "api.example.com:443", &released), 0);
	rig_pass(rig, 59 * TIME_SECOND);
	rig_state(rig); /* looking is no use */
	assert_true(keeper_is_unlocked(rig->keeper));
	rig_pass(rig, TIME_SECOND);
	assert_false(keeper_is_unlocked(rig->keeper));
	rig_hear(rig);
	assert_string_equal(rig->reason, "idle");
	assert_int_equal(rig_state(rig).auto_lock_ms, 60000);
}

static void it_locks_when_the_machine_slept(void **state)
{
	struct rig *rig = *state;
	init(rig);
	rig->suspended_ns += 2 * TIME_SECOND - 1;
	(void)!rig_turn(rig);
	assert_true(keeper_is_unlocked(rig->keeper));
	rig->suspended_ns += 2 * TIME_SECOND;
	(void)!rig_turn(rig);
	assert_false(keeper_is_unlocked(rig->keeper));
	rig_hear(rig);
	assert_string_equal(rig->reason, "suspend");
	unlock(rig);
	(void)!rig_turn(rig);
	assert_true(keeper_is_unlocked(rig->keeper));
	/* Before a request that came first after that is answered. */
	assert_int_equal(rig_put(rig, &api_key), 0);
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "api.example.com:443"), 0);
	rig->suspended_ns += 3600 * TIME_SECOND;
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 1, "api.example.com:443", &released), -1);
	assert_class(rig, ERR_BINDING_REQUIRED);
}

static void it_locks_when_told_by_signal_or_parent(void **state)
{
	struct rig *rig = *state;
	init(rig);
	keeper_watch_signal();
	assert_int_equal(raise(SIGUSR1), 0); /* blocked until the keeper waits */
	assert_true(keeper_is_unlocked(rig->keeper));
	assert_int_equal(rig_turn(rig), 1);
	assert_false(keeper_is_unlocked(rig->keeper));
	rig_hear(rig);
	assert_string_equal(rig->reason, "signal");
	unlock(rig);
	assert_int_equal(supervise_send(rig->parent, SUPERVISE_LOCK, 0, STR_EMPTY, NULL, 0, NULL), 0);
	assert_int_equal(rig_turn(rig), 1);
	assert_false(keeper_is_unlocked(rig->keeper));
}

static void it_ends_with_its_parent_and_when_told(void **state)
{
	struct rig *rig = *state;
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u64(&body, 1000);
	assert_int_equal(supervise_send(rig->parent, SUPERVISE_STOP, 0, buf_str(&body), NULL, 0, NULL), 0);
	assert_int_equal(rig_turn(rig), 0);
	rig_close(rig);
	rig_open(rig);
	assert_int_equal(rig_turn(rig), 1);
	close(TAKE_FD(rig->parent));
	assert_int_equal(rig_turn(rig), 0);
}

static void an_order_that_it_cannot_read_ends_it(void **state)
{
	struct rig *rig = *state;
	static const uint32_t orders[] = {SUPERVISE_STOP, SUPERVISE_PEER, SUPERVISE_LOG, SUPERVISE_START, 77};
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		assert_int_equal(supervise_send(rig->parent, orders[i], 0, STR_EMPTY, NULL, 0, NULL), 0);
		assert_int_equal(rig_turn(rig), -1);
		rig_close(rig);
		rig_open(rig);
	}
}

/* ---- channels ---- */

static void channels_come_from_the_parent(void **state)
{
	struct rig *rig = *state;
	init(rig);
	int pair[2];
	assert_int_equal(rig_pair(pair), 0);
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u8(&body, SUPERVISE_CONTROL);
	assert_int_equal(supervise_send(rig->parent, SUPERVISE_PEER, 0, buf_str(&body), &pair[0], 1, NULL), 0);
	close(pair[0]);
	assert_int_equal(rig_turn(rig), 1);
	struct rpc_frame frame;
	assert_int_equal(rpc_recv(rig->control, &frame, NULL), 0);
	rpc_channel_free(rig->control);
	rig->control = rpc_channel_new(pair[1], keeper_for_control_rules);
	assert_int_equal(rig_state(rig).state, KEEPER_UNLOCKED);
}

static void uses_go_with_the_egress_that_they_were_for(void **state)
{
	struct rig *rig = *state;
	init(rig);
	assert_int_equal(rig_put(rig, &api_key), 0);
	assert_int_equal(rig_permit(rig, 1, api_key.path, "api_key", "api.example.com:443"), 0);
	rig_attach_egress(rig);
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 1, "api.example.com:443", &released), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
	/* One that ended by itself: what is permitted after that is for the next. */
	assert_int_equal(rig_permit(rig, 2, api_key.path, "api_key", "api.example.com:443"), 0);
	rpc_channel_free(TAKE(rig->egress));
	assert_int_equal(rig_permit(rig, 3, api_key.path, "api_key", "api.example.com:443"), 0);
	rig_attach_egress(rig);
	assert_int_equal(rig_claim_now(rig, 2, "api.example.com:443", &released), -1);
	assert_int_equal(rig_claim_now(rig, 3, "api.example.com:443", &released), 0);
	/* And with the control that permitted them. */
	assert_int_equal(rig_permit(rig, 4, api_key.path, "api_key", "api.example.com:443"), 0);
	rig_attach_control(rig);
	assert_int_equal(rig_claim_now(rig, 4, "api.example.com:443", &released), -1);
}

static void whoever_breaks_the_protocol_is_left(void **state)
{
	struct rig *rig = *state;
	init(rig);
	struct str bad = S("bad");
	assert_int_equal(rig_ask(rig, KEEPER_GET, bad, NULL), -1);
	assert_class(rig, ERR_UNAVAILABLE);
	rig_attach_control(rig);
	assert_int_equal(rig_state(rig).state, KEEPER_UNLOCKED);
	assert_int_equal(rpc_send(rig->control, KEEPER_STATE, 0, NULL, 0, NULL), 0); /* without an id */
	struct rpc_frame frame;
	assert_false(rig_next(rig, rig->control, &frame));
	rig_attach_control(rig);
	assert_int_equal(rpc_send(rig->control, KEEPER_CLAIM, 1, NULL, 0, NULL), 0); /* another's */
	assert_false(rig_next(rig, rig->control, &frame));

	AUTO_BUF body = BUF_INIT(64);
	buf_add_z(&body, "bad");
	rig_tell(rig, KEEPER_CLAIM, 1, &body);
	assert_false(rig_next(rig, rig->egress, &frame));
	rig_attach_egress(rig);
	rig_attach_control(rig);
	rig_tell(rig, KEEPER_STATE, 1, &body); /* control's */
	assert_false(rig_next(rig, rig->egress, &frame));
	assert_int_equal(rig_state(rig).state, KEEPER_UNLOCKED);
}

static void an_older_file_is_refused_until_it_is_accepted(void **state)
{
	struct rig *rig = *state;
	init(rig);
	struct keeper_state now = rig_state(rig);
	lock(rig);
	const struct sealed_field passphrase = {SEALED_PASSPHRASE, str_from(PASSPHRASE)};
	struct keeper_sealed m = {
		.operation = KEEPER_OP_UNLOCK, .high_vault_id = now.vault_id, .high_generation = now.generation + 1};
	assert_int_equal(rig_sealed(rig, m, &passphrase, 1, NULL), -1);
	assert_class(rig, ERR_VAULT_ROLLED_BACK);
	assert_false(keeper_is_unlocked(rig->keeper));
	m.flags = KEEPER_FLAG_ACCEPT_ROLLBACK;
	struct str answer = STR_EMPTY;
	assert_int_equal(rig_sealed(rig, m, &passphrase, 1, &answer), 0);
	struct wire_reader r = wire_reader(answer);
	assert_int_equal(wire_u8(&r), 2);
	assert_int_equal(wire_str(&r).n, 0);
	assert_true(str_eq(wire_str(&r), S("owner")));
	assert_true(wire_bool(&r)); /* an older file was accepted */
	assert_int_equal(wire_done(&r, "unlocked", &rig->err), 0);
	assert_int_equal(rig_state(rig).generation, m.high_generation + 1);
}

static void tuning_proposes_what_takes_about_as_long(void **state)
{
	struct rig *rig = *state;
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u32(&body, 1); /* shorter than is sensible */
	assert_int_equal(rig_ask(rig, KEEPER_TUNE, buf_str(&body), NULL), -1);
	assert_class(rig, ERR_VALIDATION_ERROR);
	struct str answer = STR_EMPTY;
	assert_int_equal(rig_ask(rig, KEEPER_BACKUPS, STR_EMPTY, &answer), 0);
	buf_clear(&body);
	wire_put_str(&body, S("none"));
	assert_int_equal(rig_ask(rig, KEEPER_DROP_BACKUP, buf_str(&body), NULL), -1);
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	log_set_level(LOG_LEVEL_NONE);
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_nonce_comes_with_the_key_that_it_is_for),
		RIG_TEST(a_vault_is_missing_made_locked_and_opened),
		RIG_TEST(an_empty_passphrase_is_none),
		RIG_TEST(while_it_is_locked_nothing_is_written),
		RIG_TEST(entries_are_listed_by_prefix_and_deleted),
		RIG_TEST(labels_that_control_may_set_alone),
		RIG_TEST(members_and_passphrases_change),
		RIG_TEST(flags_and_files_are_those_that_were_sealed),
		RIG_TEST(an_export_is_imported_elsewhere),
		RIG_TEST(a_sealed_message_works_once_and_for_what_it_says),
		RIG_TEST(what_a_binding_must_have),
		RIG_TEST(created_once_and_rebound),
		RIG_TEST(one_release_a_use),
		RIG_TEST(only_where_the_person_agreed_to),
		RIG_TEST(only_in_a_way_that_the_person_opened),
		RIG_TEST(a_released_value_goes_where_the_keeper_was_asked_about),
		RIG_TEST(a_consent_that_shrinks_holds_for_permits_that_are_out),
		RIG_TEST(permits_for_what_is_not_so),
		RIG_TEST(a_binding_that_was_put_anew_is_another),
		RIG_TEST(a_use_ends_with_its_call_and_its_time),
		RIG_TEST(locking_takes_all_uses),
		RIG_TEST(so_many_uses_are_permitted_at_once),
		RIG_TEST(aws_keys_sign_and_stay),
		RIG_TEST(signing_keys_sign_and_stay),
		RIG_TEST(the_device_key_signs_heads_alone_and_stays_the_same),
		RIG_TEST(wrong_passphrases_make_everybody_wait),
		RIG_TEST(it_locks_when_nobody_uses_it),
		RIG_TEST(it_locks_when_the_machine_slept),
		RIG_TEST(it_locks_when_told_by_signal_or_parent),
		RIG_TEST(it_ends_with_its_parent_and_when_told),
		RIG_TEST(an_order_that_it_cannot_read_ends_it),
		RIG_TEST(channels_come_from_the_parent),
		RIG_TEST(uses_go_with_the_egress_that_they_were_for),
		RIG_TEST(whoever_breaks_the_protocol_is_left),
		RIG_TEST(an_older_file_is_refused_until_it_is_accepted),
		RIG_TEST(tuning_proposes_what_takes_about_as_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
