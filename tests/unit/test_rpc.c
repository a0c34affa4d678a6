#include "rpc/rpc.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <cmocka.h>

enum { HELLO = 1, TEXT = 2, LARGE = 3, LATE = 4 };
enum { FIRST = 1, SECOND = 2 };
#define LARGE_MAX (4u << 20)

static const struct rpc_rule rules[] = {
	{HELLO, FIRST, 0, "hello"},
	{TEXT, FIRST | SECOND, 1000, "text"},
	{LARGE, FIRST | SECOND, LARGE_MAX, "large"},
	{LATE, SECOND, 10, "late"},
	{0, 0, 0, NULL},
};

/* Two ends of one pair: `near` receives, `far` is a channel or a bare descriptor. */
static struct rpc_channel *near;
static struct rpc_channel *far;
static int far_fd;

static int open_channels(void **state)
{
	(void)state;
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	near = rpc_channel_new(pair[0], rules);
	far = rpc_channel_new(pair[1], rules);
	far_fd = pair[1];
	return 0;
}

static void close_far(void)
{
	rpc_channel_free(far);
	far = NULL;
}

static int close_channels(void **state)
{
	(void)state;
	rpc_channel_free(near);
	close_far();
	return 0;
}

static void send_text(uint16_t type, uint32_t id, const char *text)
{
	struct str part = str_from(text);
	assert_int_equal(rpc_send(far, type, id, &part, 1, NULL), 0);
}

static void send_bytes(const void *bytes, size_t n)
{
	assert_int_equal(send(far_fd, bytes, n, 0), n);
}

static void assert_frame(const struct rpc_frame *frame, uint16_t type, uint32_t id, const char *text)
{
	assert_int_equal(frame->type, type);
	assert_int_equal(frame->id, id);
	assert_int_equal(frame->body.n, strlen(text));
	assert_memory_equal(frame->body.n > 0 ? frame->body.p : "", text, frame->body.n);
}

static char *pattern(size_t n)
{
	char *bytes = xmalloc(n + 1);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i * 31 + i / 253);
	return bytes;
}

static void the_format_is_as_documented(void **state)
{
	(void)state;
	struct str parts[] = {S("ab"), STR_EMPTY, S("c")};
	assert_int_equal(rpc_send(far, 0x0102, 0x03040506, parts, 3, NULL), 0);
	unsigned char got[32];
	assert_int_equal(recv(rpc_fd(near), got, sizeof got, 0), 15);
	assert_memory_equal(got,
			    "\x03\0\0\0\x02\x01\0\0\x06\x05\x04\x03"
			    "abc",
			    15);
}

static void frames_arrive_in_order(void **state)
{
	(void)state;
	struct rpc_frame frame;
	send_text(HELLO, 7, "");
	send_text(TEXT, 8, "eight");
	send_text(TEXT, 0xffffffff, "last");
	assert_false(rpc_has_frame(near));
	assert_int_equal(rpc_recv(near, &frame, NULL), 1);
	assert_frame(&frame, HELLO, 7, "");
	assert_true(rpc_has_frame(near)); /* one read took all */
	assert_int_equal(rpc_recv(near, &frame, NULL), 1);
	assert_frame(&frame, TEXT, 8, "eight");
	assert_int_equal(rpc_recv(near, &frame, NULL), 1);
	assert_frame(&frame, TEXT, UINT32_MAX, "last");
	assert_false(rpc_has_frame(near));
	close_far();
	assert_int_equal(rpc_recv(near, &frame, NULL), 0);
	assert_int_equal(rpc_recv(near, &frame, NULL), 0);
}

