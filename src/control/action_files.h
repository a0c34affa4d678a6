/*
 * action_files: the files of linked actions, held open and parsed; for actions.c alone
 *
 * A link is a file or a folder that the person named and the parent watches. What is read of it are files, each with its
 * descriptor, its action, or what is wrong with it; a file never changes once made, is shared by sets, and ends with the last
 * of them. Links are used by one thread at a time; files are counted by any.
 */
#pragma once
#include "action/action.h"
#include "base/vec.h"
#include "control/parent_client.h"
#include <stdatomic.h>

#define ACTION_LINKS_MAX 128
#define ACTION_FILES_MAX 2048 /* of all links together: a descriptor each */

struct action_file {
	_Atomic unsigned holders;
	struct arena *arena;
	struct str path, file_name;
	struct str name;       /* of the action, or of the one that it held before it broke; "" = not known */
	uint64_t stamp;        /* the parent's */
	int fd;                /* -1: it could not be opened */
	struct action *action; /* NULL: `error` says why */
	struct err *error;
};
struct action_file *action_file_hold(struct action_file *file);
void action_file_release(struct action_file *file); /* NULL is fine */
/* Whether the bytes behind its descriptor are still those of its action, and the file has not been replaced. */
bool action_file_is_current(const struct action_file *file);

struct action_link {
	char *path; /* canonical */
	uint64_t linked_ns;
	uint32_t watch;                  /* 0 = none: it could not be */
	struct err *error;               /* of the folder as a whole; NULL = none */
	VEC(struct action_file *) files; /* by name */
};
struct action_link *action_link_new(struct str path, uint64_t linked_ns)
	__attribute__((warn_unused_result, returns_nonnull));
/* Ends its watch unless `parent` is NULL, and lets its files go. */
void action_link_free(struct parent_client *parent, struct action_link *link);
/*
 * Asks for its files and reads those that are new or others; `force` names one that is read whatever its stamp (NULL: none).
 * `room` is how many it may have. What is wrong stands in the link and its files. Waits for the parent.
 */
struct action_reading {
	struct parent_client *parent;
	const struct action_file *force;
	size_t room;
};
void action_link_read(struct action_link *link, const struct action_reading *reading);
