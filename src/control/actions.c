#include "control/actions.h"
#include "base/escape.h"
#include "base/log.h"
#include "base/time.h"
#include "base/wait.h"
#include "control/action_files.h"
#include "control/action_record.h"
#include "control/action_sets.h"
#include <pthread.h>
#include <stdlib.h>

#define FIRST_SET_S   20
#define LISTENERS_MAX 8

struct listener {
	void (*changed)(void *user);
	void *user;
};

/* Watches of which the parent said that something changed. */
struct told {
	VEC(uint32_t) watches;
};

struct actions {
	struct control *control;
	pthread_t thread;
	bool started;
	struct listener listeners[LISTENERS_MAX];
	size_t n_listeners;

	pthread_mutex_t making; /* the links, the states, and who makes the next set; may be held for long */
	VEC(struct action_link *) links;
	struct action_states *states;

	pthread_mutex_t lock; /* all below; held for moments */
	pthread_cond_t changed;
	struct set *current; /* changed under both locks, so that either is enough to look */
	struct told told;
	bool touched, over;
};

/* -------------------------------------------------------------------------------------------------------------- holding */

static const struct action_set *hold_current(struct actions *actions)
{
	set_hold(actions->current);
	return set_public(actions->current);
}

const struct action_set *actions_hold(struct actions *actions)
{
	pthread_mutex_lock(&actions->lock);
	const struct action_set *set = hold_current(actions);
	pthread_mutex_unlock(&actions->lock);
	return set;
}

void actions_release(const struct action_set *set)
{
	if (set != NULL)
		set_release(set_of(set));
}

const struct action_set *actions_await(struct actions *actions, struct err *err)
{
	uint64_t until_ns = clock_monotonic_ns(NULL) + FIRST_SET_S * TIME_SECOND;
	bool in_time = true;
	const struct action_set *set = NULL;
	pthread_mutex_lock(&actions->lock);
	while (set_public(actions->current)->generation == 0 && !actions->over && in_time)
		in_time = wait_until(&actions->changed, &actions->lock, until_ns);
	if (set_public(actions->current)->generation != 0)
		set = hold_current(actions);
	pthread_mutex_unlock(&actions->lock);
	if (set == NULL)
		fail(err, ERR_UNAVAILABLE, "the linked actions have not been read yet; try again");
	return set;
}

/* ------------------------------------------------------------------------------------------------------------- a new set */

static bool is_enabled(void *user, struct str name)
{
	const struct actions *actions = user;
	return action_states_enabled(actions->states, name);
}

static struct set *make_set(struct actions *actions)
{
	const struct set_source source = {
		.links = (const struct action_link *const *)actions->links.items,
		.n_links = actions->links.n,
		.generation = set_public(actions->current)->generation + 1,
		.enabled = is_enabled,
		.user = actions,
	};
	return set_new(&source);
}

static void publish(struct actions *actions, struct set *set)
{
	pthread_mutex_lock(&actions->lock);
	struct set *before = actions->current;
	actions->current = set;
	size_t n = actions->n_listeners; /* they are never taken away */
	pthread_cond_broadcast(&actions->changed);
	pthread_mutex_unlock(&actions->lock);
	set_release(before);
	for (size_t i = 0; i < n; i++)
		actions->listeners[i].changed(actions->listeners[i].user);
}

/*
 * Holds what is linked against what was, records the difference, and makes it the set. When it cannot be recorded, nothing
 * is another for who asked (`must`); what is on disk is what it is all the same.
 */
static int renew(struct actions *actions, struct action_writing *writing, bool must, struct err *err)
{
	struct set *set = make_set(actions);
	action_changes_find(actions->states, set_public(set), writing);
	int rc = action_changes_write(actions->states, actions->control->db, writing, err);
	vec_release(&writing->changes);
	if (rc == 0 || !must)
		publish(actions, set);
	else
		set_release(set);
	return rc;
}

static void renew_unasked(struct actions *actions)
{
	struct err err;
	err_clear(&err);
	struct action_writing writing = {.by = NULL};
	if (renew(actions, &writing, false, &err) < 0)
		log_error("action_changes_lost", log_err(&err));
}

