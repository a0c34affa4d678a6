#include "control/mcp_guests.h"
#include "base/hex.h"
#include "base/line_cut.h"
#include "base/log.h"
#include "base/time.h"
#include "control/agents.h"
#include "control/event.h"
#include "control/runs.h"
#include "control/session.h"
#include "control/workers.h"
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
};

struct mcp_guests {
	struct control *control;
	struct mcp *mcp;
	struct loop_source *wake;
	bool stopped;

	pthread_mutex_t lock; /* of the list, which the loop's thread alone changes */
	struct guest *first;
	size_t n;
};

struct mcp_guests *mcp_guests_new(struct control *control, struct mcp *mcp, struct loop_source *wake)
{
	struct mcp_guests *guests = NEW(struct mcp_guests);
	*guests = (struct mcp_guests){.control = control, .mcp = mcp, .wake = wake};
	pthread_mutex_init(&guests->lock, NULL);
	return guests;
}

/* ---------------------------------------------------------------------------------------------------------- sessions */

/* What a job of the writer, or of a worker, takes with it. */
struct session_job {
	struct control *control;
	struct mcp_guests *guests;
	char session[ULID_SIZE], agent[ULID_SIZE];
	char name[AGENT_NAME_SIZE];
	char folder[FOLDER_MAX];
	uint64_t now_ns;
	bool continues;
};

static struct session_job *job_new(const struct guest *guest)
{
	struct session_job *job = NEW(struct session_job);
	job->control = guest->guests->control;
	job->guests = guest->guests;
	job->now_ns = clock_wall_ns(NULL);
	memcpy(job->session, guest->session, sizeof job->session);
	memcpy(job->agent, guest->agent, sizeof job->agent);
	return job;
}

/* Whether a connection that is there has this session. */
static bool is_held(struct mcp_guests *guests, struct str session)
{
	bool held = false;
	pthread_mutex_lock(&guests->lock);
	for (const struct guest *guest = guests->first; guest != NULL && !held; guest = guest->next)
		held = str_eq(session, str_from(guest->session));
	pthread_mutex_unlock(&guests->lock);
	return held;
}

static int append(struct db_tx *tx, const struct session_job *job, enum audit_type type, struct err *err)
{
	AUTO_EVENT event;
	const struct audit_event who = {.type = type, .actor = AUDIT_ACTOR_AGENT, .actor_id = str_from(job->agent)};
	event_begin(&event, who);
	member_z(&event.json, "aileron.session.id", job->session);
	member_z(&event.json, "aileron.agent.id", job->agent);
	if (type == AUDIT_SESSION_STARTED)
		member_z(&event.json, "aileron.session.agent", job->name);
	if (job->continues)
		member_bool(&event.json, "aileron.session.continued", true);
	return event_end(&event, err) < 0 ? -1 : event_append(tx, &event, err);
}

/* One that goes on was ended when its connection was lost. */
static int store_start(struct db_tx *tx, void *user, struct err *err)
{
	const struct session_job *job = user;
	if (job->continues) {
		struct db_stmt *update =
			db_stmt(tx, "UPDATE sessions SET ended_ns = NULL, exit_code = NULL WHERE id = ?");
		db_bind_str(update, str_from(job->session));
		if (db_run(update, err) < 0)
			return -1;
	} else {
		const struct session session = {
			.id = str_from(job->session),
			.agent = str_from(job->name),
			.working_dir = str_from(job->folder),
			.caller = str_from(job->agent),
			.started_ns = job->now_ns,
		};
		if (session_insert(tx, &session, err) < 0)
			return -1;
	}
	return append(tx, job, AUDIT_SESSION_STARTED, err);
}

static void start_stored(void *user, const struct err *err)
{
	if (err != NULL)
		log_error("guest_session_not_stored", log_err(err));
	free(user);
}

static int store_end(struct db_tx *tx, void *user, struct err *err)
{
	struct session_job *job = user;
	job->continues = is_held(job->guests, str_from(job->session));
	if (job->continues)
		return 0; /* its guest was back before this was done */
	if (session_end(tx, str_from(job->session), job->now_ns, 0, err) < 0)
		return -1;
	return append(tx, job, AUDIT_SESSION_ENDED, err);
}

/* On a worker: what the session granted ends with it. */
static void end_session(void *user)
{
	AUTO_FREE struct session_job *job = user;
	struct err err = {0};
	if (db_write(job->control->db, store_end, job, &err) < 0)
		log_error("guest_session_not_ended", log_err(&err));
	err_clear(&err);
	if (!job->continues && runs_end_session(job->control->runs, str_from(job->session), &err) < 0)
		log_error("grants_not_ended", log_err(&err));
}

static bool is_callers(struct control *control, struct str session, const char *agent)
{
	if (session.n != ULID_SIZE - 1)
		return false;
	struct db_tx *tx = db_read(control->db);
	struct db_stmt *q = db_stmt(tx, "SELECT 1 FROM sessions WHERE id = ? AND caller = ?");
	db_bind_str(q, session);
	db_bind_str(q, str_from(agent));
	bool found = db_step(q, NULL) == 1;
	db_finish(q);
	db_done(tx);
	return found;
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
	struct control *control = guest->guests->control;
	struct str asked = http_header(guest->x, S(MCP_SESSION_HEADER));
	/* One that another connection has is that one's, with what was granted to it. */
	bool continues = is_callers(control, asked, guest->agent) && !is_held(guest->guests, asked);
	if (continues) {
		memcpy(guest->session, asked.p, asked.n);
	} else {
		ulid_make(clock_wall_ns(NULL), guest->session);
	}
	guest->own_session = true;
	struct session_job *job = job_new(guest);
	job->continues = continues;
	memcpy(job->name, identity->agent_name, sizeof job->name);
	read_folder(http_header(guest->x, S(MCP_FOLDER_HEADER)), job->folder);
	guest->folder = xstrdup(job->folder);
	db_write_later(control->db, store_start, job, start_stored);
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
	line_cut_release(&guest->lines);
	free(guest->folder);
	free(guest);
}

static void guest_end(struct guest *guest)
{
	struct control *control = guest->guests->control;
	struct http_exchange *x = guest->x;
	struct session_job *job = guest->own_session ? job_new(guest) : NULL;
	http_on_gone(x, NULL, NULL);
	guest_free(guest);
	http_stream_end(x);
	if (job != NULL && !workers_add(control->workers, end_session, job))
		free(job); /* the daemon stops, or too much waits: its next start ends the session */
}

static void on_gone(void *user)
{
	guest_end(user);
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

static void on_bytes(void *user, struct str bytes)
{
	struct guest *guest = user;
	line_cut_feed(&guest->lines, bytes, on_line, on_too_long, guest);
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
	if (write_line(guest, message) == 0)
		return;
	guest->deaf = true;
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

void mcp_guests_look(struct mcp_guests *guests)
{
	for (struct guest *guest = guests->first, *next; guest != NULL; guest = next) {
		next = guest->next;
		bool done = guests->stopped && mcp_peer_open(guest->peer) == 0;
		if (done || guest->deaf || !agents_is_valid(guests->control->agents, str_from(guest->agent)))
			guest_end(guest);
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
