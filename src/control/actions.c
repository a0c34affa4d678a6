#include "control/actions.h"
#include "base/escape.h"
#include "base/log.h"
#include "base/map.h"
#include "base/time.h"
#include "control/action_files.h"
#include "control/action_sets.h"
#include "control/event.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define FIRST_SET_S   20
#define LISTENERS_MAX 8
#define STATES_MAX    100000

/* What is remembered by an action's name. */
struct state {
	bool enabled;
	char *hash; /* as seen last, "" = it is not there */
};

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
	struct map *states;

	pthread_mutex_t lock; /* all below; held for moments */
	pthread_cond_t changed;
	struct set *current;
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

void actions_release(struct actions *actions, const struct action_set *set)
{
	(void)actions;
	if (set != NULL)
		set_release(set_of(set));
}

const struct action_set *actions_await(struct actions *actions, struct err *err)
{
	uint64_t ns = clock_monotonic_ns(NULL) + FIRST_SET_S * TIME_SECOND;
	const struct timespec until = {(time_t)(ns / TIME_SECOND), (long)(ns % TIME_SECOND)};
	int timed_out = 0;
	const struct action_set *set = NULL;
	pthread_mutex_lock(&actions->lock);
	while (set_public(actions->current)->generation == 0 && !actions->over && timed_out == 0)
		timed_out = pthread_cond_timedwait(&actions->changed, &actions->lock, &until);
	if (set_public(actions->current)->generation != 0)
		set = hold_current(actions);
	pthread_mutex_unlock(&actions->lock);
	if (set == NULL)
		fail(err, ERR_UNAVAILABLE, "the linked actions have not been read yet; try again");
	return set;
}

/* ----------------------------------------------------------------------------------------------- the record of changes */

/* One thing that is written with the next set. */
struct change {
	enum audit_type type;
	struct str name, path;
	const struct action *action; /* NULL when it is gone */
	struct str previous;         /* hash */
};

struct writing {
	const struct audit_event *by; /* NULL: nobody asked */
	VEC(struct change) changes;
	const struct action_link *link, *unlink; /* rows that come and go, or NULL */
};

static const struct state *state_of(const struct actions *actions, struct str name)
{
	return map_get(actions->states, name);
}

static struct str hash_seen(const struct state *state)
{
	return state != NULL ? str_from(state->hash) : STR_EMPTY;
}

static void find_arrivals(const struct actions *actions, const struct action_set *set, struct writing *writing)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct action_entry *entry = &set->items[i];
		struct str seen = hash_seen(state_of(actions, entry->action->name));
		if (str_eq(seen, entry->action->hash))
			continue;
		(void)vec_push(&writing->changes,
			       (struct change){
				       .type = seen.n > 0 ? AUDIT_ACTION_CHANGED : AUDIT_ACTION_LINKED,
				       .name = entry->action->name,
				       .path = entry->path,
				       .action = entry->action,
				       .previous = seen,
			       });
	}
}

static bool is_at_fault(const struct action_set *set, struct str name)
{
	for (size_t i = 0; i < set->n_faults; i++) {
		if (str_eq(set->faults[i].name, name))
			return true;
	}
	return false;
}

/* After a start nobody knows what a file that cannot be read used to be. */
static bool may_be_hidden(const struct action_set *set)
{
	return set->generation == 1 && is_at_fault(set, STR_EMPTY);
}

static void find_departures(const struct actions *actions, const struct action_set *set, struct writing *writing)
{
	struct map_iter it = {0};
	while (!may_be_hidden(set) && map_next(actions->states, &it)) {
		struct str seen = hash_seen(it.value);
		if (seen.n == 0 || action_named(set, it.key) != NULL || is_at_fault(set, it.key))
			continue;
		(void)vec_push(&writing->changes,
			       (struct change){.type = AUDIT_ACTION_UNLINKED, .name = it.key, .previous = seen});
	}
}

static int append_change(struct db_tx *tx, const struct writing *writing, const struct change *change, struct err *err)
{
	AUTO_EVENT event;
	struct audit_event who = writing->by != NULL ? *writing->by : event_of_service(AUDIT_ACTION_CHANGED, "control");
	who.type = change->type;
	event_begin(&event, who);
	struct json_writer *w = &event.json;
	member_str(w, "aileron.action.fqn", change->name);
	if (change->action != NULL) {
		member_str(w, "aileron.action.version", change->action->version);
		member_str(w, "aileron.action.hash", change->action->hash);
	}
	member_str_given(w, "aileron.action.previous_hash", change->previous);
	member_str_given(w, "aileron.action.path", change->path);
	member_bool(w, "aileron.action.linked", true);
	member_bool(w, "aileron.action.signed", false);
	return event_end(&event, err) < 0 ? -1 : event_append(tx, &event, err);
}

