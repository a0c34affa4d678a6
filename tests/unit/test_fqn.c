#include "base/mem.h"
#include "text/content_hash.h"
#include "text/fqn.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void assert_part(struct str part, const char *expected)
{
	if (!str_eq(part, str_from(expected)))
		fail_msg("'%.*s' should be '%s'", STR_FMT(part), expected);
}

static void takes_names_apart(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum fqn_scheme scheme;
		const char *owner, *repo, *subpath, *authority, *owner_authority;
	} rows[] = {
		{"github://acme/stripe-connector", FQN_GITHUB, "acme", "stripe-connector", "",
		 "github://acme/stripe-connector", "github://acme"},
		{"gitlab://Acme_Inc/mono.repo/connectors/stripe", FQN_GITLAB, "Acme_Inc", "mono.repo",
		 "connectors/stripe", "gitlab://Acme_Inc/mono.repo", "gitlab://Acme_Inc"},
		{"hub://a/b", FQN_HUB, "a", "b", "", "hub://a/b", "hub://a"},
		{"local://user/my-tool", FQN_LOCAL, "user", "my-tool", "", "local://user/my-tool", "local://user"},
		{"github://a/...", FQN_GITHUB, "a", "...", "", "github://a/...", "github://a"},
		{"github://a/.github/x", FQN_GITHUB, "a", ".github", "x", "github://a/.github", "github://a"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fqn fqn;
		struct err err = {0};
		if (fqn_parse(str_from(rows[i].text), &fqn, &err) < 0)
			fail_msg("%s", err.message);
		assert_part(fqn.raw, rows[i].text);
		assert_int_equal(fqn.scheme, rows[i].scheme);
		assert_part(fqn.owner, rows[i].owner);
		assert_part(fqn.repo, rows[i].repo);
		assert_part(fqn.subpath, rows[i].subpath);
		assert_part(fqn.authority, rows[i].authority);
		assert_part(fqn.owner_authority, rows[i].owner_authority);
	}
}

static void says_which_rule_a_name_breaks(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"", "the FQN is empty: write it like github://owner/repo"},
		{"github://a/b@1.0.0",
		 "'github://a/b@1.0.0' is not an FQN: it contains '@'; the version is given apart"},
		{"github://u@a/b", "it contains '@'"},
		{"acme/stripe",
		 "'acme/stripe' is not an FQN: it must begin with github://, gitlab://, hub:// or local://"},
		{"github:/a/b", "it must begin with"},
		{"ftp://a/b", "'ftp://a/b' is not an FQN: unknown scheme 'ftp' (known: github, gitlab, hub, local)"},
		{"GitHub://a/b", "unknown scheme 'GitHub'"},
		{"://a/b", "unknown scheme ''"},
		{" github://a/b", "unknown scheme ' github'"},
		{"github://", "the owner is missing"},
		{"github:///b", "the owner is missing"},
		{"github://a", "the repository is missing"},
		{"github://a/", "the repository is missing"},
		{"github://a//b", "the path has an empty segment"},
		{"github://a/b/", "the path has an empty segment"},
		{"github://a/b//c", "the path has an empty segment"},
		{"github://a/b/c/", "the path has an empty segment"},
		{"github://a/b/c//d", "the path has an empty segment"},
		{"github://./b", "the path has a '.' or '..' segment"},
		{"github://../b", "the path has a '.' or '..' segment"},
		{"github://a/.", "the path has a '.' or '..' segment"},
		{"github://a/..", "the path has a '.' or '..' segment"},
		{"github://a/b/..", "the path has a '.' or '..' segment"},
		{"github://a/b/./c", "the path has a '.' or '..' segment"},
		{"github://a:443/b", "the owner cannot have a port"},
		{"github://a/b?x=1", "it cannot have a query"},
		{"github://a/b#x", "it cannot have a fragment"},
		{"github://a/%62", "it cannot have percent escapes"},
		{"github://a/b c", "only letters, digits"},
		{"github://a/b\n", "'github://a/b\\n' is not an FQN: only letters, digits"},
		{"\x1b[2J\xff://a/b", "'\\x1b[2J\\xff://a/b' is not an FQN: unknown scheme '\\x1b[2J\\xff'"},
		{"github://a\\b/c", "only letters, digits"},
		{"github://a/\xc3\xa9", "only letters, digits"},
		{"github://[::1]/b", "only letters, digits"},
		{"local://user/Name", "a local one is local://user/NAME"},
		{"local://user/-name", "a local one is local://user/NAME"},
		{"local://user/.name", "a local one is local://user/NAME"},
		{"local://user/na~me", "a local one is local://user/NAME"},
		{"local://user/name/sub", "a local one is local://user/NAME"},
		{"local://other/name", "a local one is local://user/NAME"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fqn fqn = {.raw = S("kept")};
		struct err err = {0};
		if (fqn_parse(str_from(rows[i].text), &fqn, &err) == 0)
			fail_msg("'%s' was accepted", rows[i].text);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
		if (strstr(err.message, rows[i].message) == NULL)
			fail_msg("'%s': %s", rows[i].text, err.message);
		assert_part(fqn.raw, "kept");
	}
}

