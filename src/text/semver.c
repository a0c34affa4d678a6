#include "text/semver.h"
#include "base/ascii.h"
#include "base/escape.h"

static bool is_tail_char(char c)
{
	return ascii_is_digit(c) || ascii_is_letter(c) || c == '.' || c == '-';
}

/* Takes the characters at the start of *rest that satisfy `fits`. */
static struct str take(struct str *rest, bool (*fits)(char c))
{
	size_t n = 0;
	while (n < rest->n && fits(rest->p[n]))
		n++;
	struct str taken = str_slice(*rest, 0, n);
	*rest = str_slice(*rest, n, rest->n);
	return taken;
}

static bool take_char(struct str *rest, char c)
{
	if (rest->n == 0 || rest->p[0] != c)
		return false;
	*rest = str_slice(*rest, 1, rest->n);
	return true;
}

/* (0|[1-9]\d*) */
static bool take_number(struct str *rest, struct str *ret)
{
	*ret = take(rest, ascii_is_digit);
	return ret->n == 1 || (ret->n > 1 && ret->p[0] != '0');
}

/* [0-9A-Za-z.-]+ behind its mark, or nothing when the mark is not there. */
static bool take_tail(struct str *rest, char mark, struct str *ret)
{
	if (!take_char(rest, mark))
		return true;
	*ret = take(rest, is_tail_char);
	return ret->n > 0;
}

static bool parse(struct str text, struct semver *ret)
{
	struct str rest = text;
	struct semver version = {.raw = text};
	bool valid = text.n <= SEMVER_MAX && take_number(&rest, &version.major) && take_char(&rest, '.') &&
		     take_number(&rest, &version.minor) && take_char(&rest, '.') &&
		     take_number(&rest, &version.patch) && take_tail(&rest, '-', &version.prerelease) &&
		     take_tail(&rest, '+', &version.build) && rest.n == 0;
	if (valid)
		*ret = version;
	return valid;
}

bool semver_is_valid(struct str text)
{
	struct semver ignored;
	return parse(text, &ignored);
}

int semver_parse(struct str text, struct semver *ret, struct err *err)
{
	if (text.n > SEMVER_MAX)
		return fail(err, ERR_VALIDATION_ERROR, "version of %zu characters: at most %zu are accepted", text.n,
			    SEMVER_MAX);
	if (!parse(text, ret)) {
		char shown[ESCAPE_SHOWN_SIZE];
		return fail(err, ERR_VALIDATION_ERROR,
			    "'%s' is not a SemVer version: write it like 1.2.0 or 2.0.0-rc.1",
			    escape_shown(text, shown));
	}
	return 0;
}

/* Of any length; leading zeros do not count. */
static int compare_numbers(struct str a, struct str b)
{
	while (a.n > 1 && a.p[0] == '0')
		a = str_slice(a, 1, a.n);
	while (b.n > 1 && b.p[0] == '0')
		b = str_slice(b, 1, b.n);
	if (a.n != b.n)
		return a.n < b.n ? -1 : 1;
	return str_cmp(a, b);
}

static bool is_number(struct str identifier)
{
	struct str rest = identifier;
	return take(&rest, ascii_is_digit).n > 0 && rest.n == 0;
}

static int compare_identifiers(struct str a, struct str b)
{
	bool a_number = is_number(a), b_number = is_number(b);
	if (a_number && b_number)
		return compare_numbers(a, b);
	if (a_number != b_number)
		return a_number ? -1 : 1;
	return str_cmp(a, b);
}

/* The identifier at the start of *rest. *more says whether another one follows: "a." has a second, empty one. */
static struct str take_identifier(struct str *rest, bool *more)
{
	*more = str_find_char(*rest, '.') != STR_NPOS;
	struct str identifier;
	*rest = str_cut(*rest, '.', &identifier);
	return identifier;
}

static int compare_prereleases(struct str a, struct str b)
{
	if (a.n == 0 || b.n == 0) /* a version without one comes after all that have one */
		return (b.n > 0) - (a.n > 0);
	bool a_more = true, b_more = true;
	while (a_more && b_more) {
		struct str a_part = take_identifier(&a, &a_more);
		struct str b_part = take_identifier(&b, &b_more);
		int order = compare_identifiers(a_part, b_part);
		if (order != 0)
			return order;
	}
	return a_more - b_more;
}

int semver_compare(const struct semver *a, const struct semver *b)
{
	int order = compare_numbers(a->major, b->major);
	if (order == 0)
		order = compare_numbers(a->minor, b->minor);
	if (order == 0)
		order = compare_numbers(a->patch, b->patch);
	if (order == 0)
		order = compare_prereleases(a->prerelease, b->prerelease);
	return order;
}
