#include "egress/stream.h"
#include "base/arena.h"
#include "egress/address.h"
#include "egress/resolve.h"
#include "http/client.h"
#include "os/loop.h"
#include <stdlib.h>

#define CONNECT_MS       30000 /* all addresses together, TLS included */
#define CONNECT_LEAST_MS 2000
#define ANSWER_HEAD_MAX  (96 * KIB) /* header lines of an answer; what a HEAD message holds, with room for its framing */

/* How each provider is given a key, and what of a request is left out for it. */
static const struct {
	const char *header, *before;
} providers[STREAM_PROVIDER__MAX] = {
	[STREAM_ANTHROPIC] = {"x-api-key", ""},
	[STREAM_OPENAI] = {"Authorization", "Bearer "},
};
static const char *const key_headers[] = {"Authorization", "x-api-key", "api-key"};

struct egress_stream {
	struct stream_ask ask;
	struct stream_open open;
	struct arena *arena;
	struct url url; /* of the upstream; `text` is the whole */
	struct str text;
	struct egress_opening opening;
	struct egress_grant grant;  /* what is allowed: every public address, and that opening */
	struct loop_source *failed; /* tells `err` at the loop's next turn */
	struct sockaddr_storage addresses[RESOLVE_ADDRESSES_MAX];
	size_t n_addresses, next_address;
	uint64_t dial_until_ns;
	struct resolve_query *query;
	uint32_t claim;       /* 0 = the keeper is not being asked */
	struct buf line_text; /* keys of the request's own are in there */
	const char **lines;
	size_t n_lines;
	struct secret *key_line;
	struct http_transfer *transfer;

	struct buf body; /* that came and did not go out, from `body_at` on */
	size_t body_at;
	uint64_t body_missing; /* bytes that have yet to come */
	uint64_t credit;       /* bytes of the answer that may be told */
	bool answered;         /* its head was told */
	struct err err;
};

/* ---- the end ---- */

void stream_free(struct egress_stream *stream)
{
	if (stream == NULL)
		return;
	resolve_cancel(stream->query);
	keeper_forget(stream->ask.keeper, stream->claim);
	http_cancel(stream->transfer);
	loop_source_free(stream->failed);
	secret_free(stream->key_line);
	buf_release(&stream->line_text);
	buf_release(&stream->body);
	arena_free(stream->arena);
	free(stream);
}

/* `err` NULL = whole; it may be the stream's own. */
static void end(struct egress_stream *stream, const struct err *err)
{
	stream->ask.ended(stream->ask.context, err);
	stream_free(stream);
}

static void on_failed(void *user, int what)
{
	(void)what;
	struct egress_stream *stream = user;
	end(stream, &stream->err);
}

/* With stream->err, whoever is calling. */
static void fail_soon(struct egress_stream *stream)
{
	loop_timer_start(stream->failed, 0, 0);
}

/* ---- the body of the request ---- */

bool stream_body(struct egress_stream *stream, struct str bytes)
{
	if (bytes.n > stream->body_missing || bytes.n > STREAM_WINDOW - (stream->body.n - stream->body_at))
		return false;
	if (stream->body_at > 0) {
		buf_consume(&stream->body, stream->body_at);
		stream->body_at = 0;
	}
	buf_add_str(&stream->body, bytes);
	stream->body_missing -= bytes.n;
	if (stream->transfer != NULL)
		http_resume(stream->transfer);
	return true;
}

static size_t on_read(void *context, char *out, size_t n)
{
	struct egress_stream *stream = context;
	size_t take = MIN(n, stream->body.n - stream->body_at);
	if (take == 0)
		return 0;
	memcpy(out, stream->body.p + stream->body_at, take);
	stream->body_at += take;
	if (stream->body_missing > 0)
		stream->ask.more(stream->ask.context, (uint32_t)take);
	return take;
}

/* ---- the answer ---- */

bool stream_credit(struct egress_stream *stream, uint32_t bytes)
{
	if (bytes > STREAM_WINDOW - stream->credit)
		return false;
	stream->credit += bytes;
	if (stream->transfer != NULL)
		http_resume(stream->transfer);
	return true;
}

/* Nothing that could be passed on as an answer; the transfer goes with the stream. */
static void refuse_status(struct egress_stream *stream, int status)
{
	if (stream->err.class == ERR_NONE)
		fail(&stream->err, ERR_UPSTREAM_ERROR, "the upstream answered with status %d, which is no answer",
		     status);
	fail_soon(stream);
}

