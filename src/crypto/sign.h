/*
 * sign: Ed25519 (RFC 8032, pure)
 *
 * A key is made once from its secret and then signs without parsing again; it keeps its private part in OpenSSL's
 * secure heap (locked, left out of dumps) and wipes it when freed. Signing and verifying with one key may happen on
 * several threads at once.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/secret.h"

#define ED25519_SEED_SIZE      32
#define ED25519_PUBLIC_SIZE    32
#define ED25519_SIGNATURE_SIZE 64

struct sign_key;

/*
 * From exactly 32 bytes of seed, or from a PKCS#8 PEM text (RFC 8410, "-----BEGIN PRIVATE KEY-----", either version of
 * the structure, not encrypted). VALIDATION_ERROR for anything else; the message quotes nothing of it. The secret is
 * not kept.
 */
struct sign_key *sign_key_new(const struct secret *secret, struct err *err) __attribute__((warn_unused_result));
void sign_key_free(struct sign_key *key); /* NULL is fine */
DEFINE_AUTO(sign_key, sign_key_free)

void sign_key_public(const struct sign_key *key, unsigned char ret[ED25519_PUBLIC_SIZE]);
void sign_message(const struct sign_key *key, struct str message, unsigned char ret[ED25519_SIGNATURE_SIZE]);

/* False for a signature that does not verify, and for a key or signature of the wrong length or not on the curve. */
bool sign_verify(struct str public_key, struct str message, struct str signature);
