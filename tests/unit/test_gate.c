#include "base/mem.h"
#include "egress/gate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct err err;

static int judge(const struct egress_grant *grant, const char *raw)
{
	AUTO(arena) *arena = arena_new();
	struct url url;
	err_clear(&err);
	return gate_url(arena, grant, str_from(raw), &url, &err);
}

static void assert_detail(const char *member)
{
	if (strstr(err.details, member) == NULL)
		fail_msg("details %s lack %s", err.details, member);
}

static void assert_refused(const struct egress_grant *grant, const char *raw, const char *rule)
{
	if (judge(grant, raw) == 0)
		fail_msg("'%s' was let through", raw);
	assert_int_equal(err.class, ERR_CAPABILITY_DENIED);
	assert_int_equal(err.boundary, BOUNDARY_SANDBOX);
	AUTO_FREE char *member = xasprintf("\"rule\":\"%s\"", rule);
	assert_detail(member);
}

static const struct str hosts[] = {S("API.example.com:443"), S("plain.example:80"), S("odd.example:8443"),
				   S("[::1]:9000"),          S("nonsense"),         S("::2:443")};
static const struct egress_grant grant = {.hosts = hosts, .n_hosts = ARRAY_LEN(hosts)};

static void lets_listed_hosts_through(void **state)
{
	(void)state;
	static const char *const urls[] = {
		"https://api.example.com/x", "https://API.Example.COM",        "https://api.example.com:443/",
		"HTTPS://api.example.com/",  "http://api.example.com:443/",    "http://plain.example/",
		"https://plain.example:80/", "https://odd.example:8443/a?b#c", "http://odd.example:8443",
		"http://[::1]:9000/",
	};
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		if (judge(&grant, urls[i]) < 0)
			fail_msg("'%s' was refused: %s", urls[i], err.message);
	}
}

