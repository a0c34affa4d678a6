/*
 * Guests: how many there are, which session each has, and how much all of them together may keep.
 */
#include "control/mcp_guests.h"
#include "session_lab.h"
#include "mcp_lab.h"
#include "scratch.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define AGENTS      (MCP_GUESTS_MAX / MCP_GUESTS_OF_ONE + 1)
#define UNSENT_MAX  ((size_t)4 << 20)
#define LINE        ((size_t)3 << 20) /* more than half of what a buffer may grow to */
#define UPGRADED    " 101 "
#define UNAVAILABLE "\"unavailable\""

static struct stage {
	struct session_lab lab;
	struct mcp_lab *mcp;
	struct mcp_guests *guests;
	struct loop_source *wake;
	char tokens[AGENTS][AGENTS_TOKEN_SIZE];
} stage;

static void serve(void *user, struct http_exchange *x)
{
	(void)user;
	static struct err err;
	err_clear(&err);
	struct identity identity;
	struct str scheme, token = str_cut(http_header(x, S("Authorization")), ' ', &scheme);
	assert_true(agents_identify(stage.lab.control.agents, token, &identity));
	if (mcp_guests_take(stage.guests, x, &identity, &err) < 0)
		http_answer(x, &(struct http_answer){.status = 503, .body = S(UNAVAILABLE)});
}

static void look(void *user, int what)
{
	(void)user;
	(void)what;
	mcp_guests_look(stage.guests);
}

