/*
 * The states of a run: the table walked breadth-first against what must never be, and the same steps in the database, where those
 * who come second are told.
 */
#include "approval/digest.h"
#include "approval/grant.h"
#include "approval/run_table.h"
#include "base/map.h"
#include "base/time.h"
#include "text/jcs.h"
#include "audit_fixture.h"

/* ----------------------------------------------------------------------------------------------------------- the table */

static const enum run_event all_events[] = {
	RUN_EVENT_APPROVE, RUN_EVENT_DENY,  RUN_EVENT_EXPIRE,   RUN_EVENT_CANCEL, RUN_EVENT_REFUSE, RUN_EVENT_AWAIT,
	RUN_EVENT_RESUME,  RUN_EVENT_CLAIM, RUN_EVENT_COMPLETE, RUN_EVENT_FAIL,   RUN_EVENT_STOP,   RUN_EVENT_LOSE,
};

/* Each event in each state, as docs/formats/run.md has it: a letter for the state that follows, '.' for none. */
static const struct {
	enum run_state from;
	const char *to; /* in the order of all_events */
} expected[RUN_STATE__MAX] = {
	{RUN_PENDING_APPROVAL, "qdecr......."}, {RUN_AWAITING_VAULT, "...cr.q....."},  {RUN_QUEUED, "...cra.R...."},
	{RUN_RUNNING, "........Cfcu"},          {RUN_COMPLETED, "............"},       {RUN_FAILED, "............"},
	{RUN_DENIED, "............"},           {RUN_EXPIRED, "............"},         {RUN_REFUSED, "............"},
	{RUN_CANCELLED, "............"},        {RUN_OUTCOME_UNKNOWN, "............"},
};
static const char letters[RUN_STATE__MAX] = {
	[RUN_PENDING_APPROVAL] = 'p', [RUN_AWAITING_VAULT] = 'a', [RUN_QUEUED] = 'q',          [RUN_RUNNING] = 'R',
	[RUN_COMPLETED] = 'C',        [RUN_FAILED] = 'f',         [RUN_DENIED] = 'd',          [RUN_EXPIRED] = 'e',
	[RUN_REFUSED] = 'r',          [RUN_CANCELLED] = 'c',      [RUN_OUTCOME_UNKNOWN] = 'u',
};

static void every_event_in_every_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < RUN_STATE__MAX; i++) {
		assert_int_equal(expected[i].from, i);
		for (size_t k = 0; k < ARRAY_LEN(all_events); k++) {
			enum run_state to = RUN_STATE__MAX;
			bool some = run_next((enum run_state)i, all_events[k], &to);
			assert_int_equal(some ? letters[to] : '.', expected[i].to[k]);
			assert_int_equal(some, to != RUN_STATE__MAX);
		}
	}
}

static void states_have_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < RUN_STATE__MAX; i++) {
		enum run_state back;
		assert_true(run_state_named(str_from(run_state_name((enum run_state)i)), &back));
		assert_int_equal(back, i);
	}
	enum run_state none;
	assert_false(run_state_named(S("approved"), &none));
}

/* ----------------------------------------------------------------------------------------------------------- the model */

/*
 * Two who decide, one who cancels, a clock, a vault that is locked and unlocked, a file that changes, an executor, a daemon that is
 * killed: each may move at any time. Whoever acts on the row looks at it first and acts later, with another's step in
 * between; only the check within the job decides.
 */
struct world {
	uint8_t row;     /* enum run_state */
	uint8_t seen[3]; /* what the deciders and the one who cancels saw; RUN_STATE__MAX = they have not looked */
	uint8_t done[3]; /* 0 not yet, 1 it was taken, 2 they were told that they are too late */
	uint8_t claims, sends; /* so far */
	bool approved;         /* somebody's yes was taken */
	bool expired, changed, locked;
	uint8_t executor; /* 0 idle, 1 has looked, 2 has claimed, 3 has sent */
	bool in_memory;   /* of this daemon: who claimed lives */
	uint8_t kills;
};

