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
static sqlite3_vfs *system_vfs;
static sqlite3_vfs our_vfs;

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
	(void)vfs;
	file->pMethods = NULL;
	if (name == NULL)
		return SQLITE_CANTOPEN;
	if ((flags & SQLITE_OPEN_MAIN_DB) != 0 && (flags & SQLITE_OPEN_CREATE) != 0)
		make_private(name);
	if ((flags & SQLITE_OPEN_WAL) != 0)
		return log_file_open(system_vfs, name, file, flags, ret_flags);
	return system_vfs->xOpen(system_vfs, name, file, flags, ret_flags);
}

static void log_message(void *context, int code, const char *text)
{
	(void)context;
	log_debug("sqlite", log_i64("code", code), log_z("text", text));
}

static void set_up(void)
{
	/* Before SQLite starts: no lock around each allocation for statistics that nobody reads. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_config(SQLITE_CONFIG_LOG, log_message, NULL);
	system_vfs = sqlite3_vfs_find("unix");
	if (system_vfs == NULL)
		BUG("SQLite was built without its VFS for Unix");
	/* Its other methods look at pAppData at most, which is copied with them. */
	our_vfs = *system_vfs;
	our_vfs.zName = "aileron";
	our_vfs.pNext = NULL;
	our_vfs.szOsFile = log_file_size(system_vfs);
	our_vfs.xFullPathname = keep_name;
	our_vfs.xRandomness = fill_random;
	our_vfs.xOpen = open_file;
	/* As the default: SQLite takes its own randomness from that one. */
	if (sqlite3_vfs_register(&our_vfs, 1) != SQLITE_OK)
		BUG("SQLite takes no VFS");
}

const char *store_vfs(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_up);
	return our_vfs.zName;
}
