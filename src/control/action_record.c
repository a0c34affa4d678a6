#include "control/action_record.h"
#include "base/log.h"
#include "base/map.h"
#include "control/event.h"
#include <stdlib.h>

#define STATES_MAX 100000

struct state {
	bool enabled;
	char *hash; /* as seen last, "" = it is not there */
};
struct action_states {
	struct map *by_name;
};

/* ----------------------------------------------------------------------------------------------- the record of changes */

static const struct state *state_of(const struct action_states *states, struct str name)
{
	return map_get(states->by_name, name);
}

static struct str hash_seen(const struct state *state)
{
	return state != NULL ? str_from(state->hash) : STR_EMPTY;
}

static void find_arrivals(const struct action_states *states, const struct action_set *set,
			  struct action_writing *writing)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct action_entry *entry = &set->items[i];
		struct str seen = hash_seen(state_of(states, entry->action->name));
		if (str_eq(seen, entry->action->hash))
			continue;
		(void)vec_push(&writing->changes,
			       (struct action_change){
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

static void find_departures(const struct action_states *states, const struct action_set *set,
			    struct action_writing *writing)
{
	struct map_iter it = {0};
	while (!may_be_hidden(set) && map_next(states->by_name, &it)) {
		struct str seen = hash_seen(it.value);
		if (seen.n == 0 || action_named(set, it.key) != NULL || is_at_fault(set, it.key))
			continue;
		(void)vec_push(&writing->changes,
			       (struct action_change){.type = AUDIT_ACTION_UNLINKED, .name = it.key, .previous = seen});
	}
}

static int append_change(struct db_tx *tx, const struct action_writing *writing, const struct action_change *change,
			 struct err *err)
{
	AUTO_EVENT event;
	struct audit_event who = writing->by != NULL ? *writing->by : audit_of_service(AUDIT_ACTION_CHANGED, "control");
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
static int store_state(struct db_tx *tx, const struct action_change *change, struct err *err)
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

static int store_links(struct db_tx *tx, const struct action_writing *writing, struct err *err)
{
	if (writing->link_path != NULL) {
		struct db_stmt *q = db_stmt(tx, "INSERT OR REPLACE INTO action_links (path, linked_ns) VALUES (?, ?)");
		db_bind_str(q, str_from(writing->link_path));
		db_bind_int(q, (int64_t)writing->linked_ns);
		if (db_run(q, err) < 0)
			return -1;
	}
	if (writing->unlink_path != NULL) {
		struct db_stmt *q = db_stmt(tx, "DELETE FROM action_links WHERE path = ?");
		db_bind_str(q, str_from(writing->unlink_path));
		if (db_run(q, err) < 0)
			return -1;
	}
	return 0;
}

static int write_changes(struct db_tx *tx, void *user, struct err *err)
{
	const struct action_writing *writing = user;
	if (store_links(tx, writing, err) < 0)
		return -1;
	for (size_t i = 0; i < writing->changes.n; i++) {
		const struct action_change *change = &writing->changes.items[i];
		if (store_state(tx, change, err) < 0 || append_change(tx, writing, change, err) < 0)
			return -1;
	}
	return 0;
}

static void tell_log(const struct action_change *change)
{
	log_info("action_recorded", log_z("event", audit_type_name(change->type)), log_str("action", change->name),
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

static struct state *make_state(struct action_states *states, struct str name)
{
	struct state *state = map_get(states->by_name, name);
	if (state != NULL)
		return state;
	state = NEW(struct state);
	*state = (struct state){.enabled = true, .hash = xstrdup("")};
	if (map_add(states->by_name, name, state))
		return state;
	free_state(state);
	return NULL;
}

static void set_hash(struct state *state, struct str hash)
{
	free(state->hash);
	state->hash = str_dup(hash);
}

static void remember(struct action_states *states, const struct action_change *change)
{
	struct state *state = make_state(states, change->name);
	if (state == NULL)
		return;
	if (change->type == AUDIT_ACTION_ENABLED || change->type == AUDIT_ACTION_DISABLED)
		state->enabled = change->type == AUDIT_ACTION_ENABLED;
	else
		set_hash(state, change->action != NULL ? change->action->hash : STR_EMPTY);
}

/* ---------------------------------------------------------------------------------------------------------- as a whole */

struct action_states *action_states_new(void)
{
	struct action_states *states = NEW(struct action_states);
	states->by_name = map_new(STATES_MAX);
	return states;
}

void action_states_free(struct action_states *states)
{
	map_free_with(states->by_name, free_state);
	free(states);
}

int action_states_read(struct action_states *states, struct db_tx *tx, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, "SELECT name, enabled, hash FROM action_state");
	int got;
	while ((got = db_step(q, err)) == 1) {
		struct state *state = make_state(states, db_str(q, 0));
		if (state == NULL)
			break;
		state->enabled = db_int(q, 1) != 0;
		set_hash(state, db_str(q, 2));
	}
	db_finish(q);
	return got < 0 ? -1 : 0;
}

bool action_states_enabled(const struct action_states *states, struct str name)
{
	const struct state *state = state_of(states, name);
	return state == NULL || state->enabled;
}

void action_changes_find(const struct action_states *states, const struct action_set *set,
			 struct action_writing *writing)
{
	writing->changes.cap = (size_t)2 * STATES_MAX;
	find_arrivals(states, set, writing);
	find_departures(states, set, writing);
}

int action_changes_write(struct action_states *states, struct db *db, struct action_writing *writing, struct err *err)
{
	int rc = 0;
	if (writing->changes.n > 0 || writing->link_path != NULL || writing->unlink_path != NULL)
		rc = db_write(db, write_changes, writing, err);
	for (size_t i = 0; rc == 0 && i < writing->changes.n; i++) {
		tell_log(&writing->changes.items[i]);
		remember(states, &writing->changes.items[i]);
	}
	return rc;
}
