/*
 * fqn: the name of an artifact, and where it comes from (docs/formats/manifest.md)
 *
 *     fqn = scheme "://" owner "/" repo [ "/" subpath ]         github://acme/stripe-connector
 *     ref = fqn "@" version                                     github://acme/stripe-connector@1.2.0
 *
 * Schemes: github, gitlab, hub, local. Owner and segments are letters, digits and "-._~" of ASCII and not "." or "..",
 * so ports, queries, fragments, escapes, empty segments and '@' are refused. A local name is local://user/NAME with
 * NAME matching ^[a-z0-9][a-z0-9._-]{0,62}$ and no subpath. Nothing is normalised: the raw text is what is printed,
 * compared and stored. Parts are views into the text. No allocation; any thread.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "text/semver.h"

#define FQN_MAX ((size_t)512) /* characters of an FQN */

enum fqn_scheme { FQN_GITHUB, FQN_GITLAB, FQN_HUB, FQN_LOCAL, FQN_SCHEME__MAX };
const char *fqn_scheme_name(enum fqn_scheme scheme);

struct fqn {
	struct str raw;
	enum fqn_scheme scheme;
	struct str owner;
	struct str repo;
	struct str subpath;         /* segments joined by '/'; empty = none */
	struct str authority;       /* scheme://owner/repo */
	struct str owner_authority; /* scheme://owner */
};

struct fqn_ref {
	struct str raw;
	struct fqn fqn;
	struct semver version;
};

/* VALIDATION_ERROR that quotes the text and says which rule it breaks. */
int fqn_parse(struct str text, struct fqn *ret, struct err *err) __attribute__((warn_unused_result));
/* Split at the last '@'; both parts are required. */
int fqn_ref_parse(struct str text, struct fqn_ref *ret, struct err *err) __attribute__((warn_unused_result));
