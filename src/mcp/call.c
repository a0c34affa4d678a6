/* A request while it is served: from being read to its answer, with what is told meanwhile. */
#include "base/wait.h"
#include "mcp/core.h"
#include "mcp/names.h"
#include "text/json_members.h"
#include <math.h>

#define FRAME_MAX ((size_t)64 << 10) /* around an answer */
#define TOLD_MAX  (MCP_ANSWER_MAX + FRAME_MAX)

/* ---- Its life ---- */

static void take_meta(struct mcp_call *call)
{
	struct message *message = call->message;
	struct str token = message_raw_meta(message, S("progressToken"));
	if (message_is_id(token))
		call->token = token;
	if (!call_is_modern(call))
		return;
	call->can = session_can(json_member(message->meta, NAME_CAPABILITIES), call->version);
	call->client = client_dup(json_member(message->meta, NAME_CLIENT_INFO));
	struct str level;
	enum mcp_level least;
	if (json_get_str(json_member(message->meta, NAME_LOG_LEVEL), &level) && level_named(level, &least))
		call->level = (int)least;
}

static void enter(struct mcp_call *call)
{
	struct mcp *mcp = call->mcp;
	pthread_mutex_lock(&mcp->lock);
	call->next = mcp->calls;
	if (call->next != NULL)
		call->next->previous = call;
	mcp->calls = call;
	if (call->scope != NULL)
		call->scope->n_open++;
	pthread_mutex_unlock(&mcp->lock);
}

/* True: its answer is still wanted. */
static bool leave(struct mcp_call *call)
{
	struct mcp *mcp = call->mcp;
	pthread_mutex_lock(&mcp->lock);
	if (call->previous != NULL)
		call->previous->next = call->next;
	else
		mcp->calls = call->next;
	if (call->next != NULL)
		call->next->previous = call->previous;
	if (call->scope != NULL)
		call->scope->n_open--;
	bool wanted = !call->silent;
	pthread_mutex_unlock(&mcp->lock);
	return wanted;
}

struct mcp_call *call_new(struct mcp *mcp, const struct arrival *arrival, enum mcp_version version)
{
	struct mcp_call *call = NEW(struct mcp_call);
	*call = (struct mcp_call){
		.mcp = mcp,
		.message = arrival->message,
		.sink = arrival->sink,
		.arrival = arrival,
		.scope = arrival->scope,
		.session = arrival->session,
		.caller = caller_dup(arrival->caller),
		.version = version,
		.level = MCP_LEVEL__MAX,
		.state = BUF_INIT(SEAL_PAYLOAD_MAX),
		.told_ns = mcp_now(mcp),
	};
	pthread_mutex_init(&call->telling, NULL);
	if (call->session != NULL) {
		session_ref(mcp, call->session);
		call->can = call->session->can;
		call->client = xstrdup(call->session->client);
	}
	take_meta(call);
	enter(call);
	return call;
}

static void call_free(struct mcp_call *call)
{
	session_unref(call->mcp, call->session);
	caller_release(&call->caller);
	message_free(call->message);
	buf_release(&call->state);
	free(call->client);
	pthread_mutex_destroy(&call->telling);
	free(call);
}

/* The last of it: nobody tells anything after leave(), as mcp_tick() finds it no more. */
static void finish(struct mcp_call *call, unsigned status, struct buf *out)
{
	bool wanted = leave(call);
	if (!buf_ok(out)) {
		buf_clear(out);
		render_error(call->message->id, MCP_INTERNAL_ERROR, S("the answer is larger than this server sends"),
			     STR_EMPTY, out);
	}
	call->sink->ops->finish(call->sink, status, wanted ? buf_str(out) : STR_EMPTY);
	call_free(call);
}

void call_refuse(struct mcp_call *call, unsigned status, int code, struct str message, struct str data)
{
	AUTO_BUF out = BUF_INIT(TOLD_MAX);
	render_error(call->message->id, code, message, data, &out);
	finish(call, status, &out);
}

void call_bad_params(struct mcp_call *call, const char *why)
{
	call_refuse(call, render_status(call->version, MCP_INVALID_PARAMS), MCP_INVALID_PARAMS, str_from(why),
		    STR_EMPTY);
}

void call_result(struct mcp_call *call, struct str members)
{
	AUTO_BUF out = BUF_INIT(TOLD_MAX);
	render_result(call, members, &out);
	finish(call, 200, &out);
}

void call_dissolve(struct mcp_call *call)
{
	(void)leave(call);
	call->message = NULL;
	call_free(call);
}

/* ---- Its answer ---- */

static const char *const capability_members[MCP_CAN__MAX] = {
	[MCP_CAN_SAMPLING] = "\"sampling\":{}",
	[MCP_CAN_ELICITATION] = "\"elicitation\":{\"form\":{}}",
	[MCP_CAN_ELICITATION_URL] = "\"elicitation\":{\"url\":{}}",
	[MCP_CAN_ROOTS] = "\"roots\":{}",
	[MCP_CAN_TASKS] = ("\"extensions\":{\"" NAME_PREFIX "tasks\":{}}"),
};

