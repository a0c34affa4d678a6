#include "egress/stream_protocol.h"
#include "base/ascii.h"
#include "text/wire.h"

const struct rpc_rule stream_egress_rules[] = {
	{STREAM_OPEN, 1, STREAM_HEAD_MAX, "stream open"},
	{STREAM_BODY, 1, STREAM_PIECE, "stream body"},
	{STREAM_MORE, 1, 4, "stream more"},
	{STREAM_CANCEL, 1, 0, "stream cancel"},
	{0, 0, 0, NULL},
};

const struct rpc_rule stream_control_rules[] = {
	{STREAM_MORE, 1, 4, "stream more"},
	{STREAM_HEAD, 1, STREAM_HEAD_MAX, "stream head"},
	{STREAM_DATA, 1, STREAM_PIECE, "stream data"},
	{STREAM_ENDED, 1, 64 * KIB, "stream ended"},
	{0, 0, 0, NULL},
};

/* ---- headers ---- */

bool stream_header_is_good(const struct stream_header *header)
{
	for (size_t i = 0; i < header->name.n; i++) {
		char c = header->name.p[i];
		if (!ascii_is_letter(c) && !ascii_is_digit(c) && str_find_char(S("!#$%&'*+-.^_`|~"), c) == STR_NPOS)
			return false;
	}
	for (size_t i = 0; i < header->value.n; i++) {
		unsigned char c = (unsigned char)header->value.p[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return header->name.n > 0;
}

const char *stream_provider_name(enum stream_provider provider)
{
	static const char *const names[STREAM_PROVIDER__MAX] = {
		[STREAM_ANTHROPIC] = "anthropic", [STREAM_OPENAI] = "openai"};
	return names[provider];
}

bool stream_header_is_of_hop(struct str name, struct str connection)
{
	static const char *const names[] = {
		"Connection",        "Content-Length", "Expect", "Host",    "HTTP2-Settings",
		"Keep-Alive",        "Proxy",          "TE",     "Trailer", "Upgrade",
		"Transfer-Encoding",
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq_fold(name, str_from(names[i])))
			return true;
	}
	return str_eq_fold(str_slice(name, 0, 6), S("Proxy-")) || str_listed(connection, name);
}

struct str stream_connection_of(struct arena *arena, const struct stream_headers *headers)
{
	struct str joined = STR_EMPTY;
	for (size_t i = 0; i < headers->n; i++) {
		if (str_eq_fold(headers->items[i].name, S("Connection")))
			joined = arena_printf(arena, "%.*s,%.*s", STR_FMT(joined), STR_FMT(headers->items[i].value));
	}
	return joined;
}

static void put_headers(struct buf *out, const struct stream_headers *headers)
{
	wire_put_u32(out, (uint32_t)headers->n);
	for (size_t i = 0; i < headers->n; i++) {
		wire_put_str(out, headers->items[i].name);
		wire_put_str(out, headers->items[i].value);
	}
}

static struct stream_headers get_headers(struct arena *arena, struct wire_reader *r)
{
	uint32_t n = wire_count(r, 2 * sizeof(uint32_t));
	if (n > STREAM_HEADERS_MAX) {
		r->bad = true;
		n = 0;
	}
	struct stream_header *items = arena_array(arena, n + 1, sizeof *items);
	for (uint32_t i = 0; i < n; i++) {
		items[i].name = wire_str(r);
		items[i].value = wire_str(r);
		r->bad = r->bad || !stream_header_is_good(&items[i]);
	}
	return (struct stream_headers){items, n};
}

/* ---- targets ---- */

static bool is_escape_of(struct str s, char c)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char byte = (unsigned char)c;
	return s.n >= 3 && s.p[0] == '%' && s.p[1] == digits[byte >> 4] && ascii_lower(s.p[2]) == digits[byte & 15];
}

/* What some reader may take it for; *at is moved behind it. */
static char next_character(struct str path, size_t *at)
{
	struct str rest = str_slice(path, *at, path.n);
	char c = '%';
	if (is_escape_of(rest, '.'))
		c = '.';
	else if (is_escape_of(rest, '/') || is_escape_of(rest, '\\'))
		c = '/';
	*at += c != '%' ? 3 : 1;
	return c != '%' ? c : rest.p[0];
}

static bool path_is_good(struct str path)
{
	size_t dots = 0, others = 0; /* of this segment */
	for (size_t at = 0; at < path.n;) {
		char c = next_character(path, &at);
		if (c == '/' && others == 0 && (dots == 1 || dots == 2))
			return false;
		dots = c == '/' ? 0 : dots + (c == '.');
		others = c == '/' ? 0 : others + (c != '.');
	}
	return others > 0 || (dots != 1 && dots != 2);
}

bool stream_target_is_good(struct str target)
{
	if (target.n == 0 || target.n > STREAM_TARGET_MAX || target.p[0] != '/')
		return false;
	for (size_t i = 0; i < target.n; i++) {
		if (target.p[i] <= ' ' || target.p[i] > '~' || target.p[i] == '#' || target.p[i] == '\\')
			return false;
	}
	struct str path;
	str_cut(target, '?', &path);
	return path_is_good(path);
}

bool stream_method_is_good(struct str method)
{
	struct str rest = S(STREAM_METHODS);
	while (rest.n > 0) {
		struct str one;
		rest = str_cut(rest, ',', &one);
		if (str_eq(method, str_trim(one)))
			return true;
	}
	return false;
}

bool stream_status_is_good(unsigned status)
{
	return status >= STREAM_STATUS_MIN && status <= STREAM_STATUS_MAX;
}

/* ---- messages ---- */

void stream_open_put(struct buf *out, const struct stream_open *m)
{
	wire_put_u8(out, (uint8_t)m->provider);
	wire_put_str(out, m->method);
	wire_put_str(out, m->target);
	wire_put_u64(out, m->length);
	wire_put_u64(out, m->use);
	put_headers(out, &m->headers);
}

int stream_open_get(struct arena *arena, struct str body, struct stream_open *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct stream_open m = {.provider = (enum stream_provider)wire_u8(&r)};
	m.method = wire_str(&r);
	m.target = wire_str(&r);
	m.length = wire_u64(&r);
	m.use = wire_u64(&r);
	m.headers = get_headers(arena, &r);
	if (wire_done(&r, "stream open", err) != 0)
		return -1;
	if (m.provider >= STREAM_PROVIDER__MAX || !stream_method_is_good(m.method) ||
	    !stream_target_is_good(m.target) || m.length > INT64_MAX)
		return fail(err, ERR_PROTOCOL, "message 'stream open' with a field out of range");
	*ret = m;
	return 0;
}

void stream_head_put(struct buf *out, const struct stream_head *m)
{
	wire_put_u16(out, (uint16_t)m->status);
	put_headers(out, &m->headers);
}

int stream_head_get(struct arena *arena, struct str body, struct stream_head *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct stream_head m = {.status = wire_u16(&r)};
	m.headers = get_headers(arena, &r);
	if (wire_done(&r, "stream head", err) != 0)
		return -1;
	if (!stream_status_is_good(m.status))
		return fail(err, ERR_PROTOCOL, "message 'stream head' with status %u", m.status);
	*ret = m;
	return 0;
}
