/*
 * lock: one process at a time
 *
 * A lock file under flock(2): the kernel lets go of it when its holder ends, however that happens. The file is never
 * removed, since somebody may be waiting on it, and holds nothing. The lock belongs to the descriptor: two `struct lock`
 * of one process exclude each other as those of two processes do. Not inherited by children (os/child.h).
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include <stdbool.h>

struct lock {
	int fd; /* -1 = not held */
};
#define LOCK_INIT ((struct lock){.fd = -1})

enum lock_kind {
	LOCK_ALONE,  /* excludes everybody */
	LOCK_SHARED, /* excludes LOCK_ALONE */
};

/* Makes the file (mode 0600) when it is missing; its folder must exist. 1 held, 0 somebody else has it, -1 SYSTEM. */
int lock_try(struct lock *lock, const char *path, enum lock_kind kind, struct err *err)
	__attribute__((warn_unused_result));
/* Waits for it, however long. 0 held, -1 SYSTEM. */
int lock_wait(struct lock *lock, const char *path, enum lock_kind kind, struct err *err)
	__attribute__((warn_unused_result));
/*
 * Takes over a descriptor that a lock came with through exec, and makes sure of it: it is this file, and nobody else holds
 * it. 1 held, 0 somebody else does or it is another file (*fd is closed either way), -1 SYSTEM.
 */
int lock_adopt(struct lock *lock, int fd, const char *path, struct err *err) __attribute__((warn_unused_result));
/* Whether the path still leads to the file that is locked: a state folder that was removed or replaced has another. */
bool lock_is_current(const struct lock *lock, const char *path);
void lock_release(struct lock *lock); /* safe on LOCK_INIT and twice */
#define AUTO_LOCK __attribute__((cleanup(lock_release))) struct lock