/* ENABLED and DISABLED are about the switch, the others about the hash. */
static int store_state(struct db_tx *tx, const struct change *change, struct err *err)
{
	bool switched = change->type == AUDIT_ACTION_ENABLED || change->type == AUDIT_ACTION_DISABLED;
	struct db_stmt *q;
	if (switched) {
		q = db_stmt(tx, "INSERT INTO action_state (name, enabled) VALUES (?, ?) "
				"ON CONFLICT (name) DO UPDATE SET enabled = excluded.enabled");
		db_bind_str(q, change->name);
		db_bind_int(q, change->type == AUDIT_ACTION_ENABLED);
	} else {
		q = db_stmt(tx, "INSERT INTO action_state (name, hash) VALUES (?, ?) "
				"ON CONFLICT (name) DO UPDATE SET hash = excluded.hash");
		db_bind_str(q, change->name);
		db_bind_str(q, change->action != NULL ? change->action->hash : S(""));
	}
	return db_run(q, err) < 0 ? -1 : 0;
}

static int store_links(struct db_tx *tx, const struct writing *writing, struct err *err)
{
	if (writing->link != NULL) {
		struct db_stmt *q = db_stmt(tx, "INSERT OR REPLACE INTO action_links (path, linked_ns) VALUES (?, ?)");
		db_bind_str(q, str_from(writing->link->path));
		db_bind_int(q, (int64_t)writing->link->linked_ns);
		if (db_run(q, err) < 0)
			return -1;
	}
	if (writing->unlink != NULL) {
		struct db_stmt *q = db_stmt(tx, "DELETE FROM action_links WHERE path = ?");
		db_bind_str(q, str_from(writing->unlink->path));
		if (db_run(q, err) < 0)
			return -1;
	}
	return 0;
}

static int write_changes(struct db_tx *tx, void *user, struct err *err)
{
	const struct writing *writing = user;
	if (store_links(tx, writing, err) < 0)
		return -1;
	for (size_t i = 0; i < writing->changes.n; i++) {
		const struct change *change = &writing->changes.items[i];
		if (store_state(tx, change, err) < 0 || append_change(tx, writing, change, err) < 0)
			return -1;
	}
	return 0;
}

static void tell_log(const struct change *change)
{
	log_info(audit_type_name(change->type), log_str("action", change->name),
		 log_str("hash", change->action != NULL ? change->action->hash : STR_EMPTY),
		 log_str("previous_hash", change->previous));
}

/* ---------------------------------------------------------------------------------------------------- states, in memory */

static void free_state(void *value)
{
	struct state *state = value;
	free(state->hash);
	free(state);
}

static struct state *make_state(struct actions *actions, struct str name)
{
	struct state *state = map_get(actions->states, name);
	if (state != NULL)
		return state;
	state = NEW(struct state);
	*state = (struct state){.enabled = true, .hash = xstrdup("")};
	if (map_add(actions->states, name, state))
		return state;
	free_state(state);
	return NULL;
}

static void set_hash(struct state *state, struct str hash)
{
	free(state->hash);
	state->hash = str_dup(hash);
}

static void remember(struct actions *actions, const struct change *change)
{
	struct state *state = make_state(actions, change->name);
	if (state == NULL)
		return;
	if (change->type == AUDIT_ACTION_ENABLED || change->type == AUDIT_ACTION_DISABLED)
		state->enabled = change->type == AUDIT_ACTION_ENABLED;
	else
		set_hash(state, change->action != NULL ? change->action->hash : STR_EMPTY);
}

/* ------------------------------------------------------------------------------------------------------------- a new set */

static bool is_enabled(void *user, struct str name)
{
	const struct state *state = state_of(user, name);
	return state == NULL || state->enabled;
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
	pthread_cond_broadcast(&actions->changed);
	pthread_mutex_unlock(&actions->lock);
	set_release(before);
	for (size_t i = 0; i < actions->n_listeners; i++)
		actions->listeners[i].changed(actions->listeners[i].user);
}

/*
 * Holds what is linked against what was, records the difference, and makes it the set. When it cannot be recorded, nothing
 * is another for who asked (`must`); what is on disk is what it is all the same.
 */
static int renew(struct actions *actions, struct writing *writing, bool must, struct err *err)
{
	struct set *set = make_set(actions);
	writing->changes.cap = (size_t)2 * STATES_MAX;
	find_arrivals(actions, set_public(set), writing);
	find_departures(actions, set_public(set), writing);
	int rc = 0;
	if (writing->changes.n > 0 || writing->link != NULL || writing->unlink != NULL)
		rc = db_write(actions->control->db, write_changes, writing, err);
	for (size_t i = 0; rc == 0 && i < writing->changes.n; i++) {
		tell_log(&writing->changes.items[i]);
		remember(actions, &writing->changes.items[i]);
	}
	if (rc == 0 || !must)
		publish(actions, set);
	else
		set_release(set);
	vec_release(&writing->changes);
	return rc;
}

static void renew_unasked(struct actions *actions)
{
	static _Thread_local struct err err;
	err_clear(&err);
	struct writing writing = {.by = NULL};
	if (renew(actions, &writing, false, &err) < 0)
		log_error("action_changes_lost", log_err(&err));
}

