#include "vault/vault_file.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/rand.h"
#include "vault/legacy.h"
#include "vault/vault_private.h"
#include <stdio.h>
#include <stdlib.h>

/* More than a vault is ever written: a number that whoever remembers it made up is not written down. */
#define GENERATIONS_BEHIND_MAX (UINT64_C(1) << 32)

/* --------------------------------------------------------------------------------------------------------- opening it */

struct vault *vault_new(const char *folder, const struct clock *clock, const struct argon2_cost *cost, struct err *err)
{
	struct vault_store store = VAULT_STORE_INIT;
	if (argon2_cost_check(cost, err) < 0 || vault_store_open(&store, folder, err) < 0)
		return NULL;
	struct vault *vault = NEW(struct vault);
	*vault = (struct vault){.store = store, .clock = clock, .cost = *cost, .trouble = NEW(struct err)};
	vault_reload(vault);
	return vault;
}

static void forget_keys(struct vault *vault)
{
	vault_keys_free(TAKE(vault->keys));
	secret_free(TAKE(vault->private));
}

void vault_free(struct vault *vault)
{
	if (vault == NULL)
		return;
	forget_keys(vault);
	vault_document_free(vault->document);
	vault_store_close(&vault->store);
	free(vault->trouble);
	free(vault);
}

void vault_reload(struct vault *vault)
{
	if (vault_is_unlocked(vault))
		return;
	vault_document_free(TAKE(vault->document));
	err_clear(vault->trouble);
	AUTO_BUF text = BUF_INIT(VAULT_FILE_MAX);
	if (vault_store_read(&vault->store, VAULT_STORE_FILE, &text, vault->trouble) != 1)
		return;
	AUTO(vault_document) *document = vault_document_read(buf_str(&text), vault->trouble);
	if (document != NULL && (document->version == 2 || !legacy_is_empty(document)))
		vault->document = TAKE(document);
}

bool vault_is_unlocked(const struct vault *vault)
{
	return vault->keys != NULL;
}

static enum vault_state state_of(const struct vault *vault)
{
	if (vault_is_unlocked(vault))
		return VAULT_STATE_UNLOCKED;
	return vault->document == NULL && vault->trouble->class == ERR_NONE ? VAULT_STATE_MISSING : VAULT_STATE_LOCKED;
}

void vault_get_status(const struct vault *vault, struct vault_status *ret)
{
	const struct vault_document *document = vault->document;
	*ret = (struct vault_status){
		.state = state_of(vault),
		.trouble = vault->trouble->class,
		.trouble_message = vault->trouble->class != ERR_NONE ? vault->trouble->message : "",
	};
	if (document == NULL)
		return;
	ret->version = document->version;
	ret->generation = document->generation;
	ret->n_entries = document->n_entries;
	ret->n_members = document->n_members;
	if (document->version == 2)
		hex_format(str_of(document->id, VAULT_ID), ret->vault_id);
}

int vault_need_unlocked(const struct vault *vault, struct err *err)
{
	if (vault_is_unlocked(vault))
		return 0;
	if (state_of(vault) == VAULT_STATE_MISSING)
		return fail(err, ERR_VAULT_MISSING, "there is no vault yet; make one with 'aileron vault init'");
	return fail(err, ERR_VAULT_LOCKED, "the vault is locked; open it with 'aileron vault unlock'");
}

/* -------------------------------------------------------------------------------------------------------------- writing */

struct vault_document *vault_change_begin(const struct vault *vault)
{
	const struct vault_document *from = vault->document;
	struct vault_document *next = vault_document_new();
	next->version = 2;
	memcpy(next->id, from->id, VAULT_ID);
	next->generation = from->generation + 1;
	next->entries = arena_array(next->arena, from->n_entries + 1, sizeof next->entries[0]);
	next->members = arena_array(next->arena, from->n_members + 1, sizeof next->members[0]);
	next->n_entries = from->n_entries;
	next->n_members = from->n_members;
	if (from->n_entries > 0)
		memcpy(next->entries, from->entries, from->n_entries * sizeof next->entries[0]);
	memcpy(next->members, from->members, from->n_members * sizeof next->members[0]);
	return next;
}

