#include "egress/address.h"
#include "base/mem.h"
#include "egress/gate.h"
#include <arpa/inet.h>
#include <netinet/in.h>

/*
 * The refused ranges. The first row that holds decides, so what is narrower stands above. Sources: the IANA IPv4 and
 * IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190) with the defining documents, and the clouds' own pages
 * for their metadata services.
 */
struct row4 {
	uint32_t prefix;
	unsigned bits;
	struct address_range range;
};
#define V4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

static const struct row4 rows4[] = {
	{V4(0, 0, 0, 0), 8, {.name = "this network", .source = "RFC 1122"}},
	{V4(10, 0, 0, 0), 8, {.name = "private", .source = "RFC 1918", .may_open = true}},
	{V4(100, 100, 100, 200), 32, {.name = "shared (metadata)", .source = "Alibaba Cloud"}},
	{V4(100, 64, 0, 0), 10, {.name = "shared (carrier-grade NAT)", .source = "RFC 6598"}},
	{V4(127, 0, 0, 0), 8, {.name = "loopback", .source = "RFC 1122", .may_open = true, .loopback = true}},
	{V4(168, 63, 129, 16), 32, {.name = "metadata", .source = "Azure"}},
	{V4(169, 254, 169, 254), 32, {.name = "link-local (metadata)", .source = "RFC 3927"}},
	{V4(169, 254, 0, 0), 16, {.name = "link-local", .source = "RFC 3927"}},
	{V4(172, 16, 0, 0), 12, {.name = "private", .source = "RFC 1918", .may_open = true}},
	{V4(192, 0, 0, 0), 24, {.name = "IETF protocol assignments", .source = "RFC 6890"}},
	{V4(192, 0, 2, 0), 24, {.name = "documentation", .source = "RFC 5737"}},
	{V4(192, 88, 99, 0), 24, {.name = "6to4 relay", .source = "RFC 7526"}},
	{V4(192, 168, 0, 0), 16, {.name = "private", .source = "RFC 1918", .may_open = true}},
	{V4(198, 18, 0, 0), 15, {.name = "benchmarking", .source = "RFC 2544"}},
	{V4(198, 51, 100, 0), 24, {.name = "documentation", .source = "RFC 5737"}},
	{V4(203, 0, 113, 0), 24, {.name = "documentation", .source = "RFC 5737"}},
	{V4(224, 0, 0, 0), 4, {.name = "multicast", .source = "RFC 5771"}},
	{V4(255, 255, 255, 255), 32, {.name = "broadcast", .source = "RFC 919"}},
	{V4(240, 0, 0, 0), 4, {.name = "reserved", .source = "RFC 1112"}},
};

struct row6 {
	unsigned char prefix[16];
	unsigned bits;
	unsigned embedded; /* not 0: only refused when the IPv4 address at this byte is */
	struct address_range range;
};

