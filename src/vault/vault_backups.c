/* The copies that upgrades leave. */
#include "os/file.h"
#include "vault/legacy.h"
#include "vault/vault_private.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PREFIX S("backup-v")
#define SUFFIX S(".json")

/* "backup-v1-20260102T030405Z-1.json"; nothing but such a name is ever opened or removed. */
static bool is_backup(struct str name, unsigned *ret_version)
{
	if (!str_starts(name, PREFIX) || !str_ends(name, SUFFIX) || name.n >= VAULT_BACKUP_NAME ||
	    name.n <= PREFIX.n + SUFFIX.n || str_find_char(name, '/') != STR_NPOS)
		return false;
	char digit = name.p[PREFIX.n];
	if (digit != '0' && digit != '1')
		return false;
	*ret_version = (unsigned)(digit - '0');
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct vault_backup *)a)->name, ((const struct vault_backup *)b)->name);
}

static DIR *open_folder(const struct vault *vault, struct err *err)
{
	int fd = openat(vault->store.folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		fail_errno(err, "cannot list the vault's folder");
		if (fd >= 0)
			close(fd);
	}
	return dir;
}

int vault_backups(const struct vault *vault, struct vault_backup_list *ret, struct err *err)
{
	struct vault_backup_list found = VAULT_BACKUP_LIST_INIT;
	DIR *dir = open_folder(vault, err);
	if (dir == NULL)
		return -1;
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		struct vault_backup backup = {0};
		struct stat info;
		struct str name = str_from(entry->d_name);
		if (!is_backup(name, &backup.version) ||
		    fstatat(vault->store.folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(info.st_mode))
			continue;
		memcpy(backup.name, name.p, name.n);
		backup.bytes = (uint64_t)info.st_size;
		backup.mtime = (uint64_t)MAX(info.st_mtime, 0);
		if (!vec_push(&found.backups, backup))
			break;
	}
	closedir(dir);
	if (found.backups.n > 1)
		qsort(found.backups.items, found.backups.n, sizeof found.backups.items[0], compare_names);
	vault_backup_list_release(ret);
	*ret = found;
	return 0;
}

void vault_backup_list_release(struct vault_backup_list *list)
{
	vec_release(&list->backups);
}

/* Whether one of them is this text; then its name. */
static bool find_same(const struct vault *vault, struct vault_backup_list *list, struct str text,
		      char ret[VAULT_BACKUP_NAME])
{
	VEC_FOREACH (backup, &list->backups) {
		AUTO_BUF content = BUF_INIT(VAULT_FILE_MAX);
		if (backup->bytes == text.n && vault_store_read(&vault->store, backup->name, &content, NULL) == 1 &&
		    str_eq(buf_str(&content), text)) {
			memcpy(ret, backup->name, VAULT_BACKUP_NAME);
			return true;
		}
	}
	return false;
}

int vault_backup_keep(const struct vault *vault, unsigned version, struct str text, char ret[VAULT_BACKUP_NAME],
		      struct err *err)
{
	char now[TIME_COMPACT_SIZE], name[VAULT_BACKUP_NAME];
	struct vault_backup_list list = VAULT_BACKUP_LIST_INIT;
	if (vault_backups(vault, &list, err) < 0)
		return -1;
	bool found = find_same(vault, &list, text, ret);
	vault_backup_list_release(&list);
	time_format_compact(clock_wall_ns(vault->clock), now);
	for (unsigned n = 1; !found && n <= VAULT_BACKUPS_MAX; n++) {
		snprintf(name, sizeof name, "backup-v%u-%s-%u.json", version, now, n);
		int made = vault_store_create(&vault->store, name, text, err);
		if (made < 0)
			return wrap(err, "keeping a copy of the vault");
		found = made == 1;
		if (found)
			memcpy(ret, name, sizeof name);
	}
	if (!found)
		return fail(err, ERR_LIMIT, "there are %d copies of the vault from this second", VAULT_BACKUPS_MAX);
	return 0;
}

static int no_backup(struct str name, struct err *err)
{
	return fail(err, ERR_NOT_FOUND, "there is no copy '%.*s' of the vault", STR_FMT(name));
}

int vault_backup_opens(const struct vault *vault, struct str name, const struct vault_credential *credential, bool *ret,
		       struct err *err)
{
	unsigned version;
	if (!is_backup(name, &version))
		return no_backup(name, err);
	AUTO_FREE char *path = str_dup(name);
	AUTO_BUF text = BUF_INIT(VAULT_FILE_MAX);
	int read = vault_store_read(&vault->store, path, &text, err);
	if (read <= 0)
		return read == 0 ? no_backup(name, err) : -1;
	static struct err why;
	err_clear(&why);
	AUTO(vault_document) *document = vault_document_read(buf_str(&text), NULL);
	AUTO(secret) *key = document != NULL && document->version < 2 ? legacy_open(document, credential, &why) : NULL;
	if (key == NULL && (why.class == ERR_SYSTEM || why.class == ERR_LIMIT)) {
		if (err != NULL)
			*err = why;
		return -1;
	}
	*ret = key != NULL;
	return 0;
}

int vault_backup_delete(struct vault *vault, struct str name, struct err *err)
{
	unsigned version;
	AUTO_FREE char *path = str_dup(name);
	if (!is_backup(name, &version) || !vault_store_has(&vault->store, path))
		return no_backup(name, err);
	return vault_store_remove(&vault->store, path, err);
}
