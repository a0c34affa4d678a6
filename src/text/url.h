/*
 * url: http and https URLs, parsed once and in one way
 *
 * The gate judges, the dialler dials and the signer signs the same parsed value, so that no two parsers can disagree.
 * Accepts RFC 3986 `scheme://host[:port][/path][?query][#fragment]` in ASCII; refuses user information, control characters,
 * spaces, backslashes, an empty or non-decimal port, a port over 65535, percent-escapes in the host, bad escapes, raw
 * non-ASCII in the host. Host is lower-cased and without brackets; IPv6 literals are checked. Non-ASCII bytes in path and
 * query are percent-encoded. Other schemes than http and https parse too (scheme is lower-cased): the gate refuses them.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define URL_MAX 65536 /* bytes of input */

struct url {
	struct str scheme;   /* lower-case */
	struct str host;     /* lower-case, no brackets; "" when the URL has none */
	bool host_is_ipv6;   /* written in brackets */
	bool port_given;
	uint16_t port;       /* given, or 443 for https, 80 for http, 0 for other schemes without one */
	struct str path;     /* as written, "" when absent */
	bool has_query;
	struct str query;    /* as written, without '?' */
	struct str fragment; /* without '#'; never sent */
};

/* Parts live in the arena. PARSE_ERROR says what is wrong; `text` is quoted visibly in the message, at most 200 bytes. */
int url_parse(struct arena *arena, struct str text, struct url *ret, struct err *err) __attribute__((warn_unused_result));
/* RFC 3986 5.2: `reference` as seen from `base` (a Location header). */
int url_resolve(struct arena *arena, const struct url *base, struct str reference, struct url *ret, struct err *err)
	__attribute__((warn_unused_result));
/* "scheme://host[:port]/path[?query]": path "/" when empty, default port left out, IPv6 in brackets, no fragment. */
struct str url_text(struct arena *arena, const struct url *url);
/* "host:port" with the effective port, IPv6 without brackets, as grants spell it. */
struct str url_authority(struct arena *arena, const struct url *url);
/* Host as a Host header carries it: brackets for IPv6, port only when it is not the scheme's own. */
struct str url_host_header(struct arena *arena, const struct url *url);
/* Same scheme, host and port. */
bool url_same_origin(const struct url *a, const struct url *b);
