/*
 * actions: which there are, as tools and for use
 *
 * Linked: a file or a folder (`*.md`, not recursive) that the person named. The parent opens them and watches their stat each
 * second; control parses and hashes what it is given. A set that changed is a new snapshot with the next generation. Any
 * worker, and the loop's thread where said.
 */
#pragma once
#include "action/action.h"
#include "control/control.h"

struct actions; /* control->actions */
struct action_entry {
	const struct action *action;
	struct str path;
	char tool[ACTION_TOOL_NAME_MAX]; /* "" when it collides with another's and is left out */
	bool enabled;
	uint64_t linked_ns;
};
struct action_fault { /* a file that is no action */
	struct str path, name;
	struct err *error; /* class, message, line */
};
struct action_set {
	uint64_t generation;              /* grows with each change, also of enabled and of connectors */
	const struct action_entry *items; /* by name */
	size_t n;
	const struct action_fault *faults;
	size_t n_faults;
};
/* The newest set, held until released; never NULL. Any thread, also the loop's: waits for nobody. */
const struct action_set *actions_hold(struct actions *actions);
void actions_release(struct actions *actions, const struct action_set *set); /* NULL is fine */
/* In a set that is held: NULL when there is none. */
const struct action_entry *action_named(const struct action_set *set, struct str name);
const struct action_entry *action_of_tool(const struct action_set *set, struct str tool);
/*
 * For use: NOT_FOUND, ACTION_DISABLED. The file's bytes are read again through the descriptor held; when they changed, the set is
 * made anew first. Not on the loop's thread.
 */
const struct action_entry *actions_use(struct actions *actions, struct str name, const struct action_set **ret_set,
				       struct err *err) __attribute__((warn_unused_result));
/* Called after each new set, on whichever thread made it; must not wait. Added while control starts, never removed. */
void actions_on_change(struct actions *actions, void (*changed)(void *user), void *user);
