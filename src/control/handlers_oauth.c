/*
 * OAuth flows (docs/formats/oauth.md): control makes the authorization URL, keeps state, and asks egress for the exchange. The
 * verifier was made and sealed by the command line, and lies with the keeper; tokens go from egress to the keeper.
 */
#include "base/ascii.h"
#include "base/escape.h"
#include "base/limits.h"
#include "base/time.h"
#include "control/calls.h"
#include "control/control.h"
#include "control/keeper_client.h"
#include "control/oauth.h"
#include "control/setup.h"
#include "crypto/constant_time.h"
#include "text/form.h"
#include "text/json_members.h"
#include "text/url.h"
#include <stdio.h>

#define EXCHANGE_NS     (30 * TIME_SECOND)
#define URL_ROOM        (64 * KIB)
#define CHALLENGE_CHARS 43 /* base64url of a SHA-256 */
#define INTERVAL_S      5  /* RFC 8628 3.5, when the server names none */

/* ------------------------------------------------------------------------------------------------------------ beginning */

static bool is_loopback_url(struct request *r, struct str text, bool https_too)
{
	struct url url;
	if (url_parse(r->arena, text, &url, NULL) < 0)
		return false;
	bool scheme = str_eq(url.scheme, S("http")) || (https_too && str_eq(url.scheme, S("https")));
	return scheme &&
	       (str_eq(url.host, S("127.0.0.1")) || str_eq(url.host, S("localhost")) || str_eq(url.host, S("::1")));
}

static struct str own_callback(struct request *r)
{
	return arena_printf(r->arena, "http://%.*s/v1/bindings/setup/oauth2/callback",
			    STR_FMT(supervise_setting(r->control->start, SETTING_LISTEN)));
}

static int choose_redirect(struct request *r, struct oauth_flow *flow, struct err *err)
{
	struct str return_to = request_str(r, "return_to"), redirect = request_str(r, "redirect_uri");
	flow->caller = str_eq(request_str(r, "caller"), S("cli")) ? OAUTH_CALLER_CLI : OAUTH_CALLER_DAEMON;
	if (return_to.n > 0 && !is_loopback_url(r, return_to, true))
		return fail(err, ERR_INVALID_RETURN_TO, "'return_to' must be an http or https URL of a loopback host");
	flow->return_to = return_to;
	if (flow->caller == OAUTH_CALLER_DAEMON) {
		flow->redirect_uri = own_callback(r);
		return 0;
	}
	if (redirect.n == 0 || !is_loopback_url(r, redirect, false))
		return fail(err, ERR_INVALID_REQUEST,
			    "'redirect_uri' must be the caller's own listener on a loopback host");
	flow->redirect_uri = redirect;
	return 0;
}

static bool is_challenge(struct str text)
{
	if (text.n != CHALLENGE_CHARS)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (!ascii_is_alnum(text.p[i]) && text.p[i] != '-' && text.p[i] != '_')
			return false;
	}
	return true;
}

static struct str joined_scopes(struct request *r, struct str_list scopes)
{
	AUTO_BUF joined = BUF_INIT(URL_ROOM);
	for (size_t i = 0; i < scopes.n; i++) {
		buf_add_z(&joined, i > 0 ? " " : "");
		buf_add_str(&joined, scopes.items[i]);
	}
	return arena_str(r->arena, buf_str(&joined));
}

/* The vault path, and whether what is there fits what is wanted. */
static int choose_binding(struct request *r, const struct connector_opened *opened, struct binding_fields *fields,
			  struct oauth_flow *flow, struct err *err)
{
	struct binding there;
	AUTO_BUF name = BUF_INIT(KIB);
	struct err why = {0};
	*fields = (struct binding_fields){
		.kind = S("oauth2"),
		.connector_fqn = opened->row.fqn,
		.service = binding_service(opened->row.fqn, request_str(r, "service")),
		.identity = request_str(r, "identity"),
		.account = request_str(r, "account"),
		.scope = flow->scopes,
	};
	if (binding_name_put(&name, fields, err) < 0)
		return -1;
	flow->binding = arena_str(r->arena, buf_str(&name));
	bool exists = bindings_get(r->control, r->arena, flow->binding, &there, &why) == 0;
	if (!exists && why.class != ERR_BINDING_NOT_FOUND) {
		*err = why;
		return -1;
	}
	if (exists && !flow->reauthorize)
		return fail(
			err, ERR_BINDING_EXISTS,
			"there is a binding '%.*s' already; run `aileron binding reauthorize %.*s`, or choose another "
			"identity",
			STR_FMT(flow->binding), STR_FMT(flow->binding));
	if (!exists && flow->reauthorize) {
		*err = why;
		return -1;
	}
	if (exists && fields->account.n == 0)
		fields->account = there.fields.account;
	return 0;
}

