#include "vault/keeper_protocol.h"
#include "base/arena.h"
#include "base/limits.h"
#include "text/wire.h"
#include "vault/path.h"
#include "vault/sealed.h"

/* Bytes of an err on the wire, with room to spare. */
#define ERR_BYTES (16 * KIB)
/* A name in a message: a path, a host, a service. */
#define NAME_BYTES (4 + 1 * KIB)
/* Metadata and consent of one entry, or all endpoints and tokens of an exchange. */
#define TEXT_BYTES (512 * KIB)
#define SIGN_BYTES (4 * MIB) /* what is signed: headers, never a body */

const struct rpc_rule keeper_control_rules[] = {
	{KEEPER_STATE, 1, 0, "state"},
	{KEEPER_NONCE, 1, 0, "nonce"},
	{KEEPER_SEALED, 1, KEEPER_BLOB_MAX + 1 * MIB, "sealed"},
	{KEEPER_LOCK, 1, 0, "lock"},
	{KEEPER_LIST, 1, NAME_BYTES, "list"},
	{KEEPER_GET, 1, NAME_BYTES, "get"},
	{KEEPER_DELETE, 1, NAME_BYTES, "delete"},
	{KEEPER_LABELS, 1, 64 * KIB, "labels"},
	{KEEPER_PERMIT, 1, 1 * MIB, "permit"},
	{KEEPER_END_USE, 1, 8, "end_use"},
	{KEEPER_SIGN_HEAD, 1, 64 * KIB, "sign_head"},
	{KEEPER_MEMBERS, 1, 0, "members"},
	{KEEPER_BACKUPS, 1, 0, "backups"},
	{KEEPER_DROP_BACKUP, 1, NAME_BYTES, "drop_backup"},
	{KEEPER_TUNE, 1, 4, "tune"},
	{0, 0, 0, NULL},
};

const struct rpc_rule keeper_for_control_rules[] = {
	{KEEPER_ANSWER, 1, KEEPER_ANSWER_MAX, "answer"},
	{KEEPER_CHANGED, 1, 64 * KIB, "changed"},
	{KEEPER_NOTED, 1, 64 * KIB, "noted"},
	{0, 0, 0, NULL},
};

const struct rpc_rule keeper_egress_rules[] = {
	{KEEPER_CLAIM, 1, 9 + NAME_BYTES, "claim"},
	{KEEPER_EXTEND, 1, 9 + NAME_BYTES, "extend"},
	{KEEPER_SIGN_SIGV4, 1, SIGN_BYTES + 8 * KIB, "sign_sigv4"},
	{KEEPER_SIGN_BYTES, 1, SIGN_BYTES + 8 * KIB, "sign_bytes"},
	{KEEPER_REFRESHED, 1, TEXT_BYTES, "refreshed"},
	{KEEPER_REFRESH_FAILED, 1, ERR_BYTES, "refresh_failed"},
	{KEEPER_EXCHANGE, 1, 8, "exchange"},
	{KEEPER_TOKENS, 1, TEXT_BYTES, "tokens"},
	{KEEPER_DEVICE_CODE, 1, 64 * KIB, "device_code"},
	{0, 0, 0, NULL},
};

const struct rpc_rule keeper_for_egress_rules[] = {
	{KEEPER_RELEASED, 1, SECRET_MAX + ERR_BYTES, "released"},
	{KEEPER_REFRESH, 1, TEXT_BYTES, "refresh"},
	{KEEPER_SIGNED, 1, ERR_BYTES, "signed"},
	{KEEPER_TICKET, 1, TEXT_BYTES, "ticket"},
	{KEEPER_STORED, 1, ERR_BYTES, "stored"},
	{0, 0, 0, NULL},
};

static const char *const operation_names[KEEPER_OP__MAX] = {
	[KEEPER_OP_INIT] = "vault.init",
	[KEEPER_OP_UNLOCK] = "vault.unlock",
	[KEEPER_OP_PASSWD] = "vault.passwd",
	[KEEPER_OP_MEMBER_ADD] = "vault.member.add",
	[KEEPER_OP_MEMBER_REMOVE] = "vault.member.remove",
	[KEEPER_OP_PUT] = "vault.put",
	[KEEPER_OP_CONSENT] = "vault.consent",
	[KEEPER_OP_DECIDE] = "approval.decide",
	[KEEPER_OP_EXPORT] = "vault.export",
	[KEEPER_OP_IMPORT] = "vault.import",
	[KEEPER_OP_OAUTH] = "oauth.ticket",
};

