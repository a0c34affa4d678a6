/*
 * held_connectors: the files of linked connectors, held open between their uses
 *
 * The parent opens a folder's two files when it is used first and watches it from then on; until it says that something
 * changed, or a descriptor shows that its file was replaced, the next use has them without asking. What is behind them is
 * read and hashed at each use all the same (connectors.h). Those that were not used for longest make room. A folder that
 * changed is looked at by a worker at once, so that what depends on it hears of it. Any thread but where said.
 */
#pragma once
#include "artifact/connector_manifest.h"
#include "connector/code_file.h"
#include "control/control.h"

#define HELD_CONNECTORS_MAX 64

struct held_connectors; /* control->held */
struct held_connectors *held_connectors_new(struct control *control)
	__attribute__((warn_unused_result, returns_nonnull));
void held_connectors_free(struct held_connectors *held); /* NULL is fine */

struct held_connector {
	struct str path; /* canonical */
	int manifest_fd, module_fd;
	struct str manifest_bytes;                 /* as they were when it was opened */
	const struct connector_manifest *manifest; /* of these; NULL when they are none */
};
/* Of the folder of that path, as it was linked. Errors of the parent. Held until released. Never on the loop's thread. */
const struct held_connector *held_connector_use(struct held_connectors *held, struct str path, struct err *err)
	__attribute__((warn_unused_result));
void held_connector_release(const struct held_connector *connector); /* NULL is fine */
/*
 * The module as a sealed file in memory, which no write to its folder reaches: a descriptor of the caller's, or -1. It is
 * made when it is asked for first and when the hash is another. HASH_MISMATCH when the file is not what has that hash (any
 * more).
 */
int held_connector_copy(const struct held_connector *connector, struct str manifest, const uint8_t hash[CODE_FILE_HASH],
			struct err *err) __attribute__((warn_unused_result));
/* It is not as it was: the next use opens it anew. */
void held_connector_outdated(const struct held_connector *connector);

/* By the parent: something of that watch changed. On the loop's thread. */
void held_connectors_told(struct held_connectors *held, uint32_t watch);
