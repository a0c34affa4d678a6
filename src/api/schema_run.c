#include "api/schemas.h"

#define ARGS_MAX     64
#define WAIT_MAX     60000
#define REASON_MAX   2000
#define CALL_ID_MAX  64
#define ID_MAX       64
#define ATTEMPTS_MAX 1000

static const char *const states[] = {"pending_approval", "awaiting_vault", "queued",          "running",
				     "completed",        "failed",         "denied",          "expired",
				     "refused",          "cancelled",      "outcome_unknown", NULL};
static const char *const effects[] = {"read", "write", "destructive", "unknown", NULL};
static const char *const pins[] = {"match", "differs", "unpinned", NULL};
static const char *const confirms[] = {"none", "passphrase", NULL};
static const char *const kinds[] = {"action", NULL};

const struct api_field api_run_caller[] = {
	FIELD_STR("id", API_REQUIRED, 128, "\"user\", or an agent's"),
	FIELD_STR("name", API_REQUIRED, 128, "for people"),
	FIELD_END,
};

const struct api_field api_run_attempt[] = {
	FIELD_STR("step", API_REQUIRED, 0, ""),
	FIELD_INT("attempt", API_REQUIRED, API_COUNT_MAX, "from 1"),
	FIELD_STR("connector", API_REQUIRED, 0, ""),
	FIELD_STR("content_hash", API_REQUIRED, 0, "of what ran"),
	FIELD_STR("op", API_REQUIRED, 0, ""),
	FIELD_ONE_OF("effect", API_REQUIRED, "as the action says", effects),
	FIELD_STR("binding", 0, 0, "that it could use"),
	FIELD_STR("started_at", API_REQUIRED, 0, "on disk before anything was sent"),
	FIELD_STR("ended_at", 0, 0, ""),
	FIELD_STR("class", 0, 0, "of how it failed"),
	FIELD_END,
};

const struct api_field api_run[] = {
	FIELD_STR("id", API_REQUIRED, 0, "a ULID"),
	FIELD_ONE_OF("state", API_REQUIRED, "docs/formats/run.md", states),
	FIELD_STR("action", API_REQUIRED, 0, ""),
	FIELD_STR("action_version", API_REQUIRED, 0, ""),
	FIELD_STR("action_hash", API_REQUIRED, 0, "of the action's file"),
	FIELD_OBJECT("caller", API_REQUIRED, "who asked", api_run_caller),
	FIELD_STR("session", 0, 0, ""),
	FIELD_STR("working_dir", 0, 0, "of who asked"),
	FIELD_ANY("args", API_REQUIRED, "as validated"),
	FIELD_STR("approval_id", 0, 0, ""),
	FIELD_STR("grant_id", 0, 0, "under which it ran, or that was made with its approval"),
	FIELD_BOOL("edited", API_REQUIRED, "a person changed the arguments"),
	FIELD_STR("requested_at", API_REQUIRED, 0, ""),
	FIELD_STR("expires_at", 0, 0, ""),
	FIELD_STR("decided_at", 0, 0, ""),
	FIELD_STR("claimed_at", 0, 0, "from when on it ran"),
	FIELD_STR("ended_at", 0, 0, ""),
	FIELD_STR("decided_by", 0, 0, ""),
	FIELD_STR("reason", 0, 0, "why it was denied, or what part was refused"),
	FIELD_ANY("output", 0, "of the last step"),
	FIELD_ANY("steps", 0, "what each step put out, by its id"),
	FIELD_ANY("error", 0, "the failure, as in the failure envelope; details.ran is yes, no or maybe"),
	FIELD_STR("audit_id", 0, 0, "of the event that says how it ended"),
	FIELD_OBJECTS("attempts", 0, ATTEMPTS_MAX, "of one that is shown; a list has none", api_run_attempt),
	FIELD_END,
};

const struct api_field api_run_query[] = {
	FIELD_ONE_OF("state", 0, "", states),
	FIELD_STR("action", 0, API_NAME_MAX, ""),
	FIELD_STR("caller", 0, 128, "its id"),
	FIELD_STR("session", 0, ID_MAX, ""),
	FIELD_STR("since", 0, 64, "only those asked for at or after this time, RFC 3339"),
	FIELD_STR("before", 0, ID_MAX, "a run's id: only older ones"),
	FIELD_INT("limit", API_POSITIVE, 1000, "100 when left out"),
	FIELD_END,
};

