#include "egress/request.h"
#include "base/arena.h"
#include "base/escape.h"
#include "base/limits.h"
#include "base/size.h"
#include "egress/address.h"
#include "egress/envelope.h"
#include "egress/gate.h"
#include "egress/headers.h"
#include "egress/inject.h"
#include "egress/lines.h"
#include "egress/permit.h"
#include "egress/resolve.h"
#include "egress/scrub.h"
#include "egress/watchlist.h"
#include "http/client.h"
#include "os/loop.h"
#include "vault/keeper_protocol.h"
#include <netinet/in.h>
#include <stdlib.h>

#define METHOD_MAX       64
#define CONNECT_MS       30000 /* all addresses of a hop together, TLS included */
#define CONNECT_LEAST_MS 2000  /* what the last of many addresses gets at least */
#define NOTE_MAX         4096
#define SEARCH_AT_ONCE   ((size_t)64 << 10) /* bytes: some ms at worst; a larger body is searched by another thread */

/*
 * One hop after the other:
 *
 *     begin_hop -> (resolver -> on_resolved) -> dial_judged -> (keeper -> on_credential) -> dial -> on_answer -> end
 *         ^                                                                                  ^          |
 *         |                                                                                  +----------+ unreachable
 *         +--- follow <---------------------------------------------------------------------------------+ redirect
 *
 * Whatever goes wrong calls end() or end_fail(), after which the request is gone (or, when it happens inside one of the
 * public functions, goes at the next turn of the loop). A large body is first searched for the secret by another thread;
 * until then nothing ends the request.
 */
struct egress_request {
	struct egress_net net;
	const struct egress_grant *grant;
	struct watchlist *watchlist;
	struct permits *permits;
	struct arena *arena;
	void (*done)(void *context, struct egress_result *result);
	void *context;
	bool trace;
	char *waiting; /* the envelope of a request that waits to be begun */
	size_t waiting_n;
	bool deferred;             /* inside a public function: `done` waits for the timer */
	bool ended;                /* the result is complete */
	struct loop_source *timer; /* the deadline; at once when `ended` */
	uint64_t started_ns;

	/* the request as it stands at this hop */
	struct str method, body, credential;
	struct header_list headers;
	struct url url;
	bool with_credential;
	unsigned redirects;

	/* this hop's means */
	struct message message; /* as it will be sent, for whoever signs */
	bool asking;            /* the keeper has yet to answer */
	struct injection injection;
	struct lines lines;
	struct sockaddr_storage addresses[RESOLVE_ADDRESSES_MAX];
	size_t n_addresses, next_address;
	uint64_t dial_until_ns;
	struct resolve_query *query;
	struct http_transfer *transfer;

	struct buf dropped; /* names of fields that were left out */
	struct buf dialled; /* the note, as far as it is known */
	size_t struck;
	struct buf response;
	struct egress_result result;
};

static void begin_hop(struct egress_request *r);
static void begin_dialling(struct egress_request *r);
static void dial(struct egress_request *r);

/* ---- the end ---- */

static void release_hop(struct egress_request *r)
{
	lines_release(&r->lines);
	injection_release(&r->injection);
	r->n_addresses = r->next_address = 0;
}

static void request_free(struct egress_request *r)
{
	release_hop(r);
	loop_source_free(r->timer);
	buf_release(&r->dropped);
	buf_release(&r->dialled);
	buf_release(&r->response);
	arena_free(r->arena);
	free(r->waiting);
	free(r);
}

/* A failure of our own means, told to the guest by a class of the closed set. */
static void reclass(struct err *err, enum err_class class)
{
	struct err as_it_was = *err;
	fail(err, class, "http_request: %s", as_it_was.message);
}

static void write_note(struct egress_request *r, struct buf *note)
{
	buf_add_str(note, buf_str(&r->dialled));
	if (r->redirects > 0)
		buf_addf(note, "%s%u redirect%s", note->n > 0 ? ", " : "", r->redirects, r->redirects > 1 ? "s" : "");
	if (r->dropped.n > 0)
		buf_addf(note, "%sdropped %s", note->n > 0 ? ", " : "", r->dropped.p);
	if (r->struck > 0)
		buf_addf(note, "%sstruck out the secret %zu time%s", note->n > 0 ? ", " : "", r->struck,
			 r->struck > 1 ? "s" : "");
}