static bool apply(struct world *w, enum run_event event)
{
	enum run_state to;
	if (!run_next((enum run_state)w->row, event, &to))
		return false;
	w->row = (uint8_t)to;
	return true;
}

enum move {
	LOOK_YES,
	LOOK_NO,
	LOOK_CANCEL,
	YES,
	NO,
	CANCEL,
	EXPIRE,
	TIME_PASSES,
	CHANGE,
	LOCK,
	UNLOCK,
	SWEEP,
	RESUME,
	GIVE_UP,
	EXECUTOR_LOOKS,
	EXECUTOR_CLAIMS,
	EXECUTOR_SENDS,
	SERVICE_ANSWERS,
	SERVICE_FAILS,
	STOP,
	KILL,
	MOVES
};

static bool look(struct world *w, size_t who)
{
	if (w->seen[who] != RUN_STATE__MAX)
		return false;
	w->seen[who] = w->row;
	return true;
}

static bool act(struct world *w, size_t who, enum run_event event)
{
	if (w->seen[who] == RUN_STATE__MAX || w->done[who] != 0)
		return false;
	/* Approving wants every part as it was and the vault open; without them it stays as it is, and they may come again. */
	if (event == RUN_EVENT_APPROVE && (w->locked || w->changed || w->expired))
		return false;
	bool taken = apply(w, event);
	w->done[who] = taken ? 1 : 2;
	w->approved = w->approved || (taken && event == RUN_EVENT_APPROVE);
	return true;
}

/* The job of the claim: it looks at the row and at every part again. */
static bool claim(struct world *w)
{
	if (w->executor != 1)
		return false;
	w->executor = 0;
	if (w->locked)
		return apply(w, RUN_EVENT_AWAIT) || true;
	if (w->changed || w->expired)
		return apply(w, RUN_EVENT_REFUSE) || true;
	if (apply(w, RUN_EVENT_CLAIM)) {
		w->claims++;
		w->executor = 2;
	}
	return true;
}

static bool end(struct world *w, enum run_event event)
{
	if (w->executor != 3)
		return false;
	w->executor = 0;
	if (!apply(w, event))
		fail_msg("a run that was sent ended otherwise in '%s'", run_state_name((enum run_state)w->row));
	return true;
}

static bool be_killed(struct world *w)
{
	if (w->kills == 2)
		return false;
	w->kills++;
	w->executor = 0;
	for (size_t i = 0; i < 3; i++)
		w->seen[i] = w->done[i] != 0 ? w->seen[i] : RUN_STATE__MAX;
	/* The start: what ran is lost, the rest stays. */
	(void)apply(w, RUN_EVENT_LOSE);
	return true;
}

static bool flip(bool *what)
{
	bool was = *what;
	*what = true;
	return !was;
}

static bool move(struct world *w, enum move move)
{
	switch (move) {
	case LOOK_YES:
		return look(w, 0);
	case LOOK_NO:
		return look(w, 1);
	case LOOK_CANCEL:
		return look(w, 2);
	case YES:
		return act(w, 0, RUN_EVENT_APPROVE);
	case NO:
		return act(w, 1, RUN_EVENT_DENY);
	case CANCEL:
		return act(w, 2, RUN_EVENT_CANCEL);
	case TIME_PASSES:
		return flip(&w->expired);
	case EXPIRE:
		return w->expired && apply(w, RUN_EVENT_EXPIRE);
	case CHANGE:
		return flip(&w->changed);
	case LOCK:
		return flip(&w->locked);
	case UNLOCK:
		if (!w->locked)
			return false;
		w->locked = false;
		return true;
	case SWEEP:
		return w->changed && apply(w, RUN_EVENT_REFUSE);
	case RESUME:
		return apply(w, RUN_EVENT_RESUME);
	case GIVE_UP:
		return w->row == RUN_AWAITING_VAULT && apply(w, RUN_EVENT_REFUSE);
	case EXECUTOR_LOOKS:
		if (w->executor != 0 || w->row != RUN_QUEUED)
			return false;
		w->executor = 1;
		return true;
	case EXECUTOR_CLAIMS:
		return claim(w);
	case EXECUTOR_SENDS:
		if (w->executor != 2)
			return false;
		w->executor = 3;
		w->sends++;
		return true;
	case SERVICE_ANSWERS:
		return end(w, RUN_EVENT_COMPLETE);
	case SERVICE_FAILS:
		return end(w, RUN_EVENT_FAIL);
	case STOP:
		return end(w, RUN_EVENT_STOP);
	case KILL:
		return be_killed(w);
	case MOVES:
		break;
	}
	return false;
}

