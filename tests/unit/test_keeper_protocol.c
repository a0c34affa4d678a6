#include "vault/keeper_protocol.h"
#include "base/arena.h"
#include "text/wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define MESSAGE_MAX 65536

static void assert_str(struct str a, struct str b)
{
	assert_true(str_eq(a, b));
}

/* Whoever reads a message reads all of it: cut anywhere, or with a byte more, it is none. */
static void sealed_requests(void **state)
{
	(void)state;
	const struct keeper_sealed m = {.operation = KEEPER_OP_IMPORT,
					.flags = KEEPER_FLAG_REPLACE | KEEPER_FLAG_CREATE,
					.path = S("a/b/c"),
					.metadata = S("{}"),
					.name = S("robot"),
					.high_vault_id = S("id"),
					.high_generation = UINT64_MAX,
					.ticket = 7,
					.blob = S("blob"),
					.sealed = S("sealed")};
	AUTO_BUF body = BUF_INIT(MESSAGE_MAX);
	keeper_sealed_put(&body, &m);
	struct keeper_sealed got;
	assert_int_equal(keeper_sealed_get(buf_str(&body), &got, NULL), 0);
	assert_int_equal(got.operation, m.operation);
	assert_int_equal(got.flags, m.flags);
	assert_str(got.path, m.path);
	assert_str(got.metadata, m.metadata);
	assert_str(got.name, m.name);
	assert_str(got.high_vault_id, m.high_vault_id);
	assert_int_equal(got.high_generation, m.high_generation);
	assert_int_equal(got.ticket, m.ticket);
	assert_str(got.blob, m.blob);
	assert_str(got.sealed, m.sealed);
	for (size_t n = 0; n < body.n; n++)
		assert_int_equal(keeper_sealed_get(str_slice(buf_str(&body), 0, n), &got, NULL), -1);
	static struct err err;
	buf_add_char(&body, 'x');
	assert_int_equal(keeper_sealed_get(buf_str(&body), &got, &err), -1);
	assert_int_equal(err.class, ERR_PROTOCOL);
}

static void sealed_requests_out_of_range(void **state)
{
	(void)state;
	static const struct {
		uint8_t operation;
		uint32_t flags;
	} bad[] = {{0, 0}, {KEEPER_OP__MAX, 0}, {255, 0}, {KEEPER_OP_PUT, 64}, {KEEPER_OP_PUT, 1U << 31}};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct keeper_sealed m = {.operation = (enum keeper_operation)bad[i].operation,
						.flags = bad[i].flags};
		AUTO_BUF body = BUF_INIT(MESSAGE_MAX);
		keeper_sealed_put(&body, &m);
		struct keeper_sealed got;
		assert_int_equal(keeper_sealed_get(buf_str(&body), &got, NULL), -1);
	}
}

static void states(void **state)
{
	(void)state;
	const struct keeper_state m = {.state = KEEPER_UNLOCKED,
				       .version = 2,
				       .vault_id = S("id"),
				       .generation = 3,
				       .entries = 4,
				       .members = 5,
				       .throttled_ms = 6,
				       .unlocked_at_s = 7,
				       .auto_lock_ms = 8,
				       .device_key_id = S("dev"),
				       .trouble = S("vault_truncated")};
	AUTO_BUF body = BUF_INIT(MESSAGE_MAX);
	keeper_state_put(&body, &m);
	struct wire_reader r = wire_reader(buf_str(&body));
	struct keeper_state got;
	keeper_state_get(&r, &got);
	assert_int_equal(wire_done(&r, "state", NULL), 0);
	assert_int_equal(got.state, m.state);
	assert_int_equal(got.version, 2);
	assert_str(got.vault_id, m.vault_id);
	assert_int_equal(got.generation, 3);
	assert_int_equal(got.entries, 4);
	assert_int_equal(got.members, 5);
	assert_int_equal(got.throttled_ms, 6);
	assert_int_equal(got.unlocked_at_s, 7);
	assert_int_equal(got.auto_lock_ms, 8);
	assert_str(got.device_key_id, m.device_key_id);
	assert_str(got.trouble, m.trouble);
	body.p[0] = 3;
	r = wire_reader(buf_str(&body));
	keeper_state_get(&r, &got);
	assert_int_equal(wire_done(&r, "state", NULL), -1);
	assert_int_equal(got.state, KEEPER_MISSING);
}

static void entries(void **state)
{
	(void)state;
	const struct keeper_entry m = {.path = S("a/b/c"),
				       .type = S("api_key"),
				       .environment = S("prod"),
				       .labels = S("{}"),
				       .consent = S("{\"hosts\":[]}"),
				       .generation = 9};
	AUTO_BUF body = BUF_INIT(MESSAGE_MAX);
	keeper_entry_put(&body, &m);
	struct wire_reader r = wire_reader(buf_str(&body));
	struct keeper_entry got;
	keeper_entry_get(&r, &got);
	assert_int_equal(wire_done(&r, "entry", NULL), 0);
	assert_str(got.path, m.path);
	assert_str(got.type, m.type);
	assert_str(got.environment, m.environment);
	assert_str(got.labels, m.labels);
	assert_str(got.consent, m.consent);
	assert_int_equal(got.generation, 9);
}

