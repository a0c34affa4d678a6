#include "api/schemas.h"

static const char *const health_values[] = {"ok", "degraded", "down", NULL};
static const char *const vault_states[] = {"missing", "locked", "unlocked", NULL};
static const char *const roles[] = {"parent", "control", "keeper", "egress", "runner", NULL};
static const char *const session_states[] = {"running", "ended", "orphaned", NULL};

const struct api_field api_health[] = {
	FIELD_ONE_OF("status", API_REQUIRED, "degraded while a process of the daemon is missing", health_values),
	FIELD_STR("service", API_REQUIRED, 0, "\"aileron\""),
	FIELD_STR("version", API_REQUIRED, 0, "of the daemon's programs"),
	FIELD_INT("api_revision", API_REQUIRED, API_COUNT_MAX, "what X-Aileron-Api says"),
	FIELD_STR("instance_id", API_REQUIRED, 0, "32 hex digits, new at every start; the same as in daemon.json"),
	FIELD_STR("timestamp", API_REQUIRED, 0, "now, RFC 3339"),
	FIELD_END,
};

const struct api_field api_confinement[] = {
	FIELD_LIST("proof", API_REQUIRED, 0, "what the process tried and how it was refused, one line each"),
	FIELD_LIST("missing", 0, 0, "boundaries that this machine lacks and the user goes without"),
	FIELD_END,
};

const struct api_field api_process[] = {
	FIELD_ONE_OF("role", API_REQUIRED, "which process of the daemon", roles),
	FIELD_BOOL("running", API_REQUIRED, "whether it lives"),
	FIELD_BOOL("silent", 0, "true: it hangs; when it goes on like that it is ended and started again"),
	FIELD_INT("pid", 0, API_COUNT_MAX, "its process id"),
	FIELD_INT("restarts", API_REQUIRED, API_COUNT_MAX, "how often it was started again"),
	FIELD_STR("started_at", 0, 0, "RFC 3339"),
	FIELD_STR("last_end", 0, 0, "how the one before it ended: \"signal 9 (Killed)\""),
	FIELD_OBJECT("confinement", 0, "absent until it has proven itself", api_confinement),
	FIELD_END,
};

const struct api_field api_runner[] = {
	FIELD_INT("pid", API_REQUIRED, API_COUNT_MAX, "its process id"),
	FIELD_STR("connector", API_REQUIRED, API_NAME_MAX, "whose code it runs"),
	FIELD_STR("content_hash", API_REQUIRED, 0, "\"sha256:\" and 64 hex digits"),
	FIELD_INT("calls", API_REQUIRED, API_COUNT_MAX, "that it has served"),
	FIELD_OBJECT("confinement", 0, "", api_confinement),
	FIELD_END,
};

static const struct api_field runner_crashes[] = {
	FIELD_INT("count", API_REQUIRED, API_COUNT_MAX, "runners that ended by themselves since control was started"),
	FIELD_STR("last_connector", 0, API_NAME_MAX, "whose code the last of them ran; absent when it compiled"),
	FIELD_STR("last_end", 0, 0, "how the last of them ended: \"signal 9 (Killed)\""),
	FIELD_STR("last_at", 0, 0, "when, RFC 3339"),
	FIELD_END,
};

static const struct api_field audit_counts[] = {
	FIELD_INT("events", API_REQUIRED, API_COUNT_MAX, "stored"),
	FIELD_INT("last_seq", API_REQUIRED, API_COUNT_MAX, "0 = none"),
	FIELD_END,
};

const struct api_field api_status[] = {
	FIELD_STR("version", API_REQUIRED, 0, ""),
	FIELD_INT("api_revision", API_REQUIRED, API_COUNT_MAX, ""),
	FIELD_STR("instance_id", API_REQUIRED, 0, "32 hex digits"),
	FIELD_STR("started_at", API_REQUIRED, 0, "RFC 3339"),
	FIELD_STR("listen_addr", API_REQUIRED, 0, "\"127.0.0.1:PORT\""),
	FIELD_STR("state_dir", API_REQUIRED, API_FOLDER_MAX, "~/.aileron, or AILERON_HOME"),
	FIELD_INT("action_count", API_REQUIRED, API_COUNT_MAX, "installed actions"),
	FIELD_INT("approval_count", API_REQUIRED, API_COUNT_MAX, "that wait for a person"),
	FIELD_INT("connector_count", API_REQUIRED, API_COUNT_MAX, "linked and installed"),
	FIELD_INT("binding_count", API_REQUIRED, API_COUNT_MAX, ""),
	FIELD_INT("session_count", API_REQUIRED, API_COUNT_MAX, "that are running"),
	FIELD_INT("awaiting_vault_count", API_REQUIRED, API_COUNT_MAX, "approved runs that wait for it to be unlocked"),
	FIELD_ONE_OF("vault_state", API_REQUIRED, "the same as vault.state", vault_states),
	FIELD_OBJECT("vault", API_REQUIRED, "", api_vault_status),
	FIELD_OBJECT("audit", API_REQUIRED, "", audit_counts),
	FIELD_OBJECTS("processes", API_REQUIRED, API_LIST_MAX, "each with its proof", api_process),
	FIELD_OBJECTS("runners", API_REQUIRED, API_LIST_MAX, "", api_runner),
	FIELD_OBJECT("runner_crashes", API_REQUIRED, "", runner_crashes),
	FIELD_END,
};

