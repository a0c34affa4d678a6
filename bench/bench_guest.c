/*
 * aileron-guest as an agent program meets it, with the daemon up: from exec to the answer to `initialize`, beside the same
 * program that only prints its version (the floor: exec, and nothing to do); and a request through it, beside a pipe to
 * a process that sends back what it gets (the floor: two pipes and two processes).
 *
 * bench_guest BIN, where BIN holds the programs.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "daemon/discovery.h"
#include "http/h1/client.h"
#include "measure.h"
#include "os/child.h"
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { STARTS = 200, REQUESTS = 5000, WARM_UP = 200, LINE_MAX_N = 65536 };
#define INITIALIZE                                                                                                     \
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\","      \
	"\"capabilities\":{},\"clientInfo\":{\"name\":\"bench\",\"version\":\"1\"}}}\n"
#define PING "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n"

static char folder[64], state[80], agent[32];
static const char *bin;
static const char *environment[4];

static void must(int result, const struct err *err)
{
	if (result < 0)
		give_up(err);
}

static void want(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

/* ------------------------------------------------------------------------------------------------------ a process */

struct talk {
	struct child child;
	int in, out; /* ours, of its standard input and output */
};

static void talk_start(struct talk *talk, const char *const *argv)
{
	struct err err = {0};
	int in[2], out[2];
	want(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0, "no pipes");
	AUTO_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
	AUTO_FREE char *path = xasprintf("%s/%s", bin, argv[0]);
	talk->child = CHILD_INIT;
	talk->child.path = argv[0][0] == '/' ? argv[0] : path;
	talk->child.argv = argv;
	talk->child.envp = environment;
	talk->child.fds[talk->child.n_fds++] = (struct child_fd){in[0], STDIN_FILENO};
	talk->child.fds[talk->child.n_fds++] = (struct child_fd){out[1], STDOUT_FILENO};
	talk->child.fds[talk->child.n_fds++] = (struct child_fd){null, STDERR_FILENO};
	must(child_start(&talk->child, &err), &err);
	close(in[0]);
	close(out[1]);
	talk->in = in[1];
	talk->out = out[0];
}

static void talk_end(struct talk *talk)
{
	struct err err = {0};
	close(talk->in);
	must(child_wait(&talk->child, -1, &err), &err);
	close(talk->out);
	want(talk->child.exit_status == 0, "it did not end well");
	child_release(&talk->child);
}

static void ask(struct talk *talk, struct str line)
{
	static char bytes[LINE_MAX_N];
	size_t n = 0;
	want(write(talk->in, line.p, line.n) == (ssize_t)line.n, "nothing was taken");
	do {
		ssize_t got = read(talk->out, bytes + n, sizeof bytes - n);
		want(got > 0, "no answer");
		n += (size_t)got;
	} while (bytes[n - 1] != '\n');
	want(memmem(bytes, n, "\"error\"", 7) == NULL, "an error");
}

static void verb(const char *a, const char *b)
{
	struct talk talk;
	talk_start(&talk, (const char *const[]){"aileron", a, b, NULL});
	talk_end(&talk);
}

/* ----------------------------------------------------------------------------------------------------------- an agent */

static void copy_member(const struct buf *answer, const char *name, char *ret, size_t room)
{
	AUTO_FREE char *sought = xasprintf("\"%s\":\"", name);
	const char *at = strstr(answer->p, sought);
	want(at != NULL, "a member is missing");
	at += strlen(sought);
	want((size_t)snprintf(ret, room, "%.*s", (int)strcspn(at, "\""), at) < room, "a member is too long");
}

static void write_token(const char *token)
{
	AUTO_FREE char *run = xasprintf("%s/run", state);
	AUTO_FREE char *agents = xasprintf("%s/agents", run);
	AUTO_FREE char *path = xasprintf("%s/%s", agents, agent);
	want((mkdir(run, 0700) == 0 || access(run, X_OK) == 0) && mkdir(agents, 0700) == 0, "no folder for tokens");
	AUTO_FD fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	want(fd >= 0 && write(fd, token, strlen(token)) == (ssize_t)strlen(token), "no token file");
}

static void register_agent(void)
{
	struct err err = {0};
	AUTO_DISCOVERY daemon = {0};
	want(discovery_read(state, &daemon, &err) == 1, "the daemon cannot be found");
	AUTO(h1_client) *client = h1_client_unix(daemon.socket, S("localhost"), &err);
	must(client != NULL ? 0 : -1, &err);
	AUTO_FREE char *bearer = xasprintf("Bearer %.*s", STR_FMT(secret_borrow(daemon.token)));
	const struct h1_header headers[] = {{S("Authorization"), str_from(bearer)},
					    {S("Content-Type"), S("application/json")}};
	const struct h1_request request = {
		.method = S("POST"),
		.target = S("/v1/agents"),
		.headers = headers,
		.n_headers = ARRAY_LEN(headers),
		.body = S("{\"name\":\"bench\",\"kind\":\"registered\"}"),
	};
	struct h1_response response;
	AUTO_BUF answer = BUF_INIT(1 << 16);
	must(h1_client_do(client, &request, &response, &answer, &err), &err);
	want(response.status == 201, "the agent was not registered");
	char token[128];
	copy_member(&answer, "id", agent, sizeof agent);
	copy_member(&answer, "token", token, sizeof token);
	write_token(token);
}

/* ----------------------------------------------------------------------------------------------------------- measured */

static void measure_start(void)
{
	struct samples guest = {0}, floor = {0};
	for (int i = 0; i < STARTS; i++) {
		struct talk talk;
		double start = now_us();
		talk_start(&talk, (const char *const[]){"aileron-guest", "--version", NULL});
		talk_end(&talk);
		samples_add(&floor, now_us() - start);
		start = now_us();
		talk_start(&talk, (const char *const[]){"aileron-guest", "mcp", "--as", agent, NULL});
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
	talk_start(&talk, argv);
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

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

int main(int argc, char **argv)
{
	bin = argc == 2 ? argv[1] : "build/release/bin";
	snprintf(folder, sizeof folder, "/tmp/aileron-bench-XXXXXX");
	want(mkdtemp(folder) != NULL, "no folder");
	snprintf(state, sizeof state, "%s/.aileron", folder);
	AUTO_FREE char *home = xasprintf("HOME=%s", folder);
	AUTO_FREE char *aileron = xasprintf("AILERON_HOME=%s", state);
	environment[0] = home;
	environment[1] = aileron;
	environment[2] = "PATH=/usr/bin:/bin";
	verb("daemon", "start");
	register_agent();
	measure_start();
	double floor = measure_requests((const char *const[]){"/usr/bin/cat", "-u", NULL}, false);
	double guest = measure_requests((const char *const[]){"aileron-guest", "mcp", "--as", agent, NULL}, true);
	report("guest", "floor: a line to cat and back, p50", floor, "us", 0);
	report("guest", "ping through guest and control, p50", guest, "us", 0);
	verb("daemon", "stop");
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}
