#include "http/server/server.h"
#include "base/rand.h"
#include "base/time.h"
#include "http/server/connection.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#define ACCEPTS_A_TURN  64
#define ACCEPT_AGAIN_NS TIME_SECOND /* after the process ran out of descriptors */

static void set_accepting(struct http_server *server, bool accepting)
{
	if (server->accepting == accepting)
		return;
	server->accepting = accepting;
	for (size_t i = 0; i < ARRAY_LEN(server->listeners); i++) {
		if (server->listeners[i].watch != NULL)
			loop_watch_set(server->listeners[i].watch, accepting ? LOOP_READ : 0);
	}
}

static void start_accepting(struct http_server *server)
{
	if (server->n < server->n_max)
		set_accepting(server, true);
}

/*
 * Time. Every limit is the same for all that wait for the same thing, so each list is in the order of its deadlines: joining
 * and leaving cost no search, one timer serves all, and the first of WAIT_IDLE is the one that is idle longest.
 */
static struct connection_list *list_of(struct connection *connection)
{
	struct http_server *server = connection->server;
	return connection->waiting < 0 ? &server->others : &server->waiting[connection->waiting];
}

static void list_remove(struct connection *connection)
{
	struct connection_list *list = list_of(connection);
	if (connection->previous != NULL)
		connection->previous->next = connection->next;
	else
		list->first = connection->next;
	if (connection->next != NULL)
		connection->next->previous = connection->previous;
	else
		list->last = connection->previous;
	connection->previous = connection->next = NULL;
}

static void list_append(struct connection *connection)
{
	struct connection_list *list = list_of(connection);
	connection->previous = list->last;
	if (list->last != NULL)
		list->last->next = connection;
	else
		list->first = connection;
	list->last = connection;
}

static void sweep_by(struct http_server *server, uint64_t now, uint64_t deadline)
{
	if (server->sweep_at != 0 && server->sweep_at <= deadline)
		return;
	server->sweep_at = deadline;
	uint64_t wait = deadline > now ? deadline - now : 0;
	loop_timer_start(server->sweep, wait / TIME_MILLISECOND + 1, 0);
}

void connection_wait(struct connection *connection, int waiting)
{
	struct http_server *server = connection->server;
	list_remove(connection);
	connection->waiting = waiting;
	list_append(connection);
	if (waiting < 0)
		return;
	if (waiting == WAIT_IDLE)
		set_accepting(server, true);
	uint64_t now = clock_monotonic_ns(NULL);
	connection->deadline = now + server->limits[waiting];
	sweep_by(server, now, connection->deadline);
}

void connection_join(struct connection *connection)
{
	connection->waiting = -1;
	list_append(connection);
	connection->server->n++;
}

void connection_leave(struct connection *connection)
{
	list_remove(connection);
}

static void expire(struct connection *connection)
{
	if (connection->waiting == WAIT_HEAD)
		connection_refuse(connection, 408, "the head of the request took too long [head_ms]");
	else if (connection->waiting == WAIT_BODY)
		connection_refuse(connection, 408, "the body of the request took too long [body_ms]");
	else
		connection_close(connection);
}

static void on_sweep(void *user, int what)
{
	(void)what;
	struct http_server *server = user;
	uint64_t now = clock_monotonic_ns(NULL), next = UINT64_MAX;
	server->sweep_at = 0;
	start_accepting(server);
	for (int i = 0; i < WAIT__MAX; i++) {
		struct connection_list *list = &server->waiting[i];
		while (list->first != NULL && list->first->deadline <= now)
			expire(list->first);
	}
	for (int i = 0; i < WAIT__MAX; i++) {
		const struct connection *first = server->waiting[i].first;
		if (first != NULL && first->deadline < next)
			next = first->deadline;
	}
	if (next != UINT64_MAX)
		sweep_by(server, now, next);
}

/* Accepting. */
static bool evict_idle(struct http_server *server)
{
	struct connection *idle = server->waiting[WAIT_IDLE].first;
	if (idle != NULL)
		connection_close(idle);
	return idle != NULL;
}

/* A Unix socket tells who connected; its file's mode may have been changed. */
static bool is_welcome(const struct listener *listener, int fd)
{
	struct ucred peer;
	socklen_t n = sizeof peer;
	if (!listener->is_unix)
		return true;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && peer.uid == listener->server->owner;
}

/* After a failure: true to try at once. */
static bool accept_again(struct http_server *server, int error)
{
	if (error == EAGAIN || error == EINTR || error == ECONNABORTED)
		return error != EAGAIN;
	if ((error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) && evict_idle(server))
		return true;
	uint64_t now = clock_monotonic_ns(NULL);
	set_accepting(server, false);
	sweep_by(server, now, now + ACCEPT_AGAIN_NS);
	return false;
}

/* False when there is nobody, or no room, for now. */
static bool accept_one(struct listener *listener)
{
	struct http_server *server = listener->server;
	bool full = server->n >= server->n_max;
	if (full && server->waiting[WAIT_IDLE].first == NULL) {
		set_accepting(server, false); /* until one closes or has nothing to do */
		return false;
	}
	AUTO_FD fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return accept_again(server, errno);
	if (full)
		evict_idle(server);
	if (is_welcome(listener, fd) && connection_new(server, fd, listener->is_unix))
		fd = -1;
	return true;
}

static void on_listener(void *user, int what)
{
	(void)what;
	struct listener *listener = user;
	for (int i = 0; i < ACCEPTS_A_TURN && accept_one(listener); i++)
		;
}

