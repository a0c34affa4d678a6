/*
 * vault_file: the file of secrets, and everything that may be done with it
 *
 * One folder holds one vault: `secrets.json`, while it is replaced `secrets.json.prev` (the generation before), and backups
 * of files of versions 0 and 1. docs/formats/vault.md is the format of version 2, and says what each part is for.
 *
 * The vault is *missing*, *locked* or *unlocked*. While it is locked its members and the metadata of its entries can be
 * read, as the file says them and not verified; values cannot, and nothing can be written (VAULT_LOCKED). Unlocking derives
 * the member's key, opens the vault's, and verifies every MAC of the file; values are opened one by one when asked for.
 * A file that cannot be read as a vault is *in trouble*: it counts as locked, has no entries, and is never overwritten.
 *
 * Every write makes the whole file anew: draft, fsync, rename; then it is read back and verified, and only then is the
 * generation before removed. What is in memory is always what was read from the disk. After a failure the vault is as it
 * was before, in memory and on the disk. A process that is killed anywhere leaves one of the two generations.
 *
 * Keys lie in locked memory (secret_new_locked()); when it cannot be locked, unlocking fails. Uses openat, linkat, renameat,
 * unlinkat, fsync and getdents64 in the folder alone. One thread. Whoever has the folder has it alone: what others write
 * there meanwhile is seen at the next vault_reload() or vault_unlock().
 *
 * Failures, beside those that a function names: SYSTEM from the file system; LIMIT beyond the bounds below;
 *
 *   VAULT_MISSING             there is no file, or one of version 0 or 1 without secrets and without a verifier
 *   VAULT_UNSUPPORTED         its version is above 2, or a member's key derivation is outside the accepted costs
 *   VAULT_TRUNCATED           the end of the file is missing
 *   WRONG_PASSPHRASE          no member is opened by the passphrase or key file
 *   VAULT_ENTRY_MISPLACED     a value, or a whole entry, stands under another path than it was sealed for
 *   VAULT_METADATA_TAMPERED   an entry's path, type, environment, labels, consent or generation is not what was written
 *   VAULT_VALUE_TAMPERED      a value is not what was sealed
 *   VAULT_FILE_TAMPERED       anything else is not what was written: members, an entry added or removed, blanks
 *   VAULT_ROLLED_BACK         the file is whole and older than one that was seen, or another vault's
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "crypto/kdf.h"
#include "crypto/secret.h"
#include "vault/path.h"

#define VAULT_FILE_MAX     ((size_t)64 << 20)
#define VAULT_ENTRIES_MAX  10000
#define VAULT_MEMBERS_MAX  16
#define VAULT_VALUE_MAX    SECRET_MAX
#define VAULT_LABELS_MAX   64
#define VAULT_LABEL_KEY    128
#define VAULT_LABEL_VALUE  ((size_t)8 << 10)
#define VAULT_TYPE_MAX     128 /* type, environment */
#define VAULT_CONSENT_MAX  ((size_t)32 << 10)
#define VAULT_MEMBER_NAME  64
#define VAULT_ID_TEXT      33 /* 32 hex digits and a NUL */
#define VAULT_BACKUP_NAME  64
#define VAULT_BACKUPS_MAX  64
#define VAULT_KEY_FILE     32 /* bytes of a key file */
#define VAULT_FIRST_MEMBER "owner"

struct vault;

/* What a member has to open the vault. The secret is borrowed for the call. */
enum vault_member_kind { VAULT_MEMBER_PASSPHRASE, VAULT_MEMBER_KEY_FILE, VAULT_MEMBER_KIND__MAX };
const char *vault_member_kind_name(enum vault_member_kind kind); /* "passphrase", "key_file" */
struct vault_credential {
	enum vault_member_kind kind;
	const struct secret *secret; /* a passphrase of 1 byte or more, or VAULT_KEY_FILE random bytes */
	struct str member;           /* who; "" = whoever it opens, each being tried */
};

/*
 * `folder` is relative to the working directory ("." for the keeper) or absolute. `clock` NULL = the system's; `cost` is
 * that of passphrases set from now on. Sweeps drafts that a crash left. Fails only when the folder cannot be opened or the
 * cost is out of bounds; trouble with the file is in the status.
 */
struct vault *vault_new(const char *folder, const struct clock *clock, const struct argon2_cost *cost, struct err *err)
	__attribute__((warn_unused_result));
