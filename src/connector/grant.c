#include "connector/grant.h"

bool grant_is_permissive(const struct connector_manifest *manifest)
{
	return str_eq(manifest->origin, S("local")) && !manifest->has_network;
}

bool grant_has_network(const struct connector_manifest *manifest)
{
	return manifest->hosts.n > 0 || grant_is_permissive(manifest);
}

struct egress_grant grant_make(const struct connector_manifest *manifest, const struct call_limits *limits,
			       const struct credential *credential, struct grant_openings openings)
{
	const struct manifest_credential *declared = &manifest->credential;
	struct egress_grant grant = {
		.connector = manifest->name,
		.version = manifest->version,
		.permissive = grant_is_permissive(manifest),
		.hosts = manifest->hosts.items,
		.n_hosts = manifest->hosts.n,
		.openings = openings.items,
		.n_openings = openings.n,
		.request_max = (uint32_t)limits->request_body,
		.response_max = (uint32_t)limits->response_body,
		.declared = declared->present ? declared->kind : CREDENTIAL_NONE,
		.header = declared->header,
		.format = declared->format,
		.service = declared->service,
		.region = declared->region,
		.access_key_id = declared->access_key_id,
		.algorithm = declared->algorithm,
		.key_id = declared->key_id,
		.label = declared->label,
		.components = declared->components.items,
		.n_components = declared->components.n,
		.binding = BINDING_NO_RESOLVER,
	};
	if (credential == NULL)
		return grant;
	grant.binding = credential->binding;
	grant.bound = credential->kind;
	grant.binding_error = credential->error;
	grant.username = credential->username.n > 0 ? credential->username : declared->username;
	grant.bound_region = credential->region;
	grant.bound_access_key_id = credential->access_key_id;
	grant.pool = credential->pool;
	grant.secret = credential->secret;
	return grant;
}
