/*
 * core: what the parts of the server share
 *
 * mcp.c keeps the server and its ticks; serve.c judges requests and dispatches them by the table of methods; methods.c answers
 * what is quick; call.c has requests while they are served; list.c pages; listen.c streams of changes; session.c what a
 * handshake agreed on; render.c writes answers; lines.c and mcp/http are the doors.
 *
 * Locks: `lock` is for the tables (calls, sessions' fields, pending changes), and nothing is sent under it but by
 * mcp_tick(), which never waits. A call's `telling` is for what is told about it, and is taken without `lock`, or tried.
 */
#pragma once
#include "base/map.h"
#include "base/vec.h"
#include "mcp/mcp.h"
#include "mcp/message.h"
#include "mcp/seal.h"
#include "mcp/sink.h"
#include <pthread.h>
#include <stdatomic.h>

/* A caller of our own. */
struct caller {
	struct mcp_caller is;
	char *memory;
};

/* What the requests of one client have in common: a peer, or a session over HTTP. Under the lock. */
struct scope {
	size_t n_open;
};

/* A question of ours that waits for the client's answer (before 2026-07-28). Under the lock. */
struct ask {
	struct ask *next;
	char id[32]; /* raw, with its quotes */
	struct message *answer;
};

#define SESSION_ID_TEXT_SIZE 64
#define SESSION_URIS_MAX     256

/* What a handshake agreed on. Counted, as calls outlive the end of their peer. */
struct mcp_session {
	unsigned refs; /* under the lock */
	struct scope scope;
	enum mcp_version version;
	unsigned can;      /* bits of enum mcp_client_can */
	bool greeted;      /* initialize was answered */
	bool is_ready;     /* notifications/initialized came */
	_Atomic int level; /* enum mcp_level */
	char *client;      /* "" until the handshake */
	struct map *uris;  /* subscribed; turning thread */
	struct ask *asks;  /* under the lock */
	uint64_t n_asks;   /* under the lock */
	bool has_stream;   /* of unsolicited messages; turning thread */
	struct caller caller;
	/* Over HTTP; turning thread. */
	char id[SESSION_ID_TEXT_SIZE];
	uint64_t used_ns;
};

enum era { ERA_LEGACY = 1, ERA_MODERN = 2 };

/* What must be offered for a method to exist. */
enum offer {
	OFFER_ALWAYS,
	OFFER_TOOLS,
	OFFER_PROMPTS,
	OFFER_RESOURCES,
	OFFER_SUBSCRIBE,
	OFFER_COMPLETIONS,
	OFFER_LOGGING,
	OFFER_LISTEN,
	OFFER_TASKS,
};

struct method {
	struct str name;
	unsigned eras;
	enum offer offer;
	struct str routed_by; /* the member of params that HTTP's Mcp-Name repeats; "" = none */
	/* On the turning thread; ends the call, or hands it on. */
	void (*serve)(struct mcp_call *call);
	/* What call_hand_on() has done on another thread. */
	mcp_serve *(*server)(const struct mcp_backend *backend);
	bool is_cacheable; /* 2026-07-28: its result says for how long */
};

struct mcp_call {
	struct mcp *mcp;
	struct mcp_call *previous, *next; /* under the lock */
	const struct method *method;
	struct message *message;
	struct mcp_sink *sink;
	const struct arrival *arrival; /* while it is judged, on the turning thread */
	struct scope *scope;           /* NULL = none */
	struct mcp_session *session;   /* NULL = the request stands alone */
	struct caller caller;
	enum mcp_version version;
	unsigned can;
	int level;              /* 2026-07-28: the least that is told, MCP_LEVEL__MAX = nothing */
	struct str name, token; /* token: raw, "" = none */
	const struct json *arguments;
	struct str arguments_text;
	char *client;
	struct buf state;
	_Atomic bool stopped; /* the backend is to give up */
	bool silent;          /* no answer is wanted; under the lock */

	pthread_mutex_t telling;
	double progress;
	bool has_progressed;
	uint64_t told_ns;
};

/* Somebody who is told of changes: a listen request, or a session's own stream. Turning thread. */
struct listener {
	struct listener *next;
	struct mcp_sink *sink;
	struct scope *scope;
	struct mcp_session *session; /* whose own stream it is; counted */
	struct caller caller;
	struct str id; /* raw, of the listen request; "" = a session's stream */
	struct message *message;
	unsigned lists;           /* bits of enum mcp_list */
	struct map *uris, *tasks; /* NULL = none; a session's own stream has the session's */
};

