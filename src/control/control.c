#include "control/control.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/time.h"
#include "base/version.h"
#include "control/agents.h"
#include "control/actions.h"
#include "control/audit_service.h"
#include "control/calls.h"
#include "control/dispatch.h"
#include "control/execution.h"
#include "control/gateway.h"
#include "control/handlers.h"
#include "control/holds.h"
#include "control/held_connectors.h"
#include "control/known_connectors.h"
#include "control/keeper_client.h"
#include "control/mcp_service.h"
#include "control/mcp_turns.h"
#include "control/oauth.h"
#include "control/parent_client.h"
#include "control/processes.h"
#include "control/runs.h"
#include "control/sessions.h"
#include "control/spans.h"
#include "control/tokens.h"
#include "control/credential_uses.h"
#include "control/vault_watch.h"
#include "control/workers.h"
#include "egress/egress_protocol.h"
#include "text/json_members.h"
#include <sys/stat.h>
#include <unistd.h>

#define DATABASE      "aileron.db"
#define COMPILED      "compiled" /* the folder of compiled code, made by the parent */
#define READERS       16         /* of the database: streams hold one for long, the loop's thread must find one */
#define SPANS_POST_NS (10 * TIME_SECOND) /* for a collector to answer */
#define ORPHAN_END_MS 1000               /* to finish in when the parent has ended */
#define JOIN_MS       3000               /* for workers to end after their time is over */

_Static_assert(MCP_TURNS_MAX + CONTROL_WAITERS + CONTROL_WATCHERS + AUDIT_FOLLOWERS < CONTROL_WORKERS,
	       "what may hold a worker for long leaves some");

/* What the loop's thread needs beside struct control. */
struct running {
	struct control control;
	struct loop_source *patience; /* the time that workers have to end */
	uint64_t stop_ns;             /* until when what is under way may finish; monotonic */
	bool stopping, joined;
};

/* ------------------------------------------------------------------------------------------------- started, stopped */

struct record {
	const struct control *control;
	enum audit_type type;
};

