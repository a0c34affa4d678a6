/*
 * keeper_metadata: an entry's labels, as text and as the vault has them
 *
 * Metadata of a request is canonical JSON, exactly {"environment":"…","labels":{…},"type":"…"} (binding.h makes it);
 * labels that are told to control are a canonical JSON object of texts.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "vault/vault_file.h"

/* Labels by name, with room for those that are added to what was read. */
struct keeper_labels {
	struct vault_label items[VAULT_LABELS_MAX + 16];
	size_t n;
};
struct keeper_metadata {
	struct str type, environment;
	struct keeper_labels labels;
};

/* Texts are copied into `arena`. VALIDATION_ERROR when it is not of that form, LIMIT for too many labels. */
int keeper_metadata_read(struct arena *arena, struct str text, struct keeper_metadata *ret, struct err *err)
	__attribute__((warn_unused_result));
void keeper_labels_put(struct buf *out, const struct vault_entry *entry);

struct str keeper_label_of(const struct keeper_labels *labels, struct str key); /* "" when there is none */
/* Adds or replaces; the value "" removes, where labels are set in a vault. Texts are borrowed. */
void keeper_label(struct keeper_labels *labels, struct str key, struct str value);
/* Adds those of an entry that are not named yet and may outlive its value: all but what the keeper says about the value. */
void keeper_labels_keep(struct keeper_labels *labels, const struct vault_entry *entry);