const struct api_field api_check[] = {
	FIELD_STR("name", API_REQUIRED, 0, "what was looked at: \"database\""),
	FIELD_BOOL("ok", API_REQUIRED, ""),
	FIELD_STR("summary", API_REQUIRED, 0, "what was found"),
	FIELD_STR("advice", 0, 0, "how to mend it"),
	FIELD_END,
};

const struct api_field api_doctor[] = {
	FIELD_BOOL("ok", API_REQUIRED, "every check is"),
	FIELD_OBJECTS("checks", API_REQUIRED, API_LIST_MAX, "", api_check),
	FIELD_END,
};

/* ------------------------------------------------------------------------------------------------------- person tokens */

const struct api_field api_code[] = {
	FIELD_STR("code", API_REQUIRED, 128, "to be exchanged once, from a page of our own origin"),
	FIELD_STR("expires_at", API_REQUIRED, 0, "RFC 3339"),
	FIELD_END,
};

const struct api_field api_code_request[] = {
	FIELD_STR("code", API_REQUIRED, 128, "of `aileron open`"),
	FIELD_END,
};

const struct api_field api_token[] = {
	FIELD_STR("token", API_REQUIRED, 0, "for Authorization: Bearer"),
	FIELD_INT("id", API_REQUIRED, API_COUNT_MAX, "its number, which is no secret: what a proof is asked for by"),
	FIELD_STR("expires_at", API_REQUIRED, 0, "RFC 3339; it ends with the daemon, too"),
	FIELD_END,
};

const struct api_field api_proof_request[] = {
	FIELD_INT("id", API_REQUIRED, API_COUNT_MAX, "of the token"),
	FIELD_STR("nonce", API_REQUIRED, 64, "32 random bytes, in hex"),
	FIELD_END,
};

const struct api_field api_proof[] = {
	FIELD_STR("proof", API_REQUIRED, 0,
		  "in hex: HMAC-SHA256, keyed with the SHA-256 of the token, of 'aileron-person-proof-1', the nonce's "
		  "bytes and the daemon's host:port"),
	FIELD_END,
};

/* ------------------------------------------------------------------------------------------------------------ sessions */

#define SESSION_FIELDS                                                                                                 \
	FIELD_STR("id", API_REQUIRED, 0, "a ULID"), FIELD_STR("started_at", API_REQUIRED, 0, "RFC 3339"),              \
		FIELD_STR("ended_at", API_REQUIRED | API_NULLABLE, 0, "null while it runs"),                           \
		FIELD_STR("agent", API_REQUIRED, 64, "whose it is"),                                                   \
		FIELD_STR("working_dir", API_REQUIRED, API_FOLDER_MAX, "\"\" when it was not said"),                   \
		FIELD_INT("exit_code", API_REQUIRED | API_NULLABLE, 255, "null when it is not known"),                 \
		FIELD_ONE_OF("status", API_REQUIRED, "orphaned: ended without an exit code", session_states),          \
		FIELD_BOOL("is_agent", 0, "true: an agent over HTTP, its own session until it is revoked")

const struct api_field api_session[] = {
	SESSION_FIELDS,
	FIELD_END,
};

static const struct api_field session_gateway[] = {
	FIELD_STR("capability", API_REQUIRED, 0, "lets requests of this session through the gateway; a secret"),
	FIELD_STR("anthropic_url", API_REQUIRED, 0, "base URL of Anthropic's API"),
	FIELD_STR("openai_url", API_REQUIRED, 0, "base URL of OpenAI's API"),
	FIELD_END,
};

const struct api_field api_session_new[] = {
	SESSION_FIELDS,
	FIELD_STR("caveat_token", API_REQUIRED, 0, "the session's own token: what it may, and no more"),
	FIELD_OBJECT("gateway", API_REQUIRED, "where its agent finds providers of models", session_gateway),
	FIELD_END,
};

const struct api_field api_session_request[] = {
	FIELD_STR("agent", API_REQUIRED, 64, "whose session it is"),
	FIELD_STR("working_dir", 0, API_FOLDER_MAX, "where it works"),
	FIELD_END,
};

const struct api_field api_session_query[] = {
	FIELD_BOOL("active_only", 0, "only those that run"),
	FIELD_STR("agent", 0, 64, "only those of this agent"),
	FIELD_STR("since", 0, 64, "only those started at or after this time, RFC 3339"),
	FIELD_INT("limit", API_POSITIVE, 1000, "100 when left out"),
	FIELD_END,
};

const struct api_field api_session_list[] = {
	FIELD_OBJECTS("items", API_REQUIRED, 0, "newest first", api_session),
	FIELD_END,
};

const struct api_field api_session_end[] = {
	FIELD_INT("exit_code", API_NULLABLE, 255, "null or absent when it is not known"),
	FIELD_END,
};
