#include "control/vault_watch.h"
#include "audit/audit.h"
#include "base/log.h"
#include "base/time.h"
#include "control/event.h"
#include <stdlib.h>

#define SIGNED_USES 1024 /* of the last ones: a use that signs is told once, however many requests it signs */

struct vault_watch {
	struct db *db;
	struct credential_uses *uses;
	uint64_t signed_uses[SIGNED_USES]; /* a ring */
	size_t next_signed;
	void (*changed)(void *user, bool unlocked);
	void *changed_user;
};

struct vault_watch *vault_watch_new(struct db *db, struct credential_uses *uses)
{
	struct vault_watch *watch = NEW(struct vault_watch);
	watch->db = db;
	watch->uses = uses;
	return watch;
}

void vault_watch_free(struct vault_watch *watch)
{
	free(watch);
}

/* ---------------------------------------------------------------------------------------------- the high-water mark */

int vault_mark_find(struct db *db, struct arena *arena, struct str vault_id, struct vault_mark *ret, struct err *err)
{
	struct db_tx *tx = db_read(db);
	struct db_stmt *q = db_stmt(tx, "SELECT vault_id, generation FROM vault_seen"
					" ORDER BY vault_id = ? DESC, rowid DESC LIMIT 1");
	db_bind_str(q, vault_id);
	int got = db_step(q, err);
	if (got == 1) {
		ret->vault_id = arena_str(arena, db_str(q, 0));
		ret->generation = (uint64_t)db_int(q, 1);
	} else if (got == 0) {
		*ret = (struct vault_mark){0};
	}
	db_finish(q);
	db_done(tx);
	return got < 0 ? -1 : 0;
}

/* ---------------------------------------------------------------------------------------------------------- one job */

/* What the keeper said, as long as the writer needs it. */
struct told {
	struct str what, path, host, detail, vault_id;
	uint64_t use, generation, now_ns;
	struct credential_call call;
	struct arena *arena;
};

static struct told *told_new(struct str what)
{
	struct arena *arena = arena_new();
	struct told *told = ARENA_NEW(arena, struct told);
	told->arena = arena;
	told->what = arena_str(arena, what);
	told->now_ns = clock_wall_ns(NULL);
	return told;
}

static void told_recorded(void *user, const struct err *err)
{
	struct told *told = user;
	if (err != NULL)
		log_error("vault_not_recorded", log_str("what", told->what), log_err(err));
	arena_free(told->arena);
}

/* ---------------------------------------------------------------------------------------------------------- changed */

static int record_mark(struct db_tx *tx, void *user, struct err *err)
{
	const struct told *told = user;
	struct db_stmt *q =
		db_stmt(tx, "INSERT INTO vault_seen (vault_id, generation) VALUES (?1, ?2)"
			    " ON CONFLICT (vault_id) DO UPDATE SET generation = max(generation, excluded.generation)");
	db_bind_str(q, told->vault_id);
	db_bind_int(q, (int64_t)told->generation);
	return db_run(q, err) < 0 ? -1 : 0;
}

static void record_locked(struct db *db, struct str reason)
{
	AUTO_EVENT event;
	event_begin(&event, audit_of_service(AUDIT_VAULT_LOCKED, "keeper"));
	member_str(&event.json, "aileron.reason", reason);
	event_later(db, &event);
}

void vault_watch_on_change(struct vault_watch *watch, void (*changed)(void *user, bool unlocked), void *user)
{
	watch->changed = changed;
	watch->changed_user = user;
}

static void on_changed(void *user, const struct keeper_state *state, struct str reason)
{
	struct vault_watch *watch = user;
	if (watch->changed != NULL && !str_eq(reason, S("written")))
		watch->changed(watch->changed_user, state->state == KEEPER_UNLOCKED);
	static const char *const spontaneous[] = {"idle", "signal", "suspend"};
	for (size_t i = 0; i < ARRAY_LEN(spontaneous); i++) {
		if (str_eq(reason, str_from(spontaneous[i])))
			record_locked(watch->db, reason);
	}
	if (state->state != KEEPER_UNLOCKED || state->vault_id.n == 0)
		return;
	struct told *told = told_new(reason);
	told->vault_id = arena_str(told->arena, state->vault_id);
	told->generation = state->generation;
	db_write_later(watch->db, record_mark, told, told_recorded);
}

