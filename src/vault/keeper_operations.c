#include "base/limits.h"
#include "base/log.h"
#include "crypto/sign.h"
#include "text/wire.h"
#include "vault/keeper_kind.h"
#include "vault/keeper_metadata.h"
#include "vault/keeper_private.h"
#include "vault/keeper_token.h"

/* A sealed message that was opened, on its way through one operation. */
struct call {
	const struct keeper_sealed *m;
	struct sealed_opened opened;
	struct arena *arena;
};

/* The passphrase or the key file among the fields: one of them, and not both. */
static int credential_of(const struct call *call, enum sealed_tag passphrase, enum sealed_tag key_file,
			 struct vault_credential *ret, struct err *err)
{
	const struct secret *typed = call->opened.fields[passphrase], *file = call->opened.fields[key_file];
	bool has_typed = typed != NULL && secret_size(typed) > 0;
	if (has_typed == (file != NULL))
		return fail(err, ERR_MISSING_PASSPHRASE, "the message holds %s passphrase %s key file",
			    has_typed ? "both a" : "neither a", has_typed ? "and a" : "nor a");
	*ret = (struct vault_credential){
		.kind = has_typed ? VAULT_MEMBER_PASSPHRASE : VAULT_MEMBER_KEY_FILE,
		.secret = has_typed ? typed : file,
	};
	return 0;
}

static int old_credential(const struct call *call, struct vault_credential *ret, struct err *err)
{
	return credential_of(call, SEALED_PASSPHRASE, SEALED_KEY_FILE, ret, err);
}

static int new_credential(const struct call *call, struct vault_credential *ret, struct err *err)
{
	return credential_of(call, SEALED_NEW_PASSPHRASE, SEALED_NEW_KEY_FILE, ret, err);
}

/* That a person is there: whoever sealed it knows what opens the vault. The member's name, when it is wanted. */
static int prove(struct keeper *keeper, const struct call *call, char ret_member[VAULT_MEMBER_NAME + 1],
		 struct err *err)
{
	struct vault_credential credential;
	if (old_credential(call, &credential, err) != 0)
		return -1;
	return vault_prove(keeper->vault, &credential, ret_member, err);
}

static void unlocked(struct keeper *keeper)
{
	keeper->unlocked_at_s = keeper_now_s(keeper);
	keeper_active(keeper);
	keeper_mark_lost(keeper);
	log_info("vault_unlocked");
	keeper_push_changed(keeper, "unlocked");
}

/* --------------------------------------------------------------------------------------------------------- the vault */

static int do_init(struct keeper *keeper, const struct call *call, struct buf *out, struct err *err)
{
	(void)out;
	struct vault_credential credential;
	if (old_credential(call, &credential, err) != 0)
		return -1;
	credential.member = call->m->name;
	if (vault_init(keeper->vault, &credential, err) != 0)
		return -1;
	unlocked(keeper);
	return 0;
}

static int do_unlock(struct keeper *keeper, const struct call *call, struct buf *out, struct err *err)
{
	struct vault_credential credential;
	if (old_credential(call, &credential, err) != 0)
		return -1;
	credential.member = call->m->name;
	const struct vault_unlock options = {
		.seen_vault_id = call->m->high_vault_id,
		.seen_generation = call->m->high_generation,
		.accept_older = (call->m->flags & KEEPER_FLAG_ACCEPT_ROLLBACK) != 0,
	};
	bool was_unlocked = vault_is_unlocked(keeper->vault);
	struct vault_unlocked done;
	if (vault_unlock(keeper->vault, &credential, &options, &done, err) != 0)
		return -1;
	wire_put_u8(out, (uint8_t)done.version);
	wire_put_str(out, str_from(done.backup));
	wire_put_str(out, str_from(done.member));
	wire_put_bool(out, done.older);
	if (!was_unlocked)
		unlocked(keeper);
	return 0;
}

/* Backups that a credential opens; all of them without one. */
static int put_backups(struct keeper *keeper, const struct vault_credential *opener, struct buf *out, struct err *err)
{
	struct vault_backup_list list = VAULT_BACKUP_LIST_INIT;
	if (vault_backups(keeper->vault, &list, err) != 0)
		return -1;
	AUTO_BUF names = BUF_INIT(VAULT_BACKUPS_MAX * (4 + VAULT_BACKUP_NAME));
	uint32_t n = 0;
	int rc = 0;
	VEC_FOREACH (backup, &list.backups) {
		bool opens = true;
		if (opener != NULL)
			rc = vault_backup_opens(keeper->vault, str_from(backup->name), opener, &opens, err);
		if (rc != 0)
			break;
		if (opens) {
			wire_put_str(&names, str_from(backup->name));
			n++;
		}
	}
	vault_backup_list_release(&list);
	wire_put_u32(out, n);
	buf_add_str(out, buf_str(&names));
	return rc;
}

