/*
 * notices: telling the person's desktop that something waits for them
 *
 * Control asks with an id and no more; the words are of `aileron notify`, which is started for each notice with no
 * descriptors but /dev/null and an environment that names the session's bus alone. At most one a NOTICES_MS: of those that are
 * asked for in between, the last is told then. What comes of it is nobody's business but the log's. The loop's thread.
 */
#pragma once
#include "base/mem.h"
#include "os/loop.h"
#include "supervise/supervise.h"

#define NOTICES_MS 1000

struct notices;
/* `wanted` false: every notice is dropped. null_fd is the caller's. */
struct notices *notices_new(struct loop *loop, int null_fd, bool wanted)
	__attribute__((warn_unused_result, returns_nonnull));
void notices_free(struct notices *notices); /* NULL is fine; ends what tells one right now */
DEFINE_AUTO(notices, notices_free)

/* NOTIFY. False: the message is not well-formed. */
bool notices_asked(struct notices *notices, const struct supervise_message *m);