/* What is to be told at the next tick. Under the lock. */
struct task_change {
	char *caller_id, *task_id, *members, *meta;
};
#define CHANGES_MAX 1024

struct page {
	enum mcp_list list;
	unsigned shape;
	size_t from;
	struct buf members;
};

struct mcp {
	struct mcp_options options;
	struct mcp_backend backend;
	pthread_mutex_t lock;
	pthread_cond_t answered; /* an ask was, or its call was cancelled */
	struct mcp_call *calls;
	struct listener *listeners; /* turning thread */
	size_t n_listeners;
	bool is_ending;                       /* no listener joins any more; turning thread */
	unsigned changed;                     /* bits of enum mcp_list; under the lock */
	VEC(char *) updated;                  /* URIs; under the lock */
	VEC(struct task_change) task_changes; /* under the lock */
	/* Of the turning thread. */
	uint64_t pages_of; /* generation */
	VEC(struct page) pages;
	struct map *sessions;                      /* over HTTP, by id */
	struct map *ended;                         /* ids that DELETE ended */
	void (*turn)(void *user, uint64_t now_ns); /* of the HTTP door */
	void *turn_user;
};

static inline uint64_t mcp_now(const struct mcp *mcp)
{
	return clock_monotonic_ns(mcp->options.clock);
}
static inline bool call_is_modern(const struct mcp_call *call)
{
	return call->version == MCP_2026_07_28;
}

/* ---- serve.c ---- */

/* A request and how it came. */
struct arrival {
	struct message *message;
	struct mcp_sink *sink;
	const struct mcp_caller *caller;
	struct scope *scope;
	struct mcp_session *session; /* of legacy requests */
	/* The Mcp-… headers of HTTP: the value and how many there are. NULL = lines, which have none. */
	struct str (*header)(const void *user, struct str name, size_t *ret_n);
	const void *header_user;
};
/* Both take message and sink. */
void serve_legacy(struct mcp *mcp, const struct arrival *arrival);
void serve_modern(struct mcp *mcp, const struct arrival *arrival);
/* A notification or a response of a legacy session; what is not known is nothing. */
void serve_notification(struct mcp *mcp, struct scope *scope, struct mcp_session *session,
			const struct message *message);
void serve_response(struct mcp *mcp, struct mcp_session *session, struct message *message); /* takes it */
/* Whether only the stateless revision has a method of that name. */
bool serve_is_modern_method(struct str method);
bool serve_offers(const struct mcp_backend *backend, enum offer offer);
extern const struct method methods[];
extern const size_t n_methods;

/* ---- headers.c: revision 2026-07-28 over HTTP ---- */

/* NULL, or what is wrong: the call is refused with MCP_HEADER_MISMATCH. Each is 0 with lines. */
const char *header_check_version(const struct arrival *arrival);
const char *header_check_method(const struct arrival *arrival);
const char *header_check_name(const struct arrival *arrival, struct str member);
/* The arguments that the tool's schema marks "x-mcp-header". */
const char *header_check_arguments(const struct arrival *arrival, const struct mcp_call *call, struct str schema);

/* ---- call.c ---- */

struct mcp_call *call_new(struct mcp *mcp, const struct arrival *arrival, enum mcp_version version)
	__attribute__((warn_unused_result, returns_nonnull));
/* Each ends the call: it is gone. */
void call_refuse(struct mcp_call *call, unsigned status, int code, struct str message, struct str data);
void call_bad_params(struct mcp_call *call, const char *why); /* -32602 of a handler: 200 */
void call_result(struct mcp_call *call, struct str members);
void call_answer(struct mcp_call *call, struct mcp_answer *answer);
/* The call becomes something else that has its sink and message. */
void call_dissolve(struct mcp_call *call);
/* Has the backend serve it on another thread. */
void call_hand_on(struct mcp_call *call);
/* Cancels what is under way in the scope under that raw id. */
void calls_cancel(struct mcp *mcp, const struct scope *scope, struct str id);
void calls_cancel_sink(struct mcp *mcp, const struct mcp_sink *sink);
void calls_cancel_scope(struct mcp *mcp, const struct scope *scope);
void calls_cancel_callers(struct mcp *mcp, bool (*gone)(void *user, struct str caller_id), void *user);
void calls_turn(struct mcp *mcp, uint64_t now_ns);
void answer_init(struct mcp_answer *answer);
void answer_release(struct mcp_answer *answer);
/* The bits of enum mcp_client_can that a question to the client takes; one beyond them for what is no such question. */
unsigned ask_takes(struct str method, struct str params);
/* The round before: NULL, or why its answers or its state are refused. */
const char *call_take_round(struct mcp_call *call);
void call_put_state(const struct mcp_call *call, struct str state, struct buf *out);

