#include "approval/transition.h"

static const char *const names[RUN_STATE__MAX] = {
	[RUN_PENDING_APPROVAL] = "pending_approval",
	[RUN_AWAITING_VAULT] = "awaiting_vault",
	[RUN_QUEUED] = "queued",
	[RUN_RUNNING] = "running",
	[RUN_COMPLETED] = "completed",
	[RUN_FAILED] = "failed",
	[RUN_DENIED] = "denied",
	[RUN_EXPIRED] = "expired",
	[RUN_REFUSED] = "refused",
	[RUN_CANCELLED] = "cancelled",
	[RUN_OUTCOME_UNKNOWN] = "outcome_unknown",
};

const char *run_state_name(enum run_state state)
{
	return names[state];
}

bool run_state_named(struct str name, enum run_state *ret)
{
	for (size_t i = 0; i < RUN_STATE__MAX; i++) {
		if (str_eq(name, str_from(names[i]))) {
			*ret = (enum run_state)i;
			return true;
		}
	}
	return false;
}

bool run_state_is_terminal(enum run_state state)
{
	return state > RUN_RUNNING;
}

/* The state that follows, + 1; 0 = none does. */
#define TO(state) ((unsigned char)(state) + 1)
static const unsigned char next[RUN_RUNNING + 1][RUN_EVENT__MAX] = {
	[RUN_PENDING_APPROVAL] =
		{
			[RUN_EVENT_APPROVE] = TO(RUN_QUEUED),
			[RUN_EVENT_DENY] = TO(RUN_DENIED),
			[RUN_EVENT_EXPIRE] = TO(RUN_EXPIRED),
			[RUN_EVENT_CANCEL] = TO(RUN_CANCELLED),
			[RUN_EVENT_REFUSE] = TO(RUN_REFUSED),
		},
	[RUN_AWAITING_VAULT] =
		{
			[RUN_EVENT_RESUME] = TO(RUN_QUEUED),
			[RUN_EVENT_CANCEL] = TO(RUN_CANCELLED),
			[RUN_EVENT_REFUSE] = TO(RUN_REFUSED),
		},
	[RUN_QUEUED] =
		{
			[RUN_EVENT_CLAIM] = TO(RUN_RUNNING),
			[RUN_EVENT_AWAIT] = TO(RUN_AWAITING_VAULT),
			[RUN_EVENT_CANCEL] = TO(RUN_CANCELLED),
			[RUN_EVENT_REFUSE] = TO(RUN_REFUSED),
		},
	[RUN_RUNNING] =
		{
			[RUN_EVENT_COMPLETE] = TO(RUN_COMPLETED),
			[RUN_EVENT_FAIL] = TO(RUN_FAILED),
			[RUN_EVENT_STOP] = TO(RUN_CANCELLED),
			[RUN_EVENT_LOSE] = TO(RUN_OUTCOME_UNKNOWN),
		},
};

bool run_next(enum run_state from, enum run_event event, enum run_state *ret)
{
	if (run_state_is_terminal(from) || next[from][event] == 0)
		return false;
	*ret = (enum run_state)(next[from][event] - 1);
	return true;
}
