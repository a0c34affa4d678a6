#include "text/url.h"
#include "base/ascii.h"
#include "base/escape.h"
#include "text/percent.h"
#include <arpa/inet.h>

/* Where a byte may stand as it is, by RFC 3986 2.2, 2.3, 3.3 and 3.4. */
enum { SCHEME = 1, HOST = 2, PATH = 4, QUERY = 8 };

#define PCHAR (PATH | QUERY)

static bool may_stand(char c, unsigned where)
{
	static const unsigned char places[256] = {
		['a' ... 'z'] = SCHEME | HOST | PCHAR,
		['A' ... 'Z'] = SCHEME | HOST | PCHAR,
		['0' ... '9'] = SCHEME | HOST | PCHAR,
		['-'] = SCHEME | HOST | PCHAR,
		['.'] = SCHEME | HOST | PCHAR,
		['_'] = HOST | PCHAR,
		['+'] = SCHEME | PCHAR,
		['~'] = PCHAR,
		['!'] = PCHAR,
		['$'] = PCHAR,
		['&'] = PCHAR,
		['\''] = PCHAR,
		['('] = PCHAR,
		[')'] = PCHAR,
		['*'] = PCHAR,
		[','] = PCHAR,
		[';'] = PCHAR,
		['='] = PCHAR,
		[':'] = PCHAR,
		['@'] = PCHAR,
		['/'] = PCHAR,
		['?'] = QUERY,
	};
	return (places[(unsigned char)c] & where) != 0;
}

static const struct {
	struct str scheme;
	uint16_t port;
} default_ports[] = {
	{{"https", 5}, 443},
	{{"http", 4}, 80},
};

static uint16_t default_port(struct str scheme)
{
	for (size_t i = 0; i < ARRAY_LEN(default_ports); i++) {
		if (str_eq(scheme, default_ports[i].scheme))
			return default_ports[i].port;
	}
	return 0;
}

/*
 * The five parts as RFC 3986 appendix B cuts them, before any of them is looked at. A part that is absent has no
 * pointer; one that is there and empty has.
 */
struct parts {
	struct str scheme;
	struct str authority;
	struct str path;
	struct str query;
	struct str fragment;
};

/* Cuts `*rest` before the first byte that is in `stops`; *rest begins with it then. */
static struct str cut_before(struct str *rest, const char *stops)
{
	size_t n = 0;
	while (n < rest->n && (rest->p[n] == '\0' || strchr(stops, rest->p[n]) == NULL))
		n++;
	struct str head = {rest->p, n};
	*rest = (struct str){rest->p + n, rest->n - n};
	return head;
}

static struct str without_first(struct str s, size_t n)
{
	return (struct str){s.p + n, s.n - n};
}

static struct parts cut_parts(struct str text)
{
	struct parts parts = {.scheme = STR_EMPTY};
	struct str rest = text.n > 0 ? text : S("");
	struct str after = rest;
	struct str head = cut_before(&after, ":/?#");
	if (str_starts(after, S(":"))) {
		parts.scheme = head;
		rest = without_first(after, 1);
	}
	if (str_starts(rest, S("//"))) {
		rest = without_first(rest, 2);
		parts.authority = cut_before(&rest, "/?#");
	}
	parts.path = cut_before(&rest, "?#");
	if (str_starts(rest, S("?"))) {
		rest = without_first(rest, 1);
		parts.query = cut_before(&rest, "#");
	}
	if (str_starts(rest, S("#")))
		parts.fragment = without_first(rest, 1);
	return parts;
}

/* What the parsing of one URL shares. */
struct parse {
	struct arena *arena;
	struct str text;
	struct err *err;
};

static int refuse(const struct parse *p, const char *why)
{
	enum { QUOTED = 200 };
	struct parts parts = cut_parts(p->text);
	struct str shown = str_slice(p->text, 0, QUOTED);
	const char *what = "cannot read the URL";
	/* What stands before an '@' may be a password. */
	size_t at = str_find_last_char(parts.authority, '@');
	if (at != STR_NPOS) {
		shown = str_slice(parts.authority, at + 1, at + 1 + QUOTED);
		what = "cannot read the URL with host";
	}
	AUTO_BUF quoted = BUF_INIT((size_t)QUOTED * 8);
	escape_visible(&quoted, shown);
	return fail(p->err, ERR_PARSE_ERROR, "%s '%s%s': %s", what, quoted.p, shown.n == QUOTED ? "..." : "", why);
}

static int check_bytes(const struct parse *p)
{
	if (p->text.n > URL_MAX)
		return refuse(p, "it is longer than 65536 bytes");
	for (size_t i = 0; i < p->text.n; i++) {
		unsigned char c = (unsigned char)p->text.p[i];
		if (c < 0x20 || c == 0x7f)
			return refuse(p, "it has a control character; write it as a percent-escape");
	}
	return 0;
}

