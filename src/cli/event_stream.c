#include "cli/event_stream.h"
#include "base/limits.h"

#define EVENT_MAX ((size_t)64 * MIB)
#define NAME_MAX  ((size_t)256)

void event_stream_init(struct event_stream *stream,
		       int (*event)(void *user, struct str name, struct str data, struct err *err), void *user)
{
	*stream = (struct event_stream){
		.line = BUF_INIT(EVENT_MAX),
		.name = BUF_INIT(NAME_MAX),
		.data = BUF_INIT(EVENT_MAX),
		.event = event,
		.user = user,
	};
}

void event_stream_release(struct event_stream *stream)
{
	buf_release(&stream->line);
	buf_release(&stream->name);
	buf_release(&stream->data);
}

static int end_event(struct event_stream *stream, struct err *err)
{
	int rc = 0;
	if (stream->data.n > 0)
		rc = stream->event(stream->user, buf_str(&stream->name), buf_str(&stream->data), err);
	buf_clear(&stream->name);
	buf_clear(&stream->data);
	return rc;
}

static int take_line(struct event_stream *stream, struct str line, struct err *err)
{
	struct str field;
	if (str_ends(line, S("\r")))
		line = str_slice(line, 0, line.n - 1);
	if (line.n == 0)
		return end_event(stream, err);
	struct str value = str_cut(line, ':', &field);
	if (str_starts(value, S(" ")))
		value = str_slice(value, 1, value.n);
	if (str_eq(field, S("event"))) {
		buf_clear(&stream->name);
		buf_add_str(&stream->name, value);
	} else if (str_eq(field, S("data"))) {
		if (stream->data.n > 0)
			buf_add_char(&stream->data, '\n');
		buf_add_str(&stream->data, value);
	}
	if (buf_check(&stream->name, "the name of an event", err) < 0)
		return -1;
	return buf_check(&stream->data, "an event", err);
}

int event_stream_take(struct event_stream *stream, struct str bytes, struct err *err)
{
	while (bytes.n > 0) {
		size_t end = str_find_char(bytes, '\n');
		buf_add_str(&stream->line, str_slice(bytes, 0, end == STR_NPOS ? bytes.n : end));
		bytes = str_slice(bytes, end == STR_NPOS ? bytes.n : end + 1, bytes.n);
		if (buf_check(&stream->line, "a line of the stream", err) < 0)
			return -1;
		if (end == STR_NPOS)
			return 0;
		if (take_line(stream, buf_str(&stream->line), err) < 0)
			return -1;
		buf_clear(&stream->line);
	}
	return 0;
}
