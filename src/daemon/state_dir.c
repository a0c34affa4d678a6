#include "daemon/state_dir.h"
#include "os/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define OLD_VAULT "secrets.json"

char *state_dir_path(struct err *err)
{
	const char *home = getenv("AILERON_HOME");
	if (home == NULL || home[0] == '\0')
		return file_home_path(".aileron", err);
	if (home[0] == '/')
		return xstrdup(home);
	fail(err, ERR_USAGE, "AILERON_HOME is '%s', which is no absolute path", home);
	return NULL;
}

char *state_dir_file(const char *state_dir, const char *name)
{
	return xasprintf("%s/%s", state_dir, name);
}

/* mkdir and the checks, beneath a folder that passed them. */
static int open_part(const char *path, const char *name, struct err *err)
{
	AUTO_FREE char *part = state_dir_file(path, name);
	if (file_make_private_folder(part, err) != 0)
		return -1;
	int fd = open(part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? fd : fail_errno(err, "cannot open the folder '%s'", part);
}

/*
 * Earlier versions kept the vault's file at the top. It is the keeper's to read; here it is a name. Whether there is one to
 * move: 1, 0, -1.
 */
static int find_old_vault(const char *path, const char *old, struct err *err)
{
	AUTO_FREE char *present = state_dir_file(path, "vault/" OLD_VAULT);
	struct stat info;
	if (lstat(old, &info) != 0)
		return errno == ENOENT ? 0 : fail_errno(err, "cannot look at '%s'", old);
	if (!S_ISREG(info.st_mode))
		return fail(err, ERR_SYSTEM, "'%s' is not a file; move it away", old);
	if (faccessat(AT_FDCWD, present, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return fail(err, ERR_CONFLICT,
			    "there are two vaults, '%s' and '%s'; move the one that you do not want away", old,
			    present);
	return 1;
}

static int move_old_vault(const char *path, int vault, struct err *err)
{
	AUTO_FREE char *old = state_dir_file(path, OLD_VAULT);
	int found = find_old_vault(path, old, err);
	if (found != 1)
		return found;
	if (renameat2(AT_FDCWD, old, vault, OLD_VAULT, RENAME_NOREPLACE) != 0)
		return fail_errno(err, "cannot move '%s' into '%s/vault'", old, path);
	if (fsync(vault) != 0)
		return fail_errno(err, "cannot bring '%s/vault' to the disk", path);
	return 0;
}

int state_dir_open(const char *path, struct state_dir *ret, struct err *err)
{
	AUTO_STATE_DIR dir = STATE_DIR_INIT;
	if (file_make_private_folder(path, err) != 0)
		return -1;
	dir.vault = open_part(path, "vault", err);
	if (dir.vault < 0)
		return -1;
	dir.control = open_part(path, "control", err);
	AUTO_FD compiled = dir.control >= 0 ? open_part(path, "control/compiled", err) : -1;
	if (compiled < 0 || move_old_vault(path, dir.vault, err) != 0)
		return -1;
	*ret = dir;
	dir = STATE_DIR_INIT;
	return 0;
}

/* What does not exist yet is fine. */
static int check_folder(const char *path, struct err *err)
{
	AUTO_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "cannot open the folder '%s'", path);
	return file_check_private_folder(fd, path, err);
}

int state_dir_check(const char *path, struct err *err)
{
	static const char *const parts[] = {"vault", "control", "control/compiled"};
	if (check_folder(path, err) != 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		AUTO_FREE char *part = state_dir_file(path, parts[i]);
		if (check_folder(part, err) != 0)
			return -1;
	}
	AUTO_FREE char *old = state_dir_file(path, OLD_VAULT);
	return find_old_vault(path, old, err) < 0 ? -1 : 0;
}

void state_dir_close(struct state_dir *dir)
{
	if (dir->vault >= 0)
		close(dir->vault);
	if (dir->control >= 0)
		close(dir->control);
	*dir = STATE_DIR_INIT;
}
