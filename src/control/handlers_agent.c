#include "control/agents.h"
#include "text/json_members.h"

static void put_members(struct json_writer *w, const struct agent *agent)
{
	member_str(w, "id", agent->id);
	member_str(w, "name", agent->name);
	member_str(w, "kind", agent->kind);
	member_str(w, "program", agent->program);
	member_time(w, "created_at", agent->created_ns);
	member_time_given(w, "last_used_at", agent->last_used_ns);
	member_time_given(w, "revoked_at", agent->revoked_ns);
	member_str_given(w, "session", agent->session);
}

static int put_row(void *user, const struct agent *agent)
{
	struct json_writer *w = user;
	jsonw_begin_object(w);
	put_members(w, agent);
	jsonw_end_object(w);
	return 0;
}

int handle_agent_list(struct request *request, struct err *err)
{
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_begin_array(w, "items");
	struct db_tx *tx = db_read(request->control->db);
	int rc = agents_list(tx, put_row, w, err);
	db_done(tx);
	jsonw_end_array(w);
	jsonw_end_object(w);
	return rc;
}

int handle_agent_register(struct request *request, struct err *err)
{
	struct agent agent = {
		.name = request_str(request, "name"),
		.kind = request_str(request, "kind"),
		.program = request_str(request, "program"),
		.session = request_str(request, "session"),
		.created_ns = clock_wall_ns(NULL),
	};
	char id[ULID_SIZE], token[AGENTS_TOKEN_SIZE];
	const struct audit_event by = request_event(request, AUDIT_AGENT_REGISTERED);
	if (agents_register(request->control->agents, &agent, &by, id, token, err) < 0)
		return -1;
	agent.id = str_from(id);
	request->answer.secret = true;
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	put_members(w, &agent);
	member_z(w, "token", token);
	jsonw_end_object(w);
	mem_wipe(token, sizeof token);
	return 0;
}

int handle_agent_revoke(struct request *request, struct err *err)
{
	const struct audit_event by = request_event(request, AUDIT_AGENT_REVOKED);
	return agents_revoke(request->control->agents, request->parameters[0], &by, err);
}
