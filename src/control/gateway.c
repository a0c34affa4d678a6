#include "control/gateway.h"
#include "base/log.h"
#include "base/map.h"
#include "base/time.h"
#include "control/dispatch.h"
#include "control/gateway_private.h"
#include "control/gateway_refusal.h"
#include "control/parent_client.h"
#include "control/sessions.h"
#include "text/json_members.h"
#include "text/url.h"
#include "text/wire.h"
#include <stdlib.h>

#define PROVIDER_NAME_MAX 32
#define AGAIN_FIRST_MS    100
#define AGAIN_MS          1000

static const struct {
	const char *under; /* what the target begins with, behind the name; "/" = anything */
	const char *url, *inject;
} providers[STREAM_PROVIDER__MAX] = {
	[STREAM_ANTHROPIC] = {"/", SETTING_GATEWAY_ANTHROPIC, SETTING_GATEWAY_INJECT_ANTHROPIC},
	[STREAM_OPENAI] = {"/v1", SETTING_GATEWAY_OPENAI, SETTING_GATEWAY_INJECT_OPENAI},
};

/* What stands behind the capability in an address. */
static void put_place(struct buf *out, enum stream_provider provider)
{
	const char *under = providers[provider].under;
	buf_add_z(out, stream_provider_name(provider));
	buf_add_z(out, strcmp(under, "/") == 0 ? "" : under);
}

static struct str key_of(const uint32_t *id)
{
	return str_of(id, sizeof *id);
}

/* --------------------------------------------------------------------------------------------------------- to egress */

static void balance(struct gateway *gateway)
{
	int events = LOOP_READ | (rpc_queued(gateway->channel) > 0 ? LOOP_WRITE : 0);
	if (events != gateway->events)
		loop_watch_set(gateway->socket, events);
	gateway->events = events;
}

void gateway_send(struct gateway *gateway, uint16_t type, uint32_t id, struct str body)
{
	if (gateway->channel == NULL)
		return;
	if (rpc_queue(gateway->channel, type, id, &body, 1, &gateway->err) != 0)
		loop_timer_start(gateway->broken, 0, 0);
	else
		balance(gateway);
}

void gateway_send_more(struct gateway *gateway, uint32_t id, uint64_t bytes)
{
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u32(&body, (uint32_t)bytes);
	gateway_send(gateway, STREAM_MORE, id, buf_str(&body));
}

/* With gateway->err. What a worker has ends when that is done. */
static void lose(struct gateway *gateway)
{
	static struct err why; /* of the loop's thread */
	loop_timer_stop(gateway->broken);
	loop_timer_start(gateway->again, AGAIN_FIRST_MS, AGAIN_MS);
	loop_source_free(TAKE(gateway->socket));
	rpc_channel_free(TAKE(gateway->channel));
	err_clear(&why);
	fail(&why, ERR_UNAVAILABLE, "the process that sends requests ended");
	struct map_iter it = {0};
	while (map_next(gateway->passes, &it)) {
		struct pass *pass = it.value;
		if (!pass->permitting)
			pass_ended(pass, &why);
	}
}

/* Egress may be as well as ever: then nobody else would bring another. */
static void on_again(void *user, int what)
{
	(void)what;
	const struct gateway *gateway = user;
	parent_gateway_lost(gateway->control->parent, gateway->n_pairs);
}

static void on_broken(void *user, int what)
{
	(void)what;
	struct gateway *gateway = user;
	log_error("gateway_let_go", log_err(&gateway->err));
	lose(gateway);
}

/* ------------------------------------------------------------------------------------------------------- from egress */

static int on_ended(struct pass *pass, struct str body, struct err *err)
{
	static struct err why; /* of the loop's thread */
	struct wire_reader r = wire_reader(body);
	bool whole = wire_bool(&r);
	err_clear(&why);
	if (!whole)
		wire_get_err(&r, &why);
	if (wire_done(&r, "stream ended", err) != 0)
		return -1;
	if (!whole && why.class == ERR_NONE)
		return fail(err, ERR_PROTOCOL, "message 'stream ended' with an error that is none");
	pass_ended(pass, whole ? NULL : &why);
	return 0;
}

static int on_head(struct pass *pass, struct str body, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct stream_head head;
	if (stream_head_get(arena, body, &head, err) != 0)
		return -1;
	if (pass->answered_ns > 0)
		return fail(err, ERR_PROTOCOL, "message 'stream head' for an answer that has one");
	if (!pass->given_up)
		pass_head(pass, &head);
	return 0;
}

