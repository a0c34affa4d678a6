#include "rpc/rpc.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

/*
 * Receiving. One read fills `in`, from which any number of small frames are taken in place. A frame that is larger than
 * `in` gets memory of its own once its header was permitted; the rest of it is read straight into that, never past its
 * end, so at most one large body exists and whatever follows it starts an empty `in`. The memory goes back (or to the
 * caller, with rpc_take_body()) at the next receive.
 */
#define IN_ROOM ((size_t)64 << 10)

/* A frame, or what is left of one, that the socket did not take yet. */
struct queued {
	struct queued *next;
	size_t n, sent;
	char bytes[];
};

struct rpc_channel {
	int fd;
	uint16_t state;
	bool sensitive;
	bool dead; /* the receiving side gave up */
	const struct rpc_rule *rules;

	char *in; /* IN_ROOM bytes, those in [start, end) not yet taken */
	size_t start, end;
	size_t lent; /* bytes of `in` before start that the last frame borrows */

	char *large; /* body of a frame larger than `in` */
	size_t large_n, large_got;
	bool large_lent; /* complete and borrowed by the last frame */
	struct rpc_frame large_head;

	pthread_mutex_t sending;
	struct queued *first, **last; /* under `sending` */
	_Atomic size_t queued;        /* written under `sending` */
};

struct header {
	uint32_t n;
	uint16_t type, zero;
	uint32_t id;
};

static struct header get_header(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;
	return (struct header){
		.n = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24,
		.type = (uint16_t)(b[4] | b[5] << 8),
		.zero = (uint16_t)(b[6] | b[7] << 8),
		.id = (uint32_t)b[8] | (uint32_t)b[9] << 8 | (uint32_t)b[10] << 16 | (uint32_t)b[11] << 24,
	};
}

static void put_header(char *p, size_t n, uint16_t type, uint32_t id)
{
	for (int i = 0; i < 4; i++) {
		p[i] = (char)(n >> (8 * i) & 0xff);
		p[8 + i] = (char)(id >> (8 * i) & 0xff);
	}
	p[4] = (char)(type & 0xff);
	p[5] = (char)(type >> 8);
	p[6] = p[7] = 0;
}

struct rpc_channel *rpc_channel_new(int fd, const struct rpc_rule *rules)
{
	for (const struct rpc_rule *rule = rules; rule->name != NULL; rule++) {
		if (rule->max > RPC_BODY_MAX)
			BUG("message %s may have %u bytes", rule->name, rule->max);
	}
	struct rpc_channel *channel = NEW(struct rpc_channel);
	channel->fd = fd;
	channel->state = 1;
	channel->rules = rules;
	channel->in = xmalloc(IN_ROOM);
	channel->last = &channel->first;
	pthread_mutex_init(&channel->sending, NULL);
	return channel;
}

static void drop_large(struct rpc_channel *channel)
{
	if (channel->large != NULL && channel->sensitive)
		mem_wipe(channel->large, channel->large_got);
	free(channel->large);
	channel->large = NULL;
	channel->large_n = channel->large_got = 0;
	channel->large_lent = false;
}

static void drop_queued(struct rpc_channel *channel)
{
	struct queued *gone = channel->first;
	channel->first = gone->next;
	if (channel->first == NULL)
		channel->last = &channel->first;
	channel->queued -= gone->n - gone->sent;
	if (channel->sensitive)
		mem_wipe(gone->bytes, gone->n);
	free(gone);
}

void rpc_channel_free(struct rpc_channel *channel)
{
	if (channel == NULL)
		return;
	drop_large(channel);
	while (channel->first != NULL)
		drop_queued(channel);
	if (channel->sensitive)
		mem_wipe(channel->in, IN_ROOM);
	free(channel->in);
	pthread_mutex_destroy(&channel->sending);
	close(channel->fd);
	free(channel);
}

int rpc_fd(const struct rpc_channel *channel)
{
	return channel->fd;
}

void rpc_set_state(struct rpc_channel *channel, uint16_t state)
{
	channel->state = state;
}

void rpc_set_sensitive(struct rpc_channel *channel, bool sensitive)
{
	channel->sensitive = sensitive;
}

static const struct rpc_rule *find_rule(const struct rpc_rule *rules, uint16_t type)
{
	for (const struct rpc_rule *rule = rules; rule->name != NULL; rule++) {
		if (rule->type == type)
			return rule;
	}
	return NULL;
}