static bool on_piece(void *context, struct str bytes)
{
	struct egress_stream *stream = context;
	if (!stream->answered) /* a 101 that nobody asked for has no head and what comes behind it is no body */
		refuse_status(stream, 101);
	if (!stream->answered || bytes.n > stream->credit)
		return false;
	stream->credit -= bytes.n;
	stream->ask.data(stream->ask.context, bytes);
	return true;
}

/* Lines into fields; a line that is none a reader of ours would take is left out. */
static struct stream_headers fields_of(struct arena *arena, struct str lines)
{
	struct stream_header *items = arena_array(arena, STREAM_HEADERS_MAX, sizeof *items);
	struct stream_headers headers = {.items = items};
	while (lines.n > 0 && headers.n < STREAM_HEADERS_MAX) {
		struct str line;
		lines = str_cut(lines, '\n', &line);
		struct stream_header *field = &items[headers.n];
		size_t colon = str_find_char(line, ':');
		if (colon == STR_NPOS)
			continue;
		field->name = str_slice(line, 0, colon);
		field->value = str_trim(str_slice(line, colon + 1, line.n));
		headers.n += stream_header_is_good(field);
	}
	return headers;
}

/* Content-Length stays: it says how much of the answer there should be. */
static void on_head(void *context, int status, struct str lines)
{
	struct egress_stream *stream = context;
	if (status < 0 || !stream_status_is_good((unsigned)status)) {
		refuse_status(stream, status);
		return;
	}
	stream->answered = true;
	AUTO(arena) *arena = arena_new();
	struct stream_headers all = fields_of(arena, lines);
	struct str connection = stream_connection_of(arena, &all);
	struct stream_header *kept = arena_array(arena, all.n + 1, sizeof *kept);
	struct stream_head head = {.status = (unsigned)status, .headers.items = kept};
	for (size_t i = 0; i < all.n; i++) {
		struct str name = all.items[i].name;
		if (!stream_header_is_of_hop(name, connection) || str_eq_fold(name, S("Content-Length")))
			kept[head.headers.n++] = all.items[i];
	}
	stream->ask.head(stream->ask.context, &head);
}

static void dial(struct egress_stream *stream);

static void on_answer(void *context, struct http_answer *answer)
{
	struct egress_stream *stream = context;
	stream->transfer = NULL;
	if (answer->end == HTTP_UNREACHABLE && stream->next_address < stream->n_addresses)
		dial(stream);
	else if (answer->end != HTTP_ANSWERED)
		end(stream, stream->err.class != ERR_NONE ? &stream->err : &answer->err);
	else if (stream->err.class != ERR_NONE)
		end(stream, &stream->err);
	else
		end(stream, NULL);
}

/* ---- the way there ---- */

static void dial(struct egress_stream *stream)
{
	static const struct http_stream callbacks = {.read = on_read, .head = on_head, .piece = on_piece};
	struct http_stream pieces = callbacks;
	pieces.length = stream->open.length;
	uint64_t now = clock_monotonic_ns(stream->ask.net->clock);
	uint64_t left_ms = stream->dial_until_ns > now ? (stream->dial_until_ns - now) / MS : 0;
	uint64_t share_ms = left_ms / (stream->n_addresses - stream->next_address);
	struct sockaddr_storage *address = &stream->addresses[stream->next_address++];
	address_set_port(address, stream->url.port);
	const struct http_call call = {
		.pool = arena_printf(stream->arena, "gateway of %s", stream_provider_name(stream->open.provider)),
		.method = stream->open.method,
		.url = stream->text,
		.peer = url_authority(stream->arena, &stream->url),
		.address = address,
		.headers = stream->lines,
		.n_headers = stream->n_lines,
		.stream = &pieces,
		.headers_max = ANSWER_HEAD_MAX,
		.connect_ms = MAX(share_ms, (uint64_t)CONNECT_LEAST_MS),
		.done = on_answer,
		.context = stream,
	};
	stream->transfer = http_start(stream->ask.net->http, &call, &stream->err);
	if (stream->transfer == NULL)
		fail_soon(stream);
}

/* ---- the key ---- */

static bool is_injected(const struct egress_stream *stream)
{
	return stream->ask.upstream->inject.n > 0;
}