void vault_change_put(struct vault_document *next, const struct vault_entry *entry)
{
	size_t at = vault_document_place(next, entry->path);
	if (at == next->n_entries || !str_eq(next->entries[at].path, entry->path)) {
		memmove(&next->entries[at + 1], &next->entries[at], (next->n_entries - at) * sizeof next->entries[0]);
		next->n_entries++;
	}
	next->entries[at] = *entry;
}

/* What stands on the disk, if it is whole and says what was written. */
static struct vault_document *read_back(const struct vault *vault, const struct vault_keys *keys, struct err *err)
{
	AUTO_BUF text = BUF_INIT(VAULT_FILE_MAX);
	int read = vault_store_read(&vault->store, VAULT_STORE_FILE, &text, err);
	if (read == 0)
		fail(err, ERR_SYSTEM, "the vault file that was just written is not there");
	AUTO(vault_document) *document = read == 1 ? vault_document_read(buf_str(&text), err) : NULL;
	if (document == NULL)
		return NULL;
	if (document->version != 2) {
		fail(err, ERR_VAULT_FILE_TAMPERED, "the vault file that was just written is another one");
		return NULL;
	}
	if (vault_document_verify(document, keys, err) < 0)
		return NULL;
	buf_release(&document->text);
	return TAKE(document);
}

int vault_change_commit(struct vault *vault, const struct vault_document *next, const struct vault_keys *keys,
			struct err *err)
{
	AUTO_BUF text = BUF_INIT(VAULT_FILE_MAX);
	if (vault_document_write(next, keys, &text, err) < 0 ||
	    vault_store_replace(&vault->store, buf_str(&text), err) < 0)
		return -1;
	struct vault_document *written = read_back(vault, keys, err);
	if (written == NULL) {
		vault_store_undo(&vault->store);
		return wrap(err, "reading the vault file back");
	}
	vault_store_keep(&vault->store);
	vault_document_free(vault->document);
	vault->document = written;
	return 0;
}

/* -------------------------------------------------------------------------------------------------------- making it new */

struct vault_document *vault_document_found(const struct vault_credential *credential, const struct vault *vault,
					    size_t n_entries, struct vault_keys **ret_keys, struct secret **ret_private,
					    struct err *err)
{
	AUTO(vault_document) *document = vault_document_new();
	document->version = 2;
	document->generation = 1;
	rand_bytes(document->id, VAULT_ID);
	document->entries = arena_array(document->arena, n_entries, sizeof document->entries[0]);
	document->members = arena_array(document->arena, 1, sizeof document->members[0]);
	document->n_members = 1;
	struct vault_member *member = &document->members[0];
	struct vault_member_spec spec = {
		.name = credential->member.n > 0 ? credential->member : S(VAULT_FIRST_MEMBER),
		.created_at = clock_wall_ns(vault->clock) / TIME_SECOND,
		.cost = vault->cost,
	};
	if (spec.name.n > VAULT_MEMBER_NAME || !vault_identity_is_valid(spec.name)) {
		fail(err, ERR_INVALID_IDENTITY, "'%.*s' is no name of a member", STR_FMT(spec.name));
		return NULL;
	}
	struct secret *made = NULL;
	if (vault_member_make(document->arena, document->id, &spec, credential, member, &made, err) < 0)
		return NULL;
	AUTO(secret) *private = made;
	AUTO(vault_keys) *keys = vault_keys_generate(document->id, err);
	if (keys == NULL || vault_member_give_key(document->arena, keys, private, member, err) < 0)
		return NULL;
	vault_member_note(document->arena, keys, private, member, member, 1);
	*ret_keys = TAKE(keys);
	if (ret_private != NULL)
		*ret_private = TAKE(private);
	return TAKE(document);
}

