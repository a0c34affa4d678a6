#include "base/mem.h"
#include "vault/path.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void scopes_are_told_by_the_path(void **state)
{
	(void)state;
	const struct {
		struct str path;
		enum vault_scope scope;
	} cases[] = {
		{S("api_key/stripe/work"), VAULT_SCOPE_BINDING},
		{S("oauth2/google.com/me.two_3"), VAULT_SCOPE_BINDING},
		{S("connectors/github/default"), VAULT_SCOPE_BINDING},
		{S("agents/claude/oauth"), VAULT_SCOPE_AGENT},
		{S("agents/claude/o.auth"), VAULT_SCOPE_BINDING},
		{S("user/github"), VAULT_SCOPE_USER},
		{S("user/git.hub"), VAULT_SCOPE_OTHER},
		{S("secret/weather"), VAULT_SCOPE_SECRET},
		{S("connected-accounts/a/b"), VAULT_SCOPE_CONNECTED_ACCOUNT},
		{S("llm-config/a/b"), VAULT_SCOPE_LLM_CONFIG},
		{S("_api_key/stripe/work"), VAULT_SCOPE_OTHER},
		{S("Api_key/stripe/work"), VAULT_SCOPE_OTHER},
		{S("1api/stripe/work"), VAULT_SCOPE_OTHER},
		{S("api_key/stripe"), VAULT_SCOPE_OTHER},
		{S("api_key/stripe/work/more"), VAULT_SCOPE_OTHER},
		{S("api_key/.stripe/work"), VAULT_SCOPE_OTHER},
		{S("weather"), VAULT_SCOPE_OTHER},
		{S(""), VAULT_SCOPE_OTHER},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (vault_scope_of(cases[i].path) != cases[i].scope)
			fail_msg("'%.*s' is %s", STR_FMT(cases[i].path),
				 vault_scope_name(vault_scope_of(cases[i].path)));
	}
	assert_string_equal(vault_scope_name(VAULT_SCOPE_CONNECTED_ACCOUNT), "connected-account");
	assert_true(vault_scope_is_control_plane(VAULT_SCOPE_LLM_CONFIG));
	assert_false(vault_scope_is_control_plane(VAULT_SCOPE_BINDING));
}

static void paths_have_no_odd_characters_or_segments(void **state)
{
	(void)state;
	const struct str bad[] = {S(""),     S("/a"),  S("a/"),   S("a//b"), S("."),        S("a/./b"), S("../a"),
				  S("a/.."), S("a b"), S("a\tb"), S("a\0b"), S("\xc3\xa4"), S("a\x7f")};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(vault_path_is_valid(bad[i]));
	char longest[VAULT_PATH_MAX + 1];
	memset(longest, 'a', sizeof longest);
	assert_true(vault_path_is_valid(str_of(longest, VAULT_PATH_MAX)));
	assert_false(vault_path_is_valid(str_of(longest, VAULT_PATH_MAX + 1)));
	assert_true(vault_path_is_valid(S("weather")));
	assert_true(vault_path_is_valid(S("a/...b/~")));
}

static void a_binding_splits_into_its_parts(void **state)
{
	(void)state;
	struct str kind, service, identity;
	assert_true(vault_binding_split(S("api_key/stripe/work"), &kind, &service, &identity));
	assert_true(str_eq(kind, S("api_key")) && str_eq(service, S("stripe")) && str_eq(identity, S("work")));
	assert_false(vault_binding_split(S("api_key/stripe"), &kind, &service, &identity));
	assert_true(str_eq(identity, S("work")));
	assert_true(vault_identity_is_valid(S("a.b-c_d")));
	assert_false(vault_identity_is_valid(S("-a")));
	assert_false(vault_identity_is_valid(S("A")));
	assert_false(vault_identity_is_valid(S("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scopes_are_told_by_the_path),
		cmocka_unit_test(paths_have_no_odd_characters_or_segments),
		cmocka_unit_test(a_binding_splits_into_its_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
