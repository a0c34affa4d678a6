#include "control/control.h"
#include "control/tokens.h"
#include "text/json_members.h"

int handle_token_code(struct request *request, struct err *err)
{
	(void)err;
	char code[TOKENS_TEXT_MAX];
	uint64_t expires_ns;
	tokens_new_code(request->control->tokens, code, &expires_ns);
	request->answer.secret = true;
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_z(w, "code", code);
	member_time(w, "expires_at", expires_ns);
	jsonw_end_object(w);
	mem_wipe(code, sizeof code);
	return 0;
}

/*
 * Only a page of our own sends our own Origin with a POST: a browser sets it, and no other page can. The server has
 * refused every Origin that is not ours.
 */
int handle_token_exchange(struct request *request, struct err *err)
{
	if (http_header(request->exchange, S("Origin")).n == 0)
		return fail(err, ERR_FORBIDDEN, "a code is exchanged by the page alone; run `aileron open`");
	char token[TOKENS_TEXT_MAX];
	uint64_t expires_ns;
	if (tokens_exchange(request->control->tokens, request_str(request, "code"), token, &expires_ns, err) < 0)
		return -1;
	request->answer.secret = true;
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_z(w, "token", token);
	member_time(w, "expires_at", expires_ns);
	jsonw_end_object(w);
	mem_wipe(token, sizeof token);
	return 0;
}

int handle_token_revoke(struct request *request, struct err *err)
{
	if (request->identity.kind != IDENTITY_PERSON)
		return fail(err, ERR_INVALID_REQUEST, "only a person token can be revoked; the daemon's ends with it");
	return tokens_revoke(request->control->tokens, request->identity.token_id, err);
}
