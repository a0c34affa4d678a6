/*
 * mcp: a server of the Model Context Protocol, whatever it offers and however bytes reach it
 *
 * One core speaks five revisions at once (docs/formats/mcp.md): the handshake of 2024-11-05 to 2025-11-25 and the stateless
 * requests of 2026-07-28, told apart message by message. What the server offers is a `struct mcp_backend`, functions over a
 * pointer of its owner's; a function that is NULL is a capability that is not advertised and whose methods do not exist.
 *
 * Doors: lines (struct mcp_peer below: one message a line, for stdio, a relay, and tests), and Streamable HTTP
 * (mcp/http/door.h). Both end here, so what a client is answered does not depend on its door.
 *
 * Threads: one *turning* thread feeds peers, serves HTTP and calls mcp_tick(); nothing there waits. tools/call, prompts/get,
 * resources/read, completion/complete and tasks/… are handed to `run`, and may wait. mcp_changed(), mcp_resource_updated()
 * and mcp_task_changed() are any thread's.
 *
 * Limits: a message has at most MCP_MESSAGE_MAX bytes and JSON_DEPTH_MAX levels, a peer or session MCP_OPEN_MAX requests under
 * way. Names, texts and schemas of the backend are passed on byte for byte and must be valid JSON where JSON is said.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "text/json.h"

#define MCP_MESSAGE_MAX      ((size_t)4 << 20) /* one message of a client's, whichever the door */
#define MCP_ANSWER_MAX       ((size_t)32 << 20)
#define MCP_OPEN_MAX         64   /* requests under way of a peer or session; more are refused */
#define MCP_BATCH_MAX        64   /* messages of one batch (2025-03-26) */
#define MCP_SESSIONS_MAX     1024 /* remembered; the one idle longest is forgotten, its id stays good */
#define MCP_LISTENERS_MAX    1024 /* subscriptions/listen that are open */
#define MCP_LISTENERS_OF_ONE 64   /* of those, one caller's */
#define MCP_KEY_SIZE         32
#define MCP_PROGRESS_MS      15000 /* silence after which a request with a token is told that it is still going */

enum mcp_version {
	MCP_2024_11_05,
	MCP_2025_03_26,
	MCP_2025_06_18,
	MCP_2025_11_25,
	MCP_2026_07_28,
	MCP_VERSION__MAX,
};
struct str mcp_version_name(enum mcp_version version);
bool mcp_version_named(struct str name, enum mcp_version *ret);

/* JSON-RPC's codes and the protocol's; a server makes up none of its own. */
enum mcp_code {
	MCP_PARSE_ERROR = -32700,
	MCP_INVALID_REQUEST = -32600,
	MCP_METHOD_NOT_FOUND = -32601,
	MCP_INVALID_PARAMS = -32602,
	MCP_INTERNAL_ERROR = -32603,
	MCP_RESOURCE_NOT_FOUND = -32002, /* told as MCP_INVALID_PARAMS in 2026-07-28 */
	MCP_HEADER_MISMATCH = -32020,
	MCP_MISSING_CAPABILITY = -32021,
	MCP_UNSUPPORTED_VERSION = -32022,
};

enum mcp_level {
	MCP_DEBUG,
	MCP_INFO,
	MCP_NOTICE,
	MCP_WARNING,
	MCP_ERROR,
	MCP_CRITICAL,
	MCP_ALERT,
	MCP_EMERGENCY,
	MCP_LEVEL__MAX,
};

/* Who asks, as the door's owner established it (an agent's token); copied. No part of it comes from the protocol. */
struct mcp_caller {
	struct str id, name, session;
};

struct mcp;
struct mcp_call;   /* one request while it is served */
struct mcp_answer; /* what it is answered with */

/* ---- What is offered ---- */

