#include "os/fdpass.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <cmocka.h>

static int pair[2];

static int open_pair(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
}

static int close_pair(void **state)
{
	(void)state;
	close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
	return 0;
}

static int count_descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void descriptors_arrive_in_order(void **state)
{
	(void)state;
	int a[2], b[2], got[2] = {-1, -1};
	assert_int_equal(pipe(a), 0);
	assert_int_equal(pipe(b), 0);
	assert_int_equal(fdpass_send(pair[0], (int[]){a[1], b[1]}, 2, NULL), 0);
	assert_int_equal(fdpass_recv(pair[1], got, 2, NULL), 1);
	assert_int_equal(fcntl(got[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(got[0], "a", 1), 1);
	assert_int_equal(write(got[1], "b", 1), 1);
	char byte;
	assert_int_equal(read(a[0], &byte, 1), 1);
	assert_int_equal(byte, 'a');
	assert_int_equal(read(b[0], &byte, 1), 1);
	assert_int_equal(byte, 'b');
	int all[] = {a[0], a[1], b[0], b[1], got[0], got[1]};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		close(all[i]);
}

static void another_number_is_refused_and_closed(void **state)
{
	(void)state;
	int before = count_descriptors(), got[FDPASS_MAX] = {-7, -7};
	int many[FDPASS_MAX];
	for (size_t i = 0; i < FDPASS_MAX; i++)
		many[i] = pair[0];
	struct err err = {0};
	assert_int_equal(fdpass_send(pair[0], many, FDPASS_MAX, NULL), 0);
	assert_int_equal(fdpass_recv(pair[1], got, 2, &err), -1);
	assert_int_equal(err.class, ERR_PROTOCOL);
	assert_string_equal(err.message, "16 descriptors arrived where 2 were due");
	assert_int_equal(fdpass_send(pair[0], many, 1, NULL), 0);
	assert_int_equal(fdpass_recv(pair[1], got, 2, &err), -1);
	assert_int_equal(send(pair[0], "x", 1, 0), 1);
	assert_int_equal(fdpass_recv(pair[1], got, 1, &err), -1);
	assert_int_equal(got[0], -7);
	assert_int_equal(count_descriptors(), before);
}

/* More than there is room for: the kernel drops some, which must not pass for the right number. */
static void too_many_are_refused_and_closed(void **state)
{
	(void)state;
	enum { MANY = FDPASS_MAX + 4 };
	int before = count_descriptors(), got[FDPASS_MAX];
	union {
		char bytes[CMSG_SPACE(MANY * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(MANY * sizeof(int));
	int *fds = (int *)(void *)CMSG_DATA(header);
	for (int i = 0; i < MANY; i++)
		fds[i] = pair[0];
	assert_int_equal(sendmsg(pair[0], &message, 0), 1);
	assert_int_equal(fdpass_recv(pair[1], got, FDPASS_MAX, NULL), -1);
	assert_int_equal(count_descriptors(), before);
}

static void a_closed_peer_is_told(void **state)
{
	(void)state;
	int fd = pair[0], got;
	close(pair[1]);
	pair[1] = -1;
	struct err err = {0};
	assert_int_equal(fdpass_recv(pair[0], &got, 1, NULL), 0);
	assert_int_equal(fdpass_send(pair[0], &fd, 1, &err), -1);
	assert_int_equal(err.os_errno, EPIPE);
}

#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PAIR(descriptors_arrive_in_order),
		WITH_PAIR(another_number_is_refused_and_closed),
		WITH_PAIR(too_many_are_refused_and_closed),
		WITH_PAIR(a_closed_peer_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
