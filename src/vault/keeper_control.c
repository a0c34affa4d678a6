#include "base/limits.h"
#include "base/log.h"
#include "text/wire.h"
#include "vault/keeper_metadata.h"
#include "vault/keeper_private.h"

/* A file that is put where there was none, or in the place of a damaged one, is seen when somebody asks. */
static void look_again(struct keeper *keeper)
{
	struct vault_status status;
	vault_get_status(keeper->vault, &status);
	if (status.state == VAULT_STATE_MISSING || status.trouble != ERR_NONE)
		vault_reload(keeper->vault);
}

static int on_state(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	(void)body;
	(void)err;
	look_again(keeper);
	struct keeper_state state;
	keeper_state_now(keeper, &state);
	keeper_state_put(out, &state);
	return 0;
}

static int on_nonce(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	(void)body;
	(void)err;
	unsigned char nonce[SEALED_NONCE], public_key[SEALED_PUBLIC], id[SEALED_KEY_ID];
	keeper_nonces_give(&keeper->nonces, keeper_now(keeper), nonce);
	sealed_key_public(keeper->sealed, public_key);
	sealed_key_id(public_key, id);
	buf_add(out, nonce, sizeof nonce);
	buf_add(out, id, sizeof id);
	buf_add(out, public_key, sizeof public_key);
	return 0;
}

static int on_lock(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	(void)body;
	(void)out;
	(void)err;
	/* Asked again it does not wait: tokens that are lost cost a person less than a vault that stays open. */
	bool waits = keeper_is_serving(keeper) && keeper->egress != NULL && map_count(keeper->refreshes) > 0;
	if (!waits) {
		keeper_lock(keeper, "locked");
		return 0;
	}
	keeper->closing_until_ns = keeper_now(keeper) + KEEPER_CLOSING_NS;
	keeper_end_uses(keeper);
	keeper_end_tickets(keeper);
	return 1;
}

/* ------------------------------------------------------------------------------------------------------------ entries */

static void put_entry(struct buf *out, const struct vault_entry *entry)
{
	AUTO_BUF labels = BUF_INIT(VAULT_LABELS_MAX * 7 * (VAULT_LABEL_KEY + VAULT_LABEL_VALUE));
	keeper_labels_put(&labels, entry);
	struct keeper_entry told = {
		.path = entry->path,
		.type = entry->type,
		.environment = entry->environment,
		.labels = buf_str(&labels),
		.consent = entry->consent,
		.generation = entry->generation,
	};
	keeper_entry_put(out, &told);
}

static int on_list(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct str prefix = wire_str(&r);
	if (wire_done(&r, "list", err) != 0)
		return -1;
	size_t n = 0, count = vault_count(keeper->vault);
	for (size_t i = 0; i < count; i++)
		n += str_starts(vault_entry_at(keeper->vault, i)->path, prefix);
	wire_put_bool(out, vault_is_unlocked(keeper->vault));
	wire_put_u32(out, (uint32_t)n);
	for (size_t i = 0; i < count; i++) {
		const struct vault_entry *entry = vault_entry_at(keeper->vault, i);
		if (str_starts(entry->path, prefix))
			put_entry(out, entry);
	}
	return 0;
}

static int not_found(struct str path, struct err *err)
{
	return fail(err, ERR_VAULT_NOT_FOUND, "the vault has no entry '%.*s'", STR_FMT(str_slice(path, 0, 256)));
}

static int on_get(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct str path = wire_str(&r);
	if (wire_done(&r, "get", err) != 0)
		return -1;
	const struct vault_entry *entry = vault_find(keeper->vault, path);
	if (entry == NULL)
		return not_found(path, err);
	wire_put_bool(out, vault_is_unlocked(keeper->vault));
	put_entry(out, entry);
	return 0;
}

static int on_delete(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	(void)out;
	struct wire_reader r = wire_reader(body);
	struct str path = wire_str(&r);
	if (wire_done(&r, "delete", err) != 0 || keeper_need_unlocked(keeper, err) != 0 ||
	    vault_delete(keeper->vault, path, err) != 0)
		return -1;
	keeper_push_changed(keeper, "written");
	return 0;
}

/* What control may say about an entry by itself; everything else comes with a value or is the keeper's. */
static bool is_controls(struct str key)
{
	static const struct str keys[] = {{"status", 6}, {"stale_reason", 12}, {"missing_scopes", 14}, {"account", 7}};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (str_eq(keys[i], key))
			return true;
	}
	return false;
}

static int on_labels(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	(void)out;
	struct wire_reader r = wire_reader(body);
	struct str path = wire_str(&r);
	uint32_t n = wire_count(&r, 2 * sizeof(uint32_t));
	struct vault_label labels[8];
	if (n > ARRAY_LEN(labels))
		return fail(err, ERR_INVALID_REQUEST, "more than %zu labels are set at once", ARRAY_LEN(labels));
	for (uint32_t i = 0; i < n; i++) {
		labels[i].key = wire_str(&r);
		labels[i].value = wire_str(&r);
	}
	if (wire_done(&r, "labels", err) != 0 || keeper_need_unlocked(keeper, err) != 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		if (!is_controls(labels[i].key))
			return fail(err, ERR_INVALID_REQUEST, "label '%.*s' cannot be set alone",
				    STR_FMT(str_slice(labels[i].key, 0, 64)));
	}
	if (vault_set_labels(keeper->vault, path, labels, n, err) != 0)
		return -1;
	keeper_push_changed(keeper, "written");
	return 0;
}

