/*
 * http_lab: a server of ours on its own thread, and bare sockets to it
 *
 * What it does is named by the path of the request:
 *
 *     /hello       200 "hello", answered at once on the loop's thread
 *     /thread      the same, by another thread
 *     /echo        200, the request's body
 *     /told        200, what the handler was told of the request
 *     /nothing     204
 *     /big         200, LAB_BIG bytes, on the loop's thread
 *     /bigthread   the same, by another thread
 *     /cached      200 with Cache-Control and another header
 *     /hold        nothing, until lab_release()
 *     /late        nothing; lab_release() asks to be told that the client is gone, and answers then
 *     /stream      200, LAB_PIECES pieces of LAB_PIECE bytes by another thread
 *     /events      200, three events written on the loop's thread
 *     /upgrade     101 for who asks for "echo": every byte comes back, "!" ends it; anybody else gets 426
 *     /flood       the same, and a byte brings LAB_PIECE back
 *     /quiet       200, a stream that ends when the client is gone
 */
#pragma once
#include "base/mem.h"
#include "http/server/server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { LAB_BIG = 8 << 20, LAB_PIECE = 64 << 10, LAB_PIECES = 256, LAB_HELD = 64 };

struct lab {
	struct loop *loop;
	struct http_server *server;
	struct loop_source *wakeup;
	int tcp_fd, unix_fd;
	uint16_t port;
	char host[32], folder[32], path[64];
	struct http_server_options options;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	void (*act)(struct lab *lab); /* to be called on the loop's thread */
	bool acted, ready, stop;
	struct http_exchange *held[LAB_HELD];
	size_t n_held, n_gone, n_drained, n_working;
	size_t connections;
	atomic_size_t written, received;
	atomic_int write_failed, crowded;
};

static inline void lab_say(struct lab *lab, size_t *count)
{
	pthread_mutex_lock(&lab->lock);
	(*count)++;
	pthread_cond_broadcast(&lab->changed);
	pthread_mutex_unlock(&lab->lock);
}

/* Waits until the count is there. */
static inline void lab_await(struct lab *lab, const size_t *count, size_t n)
{
	pthread_mutex_lock(&lab->lock);
	while (*count < n)
		pthread_cond_wait(&lab->changed, &lab->lock);
	pthread_mutex_unlock(&lab->lock);
}

struct lab_work {
	struct lab *lab;
	struct http_exchange *x;
	void (*work)(struct lab *lab, struct http_exchange *x);
};

static inline void *lab_work_thread(void *user)
{
	AUTO_FREE struct lab_work *work = user;
	work->work(work->lab, work->x);
	pthread_mutex_lock(&work->lab->lock);
	work->lab->n_working--;
	pthread_cond_broadcast(&work->lab->changed);
	pthread_mutex_unlock(&work->lab->lock);
	return NULL;
}

static inline void lab_start_work(struct lab *lab, struct http_exchange *x,
				  void (*work)(struct lab *lab, struct http_exchange *x))
{
	struct lab_work *w = NEW(struct lab_work);
	*w = (struct lab_work){lab, x, work};
	pthread_mutex_lock(&lab->lock);
	lab->n_working++;
	pthread_mutex_unlock(&lab->lock);
	pthread_t thread;
	if (pthread_create(&thread, NULL, lab_work_thread, w) != 0)
		BUG("no thread");
	pthread_detach(thread);
}

static inline void lab_hello(struct lab *lab, struct http_exchange *x)
{
	(void)lab;
	http_answer(x, &(struct http_answer){.status = 200, .content_type = S("text/plain"), .body = S("hello")});
}

struct lab_upgraded {
	struct lab *lab;
	struct http_exchange *x;
	bool floods, ended;
};

static inline void lab_end_upgraded(struct lab_upgraded *upgraded)
{
	if (!upgraded->ended)
		http_stream_end(upgraded->x);
	upgraded->ended = true;
}

static inline void lab_upgraded_gone(void *user)
{
	struct lab_upgraded *upgraded = user;
	lab_end_upgraded(upgraded);
	lab_say(upgraded->lab, &upgraded->lab->n_gone);
	free(upgraded);
}

