/*
 * path: the names of entries, and what they are for
 *
 * `<kind>/<service>/<identity>` is a binding; `agents/<name>/<purpose>`, `user/<service>`, `secret/<name>`,
 * `connected-accounts/…` and `llm-config/…` are the other scopes; a path that begins with `_` is never a binding.
 */
#pragma once
#include "base/str.h"

#define VAULT_PATH_MAX 256

enum vault_scope {
	VAULT_SCOPE_BINDING,
	VAULT_SCOPE_AGENT,
	VAULT_SCOPE_USER,
	VAULT_SCOPE_SECRET,
	VAULT_SCOPE_CONNECTED_ACCOUNT,
	VAULT_SCOPE_LLM_CONFIG,
	VAULT_SCOPE_OTHER,
	VAULT_SCOPE__MAX
};
const char *vault_scope_name(enum vault_scope scope); /* "binding", "agent", "user", "secret", "connected-account", … */
enum vault_scope vault_scope_of(struct str path);
bool vault_scope_is_control_plane(enum vault_scope scope);
bool vault_path_is_valid(struct str path); /* 1 to VAULT_PATH_MAX printable ASCII, no empty, "." or ".." segment */
/* The three segments of a binding's name; false when it is none. */
bool vault_binding_split(struct str path, struct str *ret_kind, struct str *ret_service, struct str *ret_identity);
bool vault_identity_is_valid(struct str identity); /* also of a service */