void vault_free(struct vault *vault); /* locks; NULL is fine */
DEFINE_AUTO(vault, vault_free)
/* Looks at the file again, if it is locked. The status says what was found. */
void vault_reload(struct vault *vault);

enum vault_state { VAULT_STATE_MISSING, VAULT_STATE_LOCKED, VAULT_STATE_UNLOCKED };
struct vault_status {
	enum vault_state state;
	unsigned version;             /* of the file: 0, 1, 2; 0 when missing or in trouble */
	char vault_id[VAULT_ID_TEXT]; /* "" before version 2 */
	uint64_t generation;          /* grows at each write; 0 before version 2 */
	size_t n_entries, n_members;
	enum err_class trouble;      /* why the file cannot be read; ERR_NONE */
	const char *trouble_message; /* "" */
};
void vault_get_status(const struct vault *vault, struct vault_status *ret);
bool vault_is_unlocked(const struct vault *vault); /* and so what is listed is verified */

/*
 * Makes the vault with one member named VAULT_FIRST_MEMBER, or as credential->member says, and leaves it unlocked.
 * VAULT_EXISTS when there is a file, in trouble or not; VALIDATION_ERROR for an empty passphrase or a key file of another
 * size.
 */
int vault_init(struct vault *vault, const struct vault_credential *credential, struct err *err)
	__attribute__((warn_unused_result));

/*
 * `seen` is the newest generation that the caller knows to have existed ("" = none): an older file, one of version 0 or 1
 * beside it, or one of another id is refused with VAULT_ROLLED_BACK unless `accept_older`; then an older file of that id is
 * written as the generation after seen_generation, so that what it replaces is older from now on. Refused too is a vault key
 * that somebody else has set whom this member does not know yet (VAULT_FILE_TAMPERED; accept_older accepts it too). A file of
 * version 0 or 1 is upgraded: a copy is kept as `backup`, the member is VAULT_FIRST_MEMBER. Unlocking an unlocked vault only
 * checks the credential.
 */
struct vault_unlock {
	struct str seen_vault_id;
	uint64_t seen_generation;
	bool accept_older;
};
struct vault_unlocked {
	unsigned version; /* that it had: 2, or 0 or 1 when it was upgraded */
	char backup[VAULT_BACKUP_NAME];
	char member[VAULT_MEMBER_NAME + 1];
	bool older; /* accepted */
};
int vault_unlock(struct vault *vault, const struct vault_credential *credential, const struct vault_unlock *options,
		 struct vault_unlocked *ret, struct err *err) __attribute__((warn_unused_result));
void vault_lock(struct vault *vault); /* wipes the keys; nothing to do when it is locked */
/* Whether it is a member's: fills his name (may be NULL). For what wants a person's consent anew. VAULT_LOCKED. */
int vault_prove(const struct vault *vault, const struct vault_credential *credential,
		char ret_member[VAULT_MEMBER_NAME + 1], struct err *err) __attribute__((warn_unused_result));

/* Entries, sorted by the bytes of their paths. Everything here is borrowed until the next write, lock, unlock or reload. */
struct vault_label {
	struct str key, value;
};
struct vault_entry {
	struct str path, type, environment;
	const struct vault_label *labels; /* sorted by key */
	size_t n_labels;
	struct str consent;
	uint64_t generation; /* that of the file when the value was sealed */
	struct str value;    /* sealed */
	struct str mac;
};
size_t vault_count(const struct vault *vault);
const struct vault_entry *vault_entry_at(const struct vault *vault, size_t index); /* index < vault_count() */
const struct vault_entry *vault_find(const struct vault *vault, struct str path);  /* NULL when there is none */
struct str vault_label_of(const struct vault_entry *entry, struct str key);        /* "" when it has none */

