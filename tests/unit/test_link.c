#include "daemon/link.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <cmocka.h>

static struct loop *loop;
static struct link *end;
static int other = -1;

/* What the listener was told. */
static uint32_t n_messages, last_id;
static int n_gone, taken_fd = -1;
static enum err_class gone_class;

static void on_message(void *user, struct supervise_message *m)
{
	(void)user;
	n_messages++;
	last_id = m->frame.id;
	if (m->frame.type == SUPERVISE_RELAY) {
		taken_fd = m->fds[0];
		m->fds[0] = -1;
	}
}

static void on_gone(void *user, const struct err *why)
{
	(void)user;
	n_gone++;
	gone_class = why->class;
}

static int set_up(void **state)
{
	(void)state;
	int pair[2];
	static const struct link_listener listener = {on_message, on_gone, NULL};
	loop = loop_new(NULL);
	if (loop == NULL || supervise_pair(pair, NULL) != 0)
		return -1;
	other = pair[1];
	n_messages = last_id = 0;
	n_gone = 0;
	taken_fd = -1;
	end = link_new(loop, pair[0], &listener, NULL);
	return end != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	link_free(end);
	loop_free(loop);
	if (other >= 0)
		close(other);
	return 0;
}

static int count_descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < 2048; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void frames_come_with_what_they_carry(void **state)
{
	(void)state;
	int before = count_descriptors(), fds[2] = {other, other};
	assert_int_equal(supervise_send(other, SUPERVISE_RELAY, 1, STR_EMPTY, fds, 2, NULL), 0);
	assert_int_equal(supervise_send(other, SUPERVISE_READY, 2, STR_EMPTY, fds, 2, NULL), 0);
	while (n_messages < 2)
		loop_turn(loop, true);
	assert_int_equal(last_id, 2);
	assert_int_equal(count_descriptors(), before + 1);
	close(taken_fd);
}

static void the_end_is_told_once(void **state)
{
	(void)state;
	assert_int_equal(supervise_send(other, SUPERVISE_FAILED, 9, STR_EMPTY, NULL, 0, NULL), 0);
	close(other);
	other = -1;
	link_drain(end);
	assert_int_equal(n_messages, 1);
	assert_int_equal(n_gone, 1);
	assert_int_equal(gone_class, ERR_NONE);
	loop_turn(loop, false);
	link_drain(end);
	link_send(end, SUPERVISE_STOP, 0, STR_EMPTY, NULL, 0);
	assert_int_equal(n_gone, 1);
}

static void what_is_no_frame_ends_it(void **state)
{
	(void)state;
	assert_int_equal(send(other, "x", 1, 0), 1);
	loop_turn(loop, true);
	assert_int_equal(n_gone, 1);
	assert_int_equal(gone_class, ERR_PROTOCOL);
	assert_int_equal(n_messages, 0);
}

static void what_does_not_fit_waits_in_order(void **state)
{
	(void)state;
	enum { FRAMES = 400 };
	int before = count_descriptors(), pipe_fds[2];
	static struct supervise_message m;
	assert_int_equal(pipe(pipe_fds), 0);
	for (uint32_t id = 0; id < FRAMES; id++)
		link_send(end, SUPERVISE_LOG, id, S("b"), &pipe_fds[1], id % 2);
	close(pipe_fds[1]);
	assert_int_equal(fcntl(other, F_SETFL, O_NONBLOCK), 0);
	for (uint32_t id = 0; id < FRAMES;) {
		int got = supervise_recv(other, &m, NULL);
		if (got == 2) {
			loop_turn(loop, true);
			continue;
		}
		assert_int_equal(got, 1);
		assert_int_equal(m.frame.id, id);
		assert_int_equal(m.n_fds, id % 2);
		supervise_close_fds(&m);
		id++;
	}
	char byte;
	assert_int_equal(read(pipe_fds[0], &byte, 1), 0); /* nobody holds the other end any more */
	close(pipe_fds[0]);
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(n_gone, 0);
}

static void who_does_not_read_is_cut_off(void **state)
{
	(void)state;
	for (uint32_t id = 0; id < 4 * LINK_QUEUE_MAX; id++)
		link_send(end, SUPERVISE_CHILD, id, STR_EMPTY, NULL, 0);
	while (n_gone == 0)
		loop_turn(loop, true);
	static struct supervise_message m;
	int got;
	while ((got = supervise_recv(other, &m, NULL)) == 1)
		continue;
	assert_int_equal(got, 0);
}

#define WITH_LINK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_LINK(frames_come_with_what_they_carry), WITH_LINK(the_end_is_told_once),
		WITH_LINK(what_is_no_frame_ends_it),         WITH_LINK(what_does_not_fit_waits_in_order),
		WITH_LINK(who_does_not_read_is_cut_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
