/*
 * file: whole files, replaced at once; folders that are ours alone
 *
 * Every descriptor is close-on-exec. Paths are NUL-terminated and relative to the working directory unless they begin
 * with '/'. Any thread. Failures are SYSTEM with errno unless a function says more.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <stdbool.h>
#include <sys/types.h>

/* Appends the whole file; LIMIT when it does not fit under the buffer's cap. A folder is an error. */
int file_read(const char *path, struct buf *out, struct err *err) __attribute__((warn_unused_result));
/* The same from a descriptor's present position; `name` is for messages. */
int file_read_fd(int fd, const char *name, struct buf *out, struct err *err) __attribute__((warn_unused_result));
/* The whole file, wherever that position is, which stays: several may read one descriptor at once. */
int file_read_whole(int fd, const char *name, struct buf *out, struct err *err) __attribute__((warn_unused_result));
/* Writes all of it, at the descriptor's present position. */
int file_write_fd(int fd, const char *name, struct str bytes, struct err *err) __attribute__((warn_unused_result));

/*
 * A file in the making: a temporary name (".draft-" and random letters) in the folder that it will live in. Fill `fd`,
 * then commit: the bytes reach the disk, the name is given (replacing what had it), the folder reaches the disk. Whoever
 * opens the name sees the old file or the whole new one. Release removes what was not committed and closes.
 */
struct file_draft {
	int fd;     /* open for reading and writing */
	int folder; /* its folder */
	char name[32];
};
#define FILE_DRAFT_INIT ((struct file_draft){.fd = -1, .folder = -1})
int file_draft_begin(struct file_draft *draft, const char *folder, mode_t mode, struct err *err)
	__attribute__((warn_unused_result));
int file_draft_commit(struct file_draft *draft, const char *name, struct err *err) __attribute__((warn_unused_result));
void file_draft_release(struct file_draft *draft); /* safe on FILE_DRAFT_INIT and twice */
#define AUTO_DRAFT __attribute__((cleanup(file_draft_release))) struct file_draft
/* Whether a name in a folder is one of these, left behind by a crash (for whoever cleans up, under its own lock). */
bool file_is_draft(const char *name);

/* A draft that is begun, filled and committed. */
int file_replace(const char *path, struct str bytes, mode_t mode, struct err *err) __attribute__((warn_unused_result));
/* The same without waiting for the disk: for what a crash of the machine makes worthless anyway. */
int file_publish(const char *path, struct str bytes, mode_t mode, struct err *err) __attribute__((warn_unused_result));
/* Creates it if nothing has that name, a dangling link included: 1 made, whole and on disk; 0 there was one; -1. */
int file_create(const char *path, struct str bytes, mode_t mode, struct err *err) __attribute__((warn_unused_result));

/*
 * The folder and those above it that are missing, made with mode 0700. The folder itself must be a real one (no link),
 * ours, and neither readable nor writable by others: else an error that says so and changes nothing.
 */
int file_make_private_folder(const char *path, struct err *err) __attribute__((warn_unused_result));
/* The checks of that alone, on an open folder. */
int file_check_private_folder(int fd, const char *path, struct err *err) __attribute__((warn_unused_result));

/*
 * "<cache>/aileron/<name>", a fresh string; the folder need not exist. <cache> is XDG_CACHE_HOME when that is an absolute
 * path, else ".cache" in HOME, else in the user's home directory. Source: XDG Base Directory Specification 0.8.
 */
char *file_cache_path(const char *name, struct err *err) __attribute__((warn_unused_result));
/* "<home>/<name>", a fresh string: HOME when that is an absolute path, else the user's home directory. */
char *file_home_path(const char *name, struct err *err) __attribute__((warn_unused_result));
/* An anonymous file in memory for handing over bytes; `name` shows in /proc alone. A descriptor, or -1. */
int file_in_memory(const char *name, struct err *err) __attribute__((warn_unused_result));
