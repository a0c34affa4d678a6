#include "base/log.h"
#include "base/rand.h"
#include "store/connection.h"
#include "store/log_file.h"
#include <fcntl.h>
#include <pthread.h>

/*
 * SQLite's own VFS for Unix, but for four things.
 *
 * The process may be in an empty root, where the kernel cannot name the working directory (getcwd fails) and there is no
 * /dev/urandom: names stay as they are, and randomness comes from the kernel. It may make no files but the database's
 * own: temporary ones are refused (temp_store = MEMORY asks for none). And a new database is private from its first
 * moment, and its name is on disk before anything is acknowledged: SQLite syncs the folder for its log alone. The log is
 * written in large pieces (log_file.h).
 */
struct our_vfs {
	sqlite3_vfs vfs; /* first; its other methods are those of the one below, which look at pAppData at most */
	sqlite3_vfs *below;
};

static int keep_name(sqlite3_vfs *vfs, const char *name, int room, char *ret)
{
	(void)vfs;
	size_t n = strlen(name);
	if (room < 0 || n >= (size_t)room)
		return SQLITE_CANTOPEN;
	memcpy(ret, name, n + 1);
	return SQLITE_OK;
}

static int fill_random(sqlite3_vfs *vfs, int n, char *ret)
{
	(void)vfs;
	rand_bytes(ret, (size_t)n);
	return n;
}

/* An existing file is left alone. What cannot be made is told by SQLite, which opens the file next. */
static void make_private(const char *name)
{
	AUTO_FD fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fsync(fd) != 0)
		return;
	AUTO_FD folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 || fsync(folder) != 0)
		unlink(name);
}

static int open_file(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags)
{
	sqlite3_vfs *below = ((struct our_vfs *)(void *)vfs)->below;
	file->pMethods = NULL;
	if (name == NULL)
		return SQLITE_CANTOPEN;
	if ((flags & SQLITE_OPEN_MAIN_DB) != 0 && (flags & SQLITE_OPEN_CREATE) != 0)
		make_private(name);
	if ((flags & SQLITE_OPEN_WAL) != 0)
		return log_file_open(below, name, file, flags, ret_flags);
	return below->xOpen(below, name, file, flags, ret_flags);
}

static void log_message(void *context, int code, const char *text)
{
	(void)context;
	log_debug("sqlite_warned", log_i64("code", code), log_z("text", text));
}

static void put_over(struct our_vfs *ours, const char *name, sqlite3_vfs *below, bool as_default)
{
	ours->below = below;
	ours->vfs = *below;
	ours->vfs.zName = name;
	ours->vfs.pNext = NULL;
	ours->vfs.szOsFile = log_file_size(below);
	ours->vfs.xFullPathname = keep_name;
	ours->vfs.xRandomness = fill_random;
	ours->vfs.xOpen = open_file;
	if (sqlite3_vfs_register(&ours->vfs, as_default) != SQLITE_OK)
		BUG("SQLite takes no VFS");
}

static struct our_vfs standard;

static void set_up(void)
{
	/* Before SQLite starts: no lock around each allocation for statistics that nobody reads. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_config(SQLITE_CONFIG_LOG, log_message, NULL);
	sqlite3_vfs *below = sqlite3_vfs_find("unix");
	if (below == NULL)
		BUG("SQLite was built without its VFS for Unix");
	/* As the default: SQLite takes its own randomness from that one. */
	put_over(&standard, "aileron", below, true);
}

const char *store_vfs(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_up);
	return standard.vfs.zName;
}

const char *store_vfs_over(const char *below)
{
	static struct our_vfs ours;
	put_over(&ours, "aileron-over", sqlite3_vfs_find(below), false);
	return ours.vfs.zName;
}
