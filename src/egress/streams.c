#include "egress/streams.h"
#include "base/log.h"
#include "base/map.h"
#include "os/loop.h"
#include "text/wire.h"
#include <stdlib.h>

struct held {
	struct streams *streams;
	uint32_t id;
	struct egress_stream *stream;
};

struct streams {
	struct streams_options options;
	struct rpc_channel *channel; /* NULL while there is no control */
	struct loop_source *socket;
	struct loop_source *broken; /* drops the channel at the loop's next turn */
	int events;
	struct map *held; /* id -> struct held */
	struct err err;
};

static struct str key_of(const uint32_t *id)
{
	return str_of(id, sizeof *id);
}

static void held_free(void *value)
{
	struct held *held = value;
	stream_free(held->stream);
	free(held);
}

static void close_channel(struct streams *streams)
{
	loop_source_free(TAKE(streams->socket));
	rpc_channel_free(TAKE(streams->channel));
	struct map_iter it = {0};
	while (map_next(streams->held, &it)) {
		struct held *held = map_remove(streams->held, it.key);
		held_free(held);
	}
}

/* With streams->err; a callback of a stream's cannot free streams. */
static void break_soon(struct streams *streams)
{
	loop_timer_start(streams->broken, 0, 0);
}

static void on_broken(void *user, int what)
{
	(void)what;
	struct streams *streams = user;
	if (streams->channel == NULL)
		return;
	log_error("gateway_let_go", log_err(&streams->err));
	close_channel(streams);
}

static void balance(struct streams *streams)
{
	int events = LOOP_READ | (rpc_queued(streams->channel) > 0 ? LOOP_WRITE : 0);
	if (events != streams->events)
		loop_watch_set(streams->socket, events);
	streams->events = events;
}

static void send_part(struct streams *streams, uint16_t type, uint32_t id, struct str part)
{
	if (streams->channel == NULL)
		return;
	if (rpc_queue(streams->channel, type, id, &part, 1, &streams->err) != 0)
		break_soon(streams);
	else
		balance(streams);
}

/* ---- from streams ---- */

static void on_head(void *context, const struct stream_head *head)
{
	const struct held *held = context;
	AUTO_BUF body = BUF_INIT(STREAM_HEAD_MAX);
	stream_head_put(&body, head);
	if (buf_check(&body, "the head of an answer", &held->streams->err) != 0)
		break_soon(held->streams);
	else
		send_part(held->streams, STREAM_HEAD, held->id, buf_str(&body));
}

static void on_data(void *context, struct str bytes)
{
	const struct held *held = context;
	while (bytes.n > 0) {
		struct str piece = str_slice(bytes, 0, STREAM_PIECE);
		send_part(held->streams, STREAM_DATA, held->id, piece);
		bytes = str_slice(bytes, piece.n, bytes.n);
	}
}

static void on_more(void *context, uint32_t n)
{
	const struct held *held = context;
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u32(&body, n);
	send_part(held->streams, STREAM_MORE, held->id, buf_str(&body));
}

static void send_ended(struct streams *streams, uint32_t id, const struct err *err)
{
	AUTO_BUF body = BUF_INIT(64 * KIB);
	wire_put_bool(&body, err == NULL);
	if (err != NULL)
		wire_put_err(&body, err);
	send_part(streams, STREAM_ENDED, id, buf_str(&body));
}

static void on_ended(void *context, const struct err *err)
{
	struct held *held = context;
	send_ended(held->streams, held->id, err);
	map_remove(held->streams->held, key_of(&held->id));
	free(held);
}

/* ---- from control ---- */