const char *keeper_operation_name(enum keeper_operation operation)
{
	if (operation <= 0 || operation >= KEEPER_OP__MAX)
		BUG("no operation of the keeper: %d", (int)operation);
	return operation_names[operation];
}

void keeper_sealed_put(struct buf *out, const struct keeper_sealed *m)
{
	wire_put_u8(out, (uint8_t)m->operation);
	wire_put_u32(out, m->flags);
	wire_put_str(out, m->path);
	wire_put_str(out, m->metadata);
	wire_put_str(out, m->name);
	wire_put_str(out, m->high_vault_id);
	wire_put_u64(out, m->high_generation);
	wire_put_u64(out, m->ticket);
	wire_put_str(out, m->blob);
	wire_put_str(out, m->sealed);
}

int keeper_refuse_throttled(uint64_t left_ms, struct err *err)
{
	fail(err, ERR_THROTTLED, "too many wrong passphrases; wait %llu s", (unsigned long long)(left_ms + 999) / 1000);
	err_detail_int(err, "retry_after_ms", (int64_t)left_ms);
	return -1;
}

#define FLAGS                                                                                                          \
	((uint32_t)(KEEPER_FLAG_CREATE | KEEPER_FLAG_KEEP | KEEPER_FLAG_ACCEPT_ROLLBACK | KEEPER_FLAG_REPLACE |        \
		    KEEPER_FLAG_DEVICE | KEEPER_FLAG_ED25519))

int keeper_sealed_get(struct str body, struct keeper_sealed *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	uint8_t operation = wire_u8(&r);
	struct keeper_sealed m = {.operation = (enum keeper_operation)operation, .flags = wire_u32(&r)};
	m.path = wire_str(&r);
	m.metadata = wire_str(&r);
	m.name = wire_str(&r);
	m.high_vault_id = wire_str(&r);
	m.high_generation = wire_u64(&r);
	m.ticket = wire_u64(&r);
	m.blob = wire_str(&r);
	m.sealed = wire_str(&r);
	if (operation == 0 || operation >= KEEPER_OP__MAX || (m.flags & ~FLAGS) != 0)
		r.bad = true;
	if (wire_done(&r, "sealed", err) != 0)
		return -1;
	*ret = m;
	return 0;
}

void keeper_state_put(struct buf *out, const struct keeper_state *m)
{
	wire_put_u8(out, (uint8_t)m->state);
	wire_put_u32(out, m->version);
	wire_put_str(out, m->vault_id);
	wire_put_u64(out, m->generation);
	wire_put_u32(out, m->entries);
	wire_put_u32(out, m->members);
	wire_put_u64(out, m->throttled_ms);
	wire_put_u64(out, m->unlocked_at_s);
	wire_put_u64(out, m->auto_lock_ms);
	wire_put_str(out, m->device_key_id);
	wire_put_str(out, m->trouble);
}

void keeper_state_get(struct wire_reader *r, struct keeper_state *ret)
{
	uint8_t state = wire_u8(r);
	if (state > KEEPER_UNLOCKED) {
		r->bad = true;
		state = 0;
	}
	*ret = (struct keeper_state){.state = (enum keeper_lock_state)state, .version = wire_u32(r)};
	ret->vault_id = wire_str(r);
	ret->generation = wire_u64(r);
	ret->entries = wire_u32(r);
	ret->members = wire_u32(r);
	ret->throttled_ms = wire_u64(r);
	ret->unlocked_at_s = wire_u64(r);
	ret->auto_lock_ms = wire_u64(r);
	ret->device_key_id = wire_str(r);
	ret->trouble = wire_str(r);
}

void keeper_entry_put(struct buf *out, const struct keeper_entry *m)
{
	wire_put_str(out, m->path);
	wire_put_str(out, m->type);
	wire_put_str(out, m->environment);
	wire_put_str(out, m->labels);
	wire_put_str(out, m->consent);
	wire_put_u64(out, m->generation);
}

