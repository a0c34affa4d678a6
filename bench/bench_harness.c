/*
 * The harness as an author meets it: whole processes, warm, against the same connector over wazero; and the memory that
 * our processes have for themselves.
 *
 * bench_harness BIN, where BIN holds the programs and, for the peer, wazero-peer.
 */
#include "base/err.h"
#include "base/mem.h"
#include "measure.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

static char *const *environment;

static pid_t spawn(const char *const *argv, int out)
{
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	/* POSIX promises not to change the strings and cannot say so in the type. */
	union {
		const char *const *in;
		char *const *out;
	} arguments = {.in = argv};
	pid_t pid;
	if (posix_spawn(&pid, argv[0], &actions, NULL, arguments.out, environment) != 0) {
		fprintf(stderr, "bench: cannot start '%s'\n", argv[0]);
		exit(1);
	}
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static double median_ms(const char *const *argv, int runs)
{
	struct samples samples = {0};
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	for (int i = 0; i < runs + 1; i++) {
		double start = now_us();
		pid_t pid = spawn(argv, null);
		int status;
		if (waitpid(pid, &status, 0) != pid || status != 0) {
			fprintf(stderr, "bench: '%s' failed with status %d\n", argv[0], status);
			exit(1);
		}
		if (i > 0) /* the first fills the caches */
			samples_add(&samples, now_us() - start);
	}
	close(null);
	double p50 = samples_at(&samples, 0.5) / 1e3;
	samples_release(&samples);
	return p50;
}

static const char args[] = "{\"name\":\"Ada\"}";

static double harness_ms(const char *bin, const char *name)
{
	AUTO_FREE char *program = xasprintf("%s/aileron-connector-dev-run", bin);
	AUTO_FREE char *wasm = xasprintf("%s/../examples/%s/connector.wasm", bin, name);
	AUTO_FREE char *toml = xasprintf("examples/connectors/%s/manifest.toml", name);
	const char *optimized[] = {program, "--wasm", wasm, "--manifest", toml, "--op",
				   "greet", "--args", args, "--optimize", NULL};
	const char *plain[] = {program, "--wasm", wasm, "--manifest", toml, "--op", "greet", "--args", args, NULL};
	median_ms(optimized, 1);
	return median_ms(plain, 30);
}

static double wazero_ms(const char *bin, const char *name, const char *cache, int runs)
{
	AUTO_FREE char *program = xasprintf("%s/wazero-peer", bin);
	AUTO_FREE char *wasm = xasprintf("%s/../examples/%s/connector.wasm", bin, name);
	AUTO_FREE char *folder = xstrdup(cache);
	const char *argv[] = {program, "once", folder, wasm, "greet", args, NULL};
	return median_ms(argv, runs);
}

/* Private_Clean + Private_Dirty of a process, in KiB. */
static double own_kib(pid_t pid)
{
	char path[64], line[256];
	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return -1;
	double sum = 0;
	while (fgets(line, sizeof line, file) != NULL) {
		const char *colon = strchr(line, ':');
		if (colon != NULL && strncmp(line, "Private_", 8) == 0)
			sum += strtod(colon + 1, NULL);
	}
	fclose(file);
	return sum;
}

static pid_t child_named(pid_t parent, const char *name)
{
	char path[96], text[4096];
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return 0;
	size_t n = fread(text, 1, sizeof text - 1, file);
	text[n] = '\0';
	fclose(file);
	for (char *at = text; *at != '\0';) {
		char *end;
		double pid = strtod(at, &end);
		if (end == at)
			break;
		char comm[64] = {0};
		snprintf(path, sizeof path, "/proc/%.0f/comm", pid);
		file = fopen(path, "r");
		if (file != NULL) {
			if (fgets(comm, sizeof comm, file) != NULL && strncmp(comm, name, strlen(name)) == 0) {
				fclose(file);
				return (pid_t)pid;
			}
			fclose(file);
		}
		at = end;
	}
	return 0;
}

static void own_memory(pid_t pid, const char *subject, double budget)
{
	double kib = pid > 0 ? own_kib(pid) : -1;
	if (kib <= 0) {
		fprintf(stderr, "bench: %s could not be measured\n", subject);
		exit(1);
	}
	report("memory", subject, kib / 1024, "MiB", budget);
}

/* While a request of the C example waits for its answer every process is idle. */
static void memory(const char *bin)
{
	AUTO_FREE char *program = xasprintf("%s/aileron-connector-dev-run", bin);
	AUTO_FREE char *wasm = xasprintf("%s/../examples/notes-c/connector.wasm", bin);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof address;
	int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (silent < 0 || bind(silent, (struct sockaddr *)&address, n) < 0 || listen(silent, 1) < 0 ||
	    getsockname(silent, (struct sockaddr *)&address, &n) < 0)
		exit(1);
	AUTO_FREE char *resolve = xasprintf("notes.example.com:443:127.0.0.1:%u", ntohs(address.sin_port));
	const char *argv[] = {
		program, "--wasm",     wasm,        "--manifest", "examples/connectors/notes-c/manifest.toml",
		"--op",  "list_notes", "--resolve", resolve,      NULL};
	setenv("AILERON_DEV_TOKEN", "a-token-of-some-length", 1);
	environment = environ;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	pid_t harness = spawn(argv, null);
	close(null);
	int asked = accept(silent, NULL, NULL); /* egress dials: everybody else waits */
	pid_t runner = child_named(harness, "aileron-runner"), egress = child_named(harness, "aileron-egress");
	usleep(300000); /* idle is what is measured, so let it become idle */
	own_memory(harness, "harness, own pages", 4);
	own_memory(egress, "egress waiting, own pages", 12);
	own_memory(runner, "runner of the c example, own pages", 16);
	kill(harness, SIGKILL);
	waitpid(harness, NULL, 0);
	close(asked);
	close(silent);
}

int main(int argc, char **argv, char **envp)
{
	environment = envp;
	const char *bin = argc == 2 ? argv[1] : "build/release/bin";
	double c = harness_ms(bin, "notes-c");
	double go = harness_ms(bin, "notes-go");
	report("harness", "c: whole process, warm, p50", c, "ms", 20);
	report("harness", "go: whole process, warm, p50", go, "ms", 30);
	char cache[] = "/tmp/wazero-cache-XXXXXX";
	if (mkdtemp(cache) == NULL)
		return 1;
	double cold = wazero_ms(bin, "notes-go", "", 3), cached = wazero_ms(bin, "notes-go", cache, 10);
	report("harness", "peer: wazero, go, no cache, p50", cold, "ms", 0);
	report("harness", "peer: wazero, go, its cache, p50", cached, "ms", 0);
	report_at_least("harness", "go: times faster than wazero without a cache", cold / go, "x", 50);
	report_at_least("harness", "go: times faster than wazero with its cache", cached / go, "x", 4);
	memory(bin);
	return 0;
}