static int on_more(struct pass *pass, struct str body, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	uint32_t bytes = wire_u32(&r);
	if (wire_done(&r, "stream more", err) != 0)
		return -1;
	if (bytes > STREAM_WINDOW - pass->credit)
		return fail(err, ERR_PROTOCOL, "message 'stream more' for more than was sent");
	pass_more(pass, bytes);
	return 0;
}

static int on_data(struct pass *pass, struct str bytes, struct err *err)
{
	if (pass->answered_ns == 0 && !pass->given_up)
		return fail(err, ERR_PROTOCOL, "message 'stream data' before the head");
	if (pass->received + bytes.n - pass->told > STREAM_WINDOW)
		return fail(err, ERR_PROTOCOL, "message 'stream data' with more than there is room for");
	pass_data(pass, bytes);
	return 0;
}

static int on_frame(struct gateway *gateway, const struct rpc_frame *frame, struct err *err)
{
	struct pass *pass = map_get(gateway->passes, key_of(&frame->id));
	if (pass == NULL || !pass->opened)
		return fail(err, ERR_PROTOCOL, "message of type %u for no request", frame->type);
	switch (frame->type) {
	case STREAM_HEAD:
		return on_head(pass, frame->body, err);
	case STREAM_DATA:
		return on_data(pass, frame->body, err);
	case STREAM_MORE:
		return on_more(pass, frame->body, err);
	default:
		return on_ended(pass, frame->body, err);
	}
}

static void on_socket(void *user, int what)
{
	struct gateway *gateway = user;
	struct rpc_frame frame;
	int got = 2;
	/* A failure to write shows up as the end of what can be read. */
	if ((what & LOOP_WRITE) != 0)
		(void)!rpc_flush(gateway->channel, NULL);
	while ((what & (LOOP_READ | LOOP_GONE)) != 0 &&
	       (got = rpc_pump(gateway->channel, &frame, &gateway->err)) == 1) {
		if (on_frame(gateway, &frame, &gateway->err) != 0) {
			on_broken(gateway, 0);
			return;
		}
	}
	if (got == 2)
		balance(gateway);
	else if (got < 0)
		on_broken(gateway, 0);
	else
		lose(gateway);
}

void gateway_attach(struct gateway *gateway, int fd)
{
	struct rpc_channel *channel = rpc_channel_new(fd, stream_control_rules);
	lose(gateway);
	gateway->n_pairs++;
	rpc_set_sensitive(channel, true); /* keys of the requests are in what waits to be sent */
	gateway->events = LOOP_READ;
	gateway->socket = loop_watch(gateway->control->loop, fd, LOOP_READ, on_socket, gateway, &gateway->err);
	if (gateway->socket != NULL) {
		gateway->channel = channel;
		loop_timer_stop(gateway->again);
		return;
	}
	log_error("gateway_not_attached", log_err(&gateway->err));
	rpc_channel_free(channel);
}

/* --------------------------------------------------------------------------------------------------------- the door */

#define PREFIX S("/llm/")

bool gateway_is_path(struct str path)
{
	return str_starts(path, PREFIX);
}

/* What a request says of where it goes; false when it names no provider. Of the exchange's memory. */
struct address {
	struct str capability;
	enum stream_provider provider;
	struct str path; /* behind the provider's segment */
};
static bool read_address(const struct http_exchange *x, struct address *ret)
{
	struct str path = http_path(x);
	struct str segment, rest = str_cut(str_slice(path, PREFIX.n, path.n), '/', &ret->capability);
	if (str_eq(ret->capability, S("-")))
		ret->capability = http_header(x, S(GATEWAY_CAPABILITY_HEADER));
	size_t slash = str_find_char(rest, '/');
	segment = str_slice(rest, 0, slash);
	ret->path = slash == STR_NPOS ? STR_EMPTY : str_slice(rest, slash, rest.n);
	for (int i = 0; i < STREAM_PROVIDER__MAX; i++) {
		if (!str_eq(segment, str_from(stream_provider_name((enum stream_provider)i))))
			continue;
		ret->provider = (enum stream_provider)i;
		return true;
	}
	return false;
}

static bool is_below(struct str path, struct str under)
{
	return str_starts(path, under) && (str_eq(under, S("/")) || path.n == under.n || path.p[under.n] == '/');
}

bool gateway_admits(struct gateway *gateway, const struct http_exchange *x, uint64_t *ret_max)
{
	struct address address;
	char session[GATEWAY_SESSION_SIZE];
	uint64_t length;
	if (read_address(x, &address) &&
	    gateway_capabilities_find(gateway->capabilities, address.capability, session)) {
		*ret_max = HTTP_BODY_MAX;
		return true;
	}
	/* A short one is read, so that it is refused in the provider's words. */
	*ret_max = DISPATCH_OPEN_BODY_MAX;
	return str_to_u64(http_header(x, S("Content-Length")), DISPATCH_OPEN_BODY_MAX, &length);
}