static void read_link(struct actions *actions, struct action_link *link, const struct action_file *force)
{
	size_t others = 0;
	for (size_t i = 0; i < actions->links.n; i++) {
		if (actions->links.items[i] != link)
			others += actions->links.items[i]->files.n;
	}
	const struct action_reading reading = {
		.parent = actions->control->parent,
		.force = force,
		.room = ACTION_FILES_MAX - MIN(others, (size_t)ACTION_FILES_MAX),
	};
	action_link_read(link, &reading);
}

/* ------------------------------------------------------------------------------------------------------------ the thread */

static int read_links(struct db_tx *tx, struct actions *actions, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, "SELECT path, linked_ns FROM action_links ORDER BY path");
	int got;
	while ((got = db_step(q, err)) == 1) {
		struct action_link *link = action_link_new(db_str(q, 0), (uint64_t)db_int(q, 1));
		if (vec_push(&actions->links, link))
			continue;
		action_link_free(NULL, link);
		break;
	}
	db_finish(q);
	return got < 0 ? -1 : 0;
}

static void load(struct actions *actions)
{
	struct err err;
	err_clear(&err);
	struct db_tx *tx = db_read(actions->control->db);
	int rc = read_links(tx, actions, &err) < 0 ? -1 : action_states_read(actions->states, tx, &err);
	db_done(tx);
	if (rc < 0)
		log_error("actions_not_read", log_err(&err));
	for (size_t i = 0; i < actions->links.n; i++)
		read_link(actions, actions->links.items[i], NULL);
	renew_unasked(actions);
}

/* False at the end. */
static bool await_work(struct actions *actions, struct told *ret_told)
{
	pthread_mutex_lock(&actions->lock);
	while (!actions->over && !actions->touched && actions->told.watches.n == 0)
		pthread_cond_wait(&actions->changed, &actions->lock);
	*ret_told = actions->told;
	actions->told = (struct told){.watches = VEC_INIT(SUPERVISE_WATCHES_MAX)};
	actions->touched = false;
	bool over = actions->over;
	pthread_mutex_unlock(&actions->lock);
	return !over;
}

static bool was_told(const struct told *told, uint32_t watch)
{
	for (size_t i = 0; i < told->watches.n; i++) {
		if (told->watches.items[i] == watch)
			return true;
	}
	return false;
}

static void read_told(struct actions *actions, const struct told *told)
{
	pthread_mutex_lock(&actions->making);
	for (size_t i = 0; i < actions->links.n; i++) {
		if (was_told(told, actions->links.items[i]->watch))
			read_link(actions, actions->links.items[i], NULL);
	}
	renew_unasked(actions);
	pthread_mutex_unlock(&actions->making);
}

static void *run(void *user)
{
	struct actions *actions = user;
	struct told told;
	pthread_mutex_lock(&actions->making);
	load(actions);
	pthread_mutex_unlock(&actions->making);
	while (await_work(actions, &told)) {
		read_told(actions, &told);
		vec_release(&told.watches);
	}
	vec_release(&told.watches);
	return NULL;
}

/* Each is told once until it is read; there is room for all that can be watched. */
void actions_told(struct actions *actions, uint32_t watch)
{
	pthread_mutex_lock(&actions->lock);
	if (!was_told(&actions->told, watch) && vec_push(&actions->told.watches, watch))
		pthread_cond_broadcast(&actions->changed);
	pthread_mutex_unlock(&actions->lock);
}

void actions_touch(struct actions *actions)
{
	pthread_mutex_lock(&actions->lock);
	actions->touched = true;
	pthread_cond_broadcast(&actions->changed);
	pthread_mutex_unlock(&actions->lock);
}

/* ---------------------------------------------------------------------------------------------------------------- life */

struct actions *actions_new(struct control *control)
{
	struct actions *actions = NEW(struct actions);
	actions->control = control;
	actions->links.cap = ACTION_LINKS_MAX;
	actions->told = (struct told){.watches = VEC_INIT(SUPERVISE_WATCHES_MAX)};
	actions->states = action_states_new();
	actions->current = set_empty();
	pthread_mutex_init(&actions->making, NULL);
	pthread_mutex_init(&actions->lock, NULL);
	wait_init(&actions->changed);
	return actions;
}

