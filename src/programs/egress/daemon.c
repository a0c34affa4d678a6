#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "confine/policies.h"
#include "connector/relay.h"
#include "egress/egress_protocol.h"
#include "egress/server.h"
#include "egress/stream.h"
#include "os/loop.h"
#include "programs/egress/lives.h"
#include "supervise/supervise.h"
#include "text/wire.h"
#include <unistd.h>

#define RELAYS_MAX 1024
/* How long egress waits for a control after the last one let go of it: one that found it hanging gets no other. */
#define ORPHAN_MS UINT64_C(30000)
#define DRAIN_MS  UINT64_C(20) /* between two looks whether all is done */
/* How long what is under way for others, a refresh above all, holds up the end of an egress that let go of a live control. */
#define LET_GO_MS UINT64_C(2000)

struct egress {
	struct egress_server *server;
	struct loop *loop;
	struct loop_source *link, *orphan, *drain;
	struct map *relays;  /* id -> struct relay */
	uint64_t stop_until; /* monotonic ns; 0 = not stopping */
	struct stream_upstream upstreams[STREAM_PROVIDER__MAX];
	int status;
	struct err err;
};

static void stop(struct egress *egress, int status)
{
	egress->status = status;
	loop_stop(egress->loop);
}

/* ---- relays ---- */

static struct str key_of(const uint32_t *id)
{
	return str_of(id, sizeof *id);
}

static const struct watchlist *watchlist_of(void *context, uint32_t relay, uint32_t call)
{
	struct egress *egress = context;
	return egress_server_watchlist(egress->server, relay, call);
}

static void on_relay_ended(void *context, struct relay *relay, const struct err *err)
{
	struct egress *egress = context;
	uint32_t id = relay_id(relay);
	if (err != NULL)
		log_warn("relay_broken", log_u64("runner", id), log_err(err));
	map_remove(egress->relays, key_of(&id));
	relay_free(relay);
}

static void free_relay(void *relay)
{
	relay_free(relay);
}

static int on_relay(struct egress *egress, struct supervise_message *message)
{
	struct err *err = &egress->err;
	uint32_t id = message->frame.id;
	if (message->n_fds != 2 || id == 0 || map_has(egress->relays, key_of(&id)))
		return fail(err, ERR_PROTOCOL, "message 'relay' is malformed");
	if (map_count(egress->relays) == RELAYS_MAX)
		return 0; /* its ends are closed, and the runner ends */
	const struct relay_options options = {
		.loop = egress->loop,
		.id = id,
		.runner_fd = TAKE_FD(message->fds[0]),
		.control_fd = TAKE_FD(message->fds[1]),
		.watchlist = watchlist_of,
		.ended = on_relay_ended,
		.context = egress,
	};
	struct relay *relay = relay_new(&options, err);
	if (relay == NULL)
		return -1;
	if (!map_add(egress->relays, key_of(&id), relay))
		BUG("a relay that cannot be kept");
	return 0;
}

/* ---- the parent ---- */

static int on_peer(void *user, enum supervise_role role, int fd, struct err *err)
{
	struct egress *egress = user;
	if (role == SUPERVISE_KEEPER)
		return egress_server_attach_keeper(egress->server, fd, err);
	loop_timer_stop(egress->orphan);
	return egress_server_attach_control(egress->server, fd, err);
}

static void drain(struct egress *egress, uint64_t ms)
{
	egress->stop_until = clock_monotonic_ns(NULL) + ms * MS;
	loop_timer_start(egress->drain, 0, DRAIN_MS);
}

static void on_stop(void *user, uint64_t ms)
{
	drain(user, ms);
}

static int on_other(void *user, struct supervise_message *message, struct err *err)
{
	struct egress *egress = user;
	if (message->frame.type == SUPERVISE_RELAY)
		return on_relay(egress, message);
	if (message->frame.type != SUPERVISE_GATEWAY || message->n_fds != 1)
		return supervised_refuse(message, err);
	return egress_server_attach_streams(egress->server, TAKE_FD(message->fds[0]), err);
}

