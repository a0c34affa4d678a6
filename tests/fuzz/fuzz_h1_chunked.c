/*
 * Any bytes as a chunked body, held against a second decoder that knows only the grammar: the parser takes no body that the
 * grammar does not, and of those that it takes it makes the same bytes and the same end.
 */
#include "base/buf.h"
#include "base/hex.h"
#include "base/mem.h"
#include "http/h1/message.h"

#define BODY_MAX ((uint64_t)4096)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Bytes up to the CRLF, which is dropped; false when there is none. */
static bool cut_line(struct str *rest, struct str *ret)
{
	size_t at = str_find(*rest, S("\r\n"));
	if (at == STR_NPOS)
		return false;
	*ret = str_slice(*rest, 0, at);
	*rest = str_slice(*rest, at + 2, rest->n);
	return true;
}

/* RFC 9112, 7.1, over the whole of the bytes: true when a complete body stands at their front. */
static bool decode(struct str *rest, struct buf *out)
{
	for (;;) {
		struct str line, size;
		uint64_t n = 0;
		if (!cut_line(rest, &line))
			return false;
		str_cut(line, ';', &size);
		if (size.n == 0 || size.n > 16)
			return false;
		for (size_t i = 0; i < size.n; i++) {
			if (hex_digit(size.p[i]) < 0)
				return false;
			n = n * 16 + (uint64_t)hex_digit(size.p[i]);
		}
		if (n == 0)
			break;
		if (n > BODY_MAX || rest->n < n + 2 || memcmp(rest->p + n, "\r\n", 2) != 0)
			return false;
		buf_add(out, rest->p, (size_t)n);
		*rest = str_slice(*rest, (size_t)n + 2, rest->n);
	}
	for (struct str line; cut_line(rest, &line);) {
		if (line.n == 0)
			return true;
	}
	return false;
}

static enum h1_event parse(struct h1_parser *parser, struct str *input, size_t step, struct buf *out)
{
	enum h1_event event = H1_MORE;
	while (event == H1_MORE && input->n > 0) {
		struct str piece = str_slice(*input, 0, step), data;
		size_t had = piece.n;
		while ((event = h1_parse(parser, &piece, &data)) == H1_HEAD || event == H1_BODY) {
			if (event == H1_BODY)
				buf_add_str(out, data);
		}
		*input = str_slice(*input, had - piece.n, input->n);
	}
	return event;
}

static enum h1_event parse_body(struct str *input, size_t step, struct buf *out)
{
	AUTO(h1_parser) *parser = h1_parser_new(&(struct h1_options){.kind = H1_REQUEST, .body_max = BODY_MAX});
	struct str head = S("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	if (parse(parser, &head, head.n, out) != H1_MORE)
		BUG("a good head was not taken");
	return parse(parser, input, step, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_BUF whole = BUF_INIT(BODY_MAX);
	AUTO_BUF cut = BUF_INIT(BODY_MAX);
	AUTO_BUF model = BUF_INIT(64 << 20);
	struct str whole_rest = str_of(data, n), cut_rest = whole_rest, model_rest = whole_rest;
	enum h1_event event = parse_body(&whole_rest, n, &whole);
	if (parse_body(&cut_rest, 1, &cut) != event || !str_eq(buf_str(&whole), buf_str(&cut)))
		BUG("byte by byte the body is another");
	if (!buf_ok(&whole))
		BUG("a body over its limit");
	bool right = decode(&model_rest, &model);
	if (event == H1_END && (!right || !str_eq(buf_str(&whole), buf_str(&model)) || whole_rest.n != model_rest.n ||
				cut_rest.n != model_rest.n))
		BUG("the grammar reads another body");
	if (event == H1_MORE && right)
		BUG("more is wanted behind a whole body");
	return 0;
}
