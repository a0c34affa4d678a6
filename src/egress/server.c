#include "egress/server.h"
#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "egress/egress_protocol.h"
#include "egress/keeper_link.h"
#include "egress/oauth.h"
#include "egress/permit.h"
#include "egress/post.h"
#include "egress/request.h"
#include "egress/streams.h"
#include "egress/watchlist.h"
#include "http/client.h"
#include "os/loop.h"
#include "text/wire.h"
#include <poll.h>
#include <stdlib.h>

/* Calls that may have a grant at once; a parent counts its calls too, by a number of the same size. */
#define GRANTS_MAX 4096

/* A call's grant, between GRANT and END. */
struct held {
	struct egress_server *server;
	uint32_t id;
	struct arena *arena;
	struct egress_grant grant;
	struct secret *secret;
	struct watchlist *watchlist;
	struct permits *permits;        /* of a credential that the keeper has; else NULL */
	struct egress_request *request; /* NULL while there is none */
	size_t waits;                   /* bytes of the request's envelope while it waits for its turn, else 0 */
	struct held *next;              /* that waits */
	bool ended;                     /* no longer among the grants: freed when the request is done */
};

struct egress_server {
	struct egress_server_options options;
	struct egress_net net;
	struct rpc_channel *channel; /* NULL while the daemon has no control */
	struct loop_source *socket;
	int events;                /* that it waits for; asking for the same again is not free */
	struct loop_source *first; /* frames that came together with START */
	struct map *grants;        /* id -> struct held */
	struct map *places;        /* relay and call behind it -> struct held */
	struct keeper_link *keeper;
	struct oauth *oauth;
	struct posts *posts;
	struct egress_net
		stream_net;      /* a client of its own: its transfers never end soon, and others wait for the oldest */
	struct streams *streams; /* NULL without a gateway */
	size_t open;             /* requests under way */
	struct held *waiting, **waiting_end;
	size_t waiting_bytes;
	bool parent_left;
	bool failed;
	struct err err;
};

static struct str key_of(const uint32_t *id)
{
	return str_of(id, sizeof *id);
}

/* Where the call runs, as a key; bytes of the caller's. */
static struct str place_of(const struct egress_grant *grant, uint32_t ret[2])
{
	ret[0] = grant->relay;
	ret[1] = grant->relay_call;
	return str_of(ret, 2 * sizeof ret[0]);
}

static void held_free(struct held *held)
{
	permits_free(held->permits);
	watchlist_free(held->watchlist);
	secret_free(held->secret);
	arena_free(held->arena);
	free(held);
}

/* Of a grant that is no longer in the map. Whatever its request is doing needs it still. */
static void held_end(void *value)
{
	struct held *held = value;
	uint32_t place[2];
	if (held->grant.relay != 0)
		map_remove(held->server->places, place_of(&held->grant, place));
	held->ended = true;
	if (held->request != NULL)
		egress_request_cancel(held->request);
	else
		held_free(held);
}

static bool is_daemon(const struct egress_server *server)
{
	return server->options.channel == NULL;
}

/* Grants of whoever is gone, and what was under way for them. */
static void forget_asker(struct egress_server *server)
{
	struct map_iter it = {0};
	while (map_next(server->grants, &it)) {
		struct held *held = it.value;
		map_remove(server->grants, key_of(&held->id));
		held_end(held);
	}
	oauth_forget_asker(server->oauth);
	posts_drop(server->posts);
}

static void close_control(struct egress_server *server)
{
	loop_source_free(TAKE(server->socket));
	rpc_channel_free(TAKE(server->channel));
	forget_asker(server);
	http_client_outside(server->net.http, 0);
}

/* Whether its end is open: one that died in the middle of a message broke the rules, too. */
static bool control_is_alive(const struct egress_server *server)
{
	struct pollfd end = {.fd = rpc_fd(server->channel)};
	return poll(&end, 1, 0) == 0;
}