static void on_link(void *user, int what)
{
	(void)what;
	struct egress *egress = user;
	const struct supervised_orders orders = {
		.neighbours = 1U << SUPERVISE_CONTROL | 1U << SUPERVISE_KEEPER,
		.peer = on_peer,
		.stop = on_stop,
		.other = on_other,
		.user = egress,
	};
	static struct supervise_message message;
	int got;
	while ((got = supervise_recv(SUPERVISE_FD, &message, &egress->err)) == 1) {
		int rc = supervised_obey(SUPERVISE_FD, &message, &orders, &egress->err);
		supervise_close_fds(&message);
		if (rc != 0) {
			got = -1;
			break;
		}
	}
	if (got == 2)
		return;
	if (got < 0)
		supervised_failed(&egress->err);
	stop(egress, got < 0 ? 1 : 0);
}

/* ---- the end ---- */

/* The parent has a new pair for a control that died. To one that lives it gives another only with another egress. */
static void on_control_left(void *context, bool alive, const struct err *err)
{
	struct egress *egress = context;
	if (err != NULL)
		log_error("control_let_go", log_err(err));
	if (!alive) {
		loop_timer_start(egress->orphan, ORPHAN_MS, 0);
		return;
	}
	egress->err = *err;
	egress->status = 1;
	drain(egress, LET_GO_MS);
}

static void on_orphan(void *user, int what)
{
	(void)what;
	log_error("egress_orphaned", log_duration("waited", ORPHAN_MS * MS));
	stop(user, 1);
}

static void on_drain(void *user, int what)
{
	(void)what;
	struct egress *egress = user;
	if (!egress_server_is_idle(egress->server) && clock_monotonic_ns(NULL) < egress->stop_until)
		return;
	if (egress->status != 0)
		supervised_failed(&egress->err);
	stop(egress, egress->status);
}

/* From the parent, and not from control, which could make an open door of the gateway. */
static void read_upstreams(struct egress *egress, const struct supervise_start *start)
{
	bool allow_private = str_eq(supervise_setting(start, SETTING_GATEWAY_ALLOW_PRIVATE), S("1"));
	egress->upstreams[STREAM_ANTHROPIC] = (struct stream_upstream){
		.url = supervise_setting(start, SETTING_GATEWAY_ANTHROPIC),
		.inject = supervise_setting(start, SETTING_GATEWAY_INJECT_ANTHROPIC),
		.allow_private = allow_private,
	};
	egress->upstreams[STREAM_OPENAI] = (struct stream_upstream){
		.url = supervise_setting(start, SETTING_GATEWAY_OPENAI),
		.inject = supervise_setting(start, SETTING_GATEWAY_INJECT_OPENAI),
		.allow_private = allow_private,
	};
}

static int begin(struct egress *egress, const struct supervise_start *start, struct err *err)
{
	read_upstreams(egress, start);
	const struct egress_server_options options = {
		.control_left = on_control_left, .context = egress, .upstreams = egress->upstreams};
	egress->server = egress_server_new(&options, err);
	if (egress->server == NULL)
		return -1;
	egress->loop = egress_server_loop(egress->server);
	egress->relays = map_new(RELAYS_MAX);
	egress->orphan = loop_timer(egress->loop, on_orphan, egress);
	egress->drain = loop_timer(egress->loop, on_drain, egress);
	egress->link = loop_watch(egress->loop, SUPERVISE_FD, LOOP_READ, on_link, egress, err);
	if (egress->link == NULL)
		return -1;
	/* Said first: what is warmed up is warmed up while the others start. */
	if (supervised_ready(STR_EMPTY, err) != 0)
		return -1;
	bool ca_file = str_eq(supervise_setting(start, SETTING_CA_FILE), S("1"));
	egress_server_set_ca(egress->server, ca_file ? EGRESS_FD_CA : -1);
	return 0;
}

static void release(struct egress *egress)
{
	map_free_with(egress->relays, free_relay);
	loop_source_free(egress->link);
	loop_source_free(egress->orphan);
	loop_source_free(egress->drain);
	egress_server_free(egress->server);
}

int live_under_parent(int argc, char **argv)
{
	const struct supervised_spec spec = {
		.name = "aileron-egress", .policy = &confine_egress, .keep_fds = EGRESS_FDS, .folder_fd = -1};
	const struct supervise_start *start = supervised_begin(&spec, argc, argv);
	if (start == NULL)
		return 1;
	static struct egress egress;
	if (begin(&egress, start, &egress.err) != 0) {
		supervised_failed(&egress.err);
		egress.status = 1;
	} else {
		loop_run(egress.loop);
	}
	release(&egress);
	return egress.status;
}