static inline size_t lab_upgraded_receive(void *user, struct str bytes)
{
	static char piece[LAB_PIECE];
	struct lab_upgraded *upgraded = user;
	size_t taken = 0;
	while (upgraded->floods && taken < bytes.n && http_stream_unsent(upgraded->x) <= HTTP_STREAM_HIGH) {
		taken++;
		upgraded->lab->received++; /* before the client has what it brings */
		int rc = http_upgraded_write(upgraded->x, str_of(piece, sizeof piece));
		if (rc < 0)
			upgraded->lab->write_failed = 1;
		if (rc > 0)
			upgraded->lab->crowded = 1;
	}
	if (upgraded->floods)
		bytes = str_slice(bytes, 0, taken);
	else
		upgraded->lab->received += bytes.n;
	if (!upgraded->floods && http_upgraded_write(upgraded->x, bytes) < 0)
		upgraded->lab->write_failed = 1;
	if (str_find_char(bytes, '!') == STR_NPOS)
		return bytes.n;
	http_on_gone(upgraded->x, NULL, NULL);
	lab_end_upgraded(upgraded);
	free(upgraded);
	return bytes.n;
}

static inline void lab_upgrade(struct lab *lab, struct http_exchange *x)
{
	if (!str_eq(http_upgrade_asked(x), S("echo"))) {
		http_answer(x, &(struct http_answer){.status = 426});
		return;
	}
	struct lab_upgraded *upgraded = NEW(struct lab_upgraded);
	*upgraded = (struct lab_upgraded){lab, x, str_eq(http_path(x), S("/flood")), false};
	const struct h1_header header = {S("X-Lab"), S("yes")};
	const struct http_upgrade upgrade = {S("echo"), &header, 1, lab_upgraded_receive, upgraded};
	http_on_gone(x, lab_upgraded_gone, upgraded);
	http_upgrade(x, &upgrade);
}

static inline void lab_big(struct lab *lab, struct http_exchange *x)
{
	(void)lab;
	AUTO_FREE char *bytes = xmalloc(LAB_BIG);
	for (size_t i = 0; i < LAB_BIG; i++)
		bytes[i] = (char)(i * 7 + i / 4096);
	http_answer(x, &(struct http_answer){.status = 200, .body = str_of(bytes, LAB_BIG)});
}

static inline void lab_stream(struct lab *lab, struct http_exchange *x)
{
	AUTO_FREE char *bytes = xmalloc(LAB_PIECE);
	http_stream_begin(x, &(struct http_answer){.status = 200, .content_type = S("application/octet-stream")});
	for (int i = 0; i < LAB_PIECES; i++) {
		memset(bytes, 'a' + i % 26, LAB_PIECE);
		if (http_stream_write(x, str_of(bytes, LAB_PIECE)) != 0) {
			lab->write_failed = 1;
			break;
		}
		lab->written += LAB_PIECE;
	}
	http_stream_end(x);
}

static inline void lab_events(struct lab *lab, struct http_exchange *x)
{
	(void)lab;
	http_stream_begin(x, &(struct http_answer){.status = 200, .content_type = S("text/event-stream")});
	for (int i = 0; i < 3; i++) {
		AUTO_BUF event = BUF_INIT(1 << 10);
		http_put_event(&event, S("tick"), i == 1 ? S("7") : STR_EMPTY, i == 2 ? S("a\nb\r\nc") : S("x"));
		if (http_stream_write(x, buf_str(&event)) != 0)
			break;
	}
	http_stream_end(x);
}

static inline void lab_told(struct lab *lab, struct http_exchange *x)
{
	(void)lab;
	AUTO_BUF out = BUF_INIT(1 << 20);
	buf_addf(&out, "%.*s|%.*s|%.*s|%.*s", STR_FMT(http_method(x)), STR_FMT(http_path(x)), STR_FMT(http_query(x)),
		 STR_FMT(http_header(x, S("x-test"))));
	http_answer(x, &(struct http_answer){.status = 200, .content_type = S("text/plain"), .body = buf_str(&out)});
}

struct lab_held {
	struct lab *lab;
	struct http_exchange *x;
};

static inline void lab_quiet_gone(void *user)
{
	AUTO_FREE struct lab_held *held = user;
	struct lab *lab = held->lab;
	if (!http_is_gone(held->x))
		BUG("told, and not gone");
	http_stream_end(held->x);
	lab_say(lab, &lab->n_gone);
}

