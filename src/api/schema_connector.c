#include "api/schemas.h"

#define CONNECTOR_FIELDS                                                                                               \
	FIELD_STR("fqn", API_REQUIRED, API_NAME_MAX, "github://acme/notes, local://user/notes"),                       \
		FIELD_STR("version", API_REQUIRED, 128, "as its manifest says"),                                       \
		FIELD_STR("publisher", 0, API_TEXT_MAX, "as its manifest says"),                                       \
		FIELD_BOOL("linked", API_REQUIRED, "a folder of its author, read anew at each use"),                   \
		FIELD_BOOL("signed", API_REQUIRED, ""),                                                                \
		FIELD_STR("path", API_REQUIRED, API_FOLDER_MAX, "the folder; \"\" when it is installed"),              \
		FIELD_STR("content_hash", API_REQUIRED, 80, "\"sha256:\" and 64 hex digits"),                          \
		FIELD_STR("credential_kind", 0, 64, "absent when it asks for none"),                                   \
		FIELD_STR("linked_at", API_REQUIRED, 0, "RFC 3339"), FIELD_STR("last_used_at", 0, 0, "RFC 3339")

/* As the last use found it. */
const struct api_field api_connector[] = {
	CONNECTOR_FIELDS,
	FIELD_END,
};

const struct api_field api_connector_list[] = {
	FIELD_OBJECTS("items", API_REQUIRED, 0, "by FQN", api_connector),
	FIELD_END,
};

const struct api_field api_oauth2[] = {
	FIELD_STR("authorize_url", 0, API_TEXT_MAX, ""),
	FIELD_STR("token_url", API_REQUIRED, API_TEXT_MAX, ""),
	FIELD_STR("device_authorization_url", 0, API_TEXT_MAX, ""),
	FIELD_STR("client_id", API_REQUIRED, API_TEXT_MAX, ""),
	FIELD_STR("client_secret", 0, API_TEXT_MAX, "as the manifest publishes it: no secret"),
	FIELD_LIST("scopes", API_REQUIRED, API_LIST_MAX, "that are asked for"),
	FIELD_END,
};

const struct api_field api_credential[] = {
	FIELD_STR("kind", API_REQUIRED, 64, ""),
	FIELD_STR("scope", 0, API_TEXT_MAX, "what it is for, in prose"),
	FIELD_STR("header", 0, API_TEXT_MAX, "where it is put"),
	FIELD_STR("format", 0, API_TEXT_MAX, "and how"),
	FIELD_STR("service", 0, API_TEXT_MAX, "aws_sigv4"),
	FIELD_STR("region", 0, API_TEXT_MAX, "aws_sigv4"),
	FIELD_STR("access_key_id", 0, API_TEXT_MAX, "aws_sigv4"),
	FIELD_STR("username", 0, API_TEXT_MAX, "basic"),
	FIELD_STR("algorithm", 0, API_TEXT_MAX, "signing_key"),
	FIELD_STR("key_id", 0, API_TEXT_MAX, "signing_key"),
	FIELD_STR("label", 0, API_TEXT_MAX, "signing_key"),
	FIELD_LIST("components", 0, API_LIST_MAX, "signing_key: what of a request is signed"),
	FIELD_OBJECT("oauth2", 0, "oauth2", api_oauth2),
	FIELD_END,
};

/* Absent = the default holds. */
const struct api_field api_limits[] = {
	FIELD_INT("memory_bytes", 0, API_COUNT_MAX, ""),
	FIELD_INT("wall_time_ms", 0, API_COUNT_MAX, ""),
	FIELD_END,
};

const struct api_field api_spawn_program[] = {
	FIELD_STR("path", API_REQUIRED, API_FOLDER_MAX, ""),
	FIELD_STR("hash", 0, 80, ""),
	FIELD_END,
};

const struct api_field api_spawn_operation[] = {
	FIELD_STR("name", API_REQUIRED, API_TEXT_MAX, ""),
	FIELD_STR("argv", API_REQUIRED, API_FOLDER_MAX, ""),
	FIELD_STR("description", 0, API_TEXT_MAX, ""),
	FIELD_END,
};

const struct api_field api_spawn[] = {
	FIELD_OBJECTS("programs", API_REQUIRED, API_LIST_MAX, "", api_spawn_program),
	FIELD_OBJECTS("operations", API_REQUIRED, API_LIST_MAX, "", api_spawn_operation),
	FIELD_LIST("env_passthrough", API_REQUIRED, API_LIST_MAX, "variables of the user's that they see"),
	FIELD_LIST("credential_env_keys", API_REQUIRED, API_LIST_MAX, "variables that carry the credential"),
	FIELD_LIST("fs_read", API_REQUIRED, API_LIST_MAX, "paths that they read"),
	FIELD_LIST("fs_write", API_REQUIRED, API_LIST_MAX, "paths that they write"),
	FIELD_STR("cwd", 0, API_FOLDER_MAX, ""),
	FIELD_INT("max_stdout_bytes", API_REQUIRED, API_COUNT_MAX, ""),
	FIELD_INT("max_stderr_bytes", API_REQUIRED, API_COUNT_MAX, ""),
	FIELD_END,
};