struct mcp_tool {
	struct str name;          /* [A-Za-z0-9_-]; unique in its list */
	struct str title;         /* "" = none, as below */
	struct str description;   /* never "" */
	struct str input_schema;  /* JSON object with "type":"object" */
	struct str output_schema; /* JSON; older revisions get it only with "type":"object" at its root */
	struct str annotations;   /* JSON object */
	struct str meta;          /* JSON object */
};
struct mcp_tools {
	uint64_t generation; /* another one = another list; pages are kept as text until it changes */
	const struct mcp_tool *items;
	size_t n; /* in the order of the list */
};

enum mcp_list { MCP_PROMPTS, MCP_RESOURCES, MCP_TEMPLATES, MCP_TOOLS, MCP_LIST__MAX };
/* A prompt, resource or resource template: `json` is the whole object, `name` what a page is continued behind. */
struct mcp_item {
	struct str name, json;
};
struct mcp_items {
	const struct mcp_item *items;
	size_t n;
};

enum mcp_task_status {
	MCP_TASK_WORKING,
	MCP_TASK_INPUT_REQUIRED,
	MCP_TASK_COMPLETED, /* with a result, also one that is an error of the tool */
	MCP_TASK_FAILED,    /* with a protocol error */
	MCP_TASK_CANCELLED,
};
/* A task of the extension io.modelcontextprotocol/tasks, as it is now. */
struct mcp_task {
	struct str id; /* unguessable; the backend looks whether it is the caller's */
	enum mcp_task_status status;
	struct str message; /* "" = none */
	uint64_t created_ns, updated_ns;
	uint64_t ttl_ms;       /* 0 = without limit */
	uint64_t poll_ms;      /* 0 = not said */
	struct str inputs;     /* JSON object of all that is asked, when INPUT_REQUIRED */
	struct str content;    /* when COMPLETED: as of struct mcp_answer */
	struct str structured; /* JSON or "" */
	bool is_error;
	struct str result_meta; /* members of the result's _meta */
	int code;               /* when FAILED, with `message` */
	struct str meta;        /* members of the task's own _meta: the draft of tool approval */
};

/* Fills *answer, which is an empty result before; any thread that `run` has. */
typedef void mcp_serve(void *user, struct mcp_call *call, struct mcp_answer *answer);

struct mcp_backend {
	void *user;
	struct str name, title, version; /* of the server */
	struct str instructions;         /* "" = none; clients cut it at 2 KiB */
	bool logging;                    /* mcp_call_log() is used */
	bool lists_change;               /* mcp_changed() is called */
	bool lists_are_public;           /* no list or resource depends on who asks */
	uint64_t ttl_ms;                 /* how long a client of 2026-07-28 may keep lists */
	struct str extensions;           /* further members of capabilities.extensions: "\"a.b/c\":{}" */

	/* On the turning thread: the tools as they are now, held until released (any thread); never NULL. */
	const struct mcp_tools *(*tools_hold)(void *user);
	void (*tools_release)(void *user, const struct mcp_tools *tools);
	mcp_serve *tools_call; /* the tool exists in the list */

	/* The tasks extension: all or none. False: there is no such task of this caller's. */
	bool (*task_get)(void *user, const struct mcp_caller *caller, struct str id, struct mcp_answer *answer);
	bool (*task_update)(void *user, const struct mcp_caller *caller, struct str id, const struct json *inputs);
	bool (*task_cancel)(void *user, const struct mcp_caller *caller, struct str id);

	const struct mcp_items *prompts, *resources, *templates; /* constant */
	mcp_serve *prompts_get;
	mcp_serve *resources_read;
	mcp_serve *complete;
	bool subscribe; /* resources: mcp_resource_updated() is called */
};

/* ---- Serving a request: any one thread, until the function returns ---- */