static void check_world(const struct world *before, const struct world *w)
{
	enum run_state was = (enum run_state)before->row, is = (enum run_state)w->row;
	if (w->claims > 1 || w->sends > 1)
		fail_msg("it was claimed %u times and sent %u times", w->claims, w->sends);
	if (run_state_is_terminal(was) && is != was)
		fail_msg("'%s' became '%s'", run_state_name(was), run_state_name(is));
	if ((is == RUN_QUEUED || is == RUN_RUNNING || w->claims > 0) && !w->approved)
		fail_msg("'%s' without anybody's yes", run_state_name(is));
	if (w->sends > 0 && (is == RUN_DENIED || is == RUN_EXPIRED || is == RUN_REFUSED))
		fail_msg("'%s' is told of what was sent", run_state_name(is));
	if (w->done[0] == 1 && w->done[1] == 1)
		fail_msg("a yes and a no were both taken");
	if (is == RUN_COMPLETED && w->sends == 0)
		fail_msg("completed and never sent");
}

#define WORLDS_MAX 400000

static void nothing_that_must_not_be_can_be_reached(void **state)
{
	(void)state;
	static struct world worlds[WORLDS_MAX];
	size_t n = 0, at = 0, ends = 0;
	struct map *known = map_new(WORLDS_MAX);
	memset(worlds, 0, sizeof worlds[0]);
	worlds[0].row = RUN_PENDING_APPROVAL;
	memset(worlds[0].seen, RUN_STATE__MAX, sizeof worlds[0].seen);
	assert_true(map_add(known, str_of(&worlds[0], sizeof worlds[0]), worlds));
	for (n = 1; at < n; at++) {
		bool stuck = true;
		for (int i = 0; i < MOVES; i++) {
			struct world next;
			memcpy(&next, &worlds[at], sizeof next);
			if (!move(&next, (enum move)i))
				continue;
			stuck = false;
			check_world(&worlds[at], &next);
			if (map_has(known, str_of(&next, sizeof next)))
				continue;
			assert_true(n < WORLDS_MAX);
			memcpy(&worlds[n], &next, sizeof next);
			assert_true(map_add(known, str_of(&worlds[n], sizeof next), &worlds[n]));
			n++;
		}
		ends += stuck;
	}
	map_free(known);
	assert_true(n > 1000);
	print_message("%zu worlds, %zu of them without a move\n", n, ends);
}

/* -------------------------------------------------------------------------------------------------------- the database */

static struct err err;
static const struct audit_event person = {.actor = AUDIT_ACTOR_HUMAN, .actor_id = {"user", 4}};

struct insert {
	struct run run;
	struct str key;
};

static int do_insert(struct db_tx *tx, void *user, struct err *e)
{
	const struct insert *insert = user;
	const struct run_new new = {.run = &insert->run, .request_key = insert->key, .who = person};
	return run_insert(tx, &new, e);
}

static int insert(struct db *db, const char *id, const char *approval, const char *key)
{
	struct insert insert = {
		.run =
			{
				.id = str_from(id),
				.caller = {.id = S("user"), .name = S("user")},
				.action = S("send"),
				.action_version = S("1.0.0"),
				.action_hash = S("sha256:00"),
				.args = S("{}"),
				.bound = approval != NULL ? S("{\"action\":\"send\"}") : STR_EMPTY,
				.state = approval != NULL ? RUN_PENDING_APPROVAL : RUN_RUNNING,
				.approval_id = str_from(approval),
				.requested_ns = 1000,
				.expires_ns = approval != NULL ? 5000 : 0,
			},
		.key = str_from(key),
	};
	err_clear(&err);
	return db_write(db, do_insert, &insert, &err);
}