/* The body, which may be large and made to be slow to search. On the loop's thread or another: nobody else uses r now. */
static void scrub_body(void *request)
{
	struct egress_request *r = request;
	struct egress_result *result = &r->result;
	size_t n = 0;
	if (result->rc == 0 && scrub_text(watchlist_scrubber(r->watchlist), r->response.p, r->response.n, &n,
					  &r->struck, &result->err) != 0) {
		result->rc = -1;
		reclass(&result->err, ERR_RESOURCE_LIMIT_EXCEEDED);
		n = 0;
	}
	buf_truncate(&r->response, n);
}

/* What a guest asked for stands in errors too, and their words tell as much as a body. */
static void scrub_failure(struct egress_request *r, const struct scrubber *scrubber)
{
	static struct err before; /* large, and one loop has one thread */
	before = r->result.err;
	scrub_err(scrubber, &r->result.err);
	if (strcmp(before.message, r->result.err.message) != 0 || strcmp(before.details, r->result.err.details) != 0)
		r->struck++;
	mem_wipe(&before, sizeof before);
}

static void scrub_words(struct egress_request *r, struct buf *note)
{
	const struct scrubber *scrubber = watchlist_scrubber(r->watchlist);
	size_t n = 0;
	if (r->result.rc != 0)
		scrub_failure(r, scrubber);
	if (scrub_text(scrubber, note->p, note->n, &n, NULL, NULL) != 0)
		n = 0;
	buf_truncate(note, n);
}

static struct str origin_of(const struct egress_request *r)
{
	AUTO_BUF origin = BUF_INIT(1024);
	buf_add_str(&origin, r->url.scheme);
	buf_add_z(&origin, "://");
	buf_add_str(&origin, url_authority(r->arena, &r->url));
	return arena_str(r->arena, buf_str(&origin));
}

static void hand_over(void *request)
{
	struct egress_request *r = request;
	AUTO_BUF note = BUF_INIT(NOTE_MAX);
	write_note(r, &note);
	if (watchlist_scrubber(r->watchlist) != NULL)
		scrub_words(r, &note);
	if (r->struck > 0 && watchlist_echo(r->watchlist, origin_of(r), &r->result.err) != 0)
		r->result.rc = -1;
	r->result.note = r->trace ? buf_str(&note) : STR_EMPTY;
	r->result.body = r->result.rc == 0 ? buf_str(&r->response) : STR_EMPTY;
	r->result.nanoseconds = clock_monotonic_ns(r->net.clock) - r->started_ns;
	r->done(r->context, &r->result);
	request_free(r);
}

/* Nothing leaves without having been searched for the secret. */
static void deliver(struct egress_request *r)
{
	loop_timer_stop(r->timer);
	bool search = watchlist_scrubber(r->watchlist) != NULL;
	if (search && r->response.n > SEARCH_AT_ONCE) {
		loop_work(r->net.loop, scrub_body, hand_over, r);
		return;
	}
	if (search)
		scrub_body(r);
	hand_over(r);
}

static void end(struct egress_request *r)
{
	if (r->asking)
		permits_cancel(r->permits);
	r->asking = false;
	resolve_cancel(TAKE(r->query));
	http_cancel(TAKE(r->transfer));
	r->ended = true;
	if (r->deferred)
		loop_timer_start(r->timer, 0, 0);
	else
		deliver(r);
}

/* With what stands in result.err. What failed of our own means (memory for a secret) has no class that a guest sees. */
static void end_fail(struct egress_request *r, int32_t rc)
{
	if (!err_class_is_closed(r->result.err.class))
		reclass(&r->result.err, ERR_CONNECTOR_RUNTIME_ERROR);
	r->result.rc = rc;
	end(r);
}

static void end_limit(struct egress_request *r, const char *limit, const char *what, uint64_t max)
{
	char size[SIZE_TEXT_SIZE];
	size_format(max, size);
	struct err *err = &r->result.err;
	fail(err, ERR_RESOURCE_LIMIT_EXCEEDED, "http_request: the %s is larger than %s", what, size);
	err_detail(err, "limit", str_from(limit));
	err_detail(err, "configured", str_from(size));
	end_fail(r, -1);
}

