/*
 * signer: who holds the key
 *
 * Signing schemes build the text to be signed and hand it to a signer; what comes back is public. Today the key lies in
 * this process (signer_of_secret()); a keeper in another process answers the same two questions.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "crypto/secret.h"

#define SIGNATURE_MAX 64 /* bytes */

enum signing_algorithm { SIGNING_HMAC_SHA256, SIGNING_ED25519 };

/* What an AWS signing key is derived for: secret -> day -> region -> service -> "aws4_request". */
struct sigv4_scope {
	char day[9]; /* "20260701" */
	struct str region, service;
};

struct signer {
	const void *context;
	/* HMAC-SHA256 of to_sign under the key of the scope. */
	int (*aws_sigv4)(const void *context, const struct sigv4_scope *scope, struct str to_sign,
			 unsigned char ret_mac[32], struct err *err);
	/* A signature over the bytes; *ret_n is 32 or 64. */
	int (*sign)(const void *context, enum signing_algorithm algorithm, struct str bytes,
		    unsigned char ret_signature[SIGNATURE_MAX], size_t *ret_n, struct err *err);
};

/*
 * A signer whose key is this secret, which must outlive it. For SIGNING_ED25519 the secret is a private key: the 32
 * bytes of RFC 8032, or PKCS#8 in PEM or DER. BINDING_FAILED when it is neither.
 */
struct signer signer_of_secret(const struct secret *secret);
