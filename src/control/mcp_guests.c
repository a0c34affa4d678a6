#include "control/mcp_guests.h"
#include "base/hex.h"
#include "base/line_cut.h"
#include "base/log.h"
#include "base/time.h"
#include "control/agents.h"
#include "control/sessions.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define FOLDER_MAX  4096
#define LINE_COPIED ((size_t)64 << 10)

struct guest {
	struct mcp_guests *guests;
	struct guest *previous, *next;
	struct http_exchange *x;
	struct mcp_peer *peer;
	struct line_cut lines;
	char agent[ULID_SIZE], session[ULID_SIZE];
	char *folder;      /* where it works; of a session of its own */
	bool own_session;  /* and no launch's */
	_Atomic bool deaf; /* does not take what is sent */
	_Atomic bool over; /* its session was ended */
};

struct mcp_guests {
	struct control *control;
	struct mcp *mcp;
	struct loop_source *wake;
	bool stopped;
	size_t half; /* bytes that are kept of lines whose ends are not here */

	pthread_mutex_t lock; /* of the list, which the loop's thread alone changes */
	struct guest *first;
	size_t n;
};

/* ---------------------------------------------------------------------------------------------------------- sessions */

/* Whether a connection that is there has this session, and not only that of the launch that it is of. */
static bool is_held(void *user, struct str session)
{
	struct mcp_guests *guests = user;
	bool held = false;
	pthread_mutex_lock(&guests->lock);
	for (const struct guest *guest = guests->first; guest != NULL && !held; guest = guest->next)
		held = guest->own_session && str_eq(session, str_from(guest->session));
	pthread_mutex_unlock(&guests->lock);
	return held;
}

/* Any thread. */
static void on_session_ended(void *user, struct str session)
{
	struct mcp_guests *guests = user;
	bool any = false;
	pthread_mutex_lock(&guests->lock);
	for (struct guest *guest = guests->first; guest != NULL; guest = guest->next) {
		if (guest->own_session && str_eq(session, str_from(guest->session)))
			guest->over = any = true;
	}
	pthread_mutex_unlock(&guests->lock);
	if (any)
		loop_wake(guests->wake);
}

struct mcp_guests *mcp_guests_new(struct control *control, struct mcp *mcp, struct loop_source *wake)
{
	struct mcp_guests *guests = NEW(struct mcp_guests);
	*guests = (struct mcp_guests){.control = control, .mcp = mcp, .wake = wake};
	pthread_mutex_init(&guests->lock, NULL);
	const struct sessions_listener listener = {on_session_ended, is_held, guests};
	sessions_listen(control->sessions, &listener);
	return guests;
}

/* Of the header, as far as it is text. */
static void read_folder(struct str escaped, char ret[FOLDER_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < escaped.n && n < FOLDER_MAX - 1; i++) {
		bool is_escape = escaped.p[i] == '%' && i + 2 < escaped.n && hex_digit(escaped.p[i + 1]) >= 0 &&
				 hex_digit(escaped.p[i + 2]) >= 0;
		ret[n++] = is_escape ? (char)(hex_digit(escaped.p[i + 1]) << 4 | hex_digit(escaped.p[i + 2]))
				     : escaped.p[i];
		i += is_escape ? 2 : 0;
	}
	ret[n] = '\0';
	if (!str_is_utf8(str_from(ret)))
		ret[0] = '\0';
}

static void start_session(struct guest *guest, const struct identity *identity)
{
	struct mcp_guests *guests = guest->guests;
	struct control *control = guests->control;
	struct str asked = http_header(guest->x, S(MCP_SESSION_HEADER));
	/* One that another connection has is that one's, with what was granted to it. */
	bool continues = asked.n == ULID_SIZE - 1 &&
			 session_is_to_continue(control->db, asked, str_from(guest->agent)) && !is_held(guests, asked);
	char folder[FOLDER_MAX];
	read_folder(http_header(guest->x, S(MCP_FOLDER_HEADER)), folder);
	guest->folder = xstrdup(folder);
	uint64_t now = clock_wall_ns(NULL);
	if (continues)
		memcpy(guest->session, asked.p, asked.n);
	else
		ulid_make(now, guest->session);
	guest->own_session = true;
	const struct session session = {
		.id = str_from(guest->session),
		.agent = str_from(identity->agent_name),
		.working_dir = str_from(guest->folder),
		.caller = str_from(guest->agent),
		.started_ns = now,
	};
	(continues ? sessions_continue_later : sessions_start_later)(control->sessions, &session);
}

/* -------------------------------------------------------------------------------------------------------- connections */