struct str mcp_call_name(const struct mcp_call *call);              /* of the tool or prompt, the resource's URI */
const struct json *mcp_call_params(const struct mcp_call *call);    /* all of them */
const struct json *mcp_call_arguments(const struct mcp_call *call); /* an object, or NULL: none were given */
struct str mcp_call_arguments_text(const struct mcp_call *call);    /* the same as sent; "{}" */
const struct json *mcp_call_meta(const struct mcp_call *call);      /* params._meta, or NULL */
const struct mcp_caller *mcp_call_caller(const struct mcp_call *call);
struct str mcp_call_client(const struct mcp_call *call); /* what it calls itself, for display: "name version" or "" */

/* Gave up: the client cancelled, or is gone where that means the same. Asked now and then by what takes long. */
bool mcp_call_is_cancelled(const struct mcp_call *call);
/* What the client declared: for this request (2026-07-28), for its session (before). */
enum mcp_client_can {
	MCP_CAN_SAMPLING,
	MCP_CAN_ELICITATION, /* forms */
	MCP_CAN_ELICITATION_URL,
	MCP_CAN_ROOTS,
	MCP_CAN_TASKS, /* the extension: only then mcp_answer_task() */
	MCP_CAN__MAX,
};
bool mcp_call_can(const struct mcp_call *call, enum mcp_client_can what);

/*
 * Told to a client that gave a token. Values that do not grow are dropped; `total` < 0 = unknown. Whoever says nothing
 * for MCP_PROGRESS_MS has it said for him by mcp_tick().
 */
void mcp_call_progress(struct mcp_call *call, double progress, double total, struct str message);
/* Told when the client wants that level. `data` is JSON; never a secret. */
void mcp_call_log(struct mcp_call *call, enum mcp_level level, struct str logger, struct str data);

/*
 * Asks the client (sampling/createMessage, elicitation/create, roots/list) and waits, at most `timeout_ms`. Before 2026-07-28
 * alone. The document is the caller's to free; its root is the result. CAPABILITY_DENIED: the client did not declare it, or
 * the revision has no such requests; EXTERNAL_API_ERROR: it answered with an error; CANCELLED; UNAVAILABLE: no answer in time.
 */
struct json *mcp_call_ask(struct mcp_call *call, struct str method, struct str params, uint64_t timeout_ms,
			  struct err *err) __attribute__((warn_unused_result));

/* 2026-07-28: the answer to what an earlier round asked under `key`, or NULL; the state of that round, verified, or "". */
const struct json *mcp_call_input(const struct mcp_call *call, struct str key);
struct str mcp_call_state(const struct mcp_call *call);

/* ---- Answers ---- */

enum mcp_answer_kind { MCP_ANSWER_RESULT, MCP_ANSWER_TASK, MCP_ANSWER_INPUT, MCP_ANSWER_ERROR };
struct mcp_answer {
	enum mcp_answer_kind kind;
	/* tools/call: what stands between the brackets of "content". Otherwise the members of the result. */
	struct buf content;
	struct buf structured; /* tools/call: JSON value, left out for revisions that do not know it */
	bool is_error;         /* tools/call */
	struct buf meta;       /* members of the result's (or the task's) _meta */
	struct buf body;       /* INPUT: members of inputRequests; ERROR: the message; TASK: its members */
	struct buf state;      /* INPUT: what mcp_call_state() is to give, in the clear for the client; "" = none */
	int code;              /* ERROR */
	struct buf data;       /* ERROR: JSON or "" */
	unsigned asked;        /* INPUT: bits of enum mcp_client_can that it takes */
};
/* A text block; several make several. With `structured` beside it, put the same information in both. */
void mcp_answer_text(struct mcp_answer *answer, struct str text);
/* A result that is an error of the tool: what the model could mend or should know. */
void mcp_answer_tool_error(struct mcp_answer *answer, struct str text);
/* An error of the protocol; what was put before is dropped. */
void mcp_answer_error(struct mcp_answer *answer, int code, struct str message, struct str data);
/* -32021 naming the members of ClientCapabilities: "\"sampling\":{}". */
void mcp_answer_needs(struct mcp_answer *answer, struct str capabilities);
/* tools/call: the task instead of a result (only with MCP_CAN_TASKS); tasks/get: the task. All is copied. */
void mcp_answer_task(struct mcp_answer *answer, const struct mcp_task *task);
/* 2026-07-28: asks for one input; several make several. What the client did not declare makes the answer -32021. */
void mcp_answer_ask(struct mcp_answer *answer, struct str key, struct str method, struct str params);

