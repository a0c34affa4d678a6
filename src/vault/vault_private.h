/* vault_private: what the parts of vault_file.h share */
#pragma once
#include "vault/vault_document.h"
#include "vault/vault_store.h"

struct vault {
	struct vault_store store;
	const struct clock *clock;
	struct argon2_cost cost;
	struct vault_document *document; /* NULL while missing or in trouble */
	struct err *trouble;             /* of a class while the file cannot be read */
	/* while unlocked */
	struct vault_keys *keys;
	struct secret *private; /* of the member who unlocked */
	size_t me;              /* his place among the members */
};

void vault_name_member(const struct vault *vault, size_t member, char ret[VAULT_MEMBER_NAME + 1]);
int vault_need_unlocked(const struct vault *vault, struct err *err) __attribute__((warn_unused_result));
/* The member that the credential opens, or WRONG_PASSPHRASE (NOT_FOUND when it names one that is not there). */
int vault_find_member(const struct vault_document *document, const struct vault_credential *credential, size_t *ret,
		      struct secret **ret_private, struct err *err) __attribute__((warn_unused_result));

/*
 * A change under way: a document that borrows from the present one, one generation on, with room for one entry and one
 * member more. Values that are put now are of its generation.
 */
struct vault_document *vault_change_begin(const struct vault *vault);
/* Writes it under `keys`, reads it back, verifies it and makes it the present one. On failure nothing has changed. */
int vault_change_commit(struct vault *vault, const struct vault_document *next, const struct vault_keys *keys,
			struct err *err) __attribute__((warn_unused_result));
/* Puts the entry in its place, over one of the same path. There must be room for it. */
void vault_change_put(struct vault_document *next, const struct vault_entry *entry);

/* Opens each value under `keys` and seals it under `to` as of `generation`; for re-keying and export. */
int vault_reseal_values(struct vault_document *document, const struct vault_keys *keys, const struct vault_keys *to,
			uint64_t generation, struct err *err) __attribute__((warn_unused_result));
/*
 * A document of version 2 with a new id, generation 1, no entries (room for `n`) and one member.
 * ret_private may be NULL.
 */
struct vault_document *vault_document_found(const struct vault_credential *credential, const struct vault *vault,
					    size_t n_entries, struct vault_keys **ret_keys, struct secret **ret_private,
					    struct err *err) __attribute__((warn_unused_result));
/* Adds entries of a version 0 or 1 document to `next`, sealed under `keys`. */
int vault_take_legacy(struct vault_document *next, const struct vault_entry *entries, size_t n,
		      const struct secret *key, const struct vault_keys *keys, struct err *err)
	__attribute__((warn_unused_result));
/* Keeps a copy of the text as it is, or finds one that an upgrade which was cut short has left. */
int vault_backup_keep(const struct vault *vault, unsigned version, struct str text, char ret[VAULT_BACKUP_NAME],
		      struct err *err) __attribute__((warn_unused_result));
