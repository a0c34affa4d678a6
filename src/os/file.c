#include "os/file.h"
#include "base/rand.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define DRAFT_PREFIX ".draft-"
#define READ_STEP    ((size_t)64 << 10)

/* From the present position when `at` is -1. */
static ssize_t read_some(int fd, char *to, size_t n, off_t at)
{
	return at < 0 ? read(fd, to, n) : pread(fd, to, n, at);
}

static int read_rest(int fd, off_t at, const char *name, struct buf *out, struct err *err)
{
	struct stat info;
	if (fstat(fd, &info) != 0)
		return fail_errno(err, "cannot look at '%s'", name);
	/* One byte more than the size, so that the end is seen without growing. */
	size_t step = S_ISREG(info.st_mode) && info.st_size > 0 ? (size_t)info.st_size + 1 : READ_STEP;
	for (;;) {
		size_t left = out->cap - out->n;
		char *to = buf_reserve(out, MIN(step, left));
		if (!buf_ok(out))
			return buf_check(out, name, err);
		char beyond;
		ssize_t n = left > 0 ? read_some(fd, to, MIN(step, left), at) : read_some(fd, &beyond, 1, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "cannot read '%s'", name);
		if (n == 0)
			return 0;
		if (left == 0)
			return fail(err, ERR_LIMIT, "'%s' is larger than %zu bytes", name, out->cap);
		buf_commit(out, (size_t)n);
		at = at < 0 ? at : at + (off_t)n;
		step = READ_STEP;
	}
}

int file_read_fd(int fd, const char *name, struct buf *out, struct err *err)
{
	return read_rest(fd, -1, name, out, err);
}

int file_read_whole(int fd, const char *name, struct buf *out, struct err *err)
{
	return read_rest(fd, 0, name, out, err);
}

int file_read(const char *path, struct buf *out, struct err *err)
{
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return fail_errno(err, "cannot open '%s'", path);
	return file_read_fd(fd, path, out, err);
}

int file_write_fd(int fd, const char *name, struct str bytes, struct err *err)
{
	while (bytes.n > 0) {
		ssize_t n = write(fd, bytes.p, bytes.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "cannot write '%s'", name);
		bytes = str_slice(bytes, (size_t)n, bytes.n);
	}
	return 0;
}

static void draft_name(char name[32])
{
	snprintf(name, 32, DRAFT_PREFIX "%016llx", (unsigned long long)rand_u64());
}

int file_draft_begin(struct file_draft *draft, const char *folder, mode_t mode, struct err *err)
{
	AUTO_FD folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder_fd < 0)
		return fail_errno(err, "cannot open the folder '%s'", folder);
	struct file_draft made = FILE_DRAFT_INIT;
	do {
		draft_name(made.name);
		made.fd = openat(folder_fd, made.name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	} while (made.fd < 0 && errno == EEXIST);
	if (made.fd < 0)
		return fail_errno(err, "cannot create a file in '%s'", folder);
	made.folder = TAKE_FD(folder_fd);
	file_draft_release(draft);
	*draft = made;
	return 0;
}

static int give_name(struct file_draft *draft, const char *name, struct err *err)
{
	if (renameat(draft->folder, draft->name, draft->folder, name) != 0)
		return fail_errno(err, "cannot put '%s' in its place", name);
	draft->name[0] = '\0';
	return 0;
}

int file_draft_commit(struct file_draft *draft, const char *name, struct err *err)
{
	if (fsync(draft->fd) != 0)
		return fail_errno(err, "cannot bring '%s' to the disk", name);
	if (give_name(draft, name, err) != 0)
		return -1;
	if (fsync(draft->folder) != 0)
		return fail_errno(err, "cannot bring the folder of '%s' to the disk", name);
	return 0;
}

void file_draft_release(struct file_draft *draft)
{
	if (draft->folder >= 0) {
		if (draft->name[0] != '\0')
			unlinkat(draft->folder, draft->name, 0);
		close(draft->folder);
	}
	if (draft->fd >= 0)
		close(draft->fd);
	*draft = FILE_DRAFT_INIT;
}

bool file_is_draft(const char *name)
{
	return str_starts(str_from(name), S(DRAFT_PREFIX));
}

static const char *last_part(const char *path)
{
	size_t slash = str_find_last_char(str_from(path), '/');
	return slash == STR_NPOS ? path : path + slash + 1;
}

static char *folder_of(const char *path)
{
	size_t slash = str_find_last_char(str_from(path), '/');
	if (slash == STR_NPOS)
		return xstrdup(".");
	return str_dup(str_slice(str_from(path), 0, MAX(slash, 1)));
}