static int record(struct db_tx *tx, const struct record *record, struct err *err)
{
	const struct supervise_start *start = record->control->start;
	AUTO_BUF payload = BUF_INIT(4 * KIB);
	struct json_writer w;
	jsonw_init(&w, &payload, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str(&w, "aileron.daemon.instance_id", supervise_setting(start, SETTING_INSTANCE_ID));
	member_str(&w, "aileron.daemon.listen", supervise_setting(start, SETTING_LISTEN));
	member_z(&w, "aileron.daemon.version", AILERON_VERSION);
	jsonw_end_object(&w);
	struct audit_event event = audit_of_service(record->type, "daemon");
	event.payload_text = buf_str(&payload);
	return audit_append(tx, &event, NULL, NULL, err);
}

struct search {
	struct str needle;
	bool found;
};

static int search_row(void *user, uint64_t seq, struct str text)
{
	(void)seq;
	struct search *search = user;
	search->found = str_find(text, search->needle) != STR_NPOS;
	return 1;
}

/* Of this daemon: a control that follows one that crashed starts no daemon. */
static int was_started(struct db_tx *tx, const struct control *control, bool *ret, struct err *err)
{
	struct search search = {.needle = supervise_setting(control->start, SETTING_INSTANCE_ID)};
	const struct audit_query query = {.type = str_from(audit_type_name(AUDIT_DAEMON_STARTED)), .limit = 1};
	if (audit_list(tx, &query, search_row, &search, err) < 0)
		return -1;
	*ret = search.found;
	return 0;
}

static int record_start(struct db_tx *tx, void *user, struct err *err)
{
	const struct control *control = user;
	bool started = false;
	if (was_started(tx, control, &started, err) < 0)
		return -1;
	const struct record event = {.control = control, .type = AUDIT_DAEMON_STARTED};
	return started ? 0 : record(tx, &event, err);
}

static int record_stop(struct db_tx *tx, void *user, struct err *err)
{
	const struct record event = {.control = user, .type = AUDIT_DAEMON_STOPPED};
	return record(tx, &event, err);
}

static void start_recorded(void *user, const struct err *err)
{
	(void)user;
	if (err != NULL)
		log_error("daemon_start_not_recorded", log_err(err));
}

/* --------------------------------------------------------------------------------------------------------- stopping */

static void stop_loop(void *user, int what)
{
	(void)what;
	struct running *running = user;
	loop_stop(running->control.loop);
}

static void join_workers(void *user)
{
	struct running *running = user;
	workers_finish(running->control.workers);
	runs_stop(running->control.runs);
}

static void workers_joined(void *user)
{
	struct running *running = user;
	running->joined = true;
	loop_stop(running->control.loop);
}

/* What a person approved runs for nobody's answer: it has the rest of the time. */
static void settle_runs(void *user)
{
	struct running *running = user;
	runs_settle(running->control.runs, running->stop_ns);
}

/* All is done, or the time is over: whoever still works gives up, and has the loop until then. */
static void settled(void *user)
{
	struct running *running = user;
	struct control *control = &running->control;
	control->over = true;
	keeper_client_close(control->keeper);
	parent_client_close(control->parent);
	loop_timer_start(running->patience, JOIN_MS, 0);
	loop_work(control->loop, join_workers, workers_joined, running);
}

static void drained(void *user)
{
	struct running *running = user;
	loop_work(running->control.loop, settle_runs, settled, running);
}

static void on_stop(void *user, uint64_t ms)
{
	struct running *running = user;
	if (running->stopping)
		return;
	running->stopping = true;
	running->stop_ns = clock_monotonic_ns(NULL) + ms * TIME_MILLISECOND;
	log_info("control_stopping", log_u64("ms", ms));
	runs_drain(running->control.runs);
	audit_service_stop(running->control.audit);
	spans_flush(running->control.spans);
	mcp_service_stop(running->control.mcp);
	holds_stop(running->control.holds);
	http_server_drain(running->control.http, ms, drained, running);
}

static void on_gone(void *user)
{
	on_stop(user, ORPHAN_END_MS);
}

/* -------------------------------------------------------------------------------------------- what the parent tells */

static void on_peer(void *user, enum supervise_role role, int fd)
{
	struct running *running = user;
	struct err err;
	err_clear(&err);
	if (role == SUPERVISE_EGRESS)
		calls_attach_egress(running->control.calls, fd);
	else if (keeper_client_attach(running->control.keeper, fd, &err) < 0)
		log_error("keeper_not_attached", log_err(&err));
	/* A new keeper's vault is locked, however its last one's was. */
	if (role == SUPERVISE_KEEPER)
		runs_tell_vault(running->control.runs, false);
}

static void on_gateway(void *user, int fd)
{
	struct running *running = user;
	gateway_attach(running->control.gateway, fd);
}

static void on_child(void *user, const struct supervise_child *child)
{
	struct running *running = user;
	processes_told(running->control.processes, child);
}

static void on_crashed(void *user, struct str connector, struct str how)
{
	struct running *running = user;
	processes_runner_crashed(running->control.processes, connector, how);
}

static void on_changed(void *user, uint32_t watch)
{
	struct running *running = user;
	actions_told(running->control.actions, watch);
	held_connectors_told(running->control.held, watch);
}

static void on_vault(void *user, bool unlocked)
{
	runs_tell_vault(user, unlocked);
}

/* --------------------------------------------------------------------------------------------------------- starting */

/* The parent passes /dev/null for a listener that there is none of. */
static int listener_or_none(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? fd : -1;
}

static int start_http(struct control *control, struct err *err)
{
	struct str listen = supervise_setting(control->start, SETTING_LISTEN);
	size_t colon = str_find_last_char(listen, ':');
	struct str port = colon == STR_NPOS ? STR_EMPTY : str_slice(listen, colon, listen.n);
	AUTO(arena) *arena = arena_new();
	const struct str hosts[] = {
		arena_printf(arena, "127.0.0.1%.*s", STR_FMT(port)),
		arena_printf(arena, "localhost%.*s", STR_FMT(port)),
		arena_printf(arena, "[::1]%.*s", STR_FMT(port)),
	};
	const struct http_server_options options = {
		.loop = control->loop,
		.tcp_fd = listener_or_none(CONTROL_FD_TCP),
		.unix_fd = listener_or_none(CONTROL_FD_UNIX),
		.hosts = hosts,
		.n_hosts = ARRAY_LEN(hosts),
		.handler = dispatch,
		.admit_body = dispatch_admit_body,
		.user = control->dispatcher,
	};
	control->http = http_server_new(&options, err);
	return control->http != NULL ? 0 : -1;
}

static int start_tokens(struct control *control, struct err *err)
{
	const struct tokens_spec spec = {
		.daemon_token = supervise_setting(control->start, SETTING_TOKEN),
		.caveat_key = supervise_setting(control->start, SETTING_CAVEAT_KEY),
		.instance = supervise_setting(control->start, SETTING_INSTANCE_ID),
		.address = supervise_setting(control->start, SETTING_LISTEN),
		.db = control->db,
		.agents = control->agents,
		.sessions = control->sessions,
	};
	if (spec.daemon_token.n == 0 || spec.caveat_key.n == 0)
		return fail(err, ERR_PROTOCOL, "the parent gave no keys");
	control->tokens = tokens_new(&spec, err);
	supervised_forget(control->start, SETTING_TOKEN);
	supervised_forget(control->start, SETTING_CAVEAT_KEY);
	return control->tokens != NULL ? 0 : -1;
}

static int end_sessions(struct db_tx *tx, void *user, struct err *err)
{
	const struct control *control = user;
	return session_reap(tx, control->started_ns, clock_wall_ns(NULL), err) < 0 ? -1 : 0;
}

static int start_store(struct control *control, struct err *err)
{
	const struct db_options options = {.name = DATABASE, .readers = READERS};
	control->db = db_open(&options, err);
	if (control->db == NULL)
		return wrap(err, "opening the database in '%.*s/control'",
			    STR_FMT(supervise_setting(control->start, SETTING_STATE_DIR)));
	control->executions = executions_new(control->db);
	/* Before anything new can begin, and anybody take up what he had. */
	if (execution_interrupt_open(control->db, err) < 0)
		return -1;
	return db_write(control->db, end_sessions, control, err);
}

static int start_links(struct running *running, struct err *err)
{
	struct control *control = &running->control;
	const struct keeper_listener keeper = vault_watch_listener(control->vault);
	control->keeper = keeper_client_new(control->loop, &keeper);
	const struct parent_listener parent = {on_peer,    on_child, on_stop,    on_gone,
					       on_changed, running,  on_gateway, on_crashed};
	control->parent = parent_client_new(control->loop, &parent, err);
	if (control->parent == NULL)
		return -1;
	control->calls = calls_new(parent_launcher(control->parent), COMPILED,
				   supervise_setting(control->start, SETTING_ALLOWED), err);
	return control->calls != NULL ? 0 : -1;
}

/* To the user's collector, by egress. */
static int post_spans(void *user, struct str body, struct err *err)
{
	struct control *control = user;
	struct str endpoint = supervise_setting(control->start, SETTING_OTLP_ENDPOINT);
	while (str_ends(endpoint, S("/")))
		endpoint.n--;
	AUTO(arena) *arena = arena_new();
	const struct egress_post post = {
		.url = arena_printf(arena, "%.*s/v1/traces", STR_FMT(endpoint)),
		.content_type = S("application/json"),
		.body = body,
		.left_ns = SPANS_POST_NS,
	};
	int status = 0;
	return calls_post(control->calls, &post, &status, err) < 0 ? -1 : status;
}

static int start_spans(struct control *control, struct err *err)
{
	if (supervise_setting(control->start, SETTING_OTLP_ENDPOINT).n == 0)
		return 0;
	const struct spans_spec spec = {
		.loop = control->loop,
		.workers = control->workers,
		.resource = {.name = supervise_setting(control->start, SETTING_OTLP_SERVICE),
			     .version = S(AILERON_VERSION),
			     .instance = supervise_setting(control->start, SETTING_INSTANCE_ID)},
		.send = post_spans,
		.user = control,
	};
	control->spans = spans_new(&spec, err);
	return control->spans != NULL ? 0 : -1;
}

static int start_up(struct running *running, struct err *err)
{
	struct control *control = &running->control;
	control->started_ns = supervise_setting_u64(control->start, SETTING_STARTED_AT, clock_wall_ns(NULL));
	control->loop = loop_new(err);
	if (control->loop == NULL)
		return -1;
	running->patience = loop_timer(control->loop, stop_loop, running);
	loop_source_background(running->patience);
	if (start_store(control, err) < 0)
		return -1;
	control->agents = agents_new(control->db, NULL, err);
	if (control->agents == NULL)
		return -1;
	control->sessions = sessions_new(control->loop, control->db, control->agents, err);
	if (control->sessions == NULL || start_tokens(control, err) < 0)
		return -1;
	control->processes = processes_new(control->db);
	control->uses = credential_uses_new();
	control->vault = vault_watch_new(control->db, control->uses);
	control->actions = actions_new(control);
	control->held = held_connectors_new(control);
	control->known = known_connectors_new();
	control->runs = runs_new(control, err);
	if (control->runs == NULL)
		return -1;
	vault_watch_on_change(control->vault, on_vault, control->runs);
	control->workers = workers_new(CONTROL_WORKERS, CONTROL_WAITING_MAX);
	control->oauth = oauth_flows_new(NULL);
	control->dispatcher = dispatcher_new(control, control_handlers);
	control->gateway = gateway_new(control, err);
	if (control->gateway == NULL)
		return -1;
	control->audit = audit_service_new(control, err);
	if (control->audit == NULL || start_links(running, err) < 0 || start_spans(control, err) < 0)
		return -1;
	control->mcp = mcp_service_new(control, err);
	control->holds = holds_new(control, err);
	if (control->mcp == NULL || control->holds == NULL || start_http(control, err) < 0)
		return -1;
	db_write_later(control->db, record_start, control, start_recorded);
	/* The parent takes no requests before. */
	if (supervised_ready(STR_EMPTY, err) < 0 || actions_start(control->actions, err) < 0)
		return -1;
	return runs_start(control->runs, err);
}

/* Of whatever was started. No worker is left. */
static void tear_down(struct running *running)
{
	struct control *control = &running->control;
	actions_stop(control->actions); /* it calls who listens for actions */
	http_server_free(control->http);
	runs_free(control->runs);
	calls_free(control->calls);
	workers_free(control->workers);
	sessions_stop(control->sessions); /* the writer tells of ends until it is closed */
	mcp_service_free(control->mcp);
	gateway_free(control->gateway);
	actions_free(control->actions);
	held_connectors_free(control->held);
	known_connectors_free(control->known);
	db_close(control->db); /* the writer's thread ends: nobody is told of commits any more */
	executions_free(control->executions);
	audit_service_free(control->audit);
	spans_free(control->spans);
	processes_free(control->processes);
	keeper_client_free(control->keeper);
	parent_client_free(control->parent);
	vault_watch_free(control->vault);
	credential_uses_free(control->uses);
	oauth_flows_free(control->oauth);
	dispatcher_free(control->dispatcher);
	tokens_free(control->tokens);
	agents_free(control->agents);
	holds_free(control->holds);
	sessions_free(control->sessions);
	loop_source_free(running->patience);
	loop_free(control->loop);
}

int control_run(const struct supervise_start *start, struct err *err)
{
	static struct running running; /* one a process */
	running = (struct running){.control = {.start = start}};
	if (start_up(&running, err) < 0) {
		tear_down(&running);
		return -1;
	}
	loop_run(running.control.loop);
	if (db_write(running.control.db, record_stop, &running.control, err) < 0)
		log_error("daemon_stop_not_recorded", log_err(err));
	if (!running.joined) {
		/* Some worker holds on to what would be freed now. What it was promised is on disk. */
		log_warn("requests_abandoned");
		_exit(0);
	}
	tear_down(&running);
	return 0;
}
