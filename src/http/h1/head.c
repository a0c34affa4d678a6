/* The rules of single lines and of a head as a whole (RFC 9110, RFC 9112). */
#include "base/ascii.h"
#include "base/hex.h"
#include "base/mem.h"
#include "http/h1/parser.h"

/* RFC 9110, 5.6.2: tchar */
static const bool token_chars[256] = {
	['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['!'] = true, ['#'] = true, ['$'] = true,
	['%'] = true,         ['&'] = true,         ['\''] = true,        ['*'] = true, ['+'] = true, ['-'] = true,
	['.'] = true,         ['^'] = true,         ['_'] = true,         ['`'] = true, ['|'] = true, ['~'] = true,
};

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!token_chars[(unsigned char)s.p[i]])
			return false;
	}
	return s.n > 0;
}

/* Field-vchar, and the blanks that may stand between (RFC 9110, 5.5). */
static bool is_text(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Without blanks at the ends. */
static struct str trim(struct str s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = str_slice(s, 1, s.n);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

static struct h1_piece piece_of(const struct h1_parser *parser, struct str s)
{
	return (struct h1_piece){s.n > 0 ? (size_t)(s.p - parser->head.p) : 0, s.n};
}

static struct str text_of(const struct h1_parser *parser, struct h1_piece piece)
{
	return (struct str){parser->head.p + piece.at, piece.n};
}

/* "HTTP/1.1" and "HTTP/1.0" */
static int take_version(struct h1_parser *parser, struct str version)
{
	if (version.n != 8 || !str_starts(version, S("HTTP/")) || !ascii_is_digit(version.p[5]) ||
	    version.p[6] != '.' || !ascii_is_digit(version.p[7]))
		return h1_refuse(parser, 400, "no HTTP version where one belongs");
	if (version.p[5] != '1' || version.p[7] > '1')
		return h1_refuse(parser, 505, "an HTTP version other than 1.0 and 1.1");
	parser->result.minor = (unsigned)(version.p[7] - '0');
	return 0;
}

static bool is_method(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_upper(s.p[i]) && s.p[i] != '-')
			return false;
	}
	return s.n > 0 && s.n <= H1_METHOD_MAX;
}

static int judge_target(struct h1_parser *parser, struct str target)
{
	for (size_t i = 0; i < target.n; i++) {
		if (target.p[i] <= ' ' || target.p[i] > '~' || target.p[i] == '#')
			return h1_refuse(parser, 400, "a target with a byte that is not allowed");
	}
	if (str_starts(target, S("/")))
		return 0;
	struct str scheme = S("http://");
	if (parser->options.absolute_form && target.n > scheme.n && str_starts(target, scheme) &&
	    target.p[scheme.n] != '/')
		return 0;
	return h1_refuse(parser, 400, "a target that is no path");
}

int h1_take_request_line(struct h1_parser *parser, struct str line)
{
	struct str method, target;
	struct str rest = str_cut(line, ' ', &method);
	if (rest.n == 0)
		return h1_refuse(parser, 400, "a request line that is none");
	if (!is_method(method))
		return h1_refuse(parser, 400, "a method that is not of capital letters");
	struct str version = str_cut(rest, ' ', &target);
	if (judge_target(parser, target) != 0 || take_version(parser, version) != 0)
		return -1;
	parser->method = piece_of(parser, method);
	parser->target = piece_of(parser, target);
	return 0;
}

int h1_take_status_line(struct h1_parser *parser, struct str line)
{
	struct str version, code;
	struct str reason = str_cut(str_cut(line, ' ', &version), ' ', &code);
	uint64_t status;
	if (take_version(parser, version) != 0)
		return -1;
	if (code.n != 3 || !str_to_u64(code, 599, &status) || status < 100)
		return h1_refuse(parser, 400, "a status that is no number from 100 to 599");
	if (line.n < version.n + code.n + 2 || !is_text(reason))
		return h1_refuse(parser, 400, "a status line that is none");
	parser->result.status = (unsigned)status;
	return 0;
}

/* A field line's two sides. */
static int split_field(struct h1_parser *parser, struct str line, struct str *ret_name, struct str *ret_value)
{
	if (is_blank(line.p[0]))
		return h1_refuse(parser, 400, "a folded header line");
	size_t colon = str_find_char(line, ':');
	if (colon == STR_NPOS)
		return h1_refuse(parser, 400, "a header line without a colon");
	if (colon > 0 && is_blank(line.p[colon - 1]))
		return h1_refuse(parser, 400, "blanks before the colon of a header line");
	struct str name = str_slice(line, 0, colon);
	struct str value = trim(str_slice(line, colon + 1, line.n));
	if (!is_token(name))
		return h1_refuse(parser, 400, "a header name that is empty or has a byte that is not allowed");
	if (!is_text(value))
		return h1_refuse(parser, 400, "a header value with a control character");
	*ret_name = name;
	*ret_value = value;
	return 0;
}

