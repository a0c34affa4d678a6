/*
 * url: URLs, parsed once and in one way
 *
 * The gate judges, the dialler dials and the signer signs the same parsed value, so that no two parsers can disagree.
 * Reads RFC 3986 `scheme:[//host[:port]][/path][?query][#fragment]`. What decides where a request goes is strict:
 *
 *   everywhere   no control characters (0x00-0x1f, 0x7f)
 *   scheme       a letter, then letters, digits, `+`, `-`, `.`; lower-cased; any scheme parses, the gate judges it
 *   authority    no user information; everything up to the first `/`, `?` or `#` is host and port, so a backslash, a
 *                space, a percent sign or a byte above ASCII in it is refused and never ends it
 *   host         labels of letters, digits, `-` and `_`, 1 to 63 bytes, no `-` at either end, at most 253 bytes with
 *                the dots, no dot at the end; lower-cased. Numbers (`127.1`, `0x7f000001`) pass as text: what they
 *                mean as an address is judged where addresses are. Or an IPv6 literal in brackets, without a zone
 *   port         decimal without leading zeros, 1 to 65535; a colon without a port is refused
 *
 * What only the server reads is kept: in path, query and fragment every byte that RFC 3986 does not allow there (space,
 * `"`, `<`, `>`, `[`, `\`, `]`, `^`, the backtick, `{`, `|`, `}`, bytes above ASCII) is percent-encoded, as clients do
 * that send such text, and what is allowed stays as written: escapes keep their case, `a/../b` stays. A `%` that
 * begins no escape is refused in path and fragment and becomes `%25` in the query.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define URL_MAX      65536 /* bytes, as it comes and as url_text() writes it */
#define URL_HOST_MAX 253

struct url {
	struct str scheme; /* lower-case */
	struct str host;   /* lower-case, no brackets; "" when the URL has none */
	bool host_is_ipv6; /* written in brackets */
	bool port_given;
	uint16_t port;   /* given, or 443 for https, 80 for http, 0 for other schemes without one */
	struct str path; /* "" when absent; begins with '/' when there is a host */
	bool has_query;
	struct str query;    /* without '?' */
	struct str fragment; /* without '#'; never sent */
};

/*
 * Parts live in the arena. PARSE_ERROR says what is wrong and quotes `text`, visibly and at most 200 bytes of it, but
 * never user information.
 */
int url_parse(struct arena *arena, struct str text, struct url *ret, struct err *err)
	__attribute__((warn_unused_result));
/* RFC 3986 5.2 (strict): `reference` as seen from `base` (a Location header). Dot segments are removed. */
int url_resolve(struct arena *arena, const struct url *base, struct str reference, struct url *ret, struct err *err)
	__attribute__((warn_unused_result));
/*
 * "scheme://host[:port]/path[?query]": path "/" when empty, default port left out, IPv6 in brackets, no fragment.
 * Without a host "scheme:path[?query]", as in "mailto:a@b". Parsing the result and writing it again gives the same
 * text.
 */
struct str url_text(struct arena *arena, const struct url *url);
/* "host:port" with the effective port, IPv6 without brackets, as grants spell it. */
struct str url_authority(struct arena *arena, const struct url *url);
/* Host as a Host header carries it: brackets for IPv6, port only when it is not the scheme's own. */
struct str url_host_header(struct arena *arena, const struct url *url);
/* Same scheme, host and port. */
bool url_same_origin(const struct url *a, const struct url *b);