const struct api_field api_run_list[] = {
	FIELD_OBJECTS("items", API_REQUIRED, 1000, "without outputs and attempts", api_run),
	FIELD_END,
};

const struct api_field api_run_request[] = {
	FIELD_ANY("args", 0, "the action's inputs"),
	FIELD_STR("call_id", 0, CALL_ID_MAX, "of the caller's making: the same one again gives the same run"),
	FIELD_STR("run_id", 0, ID_MAX, "a run of the action's instead: it is waited for, and nothing is asked for"),
	FIELD_BOOL("dry_run", 0, "tell what would be asked and run; nothing is"),
	FIELD_INT("wait_ms", 0, WAIT_MAX, "how long to wait for a person and the end; not at all while 8 requests do"),
	FIELD_END,
};

const struct api_field api_run_call[] = {
	FIELD_STR("id", API_REQUIRED, 0, "of the step"),
	FIELD_STR("op", API_REQUIRED, 0, ""),
	FIELD_ONE_OF("effect", API_REQUIRED, "", effects),
	FIELD_STR("connector", API_REQUIRED, 0, ""),
	FIELD_STR("publisher", 0, 0, ""),
	FIELD_STR("content_hash", API_REQUIRED, 0, "of what would run"),
	FIELD_ONE_OF("pinned", API_REQUIRED, "against what the action's file says", pins),
	FIELD_BOOL("linked", API_REQUIRED, ""),
	FIELD_BOOL("signed", API_REQUIRED, ""),
	FIELD_LIST("hosts", API_REQUIRED, API_LIST_MAX, "that it can reach; \"*\" any public host"),
	FIELD_STR("binding", 0, 0, "whose credential it uses"),
	FIELD_STR("credential", 0, 0, "its kind"),
	FIELD_STR("identity", 0, 0, "whose it is"),
	FIELD_ANY("arguments", API_REQUIRED, "what earlier steps put in stands as \"(from step X)\""),
	FIELD_END,
};

const struct api_field api_input_field[] = {
	FIELD_STR("label", API_REQUIRED, 0, ""),
	FIELD_STR("value", 0, 0, ""),
	FIELD_BOOL("missing", 0, ""),
	FIELD_BOOL("multiline", 0, ""),
	FIELD_END,
};

static const struct api_field dry_run_preview[] = {
	FIELD_STR("op", API_REQUIRED, 0, "of the first step's connector"),
	FIELD_LIST("labels", API_REQUIRED, API_LIST_MAX, "of what a person would be shown"),
	FIELD_ANY("arguments", 0, "that it would be called with"),
	FIELD_STR("problem", 0, 0, "why it would not be called"),
	FIELD_END,
};

const struct api_field api_run_result[] = {
	FIELD_STR("status", 0, 0, "completed or pending_approval"),
	FIELD_STR("state", 0, 0, "of one that has not ended: pending_approval, awaiting_vault, queued or running"),
	FIELD_STR("action", API_REQUIRED, 0, ""),
	FIELD_STR("run_id", 0, 0, ""),
	FIELD_ANY("output", 0, "of the last step"),
	FIELD_ANY("steps", 0, "what each step put out, by its id"),
	FIELD_STR("approval_id", 0, 0, ""),
	FIELD_STR("message", 0, 0, "what to tell the person"),
	FIELD_STR("review_url", 0, 0, ""),
	FIELD_BOOL("dry_run", 0, "true: nothing was run, and what follows is what would be"),
	FIELD_ANY("args", 0, "as validated"),
	FIELD_BOOL("gated", 0, "a person would be asked"),
	FIELD_BOOL("editable", 0, "and could change the arguments with the approval"),
	FIELD_INT("expires_in_s", 0, API_COUNT_MAX, "how long that person would have"),
	FIELD_OBJECTS("calls", 0, ARGS_MAX, "", api_run_call),
	FIELD_OBJECTS("fields", 0, API_LIST_MAX, "the arguments as rows", api_input_field),
	FIELD_OBJECT("preview", 0, "what the service would be asked first, for that person", dry_run_preview),
	FIELD_END,
};

const struct api_field api_preview[] = {
	FIELD_OBJECTS("fields", 0, API_LIST_MAX, "data of the service, never markup", api_input_field),
	FIELD_STR("unavailable", 0, 0, "why there is none"),
	FIELD_END,
};

