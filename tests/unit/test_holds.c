/*
 * Holds: a session ends with the last stream that holds it, a stream with its session; what finds no room has revived nothing.
 */
#include "control/holds.h"
#include "session_lab.h"
#include "scratch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define END "\r\n0\r\n\r\n" /* of chunks */

static struct session_lab lab;

/* POST /ID takes a hold; a refusal is told by its class. */
static void serve(void *user, struct http_exchange *x)
{
	(void)user;
	static struct err err;
	err_clear(&err);
	struct str path = http_path(x);
	if (holds_take(lab.control.holds, x, str_slice(path, 1, path.n), &lab_user, &err) < 0)
		http_answer(x, &(struct http_answer){.status = (unsigned)err_row(err.class)->http_status,
						     .body = str_from(err_row(err.class)->name)});
}

static int set_up(void **state)
{
	(void)state;
	session_lab_open(&lab);
	lab.control.holds = holds_new(&lab.control, NULL);
	assert_non_null(lab.control.holds);
	session_lab_serve(&lab, serve, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	session_lab_stop(&lab);
	holds_free(lab.control.holds);
	session_lab_close(&lab);
	return 0;
}

static struct str id_of(int i)
{
	static char id[ULID_SIZE];
	snprintf(id, sizeof id, "01JZ%022d", i);
	return str_from(id);
}

static void begin(int i)
{
	const struct session session = {.id = id_of(i), .agent = S("claude"), .started_ns = 1};
	assert_int_equal(sessions_start(lab.control.sessions, &session, &lab_user, NULL), 0);
}

static bool is_open(int i)
{
	return session_is_open(lab.control.db, id_of(i));
}

static struct door_client ask(int i)
{
	struct door_client client = door_connect(&lab);
	AUTO_BUF text = BUF_INIT(512);
	buf_addf(&text, "POST /%.*s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", STR_FMT(id_of(i)), lab.host);
	door_send(&lab, &client, buf_str(&text));
	return client;
}

static struct door_client hold(int i)
{
	struct door_client client = ask(i);
	LAB_UNTIL(&lab, door_said(&client, ": held"));
	return client;
}

static void assert_refused(int i, const char *class)
{
	struct door_client client = ask(i);
	LAB_UNTIL(&lab, door_said(&client, class));
	door_leave(&client);
}

static void a_session_lasts_as_long_as_its_last_hold(void **state)
{
	(void)state;
	begin(1);
	struct door_client one = hold(1), two = hold(1);
	door_leave(&one);
	struct door_client three = hold(1);
	assert_true(is_open(1));
	door_leave(&two);
	door_leave(&three);
	LAB_UNTIL(&lab, !is_open(1));
	assert_refused(1, "conflict");
	assert_refused(2, "session_not_found");
}

static void a_stream_ends_with_its_session(void **state)
{
	(void)state;
	begin(1);
	begin(2);
	struct door_client one = hold(1), other = hold(2);
	assert_int_equal(sessions_end(lab.control.sessions, id_of(1), 0, &lab_user, NULL), 0);
	LAB_UNTIL(&lab, door_said(&one, END));
	assert_false(door_said(&other, END));
	assert_refused(1, "conflict");
	door_leave(&one);
	door_leave(&other);
	LAB_UNTIL(&lab, !is_open(2));
}

static void what_finds_no_room_revives_nothing(void **state)
{
	(void)state;
	static struct door_client clients[HOLDS_MAX];
	for (int i = 0; i <= HOLDS_MAX; i++)
		begin(i);
	lab_orphan(&lab); /* orphans of an earlier daemon */
	for (int i = 0; i < HOLDS_MAX; i++)
		clients[i] = hold(i);
	assert_true(is_open(0));
	assert_refused(HOLDS_MAX, "unavailable");
	assert_refused(0, "unavailable");
	assert_false(is_open(HOLDS_MAX));

	door_leave(&clients[0]);
	LAB_UNTIL(&lab, !is_open(0));
	clients[0] = hold(HOLDS_MAX);
	assert_true(is_open(HOLDS_MAX));

	/* A daemon that stops ends the streams and not the sessions. */
	holds_stop(lab.control.holds);
	for (int i = 0; i < HOLDS_MAX; i++) {
		LAB_UNTIL(&lab, door_said(&clients[i], END));
		door_leave(&clients[i]);
	}
	assert_true(is_open(1) && is_open(HOLDS_MAX));
	assert_refused(1, "unavailable");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_session_lasts_as_long_as_its_last_hold),
		TEST(a_stream_ends_with_its_session),
		TEST(what_finds_no_room_revives_nothing),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
