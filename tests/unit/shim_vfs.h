/*
 * shim_vfs: a file system for the store's tests, between the store's own and the system's
 *
 * Every call that changes a file or opens one is first shown to a hook, which may let it fail, and then to another with what
 * it did. The hooks are called on any thread, one at a time. Nothing is really synced: whoever wants to know what would
 * survive a power loss keeps account in the hooks. One shim a program.
 */
#pragma once
#include "store/connection.h"
#include <pthread.h>
#include <stdlib.h>

enum shim_op { SHIM_OPEN, SHIM_READ, SHIM_WRITE, SHIM_TRUNCATE, SHIM_SYNC, SHIM_DELETE, SHIM_MAP, SHIM_OPS };

struct shim_call {
	enum shim_op op;
	const char *name;
	const void *bytes;
	size_t n; /* bytes, or the size of a truncation */
	size_t at;
	bool durable; /* of SHIM_DELETE: the folder is synced too */
};

struct shim {
	/* SQLITE_OK, or what the call is to fail with; a write may be done in part first (`*part` bytes). */
	int (*before)(struct shim *shim, const struct shim_call *call, size_t *part);
	void (*after)(struct shim *shim, const struct shim_call *call);
	pthread_mutex_t lock;
	sqlite3_vfs vfs;
	sqlite3_vfs *below;
};

static struct shim *the_shim;

struct shim_file {
	sqlite3_file base;
	const char *name;
	sqlite3_file *below;
};

static struct shim_file *shim_file_of(sqlite3_file *file)
{
	return (struct shim_file *)(void *)file;
}

/* Asks, does, tells: `…` is the call below, whose result is the answer. */
#define SHIM_PASS(call, part, ...)                                                                                     \
	({                                                                                                             \
		const struct shim_call call_ = (call);                                                                 \
		pthread_mutex_lock(&the_shim->lock);                                                                   \
		int code_ = the_shim->before != NULL ? the_shim->before(the_shim, &call_, (part)) : SQLITE_OK;         \
		if (code_ == SQLITE_OK)                                                                                \
			code_ = (__VA_ARGS__);                                                                         \
		if (code_ == SQLITE_OK && the_shim->after != NULL)                                                     \
			the_shim->after(the_shim, &call_);                                                             \
		pthread_mutex_unlock(&the_shim->lock);                                                                 \
		code_;                                                                                                 \
	})

static int shim_close(sqlite3_file *file)
{
	struct shim_file *self = shim_file_of(file);
	int code = self->below->pMethods->xClose(self->below);
	free(self->below);
	return code;
}

static int shim_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
	struct shim_file *self = shim_file_of(file);
	size_t part = 0;
	pthread_mutex_lock(&the_shim->lock);
	struct shim_call call = {.op = SHIM_READ, .name = self->name, .n = (size_t)n, .at = (size_t)at};
	int code = the_shim->before != NULL ? the_shim->before(the_shim, &call, &part) : SQLITE_OK;
	pthread_mutex_unlock(&the_shim->lock);
	return code == SQLITE_OK ? self->below->pMethods->xRead(self->below, to, n, at) : code;
}

static int shim_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
	struct shim_file *self = shim_file_of(file);
	size_t part = 0;
	struct shim_call call = {
		.op = SHIM_WRITE, .name = self->name, .bytes = bytes, .n = (size_t)n, .at = (size_t)at};
	int code = SHIM_PASS(call, &part, self->below->pMethods->xWrite(self->below, bytes, n, at));
	if (code != SQLITE_OK && part > 0)
		self->below->pMethods->xWrite(self->below, bytes, (int)part, at);
	return code;
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct shim_file *self = shim_file_of(file);
	struct shim_call call = {.op = SHIM_TRUNCATE, .name = self->name, .n = (size_t)size};
	return SHIM_PASS(call, NULL, self->below->pMethods->xTruncate(self->below, size));
}

static int shim_sync(sqlite3_file *file, int flags)
{
	struct shim_file *self = shim_file_of(file);
	struct shim_call call = {.op = SHIM_SYNC, .name = self->name};
	(void)flags;
	return SHIM_PASS(call, NULL, SQLITE_OK);
}

