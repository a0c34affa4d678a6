#include "daemon/watched.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "base/vec.h"
#include "daemon/folder.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Nobody gains by two files with one stamp: control hashes what it uses. */
static const struct siphash_key key = {UINT64_C(0x6c6561696e6f7274), UINT64_C(0x7374616d7073)};

static uint64_t stamp_of(struct str name, const struct stat *info)
{
	const uint64_t fields[] = {
		info->st_dev,
		info->st_ino,
		info->st_mode,
		info->st_uid,
		(uint64_t)info->st_size,
		(uint64_t)info->st_mtim.tv_sec,
		(uint64_t)info->st_mtim.tv_nsec,
		(uint64_t)info->st_ctim.tv_sec,
		(uint64_t)info->st_ctim.tv_nsec,
		siphash(key, name),
	};
	return siphash(key, str_of(fields, sizeof fields));
}

/* ---- its name */

static bool is_action_name(struct str name)
{
	return str_ends(name, S(".md")) && name.p[0] != '.' && name.n <= SUPERVISE_NAME_MAX;
}

static struct str without_slashes(struct str path)
{
	while (path.n > 1 && path.p[path.n - 1] == '/')
		path.n--;
	return path;
}

/* The path in two: its folder, and, when it is that of a file, its name. */
static int split(struct str path, struct watched *watched, struct err *err)
{
	if (path.n == 0 || path.n >= PATH_MAX || path.p[0] != '/' || str_find_char(path, '\0') != STR_NPOS)
		return fail(err, ERR_INVALID_REQUEST, "a file or a folder is named by its absolute path");
	struct str folder = without_slashes(path), name = STR_EMPTY;
	if (watched->kind == SUPERVISE_WATCH_ACTIONS && str_ends(folder, S(".md"))) {
		size_t slash = str_find_last_char(folder, '/');
		name = str_slice(folder, slash + 1, folder.n);
		folder = without_slashes(str_slice(folder, 0, MAX(slash, 1)));
		if (!is_action_name(name))
			return fail(err, ERR_INVALID_REQUEST, "'%.*s' is no name of an action file", STR_FMT(name));
	}
	memcpy(watched->folder, folder.p, folder.n);
	watched->folder[folder.n] = '\0';
	memcpy(watched->name, name.p != NULL ? name.p : "", name.n);
	watched->name[name.n] = '\0';
	return 0;
}

static int check(struct watched *watched, struct err *err)
{
	AUTO_FD folder = folder_find(str_from(watched->folder), watched->folder, err);
	if (folder < 0)
		return -1;
	if (watched->kind != SUPERVISE_WATCH_ACTIONS)
		return 0;
	if (strlen(watched->folder) + 1 + strlen(watched->name) >= PATH_MAX)
		return fail(err, ERR_INVALID_REQUEST, "the path of '%s' is too long", watched->name);
	if (watched->name[0] == '\0') {
		AUTO_WATCHED_FILES files = {0};
		return watched_list(watched, &files, err);
	}
	AUTO_FD file = folder_open_file(folder, watched->folder, watched->name, err);
	return file >= 0 ? 0 : -1;
}

int watched_name(enum supervise_watch kind, struct str path, bool keep, struct watched *ret, struct err *err)
{
	static struct watched watched; /* one thread; too large for a stack that others share */
	watched = (struct watched){.kind = kind};
	if (split(path, &watched, err) != 0 || (!keep && check(&watched, err) != 0))
		return -1;
	*ret = watched;
	return 0;
}

void watched_put_path(const struct watched *watched, struct buf *out)
{
	buf_add_z(out, watched->folder);
	if (watched->name[0] != '\0' && strcmp(watched->folder, "/") != 0)
		buf_add_char(out, '/');
	buf_add_z(out, watched->name);
}

/* ---- its files */

struct collecting {
	VEC(struct watched_file) files;
	int folder;
};

