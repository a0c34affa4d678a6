#include "guest/guest.h"
#include "base/time.h"
#include "base/version.h"
#include "base/line_cut.h"
#include "guest/tether.h"
#include "guest/mediator.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define READ_MAX      ((size_t)64 << 10)
#define PIPE_WRITE    4096              /* PIPE_BUF: what a pipe that is said to be writable takes without waiting */
#define CLIENT_HIGH   ((size_t)1 << 20) /* queued for the client, above which the daemon is not read */
#define RETRY_FIRST   20                /* ms between two tries to connect, doubled … */
#define RETRY_MAX     1000              /* … up to this */
#define LAST_WORDS_MS 500               /* for answers that are due when standard input ends */

struct guest {
	const char *id;
	char session[TETHER_SESSION_MAX];
	struct mediator *mediator;
	struct tether *tether; /* NULL = none */
	struct line_cut lines;
	struct buf out; /* for the client */
	size_t sent;
	uint64_t retry_ms, retry_at; /* when the next connection is tried */
	uint64_t now;
	uint64_t end_at; /* UINT64_MAX while standard input is open */
	bool told, over;
};

static uint64_t now_ms(void)
{
	return clock_monotonic_ns(NULL) / TIME_MILLISECOND;
}

/* ---------------------------------------------------------------------------------------------------------- the client */

static void to_client(void *user, struct str line)
{
	struct guest *guest = user;
	if (guest->sent > CLIENT_HIGH) {
		buf_consume(&guest->out, guest->sent);
		guest->sent = 0;
	}
	buf_add_str(&guest->out, line);
	buf_add_char(&guest->out, '\n');
}

/* As much as is taken now; -1 with errno. */
static ssize_t write_some(const char *p, size_t n)
{
	ssize_t sent = send(STDOUT_FILENO, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0 && errno == ENOTSOCK)
		sent = write(STDOUT_FILENO, p, MIN(n, (size_t)PIPE_WRITE));
	return sent;
}

/* Once a time that poll() says so: a pipe would make us wait. */
static void flush_client(struct guest *guest)
{
	ssize_t n = write_some(guest->out.p + guest->sent, guest->out.n - guest->sent);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		guest->over = true;
		return;
	}
	guest->sent += (size_t)n;
	if (guest->sent < guest->out.n)
		return;
	buf_clear(&guest->out);
	if (guest->out.room > CLIENT_HIGH)
		buf_release(&guest->out);
	guest->sent = 0;
}

static void client_line(void *user, struct str line)
{
	struct guest *guest = user;
	mediator_from_client(guest->mediator, line, guest->now);
}

static void client_too_long(void *user)
{
	struct guest *guest = user;
	mediator_from_client_too_long(guest->mediator);
}

static void read_client(struct guest *guest)
{
	static char bytes[READ_MAX];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		line_cut_feed(&guest->lines, str_of(bytes, (size_t)n), client_line, client_too_long, guest);
	else
		guest->end_at = guest->now + LAST_WORDS_MS;
}

/* ---------------------------------------------------------------------------------------------------------- the daemon */

static void to_daemon(void *user, struct str line)
{
	struct guest *guest = user;
	tether_send(guest->tether, line);
}

static void on_opened(void *user)
{
	struct guest *guest = user;
	guest->retry_ms = 0;
	if (guest->told)
		fprintf(stderr, "aileron-guest: the daemon is back\n");
	guest->told = false;
	mediator_connected(guest->mediator);
}

static void on_line(void *user, struct str line)
{
	struct guest *guest = user;
	mediator_from_daemon(guest->mediator, line);
}

static void lose(struct guest *guest, const struct err *err)
{
	tether_free(TAKE(guest->tether));
	guest->retry_ms = MIN(MAX(2 * guest->retry_ms, RETRY_FIRST), RETRY_MAX);
	guest->retry_at = guest->now + guest->retry_ms;
	if (!guest->told)
		fprintf(stderr, "aileron-guest: %s\n", err->message);
	guest->told = true;
	bool refused =
		err->class == ERR_UNAUTHORIZED; /* trying again mends that only when a person registers it anew */
	(refused ? mediator_refused : mediator_disconnected)(guest->mediator, str_from(err->message), guest->now);
}