/* All that a person consents to. */
const struct api_field api_connector_full[] = {
	CONNECTOR_FIELDS,
	FIELD_BOOL("changed", API_REQUIRED, "its content is not what the last use found"),
	FIELD_BOOL("any_public_host", API_REQUIRED, "it has no list: consent is for {\"*\"}"),
	FIELD_LIST("hosts", API_REQUIRED, API_LIST_MAX, "\"host:port\" that it may reach, as its manifest spells them"),
	FIELD_OBJECT("credential", 0, "absent when it asks for none", api_credential),
	FIELD_LIST("imports", 0, API_LIST_MAX, "host functions that it may use; absent = all"),
	FIELD_OBJECT("limits", 0, "that it sets itself", api_limits),
	FIELD_OBJECT("spawn", 0, "programs that it starts", api_spawn),
	FIELD_LIST("intents", 0, API_LIST_MAX, ""),
	FIELD_STR("idempotency", 0, 64, ""),
	FIELD_STR("forwarder", 0, API_TEXT_MAX, ""),
	FIELD_END,
};

const struct api_field api_link_request[] = {
	FIELD_STR("path", API_REQUIRED, API_FOLDER_MAX, "an absolute folder with manifest.toml and connector.wasm"),
	FIELD_STR("name", 0, 76, "link it as local://user/NAME instead of under the manifest's name; NAME is enough"),
	FIELD_END,
};

const struct api_field api_unlink[] = {
	FIELD_STR("fqn", API_REQUIRED, API_NAME_MAX, ""),
	FIELD_LIST("bindings", API_REQUIRED, 0, "that stay: revoke them when they are not wanted"),
	FIELD_END,
};

const struct api_field api_call_request[] = {
	FIELD_STR("op", API_REQUIRED, API_TEXT_MAX, "the operation"),
	FIELD_ANY("args", 0, "its arguments; {} when left out"),
	FIELD_INT("timeout_ms", 0, 300000, "a shorter wall time"),
	FIELD_BOOL("trace", 0, "with the host calls, one line each"),
	FIELD_END,
};

const struct api_field api_log_line[] = {
	FIELD_STR("level", API_REQUIRED, 0, ""),
	FIELD_STR("message", API_REQUIRED, 0, "scrubbed of the call's secrets"),
	FIELD_END,
};

const struct api_field api_trace_line[] = {
	FIELD_STR("text", API_REQUIRED, 0, ""),
	FIELD_INT("us", API_REQUIRED, API_COUNT_MAX, ""),
	FIELD_END,
};

const struct api_field api_report[] = {
	FIELD_INT("total_us", API_REQUIRED, API_COUNT_MAX, ""),
	FIELD_INT("instantiate_us", API_REQUIRED, API_COUNT_MAX, ""),
	FIELD_INT("run_us", API_REQUIRED, API_COUNT_MAX, ""),
	FIELD_INT("requests", API_REQUIRED, API_COUNT_MAX, "that it sent"),
	FIELD_INT("request_us", API_REQUIRED, API_COUNT_MAX, "and how long they took in all"),
	FIELD_INT("memory_peak", API_REQUIRED, API_COUNT_MAX, "bytes of linear memory"),
	FIELD_BOOL("warm", API_REQUIRED, "its runner was there"),
	FIELD_STR("content_hash", API_REQUIRED, 80, "what ran"),
	FIELD_BOOL("linked", API_REQUIRED, ""),
	FIELD_BOOL("changed", API_REQUIRED, "what ran is not what the last use found"),
	FIELD_STR("previous_hash", 0, 80, "what the last use found, when it `changed`"),
	FIELD_INT("logs_dropped", API_REQUIRED, API_COUNT_MAX, ""),
	FIELD_OBJECTS("logs", API_REQUIRED, 0, "", api_log_line),
	FIELD_INT("traces_dropped", 0, API_COUNT_MAX, "with `trace`"),
	FIELD_OBJECTS("trace", 0, 0, "when it was asked for", api_trace_line),
	FIELD_END,
};

const struct api_field api_call[] = {
	FIELD_ANY("output", API_REQUIRED, "what the connector answered"),
	FIELD_STR("audit_id", API_REQUIRED, 64, "of the event that says how it ended"),
	FIELD_OBJECT("report", API_REQUIRED, "", api_report),
	FIELD_END,
};
