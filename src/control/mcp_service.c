#include "control/mcp_service.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/time.h"
#include "base/version.h"
#include "control/actions.h"
#include "control/agents.h"
#include "control/answer.h"
#include "control/dispatch.h"
#include "control/mcp_calls.h"
#include "control/mcp_guests.h"
#include "control/mcp_tasks.h"
#include "control/mcp_tools.h"
#include "control/mcp_turns.h"
#include "control/runs.h"
#include "control/tokens.h"
#include "control/workers.h"
#include "mcp/http/door.h"
#include <stdatomic.h>
#include <stdlib.h>

#define TICK_MS          1000
#define STOPPING_TICK_MS 20
#define SWEEP_NS         (UINT64_C(3600) * TIME_SECOND) /* between two sweeps of tasks */
#define LIST_TTL         (UINT64_C(60) * 1000)          /* ms that a client of 2026-07-28 may keep the list of tools */

#define INSTRUCTIONS                                                                                                   \
	"Tools are actions that a person installed in Aileron; credentials are never visible here. Some need a "       \
	"person's "                                                                                                    \
	"approval: they answer status \"pending_approval\" with a message to show to the user word for word, and run " \
	"by "                                                                                                          \
	"themselves after approval; ask check_action_status then. If tools are missing, call aileron_diagnostics."

struct mcp_service {
	struct control *control;
	struct mcp *mcp;
	struct mcp_door *door;
	struct mcp_guests *guests;
	struct mcp_turns *turns;
	struct loop_source *wakeup, *tick, *patience;
	struct mcp_tool_list *tools; /* of the newest set that was asked for */
	struct http_exchange *waiting[MCP_WAITING_MAX];
	size_t n_waiting;
	bool is_ready;
	_Atomic bool has_tasks; /* some run may have one */
	_Atomic bool stopping;
	_Atomic bool revoked; /* some agent was, whose streams are still open */
	uint64_t swept_ns;    /* monotonic; when what is over was last forgotten */
};

/* ------------------------------------------------------------------------------------------------------------ tools */

struct str mcp_service_folder(struct mcp_service *service, struct arena *arena, struct str session)
{
	struct str folder = STR_EMPTY;
	if (mcp_guests_folder(service->guests, arena, session, &folder))
		return folder;
	struct db_tx *tx = db_read(service->control->db);
	struct db_stmt *q = db_stmt(tx, "SELECT working_dir FROM sessions WHERE id = ?");
	db_bind_str(q, session);
	if (db_step(q, NULL) == 1)
		folder = arena_str(arena, db_str(q, 0));
	db_finish(q);
	db_done(tx);
	return folder;
}

static const struct mcp_tools *hold_tools(void *user)
{
	struct mcp_service *service = user;
	struct actions *actions = service->control->actions;
	const struct action_set *set = actions_hold(actions);
	const struct mcp_tools *now = (const struct mcp_tools *)service->tools;
	if (now == NULL || now->generation != set->generation) {
		mcp_tool_list_release(now);
		service->tools = mcp_tool_list_new(set);
	}
	actions_release(set);
	return mcp_tool_list_hold(service->tools);
}

static void release_tools(void *user, const struct mcp_tools *tools)
{
	(void)user;
	mcp_tool_list_release(tools);
}

static void serve_call(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	struct mcp_service *service = user;
	agents_note_use(service->control->agents, mcp_call_caller(call)->id);
	mcp_calls_serve(service->control, call, answer);
	if (answer->kind == MCP_ANSWER_TASK)
		service->has_tasks = true;
}

static bool get_task(void *user, const struct mcp_caller *caller, struct str id, struct mcp_answer *answer)
{
	return mcp_tasks_get(((struct mcp_service *)user)->control, caller, id, answer);
}

static bool update_task(void *user, const struct mcp_caller *caller, struct str id, const struct json *inputs)
{
	return mcp_tasks_update(((struct mcp_service *)user)->control, caller, id, inputs);
}

static bool cancel_task(void *user, const struct mcp_caller *caller, struct str id)
{
	return mcp_tasks_cancel(((struct mcp_service *)user)->control, caller, id);
}

/* --------------------------------------------------------------------------------------------- what happens elsewhere */

/* Any thread. */
static void actions_changed(void *user)
{
	struct mcp_service *service = user;
	mcp_changed(service->mcp, MCP_TOOLS);
	loop_wake(service->wakeup);
}

static void agent_revoked(void *user, struct str id)
{
	(void)id;
	struct mcp_service *service = user;
	service->revoked = true;
	loop_wake(service->wakeup);
}

struct change {
	struct mcp_service *service;
	char run[RUN_ID_SIZE];
};

static void tell_change(void *user)
{
	AUTO_FREE struct change *change = user;
	mcp_tasks_tell(change->service->control, change->service->mcp, str_from(change->run));
}

