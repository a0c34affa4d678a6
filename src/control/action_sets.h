/*
 * action_sets: what the files of all links are together; for actions.c alone
 *
 * A set is made at once and never changes; it holds its files, and is let go of by whoever is last. Any thread.
 */
#pragma once
#include "control/action_files.h"
#include "control/actions.h"

struct set;
struct set_source {
	const struct action_link *const *links;
	size_t n_links;
	uint64_t generation;
	bool (*enabled)(void *user, struct str name);
	void *user;
};
struct set *set_new(const struct set_source *source) __attribute__((warn_unused_result, returns_nonnull));
struct set *set_empty(void) __attribute__((warn_unused_result, returns_nonnull)); /* of generation 0 */
void set_hold(struct set *set);
void set_release(struct set *set); /* NULL is fine */
const struct action_set *set_public(const struct set *set);
struct set *set_of(const struct action_set *set);
/* The file of an entry of a set. Borrowed. */
struct action_file *set_file(const struct action_set *set, const struct action_entry *entry);
