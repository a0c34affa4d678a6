/*
 * grant: what one call may reach, made of the manifest, the user's openings and what stands bound
 *
 * Everything is borrowed: the grant lives as long as what it is made of.
 */
#pragma once
#include "artifact/connector_manifest.h"
#include "base/str.h"
#include "connector/call_limits.h"
#include "crypto/secret.h"
#include "egress/egress_protocol.h"

/* The credential of a call, as whoever resolved it says. All zero is: nobody could be asked. */
struct credential {
	enum egress_binding binding;
	enum credential_kind kind;
	struct str error; /* the message for BINDING_MISSING and BINDING_FAILED */
	struct str username, region, access_key_id;
	struct str pool; /* a name for the credential: connections are shared by those of one name */
	const struct secret *secret;
};

struct grant_openings {
	const struct egress_opening *items;
	size_t n;
};

/* `limits` are resolved; credential may be NULL. */
struct egress_grant grant_make(const struct connector_manifest *manifest, const struct call_limits *limits,
			       const struct credential *credential, struct grant_openings openings);

/* A local connector without a network table may reach any public host. */
bool grant_is_permissive(const struct connector_manifest *manifest);
/* Whether a call can reach anything at all. */
bool grant_has_network(const struct connector_manifest *manifest);
