#include "daemon/link.h"
#include "base/mem.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

/* A frame that waits, with descriptors of its own. */
struct waiting {
	struct supervise_message message;
	struct waiting *next;
};

struct link {
	int fd;
	struct loop_source *source;
	struct link_listener listener;
	struct waiting *first, **last;
	size_t n_waiting;
	bool over; /* the listener was told */
};

static void on_ready(void *user, int what);

struct link *link_new(struct loop *loop, int fd, const struct link_listener *listener, struct err *err)
{
	struct link *link = NEW(struct link);
	*link = (struct link){.fd = fd, .listener = *listener};
	link->last = &link->first;
	link->source = loop_watch(loop, fd, LOOP_READ, on_ready, link, err);
	if (link->source != NULL)
		return link;
	link_free(link);
	return NULL;
}

static void free_first(struct link *link)
{
	struct waiting *waiting = link->first;
	link->first = waiting->next;
	if (link->first == NULL)
		link->last = &link->first;
	link->n_waiting--;
	supervise_close_fds(&waiting->message);
	mem_wipe(waiting, sizeof *waiting);
	free(waiting);
}

void link_free(struct link *link)
{
	if (link == NULL)
		return;
	while (link->first != NULL)
		free_first(link);
	loop_source_free(link->source);
	close(link->fd);
	free(link);
}

static void end(struct link *link, const struct err *why)
{
	if (link->over)
		return;
	link->over = true;
	loop_watch_set(link->source, 0);
	while (link->first != NULL)
		free_first(link);
	link->listener.gone(link->listener.user, why);
}

/* False when there was nothing to read or nothing more will come. */
static bool read_one(struct link *link)
{
	static struct supervise_message m;
	static struct err err;
	err_clear(&err);
	int got = supervise_recv(link->fd, &m, &err);
	if (got == 2)
		return false;
	if (got != 1) {
		end(link, &err);
		return false;
	}
	link->listener.message(link->listener.user, &m);
	supervise_close_fds(&m);
	return true;
}

static void flush(struct link *link)
{
	while (link->first != NULL) {
		struct supervise_message *m = &link->first->message;
		struct supervise_outgoing out = {m->frame.type, m->frame.id, supervise_body(m), m->fds, m->n_fds};
		int sent = supervise_try_send(link->fd, &out, NULL);
		if (sent == 0)
			return;
		if (sent < 0) /* the end of what can be read tells why */
			shutdown(link->fd, SHUT_WR);
		free_first(link);
	}
	loop_watch_set(link->source, LOOP_READ);
}

static void on_ready(void *user, int what)
{
	struct link *link = user;
	if ((what & LOOP_WRITE) != 0)
		flush(link);
	if ((what & (LOOP_READ | LOOP_GONE)) != 0)
		(void)read_one(link);
}

static bool copy_descriptors(struct supervise_message *m, const int *fds, size_t n_fds)
{
	for (; m->n_fds < n_fds; m->n_fds++) {
		m->fds[m->n_fds] = fcntl(fds[m->n_fds], F_DUPFD_CLOEXEC, 0);
		if (m->fds[m->n_fds] < 0)
			return false;
	}
	return true;
}

/* False when it is given up: a child that does not read, or no descriptors are left. */
static bool queue(struct link *link, const struct supervise_outgoing *out)
{
	if (link->n_waiting >= LINK_QUEUE_MAX)
		return false;
	struct waiting *waiting = NEW(struct waiting);
	struct supervise_message *m = &waiting->message;
	m->frame = (struct supervise_frame){.type = out->type, .id = out->id, .n = (uint32_t)out->body.n};
	if (out->body.n > 0)
		memcpy(m->frame.body, out->body.p, out->body.n);
	*link->last = waiting;
	link->last = &waiting->next;
	link->n_waiting++;
	loop_watch_set(link->source, LOOP_READ | LOOP_WRITE);
	return copy_descriptors(m, out->fds, out->n_fds);
}

void link_send(struct link *link, uint32_t type, uint32_t id, struct str body, const int *fds, size_t n_fds)
{
	if (body.n > SUPERVISE_BODY || n_fds > SUPERVISE_FDS_MAX)
		BUG("%zu bytes and %zu descriptors for a frame", body.n, n_fds);
	if (link->over)
		return;
	struct supervise_outgoing out = {type, id, body, fds, n_fds};
	int sent = link->first == NULL ? supervise_try_send(link->fd, &out, NULL) : 0;
	if (sent < 0 || (sent == 0 && !queue(link, &out)))
		shutdown(link->fd, SHUT_RDWR);
}

void link_drain(struct link *link)
{
	while (!link->over && read_one(link))
		continue;
}
