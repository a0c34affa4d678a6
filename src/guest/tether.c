#include "guest/tether.h"
#include "base/version.h"
#include "guest/address.h"
#include "base/line_cut.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#define HEAD_MAX   ((size_t)16 << 10)
#define READ_MAX   ((size_t)64 << 10)
#define FOLDER_MAX 4096

#define NOT_RUNNING "the Aileron daemon is not running; start it with `aileron daemon start`"

struct tether {
	int fd;
	char *session;
	struct tether_listener listener;
	uint64_t deadline_ms; /* to be let in; UINT64_MAX afterwards */
	struct buf head;      /* of the answer */
	struct line_cut lines;
	struct buf out;
	size_t sent;
	bool is_open, broken;
};

/* ---------------------------------------------------------------------------------------------------------- the request */

/* What may stand in a header as it is; everything else as %XX. */
static void put_escaped(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c > ' ' && c < 0x7f && c != '%')
			buf_add_char(out, (char)c);
		else
			buf_addf(out, "%%%02X", c);
	}
}

static void put_request(struct tether *tether, const struct address *address)
{
	struct buf *out = &tether->out;
	buf_addf(out,
		 "GET /mcp HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\n"
		 "Upgrade: aileron-mcp-lines\r\nUser-Agent: aileron-guest/" AILERON_VERSION "\r\n",
		 address->host, address->token);
	if (tether->session[0] != '\0')
		buf_addf(out, "Aileron-Session: %s\r\n", tether->session);
	char folder[FOLDER_MAX];
	if (getcwd(folder, sizeof folder) != NULL) {
		buf_add_z(out, "Aileron-Working-Dir: ");
		put_escaped(out, str_from(folder));
		buf_add_z(out, "\r\n");
	}
	buf_add_z(out, "\r\n");
}

struct tether *tether_new(const char *id, char *session, const struct tether_listener *listener, uint64_t now_ms,
			  struct err *err)
{
	struct address address;
	if (address_open(id, &address, err) < 0)
		return NULL;
	struct tether *tether = NEW(struct tether);
	tether->fd = TAKE_FD(address.fd);
	tether->session = session;
	tether->listener = *listener;
	tether->deadline_ms = now_ms + TETHER_OPEN_MS;
	tether->head = BUF_INIT(HEAD_MAX);
	tether->out = BUF_INIT_SECRET(SIZE_MAX / 2);
	line_cut_init(&tether->lines, TETHER_ANSWER_MAX);
	put_request(tether, &address);
	address_release(&address);
	return tether;
}

void tether_free(struct tether *tether)
{
	if (tether == NULL)
		return;
	close(tether->fd);
	buf_release(&tether->head);
	buf_release(&tether->out);
	line_cut_release(&tether->lines);
	free(tether);
}

int tether_fd(const struct tether *tether)
{
	return tether->fd;
}

short tether_events(const struct tether *tether, bool may_read)
{
	short events = may_read || !tether->is_open ? POLLIN : 0;
	return (short)(tether->out.n > 0 ? events | POLLOUT : events);
}

uint64_t tether_deadline(const struct tether *tether)
{
	return tether->deadline_ms;
}

size_t tether_queued(const struct tether *tether)
{
	return tether->out.n - tether->sent;
}

/* --------------------------------------------------------------------------------------------------------------- sending */

static int flush_out(struct tether *tether, struct err *err)
{
	while (tether->sent < tether->out.n) {
		ssize_t n = send(tether->fd, tether->out.p + tether->sent, tether->out.n - tether->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(err, ERR_UNREACHABLE,
				    tether->is_open ? "the connection to the Aileron daemon was lost" : NOT_RUNNING);
		tether->sent += (size_t)n;
	}
	buf_clear(&tether->out);
	if (tether->out.room > TETHER_QUEUE_HIGH)
		buf_release(&tether->out);
	tether->sent = 0;
	return 0;
}

void tether_send(struct tether *tether, struct str line)
{
	if (tether->sent > TETHER_QUEUE_HIGH) {
		buf_consume(&tether->out, tether->sent);
		tether->sent = 0;
	}
	buf_add_str(&tether->out, line);
	buf_add_char(&tether->out, '\n');
}

/* ------------------------------------------------------------------------------------------------------------- receiving */

/* The value of a header of the answer; "" = absent. */
static struct str header(struct str head, struct str name)
{
	while (head.n > 0) {
		struct str line, key;
		head = str_cut(head, '\n', &line);
		struct str value = str_cut(line, ':', &key);
		if (str_eq_fold(key, name))
			return str_trim(value);
	}
	return STR_EMPTY;
}

static int refuse(struct str head, struct err *err)
{
	struct str status = str_slice(head, strlen("HTTP/1.1 "), strlen("HTTP/1.1 ") + 3);
	if (str_eq(status, S("401")) || str_eq(status, S("403")))
		return fail(err, ERR_UNAUTHORIZED,
			    "the Aileron daemon does not know this agent's token any more; run `aileron mcp install` "
			    "again");
	return fail(err, ERR_UNREACHABLE, "the Aileron daemon answers with status '%.*s'", STR_FMT(status));
}

/* The head of the answer, when it is whole; what stands behind it are lines. */
static int take_head(struct tether *tether, struct str *bytes, struct err *err)
{
	size_t before = tether->head.n;
	buf_add_str(&tether->head, str_slice(*bytes, 0, HEAD_MAX - before));
	struct str head = buf_str(&tether->head);
	size_t end = str_find(head, S("\r\n\r\n"));
	if (end == STR_NPOS) {
		*bytes = STR_EMPTY;
		return head.n < HEAD_MAX ? 0 : fail(err, ERR_PROTOCOL, "the Aileron daemon's answer is no HTTP");
	}
	*bytes = str_slice(*bytes, end + 4 - before, bytes->n);
	head.n = end;
	if (!str_starts(head, S("HTTP/1.1 101 ")) || !str_eq(header(head, S("Upgrade")), S("aileron-mcp-lines")))
		return refuse(head, err);
	struct str session = header(head, S("Aileron-Session"));
	if (session.n > 0 && session.n < TETHER_SESSION_MAX) {
		memcpy(tether->session, session.p, session.n);
		tether->session[session.n] = '\0';
	}
	tether->is_open = true;
	tether->deadline_ms = UINT64_MAX;
	tether->listener.opened(tether->listener.user);
	return 0;
}

static void note_too_long(void *user)
{
	struct tether *tether = user;
	tether->broken = true;
}

static void pass_line(void *user, struct str line)
{
	struct tether *tether = user;
	tether->listener.line(tether->listener.user, line);
}

static int receive(struct tether *tether, struct err *err)
{
	static char bytes[READ_MAX];
	ssize_t n = recv(tether->fd, bytes, sizeof bytes, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return fail(err, ERR_UNREACHABLE,
			    tether->is_open ? "the connection to the Aileron daemon was lost" : NOT_RUNNING);
	struct str got = str_of(bytes, (size_t)n);
	if (!tether->is_open && take_head(tether, &got, err) < 0)
		return -1;
	if (got.n > 0)
		line_cut_feed(&tether->lines, got, pass_line, note_too_long, tether);
	return tether->broken ? fail(err, ERR_PROTOCOL, "the Aileron daemon sent a line that is too long") : 0;
}

int tether_turn(struct tether *tether, short events, uint64_t now_ms, struct err *err)
{
	if (!tether->is_open && now_ms >= tether->deadline_ms)
		return fail(err, ERR_UNREACHABLE, "the Aileron daemon does not answer");
	if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && receive(tether, err) < 0)
		return -1;
	return flush_out(tether, err);
}