/* The channel is done with: with server->err when `failed`. */
static void stop(struct egress_server *server, bool failed)
{
	if (is_daemon(server)) {
		bool alive = failed && control_is_alive(server);
		close_control(server);
		if (server->options.control_left != NULL)
			server->options.control_left(server->options.context, alive, failed ? &server->err : NULL);
		return;
	}
	server->failed = server->failed || failed;
	loop_stop(server->net.loop);
}

/* Asks the loop for what can be done now, and tells the transfers how much waits for the parent. */
static void balance(struct egress_server *server)
{
	if (server->channel == NULL)
		return;
	int events = LOOP_READ;
	if (rpc_queued(server->channel) > 0)
		events |= LOOP_WRITE;
	if (events != server->events)
		loop_watch_set(server->socket, events);
	server->events = events;
	http_client_outside(server->net.http, rpc_queued(server->channel));
}

/* ---- results ---- */

static int send_result(struct egress_server *server, uint32_t id, const struct egress_result *result, struct err *err)
{
	AUTO_BUF head = BUF_INIT(64 * KIB);
	egress_result_put_head(&head, result);
	wire_put_u32(&head, (uint32_t)result->body.n);
	if (buf_check(&head, "the head of a result", err) != 0)
		return -1;
	struct str parts[] = {buf_str(&head), result->body};
	return rpc_queue(server->channel, EGRESS_RESULT, id, parts, ARRAY_LEN(parts), err);
}

static void send_or_stop(struct egress_server *server, uint32_t id, const struct egress_result *result)
{
	if (send_result(server, id, result, &server->err) != 0)
		stop(server, true);
	balance(server);
}

static void on_post_done(void *context, uint32_t id, const struct egress_result *result)
{
	send_or_stop(context, id, result);
}

static void on_oauth_done(void *context, uint32_t id, const struct egress_oauth_result *result)
{
	struct egress_server *server = context;
	AUTO_BUF body = BUF_INIT(64 * KIB);
	egress_oauth_result_put(&body, result);
	const struct str part = buf_str(&body);
	if (buf_check(&body, "a result", &server->err) != 0 ||
	    rpc_queue(server->channel, EGRESS_OAUTH_RESULT, id, &part, 1, &server->err) != 0)
		stop(server, true);
	balance(server);
}

static void on_refresh(void *context, uint32_t id, const struct keeper_exchange *exchange)
{
	struct egress_server *server = context;
	oauth_refresh(server->oauth, id, exchange);
}

/* ---- requests that wait for their turn ---- */

static void enter_queue(struct held *held, size_t envelope_n)
{
	struct egress_server *server = held->server;
	held->waits = envelope_n;
	server->waiting_bytes += envelope_n;
	*server->waiting_end = held;
	server->waiting_end = &held->next;
}

static void leave_queue(struct held *held)
{
	struct egress_server *server = held->server;
	struct held **link = &server->waiting;
	while (*link != held)
		link = &(*link)->next;
	*link = TAKE(held->next);
	if (server->waiting_end == &held->next)
		server->waiting_end = link;
	server->waiting_bytes -= held->waits;
	held->waits = 0;
}

static void go_on(struct egress_server *server)
{
	while (server->open < LIMIT_REQUESTS_OPEN && server->waiting != NULL) {
		struct held *held = server->waiting;
		leave_queue(held);
		server->open++;
		egress_request_go(held->request);
	}
}

static void on_done(void *context, struct egress_result *result)
{
	struct held *held = context;
	struct egress_server *server = held->server;
	held->request = NULL;
	if (held->waits > 0)
		leave_queue(held);
	else
		server->open--;
	go_on(server);
	if (held->ended) {
		held_free(held);
		return;
	}
	send_or_stop(server, held->id, result);
}

/* ---- frames ---- */

