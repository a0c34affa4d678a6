/*
 * Any bytes as requests on a connection: the same comes of them whole, byte by byte and cut anywhere; heads keep the rules that
 * later code relies on; and a message that passed passes again, alike, when it is written anew.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "http/h1/message.h"

#define BODY_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t')
			return true;
	}
	return false;
}

static void check_head(const struct h1_head *head)
{
	size_t hosts, lengths, codings;
	h1_header(head, S("host"), &hosts);
	h1_header(head, S("content-length"), &lengths);
	h1_header(head, S("transfer-encoding"), &codings);
	if (hosts != 1 || lengths + codings > 1 || (lengths == 1) != head->has_length ||
	    (codings == 1) != head->chunked)
		BUG("a head whose framing is open to doubt");
	if (head->n_headers > H1_HEADERS_N || head->minor > 1 || !str_starts(head->target, S("/")) ||
	    str_find_char(head->target, ' ') != STR_NPOS || has_control(head->target) || has_control(head->method))
		BUG("a request line that breaks the rules");
	for (size_t i = 0; i < head->n_headers; i++) {
		if (head->headers[i].name.n == 0 || has_control(head->headers[i].name) ||
		    has_control(head->headers[i].value))
			BUG("a field that breaks the rules");
	}
}

static void put_again(struct buf *again, const struct h1_head *head)
{
	h1_put_request_line(again, head->method, head->target);
	for (size_t i = 0; i < head->n_headers; i++)
		h1_put_header(again, head->headers[i].name, head->headers[i].value);
	h1_put_end(again);
}

struct seen {
	struct buf trace;
	struct buf again; /* the whole messages, as we would write them */
	struct buf body;
	bool refused;
};

/* One message more is whole. */
static void note_end(struct seen *seen, const struct h1_head *head)
{
	put_again(&seen->again, head);
	if (head->chunked) {
		h1_put_chunk(&seen->again, buf_str(&seen->body));
		h1_put_chunk_head(&seen->again, 0);
	} else {
		buf_add_str(&seen->again, buf_str(&seen->body));
	}
	if (head->has_length && head->length != seen->body.n)
		BUG("a body of another length than announced");
	buf_addf(&seen->trace, "end %zu\n", seen->body.n);
	buf_add_str(&seen->trace, buf_str(&seen->body));
	buf_clear(&seen->body);
}

static void feed(struct h1_parser *parser, struct str input, struct seen *seen)
{
	while (!seen->refused) {
		struct str data;
		switch (h1_parse(parser, &input, &data)) {
		case H1_MORE:
			if (input.n > 0)
				BUG("bytes are left and more are wanted");
			return;
		case H1_HEAD:
			check_head(h1_head(parser));
			put_again(&seen->trace, h1_head(parser));
			buf_addf(&seen->trace, "%d %d\n", h1_head(parser)->keep_alive,
				 h1_head(parser)->expect_continue);
			break;
		case H1_BODY:
			if (data.n == 0 || seen->body.n + data.n > BODY_MAX)
				BUG("an empty piece of a body, or one too many");
			buf_add_str(&seen->body, data);
			break;
		case H1_END:
			note_end(seen, h1_head(parser));
			h1_parser_reset(parser);
			break;
		case H1_REFUSED:
			buf_addf(&seen->trace, "refused %u %s\n", h1_refused_status(parser), h1_refused_reason(parser));
			if (h1_refused_status(parser) < 400 || h1_refused_reason(parser)[0] == '\0')
				BUG("refused without a reason");
			seen->refused = true;
			return;
		}
	}
}

static void see(struct str bytes, size_t first, size_t step, struct seen *seen)
{
	AUTO(h1_parser) *parser = h1_parser_new(&(struct h1_options){.kind = H1_REQUEST, .body_max = BODY_MAX});
	*seen = (struct seen){.trace = BUF_INIT(64 << 20), .again = BUF_INIT(64 << 20), .body = BUF_INIT(BODY_MAX)};
	feed(parser, str_slice(bytes, 0, first), seen);
	for (size_t at = first; at < bytes.n; at += step)
		feed(parser, str_slice(bytes, at, at + step), seen);
}

static void release(struct seen *seen)
{
	buf_release(&seen->trace);
	buf_release(&seen->again);
	buf_release(&seen->body);
}

static void expect(struct str bytes, size_t first, size_t step, const struct seen *want)
{
	struct seen seen;
	see(bytes, first, step, &seen);
	if (!str_eq(buf_str(&seen.trace), buf_str(&want->trace)) || seen.refused != want->refused)
		BUG("cut at %zu, then every %zu bytes: another result", first, step);
	release(&seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str bytes = str_of(data, n);
	struct seen whole, again;
	see(bytes, n, 1, &whole);
	expect(bytes, 0, 1, &whole);
	expect(bytes, n > 0 ? data[n - 1] % n : 0, n + 1, &whole);
	expect(bytes, 0, 1 + n / 3, &whole);

	see(buf_str(&whole.again), whole.again.n, 1, &again);
	if (again.refused || !str_eq(buf_str(&again.again), buf_str(&whole.again)))
		BUG("what passed does not pass when it is written anew");
	release(&whole);
	release(&again);
	return 0;
}