int actions_start(struct actions *actions, struct err *err)
{
	int code = pthread_create(&actions->thread, NULL, run, actions);
	if (code != 0)
		return fail(err, ERR_SYSTEM, "cannot start the thread of the actions: %s", strerrordesc_np(code));
	actions->started = true;
	return 0;
}

void actions_stop(struct actions *actions)
{
	if (actions == NULL)
		return;
	pthread_mutex_lock(&actions->lock);
	actions->over = true;
	pthread_cond_broadcast(&actions->changed);
	pthread_mutex_unlock(&actions->lock);
	if (actions->started)
		pthread_join(actions->thread, NULL);
	actions->started = false;
}

void actions_free(struct actions *actions)
{
	if (actions == NULL)
		return;
	actions_stop(actions);
	for (size_t i = 0; i < actions->links.n; i++)
		action_link_free(NULL, actions->links.items[i]);
	vec_release(&actions->links);
	vec_release(&actions->told.watches);
	action_states_free(actions->states);
	set_release(actions->current);
	pthread_cond_destroy(&actions->changed);
	pthread_mutex_destroy(&actions->lock);
	pthread_mutex_destroy(&actions->making);
	free(actions);
}

void actions_on_change(struct actions *actions, void (*changed)(void *user), void *user)
{
	pthread_mutex_lock(&actions->lock);
	if (actions->n_listeners >= LISTENERS_MAX)
		BUG("more than %d listen for actions", LISTENERS_MAX);
	actions->listeners[actions->n_listeners++] = (struct listener){changed, user};
	pthread_mutex_unlock(&actions->lock);
}

/* ------------------------------------------------------------------------------------------------------------- for use */

static struct action_link *link_of(const struct actions *actions, const struct action_file *file)
{
	for (size_t i = 0; i < actions->links.n; i++) {
		struct action_link *link = actions->links.items[i];
		for (size_t k = 0; k < link->files.n; k++) {
			if (link->files.items[k] == file)
				return link;
		}
	}
	return NULL;
}

/* Unless somebody else has read it meanwhile. */
static void read_anew(struct actions *actions, const struct action_file *file)
{
	pthread_mutex_lock(&actions->making);
	struct action_link *link = link_of(actions, file);
	if (link != NULL) {
		read_link(actions, link, file);
		renew_unasked(actions);
	}
	pthread_mutex_unlock(&actions->making);
}

static int fail_unknown(const struct action_set *set, struct str name, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	for (size_t i = 0; i < set->n_faults; i++) {
		if (name.n == 0 || !str_eq(set->faults[i].name, name))
			continue;
		if (err != NULL)
			*err = *set->faults[i].error;
		return wrap(err, "the action '%s' cannot be used", escape_shown(name, shown));
	}
	return fail(err, ERR_NOT_FOUND, "there is no action '%s'; see `aileron action list`",
		    escape_shown(name, shown));
}

const struct action_entry *actions_look_up(struct actions *actions, struct str name, const struct action_set **ret_set,
					   struct err *err)
{
	const struct action_set *set = actions_await(actions, err);
	const struct action_entry *entry = set != NULL ? action_named(set, name) : NULL;
	if (set != NULL && entry == NULL) {
		(void)fail_unknown(set, name, err);
		actions_release(set);
	}
	if (entry != NULL)
		*ret_set = set;
	return entry;
}

const struct action_entry *actions_use(struct actions *actions, struct str name, const struct action_set **ret_set,
				       struct err *err)
{
	const struct action_set *set = NULL;
	const struct action_entry *entry = actions_look_up(actions, name, &set, err);
	if (entry != NULL && !action_file_is_current(set_file(set, entry))) {
		read_anew(actions, set_file(set, entry));
		actions_release(set);
		entry = actions_look_up(actions, name, &set, err);
	}
	if (entry == NULL)
		return NULL;
	if (!entry->enabled) {
		fail(err, ERR_ACTION_DISABLED,
		     "the action '%.*s' is switched off; a person can enable it with `aileron action enable %.*s`",
		     STR_FMT(entry->action->name), STR_FMT(entry->action->name));
		actions_release(set);
		return NULL;
	}
	*ret_set = set;
	return entry;
}

