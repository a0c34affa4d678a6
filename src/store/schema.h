/*
 * schema: the numbered steps of the database
 *
 * Step n takes a database of version n - 1 (PRAGMA user_version) to n. A step that was released is never edited. Times are
 * Unix nanoseconds (INTEGER), booleans 0 or 1, JSON is TEXT.
 */
#pragma once

/* Types of events that the index by type leaves out, as SQL: part of step 5. */
#define SCHEMA_TYPES_OF_CALLS "'execution.started', 'execution.succeeded', 'vault.credential.read'"

struct schema_step {
	int version;
	const char *about;
	const char *sql;
};
extern const struct schema_step schema_steps[]; /* ended by sql NULL */
int schema_newest(void);