static void lengths_are_bounded(void **state)
{
	(void)state;
	char text[FQN_MAX + 1];
	memset(text, 'a', sizeof text);
	memcpy(text, "github://a/", 11);
	struct fqn fqn;
	struct err err = {0};
	assert_int_equal(fqn_parse(str_of(text, FQN_MAX), &fqn, &err), 0);
	assert_int_equal(fqn_parse(str_of(text, FQN_MAX + 1), &fqn, &err), -1);
	assert_string_equal(err.message, "FQN of 513 characters: at most 512 are accepted");

	memcpy(text, "local://user/", 13);
	assert_int_equal(fqn_parse(str_of(text, 13 + 63), &fqn, &err), 0);
	assert_int_equal(fqn_parse(str_of(text, 13 + 64), &fqn, &err), -1);
}

static void a_reference_is_split_at_its_last_at_sign(void **state)
{
	(void)state;
	struct fqn_ref ref = {.raw = S("kept")};
	struct err err = {0};
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"", "'' has no version: write it like github://owner/repo@1.2.0"},
		{"github://a/b", "'github://a/b' has no version"},
		{"github://a/b@", "has no version"},
		{"github://a/b@latest", "'latest' is not a SemVer version"},
		{"github://a/b@v1.0.0", "'v1.0.0' is not a SemVer version"},
		{"github://a/b@1.0.0@1.0.0", "'github://a/b@1.0.0' is not an FQN: it contains '@'"},
		{"@1.0.0", "the FQN is empty"},
		{"ftp://a/b@1.0.0", "unknown scheme 'ftp'"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(fqn_ref_parse(str_from(rows[i].text), &ref, &err), -1);
		if (strstr(err.message, rows[i].message) == NULL)
			fail_msg("'%s': %s", rows[i].text, err.message);
		assert_part(ref.raw, "kept");
	}
	assert_int_equal(fqn_ref_parse(S("github://a/b/c@1.0.0-rc.1+x"), &ref, &err), 0);
	assert_part(ref.raw, "github://a/b/c@1.0.0-rc.1+x");
	assert_part(ref.fqn.raw, "github://a/b/c");
	assert_part(ref.fqn.subpath, "c");
	assert_part(ref.version.prerelease, "rc.1");
}

static void schemes_have_names(void **state)
{
	(void)state;
	assert_string_equal(fqn_scheme_name(FQN_GITLAB), "gitlab");
	assert_string_equal(fqn_scheme_name(FQN_SCHEME__MAX), "");
}

#define DIGITS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static void a_content_hash_has_one_spelling(void **state)
{
	(void)state;
	assert_true(content_hash_is_valid(S("sha256:" DIGITS "f")));
	static const char *const rows[] = {
		"",
		"sha256:",
		"sha256:" DIGITS,
		"sha256:" DIGITS "ff",
		"sha256:" DIGITS "F",
		"sha256:" DIGITS "g",
		"sha256:" DIGITS "\n",
		"SHA256:" DIGITS "f",
		"sha512:" DIGITS "f",
		"sha256-" DIGITS "f",
		" sha256:" DIGITS,
		DIGITS "fsha256:",
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (content_hash_is_valid(str_from(rows[i])))
			fail_msg("'%s' was accepted", rows[i]);
	}
	for (int c = 0; c < 256; c++) {
		char text[] = "sha256:" DIGITS "f";
		text[40] = (char)c;
		bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
		assert_int_equal(content_hash_is_valid(str_of(text, CONTENT_HASH_TEXT_SIZE)), digit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_names_apart),   cmocka_unit_test(says_which_rule_a_name_breaks),
		cmocka_unit_test(lengths_are_bounded), cmocka_unit_test(a_reference_is_split_at_its_last_at_sign),
		cmocka_unit_test(schemes_have_names),  cmocka_unit_test(a_content_hash_has_one_spelling),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
