#include "store/schema.h"
#include <stddef.h>

/*
 * The record (src/audit). `text` is the event as it was hashed and as it is exported; the columns before it are taken
 * from it, for queries: `connector` is aileron.connector.fqn or aileron.failure.details.connector, `action` is
 * aileron.action.fqn, `class` aileron.failure.class, `binding` the actor's credential_binding or aileron.binding.name.
 * Nothing refers to events by a foreign key: retention takes them away under whatever names them.
 */
#define AUDIT                                                                                                          \
	"CREATE TABLE audit ("                                                                                         \
	"	seq INTEGER PRIMARY KEY,"                                                                                    \
	"	audit_id TEXT NOT NULL UNIQUE,"                                                                              \
	"	ts_ns INTEGER NOT NULL,"                                                                                     \
	"	type TEXT NOT NULL,"                                                                                         \
	"	connector TEXT,"                                                                                             \
	"	action TEXT,"                                                                                                \
	"	class TEXT,"                                                                                                 \
	"	binding TEXT,"                                                                                               \
	"	hash BLOB NOT NULL CHECK (length(hash) = 32),"                                                               \
	"	text TEXT NOT NULL"                                                                                          \
	") STRICT;"                                                                                                    \
	"CREATE INDEX audit_by_time ON audit (ts_ns);"                                                                 \
	"CREATE INDEX audit_by_type ON audit (type);"                                                                  \
	"CREATE INDEX audit_by_connector ON audit (connector) WHERE connector IS NOT NULL;"                            \
	"CREATE INDEX audit_by_action ON audit (action) WHERE action IS NOT NULL;"                                     \
	"CREATE INDEX audit_by_class ON audit (class) WHERE class IS NOT NULL;"                                        \
	"CREATE INDEX audit_by_binding ON audit (binding) WHERE binding IS NOT NULL;"

/* Heads that the device key signed: `seq` and `hash` are those of the newest event it covers. */
#define CHECKPOINTS                                                                                                    \
	"CREATE TABLE checkpoints ("                                                                                   \
	"	seq INTEGER PRIMARY KEY,"                                                                                    \
	"	hash BLOB NOT NULL CHECK (length(hash) = 32),"                                                               \
	"	signature BLOB NOT NULL,"                                                                                    \
	"	public_key BLOB NOT NULL CHECK (length(public_key) = 32),"                                                   \
	"	signed_ns INTEGER NOT NULL"                                                                                  \
	") STRICT;"

/*
 * Calls of connectors, so that a start without an end is found after a crash. `id` is the call's own; `seq` is that of
 * its execution.started; `op` is the operation; `ended_ns` is NULL while it is open.
 */
#define EXECUTIONS                                                                                                     \
	"CREATE TABLE executions ("                                                                                    \
	"	id TEXT PRIMARY KEY,"                                                                                        \
	"	seq INTEGER NOT NULL,"                                                                                       \
	"	connector TEXT NOT NULL,"                                                                                    \
	"	op TEXT NOT NULL,"                                                                                           \
	"	started_ns INTEGER NOT NULL,"                                                                                \
	"	ended_ns INTEGER"                                                                                            \
	") STRICT;"                                                                                                    \
	"CREATE INDEX executions_open ON executions (started_ns) WHERE ended_ns IS NULL;"

/*
 * Connectors that can be called. `path` is the folder, `name` what the person called it when linking (the last part of
 * the FQN otherwise), `content_hash` "sha256:…" as last seen, `origin` "linked", `manifest` the text of manifest.toml.
 */
#define CONNECTORS                                                                                                     \
	"CREATE TABLE connectors ("                                                                                    \
	"	fqn TEXT PRIMARY KEY,"                                                                                       \
	"	path TEXT NOT NULL,"                                                                                         \
	"	name TEXT NOT NULL,"                                                                                         \
	"	content_hash TEXT NOT NULL,"                                                                                 \
	"	version TEXT NOT NULL,"                                                                                      \
	"	origin TEXT NOT NULL,"                                                                                       \
	"	linked_ns INTEGER NOT NULL,"                                                                                 \
	"	manifest TEXT NOT NULL"                                                                                      \
	") STRICT;"                                                                                                    \
	"CREATE INDEX connectors_by_name ON connectors (name);"

