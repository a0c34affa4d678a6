/*
 * The daemon as its users meet it: whole processes in a home of their own, a TLS server on this machine behind them.
 *
 *   - from exec to the readiness byte, every proof in
 *   - `aileron status --json`, the whole process
 *   - a call of a connector over the API, above libcurl alone in this process over the same server
 *   - authenticated reads of the database over 32 kept connections, control on one core and the clients on the other,
 *     against a bare loop that answers as many bytes and knows no HTTP; the two take turns, the best of each counts
 *   - what the processes have for themselves after all of that
 *
 * bench_daemon BIN [PART], where BIN holds the programs and ../examples the connectors. PART is one of readiness, status,
 * calls, reads and memory; without it all are measured.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/time.h"
#include "daemon/discovery.h"
#include "daemon/spawn.h"
#include "http_server.h"
#include "measure.h"
#include "os/child.h"
#include "os/lock.h"
#include "os/loop.h"
#include <curl/curl.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { STARTS = 50, STATUSES = 100, CALLS = 1000, WARM_UP = 100, CLIENTS = 32, ROUNDS = 20, ANSWER_MAX = 16384 };
#define ROUND_NS (150 * TIME_MILLISECOND)
#define VALUE    "a-token-of-some-length"

static char folder[64], state[80];
static const char *program;
static const char *environment[8];
static struct discovery daemon_; /* while one runs */

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

static int memory_file(struct str text)
{
	int fd = memfd_create("bench", MFD_CLOEXEC);
	want(fd >= 0 && pwrite(fd, text.p, text.n, 0) == (ssize_t)text.n, "no memory file");
	return fd;
}

/* One verb of the command line, the whole process: how long it took. */
static double verb(const char *const *argv, struct str input)
{
	struct err err = {0};
	AUTO_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
	AUTO_FD in = memory_file(input);
	AUTO_FD said = memory_file(STR_EMPTY);
	AUTO_CHILD child = CHILD_INIT;
	child.path = program;
	child.argv = argv;
	child.envp = environment;
	child.fds[child.n_fds++] = (struct child_fd){in, STDIN_FILENO};
	child.fds[child.n_fds++] = (struct child_fd){null, STDOUT_FILENO};
	child.fds[child.n_fds++] = (struct child_fd){said, STDERR_FILENO};
	double start = now_us();
	must(child_start(&child, &err), &err);
	must(child_wait(&child, -1, &err), &err);
	double took = now_us() - start;
	if (child.exit_status != 0) {
		char text[4096] = {0};
		(void)!pread(said, text, sizeof text - 1, 0);
		fprintf(stderr, "bench: '%s %s' ended with %d: %s\n", argv[1], argv[2], child.exit_status, text);
		exit(1);
	}
	return took;
}

#define VERB(input, ...) verb((const char *const[]){"aileron", __VA_ARGS__, NULL}, input)

/* ---------------------------------------------------------------------------------------------------------- readiness */

/* As daemon/spawn.h starts it. From before exec to the byte. */
static double start_daemon(struct child *child)
{
	struct err err = {0};
	AUTO_FREE char *lock_path = xasprintf("%s/daemon.lock", state);
	AUTO_LOCK lock = LOCK_INIT;
	int ends[2];
	want(lock_try(&lock, lock_path, LOCK_ALONE, &err) == 1, "the lock is taken");
	want(pipe2(ends, O_CLOEXEC) == 0, "no pipe");
	AUTO_FD ready = ends[0];
	AUTO_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
	child->path = program;
	child->argv = (const char *const[]){"aileron", "daemon", "run", DAEMON_SPAWNED_FLAG, NULL};
	child->envp = environment;
	child->fds[child->n_fds++] = (struct child_fd){null, STDIN_FILENO};
	child->fds[child->n_fds++] = (struct child_fd){null, STDOUT_FILENO};
	child->fds[child->n_fds++] = (struct child_fd){null, STDERR_FILENO};
	child->fds[child->n_fds++] = (struct child_fd){lock.fd, DAEMON_FD_LOCK};
	child->fds[child->n_fds++] = (struct child_fd){ends[1], DAEMON_FD_READY};
	double start = now_us();
	must(child_start(child, &err), &err);
	close(ends[1]);
	char verdict = 1;
	want(read(ready, &verdict, 1) == 1 && verdict == 0, "the daemon did not become ready");
	return now_us() - start;
}

static void stop_daemon(struct child *child)
{
	struct err err = {0};
	child_kill(child, SIGTERM);
	must(child_wait(child, -1, &err), &err);
	want(child->exit_status == 0, "the daemon did not end well");
	child_release(child);
}