static const struct str known_names[H1_KNOWN__MAX] = {
	[H1_KNOWN_HOST] = S("Host"),
	[H1_KNOWN_CONTENT_LENGTH] = S("Content-Length"),
	[H1_KNOWN_TRANSFER_ENCODING] = S("Transfer-Encoding"),
	[H1_KNOWN_CONNECTION] = S("Connection"),
	[H1_KNOWN_EXPECT] = S("Expect"),
};

static enum h1_known find_known(struct str name)
{
	enum h1_known known = 0;
	while (known < H1_KNOWN__MAX && !str_eq_fold(name, known_names[known]))
		known++;
	return known;
}

static void take_connection(struct h1_parser *parser, struct str value)
{
	while (value.n > 0) {
		struct str option;
		value = str_cut(value, ',', &option);
		option = trim(option);
		if (str_eq_fold(option, S("close")))
			parser->says_close = true;
		else if (str_eq_fold(option, S("keep-alive")))
			parser->says_keep_alive = true;
	}
}

static int take_expect(struct h1_parser *parser, struct str value)
{
	if (parser->options.kind != H1_REQUEST)
		return 0;
	if (!str_eq_fold(value, S("100-continue")))
		return h1_refuse(parser, 417, "an expectation other than 100-continue");
	parser->expects = true;
	return 0;
}

static void add_field(struct h1_parser *parser, struct str name, struct str value)
{
	if (parser->n_fields == parser->room) {
		parser->room = parser->room == 0 ? 16 : parser->room * 2;
		parser->fields = xrealloc(parser->fields, parser->room * sizeof parser->fields[0]);
		parser->headers = xrealloc(parser->headers, parser->room * sizeof parser->headers[0]);
	}
	parser->fields[parser->n_fields++] =
		(struct h1_field){.name = piece_of(parser, name), .value = piece_of(parser, value)};
}

int h1_take_field(struct h1_parser *parser, struct str line)
{
	struct str name, value;
	if (parser->n_fields == H1_HEADERS_N)
		return h1_refuse(parser, 431, "too many header lines [header_count]");
	if (split_field(parser, line, &name, &value) != 0)
		return -1;
	add_field(parser, name, value);
	enum h1_known known = find_known(name);
	if (known == H1_KNOWN__MAX)
		return 0;
	if (parser->count[known]++ == 0)
		parser->first[known] = piece_of(parser, value);
	if (known == H1_KNOWN_CONNECTION)
		take_connection(parser, value);
	return known == H1_KNOWN_EXPECT ? take_expect(parser, value) : 0;
}

/* What may not come after the body, because somebody has acted on its absence by then (RFC 9110, 6.5.1). */
static const struct str not_trailers[] = {
	S("Authorization"),
	S("Cache-Control"),
	S("Connection"),
	S("Content-Encoding"),
	S("Content-Length"),
	S("Content-Range"),
	S("Content-Type"),
	S("Cookie"),
	S("Expect"),
	S("Forwarded"),
	S("Host"),
	S("Keep-Alive"),
	S("Origin"),
	S("Proxy-Connection"),
	S("Set-Cookie"),
	S("TE"),
	S("Trailer"),
	S("Upgrade"),
	S("Transfer-Encoding"),
	S("X-Forwarded-For"),
	S("X-Forwarded-Host"),
	S("X-Request-ID"),
};

int h1_take_trailer(struct h1_parser *parser, struct str line)
{
	struct str name, value;
	if (split_field(parser, line, &name, &value) != 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(not_trailers); i++) {
		if (str_eq_fold(name, not_trailers[i]))
			return h1_refuse(parser, 400, "a trailer that may only be a header");
	}
	return 0;
}

static int too_large(struct h1_parser *parser)
{
	return h1_refuse(parser, 413, "the body is too large [body]");
}

int h1_take_chunk_line(struct h1_parser *parser, struct str line)
{
	size_t digits = 0;
	uint64_t size = 0;
	for (; digits < line.n && hex_digit(line.p[digits]) >= 0; digits++) {
		if (digits == 16)
			return h1_refuse(parser, 400, "a chunk's size of more than 16 digits");
		size = size << 4 | (uint64_t)hex_digit(line.p[digits]);
	}
	if (digits == 0 || (digits < line.n && line.p[digits] != ';'))
		return h1_refuse(parser, 400, "a chunk's size that is no hexadecimal number");
	struct str extension = str_slice(line, digits, line.n);
	if (!is_text(extension))
		return h1_refuse(parser, 400, "a chunk extension with a control character");
	parser->extra_bytes += extension.n;
	if (parser->extra_bytes > H1_CHUNK_EXTRA_MAX)
		return h1_refuse(parser, 400, "the chunk extensions are too large [chunk_extensions]");
	if (size > parser->options.body_max - parser->body_bytes)
		return too_large(parser);
	parser->body_bytes += size;
	parser->left = size;
	parser->state = size > 0 ? H1_IN_CHUNK : H1_AT_TRAILERS;
	return 0;
}