static int look_at(struct collecting *collecting, const char *name, struct err *err)
{
	struct stat info;
	if (fstatat(collecting->folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return 0; /* gone meanwhile */
	struct watched_file file = {.stamp = stamp_of(str_from(name), &info)};
	snprintf(file.name, sizeof file.name, "%s", name);
	if (!vec_push(&collecting->files, file))
		return fail(err, ERR_LIMIT, "it has more than %d action files", SUPERVISE_WATCH_FILES_MAX);
	return 0;
}

static int look_through(struct collecting *collecting, DIR *entries, struct err *err)
{
	const struct dirent *entry;
	for (size_t n = 0; (entry = readdir(entries)) != NULL; n++) {
		if (n >= WATCHED_ENTRIES_MAX)
			return fail(err, ERR_LIMIT, "it has more than %d entries", WATCHED_ENTRIES_MAX);
		if (is_action_name(str_from(entry->d_name)) && look_at(collecting, entry->d_name, err) != 0)
			return -1;
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct watched_file *)a)->name, ((const struct watched_file *)b)->name);
}

int watched_list(const struct watched *watched, struct watched_files *ret, struct err *err)
{
	static char path[PATH_MAX];
	AUTO_FD folder = folder_find(str_from(watched->folder), path, err);
	if (folder < 0)
		return -1;
	struct collecting collecting = {.files = VEC_INIT(SUPERVISE_WATCH_FILES_MAX), .folder = folder};
	int rc;
	if (watched->name[0] != '\0') {
		rc = look_at(&collecting, watched->name, err);
	} else {
		int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
		rc = entries != NULL ? look_through(&collecting, entries, err)
				     : fail(err, ERR_INVALID_REQUEST, "it cannot be read: %s", strerrordesc_np(errno));
		if (entries != NULL)
			closedir(entries);
		else if (fd >= 0)
			close(fd);
	}
	if (rc != 0) {
		vec_release(&collecting.files);
		return wrap(err, "looking through the folder '%s'", path);
	}
	if (collecting.files.n > 1)
		qsort(collecting.files.items, collecting.files.n, sizeof *collecting.files.items, by_name);
	*ret = (struct watched_files){collecting.files.items, collecting.files.n};
	return 0;
}

void watched_files_release(struct watched_files *files)
{
	free(files->items);
	*files = (struct watched_files){0};
}

int watched_open(const struct watched *watched, struct str name, uint64_t *ret_stamp, struct err *err)
{
	static char path[PATH_MAX];
	if (watched->kind != SUPERVISE_WATCH_ACTIONS || name.n == 0 || !is_action_name(name) ||
	    str_find_char(name, '/') != STR_NPOS || str_find_char(name, '\0') != STR_NPOS ||
	    (watched->name[0] != '\0' && !str_eq(name, str_from(watched->name))))
		return fail(err, ERR_INVALID_REQUEST, "'%.*s' is none of the files that are watched", STR_FMT(name));
	AUTO_FD folder = folder_find(str_from(watched->folder), path, err);
	if (folder < 0)
		return -1;
	AUTO_FREE char *file_name = str_dup(name);
	AUTO_FD fd = folder_open_file(folder, path, file_name, err);
	struct stat info;
	if (fd < 0)
		return -1;
	if (fstat(fd, &info) != 0)
		return fail_errno(err, "cannot look at '%s/%s'", path, file_name);
	*ret_stamp = stamp_of(name, &info);
	return TAKE_FD(fd);
}

/* ---- all of it together */

static uint64_t stamp_connector(const struct watched *watched)
{
	static const char *const names[] = {"manifest.toml", "connector.wasm"};
	uint64_t sum = 0;
	AUTO_FD folder = open(watched->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; folder >= 0 && i < ARRAY_LEN(names); i++) {
		struct stat info;
		if (fstatat(folder, names[i], &info, AT_SYMLINK_NOFOLLOW) == 0)
			sum += stamp_of(str_from(names[i]), &info);
	}
	return sum;
}

uint64_t watched_stamp(const struct watched *watched)
{
	if (watched->kind == SUPERVISE_WATCH_CONNECTOR)
		return stamp_connector(watched);
	AUTO_WATCHED_FILES files = {0};
	static struct err err;
	err_clear(&err);
	if (watched_list(watched, &files, &err) != 0)
		return siphash(key, str_from(err.message));
	uint64_t sum = 0;
	for (size_t i = 0; i < files.n; i++)
		sum += files.items[i].stamp;
	return sum;
}