/* ------------------------------------------------------------------------------------------------------------ changing */

/* What is linked is shown to people, and named by them. */
static int check_path(struct str path, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	AUTO_BUF visible = BUF_INIT(4 * (size_t)SUPERVISE_PATH_MAX + ESCAPE_CHAR_MAX);
	escape_visible(&visible, path);
	if (str_eq(buf_str(&visible), path))
		return 0;
	return fail(err, ERR_INVALID_REQUEST, "the path '%s' has characters that cannot be seen",
		    escape_shown(path, shown));
}

static struct action_link *link_at(const struct actions *actions, struct str path, size_t *ret_index)
{
	for (size_t i = 0; i < actions->links.n; i++) {
		if (str_eq(str_from(actions->links.items[i]->path), path)) {
			*ret_index = i;
			return actions->links.items[i];
		}
	}
	return NULL;
}

/* A file that was named by itself must be an action. */
static int check_link(const struct action_link *link, struct err *err)
{
	const struct err *error = link->error;
	if (error == NULL && str_ends(str_from(link->path), S(".md")) && link->files.n == 1)
		error = link->files.items[0]->error;
	if (error == NULL)
		return 0;
	if (err != NULL)
		*err = *error;
	return error->line > 0 ? wrap(err, "linking '%s', line %u", link->path, error->line)
			       : wrap(err, "linking '%s'", link->path);
}

static int add_link(struct actions *actions, struct action_link *link, const struct audit_event *by, struct err *err)
{
	if (!vec_push(&actions->links, link)) {
		action_link_free(actions->control->parent, link);
		return fail(err, ERR_LIMIT, "more than %d files and folders of actions cannot be linked",
			    ACTION_LINKS_MAX);
	}
	read_link(actions, link, NULL);
	struct action_writing writing = {.by = by, .link_path = link->path, .linked_ns = link->linked_ns};
	if (check_link(link, err) == 0 && renew(actions, &writing, true, err) == 0)
		return 0;
	(void)vec_pop(&actions->links);
	action_link_free(actions->control->parent, link);
	return -1;
}

int actions_link(struct actions *actions, struct str path, const struct audit_event *by, struct arena *arena,
		 struct str *ret_path, struct err *err)
{
	const struct parent_watch watch = {SUPERVISE_WATCH_ACTIONS, false, path};
	const struct action_set *loaded = actions_await(actions, err);
	struct str canonical;
	uint32_t id;
	if (loaded == NULL)
		return -1;
	actions_release(loaded);
	if (parent_watch(actions->control->parent, &watch, arena, &id, &canonical, err) < 0)
		return -1;
	if (check_path(canonical, err) < 0) {
		parent_unwatch(actions->control->parent, id);
		return -1;
	}
	pthread_mutex_lock(&actions->making);
	size_t index;
	struct action_link *link = link_at(actions, canonical, &index);
	int rc;
	if (link != NULL) {
		parent_unwatch(actions->control->parent, id);
		struct action_writing writing = {.by = by};
		read_link(actions, link, NULL);
		rc = renew(actions, &writing, true, err);
	} else {
		link = action_link_new(canonical, clock_wall_ns(NULL));
		link->watch = id;
		rc = add_link(actions, link, by, err);
	}
	pthread_mutex_unlock(&actions->making);
	if (rc == 0)
		*ret_path = canonical;
	return rc;
}

/* The link of a file by itself which is no action any more, by the name that it had. */
static bool find_broken(const struct actions *actions, const struct action_set *set, struct str name, size_t *ret_index)
{
	for (size_t i = 0; i < set->n_faults; i++) {
		if (name.n > 0 && str_eq(set->faults[i].name, name) &&
		    link_at(actions, set->faults[i].path, ret_index) != NULL)
			return true;
	}
	return false;
}

