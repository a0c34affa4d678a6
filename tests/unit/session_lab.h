/*
 * session_lab: sessions, their database and an HTTP server on one loop, which the test turns itself
 *
 * Clients are plain sockets that never block. The folder is the test's working directory.
 */
#pragma once
#include "base/log.h"
#include "base/time.h"
#include "base/ulid.h"
#include "control/agents.h"
#include "control/sessions.h"
#include "http/server/server.h"
#include "os/loop.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct session_lab {
	struct control control;
	struct loop_source *alive; /* what is waited for may be in the background */
	int listener;
	char host[32];
};

struct door_client {
	int fd;
	struct buf said; /* by the server */
	bool ended;
};

static const struct audit_event lab_user = {.actor = AUDIT_ACTOR_HUMAN, .actor_id = {"user", 4}};

static inline void lab_alive(void *user, int what)
{
	(void)user;
	(void)what;
}

static inline void lab_check(bool good, const char *what)
{
	if (!good)
		BUG("%s", what);
}

static inline void session_lab_open(struct session_lab *lab)
{
	struct control *control = &lab->control;
	*lab = (struct session_lab){.listener = -1};
	control->loop = loop_new(NULL);
	control->db = db_open(&(struct db_options){.name = "aileron.db"}, NULL);
	control->agents = agents_new(control->db, NULL, NULL);
	control->sessions = sessions_new(control->loop, control->db, control->agents, NULL);
	lab_check(control->sessions != NULL, "no sessions");
	lab->alive = loop_timer(control->loop, lab_alive, NULL);
	loop_timer_start(lab->alive, 20, 20);
}

static inline void session_lab_serve(struct session_lab *lab, http_handler *handler, uint64_t upgrades_max)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof address;
	lab->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	lab_check(bind(lab->listener, (struct sockaddr *)&address, size) == 0 && listen(lab->listener, 512) == 0 &&
			  getsockname(lab->listener, (struct sockaddr *)&address, &size) == 0,
		  "no listener");
	snprintf(lab->host, sizeof lab->host, "127.0.0.1:%u", ntohs(address.sin_port));
	const struct str host = str_from(lab->host);
	const struct http_server_options options = {
		.loop = lab->control.loop,
		.tcp_fd = lab->listener,
		.unix_fd = -1,
		.hosts = &host,
		.n_hosts = 1,
		.upgrades_max = upgrades_max,
		.handler = handler,
		.user = lab,
	};
	lab->control.http = http_server_new(&options, NULL);
	lab_check(lab->control.http != NULL, "no server");
}

/* In two parts: whoever listens to sessions, or has exchanges, goes between them. */
static inline void session_lab_stop(struct session_lab *lab)
{
	http_server_free(lab->control.http);
	sessions_stop(lab->control.sessions);
	db_close(lab->control.db);
}

static inline void session_lab_close(struct session_lab *lab)
{
	sessions_free(lab->control.sessions);
	agents_free(lab->control.agents);
	loop_source_free(lab->alive);
	loop_free(lab->control.loop);
	close(lab->listener);
	unlink("aileron.db");
	unlink("aileron.db-wal");
	unlink("aileron.db-shm");
}

/* Until something is so; whoever never gets there hangs. */
#define LAB_UNTIL(lab, condition)                                                                                      \
	while (!(condition))                                                                                           \
	loop_turn((lab)->control.loop, true)

static inline struct door_client door_connect(struct session_lab *lab)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof address;
	struct door_client client = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .said = BUF_INIT(64 << 20)};
	int room = 64 << 10; /* what a client does not read stays with the server */
	lab_check(getsockname(lab->listener, (struct sockaddr *)&address, &size) == 0 &&
			  setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) == 0 &&
			  connect(client.fd, (struct sockaddr *)&address, size) == 0 &&
			  fcntl(client.fd, F_SETFL, O_NONBLOCK) == 0,
		  "no connection");
	return client;
}

/* Reads what is there. */
static inline void door_hear(struct door_client *client)
{
	static char bytes[65536];
	ssize_t n;
	while ((n = recv(client->fd, bytes, sizeof bytes, 0)) > 0)
		buf_add_str(&client->said, str_of(bytes, (size_t)n));
	client->ended = client->ended || n == 0 || errno == ECONNRESET;
}

static inline bool door_said(struct door_client *client, const char *text)
{
	door_hear(client);
	return str_find(buf_str(&client->said), str_from(text)) != STR_NPOS;
}

static inline bool door_ended(struct door_client *client)
{
	door_hear(client);
	return client->ended;
}

/* All of it, while the server reads; or as much as it takes before it ends the connection. */
static inline void door_send(struct session_lab *lab, struct door_client *client, struct str text)
{
	while (text.n > 0) {
		ssize_t n = send(client->fd, text.p, text.n, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return;
		text = str_slice(text, n < 0 ? 0 : (size_t)n, text.n);
		loop_turn(lab->control.loop, false);
	}
}

static inline void door_leave(struct door_client *client)
{
	close(client->fd);
	buf_release(&client->said);
}

/* All that is open was an earlier daemon's. */
static inline int lab_reap(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	return session_reap(tx, UINT64_MAX / 2, 2, err) < 0 ? -1 : 0;
}

static inline void lab_orphan(struct session_lab *lab)
{
	lab_check(db_write(lab->control.db, lab_reap, NULL, NULL) == 0, "not written");
}
