/*
 * agents: who may ask through MCP
 *
 * A row of `agents` is what an agent was registered as (`aileron mcp install`, `mcp token`), or one launch of it. Its token
 * is "agent_" and 43 characters (base64url of 32 random bytes), given once, when the row is made; the database has its
 * SHA-256. It survives restarts and is good until it is revoked, or until the session that it was made for ends. It opens
 * /mcp and nothing else: no token of a person, nor the daemon's, does.
 *
 * Sessions: a connection of `aileron-guest mcp` is a row of `sessions`, whose `caller` is the agent; an agent of a launch
 * has the launch's. What comes by HTTP has the agent's own id as its session. Any thread.
 */
#pragma once
#include "base/time.h"
#include "control/control.h"
#include "base/ulid.h"

#define AGENTS_VALID_MAX   256 /* tokens; above, THROTTLED */
#define AGENTS_TOKEN_SIZE  50  /* with a NUL */
#define AGENT_TOKEN_PREFIX "agent_"
#define AGENT_PROGRAM_MAX  64

struct agents;
struct agent { /* strings are borrowed */
	struct str id, name;
	struct str kind;                               /* "registered", "launch", "http" */
	struct str program;                            /* "claude"; "" = not known */
	struct str session;                            /* of a launch; "" = none */
	uint64_t created_ns, last_used_ns, revoked_ns; /* 0 = not (yet) */
};

/* Reads those that are valid. */
struct agents *agents_new(struct db *db, const struct clock *clock, struct err *err)
	__attribute__((warn_unused_result));
void agents_free(struct agents *agents); /* NULL is fine */
DEFINE_AUTO(agents, agents_free)

/* Whose token it is, as IDENTITY_AGENT; false = nobody's. Takes the same time wherever a token differs. */
bool agents_identify(struct agents *agents, struct str token, struct identity *ret);
/* Whether it may still ask: for a connection that stays. */
bool agents_is_valid(struct agents *agents, struct str id);
/* Notes in the database that it has asked, at most once a minute. */
void agents_note_use(struct agents *agents, struct str id);

/*
 * Name, kind, program and session are given, the rest is made. INVALID_REQUEST; SESSION_NOT_FOUND when the session is not
 * open; THROTTLED. `by` says who registers it.
 */
int agents_register(struct agents *agents, const struct agent *agent, const struct audit_event *by,
		    char ret_id[ULID_SIZE], char ret_token[AGENTS_TOKEN_SIZE], struct err *err)
	__attribute__((warn_unused_result));
/* NOT_FOUND when there is none, or it is revoked. */
int agents_revoke(struct agents *agents, struct str id, const struct audit_event *by, struct err *err)
	__attribute__((warn_unused_result));
/*
 * Those that were made for a session that ends, in two parts: what this process lets in, at once, also when one is just
 * being registered; and what is on disk and in the record, in a job of the writer. A registration that comes later finds
 * the session's row closed.
 */
void agents_forget_session(struct agents *agents, struct str session);
int agents_revoke_session(struct db_tx *tx, struct str session, const struct audit_event *by, uint64_t now_ns,
			  struct err *err) __attribute__((warn_unused_result));

/* Newest first, revoked ones too, at most 1,000; non-zero of `row` ends. */
typedef int agent_row(void *user, const struct agent *agent);
int agents_list(struct db_tx *tx, agent_row *row, void *user, struct err *err) __attribute__((warn_unused_result));

/* `revoked` is called with the id of one that may not ask any more, on whichever thread; must not wait. One. */
void agents_on_revoke(struct agents *agents, void (*revoked)(void *user, struct str id), void *user);