static void fail_silent_keeper(const struct egress_request *r, struct err *err)
{
	fail(err, ERR_BINDING_FAILED,
	     "http_request: the keeper of the vault did not give out the credential of '%.*s' before the call's "
	     "deadline",
	     STR_FMT(r->grant->connector));
	err_set_boundary(err, BOUNDARY_SANDBOX);
	err_detail(err, "connector", r->grant->connector);
}

static void on_timer(void *user, int what)
{
	(void)what;
	struct egress_request *r = user;
	if (r->ended) {
		deliver(r);
		return;
	}
	struct err *err = &r->result.err;
	if (r->waiting != NULL)
		fail(err, ERR_NETWORK_ERROR, "http_request: the call's deadline passed while others were served");
	else if (r->asking)
		fail_silent_keeper(r, err);
	else
		fail(err, ERR_NETWORK_ERROR, "http_request: the call's deadline passed before '%.*s' had answered",
		     STR_FMT(url_authority(r->arena, &r->url)));
	end_fail(r, -1);
}

void egress_request_cancel(struct egress_request *r)
{
	if (r->ended)
		return;
	fail(&r->result.err, ERR_NETWORK_ERROR, "http_request: cancelled by the caller");
	r->deferred = true;
	end_fail(r, -1);
}

/* ---- a hop: credential, address, dialling ---- */

static int inject(struct egress_request *r, struct err *err)
{
	struct inject_options options = {.now = clock_wall_ns(r->net.clock)};
	return inject_apply(r->arena, r->grant, &r->message, &options, &r->injection, err);
}

static uint16_t port_of(const struct sockaddr_storage *address)
{
	struct sockaddr_in6 v6; /* the port lies at the same place for IPv4 */
	memcpy(&v6, address, sizeof v6);
	return ntohs(v6.sin6_port);
}

static void note_dial(struct egress_request *r, const struct sockaddr_storage *address)
{
	char text[ADDRESS_TEXT_MAX];
	bool v6 = address->ss_family == AF_INET6;
	buf_addf(&r->dialled, "%sdialled %s%s%s:%u", r->dialled.n > 0 ? ", " : "", v6 ? "[" : "",
		 address_text(address, text), v6 ? "]" : "", port_of(address));
}

/* What was injected is known to whoever searches the answer, and has its place among the headers. */
static int prepare(struct egress_request *r, struct err *err)
{
	if (watchlist_add(r->watchlist, &r->injection, err) != 0)
		return -1;
	return lines_make(r->arena, &r->headers, &r->injection, &r->lines, err);
}

static void on_credential(void *context, const struct err *err)
{
	struct egress_request *r = context;
	r->asking = false;
	if (err != NULL)
		r->result.err = *err;
	if (err != NULL || prepare(r, &r->result.err) != 0)
		end_fail(r, -1);
	else
		begin_dialling(r);
}

static uint8_t way_of(const struct egress_request *r)
{
	uint8_t way = str_eq(r->url.scheme, S("https")) ? 0 : KEEPER_WAY_PLAIN;
	for (size_t i = 0; i < r->n_addresses; i++)
		way |= address_range_of(&r->addresses[i]) != NULL ? KEEPER_WAY_PRIVATE : 0;
	return way;
}

/* 1 when the credential is there, 0 when it was asked for, -1. The keeper is not asked for what is refused anyway. */
static int ask_keeper(struct egress_request *r, struct err *err)
{
	struct permit_ask ask = {
		.arena = r->arena,
		.message = &r->message,
		.way = way_of(r),
		.now = clock_wall_ns(r->net.clock),
		.ret = &r->injection,
		.done = on_credential,
		.context = r,
	};
	int got = permits_inject(r->permits, &ask, err);
	r->asking = got == 0;
	return got > 0 ? prepare(r, err) == 0 ? 1 : -1 : got;
}