static int put_key_line(struct egress_stream *stream, struct str key, struct err *err)
{
	const char *header = providers[stream->open.provider].header;
	const char *before = providers[stream->open.provider].before;
	key = str_trim(key);
	for (size_t i = 0; i < key.n; i++) {
		if (key.p[i] <= ' ' || key.p[i] > '~')
			return fail(err, ERR_BINDING_FAILED,
				    "the key in '%.*s' has characters that a header cannot carry",
				    STR_FMT(stream->ask.upstream->inject));
	}
	size_t head = strlen(header) + 2 + strlen(before);
	stream->key_line = secret_new(head + key.n + 1, err);
	if (stream->key_line == NULL)
		return -1;
	char *p = secret_borrow_mut(stream->key_line); /* zeroed, so the NUL is there */
	memcpy(p, header, strlen(header));
	memcpy(p + strlen(header), ": ", 2);
	memcpy(p + strlen(header) + 2, before, strlen(before));
	memcpy(p + head, key.p, key.n);
	stream->lines[stream->n_lines++] = p;
	return 0;
}

/* The pool names the entry and its generation: control could have asked leave for another one. */
static bool is_of_entry(struct str pool, struct str entry)
{
	return str_starts(pool, entry) && pool.n > entry.n && pool.p[entry.n] == '@';
}

static void on_claimed(void *context, const struct keeper_answer *answer)
{
	struct egress_stream *stream = context;
	stream->claim = 0;
	int rc = -1;
	if (answer->err != NULL)
		stream->err = *answer->err;
	else if (!is_of_entry(answer->pool, stream->ask.upstream->inject))
		fail(&stream->err, ERR_CAPABILITY_DENIED, "the keeper released another entry than '%.*s'",
		     STR_FMT(stream->ask.upstream->inject));
	else
		rc = put_key_line(stream, answer->secret, &stream->err);
	if (rc == 0)
		dial(stream);
	else
		end(stream, &stream->err);
}

static int claim_key(struct egress_stream *stream, struct err *err)
{
	const struct keeper_ask ask = {.answered = on_claimed, .context = stream};
	struct keeper_target target = {.host = url_authority(stream->arena, &stream->url)};
	target.way = str_eq(stream->url.scheme, S("https")) ? 0 : KEEPER_WAY_PLAIN;
	for (size_t i = 0; i < stream->n_addresses; i++)
		target.way |= address_range_of(&stream->addresses[i]) != NULL ? KEEPER_WAY_PRIVATE : 0;
	if (stream->open.use == 0)
		return fail(err, ERR_BINDING_REQUIRED, "a key is to be injected and none was permitted");
	stream->claim = keeper_claim(stream->ask.keeper, stream->open.use, &target, &ask, err);
	return stream->claim != 0 ? 0 : -1;
}

/* The addresses are there, and were judged. */
static int go_on(struct egress_stream *stream, struct err *err)
{
	if (is_injected(stream))
		return claim_key(stream, err);
	dial(stream);
	return 0;
}

/* ---- where it goes ---- */

static int judge(struct egress_stream *stream, struct err *err)
{
	bool loopback;
	if (address_judge(&stream->grant, &stream->url, stream->addresses, stream->n_addresses, &loopback, err) != 0)
		return -1;
	return address_allows_credential(&stream->url, loopback, err);
}

static void on_resolved(void *context, const struct resolve_answer *answer)
{
	struct egress_stream *stream = context;
	stream->query = NULL;
	if (answer->n == 0) {
		end(stream, &answer->err);
		return;
	}
	memcpy(stream->addresses, answer->addresses, answer->n * sizeof stream->addresses[0]);
	stream->n_addresses = answer->n;
	if (judge(stream, &stream->err) != 0 || go_on(stream, &stream->err) != 0)
		end(stream, &stream->err);
}

/* The person's setting opens what the name gives; nobody is asked what "localhost" is (RFC 6761, 6.3). */
static void open_private(struct egress_stream *stream)
{
	if (!stream->ask.upstream->allow_private)
		return;
	stream->opening = (struct egress_opening){.host = stream->url.host, .port = stream->url.port};
	if (str_eq(stream->url.host, S("localhost")))
		stream->opening.address = S("127.0.0.1");
	stream->grant.openings = &stream->opening;
	stream->grant.n_openings = 1;
}