/* ---- The server ---- */

struct mcp_options {
	const struct mcp_backend *backend; /* copied; what it points to outlives the server */
	/*
	 * Keys session ids, cursors and request states. Kept by the owner over restarts, so that ids stay good; wiped with the
	 * server.
	 */
	unsigned char key[MCP_KEY_SIZE];
	size_t page; /* items of one page of a list; 0 = 1000 */
	/*
	 * Has `work`, which `caller` asked for, done on another thread, in any order; false: not now. NULL = at once, on the thread
	 * that feeds.
	 */
	bool (*run)(void *user, const struct mcp_caller *caller, void (*work)(void *job), void *job);
	/* Any thread: mcp_tick() is wanted soon. NULL = it is called often anyway. Must not call it itself. */
	void (*wake)(void *user);
	void *user;
	const struct clock *clock; /* NULL = the system's */
};
struct mcp *mcp_new(const struct mcp_options *options) __attribute__((warn_unused_result, returns_nonnull));
/* After the last peer and door, when nothing that was given to `run` is under way. NULL is fine. */
void mcp_free(struct mcp *mcp);
DEFINE_AUTO(mcp, mcp_free)
/* On the turning thread, at least each second and after `wake`: tells what changed and who still waits. */
void mcp_tick(struct mcp *mcp);
/* Gives up all that is under way: each call finds itself cancelled. Any thread. */
void mcp_cancel_all(struct mcp *mcp);
/* On the turning thread, before the doors are closed: ends all streams of changes in good order; no further one begins. */
void mcp_end_streams(struct mcp *mcp);
/* On the turning thread: ends the streams of callers that are `gone`, whichever their door, and gives up their requests. */
void mcp_end_callers(struct mcp *mcp, bool (*gone)(void *user, struct str caller_id), void *user);

/* Told to all who listen, at the next tick. Any thread, from within a call too. */
void mcp_changed(struct mcp *mcp, enum mcp_list list);
void mcp_resource_updated(struct mcp *mcp, struct str uri);
/* To the caller's own streams that asked for the task; as mcp_answer_task() of tasks/get. */
void mcp_task_changed(struct mcp *mcp, struct str caller_id, const struct mcp_task *task);

/* ---- The door of lines ---- */

struct mcp_peer; /* one client: a process at the other end of a pipe */
struct mcp_peer_options {
	struct mcp_caller caller;
	/*
	 * One message, without a line end and with none inside; any thread, one at a time a peer. Must not wait for the turning
	 * thread: queue, and end the peer when too much is queued.
	 */
	void (*write)(void *user, struct str message);
	void *user;
};
struct mcp_peer *mcp_peer_new(struct mcp *mcp, const struct mcp_peer_options *options)
	__attribute__((warn_unused_result, returns_nonnull));
/* A whole line, with or without its end (\n, \r\n); blank ones are nothing. One that is over MCP_MESSAGE_MAX is refused. */
void mcp_peer_feed(struct mcp_peer *peer, struct str line);
/* It sent a line that is longer than MCP_MESSAGE_MAX and was thrown away by whoever reads. */
void mcp_peer_too_long(struct mcp_peer *peer);
/* The end: what is under way is cancelled, and `write` is not called any more. NULL is fine. */
void mcp_peer_free(struct mcp_peer *peer);
DEFINE_AUTO(mcp_peer, mcp_peer_free)
size_t mcp_peer_open(struct mcp_peer *peer); /* requests under way */