static int shim_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	sqlite3_file *below = shim_file_of(file)->below;
	return below->pMethods->xFileSize(below, ret);
}

static int shim_lock(sqlite3_file *file, int level)
{
	sqlite3_file *below = shim_file_of(file)->below;
	return below->pMethods->xLock(below, level);
}

static int shim_unlock(sqlite3_file *file, int level)
{
	sqlite3_file *below = shim_file_of(file)->below;
	return below->pMethods->xUnlock(below, level);
}

static int shim_reserved(sqlite3_file *file, int *ret)
{
	sqlite3_file *below = shim_file_of(file)->below;
	return below->pMethods->xCheckReservedLock(below, ret);
}

static int shim_control(sqlite3_file *file, int op, void *arg)
{
	sqlite3_file *below = shim_file_of(file)->below;
	/* A hint to make the file larger would go past the hooks. */
	if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
		return SQLITE_NOTFOUND;
	return below->pMethods->xFileControl(below, op, arg);
}

static int shim_sector(sqlite3_file *file)
{
	sqlite3_file *below = shim_file_of(file)->below;
	return below->pMethods->xSectorSize(below);
}

static int shim_device(sqlite3_file *file)
{
	sqlite3_file *below = shim_file_of(file)->below;
	return below->pMethods->xDeviceCharacteristics(below);
}

static int shim_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
	struct shim_file *self = shim_file_of(file);
	struct shim_call call = {.op = SHIM_MAP, .name = self->name};
	return SHIM_PASS(call, NULL, self->below->pMethods->xShmMap(self->below, page, size, extend, ret));
}

static int shim_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	sqlite3_file *below = shim_file_of(file)->below;
	return below->pMethods->xShmLock(below, offset, n, flags);
}

static void shim_barrier(sqlite3_file *file)
{
	sqlite3_file *below = shim_file_of(file)->below;
	below->pMethods->xShmBarrier(below);
}

static int shim_unmap(sqlite3_file *file, int remove)
{
	sqlite3_file *below = shim_file_of(file)->below;
	return below->pMethods->xShmUnmap(below, remove);
}

static int shim_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags)
{
	(void)vfs;
	static const sqlite3_io_methods methods = {
		2,           shim_close, shim_read,     shim_write,    shim_truncate, shim_sync,
		shim_size,   shim_lock,  shim_unlock,   shim_reserved, shim_control,  shim_sector,
		shim_device, shim_map,   shim_shm_lock, shim_barrier,  shim_unmap,    NULL,
		NULL,
	};
	struct shim_file *self = shim_file_of(file);
	*self = (struct shim_file){.name = name, .below = xcalloc(1, (size_t)the_shim->below->szOsFile)};
	struct shim_call call = {.op = SHIM_OPEN, .name = name};
	int code = SHIM_PASS(call, NULL, the_shim->below->xOpen(the_shim->below, name, self->below, flags, ret_flags));
	if (code == SQLITE_OK)
		self->base.pMethods = &methods;
	else
		free(self->below);
	return code;
}

static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
	(void)vfs;
	struct shim_call call = {.op = SHIM_DELETE, .name = name, .durable = sync_folder != 0};
	return SHIM_PASS(call, NULL, the_shim->below->xDelete(the_shim->below, name, sync_folder));
}

/* The name to open a database with. */
static inline const char *shim_register(struct shim *shim)
{
	store_vfs();
	shim->below = sqlite3_vfs_find("unix");
	shim->vfs = *shim->below;
	shim->vfs.zName = "shim";
	shim->vfs.pNext = NULL;
	shim->vfs.szOsFile = sizeof(struct shim_file);
	shim->vfs.xOpen = shim_open;
	shim->vfs.xDelete = shim_delete;
	pthread_mutex_init(&shim->lock, NULL);
	the_shim = shim;
	sqlite3_vfs_register(&shim->vfs, 0);
	return store_vfs_over(shim->vfs.zName);
}
