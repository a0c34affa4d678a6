#include "mcp/http/door.h"
#include "base/ascii.h"
#include "mcp/core.h"
#include "mcp/http/reply.h"

struct mcp_door {
	struct mcp *mcp;
	struct replies *replies;
};

static void turn(void *user, uint64_t now_ns)
{
	(void)now_ns;
	struct mcp_door *door = user;
	replies_sweep(door->replies);
}

struct mcp_door *mcp_door_new(struct mcp *mcp)
{
	struct mcp_door *door = NEW(struct mcp_door);
	*door = (struct mcp_door){mcp, replies_new(mcp)};
	mcp->turn = turn;
	mcp->turn_user = door;
	return door;
}

void mcp_door_free(struct mcp_door *door)
{
	if (door == NULL)
		return;
	door->mcp->turn = NULL;
	replies_free(door->replies);
	free(door);
}

/* ---- What is refused before the core sees it ---- */

static void answer_empty(struct http_exchange *x, unsigned status)
{
	http_answer(x, &(struct http_answer){.status = status});
}

static void answer_error(struct http_exchange *x, unsigned status, struct str id, int code, const char *why)
{
	static const struct h1_header allow = {{"Allow", 5}, {"GET, POST, DELETE", 17}};
	static const struct h1_header allow_no_get = {{"Allow", 5}, {"POST, DELETE", 12}};
	bool is_get = str_eq(http_method(x), S("GET"));
	AUTO_BUF out = BUF_INIT(MCP_MESSAGE_MAX);
	render_error(id, code, str_from(why), STR_EMPTY, &out);
	http_answer(x, &(struct http_answer){
			       .status = status,
			       .body = buf_str(&out),
			       .headers = is_get ? &allow_no_get : &allow,
			       .n_headers = status == 405 ? 1 : 0,
		       });
}

static void refuse(struct http_exchange *x, unsigned status, const char *why)
{
	answer_error(x, status, STR_EMPTY, MCP_INVALID_REQUEST, why);
}

static bool is_json(struct str content_type)
{
	struct str type;
	(void)str_cut(content_type, ';', &type);
	return str_eq_fold(str_trim(type), S("application/json"));
}

/* The session that a request names; NULL when it was answered instead. */
static struct mcp_session *session_of(struct mcp_door *door, struct http_exchange *x, const struct mcp_caller *caller,
				      struct str id)
{
	struct str name = http_header(x, S("Mcp-Session-Id"));
	if (name.n == 0) {
		answer_error(x, 400, id, MCP_INVALID_REQUEST, "'Mcp-Session-Id' is missing; 'initialize' gives one");
		return NULL;
	}
	struct mcp_session *session = session_find(door->mcp, caller, name);
	if (session == NULL)
		answer_error(x, 404, id, MCP_INVALID_REQUEST, "there is no such session; 'initialize' begins one");
	return session;
}

/* ---- POST ---- */

struct post {
	struct mcp_door *door;
	struct http_exchange *x;
	const struct mcp_caller *caller;
	struct message *message; /* owned */
	struct accepted accepted;
};

static struct str header_of(const void *user, struct str name, size_t *ret_n)
{
	const struct http_exchange *x = user;
	*ret_n = http_header_count(x, name);
	return http_header(x, name);
}

static struct mcp_sink *reply_to(struct post *post, bool cancels)
{
	return reply_new(post->door->replies, post->x, post->caller, post->accepted, cancels);
}

static void post_modern(struct post *post)
{
	struct arrival arrival = {
		.message = TAKE(post->message),
		.sink = reply_to(post, true),
		.caller = post->caller,
		.header = header_of,
		.header_user = post->x,
	};
	serve_modern(post->door->mcp, &arrival);
}

static void post_initialize(struct post *post)
{
	struct mcp_session *session = session_new();
	struct arrival arrival = {
		.message = TAKE(post->message),
		.sink = reply_to(post, false),
		.caller = post->caller,
		.session = session,
	};
	serve_legacy(post->door->mcp, &arrival);
	session_unref(post->door->mcp, session);
}

static void post_legacy(struct post *post)
{
	struct mcp_session *session = NULL;
	bool alone = str_eq(post->message->method, S("ping")) && http_header(post->x, S("Mcp-Session-Id")).n == 0;
	if (!alone)
		session = session_of(post->door, post->x, post->caller, post->message->id);
	if (!alone && session == NULL)
		return;
	struct arrival arrival = {
		.message = TAKE(post->message),
		.sink = reply_to(post, false),
		.caller = post->caller,
		.session = session,
		.scope = session != NULL ? &session->scope : NULL,
	};
	serve_legacy(post->door->mcp, &arrival);
}

/* The header names something else than a revision with a handshake: whoever says so meant a request that stands alone. */
static bool header_says_modern(const struct http_exchange *x)
{
	enum mcp_version version;
	return http_header_count(x, S("MCP-Protocol-Version")) > 0 &&
	       (!mcp_version_named(http_header(x, S("MCP-Protocol-Version")), &version) || version == MCP_2026_07_28);
}

static void post_request(struct post *post)
{
	if (post->message->claims)
		post_modern(post);
	else if (str_eq(post->message->method, S("initialize")))
		post_initialize(post);
	else if (header_says_modern(post->x))
		post_modern(post);
	else
		post_legacy(post);
}

static void post_notification(struct post *post)
{
	struct mcp *mcp = post->door->mcp;
	if (!post->message->claims && !header_says_modern(post->x)) {
		struct mcp_session *session = session_of(post->door, post->x, post->caller, STR_EMPTY);
		if (session == NULL)
			return;
		serve_notification(mcp, &session->scope, session, post->message);
	}
	answer_empty(post->x, 202);
}

