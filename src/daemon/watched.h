/*
 * watched: what of the user's is looked at for control: a file, or the files of a folder
 *
 * It is named by an absolute path: one that ends in ".md" is a file, every other one a folder (whose path may lead through
 * symbolic links). Nothing is read here; folder.h says which files are opened. A stamp is a number that is another when
 * the file is: inode, size, both times, mode, owner. The stamps of one process alone can be compared. Filesystem calls
 * wait for their disk; nothing is held open between two.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "supervise/supervise.h"
#include <limits.h>

#define WATCHED_ENTRIES_MAX 16384 /* entries of a folder of any kind that are looked through */

struct watched {
	enum supervise_watch kind;
	char folder[PATH_MAX];
	char name[SUPERVISE_NAME_MAX + 1]; /* "" = the folder's files */
};
/*
 * INVALID_REQUEST for what is no path, and, unless `keep`, for what is not there or may not be opened; then the folder is
 * canonical. With `keep` it is what it will be once it is there.
 */
int watched_name(enum supervise_watch kind, struct str path, bool keep, struct watched *ret, struct err *err)
	__attribute__((warn_unused_result));
void watched_put_path(const struct watched *watched, struct buf *out); /* of the folder, or of its file */

struct watched_file {
	char name[SUPERVISE_NAME_MAX + 1];
	uint64_t stamp;
};
struct watched_files {
	struct watched_file *items; /* by name */
	size_t n;
};
/* Action files, of any type: what is no ordinary file is refused when it is opened. LIMIT when there are too many. */
int watched_list(const struct watched *watched, struct watched_files *ret, struct err *err)
	__attribute__((warn_unused_result));
void watched_files_release(struct watched_files *files);
#define AUTO_WATCHED_FILES __attribute__((cleanup(watched_files_release))) struct watched_files

/* One of those, or INVALID_REQUEST: a descriptor for reading, and the stamp of what was opened. */
int watched_open(const struct watched *watched, struct str name, uint64_t *ret_stamp, struct err *err)
	__attribute__((warn_unused_result));
/* Of all of it together; another one, too, when it cannot be looked at any more, or again. */
uint64_t watched_stamp(const struct watched *watched);
