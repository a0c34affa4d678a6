/* Who is told of changes: listen requests of revision 2026-07-28, and the streams that sessions have of their own. */
#include "mcp/core.h"
#include "mcp/names.h"
#include "text/json_members.h"

#define LISTENED_MAX 256 /* URIs or tasks of one request */
#define EVENT_MAX    (MCP_ANSWER_MAX + ((size_t)64 << 10))

static const char *const change_methods[MCP_LIST__MAX] = {
	[MCP_PROMPTS] = "notifications/prompts/list_changed",
	[MCP_RESOURCES] = "notifications/resources/list_changed",
	[MCP_TEMPLATES] = "notifications/resources/list_changed",
	[MCP_TOOLS] = "notifications/tools/list_changed",
};

/* ---- Coming and going ---- */

static void join(struct mcp *mcp, struct listener *listener)
{
	listener->next = mcp->listeners;
	mcp->listeners = listener;
	mcp->n_listeners++;
}

/* Takes it off the list and finishes its sink with `last`. */
static void leave(struct mcp *mcp, struct listener **link, struct str last)
{
	struct listener *listener = *link;
	*link = listener->next;
	mcp->n_listeners--;
	listener->sink->ops->finish(listener->sink, 200, last);
	if (listener->session != NULL) {
		listener->session->has_stream = false;
		session_unref(mcp, listener->session);
	} else {
		map_free(listener->uris);
	}
	map_free(listener->tasks);
	caller_release(&listener->caller);
	message_free(listener->message);
	free(listener);
}

bool listener_of_session(struct mcp *mcp, struct mcp_session *session, struct mcp_sink *sink)
{
	if (session->has_stream || mcp->is_ending)
		return false;
	struct listener *listener = NEW(struct listener);
	*listener = (struct listener){
		.sink = sink,
		.scope = &session->scope,
		.session = session,
		.lists = mcp->backend.lists_change ? ~0U : 0,
		.uris = session->uris,
	};
	session->has_stream = true;
	session_ref(mcp, session);
	join(mcp, listener);
	return true;
}

static void end_where(struct mcp *mcp, bool (*is_it)(const struct listener *listener, const void *what),
		      const void *what)
{
	for (struct listener **link = &mcp->listeners; *link != NULL;) {
		if (is_it(*link, what))
			leave(mcp, link, STR_EMPTY);
		else
			link = &(*link)->next;
	}
}

struct scoped_id {
	const struct scope *scope;
	struct str id;
};

static bool is_of_request(const struct listener *listener, const void *what)
{
	const struct scoped_id *wanted = what;
	return listener->id.n > 0 && listener->scope == wanted->scope && str_eq(listener->id, wanted->id);
}

static bool is_of_scope(const struct listener *listener, const void *what)
{
	return listener->scope == what;
}

static bool is_of_sink(const struct listener *listener, const void *what)
{
	return listener->sink == what;
}

void listeners_cancel(struct mcp *mcp, const struct scope *scope, struct str id)
{
	end_where(mcp, is_of_request, &(struct scoped_id){scope, id});
}

void listeners_end_scope(struct mcp *mcp, const struct scope *scope)
{
	end_where(mcp, is_of_scope, scope);
}

bool listeners_end_sink(struct mcp *mcp, const struct mcp_sink *sink)
{
	size_t before = mcp->n_listeners;
	end_where(mcp, is_of_sink, sink);
	return mcp->n_listeners < before;
}

struct gone_callers {
	bool (*gone)(void *user, struct str caller_id);
	void *user;
};

static bool is_of_gone(const struct listener *listener, const void *what)
{
	const struct gone_callers *callers = what;
	const struct caller *caller = listener->session != NULL ? &listener->session->caller : &listener->caller;
	return callers->gone(callers->user, caller->is.id);
}

void mcp_end_callers(struct mcp *mcp, bool (*gone)(void *user, struct str caller_id), void *user)
{
	calls_cancel_callers(mcp, gone, user);
	end_where(mcp, is_of_gone, &(struct gone_callers){gone, user});
}