/* What the answer takes of the client and it did not declare turns the answer into that. */
static void hold_to_capabilities(const struct mcp_call *call, struct mcp_answer *answer)
{
	unsigned takes = 0;
	if (answer->kind == MCP_ANSWER_INPUT)
		takes = call_is_modern(call) ? answer->asked : 1U << MCP_CAN__MAX;
	else if (answer->kind == MCP_ANSWER_TASK)
		takes = 1U << MCP_CAN_TASKS;
	unsigned missing = takes & ~call->can;
	if (missing == 0)
		return;
	for (unsigned i = 0; i < MCP_CAN__MAX; i++) {
		if ((missing & 1U << i) != 0) {
			mcp_answer_needs(answer, str_from(capability_members[i]));
			return;
		}
	}
	mcp_answer_error(answer, MCP_INTERNAL_ERROR, S("the client cannot be asked that"), STR_EMPTY);
}

void call_answer(struct mcp_call *call, struct mcp_answer *answer)
{
	hold_to_capabilities(call, answer);
	if (answer->kind == MCP_ANSWER_INPUT && answer->state.n > 0) {
		AUTO_BUF state = BUF_INIT(2 * SEAL_PAYLOAD_MAX);
		call_put_state(call, buf_str(&answer->state), &state);
		buf_release(&answer->state);
		answer->state = state;
		state = BUF_INIT(0);
	}
	if (call_is_modern(call) && answer->code == MCP_RESOURCE_NOT_FOUND)
		answer->code = MCP_INVALID_PARAMS;
	AUTO_BUF out = BUF_INIT(TOLD_MAX);
	if (!buf_ok(&answer->content) || !buf_ok(&answer->structured) || !buf_ok(&answer->body))
		out.failed = true;
	else
		render_answer(call, answer, &out);
	finish(call, answer->kind == MCP_ANSWER_ERROR ? render_status(call->version, answer->code) : 200, &out);
}

static void work(void *job)
{
	struct mcp_call *call = job;
	struct mcp_answer answer;
	answer_init(&answer);
	call->method->server (&call->mcp->backend)(call->mcp->backend.user, call, &answer);
	call_answer(call, &answer);
	answer_release(&answer);
}

void call_hand_on(struct mcp_call *call)
{
	const struct mcp_options *options = &call->mcp->options;
	pthread_mutex_lock(&call->mcp->lock);
	bool too_many = call->scope != NULL && call->scope->n_open > MCP_OPEN_MAX;
	pthread_mutex_unlock(&call->mcp->lock);
	if (too_many)
		call_refuse(call, 200, MCP_INTERNAL_ERROR, S("too many requests are under way; wait for one to end"),
			    STR_EMPTY);
	else if (options->run == NULL)
		work(call);
	else if (!options->run(options->user, &call->caller.is, work, call))
		call_refuse(call, 200, MCP_INTERNAL_ERROR, S("the server is busy; try again"), STR_EMPTY);
}

/* ---- Cancelling ---- */

/* Under the lock. */
static void stop(struct mcp_call *call, bool silent)
{
	call->stopped = true;
	call->silent = call->silent || silent;
	pthread_cond_broadcast(&call->mcp->answered);
}

void calls_cancel(struct mcp *mcp, const struct scope *scope, struct str id)
{
	pthread_mutex_lock(&mcp->lock);
	for (struct mcp_call *call = mcp->calls; call != NULL; call = call->next) {
		if (call->scope == scope && str_eq(call->message->id, id) && call->method->serve != serve_initialize)
			stop(call, true);
	}
	pthread_mutex_unlock(&mcp->lock);
}

void calls_cancel_sink(struct mcp *mcp, const struct mcp_sink *sink)
{
	pthread_mutex_lock(&mcp->lock);
	for (struct mcp_call *call = mcp->calls; call != NULL; call = call->next) {
		if (call->sink == sink)
			stop(call, true);
	}
	pthread_mutex_unlock(&mcp->lock);
}

void calls_cancel_scope(struct mcp *mcp, const struct scope *scope)
{
	pthread_mutex_lock(&mcp->lock);
	for (struct mcp_call *call = mcp->calls; call != NULL; call = call->next) {
		if (call->scope == scope)
			stop(call, true);
	}
	pthread_mutex_unlock(&mcp->lock);
}

void calls_cancel_callers(struct mcp *mcp, bool (*gone)(void *user, struct str caller_id), void *user)
{
	pthread_mutex_lock(&mcp->lock);
	for (struct mcp_call *call = mcp->calls; call != NULL; call = call->next) {
		if (gone(user, call->caller.is.id))
			stop(call, false);
	}
	pthread_mutex_unlock(&mcp->lock);
}

void mcp_cancel_all(struct mcp *mcp)
{
	pthread_mutex_lock(&mcp->lock);
	for (struct mcp_call *call = mcp->calls; call != NULL; call = call->next)
		stop(call, false);
	pthread_mutex_unlock(&mcp->lock);
}

