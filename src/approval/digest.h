/*
 * digest: what an approval is for, as one text and its hash
 *
 * The text is one JSON object in canonical form (RFC 8785), so that two askers of the same make the same bytes:
 *
 *     {"action":…,"action_hash":…,"arguments":{…},"bindings":[{"connector","generation","name"}],"caller":…,
 *      "connectors":[{"hash","name"}],"expires_at_ms":…,"policy":…,"session":…}
 *
 * digest = SHA-256("aileron-approval-1\n" ‖ text). The request key is the same hash of the text without `expires_at_ms`: what is
 * asked for again while it waits is that one. A grant's text has no `arguments`, no `expires_at_ms`, and `hosts` in each
 * connector. Pure; any thread.
 */
#pragma once
#include "approval/run.h"
#include "base/buf.h"

#define APPROVAL_DIGEST    32
#define APPROVAL_BOUND_MAX ((size_t)4 << 20)

struct approval_connector {
	struct str name, hash;
	const struct str *hosts; /* that the action may reach through it */
	size_t n_hosts;
};
struct approval_binding {
	struct str connector, name;
	uint64_t generation;
};
struct approval_parts {
	struct str caller, session;
	struct str action, action_hash;
	const struct approval_connector *connectors;
	size_t n_connectors;
	const struct approval_binding *bindings;
	size_t n_bindings;
	struct str policy;   /* hash of the settings that decide who must approve */
	uint64_t expires_ns; /* Unix */
	struct str args;     /* canonical JSON */
};
enum approval_text { APPROVAL_TEXT_DIGEST, APPROVAL_TEXT_REQUEST, APPROVAL_TEXT_GRANT };
/* Appends; LIMIT when it does not fit. */
int approval_bound(const struct approval_parts *parts, enum approval_text what, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));
void approval_digest(struct str bound, unsigned char ret[APPROVAL_DIGEST]);
#define APPROVAL_DIGEST_TEXT (2 * APPROVAL_DIGEST + 1)
/* The same in lower-case digits; returns ret. */
const char *approval_digest_text(struct str bound, char ret[APPROVAL_DIGEST_TEXT]);

/*
 * Which part of `now` is not as in `then`, in words for a person: "the action's file", "connector 'x'", "binding 'y'" …; "" when
 * nothing is. The text lives in the arena.
 */
struct str approval_difference(struct arena *arena, struct str then, struct str now);
