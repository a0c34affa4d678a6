#include "os/loop.h"
#include "os/child.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

struct loop {
	uv_loop_t uv;
};

/* One type for all kinds, so that closing is one piece of code. libuv keeps the handle until it says it is closed. */
struct loop_source {
	union {
		uv_handle_t handle;
		uv_poll_t poll;
		uv_timer_t timer;
		uv_signal_t signal;
	};
	loop_fn *fn;
	void *user;
	/* of loop_wakeup() */
	int event_fd;       /* 0 = none */
	_Atomic bool woken; /* the loop was told and has not looked yet */
};

static int fail_uv(struct err *err, int status, const char *what)
{
	return fail(err, ERR_SYSTEM, "%s: %s", what, uv_strerror(status));
}

struct loop *loop_new(struct err *err)
{
	struct loop *loop = NEW(struct loop);
	int status = uv_loop_init(&loop->uv);
	if (status == 0)
		return loop;
	free(loop);
	fail_uv(err, status, "cannot make an event loop");
	return NULL;
}

static void on_closed(uv_handle_t *handle)
{
	struct loop_source *source = handle->data;
	if (source->event_fd > 0)
		close(source->event_fd);
	free(source);
}

/* Handles that a library brought have their own owner, who was to close them first. */
static void close_ours(uv_handle_t *handle, void *loop)
{
	(void)loop;
	if (uv_is_closing(handle))
		return;
	struct loop_source *source = handle->data;
	if (source == NULL || &source->handle != handle)
		BUG("an event loop is freed while a handle of type %s is open", uv_handle_type_name(handle->type));
	uv_close(handle, on_closed);
}

void loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	uv_walk(&loop->uv, close_ours, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	int status = uv_loop_close(&loop->uv);
	if (status != 0)
		BUG("an event loop is freed while it is in use: %s", uv_strerror(status));
	free(loop);
}

void loop_run(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

void loop_turn(struct loop *loop, bool wait)
{
	uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

static struct loop_source *new_source(loop_fn *fn, void *user)
{
	struct loop_source *source = NEW(struct loop_source);
	source->fn = fn;
	source->user = user;
	return source;
}

/* After an init function of libuv: NULL and an error when it failed, in which case libuv knows nothing of the handle. */
static struct loop_source *made(struct loop_source *source, int status, const char *what, struct err *err)
{
	if (status == 0) {
		source->handle.data = source;
		return source;
	}
	free(source);
	fail_uv(err, status, what);
	return NULL;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct loop_source *source = poll->data;
	int what = status < 0 ? LOOP_GONE : 0;
	what |= (events & UV_READABLE) != 0 ? LOOP_READ : 0;
	what |= (events & UV_WRITABLE) != 0 ? LOOP_WRITE : 0;
	source->fn(source->user, what);
}

struct loop_source *loop_watch(struct loop *loop, int fd, int events, loop_fn *fn, void *user, struct err *err)
{
	struct loop_source *source = new_source(fn, user);
	source = made(source, uv_poll_init(&loop->uv, &source->poll, fd), "cannot watch a descriptor", err);
	if (source != NULL)
		loop_watch_set(source, events);
	return source;
}

void loop_watch_set(struct loop_source *source, int events)
{
	int uv_events = (events & LOOP_READ) != 0 ? UV_READABLE : 0;
	uv_events |= (events & LOOP_WRITE) != 0 ? UV_WRITABLE : 0;
	if (uv_events == 0)
		uv_poll_stop(&source->poll);
	else
		uv_poll_start(&source->poll, uv_events, on_poll);
}

static void on_timer(uv_timer_t *timer)
{
	struct loop_source *source = timer->data;
	source->fn(source->user, 0);
}

struct loop_source *loop_timer(struct loop *loop, loop_fn *fn, void *user)
{
	struct loop_source *source = new_source(fn, user);
	uv_timer_init(&loop->uv, &source->timer);
	source->handle.data = source;
	return source;
}

void loop_timer_start(struct loop_source *source, uint64_t ms, uint64_t repeat)
{
	/* libuv counts from when the turn began, which may be long ago. */
	uv_update_time(source->handle.loop);
	uv_timer_start(&source->timer, on_timer, ms, repeat);
}

void loop_timer_stop(struct loop_source *source)
{
	uv_timer_stop(&source->timer);
}

static void on_signal(uv_signal_t *signal, int number)
{
	struct loop_source *source = signal->data;
	source->fn(source->user, number);
}

struct loop_source *loop_signal(struct loop *loop, int signal, loop_fn *fn, void *user, struct err *err)
{
	struct loop_source *source = new_source(fn, user);
	source = made(source, uv_signal_init(&loop->uv, &source->signal), "cannot watch for a signal", err);
	if (source == NULL)
		return NULL;
	int status = uv_signal_start(&source->signal, on_signal, signal);
	if (status == 0)
		return source;
	loop_source_free(source);
	fail_uv(err, status, "cannot watch for a signal");
	return NULL;
}

static void on_child(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	struct loop_source *source = poll->data;
	uv_poll_stop(poll);
	source->fn(source->user, 0);
}

struct loop_source *loop_child(struct loop *loop, const struct child *child, loop_fn *fn, void *user, struct err *err)
{
	struct loop_source *source = new_source(fn, user);
	source = made(source, uv_poll_init(&loop->uv, &source->poll, child->pidfd), "cannot watch a process", err);
	if (source != NULL)
		uv_poll_start(&source->poll, UV_READABLE, on_child);
	return source;
}

/*
 * Not libuv's own (uv_async_t): there the loop, once awake, spins until whoever woke it is back from telling, which takes
 * long when it has just pushed that thread from its core.
 */
static void on_wakeup(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	struct loop_source *source = poll->data;
	uint64_t count;
	(void)!read(source->event_fd, &count, sizeof count);
	atomic_store(&source->woken, false);
	source->fn(source->user, 0);
}

struct loop_source *loop_wakeup(struct loop *loop, loop_fn *fn, void *user, struct err *err)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0) {
		fail_errno(err, "cannot make a wake-up");
		return NULL;
	}
	struct loop_source *source = new_source(fn, user);
	source->event_fd = fd;
	source = made(source, uv_poll_init(&loop->uv, &source->poll, fd), "cannot make a wake-up", err);
	if (source != NULL)
		uv_poll_start(&source->poll, UV_READABLE, on_wakeup);
	else
		close(fd);
	return source;
}

void loop_wake(struct loop_source *source)
{
	const uint64_t one = 1;
	int error = errno; /* perhaps of whom a signal's handler has interrupted */
	if (!atomic_exchange(&source->woken, true))
		(void)!write(source->event_fd, &one, sizeof one);
	errno = error;
}

struct work {
	uv_work_t uv;
	void (*work)(void *user);
	void (*done)(void *user);
	void *user;
};

static void on_work(uv_work_t *uv)
{
	const struct work *work = uv->data;
	work->work(work->user);
}

static void on_work_done(uv_work_t *uv, int status)
{
	(void)status; /* of a call-off, and nobody can do that */
	AUTO_FREE struct work *work = uv->data;
	work->done(work->user);
}

void loop_work(struct loop *loop, void (*work)(void *user), void (*done)(void *user), void *user)
{
	struct work *w = NEW(struct work);
	*w = (struct work){.work = work, .done = done, .user = user};
	w->uv.data = w;
	uv_queue_work(&loop->uv, &w->uv, on_work, on_work_done);
}

void loop_source_background(struct loop_source *source)
{
	uv_unref(&source->handle);
}

void loop_source_free(struct loop_source *source)
{
	if (source != NULL)
		uv_close(&source->handle, on_closed);
}