/* What was done stays done: that backups cannot be looked through is no reason to say it failed. */
static int tell_backups(struct keeper *keeper, const struct vault_credential *opener, struct buf *out)
{
	static struct err err;
	size_t before = out->n;
	if (put_backups(keeper, opener, out, &err) == 0)
		return 0;
	log_warn("vault_backups_not_listed", log_err(&err));
	buf_truncate(out, before);
	wire_put_u32(out, 0);
	return 0;
}

static int do_passwd(struct keeper *keeper, const struct call *call, struct buf *out, struct err *err)
{
	struct vault_credential old, new;
	if (old_credential(call, &old, err) != 0 || new_credential(call, &new, err) != 0)
		return -1;
	char member[VAULT_MEMBER_NAME + 1];
	old.member = call->m->name;
	if (vault_change_credential(keeper->vault, &old, &new, member, err) != 0)
		return -1;
	wire_put_str(out, str_from(member));
	wire_put_str(out, str_from(vault_member_kind_name(new.kind)));
	keeper_push_changed(keeper, "written");
	return tell_backups(keeper, &old, out);
}

static int do_member_add(struct keeper *keeper, const struct call *call, struct buf *out, struct err *err)
{
	(void)out;
	struct vault_credential present, credential;
	/* Anybody can seal a new credential; only a member knows one that opens the vault. */
	if (old_credential(call, &present, err) != 0 || new_credential(call, &credential, err) != 0 ||
	    vault_member_add(keeper->vault, call->m->name, &present, &credential, err) != 0)
		return -1;
	keeper_push_changed(keeper, "written");
	return 0;
}

static int do_member_remove(struct keeper *keeper, const struct call *call, struct buf *out, struct err *err)
{
	struct vault_credential staying;
	if (old_credential(call, &staying, err) != 0 ||
	    vault_member_remove(keeper->vault, call->m->name, &staying, err) != 0)
		return -1;
	keeper_push_changed(keeper, "written");
	return tell_backups(keeper, NULL, out);
}

static int do_export(struct keeper *keeper, const struct call *call, struct buf *out, struct err *err)
{
	struct vault_credential credential;
	char member[VAULT_MEMBER_NAME + 1];
	if (prove(keeper, call, member, err) != 0 || new_credential(call, &credential, err) != 0)
		return -1;
	AUTO_BUF file = BUF_INIT(VAULT_FILE_MAX);
	if (vault_export(keeper->vault, &credential, &file, err) != 0)
		return -1;
	wire_put_str(out, str_from(member));
	wire_put_str(out, str_from(vault_member_kind_name(credential.kind)));
	wire_put_u32(out, (uint32_t)vault_count(keeper->vault));
	wire_put_str(out, buf_str(&file));
	return 0;
}

