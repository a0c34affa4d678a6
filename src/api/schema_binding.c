#include "api/schemas.h"

static const char *const kinds[] = {"api_key", "oauth2", "aws_sigv4", "basic", "signing_key", NULL};
static const char *const statuses[] = {"active", "stale", "revoked", NULL};
static const char *const stale_reasons[] = {"scope_drift", "no_grant_record", "refresh_refused", "refresh_lost", NULL};

const struct api_field api_binding[] = {
	FIELD_STR("name", API_REQUIRED, API_NAME_MAX, "<kind>/<service>/<identity>"),
	FIELD_ONE_OF("kind", API_REQUIRED, "", kinds),
	FIELD_STR("service", API_REQUIRED, 128, ""),
	FIELD_STR("identity", API_REQUIRED, 128, ""),
	FIELD_STR("connector_fqn", API_REQUIRED, API_NAME_MAX, ""),
	FIELD_STR("created_at", API_REQUIRED, 0, "RFC 3339"),
	FIELD_ONE_OF("status", API_REQUIRED, "", statuses),
	FIELD_BOOL("verified", API_REQUIRED, "the vault is unlocked and this was authenticated"),
	FIELD_BOOL("consented", API_REQUIRED,
		   "false: of a vault of an earlier version; it is used nowhere before somebody consents to its hosts"),
	FIELD_LIST("hosts", API_REQUIRED, API_LIST_MAX, "\"host:port\" that were consented; [\"*\"] = any public host"),
	FIELD_LIST("allow_private", 0, API_LIST_MAX, "those of them that may be private addresses"),
	FIELD_STR("scope", 0, API_TEXT_MAX, "what was asked for"),
	FIELD_STR("account", 0, API_TEXT_MAX, "whose account it is, for people"),
	FIELD_STR("access_key_id", 0, API_TEXT_MAX, "aws_sigv4"),
	FIELD_STR("region", 0, 128, "aws_sigv4; absent = any"),
	FIELD_STR("username", 0, API_TEXT_MAX, "basic"),
	FIELD_STR("last_used_at", 0, 0, "RFC 3339"),
	FIELD_STR("last_refreshed_at", 0, 0, "RFC 3339"),
	FIELD_BOOL("refresh_token_present", 0, "oauth2"),
	FIELD_LIST("granted_scopes", 0, API_LIST_MAX, "oauth2"),
	FIELD_ONE_OF("stale_reason", 0, "", stale_reasons),
	FIELD_LIST("missing_scopes", 0, API_LIST_MAX, ""),
	FIELD_END,
};

const struct api_field api_binding_query[] = {
	FIELD_STR("connector_fqn", 0, API_NAME_MAX, "only this connector's"),
	FIELD_ONE_OF("kind", 0, "only of this kind", kinds),
	FIELD_END,
};

const struct api_field api_binding_list[] = {
	FIELD_OBJECTS("items", API_REQUIRED, 0, "by name", api_binding),
	FIELD_BOOL("verified", API_REQUIRED, "the vault is unlocked and all of it was authenticated"),
	FIELD_END,
};

/* The kind is free text here: whoever names an unknown one is told `unsupported_kind`. */
const struct api_field api_source[] = {
	FIELD_STR("kind", API_REQUIRED, 64, "must be what the connector declares"),
	FIELD_SEALED("the value and the consent"),
	FIELD_STR("access_key_id", 0, API_TEXT_MAX, "aws_sigv4; rebind without it keeps the old one"),
	FIELD_STR("region", 0, 128, "aws_sigv4: the one region that it serves"),
	FIELD_STR("username", 0, API_TEXT_MAX, "basic"),
	FIELD_END,
};

const struct api_field api_setup_item[] = {
	FIELD_STR("identity", API_REQUIRED, 128, "who one is at the service: \"work\""),
	FIELD_STR("service", 0, 128, "the repository of the FQN when left out"),
	FIELD_STR("account", 0, API_TEXT_MAX, "whose account it is, for people"),
	FIELD_OBJECT("source", API_REQUIRED, "", api_source),
	FIELD_END,
};

