#include "egress/fetch.h"
#include "base/arena.h"
#include "base/limits.h"
#include "egress/address.h"
#include "egress/resolve.h"
#include "http/client.h"
#include "os/loop.h"
#include <stdlib.h>

#define CONNECT_LEAST_MS 2000
#define POOL             "the daemon's own"

struct fetch {
	struct fetch_ask ask;
	struct arena *arena;
	struct url url;
	struct egress_opening opening; /* of a literal loopback */
	struct egress_grant grant;     /* what is allowed: that opening, and every public address */
	struct loop_source *timer;     /* the deadline; at once when it has failed */
	uint64_t until_ns;
	struct sockaddr_storage addresses[RESOLVE_ADDRESSES_MAX];
	size_t n_addresses, next_address;
	struct resolve_query *query;
	struct http_transfer *transfer;
	struct err err; /* ERR_NONE until it has failed */
};

static void fetch_free(struct fetch *fetch)
{
	resolve_cancel(fetch->query);
	http_cancel(fetch->transfer);
	loop_source_free(fetch->timer);
	arena_free(fetch->arena);
	free(fetch);
}

void fetch_cancel(struct fetch *fetch)
{
	if (fetch != NULL)
		fetch_free(fetch);
}

static void finish(struct fetch *fetch, const struct fetch_answer *answer)
{
	fetch->ask.done(fetch->ask.context, answer);
	fetch_free(fetch);
}

/* With fetch->err. From the loop. */
static void finish_failed(struct fetch *fetch)
{
	struct buf none = BUF_INIT(0);
	const struct fetch_answer answer = {.err = &fetch->err, .body = &none};
	finish(fetch, &answer);
}

static void on_timer(void *user, int what)
{
	(void)what;
	struct fetch *fetch = user;
	if (fetch->err.class == ERR_NONE)
		fail(&fetch->err, ERR_NETWORK_ERROR, "'%.*s' did not answer in time",
		     STR_FMT(url_authority(fetch->arena, &fetch->url)));
	finish_failed(fetch);
}

static void dial(struct fetch *fetch);

static void on_answer(void *context, struct http_answer *answer)
{
	struct fetch *fetch = context;
	fetch->transfer = NULL;
	if (answer->end == HTTP_UNREACHABLE && fetch->next_address < fetch->n_addresses) {
		dial(fetch);
		return;
	}
	if (answer->end == HTTP_ANSWERED) {
		const struct fetch_answer whole = {.status = answer->status, .body = &answer->body};
		finish(fetch, &whole);
		return;
	}
	if (answer->end == HTTP_BODY_TOO_LARGE)
		fail(&fetch->err, ERR_NETWORK_ERROR, "the answer of '%.*s' is larger than %zu bytes",
		     STR_FMT(url_authority(fetch->arena, &fetch->url)), fetch->ask.answer_max);
	else
		fetch->err = answer->err;
	finish_failed(fetch);
}

/* Fails at the loop's next turn, whoever is calling. */
static void fail_soon(struct fetch *fetch)
{
	loop_timer_start(fetch->timer, 0, 0);
}

static void dial(struct fetch *fetch)
{
	uint64_t now = clock_monotonic_ns(fetch->ask.net->clock);
	uint64_t left_ms = fetch->until_ns > now ? (fetch->until_ns - now) / MS : 0;
	uint64_t share_ms = left_ms / (fetch->n_addresses - fetch->next_address);
	struct sockaddr_storage *address = &fetch->addresses[fetch->next_address++];
	address_set_port(address, fetch->url.port);
	const struct http_call call = {
		.pool = S(POOL),
		.method = S("POST"),
		.url = url_text(fetch->arena, &fetch->url),
		.peer = url_authority(fetch->arena, &fetch->url),
		.address = address,
		.headers = fetch->ask.lines,
		.n_headers = fetch->ask.n_lines,
		.body = fetch->ask.body,
		.coding = HTTP_CODING_NONE,
		.sensitive = fetch->ask.sensitive,
		.headers_max = LIMIT_RESPONSE_HEADERS,
		.body_max = fetch->ask.answer_max,
		.connect_ms = MAX(share_ms, (uint64_t)CONNECT_LEAST_MS),
		.done = on_answer,
		.context = fetch,
	};
	fetch->transfer = http_start(fetch->ask.net->http, &call, &fetch->err);
	if (fetch->transfer != NULL)
		return;
	fail(&fetch->err, ERR_NETWORK_ERROR, "%s", fetch->err.message);
	fail_soon(fetch);
}

