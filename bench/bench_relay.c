/*
 * Relays: what it costs that egress stands between a runner and control. A call and its end, there and back between two
 * threads, over one socket pair and over two with a relay between; and a large output of which nothing, or a call's
 * secrets, must be searched for.
 *
 * bench_relay
 */
#include "base/limits.h"
#include "base/mem.h"
#include "connector/relay.h"
#include "crypto/secret.h"
#include "egress/watchlist.h"
#include "measure.h"
#include "os/child.h"
#include "os/loop.h"
#include "rpc/rpc.h"
#include <pthread.h>
#include <stdlib.h>

enum { TURNS = 20000, LARGE_TURNS = 20 };

struct played {
	struct rpc_channel *channel;
	struct str input, done; /* what the runner is sent, and says */
};

static struct watchlist *watchlist;
static char text[LIMIT_STDOUT];

static const struct watchlist *watchlist_of(void *context, uint32_t relay, uint32_t call)
{
	(void)relay, (void)call;
	return *(bool *)context ? watchlist : NULL;
}

static void on_ended(void *context, struct relay *relay, const struct err *err)
{
	(void)context;
	if (err != NULL)
		give_up(err);
	relay_free(relay);
}

static void send_frame(struct rpc_channel *channel, uint16_t type, uint32_t id, struct str body)
{
	struct err err = {0};
	if (rpc_send(channel, type, id, &body, 1, &err) != 0)
		give_up(&err);
}

static void receive(struct rpc_channel *channel)
{
	struct rpc_frame frame;
	struct err err = {0};
	if (rpc_recv(channel, &frame, &err) != 1)
		give_up(&err);
}

static void *play_runner(void *context)
{
	struct played *played = context;
	struct rpc_frame frame;
	send_frame(played->channel, RUNNER_HELLO, 0, S(""));
	receive(played->channel);
	rpc_set_state(played->channel, RUNNER_STATE_SERVING);
	send_frame(played->channel, RUNNER_READY, 0, S(""));
	while (rpc_recv(played->channel, &frame, NULL) == 1)
		send_frame(played->channel, RUNNER_DONE, frame.id, played->done);
	rpc_channel_free(played->channel);
	return NULL;
}

static void *run_loop(void *loop)
{
	loop_run(loop);
	return NULL;
}

static double play(struct rpc_channel *control, struct played *played, int turns)
{
	pthread_t runner;
	struct samples samples = {0};
	pthread_create(&runner, NULL, play_runner, played);
	receive(control);
	rpc_set_state(control, RUNNER_STATE_LOADING);
	send_frame(control, RUNNER_START, 0, S(""));
	receive(control);
	rpc_set_state(control, RUNNER_STATE_SERVING);
	for (int i = 0; i < turns; i++) {
		double start = now_us();
		send_frame(control, RUNNER_CALL, 1, played->input);
		receive(control);
		samples_add(&samples, now_us() - start);
	}
	rpc_channel_free(control);
	pthread_join(runner, NULL);
	double median = samples_at(&samples, 0.5);
	samples_release(&samples);
	return median;
}

static void pair(int ret[2])
{
	struct err err = {0};
	if (child_socketpair(ret, &err) != 0)
		give_up(&err);
}

static double play_direct(struct played played, int turns)
{
	int ends[2];
	pair(ends);
	played.channel = rpc_channel_new(ends[0], runner_child_rules);
	return play(rpc_channel_new(ends[1], runner_parent_rules), &played, turns);
}

static double play_relayed(struct played played, bool searched, int turns)
{
	int runner[2], control[2];
	struct err err = {0};
	struct loop *loop = loop_new(&err);
	pair(runner);
	pair(control);
	const struct relay_options options = {
		.loop = loop,
		.id = 1,
		.runner_fd = runner[1],
		.control_fd = control[1],
		.watchlist = watchlist_of,
		.ended = on_ended,
		.context = &searched,
	};
	if (loop == NULL || relay_new(&options, &err) == NULL)
		give_up(&err);
	pthread_t thread;
	pthread_create(&thread, NULL, run_loop, loop);
	played.channel = rpc_channel_new(runner[0], runner_child_rules);
	double median = play(rpc_channel_new(control[0], runner_parent_rules), &played, turns);
	pthread_join(thread, NULL); /* nothing is left to wait for */
	loop_free(loop);
	return median;
}

static struct str done_with(struct buf *body, size_t n)
{
	const struct runner_done done = {.output = str_of(text, n)};
	buf_clear(body);
	runner_done_put_head(body, &done);
	buf_add_str(body, done.output);
	return buf_str(body);
}

int main(void)
{
	struct err err = {0};
	AUTO(secret) *secret = secret_from(S("s3cr3t-token-0123456789-abcdefgh"), &err);
	watchlist = secret != NULL ? watchlist_new(secret, &err) : NULL;
	if (watchlist == NULL)
		give_up(&err);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = "{\"name\": \"value 12345\", \"list\": [1, 2, 3]}\n"[i % 43];
	AUTO_BUF body = BUF_INIT(2 * LIMIT_STDOUT);
	struct played played = {.input = S("{\"args\":{},\"op\":\"x\"}"), .done = done_with(&body, 200)};
	double direct = play_direct(played, TURNS);
	report("relay", "a call there and back, direct, p50", direct, "us", 0);
	report("relay", "the same through a relay, p50", play_relayed(played, false, TURNS), "us", 0);
	report("relay", "the same, searched for a secret, p50", play_relayed(played, true, TURNS), "us", direct + 100);
	played.done = done_with(&body, MIB);
	report("relay", "1 MiB of output, direct, p50", play_direct(played, LARGE_TURNS), "us", 0);
	report("relay", "1 MiB of output through a relay, p50", play_relayed(played, false, LARGE_TURNS), "us", 0);
	report("relay", "1 MiB of output, searched for a secret, p50", play_relayed(played, true, LARGE_TURNS), "us",
	       0);
	watchlist_free(watchlist);
	return 0;
}
