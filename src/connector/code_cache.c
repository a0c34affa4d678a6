#include "connector/code_cache.h"
#include "base/hex.h"
#include "base/vec.h"
#include "os/lock.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#define ENTRY_SUFFIX    ".code"
#define LOCK_NAME       "lock"
#define FINGERPRINT_USE 8 /* bytes of it in a name; the whole of it is in the file */
#define ENTRY_NAME_SIZE (2 * CODE_FILE_HASH + 1 + 2 * FINGERPRINT_USE + sizeof ENTRY_SUFFIX)
#define ENTRIES_MAX     65536 /* seen when the cache is tidied */
#define DRAFT_AGE       3600  /* seconds after which a draft was left behind by a crash */

struct code_cache {
	int folder_fd;
	char *folder;
	uint64_t max_bytes;
};

struct code_cache *code_cache_open(const char *folder, uint64_t max_bytes, struct err *err)
{
	AUTO_FREE char *path = folder != NULL ? xstrdup(folder) : file_cache_path("compiled", err);
	if (path == NULL || file_make_private_folder(path, err) < 0)
		return NULL;
	AUTO_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		fail_errno(err, "cannot open the folder '%s' of compiled code", path);
		return NULL;
	}
	/* Compiled code is trusted as far as its folder is: whoever could write there could choose what runs. */
	if (file_check_private_folder(fd, path, err) < 0)
		return NULL;
	struct code_cache *cache = NEW(struct code_cache);
	*cache = (struct code_cache){.folder_fd = TAKE_FD(fd), .folder = TAKE(path), .max_bytes = max_bytes};
	return cache;
}

void code_cache_free(struct code_cache *cache)
{
	if (cache == NULL)
		return;
	close(cache->folder_fd);
	free(cache->folder);
	free(cache);
}

/* ---------------------------------------------------------------------------------------------------------- entries */

static void name_entry(const uint8_t content_hash[CODE_FILE_HASH], enum runner_strategy strategy,
		       char ret[ENTRY_NAME_SIZE])
{
	uint8_t fingerprint[CODE_FILE_HASH];
	char hash[2 * CODE_FILE_HASH + 1], mark[2 * FINGERPRINT_USE + 1];
	connector_code_fingerprint(strategy, fingerprint);
	hex_format(str_of(content_hash, CODE_FILE_HASH), hash);
	hex_format(str_of(fingerprint, FINGERPRINT_USE), mark);
	snprintf(ret, ENTRY_NAME_SIZE, "%s-%s" ENTRY_SUFFIX, hash, mark);
}

/* A plain file of ours that nobody else may write. */
static bool is_sound(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

int code_cache_find(struct code_cache *cache, const uint8_t content_hash[CODE_FILE_HASH], enum runner_strategy strategy)
{
	char name[ENTRY_NAME_SIZE];
	name_entry(content_hash, strategy, name);
	AUTO_FD fd = openat(cache->folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || !is_sound(fd))
		return -1;
	/* When it was used last is when it was changed last; that this may fail costs at most a compilation. */
	(void)!futimens(fd, NULL);
	return TAKE_FD(fd);
}

/* Orders storing and removing. A lock that cannot be had stops nobody: what it guards is only tidiness. */
static void take_lock(const struct code_cache *cache, struct lock *lock)
{
	AUTO_FREE char *path = xasprintf("%s/" LOCK_NAME, cache->folder);
	(void)!lock_wait(lock, path, LOCK_ALONE, NULL);
}

void code_cache_remove(struct code_cache *cache, const uint8_t content_hash[CODE_FILE_HASH],
		       enum runner_strategy strategy)
{
	char name[ENTRY_NAME_SIZE];
	name_entry(content_hash, strategy, name);
	AUTO_LOCK lock = LOCK_INIT;
	take_lock(cache, &lock);
	(void)unlinkat(cache->folder_fd, name, 0);
}

/* ----------------------------------------------------------------------------------------------------------- tidying */

struct kept {
	char name[ENTRY_NAME_SIZE];
	uint64_t bytes;
	struct timespec used;
};

static int by_use(const void *a, const void *b)
{
	const struct timespec *x = &((const struct kept *)a)->used, *y = &((const struct kept *)b)->used;
	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

struct kept_list {
	VEC(struct kept) entries;
	uint64_t bytes;
};

static void look_at(struct code_cache *cache, const char *name, struct kept_list *list)
{
	struct stat st;
	if (fstatat(cache->folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return;
	if (file_is_draft(name) && st.st_mtim.tv_sec + DRAFT_AGE < time(NULL))
		(void)unlinkat(cache->folder_fd, name, 0);
	if (!str_ends(str_from(name), S(ENTRY_SUFFIX)) || strlen(name) >= ENTRY_NAME_SIZE)
		return;
	struct kept kept = {.bytes = (uint64_t)st.st_size, .used = st.st_mtim};
	memcpy(kept.name, name, strlen(name) + 1);
	if (vec_push(&list->entries, kept))
		list->bytes += kept.bytes;
}

/* Removes the least recently used entries, but for the new one, until the rest fits. */
static void tidy(struct code_cache *cache, const char *new_name)
{
	int fd = openat(cache->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	if (folder == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	struct kept_list list = {.entries = VEC_INIT(ENTRIES_MAX)};
	for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
		look_at(cache, entry->d_name, &list);
	closedir(folder);
	if (list.bytes > cache->max_bytes)
		qsort(list.entries.items, list.entries.n, sizeof list.entries.items[0], by_use);
	for (size_t i = 0; i < list.entries.n && list.bytes > cache->max_bytes; i++) {
		const struct kept *kept = &list.entries.items[i];
		if (strcmp(kept->name, new_name) != 0 && unlinkat(cache->folder_fd, kept->name, 0) == 0)
			list.bytes -= kept->bytes;
	}
	vec_release(&list.entries);
}

/* ----------------------------------------------------------------------------------------------------------- storing */

int code_cache_begin(struct code_cache *cache, struct file_draft *draft, struct err *err)
{
	return file_draft_begin(draft, cache->folder, 0400, err);
}

int code_cache_store(struct code_cache *cache, struct file_draft *draft, const uint8_t content_hash[CODE_FILE_HASH],
		     enum runner_strategy strategy, struct err *err)
{
	uint8_t fingerprint[CODE_FILE_HASH];
	char name[ENTRY_NAME_SIZE];
	connector_code_fingerprint(strategy, fingerprint);
	name_entry(content_hash, strategy, name);
	if (code_file_seal(draft->fd, content_hash, fingerprint, err) < 0)
		return -1;
	AUTO_LOCK lock = LOCK_INIT;
	take_lock(cache, &lock);
	if (file_draft_commit(draft, name, err) < 0)
		return -1;
	tidy(cache, name);
	return 0;
}
