/*
 * legacy: vault files of versions 0 and 1, which are read and never written
 *
 * One key, derived from the passphrase by Argon2id at a fixed cost (3 passes, 64 MiB, 4 lanes) and the file's salt, seals
 * every value by itself; paths and metadata are authenticated by nothing. docs/formats/vault.md, "Versions 0 and 1".
 */
#pragma once
#include "vault/vault_document.h"

/* Whether there is nothing to lose in it: no verifier and no secrets. */
bool legacy_is_empty(const struct vault_document *document);
/*
 * The key, in locked memory. WRONG_PASSPHRASE when it opens neither the verifier nor, without one, the first value;
 * VAULT_FILE_TAMPERED when the verifier says something else.
 */
struct secret *legacy_open(const struct vault_document *document, const struct vault_credential *credential,
			   struct err *err) __attribute__((warn_unused_result));
/* Writes entry->value.n - VAULT_OVERHEAD bytes; VAULT_VALUE_TAMPERED. */
int legacy_open_value(const struct secret *key, const struct vault_entry *entry, char *ret, struct err *err)
	__attribute__((warn_unused_result));
