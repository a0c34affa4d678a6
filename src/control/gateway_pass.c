/* One request of the gateway: what goes to egress, what comes back, what the record says of it. */
#include "base/escape.h"
#include "base/log.h"
#include "base/map.h"
#include "base/time.h"
#include "control/event.h"
#include "control/gateway_private.h"
#include "control/gateway_refusal.h"
#include "control/keeper_client.h"
#include "control/workers.h"
#include <stdlib.h>

#define PERMIT_NS  (90 * TIME_SECOND) /* to find the upstream and connect to it in */
#define PERMIT_MAX ((size_t)4 << 10)

/* ---------------------------------------------------------------------------------------------------------- the end */

static uint64_t ms_since(uint64_t from, uint64_t to)
{
	return to > from ? (to - from) / TIME_MILLISECOND : 0;
}

static void record(struct pass *pass)
{
	uint64_t now = clock_monotonic_ns(NULL);
	AUTO_EVENT event;
	event_begin(&event, (struct audit_event){.type = AUDIT_GATEWAY_REQUEST,
						 .actor = AUDIT_ACTOR_AGENT,
						 .actor_id = str_from(pass->session)});
	struct json_writer *w = &event.json;
	member_z(w, "aileron.session.id", pass->session);
	member_z(w, "aileron.gateway.provider", stream_provider_name(pass->provider));
	member_z(w, "aileron.gateway.method", pass->method);
	member_z(w, "aileron.gateway.path", pass->path);
	member_str_given(w, "aileron.gateway.model", gateway_model_found(&pass->model));
	member_u64(w, "aileron.gateway.status", pass->status);
	member_z(w, "aileron.gateway.outcome", pass->whole ? "completed" : pass->given_up ? "cancelled" : "failed");
	member_u64(w, "aileron.gateway.bytes_up", pass->sent);
	member_u64(w, "aileron.gateway.bytes_down", pass->received);
	if (pass->answered_ns > 0)
		member_u64(w, "aileron.gateway.first_byte_ms", ms_since(pass->began_ns, pass->answered_ns));
	member_u64(w, "aileron.gateway.duration_ms", ms_since(pass->began_ns, now));
	event_later(pass->gateway->control->db, &event);
}

static void pass_free(struct pass *pass)
{
	struct gateway *gateway = pass->gateway;
	map_remove(gateway->passes, str_of(&pass->id, sizeof pass->id));
	if (pass->use != 0)
		keeper_tell_end_use(gateway->control->keeper, pass->use);
	free(pass->refusal);
	free(pass);
}

/* Before a byte of an answer came. */
static void refuse(struct pass *pass, const struct err *err)
{
	pass->status = gateway_refuse(pass->x, pass->provider, err);
	log_info("gateway_refused", log_z("provider", stream_provider_name(pass->provider)),
		 log_u64("status", pass->status), log_err(err));
	record(pass);
	pass_free(pass);
}

void pass_ended(struct pass *pass, const struct err *err)
{
	static struct err none; /* of the loop's thread */
	pass->whole = err == NULL && pass->answered_ns > 0;
	if (pass->answered_ns == 0) {
		err_clear(&none);
		if (err == NULL)
			fail(&none, ERR_UPSTREAM_ERROR, "the upstream gave no answer");
		refuse(pass, err != NULL ? err : &none);
		return;
	}
	if (pass->whole) {
		http_stream_end(pass->x);
	} else {
		http_stream_break(pass->x);
		if (!pass->given_up)
			log_warn("gateway_answer_broken", log_z("provider", stream_provider_name(pass->provider)),
				 log_u64("bytes", pass->received), log_err(err));
	}
	record(pass);
	pass_free(pass);
}

/* Egress ends it, and says so. */
void pass_give_up(struct pass *pass)
{
	if (pass->given_up)
		return;
	pass->given_up = true;
	if (pass->opened)
		gateway_send(pass->gateway, STREAM_CANCEL, pass->id, STR_EMPTY);
}

static void on_client_gone(void *user)
{
	pass_give_up(user);
}

/* ------------------------------------------------------------------------------------------------------- the request */

static void send_body(struct pass *pass)
{
	struct str body = http_body(pass->x);
	while (pass->sent < body.n && pass->credit > 0) {
		size_t n = (size_t)MIN(pass->credit, (uint64_t)STREAM_PIECE);
		struct str piece = str_slice(body, (size_t)pass->sent, MIN((size_t)pass->sent + n, body.n));
		gateway_send(pass->gateway, STREAM_BODY, pass->id, piece);
		gateway_model_feed(&pass->model, piece);
		pass->sent += piece.n;
		pass->credit -= piece.n;
	}
}

void pass_more(struct pass *pass, uint32_t bytes)
{
	pass->credit += bytes;
	if (!pass->given_up)
		send_body(pass);
}

/* Egress leaves out what it must, and never sees what let the request in. */
static void send_open(struct pass *pass)
{
	struct stream_header headers[H1_HEADERS_N];
	size_t n;
	const struct h1_header *all = http_headers(pass->x, &n);
	size_t kept = 0;
	for (size_t i = 0; i < n && kept < ARRAY_LEN(headers); i++) {
		if (!str_eq_fold(all[i].name, S(GATEWAY_CAPABILITY_HEADER)))
			headers[kept++] = (struct stream_header){all[i].name, all[i].value};
	}
	const struct stream_open open = {
		.provider = pass->provider,
		.method = http_method(pass->x),
		.target = pass->target,
		.headers = {headers, kept},
		.length = http_body(pass->x).n,
		.use = pass->use,
	};
	AUTO_BUF body = BUF_INIT_SECRET(STREAM_HEAD_MAX);
	stream_open_put(&body, &open);
	pass->opened = true;
	gateway_send(pass->gateway, STREAM_OPEN, pass->id, buf_str(&body));
}

