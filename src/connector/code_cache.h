/*
 * code_cache: compiled code that is kept between runs
 *
 * A folder that only its owner may enter (0700, checked at every opening) holds one file an entry, written to a temporary
 * name, sealed (code_file.h), synced and renamed, so that a reader sees a whole entry or none. The name is the content hash
 * and the beginning of the engine's fingerprint; what is in the file is checked by the runner that loads it, which says
 * when an entry is damaged or stale: it is then removed and made again. Several processes may use one folder; a lock file
 * orders storing and removing. When the entries pass the cache's size, the least recently used go.
 *
 * Any thread, several at a time; several caches of one folder are fine.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "connector/code_file.h"
#include "os/file.h"

#define CODE_CACHE_MAX (UINT64_C(1) << 30) /* bytes of all entries */

struct code_cache;

/* `folder` NULL: "compiled" where file_cache_path() says. It is made when it is missing. */
struct code_cache *code_cache_open(const char *folder, uint64_t max_bytes, struct err *err)
	__attribute__((warn_unused_result));
void code_cache_free(struct code_cache *cache); /* NULL is fine */
DEFINE_AUTO(code_cache, code_cache_free)

/* An entry, open for reading, or -1 when there is none that could be used. It counts as used now. */
int code_cache_find(struct code_cache *cache, const uint8_t content_hash[CODE_FILE_HASH],
		    enum runner_strategy strategy);
/* Removes an entry that is damaged or stale; nothing when there is none. */
void code_cache_remove(struct code_cache *cache, const uint8_t content_hash[CODE_FILE_HASH],
		       enum runner_strategy strategy);

/* An empty file for the compiler to write to; ends with file_draft_release() in any case. */
int code_cache_begin(struct code_cache *cache, struct file_draft *draft, struct err *err)
	__attribute__((warn_unused_result));
/* Seals what was written and makes it the entry, in the place of an older one. */
int code_cache_store(struct code_cache *cache, struct file_draft *draft, const uint8_t content_hash[CODE_FILE_HASH],
		     enum runner_strategy strategy, struct err *err) __attribute__((warn_unused_result));