static inline void lab_quiet(struct lab *lab, struct http_exchange *x)
{
	struct lab_held *held = NEW(struct lab_held);
	*held = (struct lab_held){lab, x};
	http_on_gone(x, lab_quiet_gone, held);
	http_stream_begin(x, &(struct http_answer){.status = 200, .content_type = S("text/event-stream")});
	(void)!http_stream_write(x, S(": here\n\n"));
}

static inline void lab_hold_gone(void *user)
{
	struct lab *lab = user;
	lab_say(lab, &lab->n_gone);
}

static inline void lab_hold(struct lab *lab, struct http_exchange *x)
{
	if (str_eq(http_path(x), S("/hold")))
		http_on_gone(x, lab_hold_gone, lab);
	lab->held[lab->n_held] = x;
	lab_say(lab, &lab->n_held);
}

static inline void lab_nothing(struct lab *lab, struct http_exchange *x)
{
	(void)lab;
	http_answer(x, &(struct http_answer){.status = 204, .body = S("not sent")});
}

static inline void lab_cached(struct lab *lab, struct http_exchange *x)
{
	(void)lab;
	struct h1_header headers[] = {{S("cache-control"), S("max-age=60")}, {S("Retry-After"), S("7")}};
	http_answer(x, &(struct http_answer){.status = 429, .body = S("{}"), .headers = headers, .n_headers = 2});
}

static inline void lab_handle(void *user, struct http_exchange *x)
{
	static const struct {
		struct str path;
		void (*work)(struct lab *lab, struct http_exchange *x);
		bool threaded;
	} routes[] = {
		{S("/hello"), lab_hello, false},     {S("/thread"), lab_hello, true},
		{S("/told"), lab_told, false},       {S("/nothing"), lab_nothing, false},
		{S("/big"), lab_big, false},         {S("/bigthread"), lab_big, true},
		{S("/cached"), lab_cached, false},   {S("/hold"), lab_hold, false},
		{S("/late"), lab_hold, false},       {S("/stream"), lab_stream, true},
		{S("/events"), lab_events, false},   {S("/quiet"), lab_quiet, false},
		{S("/upgrade"), lab_upgrade, false}, {S("/flood"), lab_upgrade, false},
	};
	struct lab *lab = user;
	if (str_eq(http_path(x), S("/echo"))) {
		http_answer(x, &(struct http_answer){.status = 200, .body = http_body(x)});
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (!str_eq(http_path(x), routes[i].path))
			continue;
		if (routes[i].threaded)
			lab_start_work(lab, x, routes[i].work);
		else
			routes[i].work(lab, x);
		return;
	}
	http_answer(x, &(struct http_answer){.status = 404, .body = S("{}")});
}

static inline void lab_on_wakeup(void *user, int what)
{
	(void)what;
	struct lab *lab = user;
	pthread_mutex_lock(&lab->lock);
	void (*act)(struct lab * lab) = lab->act;
	lab->act = NULL;
	bool stop = lab->stop;
	pthread_mutex_unlock(&lab->lock);
	if (act != NULL) {
		act(lab);
		pthread_mutex_lock(&lab->lock);
		lab->acted = true;
		pthread_cond_broadcast(&lab->changed);
		pthread_mutex_unlock(&lab->lock);
	}
	if (stop)
		loop_stop(lab->loop);
}

static inline void *lab_run(void *user)
{
	struct lab *lab = user;
	struct err err = {0};
	lab->loop = loop_new(&err);
	lab->wakeup = loop_wakeup(lab->loop, lab_on_wakeup, lab, &err);
	lab->options.loop = lab->loop;
	lab->server = http_server_new(&lab->options, &err);
	if (lab->server == NULL)
		BUG("%s", err.message);
	pthread_mutex_lock(&lab->lock);
	lab->ready = true;
	pthread_cond_broadcast(&lab->changed);
	pthread_mutex_unlock(&lab->lock);
	loop_run(lab->loop);
	http_server_free(lab->server);
	loop_source_free(lab->wakeup);
	loop_free(lab->loop);
	return NULL;
}

/* Calls it on the loop's thread and waits. */
static inline void lab_do(struct lab *lab, void (*act)(struct lab *lab))
{
	pthread_mutex_lock(&lab->lock);
	lab->acted = false;
	lab->act = act;
	loop_wake(lab->wakeup);
	while (!lab->acted)
		pthread_cond_wait(&lab->changed, &lab->lock);
	pthread_mutex_unlock(&lab->lock);
}