static bool is_permitted(const struct rpc_channel *channel, const struct header *head)
{
	const struct rpc_rule *rule = find_rule(channel->rules, head->type);
	return rule != NULL && head->zero == 0 && (rule->states & channel->state) != 0 && head->n <= rule->max;
}

static int refuse(struct rpc_channel *channel, const struct header *head, struct err *err)
{
	const struct rpc_rule *rule = find_rule(channel->rules, head->type);
	channel->dead = true;
	if (rule == NULL)
		return fail(err, ERR_PROTOCOL, "a message of the unknown type %u arrived", (unsigned)head->type);
	if (head->zero != 0)
		return fail(err, ERR_PROTOCOL, "message '%s' has a reserved field that is not zero", rule->name);
	if ((rule->states & channel->state) == 0)
		return fail(err, ERR_PROTOCOL, "message '%s' arrived out of turn", rule->name);
	return fail(err, ERR_PROTOCOL, "message '%s' has %lu bytes, more than %lu", rule->name, (unsigned long)head->n,
		    (unsigned long)rule->max);
}

/* What the last frame lent is no longer anybody's. */
static void end_loan(struct rpc_channel *channel)
{
	if (channel->large_lent)
		drop_large(channel);
	if (channel->lent > 0 && channel->sensitive)
		mem_wipe(channel->in + channel->start - channel->lent, channel->lent);
	channel->lent = 0;
}

/* The frame is longer than `in`: what there is of it moves to memory of its own. */
static int begin_large(struct rpc_channel *channel, const struct header *head, struct err *err)
{
	size_t have = channel->end - channel->start - RPC_HEADER;
	channel->large = malloc(head->n);
	if (channel->large == NULL) {
		channel->dead = true;
		return fail(err, ERR_LIMIT, "no memory for a message of %lu bytes", (unsigned long)head->n);
	}
	channel->large_n = head->n;
	channel->large_got = have;
	channel->large_head = (struct rpc_frame){.type = head->type, .id = head->id};
	memcpy(channel->large, channel->in + channel->start + RPC_HEADER, have);
	if (channel->sensitive)
		mem_wipe(channel->in + channel->start, channel->end - channel->start);
	channel->start = channel->end = 0;
	return 0;
}

static int take_large(struct rpc_channel *channel, struct rpc_frame *ret)
{
	if (channel->large_got < channel->large_n)
		return 2;
	channel->large_lent = true;
	*ret = channel->large_head;
	ret->body = (struct str){channel->large, channel->large_n};
	return 1;
}

/* A frame from what was read already: 1, 2 when there is no whole one, -1 when it is not permitted. */
static int take_frame(struct rpc_channel *channel, struct rpc_frame *ret, struct err *err)
{
	if (channel->large != NULL)
		return take_large(channel, ret);
	size_t have = channel->end - channel->start;
	if (have < RPC_HEADER)
		return 2;
	struct header head = get_header(channel->in + channel->start);
	if (!is_permitted(channel, &head))
		return refuse(channel, &head, err);
	size_t whole = RPC_HEADER + (size_t)head.n;
	if (whole > IN_ROOM)
		return begin_large(channel, &head, err) != 0 ? -1 : take_large(channel, ret);
	if (have < whole)
		return 2;
	*ret = (struct rpc_frame){
		.type = head.type,
		.id = head.id,
		.body = {channel->in + channel->start + RPC_HEADER, head.n},
	};
	channel->start += whole;
	channel->lent = whole;
	return 1;
}

/* Makes room behind the bytes that wait: all of `in` when there are none, else enough for the frame they begin. */
static void make_room(struct rpc_channel *channel)
{
	size_t have = channel->end - channel->start;
	if (have == 0) {
		channel->start = channel->end = 0;
		return;
	}
	size_t whole = have < RPC_HEADER ? RPC_HEADER : RPC_HEADER + (size_t)get_header(channel->in + channel->start).n;
	if (channel->start + whole <= IN_ROOM)
		return;
	memmove(channel->in, channel->in + channel->start, have);
	if (channel->sensitive)
		mem_wipe(channel->in + have, channel->end - have);
	channel->start = 0;
	channel->end = have;
}

static int ended(struct rpc_channel *channel, struct err *err)
{
	if (channel->large == NULL && channel->start == channel->end)
		return 0;
	channel->dead = true;
	return fail(err, ERR_PROTOCOL, "the peer ended in the middle of a message");
}

