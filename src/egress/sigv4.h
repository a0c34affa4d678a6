/*
 * sigv4: AWS Signature Version 4 in the Authorization header
 *
 * After AWS's "Signing and authenticating REST requests" (IAM user guide, "AWS Signature Version 4 for API requests"):
 * canonical request, string to sign, chained HMAC-SHA256. Every header of the message is signed. Path segments are
 * encoded twice and normalised, for service s3 once and as they are sent. A '+' in the query is a plus.
 *
 * Service and region come from the request's host; what binding and manifest say is used only when the host does not
 * tell, and only when both are known. Long-lived keys only: no session token.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "egress/message.h"
#include "egress/signer.h"

/*
 * Reads region and service from a host: the first label like "us-east-1" or "us-gov-west-1" is the region, the nearest
 * label before it that is not "dualstack", without "-fips", the service. A port behind the host is ignored. False when
 * there is no such label or none before it. The results are lower-case only when `host` is.
 */
bool sigv4_host_scope(struct str host, struct str *ret_region, struct str *ret_service);

struct sigv4_options {
	struct str access_key_id;                     /* not empty */
	struct str fallback_region, fallback_service; /* for hosts that do not tell */
	uint64_t now;                                 /* wall clock, nanoseconds since 1970 */
};

struct sigv4_signature {
	struct str date;          /* X-Amz-Date */
	struct str payload_hash;  /* X-Amz-Content-Sha256, hex */
	struct str authorization; /* Authorization */
};

/*
 * Signs the message as it will be sent, with X-Amz-Date and X-Amz-Content-Sha256 set by us (the message's own and its
 * Authorization are replaced, so not signed). CAPABILITY_DENIED, boundary_detail connector_manifest, when there is no
 * scope; whatever the signer says. Results live in the arena.
 */
int sigv4_sign(struct arena *arena, const struct message *message, const struct sigv4_options *options,
	       const struct signer *signer, struct sigv4_signature *ret, struct err *err)
	__attribute__((warn_unused_result));

/* What differs between services in how a path is written: both for all but s3, which has neither. */
enum sigv4_path {
	SIGV4_PATH_AS_SENT = 0,
	SIGV4_PATH_NORMALISED = 1, /* without empty and dot segments */
	SIGV4_PATH_TWICE = 2,      /* encoded a second time */
};

/*
 * The canonical request of a message with exactly these headers and Host. LIMIT when it passes SIGV4_CANONICAL_MAX.
 * sigv4_sign() adds its own headers first; apart for tests against AWS's published examples.
 */
#define SIGV4_CANONICAL_MAX ((size_t)8 << 20)
struct sigv4_canonical {
	struct str request;
	struct str signed_headers; /* "host;x-amz-date" */
};
int sigv4_canonicalise(struct arena *arena, const struct message *message, struct str payload_hash, unsigned path,
		       struct sigv4_canonical *ret, struct err *err) __attribute__((warn_unused_result));
