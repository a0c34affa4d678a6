/* Changing entries: each change is one new generation of the file. */
#include "vault/vault_private.h"
#include <stdlib.h>

static int compare_labels(const void *a, const void *b)
{
	return str_cmp(((const struct vault_label *)a)->key, ((const struct vault_label *)b)->key);
}

/* Gives the entry the labels, sorted, without empty ones. Repeated keys are found by vault_entry_check(). */
static void set_labels(struct arena *arena, struct vault_entry *entry, const struct vault_label *labels, size_t n)
{
	struct vault_label *kept = arena_array(arena, n, sizeof kept[0]);
	size_t count = 0;
	for (size_t i = 0; i < n; i++) {
		if (labels[i].value.n > 0)
			kept[count++] = labels[i];
	}
	if (count > 1)
		qsort(kept, count, sizeof kept[0], compare_labels);
	entry->labels = kept;
	entry->n_labels = count;
}

/* The labels that the entry has and `changes` does not name, and those that it names. */
static int merge_labels(struct arena *arena, struct vault_entry *entry, const struct vault_label *changes, size_t n,
			struct err *err)
{
	if (n > VAULT_LABELS_MAX)
		return fail(err, ERR_LIMIT, "%zu labels to set; at most %d are accepted", n, VAULT_LABELS_MAX);
	struct vault_label *all = arena_array(arena, entry->n_labels + n, sizeof all[0]);
	size_t count = 0;
	for (size_t i = 0; i < entry->n_labels; i++) {
		bool named = false;
		for (size_t k = 0; k < n; k++)
			named |= str_eq(entry->labels[i].key, changes[k].key);
		if (!named)
			all[count++] = entry->labels[i];
	}
	for (size_t k = 0; k < n; k++)
		all[count++] = changes[k];
	set_labels(arena, entry, all, count);
	return 0;
}

static int seal_value(const struct vault *vault, struct vault_document *next, struct vault_entry *entry,
		      struct str value, struct err *err)
{
	if (value.n > VAULT_VALUE_MAX)
		return fail(err, ERR_LIMIT, "the value of '%.*s' has %zu bytes; at most %zu are accepted",
			    STR_FMT(entry->path), value.n, VAULT_VALUE_MAX);
	AUTO_BUF sealed = BUF_INIT(VAULT_VALUE_MAX + VAULT_OVERHEAD);
	entry->generation = next->generation;
	vault_keys_seal_value(vault->keys, entry->path, entry->generation, value, &sealed);
	entry->value = arena_str(next->arena, buf_str(&sealed));
	return 0;
}

int vault_put(struct vault *vault, const struct vault_put *put, uint64_t *ret_generation, struct err *err)
{
	if (vault_need_unlocked(vault, err) < 0)
		return -1;
	if (!vault_path_is_valid(put->path))
		return fail(err, ERR_VALIDATION_ERROR, "'%.*s' is no path of a secret", STR_FMT(put->path));
	if (put->n_labels > VAULT_LABELS_MAX)
		return fail(err, ERR_LIMIT, "'%.*s' would have %zu labels; at most %d are accepted", STR_FMT(put->path),
			    put->n_labels, VAULT_LABELS_MAX);
	AUTO(vault_document) *next = vault_change_begin(vault);
	struct vault_entry entry = {
		.path = put->path,
		.type = put->type,
		.environment = put->environment,
		.consent = put->consent,
	};
	set_labels(next->arena, &entry, put->labels, put->n_labels);
	if (seal_value(vault, next, &entry, put->value, err) < 0)
		return -1;
	vault_change_put(next, &entry);
	if (vault_change_commit(vault, next, vault->keys, err) < 0)
		return -1;
	if (ret_generation != NULL)
		*ret_generation = vault->document->generation;
	return 0;
}

/* A change of one entry that is there; NULL with VAULT_LOCKED or VAULT_NOT_FOUND. */
static struct vault_document *change_entry(const struct vault *vault, struct str path, struct vault_entry **ret,
					   struct err *err)
{
	if (vault_need_unlocked(vault, err) < 0)
		return NULL;
	const struct vault_entry *entry = vault_find(vault, path);
	if (entry == NULL) {
		fail(err, ERR_VAULT_NOT_FOUND, "the vault has no '%.*s'", STR_FMT(path));
		return NULL;
	}
	struct vault_document *next = vault_change_begin(vault);
	*ret = &next->entries[entry - vault->document->entries];
	return next;
}

int vault_delete(struct vault *vault, struct str path, struct err *err)
{
	struct vault_entry *entry = NULL;
	AUTO(vault_document) *next = change_entry(vault, path, &entry, err);
	if (next == NULL)
		return -1;
	size_t after = next->n_entries - (size_t)(entry - next->entries) - 1;
	memmove(entry, entry + 1, after * sizeof *entry);
	next->n_entries--;
	return vault_change_commit(vault, next, vault->keys, err);
}

int vault_set_labels(struct vault *vault, struct str path, const struct vault_label *labels, size_t n, struct err *err)
{
	struct vault_entry *entry = NULL;
	AUTO(vault_document) *next = change_entry(vault, path, &entry, err);
	if (next == NULL || merge_labels(next->arena, entry, labels, n, err) < 0)
		return -1;
	return vault_change_commit(vault, next, vault->keys, err);
}

int vault_set_consent(struct vault *vault, struct str path, struct str consent, struct err *err)
{
	struct vault_entry *entry = NULL;
	AUTO(vault_document) *next = change_entry(vault, path, &entry, err);
	if (next == NULL)
		return -1;
	entry->consent = consent;
	return vault_change_commit(vault, next, vault->keys, err);
}

int vault_set_value(struct vault *vault, struct str path, struct str value, const struct vault_label *labels, size_t n,
		    struct err *err)
{
	struct vault_entry *entry = NULL;
	AUTO(vault_document) *next = change_entry(vault, path, &entry, err);
	if (next == NULL || merge_labels(next->arena, entry, labels, n, err) < 0 ||
	    seal_value(vault, next, entry, value, err) < 0)
		return -1;
	return vault_change_commit(vault, next, vault->keys, err);
}