/* One read: 1 when bytes came, 2 when there are none now, 0 at the end, -1. */
static int read_once(struct rpc_channel *channel, int flags, struct err *err)
{
	char *to = channel->large;
	size_t room = channel->large_n - channel->large_got, *got = &channel->large_got;
	if (to == NULL) {
		make_room(channel);
		to = channel->in;
		room = IN_ROOM - channel->end;
		got = &channel->end;
	}
	ssize_t n;
	do
		n = recv(channel->fd, to + *got, room, flags);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		*got += (size_t)n;
		return 1;
	}
	/* A peer that ended while our bytes waited unread shows as a reset; all of its own were read before. */
	if (n == 0 || errno == ECONNRESET)
		return ended(channel, err);
	if (errno == EAGAIN)
		return 2;
	channel->dead = true;
	return fail_errno(err, "cannot receive a message");
}

static int wait_for(int fd, short events, struct err *err)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};
	while (poll(&poll_fd, 1, -1) < 0) {
		if (errno != EINTR)
			return fail_errno(err, "cannot wait for a socket");
	}
	return 0;
}

static int begin_receive(struct rpc_channel *channel, struct err *err)
{
	if (channel->dead)
		return fail(err, ERR_PROTOCOL, "the channel is broken since an earlier failure");
	end_loan(channel);
	return 0;
}

int rpc_recv(struct rpc_channel *channel, struct rpc_frame *ret, struct err *err)
{
	if (begin_receive(channel, err) != 0)
		return -1;
	for (;;) {
		int result = take_frame(channel, ret, err);
		if (result != 2)
			return result;
		result = read_once(channel, 0, err);
		if (result <= 0)
			return result;
		if (result == 2 && wait_for(channel->fd, POLLIN, err) != 0)
			return -1;
	}
}

int rpc_pump(struct rpc_channel *channel, struct rpc_frame *ret, struct err *err)
{
	if (begin_receive(channel, err) != 0)
		return -1;
	int result = take_frame(channel, ret, err);
	if (result != 2)
		return result;
	result = read_once(channel, MSG_DONTWAIT, err);
	return result == 1 ? take_frame(channel, ret, err) : result;
}

bool rpc_has_frame(const struct rpc_channel *channel)
{
	if (channel->dead)
		return true;
	if (channel->large != NULL && !channel->large_lent)
		return channel->large_got == channel->large_n;
	size_t have = channel->end - channel->start;
	if (have < RPC_HEADER)
		return false;
	struct header head = get_header(channel->in + channel->start);
	return have >= RPC_HEADER + (size_t)head.n || !is_permitted(channel, &head);
}

char *rpc_take_body(struct rpc_channel *channel, struct rpc_frame *frame)
{
	if (channel->large_lent && frame->body.p == channel->large) {
		channel->large_lent = false;
		channel->large_n = channel->large_got = 0;
		return TAKE(channel->large);
	}
	char *copy = str_dup(frame->body);
	if (channel->sensitive && channel->lent > 0) {
		mem_wipe(channel->in + channel->start - channel->lent, channel->lent);
		channel->lent = 0;
	}
	frame->body.p = copy;
	return copy;
}

/* A frame to be sent as the kernel wants it; what was sent is cut off the front. */
struct outgoing {
	char header[RPC_HEADER];
	struct iovec iov[1 + RPC_PARTS_MAX];
	size_t n_iov, next; /* iov[next] is the first with bytes left */
	size_t left;
};

static int outgoing_init(struct outgoing *out, uint16_t type, uint32_t id, const struct str *parts, size_t n_parts,
			 struct err *err)
{
	if (n_parts > RPC_PARTS_MAX)
		BUG("a message of %zu parts", n_parts);
	size_t body = 0;
	out->iov[0] = (struct iovec){out->header, RPC_HEADER};
	out->n_iov = 1;
	out->next = out->left = 0;
	for (size_t i = 0; i < n_parts; i++) {
		if (parts[i].n > RPC_BODY_MAX - body)
			return fail(err, ERR_LIMIT, "a message of type %u is larger than %zu bytes", (unsigned)type,
				    RPC_BODY_MAX);
		body += parts[i].n;
		/* sendmsg only reads; its struct serves recvmsg too. */
		union {
			const char *from;
			void *base;
		} bytes = {.from = parts[i].p};
		if (parts[i].n > 0)
			out->iov[out->n_iov++] = (struct iovec){bytes.base, parts[i].n};
	}
	put_header(out->header, body, type, id);
	out->left = RPC_HEADER + body;
	return 0;
}

