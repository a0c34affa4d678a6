/*
 * mcp_turns: how many workers agents' requests may have, and who is next
 *
 * The pool of workers serves persons, too. Of agents' requests at most MCP_TURNS_MAX are on workers at a time, and at most
 * MCP_TURNS_CALLER_MAX of one caller's, however many hang: the others are left for a person who looks,
 * decides and revokes (control.h). What is above waits here: callers take turns, and requests of one caller begin in their order.
 *
 * A worker that has finished one request goes on with the next that may be done, so what waits when the pool finishes is
 * done before it ends, like what waits in the pool itself. Any thread.
 */
#pragma once
#include "base/mem.h"
#include "base/str.h"
#include <stdbool.h>

#define MCP_TURNS_MAX                16   /* on workers at a time */
#define MCP_TURNS_CALLER_MAX         8    /* of those, one caller's */
#define MCP_TURNS_WAITING_MAX        1024 /* that wait for their turn */
#define MCP_TURNS_CALLER_WAITING_MAX 256  /* of those, one caller's */

struct workers;
struct mcp_turns;

struct mcp_turns *mcp_turns_new(struct workers *workers) __attribute__((warn_unused_result, returns_nonnull));
/* After the workers have finished. NULL is fine. */
void mcp_turns_free(struct mcp_turns *turns);
DEFINE_AUTO(mcp_turns, mcp_turns_free)

/*
 * Has `work` done on a worker when the turn of `caller` (an agent's id, copied) has come. False: too many wait, or no worker
 * can be had; `work` is then never called.
 */
bool mcp_turns_add(struct mcp_turns *turns, struct str caller, void (*work)(void *job), void *job)
	__attribute__((warn_unused_result));
