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
void lock_release(struct lock *lock); /* safe on LOCK_INIT and twice */
#define AUTO_LOCK __attribute__((cleanup(lock_release))) struct lock
