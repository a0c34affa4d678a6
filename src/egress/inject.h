/*
 * inject: the credential goes onto the request
 *
 * A guest marks a request with the kind of its own declared credential; it never sees the secret. inject_check() is the
 * table of checks, inject_apply() makes the headers by kind:
 *
 *     oauth2       Authorization: Bearer <secret>
 *     api_key      <header or Authorization>: <format or "Bearer {key}">, every {key} replaced by the secret
 *     basic        Authorization: Basic base64(<username>:<secret>), RFC 7617; the binding's username, else the manifest's
 *     aws_sigv4    X-Amz-Date, X-Amz-Content-Sha256, Authorization (egress/sigv4)
 *     signing_key  Signature-Input, Signature, and Content-Digest when it is covered and absent (egress/httpsig)
 *
 * An injected header replaces the guest's of the same name (without case). Each hop is injected anew, and only while
 * the origin is the first one's. Values with the secret in them lie in secret memory; the others in the arena.
 *
 * Checks in order, details beside `connector`. Messages are complete, "http_request: " included; the boundary is sandbox.
 *
 *     1 manifest declares none     CAPABILITY_DENIED        requested "credential:<asked>", boundary_detail
 *                                                           connector_manifest
 *     2 another kind is declared   CAPABILITY_DENIED        requested, declared, boundary_detail connector_manifest
 *     3 nobody could be asked      BINDING_REQUIRED         capability_kind, boundary_detail action
 *     4 nothing is bound           BINDING_REQUIRED         the same; binding_error is the message when it is given
 *     5 the bound kind differs     CAPABILITY_DENIED        capability_kind, boundary_detail vault
 *     6 resolving failed           CONNECTOR_RUNTIME_ERROR  "http_request: resolve credential: <binding_error>"
 *     7 by kind: BINDING_REQUIRED with `field` when the username or access key id is missing; CAPABILITY_DENIED when no
 *       scope can be had for aws_sigv4; BINDING_FAILED when the secret cannot stand in a header or is no such key
 *
 * No error carries a byte of the secret.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "crypto/secret.h"
#include "egress/egress_protocol.h"
#include "egress/message.h"
#include "egress/signer.h"

#define INJECTED_MAX 4

struct injected_header {
	struct str name;
	struct str plain;      /* the value, when `secret` is NULL */
	struct str signature;  /* the part of `plain` with which the request could be sent again */
	struct secret *secret; /* the whole value; as `signature`, to be struck out of answers (egress/scrub) */
};

struct injection {
	struct injected_header headers[INJECTED_MAX];
	size_t n;
};
void injection_release(struct injection *injection);

/* Steps 1 to 6 for the kind that the envelope asks for (not empty). */
int inject_check(const struct egress_grant *grant, struct str asked, struct err *err)
	__attribute__((warn_unused_result));

struct inject_options {
	const struct signer *signer; /* NULL: the grant's secret signs, parsed anew */
	uint64_t now;                /* wall clock, nanoseconds since 1970 */
};

/* Step 7. Needs a grant that passed inject_check(). Release the result, which borrows from arena, grant and message. */
int inject_apply(struct arena *arena, const struct egress_grant *grant, const struct message *message,
		 const struct inject_options *options, struct injection *ret, struct err *err)
	__attribute__((warn_unused_result));
