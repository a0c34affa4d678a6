#include "control/dispatch.h"
#include "api/query.h"
#include "base/escape.h"
#include "base/log.h"
#include "base/time.h"
#include "control/answer.h"
#include "control/gateway.h"
#include "control/mcp_service.h"
#include "control/page.h"
#include "control/tokens.h"
#include "control/workers.h"
#include <stdlib.h>

struct dispatcher {
	struct control *control;
	request_handler *const *handlers;
	struct arena *spare; /* of the loop's thread, for quick requests; NULL while one has it */
};

/* What only this file knows of a request. */
struct work {
	struct request request;
	struct dispatcher *dispatcher;
	struct str raw[API_PATH_PARAMETERS]; /* of the route, escaped */
	struct json *query, *body;           /* what request.query and .body borrow */
	uint64_t began_ns;                   /* 0 unless it is logged */
};

struct dispatcher *dispatcher_new(struct control *control, request_handler *const handlers[OP__MAX])
{
	struct dispatcher *dispatcher = NEW(struct dispatcher);
	dispatcher->control = control;
	dispatcher->handlers = handlers;
	dispatcher->spare = arena_new();
	return dispatcher;
}

void dispatcher_free(struct dispatcher *dispatcher)
{
	if (dispatcher == NULL)
		return;
	arena_free(dispatcher->spare);
	free(dispatcher);
}

/* ---------------------------------------------------------------------------------------------------------- the log */

/* Before the exchange is answered: it is gone then. */
static void log_request(const struct work *work, unsigned status)
{
	if (work->began_ns == 0)
		return;
	const struct http_exchange *x = work->request.exchange;
	log_debug("request_answered", log_str("method", http_method(x)), log_str("path", http_path(x)),
		  log_u64("status", status), log_duration("duration", clock_monotonic_ns(NULL) - work->began_ns),
		  log_str("request_id", http_request_id(x)));
}

/* ---------------------------------------------------------------------------------------------------------- answers */

static unsigned status_of(const struct request *request)
{
	if (request->status != 0)
		return request->status;
	if ((request->operation->flags & API_NO_CONTENT) != 0)
		return 204;
	return (request->operation->flags & API_CREATED) != 0 ? 201 : 200;
}

static void refuse(struct work *work, const struct err *err, struct h1_header further)
{
	const struct operation *operation = work->request.operation;
	log_request(work, (unsigned)err_row(err->class)->http_status);
	const struct answer_failure failure = {
		.envelope = operation != NULL ? operation->envelope : API_CRUD,
		.err = err,
		.audit_id = str_from(work->request.audit_id),
		.further = further,
	};
	answer_failure(work->request.exchange, &failure);
}

static void release_contents(struct work *work)
{
	if (work->request.release != NULL)
		work->request.release(work->request.release_user);
	json_free(work->query);
	json_free(work->body);
	buf_release(&work->request.answer);
}

static void release(struct work *work)
{
	release_contents(work);
	arena_free(work->request.arena); /* `work` lives in it */
}

/* On the loop's thread: an answer may have brought the next request in before its own was released. */
static struct arena *take_spare(struct dispatcher *dispatcher)
{
	return dispatcher->spare != NULL ? TAKE(dispatcher->spare) : arena_new();
}

static void release_on_loop(struct work *work)
{
	struct dispatcher *dispatcher = work->dispatcher;
	if (dispatcher->spare != NULL) {
		release(work);
		return;
	}
	struct arena *arena = work->request.arena;
	release_contents(work);
	arena_clear(arena);
	dispatcher->spare = arena;
}

/* --------------------------------------------------------------------------------------------------- query and body */

static int read_parameters(struct work *work, struct err *err)
{
	struct request *request = &work->request;
	for (size_t i = 0; i < API_PATH_PARAMETERS; i++) {
		if (work->raw[i].n == 0)
			continue;
		AUTO_BUF text = BUF_INIT(DISPATCH_PARAMETER_MAX);
		if (api_unescape(&text, work->raw[i], err) < 0)
			return -1;
		request->parameters[i] = arena_str(request->arena, buf_str(&text));
	}
	return 0;
}

