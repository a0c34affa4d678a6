/*
 * HTTP: a fixed answer by our server, over 32 kept connections, against a bare loop that knows no HTTP: it answers whatever it
 * reads with the same bytes. The server has one core, the clients the other. Rounds of all subjects take turns, the best of
 * each counts.
 *
 * bench_http
 */
#include "base/mem.h"
#include "base/time.h"
#include "http/server/server.h"
#include "measure.h"
#include "os/loop.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { CLIENTS = 32, WORKERS = 4, WAITING_MAX = 64, ROUNDS = 5 };
#define ROUND_NS (600 * TIME_MILLISECOND)

#define BODY "{\"status\":\"ok\",\"service\":\"aileron\",\"version\":\"0.1.0\"}"
static const char fixed_answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 53\r\n"
				   "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
				   "X-Request-ID: 0123456789abcdef\r\n\r\n" BODY;
static char host[32];

static void must(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static void pin(size_t core)
{
	cpu_set_t cores;
	CPU_ZERO(&cores);
	CPU_SET(core, &cores);
	(void)sched_setaffinity(0, sizeof cores, &cores);
}

static int listen_somewhere(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	must(bind(fd, (struct sockaddr *)&in, sizeof in) == 0 && listen(fd, CLIENTS) == 0 &&
		     getsockname(fd, (struct sockaddr *)&in, &n) == 0,
	     "no listener");
	snprintf(host, sizeof host, "127.0.0.1:%u", ntohs(in.sin_port));
	return fd;
}

/* The floor. */
struct bare {
	int fd;
};

static void on_bare_readable(void *user, int what)
{
	(void)what;
	const struct bare *bare = user;
	char in[4096];
	if (recv(bare->fd, in, sizeof in, 0) > 0)
		(void)!send(bare->fd, fixed_answer, sizeof fixed_answer - 1, MSG_NOSIGNAL);
}

static struct loop *bare_loop;

static void on_bare_listener(void *user, int what)
{
	(void)what;
	const int *listener = user;
	struct bare *bare = NEW(struct bare);
	struct err err = {0};
	bare->fd = accept4(*listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (bare->fd < 0) {
		free(bare);
		return;
	}
	setsockopt(bare->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	must(loop_watch(bare_loop, bare->fd, LOOP_READ, on_bare_readable, bare, &err) != NULL, "no watch");
}

static void serve_bare(struct loop *loop, int listener)
{
	struct err err = {0};
	bare_loop = loop;
	must(loop_watch(loop, listener, LOOP_READ, on_bare_listener, &listener, &err) != NULL, "no watch");
	loop_run(loop);
}

/* Ours. */
static void answer_fixed(void *user, struct http_exchange *x)
{
	(void)user;
	http_answer(x, &(struct http_answer){.status = 200, .body = S(BODY)});
}

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct http_exchange *waiting[WAITING_MAX];
	size_t first, n;
} work = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *answer_forever(void *user)
{
	for (;;) {
		pthread_mutex_lock(&work.lock);
		while (work.n == 0)
			pthread_cond_wait(&work.changed, &work.lock);
		struct http_exchange *x = work.waiting[work.first];
		work.first = (work.first + 1) % WAITING_MAX;
		work.n--;
		pthread_mutex_unlock(&work.lock);
		answer_fixed(user, x);
	}
	return NULL;
}

static void hand_to_worker(void *user, struct http_exchange *x)
{
	(void)user;
	pthread_mutex_lock(&work.lock);
	work.waiting[(work.first + work.n++) % WAITING_MAX] = x;
	pthread_cond_signal(&work.changed);
	pthread_mutex_unlock(&work.lock);
}

static void serve_ours(struct loop *loop, int listener, http_handler *handler)
{
	struct err err = {0};
	struct str own = str_from(host);
	must(http_server_new(&(struct http_server_options){.loop = loop,
							   .tcp_fd = listener,
							   .unix_fd = -1,
							   .hosts = &own,
							   .n_hosts = 1,
							   .handler = handler},
			     &err) != NULL,
	     "no server");
	loop_run(loop);
}

static void serve_by_workers(struct loop *loop, int listener)
{
	pthread_t thread;
	for (int i = 0; i < WORKERS; i++)
		must(pthread_create(&thread, NULL, answer_forever, NULL) == 0, "no thread");
	serve_ours(loop, listener, hand_to_worker);
}

static void serve_at_once(struct loop *loop, int listener)
{
	serve_ours(loop, listener, answer_fixed);
}

static const struct subject {
	const char *name;
	void (*serve)(struct loop *loop, int listener);
} subjects[] = {
	{"a bare loop, fixed bytes", serve_bare},
	{"fixed answer on the loop's thread", serve_at_once},
	{"fixed answer by worker threads", serve_by_workers},
};

static pid_t start(const struct subject *subject, int listener)
{
	pid_t child = fork();
	must(child >= 0, "no process");
	if (child > 0)
		return child;
	struct err err = {0};
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(0);
	struct loop *loop = loop_new(&err);
	must(loop != NULL, "no loop");
	subject->serve(loop, listener);
	_exit(0);
}

static int connect_to(int listener)
{
	struct sockaddr_in in;
	socklen_t n = sizeof in;
	must(getsockname(listener, (struct sockaddr *)&in, &n) == 0, "no name");
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	must(connect(fd, (struct sockaddr *)&in, sizeof in) == 0, "no connection");
	return fd;
}

/* Answers a second: each client asks again when it has its answer. */
static double ask(int listener)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), fds[CLIENTS];
	AUTO_FREE char *request = xasprintf("GET /v1/status HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n"
					    "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n\r\n",
					    host);
	size_t request_n = strlen(request);
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = connect_to(listener);
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};
		epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
		must(send(fds[i], request, request_n, MSG_NOSIGNAL) == (ssize_t)request_n, "nothing sent");
	}
	uint64_t begin = clock_monotonic_ns(NULL), end = begin;
	size_t answers = 0;
	while (end - begin < ROUND_NS) {
		struct epoll_event events[CLIENTS];
		char in[4096];
		int n = epoll_wait(epoll, events, CLIENTS, 1000);
		must(n > 0, "no answer within a second");
		for (int i = 0; i < n; i++) {
			must(recv(events[i].data.fd, in, sizeof in, 0) == (ssize_t)sizeof fixed_answer - 1,
			     "an answer of another length");
			must(send(events[i].data.fd, request, request_n, MSG_NOSIGNAL) == (ssize_t)request_n,
			     "nothing sent");
			answers++;
		}
		end = clock_monotonic_ns(NULL);
	}
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	close(epoll);
	return (double)answers * 1e9 / (double)(end - begin);
}

int main(void)
{
	double best[ARRAY_LEN(subjects)] = {0};
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
			int listener = listen_somewhere();
			pid_t child = start(&subjects[i], listener);
			pin(1);
			best[i] = MAX(best[i], ask(listener));
			kill(child, SIGKILL);
			waitpid(child, NULL, 0);
			close(listener);
		}
	}
	report("http", subjects[0].name, best[0], "answers/s", 0);
	report_at_least("http", subjects[1].name, best[1] / best[0], "x of the bare loop", 0.7);
	report_at_least("http", subjects[2].name, best[2] / best[0], "x of the bare loop", 0.4);
	return 0;
}
