#include "daemon/ready.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/time.h"
#include "text/wire.h"
#include <errno.h>
#include <poll.h>

enum { READY = 0, REFUSED = 1 };
#define MESSAGE_MAX ((size_t)16 << 10)

/* A pipe takes as much at once. Whoever waited may have given up; that is no concern of ours. */
static void tell(int fd, const struct buf *message)
{
	if (fd < 0)
		return;
	(void)!write(fd, message->p, message->n);
	close(fd);
}

void ready_tell(int fd)
{
	AUTO_BUF message = BUF_INIT(1);
	buf_add_char(&message, READY);
	tell(fd, &message);
}

void ready_tell_failure(int fd, const struct err *why)
{
	AUTO_BUF message = BUF_INIT(MESSAGE_MAX);
	buf_add_char(&message, REFUSED);
	wire_put_err(&message, why);
	tell(fd, &message);
}

/* Until the end of the pipe, or the first byte says that more is not needed. */
static bool read_message(int fd, uint64_t until, struct buf *out)
{
	for (;;) {
		uint64_t now = clock_monotonic_ns(NULL);
		if (now >= until)
			return false;
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		int n = poll(&poll_fd, 1, time_ms_until(until, now));
		if (n == 0 || (n < 0 && errno == EINTR))
			continue;
		char *room = buf_reserve(out, 1024);
		ssize_t got = n > 0 && room != NULL ? read(fd, room, 1024) : -1;
		if (got <= 0)
			return got == 0;
		buf_commit(out, (size_t)got);
		if (out->p[0] == READY)
			return true;
	}
}

int ready_wait(int fd, int ms, struct err *ret_why)
{
	AUTO_BUF message = BUF_INIT(MESSAGE_MAX + 1024);
	if (!read_message(fd, clock_monotonic_ns(NULL) + (uint64_t)ms * TIME_MILLISECOND, &message))
		return fail(ret_why, ERR_UNREACHABLE, "the daemon did not become ready within %d ms", ms);
	if (message.n == 1 && message.p[0] == READY)
		return 1;
	struct wire_reader r = wire_reader(str_slice(buf_str(&message), 1, message.n));
	struct err why;
	wire_get_err(&r, &why);
	if (message.n < 2 || message.p[0] != REFUSED || wire_done(&r, "refusal", NULL) != 0)
		return fail(ret_why, ERR_UNREACHABLE, "the daemon ended before it was ready");
	if (ret_why != NULL)
		*ret_why = why;
	return 0;
}