/* --resolve is the harness's: where the daemon's calls lead is for names, the manifest and the keeper to say. */
static int check_openings(const struct held *held, struct err *err)
{
	for (size_t i = 0; is_daemon(held->server) && i < held->grant.n_openings; i++) {
		if (held->grant.openings[i].address.n > 0 || held->grant.openings[i].address_port != 0)
			return fail(err, ERR_PROTOCOL, "message 'grant' says which address to dial");
	}
	return 0;
}

/* The call's needles, its credential with the keeper, and where its runner's words come from. */
static int complete(struct held *held, struct err *err)
{
	struct egress_server *server = held->server;
	uint32_t place[2];
	held->watchlist = watchlist_new(held->secret, err);
	if (held->watchlist == NULL)
		return -1;
	if (held->grant.binding == BINDING_PERMIT)
		held->permits = permits_new(&(struct permits_options){.grant = &held->grant,
								      .arena = held->arena,
								      .watchlist = held->watchlist,
								      .keeper = server->keeper});
	if (held->grant.relay != 0 && !map_add(server->places, place_of(&held->grant, place), held))
		return fail(err, ERR_PROTOCOL, "message 'grant' for a call of a runner that has one");
	if (!map_add(server->grants, key_of(&held->id), held))
		BUG("a grant that cannot be kept");
	return 0;
}

static int on_grant(struct egress_server *server, struct rpc_frame *frame, struct err *err)
{
	if (frame->id == 0 || map_has(server->grants, key_of(&frame->id)))
		return fail(err, ERR_PROTOCOL, "message 'grant' for a call that has one, or for none");
	if (map_count(server->grants) == GRANTS_MAX)
		return fail(err, ERR_PROTOCOL, "more than %d calls have a grant", GRANTS_MAX);
	size_t n = frame->body.n;
	AUTO_FREE char *body = rpc_take_body(server->channel, frame);
	struct held *held = NEW(struct held);
	held->server = server;
	held->id = frame->id;
	held->arena = arena_new();
	int rc = egress_grant_get(held->arena, body, n, &held->grant, &held->secret, err);
	if (rc == 0)
		rc = check_openings(held, err);
	if (rc == 0)
		rc = complete(held, err);
	if (rc != 0)
		held_free(held);
	return rc;
}

/* The envelope would stand in memory for as long as all others take. */
static int refuse_to_wait(struct held *held, struct err *err)
{
	struct egress_result result = {.rc = -1};
	fail(&result.err, ERR_NETWORK_ERROR, "http_request: too much is waiting to be sent already");
	return send_result(held->server, held->id, &result, err);
}

static int on_request(struct held *held, struct str body, struct err *err)
{
	struct egress_server *server = held->server;
	struct wire_reader r = wire_reader(body);
	struct egress_ask ask = {.net = &server->net,
				 .grant = &held->grant,
				 .watchlist = held->watchlist,
				 .permits = held->permits,
				 .time_left_ns = wire_u64(&r),
				 .done = on_done,
				 .context = held};
	ask.trace = wire_bool(&r);
	ask.envelope = wire_str(&r);
	if (wire_done(&r, "request", err) != 0)
		return -1;
	if (held->request != NULL)
		return fail(err, ERR_PROTOCOL, "message 'request' while another one of the same call is under way");
	/* A request without an envelope fails at once and need not wait. */
	ask.waits = server->open >= LIMIT_REQUESTS_OPEN && ask.envelope.n > 0;
	if (ask.waits && ask.envelope.n > LIMIT_REQUESTS_WAITING - server->waiting_bytes)
		return refuse_to_wait(held, err);
	if (ask.waits)
		enter_queue(held, ask.envelope.n);
	else
		server->open++;
	held->request = egress_request_start(&ask);
	return 0;
}

static int on_oauth(struct egress_server *server, const struct rpc_frame *frame, struct err *err)
{
	struct egress_oauth step;
	if (egress_oauth_get(frame->body, &step, err) != 0)
		return -1;
	oauth_step(server->oauth, frame->id, &step);
	return 0;
}

