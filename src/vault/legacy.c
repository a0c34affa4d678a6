#include "vault/legacy.h"
#include "base/base64.h"
#include "text/json.h"
#include <stdlib.h>

#define VERIFIER S("aileron-vault-v1")

static int bad(const char *what, struct err *err)
{
	return fail(err, ERR_VAULT_FILE_TAMPERED, "%s is not of the format", what);
}

/* A string of base64 that may be absent; at least `min` bytes. */
static int read_bytes(struct vault_document *document, const struct json *object, struct str name, size_t min,
		      struct str *ret, struct err *err)
{
	const struct json *value = json_member(object, name);
	struct str text;
	if (value == NULL)
		return 0;
	AUTO_BUF bytes = BUF_INIT(VAULT_VALUE_MAX + VAULT_OVERHEAD);
	if (!json_get_str(value, &text) || base64_decode(&bytes, text, BASE64_STANDARD, NULL) < 0 || bytes.n < min)
		return bad(name.p, err);
	*ret = arena_str(document->arena, buf_str(&bytes));
	return 0;
}

static int compare_labels(const void *a, const void *b)
{
	return str_cmp(((const struct vault_label *)a)->key, ((const struct vault_label *)b)->key);
}

static int read_labels(struct vault_document *document, const struct json *object, struct vault_entry *entry,
		       struct err *err)
{
	struct json_iter it;
	struct vault_label *labels = arena_array(document->arena, json_length(object), sizeof labels[0]);
	for (json_iter_init(&it, object); json_iter_next(&it);) {
		struct str value;
		if (!json_get_str(it.value, &value))
			return bad("a label", err);
		labels[entry->n_labels++] = (struct vault_label){
			.key = arena_str(document->arena, it.name),
			.value = arena_str(document->arena, value),
		};
	}
	if (entry->n_labels > 1)
		qsort(labels, entry->n_labels, sizeof labels[0], compare_labels);
	entry->labels = labels;
	return 0;
}

static struct str text_of(struct vault_document *document, const struct json *object, struct str name)
{
	struct str text = STR_EMPTY;
	json_get_str(json_member(object, name), &text);
	return arena_str(document->arena, text);
}

static int read_entry(struct vault_document *document, const struct json_iter *it, struct vault_entry *entry,
		      struct err *err)
{
	const struct json *metadata = json_member(it->value, S("metadata"));
	entry->path = arena_str(document->arena, it->name);
	entry->type = text_of(document, metadata, S("Type"));
	entry->environment = text_of(document, metadata, S("Environment"));
	if (read_labels(document, json_member(metadata, S("Labels")), entry, err) < 0 ||
	    read_bytes(document, it->value, S("value"), VAULT_OVERHEAD, &entry->value, err) < 0)
		return -1;
	if (vault_entry_check(entry, err) < 0)
		return wrap(err, "a version %u vault file", document->version);
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	return str_cmp(((const struct vault_entry *)a)->path, ((const struct vault_entry *)b)->path);
}

/* A later version that says it is an earlier one must not be taken for an empty file. */
static bool is_known(struct str name)
{
	return str_eq(name, S("version")) || str_eq(name, S("salt")) || str_eq(name, S("verification")) ||
	       str_eq(name, S("secrets"));
}

int vault_document_read_legacy(struct vault_document *document, const struct json *root, struct err *err)
{
	const struct json *secrets = json_member(root, S("secrets"));
	struct json_iter it;
	size_t n = json_length(secrets);
	struct json_iter member;
	for (json_iter_init(&member, root); json_iter_next(&member);) {
		if (!is_known(member.name))
			return bad("a member of the vault file", err);
	}
	if (secrets != NULL && json_kind(secrets) != JSON_KIND_OBJECT && json_kind(secrets) != JSON_KIND_NULL)
		return bad("secrets", err);
	if (n > VAULT_ENTRIES_MAX)
		return fail(err, ERR_LIMIT, "the vault has %zu entries; at most %d are accepted", n, VAULT_ENTRIES_MAX);
	if (read_bytes(document, root, S("salt"), 0, &document->salt, err) < 0 ||
	    read_bytes(document, root, S("verification"), 0, &document->verification, err) < 0)
		return -1;
	document->entries = arena_array(document->arena, n, sizeof document->entries[0]);
	for (json_iter_init(&it, secrets); json_iter_next(&it); document->n_entries++) {
		if (read_entry(document, &it, &document->entries[document->n_entries], err) < 0)
			return -1;
	}
	if (document->n_entries > 1)
		qsort(document->entries, document->n_entries, sizeof document->entries[0], compare_entries);
	return 0;
}

bool legacy_is_empty(const struct vault_document *document)
{
	return document->verification.n == 0 && document->n_entries == 0;
}

/* nonce ‖ ciphertext ‖ tag, without associated data. */
static bool open_box(const struct secret *key, struct str box, char *ret)
{
	return box.n >= VAULT_OVERHEAD && aead_open(secret_borrow(key), (const unsigned char *)box.p, STR_EMPTY,
						    str_slice(box, AEAD_NONCE, box.n), ret);
}

static int check_key(const struct vault_document *document, const struct secret *key, struct err *err)
{
	bool verifier = document->verification.n > 0;
	if (!verifier && document->n_entries == 0)
		return 0;
	struct str box = verifier ? document->verification : document->entries[0].value;
	AUTO(secret) *text = secret_new_locked(MAX(box.n, 1), err);
	if (text == NULL)
		return -1;
	if (!open_box(key, box, secret_borrow_mut(text)))
		return fail(err, ERR_WRONG_PASSPHRASE, "wrong passphrase");
	if (verifier && !str_eq(str_slice(secret_borrow(text), 0, box.n - VAULT_OVERHEAD), VERIFIER))
		return fail(err, ERR_VAULT_FILE_TAMPERED, "the vault's verifier is not what was written");
	return 0;
}

struct secret *legacy_open(const struct vault_document *document, const struct vault_credential *credential,
			   struct err *err)
{
	if (vault_credential_check(credential, err) < 0)
		return NULL;
	if (credential->kind != VAULT_MEMBER_PASSPHRASE) {
		fail(err, ERR_WRONG_PASSPHRASE, "a version %u vault opens with its passphrase alone",
		     document->version);
		return NULL;
	}
	if (document->salt.n < ARGON2_SALT_MIN) {
		fail(err, ERR_VAULT_FILE_TAMPERED, "the vault's salt has %zu bytes; %d is the least", document->salt.n,
		     ARGON2_SALT_MIN);
		return NULL;
	}
	AUTO(secret) *key = secret_new_locked(AEAD_KEY, err);
	if (key == NULL ||
	    argon2id(secret_borrow(credential->secret), document->salt, &ARGON2_DEFAULT, secret_borrow_mut(key), err) <
		    0 ||
	    check_key(document, key, err) < 0)
		return NULL;
	return TAKE(key);
}

int legacy_open_value(const struct secret *key, const struct vault_entry *entry, char *ret, struct err *err)
{
	if (!open_box(key, entry->value, ret))
		return fail(err, ERR_VAULT_VALUE_TAMPERED, "the value of '%.*s' is not what was sealed",
			    STR_FMT(entry->path));
	return 0;
}