static int do_change(struct db_tx *tx, void *user, struct err *e)
{
	return run_change(tx, user, NULL, NULL, e);
}

static int change(struct db *db, const char *id, enum run_event event)
{
	struct run_change change = {
		.id = str_from(id),
		.event = event,
		.now_ns = 2000,
		.who = person,
		.by = S("user"),
		.reason = event == RUN_EVENT_DENY     ? S("no")
			  : event == RUN_EVENT_REFUSE ? S("its file")
						      : STR_EMPTY,
		.awaits_until_ns = 3000,
		.result = S("{\"action\":\"send\",\"output\":{},\"steps\":{}}"),
	};
	err_clear(&err);
	return db_write(db, do_change, &change, &err);
}

static struct run find(struct db *db, struct arena *arena, const char *id)
{
	struct run run = {0};
	struct db_tx *tx = db_read(db);
	assert_int_equal(run_find(tx, arena, str_from(id), &run, NULL), 1);
	db_done(tx);
	return run;
}

#define KEY "0123456789abcdef0123456789abcdef"
#define ACT "act-20260101T000000-0123456789abcdef"

static void who_comes_second_is_told(void **state)
{
	struct db *db = *state;
	AUTO(arena) *arena = arena_new();
	assert_int_equal(insert(db, "run-1", ACT, KEY), 0);
	assert_int_equal(change(db, ACT, RUN_EVENT_DENY), 0);
	assert_int_equal(change(db, ACT, RUN_EVENT_APPROVE), -1);
	assert_int_equal(err.class, ERR_ALREADY_DECIDED);
	assert_non_null(strstr(err.message, "denied by 'user'"));
	assert_int_equal(change(db, "run-1", RUN_EVENT_CANCEL), -1);
	assert_int_equal(err.class, ERR_CONFLICT);
	assert_int_equal(change(db, "run-2", RUN_EVENT_CANCEL), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	struct run run = find(db, arena, "run-1");
	assert_int_equal(run.state, RUN_DENIED);
	assert_true(str_eq(run.reason, S("no")));
	assert_int_equal(run.ended_ns, 2000);
	assert_true(run.audit_id.n > 0);
}

static void who_approves_what_was_refused_is_told_the_part(void **state)
{
	struct db *db = *state;
	assert_int_equal(insert(db, "run-1", ACT, KEY), 0);
	assert_int_equal(change(db, ACT, RUN_EVENT_REFUSE), 0);
	assert_int_equal(change(db, ACT, RUN_EVENT_APPROVE), -1);
	assert_int_equal(err.class, ERR_APPROVAL_STALE);
	assert_non_null(strstr(err.message, "its file is not what was asked for"));
	assert_string_equal(err.details, "\"part\":\"its file\"");
	assert_int_equal(change(db, ACT, RUN_EVENT_DENY), -1);
	assert_int_equal(err.class, ERR_ALREADY_DECIDED);
	assert_non_null(strstr(err.message, "it is refused: its file"));
}

static void what_waits_already_is_not_asked_twice(void **state)
{
	struct db *db = *state;
	assert_int_equal(insert(db, "run-1", ACT, KEY), 0);
	assert_int_equal(insert(db, "run-2", "act-2", KEY), -1);
	assert_int_equal(err.class, ERR_CONFLICT);
	assert_int_equal(change(db, ACT, RUN_EVENT_EXPIRE), 0);
	assert_int_equal(insert(db, "run-2", "act-2", KEY), 0);
}

/* A call that asks for the same; the run that it is told of. */
struct call {
	struct str id;
	struct arena *arena;
	struct run told;
};

static int do_join(struct db_tx *tx, void *user, struct err *e)
{
	struct call *call = user;
	const struct run run = {.caller = {.id = S("user")}, .call_id = call->id};
	return run_join(tx, call->arena, &(struct run_new){.run = &run, .request_key = S(KEY)}, &call->told, e) == 1
		       ? 0
		       : -1;
}

static int found_by_call(struct db *db, struct arena *arena, const char *caller, struct str call_id, struct run *ret)
{
	struct db_tx *tx = db_read(db);
	int found = run_find_call(tx, arena, str_from(caller), call_id, ret, &err);
	db_done(tx);
	return found;
}

static void a_call_that_joined_finds_its_run_for_good(void **state)
{
	struct db *db = *state;
	AUTO(arena) *arena = arena_new();
	struct call first = {.id = S("call-1"), .arena = arena}, nameless = {.arena = arena};
	struct run run;
	assert_int_equal(db_write(db, do_join, &first, &err), -1); /* there is nothing to join */
	assert_int_equal(insert(db, "run-1", ACT, KEY), 0);
	assert_int_equal(found_by_call(db, arena, "user", first.id, &run), 0);
	assert_int_equal(db_write(db, do_join, &first, &err), 0);
	assert_int_equal(db_write(db, do_join, &nameless, &err), 0);
	assert_true(str_eq(first.told.id, S("run-1")) && str_eq(nameless.told.id, S("run-1")));
	assert_int_equal(change(db, ACT, RUN_EVENT_DENY), 0);
	assert_int_equal(found_by_call(db, arena, "user", first.id, &run), 1);
	assert_true(str_eq(run.id, S("run-1")) && run.state == RUN_DENIED);
	assert_int_equal(found_by_call(db, arena, "other", first.id, &run), 0);
	/* What waits now is another one, and not what that call is told of. */
	assert_int_equal(insert(db, "run-2", "act-2", KEY), 0);
	assert_int_equal(db_write(db, do_join, &first, &err), 0);
	assert_true(str_eq(first.told.id, S("run-1")));
}

static void a_run_is_known_by_so_many_calls(void **state)
{
	struct db *db = *state;
	AUTO(arena) *arena = arena_new();
	struct run run;
	assert_int_equal(insert(db, "run-1", ACT, KEY), 0);
	for (int i = 0; i <= RUN_JOINED_MAX; i++) {
		char id[16];
		snprintf(id, sizeof id, "call-%d", i);
		struct call call = {.id = str_from(id), .arena = arena};
		assert_int_equal(db_write_relaxed(db, do_join, &call, &err), 0);
		assert_true(str_eq(call.told.id, S("run-1")));
		assert_int_equal(found_by_call(db, arena, "user", call.id, &run), i < RUN_JOINED_MAX);
	}
}

static void twenty_wait_at_most(void **state)
{
	struct db *db = *state;
	char id[16], approval[16], key[33];
	for (int i = 0; i < RUN_PENDING_MAX; i++) {
		snprintf(id, sizeof id, "run-%d", i);
		snprintf(approval, sizeof approval, "act-%d", i);
		snprintf(key, sizeof key, "%032d", i);
		assert_int_equal(insert(db, id, approval, key), 0);
	}
	assert_int_equal(insert(db, "run-x", "act-x", KEY), -1);
	assert_int_equal(err.class, ERR_THROTTLED);
	/* What asks nobody is no part of it. */
	assert_int_equal(insert(db, "run-y", NULL, ""), 0);
	assert_int_equal(change(db, "act-3", RUN_EVENT_CANCEL), 0);
	assert_int_equal(insert(db, "run-x", "act-x", KEY), 0);
}

#define MANY 1200 /* more than one list of grants holds */

static int do_grant_many(struct db_tx *tx, void *user, struct err *e)
{
	(void)user;
	for (int i = 0; i < MANY; i++) {
		char id[16];
		snprintf(id, sizeof id, "grant-%d", i);
		const struct grant grant = {
			.id = str_from(id),
			.caller = S("user"),
			.session = i % 10 == 0 ? S("one") : S("two"),
			.action = S("send"),
			.bound = S("{}"),
			.issued_ns = 1000,
			.expires_ns = 9000,
		};
		if (grant_issue(tx, &grant, &person, e) < 0)
			return -1;
	}
	return 0;
}

static int do_end_many(struct db_tx *tx, void *user, struct err *e)
{
	const struct grant_end session = {.session = S("one"), .why = S("session"), .now_ns = 2000, .who = person};
	const struct grant_end all = {.why = S("lock"), .now_ns = 2000, .who = person};
	int64_t *ended = user;
	ended[0] = grant_end(tx, &session, e);
	ended[1] = grant_end(tx, &all, e);
	return ended[0] < 0 || ended[1] < 0 ? -1 : 0;
}

static int do_end_grants(struct db_tx *tx, void *user, struct err *e)
{
	const struct grant_end end = {.id = str_from(user), .why = S("revoked"), .now_ns = 2000, .who = person};
	return grant_end(tx, &end, e) == 1 ? 0 : -1;
}

static int do_grant(struct db_tx *tx, void *user, struct err *e)
{
	const uint64_t now = clock_wall_ns(NULL);
	const struct grant grant = {.id = str_from(user),
				    .caller = S("user"),
				    .session = S("one"),
				    .action = S("send"),
				    .bound = S("{}"),
				    .issued_ns = now,
				    .expires_ns = now + TIME_HOUR};
	return grant_issue(tx, &grant, &person, e);
}

static int do_run_under(struct db_tx *tx, void *user, struct err *e)
{
	const struct run run = {.id = S("run-granted"),
				.caller = {.id = S("user"), .name = S("user")},
				.action = S("send"),
				.action_version = S("1.0.0"),
				.action_hash = S("sha256:0"),
				.args = S("{}"),
				.state = RUN_RUNNING,
				.grant_id = str_from(user),
				.requested_ns = 1,
				.claimed_ns = 1};
	return run_insert(tx, &(struct run_new){.run = &run, .who = person}, e);
}

static void nothing_begins_under_a_grant_that_has_ended(void **state)
{
	struct db *db = *state;
	char ended[] = "grant-ended", held[] = "grant-held", unknown[] = "grant-unknown";
	assert_int_equal(db_write(db, do_grant, ended, &err), 0);
	assert_int_equal(db_write(db, do_grant, held, &err), 0);
	assert_int_equal(db_write(db, do_end_grants, ended, &err), 0);
	assert_int_equal(db_write(db, do_run_under, ended, &err), -1);
	assert_int_equal(err.class, ERR_CONFLICT);
	assert_int_equal(db_write(db, do_run_under, unknown, &err), -1);
	assert_int_equal(db_write(db, do_run_under, held, &err), 0);
}

static void a_lock_ends_every_grant_however_many(void **state)
{
	struct db *db = *state;
	AUTO(arena) *arena = arena_new();
	struct grant_list list = {0};
	int64_t ended[2] = {0};
	assert_int_equal(db_write(db, do_grant_many, NULL, &err), 0);
	assert_int_equal(db_write(db, do_end_many, ended, &err), 0);
	assert_int_equal(ended[0], MANY / 10);
	assert_int_equal(ended[1], MANY - MANY / 10);
	struct db_tx *tx = db_read(db);
	assert_int_equal(grant_list(tx, arena, 2000, &list, NULL), 0);
	db_done(tx);
	assert_int_equal(list.n, 0);
}

static int do_interrupt(struct db_tx *tx, void *user, struct err *e)
{
	(void)user;
	return run_interrupt_open(tx, 9000, e);
}

/* One in each state that is not an end; a kill; what each is then. */
static void a_kill_leaves_what_was_promised(void **state)
{
	struct db *db = *state;
	AUTO(arena) *arena = arena_new();
	static const struct {
		const char *id, *key;
		enum run_event path[3]; /* RUN_EVENT__MAX ends it */
		enum run_state then;
	} rows[] = {
		{"act-p", "00000000000000000000000000000001", {RUN_EVENT__MAX}, RUN_PENDING_APPROVAL},
		{"act-q", "00000000000000000000000000000002", {RUN_EVENT_APPROVE, RUN_EVENT__MAX}, RUN_QUEUED},
		{"act-a",
		 "00000000000000000000000000000003",
		 {RUN_EVENT_APPROVE, RUN_EVENT_AWAIT, RUN_EVENT__MAX},
		 RUN_AWAITING_VAULT},
		{"act-r",
		 "00000000000000000000000000000004",
		 {RUN_EVENT_APPROVE, RUN_EVENT_CLAIM, RUN_EVENT__MAX},
		 RUN_OUTCOME_UNKNOWN},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(insert(db, rows[i].id + 4, rows[i].id, rows[i].key), 0);
		for (const enum run_event *event = rows[i].path; *event != RUN_EVENT__MAX; event++)
			assert_int_equal(change(db, rows[i].id, *event), 0);
	}
	assert_int_equal(insert(db, "ungated", NULL, ""), 0);
	assert_int_equal(db_write(db, do_interrupt, NULL, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(find(db, arena, rows[i].id).state, rows[i].then);
	struct run run = find(db, arena, "ungated");
	assert_int_equal(run.state, RUN_OUTCOME_UNKNOWN);
	run_get_error(run.error, &err);
	assert_int_equal(err.class, ERR_OUTCOME_UNKNOWN);
	assert_non_null(strstr(err.details, "\"reason\":\"interrupted\""));
	assert_non_null(strstr(err.details, "\"ran\":\"maybe\""));
	/* And again: what has ended stays. */
	assert_int_equal(db_write(db, do_interrupt, NULL, &err), 0);
	assert_int_equal(find(db, arena, "act-q").state, RUN_QUEUED);
}

static void the_first_wait_for_the_vault_says_until_when(void **state)
{
	struct db *db = *state;
	assert_int_equal(insert(db, "run-1", ACT, KEY), 0);
	assert_int_equal(change(db, ACT, RUN_EVENT_APPROVE), 0);
	assert_int_equal(change(db, ACT, RUN_EVENT_AWAIT), 0);
	assert_int_equal(change(db, ACT, RUN_EVENT_RESUME), 0);
	struct run_change again = {
		.id = S(ACT), .event = RUN_EVENT_AWAIT, .now_ns = 2500, .who = person, .awaits_until_ns = 8000};
	assert_int_equal(db_write(db, do_change, &again, &err), 0);
	uint64_t due = 0;
	struct db_tx *tx = db_read(db);
	assert_int_equal(run_next_due(tx, &due, NULL), 0);
	db_done(tx);
	assert_int_equal(due, 3000);
}

/* -------------------------------------------------------------------------------------------------------------- digest */

static struct approval_parts some_parts(void)
{
	static const struct str hosts[] = {{"a:443", 5}};
	static const struct approval_connector connectors[] = {
		{.name = {"github://a/\"b\\\n", 14}, .hash = {"sha256:11", 9}, .hosts = hosts, .n_hosts = 1}};
	static const struct approval_binding bindings[] = {{{"c", 1}, {"api_key/x/y", 11}, 7}};
	return (struct approval_parts){
		.caller = S("user"),
		.session = S(""),
		.action = S("send"),
		.action_hash = S("sha256:00"),
		.connectors = connectors,
		.n_connectors = 1,
		.bindings = bindings,
		.n_bindings = 1,
		.policy = S("sha256:22"),
		.expires_ns = UINT64_C(1767225600123456789),
		.args = S("{\"a\":1.5,\"b\":\"x\"}"),
	};
}

static struct str text_of(struct arena *arena, const struct approval_parts *parts, enum approval_text what)
{
	AUTO_BUF text = BUF_INIT(APPROVAL_BOUND_MAX);
	assert_int_equal(approval_bound(parts, what, &text, NULL), 0);
	return arena_str(arena, buf_str(&text));
}

static void the_text_is_canonical(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	const struct approval_parts parts = some_parts();
	for (int what = APPROVAL_TEXT_DIGEST; what <= APPROVAL_TEXT_GRANT; what++) {
		struct str text = text_of(arena, &parts, (enum approval_text)what);
		AUTO(json) *json = json_parse(text, JSON_READ_STRICT, &err);
		assert_non_null(json);
		AUTO_BUF canonical = BUF_INIT(APPROVAL_BOUND_MAX);
		assert_int_equal(jcs_write(&canonical, json, JCS_STRICT, &err), 0);
		assert_true(str_eq(text, buf_str(&canonical)));
	}
}

static void each_part_makes_another_digest_and_is_named(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	const struct approval_parts parts = some_parts();
	struct str then = text_of(arena, &parts, APPROVAL_TEXT_DIGEST);
	assert_int_equal(approval_difference(arena, then, then).n, 0);
	for (int i = 0; i < 9; i++) {
		struct approval_parts other = parts;
		struct approval_connector connector = parts.connectors[0];
		struct approval_binding binding = parts.bindings[0];
		const char *words[] = {"the action", "the action's file", "who asks",  "the session", "the settings",
				       "the time",   "the arguments",     "connector", "binding"};
		struct str *texts[] = {&other.action, &other.action_hash, &other.caller, &other.session, &other.policy};
		if (i < 5)
			*texts[i] = S("another");
		else if (i == 5)
			other.expires_ns += 1000000;
		else if (i == 6)
			other.args = S("{\"a\":1.5,\"b\":\"y\"}");
		else if (i == 7)
			connector.hash = S("sha256:33");
		else
			binding.generation = 8;
		other.connectors = &connector;
		other.bindings = &binding;
		struct str now = text_of(arena, &other, APPROVAL_TEXT_DIGEST);
		unsigned char a[APPROVAL_DIGEST], b[APPROVAL_DIGEST];
		approval_digest(then, a);
		approval_digest(now, b);
		assert_memory_not_equal(a, b, sizeof a);
		assert_true(str_starts(approval_difference(arena, then, now), str_from(words[i])));
	}
}

static void errors_come_back(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(RUN_ERROR_MAX);
	struct err back;
	err_clear(&err);
	(fail)(&err, ERR_NETWORK_ERROR, "no \"way\" there");
	err_detail(&err, "step", S("one"));
	run_put_error(&text, &err);
	run_get_error(buf_str(&text), &back);
	assert_int_equal(back.class, ERR_NETWORK_ERROR);
	assert_string_equal(back.message, "no \"way\" there");
	assert_string_equal(back.details, "\"step\":\"one\"");
	assert_true(back.retriable);
	assert_int_equal(back.boundary, BOUNDARY_EXTERNAL);
	run_get_error(S("nonsense"), &back);
	assert_int_equal(back.class, ERR_INTERNAL);
}

#define WITH_DB(test) cmocka_unit_test_setup_teardown(test, fixture_start, fixture_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_in_every_state),
		cmocka_unit_test(states_have_names),
		cmocka_unit_test(nothing_that_must_not_be_can_be_reached),
		WITH_DB(who_comes_second_is_told),
		WITH_DB(who_approves_what_was_refused_is_told_the_part),
		WITH_DB(what_waits_already_is_not_asked_twice),
		WITH_DB(a_call_that_joined_finds_its_run_for_good),
		WITH_DB(a_run_is_known_by_so_many_calls),
		WITH_DB(twenty_wait_at_most),
		WITH_DB(a_lock_ends_every_grant_however_many),
		WITH_DB(nothing_begins_under_a_grant_that_has_ended),
		WITH_DB(a_kill_leaves_what_was_promised),
		WITH_DB(the_first_wait_for_the_vault_says_until_when),
		cmocka_unit_test(the_text_is_canonical),
		cmocka_unit_test(each_part_makes_another_digest_and_is_named),
		cmocka_unit_test(errors_come_back),
	};
	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
