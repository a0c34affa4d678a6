#include "control/action_sets.h"
#include "action/set.h"
#include "control/mcp_tools.h"
#include <stddef.h>
#include <stdlib.h>

struct set {
	struct action_set public;
	_Atomic unsigned holders;
	struct arena *arena;
	struct action_file **files; /* of the links, all of them */
	size_t n_files;
	struct action_file **used; /* those of `public.items` */
};

void set_hold(struct set *set)
{
	atomic_fetch_add(&set->holders, 1);
}

void set_release(struct set *set)
{
	if (set == NULL || atomic_fetch_sub(&set->holders, 1) != 1)
		return;
	for (size_t i = 0; i < set->n_files; i++)
		action_file_release(set->files[i]);
	arena_free(set->arena);
	free(set);
}

const struct action_set *set_public(const struct set *set)
{
	return &set->public;
}

struct set *set_of(const struct action_set *set)
{
	uintptr_t at = (uintptr_t)set - offsetof(struct set, public);
	struct set *of;
	memcpy(&of, &at, sizeof of); /* what was held is let go of, though nobody else may change it */
	return of;
}

struct action_file *set_file(const struct action_set *set, const struct action_entry *entry)
{
	return set_of(set)->used[entry - set->items];
}

const struct action_entry *action_named(const struct action_set *set, struct str name)
{
	size_t from = 0, to = set->n;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = str_cmp(set->items[middle].action->name, name);
		if (order == 0)
			return &set->items[middle];
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

const struct action_entry *action_of_tool(const struct action_set *set, struct str tool)
{
	for (size_t i = 0; i < set->n; i++) {
		if (tool.n > 0 && str_eq(str_from(set->items[i].tool), tool))
			return &set->items[i];
	}
	return NULL;
}

/* -------------------------------------------------------------------------------------------------------------- making */

struct row { /* a file with an action, on its way to an entry */
	struct action_file *file;
	const struct action_link *link;
};

/* A link that cannot be read; a file that is no action or a twin, or whose tool and preview are both refused. */
#define FAULTS_MAX ((size_t)ACTION_LINKS_MAX + 2 * ACTION_FILES_MAX)

struct making {
	struct set *set;
	const struct set_source *source;
	VEC(struct row) rows; /* by name, then by path */
	VEC(struct action_fault) faults;
};

static struct err *new_error(struct making *making)
{
	return ARENA_NEW(making->set->arena, struct err);
}

static void add_fault(struct making *making, struct str path, struct str name, const struct err *error)
{
	if (!vec_push(&making->faults, (struct action_fault){path, name, error}))
		BUG("more faults than %d files can have", ACTION_FILES_MAX);
}

/* A file that is linked by itself and with its folder, too, is one. */
static bool is_there(const struct set *set, const struct action_file *file)
{
	for (size_t i = 0; i < set->n_files; i++) {
		if (str_eq(set->files[i]->path, file->path))
			return true;
	}
	return false;
}

static void take_link(struct making *making, const struct action_link *link, bool may_repeat)
{
	struct set *set = making->set;
	if (link->error != NULL) {
		struct err *error = new_error(making);
		*error = *link->error;
		add_fault(making, arena_str(set->arena, str_from(link->path)), STR_EMPTY, error);
	}
	for (size_t i = 0; i < link->files.n; i++) {
		struct action_file *file = link->files.items[i];
		if (may_repeat && is_there(set, file))
			continue;
		set->files[set->n_files++] = action_file_hold(file);
		if (file->action != NULL)
			(void)vec_push(&making->rows, (struct row){file, link});
		else
			add_fault(making, file->path, file->name, file->error);
	}
}

static void take_links(struct making *making)
{
	const struct set_source *source = making->source;
	size_t n = 0;
	bool single = false;
	for (size_t i = 0; i < source->n_links; i++) {
		n += source->links[i]->files.n;
		single = single || str_ends(str_from(source->links[i]->path), S(".md"));
	}
	making->set->files = arena_array(making->set->arena, n + 1, sizeof *making->set->files);
	for (size_t i = 0; i < source->n_links; i++)
		take_link(making, source->links[i], single);
}

static int by_name(const void *a, const void *b)
{
	const struct row *left = a, *right = b;
	int order = str_cmp(left->file->action->name, right->file->action->name);
	return order != 0 ? order : str_cmp(left->file->path, right->file->path);
}

static bool have_one_name(const struct row *a, const struct row *b)
{
	return str_eq(a->file->action->name, b->file->action->name);
}

/* Rows [from, to) have one name: none of them is it. */
static void refuse_twins(struct making *making, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		const struct action_file *file = making->rows.items[i].file;
		const struct action_file *other = making->rows.items[i == from ? from + 1 : from].file;
		struct err *error = new_error(making);
		fail(error, ERR_VALIDATION_ERROR,
		     "the name '%.*s' is also that of '%.*s'; neither is used until one is renamed",
		     STR_FMT(file->name), STR_FMT(other->path));
		err_at(error, file->file_name.p, 0);
		add_fault(making, file->path, file->name, error);
	}
}

