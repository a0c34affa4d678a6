/*
 * mcp_tasks: handles of the tasks extension for runs that wait for a person
 *
 * A row of `tasks`: an unguessable id that is no approval's, good for its caller alone, until an hour after the approval
 * expires. One run has one task, so a call that is repeated while it waits gets the same. With the setting
 * `mcp_tool_approval` tasks carry what the draft "Asynchronous Approval for Tool Calls" (SEP-2848) adds. Workers.
 */
#pragma once
#include "control/control.h"
#include "control/runs.h"
#include "mcp/mcp.h"

#define MCP_TASKS_POLL_MS 2000
#define MCP_TASKS_KEPT_MS (UINT64_C(3600) * 1000) /* after the approval expires */

/* Makes the run's task, or finds it, and answers the call with it. */
int mcp_tasks_answer(struct control *control, const struct mcp_caller *caller, const struct run *run,
		     struct mcp_answer *answer, struct err *err) __attribute__((warn_unused_result));
/* As the backend has them; `user` is the struct control. */
bool mcp_tasks_get(void *user, const struct mcp_caller *caller, struct str id, struct mcp_answer *answer);
bool mcp_tasks_update(void *user, const struct mcp_caller *caller, struct str id, const struct json *inputs);
bool mcp_tasks_cancel(void *user, const struct mcp_caller *caller, struct str id);
/* A run's state changed: tells those who listen for its task, if it has one. */
void mcp_tasks_tell(struct control *control, struct mcp *mcp, struct str run);
/* Forgets those whose time is over. A job of the writer, which takes nothing. */
int mcp_tasks_sweep(struct db_tx *tx, void *nothing, struct err *err);
bool mcp_tasks_are_drafted(const struct control *control); /* the setting */