static int make_ticket(struct request *r, const struct binding_fields *fields, struct oauth_flow *flow, struct err *err)
{
	struct str sealed;
	AUTO_BUF metadata = BUF_INIT(128 * KIB);
	if (request_sealed(r, &sealed, err) < 0)
		return -1;
	binding_metadata_put(&metadata, fields);
	if (buf_check(&metadata, "the binding's metadata", err) < 0)
		return -1;
	flow->ticket = keeper_new_number(r->control->keeper);
	const struct keeper_sealed message = {
		.operation = KEEPER_OP_OAUTH,
		.flags = (flow->reauthorize ? 0U : KEEPER_FLAG_CREATE) | (flow->device ? KEEPER_FLAG_DEVICE : 0U),
		.path = flow->binding,
		.metadata = buf_str(&metadata),
		.ticket = flow->ticket,
		.sealed = sealed,
	};
	return keeper_ask_sealed(r->control->keeper, &message, r->arena, NULL, err);
}

static struct str authorize_url(struct request *r, const struct manifest_oauth2 *oauth2, const struct oauth_flow *flow)
{
	AUTO_BUF url = BUF_INIT(URL_ROOM);
	buf_add_str(&url, oauth2->authorize_url);
	if (str_find_char(oauth2->authorize_url, '?') == STR_NPOS)
		buf_add_char(&url, '?');
	form_put(&url, S("client_id"), oauth2->client_id);
	form_put(&url, S("redirect_uri"), flow->redirect_uri);
	form_put(&url, S("response_type"), S("code"));
	form_put(&url, S("scope"), flow->scopes);
	form_put(&url, S("state"), flow->state);
	form_put(&url, S("code_challenge"), request_str(r, "code_challenge"));
	form_put(&url, S("code_challenge_method"), S("S256"));
	form_put(&url, S("access_type"), S("offline"));
	if (flow->reauthorize)
		form_put(&url, S("prompt"), S("consent"));
	return arena_str(r->arena, buf_str(&url));
}

static int begin_code(struct request *r, const struct connector_opened *opened, struct oauth_flow *flow,
		      struct err *err)
{
	if (!is_challenge(request_str(r, "code_challenge")))
		return fail(err, ERR_INVALID_REQUEST,
			    "'code_challenge' must be the S256 challenge of the sealed verifier");
	if (oauth_flow_add(r->control->oauth, flow, err) < 0)
		return -1;
	struct json_writer *w = &r->json;
	jsonw_begin_object(w);
	member_str_given(w, "session_id", flow->id);
	member_str_given(w, "authorize_url", authorize_url(r, &opened->manifest->credential.oauth2, flow));
	member_str_given(w, "redirect_uri", flow->redirect_uri);
	jsonw_end_object(w);
	return 0;
}

static int begin_device(struct request *r, struct oauth_flow *flow, struct err *err)
{
	struct egress_oauth_result result = {0};
	const struct egress_oauth ask = {.step = OAUTH_DEVICE_START, .ticket = flow->ticket, .left_ns = EXCHANGE_NS};
	if (calls_oauth(r->control->calls, &ask, r->arena, &result, err) < 0)
		return -1;
	flow->interval = result.interval > 0 ? result.interval : INTERVAL_S;
	if (oauth_flow_add(r->control->oauth, flow, err) < 0)
		return -1;
	struct json_writer *w = &r->json;
	jsonw_begin_object(w);
	member_str_given(w, "session_id", flow->id);
	member_str_given(w, "user_code", result.user_code);
	member_str_given(w, "verification_uri", result.verification_uri);
	member_str_given(w, "verification_uri_complete", result.verification_uri_complete);
	member_u64(w, "interval", (uint64_t)flow->interval);
	member_u64(w, "expires_in", MIN(result.expires_in, UINT64_C(86400)));
	jsonw_end_object(w);
	return 0;
}