/* Each header that the table does not permit; the body never matters, and the channel stays dead. */
static void what_the_table_does_not_permit_ends_the_channel(void **state)
{
	static const struct {
		const char *header, *message;
	} cases[] = {
		{"\0\0\0\0\x09\0\0\0\1\0\0\0", "a message of the unknown type 9 arrived"},
		{"\0\0\0\0\0\0\0\0\1\0\0\0", "a message of the unknown type 0 arrived"},
		{"\1\0\0\0\1\0\0\0\1\0\0\0", "message 'hello' has 1 bytes, more than 0"},
		{"\xe9\3\0\0\2\0\0\0\1\0\0\0", "message 'text' has 1001 bytes, more than 1000"},
		{"\1\0\x40\0\3\0\0\0\1\0\0\0", "message 'large' has 4194305 bytes, more than 4194304"},
		{"\xff\xff\xff\xff\3\0\0\0\1\0\0\0", "message 'large' has 4294967295 bytes, more than 4194304"},
		{"\0\0\0\0\1\0\1\0\1\0\0\0", "message 'hello' has a reserved field that is not zero"},
		{"\0\0\0\0\4\0\0\0\1\0\0\0", "message 'late' arrived out of turn"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		struct rpc_frame frame = {.id = 77};
		send_bytes(cases[i].header, RPC_HEADER);
		assert_int_equal(rpc_recv(near, &frame, &err), -1);
		assert_int_equal(err.class, ERR_PROTOCOL);
		assert_string_equal(err.message, cases[i].message);
		assert_int_equal(frame.id, 77);
		send_text(HELLO, 1, "");
		assert_int_equal(rpc_recv(near, &frame, &err), -1);
		assert_int_equal(rpc_pump(near, &frame, &err), -1);
		close_channels(state);
		open_channels(state);
	}
}

static void a_bad_header_behind_a_good_frame_is_found_in_its_turn(void **state)
{
	(void)state;
	struct rpc_frame frame;
	send_text(TEXT, 1, "good");
	send_bytes("\0\0\0\0\x09\0\0\0\1\0\0\0", RPC_HEADER);
	assert_int_equal(rpc_recv(near, &frame, NULL), 1);
	assert_frame(&frame, TEXT, 1, "good");
	assert_true(rpc_has_frame(near)); /* the refusal needs no reading */
	assert_int_equal(rpc_recv(near, &frame, NULL), -1);
}

static void a_state_permits_what_another_does_not(void **state)
{
	(void)state;
	struct rpc_frame frame;
	send_text(HELLO, 1, "");
	send_text(LATE, 2, "now");
	send_text(HELLO, 3, "");
	assert_int_equal(rpc_recv(near, &frame, NULL), 1);
	rpc_set_state(near, SECOND); /* holds for frames that were read before too */
	assert_int_equal(rpc_recv(near, &frame, NULL), 1);
	assert_frame(&frame, LATE, 2, "now");
	assert_int_equal(rpc_recv(near, &frame, NULL), -1);
}

static void an_end_within_a_frame_is_an_error(void **state)
{
	static const size_t cuts[] = {1, 11, 12, 16};
	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		struct err err = {0};
		struct rpc_frame frame;
		send_bytes("\5\0\0\0\2\0\0\0\1\0\0\0abcde", cuts[i]);
		close_far();
		assert_int_equal(rpc_recv(near, &frame, &err), -1);
		assert_string_equal(err.message, "the peer ended in the middle of a message");
		close_channels(state);
		open_channels(state);
	}
	struct rpc_frame frame;
	send_bytes("\0\0\2\0\3\0\0\0\1\0\0\0abcde", 17);
	close_far();
	assert_int_equal(rpc_recv(near, &frame, NULL), -1);
}

/* The peer closes with our message unread, which Linux tells as a reset. */
static void a_peer_that_closed_without_reading_is_an_end(void **state)
{
	(void)state;
	struct rpc_frame frame;
	struct str part = S("unread");
	send_text(TEXT, 1, "its last words");
	assert_int_equal(rpc_send(near, TEXT, 1, &part, 1, NULL), 0);
	close_far();
	assert_int_equal(rpc_recv(near, &frame, NULL), 1);
	assert_frame(&frame, TEXT, 1, "its last words");
	assert_int_equal(rpc_recv(near, &frame, NULL), 0);
}

static void one_byte_at_a_time_makes_the_same_frames(void **state)
{
	(void)state;
	static const char bytes[] = "\3\0\0\0\2\0\0\0\1\0\0\0abc\0\0\0\0\1\0\0\0\2\0\0\0";
	struct rpc_frame frame;
	int frames = 0;
	for (size_t i = 0; i < sizeof bytes - 1; i++) {
		send_bytes(bytes + i, 1);
		int result = rpc_pump(near, &frame, NULL);
		assert_true(result == 1 || result == 2);
		if (result == 1 && ++frames == 1) {
			assert_int_equal(i, 14);
			assert_frame(&frame, TEXT, 1, "abc");
		}
	}
	assert_int_equal(frames, 2);
	assert_frame(&frame, HELLO, 2, "");
	assert_int_equal(rpc_pump(near, &frame, NULL), 2); /* the descriptor itself would block */
}

struct sender {
	struct str body;
	uint16_t type;
	uint32_t id;
	int times;
	struct rpc_channel *channel;
};

static void *send_often(void *argument)
{
	const struct sender *sender = argument;
	for (int i = 0; i < sender->times; i++) {
		struct str halves[] = {str_slice(sender->body, 0, sender->body.n / 2),
				       str_slice(sender->body, sender->body.n / 2, sender->body.n)};
		if (rpc_send(sender->channel, sender->type, sender->id, halves, 2, NULL) != 0)
			return NULL;
	}
	return argument;
}