/* The link that a path or a name stands for. */
static int find_link(const struct actions *actions, struct str path_or_name, size_t *ret_index, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	while (path_or_name.n > 1 && str_ends(path_or_name, S("/")))
		path_or_name.n--;
	if (link_at(actions, path_or_name, ret_index) != NULL)
		return 0;
	const struct action_set *set = set_public(actions->current);
	const struct action_entry *entry = action_named(set, path_or_name);
	if (entry == NULL && find_broken(actions, set, path_or_name, ret_index))
		return 0;
	if (entry == NULL)
		return fail(err, ERR_NOT_FOUND, "nothing is linked as '%s'; see `aileron action list`",
			    escape_shown(path_or_name, shown));
	if (link_at(actions, entry->path, ret_index) != NULL)
		return 0;
	const struct action_link *link = link_of(actions, set_file(set, entry));
	return fail(err, ERR_CONFLICT,
		    "the action '%.*s' is one of the linked folder '%s'; unlink the folder, or disable the action",
		    STR_FMT(path_or_name), link != NULL ? link->path : "");
}

/* The names of the set that was, which are not in the one that is. */
static void tell_gone(struct actions *actions, const struct action_set *before, struct arena *arena,
		      struct actions_unlinked *ret)
{
	const struct action_set *now = actions_hold(actions);
	struct str *names = arena_array(arena, before->n + 1, sizeof *names);
	ret->n = 0;
	for (size_t i = 0; i < before->n; i++) {
		if (action_named(now, before->items[i].action->name) == NULL)
			names[ret->n++] = arena_str(arena, before->items[i].action->name);
	}
	ret->names = names;
	actions_release(now);
}

static int remove_link(struct actions *actions, size_t index, const struct audit_event *by, struct err *err)
{
	struct action_link *link = actions->links.items[index];
	struct action_writing writing = {.by = by, .unlink_path = link->path};
	vec_remove(&actions->links, index);
	if (renew(actions, &writing, true, err) < 0) {
		(void)vec_push(&actions->links, link);
		return -1;
	}
	action_link_free(actions->control->parent, link);
	return 0;
}

int actions_unlink(struct actions *actions, struct str path_or_name, const struct audit_event *by, struct arena *arena,
		   struct actions_unlinked *ret, struct err *err)
{
	const struct action_set *before = actions_await(actions, err);
	if (before == NULL)
		return -1;
	size_t index = 0;
	struct actions_unlinked gone = {0};
	pthread_mutex_lock(&actions->making);
	int rc = find_link(actions, path_or_name, &index, err);
	if (rc == 0) {
		gone.path = arena_str(arena, str_from(actions->links.items[index]->path));
		rc = remove_link(actions, index, by, err);
	}
	pthread_mutex_unlock(&actions->making);
	if (rc == 0) {
		tell_gone(actions, before, arena, &gone);
		*ret = gone;
	}
	actions_release(before);
	return rc;
}

/* It is written, and then the set is made anew, with whatever else there is. */
static int write_switch(struct actions *actions, const struct action_change *change, const struct audit_event *by,
			struct err *err)
{
	struct action_writing writing = {.by = by, .changes = VEC_INIT(1)};
	(void)vec_push(&writing.changes, *change);
	int rc = action_changes_write(actions->states, actions->control->db, &writing, err);
	vec_release(&writing.changes);
	if (rc == 0)
		renew_unasked(actions);
	return rc;
}

int actions_enable(struct actions *actions, struct str name, bool enabled, const struct audit_event *by,
		   struct err *err)
{
	const struct action_set *set = NULL;
	const struct action_entry *entry = actions_look_up(actions, name, &set, err);
	if (entry == NULL)
		return -1;
	const struct action_change change = {
		.type = enabled ? AUDIT_ACTION_ENABLED : AUDIT_ACTION_DISABLED,
		.name = entry->action->name,
		.path = entry->path,
		.action = entry->action,
	};
	pthread_mutex_lock(&actions->making);
	int rc = is_enabled(actions, name) == enabled ? 0 : write_switch(actions, &change, by, err);
	pthread_mutex_unlock(&actions->making);
	actions_release(set);
	return rc;
}
