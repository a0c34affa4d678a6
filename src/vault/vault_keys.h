/*
 * vault_keys: the keys that one vault key gives, and what is made with them
 *
 * docs/formats/vault.md, "Keys". The vault key and those derived from it lie together in one locked secret. Any thread may
 * use one; nothing here fails for a reason but a wrong key or changed bytes.
 */
#pragma once
#include "base/buf.h"
#include "crypto/aead.h"
#include "crypto/digest.h"
#include "crypto/secret.h"
#include "vault/vault_file.h"

#define VAULT_ID       16
#define VAULT_KEY      32
#define VAULT_MAC      SHA256_SIZE
#define VAULT_OVERHEAD (AEAD_NONCE + AEAD_TAG) /* of a sealed value */

struct vault_keys;
/* From VAULT_KEY bytes. Fails as secret_new_locked() does. */
struct vault_keys *vault_keys_new(struct str vault_key, const unsigned char id[VAULT_ID], struct err *err)
	__attribute__((warn_unused_result));
struct vault_keys *vault_keys_generate(const unsigned char id[VAULT_ID], struct err *err)
	__attribute__((warn_unused_result));
void vault_keys_free(struct vault_keys *keys); /* wipes; NULL is fine */
DEFINE_AUTO(vault_keys, vault_keys_free)

const unsigned char *vault_keys_id(const struct vault_keys *keys);
struct str vault_keys_root(const struct vault_keys *keys); /* the vault key, to be sealed to members */

/* Appends nonce, ciphertext and tag, value.n + VAULT_OVERHEAD bytes. */
void vault_keys_seal_value(const struct vault_keys *keys, struct str path, uint64_t generation, struct str value,
			   struct buf *out);
/* Writes sealed.n - VAULT_OVERHEAD bytes, or answers false and leaves them zero. */
bool vault_keys_open_value(const struct vault_keys *keys, struct str path, uint64_t generation, struct str sealed,
			   char *ret) __attribute__((warn_unused_result));

/* Over the path, which may differ from entry->path, the generation and the metadata. */
void vault_keys_entry_mac(const struct vault_keys *keys, struct str path, const struct vault_entry *entry,
			  unsigned char ret[VAULT_MAC]);
void vault_keys_file_mac(const struct vault_keys *keys, struct str text, unsigned char ret[VAULT_MAC]);
