/*
 * sink: where the messages that belong to one request go
 *
 * Made by a door for each request, and for each stream that it keeps open; told things about that request, and finished
 * exactly once, which frees it. The doors' side of the core: a door reads messages, judges what its transport has to say,
 * and ends in serve.h.
 */
#pragma once
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

struct mcp_sink;
struct mcp_session;
struct mcp_sink_ops {
	/* A message before the answer. With `wait` false, as from mcp_tick(), nothing waits: false = not now. */
	bool (*tell)(struct mcp_sink *sink, struct str message, bool wait);
	/* The answer; "" = none is wanted any more. `status` is what HTTP makes of it when nothing was told before. */
	void (*finish)(struct mcp_sink *sink, unsigned status, struct str message);
	/* Now and then, on the turning thread; NULL = nothing to do. */
	void (*turn)(struct mcp_sink *sink, uint64_t now_ns);
	/* The answer about to come says that this session begins; NULL = nothing to do. */
	void (*greeted)(struct mcp_sink *sink, struct mcp_session *session);
};
struct mcp_sink {
	const struct mcp_sink_ops *ops;
	bool one_answer; /* nothing can be told before the answer: no progress, no questions, no stream */
};