static void measure_readiness(void)
{
	struct samples samples = {0};
	for (int i = 0; i < STARTS + 1; i++) {
		struct child child = CHILD_INIT;
		double us = start_daemon(&child);
		stop_daemon(&child);
		if (i > 0) /* the first makes the folders */
			samples_add(&samples, us);
	}
	report("daemon", "from exec to ready, best", samples_at(&samples, 0) / 1e3, "ms", 0);
	report("daemon", "from exec to ready, p50", samples_at(&samples, 0.5) / 1e3, "ms", 20);
	samples_release(&samples);
}

static void measure_status(void)
{
	struct samples samples = {0};
	for (int i = 0; i < STATUSES; i++)
		samples_add(&samples, VERB(STR_EMPTY, "status", "--json"));
	report("daemon", "status --json, whole process, best", samples_at(&samples, 0) / 1e3, "ms", 0);
	report("daemon", "status --json, whole process, p50", samples_at(&samples, 0.5) / 1e3, "ms", 8);
	samples_release(&samples);
}

/* ----------------------------------------------------------------------------------------------------------- requests */

static int connect_to(uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	in.sin_port = htons(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	want(connect(fd, (struct sockaddr *)&in, sizeof in) == 0, "no connection");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	return fd;
}

static uint16_t daemon_port(void)
{
	struct str url = str_from(daemon_.url);
	uint64_t port = 0;
	want(str_to_u64(str_slice(url, str_find_last_char(url, ':') + 1, url.n), UINT16_MAX, &port), "no port");
	return (uint16_t)port;
}

static struct buf request_of(const char *method, const char *target, const char *body)
{
	struct buf request = BUF_INIT(ANSWER_MAX);
	buf_addf(&request, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %.*s\r\nX-Aileron-Api: %u\r\n", method,
		 target, daemon_.url + strlen("http://"), STR_FMT(secret_borrow(daemon_.token)), daemon_.api_revision);
	if (body[0] != '\0')
		buf_addf(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
	buf_addf(&request, "\r\n%s", body);
	return request;
}

/* The whole answer into `in`, a string then; its length. */
static size_t ask_once(int fd, const struct buf *request, char in[ANSWER_MAX])
{
	want(send(fd, request->p, request->n, MSG_NOSIGNAL) == (ssize_t)request->n, "nothing sent");
	size_t n = 0, whole = ANSWER_MAX;
	while (n < whole) {
		ssize_t got = recv(fd, in + n, ANSWER_MAX - 1 - n, 0);
		want(got > 0, "no whole answer");
		n += (size_t)got;
		in[n] = '\0';
		const char *body = strstr(in, "\r\n\r\n");
		if (body != NULL)
			whole = (size_t)(body + 4 - in) + served_length(in);
	}
	if (strncmp(in, "HTTP/1.1 200 ", 13) != 0 && strncmp(in, "HTTP/1.1 201 ", 13) != 0) {
		fprintf(stderr, "bench: %s\n", in);
		exit(1);
	}
	return n;
}

/* The text of a member of an answer, for free(). */
static char *member_of(const char *answer, const char *name)
{
	AUTO_FREE char *sought = xasprintf("\"%s\":\"", name);
	const char *at = strstr(answer, sought);
	want(at != NULL, "a member is missing");
	at += strlen(sought);
	return xasprintf("%.*s", (int)strcspn(at, "\""), at);
}

/* ---------------------------------------------------------------------------------------------------------- processes */

/* By its program's name, among the daemon's children. */
static pid_t pid_of(const char *role)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/task/%d/children", daemon_.pid, daemon_.pid);
	AUTO_FREE char *name = xasprintf("aileron-%s", role);
	FILE *children = fopen(path, "r");
	want(children != NULL, "the daemon's children cannot be listed");
	char text[1024];
	text[fread(text, 1, sizeof text - 1, children)] = '\0';
	fclose(children);
	for (struct str rest = str_from(text), word; rest.n > 0;) {
		uint64_t pid = 0;
		char comm[64] = {0};
		rest = str_cut(rest, ' ', &word);
		if (!str_to_u64(word, INT32_MAX, &pid))
			continue;
		AUTO_FREE char *comm_path = xasprintf("/proc/%llu/comm", (unsigned long long)pid);
		FILE *file = fopen(comm_path, "r");
		if (file == NULL)
			continue;
		size_t n = fread(comm, 1, sizeof comm - 1, file);
		fclose(file);
		/* The kernel keeps 15 characters of a name. */
		if (n > 0 && strncmp(comm, name, n - 1) == 0)
			return (pid_t)pid;
	}
	want(false, "a process is missing");
	return 0;
}

/* -------------------------------------------------------------------------------------------------------------- calls */

static size_t ignore(char *bytes, size_t size, size_t n, void *context)
{
	(void)bytes, (void)context;
	return size * n;
}

struct upstream {
	CURL *curl;
	struct samples samples;
};

static void ask_upstream(struct upstream *upstream)
{
	double start = now_us();
	want(curl_easy_perform(upstream->curl) == CURLE_OK, "libcurl cannot reach the server");
	samples_add(&upstream->samples, now_us() - start);
}

/* In turns, so that both meet the same machine. */
static void measure_calls(const struct server *server, const char *ca)
{
	struct upstream upstream = {.curl = curl_easy_init()};
	AUTO_FREE char *url = xasprintf("https://127.0.0.1:%u/hello", server->port);
	curl_easy_setopt(upstream.curl, CURLOPT_URL, url);
	curl_easy_setopt(upstream.curl, CURLOPT_CAINFO, ca);
	curl_easy_setopt(upstream.curl, CURLOPT_WRITEFUNCTION, ignore);
	AUTO_FREE char *body =
		xasprintf("{\"op\":\"http_cred\",\"args\":{\"url\":\"%s\",\"credential\":\"api_key\"}}", url);
	AUTO_BUF request = request_of("POST", "/v1/connectors/github:%2F%2Facme%2Ffixture/call", body);
	struct samples samples = {0};
	static char in[ANSWER_MAX];
	AUTO_FD fd = connect_to(daemon_port());
	for (int i = 0; i < CALLS + WARM_UP; i++) {
		double start = now_us();
		ask_once(fd, &request, in);
		if (i < WARM_UP)
			continue;
		samples_add(&samples, now_us() - start);
		ask_upstream(&upstream);
	}
	want(strstr(in, "\"warm\":true") != NULL && strstr(in, "hello") != NULL, "the call did not do what it should");
	double floor = samples_at(&upstream.samples, 0.5), ours = samples_at(&samples, 0.5);
	report("daemon", "floor: HTTPS by libcurl alone, p50", floor, "us", 0);
	report("daemon", "connector call over the API, warm, p50", ours, "us", 0);
	report("daemon", "connector call above its upstream, best",
	       samples_at(&samples, 0) - samples_at(&upstream.samples, 0), "us", 0);
	report("daemon", "connector call above its upstream, p50", ours - floor, "us", 800);
	samples_release(&samples);
	samples_release(&upstream.samples);
	curl_easy_cleanup(upstream.curl);
}

/* -------------------------------------------------------------------------------------------------------------- reads */

static void pin(pid_t thread, size_t core)
{
	cpu_set_t cores;
	CPU_ZERO(&cores);
	CPU_SET(core, &cores);
	want(sched_setaffinity(thread, sizeof cores, &cores) == 0, "a thread cannot be pinned");
}

static void pin_process(pid_t pid, size_t core)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	want(tasks != NULL, "control's threads cannot be listed");
	for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
		uint64_t tid = 0;
		if (str_to_u64(str_from(entry->d_name), INT32_MAX, &tid))
			pin((pid_t)tid, core);
	}
	closedir(tasks);
}