static void unlink_guest(struct guest *guest)
{
	struct mcp_guests *guests = guest->guests;
	pthread_mutex_lock(&guests->lock);
	if (guest->previous != NULL)
		guest->previous->next = guest->next;
	else
		guests->first = guest->next;
	if (guest->next != NULL)
		guest->next->previous = guest->previous;
	guests->n--;
	pthread_mutex_unlock(&guests->lock);
}

static void link_guest(struct guest *guest)
{
	struct mcp_guests *guests = guest->guests;
	pthread_mutex_lock(&guests->lock);
	guest->next = guests->first;
	if (guests->first != NULL)
		guests->first->previous = guest;
	guests->first = guest;
	guests->n++;
	pthread_mutex_unlock(&guests->lock);
}

bool mcp_guests_folder(struct mcp_guests *guests, struct arena *arena, struct str session, struct str *ret)
{
	bool found = false;
	pthread_mutex_lock(&guests->lock);
	for (const struct guest *guest = guests->first; guest != NULL && !found; guest = guest->next) {
		found = guest->folder != NULL && str_eq(session, str_from(guest->session));
		if (found)
			*ret = arena_str(arena, str_from(guest->folder));
	}
	pthread_mutex_unlock(&guests->lock);
	return found;
}

/* Nobody writes to its exchange any more. */
static void guest_free(struct guest *guest)
{
	mcp_peer_free(guest->peer);
	unlink_guest(guest);
	guest->guests->half -= guest->lines.part.room;
	line_cut_release(&guest->lines);
	free(guest->folder);
	free(guest);
}

/* `broken`: what it was to be sent is thrown away. */
static void guest_end(struct guest *guest, bool broken)
{
	struct sessions *sessions = guest->guests->control->sessions;
	struct http_exchange *x = guest->x;
	bool ends = guest->own_session && !guest->over;
	char id[ULID_SIZE], agent[ULID_SIZE];
	memcpy(id, guest->session, sizeof id);
	memcpy(agent, guest->agent, sizeof agent);
	http_on_gone(x, NULL, NULL);
	guest_free(guest);
	(broken ? http_stream_break : http_stream_end)(x);
	/* Who lets go of its connection has ended in order, as far as is known; an end that nobody saw has no code. */
	const struct session lost = {.id = str_from(id), .caller = str_from(agent), .exit_code = 0};
	if (ends)
		sessions_end_later(sessions, &lost, false);
}

static void on_gone(void *user)
{
	guest_end(user, false);
}

static void on_line(void *user, struct str line)
{
	struct guest *guest = user;
	mcp_peer_feed(guest->peer, line);
}

static void on_too_long(void *user)
{
	struct guest *guest = user;
	mcp_peer_too_long(guest->peer);
}

/* A line at a time: what many short ones bring may be a lot, and who does not take it waits with the rest. */
static size_t on_bytes(void *user, struct str bytes)
{
	struct guest *guest = user;
	size_t taken = 0, kept = guest->lines.part.room;
	while (taken < bytes.n && http_stream_unsent(guest->x) <= HTTP_STREAM_HIGH) {
		struct str left = str_slice(bytes, taken, bytes.n);
		size_t end = str_find_char(left, '\n');
		struct str piece = str_slice(left, 0, end == STR_NPOS ? left.n : end + 1);
		line_cut_feed(&guest->lines, piece, on_line, on_too_long, guest);
		taken += piece.n;
	}
	guest->guests->half += guest->lines.part.room - kept;
	if (guest->guests->half > MCP_GUESTS_HALF_MAX)
		loop_wake(guest->guests->wake);
	return taken;
}

/* In one piece, so that it is sent in one; what is large is sent in several anyway. */
static int write_line(struct guest *guest, struct str message)
{
	if (message.n > LINE_COPIED)
		return http_upgraded_write(guest->x, message) < 0 ? -1 : http_upgraded_write(guest->x, S("\n"));
	AUTO_BUF line = BUF_INIT(LINE_COPIED + 1);
	buf_reserve(&line, message.n + 1);
	buf_add_str(&line, message);
	buf_add_char(&line, '\n');
	return http_upgraded_write(guest->x, buf_str(&line));
}

/* Any thread. */
static void on_message(void *user, struct str message)
{
	struct guest *guest = user;
	int rc = write_line(guest, message);
	if (rc < 0)
		guest->deaf = true;
	if (rc != 0) /* or all together have too much */
		loop_wake(guest->guests->wake);
}