static void permits(void **state)
{
	(void)state;
	static const struct str hosts[] = {{"a:443", 5}, {"b:80", 4}};
	struct keeper_permit m = {.use = 1,
				  .path = S("a/b/c"),
				  .connector = S("x"),
				  .kind = S("api_key"),
				  .hosts = hosts,
				  .n_hosts = 2,
				  .deadline_ns = UINT64_MAX,
				  .version = 7};
	AUTO_BUF body = BUF_INIT(MESSAGE_MAX);
	AUTO(arena) *arena = arena_new();
	keeper_permit_put(&body, &m);
	struct keeper_permit got;
	assert_int_equal(keeper_permit_get(arena, buf_str(&body), &got, NULL), 0);
	assert_int_equal(got.use, 1);
	assert_str(got.path, m.path);
	assert_str(got.connector, m.connector);
	assert_str(got.kind, m.kind);
	assert_int_equal(got.n_hosts, 2);
	assert_str(got.hosts[1], hosts[1]);
	assert_int_equal(got.deadline_ns, UINT64_MAX);
	assert_int_equal(got.version, 7);
	m.use = 0; /* none is numbered so */
	buf_clear(&body);
	keeper_permit_put(&body, &m);
	assert_int_equal(keeper_permit_get(arena, buf_str(&body), &got, NULL), -1);
	m.use = 1;
	m.n_hosts = KEEPER_PERMIT_HOSTS_MAX + 1;
	AUTO_FREE struct str *many = xcalloc(m.n_hosts, sizeof *many);
	m.hosts = many;
	buf_clear(&body);
	keeper_permit_put(&body, &m);
	assert_int_equal(keeper_permit_get(arena, buf_str(&body), &got, NULL), -1);
}

static void tokens_and_exchanges(void **state)
{
	(void)state;
	const struct keeper_tokens tokens = {.access_token = S("a"),
					     .refresh_token = S("r"),
					     .token_type = S("Bearer"),
					     .expires_in = 5,
					     .has_scope = true,
					     .scope = S("s")};
	AUTO_BUF body = BUF_INIT(MESSAGE_MAX);
	keeper_tokens_put(&body, &tokens);
	struct wire_reader r = wire_reader(buf_str(&body));
	struct keeper_tokens got;
	keeper_tokens_get(&r, &got);
	assert_int_equal(wire_done(&r, "tokens", NULL), 0);
	assert_str(got.access_token, tokens.access_token);
	assert_str(got.refresh_token, tokens.refresh_token);
	assert_str(got.token_type, tokens.token_type);
	assert_int_equal(got.expires_in, 5);
	assert_true(got.has_scope);
	assert_str(got.scope, tokens.scope);

	const struct keeper_exchange exchange = {.token_url = S("t"),
						 .device_authorization_url = S("d"),
						 .client_id = S("c"),
						 .client_secret = S("s"),
						 .refresh_token = S("r"),
						 .verifier = S("v"),
						 .device_code = S("dc"),
						 .scopes = S("a b"),
						 .allow_private = true};
	buf_clear(&body);
	keeper_exchange_put(&body, &exchange);
	r = wire_reader(buf_str(&body));
	struct keeper_exchange read;
	keeper_exchange_get(&r, &read);
	assert_int_equal(wire_done(&r, "exchange", NULL), 0);
	assert_str(read.token_url, exchange.token_url);
	assert_str(read.device_authorization_url, exchange.device_authorization_url);
	assert_str(read.client_id, exchange.client_id);
	assert_str(read.client_secret, exchange.client_secret);
	assert_str(read.refresh_token, exchange.refresh_token);
	assert_str(read.verifier, exchange.verifier);
	assert_str(read.device_code, exchange.device_code);
	assert_str(read.scopes, exchange.scopes);
	assert_true(read.allow_private);
}

/* A message is in one table alone, so that no channel can carry another's. */
static void each_message_is_for_one_ear(void **state)
{
	(void)state;
	const struct rpc_rule *const tables[] = {keeper_control_rules, keeper_egress_rules, keeper_for_control_rules,
						 keeper_for_egress_rules};
	static const size_t sizes[] = {15, 9, 3, 5};
	unsigned char seen[128] = {0};
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		size_t n = 0;
		for (const struct rpc_rule *rule = tables[i]; rule->name != NULL; rule++, n++) {
			assert_true(rule->type < sizeof seen);
			assert_int_equal(seen[rule->type]++, 0);
			assert_true(rule->max <= RPC_BODY_MAX);
		}
		assert_int_equal(n, sizes[i]);
	}
	for (int operation = 1; operation < KEEPER_OP__MAX; operation++)
		assert_non_null(keeper_operation_name((enum keeper_operation)operation));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sealed_requests),
		cmocka_unit_test(sealed_requests_out_of_range),
		cmocka_unit_test(states),
		cmocka_unit_test(entries),
		cmocka_unit_test(permits),
		cmocka_unit_test(tokens_and_exchanges),
		cmocka_unit_test(each_message_is_for_one_ear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