static void put_subscription(struct json_writer *w, const struct listener *listener)
{
	jsonw_key(w, NAME_SUBSCRIPTION);
	jsonw_raw(w, listener->id);
}

void mcp_end_streams(struct mcp *mcp)
{
	mcp->is_ending = true;
	while (mcp->listeners != NULL) {
		const struct listener *listener = mcp->listeners;
		AUTO_BUF last = BUF_INIT(EVENT_MAX);
		struct json_writer w;
		jsonw_init(&w, &last, JSON_WRITER_PLAIN);
		jsonw_begin_object(&w);
		member_str(&w, "jsonrpc", S("2.0"));
		member_raw(&w, "id", listener->id);
		member_begin_object(&w, "result");
		member_str(&w, "resultType", S("complete"));
		member_begin_object(&w, "_meta");
		put_subscription(&w, listener);
		jsonw_end_object(&w);
		jsonw_end_object(&w);
		jsonw_end_object(&w);
		leave(mcp, &mcp->listeners, listener->id.n > 0 ? buf_str(&last) : STR_EMPTY);
	}
}

/* ---- A listen request ---- */

/* A list of strings as a set; false: it is none, or too long. */
static bool take_set(const struct json *array, struct map **ret)
{
	if (array == NULL)
		return true;
	if (json_kind(array) != JSON_KIND_ARRAY || json_length(array) > LISTENED_MAX)
		return false;
	*ret = map_new(LISTENED_MAX);
	for (size_t i = 0; i < json_length(array); i++) {
		struct str text;
		if (!json_get_str(json_at(array, i), &text))
			return false;
		(void)!map_set(*ret, text, NULL, NULL);
	}
	return true;
}

static const struct {
	struct str name;
	enum mcp_list list;
	enum offer offer;
} listened[] = {
	{{"toolsListChanged", 16}, MCP_TOOLS, OFFER_TOOLS},
	{{"promptsListChanged", 18}, MCP_PROMPTS, OFFER_PROMPTS},
	{{"resourcesListChanged", 20}, MCP_RESOURCES, OFFER_RESOURCES},
};

static bool take_filter(const struct mcp_backend *backend, const struct json *filter, struct listener *listener)
{
	for (size_t i = 0; i < ARRAY_LEN(listened); i++) {
		const struct json *value = json_member(filter, listened[i].name);
		bool wanted = false;
		if (value != NULL && !json_get_bool(value, &wanted))
			return false;
		if (wanted && backend->lists_change && serve_offers(backend, listened[i].offer))
			listener->lists |= 1U << listened[i].list;
	}
	if ((listener->lists & 1U << MCP_RESOURCES) != 0)
		listener->lists |= 1U << MCP_TEMPLATES;
	return take_set(json_member(filter, S("resourceSubscriptions")), &listener->uris) &&
	       take_set(json_member(filter, S("taskIds")), &listener->tasks);
}

static void put_set(struct json_writer *w, const char *name, const struct map *set)
{
	if (set == NULL)
		return;
	member_begin_array(w, name);
	struct map_iter it = {0};
	while (map_next(set, &it))
		jsonw_str(w, it.key);
	jsonw_end_array(w);
}

/* The first message of the stream says what of the wishes is honoured. */
static void acknowledge(const struct listener *listener)
{
	AUTO_BUF members = BUF_INIT(EVENT_MAX);
	struct json_writer w;
	jsonw_init(&w, &members, JSON_WRITER_PLAIN);
	member_begin_object(&w, "_meta");
	put_subscription(&w, listener);
	jsonw_end_object(&w);
	member_begin_object(&w, "notifications");
	for (size_t i = 0; i < ARRAY_LEN(listened); i++) {
		if ((listener->lists & 1U << listened[i].list) == 0)
			continue;
		jsonw_key(&w, listened[i].name);
		jsonw_bool(&w, true);
	}
	put_set(&w, "resourceSubscriptions", listener->uris);
	put_set(&w, "taskIds", listener->tasks);
	jsonw_end_object(&w);
	AUTO_BUF out = BUF_INIT(EVENT_MAX);
	render_notification(S("notifications/subscriptions/acknowledged"), buf_str(&members), &out);
	(void)listener->sink->ops->tell(listener->sink, buf_str(&out), false);
}