/* When a vault entry was used last; `path` is the entry's. The vault itself is not written for that. */
#define BINDING_USE                                                                                                    \
	"CREATE TABLE binding_use ("                                                                                   \
	"	path TEXT PRIMARY KEY,"                                                                                      \
	"	last_used_ns INTEGER NOT NULL"                                                                               \
	") STRICT;"

/* The highest generation of each vault that was opened here: an older file is a rollback. */
#define VAULT_SEEN                                                                                                     \
	"CREATE TABLE vault_seen ("                                                                                    \
	"	vault_id TEXT PRIMARY KEY,"                                                                                  \
	"	generation INTEGER NOT NULL"                                                                                 \
	") STRICT;"

/* Sessions of agents: `ended_ns` and `exit_code` are NULL while one runs. */
#define SESSIONS                                                                                                       \
	"CREATE TABLE sessions ("                                                                                      \
	"	id TEXT PRIMARY KEY,"                                                                                        \
	"	agent TEXT NOT NULL,"                                                                                        \
	"	working_dir TEXT NOT NULL,"                                                                                  \
	"	started_ns INTEGER NOT NULL,"                                                                                \
	"	ended_ns INTEGER,"                                                                                           \
	"	exit_code INTEGER"                                                                                           \
	") STRICT;"                                                                                                    \
	"CREATE INDEX sessions_open ON sessions (started_ns) WHERE ended_ns IS NULL;"

/* Tokens of persons' browsers: `hash` is the SHA-256 of the token, which itself is nowhere; `revoked_ns` NULL = valid. */
#define PERSON_TOKENS                                                                                                  \
	"CREATE TABLE person_tokens ("                                                                                 \
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,"                                                                       \
	"	hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),"                                                        \
	"	issued_ns INTEGER NOT NULL,"                                                                                 \
	"	expires_ns INTEGER NOT NULL,"                                                                                \
	"	revoked_ns INTEGER"                                                                                          \
	") STRICT;"

/*
 * Retention drops whole checkpoints: `first_seq` is the oldest event that one covers, `newest_ns` the latest time among
 * them, `dropped_ns` when they went, NULL while they are here. For checkpoints of before, both are read from the events.
 */
#define CHECKPOINTS_COVER                                                                                              \
	"ALTER TABLE checkpoints ADD COLUMN first_seq INTEGER NOT NULL DEFAULT 1;"                                     \
	"ALTER TABLE checkpoints ADD COLUMN newest_ns INTEGER NOT NULL DEFAULT 0;"                                     \
	"ALTER TABLE checkpoints ADD COLUMN dropped_ns INTEGER;"                                                       \
	"UPDATE checkpoints SET first_seq ="                                                                           \
	"	(SELECT coalesce(max(before.seq), 0) + 1 FROM checkpoints AS before WHERE before.seq < "                     \
	"checkpoints.seq);"                                                                                            \
	"UPDATE checkpoints SET newest_ns = coalesce("                                                                 \
	"	(SELECT max(ts_ns) FROM audit WHERE seq BETWEEN checkpoints.first_seq AND checkpoints.seq), "                \
	"signed_ns);"

/* When a connector was called last is asked at each call, and for each row of the list. Harmless when it is taken twice. */
#define EXECUTIONS_BY_CONNECTOR                                                                                        \
	"CREATE INDEX IF NOT EXISTS executions_by_connector ON executions (connector, started_ns);"

/*
 * Who may ask through MCP: what an agent was registered as, or one launch of it. `kind` is registered, launch or http; `program`
 * the agent's ("claude", "" when it is not known); `hash` the SHA-256 of its token, which itself is in a file of the agent's;
 * `session` is that of a launch. `revoked_ns` NULL = valid.
 */
