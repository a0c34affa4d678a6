/*
 * audit: the record of what was done, as a chain
 *
 * An event becomes one row whose text is canonical JSON (docs/formats/audit.md: sorted keys, UTF-8, minimal escapes,
 * integers within ±2^53, other numbers as strings), built once, stored and exported verbatim. On its top level stand `seq`
 * (from 1, without holes), `prev` and `hash`: hash = SHA-256("aileron-audit-1\0" ‖ prev as 32 bytes ‖ text without the
 * member `hash`), as 64 lower-case digits. Changing, removing or reordering anything breaks the chain at that row.
 *
 * Appending happens in a job of the writer (store/db.h), so an event is committed together with the change that it
 * records. Names of events are rows of AUDIT_TYPES. Secrets never come here: a payload holds names only, and texts of
 * guests arrive scrubbed.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "store/db.h"
#include "text/json.h"

/* AUDIT_TYPE(symbol, name) */
#define AUDIT_TYPES(X)                                                                                                 \
	X(EXECUTION_STARTED, "execution.started")                                                                      \
	X(EXECUTION_SUCCEEDED, "execution.succeeded")                                                                  \
	X(EXECUTION_FAILED, "execution.failed")                                                                        \
	X(BINDING_CREATED, "binding.created")                                                                          \
	X(BINDING_REBOUND, "binding.rebound")                                                                          \
	X(BINDING_REVOKED, "binding.revoked")                                                                          \
	X(BINDING_REFRESHED, "binding.refreshed")                                                                      \
	X(BINDING_STALE, "binding.stale")                                                                              \
	X(CONNECTOR_LINKED, "connector.linked")                                                                        \
	X(CONNECTOR_UNLINKED, "connector.unlinked")                                                                    \
	X(CONNECTOR_CHANGED, "connector.changed")                                                                      \
	X(CONNECTOR_EVENT, "connector.event")                                                                          \
	X(VAULT_CREATED, "vault.created")                                                                              \
	X(VAULT_UNLOCKED, "vault.unlocked")                                                                            \
	X(VAULT_UNLOCK_FAILED, "vault.unlock_failed")                                                                  \
	X(VAULT_LOCKED, "vault.locked")                                                                                \
	X(VAULT_ROLLBACK_ASKED, "vault.rollback_asked")                                                                \
	X(VAULT_ROLLBACK_ACCEPTED, "vault.rollback_accepted")                                                          \
	X(VAULT_PASSPHRASE_CHANGED, "vault.passphrase_changed")                                                        \
	X(VAULT_MEMBER_ADDED, "vault.member_added")                                                                    \
	X(VAULT_MEMBER_REMOVED, "vault.member_removed")                                                                \
	X(VAULT_EXPORTED, "vault.exported")                                                                            \
	X(VAULT_IMPORTED, "vault.imported")                                                                            \
	X(VAULT_BACKUP_REMOVED, "vault.backup_removed")                                                                \
	X(VAULT_CREDENTIAL_READ, "vault.credential.read")                                                              \
	X(VAULT_CREDENTIAL_WRITE, "vault.credential.write")                                                            \
	X(VAULT_CREDENTIAL_DELETE, "vault.credential.delete")                                                          \
	X(VAULT_USER_CREDENTIAL_WRITE, "vault.user.credential.write")                                                  \
	X(VAULT_USER_CREDENTIAL_DELETE, "vault.user.credential.delete")                                                \
	X(SESSION_STARTED, "session.started")                                                                          \
	X(SESSION_ENDED, "session.ended")                                                                              \
	X(PERSON_TOKEN_ISSUED, "person.token_issued")                                                                  \
	X(PERSON_TOKEN_REVOKED, "person.token_revoked")                                                                \
	X(ACTION_LINKED, "action.linked")                                                                              \
	X(ACTION_UNLINKED, "action.unlinked")                                                                          \
	X(ACTION_CHANGED, "action.changed")                                                                            \
	X(ACTION_ENABLED, "action.enabled")                                                                            \
	X(ACTION_DISABLED, "action.disabled")                                                                          \
	X(RUN_STARTED, "run.started")                                                                                  \
	X(RUN_COMPLETED, "run.completed")                                                                              \
	X(RUN_FAILED, "run.failed")                                                                                    \
	X(RUN_CANCELLED, "run.cancelled")                                                                              \
	X(RUN_OUTCOME_UNKNOWN, "run.outcome_unknown")                                                                  \
	X(APPROVAL_REQUESTED, "approval.requested")                                                                    \
	X(APPROVAL_APPROVED, "approval.approved")                                                                      \
	X(APPROVAL_DENIED, "approval.denied")                                                                          \
	X(APPROVAL_MODIFIED, "approval.modified")                                                                      \
	X(APPROVAL_EXPIRED, "approval.expired")                                                                        \
	X(APPROVAL_REFUSED, "approval.refused")                                                                        \
	X(GRANT_ISSUED, "grant.issued")                                                                                \
	X(GRANT_REVOKED, "grant.revoked")                                                                              \
	X(AGENT_REGISTERED, "agent.registered")                                                                        \
	X(AGENT_REVOKED, "agent.revoked")                                                                              \
	X(GATEWAY_REQUEST, "gateway.request")                                                                          \
	X(DAEMON_STARTED, "daemon.started")                                                                            \
	X(DAEMON_STOPPED, "daemon.stopped")                                                                            \
	X(PROCESS_ENDED, "process.ended")                                                                              \
	X(EXTERNAL, "external") /* POST /v1/audit: the name is the caller's: audit_name_is_external() */

