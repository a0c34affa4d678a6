/*
 * schema: the numbered steps of the database
 *
 * Step n takes a database of version n - 1 (PRAGMA user_version) to n. A step that was released is never edited. Times are
 * Unix nanoseconds (INTEGER), booleans 0 or 1, JSON is TEXT.
 */
#pragma once

struct schema_step {
	int version;
	const char *about;
	const char *sql;
};
extern const struct schema_step schema_steps[]; /* ended by sql NULL */
int schema_newest(void);