static int on_post(struct egress_server *server, struct rpc_frame *frame, struct err *err)
{
	struct egress_post post;
	AUTO_FREE char *body = rpc_take_body(server->channel, frame);
	if (egress_post_get(frame->body, &post, err) != 0)
		return -1;
	posts_send(server->posts, frame->id, &post, TAKE(body));
	return 0;
}

static int on_frame(struct egress_server *server, struct rpc_frame *frame, struct err *err)
{
	if (frame->type == EGRESS_GRANT)
		return on_grant(server, frame, err);
	if (frame->type == EGRESS_OAUTH)
		return on_oauth(server, frame, err);
	if (frame->type == EGRESS_POST)
		return on_post(server, frame, err);
	struct held *held = map_get(server->grants, key_of(&frame->id));
	if (held == NULL)
		return fail(err, ERR_PROTOCOL, "message of type %u for a call without a grant", frame->type);
	switch (frame->type) {
	case EGRESS_REQUEST:
		return on_request(held, frame->body, err);
	case EGRESS_CANCEL:
		if (held->request != NULL)
			egress_request_cancel(held->request);
		return 0;
	case EGRESS_END:
		map_remove(server->grants, key_of(&held->id));
		held_end(held);
		return 0;
	default:
		return fail(err, ERR_PROTOCOL, "message of type %u", frame->type);
	}
}

static void read_frames(struct egress_server *server)
{
	for (;;) {
		struct rpc_frame frame;
		int got = rpc_pump(server->channel, &frame, &server->err);
		if (got == 2)
			break;
		if (got == 0)
			server->parent_left = true;
		if (got != 1 || on_frame(server, &frame, &server->err) != 0) {
			stop(server, got != 0);
			return;
		}
		if (server->channel == NULL) /* an answer could not be sent */
			return;
	}
	balance(server);
}

static void on_socket(void *user, int what)
{
	struct egress_server *server = user;
	if ((what & LOOP_WRITE) != 0 && rpc_flush(server->channel, &server->err) != 0) {
		stop(server, true);
		return;
	}
	if ((what & (LOOP_READ | LOOP_GONE)) != 0)
		read_frames(server);
	else
		balance(server);
}

static void on_first(void *user, int what)
{
	(void)what;
	read_frames(user);
}

/* ---- life ---- */

static int make_net(struct egress_server *server, const struct egress_server_options *options, struct err *err)
{
	struct egress_net *net = &server->net;
	net->loop = loop_new(err);
	if (net->loop == NULL)
		return -1;
	struct http_client_options http = {.loop = net->loop, .buffered_max = LIMIT_EGRESS_BUFFERED};
	net->http = http_client_new(&http, err);
	const struct keeper_link_options keeper = {.loop = net->loop, .refresh = on_refresh, .context = server};
	server->keeper = keeper_link_new(&keeper);
	const struct oauth_options oauth = {
		.net = net, .keeper = server->keeper, .done = on_oauth_done, .context = server};
	server->oauth = oauth_new(&oauth);
	const struct posts_options posts = {.net = net, .done = on_post_done, .context = server};
	server->posts = posts_new(&posts);
	struct resolver_options resolver = {
		.loop = net->loop, .lookup = options->lookup, .lookup_context = options->lookup_context};
	net->resolver = resolver_new(&resolver, err);
	return net->http != NULL && net->resolver != NULL ? 0 : -1;
}

static int make_streams(struct egress_server *server, const struct stream_upstream *upstreams, struct err *err)
{
	const struct http_client_options http = {.loop = server->net.loop, .buffered_max = LIMIT_EGRESS_BUFFERED};
	server->stream_net = server->net;
	server->stream_net.http = http_client_new(&http, err);
	const struct streams_options options = {
		.net = &server->stream_net, .keeper = server->keeper, .upstreams = upstreams};
	server->streams = streams_new(&options);
	return server->stream_net.http != NULL ? 0 : -1;
}