static size_t count_of(const struct gateway *gateway, const char *session)
{
	size_t n = 0;
	struct map_iter it = {0};
	while (map_next(gateway->passes, &it))
		n += strcmp(((const struct pass *)it.value)->session, session) == 0;
	return n;
}

/* Who asks, and for what. */
static int admit(struct gateway *gateway, struct http_exchange *x, const struct address *address, struct pass *pass,
		 struct err *err)
{
	if (!gateway_capabilities_find(gateway->capabilities, address->capability, pass->session))
		return fail(err, ERR_UNAUTHORIZED,
			    "the base URL, or " GATEWAY_CAPABILITY_HEADER
			    ", is of no session that runs; start the agent anew with `aileron launch`");
	/* Browsers say what they want it for, and no program of an agent does. */
	if (http_header(x, S("Sec-Fetch-Dest")).n > 0)
		return fail(err, ERR_FORBIDDEN, "the gateway is not for browsers");
	if (!stream_method_is_good(http_method(x)))
		return fail(err, ERR_METHOD_NOT_ALLOWED, "the gateway passes on no such method; there are %s",
			    STREAM_METHODS);
	const char *under = providers[address->provider].under;
	if (!is_below(address->path, str_from(under)))
		return fail(err, ERR_NOT_FOUND, "there is nothing here; the path goes on with '%s'", under);
	if (!stream_target_is_good(pass->target))
		return fail(err, ERR_INVALID_REQUEST, "the path has a segment '.' or '..', or is too long");
	if (map_count(gateway->passes) == STREAMS_MAX)
		return fail(err, ERR_UNAVAILABLE, "%d requests are under way already; try again in a moment",
			    STREAMS_MAX);
	if (count_of(gateway, pass->session) >= GATEWAY_OF_ONE)
		return fail(err, ERR_UNAVAILABLE,
			    "%d requests of this session are under way already; try again in a moment", GATEWAY_OF_ONE);
	return 0;
}

static void copy_text(char *ret, size_t max, struct str text)
{
	size_t n = MIN(text.n, max);
	if (n > 0)
		memcpy(ret, text.p, n);
	ret[n] = '\0';
}

/* The path that is left, and the query. */
static struct str target_of(const struct http_exchange *x, struct str path)
{
	struct str whole = http_target(x);
	return str_slice(whole, http_path(x).n - path.n, whole.n);
}

static struct pass *pass_new(struct gateway *gateway, struct http_exchange *x, const struct address *address)
{
	struct pass *pass = NEW(struct pass);
	pass->gateway = gateway;
	pass->x = x;
	pass->provider = address->provider;
	pass->target = target_of(x, address->path);
	pass->began_ns = clock_monotonic_ns(NULL);
	copy_text(pass->method, sizeof pass->method - 1, http_method(x));
	copy_text(pass->path, sizeof pass->path - 1, address->path);
	return pass;
}

static void keep(struct gateway *gateway, struct pass *pass)
{
	do
		pass->id = ++gateway->last_id;
	while (pass->id == 0 || !map_add(gateway->passes, key_of(&pass->id), pass));
}

void gateway_serve(struct gateway *gateway, struct http_exchange *x)
{
	static struct err err; /* of the loop's thread */
	err_clear(&err);
	struct address address;
	if (!read_address(x, &address)) {
		AUTO_BUF places = BUF_INIT(256);
		for (size_t i = 0; i < STREAM_PROVIDER__MAX; i++) {
			buf_add_z(&places, i == 0 ? "'" : "' and '");
			put_place(&places, (enum stream_provider)i);
		}
		fail(&err, ERR_NOT_FOUND, "there is no such provider; there are %.*s'", STR_FMT(buf_str(&places)));
		gateway_refuse(x, STREAM_OPENAI, &err);
		return;
	}
	struct pass *pass = pass_new(gateway, x, &address);
	if (admit(gateway, x, &address, pass, &err) < 0) {
		log_info("gateway_refused", log_z("provider", stream_provider_name(address.provider)), log_err(&err));
		free(pass);
		gateway_refuse(x, address.provider, &err);
		return;
	}
	keep(gateway, pass);
	pass_begin(pass);
}

/* ---------------------------------------------------------------------------------------------------------- sessions */

int gateway_begin_session(struct gateway *gateway, struct str session, char ret_capability[GATEWAY_CAPABILITY_TEXT + 1],
			  struct err *err)
{
	return gateway_capabilities_mint(gateway->capabilities, session, ret_capability, err);
}