static void large_frames_come_whole(void **state)
{
	(void)state;
	static const size_t sizes[] = {(64 << 10) - 13, (64 << 10) - 12, (64 << 10) - 11, 64 << 10, 1000000, LARGE_MAX};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO_FREE char *bytes = pattern(sizes[i]);
		struct sender sender = {{bytes, sizes[i]}, LARGE, (uint32_t)i, 2, far};
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, send_often, &sender), 0);
		for (int round = 0; round < 2; round++) {
			struct rpc_frame frame;
			assert_int_equal(rpc_recv(near, &frame, NULL), 1);
			assert_int_equal(frame.id, i);
			assert_int_equal(frame.body.n, sizes[i]);
			assert_memory_equal(frame.body.p, bytes, sizes[i]);
		}
		void *sent;
		pthread_join(thread, &sent);
		assert_ptr_equal(sent, &sender);
		struct rpc_frame frame;
		send_text(TEXT, 99, "small again");
		assert_int_equal(rpc_recv(near, &frame, NULL), 1);
		assert_frame(&frame, TEXT, 99, "small again");
	}
}

static void a_taken_body_outlives_the_channel(void **state)
{
	(void)state;
	size_t n = 300000;
	AUTO_FREE char *bytes = pattern(n);
	struct sender sender = {{bytes, n}, LARGE, 5, 1, far};
	pthread_t thread;
	struct rpc_frame large, small;
	send_text(TEXT, 1, "small");
	assert_int_equal(pthread_create(&thread, NULL, send_often, &sender), 0);
	assert_int_equal(rpc_recv(near, &small, NULL), 1);
	AUTO_FREE char *small_body = rpc_take_body(near, &small);
	assert_int_equal(rpc_recv(near, &large, NULL), 1);
	const char *where = large.body.p;
	AUTO_FREE char *large_body = rpc_take_body(near, &large);
	assert_ptr_equal(large_body, where); /* moved, not copied */
	pthread_join(thread, NULL);
	send_text(TEXT, 2, "other");
	struct rpc_frame frame;
	assert_int_equal(rpc_recv(near, &frame, NULL), 1);
	rpc_channel_free(near);
	near = NULL;
	assert_ptr_equal(small.body.p, small_body);
	assert_frame(&small, TEXT, 1, "small");
	assert_memory_equal(large.body.p, bytes, n);
}

static void threads_that_send_at_once_do_not_mix(void **state)
{
	(void)state;
	enum { THREADS = 4, TIMES = 400 };
	struct sender senders[THREADS];
	pthread_t threads[THREADS];
	AUTO_FREE char *bytes = pattern(150000);
	for (uint32_t i = 0; i < THREADS; i++) {
		size_t n = i == 0 ? 150000 : 100 * i;
		senders[i] = (struct sender){{bytes, n}, i == 0 ? LARGE : TEXT, i, TIMES, far};
		assert_int_equal(pthread_create(&threads[i], NULL, send_often, &senders[i]), 0);
	}
	int counts[THREADS] = {0};
	for (int i = 0; i < THREADS * TIMES; i++) {
		struct rpc_frame frame;
		assert_int_equal(rpc_recv(near, &frame, NULL), 1);
		assert_true(frame.id < THREADS);
		assert_int_equal(frame.body.n, senders[frame.id].body.n);
		assert_memory_equal(frame.body.p, bytes, frame.body.n);
		counts[frame.id]++;
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(counts[i], TIMES);
	}
}

static void non_blocking_descriptors_work_with_both(void **state)
{
	(void)state;
	fcntl(rpc_fd(near), F_SETFL, O_NONBLOCK);
	fcntl(far_fd, F_SETFL, O_NONBLOCK);
	AUTO_FREE char *bytes = pattern(LARGE_MAX);
	struct sender sender = {{bytes, LARGE_MAX}, LARGE, 1, 3, far}; /* more than the socket holds: it polls */
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, send_often, &sender), 0);
	for (int i = 0; i < 3; i++) {
		struct rpc_frame frame;
		assert_int_equal(rpc_recv(near, &frame, NULL), 1);
		assert_memory_equal(frame.body.p, bytes, LARGE_MAX);
	}
	void *sent;
	pthread_join(thread, &sent);
	assert_ptr_equal(sent, &sender);
}

