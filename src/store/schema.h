/*
 * schema: the numbered steps of the database
 *
 * Step n takes a database of version n - 1 (PRAGMA user_version) to n. A step that was released is never edited. Times are
 * Unix nanoseconds (INTEGER), booleans 0 or 1, JSON is TEXT.
 */
#pragma once

/*
 * Which events the index by type holds, as SQL: not those that each call has. Part of step 8. NOT IN would say the same, but
 * SQLite makes a table of the list for each row that is written.
 */
#define SCHEMA_NOT_OF_A_CALL                                                                                           \
	"type <> 'execution.started' AND type <> 'execution.succeeded' AND type <> 'run.completed' AND "               \
	"type <> 'run.started' AND type <> 'vault.credential.read'"

struct schema_step {
	int version;
	const char *about;
	const char *sql;
};
extern const struct schema_step schema_steps[]; /* ended by sql NULL */
int schema_newest(void);
