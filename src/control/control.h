/*
 * control: the half of the daemon that decides
 *
 * One loop thread owns the HTTP connections and the links to parent and keeper; whoever waits for a call of a connector drives
 * the runners and the link to egress (calls.h). A bounded pool of workers runs the handlers of operations, which read top to bottom and may
 * wait: for the keeper (keeper_client.h), for a commit (store/db.h), for a call of a connector (calls.h). Rows marked
 * API_QUICK are answered on the loop's thread.
 *
 * A handler is a row of handlers.c: it reads what api_validate() has let through, writes its result as JSON, and
 * returns 0, or -1 with an error, which becomes the operation's envelope and status (base/errors.def). No secret passes
 * through here: what a person typed is sealed to the keeper, what a service answers was scrubbed by egress.
 */
#pragma once
#include "api/operation.h"
#include "audit/audit.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "http/server/server.h"
#include "store/db.h"
#include "supervise/supervise.h"
#include "text/json.h"
#include "text/json_writer.h"

/* More than can be held at once by agents' requests (mcp_turns.h) and by the three below: who decides finds one. */
#define CONTROL_WORKERS     48
#define CONTROL_WAITERS     8    /* requests that wait for a decision and the end of a run */
#define CONTROL_WATCHERS    8    /* streams of the approvals; AUDIT_FOLLOWERS are those of the record */
#define CONTROL_WAITING_MAX 1024 /* requests waiting for a worker; above, 503 `unavailable` */
#define CONTROL_ANSWER_MAX  ((size_t)64 << 20)

struct agents;
struct actions;
struct audit_service;
struct calls;
struct dispatcher;
struct executions;
struct gateway;
struct held_connectors;
struct holds;
struct keeper_client;
struct known_connectors;
struct mcp_service;
struct oauth_flows;
struct parent_client;
struct processes;
struct runs;
struct sessions;
struct spans;
struct tokens;
struct credential_uses;
struct vault_watch;
struct workers;

struct control {
	const struct supervise_start *start;
	struct loop *loop; /* of the loop's thread */
	struct db *db;
	struct executions *executions; /* execution.h: calls in the record */
	struct http_server *http;
	struct parent_client *parent;   /* parent_client.h: runners, folders */
	struct keeper_client *keeper;   /* keeper_client.h */
	struct actions *actions;        /* actions.h: what is linked, in sets */
	struct held_connectors *held;   /* held_connectors.h: files of linked connectors, between uses */
	struct known_connectors *known; /* known_connectors.h: their rows, between uses */
	struct calls *calls;            /* calls.h: runner pool and link to egress */
	struct oauth_flows *oauth;      /* oauth.h: flows under way */
	struct gateway *gateway;        /* gateway.h: requests of agents to providers of models */
	struct mcp_service *mcp;        /* mcp_service.h: the actions as tools, for agents */
	struct tokens *tokens;          /* tokens.h: daemon, person and capability tokens */
	struct agents *agents;          /* agents.h: who may ask through MCP */
	struct sessions *sessions;      /* sessions.h: what starts, continues and ends them */
	struct holds *holds;            /* holds.h: sessions that last as long as a connection */
	struct processes *processes;    /* processes.h: what the parent tells, with proofs */
	struct workers *workers;        /* workers.h */
	struct dispatcher *dispatcher;  /* dispatch.h: from an exchange to a handler */
	struct audit_service *audit;    /* audit_service.h: checkpoints, and who follows the record */
	struct credential_uses *uses;   /* credential_uses.h: whose call a permit is for */
	struct vault_watch *vault;      /* vault_watch.h: what the keeper tells of itself */
	struct runs *runs;              /* runs.h: actions under way, and those that wait for a person */
	struct spans *spans;            /* spans.h: spans on their way to a collector; NULL = none is configured */
	uint64_t started_ns;            /* Unix; of the daemon, not of this control */
	_Atomic bool over;              /* the time to finish has passed: whoever works on gives up */
};

/*
 * `aileron-control` after it was confined: opens the database, serves until the parent says stop or ends, finishes what
 * is under way within the time that it was given, and returns 0. -1 when it cannot start; the database's own error then
 * says what to do.
 */
int control_run(const struct supervise_start *start, struct err *err) __attribute__((warn_unused_result));

/* Who asks. */
#define AGENT_NAME_SIZE 65 /* with a NUL */
enum identity_kind { IDENTITY_NOBODY, IDENTITY_DAEMON, IDENTITY_PERSON, IDENTITY_SESSION, IDENTITY_AGENT };
struct identity {
	enum identity_kind kind;
	char session[32]; /* of IDENTITY_SESSION, and of an agent that was launched */
	char agent[32];   /* of IDENTITY_AGENT: its id, and its name for people */
	char agent_name[AGENT_NAME_SIZE];
	unsigned capabilities; /* of IDENTITY_SESSION: enum capability of tokens.h */
	uint64_t token_id;     /* of IDENTITY_PERSON */
};

struct request {
	struct control *control;
	const struct operation *operation;
	struct http_exchange *exchange;
	struct identity identity;
	struct arena *arena;                        /* of this request */
	struct str parameters[API_PATH_PARAMETERS]; /* of the route, unescaped */
	const struct json *query;                   /* object of strings, validated; repeated names are refused */
	const struct json *body;                    /* validated; NULL when the operation has none */
	struct buf answer;
	struct json_writer json;      /* into answer */
	unsigned status;              /* 0 = what the operation's flags say */
	bool answered;                /* the handler did it itself (streams, pages, redirects) */
	char audit_id[AUDIT_ID_SIZE]; /* of the event that says how it ended, for the failure envelope; "" */
	/* The handler's: called once, when the request was answered, for what nobody is to wait for. NULL = nothing. */
	void (*release)(void *user);
	void *release_user;
};
typedef int request_handler(struct request *request, struct err *err);

/* Convenience over query and body; "" and the default when absent. */
struct str request_query(const struct request *request, const char *name);
uint64_t request_query_u64(const struct request *request, const char *name, uint64_t otherwise);
bool request_query_bool(const struct request *request, const char *name);
struct str request_str(const struct request *request, const char *name);
bool request_bool(const struct request *request, const char *name, bool otherwise);
const struct json *request_member(const struct request *request, const char *name);
/* The member `sealed`, decoded; SEALED_REQUIRED when it is not there. */
int request_sealed(struct request *request, struct str *ret, struct err *err) __attribute__((warn_unused_result));
/* Asks the keeper for an operation with that member. *ret_body lives in the request's arena; may be NULL. */
struct keeper_sealed;
int request_ask_sealed(struct request *request, struct keeper_sealed *sealed, struct str *ret_body, struct err *err)
	__attribute__((warn_unused_result));
/* The trace id of its traceparent header (W3C Trace Context 2.2.2), and the span id of the caller; "" when there is none. */
struct str request_trace(const struct request *request, struct str *ret_parent);
/* Whether who asked has gone, of a struct request: for what waits. */
bool request_is_gone(void *request);
/* The same, or may ask no more (tokens_stand): for an answer that goes on. */
bool request_is_over(void *request);
/* An event whose actor is whoever asks (human "user" for the daemon's and person tokens, agent for a session). */
struct audit_event request_event(const struct request *request, enum audit_type type);

/* handle_<name> for each row of the API, in handlers_*.c by subject. */
#define OPERATION(name, ...) request_handler handle_##name;
#include "api/operations.def"
#undef OPERATION