static void a_frame_that_is_too_large_is_not_sent(void **state)
{
	(void)state;
	struct err err = {0};
	struct str parts[] = {{"", RPC_BODY_MAX}, {"", 1}};
	assert_int_equal(rpc_send(far, LARGE, 1, parts, 2, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(rpc_queue(far, LARGE, 1, parts, 2, &err), -1);
	struct rpc_frame frame;
	assert_int_equal(rpc_pump(near, &frame, NULL), 2);
}

static void sending_to_nobody_is_epipe(void **state)
{
	(void)state;
	close_far();
	struct err err = {0};
	assert_int_equal(rpc_send(near, TEXT, 1, NULL, 0, &err), -1);
	assert_int_equal(err.class, ERR_SYSTEM);
	assert_int_equal(err.os_errno, EPIPE);
	assert_int_equal(rpc_queue(near, TEXT, 1, NULL, 0, &err), -1);
	assert_int_equal(err.os_errno, EPIPE);
}

static void a_full_socket_queues_and_flushing_goes_on(void **state)
{
	(void)state;
	enum { FRAMES = 40, SIZE = 50000 };
	AUTO_FREE char *bytes = pattern(SIZE + FRAMES);
	for (uint32_t i = 0; i < FRAMES; i++) {
		struct str parts[] = {{bytes + i, SIZE / 2}, {bytes + i + SIZE / 2, SIZE / 2}};
		assert_int_equal(rpc_queue(far, LARGE, i, parts, 2, NULL),
				 0); /* never waits, though the socket would */
	}
	size_t queued = rpc_queued(far);
	assert_true(queued > 0 && queued < FRAMES * (SIZE + RPC_HEADER));
	assert_int_equal(rpc_flush(far, NULL), 0);
	assert_int_equal(rpc_queued(far), queued); /* still full */

	uint32_t frames = 0;
	while (frames < FRAMES) {
		struct rpc_frame frame;
		int result = rpc_pump(near, &frame, NULL);
		assert_true(result == 1 || result == 2);
		if (result == 2) {
			assert_int_equal(rpc_flush(far, NULL), 0);
			continue;
		}
		assert_int_equal(frame.id, frames);
		assert_int_equal(frame.body.n, SIZE);
		assert_memory_equal(frame.body.p, bytes + frames, SIZE);
		frames++;
	}
	assert_int_equal(rpc_queued(far), 0);
	close_channels(state);
	open_channels(state);
	for (uint32_t i = 0; i < FRAMES; i++) /* freed with a full queue: nothing leaks */
		assert_int_equal(rpc_queue(far, LARGE, i, &(struct str){bytes, SIZE}, 1, NULL), 0);
}

static void the_queue_has_an_end(void **state)
{
	(void)state;
	enum { SIZE = 64 << 20 };
	AUTO_FREE char *bytes = xcalloc(1, SIZE);
	struct str part = {bytes, SIZE};
	struct err err = {0};
	int result = 0, frames = 0;
	while (result == 0 && frames < 100) {
		result = rpc_queue(far, LARGE, 1, &part, 1, &err);
		frames++;
	}
	assert_int_equal(result, -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_true(rpc_queued(far) <= RPC_QUEUE_MAX);
	assert_true(frames >= (int)(RPC_QUEUE_MAX / SIZE));
}

/* Looks into the lent memory after the loan: it is the channel's buffer, still allocated. */
static void what_was_secret_is_wiped(void **state)
{
	(void)state;
	rpc_set_sensitive(near, true);
	struct rpc_frame frame;
	send_text(TEXT, 1, "a secret");
	send_text(TEXT, 2, "b secret");
	assert_int_equal(rpc_recv(near, &frame, NULL), 1);
	const char *first = frame.body.p;
	assert_memory_equal(first, "a secret", 8);
	assert_int_equal(rpc_recv(near, &frame, NULL), 1);
	assert_memory_equal(first, "\0\0\0\0\0\0\0\0", 8);
	const char *second = frame.body.p;
	AUTO_FREE char *copy = rpc_take_body(near, &frame);
	assert_memory_equal(second, "\0\0\0\0\0\0\0\0", 8);
	assert_ptr_equal(frame.body.p, copy);
	assert_frame(&frame, TEXT, 2, "b secret");
}

#define WITH_CHANNELS(test) cmocka_unit_test_setup_teardown(test, open_channels, close_channels)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_CHANNELS(the_format_is_as_documented),
		WITH_CHANNELS(frames_arrive_in_order),
		WITH_CHANNELS(what_the_table_does_not_permit_ends_the_channel),
		WITH_CHANNELS(a_bad_header_behind_a_good_frame_is_found_in_its_turn),
		WITH_CHANNELS(a_state_permits_what_another_does_not),
		WITH_CHANNELS(an_end_within_a_frame_is_an_error),
		WITH_CHANNELS(a_peer_that_closed_without_reading_is_an_end),
		WITH_CHANNELS(one_byte_at_a_time_makes_the_same_frames),
		WITH_CHANNELS(large_frames_come_whole),
		WITH_CHANNELS(a_taken_body_outlives_the_channel),
		WITH_CHANNELS(threads_that_send_at_once_do_not_mix),
		WITH_CHANNELS(non_blocking_descriptors_work_with_both),
		WITH_CHANNELS(a_frame_that_is_too_large_is_not_sent),
		WITH_CHANNELS(sending_to_nobody_is_epipe),
		WITH_CHANNELS(a_full_socket_queues_and_flushing_goes_on),
		WITH_CHANNELS(the_queue_has_an_end),
		WITH_CHANNELS(what_was_secret_is_wiped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