void keeper_entry_get(struct wire_reader *r, struct keeper_entry *ret)
{
	*ret = (struct keeper_entry){.path = wire_str(r)};
	ret->type = wire_str(r);
	ret->environment = wire_str(r);
	ret->labels = wire_str(r);
	ret->consent = wire_str(r);
	ret->generation = wire_u64(r);
}

void keeper_permit_put(struct buf *out, const struct keeper_permit *m)
{
	wire_put_u64(out, m->use);
	wire_put_str(out, m->path);
	wire_put_str(out, m->connector);
	wire_put_str(out, m->kind);
	wire_put_u32(out, (uint32_t)m->n_hosts);
	for (size_t i = 0; i < m->n_hosts; i++)
		wire_put_str(out, m->hosts[i]);
	wire_put_u64(out, m->deadline_ns);
	wire_put_u64(out, m->version);
}

int keeper_permit_get(struct arena *arena, struct str body, struct keeper_permit *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct keeper_permit m = {.use = wire_u64(&r)};
	m.path = wire_str(&r);
	m.connector = wire_str(&r);
	m.kind = wire_str(&r);
	m.n_hosts = wire_count(&r, sizeof(uint32_t));
	if (m.n_hosts > KEEPER_PERMIT_HOSTS_MAX) {
		r.bad = true;
		m.n_hosts = 0;
	}
	struct str *hosts = arena_array(arena, m.n_hosts, sizeof *hosts);
	for (size_t i = 0; i < m.n_hosts; i++)
		hosts[i] = wire_str(&r);
	m.hosts = hosts;
	m.deadline_ns = wire_u64(&r);
	m.version = wire_u64(&r);
	if (m.use == 0)
		r.bad = true;
	if (wire_done(&r, "permit", err) != 0)
		return -1;
	*ret = m;
	return 0;
}

void keeper_target_put(struct buf *out, const struct keeper_target *m)
{
	wire_put_str(out, m->host);
	wire_put_u8(out, m->way);
}

void keeper_target_get(struct wire_reader *r, struct keeper_target *ret)
{
	*ret = (struct keeper_target){.host = wire_str(r)};
	ret->way = wire_u8(r);
	if ((ret->way & ~KEEPER_WAYS) != 0)
		r->bad = true;
}

void keeper_tokens_put(struct buf *out, const struct keeper_tokens *m)
{
	wire_put_str(out, m->access_token);
	wire_put_str(out, m->refresh_token);
	wire_put_str(out, m->token_type);
	wire_put_u64(out, m->expires_in);
	wire_put_bool(out, m->has_scope);
	wire_put_str(out, m->scope);
}

void keeper_tokens_get(struct wire_reader *r, struct keeper_tokens *ret)
{
	*ret = (struct keeper_tokens){.access_token = wire_str(r)};
	ret->refresh_token = wire_str(r);
	ret->token_type = wire_str(r);
	ret->expires_in = wire_u64(r);
	ret->has_scope = wire_bool(r);
	ret->scope = wire_str(r);
}

void keeper_exchange_put(struct buf *out, const struct keeper_exchange *m)
{
	wire_put_str(out, m->token_url);
	wire_put_str(out, m->device_authorization_url);
	wire_put_str(out, m->client_id);
	wire_put_str(out, m->client_secret);
	wire_put_str(out, m->refresh_token);
	wire_put_str(out, m->verifier);
	wire_put_str(out, m->device_code);
	wire_put_str(out, m->scopes);
	wire_put_bool(out, m->allow_private);
}

void keeper_exchange_get(struct wire_reader *r, struct keeper_exchange *ret)
{
	*ret = (struct keeper_exchange){.token_url = wire_str(r)};
	ret->device_authorization_url = wire_str(r);
	ret->client_id = wire_str(r);
	ret->client_secret = wire_str(r);
	ret->refresh_token = wire_str(r);
	ret->verifier = wire_str(r);
	ret->device_code = wire_str(r);
	ret->scopes = wire_str(r);
	ret->allow_private = wire_bool(r);
}