/* An address or a name and perhaps a port; which ones are ours, the server knows. */
static bool is_host(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!ascii_is_letter(c) && !ascii_is_digit(c) && (c == '\0' || strchr("-._~:[]", c) == NULL))
			return false;
	}
	return s.n > 0;
}

static int judge_host(struct h1_parser *parser)
{
	if (parser->count[H1_KNOWN_HOST] == 0)
		return h1_refuse(parser, 400, "no Host");
	if (parser->count[H1_KNOWN_HOST] > 1)
		return h1_refuse(parser, 400, "several Host");
	if (!is_host(text_of(parser, parser->first[H1_KNOWN_HOST])))
		return h1_refuse(parser, 400, "a Host that is none");
	return 0;
}

static int judge_coding(struct h1_parser *parser)
{
	if (parser->count[H1_KNOWN_TRANSFER_ENCODING] > 1)
		return h1_refuse(parser, 400, "several Transfer-Encoding");
	if (parser->result.minor == 0)
		return h1_refuse(parser, 400, "Transfer-Encoding in HTTP/1.0");
	if (!str_eq_fold(text_of(parser, parser->first[H1_KNOWN_TRANSFER_ENCODING]), S("chunked")))
		return h1_refuse(parser, 501, "a transfer coding other than one chunked");
	parser->result.chunked = true;
	parser->state = H1_AT_CHUNK;
	return 0;
}

static bool is_digits(struct str s)
{
	size_t n = 0;
	while (n < s.n && ascii_is_digit(s.p[n]))
		n++;
	return n > 0 && n == s.n;
}

static int judge_length(struct h1_parser *parser)
{
	struct str text = text_of(parser, parser->first[H1_KNOWN_CONTENT_LENGTH]);
	uint64_t length = UINT64_MAX;
	if (parser->count[H1_KNOWN_CONTENT_LENGTH] > 1)
		return h1_refuse(parser, 400, "several Content-Length");
	if (!is_digits(text) || (text.n > 1 && text.p[0] == '0'))
		return h1_refuse(parser, 400, "a Content-Length that is no decimal number");
	if (!str_to_u64(text, UINT64_MAX, &length) || length > parser->options.body_max)
		return too_large(parser);
	parser->result.has_length = true;
	parser->result.length = parser->left = length;
	parser->state = length > 0 ? H1_IN_LENGTH : H1_AT_END;
	return 0;
}

/* A response that has no body whatever its fields say (RFC 9112, 6.3). */
static bool is_bodiless(const struct h1_parser *parser)
{
	unsigned status = parser->result.status;
	return parser->options.kind == H1_RESPONSE &&
	       (parser->options.head_response || status < 200 || status == 204 || status == 304);
}

/* How the body ends. */
static int judge_framing(struct h1_parser *parser)
{
	unsigned lengths = parser->count[H1_KNOWN_CONTENT_LENGTH], codings = parser->count[H1_KNOWN_TRANSFER_ENCODING];
	if (lengths > 0 && codings > 0)
		return h1_refuse(parser, 400, "both Content-Length and Transfer-Encoding");
	parser->state = parser->options.kind == H1_RESPONSE && !is_bodiless(parser) ? H1_UNTIL_CLOSE : H1_AT_END;
	if (is_bodiless(parser))
		return 0;
	return codings > 0 ? judge_coding(parser) : lengths > 0 ? judge_length(parser) : 0;
}

int h1_judge_head(struct h1_parser *parser)
{
	struct h1_head *head = &parser->result;
	if ((parser->options.kind == H1_REQUEST && judge_host(parser) != 0) || judge_framing(parser) != 0)
		return -1;
	for (size_t i = 0; i < parser->n_fields; i++) {
		parser->headers[i] = (struct h1_header){text_of(parser, parser->fields[i].name),
							text_of(parser, parser->fields[i].value)};
	}
	head->method = text_of(parser, parser->method);
	head->target = text_of(parser, parser->target);
	head->headers = parser->headers;
	head->n_headers = parser->n_fields;
	head->expect_continue = parser->expects && head->minor == 1;
	head->keep_alive =
		!parser->says_close && (head->minor == 1 || parser->says_keep_alive) && parser->state != H1_UNTIL_CLOSE;
	return 0;
}