static void outgoing_skip(struct outgoing *out, size_t n)
{
	out->left -= n;
	while (n > 0) {
		struct iovec *iov = &out->iov[out->next];
		size_t step = MIN(n, iov->iov_len);
		iov->iov_base = (char *)iov->iov_base + step;
		iov->iov_len -= step;
		n -= step;
		if (iov->iov_len == 0)
			out->next++;
	}
}

/* Bytes sent, 0 when the socket is full, -1. */
static ssize_t send_some(int fd, struct iovec *iov, size_t n_iov, int flags, struct err *err)
{
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = n_iov};
	ssize_t n;
	do
		n = sendmsg(fd, &message, MSG_NOSIGNAL | flags);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	if (errno == EAGAIN)
		return 0;
	return fail_errno(err, "cannot send a message");
}

static int send_all(int fd, struct outgoing *out, struct err *err)
{
	while (out->left > 0) {
		ssize_t n = send_some(fd, out->iov + out->next, out->n_iov - out->next, 0, err);
		if (n < 0 || (n == 0 && wait_for(fd, POLLOUT, err) != 0))
			return -1;
		outgoing_skip(out, (size_t)n);
	}
	return 0;
}

int rpc_send(struct rpc_channel *channel, uint16_t type, uint32_t id, const struct str *parts, size_t n_parts,
	     struct err *err)
{
	struct outgoing out;
	if (outgoing_init(&out, type, id, parts, n_parts, err) != 0)
		return -1;
	pthread_mutex_lock(&channel->sending);
	int result = send_all(channel->fd, &out, err);
	pthread_mutex_unlock(&channel->sending);
	return result;
}

static void queue_rest(struct rpc_channel *channel, const struct outgoing *out)
{
	struct queued *rest = xmalloc(sizeof *rest + out->left);
	*rest = (struct queued){.n = out->left};
	size_t at = 0;
	for (size_t i = out->next; i < out->n_iov; i++) {
		memcpy(rest->bytes + at, out->iov[i].iov_base, out->iov[i].iov_len);
		at += out->iov[i].iov_len;
	}
	*channel->last = rest;
	channel->last = &rest->next;
	channel->queued += rest->n;
}

static int queue_frame(struct rpc_channel *channel, struct outgoing *out, struct err *err)
{
	if (channel->queued > 0 && out->left > RPC_QUEUE_MAX - channel->queued)
		return fail(err, ERR_LIMIT, "%zu bytes of messages wait already; the peer does not read",
			    channel->queued);
	if (channel->queued == 0) {
		ssize_t n = send_some(channel->fd, out->iov, out->n_iov, MSG_DONTWAIT, err);
		if (n < 0)
			return -1;
		outgoing_skip(out, (size_t)n);
	}
	if (out->left > 0)
		queue_rest(channel, out);
	return 0;
}

int rpc_queue(struct rpc_channel *channel, uint16_t type, uint32_t id, const struct str *parts, size_t n_parts,
	      struct err *err)
{
	struct outgoing out;
	if (outgoing_init(&out, type, id, parts, n_parts, err) != 0)
		return -1;
	pthread_mutex_lock(&channel->sending);
	int result = queue_frame(channel, &out, err);
	pthread_mutex_unlock(&channel->sending);
	return result;
}

/* Sends the front of the queue once: 1 when something went out, 0 when the socket is full, -1. */
static int flush_some(struct rpc_channel *channel, struct err *err)
{
	struct iovec iov[16];
	size_t n_iov = 0;
	for (struct queued *q = channel->first; q != NULL && n_iov < ARRAY_LEN(iov); q = q->next)
		iov[n_iov++] = (struct iovec){q->bytes + q->sent, q->n - q->sent};
	ssize_t n = send_some(channel->fd, iov, n_iov, MSG_DONTWAIT, err);
	if (n <= 0)
		return (int)n;
	size_t left = (size_t)n;
	while (left > 0) {
		struct queued *q = channel->first;
		size_t step = MIN(left, q->n - q->sent);
		q->sent += step;
		channel->queued -= step;
		left -= step;
		if (q->sent == q->n)
			drop_queued(channel);
	}
	return 1;
}

int rpc_flush(struct rpc_channel *channel, struct err *err)
{
	pthread_mutex_lock(&channel->sending);
	int result = 1;
	while (result == 1 && channel->first != NULL)
		result = flush_some(channel, err);
	pthread_mutex_unlock(&channel->sending);
	return result < 0 ? -1 : 0;
}

size_t rpc_queued(const struct rpc_channel *channel)
{
	return channel->queued;
}
