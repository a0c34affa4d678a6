#include "os/fdpass.h"
#include "base/mem.h"
#include <errno.h>
#include <sys/socket.h>

union control {
	char bytes[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
	struct cmsghdr align;
};

int fdpass_send(int socket, const int *fds, size_t n, struct err *err)
{
	if (n == 0 || n > FDPASS_MAX)
		BUG("%zu descriptors in one message", n);
	char byte = 0;
	struct iovec iov = {&byte, 1};
	union control control = {0};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header == NULL)
		BUG("no room for %zu descriptors", n);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(header), fds, n * sizeof(int));

	ssize_t sent;
	do
		sent = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == 1 ? 0 : fail_errno(err, "cannot pass descriptors");
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

/* The descriptors of all control messages; what does not fit in `control` the kernel has closed already. */
static size_t take_descriptors(struct msghdr *message, int fds[FDPASS_MAX])
{
	size_t n = 0;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds + n, CMSG_DATA(header), count * sizeof(int));
		n += count;
	}
	return n;
}

int fdpass_recv(int socket, int *ret_fds, size_t n, struct err *err)
{
	if (n == 0 || n > FDPASS_MAX)
		BUG("%zu descriptors in one message", n);
	char byte;
	struct iovec iov = {&byte, 1};
	union control control = {0};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};
	ssize_t got;
	do
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got == 0 ? 0 : fail_errno(err, "cannot receive descriptors");

	int fds[FDPASS_MAX];
	size_t n_fds = take_descriptors(&message, fds);
	if (n_fds != n || (message.msg_flags & MSG_CTRUNC) != 0) {
		close_all(fds, n_fds);
		return fail(err, ERR_PROTOCOL, "%zu descriptors arrived where %zu were due", n_fds, n);
	}
	memcpy(ret_fds, fds, n * sizeof(int));
	return 1;
}