static void refuses_everything_else(void **state)
{
	(void)state;
	static const struct {
		const char *url, *rule;
	} rows[] = {
		{"https://api.example.com:8443/", "not_listed"},
		{"http://api.example.com/", "not_listed"},
		{"https://plain.example/", "not_listed"},
		{"https://evil.example/", "not_listed"},
		{"https://api.example.com.evil.example/", "not_listed"},
		{"https://xapi.example.com/", "not_listed"},
		{"https://nonsense/", "not_listed"},
		{"https://[::2]/", "not_listed"},
		{"https://[0:0:0:0:0:0:0:1]:9000/", "not_listed"},
		{"ftp://api.example.com:443/", "scheme"},
		{"file:///etc/passwd", "scheme"},
		{"ws://api.example.com:443/", "scheme"},
		{"https://", "host_missing"},
		{"https:///x", "host_missing"},
		{"", "url"},
		{"not a url", "url"},
		{"://broken", "url"},
		{"https://user:pw@api.example.com/", "url"},
		{"https://api.example.com:99999/", "url"},
		{"https://api.example.com\\@evil.example/", "url"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_refused(&grant, rows[i].url, rows[i].rule);
}

static void details_say_what_was_asked_and_granted(void **state)
{
	(void)state;
	assert_refused(&grant, "https://Evil.example/x", "not_listed");
	assert_detail("\"requested\":\"network:evil.example:443\"");
	assert_detail("\"granted\":[\"network:api.example.com:443\",\"network:plain.example:80\"");
	assert_detail("\"network:nonsense\"");
	assert_refused(&grant, "http://[::3]:1/", "not_listed");
	assert_detail("\"requested\":\"network:::3:1\"");
	assert_refused(&grant, "gopher://x/", "scheme");
	assert_detail("\"requested\":\"gopher://x/\"");
	assert_detail("\"scheme\":\"gopher\"");
	assert_refused(&grant, "not a url", "url");
	assert_detail("\"requested\":\"not a url\"");
	assert_detail("\"reason\":\"cannot read the URL");
	assert_refused(&grant, "https://", "host_missing");
	assert_detail("\"requested\":\"https://\"");
}

static void a_grant_of_nothing_denies_everything(void **state)
{
	(void)state;
	struct egress_grant nothing = {.n_hosts = 0};
	assert_refused(&nothing, "https://api.example.com/", "not_listed");
	assert_detail("\"granted\":[]");
}

static void permissive_skips_the_list_alone(void **state)
{
	(void)state;
	struct egress_grant permissive = {.permissive = true};
	assert_int_equal(judge(&permissive, "https://anything.example:1/"), 0);
	assert_refused(&permissive, "ftp://anything.example/", "scheme");
	assert_refused(&permissive, "https://", "host_missing");
	assert_refused(&permissive, "nothing", "url");
}

static void the_actions_subset_narrows(void **state)
{
	(void)state;
	static const struct str subset[] = {S("Plain.Example:80")};
	struct egress_grant narrowed = grant;
	narrowed.subset = subset;
	narrowed.n_subset = 1;
	assert_int_equal(judge(&narrowed, "http://PLAIN.example/"), 0);
	assert_refused(&narrowed, "https://api.example.com/", "subset");
	assert_detail("\"requested\":\"network:api.example.com:443\"");
	assert_detail("\"action_subset\":[\"network:plain.example:80\"]");
	assert_detail("\"boundary_detail\":\"action\"");
	assert_int_equal(strncmp(err.message, "http_request: ", 14), 0);
	/* The manifest is asked first. */
	assert_refused(&narrowed, "https://evil.example/", "not_listed");
	narrowed.permissive = true;
	assert_refused(&narrowed, "https://evil.example/", "subset");
}

static void every_hop_is_judged(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct url base, next;
	assert_int_equal(gate_url(arena, &grant, S("https://api.example.com/a/b"), &base, &err), 0);
	assert_int_equal(gate_redirect(arena, &grant, &base, S("../c"), &next, &err), 0);
	assert_true(str_eq(next.path, S("/c")));
	assert_int_equal(gate_redirect(arena, &grant, &base, S("//plain.example:80/"), &next, &err), 0);
	err_clear(&err);
	assert_int_equal(gate_redirect(arena, &grant, &base, S("http://169.254.169.254/"), &next, &err), -1);
	assert_detail("\"rule\":\"not_listed\"");
	err_clear(&err);
	assert_int_equal(gate_redirect(arena, &grant, &base, S("file:///etc/passwd"), &next, &err), -1);
	assert_detail("\"rule\":\"scheme\"");
	err_clear(&err);
	assert_int_equal(gate_redirect(arena, &grant, &base, S("https://[/"), &next, &err), -1);
	assert_detail("\"rule\":\"url\"");
}

static void leaves_the_output_alone_when_it_refuses(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct url url = {.port = 4711};
	assert_int_equal(gate_url(arena, &grant, S("https://evil.example/"), &url, NULL), -1);
	assert_int_equal(gate_url(arena, &grant, S("nothing"), &url, NULL), -1);
	assert_int_equal(url.port, 4711);
}

static void splits_entries_strictly(void **state)
{
	(void)state;
	static const struct {
		struct str entry, host;
		uint16_t port;
	} rows[] = {
		{S("a:1"), S("a"), 1},           {S("[::1]:65535"), S("::1"), 65535},
		{S("[a]:80"), S("a"), 80},       {S("a"), STR_EMPTY, 0},
		{S("a:"), STR_EMPTY, 0},         {S(":80"), STR_EMPTY, 0},
		{S("a:080"), STR_EMPTY, 0},      {S("a:65536"), STR_EMPTY, 0},
		{S("a:0"), STR_EMPTY, 0},        {S("::1:80"), STR_EMPTY, 0},
		{S("[::1]"), STR_EMPTY, 0},      {S("[]:80"), STR_EMPTY, 0},
		{S("[::1:80"), STR_EMPTY, 0},    {S("::1]:80"), STR_EMPTY, 0},
		{S("[[::1]]:80"), STR_EMPTY, 0}, {S("a:+1"), STR_EMPTY, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str host = STR_EMPTY;
		uint16_t port = 0;
		assert_int_equal(gate_split(rows[i].entry, &host, &port), rows[i].port != 0);
		assert_int_equal(port, rows[i].port);
		assert_true(str_eq(host, rows[i].host));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lets_listed_hosts_through),
		cmocka_unit_test(refuses_everything_else),
		cmocka_unit_test(details_say_what_was_asked_and_granted),
		cmocka_unit_test(a_grant_of_nothing_denies_everything),
		cmocka_unit_test(permissive_skips_the_list_alone),
		cmocka_unit_test(the_actions_subset_narrows),
		cmocka_unit_test(every_hop_is_judged),
		cmocka_unit_test(leaves_the_output_alone_when_it_refuses),
		cmocka_unit_test(splits_entries_strictly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