const struct api_field api_pending[] = {
	FIELD_STR("id", API_REQUIRED, 0, "\"act-\", the time, 16 hex digits"),
	FIELD_ONE_OF("kind", API_REQUIRED, "", kinds),
	FIELD_ONE_OF("state", API_REQUIRED, "of its run", states),
	FIELD_STR("run_id", API_REQUIRED, 0, ""),
	FIELD_STR("action_name", API_REQUIRED, 0, ""),
	FIELD_STR("title", API_REQUIRED, 0, "of the action"),
	FIELD_STR("connector_fqn", 0, 0, "of the first step"),
	FIELD_ANY("args", API_REQUIRED, "as validated"),
	FIELD_STR("session_id", 0, 0, ""),
	FIELD_BOOL("session_ended", 0, "it refuses nothing, and is worth knowing"),
	FIELD_STR("working_dir", 0, 0, "of who asks"),
	FIELD_STR("requested_at", API_REQUIRED, 0, ""),
	FIELD_STR("expires_at", API_REQUIRED, 0, ""),
	FIELD_STR("decided_at", 0, 0, ""),
	FIELD_STR("decided_by", 0, 0, ""),
	FIELD_STR("reason", 0, 0, ""),
	FIELD_OBJECT("caller", API_REQUIRED, "who asks", api_run_caller),
	FIELD_BOOL("edited", API_REQUIRED, ""),
	FIELD_BOOL("editable", API_REQUIRED, "its arguments may be changed with the approval"),
	FIELD_BOOL("grantable", API_REQUIRED, "it can be allowed for 15 minutes"),
	FIELD_ONE_OF("confirm", API_REQUIRED, "what an approval must carry", confirms),
	FIELD_BOOL("vault_locked", API_REQUIRED, "it needs the vault, which is locked"),
	FIELD_OBJECTS("steps", API_REQUIRED, ARGS_MAX, "", api_run_call),
	FIELD_OBJECTS("input_fields", 0, API_LIST_MAX, "the arguments as rows", api_input_field),
	FIELD_OBJECT("preview", 0, "what the service says; not there while it is fetched", api_preview),
	FIELD_BOOL("preview_awaited", 0, "the service is still to be asked for it"),
	FIELD_STR("problem", 0, 0, "why the steps cannot be shown"),
	FIELD_STR("digest", API_REQUIRED, 64, "SHA-256 of all that an approval is for"),
	FIELD_END,
};

const struct api_field api_pending_list[] = {
	FIELD_OBJECTS("items", API_REQUIRED, API_LIST_MAX, "newest first", api_pending),
	FIELD_INT("awaiting_vault", API_REQUIRED, API_COUNT_MAX, "were approved and wait for the vault to be unlocked"),
	FIELD_END,
};

const struct api_field api_decision[] = {
	FIELD_BOOL("approved", API_REQUIRED, ""),
	FIELD_STR("reason", 0, REASON_MAX, "of a denial: told to who asked"),
	FIELD_ANY("edited_payload", 0, "arguments in the place of those that were asked for"),
	FIELD_BOOL("grant", 0, "allow the action for 15 minutes in that session"),
	FIELD_STR("nonce", 0, 64, "not read: the sealed message names its own"),
	FIELD_STR("sealed", 0, API_SEALED_MAX, "base64; the passphrase, for the operation approval.decide"),
	FIELD_END,
};

const struct api_field api_approval_result[] = {
	FIELD_ONE_OF("status", API_REQUIRED, "", states),
	FIELD_STR("audit_id", 0, 0, ""),
	FIELD_STR("result", 0, 0, "JSON as text: {\"action\",\"output\",\"steps\"}"),
	FIELD_STR("reason", 0, 0, ""),
	FIELD_ANY("failure", 0, "as in the failure envelope"),
	FIELD_END,
};

const struct api_field api_grant[] = {
	FIELD_STR("id", API_REQUIRED, 0, ""),
	FIELD_STR("action", API_REQUIRED, 0, ""),
	FIELD_STR("caller", API_REQUIRED, 0, ""),
	FIELD_STR("caller_name", API_REQUIRED, 0, "of the agent"),
	FIELD_STR("session", 0, 0, ""),
	FIELD_STR("issued_at", API_REQUIRED, 0, ""),
	FIELD_STR("expires_at", API_REQUIRED, 0, ""),
	FIELD_ANY("bound", API_REQUIRED,
		  "file, connectors with their hashes and hosts, bindings: a change ends its use"),
	FIELD_END,
};

const struct api_field api_grant_list[] = {
	FIELD_OBJECTS("items", API_REQUIRED, API_LIST_MAX, "newest first", api_grant),
	FIELD_END,
};