static int parse_scheme(const struct parse *p, struct str scheme, struct url *url)
{
	if (scheme.p == NULL || scheme.n == 0)
		return refuse(p, "it has no scheme; write it in full, as in https://host/path");
	for (size_t i = 0; i < scheme.n; i++) {
		char c = scheme.p[i];
		if (!may_stand(c, SCHEME) || (i == 0 && !ascii_is_letter(c)))
			return refuse(p, "its scheme has a character that schemes do not have");
	}
	url->scheme = arena_lower(p->arena, scheme);
	return 0;
}

/* A name: labels between dots. */
static const char *complaint_about_name(struct str host)
{
	if (host.n > URL_HOST_MAX)
		return "its host is longer than 253 bytes";
	for (size_t i = 0; i < host.n; i++) {
		if ((unsigned char)host.p[i] >= 0x80)
			return "its host has characters above ASCII; write it in its xn-- form";
		if (!may_stand(host.p[i], HOST))
			return "its host has a character that host names do not have";
	}
	if (str_ends(host, S(".")))
		return "its host ends in a dot; leave it out";
	for (struct str rest = host, label; rest.n > 0;) {
		rest = str_cut(rest, '.', &label);
		if (label.n == 0)
			return "its host has an empty label";
		if (label.n > 63)
			return "its host has a label longer than 63 bytes";
		if (label.p[0] == '-' || label.p[label.n - 1] == '-')
			return "its host has a label that begins or ends with '-'";
	}
	return NULL;
}

static bool is_ipv6(struct str s)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	if (s.n == 0 || s.n >= sizeof text || str_find_char(s, '\0') != STR_NPOS)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
}

static int parse_port(const struct parse *p, struct str port, struct url *url)
{
	uint64_t number;
	if (!str_starts(port, S(":")) || !str_to_u64(str_slice(port, 1, port.n), UINT16_MAX, &number) || number == 0)
		return refuse(p, "its port is not a number from 1 to 65535");
	url->port = (uint16_t)number;
	url->port_given = true;
	return 0;
}

static int parse_authority(const struct parse *p, struct str authority, struct url *url)
{
	if (str_find_char(authority, '@') != STR_NPOS)
		return refuse(p, "it carries user information, which is not accepted; use a credential");
	struct str host;
	struct str port;
	if (str_starts(authority, S("["))) {
		size_t close = str_find_char(authority, ']');
		host = str_slice(authority, 1, close);
		if (close == STR_NPOS || !is_ipv6(host))
			return refuse(p, "what stands in brackets is not an IPv6 address");
		port = str_slice(authority, close + 1, authority.n);
		url->host_is_ipv6 = true;
	} else {
		size_t colon = str_find_char(authority, ':');
		host = str_slice(authority, 0, colon);
		port = str_slice(authority, host.n, authority.n);
		const char *complaint = complaint_about_name(host);
		if (complaint == NULL && host.n == 0 && port.n > 0)
			complaint = "it has a port and no host";
		if (complaint == NULL && str_find_char(str_slice(port, 1, port.n), ':') != STR_NPOS)
			complaint = "its host has colons; an IPv6 address stands in brackets";
		if (complaint != NULL)
			return refuse(p, complaint);
	}
	url->host = arena_lower(p->arena, host);
	return port.n > 0 ? parse_port(p, port, url) : 0;
}

/* Bytes that may not stand `where` as percent-escapes. */
static struct str encode(struct arena *arena, struct str s, unsigned where)
{
	size_t odd = 0;
	for (size_t i = 0; i < s.n; i++)
		odd += !may_stand(s.p[i], where);
	if (s.n == 0)
		return STR_EMPTY;
	char *text = arena_alloc(arena, s.n + 2 * odd + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (may_stand(s.p[i], where) || percent_at(s, i) >= 0)
			text[n++] = s.p[i];
		else
			n = (size_t)(percent_write(text + n, s.p[i]) - text);
	}
	return str_of(text, n);
}

static bool escapes_are_whole(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && percent_at(s, i) < 0)
			return false;
	}
	return true;
}

static int parse_rest(const struct parse *p, const struct parts *parts, struct url *url)
{
	if (!escapes_are_whole(parts->path) || !escapes_are_whole(parts->fragment))
		return refuse(p, "it has a '%' that begins no percent-escape; write it as %25");
	url->path = encode(p->arena, parts->path, PATH);
	url->has_query = parts->query.p != NULL;
	url->query = encode(p->arena, parts->query, QUERY);
	url->fragment = encode(p->arena, parts->fragment, QUERY);
	return 0;
}

static int finish(const struct parse *p, struct url *url, struct url *ret)
{
	enum { PUNCTUATION = 16 }; /* of url_text(), with a port */
	if (url->scheme.n + url->host.n + url->path.n + url->query.n + PUNCTUATION > URL_MAX)
		return refuse(p, "it is longer than 65536 bytes when it is written out");
	if (!url->port_given)
		url->port = default_port(url->scheme);
	*ret = *url;
	return 0;
}

