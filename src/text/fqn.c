#include "text/fqn.h"
#include "base/ascii.h"
#include "base/escape.h"

#define LOCAL_NAME_MAX 63

static const char *const scheme_names[FQN_SCHEME__MAX] = {
	[FQN_GITHUB] = "github",
	[FQN_GITLAB] = "gitlab",
	[FQN_HUB] = "hub",
	[FQN_LOCAL] = "local",
};

const char *fqn_scheme_name(enum fqn_scheme scheme)
{
	return (unsigned)scheme < FQN_SCHEME__MAX ? scheme_names[scheme] : "";
}

static bool is_lower_or_digit(char c)
{
	return ascii_is_lower(c) || ascii_is_digit(c);
}

/* What RFC 3986 calls unreserved. */
static bool is_name_char(char c)
{
	return is_lower_or_digit(c) || ascii_is_upper(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static int refuse(struct str text, struct err *err, const char *why)
{
	char shown[ESCAPE_SHOWN_SIZE];
	return fail(err, ERR_VALIDATION_ERROR, "'%s' is not an FQN: %s", escape_shown(text, shown), why);
}

/* Why no other character than those of a name and '/' may stand behind the scheme. */
static const char *why_not(char c)
{
	switch (c) {
	case '@':
		return "it contains '@'; the version is given apart";
	case ':':
		return "the owner cannot have a port";
	case '?':
		return "it cannot have a query";
	case '#':
		return "it cannot have a fragment";
	case '%':
		return "it cannot have percent escapes";
	default:
		return "only letters, digits, '-', '.', '_' and '~' of ASCII may stand in owner and path";
	}
}

static int check_characters(struct str text, struct str behind_scheme, struct err *err)
{
	for (size_t i = 0; i < behind_scheme.n; i++) {
		char c = behind_scheme.p[i];
		if (!is_name_char(c) && c != '/')
			return refuse(text, err, why_not(c));
	}
	return 0;
}

static int take_scheme(struct str text, struct fqn *fqn, struct str *ret_rest, struct err *err)
{
	size_t at = str_find(text, S("://"));
	if (at == STR_NPOS)
		return refuse(text, err, "it must begin with github://, gitlab://, hub:// or local://");
	struct str name = str_slice(text, 0, at);
	for (int i = 0; i < FQN_SCHEME__MAX; i++) {
		if (str_eq(name, str_from(scheme_names[i]))) {
			fqn->scheme = (enum fqn_scheme)i;
			*ret_rest = str_slice(text, at + 3, text.n);
			return 0;
		}
	}
	char shown[ESCAPE_SHOWN_SIZE], shown_name[ESCAPE_SHOWN_SIZE];
	return fail(err, ERR_VALIDATION_ERROR,
		    "'%s' is not an FQN: unknown scheme '%s' (known: github, gitlab, hub, local)",
		    escape_shown(text, shown), escape_shown(name, shown_name));
}

static bool is_dots(struct str segment)
{
	return str_eq(segment, S(".")) || str_eq(segment, S(".."));
}

static int check_subpath(struct str text, struct str subpath, struct err *err)
{
	while (subpath.n > 0) {
		bool last = str_find_char(subpath, '/') == STR_NPOS;
		struct str segment;
		subpath = str_cut(subpath, '/', &segment);
		if (segment.n == 0 || (!last && subpath.n == 0))
			return refuse(text, err, "the path has an empty segment");
		if (is_dots(segment))
			return refuse(text, err, "the path has a '.' or '..' segment");
	}
	return 0;
}

static int split(struct str text, struct str rest, struct fqn *fqn, struct err *err)
{
	struct str path = str_cut(rest, '/', &fqn->owner);
	if (fqn->owner.n == 0)
		return refuse(text, err, "the owner is missing");
	if (path.n == 0)
		return refuse(text, err, "the repository is missing");
	fqn->subpath = str_cut(path, '/', &fqn->repo);
	if (fqn->repo.n == 0 || (fqn->subpath.n == 0 && fqn->repo.n < path.n))
		return refuse(text, err, "the path has an empty segment");
	if (is_dots(fqn->owner) || is_dots(fqn->repo))
		return refuse(text, err, "the path has a '.' or '..' segment");
	return check_subpath(text, fqn->subpath, err);
}

/* ^[a-z0-9][a-z0-9._-]{0,62}$ */
static bool is_local_name(struct str name)
{
	if (name.n == 0 || name.n > LOCAL_NAME_MAX || !is_lower_or_digit(name.p[0]))
		return false;
	for (size_t i = 1; i < name.n; i++) {
		char c = name.p[i];
		if (!is_lower_or_digit(c) && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

static int check_local(struct str text, const struct fqn *fqn, struct err *err)
{
	if (fqn->scheme != FQN_LOCAL)
		return 0;
	if (!str_eq(fqn->owner, S("user")) || fqn->subpath.n > 0 || !is_local_name(fqn->repo))
		return refuse(text, err,
			      "a local one is local://user/NAME, NAME of at most 63 lower-case letters, digits, "
			      "'.', '_' and '-', beginning with a letter or digit");
	return 0;
}

int fqn_parse(struct str text, struct fqn *ret, struct err *err)
{
	struct fqn fqn = {.raw = text};
	struct str rest;
	if (text.n == 0)
		return fail(err, ERR_VALIDATION_ERROR, "the FQN is empty: write it like github://owner/repo");
	if (text.n > FQN_MAX)
		return fail(err, ERR_VALIDATION_ERROR, "FQN of %zu characters: at most %zu are accepted", text.n,
			    FQN_MAX);
	if (str_find_char(text, '@') != STR_NPOS)
		return refuse(text, err, why_not('@'));
	if (take_scheme(text, &fqn, &rest, err) < 0 || check_characters(text, rest, err) < 0 ||
	    split(text, rest, &fqn, err) < 0 || check_local(text, &fqn, err) < 0)
		return -1;

	fqn.owner_authority = str_slice(text, 0, (size_t)(fqn.owner.p + fqn.owner.n - text.p));
	fqn.authority = str_slice(text, 0, (size_t)(fqn.repo.p + fqn.repo.n - text.p));
	*ret = fqn;
	return 0;
}

int fqn_ref_parse(struct str text, struct fqn_ref *ret, struct err *err)
{
	struct fqn_ref ref = {.raw = text};
	if (text.n > FQN_MAX + 1 + SEMVER_MAX)
		return fail(err, ERR_VALIDATION_ERROR, "reference of %zu characters: at most %zu are accepted", text.n,
			    FQN_MAX + 1 + SEMVER_MAX);
	size_t at = str_find_last_char(text, '@');
	if (at == STR_NPOS || at + 1 == text.n) {
		char shown[ESCAPE_SHOWN_SIZE];
		return fail(err, ERR_VALIDATION_ERROR, "'%s' has no version: write it like github://owner/repo@1.2.0",
			    escape_shown(text, shown));
	}
	if (semver_parse(str_slice(text, at + 1, text.n), &ref.version, err) < 0 ||
	    fqn_parse(str_slice(text, 0, at), &ref.fqn, err) < 0)
		return -1;
	*ret = ref;
	return 0;
}
