/*
 * dispatch: from an exchange of the HTTP server to the handler of an operation, and back
 *
 * On the loop's thread: the route, the API's revision, the token, the permission; then, there (API_QUICK) or on a
 * worker, the query and the body, the handler, the answer. A request whose X-Aileron-Api is not ours is refused before
 * anything is done for it, but for /v1/health, by which a client learns the revision. What is no operation may be a
 * file of the page (page.h); /mcp is its own (mcp_service.h).
 */
#pragma once
#include "control/control.h"

#define DISPATCH_PARAMETER_MAX ((size_t)8 << 10) /* bytes of a name in a path */

struct dispatcher;
/* `handlers` has a row an operation. Lives as long as `control`. */
struct dispatcher *dispatcher_new(struct control *control, request_handler *const handlers[OP__MAX])
	__attribute__((warn_unused_result, returns_nonnull));
void dispatcher_free(struct dispatcher *dispatcher); /* NULL is fine */
DEFINE_AUTO(dispatcher, dispatcher_free)

#define DISPATCH_OPEN_BODY_MAX ((uint64_t)64 << 10) /* of a request that needs no token */

http_handler dispatch;               /* `user` is the dispatcher */
http_admit_body dispatch_admit_body; /* … too: a body is read from whom the operation's permission lets in */
