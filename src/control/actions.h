/*
 * actions: which there are, as tools and for use
 *
 * Linked: a file or a folder (`*.md`, not recursive) that the person named. The parent opens them and watches their stat each
 * second; control parses and hashes what it is given. A set that changed is a new snapshot with the next generation. What
 * comes, changes and goes is in the record before it is in a set. Two files with one name, and two actions with one name as
 * a tool, are both left out: of the set, and of the tools. Any worker, and the loop's thread where said.
 */
#pragma once
#include "action/action.h"
#include "control/control.h"

#define ACTION_FAULTS_MAX 256 /* that are told at once, the last one of which then says that there are more */

struct actions; /* control->actions */
struct action_entry {
	const struct action *action;
	struct str path;
	char tool[ACTION_TOOL_NAME_MAX]; /* "" when it collides with another's and is left out */
	struct str tool_problem;         /* why; else "" */
	bool enabled;
	uint64_t linked_ns;
};
struct action_fault { /* a file that is no action, a link that cannot be read, or a rule that an action of the set breaks */
	struct str path;
	struct str name;         /* of the action, "" when it is not known */
	const struct err *error; /* class, message, line */
};
struct action_set {
	uint64_t generation;              /* grows with each change, also of enabled and of connectors */
	const struct action_entry *items; /* by name */
	size_t n;
	const struct action_fault *faults;
	size_t n_faults;
};
/*
 * The newest set, held until released; never NULL; empty, of generation 0, until the first was made after the start. Any
 * thread, also the loop's: waits for nobody.
 */
const struct action_set *actions_hold(struct actions *actions);
void actions_release(const struct action_set *set); /* NULL is fine */
/* The same, waiting for the first one. UNAVAILABLE when it does not come. Not on the loop's thread. */
const struct action_set *actions_await(struct actions *actions, struct err *err) __attribute__((warn_unused_result));
/* In a set that is held: NULL when there is none. */
const struct action_entry *action_named(const struct action_set *set, struct str name);
const struct action_entry *action_of_tool(const struct action_set *set, struct str tool);
/*
 * For use: NOT_FOUND, ACTION_DISABLED, or what is wrong with its file. The file's bytes are read again through the descriptor
 * held; when they changed, or the file was replaced, the set is made anew first. Not on the loop's thread.
 */
const struct action_entry *actions_use(struct actions *actions, struct str name, const struct action_set **ret_set,
				       struct err *err) __attribute__((warn_unused_result));
/* The same for showing: a disabled one, too, and as it was read last. */
const struct action_entry *actions_look_up(struct actions *actions, struct str name, const struct action_set **ret_set,
					   struct err *err) __attribute__((warn_unused_result));
/* Called after each new set, on whichever thread made it; must not wait. Added while control starts, never removed. */
void actions_on_change(struct actions *actions, void (*changed)(void *user), void *user);

/* ------------------------------------------------------------------------------------------------------------ changing */

/*
 * A path is canonical when it is told. A file that is no action is refused with its error; a folder is linked with what it
 * has. What is linked already is read anew. Strings live in the arena. `by` is who asks. Not on the loop's thread.
 */
int actions_link(struct actions *actions, struct str path, const struct audit_event *by, struct arena *arena,
		 struct str *ret_path, struct err *err) __attribute__((warn_unused_result));
/* By the path that was linked, or by the name of an action that was linked by its own file. NOT_FOUND, CONFLICT. */
struct actions_unlinked {
	struct str path;
	const struct str *names; /* of actions that are gone with it */
	size_t n;
};
int actions_unlink(struct actions *actions, struct str path_or_name, const struct audit_event *by, struct arena *arena,
		   struct actions_unlinked *ret, struct err *err) __attribute__((warn_unused_result));
int actions_enable(struct actions *actions, struct str name, bool enabled, const struct audit_event *by,
		   struct err *err) __attribute__((warn_unused_result));
/* Something else that a set's generation stands for is another: connectors. Any thread; does not wait. */
void actions_touch(struct actions *actions);

/* ---------------------------------------------------------------------------------------------------------------- life */

struct actions *actions_new(struct control *control) __attribute__((warn_unused_result, returns_nonnull));
/* Reads what is linked, on a thread of its own, once the parent takes requests. */
int actions_start(struct actions *actions, struct err *err) __attribute__((warn_unused_result));
void actions_told(struct actions *actions, uint32_t watch); /* by the parent: that changed. Any thread; does not wait */
/* Ends the thread: who listens is not called by it any more. After the link to the parent was closed. NULL is fine. */
void actions_stop(struct actions *actions);
/* Before the database is closed. NULL is fine. */
void actions_free(struct actions *actions);
