#include "api/timestamp.h"
#include "base/ulid.h"
#include "control/control.h"
#include "control/gateway.h"
#include "control/holds.h"
#include "control/sessions.h"
#include "control/tokens.h"
#include "text/json_members.h"

#define LIST_DEFAULT 100

static void put_session(struct json_writer *w, const struct session *session)
{
	jsonw_begin_object(w);
	session_put_members(w, session);
	jsonw_end_object(w);
}

/* ------------------------------------------------------------------------------------------------------------ start */

int handle_session_start(struct request *request, struct err *err)
{
	struct control *control = request->control;
	char id[ULID_SIZE], capability[GATEWAY_CAPABILITY_TEXT + 1];
	struct session session = {
		.agent = request_str(request, "agent"),
		.working_dir = request_str(request, "working_dir"),
		.started_ns = clock_wall_ns(NULL),
		.exit_code = -1,
	};
	ulid_make(session.started_ns, id);
	session.id = str_from(id);
	if (session.agent.n == 0)
		return fail(err, ERR_INVALID_REQUEST, "'agent' must not be empty");
	/* First, so that an end finds it whenever it comes. */
	if (gateway_begin_session(control->gateway, session.id, capability, err) < 0)
		return -1;
	const struct audit_event by = request_event(request, AUDIT_SESSION_STARTED);
	if (sessions_start(control->sessions, &session, &by, err) < 0) {
		mem_wipe(capability, sizeof capability);
		gateway_end_session(control->gateway, session.id);
		return -1;
	}
	AUTO_BUF token = BUF_INIT_SECRET(TOKENS_CAVEAT_MAX);
	tokens_mint_caveat(control->tokens, session.id, &token);
	request->answer.secret = true;
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	session_put_members(w, &session);
	member_str(w, "caveat_token", buf_str(&token));
	gateway_put_session(control->gateway, capability, w);
	jsonw_end_object(w);
	mem_wipe(capability, sizeof capability);
	return buf_check(&token, "the capability token", err);
}

/* ------------------------------------------------------------------------------------------------------------ lists */

static int put_row(void *user, const struct session *session)
{
	put_session(user, session);
	return 0;
}

int handle_session_list(struct request *request, struct err *err)
{
	struct session_query query = {
		.agent = request_query(request, "agent"),
		.active_only = request_query_bool(request, "active_only"),
		.limit = (uint32_t)request_query_u64(request, "limit", LIST_DEFAULT),
	};
	struct str since = request_query(request, "since");
	if (since.n > 0 && timestamp_parse(since, &query.since_ns, err) < 0)
		return wrap(err, "'since'");
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_begin_array(w, "items");
	struct db_tx *tx = db_read(request->control->db);
	int rc = session_list(tx, &query, put_row, w, err);
	db_done(tx);
	jsonw_end_array(w);
	jsonw_end_object(w);
	return rc;
}

struct found {
	struct json_writer *w;
	bool found;
};

static int put_found(void *user, const struct session *session)
{
	struct found *found = user;
	put_session(found->w, session);
	found->found = true;
	return 1;
}

static int put_one(struct request *request, struct err *err)
{
	struct found found = {.w = &request->json};
	const struct session_query query = {.id = request->parameters[0], .limit = 1};
	struct db_tx *tx = db_read(request->control->db);
	int rc = session_list(tx, &query, put_found, &found, err);
	db_done(tx);
	if (rc == 0 && !found.found)
		return fail(err, ERR_SESSION_NOT_FOUND, "there is no session '%.*s'; see `aileron sessions list`",
			    STR_FMT(query.id));
	return rc;
}

int handle_session_get(struct request *request, struct err *err)
{
	return put_one(request, err);
}

/* -------------------------------------------------------------------------------------------------------------- end */

int handle_session_hold(struct request *request, struct err *err)
{
	const struct audit_event by = request_event(request, AUDIT_SESSION_STARTED);
	if (holds_take(request->control->holds, request->exchange, request->parameters[0], &by, err) < 0)
		return -1;
	request->answered = true;
	return 0;
}

static int find_agent(void *user, const struct session *session)
{
	bool *is_agent = user;
	*is_agent = session->is_agent;
	return 1;
}

static int check_not_agent(struct request *request, struct err *err)
{
	bool is_agent = false;
	const struct session_query query = {.id = request->parameters[0], .limit = 1};
	struct db_tx *tx = db_read(request->control->db);
	int rc = session_list(tx, &query, find_agent, &is_agent, err);
	db_done(tx);
	if (rc == 0 && is_agent)
		return fail(err, ERR_CONFLICT,
			    "'%.*s' is an agent over HTTP, which ends with its token; see `aileron mcp revoke`",
			    STR_FMT(query.id));
	return rc;
}

int handle_session_end(struct request *request, struct err *err)
{
	if (check_not_agent(request, err) < 0)
		return -1;
	int64_t exit_code = -1;
	(void)json_get_int(request_member(request, "exit_code"), &exit_code);
	const struct audit_event by = request_event(request, AUDIT_SESSION_ENDED);
	if (sessions_end(request->control->sessions, request->parameters[0], (int)exit_code, &by, err) < 0)
		return -1;
	return put_one(request, err);
}
