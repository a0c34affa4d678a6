/*
 * The link between parent and children, and a child's start: "test_supervise ROLE" is such a child, as this program
 * starts itself.
 */
#include "supervise/supervise.h"
#include "confine/policies.h"
#include "os/child.h"
#include "text/wire.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "skips.h"

static int pair[2];

static int open_pair(void **state)
{
	(void)state;
	return supervise_pair(pair, NULL);
}

static int close_pair(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		if (pair[i] >= 0)
			close(pair[i]);
	}
	return 0;
}

static int count_descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* ---- frames */

static void a_frame_arrives_with_its_descriptors(void **state)
{
	(void)state;
	int a[2];
	assert_int_equal(pipe(a), 0);
	assert_int_equal(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(supervise_send(pair[0], SUPERVISE_RELAY, 7, S("body"), a, 2, NULL), 0);
	static struct supervise_message m;
	assert_int_equal(supervise_recv(pair[1], &m, NULL), 1);
	assert_int_equal(m.frame.type, SUPERVISE_RELAY);
	assert_int_equal(m.frame.id, 7);
	assert_true(str_eq(supervise_body(&m), S("body")));
	assert_int_equal(m.n_fds, 2);
	assert_int_equal(m.fds[2], -1);
	assert_int_equal(fcntl(m.fds[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(m.fds[1], "x", 1), 1);
	char byte;
	assert_int_equal(read(a[0], &byte, 1), 1);
	supervise_close_fds(&m);
	assert_int_equal(m.n_fds, 0);
	assert_int_equal(m.fds[0], -1);
	supervise_close_fds(&m);
	close(a[0]);
	close(a[1]);
}

static void order_and_ends_are_kept(void **state)
{
	(void)state;
	static struct supervise_message m;
	for (uint32_t id = 1; id <= 3; id++)
		assert_int_equal(supervise_send(pair[0], SUPERVISE_STOP, id, STR_EMPTY, NULL, 0, NULL), 0);
	close(pair[0]);
	pair[0] = -1;
	for (uint32_t id = 1; id <= 3; id++) {
		assert_int_equal(supervise_recv(pair[1], &m, NULL), 1);
		assert_int_equal(m.frame.id, id);
		assert_int_equal(m.frame.n, 0);
	}
	assert_int_equal(supervise_recv(pair[1], &m, NULL), 0);
	struct err err = {0};
	assert_int_equal(supervise_send(pair[1], SUPERVISE_STOP, 0, STR_EMPTY, NULL, 0, &err), -1);
	assert_int_equal(err.os_errno, EPIPE);
}

static void a_body_has_a_size(void **state)
{
	(void)state;
	static char long_body[SUPERVISE_BODY + 1];
	static struct supervise_message m;
	memset(long_body, 'b', sizeof long_body);
	struct err err = {0};
	assert_int_equal(supervise_send(pair[0], 1, 0, str_of(long_body, sizeof long_body), NULL, 0, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(supervise_send(pair[0], 1, 0, str_of(long_body, SUPERVISE_BODY), NULL, 0, NULL), 0);
	assert_int_equal(supervise_recv(pair[1], &m, NULL), 1);
	assert_true(str_eq(supervise_body(&m), str_of(long_body, SUPERVISE_BODY)));
}

static void a_wrong_frame_is_refused(void **state)
{
	(void)state;
	static struct supervise_frame frames[2];
	static const size_t sizes[] = {1, sizeof frames[0] - 1, sizeof frames[0] + 1, sizeof frames};
	static struct supervise_message m = {.frame.id = 77};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct err err = {0};
		assert_int_equal(send(pair[0], frames, sizes[i], 0), sizes[i]);
		assert_int_equal(supervise_recv(pair[1], &m, &err), -1);
		assert_int_equal(err.class, ERR_PROTOCOL);
	}
	struct err err = {0};
	frames[0].n = SUPERVISE_BODY + 1;
	assert_int_equal(send(pair[0], frames, sizeof frames[0], 0), sizeof frames[0]);
	assert_int_equal(supervise_recv(pair[1], &m, &err), -1);
	frames[0].n = 0;
	frames[0].zero = 1;
	assert_int_equal(send(pair[0], frames, sizeof frames[0], 0), sizeof frames[0]);
	assert_int_equal(supervise_recv(pair[1], &m, &err), -1);
	assert_int_equal(err.class, ERR_PROTOCOL);
	assert_int_equal(m.frame.id, 77);
}

/* By hand, since supervise_send() sends no such thing. */
static void send_with(const void *bytes, size_t n, int fd, size_t n_fds)
{
	union {
		char bytes[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {(void *)bytes, n};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = CMSG_SPACE(n_fds * sizeof(int))};
	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
	for (size_t i = 0; i < n_fds; i++)
		memcpy(CMSG_DATA(&control.align) + i * sizeof(int), &fd, sizeof fd);
	assert_int_equal(sendmsg(pair[0], &message, 0), n);
}

static void descriptors_of_a_refused_frame_are_closed(void **state)
{
	(void)state;
	static struct supervise_frame frame;
	static struct supervise_message m;
	int before = count_descriptors();
	for (size_t n = SUPERVISE_FDS_MAX + 1; n <= 16; n++) {
		struct err err = {0};
		send_with(&frame, sizeof frame, pair[0], n);
		assert_int_equal(supervise_recv(pair[1], &m, &err), -1);
		assert_int_equal(err.class, ERR_PROTOCOL);
		assert_int_equal(count_descriptors(), before);
	}
	send_with(&frame, sizeof frame - 8, pair[0], 3);
	assert_int_equal(supervise_recv(pair[1], &m, NULL), -1);
	assert_int_equal(count_descriptors(), before);
	send_with(&frame, sizeof frame, pair[0], SUPERVISE_FDS_MAX);
	assert_int_equal(supervise_recv(pair[1], &m, NULL), 1);
	assert_int_equal(count_descriptors(), before + SUPERVISE_FDS_MAX);
	supervise_close_fds(&m);
	assert_int_equal(count_descriptors(), before);
}

static void nothing_to_read_is_told_at_once(void **state)
{
	(void)state;
	static struct supervise_message m;
	assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(supervise_recv(pair[1], &m, NULL), 2);
	assert_int_equal(supervise_send(pair[0], SUPERVISE_LOCK, 0, STR_EMPTY, NULL, 0, NULL), 0);
	assert_int_equal(supervise_recv(pair[1], &m, NULL), 1);
	assert_int_equal(supervise_recv(pair[1], &m, NULL), 2);
}

enum { MANY = 3000 }; /* more frames than any queue takes */

static void *read_all(void *user)
{
	(void)user;
	static struct supervise_message m;
	for (uint32_t id = 0; id < MANY; id++) {
		if (supervise_recv(pair[1], &m, NULL) != 1 || m.frame.id != id)
			return NULL;
	}
	return &m;
}

/* The first sender fills the queue and is told so; the second waits for the reader, on a non-blocking descriptor. */
static void a_full_queue_is_told_or_waited_for(void **state)
{
	(void)state;
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	struct supervise_outgoing out = {.type = SUPERVISE_CHILD};
	int sent;
	while ((sent = supervise_try_send(pair[0], &out, NULL)) == 1)
		out.id++;
	assert_int_equal(sent, 0);
	assert_true(out.id > 0 && out.id < MANY);
	pthread_t reader;
	assert_int_equal(pthread_create(&reader, NULL, read_all, NULL), 0);
	for (uint32_t id = out.id; id < MANY; id++)
		assert_int_equal(supervise_send(pair[0], SUPERVISE_CHILD, id, STR_EMPTY, NULL, 0, NULL), 0);
	void *good;
	assert_int_equal(pthread_join(reader, &good), 0);
	assert_non_null(good);
}

static void a_child_is_told_of(void **state)
{
	(void)state;
	struct supervise_child child = {SUPERVISE_KEEPER,       true,       true, 41, 2, 1767225600000000000,
					S("signal 9 (Killed)"), S("report")};
	struct supervise_child got = {.role = SUPERVISE_CONTROL};
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	supervise_child_put(&body, &child);
	assert_int_equal(supervise_child_get(buf_str(&body), &got, NULL), 0);
	assert_int_equal(got.role, SUPERVISE_KEEPER);
	assert_true(got.running);
	assert_int_equal(got.pid, 41);
	assert_int_equal(got.restarts, 2);
	assert_int_equal(got.started_at, child.started_at);
	assert_true(str_eq(got.last_end, child.last_end) && str_eq(got.confinement, child.confinement));
	for (size_t n = 0; n < body.n; n++)
		assert_int_equal(supervise_child_get(str_of(body.p, n), &got, NULL), -1);
	body.p[0] = SUPERVISE_ROLE__MAX;
	assert_int_equal(supervise_child_get(buf_str(&body), &got, NULL), -1);
	body.p[0] = 0;
	assert_int_equal(supervise_child_get(buf_str(&body), &got, NULL), -1);
	assert_string_equal(supervise_role_name(SUPERVISE_EGRESS), "egress");
	unsigned none = 99;
	assert_string_equal(supervise_role_name((enum supervise_role)none), "unknown");
}

static void a_long_error_goes_without_its_details(void **state)
{
	(void)state;
	static struct err err, got;
	static char word[4096];
	memset(word, 'w', sizeof word - 1);
	(fail)(&err, ERR_VAULT_TRUNCATED, "%s", word);
	err_detail(&err, "long", str_of(word, 3000));
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	supervise_put_err(&body, &err);
	assert_true(buf_ok(&body));
	struct wire_reader r = wire_reader(buf_str(&body));
	wire_get_err(&r, &got);
	assert_int_equal(wire_done(&r, "err", NULL), 0);
	assert_int_equal(got.class, ERR_VAULT_TRUNCATED);
	assert_string_equal(got.message, err.message);
	assert_int_equal(got.details_n, 0);
}

/* ---- orders */

struct obeyed {
	enum supervise_role role;
	int fd;
	uint64_t ms;
	int others;
};

static int note_peer(void *user, enum supervise_role role, int fd, struct err *err)
{
	(void)err;
	struct obeyed *obeyed = user;
	obeyed->role = role;
	obeyed->fd = fd;
	return 0;
}

static void note_stop(void *user, uint64_t ms)
{
	struct obeyed *obeyed = user;
	obeyed->ms = ms;
}

static int note_other(void *user, struct supervise_message *m, struct err *err)
{
	struct obeyed *obeyed = user;
	if (m->frame.type != SUPERVISE_LOCK)
		return supervised_refuse(m, err);
	obeyed->others++;
	return 0;
}

/* Sends an order and obeys it. */
static int obey(struct obeyed *obeyed, uint32_t type, struct str body, size_t n_fds)
{
	static struct supervise_message m;
	const struct supervised_orders orders = {
		.neighbours = 1U << SUPERVISE_KEEPER,
		.peer = note_peer,
		.stop = note_stop,
		.other = note_other,
		.user = obeyed,
	};
	const int fds[] = {STDERR_FILENO, STDERR_FILENO};
	assert_int_equal(supervise_send(pair[0], type, 0, body, fds, n_fds, NULL), 0);
	assert_int_equal(supervise_recv(pair[1], &m, NULL), 1);
	struct err err = {0};
	int rc = supervised_obey(pair[1], &m, &orders, &err);
	if (rc != 0)
		assert_int_equal(err.class, ERR_PROTOCOL);
	supervise_close_fds(&m);
	return rc;
}

static void orders_are_obeyed(void **state)
{
	(void)state;
	struct obeyed obeyed = {.fd = -1};
	assert_int_equal(obey(&obeyed, SUPERVISE_PEER, S("\x02"), 1), 0);
	assert_int_equal(obeyed.role, SUPERVISE_KEEPER);
	assert_int_equal(fcntl(obeyed.fd, F_GETFD), FD_CLOEXEC); /* not closed with the message */
	close(obeyed.fd);
	assert_int_equal(obey(&obeyed, SUPERVISE_STOP, S("\xe8\x03\0\0\0\0\0\0"), 0), 0);
	assert_int_equal(obeyed.ms, 1000);
	assert_int_equal(obey(&obeyed, SUPERVISE_STOP, S("\xff\xff\xff\xff\xff\xff\xff\xff"), 0), 0);
	assert_int_equal(obeyed.ms, SUPERVISE_STOP_MAX_MS);
	assert_int_equal(obey(&obeyed, SUPERVISE_LOG, STR_EMPTY, 1), 0);
	assert_int_equal(obey(&obeyed, SUPERVISE_LOCK, STR_EMPTY, 0), 0);
	assert_int_equal(obeyed.others, 1);
	assert_int_equal(obey(&obeyed, SUPERVISE_PING, STR_EMPTY, 0), 0);
	static struct supervise_message m;
	assert_int_equal(supervise_recv(pair[0], &m, NULL), 1);
	assert_int_equal(m.frame.type, SUPERVISE_PONG);
}

static void malformed_orders_are_refused(void **state)
{
	(void)state;
	static const struct {
		uint32_t type;
		struct str body;
		size_t n_fds;
	} rows[] = {
		{SUPERVISE_PEER, S(""), 1},         {SUPERVISE_PEER, S("\x02"), 0},      {SUPERVISE_PEER, S("\x02"), 2},
		{SUPERVISE_PEER, S("\x02\x02"), 1}, {SUPERVISE_PEER, S("\x01"), 1},      {SUPERVISE_PEER, S("\x22"), 1},
		{SUPERVISE_STOP, S("\x01"), 0},     {SUPERVISE_STOP, S("123456789"), 0}, {SUPERVISE_LOG, S(""), 0},
		{SUPERVISE_LOG, S(""), 2},          {SUPERVISE_START, S("\0\0\0\0"), 0}, {77, S(""), 0},
	};
	struct obeyed obeyed = {.fd = -1};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(obey(&obeyed, rows[i].type, rows[i].body, rows[i].n_fds), -1);
	assert_int_equal(obeyed.fd, -1);
	assert_int_equal(obeyed.ms, 0);
}

/* ---- a child's start */

/* A child that says what it was started with, and does what `act` says. */
static int be_child(int argc, char **argv)
{
	const struct supervised_spec spec = {
		.name = "test-child", .policy = &confine_keeper, .keep_fds = KEEPER_FDS, .folder_fd = KEEPER_FD_FOLDER};
	const struct supervise_start *start = supervised_begin(&spec, argc, argv);
	if (start == NULL)
		return 1;
	if (str_eq(supervise_setting(start, "act"), S("fail"))) {
		static struct err err;
		(fail)(&err, ERR_VAULT_TRUNCATED, "cut short");
		supervised_failed(&err);
		return 1;
	}
	struct str token = supervise_setting(start, "token");
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	buf_addf(&body, "%.*s %llu", STR_FMT(token),
		 (unsigned long long)supervise_setting_u64(start, "auto_lock_ms", 5));
	supervised_forget(start, "token");
	buf_addf(&body, " %zu%zu%d", supervise_setting(start, "token").n, supervise_setting(start, "nothing").n,
		 token.p[0]);
	int fd = open("made", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	buf_addf(&body, " %d", fd >= 0 ? fcntl(fd, F_GETFD) : -errno);
	return supervised_ready(buf_str(&body), NULL) == 0 ? 0 : 2;
}

static struct child start_child(int link, int folder, const char *namespaces)
{
	static char parent[16];
	snprintf(parent, sizeof parent, "%d", (int)getpid());
	static const char *words[4];
	words[0] = "test_supervise";
	words[1] = parent;
	words[2] = namespaces;
	struct child child = CHILD_INIT;
	child.path = "/proc/self/exe";
	child.argv = words;
	child.namespaces = strcmp(namespaces, "0") == 0 ? 0 : confine_given(&confine_keeper);
	child.fds[child.n_fds++] = (struct child_fd){STDERR_FILENO, STDERR_FILENO};
	child.fds[child.n_fds++] = (struct child_fd){link, SUPERVISE_FD};
	child.fds[child.n_fds++] = (struct child_fd){folder, KEEPER_FD_FOLDER};
	assert_int_equal(child_start(&child, NULL), 0);
	return child;
}

static void put_setting(struct buf *out, const char *key, const char *value)
{
	wire_put_str(out, str_from(key));
	wire_put_str(out, str_from(value));
}

static void expect(uint32_t type, struct supervise_message *ret)
{
	struct err err = {0};
	if (supervise_recv(pair[0], ret, &err) != 1)
		fail_msg("no message %u: %s", type, err.message);
	assert_int_equal(ret->frame.type, type);
}

static char folder_path[64];
static int folder_fd = -1;

static int open_pair_and_folder(void **state)
{
	snprintf(folder_path, sizeof folder_path, "/tmp/test_supervise-XXXXXX");
	if (open_pair(state) != 0 || mkdtemp(folder_path) == NULL)
		return -1;
	folder_fd = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return folder_fd >= 0 ? 0 : -1;
}

static int close_pair_and_folder(void **state)
{
	unlinkat(folder_fd, "made", 0);
	close(folder_fd);
	rmdir(folder_path);
	return close_pair(state);
}

static void a_child_proves_itself_and_waits(void **state)
{
	(void)state;
	static char namespaces[24];
	snprintf(namespaces, sizeof namespaces, "%llu", (unsigned long long)confine_keeper.namespaces);
	AUTO_CHILD child = start_child(pair[1], folder_fd, namespaces);
	if (child.ret_namespaces == 0)
		skip_because("no namespaces here");
	static struct supervise_message m;
	static struct confine_report report;
	expect(SUPERVISE_PROOF, &m);
	assert_int_equal(confine_report_get(supervise_body(&m), &report, NULL), 0);
	struct err err = {0};
	if (confine_judge(&report, "test-child", STR_EMPTY, &err) != 0)
		fail_msg("%s", err.message);
	assert_true(report.empty_root);

	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	wire_put_u32(&body, 3);
	put_setting(&body, "log_level", "debug");
	put_setting(&body, "token", "abc");
	put_setting(&body, "auto_lock_ms", "60000");
	assert_int_equal(supervise_send(pair[0], SUPERVISE_START, 0, buf_str(&body), NULL, 0, NULL), 0);
	expect(SUPERVISE_READY, &m);
	char said[64];
	snprintf(said, sizeof said, "%.*s", STR_FMT(supervise_body(&m)));
	assert_string_equal(said, "abc 60000 000 1");
	assert_int_equal(child_wait(&child, -1, NULL), 1);
	assert_int_equal(child.exit_status, 0);
	struct stat info;
	assert_int_equal(fstatat(folder_fd, "made", &info, 0), 0);
}

static void a_failure_reaches_the_parent(void **state)
{
	(void)state;
	AUTO_CHILD child = start_child(pair[1], folder_fd, "0");
	static struct supervise_message m;
	expect(SUPERVISE_PROOF, &m);
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	wire_put_u32(&body, 2);
	put_setting(&body, "log_level", "none");
	put_setting(&body, "act", "fail");
	assert_int_equal(supervise_send(pair[0], SUPERVISE_START, 0, buf_str(&body), NULL, 0, NULL), 0);
	expect(SUPERVISE_FAILED, &m);
	struct wire_reader r = wire_reader(supervise_body(&m));
	static struct err err;
	wire_get_err(&r, &err);
	assert_int_equal(err.class, ERR_VAULT_TRUNCATED);
	assert_string_equal(err.message, "cut short");
	assert_int_equal(child_wait(&child, -1, NULL), 1);
	assert_int_equal(child.exit_status, 1);
}

static void another_order_than_start_ends_it(void **state)
{
	(void)state;
	AUTO_CHILD child = start_child(pair[1], folder_fd, "0");
	static struct supervise_message m;
	expect(SUPERVISE_PROOF, &m);
	assert_int_equal(supervise_send(pair[0], SUPERVISE_LOCK, 0, STR_EMPTY, NULL, 0, NULL), 0);
	expect(SUPERVISE_FAILED, &m);
	assert_int_equal(child_wait(&child, -1, NULL), 1);
	assert_int_equal(child.exit_status, 1);
}

static void the_end_of_the_link_ends_it(void **state)
{
	(void)state;
	AUTO_CHILD child = start_child(pair[1], folder_fd, "0");
	close(pair[1]);
	pair[1] = -1;
	static struct supervise_message m;
	expect(SUPERVISE_PROOF, &m);
	close(pair[0]);
	pair[0] = -1;
	assert_int_equal(child_wait(&child, -1, NULL), 1);
	assert_int_equal(child.exit_status, 1);
}

static void by_hand_it_does_not_start(void **state)
{
	(void)state;
	char *words[] = {(char[]){"test-child"}, (char[]){"1"}, (char[]){"x"}, NULL};
	const struct supervised_spec spec = {.name = "test-child", .policy = &confine_keeper, .folder_fd = -1};
	fflush(stderr);
	int kept = dup(STDERR_FILENO), null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(null_fd, STDERR_FILENO);
	assert_null(supervised_begin(&spec, 1, words));
	assert_null(supervised_begin(&spec, 3, words));
	dup2(kept, STDERR_FILENO);
	close(kept);
	close(null_fd);
}

#define WITH_PAIR(test)   cmocka_unit_test_setup_teardown(test, open_pair, close_pair)
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, open_pair_and_folder, close_pair_and_folder)

int main(int argc, char **argv)
{
	if (argc == 3)
		return be_child(argc, argv);
	const struct CMUnitTest tests[] = {
		WITH_PAIR(a_frame_arrives_with_its_descriptors),
		WITH_PAIR(order_and_ends_are_kept),
		WITH_PAIR(a_body_has_a_size),
		WITH_PAIR(a_wrong_frame_is_refused),
		WITH_PAIR(descriptors_of_a_refused_frame_are_closed),
		WITH_PAIR(nothing_to_read_is_told_at_once),
		WITH_PAIR(a_full_queue_is_told_or_waited_for),
		cmocka_unit_test(a_child_is_told_of),
		cmocka_unit_test(a_long_error_goes_without_its_details),
		WITH_PAIR(orders_are_obeyed),
		WITH_PAIR(malformed_orders_are_refused),
		WITH_FOLDER(a_child_proves_itself_and_waits),
		WITH_FOLDER(a_failure_reaches_the_parent),
		WITH_FOLDER(another_order_than_start_ends_it),
		WITH_FOLDER(the_end_of_the_link_ends_it),
		cmocka_unit_test(by_hand_it_does_not_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