/* Of one that is there: it is written, and then the set is made anew, with whatever else there is. */
static int write_switch(struct actions *actions, struct writing *writing, const struct change *change, struct err *err)
{
	writing->changes.cap = 1;
	(void)vec_push(&writing->changes, *change);
	int rc = db_write(actions->control->db, write_changes, writing, err);
	vec_release(&writing->changes);
	if (rc < 0)
		return -1;
	tell_log(change);
	remember(actions, change);
	renew_unasked(actions);
	return 0;
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

static int read_states(struct db_tx *tx, struct actions *actions, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, "SELECT name, enabled, hash FROM action_state");
	int got;
	while ((got = db_step(q, err)) == 1) {
		struct state *state = make_state(actions, db_str(q, 0));
		if (state == NULL)
			break;
		state->enabled = db_int(q, 1) != 0;
		set_hash(state, db_str(q, 2));
	}
	db_finish(q);
	return got < 0 ? -1 : 0;
}

static void load(struct actions *actions)
{
	static _Thread_local struct err err;
	err_clear(&err);
	struct db_tx *tx = db_read(actions->control->db);
	int rc = read_links(tx, actions, &err) < 0 ? -1 : read_states(tx, actions, &err);
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

/* Once more than there can be watches: something of each. */
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
	actions->states = map_new(STATES_MAX);
	actions->current = set_empty();
	pthread_mutex_init(&actions->making, NULL);
	pthread_mutex_init(&actions->lock, NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&actions->changed, &attributes);
	pthread_condattr_destroy(&attributes);
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

void actions_free(struct actions *actions)
{
	if (actions == NULL)
		return;
	pthread_mutex_lock(&actions->lock);
	actions->over = true;
	pthread_cond_broadcast(&actions->changed);
	pthread_mutex_unlock(&actions->lock);
	if (actions->started)
		pthread_join(actions->thread, NULL);
	for (size_t i = 0; i < actions->links.n; i++)
		action_link_free(NULL, actions->links.items[i]);
	vec_release(&actions->links);
	vec_release(&actions->told.watches);
	map_free_with(actions->states, free_state);
	set_release(actions->current);
	pthread_cond_destroy(&actions->changed);
	pthread_mutex_destroy(&actions->lock);
	pthread_mutex_destroy(&actions->making);
	free(actions);
}

void actions_on_change(struct actions *actions, void (*changed)(void *user), void *user)
{
	if (actions->n_listeners >= LISTENERS_MAX)
		BUG("more than %d listen for actions", LISTENERS_MAX);
	actions->listeners[actions->n_listeners++] = (struct listener){changed, user};
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

const struct action_entry *actions_use(struct actions *actions, struct str name, const struct action_set **ret_set,
				       struct err *err)
{
	const struct action_set *set = actions_await(actions, err);
	if (set == NULL)
		return NULL;
	const struct action_entry *entry = action_named(set, name);
	if (entry != NULL && !action_file_is_current(set_file(set, entry))) {
		read_anew(actions, set_file(set, entry));
		actions_release(actions, set);
		set = actions_hold(actions);
		entry = action_named(set, name);
	}
	int rc = 0;
	if (entry == NULL)
		rc = fail_unknown(set, name, err);
	else if (!entry->enabled)
		rc = fail(err, ERR_ACTION_DISABLED,
			  "the action '%.*s' is switched off; a person can enable it with "
			  "`aileron action enable %.*s`",
			  STR_FMT(entry->action->name), STR_FMT(entry->action->name));
	if (rc < 0) {
		actions_release(actions, set);
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
	return -1;
}

static int add_link(struct actions *actions, struct action_link *link, const struct audit_event *by, struct err *err)
{
	if (!vec_push(&actions->links, link)) {
		action_link_free(actions->control->parent, link);
		return fail(err, ERR_LIMIT, "more than %d files and folders of actions cannot be linked",
			    ACTION_LINKS_MAX);
	}
	read_link(actions, link, NULL);
	struct writing writing = {.by = by, .link = link};
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
	actions_release(actions, loaded);
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
		struct writing writing = {.by = by};
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
	actions_release(actions, now);
}

static int remove_link(struct actions *actions, size_t index, const struct audit_event *by, struct err *err)
{
	struct action_link *link = actions->links.items[index];
	struct writing writing = {.by = by, .unlink = link};
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
	actions_release(actions, before);
	return rc;
}

int actions_enable(struct actions *actions, struct str name, bool enabled, const struct audit_event *by,
		   struct err *err)
{
	const struct action_set *set = actions_await(actions, err);
	if (set == NULL)
		return -1;
	pthread_mutex_lock(&actions->making);
	const struct action_entry *entry = action_named(set, name);
	int rc = entry == NULL ? fail_unknown(set, name, err) : 0;
	if (rc == 0 && is_enabled(actions, name) != enabled) {
		struct writing writing = {.by = by};
		const struct change change = {
			.type = enabled ? AUDIT_ACTION_ENABLED : AUDIT_ACTION_DISABLED,
			.name = entry->action->name,
			.path = entry->path,
			.action = entry->action,
		};
		rc = write_switch(actions, &writing, &change, err);
	}
	pthread_mutex_unlock(&actions->making);
	actions_release(actions, set);
	return rc;
}
