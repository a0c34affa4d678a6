/*
 * httpsig: HTTP Message Signatures (RFC 9421) for requests
 *
 * Covered components: the derived ones of requests ("@method", "@target-uri", "@authority", "@scheme",
 * "@request-target",
 * "@path", "@query", "@query-param";name="x") and header fields, which must be on the message; "content-digest" is made
 * (RFC 9530, sha-256) when it is covered and absent. Of component parameters only `name` is accepted: `sf`, `key`,
 * `bs`, `req` and `tr` are refused. Components are written as in Signature-Input, with or without their quotes.
 *
 * Names and label are structured field values (RFC 8941); what does not fit is refused when the signature is made.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "egress/message.h"
#include "egress/signer.h"

#define HTTPSIG_COMPONENTS_MAX 64

/* Parameters in the order that `order` gives: a run of the letters c (created), k (keyid), a (alg); NULL means "cka".
 */
struct httpsig_options {
	struct str label; /* "" = "sig1" */
	const struct str *components;
	size_t n_components;
	enum signing_algorithm algorithm;
	struct str key_id; /* "" leaves the parameter out */
	uint64_t created;  /* seconds since 1970 */
	const char *order;
};

struct httpsig_signature {
	struct str signature_input; /* Signature-Input */
	struct str signature;       /* Signature */
	struct str content_digest;  /* Content-Digest to be added; "" when it need not be */
};

/* VALIDATION_ERROR when a component is malformed, repeated, unknown or not on the message; what the signer says. */
int httpsig_sign(struct arena *arena, const struct message *message, const struct httpsig_options *options,
		 const struct signer *signer, struct httpsig_signature *ret, struct err *err)
	__attribute__((warn_unused_result));

/* The signature base (RFC 9421 2.5) and the parameters that it ends with, which follow "label=" in Signature-Input. */
struct httpsig_base {
	struct str base;
	struct str params;
	struct str content_digest;
};
int httpsig_make_base(struct arena *arena, const struct message *message, const struct httpsig_options *options,
		      struct httpsig_base *ret, struct err *err) __attribute__((warn_unused_result));

/* "ed25519" or "hmac-sha256", as manifests and the alg parameter spell them. */
bool httpsig_algorithm_named(struct str name, enum signing_algorithm *ret);