/* The addresses are judged, and with that where a credential would go. */
static void dial_judged(struct egress_request *r, bool loopback)
{
	struct err *err = &r->result.err;
	int ready = 1;
	if (r->with_credential && address_allows_credential(&r->url, loopback, err) != 0)
		ready = -1;
	else if (r->with_credential && r->permits != NULL)
		ready = ask_keeper(r, err);
	if (ready < 0)
		end_fail(r, -1);
	else if (ready > 0)
		begin_dialling(r);
}

static void begin_dialling(struct egress_request *r)
{
	if (r->with_credential)
		watchlist_sent(r->watchlist, origin_of(r));
	r->next_address = 0;
	r->dial_until_ns = clock_monotonic_ns(r->net.clock) + CONNECT_MS * MS;
	dial(r);
}

static void judge(struct egress_request *r)
{
	bool loopback;
	if (address_judge(r->grant, &r->url, r->addresses, r->n_addresses, &loopback, &r->result.err) != 0) {
		end_fail(r, -1);
		return;
	}
	for (size_t i = 0; i < r->n_addresses; i++)
		address_set_port(&r->addresses[i], r->url.port);
	dial_judged(r, loopback);
}

static void on_resolved(void *context, const struct resolve_answer *answer)
{
	struct egress_request *r = context;
	r->query = NULL;
	if (answer->n == 0) {
		r->result.err = answer->err;
		wrap(&r->result.err, "http_request");
		if (r->redirects == 0)
			err_detail_int(&r->result.err, "unsent", 1);
		end_fail(r, -1);
		return;
	}
	memcpy(r->addresses, answer->addresses, answer->n * sizeof r->addresses[0]);
	r->n_addresses = answer->n;
	judge(r);
}

/* Where to dial; what can be refused without asking for a name is. */
static int plan_hop(const struct egress_request *r, struct address_plan *ret, struct err *err)
{
	if (address_plan(r->grant, &r->url, ret, err) != 0)
		return -1;
	if (!r->with_credential || ret->source != ADDRESS_ASK || address_may_be_local(r->grant, &r->url))
		return 0;
	return address_allows_credential(&r->url, false, err);
}

static void find_addresses(struct egress_request *r)
{
	struct address_plan plan;
	if (plan_hop(r, &plan, &r->result.err) != 0) {
		end_fail(r, -1);
		return;
	}
	if (plan.source != ADDRESS_ASK) {
		r->addresses[0] = plan.address;
		r->n_addresses = 1;
		dial_judged(r, plan.loopback);
	} else if (resolver_known(r->net.resolver, r->url.host, r->addresses, &r->n_addresses)) {
		judge(r);
	} else {
		r->query = resolver_ask(r->net.resolver, r->url.host, on_resolved, r);
	}
}

/* A credential of the grant's is put on the request at once; the keeper is asked when it is known where that goes. */
static void begin_hop(struct egress_request *r)
{
	struct err *err = &r->result.err;
	release_hop(r);
	r->message = (struct message){.method = r->method,
				      .url = &r->url,
				      .headers = r->headers.items,
				      .n_headers = r->headers.n,
				      .body = r->body};
	bool later = r->with_credential && r->permits != NULL;
	if ((r->with_credential && !later && inject(r, err) != 0) || (!later && prepare(r, err) != 0))
		end_fail(r, -1);
	else
		find_addresses(r);
}

/* ---- the answer ---- */

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/*
 * Where a redirect leads is asked of the gate like a first request. Once the origin changed, the credential is gone for
 * good, also when a later hop comes back: whoever answered in between chose that URL.
 */
static void follow(struct egress_request *r, int status, struct str location)
{
	struct err *err = &r->result.err;
	if (r->redirects == LIMIT_REDIRECTS) {
		fail(err, ERR_NETWORK_ERROR, "http_request: stopped after %d redirects", LIMIT_REDIRECTS);
		end_fail(r, -1);
		return;
	}
	r->redirects++;
	struct url from = r->url;
	if (gate_redirect(r->arena, r->grant, &from, location, &r->url, err) != 0) {
		err_detail_int(err, "redirects", r->redirects);
		end_fail(r, -1);
		return;
	}
	if (status <= 303) {
		if (!str_eq(r->method, S("HEAD")))
			r->method = S("GET");
		r->body = STR_EMPTY;
		headers_remove_content(&r->headers);
	}
	if (!url_same_origin(&from, &r->url)) {
		r->with_credential = false;
		headers_remove_credentials(&r->headers, r->grant->header);
	}
	begin_hop(r);
}