void gateway_put_session(struct gateway *gateway, const char *capability, struct json_writer *w)
{
	struct str listen = supervise_setting(gateway->control->start, SETTING_LISTEN);
	AUTO_BUF url = BUF_INIT_SECRET(512);
	member_begin_object(w, "gateway");
	member_z(w, "capability", capability);
	for (size_t i = 0; i < STREAM_PROVIDER__MAX; i++) {
		char member[PROVIDER_NAME_MAX];
		snprintf(member, sizeof member, "%s_url", stream_provider_name((enum stream_provider)i));
		buf_clear(&url);
		buf_addf(&url, "http://%.*s/llm/%s/", STR_FMT(listen), capability);
		put_place(&url, (enum stream_provider)i);
		member_str(w, member, buf_str(&url));
	}
	jsonw_end_object(w);
}

void gateway_end_session(struct gateway *gateway, struct str session)
{
	if (!gateway_capabilities_end(gateway->capabilities, session))
		return;
	struct ended_session *ended = NEW(struct ended_session);
	copy_text(ended->id, sizeof ended->id - 1, session);
	pthread_mutex_lock(&gateway->lock);
	ended->next = gateway->ended;
	gateway->ended = ended;
	pthread_mutex_unlock(&gateway->lock);
	loop_wake(gateway->wakeup);
}

static void on_session_ended(void *user, struct str session)
{
	gateway_end_session(user, session);
}

static void give_up_ended(struct gateway *gateway, const char *session)
{
	struct map_iter it = {0};
	while (map_next(gateway->passes, &it)) {
		struct pass *pass = it.value;
		if (strcmp(pass->session, session) == 0)
			pass_give_up(pass);
	}
}

static void on_wakeup(void *user, int what)
{
	(void)what;
	struct gateway *gateway = user;
	pthread_mutex_lock(&gateway->lock);
	struct pass *permitted = TAKE(gateway->permitted);
	struct ended_session *ended = TAKE(gateway->ended);
	pthread_mutex_unlock(&gateway->lock);
	while (ended != NULL) {
		struct ended_session *next = ended->next;
		give_up_ended(gateway, ended->id);
		free(ended);
		ended = next;
	}
	while (permitted != NULL) {
		struct pass *pass = permitted;
		permitted = pass->next_permitted;
		pass_permitted(pass);
	}
}

/* -------------------------------------------------------------------------------------------------------- life cycle */

static void read_settings(struct gateway *gateway)
{
	const struct supervise_start *start = gateway->control->start;
	for (int i = 0; i < STREAM_PROVIDER__MAX; i++) {
		struct url url;
		gateway->inject[i] = supervise_setting(start, providers[i].inject);
		/* One that cannot be read is told by egress, at the first request. */
		if (url_parse(gateway->arena, supervise_setting(start, providers[i].url), &url, NULL) == 0)
			gateway->authority[i] = url_authority(gateway->arena, &url);
	}
}

struct gateway *gateway_new(struct control *control, struct err *err)
{
	AUTO(gateway) *gateway = NEW(struct gateway);
	gateway->control = control;
	gateway->arena = arena_new();
	gateway->capabilities = gateway_capabilities_new();
	gateway->passes = map_new(STREAMS_MAX);
	pthread_mutex_init(&gateway->lock, NULL);
	gateway->broken = loop_timer(control->loop, on_broken, gateway);
	gateway->again = loop_timer(control->loop, on_again, gateway);
	loop_source_background(gateway->again);
	gateway->wakeup = loop_wakeup(control->loop, on_wakeup, gateway, err);
	if (gateway->wakeup == NULL)
		return NULL;
	read_settings(gateway);
	const struct sessions_listener listener = {.ended = on_session_ended, .user = gateway};
	sessions_listen(control->sessions, &listener);
	return TAKE(gateway);
}

/* The exchanges of what is under way went with the server. */
void gateway_free(struct gateway *gateway)
{
	if (gateway == NULL)
		return;
	struct map_iter it = {0};
	while (map_next(gateway->passes, &it)) {
		struct pass *pass = map_remove(gateway->passes, it.key);
		free(pass->refusal);
		free(pass);
	}
	loop_source_free(gateway->socket);
	rpc_channel_free(gateway->channel);
	while (gateway->ended != NULL) {
		struct ended_session *ended = gateway->ended;
		gateway->ended = ended->next;
		free(ended);
	}
	loop_source_free(gateway->broken);
	loop_source_free(gateway->again);
	loop_source_free(gateway->wakeup);
	map_free(gateway->passes);
	gateway_capabilities_free(gateway->capabilities);
	arena_free(gateway->arena);
	pthread_mutex_destroy(&gateway->lock);
	free(gateway);
}
