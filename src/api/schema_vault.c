#include "api/schemas.h"

static const char *const vault_states[] = {"missing", "locked", "unlocked", NULL};
static const char *const member_kinds[] = {"passphrase", "key_file", NULL};
static const char *const scopes[] = {"binding",           "agent",      "user",  "secret",
				     "connected-account", "llm-config", "other", NULL};

#define STATUS_FIELDS                                                                                                  \
	FIELD_BOOL("locked", API_REQUIRED, "no secret can be used now"),                                               \
		FIELD_ONE_OF("state", API_REQUIRED, "", vault_states),                                                 \
		FIELD_INT("version", 0, 255, "of the file; absent when there is none"),                                \
		FIELD_STR("vault_id", 0, 64, ""),                                                                      \
		FIELD_INT("generation", 0, API_COUNT_MAX, "of the file: one more with each write"),                    \
		FIELD_INT("entries", 0, API_COUNT_MAX, ""), FIELD_INT("members", 0, API_COUNT_MAX, "who can unlock"),  \
		FIELD_STR("unlocked_at", 0, 0, "RFC 3339; absent while it is locked"),                                 \
		FIELD_INT("auto_lock_ms", 0, API_COUNT_MAX, "idle time until it locks itself; 0 = never"),             \
		FIELD_INT("throttled_ms", 0, API_COUNT_MAX, "until another passphrase is tried"),                      \
		FIELD_STR("device_key_id", 0, 64, "of the key that signs the audit's heads"),                          \
		FIELD_STR("trouble", 0, 64, "the class of why the file cannot be read: \"vault_truncated\"")

const struct api_field api_vault_status[] = {
	STATUS_FIELDS,
	FIELD_END,
};

const struct api_field api_unlock[] = {
	STATUS_FIELDS,
	FIELD_STR("member", 0, 128, "who unlocked it"),
	FIELD_INT("upgraded_from", 0, 255, "the version that the file had"),
	FIELD_STR("backup", 0, 255, "where the file of before the upgrade is kept"),
	FIELD_END,
};

const struct api_field api_vault_nonce[] = {
	FIELD_STR("nonce", API_REQUIRED, 32, "16 bytes, base64: for one sealed message"),
	FIELD_STR("key_id", API_REQUIRED, 16, "16 hex digits: which key of the keeper it is for"),
	FIELD_STR("public_key", API_REQUIRED, 64,
		  "64 hex digits: that key, for the page; the command line reads keeper.pub"),
	FIELD_INT("expires_in", API_REQUIRED, 3600, "seconds"),
	FIELD_END,
};

const struct api_field api_sealed[] = {
	FIELD_SEALED("what a person typed, sealed to the keeper"),
	FIELD_END,
};

const struct api_field api_unlock_request[] = {
	FIELD_SEALED("passphrase or key file"),
	FIELD_BOOL("accept_rollback", 0, "take a file that is older than the last one seen"),
	FIELD_END,
};

const struct api_field api_backups_open[] = {
	FIELD_LIST("backups", API_REQUIRED, 0, "earlier files that the old passphrase still opens"),
	FIELD_END,
};

/* ------------------------------------------------------------------------------------------------------------- entries */

const struct api_field api_metadata[] = {
	FIELD_STR("type", API_REQUIRED, 128, "kind of the value: \"api_key\""),
	FIELD_STR("environment", API_REQUIRED, 128, "\"\" when none was given"),
	FIELD_MAP("labels", API_REQUIRED, 64, ""),
	FIELD_END,
};

static const struct api_field metadata_request[] = {
	FIELD_STR("type", API_REQUIRED, 128, "kind of the value: \"api_key\""),
	FIELD_STR("environment", 0, 128, ""),
	FIELD_MAP("labels", 0, 64, ""),
	FIELD_END,
};

const struct api_field api_entry[] = {
	FIELD_STR("path", API_REQUIRED, API_NAME_MAX, ""),
	FIELD_ONE_OF("scope", API_REQUIRED, "", scopes),
	FIELD_INT("generation", API_REQUIRED, API_COUNT_MAX, "of the file when it was written"),
	FIELD_OBJECT("metadata", API_REQUIRED, "", api_metadata),
	FIELD_BOOL("verified", API_REQUIRED, "the vault is unlocked and this was authenticated"),
	FIELD_END,
};

