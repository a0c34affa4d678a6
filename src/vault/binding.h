/*
 * binding: what a binding's metadata and consent say, made alike by whoever seals and by control
 *
 * Both are canonical JSON (text/canonical.h), so that the associated data of a sealed message (vault/sealed.h) is the same on
 * both sides. Metadata is {"environment":"","labels":{…},"type":"<kind>"}; labels hold what is not empty of these fields,
 * by the names of reference 1.6. The keeper adds created_at, status and the rest.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct binding_fields {
	struct str kind, connector_fqn, service, identity;
	struct str account, access_key_id, region, username, scope; /* "" = not given */
};
void binding_metadata_put(struct buf *out, const struct binding_fields *fields);
/*
 * INVALID_REQUEST when what stands beside the value can be put on no request: a user name with ':' or a control character (RFC
 * 7617), a region or access key id with other characters than the scope of a signature can have.
 */
int binding_fields_check(const struct binding_fields *fields, struct err *err) __attribute__((warn_unused_result));
/* The service of a binding: the one given, else the repository of the connector's name, else its owner. Borrowed from them. */
struct str binding_service(struct str connector_fqn, struct str given);
/* "<kind>/<service>/<identity>"; INVALID_IDENTITY when a part is no valid name. */
int binding_name_put(struct buf *out, const struct binding_fields *fields, struct err *err)
	__attribute__((warn_unused_result));

struct binding_consent {
	const struct str *hosts; /* "host:port"; {"*"} = any public host */
	size_t n_hosts;
	const struct str *allow_private;
	size_t n_allow_private;
	/* oauth2 */
	struct str authorize_url, token_url, device_authorization_url, client_id, client_secret;
	const struct str *scopes;
	size_t n_scopes;
};
/* Lists are sorted and freed of repetitions; "" members are left out. */
void binding_consent_put(struct buf *out, const struct binding_consent *consent);
/* Strings and lists in `arena`; VALIDATION_ERROR when it is not exactly of that form. */
int binding_consent_get(struct arena *arena, struct str text, struct binding_consent *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Whether "host:port" (case-folded) is among the hosts, or they are {"*"}. */
bool binding_consent_allows(const struct binding_consent *consent, struct str host_port);

/*
 * Which credential a binding is, as one number that JSON holds exactly: that of its value, which every new value changes. A token
 * that the keeper renews is the same authorization: of an oauth2 binding it is made of when it was bound, its account, its
 * scopes in any order, and what was consented to.
 */
struct binding_version {
	struct str kind;
	uint64_t generation, created_at; /* Unix seconds */
	struct str account, granted_scopes;
	const struct binding_consent *consent;
};
uint64_t binding_version_number(const struct binding_version *version);