/* ------------------------------------------------------------------------------------------------------------ noted */

/* `detail` is the member that told->detail is. */
static int append(struct db_tx *tx, enum audit_type type, const struct told *told, const char *detail, struct err *err)
{
	AUTO_EVENT event;
	event_begin(&event, audit_of_service(type, "keeper"));
	event.audit.credential_binding = told->path;
	struct json_writer *w = &event.json;
	member_str(w, "aileron.binding.name", told->path);
	member_str_given(w, detail, told->detail);
	if (told->call.execution.n > 0)
		member_bool(w, "aileron.connector.linked", true);
	member_str_given(w, "aileron.connector.operation", told->call.operation);
	member_str_given(w, "aileron.credential.host", told->host);
	if (told->use != 0) {
		/* As text: a number of the keeper's may be beyond what canonical JSON has. */
		char number[24];
		snprintf(number, sizeof number, "%llu", (unsigned long long)told->use);
		member_z(w, "aileron.credential.use", number);
	}
	member_str(w, "aileron.credential.what", told->what);
	member_str_given(w, "aileron.execution.id", told->call.execution);
	return event_end(&event, err) < 0 ? -1 : event_append(tx, &event, err);
}

static int record_used(struct db_tx *tx, void *user, struct err *err)
{
	const struct told *told = user;
	/* To the second: uses that follow each other change a page less. */
	struct db_stmt *q = db_stmt(tx, "INSERT INTO binding_use (path, last_used_ns) VALUES (?1, ?2)"
					" ON CONFLICT (path) DO UPDATE SET last_used_ns = ?2"
					" WHERE abs(?2 - last_used_ns) > 1000000000");
	db_bind_str(q, told->path);
	db_bind_int(q, (int64_t)told->now_ns);
	if (db_run(q, err) < 0)
		return -1;
	return append(tx, AUDIT_VAULT_CREDENTIAL_READ, told, "aileron.connector.fqn", err);
}

static int record_refreshed(struct db_tx *tx, void *user, struct err *err)
{
	return append(tx, AUDIT_BINDING_REFRESHED, user, "aileron.binding.detail", err);
}

static int record_stale(struct db_tx *tx, void *user, struct err *err)
{
	return append(tx, AUDIT_BINDING_STALE, user, "aileron.binding.stale_reason", err);
}

static bool was_signed(struct vault_watch *watch, uint64_t use)
{
	for (size_t i = 0; i < SIGNED_USES; i++) {
		if (watch->signed_uses[i] == use)
			return true;
	}
	watch->signed_uses[watch->next_signed++ % SIGNED_USES] = use;
	return false;
}

static const struct {
	const char *what;
	db_job *record;
	/* A use belongs to a call, whose own rows are synced when it changes something. */
	void (*write)(struct db *db, db_job *job, void *user, void (*done)(void *user, const struct err *err));
} notes[] = {
	{"released", record_used, db_write_later_relaxed},
	{"signed", record_used, db_write_later_relaxed},
	{"refreshed", record_refreshed, db_write_later},
	{"stale", record_stale, db_write_later},
};

static void on_noted(void *user, struct str what, struct str path, uint64_t use, struct str host, struct str detail)
{
	struct vault_watch *watch = user;
	for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
		if (!str_eq(what, str_from(notes[i].what)))
			continue;
		if (str_eq(what, S("signed")) && was_signed(watch, use))
			return;
		struct told *told = told_new(what);
		told->path = arena_str(told->arena, path);
		told->host = arena_str(told->arena, host);
		told->detail = arena_str(told->arena, detail);
		told->use = use;
		told->call = credential_uses_find(watch->uses, told->arena, use);
		notes[i].write(watch->db, notes[i].record, told, told_recorded);
		return;
	}
	log_warn("keeper_note_not_understood", log_str("what", what));
}

struct keeper_listener vault_watch_listener(struct vault_watch *watch)
{
	return (struct keeper_listener){.changed = on_changed, .noted = on_noted, .user = watch};
}