static void post_response(struct post *post)
{
	struct mcp_session *session = session_of(post->door, post->x, post->caller, STR_EMPTY);
	if (session == NULL)
		return;
	serve_response(post->door->mcp, session, TAKE(post->message));
	answer_empty(post->x, 202);
}

static void post_element(struct post *post, struct mcp_session *session, struct batch *batch, struct message *one)
{
	struct mcp *mcp = post->door->mcp;
	const char *wrong = batch_refuses(one);
	if (wrong != NULL) {
		batch_add_error(batch, one->id, wrong);
	} else if (one->kind == MESSAGE_REQUEST) {
		serve_legacy(mcp, &(struct arrival){
					  .message = one,
					  .sink = batch_sink(batch),
					  .caller = post->caller,
					  .session = session,
					  .scope = &session->scope,
				  });
		return;
	} else if (one->kind == MESSAGE_RESPONSE) {
		serve_response(mcp, session, one);
		return;
	} else {
		serve_notification(mcp, &session->scope, session, one);
	}
	message_free(one);
}

static bool has_requests(const struct message *batch)
{
	for (size_t i = 0; i < json_length(batch->document); i++) {
		const struct json *one = json_at(batch->document, i);
		if (json_kind(one) != JSON_KIND_OBJECT ||
		    (json_member(one, S("method")) != NULL && json_member(one, S("id")) != NULL))
			return true;
	}
	return false;
}

static void post_batch(struct post *post)
{
	if (!batch_is_allowed(post->message)) {
		refuse(post->x, 400, "a batch is not accepted here");
		return;
	}
	struct mcp_session *session = session_of(post->door, post->x, post->caller, STR_EMPTY);
	if (session == NULL)
		return;
	if (session->version != MCP_2025_03_26) {
		refuse(post->x, 400, "the revision of this session has no batches");
		return;
	}
	bool is_answered = has_requests(post->message);
	struct batch *batch =
		batch_new(is_answered ? reply_to(post, false) : reply_empty_new(post->door->replies, post->x));
	for (size_t i = 0, at = 0; i < json_length(post->message->document); i++)
		post_element(post, session, batch, message_read(message_next_element(post->message->text, &at)));
	batch_close(batch);
}

static void serve_post(struct post *post)
{
	switch (post->message->kind) {
	case MESSAGE_UNREADABLE:
		answer_error(post->x, 400, STR_EMPTY, MCP_PARSE_ERROR, post->message->why);
		break;
	case MESSAGE_MALFORMED:
		answer_error(post->x, 400, post->message->id, MCP_INVALID_REQUEST, post->message->why);
		break;
	case MESSAGE_BATCH:
		post_batch(post);
		break;
	case MESSAGE_REQUEST:
		if (post->accepted.json || post->accepted.stream)
			post_request(post);
		else
			answer_error(post->x, 406, post->message->id, MCP_INVALID_REQUEST,
				     "an answer is 'application/json' or 'text/event-stream'");
		break;
	case MESSAGE_NOTIFICATION:
		post_notification(post);
		break;
	case MESSAGE_RESPONSE:
		post_response(post);
		break;
	}
}

static void take_post(struct mcp_door *door, struct http_exchange *x, const struct mcp_caller *caller)
{
	struct str body = http_body(x);
	if (!is_json(http_header(x, S("Content-Type")))) {
		refuse(x, 415, "the body must be 'application/json'");
		return;
	}
	if (body.n > MCP_MESSAGE_MAX) {
		refuse(x, 413, "a message has at most 4 MiB");
		return;
	}
	AUTO(message) *message = message_read(body);
	struct post post = {door, x, caller, TAKE(message), accepted_of(x)};
	serve_post(&post);
	message_free(post.message);
}

/* ---- GET and DELETE ---- */

static void take_get(struct mcp_door *door, struct http_exchange *x, const struct mcp_caller *caller)
{
	const struct mcp_backend *backend = &door->mcp->backend;
	struct accepted accepted = accepted_of(x);
	if ((!backend->lists_change && !backend->subscribe) || http_header(x, S("Mcp-Session-Id")).n == 0 ||
	    !accepted.stream) {
		refuse(x, 405, "there is no stream of this kind");
		return;
	}
	struct mcp_session *session = session_of(door, x, caller, STR_EMPTY);
	if (session == NULL)
		return;
	if (session->has_stream) {
		refuse(x, 409, "this session has a stream already");
		return;
	}
	if (door->mcp->is_ending) {
		refuse(x, 503, "the server is stopping");
		return;
	}
	struct mcp_sink *sink = reply_stream_new(door->replies, x, caller);
	if (!listener_of_session(door->mcp, session, sink))
		BUG("a session has a stream and has none");
}

static void take_delete(struct mcp_door *door, struct http_exchange *x, const struct mcp_caller *caller)
{
	struct mcp_session *session = session_of(door, x, caller, STR_EMPTY);
	if (session == NULL)
		return;
	session_close(door->mcp, session);
	answer_empty(x, 204);
}

void mcp_door_serve(struct mcp_door *door, struct http_exchange *exchange, const struct mcp_caller *caller)
{
	struct str method = http_method(exchange);
	if (str_eq(method, S("POST")))
		take_post(door, exchange, caller);
	else if (str_eq(method, S("GET")))
		take_get(door, exchange, caller);
	else if (str_eq(method, S("DELETE")))
		take_delete(door, exchange, caller);
	else
		refuse(exchange, 405, "there are GET, POST and DELETE");
}
