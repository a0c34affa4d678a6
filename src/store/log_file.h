/*
 * log_file: the write-ahead log, written in few and large pieces, into room that is there
 *
 * SQLite writes a frame of its log in two pieces, 24 bytes and a page, and a commit of ours has a dozen frames. What
 * is written one behind the other is held here and goes to the system at once: when the page of a commit's last frame
 * is there, or its header was made anew, and before anything else is done with the file, a sync above all. So no
 * commit is ever held back that others are told of; what is held belongs to a transaction that only its writer knows,
 * and is lost with the process as that is.
 *
 * The file is made longer ahead of what is written: a sync is quicker when the file's size stays.
 *
 * A piece that cannot be written fails the call that made it go. The format of the log: SQLite file format, 4.1.
 */
#pragma once
#include <sqlite3.h>

/* Bytes of a file object over those of the VFS that it is for. */
int log_file_size(const sqlite3_vfs *under);
/* xOpen for SQLITE_OPEN_WAL. */
int log_file_open(sqlite3_vfs *under, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags);
