/*
 * mcp_tools: the enabled actions as tools of MCP, and the two that are always there
 *
 * Made from one set of actions and never changed; whoever holds it keeps it. Of a gated action the description says that a
 * call waits for a person. All four hints are always sent, since a client takes a missing one for the worst.
 */
#pragma once
#include "control/actions.h"
#include "mcp/mcp.h"

#define MCP_TOOL_STATUS      "check_action_status"
#define MCP_TOOL_DIAGNOSTICS "aileron_diagnostics"

struct mcp_tool_list; /* begins with struct mcp_tools */
struct mcp_tool_list *mcp_tool_list_new(const struct action_set *set)
	__attribute__((warn_unused_result, returns_nonnull));
const struct mcp_tools *mcp_tool_list_hold(struct mcp_tool_list *list); /* any thread */
void mcp_tool_list_release(const struct mcp_tools *tools); /* … too; the maker's own as well. NULL is fine */
