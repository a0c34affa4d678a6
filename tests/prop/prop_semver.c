#include "base/buf.h"
#include "text/fqn.h"
#include "text/semver.h"
#include "prop/generator.h"
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* The documented expression, read by somebody else's code. */
static const char pattern[] =
	"^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?$";

static struct str generate_version(struct generator *g, char *room, size_t n)
{
	struct str tail = generate_text(g, S("01.-+aZ"), room + 6, n - 6);
	memcpy(room, "1.2.0-", 6);
	size_t from = generate_below(g, 7); /* the prefix makes valid ones likely; a part of it, others */
	return (struct str){room + from, 6 - from + tail.n};
}

static void accepts_what_the_expression_accepts(void **state)
{
	(void)state;
	regex_t regex;
	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	struct generator g = {16};
	size_t accepted = 0;
	for (int round = 0; round < 100000; round++) {
		char room[24] = "", text[24] = "";
		struct str version = generate_version(&g, room, 18);
		memcpy(text, version.p, version.n);
		bool expected = regexec(&regex, text, 0, NULL, 0) == 0;
		assert_int_equal(semver_is_valid(version), expected);
		accepted += expected;
	}
	regfree(&regex);
	assert_true(accepted > 5000);
}

static int sign(int order)
{
	return (order > 0) - (order < 0);
}

/* Whatever the tails are, the order is one: antisymmetric, transitive, and equal things are equal to the same. */
static void precedence_is_an_order(void **state)
{
	(void)state;
	struct generator g = {17};
	for (int round = 0; round < 200000;) {
		char rooms[3][14];
		struct semver v[3];
		int valid = 0;
		for (int i = 0; i < 3; i++)
			valid += semver_parse(generate_version(&g, rooms[i], sizeof rooms[i]), &v[i], NULL) == 0;
		round++;
		if (valid < 3)
			continue;
		int ab = sign(semver_compare(&v[0], &v[1])), bc = sign(semver_compare(&v[1], &v[2]));
		int ac = sign(semver_compare(&v[0], &v[2]));
		assert_int_equal(semver_compare(&v[0], &v[0]), 0);
		assert_int_equal(sign(semver_compare(&v[1], &v[0])), -ab);
		if (ab == bc || bc == 0)
			assert_int_equal(ac, ab);
		if (ab == 0)
			assert_int_equal(ac, bc);
	}
}

/* An accepted name is put together from its parts again, and holds nothing that a URL would give a meaning. */
static void an_fqn_is_the_sum_of_its_parts(void **state)
{
	(void)state;
	static const char *const starts[] = {"github://", "gitlab://a/b", "hub://a/", "local://user/", "local://", ""};
	struct generator g = {18};
	size_t accepted = 0;
	for (int round = 0; round < 200000; round++) {
		char room[64];
		const char *start = starts[generate_below(&g, sizeof starts / sizeof starts[0])];
		size_t n = strlen(start);
		memcpy(room, start, n);
		n += generate_text(&g, S("ab/.-~Z:?#%@ "), room + n, 12).n;
		struct str text = str_of(room, n);
		struct fqn fqn;
		if (fqn_parse(text, &fqn, NULL) < 0)
			continue;
		accepted++;
		assert_true(str_eq(fqn.raw, text) && fqn.raw.p == text.p);
		AUTO_BUF sum = BUF_INIT(100);
		buf_addf(&sum, "%s://%.*s", fqn_scheme_name(fqn.scheme), STR_FMT(fqn.owner));
		assert_true(str_eq(buf_str(&sum), fqn.owner_authority));
		buf_addf(&sum, "/%.*s", STR_FMT(fqn.repo));
		assert_true(str_eq(buf_str(&sum), fqn.authority));
		if (fqn.subpath.n > 0)
			buf_addf(&sum, "/%.*s", STR_FMT(fqn.subpath));
		assert_true(str_eq(buf_str(&sum), text));
		struct str rest = str_slice(text, str_find(text, S("://")) + 3, text.n);
		assert_true(str_find(rest, S("//")) == STR_NPOS && str_find(rest, S("/./")) == STR_NPOS);
		assert_true(str_find(rest, S("/../")) == STR_NPOS && !str_ends(rest, S("/")));
		for (size_t i = 0; i < rest.n; i++)
			assert_null(memchr(":?#%@ ", rest.p[i], 6));

		char ref_room[80];
		memcpy(ref_room, text.p, text.n);
		memcpy(ref_room + text.n, "@1.2.3", 6);
		struct fqn_ref ref;
		assert_int_equal(fqn_ref_parse(str_of(ref_room, text.n + 6), &ref, NULL), 0);
		assert_true(str_eq(ref.fqn.raw, text) && str_eq(ref.version.raw, S("1.2.3")));
	}
	assert_true(accepted > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_what_the_expression_accepts),
		cmocka_unit_test(precedence_is_an_order),
		cmocka_unit_test(an_fqn_is_the_sum_of_its_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
