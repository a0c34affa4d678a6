#include "base/mem.h"
#include "egress/address.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct err err;

static struct sockaddr_storage address_of(const char *text)
{
	struct sockaddr_storage address;
	if (address_parse(str_from(text), &address) != ADDRESS_IS_LITERAL)
		fail_msg("'%s' is no address", text);
	return address;
}

static void each_range_is_refused_at_both_ends_and_not_beyond(void **state)
{
	(void)state;
	static const struct {
		const char *name, *first, *last, *before, *after; /* NULL: the neighbour is refused too */
	} rows[] = {
		{"this network", "0.0.0.0", "0.255.255.255", NULL, "1.0.0.0"},
		{"private", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"},
		{"shared (carrier-grade NAT)", "100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"},
		{"shared (metadata)", "100.100.100.200", "100.100.100.200", NULL, NULL},
		{"loopback", "127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"},
		{"metadata", "168.63.129.16", "168.63.129.16", "168.63.129.15", "168.63.129.17"},
		{"link-local", "169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"},
		{"link-local (metadata)", "169.254.169.254", "169.254.169.254", NULL, NULL},
		{"private", "172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"},
		{"IETF protocol assignments", "192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"},
		{"documentation", "192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"},
		{"6to4 relay", "192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0"},
		{"private", "192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"},
		{"benchmarking", "198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"},
		{"documentation", "198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"},
		{"documentation", "203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"},
		{"multicast", "224.0.0.0", "239.255.255.255", "223.255.255.255", NULL},
		{"reserved", "240.0.0.0", "255.255.255.254", NULL, NULL},
		{"broadcast", "255.255.255.255", "255.255.255.255", NULL, NULL},
		{"unspecified", "::", "::", NULL, NULL},
		{"loopback", "::1", "::1", NULL, NULL},
		{"IPv4-compatible", "::2", "::ffff:ffff", NULL, NULL},
		{"IPv4-compatible", "::8.8.8.8", "::127.0.0.1", NULL, NULL},
		{"IPv4-mapped", "::ffff:0.0.0.0", "::ffff:255.255.255.255", NULL, NULL},
		{"IPv4-mapped", "::ffff:8.8.8.8", "::ffff:7f00:1", NULL, NULL},
		{"IPv4-translated", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", NULL, NULL},
		{"NAT64 of a refused address", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", NULL, NULL},
		{"NAT64 of a refused address", "64:ff9b::10.0.0.1", "64:ff9b::c0a8:1", "64:ff9b::8.8.8.8",
		 "64:ff9b::101:101"},
		{"NAT64 (local use)", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:808:808", NULL, NULL},
		{"discard", "100::", "100::ffff:ffff:ffff:ffff", NULL, NULL},
		{"dummy", "100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", NULL, NULL},
		{"Teredo", "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
		{"benchmarking", "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
		{"ORCHID", "2001:10::", "2001:1f:ffff::", NULL, NULL},
		{"ORCHIDv2", "2001:20::", "2001:2f:ffff::", NULL, NULL},
		{"IETF protocol assignments", "2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "2001:200::"},
		{"documentation", "2001:db8::", "2001:db8:ffff::1", "2001:db7:ffff::", "2001:db9::"},
		{"6to4 of a refused address", "2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1", NULL},
		{"6to4 of a refused address", "2002:a9fe:a9fe::1", "2002:c0a8:101::", NULL, NULL},
		{"documentation", "3fff::", "3fff:fff:ffff::", "3ffe:ffff::", NULL},
		{"segment routing", "5f00::", "5f00:ffff::", NULL, NULL},
		{"private", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
		{"private (metadata)", "fd00:ec2::254", "fd00:ec2::254", NULL, NULL},
		{"private (metadata)", "fd20:ce::254", "fd00:c1::a9fe:a9fe", NULL, NULL},
		{"link-local", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
		{"site-local", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
		{"multicast", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
		{"not global unicast", "1000::", "1fff:ffff::", NULL, "2000::"},
		{"not global unicast", "4000::", "5eff::", "3ffe::", NULL},
		{"not global unicast", "0:0:0:1::", "fbff::", NULL, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *const inside[] = {rows[i].first, rows[i].last};
		const char *const outside[] = {rows[i].before, rows[i].after};
		for (size_t j = 0; j < 2; j++) {
			struct sockaddr_storage address = address_of(inside[j]);
			const struct address_range *range = address_range_of(&address);
			if (range == NULL || strcmp(range->name, rows[i].name) != 0)
				fail_msg("%s is %s, not %s", inside[j], range == NULL ? "public" : range->name,
					 rows[i].name);
			if (outside[j] != NULL) {
				address = address_of(outside[j]);
				range = address_range_of(&address);
				if (range != NULL)
					fail_msg("%s is %s, not public", outside[j], range->name);
			}
		}
	}
}

static void ordinary_addresses_are_public(void **state)
{
	(void)state;
	static const char *const rows[] = {"8.8.8.8",         "1.1.1.1",         "93.184.216.34", "172.217.0.1",
					   "2606:4700::1111", "2a00:1450::200e", "2001:4860::1",  "2620:fe::fe"};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sockaddr_storage address = address_of(rows[i]);
		assert_null(address_range_of(&address));
	}
	struct sockaddr_storage local = {.ss_family = AF_UNIX};
	assert_non_null(address_range_of(&local));
}

static void only_loopback_and_private_may_open(void **state)
{
	(void)state;
	static const char *const may[] = {"127.0.0.1",   "127.9.9.9", "10.1.2.3", "172.16.0.1",
					  "192.168.1.1", "::1",       "fc00::1",  "fd12::1"};
	static const char *const never[] = {
		"0.0.0.0",         "169.254.169.254", "169.254.1.1", "100.64.0.1",    "::ffff:127.0.0.1",
		"64:ff9b::7f00:1", "2002:7f00:1::",   "fe80::1",     "fd00:ec2::254", "::",
		"224.0.0.1",       "255.255.255.255"};
	for (size_t i = 0; i < ARRAY_LEN(may); i++) {
		struct sockaddr_storage address = address_of(may[i]);
		assert_true(address_range_of(&address)->may_open);
	}
	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		struct sockaddr_storage address = address_of(never[i]);
		assert_false(address_range_of(&address)->may_open);
	}
}

static void tells_names_from_addresses_from_disguised_ones(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		enum address_form form;
	} rows[] = {
		{"example.com", ADDRESS_IS_NAME},
		{"localhost", ADDRESS_IS_NAME},
		{"1.2.3.4.example", ADDRESS_IS_NAME},
		{"a1", ADDRESS_IS_NAME},
		{"1a", ADDRESS_IS_NAME},
		{"0xg", ADDRESS_IS_NAME},
		{"x0x7f", ADDRESS_IS_NAME},
		{"127.0.0.1.nip.io", ADDRESS_IS_NAME},
		{"127.0.0.1", ADDRESS_IS_LITERAL},
		{"8.8.8.8", ADDRESS_IS_LITERAL},
		{"255.255.255.255", ADDRESS_IS_LITERAL},
		{"::1", ADDRESS_IS_LITERAL},
		{"::ffff:1.2.3.4", ADDRESS_IS_LITERAL},
		{"2130706433", ADDRESS_IS_ODD},
		{"0x7f.1", ADDRESS_IS_ODD},
		{"0x7f.0x0.0x0.0x1", ADDRESS_IS_ODD},
		{"0x7F000001", ADDRESS_IS_ODD},
		{"0X7f.1", ADDRESS_IS_ODD},
		{"0177.0.0.1", ADDRESS_IS_ODD},
		{"017700000001", ADDRESS_IS_ODD},
		{"127.1", ADDRESS_IS_ODD},
		{"127.0.1", ADDRESS_IS_ODD},
		{"127.0.0.01", ADDRESS_IS_ODD},
		{"127.0.0.1.", ADDRESS_IS_ODD},
		{"0", ADDRESS_IS_ODD},
		{"1.2.3.256", ADDRESS_IS_ODD},
		{"1.2.3.4.5", ADDRESS_IS_ODD},
		{"1..2", ADDRESS_IS_ODD},
		{"example.0x7f", ADDRESS_IS_ODD},
		{"example.1", ADDRESS_IS_ODD},
		{"0x", ADDRESS_IS_ODD},
		{"a.0x.", ADDRESS_IS_ODD},
		{"::1%lo", ADDRESS_IS_ODD},
		{"1:2", ADDRESS_IS_ODD},
		{":::", ADDRESS_IS_ODD},
		{"::127.1", ADDRESS_IS_ODD},
		{"99999999999999999999", ADDRESS_IS_ODD},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sockaddr_storage address;
		if (address_parse(str_from(rows[i].host), &address) != rows[i].form)
			fail_msg("'%s' is taken for something else", rows[i].host);
	}
}

static struct url url_of(const char *scheme, const char *host, uint16_t port)
{
	return (struct url){.scheme = str_from(scheme), .host = str_from(host), .port = port};
}

static void assert_refused(const char *rule)
{
	assert_int_equal(err.class, ERR_CAPABILITY_DENIED);
	assert_int_equal(err.boundary, BOUNDARY_SANDBOX);
	AUTO_FREE char *member = xasprintf("\"rule\":\"%s\"", rule);
	if (strstr(err.details, member) == NULL)
		fail_msg("details %s lack %s", err.details, member);
}

static const struct egress_grant strict = {.n_hosts = 0};

static void one_bad_answer_refuses_the_name(void **state)
{
	(void)state;
	struct url url = url_of("https", "two.example", 443);
	struct sockaddr_storage answers[] = {address_of("8.8.8.8"), address_of("2606:4700::1"),
					     address_of("169.254.169.254")};
	bool loopback = true;
	assert_int_equal(address_judge(&strict, &url, answers, 2, &loopback, &err), 0);
	assert_false(loopback);
	loopback = true;
	assert_int_equal(address_judge(&strict, &url, answers, 3, &loopback, &err), -1);
	assert_true(loopback);
	assert_refused("address");
	assert_non_null(strstr(err.message, "address 169.254.169.254 is link-local (metadata)"));
	assert_non_null(strstr(err.details, "\"requested\":\"network:two.example:443\""));
	assert_non_null(strstr(err.details, "\"address\":\"169.254.169.254\""));
	assert_non_null(strstr(err.details, "\"range\":\"link-local (metadata)\""));
}

static void a_literal_opens_only_when_listed_plainly(void **state)
{
	(void)state;
	static const struct str hosts[] = {S("127.0.0.1:8080"),       S("[::1]:8080"),           S("10.0.0.1:80"),
					   S("[0:0:0:0:0:0:0:1]:81"), S("169.254.169.254:80"),   S("0.0.0.0:80"),
					   S("[::ffff:7f00:1]:80"),   S("[64:ff9b::7f00:1]:80"), S("name.example:8080"),
					   S("[fe80::1]:80"),         S("2130706433:80"),        S("93.184.216.34:80"),
					   S("[FD12::1]:80")};
	struct egress_grant grant = {.hosts = hosts, .n_hosts = ARRAY_LEN(hosts)};
	static const struct {
		const char *host;
		uint16_t port;
		bool passes, loopback;
	} rows[] = {
		{"127.0.0.1", 8080, true, true},       {"127.0.0.1", 8081, false, false},
		{"127.0.0.2", 8080, false, false},     {"::1", 8080, true, true},
		{"10.0.0.1", 80, true, false},         {"0:0:0:0:0:0:0:1", 81, false, false},
		{"169.254.169.254", 80, false, false}, {"0.0.0.0", 80, false, false},
		{"::ffff:7f00:1", 80, false, false},   {"64:ff9b::7f00:1", 80, false, false},
		{"fe80::1", 80, false, false},         {"2130706433", 80, false, false},
		{"93.184.216.34", 80, true, false},    {"fd12::1", 80, true, false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct url url = url_of("http", rows[i].host, rows[i].port);
		struct address_plan plan;
		bool passes = address_plan(&grant, &url, &plan, &err) == 0;
		if (passes != rows[i].passes)
			fail_msg("%s:%u was judged wrongly", rows[i].host, rows[i].port);
		if (passes) {
			assert_int_equal(plan.source, ADDRESS_LITERAL);
			assert_int_equal(plan.loopback, rows[i].loopback);
		}
	}
	/* A name that leads there is another matter. */
	struct url name = url_of("http", "name.example", 8080);
	struct sockaddr_storage local = address_of("127.0.0.1");
	bool loopback;
	assert_int_equal(address_judge(&grant, &name, &local, 1, &loopback, &err), -1);
	assert_refused("address");
}

static void allow_private_opens_one_host_and_port(void **state)
{
	(void)state;
	static const struct egress_opening openings[] = {{.host = S("local.example"), .port = 8443}};
	struct egress_grant grant = {.openings = openings, .n_openings = 1};
	struct url url = url_of("https", "local.example", 8443);
	struct address_plan plan;
	assert_int_equal(address_plan(&grant, &url, &plan, &err), 0);
	assert_int_equal(plan.source, ADDRESS_ASK);
	struct sockaddr_storage answers[] = {address_of("127.0.0.1"), address_of("::1"), address_of("10.0.0.1"),
					     address_of("169.254.1.1")};
	bool loopback = false;
	assert_int_equal(address_judge(&grant, &url, answers, 2, &loopback, &err), 0);
	assert_true(loopback);
	assert_int_equal(address_judge(&grant, &url, answers, 3, &loopback, &err), 0);
	assert_false(loopback);
	assert_int_equal(address_judge(&grant, &url, answers, 4, &loopback, &err), -1);
	assert_refused("address");
	url.port = 443;
	assert_int_equal(address_judge(&grant, &url, answers, 1, &loopback, &err), -1);
	url = url_of("https", "other.example", 8443);
	assert_int_equal(address_judge(&grant, &url, answers, 1, &loopback, &err), -1);
}

static void resolve_dials_what_the_user_says(void **state)
{
	(void)state;
	static const struct egress_opening openings[] = {
		{.host = S("api.example.com"), .port = 443, .address = S("127.0.0.1"), .address_port = 8443},
		{.host = S("six.example"), .port = 443, .address = S("::1"), .address_port = 9},
		{.host = S("bad.example"), .port = 443, .address = S("127.1"), .address_port = 9},
	};
	struct egress_grant grant = {.openings = openings, .n_openings = ARRAY_LEN(openings)};
	struct url url = url_of("https", "api.example.com", 443);
	struct address_plan plan;
	assert_int_equal(address_plan(&grant, &url, &plan, &err), 0);
	assert_int_equal(plan.source, ADDRESS_FROM_USER);
	assert_true(plan.loopback);
	char text[ADDRESS_TEXT_MAX];
	assert_string_equal(address_text(&plan.address, text), "127.0.0.1");
	const unsigned char *bytes = (const unsigned char *)&plan.address;
	assert_int_equal(bytes[2] << 8 | bytes[3], 8443);
	url.port = 444;
	assert_int_equal(address_plan(&grant, &url, &plan, &err), 0);
	assert_int_equal(plan.source, ADDRESS_ASK);
	url = url_of("https", "six.example", 443);
	assert_int_equal(address_plan(&grant, &url, &plan, &err), 0);
	assert_string_equal(address_text(&plan.address, text), "::1");
	url = url_of("https", "bad.example", 443);
	assert_int_equal(address_plan(&grant, &url, &plan, &err), -1);
	assert_refused("spelling");
	/* What --resolve opens is opened for nothing else. */
	struct sockaddr_storage local = address_of("127.0.0.1");
	bool loopback;
	url = url_of("https", "api.example.com", 443);
	assert_int_equal(address_judge(&grant, &url, &local, 1, &loopback, &err), -1);
}

static void a_credential_needs_tls_or_opened_loopback(void **state)
{
	(void)state;
	struct url https = url_of("https", "h.example", 443), http = url_of("http", "h.example", 80);
	assert_int_equal(address_allows_credential(&https, false, &err), 0);
	assert_int_equal(address_allows_credential(&http, true, &err), 0);
	assert_int_equal(address_allows_credential(&http, false, &err), -1);
	assert_refused("plain_http");
	assert_non_null(strstr(err.details, "\"requested\":\"network:h.example:80\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_range_is_refused_at_both_ends_and_not_beyond),
		cmocka_unit_test(ordinary_addresses_are_public),
		cmocka_unit_test(only_loopback_and_private_may_open),
		cmocka_unit_test(tells_names_from_addresses_from_disguised_ones),
		cmocka_unit_test(one_bad_answer_refuses_the_name),
		cmocka_unit_test(a_literal_opens_only_when_listed_plainly),
		cmocka_unit_test(allow_private_opens_one_host_and_port),
		cmocka_unit_test(resolve_dials_what_the_user_says),
		cmocka_unit_test(a_credential_needs_tls_or_opened_loopback),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