static int read_query(struct work *work, struct err *err)
{
	struct str query = http_query(work->request.exchange);
	if (query.n == 0 && work->request.operation->query == NULL)
		return 0;
	work->query = api_query(work->request.operation, query, err);
	work->request.query = work->query;
	return work->query != NULL ? 0 : -1;
}

/* A body that is not there counts as an object without members, so that what needs none is not sent one. */
static int read_body(struct work *work, struct err *err)
{
	struct str body = http_body(work->request.exchange);
	const struct operation *operation = work->request.operation;
	if (body.n == 0 && operation->request == NULL)
		return 0;
	work->body = json_parse(body.n > 0 ? body : S("{}"), JSON_READ_SENSITIVE, err);
	if (work->body == NULL) {
		if (err->class == ERR_PARSE_ERROR)
			err->class = ERR_INVALID_REQUEST;
		return wrap(err, "the body is not JSON");
	}
	if (json_kind(work->body) != JSON_KIND_OBJECT)
		return fail(err, ERR_INVALID_REQUEST, "the body must be a JSON object");
	if (api_validate(operation->request, work->body, err) < 0)
		return -1;
	work->request.body = operation->request != NULL ? work->body : NULL;
	return 0;
}

static int handle(struct work *work, struct err *err)
{
	struct request *request = &work->request;
	if (read_parameters(work, err) < 0 || read_query(work, err) < 0 || read_body(work, err) < 0)
		return -1;
	if (work->dispatcher->handlers[request->operation->id](request, err) < 0)
		return -1;
	return request->answered ? 0 : buf_check(&request->answer, "the answer", err);
}

/* The handler, its answer, the end of the request. */
static void carry_out(struct work *work, struct err *err)
{
	struct request *request = &work->request;
	err_clear(err);
	if (handle(work, err) < 0) {
		/* A stream that has begun can only end, which its handler saw to. */
		if (!request->answered)
			refuse(work, err, (struct h1_header){0});
	} else if (!request->answered) {
		unsigned status = status_of(request);
		log_request(work, status);
		answer_result(request->exchange, status, status == 204 ? STR_EMPTY : buf_str(&request->answer));
	}
}

static void carry_out_on_worker(void *user)
{
	struct err err;
	carry_out(user, &err);
	release(user);
}

/* -------------------------------------------------------------------------------------------------------- admission */

static int find_operation(struct work *work, struct err *err, struct buf *allow)
{
	struct request *request = &work->request;
	struct str path = http_path(request->exchange);
	bool path_known = false;
	request->operation = operation_find(http_method(request->exchange), path, work->raw, &path_known);
	if (request->operation != NULL)
		return 0;
	char shown[ESCAPE_SHOWN_SIZE];
	if (!path_known)
		return fail(err, ERR_NOT_FOUND, "there is no '%s'", escape_shown(path, shown));
	static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH"};
	struct str unused[API_PATH_PARAMETERS];
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (operation_find(str_from(methods[i]), path, unused, &path_known) != NULL)
			buf_addf(allow, "%s%s", allow->n > 0 ? ", " : "", methods[i]);
	}
	return fail(err, ERR_METHOD_NOT_ALLOWED, "'%s' takes %s", escape_shown(path, shown), allow->p);
}

static int check_revision(const struct work *work, struct err *err)
{
	struct str revision = http_header(work->request.exchange, S("X-Aileron-Api"));
	if (revision.n == 0 || work->request.operation->id == OP_HEALTH || str_eq(revision, answer_revision().value))
		return 0;
	return fail(
		err, ERR_API_REVISION,
		"this daemon speaks revision %d of its API and not what was asked for; run `aileron daemon restart`",
		API_REVISION);
}