/* ---- Telling ---- */

/* With `telling` held. */
static bool tell_progress(struct mcp_call *call, double progress, double total, struct str message, bool wait)
{
	AUTO_BUF members = BUF_INIT(TOLD_MAX);
	struct json_writer w;
	jsonw_init(&w, &members, JSON_WRITER_PLAIN);
	member_raw(&w, "progressToken", call->token);
	jsonw_key(&w, S("progress"));
	jsonw_real(&w, progress);
	if (total >= 0) {
		jsonw_key(&w, S("total"));
		jsonw_real(&w, total);
	}
	if (call->version >= MCP_2025_03_26)
		member_str_given(&w, "message", message);
	AUTO_BUF out = BUF_INIT(TOLD_MAX);
	render_notification(S("notifications/progress"), buf_str(&members), &out);
	if (!buf_ok(&members) || !buf_ok(&out) || !call->sink->ops->tell(call->sink, buf_str(&out), wait))
		return false;
	call->progress = progress;
	call->has_progressed = true;
	call->told_ns = mcp_now(call->mcp);
	return true;
}

static bool is_quiet(const struct mcp_call *call)
{
	return call->stopped || call->sink->one_answer;
}

void mcp_call_progress(struct mcp_call *call, double progress, double total, struct str message)
{
	if (call->token.n == 0 || is_quiet(call) || !isfinite(progress))
		return;
	pthread_mutex_lock(&call->telling);
	if (!call->has_progressed || progress > call->progress)
		(void)tell_progress(call, progress, total, message, true);
	pthread_mutex_unlock(&call->telling);
}

static int least_level(const struct mcp_call *call)
{
	return call->session != NULL ? call->session->level : call->level;
}

void mcp_call_log(struct mcp_call *call, enum mcp_level level, struct str logger, struct str data)
{
	if (!call->mcp->backend.logging || (int)level < least_level(call) || is_quiet(call))
		return;
	AUTO_BUF members = BUF_INIT(TOLD_MAX);
	struct json_writer w;
	jsonw_init(&w, &members, JSON_WRITER_PLAIN);
	member_str(&w, "level", level_name(level));
	member_str_given(&w, "logger", logger);
	member_raw(&w, "data", data);
	AUTO_BUF out = BUF_INIT(TOLD_MAX);
	render_notification(S("notifications/message"), buf_str(&members), &out);
	if (!buf_ok(&members) || !buf_ok(&out))
		return;
	pthread_mutex_lock(&call->telling);
	(void)call->sink->ops->tell(call->sink, buf_str(&out), true);
	pthread_mutex_unlock(&call->telling);
}

/* Says that a call goes on: what it said last and a trifle more, as progress must grow. */
static void keep_alive(struct mcp_call *call, uint64_t now_ns)
{
	if (pthread_mutex_trylock(&call->telling) != 0)
		return; /* it is being told something */
	double seconds = (double)(now_ns - call->told_ns) / (double)TIME_SECOND;
	if (now_ns - call->told_ns >= MCP_PROGRESS_MS * TIME_MILLISECOND) {
		double trifle = call->has_progressed ? (fabs(call->progress) + 1) * 1e-6 : seconds;
		(void)tell_progress(call, call->progress + trifle, -1, STR_EMPTY, false);
	}
	pthread_mutex_unlock(&call->telling);
}

void calls_turn(struct mcp *mcp, uint64_t now_ns)
{
	pthread_mutex_lock(&mcp->lock);
	for (struct mcp_call *call = mcp->calls; call != NULL; call = call->next) {
		if (call->token.n > 0 && !is_quiet(call))
			keep_alive(call, now_ns);
		if (call->sink->ops->turn != NULL)
			call->sink->ops->turn(call->sink, now_ns);
	}
	pthread_mutex_unlock(&mcp->lock);
}

/* ---- What a backend asks of it ---- */

struct str mcp_call_name(const struct mcp_call *call)
{
	return call->name;
}
const struct json *mcp_call_params(const struct mcp_call *call)
{
	return call->message->params;
}
const struct json *mcp_call_arguments(const struct mcp_call *call)
{
	return call->arguments;
}
struct str mcp_call_arguments_text(const struct mcp_call *call)
{
	return call->arguments_text.n > 0 ? call->arguments_text : S("{}");
}
const struct json *mcp_call_meta(const struct mcp_call *call)
{
	return call->message->meta;
}
const struct mcp_caller *mcp_call_caller(const struct mcp_call *call)
{
	return &call->caller.is;
}
struct str mcp_call_client(const struct mcp_call *call)
{
	return str_from(call->client);
}
bool mcp_call_is_cancelled(const struct mcp_call *call)
{
	return call->stopped;
}
bool mcp_call_can(const struct mcp_call *call, enum mcp_client_can what)
{
	return (call->can & 1U << what) != 0;
}
