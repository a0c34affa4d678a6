/*
 * watches: what control has the parent watch
 *
 * A file or a folder of the user's, by a number of control's. Once a second each is looked at, and control is told which
 * changed; it asks for lists and descriptors (docs/formats/supervise.md). At most WATCHES_TOLD of them are told in one turn:
 * the others in the next ones. They end with control. The loop's thread.
 */
#pragma once
#include "base/mem.h"
#include "daemon/process.h"
#include "os/loop.h"

#define WATCHES_MS   1000
#define WATCHES_TOLD 32

struct watches;
struct watches *watches_new(struct loop *loop, struct process *control)
	__attribute__((warn_unused_result, returns_nonnull));
void watches_free(struct watches *watches); /* NULL is fine */
DEFINE_AUTO(watches, watches_free)

/* WATCH, UNWATCH, LIST, OPEN_FILE. False: the message is not well-formed. What cannot be done is answered with WATCH_FAILED. */
bool watches_asked(struct watches *watches, const struct supervise_message *m);
void watches_clear(struct watches *watches); /* control ended */