static int watch_channel(struct egress_server *server, struct rpc_channel *channel, struct err *err)
{
	server->events = LOOP_READ;
	server->socket = loop_watch(server->net.loop, rpc_fd(channel), server->events, on_socket, server, err);
	if (server->socket == NULL)
		return -1;
	server->channel = channel;
	return 0;
}

struct egress_server *egress_server_new(const struct egress_server_options *options, struct err *err)
{
	AUTO(egress_server) *server = NEW(struct egress_server);
	server->options = *options;
	server->grants = map_new(GRANTS_MAX);
	server->places = map_new(GRANTS_MAX);
	server->waiting_end = &server->waiting;
	if (make_net(server, options, err) != 0 ||
	    (options->upstreams != NULL && make_streams(server, options->upstreams, err) != 0))
		return NULL;
	server->first = loop_timer(server->net.loop, on_first, server);
	if (options->channel != NULL && watch_channel(server, options->channel, err) != 0)
		return NULL;
	return TAKE(server);
}

void egress_server_set_ca(struct egress_server *server, int ca_fd)
{
	http_client_set_ca(server->net.http, ca_fd);
	if (server->streams != NULL)
		http_client_set_ca(server->stream_net.http, ca_fd);
	http_client_warm_up(server->net.http); /* the runner is still starting, and no request can have come */
}

int egress_server_run(struct egress_server *server, int ca_fd, struct err *err)
{
	egress_server_set_ca(server, ca_fd);
	loop_timer_start(server->first, 0, 0);
	while (!server->parent_left && !server->failed)
		loop_run(server->net.loop);
	if (!server->failed)
		return 0;
	if (err != NULL)
		*err = server->err;
	return -1;
}

void egress_server_free(struct egress_server *server)
{
	if (server == NULL)
		return;
	loop_source_free(server->first);
	loop_source_free(server->socket);
	if (is_daemon(server))
		rpc_channel_free(server->channel);
	map_free_with(server->grants, held_end);
	while (server->open > 0 || server->waiting != NULL)
		loop_turn(server->net.loop, true);
	map_free(server->places);
	streams_free(server->streams);
	http_client_free(server->stream_net.http);
	posts_free(server->posts);
	oauth_free(server->oauth);
	keeper_link_free(server->keeper);
	http_client_free(server->net.http);
	resolver_free(server->net.resolver);
	loop_free(server->net.loop);
	free(server);
}

/* ---- the daemon's life ---- */

struct loop *egress_server_loop(struct egress_server *server)
{
	return server->net.loop;
}

int egress_server_attach_control(struct egress_server *server, int fd, struct err *err)
{
	AUTO(rpc_channel) *channel = rpc_channel_new(fd, egress_child_rules);
	if (server->channel != NULL)
		close_control(server);
	rpc_set_sensitive(channel, true);
	rpc_set_state(channel, EGRESS_STATE_SERVING);
	if (watch_channel(server, channel, err) != 0)
		return -1;
	channel = NULL; /* the server's */
	return 0;
}

int egress_server_attach_keeper(struct egress_server *server, int fd, struct err *err)
{
	return keeper_link_attach(server->keeper, fd, err);
}

int egress_server_attach_streams(struct egress_server *server, int fd, struct err *err)
{
	return streams_attach(server->streams, fd, err);
}

const struct watchlist *egress_server_watchlist(const struct egress_server *server, uint32_t relay, uint32_t relay_call)
{
	const struct egress_grant key = {.relay = relay, .relay_call = relay_call};
	uint32_t place[2];
	const struct held *held = map_get(server->places, place_of(&key, place));
	return held != NULL && watchlist_scrubber(held->watchlist) != NULL ? held->watchlist : NULL;
}

bool egress_server_is_idle(const struct egress_server *server)
{
	return server->open == 0 && server->waiting == NULL && oauth_open(server->oauth) == 0 &&
	       posts_open(server->posts) == 0 && (server->streams == NULL || streams_open(server->streams) == 0) &&
	       (server->channel == NULL || rpc_queued(server->channel) == 0);
}