int handle_oauth_init(struct request *r, struct err *err)
{
	AUTO_CONNECTOR opened = CONNECTOR_OPENED_INIT;
	struct binding_fields fields;
	if (connector_open(r->control, r->arena, request_str(r, "connector_fqn"), &opened, err) < 0)
		return -1;
	const struct manifest_credential *declared = &opened.manifest->credential;
	if (declared->kind != CREDENTIAL_OAUTH2) {
		fail(err, ERR_NOT_OAUTH2, "'%.*s' does not use OAuth", STR_FMT(opened.row.fqn));
		err_detail(err, "declared_kind", str_from(credential_kind_name(declared->kind)));
		return -1;
	}
	struct oauth_flow flow = {
		.id = oauth_random(r->arena),
		.state = oauth_random(r->arena),
		.reauthorize = str_eq(request_str(r, "purpose"), S("reauthorize")),
		.device = str_eq(request_str(r, "flow"), S("device")),
		.connector_fqn = opened.row.fqn,
		.scopes = joined_scopes(r, declared->oauth2.scopes),
	};
	if (flow.device && declared->oauth2.device_authorization_url.n == 0)
		return fail(err, ERR_INVALID_REQUEST, "'%.*s' names no device_authorization_url",
			    STR_FMT(opened.row.fqn));
	if (!flow.device && choose_redirect(r, &flow, err) < 0)
		return -1;
	if (choose_binding(r, &opened, &fields, &flow, err) < 0 || make_ticket(r, &fields, &flow, err) < 0)
		return -1;
	return flow.device ? begin_device(r, &flow, err) : begin_code(r, &opened, &flow, err);
}

/* ------------------------------------------------------------------------------------------------------------- finishing */

/* The keeper has the tokens: the binding is there. */
static int complete(struct request *r, const struct oauth_flow *flow, struct binding *ret, struct err *err)
{
	if (bindings_get(r->control, r->arena, flow->binding, ret, err) < 0)
		return -1;
	return setup_record(r, flow->reauthorize ? AUDIT_BINDING_REBOUND : AUDIT_BINDING_CREATED, ret, err);
}

static int exchange(struct request *r, const struct oauth_flow *flow, struct str code, struct binding *ret,
		    struct err *err)
{
	struct egress_oauth_result result = {0};
	const struct egress_oauth ask = {
		.step = OAUTH_CODE,
		.ticket = flow->ticket,
		.left_ns = EXCHANGE_NS,
		.code = code,
		.redirect_uri = flow->redirect_uri,
	};
	if (calls_oauth(r->control->calls, &ask, r->arena, &result, err) < 0)
		return -1;
	return complete(r, flow, ret, err);
}

int handle_oauth_finish(struct request *r, struct err *err)
{
	struct oauth_flow flow;
	struct binding binding;
	if (oauth_flow_take(r->control->oauth, r->arena, request_str(r, "session_id"), &flow, err) < 0)
		return -1;
	if (!constant_time_eq(request_str(r, "state"), flow.state))
		return fail(err, ERR_STATE_MISMATCH,
			    "the state is not that of this flow, which is over now; begin again");
	if (flow.device)
		return fail(err, ERR_INVALID_REQUEST, "this is a device flow, which is polled");
	if (request_str(r, "code").n == 0) /* egress would take it for a broken control */
		return fail(err, ERR_INVALID_REQUEST, "'code' is empty; the authorization server sent none");
	if (exchange(r, &flow, request_str(r, "code"), &binding, err) < 0)
		return -1;
	r->status = flow.reauthorize ? 200 : 201;
	binding_put_json(&r->json, &binding);
	return 0;
}

static void put_pending(struct request *r, uint32_t interval)
{
	struct json_writer *w = &r->json;
	jsonw_begin_object(w);
	member_str_given(w, "status", S("pending"));
	member_u64(w, "interval", (uint64_t)interval);
	jsonw_end_object(w);
}

int handle_oauth_poll(struct request *r, struct err *err)
{
	struct oauth_flow flow;
	struct binding binding;
	struct egress_oauth_result result = {0};
	struct str id = request_str(r, "session_id");
	if (oauth_flow_look(r->control->oauth, r->arena, id, &flow, err) < 0)
		return -1;
	if (!flow.device)
		return fail(err, ERR_INVALID_REQUEST, "this flow ends in a browser; it is not polled");
	const struct egress_oauth ask = {.step = OAUTH_DEVICE_POLL, .ticket = flow.ticket, .left_ns = EXCHANGE_NS};
	if (calls_oauth(r->control->calls, &ask, r->arena, &result, err) < 0) {
		if (err->class != ERR_NETWORK_ERROR) /* the server said no; a line that broke may be tried again */
			(void)!oauth_flow_take(r->control->oauth, r->arena, id, &flow, NULL);
		return -1;
	}
	if (result.pending) {
		oauth_flow_slow_down(r->control->oauth, id, result.interval);
		put_pending(r, flow.interval + result.interval);
		return 0;
	}
	if (oauth_flow_take(r->control->oauth, r->arena, id, &flow, err) < 0 || complete(r, &flow, &binding, err) < 0)
		return -1;
	struct json_writer *w = &r->json;
	jsonw_begin_object(w);
	member_str_given(w, "status", S("complete"));
	jsonw_key(w, S("binding"));
	binding_put_json(w, &binding);
	jsonw_end_object(w);
	return 0;
}