/* ---- render.c ---- */

void render_result(const struct mcp_call *call, struct str members, struct buf *out);
void render_answer(const struct mcp_call *call, struct mcp_answer *answer, struct buf *out);
void render_error(struct str id, int code, struct str message, struct str data, struct buf *out);
void render_capabilities(const struct mcp_backend *backend, enum mcp_version version, struct buf *out); /* an object */
void render_server_info(const struct mcp_backend *backend, enum mcp_version version, struct buf *out);  /* an object */
/* {"jsonrpc":"2.0","method":…,"params":{…}}, the latter left out when there are none. */
void render_notification(struct str method, struct str param_members, struct buf *out);
unsigned render_status(enum mcp_version version, int code);
void render_on_one_line(struct buf *out);

/* ---- methods.c, list.c, listen.c ---- */

void serve_initialize(struct mcp_call *call);
void serve_ping(struct mcp_call *call);
void serve_set_level(struct mcp_call *call);
void serve_subscribe(struct mcp_call *call);
void serve_unsubscribe(struct mcp_call *call);
void serve_discover(struct mcp_call *call);
void serve_complete(struct mcp_call *call);
void serve_named(struct mcp_call *call); /* prompts/get, resources/read */
void serve_tools_call(struct mcp_call *call);
void serve_task(struct mcp_call *call);
void serve_list(struct mcp_call *call);
void serve_listen(struct mcp_call *call);

mcp_serve *task_get_of(const struct mcp_backend *backend);
mcp_serve *task_update_of(const struct mcp_backend *backend);
mcp_serve *task_cancel_of(const struct mcp_backend *backend);
void call_needs_tasks(struct mcp_call *call); /* ends it */

void pages_clear(struct mcp *mcp);

/* The stream of a session that has begun, to which the sink goes. False, and nothing was done, when it has one, or
 * streams are ended. */
bool listener_of_session(struct mcp *mcp, struct mcp_session *session, struct mcp_sink *sink)
	__attribute__((warn_unused_result));
/* Without a word more. */
void listeners_cancel(struct mcp *mcp, const struct scope *scope, struct str id);
void listeners_end_scope(struct mcp *mcp, const struct scope *scope);
bool listeners_end_sink(struct mcp *mcp, const struct mcp_sink *sink);
void listeners_turn(struct mcp *mcp, uint64_t now_ns);

/* ---- batch.c ---- */

struct batch;
bool batch_is_allowed(const struct message *message); /* neither empty nor too long, and no element stands alone */
/* NULL, or why an element is answered with an error. */
const char *batch_refuses(const struct message *message);
/* Takes the sink, and finishes it when the last of its answers is there. */
struct batch *batch_new(struct mcp_sink *sink) __attribute__((warn_unused_result, returns_nonnull));
struct mcp_sink *batch_sink(struct batch *batch)
	__attribute__((warn_unused_result, returns_nonnull)); /* of an element */
void batch_add_error(struct batch *batch, struct str id, const char *why);
void batch_close(struct batch *batch); /* no further element; it may be gone */

/* ---- session.c ---- */

struct mcp_session *session_new(void) __attribute__((warn_unused_result, returns_nonnull));
void session_ref(struct mcp *mcp, struct mcp_session *session);
void session_unref(struct mcp *mcp, struct mcp_session *session); /* NULL is fine */
/* What `initialize` says: NULL, or why its params are bad. */
const char *session_greet(struct mcp_session *session, const struct json *params);
/* Gives it an id that verifies itself, and remembers it. */
void session_publish(struct mcp *mcp, struct mcp_session *session, const struct mcp_caller *caller,
		     char ret_id[SESSION_ID_TEXT_SIZE]);
/* The caller's session of that id, also one that was forgotten; NULL: never made, another's, or ended. Borrowed. */
struct mcp_session *session_find(struct mcp *mcp, const struct mcp_caller *caller, struct str id);
void session_close(struct mcp *mcp, struct mcp_session *session);
unsigned session_can(const struct json *capabilities, enum mcp_version version);

struct caller caller_dup(const struct mcp_caller *caller);
void caller_release(struct caller *caller);
/* "name version" of an Implementation, to be freed; "" when there is none. */
char *client_dup(const struct json *info) __attribute__((warn_unused_result, returns_nonnull));

bool level_named(struct str name, enum mcp_level *ret);
struct str level_name(enum mcp_level level);
