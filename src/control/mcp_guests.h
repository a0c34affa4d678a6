/*
 * mcp_guests: the connections of aileron-guest, which carry lines of MCP
 *
 * GET /mcp with `Connection: Upgrade` and `Upgrade: aileron-mcp-lines` (docs/formats/guest.md). Each has a row of `sessions`, or
 * that of the launch that its token was made for. A guest that comes again after its connection was lost names the session
 * (`Aileron-Session`), which is continued when it is its caller's and nobody ended it. The end of a connection ends its
 * session, and gives up what was under way; a revoked token, or the session's end, ends it at once. On the loop's thread, but
 * for what is said otherwise.
 */
#pragma once
#include "control/control.h"
#include "mcp/mcp.h"

#define MCP_GUESTS_MAX      256
#define MCP_GUESTS_OF_ONE   32                 /* of one agent's token */
#define MCP_GUESTS_HALF_MAX ((size_t)64 << 20) /* of lines that have not ended, of all together */
#define MCP_GUESTS_PROTOCOL "aileron-mcp-lines"
#define MCP_SESSION_HEADER  "Aileron-Session"
#define MCP_FOLDER_HEADER   "Aileron-Working-Dir" /* %XX for what a header cannot hold; for display */

struct mcp_guests;
/* With control->sessions, to which it listens. `wake` leads to mcp_guests_look() on the loop's thread. */
struct mcp_guests *mcp_guests_new(struct control *control, struct mcp *mcp, struct loop_source *wake)
	__attribute__((warn_unused_result, returns_nonnull));
/* When no thread answers any more, after sessions_stop(); exchanges are not touched. NULL is fine. */
void mcp_guests_free(struct mcp_guests *guests);
/* Takes over an exchange that asked for the protocol. UNAVAILABLE when there are too many: it is the caller's to answer then. */
int mcp_guests_take(struct mcp_guests *guests, struct http_exchange *x, const struct identity *identity,
		    struct err *err) __attribute__((warn_unused_result));
/* Where the guest of a session works, "" when it did not say; false: the session is no guest's that is here. Any thread. */
bool mcp_guests_folder(struct mcp_guests *guests, struct arena *arena, struct str session, struct str *ret);
/*
 * Ends those that do not listen, whose session was ended, or whose token is no longer valid; and while all together keep more
 * than MCP_GUESTS_HALF_MAX, or have more to be sent than HTTP_UPGRADES_MAX, the largest of the agent that has most.
 */
void mcp_guests_look(struct mcp_guests *guests);
/* None is taken any more; each ends when nothing is under way for it (mcp_guests_look()). */
void mcp_guests_stop(struct mcp_guests *guests);