#define AGENTS                                                                                                         \
	"CREATE TABLE agents ("                                                                                        \
	"	id TEXT PRIMARY KEY,"                                                                                        \
	"	name TEXT NOT NULL,"                                                                                         \
	"	kind TEXT NOT NULL,"                                                                                         \
	"	program TEXT NOT NULL,"                                                                                      \
	"	hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),"                                                        \
	"	session TEXT,"                                                                                               \
	"	created_ns INTEGER NOT NULL,"                                                                                \
	"	last_used_ns INTEGER,"                                                                                       \
	"	revoked_ns INTEGER"                                                                                          \
	") STRICT;"                                                                                                    \
	"CREATE INDEX agents_valid ON agents (name) WHERE revoked_ns IS NULL;"                                         \
	"ALTER TABLE sessions ADD COLUMN caller TEXT;"

/* Files and folders of actions that a person named; and by an action's name whether it is on, and the hash seen last. */
#define ACTIONS                                                                                                        \
	"CREATE TABLE action_links (path TEXT PRIMARY KEY, linked_ns INTEGER NOT NULL) STRICT;"                        \
	"CREATE TABLE action_state ("                                                                                  \
	"	name TEXT PRIMARY KEY,"                                                                                      \
	"	enabled INTEGER NOT NULL DEFAULT 1,"                                                                         \
	"	hash TEXT NOT NULL DEFAULT ''"                                                                               \
	") STRICT;"

/*
 * Runs of actions (approval/run.h). `request_key` is the SHA-256 of what the digest binds but for the expiry: the same
 * request while one is pending is that one. `run_steps` has a row an attempt, on disk before what it names is sent.
 */
#define RUNS                                                                                                           \
	"CREATE TABLE runs ("                                                                                          \
	"	id TEXT PRIMARY KEY,"                                                                                        \
	"	caller TEXT NOT NULL,"                                                                                       \
	"	caller_name TEXT NOT NULL,"                                                                                  \
	"	session TEXT,"                                                                                               \
	"	working_dir TEXT,"                                                                                           \
	"	call_id TEXT,"                                                                                               \
	"	action TEXT NOT NULL,"                                                                                       \
	"	action_version TEXT NOT NULL,"                                                                               \
	"	action_hash TEXT NOT NULL,"                                                                                  \
	"	args TEXT NOT NULL,"                                                                                         \
	"	bound TEXT,"                                                                                                 \
	"	digest BLOB CHECK (length(digest) = 32),"                                                                    \
	"	request_key BLOB CHECK (length(request_key) = 32),"                                                          \
	"	state TEXT NOT NULL,"                                                                                        \
	"	approval_id TEXT UNIQUE,"                                                                                    \
	"	grant_id TEXT,"                                                                                              \
	"	edited INTEGER NOT NULL DEFAULT 0,"                                                                          \
	"	requested_ns INTEGER NOT NULL,"                                                                              \
	"	expires_ns INTEGER,"                                                                                         \
	"	decided_ns INTEGER,"                                                                                         \
	"	awaits_until_ns INTEGER,"                                                                                    \
	"	claimed_ns INTEGER,"                                                                                         \
	"	ended_ns INTEGER,"                                                                                           \
	"	decided_by TEXT,"                                                                                            \
	"	reason TEXT,"                                                                                                \
	"	preview TEXT,"                                                                                               \
	"	result TEXT,"                                                                                                \
	"	error TEXT,"                                                                                                 \
	"	audit_id TEXT"                                                                                               \
	") STRICT;"                                                                                                    \
	"CREATE UNIQUE INDEX runs_by_call ON runs (caller, call_id) WHERE call_id IS NOT NULL;"                        \
	"CREATE UNIQUE INDEX runs_pending ON runs (request_key) WHERE state = 'pending_approval';"                     \
	"CREATE INDEX runs_open ON runs (state) WHERE ended_ns IS NULL;"                                               \
	"CREATE TABLE run_steps ("                                                                                     \
	"	run TEXT NOT NULL,"                                                                                          \
	"	step INTEGER NOT NULL,"                                                                                      \
	"	attempt INTEGER NOT NULL,"                                                                                   \
	"	name TEXT NOT NULL,"                                                                                         \
	"	connector TEXT NOT NULL,"                                                                                    \
	"	content_hash TEXT NOT NULL,"                                                                                 \
	"	op TEXT NOT NULL,"                                                                                           \
	"	effect TEXT NOT NULL,"                                                                                       \
	"	binding TEXT,"                                                                                               \
	"	started_ns INTEGER NOT NULL,"                                                                                \
	"	ended_ns INTEGER,"                                                                                           \
	"	class TEXT,"                                                                                                 \
	"	PRIMARY KEY (run, step, attempt)"                                                                            \
	") STRICT, WITHOUT ROWID;"                                                                                     \
	"CREATE TABLE grants ("                                                                                        \
	"	id TEXT PRIMARY KEY,"                                                                                        \
	"	caller TEXT NOT NULL,"                                                                                       \
	"	session TEXT,"                                                                                               \
	"	action TEXT NOT NULL,"                                                                                       \
	"	bound TEXT NOT NULL,"                                                                                        \
	"	issued_ns INTEGER NOT NULL,"                                                                                 \
	"	expires_ns INTEGER NOT NULL,"                                                                                \
	"	ended_ns INTEGER,"                                                                                           \
	"	ended_why TEXT"                                                                                              \
	") STRICT;"                                                                                                    \
	"CREATE INDEX grants_valid ON grants (caller, action) WHERE ended_ns IS NULL;"