/* ------------------------------------------------------------------------------------------------ the browser comes back */

static void escape_html(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		switch (text.p[i]) {
		case '<':
			buf_add_z(out, "&lt;");
			break;
		case '>':
			buf_add_z(out, "&gt;");
			break;
		case '&':
			buf_add_z(out, "&amp;");
			break;
		case '"':
			buf_add_z(out, "&quot;");
			break;
		default:
			buf_add_char(out, text.p[i]);
		}
	}
}

static void answer_page(struct request *r, unsigned status, const char *title, struct str text)
{
	static const struct h1_header headers[] = {
		{{"Content-Security-Policy", 23}, {"default-src 'none'; frame-ancestors 'none'", 42}},
	};
	AUTO_BUF visible = BUF_INIT(64 * KIB);
	AUTO_BUF page = BUF_INIT(256 * KIB);
	escape_visible(&visible, text);
	buf_addf(&page, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>%s</title><h1>%s</h1><p>",
		 title, title);
	escape_html(&page, buf_str(&visible));
	buf_add_z(&page, "</p></html>\n");
	const struct http_answer answer = {
		.status = status,
		.content_type = S("text/html; charset=utf-8"),
		.body = buf_str(&page),
		.headers = headers,
		.n_headers = ARRAY_LEN(headers),
	};
	r->answered = true;
	http_answer(r->exchange, &answer);
}

static void answer_redirect(struct request *r, const struct oauth_flow *flow, const struct binding *binding)
{
	AUTO_BUF location = BUF_INIT(URL_ROOM);
	AUTO_BUF name = BUF_INIT(KIB);
	form_escape(&name, binding->name);
	buf_add_str(&location, flow->return_to);
	buf_addf(&location, "#aileron_oauth=ok&binding=%s", name.p);
	const struct h1_header header = {S("Location"), buf_str(&location)};
	const struct http_answer answer = {
		.status = 303, .content_type = S("text/plain"), .headers = &header, .n_headers = 1};
	r->answered = true;
	http_answer(r->exchange, &answer);
}

static int come_back(struct request *r, struct oauth_flow *flow, struct binding *binding, struct err *err)
{
	struct str code = request_query(r, "code"), refused = request_query(r, "error");
	if (oauth_flow_take_by_state(r->control->oauth, r->arena, request_query(r, "state"), flow, err) < 0)
		return -1;
	if (flow->caller != OAUTH_CALLER_DAEMON)
		return fail(err, ERR_INVALID_REQUEST,
			    "wrong_caller_mode: this flow ends at the command line that began it");
	if (refused.n > 0)
		return fail(err, ERR_TOKEN_EXCHANGE_FAILED, "provider_error: the authorization server answered '%.*s'",
			    STR_FMT(refused));
	if (code.n == 0)
		return fail(err, ERR_INVALID_REQUEST, "the authorization server sent no code");
	return exchange(r, flow, code, binding, err);
}

/* Whoever holds a state that was not used yet may end its flow: nothing else authenticates a browser that is sent here. */
int handle_oauth_callback(struct request *r, struct err *err)
{
	struct oauth_flow flow;
	struct binding binding;
	if (come_back(r, &flow, &binding, err) < 0) {
		const struct err_row *row = err_row(err->class);
		char text[ERR_MESSAGE_MAX + 64];
		snprintf(text, sizeof text, "%s: %s", row->name, err->message);
		answer_page(r, (unsigned)row->http_status, "Not connected", str_from(text));
		err_clear(err);
		return 0;
	}
	if (flow.return_to.n > 0)
		answer_redirect(r, &flow, &binding);
	else
		answer_page(r, 200, "Connected", S("The binding is made. You can close this window."));
	return 0;
}