/* clang-format off */
static const struct row6 rows6[] = {
	{{0}, 128, 0, {.name = "unspecified", .source = "RFC 4291"}},
	{{[15] = 1}, 128, 0, {.name = "loopback", .source = "RFC 4291", .may_open = true, .loopback = true}},
	{{[10] = 0xff, 0xff}, 96, 0, {.name = "IPv4-mapped", .source = "RFC 4291"}},
	{{[8] = 0xff, 0xff}, 96, 0, {.name = "IPv4-translated", .source = "RFC 2765"}},
	{{0}, 96, 0, {.name = "IPv4-compatible", .source = "RFC 4291"}},
	{{0, 0x64, 0xff, 0x9b}, 96, 12, {.name = "NAT64 of a refused address", .source = "RFC 6052"}},
	{{0, 0x64, 0xff, 0x9b, 0, 1}, 48, 0, {.name = "NAT64 (local use)", .source = "RFC 8215"}},
	{{1}, 64, 0, {.name = "discard", .source = "RFC 6666"}},
	{{1, [7] = 1}, 64, 0, {.name = "dummy", .source = "RFC 9780"}},
	{{0x20, 1}, 32, 0, {.name = "Teredo", .source = "RFC 4380"}},
	{{0x20, 1, 0, 2}, 48, 0, {.name = "benchmarking", .source = "RFC 5180"}},
	{{0x20, 1, 0, 0x10}, 28, 0, {.name = "ORCHID", .source = "RFC 4843"}},
	{{0x20, 1, 0, 0x20}, 28, 0, {.name = "ORCHIDv2", .source = "RFC 7343"}},
	{{0x20, 1}, 23, 0, {.name = "IETF protocol assignments", .source = "RFC 2928"}},
	{{0x20, 1, 0x0d, 0xb8}, 32, 0, {.name = "documentation", .source = "RFC 3849"}},
	{{0x20, 2}, 16, 2, {.name = "6to4 of a refused address", .source = "RFC 3056"}},
	{{0x3f, 0xff}, 20, 0, {.name = "documentation", .source = "RFC 9637"}},
	{{0x5f}, 16, 0, {.name = "segment routing", .source = "RFC 9602"}},
	{{0xfd, 0, 0x0e, 0xc2, [14] = 2, 0x54}, 128, 0, {.name = "private (metadata)", .source = "Amazon EC2"}},
	{{0xfd, 0x20, 0, 0xce, [14] = 2, 0x54}, 128, 0, {.name = "private (metadata)", .source = "Google Cloud"}},
	{{0xfd, 0, 0, 0xc1, [12] = 0xa9, 0xfe, 0xa9, 0xfe}, 128, 0, {.name = "private (metadata)", .source = "Oracle Cloud"}},
	{{0xfc}, 7, 0, {.name = "private", .source = "RFC 4193", .may_open = true}},
	{{0xfe, 0x80}, 10, 0, {.name = "link-local", .source = "RFC 4291"}},
	{{0xfe, 0xc0}, 10, 0, {.name = "site-local", .source = "RFC 3879"}},
	{{0xff}, 8, 0, {.name = "multicast", .source = "RFC 4291"}},
};
/* clang-format on */

/* Addresses are given out from 2000::/3 alone. */
static const struct address_range not_global = {.name = "not global unicast", .source = "RFC 4291"};
static const struct address_range not_internet = {.name = "not an internet address", .source = "RFC 791"};

static const struct address_range *range_of_v4(uint32_t address)
{
	for (size_t i = 0; i < ARRAY_LEN(rows4); i++) {
		uint32_t mask = UINT32_MAX << (32 - rows4[i].bits);
		if ((address & mask) == rows4[i].prefix)
			return &rows4[i].range;
	}
	return NULL;
}

static uint32_t v4_at(const unsigned char *bytes)
{
	return V4(bytes[0], bytes[1], bytes[2], bytes[3]);
}

static bool has_prefix(const unsigned char address[16], const unsigned char prefix[16], unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	if (memcmp(address, prefix, whole) != 0)
		return false;
	return rest == 0 || ((address[whole] ^ prefix[whole]) >> (8 - rest)) == 0;
}

static const struct address_range *range_of_v6(const unsigned char address[16])
{
	for (size_t i = 0; i < ARRAY_LEN(rows6); i++) {
		const struct row6 *row = &rows6[i];
		if (!has_prefix(address, row->prefix, row->bits))
			continue;
		if (row->embedded == 0)
			return &row->range;
		return range_of_v4(v4_at(address + row->embedded)) != NULL ? &row->range : NULL;
	}
	return (address[0] & 0xe0) == 0x20 ? NULL : &not_global;
}

const struct address_range *address_range_of(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, address, sizeof v4);
		return range_of_v4(ntohl(v4.sin_addr.s_addr));
	}
	if (address->ss_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, address, sizeof v6);
		return range_of_v6(v6.sin6_addr.s6_addr);
	}
	return &not_internet;
}

const char *address_text(const struct sockaddr_storage *address, char buf[ADDRESS_TEXT_MAX])
{
	const char *text = NULL;
	if (address->ss_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, address, sizeof v4);
		text = inet_ntop(AF_INET, &v4.sin_addr, buf, ADDRESS_TEXT_MAX);
	} else if (address->ss_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, address, sizeof v6);
		text = inet_ntop(AF_INET6, &v6.sin6_addr, buf, ADDRESS_TEXT_MAX);
	}
	if (text == NULL)
		memcpy(buf, "unknown", sizeof "unknown");
	return buf;
}