static void listener_free(struct listener *listener)
{
	map_free(listener->uris);
	map_free(listener->tasks);
	free(listener);
}

static size_t count_of(const struct mcp *mcp, struct str caller_id)
{
	size_t n = 0;
	for (const struct listener *listener = mcp->listeners; listener != NULL; listener = listener->next)
		n += listener->id.n > 0 && str_eq(listener->caller.is.id, caller_id);
	return n;
}

void serve_listen(struct mcp_call *call)
{
	struct mcp *mcp = call->mcp;
	const struct mcp_backend *backend = &mcp->backend;
	const struct json *filter = json_member(call->message->params, S("notifications"));
	struct listener *listener = NEW(struct listener);
	bool wants_tasks = json_member(filter, S("taskIds")) != NULL;
	if (filter == NULL || json_kind(filter) != JSON_KIND_OBJECT || !take_filter(backend, filter, listener)) {
		call_bad_params(call, "'notifications' does not say what to listen to");
	} else if (wants_tasks && !mcp_call_can(call, MCP_CAN_TASKS)) {
		call_needs_tasks(call);
	} else if (mcp->n_listeners >= MCP_LISTENERS_MAX || mcp->is_ending ||
		   count_of(mcp, call->caller.is.id) >= MCP_LISTENERS_OF_ONE) {
		call_refuse(call, 200, MCP_INTERNAL_ERROR,
			    mcp->is_ending ? S("the server is stopping") : S("too many streams are open"), STR_EMPTY);
	} else if (call->sink->one_answer) {
		call_refuse(call, 406, MCP_INVALID_REQUEST, S("the client does not accept 'text/event-stream'"),
			    STR_EMPTY);
	} else {
		if (!serve_offers(backend, OFFER_SUBSCRIBE))
			map_free(TAKE(listener->uris));
		if (!serve_offers(backend, OFFER_TASKS))
			map_free(TAKE(listener->tasks));
		listener->sink = call->sink;
		listener->scope = call->scope;
		listener->message = call->message;
		listener->id = call->message->id;
		listener->caller = caller_dup(&call->caller.is);
		join(mcp, listener);
		acknowledge(listener);
		call_dissolve(call);
		return;
	}
	listener_free(listener);
}

/* ---- Changes ---- */

static void wake(const struct mcp *mcp)
{
	if (mcp->options.wake != NULL)
		mcp->options.wake(mcp->options.user);
}

void mcp_changed(struct mcp *mcp, enum mcp_list list)
{
	pthread_mutex_lock(&mcp->lock);
	mcp->changed |= 1U << list;
	pthread_mutex_unlock(&mcp->lock);
	wake(mcp);
}

void mcp_resource_updated(struct mcp *mcp, struct str uri)
{
	char *copy = str_dup(uri);
	pthread_mutex_lock(&mcp->lock);
	bool room = vec_push(&mcp->updated, copy);
	pthread_mutex_unlock(&mcp->lock);
	if (!room)
		free(copy);
	wake(mcp);
}

static void task_change_release(struct task_change *change)
{
	free(change->caller_id);
	free(change->task_id);
	free(change->members);
	free(change->meta);
}

