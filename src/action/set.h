/*
 * set: what an action may call, on its own and among the others of a set
 *
 * What action_parse() does not look at. Pure; any thread.
 */
#pragma once
#include "action/action.h"

/*
 * The rules that need other files: the preview's operation must be one of the action's own capabilities on the connector of
 * its first step; a step of some action of the set, which holds this one too, must call it with `idempotent = true`, and no
 * step of an action that needs approval may. VALIDATION_ERROR with file and line. 0 without a preview.
 */
int action_check_in_set(const struct action *action, const struct action *const *set, size_t n, struct err *err)
	__attribute__((warn_unused_result));
/* Whether the action names the operation for its connector `at`; else CAPABILITY_DENIED of boundary action with its details. */
int action_check_op(const struct action *action, size_t at, struct str op, struct err *err)
	__attribute__((warn_unused_result));
/* The same of a step's, with its file and line. */
int action_check_step(const struct action *action, size_t step, struct err *err) __attribute__((warn_unused_result));