static void end_transfer_failed(struct egress_request *r, const struct http_answer *answer)
{
	r->result.err = answer->err;
	wrap(&r->result.err, answer->status != 0 ? "http_request: read body" : "http_request");
	/* What may safely be asked again: nobody has heard of it. */
	if (answer->unsent && r->redirects == 0)
		err_detail_int(&r->result.err, "unsent", 1);
	end_fail(r, -1);
}

static void note_answer(struct egress_request *r, const struct http_answer *answer)
{
	if (answer->http_version != 0)
		buf_addf(&r->dialled, " HTTP/%d%s%s", answer->http_version / 10,
			 answer->http_version == 11 ? ".1" : (answer->http_version == 10 ? ".0" : ""),
			 answer->reused ? " on a kept connection" : "");
}

static void on_answer(void *context, struct http_answer *answer)
{
	struct egress_request *r = context;
	struct str location;
	r->transfer = NULL;
	note_answer(r, answer);
	switch (answer->end) {
	case HTTP_UNREACHABLE:
		if (r->next_address < r->n_addresses)
			dial(r);
		else
			end_transfer_failed(r, answer);
		return;
	case HTTP_FAILED:
		end_transfer_failed(r, answer);
		return;
	case HTTP_BODY_TOO_LARGE:
		end_limit(r, "response_body", "response body", r->grant->response_max);
		return;
	case HTTP_ANSWERED:
		break;
	}
	if (is_redirect(answer->status) && http_answer_header(answer, S("Location"), &location) && location.n > 0) {
		follow(r, answer->status, location);
		return;
	}
	r->result.rc = 0;
	r->result.status = answer->status;
	r->response = answer->body;
	answer->body = BUF_INIT(0);
	end(r);
}

/*
 * As Go's client decides it: a guest that asks for an encoding, or for a part, gets the bytes as they come; but never
 * bytes in which the secret cannot be seen. HEAD has no body.
 */
static enum http_coding coding(const struct egress_request *r)
{
	if (str_eq(r->method, S("HEAD")) || headers_find(&r->headers, S("Accept-Encoding")) != NULL)
		return HTTP_CODING_ANY;
	if (headers_find(&r->headers, S("Range")) == NULL)
		return HTTP_CODING_GZIP;
	return watchlist_scrubber(r->watchlist) != NULL ? HTTP_CODING_NONE : HTTP_CODING_ANY;
}

static void dial(struct egress_request *r)
{
	uint64_t now = clock_monotonic_ns(r->net.clock);
	uint64_t left_ms = r->dial_until_ns > now ? (r->dial_until_ns - now) / MS : 0;
	uint64_t share_ms = left_ms / (r->n_addresses - r->next_address);
	const struct sockaddr_storage *address = &r->addresses[r->next_address++];
	note_dial(r, address);
	struct http_call call = {
		.pool = r->grant->pool,
		.method = r->method,
		.url = url_text(r->arena, &r->url),
		.peer = url_authority(r->arena, &r->url),
		.address = address,
		.headers = r->lines.items,
		.n_headers = r->lines.n,
		.body = r->body,
		.coding = coding(r),
		.sensitive = watchlist_scrubber(r->watchlist) != NULL,
		.headers_max = LIMIT_RESPONSE_HEADERS,
		.body_max = r->grant->response_max,
		.connect_ms = MAX(share_ms, (uint64_t)CONNECT_LEAST_MS),
		.done = on_answer,
		.context = r,
	};
	r->transfer = http_start(r->net.http, &call, &r->result.err);
	if (r->transfer == NULL) {
		reclass(&r->result.err, ERR_NETWORK_ERROR);
		end_fail(r, -1);
	}
}

/* ---- the beginning: steps 1 to 7 ---- */

