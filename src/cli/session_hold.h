/*
 * session_hold: the open stream that a session lasts as long as
 *
 * A thread of its own with a connection of its own keeps POST /v1/sessions/{id}/hold open, and opens it anew when the daemon was
 * started again. It dies with the process, however that ends, and so does the session.
 */
#pragma once
#include "base/mem.h"
#include "cli/cli.h"

struct session_hold;
/* When it returns the stream is open. `id` is copied. */
struct session_hold *session_hold_new(struct cli *cli, struct str id, struct err *err)
	__attribute__((warn_unused_result));
/* After the session was ended, or to end it: the stream is closed. NULL is fine. */
void session_hold_free(struct session_hold *hold);
DEFINE_AUTO(session_hold, session_hold_free)
