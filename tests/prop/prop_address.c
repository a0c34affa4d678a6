/* The table of ranges against a plain list compared bit by bit, and the spelling rule against what inet_aton() reads. */
#include "base/mem.h"
#include "egress/address.h"
#include "prop/generator.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct cidr {
	const char *prefix;
	unsigned bits;
};

static const struct cidr refused4[] = {
	{"0.0.0.0", 8},      {"10.0.0.0", 8},    {"100.64.0.0", 10},   {"127.0.0.0", 8},    {"168.63.129.16", 32},
	{"169.254.0.0", 16}, {"172.16.0.0", 12}, {"192.0.0.0", 24},    {"192.0.2.0", 24},   {"192.88.99.0", 24},
	{"192.168.0.0", 16}, {"198.18.0.0", 15}, {"198.51.100.0", 24}, {"203.0.113.0", 24}, {"224.0.0.0", 3},
};

/* Within 2000::/3; all else is refused but for NAT64. */
static const struct cidr refused6[] = {
	{"2001::", 23},
	{"2001:db8::", 32},
	{"3fff::", 20},
};

static bool within(const unsigned char *address, const unsigned char *prefix, unsigned bits)
{
	for (unsigned i = 0; i < bits; i++) {
		if (((address[i / 8] ^ prefix[i / 8]) >> (7 - i % 8) & 1) != 0)
			return false;
	}
	return true;
}

static bool model4(const unsigned char address[4])
{
	for (size_t i = 0; i < ARRAY_LEN(refused4); i++) {
		unsigned char prefix[4];
		assert_int_equal(inet_pton(AF_INET, refused4[i].prefix, prefix), 1);
		if (within(address, prefix, refused4[i].bits))
			return true;
	}
	return false;
}

static bool model6(const unsigned char address[16])
{
	static const unsigned char global[16] = {0x20}, nat64[16] = {0, 0x64, 0xff, 0x9b}, six_to_four[16] = {0x20, 2};
	if (within(address, nat64, 96))
		return model4(address + 12);
	if (within(address, six_to_four, 16))
		return model4(address + 2);
	if (!within(address, global, 3))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(refused6); i++) {
		unsigned char prefix[16];
		assert_int_equal(inet_pton(AF_INET6, refused6[i].prefix, prefix), 1);
		if (within(address, prefix, refused6[i].bits))
			return true;
	}
	return false;
}

/* Random bytes, with a prefix of the lists in front half of the time, and one bit of it turned at times. */
static void make_address(struct generator *g, int family, unsigned char *address, size_t n)
{
	for (size_t i = 0; i < n; i++)
		address[i] = (unsigned char)generate(g);
	static const char *const prefixes6[] = {
		"64:ff9b::", "2002::", "::ffff:0:0", "::", "fe80::", "fc00::", "64:ff9b:1::"};
	size_t choice = generate_below(g, 2);
	if (choice == 0)
		return;
	bool six = family == AF_INET6, extra = six && generate_below(g, 2) == 0;
	size_t row = generate_below(g, extra ? ARRAY_LEN(prefixes6) : six ? ARRAY_LEN(refused6) : ARRAY_LEN(refused4));
	const char *text = extra ? prefixes6[row] : six ? refused6[row].prefix : refused4[row].prefix;
	unsigned bits = extra ? 96 : six ? refused6[row].bits : refused4[row].bits;
	unsigned char prefix[16];
	assert_int_equal(inet_pton(family, text, prefix), 1);
	memcpy(address, prefix, bits / 8);
	if (generate_below(g, 4) == 0)
		address[generate_below(g, n)] ^= (unsigned char)(1U << generate_below(g, 8));
	if (extra && generate_below(g, 2) == 0 && inet_pton(AF_INET, "10.0.0.0", prefix) == 1)
		memcpy(address + (text[0] == '2' ? 2 : 12), prefix, 2);
}

static void ranges_agree_with_the_list(void **state)
{
	(void)state;
	struct generator g = {11};
	size_t refused = 0, passed = 0;
	for (int round = 0; round < 400000; round++) {
		struct sockaddr_storage address = {0};
		bool expected;
		if (round % 2 == 0) {
			struct sockaddr_in v4 = {.sin_family = AF_INET};
			make_address(&g, AF_INET, (unsigned char *)&v4.sin_addr, 4);
			expected = model4((const unsigned char *)&v4.sin_addr);
			memcpy(&address, &v4, sizeof v4);
		} else {
			struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
			make_address(&g, AF_INET6, v6.sin6_addr.s6_addr, 16);
			expected = model6(v6.sin6_addr.s6_addr);
			memcpy(&address, &v6, sizeof v6);
		}
		if ((address_range_of(&address) != NULL) != expected) {
			char text[ADDRESS_TEXT_MAX];
			fail_msg("%s is %srefused by the list", address_text(&address, text), expected ? "" : "not ");
		}
		refused += expected;
		passed += !expected;
	}
	assert_true(refused > 50000 && passed > 50000);
}

/* One to four numbers, each in any base. */
static size_t make_numbers(struct generator *g, char *text, size_t room)
{
	size_t parts = 1 + generate_below(g, 4), n = 0;
	for (size_t i = 0; i < parts; i++) {
		unsigned value = (unsigned)generate_below(g, i + 1 == parts && parts < 4 ? 70000 : 256);
		size_t base = generate_below(g, 4);
		if (i > 0)
			text[n++] = '.';
		if (base == 0)
			n += (size_t)snprintf(text + n, room - n, "0%o", value);
		else if (base == 1)
			n += (size_t)snprintf(text + n, room - n, "0x%x", value);
		else
			n += (size_t)snprintf(text + n, room - n, "%u", value);
	}
	return n;
}

/* Whatever a C library would read as an address is never taken for a name, and a literal only when it is plain. */
static void no_disguise_is_a_name(void **state)
{
	(void)state;
	struct generator g = {12};
	size_t read_by_libc = 0, literals = 0;
	for (int round = 0; round < 400000; round++) {
		char text[64];
		size_t n = round % 2 == 0 ? generate_text(&g, S("0123456789xa."), text, 24).n
					  : make_numbers(&g, text, sizeof text);
		text[n] = '\0';
		struct sockaddr_storage address;
		enum address_form form = address_parse(str_of(text, n), &address);
		struct in_addr ignored;
		bool libc = n > 0 && inet_aton(text, &ignored) != 0;
		if (libc && form == ADDRESS_IS_NAME)
			fail_msg("'%s' is taken for a name", text);
		read_by_libc += libc;
		if (form == ADDRESS_IS_LITERAL) {
			char again[ADDRESS_TEXT_MAX];
			assert_string_equal(address_text(&address, again), text);
			literals++;
		}
	}
	assert_true(read_by_libc > 50000 && literals > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_agree_with_the_list),
		cmocka_unit_test(no_disguise_is_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
