#include "guest/link.h"
#include "base/version.h"
#include "guest/address.h"
#include "guest/lines.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#define HEAD_MAX   ((size_t)16 << 10)
#define READ_MAX   ((size_t)64 << 10)
#define FOLDER_MAX 4096

#define NOT_RUNNING "the Aileron daemon is not running; start it with `aileron daemon start`"

struct link {
	int fd;
	char *session;
	struct link_listener listener;
	uint64_t deadline_ms; /* to be let in; UINT64_MAX afterwards */
	struct buf head;      /* of the answer */
	struct lines lines;
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

static void put_request(struct link *link, const struct address *address)
{
	struct buf *out = &link->out;
	buf_addf(out,
		 "GET /mcp HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\n"
		 "Upgrade: aileron-mcp-lines\r\nUser-Agent: aileron-guest/" AILERON_VERSION "\r\n",
		 address->host, address->token);
	if (link->session[0] != '\0')
		buf_addf(out, "Aileron-Session: %s\r\n", link->session);
	char folder[FOLDER_MAX];
	if (getcwd(folder, sizeof folder) != NULL) {
		buf_add_z(out, "Aileron-Working-Dir: ");
		put_escaped(out, str_from(folder));
		buf_add_z(out, "\r\n");
	}
	buf_add_z(out, "\r\n");
}

struct link *link_new(const char *id, char *session, const struct link_listener *listener, uint64_t now_ms,
		      struct err *err)
{
	struct address address;
	if (address_open(id, &address, err) < 0)
		return NULL;
	struct link *link = NEW(struct link);
	link->fd = TAKE_FD(address.fd);
	link->session = session;
	link->listener = *listener;
	link->deadline_ms = now_ms + LINK_OPEN_MS;
	link->head = BUF_INIT(HEAD_MAX);
	link->out = BUF_INIT_SECRET(SIZE_MAX / 2);
	lines_init(&link->lines, LINK_ANSWER_MAX);
	put_request(link, &address);
	address_release(&address);
	return link;
}

void link_free(struct link *link)
{
	if (link == NULL)
		return;
	close(link->fd);
	buf_release(&link->head);
	buf_release(&link->out);
	lines_release(&link->lines);
	free(link);
}

int link_fd(const struct link *link)
{
	return link->fd;
}

short link_events(const struct link *link, bool may_read)
{
	short events = may_read || !link->is_open ? POLLIN : 0;
	return (short)(link->out.n > 0 ? events | POLLOUT : events);
}

uint64_t link_deadline(const struct link *link)
{
	return link->deadline_ms;
}

size_t link_queued(const struct link *link)
{
	return link->out.n - link->sent;
}

/* --------------------------------------------------------------------------------------------------------------- sending */

static int flush_out(struct link *link, struct err *err)
{
	while (link->sent < link->out.n) {
		ssize_t n =
			send(link->fd, link->out.p + link->sent, link->out.n - link->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(err, ERR_UNREACHABLE,
				    link->is_open ? "the connection to the Aileron daemon was lost" : NOT_RUNNING);
		link->sent += (size_t)n;
	}
	buf_clear(&link->out);
	if (link->out.room > LINK_QUEUE_HIGH)
		buf_release(&link->out);
	link->sent = 0;
	return 0;
}

void link_send(struct link *link, struct str line)
{
	if (link->sent > LINK_QUEUE_HIGH) {
		buf_consume(&link->out, link->sent);
		link->sent = 0;
	}
	buf_add_str(&link->out, line);
	buf_add_char(&link->out, '\n');
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
static int take_head(struct link *link, struct str *bytes, struct err *err)
{
	size_t before = link->head.n;
	buf_add_str(&link->head, str_slice(*bytes, 0, HEAD_MAX - before));
	struct str head = buf_str(&link->head);
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
	if (session.n < LINK_SESSION_MAX) {
		memcpy(link->session, session.p, session.n);
		link->session[session.n] = '\0';
	}
	link->is_open = true;
	link->deadline_ms = UINT64_MAX;
	link->listener.opened(link->listener.user);
	return 0;
}

static void note_too_long(void *user)
{
	struct link *link = user;
	link->broken = true;
}

static void pass_line(void *user, struct str line)
{
	struct link *link = user;
	link->listener.line(link->listener.user, line);
}

static int receive(struct link *link, struct err *err)
{
	static char bytes[READ_MAX];
	ssize_t n = recv(link->fd, bytes, sizeof bytes, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return fail(err, ERR_UNREACHABLE,
			    link->is_open ? "the connection to the Aileron daemon was lost" : NOT_RUNNING);
	struct str got = str_of(bytes, (size_t)n);
	if (!link->is_open && take_head(link, &got, err) < 0)
		return -1;
	if (got.n > 0)
		lines_feed(&link->lines, got, pass_line, note_too_long, link);
	return link->broken ? fail(err, ERR_PROTOCOL, "the Aileron daemon sent a line that is too long") : 0;
}

int link_turn(struct link *link, short events, uint64_t now_ms, struct err *err)
{
	if (!link->is_open && now_ms >= link->deadline_ms)
		return fail(err, ERR_UNREACHABLE, "the Aileron daemon does not answer");
	if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && receive(link, err) < 0)
		return -1;
	return flush_out(link, err);
}
