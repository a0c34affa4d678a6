#include "base/mem.h"
#include "text/semver.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void assert_part(struct str part, const char *expected)
{
	if (!str_eq(part, str_from(expected)))
		fail_msg("'%.*s' should be '%s'", STR_FMT(part), expected);
}

static void takes_versions_apart(void **state)
{
	(void)state;
	static const struct {
		const char *text, *major, *minor, *patch, *prerelease, *build;
	} rows[] = {
		{"0.0.0", "0", "0", "0", "", ""},
		{"1.2.3", "1", "2", "3", "", ""},
		{"10.20.30-rc.1+build.5", "10", "20", "30", "rc.1", "build.5"},
		{"1.0.0+b-1", "1", "0", "0", "", "b-1"},
		{"1.0.0--", "1", "0", "0", "-", ""},
		{"1.0.0-a+b", "1", "0", "0", "a", "b"},
		{"99999999999999999999999.0.0", "99999999999999999999999", "0", "0", "", ""},
		/* looser than SemVer 2.0 */
		{"1.0.0-01", "1", "0", "0", "01", ""},
		{"1.0.0-a..b", "1", "0", "0", "a..b", ""},
		{"1.0.0-.", "1", "0", "0", ".", ""},
		{"1.0.0+.", "1", "0", "0", "", "."},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct semver v;
		struct err err = {0};
		if (semver_parse(str_from(rows[i].text), &v, &err) < 0)
			fail_msg("%s", err.message);
		assert_part(v.raw, rows[i].text);
		assert_part(v.major, rows[i].major);
		assert_part(v.minor, rows[i].minor);
		assert_part(v.patch, rows[i].patch);
		assert_part(v.prerelease, rows[i].prerelease);
		assert_part(v.build, rows[i].build);
		assert_int_equal(semver_is_prerelease(&v), rows[i].prerelease[0] != '\0');
		assert_true(semver_is_valid(str_from(rows[i].text)));
	}
}

static void refuses_what_is_no_exact_version(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"",          "1",         "1.2",       "1.2.3.4",        "v1.2.3",  "V1.2.3", "=1.2.3", "^1.2.3",
		"~1.2.3",    ">=1.2.3",   "1.x.0",     "latest",         "01.2.3",  "1.02.3", "1.2.03", "00.0.0",
		"-1.2.3",    "+1.2.3",    " 1.2.3",    "1.2.3 ",         "1.2.3\n", "1.2.3-", "1.2.3+", "1.2.3-+b",
		"1.2.3-a+",  "1.2.3-a_b", "1.2.3+a+b", "1.2.3-\xc3\xa9", "1..3",    ".1.2",   "1.2.",   "1.2.3a",
		"1.2.3-a b", "1,2,3",     "0x1.2.3",   "\xd9\xa1.2.3",
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct semver v = {.raw = S("kept")};
		struct err err = {0};
		if (semver_parse(str_from(rows[i]), &v, &err) == 0)
			fail_msg("'%s' was accepted", rows[i]);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
		assert_non_null(strstr(err.message, "is not a SemVer version"));
		assert_part(v.raw, "kept");
		assert_false(semver_is_valid(str_from(rows[i])));
	}
	assert_false(semver_is_valid(S("1.2.3\0")));
}

static void the_length_is_bounded(void **state)
{
	(void)state;
	char text[SEMVER_MAX + 1];
	memset(text, '1', sizeof text);
	memcpy(text, "1.0.0-", 6);
	struct semver v;
	struct err err = {0};
	assert_int_equal(semver_parse(str_of(text, SEMVER_MAX), &v, &err), 0);
	assert_int_equal(semver_parse(str_of(text, SEMVER_MAX + 1), &v, &err), -1);
	assert_string_equal(err.message, "version of 257 characters: at most 256 are accepted");
	assert_false(semver_is_valid(str_of(text, SEMVER_MAX + 1)));
}

/* Each is before all that follow it; the middle part is the example of SemVer 2.0, section 11. */
static const char *const ascending[] = {
	"0.0.0-0",
	"0.0.0",
	"0.0.1",
	"0.2.0",
	"0.10.0",
	"1.0.0-0",
	"1.0.0-2",
	"1.0.0-10",
	"1.0.0-10.a",
	"1.0.0-99999999999999999999999",
	"1.0.0-.",
	"1.0.0--",
	"1.0.0-A",
	"1.0.0-alpha",
	"1.0.0-alpha.1",
	"1.0.0-alpha.beta",
	"1.0.0-beta",
	"1.0.0-beta.2",
	"1.0.0-beta.11",
	"1.0.0-beta.a",
	"1.0.0-rc.1",
	"1.0.0-rc.1.",
	"1.0.0",
	"2.0.0-rc.1",
	"2.0.0",
	"10.0.0",
	"99999999999999999999999.0.0",
	"100000000000000000000000.0.0",
};

static int compare(const char *a, const char *b)
{
	struct semver va, vb;
	assert_int_equal(semver_parse(str_from(a), &va, NULL), 0);
	assert_int_equal(semver_parse(str_from(b), &vb, NULL), 0);
	int order = semver_compare(&va, &vb);
	return (order > 0) - (order < 0);
}

static void orders_by_precedence(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ascending); i++) {
		for (size_t k = 0; k < ARRAY_LEN(ascending); k++) {
			if (compare(ascending[i], ascending[k]) != (i > k) - (i < k))
				fail_msg("'%s' against '%s'", ascending[i], ascending[k]);
		}
	}
}

static void build_metadata_and_leading_zeros_do_not_count(void **state)
{
	(void)state;
	assert_int_equal(compare("1.0.0+a", "1.0.0+b"), 0);
	assert_int_equal(compare("1.0.0+a", "1.0.0"), 0);
	assert_int_equal(compare("1.0.0-rc+a", "1.0.0-rc"), 0);
	assert_int_equal(compare("1.0.0-rc+9", "1.0.0"), -1);
	assert_int_equal(compare("1.0.0-007", "1.0.0-7"), 0);
	assert_int_equal(compare("1.0.0-010", "1.0.0-9"), 1);
	assert_int_equal(compare("1.0.0-000", "1.0.0-0"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_versions_apart),
		cmocka_unit_test(refuses_what_is_no_exact_version),
		cmocka_unit_test(the_length_is_bounded),
		cmocka_unit_test(orders_by_precedence),
		cmocka_unit_test(build_metadata_and_leading_zeros_do_not_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