static int do_import(struct keeper *keeper, const struct call *call, struct buf *out, struct err *err)
{
	struct vault_credential credential;
	struct vault_imported done;
	if (old_credential(call, &credential, err) != 0 ||
	    vault_import(keeper->vault, &credential, call->m->blob, (call->m->flags & KEEPER_FLAG_REPLACE) != 0, &done,
			 err) != 0)
		return -1;
	wire_put_u32(out, done.added);
	wire_put_u32(out, done.replaced);
	wire_put_u32(out, done.kept);
	keeper_push_changed(keeper, "written");
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------ entries */

static struct str text_of(const struct call *call, enum sealed_tag tag)
{
	return call->opened.fields[tag] != NULL ? secret_borrow(call->opened.fields[tag]) : STR_EMPTY;
}

static int check_consent(const struct call *call, struct err *err)
{
	struct binding_consent consent;
	struct str text = text_of(call, SEALED_CONSENT);
	if (text.n == 0)
		return fail(err, ERR_VALIDATION_ERROR, "the message does not say which hosts the person agreed to");
	if (binding_consent_get(call->arena, text, &consent, err) != 0)
		return wrap(err, "reading what the person agreed to");
	return 0;
}

/* What a binding must have beside what every entry has. */
static int check_binding(const struct call *call, const struct keeper_metadata *metadata, struct str value,
			 struct err *err)
{
	const struct keeper_kind *kind = keeper_kind_named(metadata->type);
	if (kind == NULL)
		return fail(err, ERR_UNSUPPORTED_KIND, "'%.*s' is no kind of credential",
			    STR_FMT(str_slice(metadata->type, 0, 64)));
	if (keeper_label_of(&metadata->labels, S("connector_fqn")).n == 0)
		return fail(err, ERR_VALIDATION_ERROR, "the binding '%.*s' names no connector", STR_FMT(call->m->path));
	if (check_consent(call, err) != 0)
		return -1;
	if (kind->use != KEEPER_KIND_TOKEN)
		return 0;
	AUTO_TOKEN token = {0};
	if (keeper_token_read(value, &token, err) != 0)
		return wrap(err, "a binding of kind oauth2 is made by authorizing, or from a stored token");
	return 0;
}

/* A key that nothing can be signed with is refused now, and not at its use. Any bytes are a key of the other algorithm. */
static int check_ed25519(const struct call *call, struct err *err)
{
	AUTO(sign_key) *key = sign_key_new(call->opened.fields[SEALED_VALUE], NULL);
	if (key != NULL)
		return 0;
	return fail(
		err, ERR_VALIDATION_ERROR,
		"the value is no Ed25519 private key: accepted are its %d bytes of seed as they are, or PKCS#8 in PEM, "
		"as 'openssl genpkey -algorithm ed25519' makes it; nothing was changed",
		ED25519_SEED_SIZE);
}

static int refuse_existing(const struct call *call, bool binding, struct err *err)
{
	if (binding)
		return fail(err, ERR_BINDING_EXISTS,
			    "the binding '%.*s' exists already; rebind it, or choose another identity",
			    STR_FMT(call->m->path));
	return fail(err, ERR_CONFLICT, "the entry '%.*s' exists already", STR_FMT(call->m->path));
}

static int do_put(struct keeper *keeper, const struct call *call, struct buf *out, struct err *err)
{
	struct str path = call->m->path, value = text_of(call, SEALED_VALUE);
	struct keeper_metadata metadata;
	if (value.n == 0)
		return fail(err, ERR_MISSING_VALUE, "no value was given for '%.*s'", STR_FMT(path));
	if (keeper_metadata_read(call->arena, call->m->metadata, &metadata, err) != 0)
		return -1;
	bool binding = vault_scope_of(path) == VAULT_SCOPE_BINDING;
	if (binding && check_binding(call, &metadata, value, err) != 0)
		return -1;
	if ((call->m->flags & KEEPER_FLAG_ED25519) != 0 && check_ed25519(call, err) != 0)
		return -1;
	if (!binding && text_of(call, SEALED_CONSENT).n > 0 && check_consent(call, err) != 0)
		return -1;
	const struct vault_entry *there = vault_find(keeper->vault, path);
	if (there != NULL && (call->m->flags & KEEPER_FLAG_CREATE) != 0)
		return refuse_existing(call, binding, err);
	if (there != NULL && (call->m->flags & KEEPER_FLAG_KEEP) != 0)
		keeper_labels_keep(&metadata.labels, there);
	struct keeper_number now;
	if (keeper_label_of(&metadata.labels, S("created_at")).n == 0)
		keeper_label(&metadata.labels, S("created_at"), keeper_number(&now, keeper_now_s(keeper)));
	if (binding)
		keeper_label(&metadata.labels, S("status"), S("active"));
	const struct vault_put put = {
		.path = path,
		.type = metadata.type,
		.environment = metadata.environment,
		.consent = text_of(call, SEALED_CONSENT),
		.value = value,
		.labels = metadata.labels.items,
		.n_labels = metadata.labels.n,
	};
	uint64_t generation;
	if (vault_put(keeper->vault, &put, &generation, err) != 0)
		return -1;
	wire_put_u64(out, generation);
	keeper_push_changed(keeper, "written");
	return 0;
}

static int do_consent(struct keeper *keeper, const struct call *call, struct buf *out, struct err *err)
{
	(void)out;
	if (prove(keeper, call, NULL, err) != 0 || check_consent(call, err) != 0 ||
	    vault_set_consent(keeper->vault, call->m->path, text_of(call, SEALED_CONSENT), err) != 0)
		return -1;
	keeper_push_changed(keeper, "written");
	return 0;
}

static int do_oauth(struct keeper *keeper, const struct call *call, struct buf *out, struct err *err)
{
	(void)out;
	bool device = (call->m->flags & KEEPER_FLAG_DEVICE) != 0;
	if (device ? prove(keeper, call, NULL, err) != 0 : text_of(call, SEALED_VERIFIER).n == 0)
		return device ? -1 : fail(err, ERR_MISSING_VALUE, "the message holds no verifier");
	const struct keeper_ticket_request request = {
		.number = call->m->ticket,
		.path = call->m->path,
		.metadata = call->m->metadata,
		.consent = text_of(call, SEALED_CONSENT),
		.verifier = device ? NULL : call->opened.fields[SEALED_VERIFIER],
		.create = (call->m->flags & KEEPER_FLAG_CREATE) != 0,
	};
	return keeper_ticket_make(keeper, &request, err);
}

/* What is decided stands in what was sealed with the passphrase: a yes to this is a yes to nothing else. */
static int do_decide(struct keeper *keeper, const struct call *call, struct buf *out, struct err *err)
{
	(void)out;
	return prove(keeper, call, NULL, err);
}

/* ----------------------------------------------------------------------------------------------------------- dispatch */

static const struct operation {
	int (*run)(struct keeper *keeper, const struct call *call, struct buf *out, struct err *err);
	bool tries;    /* a passphrase of this vault, so it is throttled */
	bool unlocked; /* wants the vault open */
	bool named;    /* sealed for a member's name in the place of a path */
	bool terms;    /* sealed for its flag and its blob in the place of metadata */
} operations[KEEPER_OP__MAX] = {
	[KEEPER_OP_INIT] = {do_init, false, false, false, false},
	[KEEPER_OP_UNLOCK] = {do_unlock, true, false, false, true},
	[KEEPER_OP_PASSWD] = {do_passwd, true, true, true, false},
	[KEEPER_OP_MEMBER_ADD] = {do_member_add, true, true, true, false},
	[KEEPER_OP_MEMBER_REMOVE] = {do_member_remove, true, true, true, false},
	[KEEPER_OP_PUT] = {do_put, false, true, false, false},
	[KEEPER_OP_CONSENT] = {do_consent, true, true, false, false},
	[KEEPER_OP_EXPORT] = {do_export, true, true, false, false},
	[KEEPER_OP_IMPORT] = {do_import, false, true, false, true},
	[KEEPER_OP_OAUTH] = {do_oauth, false, true, false, false},
	[KEEPER_OP_DECIDE] = {do_decide, true, true, false, false},
};

static bool tries(const struct keeper_sealed *m)
{
	return operations[m->operation].tries ||
	       (m->operation == KEEPER_OP_OAUTH && (m->flags & KEEPER_FLAG_DEVICE) != 0);
}

/* Whoever must wait keeps the nonce, so that the same message may come again. */
static int check_throttle(struct keeper *keeper, struct err *err)
{
	uint64_t left_ms = keeper_throttle_left_ms(&keeper->throttle, keeper_now(keeper));
	return left_ms == 0 ? 0 : keeper_refuse_throttled(left_ms, err);
}

static int open_message(struct keeper *keeper, struct call *call, struct err *err)
{
	const struct keeper_sealed *m = call->m;
	unsigned char nonce[SEALED_NONCE];
	if (sealed_nonce(keeper->sealed, m->sealed, nonce, err) != 0)
		return -1;
	AUTO_BUF terms = BUF_INIT(SEALED_TERMS_MAX);
	if (operations[m->operation].terms)
		sealed_terms_put(&terms, (m->flags & (KEEPER_FLAG_ACCEPT_ROLLBACK | KEEPER_FLAG_REPLACE)) != 0,
				 m->blob);
	const struct sealed_context context = {
		.operation = str_from(keeper_operation_name(m->operation)),
		.path = operations[m->operation].named ? m->name : m->path,
		.metadata = operations[m->operation].terms ? buf_str(&terms) : m->metadata,
	};
	bool fresh = keeper_nonces_use(&keeper->nonces, keeper_now(keeper), nonce);
	if (sealed_open(keeper->sealed, m->sealed, &context, &call->opened, err) != 0)
		return -1;
	if (!fresh)
		return fail(err, ERR_SEALED_REFUSED,
			    "the sealed message was used before, or is older than %d seconds; ask for a nonce and seal "
			    "it anew",
			    SEALED_NONCE_S);
	return 0;
}

static int run(struct keeper *keeper, struct call *call, struct buf *out, struct err *err)
{
	if (open_message(keeper, call, err) != 0)
		return -1;
	const struct operation *operation = &operations[call->m->operation];
	if (operation->unlocked && keeper_need_unlocked(keeper, err) != 0)
		return -1;
	keeper_active(keeper);
	int rc = operation->run(keeper, call, out, err);
	if (tries(call->m) && rc == 0)
		keeper_throttle_right(&keeper->throttle);
	if (tries(call->m) && rc != 0 && err->class == ERR_WRONG_PASSPHRASE)
		keeper_throttle_wrong(&keeper->throttle, keeper_now(keeper));
	return rc;
}

int keeper_do_sealed(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
{
	struct keeper_sealed m;
	if (keeper_sealed_get(body, &m, err) != 0 || (tries(&m) && check_throttle(keeper, err) != 0))
		return -1;
	AUTO(arena) *arena = arena_new();
	struct call call = {.m = &m, .arena = arena};
	int rc = run(keeper, &call, out, err);
	sealed_opened_release(&call.opened);
	log_debug("keeper_operation_ended", log_z("name", keeper_operation_name(m.operation)),
		  log_bool("done", rc == 0));
	return rc;
}
