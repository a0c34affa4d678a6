/*
 * Any vault file: read or refused with a class of its own; what is read can be written and read again as the same. Past the
 * derivation of a passphrase's key, with keys that the corpus knows: nothing but what was written under them is verified.
 */
#include "base/arena.h"
#include "base/mem.h"
#include "vault/legacy.h"
#include "vault/vault_document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define ROOT     S("the vault key of the corpus.....")
#define KEY_FILE S("the key file of the corpus......")

static bool is_class_of_a_file(enum err_class class)
{
	return class == ERR_VAULT_TRUNCATED || class == ERR_VAULT_FILE_TAMPERED || class == ERR_VAULT_UNSUPPORTED;
}

static bool same_entry(const struct vault_entry *a, const struct vault_entry *b)
{
	bool same = str_eq(a->path, b->path) && str_eq(a->type, b->type) && str_eq(a->environment, b->environment) &&
		    str_eq(a->consent, b->consent) && a->generation == b->generation && str_eq(a->value, b->value) &&
		    a->n_labels == b->n_labels;
	for (size_t i = 0; same && i < a->n_labels; i++)
		same = str_eq(a->labels[i].key, b->labels[i].key) && str_eq(a->labels[i].value, b->labels[i].value);
	return same;
}

static bool same_member(const struct vault_member *a, const struct vault_member *b)
{
	return str_eq(a->name, b->name) && a->kind == b->kind && a->created_at == b->created_at &&
	       str_eq(a->salt, b->salt) && str_eq(a->public_key, b->public_key) &&
	       str_eq(a->private_key, b->private_key) && str_eq(a->vault_key, b->vault_key) &&
	       str_eq(a->sealed_by, b->sealed_by) && str_eq(a->known, b->known) && str_eq(a->known_mac, b->known_mac) &&
	       str_eq(a->key_mac, b->key_mac);
}

static bool same_document(const struct vault_document *a, const struct vault_document *b)
{
	bool same = memcmp(a->id, b->id, VAULT_ID) == 0 && a->generation == b->generation &&
		    a->n_entries == b->n_entries && a->n_members == b->n_members;
	for (size_t i = 0; same && i < a->n_entries; i++)
		same = same_entry(&a->entries[i], &b->entries[i]);
	for (size_t i = 0; same && i < a->n_members; i++)
		same = same_member(&a->members[i], &b->members[i]);
	return same;
}

/* Written anew it is the same document, verifies, and is the very text when that was verified already. */
static void write_again(const struct vault_document *document, const struct vault_keys *keys, struct str text,
			bool verified)
{
	AUTO_BUF again = BUF_INIT(VAULT_FILE_MAX);
	if (vault_document_write(document, keys, &again, NULL) < 0)
		BUG("what was read cannot be written");
	if (verified && !str_eq(buf_str(&again), text))
		BUG("what was verified is written otherwise");
	AUTO(vault_document) *read = vault_document_read(buf_str(&again), NULL);
	if (read == NULL || !same_document(document, read) || vault_document_verify(read, keys, NULL) < 0)
		BUG("what was written is read otherwise");
}

static void open_values(const struct vault_document *document, const struct vault_keys *keys)
{
	AUTO(secret) *plain = secret_new(VAULT_VALUE_MAX, NULL);
	for (size_t i = 0; i < document->n_entries; i++) {
		const struct vault_entry *entry = &document->entries[i];
		if (!vault_keys_open_value(keys, entry->path, entry->generation, entry->value,
					   secret_borrow_mut(plain)))
			continue;
	}
}

static void open_members(const struct vault_document *document)
{
	AUTO(secret) *file = secret_from(KEY_FILE, NULL);
	struct vault_credential credential = {.kind = VAULT_MEMBER_KEY_FILE, .secret = file};
	for (size_t i = 0; i < document->n_members; i++) {
		const struct vault_member *member = &document->members[i];
		struct secret *opened = NULL;
		if (vault_member_open(member, document->id, &credential, &opened, NULL) != 1)
			continue;
		AUTO(secret) *private = opened;
		AUTO(vault_keys) *keys = vault_member_take_key(member, document->id, private, NULL);
		if (keys != NULL)
			vault_member_knows(member, keys, private);
	}
}

static void use_current(const struct vault_document *document, struct str text)
{
	static struct err err;
	err_clear(&err);
	AUTO(vault_keys) *keys = vault_keys_new(ROOT, document->id, NULL);
	bool verified = vault_document_verify(document, keys, &err) == 0;
	if (!verified && (err.class < ERR_VAULT_TRUNCATED || err.class > ERR_VAULT_FILE_TAMPERED))
		BUG("verification fails as %s", err_row(err.class)->name);
	write_again(document, keys, text, verified);
	open_values(document, keys);
	open_members(document);
}

/* With a key as if it had been derived. */
static void use_legacy(const struct vault_document *document)
{
	AUTO(secret) *key = secret_from(ROOT, NULL);
	AUTO(secret) *plain = secret_new(VAULT_VALUE_MAX, NULL);
	for (size_t i = 0; i < document->n_entries; i++) {
		if (legacy_open_value(key, &document->entries[i], secret_borrow_mut(plain), NULL) < 0)
			continue;
	}
	if (legacy_is_empty(document) && document->n_entries > 0)
		BUG("a file with entries is taken for an empty one");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct err err;
	err_clear(&err);
	struct str text = str_of(data, n);
	AUTO(vault_document) *document = vault_document_read(text, &err);
	if (document == NULL) {
		if (!is_class_of_a_file(err.class) && err.class != ERR_LIMIT && err.class != ERR_VALIDATION_ERROR)
			BUG("a file is refused as %s", err_row(err.class)->name);
		return 0;
	}
	if (document->version == 2)
		use_current(document, text);
	else
		use_legacy(document);
	return 0;
}
