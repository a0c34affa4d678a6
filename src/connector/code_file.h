/*
 * code_file: compiled code on disk, checked before it is mapped for execution
 *
 * The file is the engine's compiled code (an ELF image) and behind it a trailer, which the engine does not look at:
 *
 *     offset  0  "AILCODE1"
 *             8  u64 length of the code = length of the file - CODE_FILE_TRAILER (little-endian, as all integers)
 *            16  XXH3-128 of the code, in its canonical (big-endian) form
 *            32  SHA-256 of the module that it was compiled from: its content hash
 *            64  fingerprint: engine, its configuration, its strategy, the processor
 *
 * The checksum is against damage. Against an attacker stands the 0700 directory in which the files lie: whoever can
 * write there is the user. SHA-256 would cost ten times as much at each start and add nothing to that.
 *
 * Both functions work on a descriptor that stays the caller's; its offset does not matter and does not move. Any
 * thread.
 */
#pragma once
#include "base/err.h"
#include "connector/runner_protocol.h"
#include <stdint.h>

#define CODE_FILE_TRAILER 96
#define CODE_FILE_HASH    32

/*
 * Appends the trailer to a file that holds the bare code, and nothing else yet. LIMIT when it is empty or larger than
 * LIMIT_COMPILED_CODE, SYSTEM when it cannot be mapped or written. Does not sync and does not rename.
 */
int code_file_seal(int fd, const uint8_t content_hash[CODE_FILE_HASH], const uint8_t fingerprint[CODE_FILE_HASH],
		   struct err *err) __attribute__((warn_unused_result));

/*
 * Whether the file is whole and is what is wanted. HASH_MISMATCH otherwise, with details.reason:
 *   damaged_code  length, magic, checksum or content hash is wrong: delete the file and compile again
 *   stale_code    sound, but made for another engine, configuration, strategy or processor: the same
 */
int code_file_check(int fd, const uint8_t content_hash[CODE_FILE_HASH], const uint8_t fingerprint[CODE_FILE_HASH],
		    struct err *err) __attribute__((warn_unused_result));

/* What compiled code depends on besides the module. The same in the parent and the runner on one machine. */
void connector_code_fingerprint(enum runner_strategy strategy, uint8_t ret[CODE_FILE_HASH]);
