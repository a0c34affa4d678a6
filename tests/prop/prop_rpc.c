/*
 * Whatever sequence of frames is sent, in pieces of whatever sizes, by whichever of the two ways of sending and received
 * by whichever of the two ways of receiving, the same frames come out; and a stream of any bytes at all either makes
 * permitted frames or ends the channel.
 */
#include "rpc/rpc.h"
#include "prop/generator.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <cmocka.h>

enum { SMALL = 1, LARGE = 2 };
#define LARGE_MAX 200000u

static const struct rpc_rule rules[] = {
	{SMALL, 1, 300, "small"},
	{LARGE, 1, LARGE_MAX, "large"},
	{0, 0, 0, NULL},
};

struct model {
	struct generator g;
	uint32_t sent, received;
	char *bytes; /* the body of frame i is lengths[i] bytes from offset i % 251 */
	size_t lengths[4000];
};

static struct str body_of(const struct model *model, uint32_t id)
{
	return (struct str){model->bytes + id % 251, model->lengths[id]};
}

static void put_one(struct model *model, struct rpc_channel *channel)
{
	uint32_t id = model->sent++;
	bool large = generate_below(&model->g, 8) == 0;
	model->lengths[id] = generate_below(&model->g, large ? LARGE_MAX + 1 : 301);
	struct str body = body_of(model, id);
	size_t cut = generate_below(&model->g, body.n + 1);
	struct str parts[] = {str_slice(body, 0, cut), str_slice(body, cut, body.n)};
	assert_int_equal(rpc_queue(channel, large || body.n > 300 ? LARGE : SMALL, id, parts, 2, NULL), 0);
}

static void take_some(struct model *model, struct rpc_channel *channel)
{
	struct rpc_frame frame;
	int result;
	bool wait = rpc_has_frame(channel);
	while ((result = wait ? rpc_recv(channel, &frame, NULL) : rpc_pump(channel, &frame, NULL)) == 1) {
		assert_int_equal(frame.id, model->received);
		struct str body = body_of(model, model->received++);
		char *taken = generate_below(&model->g, 4) == 0 ? rpc_take_body(channel, &frame) : NULL;
		assert_int_equal(frame.body.n, body.n);
		assert_memory_equal(frame.body.p, body.p, body.n);
		free(taken);
		wait = rpc_has_frame(channel);
		if (generate_below(&model->g, 5) == 0)
			return;
	}
	assert_int_equal(result, 2);
}

static void what_is_sent_arrives(void **state)
{
	(void)state;
	enum { FRAMES = 4000 };
	struct model *model = NEW(struct model);
	model->bytes = xmalloc(LARGE_MAX + 300);
	for (size_t i = 0; i < LARGE_MAX + 300; i++)
		model->bytes[i] = (char)(i * 7 + i / 256);
	model->g.state = 3;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	AUTO(rpc_channel) *from = rpc_channel_new(pair[0], rules);
	AUTO(rpc_channel) *to = rpc_channel_new(pair[1], rules);
	rpc_set_sensitive(to, true);
	while (model->received < FRAMES) {
		if (model->sent < FRAMES && rpc_queued(from) < 1000000 && generate_below(&model->g, 3) > 0)
			put_one(model, from);
		else
			assert_int_equal(rpc_flush(from, NULL), 0);
		if (generate_below(&model->g, 3) == 0)
			take_some(model, to);
	}
	free(model->bytes);
	free(model);
}

/* Any stream: a valid one with one byte changed. Every frame that comes out is one the table permits. */
static void any_stream_is_frames_or_an_end(void **state)
{
	(void)state;
	struct generator g = {11};
	for (int round = 0; round < 20000; round++) {
		int pair[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		AUTO(rpc_channel) *from = rpc_channel_new(pair[0], rules);
		AUTO(rpc_channel) *to = rpc_channel_new(pair[1], rules);
		unsigned char bytes[256] = {0};
		size_t n = 0;
		while (n < 150) {
			size_t body = generate_below(&g, 40);
			bytes[n] = (unsigned char)body;
			bytes[n + 4] = (unsigned char)(1 + generate_below(&g, 2));
			n += RPC_HEADER + body;
		}
		bytes[generate_below(&g, n)] = (unsigned char)generate(&g);
		assert_int_equal(send(rpc_fd(from), bytes, n, 0), n);
		shutdown(rpc_fd(from), SHUT_WR);
		struct rpc_frame frame;
		int result;
		while ((result = rpc_recv(to, &frame, NULL)) == 1)
			assert_true((frame.type == SMALL && frame.body.n <= 300) ||
				    (frame.type == LARGE && frame.body.n <= LARGE_MAX));
		assert_true(result == 0 || result == -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sent_arrives),
		cmocka_unit_test(any_stream_is_frames_or_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