/* Answers a second: each client asks again when it has its answer, which is of that length always. */
static double ask_much(uint16_t port, const struct buf *request, size_t answer_n)
{
	int fds[CLIENTS];
	AUTO_FD epoll = epoll_create1(EPOLL_CLOEXEC);
	static char in[ANSWER_MAX];
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = connect_to(port);
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};
		epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
		want(send(fds[i], request->p, request->n, MSG_NOSIGNAL) == (ssize_t)request->n, "nothing sent");
	}
	uint64_t begin = clock_monotonic_ns(NULL), end = begin;
	size_t answers = 0;
	while (end - begin < ROUND_NS) {
		struct epoll_event events[CLIENTS];
		int n = epoll_wait(epoll, events, CLIENTS, 1000);
		want(n > 0, "no answer within a second");
		for (int i = 0; i < n; i++) {
			want(recv(events[i].data.fd, in, sizeof in, 0) == (ssize_t)answer_n, "another answer");
			want(send(events[i].data.fd, request->p, request->n, MSG_NOSIGNAL) == (ssize_t)request->n,
			     "nothing sent");
			answers++;
		}
		end = clock_monotonic_ns(NULL);
	}
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	return (double)answers * 1e9 / (double)(end - begin);
}

/* The floor: a loop over libuv that answers whatever it reads with the same bytes. */
static struct {
	struct loop *loop;
	int listener;
	char answer[ANSWER_MAX];
	size_t answer_n;
} bare;

