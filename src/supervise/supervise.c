#include "supervise/supervise.h"
#include "base/ascii.h"
#include "base/mem.h"
#include "text/wire.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

const char *supervise_role_name(enum supervise_role role)
{
	static const char *const names[SUPERVISE_ROLE__MAX] = {
		[SUPERVISE_CONTROL] = "control",
		[SUPERVISE_KEEPER] = "keeper",
		[SUPERVISE_EGRESS] = "egress",
		[SUPERVISE_RUNNER] = "runner",
	};
	return (size_t)role < ARRAY_LEN(names) && names[role] != NULL ? names[role] : "unknown";
}

void supervise_close_fds(struct supervise_message *m)
{
	for (size_t i = 0; i < m->n_fds; i++) {
		if (m->fds[i] >= 0)
			close(m->fds[i]);
		m->fds[i] = -1;
	}
	m->n_fds = 0;
}

int supervise_pair(int ret[2], struct err *err)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return fail_errno(err, "cannot make a pair of sockets");
	ret[0] = fds[0];
	ret[1] = fds[1];
	return 0;
}

/* Room for exactly so many descriptors: the kernel drops, closes and reports what is beyond. */
union ancillary {
	char bytes[CMSG_SPACE(SUPERVISE_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

static ssize_t send_once(int fd, const struct supervise_frame *frame, const int *fds, size_t n_fds, int flags)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)frame, .iov_len = sizeof *frame};
	union ancillary ancillary = {0};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	if (n_fds > 0) {
		message.msg_control = ancillary.bytes;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		ancillary.align.cmsg_level = SOL_SOCKET;
		ancillary.align.cmsg_type = SCM_RIGHTS;
		ancillary.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&ancillary.align), fds, n_fds * sizeof(int));
	}
	ssize_t sent;
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL | flags);
	while (sent < 0 && errno == EINTR);
	return sent;
}

/* A descriptor that is non-blocking, by its owner's wish, waits here all the same. */
static int wait_for_room(int fd)
{
	struct pollfd room = {.fd = fd, .events = POLLOUT};
	int ready = poll(&room, 1, -1);
	return ready >= 0 || errno == EINTR ? 0 : -1;
}

/* 1 sent, 0 no room (never with `wait`), -1 with errno. */
static int send_frame(int fd, const struct supervise_frame *frame, const int *fds, size_t n_fds, bool wait)
{
	for (;;) {
		if (send_once(fd, frame, fds, n_fds, wait ? 0 : MSG_DONTWAIT) >= 0)
			return 1;
		if (errno != EAGAIN)
			return -1;
		if (!wait)
			return 0;
		if (wait_for_room(fd) != 0)
			return -1;
	}
}

static int send_body(int fd, const struct supervise_outgoing *out, bool wait, struct err *err)
{
	if (out->n_fds > SUPERVISE_FDS_MAX)
		BUG("%zu descriptors in one frame", out->n_fds);
	if (out->body.n > SUPERVISE_BODY)
		return fail(err, ERR_LIMIT, "a message to another process is larger than %d bytes", SUPERVISE_BODY);
	struct supervise_frame frame = {.type = out->type, .id = out->id, .n = (uint32_t)out->body.n};
	if (out->body.n > 0)
		memcpy(frame.body, out->body.p, out->body.n);
	int result = send_frame(fd, &frame, out->fds, out->n_fds, wait);
	int error = errno;
	mem_wipe(frame.body, out->body.n); /* START carries keys */
	errno = error;
	return result >= 0 ? result : fail_errno(err, "cannot send to another process");
}

int supervise_send(int fd, uint32_t type, uint32_t id, struct str body, const int *fds, size_t n_fds, struct err *err)
{
	struct supervise_outgoing out = {.type = type, .id = id, .body = body, .fds = fds, .n_fds = n_fds};
	return send_body(fd, &out, true, err) == 1 ? 0 : -1;
}

