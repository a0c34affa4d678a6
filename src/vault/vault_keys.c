#include "vault/vault_keys.h"
#include "base/rand.h"
#include "crypto/hmac.h"
#include "crypto/kdf.h"
#include "text/wire.h"
#include <stdlib.h>

/* Where each stands in the secret. */
enum { ROOT, VALUES, ENTRIES, FILE_KEY, N_KEYS };

struct vault_keys {
	struct secret *secret; /* N_KEYS of VAULT_KEY bytes */
	unsigned char id[VAULT_ID];
};

/* Domains of what is authenticated: no input of one can be read as one of another. */
#define VALUE_DOMAIN S("aileron-vault-2 value")
#define ENTRY_DOMAIN S("aileron-vault-2 entry")
#define FILE_DOMAIN  S("aileron-vault-2 file")

static struct str key_at(const struct vault_keys *keys, size_t i)
{
	return str_slice(secret_borrow(keys->secret), i * VAULT_KEY, (i + 1) * VAULT_KEY);
}

static void derive(struct vault_keys *keys)
{
	const struct str domains[N_KEYS] = {
		[VALUES] = VALUE_DOMAIN, [ENTRIES] = ENTRY_DOMAIN, [FILE_KEY] = FILE_DOMAIN};
	for (size_t i = VALUES; i < N_KEYS; i++)
		hkdf_sha256(key_at(keys, ROOT), str_of(keys->id, VAULT_ID), domains[i],
			    secret_borrow_mut(keys->secret) + i * VAULT_KEY, VAULT_KEY);
}

static struct vault_keys *keys_with(const unsigned char id[VAULT_ID], struct err *err)
{
	struct secret *secret = secret_new_locked((size_t)N_KEYS * VAULT_KEY, err);
	if (secret == NULL)
		return NULL;
	struct vault_keys *keys = NEW(struct vault_keys);
	keys->secret = secret;
	memcpy(keys->id, id, VAULT_ID);
	return keys;
}

struct vault_keys *vault_keys_new(struct str vault_key, const unsigned char id[VAULT_ID], struct err *err)
{
	if (vault_key.n != VAULT_KEY)
		BUG("a vault key of %zu bytes", vault_key.n);
	struct vault_keys *keys = keys_with(id, err);
	if (keys == NULL)
		return NULL;
	memcpy(secret_borrow_mut(keys->secret), vault_key.p, VAULT_KEY);
	derive(keys);
	return keys;
}

struct vault_keys *vault_keys_generate(const unsigned char id[VAULT_ID], struct err *err)
{
	struct vault_keys *keys = keys_with(id, err);
	if (keys == NULL)
		return NULL;
	rand_bytes(secret_borrow_mut(keys->secret), VAULT_KEY);
	derive(keys);
	return keys;
}

void vault_keys_free(struct vault_keys *keys)
{
	if (keys == NULL)
		return;
	secret_free(keys->secret);
	free(keys);
}

const unsigned char *vault_keys_id(const struct vault_keys *keys)
{
	return keys->id;
}

struct str vault_keys_root(const struct vault_keys *keys)
{
	return key_at(keys, ROOT);
}

/* Paths come from a file whose members are bounded, so this fits what it is given. */
#define AAD_MAX ((size_t)1024)

static void value_aad(struct buf *aad, const struct vault_keys *keys, struct str path, uint64_t generation)
{
	wire_put_str(aad, VALUE_DOMAIN);
	buf_add(aad, keys->id, VAULT_ID);
	wire_put_str(aad, path);
	wire_put_u64(aad, generation);
	if (!buf_ok(aad))
		BUG("a path of %zu bytes", path.n);
}

void vault_keys_seal_value(const struct vault_keys *keys, struct str path, uint64_t generation, struct str value,
			   struct buf *out)
{
	AUTO_BUF aad = BUF_INIT(AAD_MAX);
	value_aad(&aad, keys, path, generation);
	char *to = buf_reserve(out, value.n + VAULT_OVERHEAD);
	if (to == NULL)
		return;
	unsigned char nonce[AEAD_NONCE];
	rand_bytes(nonce, sizeof nonce);
	memcpy(to, nonce, sizeof nonce);
	aead_seal(key_at(keys, VALUES), nonce, buf_str(&aad), value, to + sizeof nonce);
	buf_commit(out, value.n + VAULT_OVERHEAD);
}

bool vault_keys_open_value(const struct vault_keys *keys, struct str path, uint64_t generation, struct str sealed,
			   char *ret)
{
	if (sealed.n < VAULT_OVERHEAD)
		return false;
	AUTO_BUF aad = BUF_INIT(AAD_MAX);
	value_aad(&aad, keys, path, generation);
	return aead_open(key_at(keys, VALUES), (const unsigned char *)sealed.p, buf_str(&aad),
			 str_slice(sealed, AEAD_NONCE, sealed.n), ret);
}

void vault_keys_entry_mac(const struct vault_keys *keys, struct str path, const struct vault_entry *entry,
			  unsigned char ret[VAULT_MAC])
{
	AUTO_BUF message = BUF_INIT((size_t)VAULT_LABELS_MAX * (VAULT_LABEL_KEY + VAULT_LABEL_VALUE + 8) +
				    VAULT_CONSENT_MAX + 2 * VAULT_TYPE_MAX + AAD_MAX);
	buf_reserve(&message, 2 * AAD_MAX); /* most fit, and this is done for every entry at once */
	wire_put_str(&message, ENTRY_DOMAIN);
	buf_add(&message, keys->id, VAULT_ID);
	wire_put_str(&message, path);
	wire_put_u64(&message, entry->generation);
	wire_put_str(&message, entry->type);
	wire_put_str(&message, entry->environment);
	wire_put_str(&message, entry->consent);
	wire_put_u32(&message, (uint32_t)entry->n_labels);
	for (size_t i = 0; i < entry->n_labels; i++) {
		wire_put_str(&message, entry->labels[i].key);
		wire_put_str(&message, entry->labels[i].value);
	}
	if (!buf_ok(&message))
		BUG("an entry whose metadata is larger than is accepted");
	hmac_sha256(key_at(keys, ENTRIES), buf_str(&message), ret);
}

void vault_keys_file_mac(const struct vault_keys *keys, struct str text, unsigned char ret[VAULT_MAC])
{
	hmac_sha256(key_at(keys, FILE_KEY), text, ret);
}