void mcp_task_changed(struct mcp *mcp, struct str caller_id, const struct mcp_task *task)
{
	struct mcp_answer answer;
	answer_init(&answer);
	mcp_answer_task(&answer, task);
	AUTO_BUF members = BUF_INIT(EVENT_MAX);
	buf_add_str(&members, buf_str(&answer.body));
	if (answer.content.n > 0)
		buf_add_char(&members, ',');
	buf_add_str(&members, buf_str(&answer.content));
	struct task_change change = {str_dup(caller_id), str_dup(task->id), str_dup(buf_str(&members)),
				     str_dup(task->meta)};
	answer_release(&answer);
	pthread_mutex_lock(&mcp->lock);
	bool room = vec_push(&mcp->task_changes, change);
	pthread_mutex_unlock(&mcp->lock);
	if (!room)
		task_change_release(&change);
	wake(mcp);
}

/* `members` are those of params beside _meta, `meta` those of _meta beside ours. */
static void tell(const struct listener *listener, const char *method, struct str members, struct str meta)
{
	AUTO_BUF params = BUF_INIT(EVENT_MAX);
	struct json_writer w;
	jsonw_init(&w, &params, JSON_WRITER_PLAIN);
	if (listener->id.n > 0) {
		member_begin_object(&w, "_meta");
		jsonw_raw_members(&w, meta);
		put_subscription(&w, listener);
		jsonw_end_object(&w);
	}
	jsonw_raw_members(&w, members);
	AUTO_BUF out = BUF_INIT(EVENT_MAX);
	render_notification(str_from(method), buf_str(&params), &out);
	if (buf_ok(&out))
		(void)listener->sink->ops->tell(listener->sink, buf_str(&out), false);
}

static void tell_lists(const struct listener *listener, unsigned changed)
{
	if ((changed & 1U << MCP_RESOURCES) != 0)
		changed &= ~(1U << MCP_TEMPLATES); /* told in one word */
	for (unsigned i = 0; i < MCP_LIST__MAX; i++) {
		if ((listener->lists & changed & 1U << i) != 0)
			tell(listener, change_methods[i], STR_EMPTY, STR_EMPTY);
	}
}

static void tell_updated(const struct listener *listener, struct str uri)
{
	if (listener->uris == NULL || !map_has(listener->uris, uri))
		return;
	AUTO_BUF members = BUF_INIT(EVENT_MAX);
	struct json_writer w;
	jsonw_init(&w, &members, JSON_WRITER_PLAIN);
	member_str(&w, "uri", uri);
	tell(listener, "notifications/resources/updated", buf_str(&members), STR_EMPTY);
}

static void tell_task(const struct listener *listener, const struct task_change *change)
{
	if (listener->tasks != NULL && map_has(listener->tasks, str_from(change->task_id)) &&
	    str_eq(listener->caller.is.id, str_from(change->caller_id)))
		tell(listener, "notifications/tasks", str_from(change->members), str_from(change->meta));
}

void listeners_turn(struct mcp *mcp, uint64_t now_ns)
{
	pthread_mutex_lock(&mcp->lock);
	unsigned changed = mcp->changed;
	mcp->changed = 0;
	__typeof__(mcp->updated) updated = mcp->updated;
	__typeof__(mcp->task_changes) task_changes = mcp->task_changes;
	mcp->updated = (__typeof__(mcp->updated))VEC_INIT(CHANGES_MAX);
	mcp->task_changes = (__typeof__(mcp->task_changes))VEC_INIT(CHANGES_MAX);
	pthread_mutex_unlock(&mcp->lock);
	for (const struct listener *listener = mcp->listeners; listener != NULL; listener = listener->next) {
		tell_lists(listener, changed);
		VEC_FOREACH (uri, &updated)
			tell_updated(listener, str_from(*uri));
		VEC_FOREACH (change, &task_changes)
			tell_task(listener, change);
		if (listener->sink->ops->turn != NULL)
			listener->sink->ops->turn(listener->sink, now_ns);
	}
	VEC_FOREACH (uri, &updated)
		free(*uri);
	VEC_FOREACH (change, &task_changes)
		task_change_release(change);
	vec_release(&updated);
	vec_release(&task_changes);
}