static int set_up(void **state)
{
	(void)state;
	struct control *control = &stage.lab.control;
	session_lab_open(&stage.lab);
	stage.mcp = mcp_lab_new(0);
	stage.wake = loop_wakeup(control->loop, look, NULL, NULL);
	stage.guests = mcp_guests_new(control, stage.mcp->mcp, stage.wake);
	session_lab_serve(&stage.lab, serve, UNSENT_MAX);
	for (size_t i = 0; i < AGENTS; i++) {
		char id[ULID_SIZE];
		const struct agent agent = {.name = S("a"), .kind = S("registered")};
		assert_int_equal(agents_register(control->agents, &agent, &lab_user, id, stage.tokens[i], NULL), 0);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	session_lab_stop(&stage.lab);
	mcp_guests_free(stage.guests);
	mcp_lab_free(stage.mcp);
	loop_source_free(stage.wake);
	session_lab_close(&stage.lab);
	return 0;
}

static struct door_client ask(size_t agent, const char *session)
{
	struct door_client client = door_connect(&stage.lab);
	AUTO_BUF text = BUF_INIT(1024);
	buf_addf(&text,
		 "GET /mcp HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: " MCP_GUESTS_PROTOCOL
		 "\r\nAuthorization: Bearer %s\r\n" MCP_SESSION_HEADER ": %s\r\n\r\n",
		 stage.lab.host, stage.tokens[agent], session);
	door_send(&stage.lab, &client, buf_str(&text));
	return client;
}

static struct door_client connect_guest(size_t agent, const char *session)
{
	struct door_client client = ask(agent, session);
	LAB_UNTIL(&stage.lab, door_said(&client, UPGRADED) && door_said(&client, "\r\n\r\n"));
	return client;
}

static void assert_refused(size_t agent)
{
	struct door_client client = ask(agent, "");
	LAB_UNTIL(&stage.lab, door_said(&client, UNAVAILABLE));
	door_leave(&client);
}

/* Which session it was given; to be copied before the next. */
static const char *session_of(const struct door_client *client)
{
	static char id[ULID_SIZE];
	struct str said = buf_str(&client->said);
	size_t at = str_find(said, S(MCP_SESSION_HEADER ": ")) + strlen(MCP_SESSION_HEADER ": ");
	assert_true(at + ULID_SIZE - 1 <= said.n);
	memcpy(id, said.p + at, ULID_SIZE - 1);
	return id;
}

static bool is_open(const char *id)
{
	return session_is_open(stage.lab.control.db, str_from(id));
}

static void as_many_as_there_is_room_for(void **state)
{
	(void)state;
	static struct door_client clients[MCP_GUESTS_MAX];
	for (size_t i = 0; i < MCP_GUESTS_MAX; i++) {
		if (i == MCP_GUESTS_OF_ONE)
			assert_refused(0);
		clients[i] = connect_guest(i / MCP_GUESTS_OF_ONE, "");
	}
	assert_refused(AGENTS - 1);
	char id[ULID_SIZE];
	memcpy(id, session_of(&clients[0]), sizeof id);
	LAB_UNTIL(&stage.lab, is_open(id));
	door_leave(&clients[0]);
	LAB_UNTIL(&stage.lab, !is_open(id));
	clients[0] = connect_guest(AGENTS - 1, "");

	mcp_guests_stop(stage.guests);
	for (size_t i = 0; i < MCP_GUESTS_MAX; i++) {
		LAB_UNTIL(&stage.lab, door_ended(&clients[i]));
		door_leave(&clients[i]);
	}
	assert_refused(0);
}

static void a_session_goes_on_with_its_guest_unless_it_was_ended(void **state)
{
	(void)state;
	struct door_client client = connect_guest(0, "");
	char id[ULID_SIZE];
	memcpy(id, session_of(&client), sizeof id);
	LAB_UNTIL(&stage.lab, is_open(id));
	door_leave(&client);
	LAB_UNTIL(&stage.lab, !is_open(id));

	client = connect_guest(0, id);
	assert_string_equal(session_of(&client), id);
	LAB_UNTIL(&stage.lab, is_open(id));
	struct door_client other = connect_guest(0, id);
	assert_string_not_equal(session_of(&other), id);

	assert_int_equal(sessions_end(stage.lab.control.sessions, str_from(id), -1, &lab_user, NULL), 0);
	LAB_UNTIL(&stage.lab, door_ended(&client));
	assert_false(door_ended(&other));
	door_leave(&client);
	client = connect_guest(0, id);
	assert_string_not_equal(session_of(&client), id);
	door_leave(&client);
	door_leave(&other);
}

static size_t count_ended(struct door_client *clients, size_t n)
{
	size_t n_ended = 0;
	for (size_t i = 0; i < n; i++)
		n_ended += door_ended(&clients[i]);
	return n_ended;
}

/* Without reading, which would make room. */
static size_t count_reset(const struct door_client *clients, size_t n)
{
	size_t n_reset = 0;
	for (size_t i = 0; i < n; i++) {
		struct pollfd at = {.fd = clients[i].fd, .events = POLLRDHUP};
		n_reset += poll(&at, 1, 0) == 1;
	}
	return n_reset;
}

/* Half lines: whoever keeps most of them loses a connection, and nobody else. */
static void half_lines_are_kept_within_a_budget(void **state)
{
	(void)state;
	enum { MANY = MCP_GUESTS_OF_ONE };
	static struct door_client clients[MANY];
	static char half[LINE];
	memset(half, ' ', sizeof half);
	struct door_client other = connect_guest(1, "");
	door_send(&stage.lab, &other, str_of(half, sizeof half));
	for (size_t i = 0; i < MANY; i++) {
		clients[i] = connect_guest(0, "");
		door_send(&stage.lab, &clients[i], str_of(half, sizeof half));
	}
	LAB_UNTIL(&stage.lab, count_ended(clients, MANY) == MANY + 1 - MCP_GUESTS_HALF_MAX / MCP_MESSAGE_MAX);
	door_send(&stage.lab, &other, S("no JSON\n"));
	LAB_UNTIL(&stage.lab, door_said(&other, "-32700"));
	for (size_t i = 0; i < MANY; i++)
		door_leave(&clients[i]);
	door_leave(&other);
}

static void put_call(struct buf *line, size_t n)
{
	buf_add_z(line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/"
			"call\",\"params\":{\"name\":\"echo\",\"_meta\":{" LAB_META "{}},\"arguments\":{\"t\":\"");
	for (size_t i = 0; i < n; i++)
		buf_add_char(line, 't');
	buf_add_z(line, "\"}}}\n");
}

/* What is not taken: as much as one may have unsent, all together not. */
static void what_is_not_taken_is_kept_within_a_budget(void **state)
{
	(void)state;
	enum { MANY = 8, CALLS = 4 };
	static struct door_client clients[MANY];
	AUTO_BUF lines = BUF_INIT(8 << 20), small = BUF_INIT(1024);
	for (size_t i = 0; i < CALLS; i++)
		put_call(&lines, (size_t)1 << 20);
	put_call(&small, 10);
	struct door_client other = connect_guest(1, "");
	for (size_t i = 0; i < MANY; i++) {
		clients[i] = connect_guest(0, "");
		door_send(&stage.lab, &clients[i], buf_str(&lines));
	}
	LAB_UNTIL(&stage.lab, count_reset(clients, MANY) > 0);
	door_send(&stage.lab, &other, buf_str(&small));
	LAB_UNTIL(&stage.lab, door_said(&other, "\"structuredContent\""));
	/* Who sends asks for it; the loop's thread gives it up, a turn later. */
	LAB_UNTIL(&stage.lab, http_upgrades_excess(stage.lab.control.http) == 0);
	assert_true(count_reset(clients, MANY) < MANY);
	for (size_t i = 0; i < MANY; i++)
		door_leave(&clients[i]);
	door_leave(&other);
}

static size_t count_lines(struct door_client *client)
{
	size_t n = 0;
	door_hear(client);
	for (size_t at = 0; at < client->said.n; at++)
		n += client->said.p[at] == '\n';
	return n;
}

/* Many short lines in one piece, which bring much: each is answered, and no more at a time than finds room. */
static void what_many_lines_bring_waits_for_its_reader(void **state)
{
	(void)state;
	enum { CALLS = 300 };
	lab_add_tools(stage.mcp, LAB_TOOLS);
	struct door_client client = connect_guest(0, ""), other = connect_guest(1, "");
	size_t head = count_lines(&client);
	AUTO_BUF lines = BUF_INIT(1 << 20), small = BUF_INIT(1024);
	for (size_t i = 0; i < CALLS; i++)
		buf_add_z(&lines,
			  "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"_meta\":{" LAB_META
			  "{}}}}\n");
	door_send(&stage.lab, &client, buf_str(&lines));
	put_call(&small, 10);
	door_send(&stage.lab, &other, buf_str(&small));
	LAB_UNTIL(&stage.lab, door_said(&other, "\"structuredContent\""));
	assert_int_equal(count_reset(&client, 1), 0);
	LAB_UNTIL(&stage.lab, count_lines(&client) == head + CALLS);
	assert_true(client.said.n > 2 * UNSENT_MAX);
	assert_false(client.ended);
	door_leave(&client);
	door_leave(&other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(as_many_as_there_is_room_for),
		TEST(a_session_goes_on_with_its_guest_unless_it_was_ended),
		TEST(half_lines_are_kept_within_a_budget),
		TEST(what_is_not_taken_is_kept_within_a_budget),
		TEST(what_many_lines_bring_waits_for_its_reader),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
