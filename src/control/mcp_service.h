/*
 * mcp_service: MCP at /mcp, over actions and runs
 *
 * Two doors to one core (mcp/mcp.h): Streamable HTTP (mcp/http/door.h), and the lines of aileron-guest (mcp_guests.h). Both
 * let in who has an agent's token (agents.h), and nobody else: not even a person's or the daemon's own. Until the first set
 * of actions is here after a start, requests wait for it, so that no client sees a list without tools.
 *
 * On the loop's thread. A request of MCP that may wait is done by a worker when its turn has come (mcp_turns.h).
 */
#pragma once
#include "control/control.h"

#define MCP_PATH         "/mcp"
#define MCP_FIRST_SET_MS 3000 /* that requests wait for the first set of actions */
#define MCP_WAITING_MAX  64   /* such requests; more get 503 */

struct mcp_service;
/* With database, workers, agents, actions and runs there. */
struct mcp_service *mcp_service_new(struct control *control, struct err *err) __attribute__((warn_unused_result));
/* Control stops: streams end, what is under way may finish, and then its connection ends. */
void mcp_service_stop(struct mcp_service *service);
/* After the server and the workers, before the database. NULL is fine. */
void mcp_service_free(struct mcp_service *service);
DEFINE_AUTO(mcp_service, mcp_service_free)

/* It was told to stop: what has not begun, waiting for its turn, does not begin any more. Any thread. */
bool mcp_service_is_stopping(const struct mcp_service *service);

/* Where the agent of a session works; "" = not known. Any worker. */
struct str mcp_service_folder(struct mcp_service *service, struct arena *arena, struct str session);

bool mcp_service_is_path(struct str path);
/* As http_admit_body. */
bool mcp_service_admits(struct mcp_service *service, const struct http_exchange *x, uint64_t *ret_max);
/* A request for that path: answers it, now or later. */
void mcp_service_serve(struct mcp_service *service, struct http_exchange *x);