static int check_scheme(struct fetch *fetch, bool loopback, struct err *err)
{
	if (!fetch->ask.sensitive || loopback || str_eq(fetch->url.scheme, S("https")))
		return 0;
	return fail(err, ERR_CAPABILITY_DENIED,
		    "a credential does not go over plain http to '%.*s'; the URL must begin with https://",
		    STR_FMT(url_authority(fetch->arena, &fetch->url)));
}

static int judge(struct fetch *fetch, struct err *err)
{
	bool loopback;
	if (address_judge(&fetch->grant, &fetch->url, fetch->addresses, fetch->n_addresses, &loopback, err) != 0)
		return -1;
	return check_scheme(fetch, loopback, err);
}

static void on_resolved(void *context, const struct resolve_answer *answer)
{
	struct fetch *fetch = context;
	fetch->query = NULL;
	if (answer->n == 0) {
		fetch->err = answer->err;
		finish_failed(fetch);
		return;
	}
	memcpy(fetch->addresses, answer->addresses, answer->n * sizeof fetch->addresses[0]);
	fetch->n_addresses = answer->n;
	if (judge(fetch, &fetch->err) != 0)
		finish_failed(fetch);
	else
		dial(fetch);
}

/* The person who named this machine meant it. Nobody is asked what "localhost" is (RFC 6761, 6.3). */
static void open_loopback(struct fetch *fetch)
{
	struct sockaddr_storage address;
	struct str host = fetch->url.host;
	bool by_name = str_eq(host, S("localhost"));
	if (!by_name) {
		bool literal = address_parse(host, &address) == ADDRESS_IS_LITERAL;
		const struct address_range *range = literal ? address_range_of(&address) : NULL;
		if (range == NULL || !range->loopback)
			return;
	}
	fetch->opening = (struct egress_opening){
		.host = host, .port = fetch->url.port, .address = by_name ? S("127.0.0.1") : STR_EMPTY};
	fetch->grant.openings = &fetch->opening;
	fetch->grant.n_openings = 1;
}

static int begin(struct fetch *fetch, struct err *err)
{
	struct address_plan plan;
	if (url_parse(fetch->arena, fetch->ask.url, &fetch->url, err) != 0)
		return -1;
	if ((!str_eq(fetch->url.scheme, S("https")) && !str_eq(fetch->url.scheme, S("http"))) || fetch->url.host.n == 0)
		return fail(err, ERR_CAPABILITY_DENIED, "'%.*s' is no http or https URL",
			    STR_FMT(url_text(fetch->arena, &fetch->url)));
	open_loopback(fetch);
	if (address_plan(&fetch->grant, &fetch->url, &plan, err) != 0)
		return -1;
	if (plan.source != ADDRESS_ASK) {
		fetch->addresses[0] = plan.address;
		fetch->n_addresses = 1;
		if (check_scheme(fetch, plan.loopback, err) == 0)
			dial(fetch);
	} else if (check_scheme(fetch, false, err) == 0) {
		fetch->query = resolver_ask(fetch->ask.net->resolver, fetch->url.host, on_resolved, fetch);
	}
	return err->class == ERR_NONE ? 0 : -1;
}

struct fetch *fetch_start(const struct fetch_ask *ask)
{
	struct fetch *fetch = NEW(struct fetch);
	fetch->ask = *ask;
	fetch->arena = arena_new();
	fetch->grant.connector = S(POOL);
	fetch->timer = loop_timer(ask->net->loop, on_timer, fetch);
	fetch->until_ns = clock_monotonic_ns(ask->net->clock) + MIN(ask->left_ns, UINT64_C(3600) * 1000 * MS);
	loop_timer_start(fetch->timer, MIN(ask->left_ns / MS + 1, UINT64_C(3600) * 1000), 0);
	if (begin(fetch, &fetch->err) == 0)
		return fetch;
	if (!err_class_is_closed(fetch->err.class))
		fail(&fetch->err, ERR_CAPABILITY_DENIED, "%s", fetch->err.message);
	fail_soon(fetch);
	return fetch;
}
