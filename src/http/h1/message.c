#include "http/h1/message.h"
#include "base/mem.h"
#include "http/h1/parser.h"
#include <stdlib.h>

/* Memory that a parser keeps between two messages; what a large head took goes back. */
#define KEPT_ROOM ((size_t)4 << 10)
#define START_MAX (H1_LINE_MAX + 2) /* with CRLF */

struct h1_parser *h1_parser_new(const struct h1_options *options)
{
	struct h1_parser *parser = NEW(struct h1_parser);
	parser->options = *options;
	parser->head = BUF_INIT_SECRET(START_MAX + H1_HEADERS_MAX);
	parser->line = BUF_INIT_SECRET(H1_HEADERS_MAX);
	return parser;
}

void h1_parser_free(struct h1_parser *parser)
{
	if (parser == NULL)
		return;
	buf_release(&parser->head);
	buf_release(&parser->line);
	free(parser->fields);
	free(parser->headers);
	free(parser);
}

void h1_parser_reset(struct h1_parser *parser)
{
	struct h1_parser fresh = {
		.options = parser->options,
		.head = parser->head,
		.line = parser->line,
		.fields = parser->fields,
		.headers = parser->headers,
		.room = parser->room,
	};
	*parser = fresh;
	if (parser->head.room > KEPT_ROOM)
		buf_release(&parser->head);
	if (parser->line.room > KEPT_ROOM)
		buf_release(&parser->line);
	buf_clear(&parser->head);
	buf_clear(&parser->line);
}

int h1_refuse(struct h1_parser *parser, unsigned status, const char *reason)
{
	parser->state = H1_AT_REFUSAL;
	parser->refused_status = status;
	parser->refused_reason = reason;
	return -1;
}

unsigned h1_refused_status(const struct h1_parser *parser)
{
	return parser->refused_status;
}

const char *h1_refused_reason(const struct h1_parser *parser)
{
	return parser->refused_reason != NULL ? parser->refused_reason : "";
}

const struct h1_head *h1_head(const struct h1_parser *parser)
{
	return &parser->result;
}

struct str h1_header(const struct h1_head *head, struct str name, size_t *ret_n)
{
	struct str first = STR_EMPTY;
	size_t n = 0;
	for (size_t i = 0; i < head->n_headers; i++) {
		if (!str_eq_fold(head->headers[i].name, name))
			continue;
		if (n++ == 0)
			first = head->headers[i].value;
		if (ret_n == NULL)
			break;
	}
	if (ret_n != NULL)
		*ret_n = n;
	return first;
}

bool h1_end_of_input(struct h1_parser *parser)
{
	if (parser->state == H1_UNTIL_CLOSE)
		parser->state = H1_AT_END;
	return parser->state == H1_AT_END || (parser->state == H1_AT_START_LINE && parser->head.n == 0);
}

static struct str take(struct str *input, size_t n)
{
	struct str taken = str_slice(*input, 0, n);
	*input = str_slice(*input, n, input->n);
	return taken;
}

/*
 * Lines. A line is judged when its LF is there and not before, its length as soon as that is too large: so the same bytes get
 * the same answer however they are cut.
 */
enum found { WHOLE, PART, TOO_LONG };

/* Moves bytes of a line, up to its LF, behind the `from` bytes of `held`; `max` counts its CRLF. */
static enum found gather(struct buf *held, size_t from, size_t max, struct str *input)
{
	const char *lf = input->n == 0 ? NULL : memchr(input->p, '\n', input->n);
	size_t n = lf == NULL ? input->n : (size_t)(lf - input->p) + 1;
	if (n > max - (held->n - from))
		return TOO_LONG;
	buf_add_str(held, take(input, n));
	return lf == NULL ? PART : WHOLE;
}

/* The line without its CRLF. */
static int strip(struct h1_parser *parser, struct str *line)
{
	if (line->n < 2 || line->p[line->n - 2] != '\r')
		return h1_refuse(parser, 400, "a line ends with a bare LF");
	line->n -= 2;
	if (str_find_char(*line, '\r') != STR_NPOS)
		return h1_refuse(parser, 400, "a bare CR");
	return 0;
}

/* The whole line in `head`; the next one begins behind it. */
static int next_head_line(struct h1_parser *parser, struct str *ret)
{
	*ret = str_slice(buf_str(&parser->head), parser->line_at, parser->head.n);
	parser->line_at = parser->head.n;
	return strip(parser, ret);
}

/* Steps: true when one was made, false when bytes are missing or the message was refused. */
static bool step_start_line(struct h1_parser *parser, struct str *input)
{
	bool request = parser->options.kind == H1_REQUEST;
	enum found found = gather(&parser->head, 0, START_MAX, input);
	if (found == TOO_LONG && request)
		h1_refuse(parser, 414, "the request line is too long [line]");
	else if (found == TOO_LONG)
		h1_refuse(parser, 400, "the status line is too long [line]");
	struct str line;
	if (found != WHOLE || next_head_line(parser, &line) != 0)
		return false;
	parser->state = H1_AT_FIELDS;
	return (request ? h1_take_request_line(parser, line) : h1_take_status_line(parser, line)) == 0;
}