static inline void lab_count(struct lab *lab)
{
	lab->connections = http_server_connections(lab->server);
}

static inline size_t lab_connections(struct lab *lab)
{
	lab_do(lab, lab_count);
	return lab->connections;
}

/* Answers the oldest that is held, on the loop's thread. */
static inline void lab_release_one(struct lab *lab)
{
	struct http_exchange *x = lab->held[0];
	pthread_mutex_lock(&lab->lock);
	lab->n_held--;
	memmove(lab->held, lab->held + 1, lab->n_held * sizeof lab->held[0]);
	pthread_mutex_unlock(&lab->lock);
	lab_hello(lab, x);
}

static inline void lab_release(struct lab *lab)
{
	lab_do(lab, lab_release_one);
}

static inline void lab_listen(struct lab *lab)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof in;
	lab->tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(lab->tcp_fd, (struct sockaddr *)&in, sizeof in) != 0 || listen(lab->tcp_fd, 1024) != 0 ||
	    getsockname(lab->tcp_fd, (struct sockaddr *)&in, &n) != 0)
		BUG("no listener");
	lab->port = ntohs(in.sin_port);
	snprintf(lab->host, sizeof lab->host, "127.0.0.1:%u", lab->port);

	snprintf(lab->folder, sizeof lab->folder, "/tmp/http-lab-XXXXXX");
	if (mkdtemp(lab->folder) == NULL || chmod(lab->folder, 0755) != 0)
		BUG("no folder");
	snprintf(lab->path, sizeof lab->path, "%s/socket", lab->folder);
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	memcpy(un.sun_path, lab->path, strlen(lab->path) + 1);
	lab->unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(lab->unix_fd, (struct sockaddr *)&un, sizeof un) != 0 || listen(lab->unix_fd, 1024) != 0 ||
	    chmod(lab->path, 0777) != 0)
		BUG("no Unix listener");
}

static inline struct lab *lab_start(struct http_server_options options)
{
	struct lab *lab = NEW(struct lab);
	lab_listen(lab);
	struct str hosts[] = {str_from(lab->host), S("localhost:1")};
	options.tcp_fd = lab->tcp_fd;
	options.unix_fd = lab->unix_fd;
	options.hosts = hosts;
	options.n_hosts = ARRAY_LEN(hosts);
	options.handler = lab_handle;
	options.user = lab;
	lab->options = options;
	pthread_mutex_init(&lab->lock, NULL);
	pthread_cond_init(&lab->changed, NULL);
	if (pthread_create(&lab->thread, NULL, lab_run, lab) != 0)
		BUG("no thread");
	pthread_mutex_lock(&lab->lock);
	while (!lab->ready)
		pthread_cond_wait(&lab->changed, &lab->lock);
	pthread_mutex_unlock(&lab->lock);
	return lab;
}

static inline void lab_stop(struct lab *lab)
{
	pthread_mutex_lock(&lab->lock);
	while (lab->n_working > 0)
		pthread_cond_wait(&lab->changed, &lab->lock);
	lab->stop = true;
	loop_wake(lab->wakeup);
	pthread_mutex_unlock(&lab->lock);
	pthread_join(lab->thread, NULL);
	close(lab->tcp_fd);
	close(lab->unix_fd);
	unlink(lab->path);
	rmdir(lab->folder);
	pthread_mutex_destroy(&lab->lock);
	pthread_cond_destroy(&lab->changed);
	free(lab);
}
DEFINE_AUTO(lab, lab_stop)

/* A socket that gives up after a while, so that a test fails rather than hangs. */
static inline int lab_patient(int fd)
{
	const struct timeval limit = {.tv_sec = 20};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	return fd;
}

static inline int lab_connect(const struct lab *lab)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(lab->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	return connect(fd, (struct sockaddr *)&in, sizeof in) == 0 ? lab_patient(fd) : -1;
}

static inline int lab_connect_unix(const struct lab *lab)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	memcpy(un.sun_path, lab->path, strlen(lab->path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return connect(fd, (struct sockaddr *)&un, sizeof un) == 0 ? lab_patient(fd) : -1;
}