static int on_open(struct streams *streams, const struct rpc_frame *frame, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct stream_open open;
	if (stream_open_get(arena, frame->body, &open, err) != 0)
		return -1;
	if (frame->id == 0 || map_has(streams->held, key_of(&frame->id)))
		return fail(err, ERR_PROTOCOL, "message 'stream open' for a stream that is open, or for none");
	if (map_count(streams->held) == STREAMS_MAX) {
		static struct err full;
		err_clear(&full);
		fail(&full, ERR_UNAVAILABLE, "%d requests are under way already", STREAMS_MAX);
		send_ended(streams, frame->id, &full);
		return 0;
	}
	struct held *held = NEW(struct held);
	*held = (struct held){.streams = streams, .id = frame->id};
	if (!map_add(streams->held, key_of(&held->id), held))
		BUG("a stream that cannot be kept");
	const struct stream_ask ask = {
		.net = streams->options.net,
		.keeper = streams->options.keeper,
		.upstream = &streams->options.upstreams[open.provider],
		.open = &open,
		.head = on_head,
		.data = on_data,
		.more = on_more,
		.ended = on_ended,
		.context = held,
	};
	held->stream = stream_start(&ask);
	return 0;
}

static void on_cancel(struct streams *streams, struct held *held)
{
	static struct err cancelled;
	err_clear(&cancelled);
	fail(&cancelled, ERR_CANCELLED, "the request was given up");
	send_ended(streams, held->id, &cancelled);
	map_remove(streams->held, key_of(&held->id));
	held_free(held);
}

static int on_more_asked(struct held *held, struct str body, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	uint32_t n = wire_u32(&r);
	if (wire_done(&r, "stream more", err) != 0)
		return -1;
	if (!stream_credit(held->stream, n))
		return fail(err, ERR_PROTOCOL, "message 'stream more' for more than was sent");
	return 0;
}

static int on_frame(struct streams *streams, const struct rpc_frame *frame, struct err *err)
{
	if (frame->type == STREAM_OPEN)
		return on_open(streams, frame, err);
	struct held *held = map_get(streams->held, key_of(&frame->id));
	if (held == NULL) /* it crossed our ENDED */
		return 0;
	if (frame->type == STREAM_CANCEL)
		on_cancel(streams, held);
	else if (frame->type == STREAM_MORE)
		return on_more_asked(held, frame->body, err);
	else if (!stream_body(held->stream, frame->body))
		return fail(err, ERR_PROTOCOL, "message 'stream body' with more than there is room for");
	return 0;
}

static void read_frames(struct streams *streams)
{
	for (;;) {
		struct rpc_frame frame;
		int got = rpc_pump(streams->channel, &frame, &streams->err);
		if (got == 2)
			break;
		if (got == 0) {
			close_channel(streams);
			return;
		}
		if (got < 0 || on_frame(streams, &frame, &streams->err) != 0) {
			on_broken(streams, 0);
			return;
		}
	}
	balance(streams);
}

static void on_socket(void *user, int what)
{
	struct streams *streams = user;
	/* A failure to write shows up as the end of what can be read. */
	if ((what & LOOP_WRITE) != 0)
		(void)!rpc_flush(streams->channel, NULL);
	if ((what & (LOOP_READ | LOOP_GONE)) != 0)
		read_frames(streams);
	else
		balance(streams);
}

/* ---- life ---- */

struct streams *streams_new(const struct streams_options *options)
{
	struct streams *streams = NEW(struct streams);
	streams->options = *options;
	streams->held = map_new(STREAMS_MAX);
	streams->broken = loop_timer(options->net->loop, on_broken, streams);
	return streams;
}

void streams_free(struct streams *streams)
{
	if (streams == NULL)
		return;
	close_channel(streams);
	loop_source_free(streams->broken);
	map_free(streams->held);
	free(streams);
}

int streams_attach(struct streams *streams, int fd, struct err *err)
{
	AUTO(rpc_channel) *channel = rpc_channel_new(fd, stream_egress_rules);
	close_channel(streams);
	loop_timer_stop(streams->broken);
	rpc_set_sensitive(channel, true);
	streams->events = LOOP_READ;
	streams->socket = loop_watch(streams->options.net->loop, fd, streams->events, on_socket, streams, err);
	if (streams->socket == NULL)
		return -1;
	streams->channel = TAKE(channel);
	return 0;
}

size_t streams_open(const struct streams *streams)
{
	bool waits = streams->channel != NULL && rpc_queued(streams->channel) > 0;
	return map_count(streams->held) + waits;
}
