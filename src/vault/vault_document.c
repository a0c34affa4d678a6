#include "vault/vault_document.h"
#include "crypto/constant_time.h"
#include <stdlib.h>

struct vault_document *vault_document_new(void)
{
	struct vault_document *document = NEW(struct vault_document);
	document->arena = arena_new();
	document->text = BUF_INIT(VAULT_FILE_MAX);
	return document;
}

void vault_document_free(struct vault_document *document)
{
	if (document == NULL)
		return;
	arena_free(document->arena);
	buf_release(&document->text);
	free(document);
}

size_t vault_document_place(const struct vault_document *document, struct str path)
{
	size_t low = 0, high = document->n_entries;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (str_cmp(document->entries[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct vault_entry *vault_document_find(const struct vault_document *document, struct str path)
{
	size_t at = vault_document_place(document, path);
	return at < document->n_entries && str_eq(document->entries[at].path, path) ? &document->entries[at] : NULL;
}

struct str vault_label_of(const struct vault_entry *entry, struct str key)
{
	for (size_t i = 0; i < entry->n_labels; i++) {
		if (str_eq(entry->labels[i].key, key))
			return entry->labels[i].value;
	}
	return STR_EMPTY;
}

/* ------------------------------------------------------------------------------------------------------------- bounds */

/* JSON text can hold it and give it back: UTF-8 without U+0000. */
static bool is_text(struct str s, size_t max)
{
	return s.n <= max && str_is_utf8(s) && str_find_char(s, '\0') == STR_NPOS;
}

static int check_labels(const struct vault_entry *entry, struct err *err)
{
	struct str path = entry->path;
	if (entry->n_labels > VAULT_LABELS_MAX)
		return fail(err, ERR_LIMIT, "'%.*s' has %zu labels; at most %d are accepted", STR_FMT(path),
			    entry->n_labels, VAULT_LABELS_MAX);
	for (size_t i = 0; i < entry->n_labels; i++) {
		const struct vault_label *label = &entry->labels[i];
		if (label->key.n == 0 || !is_text(label->key, VAULT_LABEL_KEY))
			return fail(err, ERR_VALIDATION_ERROR, "a label's name of '%.*s' is not 1 to %d bytes of text",
				    STR_FMT(path), VAULT_LABEL_KEY);
		if (!is_text(label->value, VAULT_LABEL_VALUE))
			return fail(err, ERR_VALIDATION_ERROR,
				    "label '%.*s' of '%.*s' is not at most %zu bytes of text", STR_FMT(label->key),
				    STR_FMT(path), VAULT_LABEL_VALUE);
		if (i > 0 && str_cmp(entry->labels[i - 1].key, label->key) >= 0)
			return fail(err, ERR_VALIDATION_ERROR, "label '%.*s' of '%.*s' is given twice or out of order",
				    STR_FMT(label->key), STR_FMT(path));
	}
	return 0;
}

int vault_entry_check(const struct vault_entry *entry, struct err *err)
{
	struct str path = entry->path;
	if (path.n == 0 || !is_text(path, VAULT_PATH_MAX))
		return fail(err, ERR_VALIDATION_ERROR, "an entry's path is not 1 to %d bytes of text", VAULT_PATH_MAX);
	if (!is_text(entry->type, VAULT_TYPE_MAX) || !is_text(entry->environment, VAULT_TYPE_MAX))
		return fail(err, ERR_VALIDATION_ERROR, "type or environment of '%.*s' is not at most %d bytes of text",
			    STR_FMT(path), VAULT_TYPE_MAX);
	if (!is_text(entry->consent, VAULT_CONSENT_MAX))
		return fail(err, ERR_VALIDATION_ERROR, "the consent of '%.*s' is not at most %zu bytes of text",
			    STR_FMT(path), VAULT_CONSENT_MAX);
	if (entry->value.n < VAULT_OVERHEAD || entry->value.n - VAULT_OVERHEAD > VAULT_VALUE_MAX)
		return fail(err, ERR_LIMIT, "the value of '%.*s' is larger than %zu bytes, or none", STR_FMT(path),
			    VAULT_VALUE_MAX);
	return check_labels(entry, err);
}

/* -------------------------------------------------------------------------------------------------------- verification */

static bool entry_mac_holds(const struct vault_keys *keys, struct str path, const struct vault_entry *entry)
{
	unsigned char mac[VAULT_MAC];
	vault_keys_entry_mac(keys, path, entry, mac);
	return constant_time_eq(str_of(mac, sizeof mac), entry->mac);
}

/* Whether the entry's value opens as one that was sealed for the path and generation of `as`. */
static bool value_opens(const struct vault_keys *keys, const struct vault_entry *as, struct str value, char *scratch)
{
	return vault_keys_open_value(keys, as->path, as->generation, value, scratch);
}

static int misplaced(const struct vault_entry *entry, const struct vault_entry *from, const char *what, struct err *err)
{
	return fail(err, ERR_VAULT_ENTRY_MISPLACED, "%s of '%.*s' stands under '%.*s'", what, STR_FMT(from->path),
		    STR_FMT(entry->path));
}

/* Why the entry is bad, or 0 when it is not. */
static int diagnose_entry(const struct vault_document *document, const struct vault_keys *keys,
			  const struct vault_entry *entry, char *scratch, struct err *err)
{
	bool metadata = entry_mac_holds(keys, entry->path, entry);
	if (metadata && value_opens(keys, entry, entry->value, scratch))
		return 0;
	for (size_t i = 0; i < document->n_entries; i++) {
		const struct vault_entry *other = &document->entries[i];
		if (other == entry)
			continue;
		if (!metadata && entry_mac_holds(keys, other->path, entry))
			return misplaced(entry, other, "the entry", err);
		if (metadata && value_opens(keys, other, entry->value, scratch))
			return misplaced(entry, other, "the value", err);
	}
	if (!metadata)
		return fail(err, ERR_VAULT_METADATA_TAMPERED, "the metadata of '%.*s' is not what was written",
			    STR_FMT(entry->path));
	return fail(err, ERR_VAULT_VALUE_TAMPERED, "the value of '%.*s' is not what was sealed", STR_FMT(entry->path));
}

static int diagnose(const struct vault_document *document, const struct vault_keys *keys, struct err *err)
{
	AUTO(secret) *scratch = secret_new_locked(VAULT_VALUE_MAX, err);
	if (scratch == NULL)
		return -1;
	for (size_t i = 0; i < document->n_entries; i++) {
		if (diagnose_entry(document, keys, &document->entries[i], secret_borrow_mut(scratch), err) < 0)
			return -1;
	}
	return fail(err, ERR_VAULT_FILE_TAMPERED, "the vault file is not what was written, though each entry is");
}

int vault_document_verify(const struct vault_document *document, const struct vault_keys *keys, struct err *err)
{
	unsigned char mac[VAULT_MAC];
	vault_keys_file_mac(keys, str_slice(buf_str(&document->text), 0, document->authentic), mac);
	bool holds = constant_time_eq(str_of(mac, sizeof mac), str_of(document->mac, VAULT_MAC));
	for (size_t i = 0; holds && i < document->n_entries; i++)
		holds = entry_mac_holds(keys, document->entries[i].path, &document->entries[i]);
	return holds ? 0 : diagnose(document, keys, err);
}
