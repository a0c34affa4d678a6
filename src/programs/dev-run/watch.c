#include "programs/dev-run/watch.h"
#include "base/mem.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>

#define WATCH_MAX  4
#define QUIET_MS   50 /* without a further event before a change counts */
#define EVENTS_MAX 4096

struct watch {
	int fd;
	size_t n;
	struct {
		int folder;
		char *name;
	} files[WATCH_MAX];
};

static int add_file(struct watch *watch, const char *path, struct err *err)
{
	size_t slash = str_find_last_char(str_from(path), '/');
	size_t name = slash == STR_NPOS ? 0 : slash + 1;
	AUTO_FREE char *folder = slash == STR_NPOS ? xstrdup(".") : str_dup(str_of(path, slash > 0 ? slash : 1));
	int id = inotify_add_watch(watch->fd, folder, IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ONLYDIR);
	if (id < 0)
		return fail_errno(err, "cannot watch the folder '%s'", folder);
	watch->files[watch->n].folder = id;
	watch->files[watch->n++].name = xstrdup(path + name);
	return 0;
}

struct watch *watch_new(const char *const *paths, size_t n, struct err *err)
{
	if (n > WATCH_MAX)
		BUG("%zu files to watch", n);
	struct watch *watch = NEW(struct watch);
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->fd < 0)
		fail_errno(err, "cannot watch files");
	for (size_t i = 0; i < n && watch->fd >= 0; i++) {
		if (add_file(watch, paths[i], err) < 0) {
			watch_free(watch);
			return NULL;
		}
	}
	if (watch->fd >= 0)
		return watch;
	watch_free(watch);
	return NULL;
}

void watch_free(struct watch *watch)
{
	if (watch == NULL)
		return;
	for (size_t i = 0; i < watch->n; i++)
		free(watch->files[i].name);
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch);
}

static bool concerns(const struct watch *watch, const struct inotify_event *event)
{
	if ((event->mask & IN_Q_OVERFLOW) != 0)
		return true;
	for (size_t i = 0; i < watch->n && event->len > 0; i++) {
		if (event->wd == watch->files[i].folder && strcmp(event->name, watch->files[i].name) == 0)
			return true;
	}
	return false;
}

/* Reads all events that are there: whether one of them is about a file of ours. */
static bool drain(const struct watch *watch)
{
	bool changed = false;
	_Alignas(struct inotify_event) char bytes[EVENTS_MAX];
	for (;;) {
		ssize_t n = read(watch->fd, bytes, sizeof bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return changed;
		for (size_t at = 0; at < (size_t)n;) {
			const struct inotify_event *event = (const void *)(bytes + at);
			changed = concerns(watch, event) || changed;
			at += sizeof *event + event->len;
		}
	}
}

int watch_wait(struct watch *watch, int cancel_fd, struct err *err)
{
	bool changed = false;
	for (;;) {
		struct pollfd fds[] = {{.fd = watch->fd, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
		int ready = poll(fds, ARRAY_LEN(fds), changed ? QUIET_MS : -1);
		if (ready < 0 && errno != EINTR)
			return fail_errno(err, "cannot wait for a change");
		if (ready > 0 && fds[1].revents != 0)
			return 0;
		if (ready == 0)
			return 1;
		changed = drain(watch) || changed;
	}
}
