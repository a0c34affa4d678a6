/*
 * Egress: what judging, injecting and signing cost without network, and 1,000 HTTPS calls through the whole process on kept
 * connections against libcurl alone in this process, over the same server.
 *
 * bench_egress BIN
 */
#include "base/arena.h"
#include "base/limits.h"
#include "base/mem.h"
#include "connector/egress_link.h"
#include "egress/gate.h"
#include "egress/inject.h"
#include "http_server.h"
#include "measure.h"
#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIGNINGS = 20000, REQUESTS = 1000, WARM_UP = 50 };

static void must(int result, const struct err *err)
{
	if (result != 0)
		give_up(err);
}

static void signing(void)
{
	struct err err = {0};
	AUTO(secret) *key = secret_from(S("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), &err);
	struct str hosts[] = {S("athena.us-east-1.amazonaws.com:443")};
	struct egress_grant grant = {
		.connector = S("github://example/athena"),
		.hosts = hosts,
		.n_hosts = 1,
		.declared = CREDENTIAL_AWS_SIGV4,
		.service = S("athena"),
		.binding = BINDING_FOUND,
		.bound = CREDENTIAL_AWS_SIGV4,
		.bound_access_key_id = S("AKIDEXAMPLE"),
		.secret = key,
	};
	struct message_header headers[] = {{S("Content-Type"), S("application/x-amz-json-1.1")},
					   {S("X-Amz-Target"), S("AmazonAthena.StartQueryExecution")}};
	struct samples samples = {0};
	AUTO(arena) *arena = arena_new();
	for (int i = 0; i < SIGNINGS; i++) {
		double start = now_us();
		struct url url;
		struct injection injection = {0};
		must(gate_url(arena, &grant, S("https://athena.us-east-1.amazonaws.com/"), &url, &err), &err);
		struct message message = {S("POST"), &url, headers, ARRAY_LEN(headers),
					  S("{\"QueryString\":\"SELECT 1\"}")};
		must(inject_check(&grant, S("aws_sigv4"), &err), &err);
		must(inject_apply(arena, &grant, &message,
				  &(struct inject_options){.now = UINT64_C(1782864000000000000)}, &injection, &err),
		     &err);
		injection_release(&injection);
		arena_clear(arena);
		samples_add(&samples, now_us() - start);
	}
	report("egress", "gate, inject and sign (SigV4), p50", samples_at(&samples, 0.5), "us", 20);
	samples_release(&samples);
}

static size_t ignore(char *bytes, size_t size, size_t n, void *context)
{
	(void)bytes, (void)context;
	return size * n;
}

/* The floor: one easy handle that keeps its connection. */
static double curl_alone(const struct server *server, const char *ca)
{
	CURL *curl = curl_easy_init();
	AUTO_FREE char *url = xasprintf("https://localhost:%u/hello", server->port);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
	struct samples samples = {0};
	for (int i = 0; i < REQUESTS + WARM_UP; i++) {
		double start = now_us();
		if (curl_easy_perform(curl) != CURLE_OK) {
			fprintf(stderr, "bench: libcurl cannot reach the server\n");
			exit(1);
		}
		if (i >= WARM_UP)
			samples_add(&samples, now_us() - start);
	}
	curl_easy_cleanup(curl);
	double p50 = samples_at(&samples, 0.5);
	samples_release(&samples);
	return p50;
}

static void answered(void *owner, const struct egress_result *result)
{
	if (result->rc != 0)
		give_up(&result->err);
	*(bool *)owner = true;
}

static double through_egress(const struct server *server, const char *bin, int ca_fd)
{
	struct err err = {0};
	AUTO_FREE char *program = xasprintf("%s/aileron-egress", bin);
	AUTO(egress_link) *link = egress_link_new(&(struct egress_link_spec){.program = program, .ca_fd = ca_fd});
	must(egress_link_start(link, &err), &err);
	must(egress_link_wait_ready(link, &err), &err);

	AUTO(secret) *token = secret_from(S("a-token-of-some-length"), &err);
	char host[32], envelope[256];
	snprintf(host, sizeof host, "localhost:%u", server->port);
	snprintf(envelope, sizeof envelope,
		 "{\"method\":\"GET\",\"url\":\"https://%s/hello\",\"credential\":\"api_key\"}", host);
	struct str hosts[] = {str_from(host)};
	struct egress_opening opening = {S("localhost"), server->port, S("127.0.0.1"), server->port};
	struct egress_grant grant = {
		.connector = S("github://example/bench"),
		.hosts = hosts,
		.n_hosts = 1,
		.openings = &opening,
		.n_openings = 1,
		.request_max = LIMIT_REQUEST_BODY,
		.response_max = LIMIT_RESPONSE_BODY,
		.declared = CREDENTIAL_API_KEY,
		.binding = BINDING_FOUND,
		.bound = CREDENTIAL_API_KEY,
		.pool = S("bench"),
		.secret = token,
	};
	AUTO(link_call) *call = link_call_new(link, &grant);
	struct samples samples = {0};
	for (int i = 0; i < REQUESTS + WARM_UP; i++) {
		bool done = false;
		double start = now_us();
		link_call_request(call, str_from(envelope), 30000 * MS, false, answered, &done);
		while (!done) {
			struct pollfd wait = {.fd = egress_link_fd(link), .events = egress_link_events(link)};
			poll(&wait, 1, -1);
			egress_link_process(link);
		}
		if (i >= WARM_UP)
			samples_add(&samples, now_us() - start);
	}
	double p50 = samples_at(&samples, 0.5);
	samples_release(&samples);
	return p50;
}

int main(int argc, char **argv)
{
	const char *bin = argc == 2 ? argv[1] : "build/release/bin";
	signing();
	curl_global_init(CURL_GLOBAL_ALL);
	struct server *server = server_start(SERVER_TLS);
	int ca_fd = server_ca_fd();
	AUTO_FREE char *ca = xasprintf("/proc/self/fd/%d", ca_fd);
	double floor = curl_alone(server, ca);
	double ours = through_egress(server, bin, ca_fd);
	report("egress", "floor: HTTPS by libcurl alone, p50", floor, "us", 0);
	report("egress", "HTTPS through egress, kept connections, p50", ours, "us", floor + 150);
	server_stop(server);
	curl_global_cleanup();
	return 0;
}
