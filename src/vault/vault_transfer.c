/* Out of one vault and into another. */
#include "vault/legacy.h"
#include "vault/vault_private.h"

int vault_export(const struct vault *vault, const struct vault_credential *credential, struct buf *out, struct err *err)
{
	if (vault_need_unlocked(vault, err) < 0)
		return -1;
	const struct vault_document *from = vault->document;
	struct vault_keys *made_keys = NULL;
	AUTO(vault_document) *document =
		vault_document_found(credential, vault, from->n_entries, &made_keys, NULL, err);
	AUTO(vault_keys) *keys = made_keys;
	if (document == NULL)
		return -1;
	document->n_entries = from->n_entries;
	if (from->n_entries > 0)
		memcpy(document->entries, from->entries, from->n_entries * sizeof from->entries[0]);
	AUTO_BUF text = BUF_INIT(VAULT_FILE_MAX);
	if (vault_reseal_values(document, vault->keys, keys, document->generation, err) < 0 ||
	    vault_document_write(document, keys, &text, err) < 0)
		return -1;
	AUTO(vault_document) *again = vault_document_read(buf_str(&text), err);
	if (again == NULL || vault_document_verify(again, keys, err) < 0)
		return wrap(err, "reading the export back");
	buf_add_str(out, buf_str(&text));
	return buf_check(out, "the export", err);
}

/* The entries of a foreign file, sealed under `keys` as of `generation`. Memory in document->arena. */
static int open_foreign(struct vault_document *document, const struct vault_credential *credential,
			const struct vault_keys *keys, uint64_t generation, struct err *err)
{
	if (document->version != 2) {
		AUTO(secret) *key = legacy_open(document, credential, err);
		if (key == NULL)
			return -1;
		const struct vault_entry *entries = document->entries;
		size_t n = document->n_entries;
		document->entries = arena_array(document->arena, n, sizeof document->entries[0]);
		document->n_entries = 0;
		document->generation = generation;
		return vault_take_legacy(document, entries, n, key, keys, err);
	}
	struct secret *opened = NULL;
	size_t member = 0;
	if (vault_find_member(document, credential, &member, &opened, err) < 0)
		return -1;
	AUTO(secret) *private = opened;
	AUTO(vault_keys) *foreign = vault_member_take_key(&document->members[member], document->id, private, err);
	if (foreign == NULL || vault_document_verify(document, foreign, err) < 0)
		return -1;
	return vault_reseal_values(document, foreign, keys, generation, err);
}

/* Every entry into the change; the room is for all of them. */
static void take_all(struct vault_document *next, const struct vault_document *foreign, bool replace,
		     struct vault_imported *ret)
{
	*ret = (struct vault_imported){0};
	for (size_t i = 0; i < foreign->n_entries; i++) {
		bool there = vault_document_find(next, foreign->entries[i].path) != NULL;
		if (there && !replace) {
			ret->kept++;
			continue;
		}
		vault_change_put(next, &foreign->entries[i]);
		ret->added += !there;
		ret->replaced += there;
	}
}

int vault_import(struct vault *vault, const struct vault_credential *credential, struct str file, bool replace,
		 struct vault_imported *ret, struct err *err)
{
	if (vault_need_unlocked(vault, err) < 0)
		return -1;
	if (file.n > VAULT_FILE_MAX)
		return fail(err, ERR_LIMIT, "the file to import is larger than %zu bytes", VAULT_FILE_MAX);
	AUTO(vault_document) *foreign = vault_document_read(file, err);
	if (foreign == NULL)
		return wrap(err, "importing");
	AUTO(vault_document) *next = vault_change_begin(vault);
	if (open_foreign(foreign, credential, vault->keys, next->generation, err) < 0)
		return wrap(err, "importing");
	struct vault_entry *entries = arena_array(next->arena, next->n_entries + foreign->n_entries, sizeof entries[0]);
	if (next->n_entries > 0)
		memcpy(entries, next->entries, next->n_entries * sizeof entries[0]);
	next->entries = entries;
	struct vault_imported done;
	take_all(next, foreign, replace, &done);
	if (done.added + done.replaced > 0 && vault_change_commit(vault, next, vault->keys, err) < 0)
		return wrap(err, "importing");
	*ret = done;
	return 0;
}
