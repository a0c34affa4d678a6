/*
 * signer: who signs
 *
 * Signing schemes build the text to be signed and hand it to a signer; what comes back is public. Under the developer's
 * harness the key lies in this process (a held_key); in the daemon the keeper has it (egress/permit), which answers the
 * same two questions.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "crypto/held_key.h"

struct signer {
	void *context;
	/* HMAC-SHA256 of to_sign under the key of the scope. */
	int (*aws_sigv4)(void *context, const struct sigv4_scope *scope, struct str to_sign,
			 unsigned char ret_mac[SHA256_SIZE], struct err *err);
	/* A signature over the bytes; *ret_n is 32 or 64. */
	int (*sign)(void *context, enum signing_algorithm algorithm, struct str bytes,
		    unsigned char ret_signature[SIGNATURE_MAX], size_t *ret_n, struct err *err);
};

/* The key that signs stays the caller's and must outlive the signer. */
struct signer held_key_signer(struct held_key *held_key);
