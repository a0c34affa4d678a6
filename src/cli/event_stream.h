/*
 * event_stream: server-sent events, put together from pieces
 *
 * The part of the format that the daemon writes (WHATWG HTML, 9.2): "event:", "data:" (several are joined by line ends), a blank
 * line ends an event, a colon begins a comment. One thread.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

struct event_stream {
	struct buf line, name, data; /* of what has not ended yet */
	/* Of each event; non-zero ends the stream. */
	int (*event)(void *user, struct str name, struct str data, struct err *err);
	void *user;
};
void event_stream_init(struct event_stream *stream,
		       int (*event)(void *user, struct str name, struct str data, struct err *err), void *user);
void event_stream_release(struct event_stream *stream);
/* LIMIT for an event that is too large, or what `event` failed with. */
int event_stream_take(struct event_stream *stream, struct str bytes, struct err *err)
	__attribute__((warn_unused_result));