int url_parse(struct arena *arena, struct str text, struct url *ret, struct err *err)
{
	struct parse p = {arena, text, err};
	struct parts parts = cut_parts(text);
	struct url url = {.scheme = STR_EMPTY};
	if (check_bytes(&p) < 0 || parse_scheme(&p, parts.scheme, &url) < 0 ||
	    parse_authority(&p, parts.authority, &url) < 0 || parse_rest(&p, &parts, &url) < 0)
		return -1;
	return finish(&p, &url, ret);
}

/* RFC 3986 5.2.4. The result is never longer. */
static struct str without_dot_segments(struct arena *arena, struct str path)
{
	char *out = arena_alloc(arena, path.n + 1);
	size_t n = 0;
	for (struct str in = path; in.n > 0;) {
		bool up = str_starts(in, S("/../")) || str_eq(in, S("/.."));
		bool stay = str_starts(in, S("/./")) || str_eq(in, S("/."));
		if (str_starts(in, S("../")) || str_starts(in, S("./"))) {
			in = str_slice(in, in.p[1] == '.' ? 3 : 2, in.n);
		} else if (str_eq(in, S(".")) || str_eq(in, S(".."))) {
			break;
		} else if (up || stay) {
			size_t skip = up ? 3 : 2;
			in = skip == in.n ? S("/") : str_slice(in, skip, in.n);
			size_t slash = up ? str_find_last_char(str_of(out, n), '/') : n;
			n = slash == STR_NPOS ? 0 : slash;
		} else {
			size_t slash = str_find_char(str_slice(in, 1, in.n), '/');
			size_t segment = slash == STR_NPOS ? in.n : slash + 1;
			memcpy(out + n, in.p, segment);
			n += segment;
			in = str_slice(in, segment, in.n);
		}
	}
	return n > 0 ? str_of(out, n) : STR_EMPTY;
}

/* RFC 3986 5.2.3 */
static struct str merge(struct arena *arena, const struct url *base, struct str path)
{
	if (base->host.n > 0 && base->path.n == 0)
		return arena_printf(arena, "/%.*s", STR_FMT(path));
	size_t slash = str_find_last_char(base->path, '/');
	struct str folder = slash == STR_NPOS ? STR_EMPTY : str_slice(base->path, 0, slash + 1);
	return arena_printf(arena, "%.*s%.*s", STR_FMT(folder), STR_FMT(path));
}

/* The reference's own path and query over those of the base, RFC 3986 5.2.2 from "if (R.path" on. */
static void resolve_path(struct arena *arena, const struct url *base, const struct url *reference, struct url *ret)
{
	ret->path = reference->path;
	if (reference->path.n == 0) {
		ret->path = base->path;
		if (!reference->has_query) {
			ret->has_query = base->has_query;
			ret->query = base->query;
		}
		return;
	}
	if (reference->path.p[0] != '/')
		ret->path = merge(arena, base, reference->path);
	ret->path = without_dot_segments(arena, ret->path);
}

int url_resolve(struct arena *arena, const struct url *base, struct str reference, struct url *ret, struct err *err)
{
	struct parse p = {arena, reference, err};
	struct parts parts = cut_parts(reference);
	struct url url = {.scheme = base->scheme};
	if (check_bytes(&p) < 0)
		return -1;
	if (parts.scheme.p != NULL && parse_scheme(&p, parts.scheme, &url) < 0)
		return -1;
	if (parse_authority(&p, parts.authority, &url) < 0 || parse_rest(&p, &parts, &url) < 0)
		return -1;
	struct url own = url;
	if (parts.scheme.p != NULL || parts.authority.p != NULL) {
		url.path = without_dot_segments(arena, url.path);
	} else {
		url.host = base->host;
		url.host_is_ipv6 = base->host_is_ipv6;
		url.port = base->port;
		url.port_given = base->port_given;
		resolve_path(arena, base, &own, &url);
	}
	return finish(&p, &url, ret);
}

/* Bracketed when it is an IPv6 address, with the port unless it is the scheme's own. */
struct str url_host_header(struct arena *arena, const struct url *url)
{
	char port[8] = "";
	if (url->port != default_port(url->scheme))
		snprintf(port, sizeof port, ":%u", url->port);
	return arena_printf(arena, "%s%.*s%s%s", url->host_is_ipv6 ? "[" : "", STR_FMT(url->host),
			    url->host_is_ipv6 ? "]" : "", port);
}

struct str url_text(struct arena *arena, const struct url *url)
{
	bool opaque = url->host.n == 0 && url->path.n > 0 && url->path.p[0] != '/';
	return arena_printf(arena, "%.*s:%s%.*s%.*s%s%.*s", STR_FMT(url->scheme), opaque ? "" : "//",
			    STR_FMT(url_host_header(arena, url)), STR_FMT(url->path.n > 0 ? url->path : S("/")),
			    url->has_query ? "?" : "", STR_FMT(url->query));
}

struct str url_authority(struct arena *arena, const struct url *url)
{
	return arena_printf(arena, "%.*s:%u", STR_FMT(url->host), url->port);
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return str_eq(a->scheme, b->scheme) && str_eq(a->host, b->host) && a->port == b->port;
}
