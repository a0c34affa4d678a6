#include "vault/path.h"
#include "base/ascii.h"
#include "base/err.h"
#include "base/mem.h"

static const char *const scope_names[VAULT_SCOPE__MAX] = {
	[VAULT_SCOPE_BINDING] = "binding",
	[VAULT_SCOPE_AGENT] = "agent",
	[VAULT_SCOPE_USER] = "user",
	[VAULT_SCOPE_SECRET] = "secret",
	[VAULT_SCOPE_CONNECTED_ACCOUNT] = "connected-account",
	[VAULT_SCOPE_LLM_CONFIG] = "llm-config",
	[VAULT_SCOPE_OTHER] = "other",
};

const char *vault_scope_name(enum vault_scope scope)
{
	return scope_names[scope];
}

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || ascii_is_digit(c);
}

/* The first character, then any of those and of `more`. */
static bool is_word(struct str s, bool digit_first, const char *more)
{
	if (s.n == 0 || !is_lower_or_digit(s.p[0]) || (!digit_first && ascii_is_digit(s.p[0])))
		return false;
	for (size_t i = 1; i < s.n; i++) {
		if (!is_lower_or_digit(s.p[i]) && str_find_char(str_from(more), s.p[i]) == STR_NPOS)
			return false;
	}
	return true;
}

bool vault_identity_is_valid(struct str identity)
{
	return identity.n <= VAULT_PATH_MAX && is_word(identity, true, "._-");
}

bool vault_path_is_valid(struct str path)
{
	if (path.n == 0 || path.n > VAULT_PATH_MAX)
		return false;
	for (size_t i = 0; i < path.n; i++) {
		if (path.p[i] <= ' ' || path.p[i] > '~')
			return false;
	}
	size_t start = 0;
	for (size_t i = 0; i <= path.n; i++) {
		if (i < path.n && path.p[i] != '/')
			continue;
		struct str segment = str_slice(path, start, i);
		if (segment.n == 0 || str_eq(segment, S(".")) || str_eq(segment, S("..")))
			return false;
		start = i + 1;
	}
	return true;
}

/* At most three segments; how many there are, 4 for more. */
static size_t split(struct str path, struct str segments[3])
{
	size_t n = 0;
	for (;;) {
		if (n == 3)
			return 4;
		size_t slash = str_find_char(path, '/');
		path = str_cut(path, '/', &segments[n++]);
		if (slash == STR_NPOS)
			return n;
	}
}

bool vault_binding_split(struct str path, struct str *ret_kind, struct str *ret_service, struct str *ret_identity)
{
	struct str segments[3];
	if (path.n > VAULT_PATH_MAX || split(path, segments) != 3 || !is_word(segments[0], false, "_-") ||
	    !vault_identity_is_valid(segments[1]) || !vault_identity_is_valid(segments[2]))
		return false;
	*ret_kind = segments[0];
	*ret_service = segments[1];
	*ret_identity = segments[2];
	return true;
}

static bool is_agent(struct str path)
{
	struct str segments[3];
	return split(path, segments) == 3 && str_eq(segments[0], S("agents")) && segments[1].n > 0 &&
	       is_word(segments[2], true, "_-");
}

static bool is_user(struct str path)
{
	struct str segments[3];
	return split(path, segments) == 2 && str_eq(segments[0], S("user")) && is_word(segments[1], true, "_-");
}

enum vault_scope vault_scope_of(struct str path)
{
	struct str kind, service, identity;
	if (str_starts(path, S("connected-accounts/")))
		return VAULT_SCOPE_CONNECTED_ACCOUNT;
	if (str_starts(path, S("llm-config/")))
		return VAULT_SCOPE_LLM_CONFIG;
	if (str_starts(path, S("secret/")))
		return VAULT_SCOPE_SECRET;
	if (is_agent(path))
		return VAULT_SCOPE_AGENT;
	if (is_user(path))
		return VAULT_SCOPE_USER;
	return vault_binding_split(path, &kind, &service, &identity) ? VAULT_SCOPE_BINDING : VAULT_SCOPE_OTHER;
}

bool vault_scope_is_control_plane(enum vault_scope scope)
{
	return scope == VAULT_SCOPE_CONNECTED_ACCOUNT || scope == VAULT_SCOPE_LLM_CONFIG;
}