int vault_init(struct vault *vault, const struct vault_credential *credential, struct err *err)
{
	vault_reload(vault);
	if (state_of(vault) != VAULT_STATE_MISSING)
		return fail(err, ERR_VAULT_EXISTS, "there is a vault already");
	if (vault_store_has(&vault->store, VAULT_STORE_PREVIOUS))
		return fail(err, ERR_VAULT_EXISTS,
			    "there is no '%s', but one of its generations is left as '%s'; rename "
			    "it to have it back, or remove it",
			    VAULT_STORE_FILE, VAULT_STORE_PREVIOUS);
	struct vault_keys *made_keys = NULL;
	struct secret *made_private = NULL;
	AUTO(vault_document) *document = vault_document_found(credential, vault, 0, &made_keys, &made_private, err);
	AUTO(vault_keys) *keys = made_keys;
	AUTO(secret) *private = made_private;
	if (document == NULL || vault_change_commit(vault, document, keys, err) < 0)
		return -1;
	vault->keys = TAKE(keys);
	vault->private = TAKE(private);
	vault->me = 0;
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------ unlocking */

int vault_find_member(const struct vault_document *document, const struct vault_credential *credential, size_t *ret,
		      struct secret **ret_private, struct err *err)
{
	bool there = false;
	for (size_t i = 0; i < document->n_members; i++) {
		const struct vault_member *member = &document->members[i];
		if (credential->member.n > 0 && !str_eq(credential->member, member->name))
			continue;
		there = true;
		int opened = vault_member_open(member, document->id, credential, ret_private, err);
		if (opened < 0)
			return -1;
		if (opened == 1) {
			*ret = i;
			return 0;
		}
	}
	if (!there)
		return fail(err, ERR_NOT_FOUND, "the vault has no member '%.*s'", STR_FMT(credential->member));
	return fail(err, ERR_WRONG_PASSPHRASE,
		    credential->kind == VAULT_MEMBER_PASSPHRASE ? "wrong passphrase" : "wrong key file");
}

void vault_name_member(const struct vault *vault, size_t member, char ret[VAULT_MEMBER_NAME + 1])
{
	snprintf(ret, VAULT_MEMBER_NAME + 1, "%.*s", STR_FMT(vault->document->members[member].name));
}

int vault_prove(const struct vault *vault, const struct vault_credential *credential,
		char ret_member[VAULT_MEMBER_NAME + 1], struct err *err)
{
	size_t member = 0;
	struct secret *private = NULL;
	if (vault_need_unlocked(vault, err) < 0 ||
	    vault_find_member(vault->document, credential, &member, &private, err) < 0)
		return -1;
	secret_free(private);
	if (ret_member != NULL)
		vault_name_member(vault, member, ret_member);
	return 0;
}

static bool is_vault_seen(const struct vault_document *document, const struct vault_unlock *options)
{
	char id[VAULT_ID_TEXT];
	hex_format(str_of(document->id, VAULT_ID), id);
	return document->version == 2 && str_eq(str_from(id), options->seen_vault_id);
}

/* Whether the file is older than one that was seen, or another's. */
static bool is_older(const struct vault_document *document, const struct vault_unlock *options)
{
	return options->seen_vault_id.n > 0 &&
	       (!is_vault_seen(document, options) || document->generation < options->seen_generation);
}

static int refuse_older(const struct vault_document *document, const struct vault_unlock *options, struct err *err)
{
	static const char advice[] = "if you brought it back yourself, use 'aileron vault unlock --accept-rollback'";
	if (is_vault_seen(document, options))
		return fail(err, ERR_VAULT_ROLLED_BACK,
			    "the vault file is of generation %llu, and %llu was seen before; %s",
			    (unsigned long long)document->generation, (unsigned long long)options->seen_generation,
			    advice);
	return fail(err, ERR_VAULT_ROLLED_BACK, "the vault file is not the vault that was seen before; %s", advice);
}

int vault_take_legacy(struct vault_document *next, const struct vault_entry *entries, size_t n,
		      const struct secret *key, const struct vault_keys *keys, struct err *err)
{
	AUTO(secret) *plain = secret_new_locked(VAULT_VALUE_MAX, err);
	if (plain == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct vault_entry entry = entries[i];
		AUTO_BUF sealed = BUF_INIT(VAULT_VALUE_MAX + VAULT_OVERHEAD);
		if (legacy_open_value(key, &entry, secret_borrow_mut(plain), err) < 0)
			return -1;
		entry.generation = next->generation;
		vault_keys_seal_value(keys, entry.path, entry.generation,
				      str_slice(secret_borrow(plain), 0, entry.value.n - VAULT_OVERHEAD), &sealed);
		entry.value = arena_str(next->arena, buf_str(&sealed));
		vault_change_put(next, &entry);
	}
	return 0;
}

static int upgrade(struct vault *vault, const struct vault_credential *credential, const struct secret *key,
		   struct vault_unlocked *ret, struct err *err)
{
	struct vault_document *legacy = vault->document;
	struct vault_keys *made_keys = NULL;
	struct secret *made_private = NULL;
	struct vault_credential owner = *credential;
	owner.member = S(VAULT_FIRST_MEMBER);
	AUTO(vault_document) *document =
		vault_document_found(&owner, vault, legacy->n_entries, &made_keys, &made_private, err);
	AUTO(vault_keys) *keys = made_keys;
	AUTO(secret) *private = made_private;
	AUTO_BUF text = BUF_INIT(VAULT_FILE_MAX);
	struct vault_unlocked done = {.version = legacy->version};
	if (document == NULL || vault_take_legacy(document, legacy->entries, legacy->n_entries, key, keys, err) < 0 ||
	    vault_store_read(&vault->store, VAULT_STORE_FILE, &text, err) < 0 ||
	    vault_backup_keep(vault, legacy->version, buf_str(&text), done.backup, err) < 0)
		return -1;
	if (vault_change_commit(vault, document, keys, err) < 0)
		return wrap(err, "upgrading the vault, of which '%s' is a copy", done.backup);
	vault->keys = TAKE(keys);
	vault->private = TAKE(private);
	vault->me = 0;
	vault_name_member(vault, 0, done.member);
	*ret = done;
	return 0;
}

static int unlock_legacy(struct vault *vault, const struct vault_credential *credential,
			 const struct vault_unlock *options, struct vault_unlocked *ret, struct err *err)
{
	bool older = is_older(vault->document, options);
	AUTO(secret) *key = legacy_open(vault->document, credential, err);
	if (key == NULL)
		return -1;
	if (older && !options->accept_older)
		return refuse_older(vault->document, options, err);
	if (upgrade(vault, credential, key, ret, err) < 0)
		return -1;
	ret->older = older;
	return 0;
}

/*
 * An older file that was accepted is written anew as the newest. The generations after it were given to the files that are
 * given up by this: were they given again, one of those could come back unseen.
 */
static int write_as_newest(struct vault *vault, const struct vault_unlock *options, const struct vault_keys *keys,
			   struct err *err)
{
	uint64_t behind = options->seen_generation - vault->document->generation;
	if (behind > GENERATIONS_BEHIND_MAX)
		return fail(
			err, ERR_VAULT_ROLLED_BACK,
			"the vault file is of generation %llu, and no vault can have come to the %llu that is said to "
			"have been seen; the file was not changed",
			(unsigned long long)vault->document->generation, (unsigned long long)options->seen_generation);
	AUTO(vault_document) *next = vault_change_begin(vault);
	next->generation = options->seen_generation + 1;
	return vault_change_commit(vault, next, keys, err) < 0 ? wrap(err, "writing the older file as the newest") : 0;
}

/* Notes who and what was seen, when that changed. It can wait for another time, so a failure is none of the unlocking. */
static void note_what_was_seen(struct vault *vault)
{
	const struct vault_member *me = &vault->document->members[vault->me];
	if (vault_member_knows(me, vault->keys, vault->private) == VAULT_SEEN &&
	    vault_member_is_current(me, vault->document->members, vault->document->n_members))
		return;
	AUTO(vault_document) *next = vault_change_begin(vault);
	vault_member_note(next->arena, vault->keys, vault->private, &next->members[vault->me], next->members,
			  next->n_members);
	static struct err err;
	err_clear(&err);
	if (vault_change_commit(vault, next, vault->keys, &err) < 0)
		log_debug("vault_note_not_written", log_err(&err));
}

static int unlock_current(struct vault *vault, const struct vault_credential *credential,
			  const struct vault_unlock *options, struct vault_unlocked *ret, struct err *err)
{
	struct vault_document *document = vault->document;
	struct secret *opened = NULL;
	size_t me = 0;
	if (vault_find_member(document, credential, &me, &opened, err) < 0)
		return -1;
	AUTO(secret) *private = opened;
	const struct vault_member *member = &document->members[me];
	AUTO(vault_keys) *keys = vault_member_take_key(member, document->id, private, err);
	if (keys == NULL || vault_document_verify(document, keys, err) < 0)
		return -1;
	bool older = is_older(document, options);
	if (!options->accept_older && vault_member_knows(member, keys, private) == VAULT_FROM_STRANGER)
		return fail(err, ERR_VAULT_FILE_TAMPERED,
			    "the vault's key was set by somebody whom member '%.*s' does "
			    "not know; if it was one of you, use 'aileron vault unlock "
			    "--accept-rollback'",
			    STR_FMT(member->name));
	if (older && !options->accept_older)
		return refuse_older(document, options, err);
	buf_release(&document->text);
	if (older && is_vault_seen(document, options) && write_as_newest(vault, options, keys, err) < 0)
		return -1;
	vault->keys = TAKE(keys);
	vault->private = TAKE(private);
	vault->me = me;
	vault_store_keep(&vault->store); /* a crash may have left the generation before */
	note_what_was_seen(vault);
	*ret = (struct vault_unlocked){.version = 2, .older = older};
	vault_name_member(vault, vault->me, ret->member);
	return 0;
}

int vault_unlock(struct vault *vault, const struct vault_credential *credential, const struct vault_unlock *options,
		 struct vault_unlocked *ret, struct err *err)
{
	if (vault_is_unlocked(vault)) {
		struct vault_unlocked again = {.version = 2};
		if (vault_prove(vault, credential, again.member, err) < 0)
			return -1;
		*ret = again;
		return 0;
	}
	vault_reload(vault);
	if (vault->trouble->class != ERR_NONE) {
		if (err != NULL)
			*err = *vault->trouble;
		return -1;
	}
	if (vault->document == NULL)
		return vault_need_unlocked(vault, err);
	return vault->document->version == 2 ? unlock_current(vault, credential, options, ret, err)
					     : unlock_legacy(vault, credential, options, ret, err);
}

void vault_lock(struct vault *vault)
{
	if (!vault_is_unlocked(vault))
		return;
	forget_keys(vault);
	vault_reload(vault);
}

/* -------------------------------------------------------------------------------------------------------------- reading */

size_t vault_count(const struct vault *vault)
{
	return vault->document != NULL ? vault->document->n_entries : 0;
}

const struct vault_entry *vault_entry_at(const struct vault *vault, size_t index)
{
	if (index >= vault_count(vault))
		BUG("entry %zu of %zu", index, vault_count(vault));
	return &vault->document->entries[index];
}

const struct vault_entry *vault_find(const struct vault *vault, struct str path)
{
	return vault->document != NULL ? vault_document_find(vault->document, path) : NULL;
}

size_t vault_member_count(const struct vault *vault)
{
	return vault->document != NULL ? vault->document->n_members : 0;
}

void vault_member_at(const struct vault *vault, size_t index, struct vault_member_info *ret)
{
	if (index >= vault_member_count(vault))
		BUG("member %zu of %zu", index, vault_member_count(vault));
	const struct vault_member *member = &vault->document->members[index];
	*ret = (struct vault_member_info){member->name, member->kind, member->created_at};
}

int vault_get(const struct vault *vault, struct str path, struct secret **ret, struct err *err)
{
	if (vault_need_unlocked(vault, err) < 0)
		return -1;
	const struct vault_entry *entry = vault_find(vault, path);
	if (entry == NULL)
		return fail(err, ERR_VAULT_NOT_FOUND, "the vault has no '%.*s'", STR_FMT(path));
	AUTO(secret) *value = secret_new_locked(entry->value.n - VAULT_OVERHEAD, err);
	if (value == NULL)
		return -1;
	if (!vault_keys_open_value(vault->keys, entry->path, entry->generation, entry->value, secret_borrow_mut(value)))
		return fail(err, ERR_VAULT_VALUE_TAMPERED, "the value of '%.*s' is not what was sealed", STR_FMT(path));
	*ret = TAKE(value);
	return 0;
}