/* Header and trailer lines share a limit. */
static enum found gather_field(struct h1_parser *parser, struct buf *held, size_t from, struct str *input)
{
	enum found found = gather(held, from, H1_HEADERS_MAX - parser->fields_bytes, input);
	if (found == TOO_LONG)
		h1_refuse(parser, 431, "the header lines are too large [headers]");
	if (found == WHOLE)
		parser->fields_bytes += held->n - from;
	return found;
}

static bool step_field(struct h1_parser *parser, struct str *input)
{
	struct str line;
	if (gather_field(parser, &parser->head, parser->line_at, input) != WHOLE || next_head_line(parser, &line) != 0)
		return false;
	return (line.n > 0 ? h1_take_field(parser, line) : h1_judge_head(parser)) == 0;
}

static bool step_trailer(struct h1_parser *parser, struct str *input)
{
	if (gather_field(parser, &parser->line, 0, input) != WHOLE)
		return false;
	struct str line = buf_str(&parser->line);
	if (strip(parser, &line) != 0)
		return false;
	if (line.n == 0)
		parser->state = H1_AT_END;
	else if (h1_take_trailer(parser, line) != 0)
		return false;
	buf_clear(&parser->line);
	return true;
}

static bool step_chunk_line(struct h1_parser *parser, struct str *input)
{
	enum found found = gather(&parser->line, 0, H1_CHUNK_LINE_MAX, input);
	if (found == TOO_LONG)
		h1_refuse(parser, 400, "a chunk's size and extension are too long [chunk_line]");
	struct str line = buf_str(&parser->line);
	if (found != WHOLE || strip(parser, &line) != 0 || h1_take_chunk_line(parser, line) != 0)
		return false;
	buf_clear(&parser->line);
	return true;
}

static bool step_behind_chunk(struct h1_parser *parser, struct str *input)
{
	while (parser->left > 0 && input->n > 0) {
		if (take(input, 1).p[0] != (parser->left == 2 ? '\r' : '\n')) {
			h1_refuse(parser, 400, "no CRLF behind a chunk");
			return false;
		}
		parser->left--;
	}
	if (parser->left > 0)
		return false;
	parser->state = H1_AT_CHUNK;
	return true;
}

/* What there is of a body of known length. */
static bool step_data(struct h1_parser *parser, struct str *input, struct str *ret_data)
{
	if (parser->left > 0 && input->n == 0)
		return false;
	*ret_data = take(input, (size_t)MIN(parser->left, (uint64_t)input->n));
	parser->left -= ret_data->n;
	if (parser->left > 0)
		return true;
	bool chunk = parser->state == H1_IN_CHUNK;
	parser->state = chunk ? H1_BEHIND_CHUNK : H1_AT_END;
	parser->left = chunk ? 2 : 0;
	return true;
}

/* A body that ends with the connection. */
static bool step_until_close(struct h1_parser *parser, struct str *input, struct str *ret_data)
{
	if (input->n == 0)
		return false;
	if (input->n > parser->options.body_max - parser->body_bytes) {
		h1_refuse(parser, 413, "the body is too large [body]");
		return false;
	}
	parser->body_bytes += input->n;
	*ret_data = take(input, input->n);
	return true;
}

static bool step(struct h1_parser *parser, struct str *input, struct str *ret_data)
{
	switch (parser->state) {
	case H1_AT_START_LINE:
		return step_start_line(parser, input);
	case H1_AT_FIELDS:
		return step_field(parser, input);
	case H1_IN_LENGTH:
	case H1_IN_CHUNK:
		return step_data(parser, input, ret_data);
	case H1_UNTIL_CLOSE:
		return step_until_close(parser, input, ret_data);
	case H1_AT_CHUNK:
		return step_chunk_line(parser, input);
	case H1_BEHIND_CHUNK:
		return step_behind_chunk(parser, input);
	case H1_AT_TRAILERS:
		return step_trailer(parser, input);
	case H1_AT_END:
	case H1_AT_REFUSAL:
		break;
	}
	return false;
}

enum h1_event h1_parse(struct h1_parser *parser, struct str *input, struct str *ret_data)
{
	for (;;) {
		enum h1_state before = parser->state;
		struct str data = STR_EMPTY;
		if (!step(parser, input, &data))
			break;
		if (before == H1_AT_FIELDS && parser->state != H1_AT_FIELDS)
			return H1_HEAD;
		if (data.n > 0) {
			*ret_data = data;
			return H1_BODY;
		}
	}
	if (parser->state == H1_AT_REFUSAL)
		return H1_REFUSED;
	return parser->state == H1_AT_END ? H1_END : H1_MORE;
}
