/*
 * address: where a permitted URL may lead
 *
 * A name is resolved once; all its addresses are judged, and one bad address refuses the whole. What is refused is a
 * table: loopback, private, link-local, shared, reserved, documentation, multicast and transition ranges of RFC 6890
 * and the IANA special-purpose registries, metadata services of clouds among them, and for IPv6 everything outside
 * 2000::/3. Addresses that carry an IPv4 address are judged by it (NAT64, 6to4) or refused as such (mapped, compatible,
 * Teredo).
 *
 * A private range opens in three ways and no other:
 *     the manifest    lists that address, in plain spelling, as the URL does: loopback and private ranges only
 *     --allow-private HOST:PORT       whatever HOST gives, loopback and private ranges only
 *     --resolve HOST:PORT:ADDR:PORT   that address alone, whatever it is, is dialled instead of asking for HOST
 *
 * A host that ends in a number is an IPv4 address (as in the URL standard): other spellings than four plain decimal
 * numbers (2130706433, 0x7f.1, 0177.0.0.1, 127.1, "127.0.0.1.") are refused and never reach a resolver.
 *
 * Refusals are CAPABILITY_DENIED, boundary sandbox, details: requested "network:host:port", address, range, rule
 * "address" (rule "spelling" without `range` for a spelling that is refused). No I/O; any thread.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "egress/egress_protocol.h"
#include "text/url.h"
#include <sys/socket.h>

/* "::ffff:255.255.255.255" and its like, with the NUL. */
#define ADDRESS_TEXT_MAX 46

struct address_range {
	const char *name;   /* "loopback", "metadata" … as details and messages carry it */
	const char *source; /* "RFC 1122" */
	bool may_open;      /* by the manifest's literal or --allow-private */
	bool loopback;
};

enum address_form {
	ADDRESS_IS_NAME,    /* to be resolved */
	ADDRESS_IS_LITERAL, /* a plain IPv4 or IPv6 address */
	ADDRESS_IS_ODD,     /* meant as a number, but not plainly spelled */
};

/* What a host text (no brackets) is; *ret is set for ADDRESS_IS_LITERAL only, with port 0. */
enum address_form address_parse(struct str host, struct sockaddr_storage *ret);

/* The range that refuses this address, or NULL when it is an ordinary public one. A family of neither kind is refused.
 */
const struct address_range *address_range_of(const struct sockaddr_storage *address);

/* The address alone in its usual text (RFC 5952); returns buf. */
const char *address_text(const struct sockaddr_storage *address, char buf[ADDRESS_TEXT_MAX]);
void address_set_port(struct sockaddr_storage *address, uint16_t port);

enum address_source {
	ADDRESS_ASK,       /* resolve url->host, then address_judge() what comes */
	ADDRESS_LITERAL,   /* the host is an address: `address` */
	ADDRESS_FROM_USER, /* --resolve names it: `address` */
};

/* How to reach url->host: before a resolver is asked. Except for ADDRESS_ASK the address is judged already, with its
 * port. */
struct address_plan {
	enum address_source source;
	struct sockaddr_storage address;
	bool loopback; /* opened, and on this machine */
};
int address_plan(const struct egress_grant *grant, const struct url *url, struct address_plan *ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Judges what the resolver gave for url->host (n > 0). 0: each may be dialled; *ret_loopback says that all are on this
 * machine (and so were opened).
 */
int address_judge(const struct egress_grant *grant, const struct url *url, const struct sockaddr_storage *addresses,
		  size_t n, bool *ret_loopback, struct err *err) __attribute__((warn_unused_result));

/* Whether a name of which nothing but the URL is known may lead to this machine: --allow-private names it. */
bool address_may_be_local(const struct egress_grant *grant, const struct url *url);

/* A credential goes over https, or over http to an address that was opened as loopback. rule "plain_http" otherwise. */
int address_allows_credential(const struct url *url, bool loopback, struct err *err)
	__attribute__((warn_unused_result));
