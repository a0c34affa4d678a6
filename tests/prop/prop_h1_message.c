/* Random messages: what is written is read, however it is cut, and nothing but whole ones passes for whole. */
#include "base/mem.h"
#include "generator.h"
#include "http/h1/message.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { FIELDS_MAX = 8, TEXT_MAX = 40, BODY_MAX = 600 };

struct message {
	bool response;
	unsigned status;
	struct str method, target;
	struct h1_header fields[FIELDS_MAX];
	size_t n_fields;
	struct str body;
	bool chunked;
	char text[2 + FIELDS_MAX * 2][TEXT_MAX];
	char bytes[BODY_MAX];
};

#define TARGET  S("abcXYZ019-._~%!$&'()*+,;=:@/?[]{}|\\^`\"<>")
#define NAME    S("abcdefgXYZ019-_.!#$%&'*+^`|~")
#define CAPITAL S("ABCDEFGHIJKLMNOPQRSTUVWXYZ-")
#define VALUE   S("abc XYZ\t019\"\\,;:\x80\xc3\xff()<>@[]{}/?=")

static struct str blank_trimmed(struct str s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_slice(s, 1, s.n);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* Names begin with "x", so that none is one that means something to the parser. */
static void draw(struct generator *g, struct message *m)
{
	static const unsigned statuses[] = {200, 201, 299, 400, 599};
	*m = (struct message){.response = generate_below(g, 2) == 0, .chunked = generate_below(g, 2) == 0};
	m->status = statuses[generate_below(g, ARRAY_LEN(statuses))];
	m->method = generate_text(g, CAPITAL, m->text[0], H1_METHOD_MAX);
	if (m->method.n == 0)
		m->method = S("GET");
	m->target = generate_text(g, TARGET, m->text[1] + 1, TEXT_MAX - 1);
	m->text[1][0] = '/';
	m->target = str_of(m->text[1], m->target.n + 1);
	m->n_fields = generate_below(g, FIELDS_MAX + 1);
	for (size_t i = 0; i < m->n_fields; i++) {
		struct str name = generate_text(g, NAME, m->text[2 + 2 * i] + 1, TEXT_MAX - 1);
		m->text[2 + 2 * i][0] = 'x';
		m->fields[i].name = str_of(m->text[2 + 2 * i], name.n + 1);
		m->fields[i].value = blank_trimmed(generate_text(g, VALUE, m->text[3 + 2 * i], TEXT_MAX));
	}
	m->body = generate_bytes(g, m->bytes, BODY_MAX);
}

static void put_body(struct generator *g, const struct message *m, struct buf *out)
{
	if (!m->chunked) {
		buf_add_str(out, m->body);
		return;
	}
	for (struct str rest = m->body; rest.n > 0;) {
		size_t n = 1 + generate_below(g, rest.n);
		h1_put_chunk(out, str_slice(rest, 0, n));
		rest = str_slice(rest, n, rest.n);
	}
	h1_put_chunk_head(out, 0);
}

static void put(struct generator *g, const struct message *m, struct buf *out)
{
	if (m->response)
		h1_put_status_line(out, m->status);
	else
		h1_put_request_line(out, m->method, m->target);
	if (!m->response)
		h1_put_header(out, S("Host"), S("localhost:1"));
	for (size_t i = 0; i < m->n_fields; i++)
		h1_put_header(out, m->fields[i].name, m->fields[i].value);
	char length[24];
	int n = snprintf(length, sizeof length, "%zu", m->body.n);
	if (m->chunked)
		h1_put_header(out, S("Transfer-Encoding"), S("chunked"));
	else
		h1_put_header(out, S("Content-Length"), str_of(length, (size_t)n));
	h1_put_end(out);
	put_body(g, m, out);
}

static bool same_head(const struct h1_head *head, const struct message *m)
{
	size_t before = m->response ? 0 : 1;
	bool same = head->minor == 1 && head->keep_alive && head->chunked == m->chunked &&
		    head->n_headers == before + m->n_fields + 1;
	same = same && (m->response ? head->status == m->status
				    : str_eq(head->method, m->method) && str_eq(head->target, m->target));
	for (size_t i = 0; same && i < m->n_fields; i++)
		same = str_eq(head->headers[before + i].name, m->fields[i].name) &&
		       str_eq(head->headers[before + i].value, m->fields[i].value);
	return same;
}

/* Feeds pieces of random sizes, of exact memory; the number of messages that were read as they were written. */
static size_t read_all(struct generator *g, struct h1_parser *parser, struct str bytes, const struct message *messages,
		       size_t n)
{
	AUTO_BUF body = BUF_INIT(1 << 20);
	size_t done = 0;
	for (size_t at = 0; at < bytes.n;) {
		size_t piece_max = 1 + generate_below(g, 1 + generate_below(g, 300));
		struct str part = str_slice(bytes, at, at + piece_max);
		AUTO_FREE char *piece = str_dup(part);
		struct str input = str_of(piece, part.n), data;
		at += part.n;
		enum h1_event event;
		while ((event = h1_parse(parser, &input, &data)) != H1_MORE) {
			if (event == H1_REFUSED || done == n)
				return done;
			if (event == H1_HEAD && !same_head(h1_head(parser), &messages[done]))
				return done;
			if (event == H1_BODY)
				buf_add_str(&body, data);
			if (event != H1_END)
				continue;
			if (!str_eq(buf_str(&body), messages[done].body))
				return done;
			done++;
			buf_clear(&body);
			h1_parser_reset(parser);
		}
	}
	return done;
}

static void what_is_written_is_read_however_it_is_cut(void **state)
{
	(void)state;
	struct generator g = {20260401};
	static struct message messages[4];
	for (int round = 0; round < 3000; round++) {
		size_t n = 1 + generate_below(&g, ARRAY_LEN(messages));
		bool response = generate_below(&g, 2) == 0;
		AUTO_BUF bytes = BUF_INIT(1 << 20);
		for (size_t i = 0; i < n; i++) {
			draw(&g, &messages[i]);
			messages[i].response = response;
			put(&g, &messages[i], &bytes);
		}
		AUTO(h1_parser) *parser = h1_parser_new(
			&(struct h1_options){.kind = response ? H1_RESPONSE : H1_REQUEST, .body_max = BODY_MAX});
		assert_int_equal(read_all(&g, parser, buf_str(&bytes), messages, n), n);
		assert_true(h1_end_of_input(parser));
	}
}

static void a_message_that_is_cut_off_is_not_whole(void **state)
{
	(void)state;
	struct generator g = {20260402};
	static struct message message;
	for (int round = 0; round < 300; round++) {
		draw(&g, &message);
		AUTO_BUF bytes = BUF_INIT(1 << 20);
		put(&g, &message, &bytes);
		AUTO(h1_parser) *parser = h1_parser_new(&(struct h1_options){
			.kind = message.response ? H1_RESPONSE : H1_REQUEST, .body_max = BODY_MAX});
		for (size_t cut = 1; cut < bytes.n; cut += 1 + generate_below(&g, 5)) {
			h1_parser_reset(parser);
			assert_int_equal(read_all(&g, parser, str_slice(buf_str(&bytes), 0, cut), &message, 1), 0);
			assert_false(h1_end_of_input(parser));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_however_it_is_cut),
		cmocka_unit_test(a_message_that_is_cut_off_is_not_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
