#include "vault/vault_store.h"
#include "os/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { MODE = 0600 };

static void sweep_drafts(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (file_is_draft(entry->d_name))
			unlinkat(folder, entry->d_name, 0);
	}
	closedir(dir);
}

int vault_store_open(struct vault_store *store, const char *path, struct err *err)
{
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return fail_errno(err, "cannot open the vault's folder '%s'", path);
	sweep_drafts(folder);
	store->path = xstrdup(path);
	store->folder = folder;
	return 0;
}

void vault_store_close(struct vault_store *store)
{
	free(store->path);
	if (store->folder >= 0)
		close(store->folder);
	*store = VAULT_STORE_INIT;
}

int vault_store_read(const struct vault_store *store, const char *name, struct buf *out, struct err *err)
{
	AUTO_FD fd = openat(store->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "cannot open '%s' of the vault", name);
	return file_read_fd(fd, name, out, err) == 0 ? 1 : -1;
}

bool vault_store_has(const struct vault_store *store, const char *name)
{
	struct stat info;
	return fstatat(store->folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

int vault_store_create(const struct vault_store *store, const char *name, struct str text, struct err *err)
{
	AUTO_FREE char *path = xasprintf("%s/%s", store->path, name);
	return file_create(path, text, MODE, err);
}

static int bring_to_disk(const struct vault_store *store, const char *name, struct err *err)
{
	if (fsync(store->folder) != 0)
		return fail_errno(err, "cannot bring the folder of '%s' to the disk", name);
	return 0;
}

int vault_store_remove(const struct vault_store *store, const char *name, struct err *err)
{
	if (unlinkat(store->folder, name, 0) != 0)
		return fail_errno(err, "cannot remove '%s' of the vault", name);
	return bring_to_disk(store, name, err);
}

static int write_new(const struct vault_store *store, struct str text, struct err *err)
{
	AUTO_DRAFT draft = FILE_DRAFT_INIT;
	if (file_draft_begin(&draft, store->path, MODE, err) < 0 ||
	    file_write_fd(draft.fd, VAULT_STORE_FILE, text, err) < 0)
		return -1;
	return file_draft_commit(&draft, VAULT_STORE_FILE, err);
}

int vault_store_replace(struct vault_store *store, struct str text, struct err *err)
{
	if (unlinkat(store->folder, VAULT_STORE_PREVIOUS, 0) != 0 && errno != ENOENT)
		return fail_errno(err, "cannot remove '%s' of the vault", VAULT_STORE_PREVIOUS);
	if (linkat(store->folder, VAULT_STORE_FILE, store->folder, VAULT_STORE_PREVIOUS, 0) == 0)
		store->fresh = false;
	else if (errno == ENOENT)
		store->fresh = true;
	else
		return fail_errno(err, "cannot keep the vault's present generation as '%s'", VAULT_STORE_PREVIOUS);
	if (write_new(store, text, err) == 0)
		return 0;
	vault_store_undo(store);
	return -1;
}

void vault_store_keep(const struct vault_store *store)
{
	/* Should it come back after a power loss, the next write or unlock removes it. */
	unlinkat(store->folder, VAULT_STORE_PREVIOUS, 0);
}

void vault_store_undo(const struct vault_store *store)
{
	/* A rename between two names of one file does nothing and succeeds: then the second name is left to be removed. */
	if (store->fresh)
		unlinkat(store->folder, VAULT_STORE_FILE, 0);
	else if (renameat(store->folder, VAULT_STORE_PREVIOUS, store->folder, VAULT_STORE_FILE) == 0)
		unlinkat(store->folder, VAULT_STORE_PREVIOUS, 0);
	fsync(store->folder);
}
