/*
 * connectors: which there are, and one opened for use
 *
 * A linked connector is a folder of its author's, under its manifest's own name or local://user/<name>. Nothing of it is
 * believed from one use to the next: each use reads the manifest, hashes both files, and tells when the hash is not the one
 * that was seen last. The files are opened by the parent, and held between uses (held_connectors.h). Worker threads; strings
 * live in the arena.
 */
#pragma once
#include "artifact/connector_manifest.h"
#include "connector/code_file.h"
#include "control/control.h"

#define CONNECTOR_LOCAL_PREFIX "local://user/" /* names that the person gives, whatever the manifest says */

struct connector_row {
	struct str fqn, path, name, content_hash, version;
	struct str manifest; /* text as last seen */
	uint64_t linked_ns;
	uint64_t last_used_ns; /* 0 = never */
};
struct connector_rows {
	struct connector_row *items;
	size_t n;
};
/* By FQN. */
int connectors_list(struct db_tx *tx, struct arena *arena, struct connector_rows *ret, struct err *err)
	__attribute__((warn_unused_result));
/* By FQN or by the short name it was linked as. CONNECTOR_NOT_INSTALLED; VALIDATION_ERROR for a name that several have. */
int connectors_find(struct control *control, struct arena *arena, struct str fqn, struct connector_row *ret,
		    struct err *err) __attribute__((warn_unused_result));

struct connector_opened {
	struct connector_row row; /* as it was before this use; `manifest` and `last_used_ns` may be absent */
	struct str path;          /* canonical */
	struct str manifest_bytes;
	const struct connector_manifest *manifest;
	int module_fd;
	uint8_t hash[CODE_FILE_HASH];
	struct str content_hash; /* "sha256:…" */
	bool changed;            /* not what the last use found */

	const struct held_connector *held;       /* whose the descriptor is; NULL: it is our own */
	bool pinned;                             /* it is our own all the same: of a copy */
	struct connector_manifest *own_manifest; /* NULL: it is the held one's */
};
/* A folder that need not be linked; `row` stays empty. Errors of the parent (what is wrong with the folder) and the manifest. */
int connector_open_folder(struct control *control, struct arena *arena, struct str path, struct connector_opened *ret,
			  struct err *err) __attribute__((warn_unused_result));
/*
 * A linked one. A change is written down, told in the audit and held against its bindings' scopes before this returns.
 * CONFLICT when its manifest has another name than it was linked under, unless that is a local:// one.
 */
int connector_open(struct control *control, struct arena *arena, struct str fqn, struct connector_opened *ret,
		   struct err *err) __attribute__((warn_unused_result));
/*
 * From now on `module_fd` is of a sealed copy of what was hashed: however its file is written to, these bytes are used.
 * HASH_MISMATCH when they are gone already. Of a linked one; twice is fine.
 */
int connector_pin(struct connector_opened *opened, struct err *err) __attribute__((warn_unused_result));
void connector_close(struct connector_opened *opened); /* safe on {.module_fd = -1} and twice */
#define CONNECTOR_OPENED_INIT ((struct connector_opened){.module_fd = -1})
#define AUTO_CONNECTOR        __attribute__((cleanup(connector_close))) struct connector_opened