static int begin_beside(struct file_draft *draft, const char *path, struct str bytes, mode_t mode, struct err *err)
{
	if (last_part(path)[0] == '\0')
		return fail(err, ERR_SYSTEM, "'%s' is not the path of a file", path);
	AUTO_FREE char *folder = folder_of(path);
	if (file_draft_begin(draft, folder, mode, err) != 0)
		return -1;
	return file_write_fd(draft->fd, path, bytes, err);
}

int file_replace(const char *path, struct str bytes, mode_t mode, struct err *err)
{
	AUTO_DRAFT draft = FILE_DRAFT_INIT;
	if (begin_beside(&draft, path, bytes, mode, err) != 0)
		return -1;
	return file_draft_commit(&draft, last_part(path), err);
}

int file_publish(const char *path, struct str bytes, mode_t mode, struct err *err)
{
	AUTO_DRAFT draft = FILE_DRAFT_INIT;
	if (begin_beside(&draft, path, bytes, mode, err) != 0)
		return -1;
	return give_name(&draft, last_part(path), err);
}

/* A link, unlike a rename, fails when the name is taken; so no half-written file ever has the name. */
int file_create(const char *path, struct str bytes, mode_t mode, struct err *err)
{
	AUTO_DRAFT draft = FILE_DRAFT_INIT;
	if (begin_beside(&draft, path, bytes, mode, err) != 0)
		return -1;
	if (fsync(draft.fd) != 0)
		return fail_errno(err, "cannot bring '%s' to the disk", path);
	if (linkat(draft.folder, draft.name, draft.folder, last_part(path), 0) != 0)
		return errno == EEXIST ? 0 : fail_errno(err, "cannot create '%s'", path);
	if (fsync(draft.folder) != 0)
		return fail_errno(err, "cannot bring the folder of '%s' to the disk", path);
	return 1;
}

int file_check_private_folder(int fd, const char *path, struct err *err)
{
	struct stat info;
	if (fstat(fd, &info) != 0)
		return fail_errno(err, "cannot look at '%s'", path);
	if (!S_ISDIR(info.st_mode))
		return fail(err, ERR_SYSTEM, "'%s' is not a folder", path);
	if (info.st_uid != geteuid())
		return fail(err, ERR_SYSTEM, "the folder '%s' belongs to user %u, not to user %u", path, info.st_uid,
			    geteuid());
	if ((info.st_mode & 077) != 0)
		return fail(err, ERR_SYSTEM,
			    "the folder '%s' is open to other users (mode %03o); make it private with chmod 700", path,
			    (unsigned)(info.st_mode & 0777));
	return 0;
}

/* mkdir of every part of the path that is missing. */
static int make_folders(const char *path, struct err *err)
{
	AUTO_FREE char *part = xstrdup(path);
	for (char *p = part + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(part, 0700) != 0 && errno != EEXIST)
			return fail_errno(err, "cannot make the folder '%s'", part);
		*p = '/';
	}
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return fail_errno(err, "cannot make the folder '%s'", path);
	return 0;
}

int file_make_private_folder(const char *path, struct err *err)
{
	if (path[0] == '\0')
		return fail(err, ERR_SYSTEM, "a folder needs a name");
	/* A confined process may open its folder and make none. */
	AUTO_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		if (make_folders(path, err) != 0)
			return -1;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0)
		return fail_errno(err, "cannot open the folder '%s'", path);
	return file_check_private_folder(fd, path, err);
}

static char *home_folder(struct err *err)
{
	const char *home = getenv("HOME");
	if (home != NULL && home[0] == '/')
		return xstrdup(home);
	struct passwd entry, *found = NULL;
	char text[4096];
	int error = getpwuid_r(geteuid(), &entry, text, sizeof text, &found);
	if (error == 0 && found != NULL && found->pw_dir != NULL && found->pw_dir[0] == '/')
		return xstrdup(found->pw_dir);
	fail(err, ERR_SYSTEM, "the home folder is not known; set HOME");
	return NULL;
}

char *file_home_path(const char *name, struct err *err)
{
	AUTO_FREE char *home = home_folder(err);
	return home != NULL ? xasprintf("%s/%s", home, name) : NULL;
}

char *file_cache_path(const char *name, struct err *err)
{
	const char *cache = getenv("XDG_CACHE_HOME");
	if (cache != NULL && cache[0] == '/')
		return xasprintf("%s/aileron/%s", cache, name);
	AUTO_FREE char *below = xasprintf(".cache/aileron/%s", name);
	return file_home_path(below, err);
}

int file_in_memory(const char *name, struct err *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	return fd >= 0 ? fd : fail_errno(err, "cannot make a file in memory");
}