/* Any thread; may not wait. */
static void run_changed(void *user, struct str run, enum run_state state)
{
	struct mcp_service *service = user;
	if (!service->has_tasks || state == RUN_RUNNING || run.n >= RUN_ID_SIZE)
		return;
	struct change *change = NEW(struct change);
	change->service = service;
	memcpy(change->run, run.p, run.n);
	if (!workers_add(service->control->workers, tell_change, change))
		free(change); /* a client that listens still asks now and then */
}

static bool run_on_worker(void *user, const struct mcp_caller *caller, void (*work)(void *job), void *job)
{
	struct mcp_service *service = user;
	return mcp_turns_add(service->turns, caller->id, work, job);
}

static void wake(void *user)
{
	struct mcp_service *service = user;
	loop_wake(service->wakeup);
}

/* ----------------------------------------------------------------------------------------------------------- the path */

bool mcp_service_is_path(struct str path)
{
	return str_eq(path, S(MCP_PATH));
}

static bool identify(struct mcp_service *service, const struct http_exchange *x, struct identity *ret)
{
	struct str scheme, token = str_cut(http_header(x, S("Authorization")), ' ', &scheme);
	return str_eq_fold(scheme, S("Bearer")) && agents_identify(service->control->agents, token, ret);
}

/* What a stranger sends is read a little, so that he is told what is missing in the way that clients understand. */
bool mcp_service_admits(struct mcp_service *service, const struct http_exchange *x, uint64_t *ret_max)
{
	struct identity identity;
	*ret_max = identify(service, x, &identity) ? MCP_MESSAGE_MAX : DISPATCH_OPEN_BODY_MAX;
	return true;
}

static void refuse_stranger(struct http_exchange *x)
{
	struct err err = {0};
	bool missing = http_header(x, S("Authorization")).n == 0;
	fail(&err, ERR_UNAUTHORIZED,
	     "/mcp needs an agent's token, and takes no other; run `aileron mcp token NAME` or `aileron mcp install`");
	const struct answer_failure failure = {
		.envelope = API_CRUD,
		.err = &err,
		.further = {S("WWW-Authenticate"),
			    missing ? S("Bearer realm=\"aileron\"") : S("Bearer error=\"invalid_token\"")},
	};
	answer_failure(x, &failure);
}

static void refuse(struct http_exchange *x, const struct err *err)
{
	const struct answer_failure failure = {.envelope = API_CRUD, .err = err};
	answer_failure(x, &failure);
}

static void admit_agent(struct mcp_service *service, struct http_exchange *x, const struct identity *identity)
{
	struct err err = {0};
	if (str_eq_fold(http_upgrade_asked(x), S(MCP_GUESTS_PROTOCOL))) {
		if (mcp_guests_take(service->guests, x, identity, &err) < 0)
			refuse(x, &err);
		return;
	}
	bool launched = identity->session[0] != '\0';
	const struct mcp_caller caller = {
		.id = str_from(identity->agent),
		.name = str_from(identity->agent_name),
		.session = str_from(launched ? identity->session : identity->agent),
	};
	mcp_door_serve(service->door, x, &caller);
}

static void admit(struct mcp_service *service, struct http_exchange *x)
{
	struct identity identity;
	if (!identify(service, x, &identity)) {
		refuse_stranger(x);
		return;
	}
	agents_note_use(service->control->agents, str_from(identity.agent));
	admit_agent(service, x, &identity);
}

/* ------------------------------------------------------------------------------------------------- until there are tools */

static void become_ready(struct mcp_service *service)
{
	service->is_ready = true;
	loop_timer_stop(service->patience);
	for (size_t i = 0; i < service->n_waiting; i++)
		admit(service, service->waiting[i]);
	service->n_waiting = 0;
}

static bool has_set(struct mcp_service *service)
{
	const struct action_set *set = actions_hold(service->control->actions);
	bool has = set->generation > 0;
	actions_release(set);
	return has;
}

static void on_patience(void *user, int what)
{
	(void)what;
	become_ready(user);
}

void mcp_service_serve(struct mcp_service *service, struct http_exchange *x)
{
	if (!service->is_ready && has_set(service))
		become_ready(service);
	if (service->is_ready) {
		admit(service, x);
		return;
	}
	if (service->n_waiting == MCP_WAITING_MAX) {
		struct err err = {0};
		fail(&err, ERR_UNAVAILABLE, "the daemon is starting; try again in a moment");
		refuse(x, &err);
		return;
	}
	service->waiting[service->n_waiting++] = x;
	if (service->n_waiting == 1) /* starting it anew would make the first wait for as long as others come */
		loop_timer_start(service->patience, MCP_FIRST_SET_MS, 0);
}

/* -------------------------------------------------------------------------------------------------------- life cycle */

static bool may_not_ask(void *user, struct str id)
{
	const struct mcp_service *service = user;
	return !agents_is_valid(service->control->agents, id);
}

static void on_wakeup(void *user, int what)
{
	(void)what;
	struct mcp_service *service = user;
	if (!service->is_ready && has_set(service))
		become_ready(service);
	mcp_guests_look(service->guests);
	if (atomic_exchange(&service->revoked, false))
		mcp_end_callers(service->mcp, may_not_ask, service);
	mcp_tick(service->mcp);
}