/* The value, in locked memory. VAULT_LOCKED, VAULT_NOT_FOUND, VAULT_VALUE_TAMPERED. */
int vault_get(const struct vault *vault, struct str path, struct secret **ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Adds or replaces an entry as a whole: labels and consent too. Labels in any order, each key once, no value "" (such a one
 * is left out). VALIDATION_ERROR for what is no path, not UTF-8, holds U+0000, or repeats a label.
 */
struct vault_put {
	struct str path, type, environment, consent, value;
	const struct vault_label *labels;
	size_t n_labels;
};
int vault_put(struct vault *vault, const struct vault_put *put, uint64_t *ret_generation, struct err *err)
	__attribute__((warn_unused_result));
int vault_delete(struct vault *vault, struct str path, struct err *err)
	__attribute__((warn_unused_result)); /* VAULT_NOT_FOUND */
/* Sets the labels that are named, and removes those whose value is ""; the others stay. VAULT_NOT_FOUND. */
int vault_set_labels(struct vault *vault, struct str path, const struct vault_label *labels, size_t n, struct err *err)
	__attribute__((warn_unused_result));
int vault_set_consent(struct vault *vault, struct str path, struct str consent, struct err *err)
	__attribute__((warn_unused_result));
/* Value and labels in one write, as vault_set_labels() does: for tokens that were refreshed. VAULT_NOT_FOUND. */
int vault_set_value(struct vault *vault, struct str path, struct str value, const struct vault_label *labels, size_t n,
		    struct err *err) __attribute__((warn_unused_result));

/* Members, in the order in which they were added. Borrowed as entries are. None before version 2. */
struct vault_member_info {
	struct str name;
	enum vault_member_kind kind;
	uint64_t created_at; /* Unix seconds */
};
size_t vault_member_count(const struct vault *vault);
void vault_member_at(const struct vault *vault, size_t index, struct vault_member_info *ret);

/*
 * Seals the private key of the member that `old` opens to `new`; the vault's key stays. The member's name is written when it
 * is wanted. WRONG_PASSPHRASE, VALIDATION_ERROR.
 */
int vault_change_credential(struct vault *vault, const struct vault_credential *old, const struct vault_credential *new,
			    char ret_member[VAULT_MEMBER_NAME + 1], struct err *err)
	__attribute__((warn_unused_result));
/*
 * `present` is of a member, who need not be the one who unlocked: each of them knows the new one from now on.
 * WRONG_PASSPHRASE, INVALID_IDENTITY for a name that is none (as an identity, at most VAULT_MEMBER_NAME), CONFLICT when it is
 * taken.
 */
int vault_member_add(struct vault *vault, struct str name, const struct vault_credential *present,
		     const struct vault_credential *credential, struct err *err) __attribute__((warn_unused_result));
/*
 * Makes a new vault key, seals every value anew, and the key to those who stay; `staying` is one of them, and unlocks
 * afterwards as before. NOT_FOUND, WRONG_PASSPHRASE, INVALID_REQUEST when `staying` is the one to go.
 */
int vault_member_remove(struct vault *vault, struct str name, const struct vault_credential *staying, struct err *err)
	__attribute__((warn_unused_result));

/* Copies of files of versions 0 and 1, in the order of their names. They open with the passphrase of their time. */
struct vault_backup {
	char name[VAULT_BACKUP_NAME];
	uint64_t bytes, mtime; /* Unix seconds */
	unsigned version;
};
struct vault_backup_list {
	VEC(struct vault_backup) backups;
};
#define VAULT_BACKUP_LIST_INIT ((struct vault_backup_list){.backups = {.cap = VAULT_BACKUPS_MAX}})
int vault_backups(const struct vault *vault, struct vault_backup_list *ret, struct err *err)
	__attribute__((warn_unused_result));
void vault_backup_list_release(struct vault_backup_list *list);
/* NOT_FOUND when it is none of the names. A file that cannot be read is opened by nothing. */
int vault_backup_opens(const struct vault *vault, struct str name, const struct vault_credential *credential, bool *ret,
		       struct err *err) __attribute__((warn_unused_result));
int vault_backup_delete(struct vault *vault, struct str name, struct err *err) __attribute__((warn_unused_result));

/* Appends a version 2 file with the same entries, an id and a key of its own, and one member. VAULT_LOCKED. */
int vault_export(const struct vault *vault, const struct vault_credential *credential, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));
/*
 * Adds the entries of such a file (version 0 and 1 too) in one write; those that are there are replaced, or kept. Fails as
 * unlocking that file would, and then changes nothing.
 */
struct vault_imported {
	uint32_t added, replaced, kept;
};
int vault_import(struct vault *vault, const struct vault_credential *credential, struct str file, bool replace,
		 struct vault_imported *ret, struct err *err) __attribute__((warn_unused_result));

/*
 * A cost at which Argon2id takes about `target_ms` (50 to 10,000; else VALIDATION_ERROR) on this machine: more memory first,
 * up to 1 GiB or a quarter of the machine's, then more passes; never less than 19 MiB and two passes, however long those take.
 * *ret_ms is what it took.
 */
int vault_tune(uint32_t target_ms, const struct clock *clock, struct argon2_cost *ret, uint32_t *ret_ms,
	       struct err *err) __attribute__((warn_unused_result));