struct bare_client {
	int fd;
	struct loop_source *watch;
};

static void on_bare_readable(void *user, int what)
{
	(void)what;
	struct bare_client *client = user;
	char in[4096];
	if (recv(client->fd, in, sizeof in, 0) > 0) {
		(void)!send(client->fd, bare.answer, bare.answer_n, MSG_NOSIGNAL);
		return;
	}
	loop_source_free(client->watch);
	close(client->fd);
	free(client);
}

static void on_bare_listener(void *user, int what)
{
	(void)user, (void)what;
	int fd = accept4(bare.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct err err = {0};
	struct bare_client *client = NEW(struct bare_client);
	client->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	client->watch = loop_watch(bare.loop, fd, LOOP_READ, on_bare_readable, client, &err);
	must(client->watch == NULL ? -1 : 0, &err);
}

/* A process of its own. It is forked without threads in between: it calls what needs no lock of theirs. */
static pid_t start_bare(uint16_t *ret_port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof in;
	bare.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	want(bind(bare.listener, (struct sockaddr *)&in, n) == 0 && listen(bare.listener, CLIENTS) == 0 &&
		     getsockname(bare.listener, (struct sockaddr *)&in, &n) == 0,
	     "no listener");
	*ret_port = ntohs(in.sin_port);
	pid_t child = fork();
	want(child >= 0, "no process");
	if (child > 0) {
		close(bare.listener);
		return child;
	}
	struct err err = {0};
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(0, 0);
	bare.loop = loop_new(&err);
	if (bare.loop == NULL || loop_watch(bare.loop, bare.listener, LOOP_READ, on_bare_listener, NULL, &err) == NULL)
		give_up(&err);
	loop_run(bare.loop);
	_exit(0);
}

/* `part`: at least so much of what the bare loop does; 0 = no budget. */
static void measure_reads_of(const char *what, const char *target, double part)
{
	AUTO_BUF request = request_of("GET", target, "");
	AUTO_FD fd = connect_to(daemon_port());
	bare.answer_n = ask_once(fd, &request, bare.answer);
	uint16_t port = 0;
	pid_t peer = start_bare(&port);
	double floor = 0, ours = 0;
	for (int i = 0; i < ROUNDS; i++) {
		floor = MAX(floor, ask_much(port, &request, bare.answer_n));
		ours = MAX(ours, ask_much(daemon_port(), &request, bare.answer_n));
	}
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
	AUTO_FREE char *bare_subject = xasprintf("floor: a bare loop, %zu fixed bytes", bare.answer_n);
	AUTO_FREE char *rate = xasprintf("%s, authenticated, one core", what);
	AUTO_FREE char *ratio = xasprintf("%s, of the bare loop", what);
	report("daemon", bare_subject, floor, "answers/s", 0);
	report_at_least("daemon", rate, ours, "answers/s", 12000);
	report_at_least("daemon", ratio, ours / floor, "x", part);
}

/* The targets are made by asking. */
static void measure_reads(void)
{
	static char in[ANSWER_MAX];
	AUTO_FD fd = connect_to(daemon_port());
	AUTO_BUF list = request_of("GET", "/v1/audit?limit=1", "");
	ask_once(fd, &list, in);
	AUTO_FREE char *event = member_of(in, "audit_id");
	AUTO_BUF start = request_of("POST", "/v1/sessions", "{\"agent\":\"bench\",\"working_dir\":\"/\"}");
	ask_once(fd, &start, in);
	AUTO_FREE char *session = member_of(in, "id");
	AUTO_FREE char *event_target = xasprintf("/v1/audit/%s", event);
	AUTO_FREE char *session_target = xasprintf("/v1/sessions/%s", session);
	pin_process(pid_of("control"), 0);
	pin(0, 1);
	measure_reads_of("one event of the record", event_target, 0.4);
	measure_reads_of("one session", session_target, 0.4);
	measure_reads_of("list of connectors", "/v1/connectors", 0); /* a manifest is parsed for each */
}

/* ------------------------------------------------------------------------------------------------------------- memory */

/* Private_Clean and Private_Dirty, in MiB. */
static double own_pages(pid_t pid)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/smaps_rollup", (int)pid);
	FILE *file = fopen(path, "r");
	want(file != NULL, "a process's pages cannot be read");
	char line[256];
	double kib = 0;
	while (fgets(line, sizeof line, file) != NULL) {
		const char *colon = strchr(line, ':');
		if (colon != NULL && strncmp(line, "Private_", 8) == 0)
			kib += strtod(colon + 1, NULL);
	}
	fclose(file);
	return kib / 1024;
}

