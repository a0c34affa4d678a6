/*
 * content_hash: the name of a connector by its content
 *
 * SHA-256 over the bytes of connector.wasm, immediately followed by those of manifest.toml (docs/formats/manifest.md).
 * The module is read in pieces, so that its size is nobody's memory. Of the last few small ones the bytes are kept: one that
 * is read again and is the same byte for byte is not digested again. Any thread.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "crypto/digest.h"

/*
 * Reads the whole module, by offset: several may read one descriptor. RESOURCE_LIMIT_EXCEEDED (`limit` = compile) when it is
 * larger than LIMIT_MODULE, SYSTEM when it cannot be read. `path` is for messages.
 */
int content_hash(int fd, const char *path, struct str manifest, uint8_t ret[SHA256_SIZE], struct err *err)
	__attribute__((warn_unused_result));

/*
 * The module as a sealed file in memory, which nobody can change any more, for the compiler: HASH_MISMATCH when it is not
 * (any more) the one with that content hash. Returns a descriptor or -1.
 */
int content_copy(int fd, const char *path, struct str manifest, const uint8_t hash[SHA256_SIZE], struct err *err)
	__attribute__((warn_unused_result));