const struct api_field api_vault_query[] = {
	FIELD_BOOL("include_control_plane", 0, "entries of the program's own too"),
	FIELD_ONE_OF("scope", 0, "only entries of this scope", scopes),
	FIELD_STR("prefix", 0, API_NAME_MAX, "only entries whose path begins with it"),
	FIELD_END,
};

const struct api_field api_vault_list[] = {
	FIELD_OBJECTS("entries", API_REQUIRED, 0, "by path", api_entry),
	FIELD_BOOL("verified", API_REQUIRED, "the vault is unlocked and all of it was authenticated"),
	FIELD_END,
};

const struct api_field api_put_request[] = {
	FIELD_OBJECT("metadata", API_REQUIRED, "bound to the sealed message", metadata_request),
	FIELD_SEALED("the value"),
	FIELD_END,
};

const struct api_field api_put[] = {
	FIELD_STR("path", API_REQUIRED, API_NAME_MAX, ""),
	FIELD_INT("generation", API_REQUIRED, API_COUNT_MAX, "of the file with it"),
	FIELD_END,
};

/* ------------------------------------------------------------------------------------------------- members and backups */

const struct api_field api_member[] = {
	FIELD_STR("name", API_REQUIRED, 128, ""),
	FIELD_ONE_OF("kind", API_REQUIRED, "what unlocks", member_kinds),
	FIELD_STR("created_at", API_REQUIRED, 0, "RFC 3339"),
	FIELD_END,
};

const struct api_field api_member_list[] = {
	FIELD_OBJECTS("members", API_REQUIRED, 0, "", api_member),
	FIELD_END,
};

const struct api_field api_member_request[] = {
	FIELD_STR("name", API_REQUIRED, 128, "of the new member"),
	FIELD_SEALED("the new member's passphrase or key file"),
	FIELD_END,
};

const struct api_field api_member_name[] = {
	FIELD_STR("name", API_REQUIRED, 128, ""),
	FIELD_END,
};

const struct api_field api_file[] = {
	FIELD_STR("file", API_REQUIRED, API_FILE_MAX, "a vault of its own, base64"),
	FIELD_END,
};

const struct api_field api_import_request[] = {
	FIELD_STR("file", API_REQUIRED, API_FILE_MAX, "an export, base64"),
	FIELD_BOOL("replace", 0, "entries that are there take the export's value; else they stay"),
	FIELD_SEALED("the passphrase of the export"),
	FIELD_END,
};

const struct api_field api_import[] = {
	FIELD_INT("added", API_REQUIRED, API_COUNT_MAX, ""),
	FIELD_INT("replaced", API_REQUIRED, API_COUNT_MAX, ""),
	FIELD_INT("kept", API_REQUIRED, API_COUNT_MAX, "that were there already"),
	FIELD_END,
};

const struct api_field api_backup[] = {
	FIELD_STR("name", API_REQUIRED, 255, ""),
	FIELD_INT("bytes", API_REQUIRED, API_COUNT_MAX, ""),
	FIELD_STR("modified_at", API_REQUIRED, 0, "RFC 3339"),
	FIELD_STR("version", API_REQUIRED, 64, "of the file, \"\" when it cannot be told"),
	FIELD_END,
};

const struct api_field api_backup_list[] = {
	FIELD_OBJECTS("backups", API_REQUIRED, 0, "", api_backup),
	FIELD_END,
};

const struct api_field api_tune_request[] = {
	FIELD_INT("target_ms", 0, 10000, "how long unlocking may take; 500 when left out"),
	FIELD_END,
};

const struct api_field api_tune[] = {
	FIELD_INT("t", API_REQUIRED, 16, "passes"),
	FIELD_INT("m_kib", API_REQUIRED, UINT64_C(1) << 20, "memory"),
	FIELD_INT("p", API_REQUIRED, 16, "lanes"),
	FIELD_INT("ms", API_REQUIRED, API_COUNT_MAX, "that it took"),
	FIELD_END,
};