static struct guest *guest_new(struct mcp_guests *guests, struct http_exchange *x, const struct identity *identity)
{
	struct guest *guest = NEW(struct guest);
	guest->guests = guests;
	guest->x = x;
	memcpy(guest->agent, identity->agent, sizeof guest->agent);
	line_cut_init(&guest->lines, MCP_MESSAGE_MAX);
	if (identity->session[0] != '\0')
		memcpy(guest->session, identity->session, sizeof guest->session);
	else
		start_session(guest, identity);
	const struct mcp_peer_options options = {
		.caller = {.id = str_from(guest->agent),
			   .name = str_from(identity->agent_name),
			   .session = str_from(guest->session)},
		.write = on_message,
		.user = guest,
	};
	guest->peer = mcp_peer_new(guests->mcp, &options);
	link_guest(guest);
	return guest;
}

static size_t count_of(struct mcp_guests *guests, const char *agent)
{
	size_t n = 0;
	pthread_mutex_lock(&guests->lock);
	for (const struct guest *guest = guests->first; guest != NULL; guest = guest->next)
		n += strcmp(guest->agent, agent) == 0;
	pthread_mutex_unlock(&guests->lock);
	return n;
}

int mcp_guests_take(struct mcp_guests *guests, struct http_exchange *x, const struct identity *identity,
		    struct err *err)
{
	if (guests->stopped)
		return fail(err, ERR_UNAVAILABLE, "the daemon is stopping");
	if (guests->n == MCP_GUESTS_MAX)
		return fail(err, ERR_UNAVAILABLE, "there are %d agents here already; end some", MCP_GUESTS_MAX);
	if (count_of(guests, identity->agent) >= MCP_GUESTS_OF_ONE)
		return fail(err, ERR_UNAVAILABLE, "this agent has %d connections already; end some", MCP_GUESTS_OF_ONE);
	struct guest *guest = guest_new(guests, x, identity);
	const struct h1_header session = {S(MCP_SESSION_HEADER), str_from(guest->session)};
	const struct http_upgrade upgrade = {
		.protocol = S(MCP_GUESTS_PROTOCOL),
		.headers = &session,
		.n_headers = 1,
		.receive = on_bytes,
		.user = guest,
	};
	http_on_gone(x, on_gone, guest);
	http_upgrade(x, &upgrade);
	return 0;
}

static size_t half_of(struct guest *guest)
{
	return guest->lines.part.room;
}

static size_t unsent_of(struct guest *guest)
{
	return http_stream_unsent(guest->x);
}

/* The largest connection of the agent that has most. */
static struct guest *find_largest(struct mcp_guests *guests, size_t (*size_of)(struct guest *guest))
{
	struct guest *largest = NULL;
	size_t most = 0;
	for (struct guest *first = guests->first; first != NULL; first = first->next) {
		struct guest *candidate = first;
		size_t sum = 0;
		for (struct guest *guest = guests->first; guest != NULL; guest = guest->next) {
			if (strcmp(guest->agent, first->agent) != 0)
				continue;
			size_t size = size_of(guest);
			sum += size;
			if (size > size_of(candidate))
				candidate = guest;
		}
		if (sum > most) {
			most = sum;
			largest = candidate;
		}
	}
	return largest;
}

/* All together have too much of what the connections keep: some give it up. */
static void keep_within(struct mcp_guests *guests, size_t excess, size_t (*size_of)(struct guest *guest))
{
	while (excess > 0) {
		struct guest *guest = find_largest(guests, size_of);
		if (guest == NULL)
			return;
		log_warn("guest_cut_off", log_z("agent", guest->agent), log_u64("bytes", size_of(guest)));
		excess -= MIN(excess, size_of(guest));
		guest_end(guest, true);
	}
}

void mcp_guests_look(struct mcp_guests *guests)
{
	if (guests->half > MCP_GUESTS_HALF_MAX)
		keep_within(guests, guests->half - MCP_GUESTS_HALF_MAX, half_of);
	keep_within(guests, http_upgrades_excess(guests->control->http), unsent_of);
	for (struct guest *guest = guests->first, *next; guest != NULL; guest = next) {
		next = guest->next;
		bool done = guests->stopped && mcp_peer_open(guest->peer) == 0;
		if (done || guest->deaf || guest->over ||
		    !agents_is_valid(guests->control->agents, str_from(guest->agent)))
			guest_end(guest, guest->deaf);
	}
}

void mcp_guests_stop(struct mcp_guests *guests)
{
	guests->stopped = true;
	mcp_guests_look(guests);
}

void mcp_guests_free(struct mcp_guests *guests)
{
	if (guests == NULL)
		return;
	while (guests->first != NULL)
		guest_free(guests->first);
	pthread_mutex_destroy(&guests->lock);
	free(guests);
}
