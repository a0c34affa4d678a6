/*
 * held_key: a secret that signs
 *
 * Whoever holds the secret (the keeper, or egress in the developer's harness) signs with it for those who may not see it:
 * they build the text, and what comes back is public.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "crypto/digest.h"
#include "crypto/secret.h"

#define SIGNATURE_MAX 64 /* bytes */

enum signing_algorithm { SIGNING_HMAC_SHA256, SIGNING_ED25519, SIGNING__MAX };

/* What an AWS signing key is derived for: secret -> day -> region -> service -> "aws4_request". */
struct sigv4_scope {
	char day[9]; /* "20260701" */
	struct str region, service;
};

/*
 * The secret is borrowed for as long as the held key lives. An Ed25519 key (32 bytes of seed or PKCS#8 in PEM, see
 * crypto/sign.h) is parsed when it first signs and kept; BINDING_FAILED when it is none. One thread at a time.
 */
struct held_key;
struct held_key *held_key_new(const struct secret *secret) __attribute__((warn_unused_result, returns_nonnull));
void held_key_free(struct held_key *held_key); /* NULL is fine */
DEFINE_AUTO(held_key, held_key_free)

/* HMAC-SHA256 of to_sign under the key of the scope (AWS Signature Version 4). */
int held_key_aws_sigv4(struct held_key *held_key, const struct sigv4_scope *scope, struct str to_sign,
		       unsigned char ret_mac[SHA256_SIZE], struct err *err) __attribute__((warn_unused_result));
/* A signature over the bytes; *ret_n is 32 or 64. */
int held_key_sign(struct held_key *held_key, enum signing_algorithm algorithm, struct str bytes,
		  unsigned char ret_signature[SIGNATURE_MAX], size_t *ret_n, struct err *err)
	__attribute__((warn_unused_result));
