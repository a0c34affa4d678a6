/* What the tables of policies.c share with other folders, which they cannot include. */
#include "confine/policies.h"
#include "http/trust.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static bool is_bundle(const char *path)
{
	for (size_t i = 0; trust_system_bundles[i] != NULL; i++) {
		if (str_eq(str_from(trust_system_bundles[i]), str_from(path)))
			return true;
	}
	return false;
}

static bool is_about_certificates(struct str path)
{
	return str_find(path, S("ssl")) != STR_NPOS || str_find(path, S("pki")) != STR_NPOS ||
	       str_find(path, S("cert")) != STR_NPOS;
}

static void egress_reads_the_bundles_and_nothing_beside_them(void **state)
{
	(void)state;
	size_t bundles = 0, allowed = 0;
	while (trust_system_bundles[bundles] != NULL)
		bundles++;
	for (const struct confine_path *path = confine_egress.paths; path->path != NULL; path++) {
		assert_false(path->write);
		if (is_bundle(path->path))
			allowed++;
		else if (is_about_certificates(str_from(path->path)))
			fail_msg("'%s' is allowed and never read", path->path);
	}
	assert_true(bundles > 0);
	assert_int_equal(allowed, bundles);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(egress_reads_the_bundles_and_nothing_beside_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