static int read_upstream(struct egress_stream *stream, struct err *err)
{
	struct str base = stream->ask.upstream->url;
	while (str_ends(base, S("/")))
		base.n--;
	if (url_parse(stream->arena, base, &stream->url, err) != 0)
		return -1;
	if ((!str_eq(stream->url.scheme, S("https")) && !str_eq(stream->url.scheme, S("http"))) ||
	    stream->url.host.n == 0 || stream->url.has_query || stream->url.fragment.n > 0)
		return fail(err, ERR_GATEWAY_NOT_CONFIGURED, "'%.*s' is no URL of an upstream", STR_FMT(base));
	/* Its own parser writes the part that says where; the target begins with '/' and cannot change it. */
	const struct url origin = {.scheme = stream->url.scheme,
				   .host = stream->url.host,
				   .host_is_ipv6 = stream->url.host_is_ipv6,
				   .port_given = stream->url.port_given,
				   .port = stream->url.port};
	struct str text = url_text(stream->arena, &origin); /* ends with '/' */
	stream->text = arena_printf(stream->arena, "%.*s%.*s%.*s", STR_FMT(str_slice(text, 0, text.n - 1)),
				    STR_FMT(stream->url.path), STR_FMT(stream->open.target));
	open_private(stream);
	return 0;
}

static bool is_key(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(key_headers); i++) {
		if (str_eq_fold(name, str_from(key_headers[i])))
			return true;
	}
	return false;
}

/* With room for the key. */
static void make_lines(struct egress_stream *stream, const struct stream_headers *headers)
{
	struct str connection = stream_connection_of(stream->arena, headers);
	size_t *offsets = arena_array(stream->arena, headers->n + 1, sizeof *offsets);
	stream->lines = arena_array(stream->arena, headers->n + 1, sizeof *stream->lines);
	for (size_t i = 0; i < headers->n; i++) {
		const struct stream_header *header = &headers->items[i];
		if (stream_header_is_of_hop(header->name, connection) || (is_injected(stream) && is_key(header->name)))
			continue;
		offsets[stream->n_lines++] = stream->line_text.n;
		buf_add_str(&stream->line_text, header->name);
		buf_add_z(&stream->line_text, ": ");
		buf_add_str(&stream->line_text, header->value);
		buf_add_char(&stream->line_text, '\0');
	}
	for (size_t i = 0; i < stream->n_lines; i++)
		stream->lines[i] = stream->line_text.p + offsets[i];
}

static int begin(struct egress_stream *stream, struct err *err)
{
	struct address_plan plan;
	if (read_upstream(stream, err) != 0 || address_plan(&stream->grant, &stream->url, &plan, err) != 0)
		return -1;
	if (plan.source != ADDRESS_ASK) {
		stream->addresses[0] = plan.address;
		stream->n_addresses = 1;
		return address_allows_credential(&stream->url, plan.loopback, err) == 0 ? go_on(stream, err) : -1;
	}
	if (!resolver_known(stream->ask.net->resolver, stream->url.host, stream->addresses, &stream->n_addresses)) {
		stream->query = resolver_ask(stream->ask.net->resolver, stream->url.host, on_resolved, stream);
		return 0;
	}
	return judge(stream, err) == 0 ? go_on(stream, err) : -1;
}

struct egress_stream *stream_start(const struct stream_ask *ask)
{
	struct egress_stream *stream = NEW(struct egress_stream);
	stream->ask = *ask;
	stream->arena = arena_new();
	stream->open = *ask->open;
	stream->open.method = arena_str(stream->arena, ask->open->method);
	stream->open.target = arena_str(stream->arena, ask->open->target);
	stream->open.headers = (struct stream_headers){0};
	stream->grant.connector = S("the gateway");
	stream->grant.permissive = true;
	stream->line_text = BUF_INIT_SECRET(2 * STREAM_HEAD_MAX);
	stream->body = BUF_INIT_SECRET(STREAM_WINDOW);
	stream->body_missing = ask->open->length;
	stream->credit = STREAM_WINDOW;
	stream->failed = loop_timer(ask->net->loop, on_failed, stream);
	stream->dial_until_ns = clock_monotonic_ns(ask->net->clock) + CONNECT_MS * MS;
	make_lines(stream, &ask->open->headers);
	if (begin(stream, &stream->err) != 0)
		fail_soon(stream);
	return stream;
}