static void open_stream(struct pass *pass)
{
	struct err err = {0};
	if (pass->gateway->channel == NULL || pass->given_up) {
		fail(&err, pass->given_up ? ERR_CANCELLED : ERR_UNAVAILABLE,
		     pass->given_up ? "the request was given up"
				    : "the process that sends requests is starting; try again");
		refuse(pass, &err);
		return;
	}
	pass->credit = STREAM_WINDOW;
	send_open(pass);
	send_body(pass);
}

/* -------------------------------------------------------------------------------------------------------- the key */

/* What the person does about it. */
static void explain(const struct pass *pass, struct err *err)
{
	const struct str entry = pass->gateway->inject[pass->provider];
	if (err->class == ERR_VAULT_LOCKED || err->class == ERR_VAULT_MISSING)
		fail(err, ERR_BINDING_REQUIRED,
		     "the vault is locked and the key '%.*s' is in it; run `aileron vault unlock`, then ask again",
		     STR_FMT(entry));
	else if (err->class == ERR_BINDING_NOT_FOUND || err->class == ERR_CAPABILITY_DENIED ||
		 err->class == ERR_KIND_MISMATCH)
		fail(err, ERR_BINDING_REQUIRED,
		     "the key '%.*s' cannot be used for '%.*s'; run `aileron vault put %.*s --host %.*s` to give it "
		     "for that",
		     STR_FMT(entry), STR_FMT(pass->gateway->authority[pass->provider]), STR_FMT(entry),
		     STR_FMT(pass->gateway->authority[pass->provider]));
}

static int ask_permit(struct pass *pass, struct err *err)
{
	struct gateway *gateway = pass->gateway;
	AUTO(arena) *arena = arena_new();
	const struct keeper_permit permit = {
		.use = pass->use,
		.path = gateway->inject[pass->provider],
		.connector = S(KEEPER_GATEWAY),
		.kind = S("api_key"),
		.hosts = &gateway->authority[pass->provider],
		.n_hosts = 1,
		.deadline_ns = clock_monotonic_ns(NULL) + PERMIT_NS,
	};
	AUTO_BUF body = BUF_INIT(PERMIT_MAX);
	keeper_permit_put(&body, &permit);
	if (buf_check(&body, "the permit", err) < 0)
		return -1;
	return keeper_ask(gateway->control->keeper, KEEPER_PERMIT, buf_str(&body), arena, NULL, err);
}

/* On a worker: the keeper takes its time. */
static void permit_on_worker(void *user)
{
	struct pass *pass = user;
	struct gateway *gateway = pass->gateway;
	struct err *err = NEW(struct err);
	if (ask_permit(pass, err) < 0)
		pass->refusal = TAKE(err);
	free(err);
	pthread_mutex_lock(&gateway->lock);
	pass->next_permitted = gateway->permitted;
	gateway->permitted = pass;
	pthread_mutex_unlock(&gateway->lock);
	loop_wake(gateway->wakeup);
}

void pass_permitted(struct pass *pass)
{
	pass->permitting = false;
	if (pass->refusal == NULL) {
		open_stream(pass);
		return;
	}
	explain(pass, pass->refusal);
	struct err *refusal = TAKE(pass->refusal);
	refuse(pass, refusal);
	free(refusal);
}

void pass_begin(struct pass *pass)
{
	struct control *control = pass->gateway->control;
	http_on_gone(pass->x, on_client_gone, pass);
	if (pass->gateway->inject[pass->provider].n == 0) {
		open_stream(pass);
		return;
	}
	pass->use = keeper_new_number(control->keeper);
	pass->permitting = true;
	if (workers_add(control->workers, permit_on_worker, pass))
		return;
	struct err err = {0};
	fail(&err, ERR_UNAVAILABLE, "too many requests wait; try again in a moment");
	refuse(pass, &err);
}

/* --------------------------------------------------------------------------------------------------------- the answer */

/* The client took some: egress may send as much again. In large steps, a frame of an event is small. */
static void on_sent(void *user)
{
	struct pass *pass = user;
	uint64_t unsent = http_stream_unsent(pass->x);
	uint64_t taken = pass->received > unsent ? pass->received - unsent : 0;
	if (pass->given_up || taken < pass->told + STREAM_PIECE)
		return;
	gateway_send_more(pass->gateway, pass->id, taken - pass->told);
	pass->told = taken;
}

static bool read_length(struct str text, uint64_t *ret)
{
	return text.n > 0 && str_to_u64(text, INT64_MAX, ret);
}

void pass_head(struct pass *pass, const struct stream_head *head)
{
	/* An answer of a provider is not to be a page of ours, should somebody get a browser to ask for it. */
	static const struct h1_header always = {S("Content-Security-Policy"), S("sandbox; default-src 'none'")};
	struct h1_header headers[STREAM_HEADERS_MAX + 1] = {always};
	struct http_answer answer = {.status = head->status, .relayed = true, .headers = headers, .n_headers = 1};
	for (size_t i = 0; i < head->headers.n; i++) {
		const struct stream_header *field = &head->headers.items[i];
		if (str_eq_fold(field->name, S("Content-Length")))
			answer.has_length = read_length(field->value, &answer.length);
		else
			headers[answer.n_headers++] = (struct h1_header){field->name, field->value};
	}
	pass->answered_ns = clock_monotonic_ns(NULL);
	pass->status = head->status;
	http_on_sent(pass->x, on_sent, pass);
	http_stream_begin(pass->x, &answer);
}

void pass_data(struct pass *pass, struct str bytes)
{
	pass->received += bytes.n;
	if (pass->given_up)
		return;
	if (http_stream_write(pass->x, bytes) < 0)
		pass_give_up(pass);
}
