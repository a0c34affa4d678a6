/*
 * loop: one thread that waits for many things (libuv)
 *
 * A loop belongs to the thread that runs it; every function here is called by that thread, but for loop_wake(). A source
 * is one thing that is waited for; its function is called with the caller's pointer and, where there is one, a number.
 *
 * Closing: loop_source_free() may be called at any time by the owner, inside the source's own function too; from then on
 * the function is not called any more. The memory goes when the loop turns the next time. loop_free() closes what is
 * left. A watched descriptor stays the caller's: free the source before closing it. Needs libuv 1.40.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_source;
struct child;
struct uv_loop_s;

/* `what`: LOOP_* bits of a descriptor, the signal's number, 0 of a timer, a wake-up or a child. */
typedef void loop_fn(void *user, int what);

struct loop *loop_new(struct err *err) __attribute__((warn_unused_result));
void loop_free(struct loop *loop); /* NULL is fine; never inside a source's function */
DEFINE_AUTO(loop, loop_free)
/* Until loop_stop(), or until nothing is left to wait for. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); /* the turn under way is the last; loop_run() may be called again */
/* One turn: waits at most until the next thing happens, or with `wait` false not at all. */
void loop_turn(struct loop *loop, bool wait);

enum loop_events {
	LOOP_READ = 1,
	LOOP_WRITE = 2,
	LOOP_GONE = 4, /* the descriptor failed or its peer hung up: read or write it to learn how; told in any case */
};

/* Level-triggered, for sockets, pipes and pidfds; makes the descriptor non-blocking. */
struct loop_source *loop_watch(struct loop *loop, int fd, int events, loop_fn *fn, void *user, struct err *err)
	__attribute__((warn_unused_result));
void loop_watch_set(struct loop_source *source, int events); /* 0 = pause */

/* A timer that is not running. Milliseconds; `repeat` 0 = once. Starting a running one starts it anew. */
struct loop_source *loop_timer(struct loop *loop, loop_fn *fn, void *user) __attribute__((warn_unused_result));
void loop_timer_start(struct loop_source *source, uint64_t ms, uint64_t repeat);
void loop_timer_stop(struct loop_source *source);

struct loop_source *loop_signal(struct loop *loop, int signal, loop_fn *fn, void *user, struct err *err)
	__attribute__((warn_unused_result));
/* Called once, when the child has ended; child_wait() then answers without waiting. */
struct loop_source *loop_child(struct loop *loop, const struct child *child, loop_fn *fn, void *user, struct err *err)
	__attribute__((warn_unused_result));

/* loop_wake() may be called by any thread, and in a signal handler; several may lead to one call of the function. */
struct loop_source *loop_wakeup(struct loop *loop, loop_fn *fn, void *user, struct err *err)
	__attribute__((warn_unused_result));
void loop_wake(struct loop_source *source);

/*
 * Work that would hold the loop up: `work` is called on a thread of the process's pool (libuv's, a few threads), then
 * `done` on the loop. It is not called off: what `user` points to lives until `done`, and the loop is not freed before.
 */
void loop_work(struct loop *loop, void (*work)(void *user), void (*done)(void *user), void *user);

/* A source that is not to keep loop_run() going by itself (an idle timer, a signal). */
void loop_source_background(struct loop_source *source);
void loop_source_free(struct loop_source *source); /* NULL is fine */
DEFINE_AUTO(loop_source, loop_source_free)