static void swept(void *user, const struct err *err)
{
	(void)user;
	if (err != NULL)
		log_warn("tasks_not_swept", log_err(err));
}

static void on_tick(void *user, int what)
{
	struct mcp_service *service = user;
	uint64_t now = clock_monotonic_ns(NULL);
	if (now - service->swept_ns >= SWEEP_NS) {
		service->swept_ns = now;
		db_write_later(service->control->db, mcp_tasks_sweep, NULL, swept);
	}
	on_wakeup(user, what);
}

struct key {
	unsigned char bytes[MCP_KEY_SIZE];
};

/* Made once: ids of sessions of HTTP stay good over restarts, which clients do not recover from. */
static int read_or_make_key(struct db_tx *tx, void *user, struct err *err)
{
	struct key *key = user;
	struct db_stmt *q = db_stmt(tx, "SELECT key FROM mcp_key");
	int got = db_step(q, err);
	if (got == 1 && db_blob(q, 0).n == sizeof key->bytes)
		memcpy(key->bytes, db_blob(q, 0).p, sizeof key->bytes);
	db_finish(q);
	if (got != 0)
		return got < 0 ? -1 : 0;
	rand_bytes(key->bytes, sizeof key->bytes);
	struct db_stmt *insert = db_stmt(tx, "INSERT INTO mcp_key (key) VALUES (?)");
	db_bind_blob(insert, str_of(key->bytes, sizeof key->bytes));
	return db_run(insert, err) < 0 ? -1 : 0;
}

static bool are_there_tasks(struct db *db)
{
	struct db_tx *tx = db_read(db);
	struct db_stmt *q = db_stmt(tx, "SELECT 1 FROM tasks LIMIT 1");
	bool are = db_step(q, NULL) == 1;
	db_finish(q);
	db_done(tx);
	return are;
}

static int start_core(struct mcp_service *service, struct err *err)
{
	struct control *control = service->control;
	struct key key;
	if (db_write(control->db, read_or_make_key, &key, err) < 0 ||
	    db_write(control->db, mcp_tasks_sweep, NULL, err) < 0)
		return -1;
	service->swept_ns = clock_monotonic_ns(NULL);
	const struct mcp_backend backend = {
		.user = service,
		.name = S("aileron"),
		.title = S("Aileron"),
		.version = S(AILERON_VERSION),
		.instructions = S(INSTRUCTIONS),
		.logging = true,
		.lists_change = true,
		.ttl_ms = LIST_TTL,
		.extensions =
			mcp_tasks_are_drafted(control) ? S("\"io.modelcontextprotocol/tool-approval\":{}") : STR_EMPTY,
		.tools_hold = hold_tools,
		.tools_release = release_tools,
		.tools_call = serve_call,
		.task_get = get_task,
		.task_update = update_task,
		.task_cancel = cancel_task,
	};
	struct mcp_options options = {.backend = &backend, .run = run_on_worker, .wake = wake, .user = service};
	memcpy(options.key, key.bytes, sizeof options.key);
	service->has_tasks = are_there_tasks(control->db);
	service->mcp = mcp_new(&options);
	mem_wipe(&options, sizeof options);
	mem_wipe(&key, sizeof key);
	return 0;
}

struct mcp_service *mcp_service_new(struct control *control, struct err *err)
{
	AUTO(mcp_service) *service = NEW(struct mcp_service);
	service->control = control;
	service->turns = mcp_turns_new(control->workers);
	service->wakeup = loop_wakeup(control->loop, on_wakeup, service, err);
	if (service->wakeup == NULL || start_core(service, err) < 0)
		return NULL;
	service->tick = loop_timer(control->loop, on_tick, service);
	loop_source_background(service->tick);
	loop_timer_start(service->tick, TICK_MS, TICK_MS);
	service->patience = loop_timer(control->loop, on_patience, service);
	service->door = mcp_door_new(service->mcp);
	service->guests = mcp_guests_new(control, service->mcp, service->wakeup);
	actions_on_change(control->actions, actions_changed, service);
	agents_on_revoke(control->agents, agent_revoked, service);
	runs_on_change(control->runs, run_changed, service);
	return TAKE(service);
}

bool mcp_service_is_stopping(const struct mcp_service *service)
{
	return service->stopping;
}

void mcp_service_stop(struct mcp_service *service)
{
	service->stopping = true;
	become_ready(service);
	mcp_end_streams(service->mcp);
	mcp_guests_stop(service->guests);
	loop_timer_start(service->tick, STOPPING_TICK_MS, STOPPING_TICK_MS);
}

void mcp_service_free(struct mcp_service *service)
{
	if (service == NULL)
		return;
	mcp_guests_free(service->guests);
	mcp_door_free(service->door);
	mcp_free(service->mcp);
	mcp_turns_free(service->turns);
	mcp_tool_list_release((const struct mcp_tools *)service->tools);
	loop_source_free(service->tick);
	loop_source_free(service->patience);
	loop_source_free(service->wakeup);
	free(service);
}