static void try_daemon(struct guest *guest)
{
	static struct err err;
	err_clear(&err);
	const struct tether_listener listener = {on_opened, on_line, guest};
	guest->tether = tether_new(guest->id, guest->session, &listener, guest->now, &err);
	if (guest->tether == NULL || tether_turn(guest->tether, 0, guest->now, &err) < 0)
		lose(guest, &err);
}

static void turn_link(struct guest *guest, short events)
{
	static struct err err;
	err_clear(&err);
	if (tether_turn(guest->tether, events, guest->now, &err) < 0)
		lose(guest, &err);
}

/* ------------------------------------------------------------------------------------------------------------ the loop */

static uint64_t next_deadline(const struct guest *guest)
{
	uint64_t at = MIN(guest->end_at, mediator_deadline(guest->mediator));
	return MIN(at, guest->tether != NULL ? tether_deadline(guest->tether) : guest->retry_at);
}

static int wait_ms(const struct guest *guest)
{
	uint64_t at = next_deadline(guest);
	if (at == UINT64_MAX)
		return -1;
	return at <= guest->now ? 0 : (int)MIN(at - guest->now, (uint64_t)TIME_POLL_MAX_MS);
}

enum { CLIENT_IN, CLIENT_OUT, DAEMON, POLLED };

static void fill_polled(const struct guest *guest, struct pollfd polled[POLLED])
{
	bool daemon_takes = guest->tether == NULL || tether_queued(guest->tether) < TETHER_QUEUE_HIGH;
	bool client_takes = guest->out.n - guest->sent < CLIENT_HIGH;
	bool reads = guest->end_at == UINT64_MAX && daemon_takes && client_takes;
	polled[CLIENT_IN] = (struct pollfd){.fd = reads ? STDIN_FILENO : -1, .events = POLLIN};
	/* Without events, the end of its reader is told all the same. */
	polled[CLIENT_OUT] = (struct pollfd){.fd = STDOUT_FILENO, .events = guest->out.n > 0 ? POLLOUT : 0};
	polled[DAEMON] = (struct pollfd){.fd = -1};
	if (guest->tether != NULL)
		polled[DAEMON] = (struct pollfd){.fd = tether_fd(guest->tether),
						 .events = tether_events(guest->tether, client_takes)};
}

static bool is_over(const struct guest *guest)
{
	if (guest->over || guest->end_at == UINT64_MAX)
		return guest->over;
	return guest->now >= guest->end_at || (mediator_open(guest->mediator) == 0 && guest->out.n == 0);
}

static void turn(struct guest *guest)
{
	struct pollfd polled[POLLED];
	fill_polled(guest, polled);
	if (poll(polled, POLLED, wait_ms(guest)) < 0)
		return; /* a signal, or no memory: again */
	guest->now = now_ms();
	if (polled[CLIENT_IN].revents != 0)
		read_client(guest);
	if (guest->tether != NULL)
		turn_link(guest, polled[DAEMON].revents);
	if (guest->tether == NULL && guest->now >= guest->retry_at)
		try_daemon(guest);
	mediator_tick(guest->mediator, guest->now);
	if ((polled[CLIENT_OUT].revents & POLLOUT) != 0 && guest->out.n > 0)
		flush_client(guest);
	else if ((polled[CLIENT_OUT].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
		guest->over = true;
}

int guest_relay(const char *id)
{
	struct guest guest = {.id = id, .out = BUF_INIT(SIZE_MAX / 2), .end_at = UINT64_MAX, .now = now_ms()};
	signal(SIGPIPE, SIG_IGN);
	const struct mediator_options options = {to_client, to_daemon, &guest, S(AILERON_VERSION)};
	guest.mediator = mediator_new(&options, guest.now);
	line_cut_init(&guest.lines, MEDIATOR_LINE_MAX);
	try_daemon(&guest);
	while (!is_over(&guest))
		turn(&guest);
	tether_free(guest.tether);
	mediator_free(guest.mediator);
	line_cut_release(&guest.lines);
	buf_release(&guest.out);
	return 0;
}