/* MCP's handles of runs (control/mcp_tasks.h): `id` is unguessable and no approval's. And the key of its session ids. */
#define TASKS                                                                                                          \
	"CREATE TABLE tasks ("                                                                                         \
	"	id TEXT PRIMARY KEY,"                                                                                        \
	"	caller TEXT NOT NULL,"                                                                                       \
	"	run TEXT NOT NULL,"                                                                                          \
	"	created_ns INTEGER NOT NULL,"                                                                                \
	"	ttl_ms INTEGER NOT NULL"                                                                                     \
	") STRICT;"                                                                                                    \
	"CREATE TABLE mcp_key (key BLOB NOT NULL CHECK (length(key) = 32)) STRICT;"

/*
 * A call of a connector is committed twice, and each page that a commit changes is written: what a call writes lies on few.
 *
 * Of the record: no index by time (checkpoints tell where to look), and none by type of the events that each call has, which
 * are found in the order of seq as soon as others. Calls that are under way are in `calls_open` alone; when each
 * connector was called last is in `connector_use`. Harmless when it is taken twice: `executions` is then empty.
 */
#define FEWER_PAGES                                                                                                    \
	"DROP INDEX IF EXISTS audit_by_time;"                                                                          \
	"DROP INDEX IF EXISTS audit_by_type;"                                                                          \
	"CREATE INDEX audit_by_type ON audit (type) WHERE type NOT IN ('execution.started', 'execution.succeeded', "   \
	"'vault.credential.read');"                                                                                    \
	"CREATE TABLE IF NOT EXISTS connector_use ("                                                                   \
	"	connector TEXT PRIMARY KEY,"                                                                                 \
	"	last_used_ns INTEGER NOT NULL"                                                                               \
	") STRICT, WITHOUT ROWID;"                                                                                     \
	"CREATE TABLE IF NOT EXISTS calls_open ("                                                                      \
	"	id TEXT PRIMARY KEY,"                                                                                        \
	"	connector TEXT NOT NULL,"                                                                                    \
	"	op TEXT NOT NULL,"                                                                                           \
	"	started_ns INTEGER NOT NULL"                                                                                 \
	") STRICT, WITHOUT ROWID;"                                                                                     \
	"CREATE TABLE IF NOT EXISTS executions (id TEXT, connector TEXT, op TEXT, started_ns INTEGER, ended_ns "       \
	"INTEGER);"                                                                                                    \
	"INSERT OR IGNORE INTO connector_use"                                                                          \
	"	SELECT connector, max(started_ns) FROM executions GROUP BY connector;"                                       \
	"INSERT OR IGNORE INTO calls_open"                                                                             \
	"	SELECT id, connector, op, started_ns FROM executions WHERE ended_ns IS NULL;"                                \
	"DROP TABLE executions;"

