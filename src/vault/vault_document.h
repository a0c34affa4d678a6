/*
 * vault_document: what a vault's file says, read, written and verified
 *
 * The text is that of docs/formats/vault.md. Reading needs no key and believes nothing: it checks form and bounds.
 * vault_document_verify() is what makes it true. A document owns all that it points at, by its arena; one that is about to be
 * written may borrow from another. One thread.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "vault/vault_file.h"
#include "vault/vault_keys.h"
#include "vault/vault_member.h"

struct vault_document {
	struct arena *arena;
	unsigned version;            /* 0, 1, 2 */
	struct vault_entry *entries; /* sorted by path, each once */
	size_t n_entries;
	/* version 2 */
	unsigned char id[VAULT_ID];
	uint64_t generation;
	struct vault_member *members;
	size_t n_members;
	struct buf text;  /* of the file; dropped once verified */
	size_t authentic; /* bytes of it that the MAC is over */
	unsigned char mac[VAULT_MAC];
	/* versions 0 and 1; values and metadata as in `entries`, without MAC and consent */
	struct str salt, verification; /* "" = none */
};

struct vault_document *vault_document_new(void) __attribute__((warn_unused_result, returns_nonnull));
void vault_document_free(struct vault_document *document); /* NULL is fine */
DEFINE_AUTO(vault_document, vault_document_free)

/*
 * From a text of any version. VAULT_TRUNCATED, VAULT_UNSUPPORTED, VAULT_FILE_TAMPERED as vault_file.h says them; nothing
 * of the text is quoted but names of members of the format.
 */
struct vault_document *vault_document_read(struct str text, struct err *err) __attribute__((warn_unused_result));
/* The same of one that was parsed, for legacy.c and vault_reader.c. */
struct json;
int vault_document_read_legacy(struct vault_document *document, const struct json *root, struct err *err)
	__attribute__((warn_unused_result));

/* Appends the text of version 2, with its MAC. LIMIT, or VALIDATION_ERROR for an entry that could not be read again. */
int vault_document_write(const struct vault_document *document, const struct vault_keys *keys, struct buf *out,
			 struct err *err) __attribute__((warn_unused_result));
/* What reading checks of an entry's bounds. VALIDATION_ERROR or LIMIT, naming the path and what is wrong. */
int vault_entry_check(const struct vault_entry *entry, struct err *err) __attribute__((warn_unused_result));

/*
 * Every MAC of entries and the one of the file. Values are not opened, unless something is wrong: then each is, to say what
 * (VAULT_ENTRY_MISPLACED, VAULT_METADATA_TAMPERED, VAULT_VALUE_TAMPERED of the first bad entry, else VAULT_FILE_TAMPERED).
 */
int vault_document_verify(const struct vault_document *document, const struct vault_keys *keys, struct err *err)
	__attribute__((warn_unused_result));

/* Where the entry of that path stands, or would. */
size_t vault_document_place(const struct vault_document *document, struct str path);
const struct vault_entry *vault_document_find(const struct vault_document *document, struct str path);