void address_set_port(struct sockaddr_storage *address, uint16_t port)
{
	if (address->ss_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, address, sizeof v4);
		v4.sin_port = htons(port);
		memcpy(address, &v4, sizeof v4);
	} else if (address->ss_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, address, sizeof v6);
		v6.sin6_port = htons(port);
		memcpy(address, &v6, sizeof v6);
	}
}

/* Four decimal numbers up to 255 without leading zeros. */
static bool parse_v4(struct str host, struct sockaddr_storage *ret)
{
	uint32_t value = 0;
	for (int part = 0; part < 4; part++) {
		size_t dot = str_find_char(host, '.');
		if ((dot == STR_NPOS) != (part == 3))
			return false;
		uint64_t number;
		if (!str_to_u64(str_slice(host, 0, dot), 255, &number))
			return false;
		value = value << 8 | (uint32_t)number;
		host = dot == STR_NPOS ? STR_EMPTY : str_slice(host, dot + 1, host.n);
	}
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(value)};
	*ret = (struct sockaddr_storage){0};
	memcpy(ret, &v4, sizeof v4);
	return true;
}

static bool parse_v6(struct str host, struct sockaddr_storage *ret)
{
	char z[ADDRESS_TEXT_MAX];
	if (host.n >= sizeof z || str_find_char(host, '\0') != STR_NPOS)
		return false;
	memcpy(z, host.p, host.n);
	z[host.n] = '\0';
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	if (inet_pton(AF_INET6, z, &v6.sin6_addr) != 1)
		return false;
	*ret = (struct sockaddr_storage){0};
	memcpy(ret, &v6, sizeof v6);
	return true;
}

static bool only(struct str s, const char *characters)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0' || strchr(characters, s.p[i]) == NULL)
			return false;
	}
	return true;
}

/* The URL standard's "ends in a number": what inet_aton() and its like would read as an address. */
static bool ends_in_number(struct str host)
{
	if (str_ends(host, S(".")))
		host.n--;
	size_t dot = str_find_last_char(host, '.');
	struct str last = dot == STR_NPOS ? host : str_slice(host, dot + 1, host.n);
	if (last.n == 0)
		return false;
	if (str_starts(last, S("0x")) || str_starts(last, S("0X")))
		return only(str_slice(last, 2, last.n), "0123456789abcdefABCDEF");
	return only(last, "0123456789");
}

enum address_form address_parse(struct str host, struct sockaddr_storage *ret)
{
	if (str_find_char(host, ':') != STR_NPOS)
		return parse_v6(host, ret) ? ADDRESS_IS_LITERAL : ADDRESS_IS_ODD;
	if (parse_v4(host, ret))
		return ADDRESS_IS_LITERAL;
	return ends_in_number(host) ? ADDRESS_IS_ODD : ADDRESS_IS_NAME;
}

static bool opening_is_for(const struct egress_opening *opening, const struct url *url)
{
	return opening->port == url->port && str_eq_fold(opening->host, url->host);
}

/* Whether the manifest lists the URL's host, which is this very address in its plain spelling. */
static bool listed_literally(const struct egress_grant *grant, const struct url *url, const char *text)
{
	if (!str_eq(url->host, str_from(text)))
		return false;
	for (size_t i = 0; i < grant->n_hosts; i++) {
		struct str host;
		uint16_t port;
		if (gate_split(grant->hosts[i], &host, &port) && port == url->port && str_eq_fold(host, url->host))
			return true;
	}
	return false;
}

bool address_may_be_local(const struct egress_grant *grant, const struct url *url)
{
	for (size_t i = 0; i < grant->n_openings; i++) {
		if (grant->openings[i].address.n == 0 && opening_is_for(&grant->openings[i], url))
			return true;
	}
	return false;
}

static bool opened(const struct egress_grant *grant, const struct url *url, const struct address_range *range,
		   const char *text)
{
	return range->may_open && (address_may_be_local(grant, url) || listed_literally(grant, url, text));
}

static void detail_requested(const struct url *url, const char *rule, struct err *err)
{
	char requested[512];
	snprintf(requested, sizeof requested, "network:%.*s:%u", STR_FMT(url->host), url->port);
	err_detail(err, "requested", str_from(requested));
	err_detail(err, "rule", str_from(rule));
}