const struct api_field api_setup_request[] = {
	FIELD_STR("connector_fqn", API_REQUIRED, API_NAME_MAX, ""),
	FIELD_OBJECTS("bindings", API_REQUIRED, 64, "made in order; the first error ends it", api_setup_item),
	FIELD_BOOL("skip_existing", 0, "those that are there are left alone; true when left out"),
	FIELD_END,
};

const struct api_field api_setup[] = {
	FIELD_OBJECTS("created", API_REQUIRED, 64, "", api_binding),
	FIELD_LIST("skipped", 0, 64, "names that were there"),
	FIELD_END,
};

const struct api_field api_rebind_request[] = {
	FIELD_OBJECT("source", API_REQUIRED, "", api_source),
	FIELD_END,
};

/* ------------------------------------------------------------------------------------------------------------- OAuth 2 */

static const char *const purposes[] = {"reauthorize", NULL};
static const char *const callers[] = {"cli", "daemon", NULL};
static const char *const flows[] = {"code", "device", NULL};
static const char *const poll_states[] = {"pending", "complete", NULL};

const struct api_field api_oauth_request[] = {
	FIELD_STR("connector_fqn", API_REQUIRED, API_NAME_MAX, ""),
	FIELD_STR("identity", API_REQUIRED, 128, ""),
	FIELD_STR("service", 0, 128, "the repository of the FQN when left out"),
	FIELD_STR("account", 0, API_TEXT_MAX, ""),
	FIELD_ONE_OF("purpose", 0, "reauthorize: the binding is there", purposes),
	FIELD_ONE_OF("caller", 0, "who the browser is sent back to; daemon when left out", callers),
	FIELD_STR("return_to", 0, API_TEXT_MAX, "caller daemon: a loopback URL to end at"),
	FIELD_STR("redirect_uri", 0, API_TEXT_MAX, "caller cli: its own loopback listener"),
	FIELD_ONE_OF("flow", 0, "code when left out", flows),
	FIELD_STR("code_challenge", 0, 128, "flow code: S256 of the sealed verifier"),
	FIELD_SEALED("verifier (flow code) or passphrase (device), with the consent"),
	FIELD_END,
};

const struct api_field api_oauth[] = {
	FIELD_STR("session_id", API_REQUIRED, 64, "43 characters; 10 minutes, once"),
	FIELD_STR("authorize_url", 0, 8192, "flow code: where the browser goes"),
	FIELD_STR("redirect_uri", 0, API_TEXT_MAX, "flow code: where it comes back to"),
	FIELD_STR("user_code", 0, 64, "flow device: to be typed at verification_uri"),
	FIELD_STR("verification_uri", 0, API_TEXT_MAX, "flow device"),
	FIELD_STR("verification_uri_complete", 0, API_TEXT_MAX, "flow device: with the code in it"),
	FIELD_INT("interval", 0, 3600, "flow device: seconds between two polls"),
	FIELD_INT("expires_in", 0, 86400, "flow device: seconds"),
	FIELD_END,
};

const struct api_field api_oauth_finish[] = {
	FIELD_STR("session_id", API_REQUIRED, 64, ""),
	FIELD_STR("code", API_REQUIRED, 8192, "of the redirect"),
	FIELD_STR("state", API_REQUIRED, 64, "of the redirect"),
	FIELD_END,
};

/* What servers add beside these (iss, scope, session_state …) is ignored. */
const struct api_field api_oauth_query[] = {
	FIELD_STR("state", 0, 64, ""),
	FIELD_STR("code", 0, 8192, ""),
	FIELD_STR("error", 0, API_TEXT_MAX, ""),
	FIELD_STR("error_description", 0, API_TEXT_MAX, ""),
	FIELD_END,
};

const struct api_field api_oauth_poll[] = {
	FIELD_STR("session_id", API_REQUIRED, 64, ""),
	FIELD_END,
};

const struct api_field api_oauth_polled[] = {
	FIELD_ONE_OF("status", API_REQUIRED, "", poll_states),
	FIELD_INT("interval", 0, 3600, "pending: seconds until the next poll"),
	FIELD_OBJECT("binding", 0, "complete", api_binding),
	FIELD_END,
};
