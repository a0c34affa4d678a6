#include "store/log_file.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#define FRAME_HEADER 24
#define HELD_MAX     (124 << 10) /* SQLite's VFS takes less than 128 KiB at once */
#define GROWTH_MIN   (64 << 10)
#define GROWTH_MAX   (1 << 20)

struct log_file {
	sqlite3_file base;
	bool ends_commit; /* the frame that is being written does */
	sqlite3_int64 read_at;
	char *held; /* NULL = nothing was written yet */
	int held_n;
	sqlite3_int64 held_at;
	sqlite3_int64 room; /* the file has bytes up to here, or no more could be had; 0 = not known */
			    /* The file of the VFS below lies behind. */
};

static struct log_file *log_of(sqlite3_file *file)
{
	return (struct log_file *)(void *)file;
}

static sqlite3_file *below(struct log_file *log)
{
	return (sqlite3_file *)(void *)(log + 1);
}

/*
 * The sync of a file that has grown costs about twice that of one whose bytes were written over. So the file doubles with
 * zeros, up to a limit, ahead of what is written. They are no frames: there is no page 0. Where the disk has no room for
 * them, what is written goes without.
 */
static void make_room(struct log_file *log, sqlite3_int64 end)
{
	static const char zeros[GROWTH_MIN];
	const sqlite3_io_methods *methods = below(log)->pMethods;
	sqlite3_int64 size = 0;
	if (end <= log->room || methods->xFileSize(below(log), &size) != SQLITE_OK)
		return;
	log->room = size;
	if (end <= size)
		return;
	sqlite3_int64 growth = MIN(MAX(size, GROWTH_MIN), GROWTH_MAX);
	log->room = (end + growth - 1) / growth * growth;
	int code = SQLITE_OK;
	for (sqlite3_int64 at = size; at < log->room && code == SQLITE_OK; at += GROWTH_MIN)
		code = methods->xWrite(below(log), zeros, (int)MIN(log->room - at, GROWTH_MIN), at);
	if (code != SQLITE_OK)
		(void)methods->xTruncate(below(log), size);
}

/*
 * What cannot be written stays: the call that asked may be a read, whose failure does not end the transaction, and frames of
 * it that are named already must not be lost when it is committed after all.
 */
static int let_go(struct log_file *log)
{
	if (log->held_n == 0)
		return SQLITE_OK;
	make_room(log, log->held_at + log->held_n);
	int code = below(log)->pMethods->xWrite(below(log), log->held, log->held_n, log->held_at);
	if (code == SQLITE_OK)
		log->held_n = 0;
	return code;
}

static bool fits(const struct log_file *log, int n, sqlite3_int64 at)
{
	return log->held_n == 0 ? n <= HELD_MAX : at == log->held_at + log->held_n && n <= HELD_MAX - log->held_n;
}

static int hold(struct log_file *log, const void *bytes, int n, sqlite3_int64 at)
{
	int code = fits(log, n, at) ? SQLITE_OK : let_go(log);
	if (code != SQLITE_OK || n > HELD_MAX)
		return code != SQLITE_OK ? code : below(log)->pMethods->xWrite(below(log), bytes, n, at);
	if (log->held == NULL)
		log->held = xmalloc(HELD_MAX);
	if (log->held_n == 0)
		log->held_at = at;
	memcpy(log->held + log->held_n, bytes, (size_t)n);
	log->held_n += n;
	return SQLITE_OK;
}

/*
 * A frame's header says how many pages the database has after the commit that it ends, or 0. A transaction that outgrew the
 * cache may have changed frames that were written: at its commit their headers are made anew, each after its frame was read,
 * and no page follows.
 */
static int log_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
	static const unsigned char none[4];
	struct log_file *log = log_of(file);
	int code = hold(log, bytes, n, at);
	if (n == FRAME_HEADER && at == log->read_at)
		code = code == SQLITE_OK ? let_go(log) : code;
	else if (n == FRAME_HEADER)
		log->ends_commit = memcmp((const char *)bytes + 4, none, sizeof none) != 0;
	else if (code == SQLITE_OK && log->ends_commit)
		code = let_go(log);
	return code;
}

static int log_close(sqlite3_file *file)
{
	struct log_file *log = log_of(file);
	int code = let_go(log);
	free(log->held);
	int closed = below(log)->pMethods->xClose(below(log));
	return code != SQLITE_OK ? code : closed;
}

static int log_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
	struct log_file *log = log_of(file);
	int code = let_go(log);
	log->read_at = at;
	return code != SQLITE_OK ? code : below(log)->pMethods->xRead(below(log), to, n, at);
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct log_file *log = log_of(file);
	int code = let_go(log);
	log->room = 0;
	return code != SQLITE_OK ? code : below(log)->pMethods->xTruncate(below(log), size);
}

static int log_sync(sqlite3_file *file, int flags)
{
	struct log_file *log = log_of(file);
	int code = let_go(log);
	return code != SQLITE_OK ? code : below(log)->pMethods->xSync(below(log), flags);
}

static int log_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	struct log_file *log = log_of(file);
	int code = let_go(log);
	return code != SQLITE_OK ? code : below(log)->pMethods->xFileSize(below(log), ret);
}

static int log_lock(sqlite3_file *file, int level)
{
	struct log_file *log = log_of(file);
	return below(log)->pMethods->xLock(below(log), level);
}

static int log_unlock(sqlite3_file *file, int level)
{
	struct log_file *log = log_of(file);
	return below(log)->pMethods->xUnlock(below(log), level);
}

static int log_reserved(sqlite3_file *file, int *ret)
{
	struct log_file *log = log_of(file);
	return below(log)->pMethods->xCheckReservedLock(below(log), ret);
}

static int log_control(sqlite3_file *file, int op, void *arg)
{
	struct log_file *log = log_of(file);
	return below(log)->pMethods->xFileControl(below(log), op, arg);
}

static int log_sector(sqlite3_file *file)
{
	struct log_file *log = log_of(file);
	return below(log)->pMethods->xSectorSize(below(log));
}

static int log_device(sqlite3_file *file)
{
	struct log_file *log = log_of(file);
	return below(log)->pMethods->xDeviceCharacteristics(below(log));
}

/* Shared memory and mapping are the database's own file's. */
static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = log_close,
	.xRead = log_read,
	.xWrite = log_write,
	.xTruncate = log_truncate,
	.xSync = log_sync,
	.xFileSize = log_size,
	.xLock = log_lock,
	.xUnlock = log_unlock,
	.xCheckReservedLock = log_reserved,
	.xFileControl = log_control,
	.xSectorSize = log_sector,
	.xDeviceCharacteristics = log_device,
};

int log_file_size(const sqlite3_vfs *under)
{
	return (int)sizeof(struct log_file) + under->szOsFile;
}

int log_file_open(sqlite3_vfs *under, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct log_file *log = log_of(file);
	*log = (struct log_file){0};
	below(log)->pMethods = NULL;
	int code = under->xOpen(under, name, below(log), flags, ret_flags);
	if (code == SQLITE_OK)
		log->base.pMethods = &methods;
	else if (below(log)->pMethods != NULL)
		(void)below(log)->pMethods->xClose(below(log)); /* SQLite would, of a file that has methods */
	return code;
}
