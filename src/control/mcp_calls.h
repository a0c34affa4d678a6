/*
 * mcp_calls: what a call of a tool does, and how its run is told
 *
 * An action's call is a run (runs.h); it knows the guest's call id (`_meta["aileron/call-id"]`), so that the same call is never
 * run twice. An ungated run is answered when it has ended, and cancelled when the client gives up or leaves. A gated one is
 * answered at once, as a task where the client can have one (mcp_tasks.h), and nobody but a person ends its approval. A call
 * that failed is a result with isError that says whether it ran; what an approver sees of it is never told. Workers.
 */
#pragma once
#include "control/control.h"
#include "control/runs.h"
#include "mcp/mcp.h"

/* `user` is the struct control. */
mcp_serve mcp_calls_serve;
/* Content and structured content of a run that a call, or a task, ended as; or that still waits. */
void mcp_calls_put_run(struct control *control, struct mcp_answer *answer, const struct run *run);