static void measure_memory(void)
{
	static const char *const roles[] = {"keeper", "egress"};
	double control = own_pages(pid_of("control")), sum = control + own_pages(daemon_.pid);
	report("memory", "daemon's parent, own pages", own_pages(daemon_.pid), "MiB", 0);
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		AUTO_FREE char *subject = xasprintf("%s, own pages", roles[i]);
		double own = own_pages(pid_of(roles[i]));
		sum += own;
		report("memory", subject, own, "MiB", 0);
	}
	report("memory", "control after calls and reads, own pages", control, "MiB", 12);
	report("memory", "the daemon without runners, own pages", sum, "MiB", 30);
}

/* --------------------------------------------------------------------------------------------------------------- home */

static void put_file(const char *name, struct str text)
{
	AUTO_FREE char *path = xasprintf("%s/%s", folder, name);
	AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	want(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n, "a file cannot be written");
}

/* A vault, a linked connector that may reach the server, and what it is let in with. */
static void furnish(const char *bin, const struct server *server)
{
	AUTO_FREE char *wasm = xasprintf("%s/../examples/fixture/connector.wasm", bin);
	AUTO_FREE char *manifest =
		xasprintf("[connector]\nname = \"github://acme/fixture\"\nversion = \"1.0.0\"\n"
			  "publisher = \"acme\"\n\n[capabilities.network]\nhosts = [\"127.0.0.1:%u\"]\n\n"
			  "[capabilities.credential]\nkind = \"api_key\"\n",
			  server->port);
	put_file("connector.wasm", slurp(wasm));
	put_file("manifest.toml", str_from(manifest));
	VERB(STR_EMPTY, "vault", "init");
	VERB(STR_EMPTY, "connector", "link", folder);
	VERB(S(VALUE), "binding", "setup", "github://acme/fixture", "--identity", "bench", "--value-file", "-",
	     "--yes");
}

static void make_home(const char *bin, int ca_fd)
{
	snprintf(folder, sizeof folder, "/var/tmp/aileron-bench-XXXXXX"); /* on a disk: commits cost what they cost */
	want(mkdtemp(folder) != NULL, "no folder");
	snprintf(state, sizeof state, "%s/home", folder);
	want(mkdir(state, 0700) == 0, "no home");
	program = xasprintf("%s/aileron", bin);
	environment[0] = "PATH=/usr/bin:/bin";
	environment[1] = xasprintf("HOME=%s", folder);
	environment[2] = xasprintf("AILERON_HOME=%s", state);
	environment[3] = "AILERON_VAULT_PASSPHRASE=correct horse battery staple";
	environment[4] = xasprintf("AILERON_CA_FILE=/proc/%d/fd/%d", (int)getpid(), ca_fd);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st, (void)kind, (void)where;
	return remove(path);
}

static bool wanted(const char *part, const char *name)
{
	return part == NULL || strcmp(part, name) == 0;
}

static bool is_part(const char *part)
{
	static const char *const parts[] = {"readiness", "status", "calls", "reads", "memory"};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (strcmp(part, parts[i]) == 0)
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	const char *bin = argc >= 2 ? argv[1] : "build/release/bin";
	const char *part = argc >= 3 ? argv[2] : NULL;
	want(part == NULL || is_part(part), "the parts are readiness, status, calls, reads and memory");
	curl_global_init(CURL_GLOBAL_ALL);
	struct server *server = server_start(SERVER_TLS);
	int ca_fd = server_ca_fd();
	AUTO_FREE char *ca = xasprintf("/proc/self/fd/%d", ca_fd);
	make_home(bin, ca_fd);
	if (wanted(part, "readiness"))
		measure_readiness();
	struct child child = CHILD_INIT;
	start_daemon(&child);
	want(discovery_read(state, &daemon_, &err) == 1, "the daemon cannot be found");
	furnish(bin, server);
	if (wanted(part, "status"))
		measure_status();
	if (wanted(part, "calls"))
		measure_calls(server, ca);
	if (wanted(part, "reads"))
		measure_reads();
	if (wanted(part, "memory"))
		measure_memory();
	stop_daemon(&child);
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	server_stop(server);
	curl_global_cleanup();
	return 0;
}
