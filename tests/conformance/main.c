/*
 * aileron-mcp-fixtures: the fixtures behind a door, for the conformance suite
 *
 *     aileron-mcp-fixtures http    listens on 127.0.0.1, says "listening PORT", serves /mcp without a token
 *     aileron-mcp-fixtures lines   standard input and output
 *
 * Ends with its standard input.
 */
#include "base/rand.h"
#include "fixtures.h"
#include "mcp/http/door.h"
#include "os/loop.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Workers: a thread a job, and all are waited for at the end ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;
static size_t n_running;

struct job {
	void (*work)(void *job);
	void *what;
};

static void *run_job(void *user)
{
	AUTO_FREE struct job *job = user;
	job->work(job->what);
	pthread_mutex_lock(&lock);
	if (--n_running == 0)
		pthread_cond_broadcast(&idle);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static bool run(void *user, const struct mcp_caller *caller, void (*work)(void *job), void *what)
{
	(void)caller;
	(void)user;
	struct job *job = NEW(struct job);
	*job = (struct job){work, what};
	pthread_t thread;
	pthread_mutex_lock(&lock);
	bool started = pthread_create(&thread, NULL, run_job, job) == 0;
	n_running += started;
	pthread_mutex_unlock(&lock);
	if (started)
		pthread_detach(thread);
	else
		free(job);
	return started;
}

static void wait_until_idle(void)
{
	pthread_mutex_lock(&lock);
	while (n_running > 0)
		pthread_cond_wait(&idle, &lock);
	pthread_mutex_unlock(&lock);
}

static struct fixtures fixtures;

static struct mcp *start(void (*wake)(void *user), void *user)
{
	struct mcp_backend backend;
	fixtures_backend(&fixtures, &backend);
	struct mcp_options options = {.backend = &backend, .run = run, .wake = wake, .user = user};
	rand_bytes(options.key, sizeof options.key);
	fixtures.mcp = mcp_new(&options);
	return fixtures.mcp;
}

/* ---- Lines ---- */

static void write_all(void *user, struct str text)
{
	(void)user;
	AUTO_BUF line = BUF_INIT(2 * MCP_ANSWER_MAX);
	buf_add_str(&line, text);
	buf_add_char(&line, '\n');
	for (size_t at = 0; at < line.n;) {
		ssize_t n = write(STDOUT_FILENO, line.p + at, line.n - at);
		if (n < 0)
			_exit(0); /* nobody reads any more */
		at += (size_t)n;
	}
}

static void wake_by_event(void *user)
{
	eventfd_write(*(int *)user, 1);
}

/* Feeds whole lines; the rest stays. */
static void feed(struct mcp_peer *peer, struct buf *in)
{
	size_t end;
	while ((end = str_find_char(buf_str(in), '\n')) != STR_NPOS) {
		mcp_peer_feed(peer, str_slice(buf_str(in), 0, end));
		buf_consume(in, end + 1);
	}
}

static int serve_lines(void)
{
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct mcp *mcp = start(wake_by_event, &event);
	struct mcp_peer *peer =
		mcp_peer_new(mcp, &(struct mcp_peer_options){.caller = {.id = S("lines")}, .write = write_all});
	AUTO_BUF in = BUF_INIT(2 * MCP_MESSAGE_MAX);
	for (;;) {
		struct pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {event, POLLIN, 0}};
		poll(fds, ARRAY_LEN(fds), 1000);
		eventfd_t ignored;
		(void)eventfd_read(event, &ignored);
		if (fds[0].revents != 0) {
			char *room = buf_reserve(&in, 65536);
			ssize_t n = room != NULL ? read(STDIN_FILENO, room, 65536) : 0;
			if (n <= 0)
				break;
			buf_commit(&in, (size_t)n);
			feed(peer, &in);
		}
		mcp_tick(mcp);
	}
	mcp_peer_free(peer);
	wait_until_idle();
	mcp_free(mcp);
	close(event);
	return 0;
}

/* ---- HTTP ---- */

struct service {
	struct loop *loop;
	struct mcp *mcp;
	struct mcp_door *door;
	struct http_server *server;
	struct loop_source *wakeup, *timer, *input;
};

static void serve_exchange(void *user, struct http_exchange *x)
{
	struct service *service = user;
	if (str_eq(http_path(x), S("/mcp")))
		mcp_door_serve(service->door, x, &(struct mcp_caller){.id = S("anybody")});
	else
		http_answer(x, &(struct http_answer){.status = 404, .body = S("{}")});
}

static void tick(void *user, int what)
{
	(void)what;
	mcp_tick(((struct service *)user)->mcp);
}

static void wake_loop(void *user)
{
	loop_wake(((struct service *)user)->wakeup);
}

static void drained(void *user)
{
	loop_stop(((struct service *)user)->loop);
}

static void read_input(void *user, int what)
{
	(void)what;
	struct service *service = user;
	char bytes[64];
	if (read(STDIN_FILENO, bytes, sizeof bytes) > 0)
		return;
	loop_source_free(TAKE(service->input));
	mcp_cancel_all(service->mcp);
	mcp_end_streams(service->mcp);
	http_server_drain(service->server, 5000, drained, service);
}

static int listen_somewhere(uint16_t *ret_port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof at;
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, n) != 0 || listen(fd, 64) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &n) != 0)
		BUG("no port to listen on");
	*ret_port = ntohs(at.sin_port);
	return fd;
}

static struct http_server *server_on(struct service *service, int fd, uint16_t port)
{
	AUTO_FREE char *number = xasprintf("127.0.0.1:%u", port), *name = xasprintf("localhost:%u", port);
	const struct str hosts[] = {str_from(number), str_from(name)};
	return http_server_new(
		&(struct http_server_options){
			.loop = service->loop,
			.tcp_fd = fd,
			.unix_fd = -1,
			.hosts = hosts,
			.n_hosts = ARRAY_LEN(hosts),
			.handler = serve_exchange,
			.user = service,
		},
		NULL);
}

static int serve_http(void)
{
	uint16_t port;
	AUTO_FD fd = listen_somewhere(&port);
	struct service service = {.loop = loop_new(NULL)};
	service.wakeup = loop_wakeup(service.loop, tick, &service, NULL);
	service.mcp = start(wake_loop, &service);
	service.door = mcp_door_new(service.mcp);
	service.timer = loop_timer(service.loop, tick, &service);
	loop_timer_start(service.timer, 500, 500);
	service.input = loop_watch(service.loop, STDIN_FILENO, LOOP_READ, read_input, &service, NULL);
	service.server = server_on(&service, fd, port);
	if (service.wakeup == NULL || service.input == NULL || service.server == NULL)
		return 1;
	printf("listening %u\n", port);
	fflush(stdout);
	loop_run(service.loop);
	wait_until_idle();
	http_server_free(service.server);
	loop_source_free(service.wakeup);
	loop_source_free(service.timer);
	mcp_door_free(service.door);
	mcp_free(service.mcp);
	loop_free(service.loop);
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && strcmp(argv[1], "http") == 0)
		return serve_http();
	if (argc == 2 && strcmp(argv[1], "lines") == 0)
		return serve_lines();
	fprintf(stderr, "usage: aileron-mcp-fixtures http|lines\n");
	return 2;
}
