/*
 * signer: who holds the key
 *
 * Signing schemes build the text to be signed and hand it to a signer; what comes back is public. Today the key lies in
 * this process (a held_key); a keeper in another process answers the same two questions.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "crypto/digest.h"
#include "crypto/secret.h"

#define SIGNATURE_MAX 64 /* bytes */

enum signing_algorithm { SIGNING_HMAC_SHA256, SIGNING_ED25519 };

/* What an AWS signing key is derived for: secret -> day -> region -> service -> "aws4_request". */
struct sigv4_scope {
	char day[9]; /* "20260701" */
	struct str region, service;
};

struct signer {
	void *context;
	/* HMAC-SHA256 of to_sign under the key of the scope. */
	int (*aws_sigv4)(void *context, const struct sigv4_scope *scope, struct str to_sign,
			 unsigned char ret_mac[SHA256_SIZE], struct err *err);
	/* A signature over the bytes; *ret_n is 32 or 64. */
	int (*sign)(void *context, enum signing_algorithm algorithm, struct str bytes,
		    unsigned char ret_signature[SIGNATURE_MAX], size_t *ret_n, struct err *err);
};

/*
 * A key that this process holds: the secret, borrowed for as long as the held key lives. An Ed25519 key (32 bytes of
 * seed or PKCS#8 in PEM, see crypto/sign.h) is parsed when it first signs and kept; BINDING_FAILED when it is none.
 * One thread at a time.
 */
struct held_key;
struct held_key *held_key_new(const struct secret *secret) __attribute__((warn_unused_result, returns_nonnull));
void held_key_free(struct held_key *held_key); /* NULL is fine */
DEFINE_AUTO(held_key, held_key_free)
struct signer held_key_signer(struct held_key *held_key);
