/*
 * connection: what the parts of the server share
 *
 * server.c accepts, keeps time and drains; connection.c reads requests and writes what is to be written; answer.c makes answers
 * and streams, on any thread; exchange.c has the request of an exchange: its parts, its id, whether it may
 * reach the handler; upgrade.c lets another protocol have the connection. Only they include
 * this.
 *
 * A connection and its exchange are one object, which lives until the socket is closed and its exchange, if somebody has one, is
 * answered. Everything is the loop's but what is marked: "shared" fields are under the server's lock, "answerer's" ones belong
 * to whoever holds the exchange, from when the handler is called until it is posted as finished.
 */
#pragma once
#include "base/buf.h"
#include "http/h1/message.h"
#include "http/server/server.h"
#include "os/loop.h"
#include <pthread.h>
#include <stdatomic.h>

#define HTTP_REQUEST_ID_MAX 64
#define HTTP_IN_ROOM        ((size_t)64 << 10) /* most that is read at once */

enum connection_state {
	CONNECTION_READING,   /* waits for a request, or for the rest of one */
	CONNECTION_ASKED,     /* somebody has the exchange and no byte of an answer is here */
	CONNECTION_STREAMING, /* the same, and parts of the answer are here */
	CONNECTION_ANSWERING, /* the whole answer is here and not all of it is written */
	CONNECTION_ANSWERED,  /* all of it is written: ready for the next request */
	CONNECTION_LINGERING, /* our last word is said; reads until the client closes */
	CONNECTION_CLOSED,    /* without socket, until the exchange is answered */
};

/* What a connection waits for with a limit. Each has its list, in the order in which they began and so will end. */
enum waiting { WAIT_IDLE, WAIT_HEAD, WAIT_BODY, WAIT_WRITE, WAIT_LINGER, WAIT__MAX };

struct connection_list {
	struct connection *first, *last;
};

struct http_exchange {
	struct connection *connection;
	struct str path, query;
	struct buf body;
	uint64_t body_max; /* of this request */
	char request_id[HTTP_REQUEST_ID_MAX];
	size_t request_id_n;
	bool is_head, is_old;   /* the method is HEAD, the version 1.0 */
	_Atomic bool is_gone;   /* told by the loop, read by anybody */
	bool is_bodiless, bare; /* answerer's: no body at all; a stream without chunks */
	bool keep;              /* answerer's: the connection outlives the answer */
	bool has_length;        /* answerer's: `left` bytes of a stream are missing */
	uint64_t left;

	/* Shared. */
	struct buf queued; /* parts of the answer that the loop has not taken */
	size_t unsent;     /* bytes of a stream that the socket has not taken */
	pthread_cond_t room;
	bool streaming, finished, broken;
	bool incomplete; /* a stream that ended before its end */
	bool posted;
	struct http_exchange *next_posted;
	void (*gone)(void *user);
	void *gone_user;
	void (*sent)(void *user);
	void *sent_user;
	/* Of another protocol that has the connection; it is a stream without chunks. */
	size_t (*receive)(void *user, struct str bytes); /* NULL = it is HTTP's */
	void *receive_user;
};

struct connection {
	struct http_server *server;
	struct connection *previous, *next; /* of all that wait for the same, or are closed */
	int waiting;                        /* enum waiting, or -1 */
	uint64_t deadline;

	int fd;
	struct loop_source *watch;
	int watched; /* LOOP_* */
	bool is_unix;
	enum connection_state state;
	bool running;      /* connection_run() is below us on the stack */
	bool failed;       /* to be closed by connection_run() */
	bool paused;       /* bytes wait in the socket for the answer to be out */
	bool input_ended;  /* the client has shut its side */
	bool began, asked; /* a byte of a request is here; its head is */
	bool linger;
	struct h1_parser *parser;
	struct buf rest; /* read behind the present request */
	struct buf out;  /* to be written, from `sent` on */
	size_t sent, thrown_away;
	struct http_exchange exchange;
};

struct http_server {
	struct loop *loop;
	pthread_t thread; /* the loop's */
	http_handler *handler;
	void *user;
	struct str *hosts;
	size_t n_hosts;
	http_admit_body *admit_body;
	uint64_t body_max, bodies_max;
	uid_t owner;
	uint64_t id_state; /* of request ids */

	struct listener {
		struct http_server *server;
		int fd;
		bool is_unix;
		struct loop_source *watch; /* NULL = none, or drained */
	} listeners[2];
	bool accepting;
	size_t n, n_max;
	size_t n_closed; /* that wait for their answer */
	uint64_t body_bytes;

	struct connection_list waiting[WAIT__MAX];
	struct connection_list others; /* that wait for nothing with a limit, closed ones included */
	uint64_t limits[WAIT__MAX];    /* ns */
	struct loop_source *sweep;
	uint64_t sweep_at; /* 0 = not running */

	char *in; /* what was read last, wiped */

	_Atomic bool draining;
	struct loop_source *drain;
	void (*drained)(void *user);
	void *drained_user;

	pthread_mutex_t lock;
	uint64_t upgrades_max, upgrades_unsent;      /* shared: of connections that another protocol has */
	struct http_exchange *posted, **last_posted; /* shared */
	struct loop_source *wakeup;
	struct http_exchange *taken; /* posted before, and the loop is at it; marked as posted until it gets there */
};

/* server.c */
void connection_join(struct connection *connection); /* a new one; then connection_wait() */
void connection_leave(struct connection *connection);
void connection_wait(struct connection *connection, int waiting); /* from now; -1 = for nothing with a limit */
void server_lost_one(struct http_server *server);                 /* a connection was closed */

/* connection.c */
bool connection_new(struct http_server *server, int fd, bool is_unix); /* takes `fd` when it succeeds */
void connection_close(struct connection *connection);                  /* freed now, or when its exchange is answered */
void connection_free(struct connection *connection);                   /* at once, whoever has its exchange */
void connection_refuse(struct connection *connection, unsigned status, const char *reason);
/* Writes the whole answer: `out`, then `body`. */
void connection_write(struct connection *connection, struct str body);
void connection_take_posted(struct connection *connection); /* its exchange was posted */

/* answer.c; posting is done under the lock */
void answer_put_head(struct http_exchange *x, const struct http_answer *answer, bool stream, struct buf *out);
bool answer_post(struct http_exchange *x) /* the loop is to look at it; true when it is to be woken */
	__attribute__((warn_unused_result));
/* Gives the lock back: the loop is to look. From then on a finished exchange is not touched any more. */
void answer_hand_over(struct http_exchange *x);
/*
 * What the socket takes of them, by whoever writes, when nothing waits to go before them: the client need not wait until the
 * loop is awake. What fails is the loop's to find out, when it tries.
 */
size_t answer_send_at_once(struct http_exchange *x, struct str bytes);
void answer_unpost(struct http_exchange *x); /* when it was posted: it is going */

/* upgrade.c */
bool upgrade_reads(struct http_exchange *x);                       /* whether it takes bytes now */
size_t upgrade_receive(struct http_exchange *x, struct str bytes); /* what upgrade_reads() said yes to */

/* exchange.c */
void exchange_begin(struct http_exchange *x, const struct h1_head *head);
void exchange_make_id(struct http_exchange *x);
void exchange_clear(struct http_exchange *x); /* for the next request */
/* Under the lock: so many bytes of a stream are not to be sent any more. */
void exchange_sent(struct http_exchange *x, size_t n);
/* NULL, or why the request does not reach the handler. */
const char *exchange_forbidden(const struct http_exchange *x, const struct h1_head *head);
