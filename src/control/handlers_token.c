#include "base/hex.h"
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
 * Only a page of our own sends our own Origin with a POST: a browser sets it, and no other page can. Of the names that the
 * server answers to it is the address that it has: a name may lead to somebody else's at another time.
 */
static bool is_page(const struct request *request)
{
	struct str origin = http_header(request->exchange, S("Origin")), scheme = S("http://");
	return str_starts(origin, scheme) && str_eq(str_slice(origin, scheme.n, origin.n),
						    supervise_setting(request->control->start, SETTING_LISTEN));
}

int handle_token_exchange(struct request *request, struct err *err)
{
	if (!is_page(request))
		return fail(err, ERR_FORBIDDEN, "a code is exchanged by the page alone; run `aileron open`");
	char token[TOKENS_TEXT_MAX];
	uint64_t id, expires_ns;
	if (tokens_exchange(request->control->tokens, request_str(request, "code"), token, &id, &expires_ns, err) < 0)
		return -1;
	request->answer.secret = true;
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_z(w, "token", token);
	member_u64(w, "id", id);
	member_time(w, "expires_at", expires_ns);
	jsonw_end_object(w);
	mem_wipe(token, sizeof token);
	return 0;
}

int handle_token_prove(struct request *request, struct err *err)
{
	AUTO_BUF nonce = BUF_INIT(TOKENS_NONCE);
	int64_t id;
	if (!json_get_int(request_member(request, "id"), &id) || id < 0)
		return fail(err, ERR_INVALID_REQUEST, "'id' is no number of a token");
	if (hex_decode(&nonce, request_str(request, "nonce"), NULL) < 0 || nonce.n != TOKENS_NONCE)
		return fail(err, ERR_INVALID_REQUEST, "'nonce' is not %d bytes in hex", TOKENS_NONCE);
	unsigned char proof[SHA256_SIZE];
	tokens_prove(request->control->tokens, (uint64_t)id, buf_str(&nonce), proof);
	char digits[2 * SHA256_SIZE + 1];
	jsonw_begin_object(&request->json);
	member_z(&request->json, "proof", hex_format(str_of(proof, sizeof proof), digits));
	jsonw_end_object(&request->json);
	return 0;
}

int handle_token_revoke(struct request *request, struct err *err)
{
	if (request->identity.kind != IDENTITY_PERSON)
		return fail(err, ERR_INVALID_REQUEST, "only a person token can be revoked; the daemon's ends with it");
	return tokens_revoke(request->control->tokens, request->identity.token_id, err);
}
