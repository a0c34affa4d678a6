#include "os/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

/* 1 held, 0 held by another (never with `wait`), -1. */
static int take(struct lock *lock, const char *path, enum lock_kind kind, bool wait, struct err *err)
{
	AUTO_FD fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (fd < 0)
		return fail_errno(err, "cannot open the lock file '%s'", path);
	int operation = (kind == LOCK_SHARED ? LOCK_SH : LOCK_EX) | (wait ? 0 : LOCK_NB);
	int result;
	do
		result = flock(fd, operation);
	while (result != 0 && errno == EINTR);
	if (result != 0)
		return errno == EWOULDBLOCK ? 0 : fail_errno(err, "cannot lock '%s'", path);
	lock_release(lock);
	lock->fd = TAKE_FD(fd);
	return 1;
}

int lock_try(struct lock *lock, const char *path, enum lock_kind kind, struct err *err)
{
	return take(lock, path, kind, false, err);
}

int lock_wait(struct lock *lock, const char *path, enum lock_kind kind, struct err *err)
{
	return take(lock, path, kind, true, err) == 1 ? 0 : -1;
}

static bool is_file(int fd, const char *path)
{
	struct stat open_file, named;
	return fstat(fd, &open_file) == 0 && lstat(path, &named) == 0 && open_file.st_dev == named.st_dev &&
	       open_file.st_ino == named.st_ino;
}

int lock_adopt(struct lock *lock, int fd, const char *path, struct err *err)
{
	AUTO_FD inherited = fd;
	if (fcntl(inherited, F_SETFD, FD_CLOEXEC) != 0)
		return fail_errno(err, "the lock of '%s' was not handed over", path);
	if (!is_file(inherited, path))
		return 0;
	/* The same open file may lock again what it holds. */
	if (flock(inherited, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? 0 : fail_errno(err, "cannot lock '%s'", path);
	lock_release(lock);
	lock->fd = TAKE_FD(inherited);
	return 1;
}

bool lock_is_current(const struct lock *lock, const char *path)
{
	return lock->fd >= 0 && is_file(lock->fd, path);
}

void lock_release(struct lock *lock)
{
	if (lock->fd >= 0)
		close(lock->fd);
	lock->fd = -1;
}
