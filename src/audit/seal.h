/*
 * seal: a signed head, as a line of an export
 *
 *     {"checkpoint":{"hash":"…","public_key":"…","seq":1000,"signature":"…"}}
 *     {"head":{"count":1234,"hash":"…","public_key":"…","seq":1234,"signature":"…"}}
 *
 * Hashes, keys and signatures are lower-case hex digits. The count of a checkpoint is its seq and is not written.
 */
#pragma once
#include "audit/audit.h"
#include "crypto/digest.h"
#include "crypto/sign.h"

struct audit_seal {
	bool is_head;
	uint64_t seq, count;
	unsigned char hash[SHA256_SIZE];
	unsigned char public_key[ED25519_PUBLIC_SIZE];
	unsigned char signature[ED25519_SIGNATURE_SIZE];
};

void audit_seal_put(struct buf *out, const struct audit_seal *seal); /* without a newline */
/* Whether the text is a seal, written in the one way there is. */
bool audit_seal_read(struct str text, struct audit_seal *ret);
bool audit_seal_verify(const struct audit_seal *seal); /* under its own key */
/* From a row of seq, hash, public_key, signature. False, with ret->seq filled, when a column has not its size. */
bool audit_seal_of_row(const struct db_stmt *stmt, struct audit_seal *ret);
