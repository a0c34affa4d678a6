/*
 * The gateway, beside going to the same TLS server on this machine directly: one client of libcurl, kept connections, the two in
 * turns, so that both meet the same machine.
 *
 *   - a POST of 4 KiB with a short answer: what the gateway adds, p50 and p99
 *   - an answer of 64 MiB: how fast it goes through
 *
 * bench_gateway BIN, where BIN holds the programs.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "daemon/discovery.h"
#include "http/h1/client.h"
#include "http_server.h"
#include "measure.h"
#include "os/child.h"
#include "text/json.h"
#include <curl/curl.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { REQUESTS = 2000, WARM_UP = 200, BODY = 4096, TRANSFERS = 5, MEGABYTES = 64 };
#define PATH_SIZE 128

static char folder[64], state[80];
static const char *program;
static const char *environment[8];

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

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static void verb(const char *const *argv)
{
	struct err err = {0};
	AUTO_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
	AUTO_CHILD child = CHILD_INIT;
	child.path = program;
	child.argv = argv;
	child.envp = environment;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		child.fds[child.n_fds++] = (struct child_fd){null, fd};
	must(child_start(&child, &err), &err);
	must(child_wait(&child, -1, &err), &err);
	want(child.exit_status == 0, "a verb of the command line failed");
}

static void make_home(const char *bin, const char *ca, uint16_t port)
{
	snprintf(folder, sizeof folder, "/tmp/aileron-bench-XXXXXX");
	want(mkdtemp(folder) != NULL, "no folder");
	snprintf(state, sizeof state, "%s/.aileron", folder);
	want(mkdir(state, 0700) == 0, "no state folder");
	AUTO_FREE char *path = xasprintf("%s/config.yaml", state);
	FILE *config = fopen(path, "w");
	want(config != NULL, "no configuration");
	fprintf(config, "gateway:\n  anthropic: https://127.0.0.1:%u\n  upstream_allow_private: true\n", port);
	fclose(config);
	program = xasprintf("%s/aileron", bin);
	size_t n = 0;
	environment[n++] = xasprintf("AILERON_HOME=%s", state);
	environment[n++] = xasprintf("HOME=%s", folder);
	environment[n++] = xasprintf("AILERON_CA_FILE=%s", ca);
	environment[n++] = "PATH=/usr/bin:/bin";
}

/* The base URL of a session, for free(). */
static char *begin_session(void)
{
	struct err err = {0};
	struct discovery found;
	want(discovery_read(state, &found, &err) == 1, "the daemon cannot be found");
	AUTO(h1_client) *client = h1_client_tcp(str_from(found.url + strlen("http://")), 1000, &err);
	must(client != NULL ? 0 : -1, &err);
	AUTO_FREE char *authorization = xasprintf("Bearer %.*s", STR_FMT(secret_borrow(found.token)));
	const struct h1_header headers[] = {{S("Authorization"), str_from(authorization)}};
	const struct h1_request request = {
		.method = S("POST"),
		.target = S("/v1/sessions"),
		.headers = headers,
		.n_headers = ARRAY_LEN(headers),
		.body = S("{\"agent\":\"bench\"}"),
		.timeout_ms = 5000,
	};
	struct h1_response response;
	AUTO_BUF answer = BUF_INIT(64 << 10);
	must(h1_client_do(client, &request, &response, &answer, &err), &err);
	AUTO(json) *session = json_parse(buf_str(&answer), JSON_READ_STRICT, &err);
	struct str url = {0};
	want(session != NULL && json_get_str(json_member(json_member(session, S("gateway")), S("anthropic_url")), &url),
	     "the session has no gateway");
	discovery_release(&found);
	return str_dup(url);
}

/* ------------------------------------------------------------------------------------------------------------ clients */

static size_t count(char *bytes, size_t size, size_t n, void *context)
{
	(void)bytes;
	*(size_t *)context += size * n;
	return size * n;
}

struct client {
	CURL *curl;
	struct samples samples;
	size_t received;
};