/* The last answer is out: tells it on the loop's next turn, for the caller may free the server then. */
static void look_whether_drained(struct http_server *server)
{
	if (server->draining && server->drained != NULL && server->n == 0 && server->n_closed == 0)
		loop_timer_start(server->drain, 0, 0);
}

void server_lost_one(struct http_server *server)
{
	start_accepting(server);
	look_whether_drained(server);
}

static void on_drained(void *user, int what)
{
	(void)what;
	struct http_server *server = user;
	void (*drained)(void *user) = server->drained;
	server->drained = NULL;
	if (drained != NULL)
		drained(server->drained_user);
}

void http_server_drain(struct http_server *server, uint64_t ms, void (*done)(void *user), void *user)
{
	server->draining = true;
	server->drained = done;
	server->drained_user = user;
	for (size_t i = 0; i < ARRAY_LEN(server->listeners); i++) {
		loop_source_free(server->listeners[i].watch);
		server->listeners[i].watch = NULL;
	}
	while (evict_idle(server))
		;
	loop_timer_start(server->drain, ms, 0);
	look_whether_drained(server);
}

/* Posts of this moment; what is posted meanwhile wakes the loop again. Looking at one may free others. */
static void on_wakeup(void *user, int what)
{
	(void)what;
	struct http_server *server = user;
	pthread_mutex_lock(&server->lock);
	server->taken = server->posted;
	server->posted = NULL;
	server->last_posted = &server->posted;
	pthread_mutex_unlock(&server->lock);
	while (server->taken != NULL) {
		struct http_exchange *x = server->taken;
		server->taken = x->next_posted;
		connection_take_posted(x->connection);
	}
}

static uint64_t limit_ns(uint64_t ms, uint64_t otherwise)
{
	return (ms > 0 ? ms : otherwise) * TIME_MILLISECOND;
}

static void set_limits(struct http_server *server, const struct http_limits *limits)
{
	server->limits[WAIT_IDLE] = limit_ns(limits->idle_ms, HTTP_IDLE_MS);
	server->limits[WAIT_HEAD] = limit_ns(limits->head_ms, HTTP_HEAD_MS);
	server->limits[WAIT_BODY] = limit_ns(limits->body_ms, HTTP_BODY_MS);
	server->limits[WAIT_WRITE] = limit_ns(limits->write_ms, HTTP_WRITE_MS);
	server->limits[WAIT_LINGER] = limit_ns(limits->linger_ms, HTTP_LINGER_MS);
}

static int listen_on(struct http_server *server, struct listener *listener, int fd, struct err *err)
{
	listener->server = server;
	listener->fd = fd;
	if (fd < 0)
		return 0;
	/* Handed down to every connection; without it answers are late but right. */
	if (!listener->is_unix)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	listener->watch = loop_watch(server->loop, fd, LOOP_READ, on_listener, listener, err);
	return listener->watch == NULL ? -1 : 0;
}

static void copy_hosts(struct http_server *server, const struct http_server_options *options)
{
	server->hosts = xcalloc(options->n_hosts + 1, sizeof server->hosts[0]);
	for (; server->n_hosts < options->n_hosts; server->n_hosts++) {
		struct str host = options->hosts[server->n_hosts];
		server->hosts[server->n_hosts] = str_of(str_dup(host), host.n);
	}
}

struct http_server *http_server_new(const struct http_server_options *options, struct err *err)
{
	AUTO(http_server) *server = NEW(struct http_server);
	server->loop = options->loop;
	server->thread = pthread_self();
	server->handler = options->handler;
	server->user = options->user;
	server->n_max = options->connections > 0 ? options->connections : HTTP_CONNECTIONS;
	server->admit_body = options->admit_body;
	server->body_max = options->body_max > 0 ? options->body_max : HTTP_BODY_MAX;
	server->bodies_max = options->bodies_max > 0 ? options->bodies_max : HTTP_BODIES_MAX;
	server->upgrades_max = options->upgrades_max > 0 ? options->upgrades_max : HTTP_UPGRADES_MAX;
	server->owner = geteuid();
	server->id_state = rand_u64();
	server->in = xmalloc(HTTP_IN_ROOM);
	server->last_posted = &server->posted;
	pthread_mutex_init(&server->lock, NULL);
	set_limits(server, &options->limits);
	copy_hosts(server, options);
	server->sweep = loop_timer(server->loop, on_sweep, server);
	server->drain = loop_timer(server->loop, on_drained, server);
	server->wakeup = loop_wakeup(server->loop, on_wakeup, server, err);
	server->accepting = true;
	server->listeners[1].is_unix = true;
	if (server->wakeup == NULL || listen_on(server, &server->listeners[0], options->tcp_fd, err) != 0 ||
	    listen_on(server, &server->listeners[1], options->unix_fd, err) != 0)
		return NULL;
	return TAKE(server);
}

static void free_all(struct connection_list *list)
{
	while (list->first != NULL)
		connection_free(list->first);
}

void http_server_free(struct http_server *server)
{
	if (server == NULL)
		return;
	server->drained = NULL;
	for (size_t i = 0; i < ARRAY_LEN(server->listeners); i++) {
		loop_source_free(server->listeners[i].watch);
		server->listeners[i].watch = NULL;
	}
	for (int i = 0; i < WAIT__MAX; i++)
		free_all(&server->waiting[i]);
	free_all(&server->others);
	loop_source_free(server->sweep);
	loop_source_free(server->drain);
	loop_source_free(server->wakeup);
	for (size_t i = 0; i < server->n_hosts; i++)
		free((void *)(uintptr_t)server->hosts[i].p);
	free(server->hosts);
	free(server->in);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

size_t http_server_connections(const struct http_server *server)
{
	return server->n;
}