int supervise_try_send(int fd, const struct supervise_outgoing *out, struct err *err)
{
	return send_body(fd, out, false, err);
}

/* Those of every control message; an fd count that is no whole number of them cannot come from the kernel. */
static void take_descriptors(struct msghdr *header, struct supervise_message *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(m->fds + m->n_fds, CMSG_DATA(c), n * sizeof(int));
		m->n_fds += n;
	}
}

static int check_frame(const struct supervise_message *m, ssize_t got, int flags, struct err *err)
{
	if (got != (ssize_t)sizeof m->frame || (flags & MSG_TRUNC) != 0)
		return fail(err, ERR_PROTOCOL, "a message between processes is not %zu bytes long", sizeof m->frame);
	if ((flags & MSG_CTRUNC) != 0)
		return fail(err, ERR_PROTOCOL, "a message between processes carries more than %d descriptors",
			    SUPERVISE_FDS_MAX);
	if (m->frame.n > SUPERVISE_BODY || m->frame.zero != 0)
		return fail(err, ERR_PROTOCOL, "a message between processes has a wrong head");
	return 0;
}

int supervise_recv(int fd, struct supervise_message *ret, struct err *err)
{
	struct supervise_message m = {.fds = {-1, -1, -1, -1}};
	struct iovec iov = {&m.frame, sizeof m.frame};
	union ancillary ancillary = {0};
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ancillary.bytes,
		.msg_controllen = sizeof ancillary.bytes,
	};
	ssize_t got;
	do
		got = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		return 2;
	if (got < 0 && errno != ECONNRESET)
		return fail_errno(err, "cannot receive from another process");
	if (got <= 0)
		return 0;
	take_descriptors(&header, &m);
	if (check_frame(&m, got, header.msg_flags, err) != 0) {
		supervise_close_fds(&m);
		return -1;
	}
	*ret = m;
	mem_wipe(&m, sizeof m);
	return 1;
}

void supervise_put_err(struct buf *out, const struct err *err)
{
	AUTO_BUF whole = BUF_INIT(SUPERVISE_BODY - sizeof(uint32_t) * 2);
	wire_put_err(&whole, err);
	if (buf_ok(&whole)) {
		buf_add_str(out, buf_str(&whole));
		return;
	}
	struct err shorter = *err;
	shorter.details_n = 0;
	shorter.details[0] = '\0';
	wire_put_err(out, &shorter);
}

bool supervise_notice_is_valid(struct str id)
{
	for (size_t i = 0; i < id.n; i++) {
		if (!ascii_is_alnum(id.p[i]) && id.p[i] != '-')
			return false;
	}
	return id.n > 0 && id.n <= SUPERVISE_NOTICE_MAX && id.p[0] != '-';
}

void supervise_child_put(struct buf *out, const struct supervise_child *m)
{
	wire_put_u8(out, (uint8_t)m->role);
	wire_put_bool(out, m->running);
	wire_put_bool(out, m->silent);
	wire_put_u32(out, m->pid);
	wire_put_u32(out, m->restarts);
	wire_put_u64(out, m->started_at);
	wire_put_str(out, m->last_end);
	wire_put_str(out, m->confinement);
}

int supervise_child_get(struct str body, struct supervise_child *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	uint8_t role = wire_u8(&r);
	struct supervise_child got = {.running = wire_bool(&r)};
	got.silent = wire_bool(&r);
	got.pid = wire_u32(&r);
	got.restarts = wire_u32(&r);
	got.started_at = wire_u64(&r);
	got.last_end = wire_str(&r);
	got.confinement = wire_str(&r);
	if (wire_done(&r, "child", err) != 0)
		return -1;
	if (role == 0 || role >= SUPERVISE_ROLE__MAX)
		return fail(err, ERR_PROTOCOL, "a process of unknown role %u was told of", role);
	got.role = (enum supervise_role)role;
	*ret = got;
	return 0;
}
