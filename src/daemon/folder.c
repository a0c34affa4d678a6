#include "daemon/folder.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int refuse(struct err *err, const char *what, const char *path)
{
	return fail(err, ERR_INVALID_REQUEST, "%s '%s': %s", what, path, strerrordesc_np(errno));
}

static int check_owner(int fd, const char *path, mode_t kind, struct err *err)
{
	struct stat info;
	if (fstat(fd, &info) != 0)
		return refuse(err, "cannot look at", path);
	if ((info.st_mode & S_IFMT) != kind)
		return fail(err, ERR_INVALID_REQUEST, "'%s' is not %s", path,
			    kind == S_IFDIR ? "a folder" : "an ordinary file");
	if (info.st_uid != geteuid())
		return fail(err, ERR_INVALID_REQUEST, "'%s' belongs to user %u, not to user %u", path, info.st_uid,
			    geteuid());
	return 0;
}

/*
 * Looked at before it is opened: opening alone makes some files act (devices), and some never end (pipes). What is opened
 * then is what was looked at, by way of its descriptor.
 */
int folder_open_file(int folder, const char *folder_path, const char *name, struct err *err)
{
	AUTO_FREE char *path = xasprintf("%s/%s", folder_path, name);
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	AUTO_FD found = (int)syscall(SYS_openat2, folder, name, &how, sizeof how);
	if (found < 0 && errno == ELOOP)
		return fail(err, ERR_INVALID_REQUEST, "'%s' is a symbolic link; put the file itself there", path);
	if (found < 0)
		return refuse(err, "cannot open", path);
	if (check_owner(found, path, S_IFREG, err) != 0)
		return -1;
	char link[32];
	snprintf(link, sizeof link, "/proc/self/fd/%d", found);
	int fd = open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd >= 0 ? fd : refuse(err, "cannot read", path);
}

static int find_path(int fd, const char *path, char ret[PATH_MAX], struct err *err)
{
	char link[32];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, ret, PATH_MAX);
	if (n <= 0 || n >= PATH_MAX || ret[0] != '/')
		return fail(err, ERR_INVALID_REQUEST, "the folder '%s' has no path", path);
	ret[n] = '\0';
	return 0;
}

int folder_find(struct str path, char ret[PATH_MAX], struct err *err)
{
	if (path.n == 0 || path.n >= PATH_MAX || path.p[0] != '/' || str_find_char(path, '\0') != STR_NPOS)
		return fail(err, ERR_INVALID_REQUEST, "a folder is named by its absolute path");
	AUTO_FREE char *given = str_dup(path);
	AUTO_FD folder = open(given, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return refuse(err, "cannot open the folder", given);
	char found[PATH_MAX];
	if (find_path(folder, given, found, err) != 0 || check_owner(folder, found, S_IFDIR, err) != 0)
		return -1;
	memcpy(ret, found, strlen(found) + 1);
	return TAKE_FD(folder);
}

int folder_open(struct str path, struct folder *ret, struct err *err)
{
	AUTO_FOLDER found = FOLDER_INIT;
	AUTO_FD folder = folder_find(path, found.path, err);
	if (folder < 0)
		return -1;
	found.manifest = folder_open_file(folder, found.path, "manifest.toml", err);
	if (found.manifest < 0)
		return -1;
	found.wasm = folder_open_file(folder, found.path, "connector.wasm", err);
	if (found.wasm < 0)
		return -1;
	*ret = found;
	found.manifest = found.wasm = -1;
	return 0;
}

void folder_close(struct folder *folder)
{
	if (folder->manifest >= 0)
		close(folder->manifest);
	if (folder->wasm >= 0)
		close(folder->wasm);
	folder->manifest = folder->wasm = -1;
}