/* An end that somebody said, after which nobody continues the session. Those of before that no guest had were said. */
#define SESSIONS_FINAL                                                                                                 \
	"ALTER TABLE sessions ADD COLUMN final INTEGER NOT NULL DEFAULT 0;"                                            \
	"UPDATE sessions SET final = 1 WHERE ended_ns IS NOT NULL AND caller IS NULL;"

/* Of which start of the daemon a token is: its instance_id. Those of before belong to none. Harmless when it is taken twice. */
#define PERSON_TOKENS_OF_A_START                                                                                       \
	"CREATE TABLE tokens_of_a_start ("                                                                             \
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,"                                                                       \
	"	hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),"                                                        \
	"	issued_ns INTEGER NOT NULL,"                                                                                 \
	"	expires_ns INTEGER NOT NULL,"                                                                                \
	"	revoked_ns INTEGER,"                                                                                         \
	"	instance TEXT NOT NULL DEFAULT ''"                                                                           \
	") STRICT;"                                                                                                    \
	"INSERT INTO tokens_of_a_start (id, hash, issued_ns, expires_ns, revoked_ns)"                                  \
	"	SELECT id, hash, issued_ns, expires_ns, revoked_ns FROM person_tokens;"                                      \
	"DROP TABLE person_tokens;"                                                                                    \
	"ALTER TABLE tokens_of_a_start RENAME TO person_tokens;"

#define FEWER_TYPES                                                                                                    \
	"DROP INDEX audit_by_type;"                                                                                    \
	"CREATE INDEX audit_by_type ON audit (type) WHERE " SCHEMA_NOT_OF_A_CALL ";"

/*
 * Whose call joined a request that waited already: which run its caller and call id name, as long as that is there. Harmless when it
 * is taken twice.
 */
#define JOINED_CALLS                                                                                                   \
	"CREATE TABLE IF NOT EXISTS joined_calls ("                                                                    \
	"	caller TEXT NOT NULL,"                                                                                       \
	"	call_id TEXT NOT NULL,"                                                                                      \
	"	run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,"                                                   \
	"	PRIMARY KEY (caller, call_id)"                                                                               \
	") STRICT, WITHOUT ROWID;"                                                                                     \
	"CREATE INDEX IF NOT EXISTS joined_calls_by_run ON joined_calls (run);"

const struct schema_step schema_steps[] = {
	{1, "the record, connectors, sessions, tokens",
	 AUDIT CHECKPOINTS EXECUTIONS CONNECTORS BINDING_USE VAULT_SEEN SESSIONS PERSON_TOKENS},
	{2, "what a checkpoint covers, for retention", CHECKPOINTS_COVER},
	{3, "when a connector was called last", EXECUTIONS_BY_CONNECTOR},
	{4, "agents, actions, runs with their approvals, grants, tasks", AGENTS ACTIONS RUNS TASKS},
	{5, "what a call writes, on fewer pages", FEWER_PAGES},
	{6, "which ends of sessions are final", SESSIONS_FINAL},
	{7, "persons' tokens end with the daemon", PERSON_TOKENS_OF_A_START},
	{8, "no index by type of the events of calls and runs", FEWER_TYPES},
	{9, "which run a call joined", JOINED_CALLS},
	{0, NULL, NULL},
};

int schema_newest(void)
{
	return (int)(sizeof schema_steps / sizeof schema_steps[0]) - 1;
}