static struct client client_of(const char *base, const char *target, const char *ca)
{
	struct client client = {.curl = curl_easy_init()};
	AUTO_FREE char *url = xasprintf("%s%s", base, target);
	curl_easy_setopt(client.curl, CURLOPT_URL, url);
	curl_easy_setopt(client.curl, CURLOPT_CAINFO, ca);
	curl_easy_setopt(client.curl, CURLOPT_WRITEFUNCTION, count);
	curl_easy_setopt(client.curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	return client;
}

static void client_release(struct client *client)
{
	curl_easy_cleanup(client->curl);
	samples_release(&client->samples);
}

static double ask(struct client *client)
{
	long status = 0;
	client->received = 0;
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &client->received);
	double start = now_us();
	want(curl_easy_perform(client->curl) == CURLE_OK, "no answer");
	double took = now_us() - start;
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	want(status == 200, "an answer is not what it should be");
	return took;
}

static void measure_requests(const char *direct, const char *gateway, const char *ca)
{
	struct client clients[] = {client_of(direct, "/hello", ca), client_of(gateway, "/hello", ca)};
	static char body[BODY];
	memset(body, 'b', sizeof body);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		curl_easy_setopt(clients[i].curl, CURLOPT_POSTFIELDSIZE, (long)sizeof body);
		curl_easy_setopt(clients[i].curl, CURLOPT_POSTFIELDS, body);
	}
	for (int n = 0; n < REQUESTS + WARM_UP; n++) {
		for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
			double took = ask(&clients[i]);
			if (n >= WARM_UP)
				samples_add(&clients[i].samples, took);
		}
	}
	static const struct {
		const char *floor, *whole, *above;
		double quantile, budget;
	} rows[] = {
		{"floor: directly, p50", "through the gateway, p50", "gateway above direct, p50", 0.5, 1000},
		{"floor: directly, p99", "through the gateway, p99", "gateway above direct, p99", 0.99, 3000},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		double floor = samples_at(&clients[0].samples, rows[i].quantile);
		double whole = samples_at(&clients[1].samples, rows[i].quantile);
		report("gateway", rows[i].floor, floor, "us", 0);
		report("gateway", rows[i].whole, whole, "us", 0);
		report("gateway", rows[i].above, whole - floor, "us", rows[i].budget);
	}
	client_release(&clients[0]);
	client_release(&clients[1]);
}

static void measure_transfer(const char *direct, const char *gateway, const char *ca)
{
	char target[PATH_SIZE];
	snprintf(target, sizeof target, "/big/%d", MEGABYTES << 20);
	struct client clients[] = {client_of(direct, target, ca), client_of(gateway, target, ca)};
	for (int n = 0; n < TRANSFERS; n++) {
		for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
			samples_add(&clients[i].samples, ask(&clients[i]));
			want(clients[i].received == (size_t)MEGABYTES << 20, "an answer is not whole");
		}
	}
	report("gateway", "floor: 64 MiB directly, best", MEGABYTES * 1e6 / samples_at(&clients[0].samples, 0), "MiB/s",
	       0);
	report("gateway", "64 MiB through the gateway, best", MEGABYTES * 1e6 / samples_at(&clients[1].samples, 0),
	       "MiB/s", 0);
	client_release(&clients[0]);
	client_release(&clients[1]);
}

int main(int argc, char **argv)
{
	const char *bin = argc == 2 ? argv[1] : "build/release/bin";
	curl_global_init(CURL_GLOBAL_ALL);
	struct server *server = server_start(SERVER_TLS);
	AUTO_FREE char *ca = xasprintf("/proc/%d/fd/%d", getpid(), server_ca_fd());
	make_home(bin, ca, server->port);
	verb((const char *const[]){"aileron", "daemon", "start", NULL});
	AUTO_FREE char *direct = xasprintf("https://127.0.0.1:%u", server->port);
	AUTO_FREE char *gateway = begin_session();
	measure_requests(direct, gateway, ca);
	measure_transfer(direct, gateway, ca);
	verb((const char *const[]){"aileron", "daemon", "stop", NULL});
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	server_stop(server);
	curl_global_cleanup();
	return 0;
}