/* --------------------------------------------------------------------------------------------------------------- uses */

static int on_permit(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	(void)out;
	return keeper_permit(keeper, body, err);
}

static int on_end_use(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	(void)out;
	struct wire_reader r = wire_reader(body);
	uint64_t use = wire_u64(&r);
	if (wire_done(&r, "end_use", err) != 0)
		return -1;
	keeper_end_use(keeper, use);
	return 0;
}

static int on_sign_head(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct str message = wire_str(&r);
	unsigned char signature[ED25519_SIGNATURE_SIZE], public_key[ED25519_PUBLIC_SIZE];
	if (wire_done(&r, "sign_head", err) != 0 ||
	    keeper_device_sign_head(keeper->device, message, signature, err) != 0)
		return -1;
	keeper_device_public(keeper->device, public_key);
	buf_add(out, signature, sizeof signature);
	buf_add(out, public_key, sizeof public_key);
	return 0;
}

/* ------------------------------------------------------------------------------------------------- members and backups */

static int on_members(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	(void)body;
	(void)err;
	size_t n = vault_member_count(keeper->vault);
	wire_put_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		struct vault_member_info member;
		vault_member_at(keeper->vault, i, &member);
		wire_put_str(out, member.name);
		wire_put_str(out, str_from(vault_member_kind_name(member.kind)));
		wire_put_u64(out, member.created_at);
	}
	return 0;
}

static int on_backups(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	(void)body;
	struct vault_backup_list list = VAULT_BACKUP_LIST_INIT;
	if (vault_backups(keeper->vault, &list, err) != 0)
		return -1;
	wire_put_u32(out, (uint32_t)list.backups.n);
	VEC_FOREACH (backup, &list.backups) {
		struct keeper_number version;
		wire_put_str(out, str_from(backup->name));
		wire_put_u64(out, backup->bytes);
		wire_put_u64(out, backup->mtime);
		wire_put_str(out, keeper_number(&version, backup->version));
	}
	vault_backup_list_release(&list);
	return 0;
}

static int on_drop_backup(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	(void)out;
	struct wire_reader r = wire_reader(body);
	struct str name = wire_str(&r);
	if (wire_done(&r, "drop_backup", err) != 0 || keeper_need_unlocked(keeper, err) != 0)
		return -1;
	return vault_backup_delete(keeper->vault, name, err);
}

static int on_tune(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	uint32_t target_ms = wire_u32(&r), took_ms;
	struct argon2_cost cost;
	if (wire_done(&r, "tune", err) != 0 || vault_tune(target_ms, keeper->clock, &cost, &took_ms, err) != 0)
		return -1;
	wire_put_u32(out, cost.time);
	wire_put_u32(out, cost.memory_kib);
	wire_put_u32(out, cost.lanes);
	wire_put_u32(out, took_ms);
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------ dispatch */

static const struct request {
	uint16_t type;
	int (*answer)(struct keeper *keeper, struct str body, struct buf *out, struct err *err);
} requests[] = {
	{KEEPER_STATE, on_state},
	{KEEPER_NONCE, on_nonce},
	{KEEPER_SEALED, keeper_do_sealed},
	{KEEPER_LOCK, on_lock},
	{KEEPER_LIST, on_list},
	{KEEPER_GET, on_get},
	{KEEPER_DELETE, on_delete},
	{KEEPER_LABELS, on_labels},
	{KEEPER_PERMIT, on_permit},
	{KEEPER_END_USE, on_end_use},
	{KEEPER_SIGN_HEAD, on_sign_head},
	{KEEPER_MEMBERS, on_members},
	{KEEPER_BACKUPS, on_backups},
	{KEEPER_DROP_BACKUP, on_drop_backup},
	{KEEPER_TUNE, on_tune},
};

int keeper_answer_control(struct keeper *keeper, const struct rpc_frame *frame, struct buf *out, struct err *err)
{
	if ((frame->id == 0) != (frame->type == KEEPER_END_USE))
		return fail(err, ERR_PROTOCOL, "message of type %u with the id %u", (unsigned)frame->type,
			    (unsigned)frame->id);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		if (requests[i].type != frame->type)
			continue;
		int rc = requests[i].answer(keeper, frame->body, out, err);
		if (rc == 1) /* only locking does */
			keeper->closing_id = frame->id;
		return rc;
	}
	return fail(err, ERR_PROTOCOL, "message of type %u", (unsigned)frame->type);
}

struct str keeper_number(struct keeper_number *room, uint64_t value)
{
	int n = snprintf(room->text, sizeof room->text, "%llu", (unsigned long long)value);
	return str_of(room->text, (size_t)n);
}