enum audit_type {
#define AUDIT_ENUM(symbol, name) AUDIT_##symbol,
	AUDIT_TYPES(AUDIT_ENUM)
#undef AUDIT_ENUM
		AUDIT_TYPE__MAX
};
const char *audit_type_name(enum audit_type type);
/* Whether a program beside the daemon may record events of that name (AUDIT_EXTERNAL). */
bool audit_name_is_external(struct str name);

#define AUDIT_ID_SIZE      43 /* "audit-" and a UUID (version 4), with a NUL */
#define AUDIT_TEXT_MAX     ((size_t)64 << 10)
#define AUDIT_DEPTH_MAX    64   /* of a payload, counting itself */
#define AUDIT_CHECKPOINT_N 1000 /* events … */
#define AUDIT_CHECKPOINT_S 3600 /* … or seconds after which the head is signed */

enum audit_actor { AUDIT_ACTOR_HUMAN, AUDIT_ACTOR_AGENT, AUDIT_ACTOR_SERVICE, AUDIT_ACTOR_CONNECTOR_RUNTIME };

struct audit_event {
	enum audit_type type;
	struct str external_name; /* of AUDIT_EXTERNAL */
	enum audit_actor actor;
	struct str actor_id;           /* "user", a session id, a service's name */
	struct str identity_label;     /* optional */
	struct str credential_binding; /* optional */
	struct str trace_id;           /* 32 lower-case hex digits, optional */
	const struct json *payload;    /* object; NULL = use payload_text */
	struct str payload_text;       /* JSON object as text, in any order and spelling; "" = {} */
};
/* Of one that the daemon makes by itself: "control", "keeper", "daemon". */
struct audit_event audit_of_service(enum audit_type type, const char *name);

/*
 * Within a job. *ret_seq and ret_id may be NULL. Numbers of the payload that have no canonical form become strings. LIMIT
 * over AUDIT_TEXT_MAX; VALIDATION_ERROR for a payload that is no object or too deep, an unknown external name, a trace id
 * that is none, and text that is not UTF-8.
 */
int audit_append(struct db_tx *tx, const struct audit_event *event, char ret_id[AUDIT_ID_SIZE], uint64_t *ret_seq,
		 struct err *err) __attribute__((warn_unused_result));
/* A job that appends nothing else: returns when it is durable. Any thread but the writer's. */
int audit_record(struct db *db, const struct audit_event *event, char ret_id[AUDIT_ID_SIZE], struct err *err)
	__attribute__((warn_unused_result));

/* ---------------------------------------------------------------------------------------------------------- reading */

