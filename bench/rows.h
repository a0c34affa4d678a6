/*
 * rows: what a read action writes, by SQLite alone
 *
 * The floor below everything that keeps a record in this database: one transaction of the four events and three rows of such a
 * call, of the lengths that they have, into the same schema with the same settings; nothing is made, hashed or looked up. Whatever
 * fails ends the program.
 */
#pragma once

struct rows;
struct rows *rows_open(const char *name); /* a new database */
void rows_write(struct rows *rows);       /* one call's */
void rows_close(struct rows *rows);
