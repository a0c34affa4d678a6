#include "control/mcp_turns.h"
#include "base/map.h"
#include "control/workers.h"
#include <pthread.h>
#include <stdlib.h>

struct turn {
	struct turn *next;
	void (*work)(void *job);
	void *job;
};

/* Who has something on a worker, or something that waits. */
struct caller {
	struct caller *next; /* in the round of those for whom something waits */
	char *id;
	size_t running, waiting;
	struct turn *first, **last;
};

/*
 * While a worker could be had, all that waits is of callers who have as many as they may: a request whose caller may have
 * one more is begun when it is added, or is taken by the worker that ends one of that caller's.
 */
struct mcp_turns {
	struct workers *workers;

	pthread_mutex_t lock; /* all below */
	struct map *callers;
	struct caller *first, **last; /* the round */
	size_t running, waiting;
};

/* A worker on its way to its first request, which it is sure to have. */
struct start {
	struct mcp_turns *turns;
	struct caller *caller;
	struct turn *turn;
};

struct mcp_turns *mcp_turns_new(struct workers *workers)
{
	struct mcp_turns *turns = NEW(struct mcp_turns);
	turns->workers = workers;
	turns->callers = map_new(MCP_TURNS_MAX + MCP_TURNS_WAITING_MAX);
	turns->last = &turns->first;
	pthread_mutex_init(&turns->lock, NULL);
	return turns;
}

void mcp_turns_free(struct mcp_turns *turns)
{
	if (turns == NULL)
		return;
	map_free(turns->callers); /* empty: nothing runs or waits any more */
	pthread_mutex_destroy(&turns->lock);
	free(turns);
}

/* ---------------------------------------------------------------------------------------------- all under the lock */

static struct caller *caller_of(struct mcp_turns *turns, struct str id)
{
	struct caller *caller = map_get(turns->callers, id);
	if (caller != NULL)
		return caller;
	caller = NEW(struct caller);
	if (!map_add(turns->callers, id, caller)) {
		free(caller);
		return NULL;
	}
	caller->id = str_dup(id);
	caller->last = &caller->first;
	return caller;
}

static void forget_if_done(struct mcp_turns *turns, struct caller *caller)
{
	if (caller->running > 0 || caller->waiting > 0)
		return;
	map_remove(turns->callers, str_from(caller->id));
	free(caller->id);
	free(caller);
}

static void join_round(struct mcp_turns *turns, struct caller *caller)
{
	caller->next = NULL;
	*turns->last = caller;
	turns->last = &caller->next;
}

static void leave_round(struct mcp_turns *turns, struct caller **link)
{
	struct caller *caller = *link;
	*link = caller->next;
	if (caller->next == NULL)
		turns->last = link;
}

static void begin(struct mcp_turns *turns, struct caller *caller)
{
	turns->running++;
	caller->running++;
}

static void wait_for_turn(struct mcp_turns *turns, struct caller *caller, struct turn *turn)
{
	*caller->last = turn;
	caller->last = &turn->next;
	turns->waiting++;
	if (caller->waiting++ == 0)
		join_round(turns, caller);
}

/* Whose turn it is, who then is the last of the round; NULL: nothing that waits may be done. */
static struct turn *next_turn(struct mcp_turns *turns, struct caller **ret_caller)
{
	struct caller **link = &turns->first;
	while (*link != NULL && (*link)->running >= MCP_TURNS_CALLER_MAX)
		link = &(*link)->next;
	struct caller *caller = *link;
	if (caller == NULL)
		return NULL;
	leave_round(turns, link);
	struct turn *turn = caller->first;
	caller->first = turn->next;
	if (caller->first == NULL)
		caller->last = &caller->first;
	turns->waiting--;
	if (--caller->waiting > 0)
		join_round(turns, caller);
	begin(turns, caller);
	*ret_caller = caller;
	return turn;
}

/* ---------------------------------------------------------------------------------------------------------- on a worker */

static void take_turns(void *user)
{
	AUTO_FREE struct start *start = user;
	struct mcp_turns *turns = start->turns;
	struct caller *caller = start->caller;
	struct turn *turn = start->turn;
	while (turn != NULL) {
		turn->work(turn->job);
		free(turn);
		pthread_mutex_lock(&turns->lock);
		turns->running--;
		caller->running--;
		forget_if_done(turns, caller);
		turn = next_turn(turns, &caller);
		pthread_mutex_unlock(&turns->lock);
	}
}

/* Under the lock. */
static bool start(struct mcp_turns *turns, struct caller *caller, struct turn *turn)
{
	struct start *start = NEW(struct start);
	*start = (struct start){turns, caller, turn};
	begin(turns, caller);
	if (workers_add(turns->workers, take_turns, start))
		return true;
	turns->running--;
	caller->running--;
	free(start);
	return false;
}

bool mcp_turns_add(struct mcp_turns *turns, struct str id, void (*work)(void *job), void *job)
{
	struct turn *turn = NEW(struct turn);
	*turn = (struct turn){.work = work, .job = job};
	bool taken = false;
	pthread_mutex_lock(&turns->lock);
	struct caller *caller = caller_of(turns, id);
	if (caller != NULL) {
		if (turns->running < MCP_TURNS_MAX && caller->running < MCP_TURNS_CALLER_MAX) {
			taken = start(turns, caller, turn);
		} else if (turns->waiting < MCP_TURNS_WAITING_MAX && caller->waiting < MCP_TURNS_CALLER_WAITING_MAX) {
			wait_for_turn(turns, caller, turn);
			taken = true;
		}
		forget_if_done(turns, caller);
	}
	pthread_mutex_unlock(&turns->lock);
	if (!taken)
		free(turn);
	return taken;
}
