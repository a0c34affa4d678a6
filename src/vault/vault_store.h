/*
 * vault_store: the vault's folder: one file that is replaced without ever being absent
 *
 * Replacing: the present file gets a second name, `secrets.json.prev`; the new text is written to a draft, brought to the disk
 * and renamed over `secrets.json`. The caller reads it back and either keeps it (the second name goes) or undoes (it is
 * renamed back). Killed anywhere, `secrets.json` is whole, and one of the two generations. One thread.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#define VAULT_STORE_FILE     "secrets.json"
#define VAULT_STORE_PREVIOUS "secrets.json.prev"

struct vault_store {
	char *path;
	int folder;
	bool fresh; /* the last replacement had nothing to replace */
};
#define VAULT_STORE_INIT ((struct vault_store){.folder = -1})

/* Removes drafts that a crash left. */
int vault_store_open(struct vault_store *store, const char *path, struct err *err) __attribute__((warn_unused_result));
void vault_store_close(struct vault_store *store);

/* Appends the file of that name: 1, 0 when there is none, -1. LIMIT beyond the buffer's cap. */
int vault_store_read(const struct vault_store *store, const char *name, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));
bool vault_store_has(const struct vault_store *store, const char *name);
/* A new file, on disk: 1 made, 0 there is one of that name, -1. */
int vault_store_create(const struct vault_store *store, const char *name, struct str text, struct err *err)
	__attribute__((warn_unused_result));
int vault_store_remove(const struct vault_store *store, const char *name, struct err *err)
	__attribute__((warn_unused_result));

/* After a failure everything is as it was, unless the file system refuses that too. */
int vault_store_replace(struct vault_store *store, struct str text, struct err *err)
	__attribute__((warn_unused_result));
void vault_store_keep(const struct vault_store *store); /* drops the previous generation; nothing to do without one */
void vault_store_undo(const struct vault_store *store); /* brings it back; without one removes the file */