static int admit(struct work *work, struct err *err)
{
	struct request *request = &work->request;
	const struct operation *operation = request->operation;
	if (check_revision(work, err) < 0)
		return -1;
	if (operation->permission == API_OPEN)
		return 0;
	struct str authorization = http_header(request->exchange, S("Authorization"));
	if (tokens_identify(request->control->tokens, authorization, &request->identity, err) < 0)
		return -1;
	/* Of the routes that a session's token may open, those that name a session do so first. */
	struct str session = operation->permission == API_CAVEAT_COMMS ? work->raw[0] : STR_EMPTY;
	return identity_permits(&request->identity, operation->permission, session, err);
}

bool dispatch_admit_body(void *user, const struct http_exchange *x, uint64_t *ret_max)
{
	struct dispatcher *dispatcher = user;
	struct str unused[API_PATH_PARAMETERS];
	struct identity identity;
	bool path_known;
	if (mcp_service_is_path(http_path(x)))
		return mcp_service_admits(dispatcher->control->mcp, x, ret_max);
	if (gateway_is_path(http_path(x)))
		return gateway_admits(dispatcher->control->gateway, x, ret_max);
	const struct operation *operation = operation_find(http_method(x), http_path(x), unused, &path_known);
	if (operation == NULL || operation->permission == API_OPEN) {
		*ret_max = DISPATCH_OPEN_BODY_MAX;
		return true;
	}
	return tokens_identify(dispatcher->control->tokens, http_header(x, S("Authorization")), &identity, NULL) == 0;
}

static struct work *work_new(struct dispatcher *dispatcher, struct http_exchange *x, struct arena *arena)
{
	struct work *work = ARENA_NEW(arena, struct work);
	work->dispatcher = dispatcher;
	work->began_ns = log_enabled(LOG_LEVEL_DEBUG) ? clock_monotonic_ns(NULL) : 0;
	struct request *request = &work->request;
	request->control = dispatcher->control;
	request->exchange = x;
	request->arena = arena;
	request->answer = BUF_INIT(CONTROL_ANSWER_MAX);
	jsonw_init(&request->json, &request->answer, JSON_WRITER_PLAIN);
	return work;
}

/* What goes to a worker leaves the loop's arena. */
static struct work *move_to_own_arena(struct work *work)
{
	struct work *moved = work_new(work->dispatcher, work->request.exchange, arena_new());
	moved->request.operation = work->request.operation;
	moved->request.identity = work->request.identity;
	memcpy(moved->raw, work->raw, sizeof moved->raw); /* of the exchange's memory */
	moved->began_ns = work->began_ns;
	release_on_loop(work);
	return moved;
}

void dispatch(void *user, struct http_exchange *x)
{
	struct dispatcher *dispatcher = user;
	if (mcp_service_is_path(http_path(x))) {
		mcp_service_serve(dispatcher->control->mcp, x);
		return;
	}
	if (gateway_is_path(http_path(x))) { /* before anything that logs a path: this one has a capability in it */
		gateway_serve(dispatcher->control->gateway, x);
		return;
	}
	if (page_answer(x))
		return;
	static struct err err; /* of the loop's thread */
	err_clear(&err);
	AUTO_BUF allow = BUF_INIT(64);
	struct work *work = work_new(dispatcher, x, take_spare(dispatcher));
	if (find_operation(work, &err, &allow) < 0 || admit(work, &err) < 0) {
		struct h1_header further = {0};
		if (allow.n > 0)
			further = (struct h1_header){S("Allow"), buf_str(&allow)};
		refuse(work, &err, further);
		release_on_loop(work);
		return;
	}
	if ((work->request.operation->flags & API_QUICK) != 0) {
		carry_out(work, &err);
		release_on_loop(work);
		return;
	}
	work = move_to_own_arena(work);
	if (workers_add(dispatcher->control->workers, carry_out_on_worker, work))
		return;
	fail(&err, ERR_UNAVAILABLE, "more than %d requests wait; try again in a moment", CONTROL_WAITING_MAX);
	refuse(work, &err, (struct h1_header){0});
	release(work);
}
