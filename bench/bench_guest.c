/*
 * aileron-guest as an agent program meets it, with the daemon up: from exec to the answer to `initialize`, beside the same
 * program that only prints its version (the floor: exec, and nothing to do); and a request through it, beside a pipe to
 * a process that sends back what it gets (the floor: two pipes and two processes).
 *
 * bench_guest BIN, where BIN holds the programs.
 */
#include "home.h"
#include <stdio.h>

enum { STARTS = 200, REQUESTS = 5000, WARM_UP = 200 };
#define INITIALIZE                                                                                                     \
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\","      \
	"\"capabilities\":{},\"clientInfo\":{\"name\":\"bench\",\"version\":\"1\"}}}\n"
#define PING "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n"

static struct home home;

static void ask(const struct talk *talk, struct str line)
{
	want(str_find(talk_ask(talk, line), S("\"error\"")) == STR_NPOS, "an error");
}

/* ----------------------------------------------------------------------------------------------------------- measured */

static void measure_start(void)
{
	struct samples guest = {0}, floor = {0};
	for (int i = 0; i < STARTS; i++) {
		struct talk talk;
		double start = now_us();
		talk_start(&talk, &home, (const char *const[]){"aileron-guest", "--version", NULL});
		talk_end(&talk);
		samples_add(&floor, now_us() - start);
		start = now_us();
		talk_start(&talk, &home, (const char *const[]){"aileron-guest", "mcp", "--as", home.agent, NULL});
		ask(&talk, S(INITIALIZE));
		samples_add(&guest, now_us() - start);
		talk_end(&talk);
	}
	report("guest", "floor: --version, the whole process, p50", samples_at(&floor, 0.5) / 1e3, "ms", 0);
	report("guest", "from exec to the answer to initialize, p50", samples_at(&guest, 0.5) / 1e3, "ms", 5);
	report("guest", "from exec to the answer to initialize, p99", samples_at(&guest, 0.99) / 1e3, "ms", 0);
	samples_release(&guest);
	samples_release(&floor);
}

static double measure_requests(const char *const *argv, bool greets)
{
	struct talk talk;
	struct samples samples = {0};
	talk_start(&talk, &home, argv);
	if (greets)
		ask(&talk, S(INITIALIZE));
	for (int i = 0; i < REQUESTS + WARM_UP; i++) {
		double start = now_us();
		ask(&talk, S(PING));
		if (i >= WARM_UP)
			samples_add(&samples, now_us() - start);
	}
	talk_end(&talk);
	double p50 = samples_at(&samples, 0.5);
	samples_release(&samples);
	return p50;
}

int main(int argc, char **argv)
{
	home_make(&home, argc == 2 ? argv[1] : "build/release/bin");
	home_start(&home);
	measure_start();
	double floor = measure_requests((const char *const[]){"/usr/bin/cat", "-u", NULL}, false);
	double guest = measure_requests((const char *const[]){"aileron-guest", "mcp", "--as", home.agent, NULL}, true);
	report("guest", "floor: a line to cat and back, p50", floor, "us", 0);
	report("guest", "ping through guest and control, p50", guest, "us", 0);
	home_stop(&home);
	return 0;
}
