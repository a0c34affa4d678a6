/*
 * Any bytes as the stream of a peer, in pieces: the first byte of the input says how long a piece is. Frames that come
 * out are within the table and come out the same in one piece.
 */
#include "rpc/rpc.h"
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { EMPTY = 1, SMALL = 2, LARGE = 3 };

static const struct rpc_rule rules[] = {
	{EMPTY, 1, 0, "empty"},
	{SMALL, 1 | 2, 64, "small"},
	{LARGE, 2, 100000, "large"},
	{0, 0, 0, NULL},
};

struct outcome {
	int result;
	unsigned frames;
	uint64_t sum;
};

/* The state follows the frames: EMPTY leads to the second. */
static void count(struct outcome *outcome, struct rpc_channel *channel, struct rpc_frame *frame)
{
	outcome->frames++;
	outcome->sum = outcome->sum * 31 + frame->type + frame->id;
	for (size_t i = 0; i < frame->body.n; i++)
		outcome->sum = outcome->sum * 31 + (unsigned char)frame->body.p[i];
	if (frame->type == EMPTY)
		rpc_set_state(channel, 2);
	if (frame->id % 3 == 0) {
		AUTO_FREE char *taken = rpc_take_body(channel, frame);
		if (taken == NULL || frame->body.p != taken)
			BUG("a taken body is elsewhere");
	}
}

static struct outcome receive(const uint8_t *data, size_t n, size_t piece)
{
	struct outcome outcome = {0};
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		BUG("no sockets");
	AUTO(rpc_channel) *channel = rpc_channel_new(pair[0], rules);
	rpc_set_sensitive(channel, n % 2 == 0);
	struct rpc_frame frame;
	outcome.result = 2;
	while (outcome.result == 2 && n > 0) {
		size_t step = MIN(piece, n);
		if (write(pair[1], data, step) != (ssize_t)step)
			BUG("no room in a socket");
		data += step;
		n -= step;
		while ((outcome.result = rpc_pump(channel, &frame, NULL)) == 1)
			count(&outcome, channel, &frame);
	}
	close(pair[1]);
	while (outcome.result == 2 && (outcome.result = rpc_recv(channel, &frame, NULL)) == 1) {
		count(&outcome, channel, &frame);
		outcome.result = 2;
	}
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 1 || n > 60000)
		return 0;
	struct outcome pieces = receive(data + 1, n - 1, (size_t)data[0] + 1);
	struct outcome whole = receive(data + 1, n - 1, n);
	if (pieces.result != whole.result || pieces.frames != whole.frames || pieces.sum != whole.sum)
		BUG("pieces and whole differ");
	return 0;
}