static int refuse_address(const struct url *url, const struct address_range *range, const char *text, struct err *err)
{
	fail(err, ERR_CAPABILITY_DENIED, "address %s is %s (%s), where '%.*s:%u' may not lead%s", text, range->name,
	     range->source, STR_FMT(url->host), url->port,
	     range->may_open ? "; the manifest can list the address itself, or whoever runs this can allow it" : "");
	detail_requested(url, "address", err);
	err_detail(err, "address", str_from(text));
	err_detail(err, "range", str_from(range->name));
	return -1;
}

static int judge_one(const struct egress_grant *grant, const struct url *url, const struct sockaddr_storage *address,
		     bool *ret_loopback, struct err *err)
{
	const struct address_range *range = address_range_of(address);
	if (range != NULL) {
		char text[ADDRESS_TEXT_MAX];
		address_text(address, text);
		if (!opened(grant, url, range, text))
			return refuse_address(url, range, text, err);
	}
	*ret_loopback = range != NULL && range->loopback;
	return 0;
}

int address_judge(const struct egress_grant *grant, const struct url *url, const struct sockaddr_storage *addresses,
		  size_t n, bool *ret_loopback, struct err *err)
{
	bool all_loopback = n > 0;
	for (size_t i = 0; i < n; i++) {
		bool loopback;
		if (judge_one(grant, url, &addresses[i], &loopback, err) < 0)
			return -1;
		all_loopback = all_loopback && loopback;
	}
	*ret_loopback = all_loopback;
	return 0;
}

static int refuse_spelling(const struct url *url, struct err *err)
{
	fail(err, ERR_CAPABILITY_DENIED,
	     "host '%.*s' is an address in a spelling that is not accepted; write it as four decimal numbers",
	     STR_FMT(url->host));
	detail_requested(url, "spelling", err);
	err_detail(err, "address", url->host);
	return -1;
}

/* --resolve: the address was named by the user, so it is not judged. */
static int plan_from_user(const struct egress_opening *opening, const struct url *url, struct address_plan *ret,
			  struct err *err)
{
	struct address_plan plan = {.source = ADDRESS_FROM_USER};
	if (address_parse(opening->address, &plan.address) != ADDRESS_IS_LITERAL) {
		fail(err, ERR_CAPABILITY_DENIED, "'%.*s', given for '%.*s:%u', is not a plainly spelled address",
		     STR_FMT(opening->address), STR_FMT(url->host), url->port);
		detail_requested(url, "spelling", err);
		err_detail(err, "address", opening->address);
		return -1;
	}
	address_set_port(&plan.address, opening->address_port != 0 ? opening->address_port : url->port);
	const struct address_range *range = address_range_of(&plan.address);
	plan.loopback = range != NULL && range->loopback;
	*ret = plan;
	return 0;
}

int address_plan(const struct egress_grant *grant, const struct url *url, struct address_plan *ret, struct err *err)
{
	struct address_plan plan = {.source = ADDRESS_ASK};
	enum address_form form = address_parse(url->host, &plan.address);
	if (form == ADDRESS_IS_ODD)
		return refuse_spelling(url, err);
	for (size_t i = 0; i < grant->n_openings; i++) {
		if (grant->openings[i].address.n > 0 && opening_is_for(&grant->openings[i], url))
			return plan_from_user(&grant->openings[i], url, ret, err);
	}
	if (form == ADDRESS_IS_LITERAL) {
		plan.source = ADDRESS_LITERAL;
		if (judge_one(grant, url, &plan.address, &plan.loopback, err) < 0)
			return -1;
		address_set_port(&plan.address, url->port);
	}
	*ret = plan;
	return 0;
}

int address_allows_credential(const struct url *url, bool loopback, struct err *err)
{
	if (str_eq(url->scheme, S("https")) || loopback)
		return 0;
	fail(err, ERR_CAPABILITY_DENIED,
	     "http_request: a credential does not go over plain http to '%.*s:%u'; ask for https", STR_FMT(url->host),
	     url->port);
	detail_requested(url, "plain_http", err);
	return -1;
}