static void add_entry(struct making *making, struct action_entry *items, const struct row *row)
{
	struct set *set = making->set;
	struct action_entry *entry = &items[set->public.n];
	*entry = (struct action_entry){
		.action = row->file->action,
		.path = row->file->path,
		.enabled = making->source->enabled(making->source->user, row->file->action->name),
		.linked_ns = row->link->linked_ns,
	};
	action_tool_name(entry->action->name, entry->tool);
	set->used[set->public.n++] = row->file;
}

static struct action_entry *make_entries(struct making *making)
{
	struct set *set = making->set;
	size_t n = making->rows.n;
	struct action_entry *items = arena_array(set->arena, n + 1, sizeof *items);
	set->used = arena_array(set->arena, n + 1, sizeof *set->used);
	if (n > 1)
		qsort(making->rows.items, n, sizeof *making->rows.items, by_name);
	for (size_t from = 0, to; from < n; from = to) {
		for (to = from + 1; to < n && have_one_name(&making->rows.items[from], &making->rows.items[to]);)
			to++;
		if (to - from == 1)
			add_entry(making, items, &making->rows.items[from]);
		else
			refuse_twins(making, from, to);
	}
	set->public.items = items;
	return items;
}

/* ---------------------------------------------------------------------------------------------------------------- tools */

/* Tools that are always there: an action that would have the name of one is left out. */
static bool is_built_in(const char *tool)
{
	return strcmp(tool, MCP_TOOL_STATUS) == 0 || strcmp(tool, MCP_TOOL_DIAGNOSTICS) == 0;
}

static int by_tool(const void *a, const void *b)
{
	const struct action_entry *const *left = a, *const *right = b;
	int order = strcmp((*left)->tool, (*right)->tool);
	return order != 0 ? order : str_cmp((*left)->action->name, (*right)->action->name);
}

/* `other` NULL: the tool is ours. */
static void refuse_tool(struct making *making, struct action_entry *entry, const struct action_entry *other)
{
	struct err *error = new_error(making);
	if (other == NULL)
		fail(error, ERR_VALIDATION_ERROR, "its tool would be '%s', which is built in; rename the action",
		     entry->tool);
	else
		fail(error, ERR_VALIDATION_ERROR,
		     "its tool would be '%s', as that of '%.*s'; neither is offered until one is renamed", entry->tool,
		     STR_FMT(other->action->name));
	entry->tool_problem = arena_str(making->set->arena, str_from(error->message));
	add_fault(making, entry->path, entry->action->name, error);
}

/* What is disabled counts: switching one off must not give its tool to another. */
static void settle_tools(struct making *making, struct action_entry *items)
{
	size_t n = making->set->public.n;
	struct action_entry **sorted = arena_array(making->set->arena, n + 1, sizeof(struct action_entry *));
	for (size_t i = 0; i < n; i++)
		sorted[i] = &items[i];
	if (n > 1)
		qsort(sorted, n, sizeof(struct action_entry *), by_tool);
	for (size_t from = 0, to; from < n; from = to) {
		for (to = from + 1; to < n && strcmp(sorted[from]->tool, sorted[to]->tool) == 0;)
			to++;
		for (size_t i = from; i < to; i++) {
			if (is_built_in(sorted[i]->tool))
				refuse_tool(making, sorted[i], NULL);
			else if (to - from > 1)
				refuse_tool(making, sorted[i], sorted[i == from ? from + 1 : from]);
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (items[i].tool_problem.n > 0)
			items[i].tool[0] = '\0';
	}
}

/* Such an action is used all the same: its preview is not. */
static void check_rules(struct making *making)
{
	struct err err;
	struct set *set = making->set;
	size_t n = set->public.n;
	const struct action **all = arena_array(set->arena, n + 1, sizeof(const struct action *));
	for (size_t i = 0; i < n; i++)
		all[i] = set->public.items[i].action;
	for (size_t i = 0; i < n; i++) {
		err_clear(&err);
		if (action_check_in_set(all[i], all, n, &err) == 0)
			continue;
		struct err *error = new_error(making);
		*error = err;
		add_fault(making, set->public.items[i].path, all[i]->name, error);
	}
}

static struct set *set_alloc(uint64_t generation)
{
	struct set *set = NEW(struct set);
	set->holders = 1;
	set->arena = arena_new();
	set->public.generation = generation;
	return set;
}

struct set *set_empty(void)
{
	return set_alloc(0);
}

struct set *set_new(const struct set_source *source)
{
	struct set *set = set_alloc(source->generation);
	struct making making = {
		.set = set,
		.source = source,
		.rows = VEC_INIT(ACTION_FILES_MAX),
		.faults = VEC_INIT(FAULTS_MAX),
	};
	take_links(&making);
	struct action_entry *items = make_entries(&making);
	settle_tools(&making, items);
	check_rules(&making);
	struct action_fault *faults = arena_array(set->arena, making.faults.n + 1, sizeof *faults);
	for (size_t i = 0; i < making.faults.n; i++)
		faults[i] = making.faults.items[i];
	set->public.faults = faults;
	set->public.n_faults = making.faults.n;
	vec_release(&making.rows);
	vec_release(&making.faults);
	return set;
}