struct audit_query {
	uint64_t since_ns, until_ns;                              /* 0 = open */
	struct str audit_id, type, connector_fqn, class, binding; /* "" = any */
	uint64_t after_seq;                                       /* only later ones, oldest first (tail) */
	uint64_t before_seq;                                      /* page: only earlier ones; 0 = from the newest */
	uint32_t limit;                                           /* 1 to 1000; 0 = 100 */
};
/* `row` gets the stored text; non-zero ends. Newest first unless after_seq is set. */
typedef int audit_row(void *user, uint64_t seq, struct str text);
int audit_list(struct db_tx *tx, const struct audit_query *query, audit_row *row, void *user, struct err *err)
	__attribute__((warn_unused_result));
/* 1 found, appended to out; 0 not; -1. */
int audit_get(struct db_tx *tx, struct str audit_id, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

struct audit_head {
	uint64_t seq;   /* of the newest event; 0 = none */
	uint64_t first; /* of the oldest that is still stored */
	unsigned char hash[32];
	uint64_t last_ns;
};
int audit_head(struct db_tx *tx, struct audit_head *ret, struct err *err) __attribute__((warn_unused_result));

/* -------------------------------------------------------------------------------------- checkpoints, retention, export */

/* Whether the head is to be signed now (AUDIT_CHECKPOINT_N events or _S seconds after the last), and what. */
bool audit_checkpoint_due(struct db_tx *tx, uint64_t now_ns, struct audit_head *ret);
/*
 * What the device key signs: "aileron-audit-head-1\0" ‖ hash ‖ u64 seq ‖ u64 count, little-endian. The count of a
 * checkpoint is its seq, that of an export's head line the number of its event lines.
 */
#define AUDIT_HEAD_MESSAGE 69
void audit_head_message(const struct audit_head *head, uint64_t count, unsigned char ret[AUDIT_HEAD_MESSAGE]);
/* `signature` is of the message with count = head->seq, by `public_key` (32 bytes); VALIDATION_ERROR when it is not. */
int audit_checkpoint_store(struct db_tx *tx, const struct audit_head *head, struct str signature, struct str public_key,
			   struct err *err) __attribute__((warn_unused_result));
/*
 * Drops whole checkpoints whose newest event is older; their hashes stay. At most AUDIT_RETAIN_CHECKPOINTS at once,
 * so that writers do not wait long: call again, in another job, while it returns more than 0. Returns how many events
 * went, -1 on failure.
 */
#define AUDIT_RETAIN_CHECKPOINTS 16
int64_t audit_retain(struct db_tx *tx, uint64_t older_than_ns, struct err *err) __attribute__((warn_unused_result));

/* All stored texts, one a line, with the dropped and kept checkpoints first, written to `write`; the caller appends the
 * signed head line (audit_head_line). */
typedef int audit_write(void *user, struct str bytes, struct err *err);
int audit_export(struct db_tx *tx, audit_write *write, void *user, struct audit_head *ret_head, uint64_t *ret_count,
		 struct err *err) __attribute__((warn_unused_result));
void audit_head_line(struct buf *out, const struct audit_head *head, uint64_t count, struct str signature,
		     struct str public_key);

/* -------------------------------------------------------------------------------------------------------- verifying */

struct audit_verdict {
	bool intact;
	bool origin_proven; /* the head line's signature verifies under the key that was given */
	uint64_t events, checkpoints, first_seq, last_seq;
	uint64_t broken_line; /* of the file, 1 and up; 0 = none. Of audit_verify_file() alone */
	uint64_t
		broken_seq; /* of the database: the first event that breaks the chain; 0 = none, or it is a checkpoint */
	char why[256];
	char note[128]; /* "chain intact, origin not proven" …; "" when it is not intact */
};
/* An export, read from a descriptor; `key` is 32 bytes or "". Without daemon or database. -1 only when it cannot be read. */
int audit_verify_file(int fd, const char *name, struct str key, struct audit_verdict *ret, struct err *err)
	__attribute__((warn_unused_result));
/* The stored chain, from the oldest event on. */
int audit_verify_db(struct db_tx *tx, struct str key, struct audit_verdict *ret, struct err *err)
	__attribute__((warn_unused_result));
