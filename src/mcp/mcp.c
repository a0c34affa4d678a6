#include "mcp/core.h"
#include "base/wait.h"

#define PAGES_MAX 64
#define ENDED_MAX 4096

struct mcp *mcp_new(const struct mcp_options *options)
{
	struct mcp *mcp = NEW(struct mcp);
	*mcp = (struct mcp){
		.options = *options,
		.backend = *options->backend,
		.updated = VEC_INIT(CHANGES_MAX),
		.task_changes = VEC_INIT(CHANGES_MAX),
		.pages = VEC_INIT(PAGES_MAX),
		.sessions = map_new(MCP_SESSIONS_MAX),
		.ended = map_new(ENDED_MAX),
	};
	mcp->options.backend = &mcp->backend;
	pthread_mutex_init(&mcp->lock, NULL);
	wait_init(&mcp->answered);
	return mcp;
}

void mcp_free(struct mcp *mcp)
{
	if (mcp == NULL)
		return;
	mcp_end_streams(mcp);
	listeners_turn(mcp, 0); /* what changed is forgotten */
	struct map_iter it = {0};
	while (map_next(mcp->sessions, &it))
		session_unref(mcp, it.value);
	map_free(mcp->sessions);
	map_free(mcp->ended);
	pages_clear(mcp);
	vec_release(&mcp->pages);
	pthread_cond_destroy(&mcp->answered);
	pthread_mutex_destroy(&mcp->lock);
	mem_wipe(mcp->options.key, sizeof mcp->options.key);
	free(mcp);
}

void mcp_tick(struct mcp *mcp)
{
	uint64_t now_ns = mcp_now(mcp);
	listeners_turn(mcp, now_ns);
	calls_turn(mcp, now_ns);
	if (mcp->turn != NULL)
		mcp->turn(mcp->turn_user, now_ns);
}