/* Steps 1 to 3, whose failures are the envelope's: return code -2. */
static int read_envelope(struct egress_request *r, struct str text, struct envelope *ret, struct err *err)
{
	if (text.n == 0)
		return fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "http_request: invalid memory range");
	if (envelope_parse(r->arena, text, ret, err) != 0)
		return wrap(err, "http_request: invalid JSON envelope");
	if (ret->url.n == 0)
		return fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "http_request: empty URL");
	return 0;
}

static int check_method(struct str method, struct err *err)
{
	AUTO_BUF shown = BUF_INIT(1024);
	escape_quoted(&shown, str_slice(method, 0, METHOD_MAX));
	if (!headers_is_token(method) || method.n > METHOD_MAX)
		return fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "http_request: build: invalid method '%s'", shown.p);
	if (str_eq_fold(method, S("CONNECT")))
		return fail(err, ERR_CONNECTOR_RUNTIME_ERROR,
			    "http_request: build: method 'CONNECT' asks for a tunnel, which connectors do not get");
	return 0;
}

/*
 * What would bring the secret back in a form that cannot be searched: a coding of the guest's choice while the call
 * holds a secret, and parts of an answer to a request that carries it.
 */
static void withhold_headers(struct egress_request *r)
{
	if (r->grant->secret != NULL || r->permits != NULL)
		headers_withhold(&r->headers, S("Accept-Encoding"), &r->dropped);
	if (!r->with_credential)
		return;
	headers_withhold(&r->headers, S("Range"), &r->dropped);
	headers_withhold(&r->headers, S("If-Range"), &r->dropped);
}

/* Steps 4 to 7. */
static int check(struct egress_request *r, const struct envelope *e, struct err *err)
{
	if (watchlist_check(r->watchlist, err) != 0 || gate_url(r->arena, r->grant, e->url, &r->url, err) != 0 ||
	    check_method(e->method, err) != 0)
		return -1;
	r->method = e->method;
	if (headers_make(r->arena, e->headers, e->n_headers, &r->headers, &r->dropped, err) != 0)
		return wrap(err, "http_request");
	r->credential = e->credential;
	r->with_credential = e->credential.n > 0;
	withhold_headers(r);
	return r->with_credential ? inject_check(r->grant, e->credential, err) : 0;
}

static void begin(struct egress_request *r, struct str text)
{
	struct envelope envelope;
	if (read_envelope(r, text, &envelope, &r->result.err) != 0) {
		end_fail(r, -2);
		return;
	}
	if (check(r, &envelope, &r->result.err) != 0) {
		end_fail(r, -1);
		return;
	}
	if (envelope.body.n > r->grant->request_max) {
		end_limit(r, "request_body", "request body", r->grant->request_max);
		return;
	}
	r->body = str_eq(r->method, S("HEAD")) ? STR_EMPTY : envelope.body;
	begin_hop(r);
}

struct egress_request *egress_request_start(const struct egress_ask *ask)
{
	struct egress_request *r = NEW(struct egress_request);
	r->net = *ask->net;
	r->grant = ask->grant;
	r->watchlist = ask->watchlist;
	r->permits = ask->permits;
	r->arena = arena_new();
	r->done = ask->done;
	r->context = ask->context;
	r->trace = ask->trace;
	r->started_ns = clock_monotonic_ns(r->net.clock);
	r->dropped = BUF_INIT(NOTE_MAX / 2);
	r->dialled = BUF_INIT(NOTE_MAX / 2);
	r->response = BUF_INIT(0);
	r->timer = loop_timer(r->net.loop, on_timer, r);

	r->deferred = true;
	loop_timer_start(r->timer, ask->time_left_ns / MS + (ask->time_left_ns % MS != 0), 0);
	if (ask->waits) {
		r->waiting = str_dup(ask->envelope);
		r->waiting_n = ask->envelope.n;
	} else {
		begin(r, ask->envelope);
	}
	r->deferred = r->ended;
	return r;
}

void egress_request_go(struct egress_request *r)
{
	AUTO_FREE char *envelope = TAKE(r->waiting);
	if (r->ended)
		return;
	r->deferred = true;
	begin(r, str_of(envelope, r->waiting_n));
	r->deferred = r->ended;
}
