#include "control/keeper_client.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/time.h"
#include "base/wait.h"
#include "text/wire.h"
#include "vault/path.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LIST_KEPT_MAX   (256 * KIB)
#define ANSWER_MS       10000
#define ANSWER_STATE_MS 3000 /* `status` is asked when something hangs, and has 5 s for all it tells */
#define FIRST_PAIR_MS   1000 /* the keeper runs already when control alone was started anew */
#define ANSWER_SEALED_MS                                                                                               \
	60000 /* Argon2id takes its time, and a vault of many entries is sealed anew by `member remove` */

/* One worker that waits. On the worker's stack; in the client's list until it is answered or gives up. */
struct wait {
	struct wait *next;
	pthread_cond_t answered;
	uint32_t id;
	bool over;
	int rc;
	struct arena *arena;
	struct str body;
	struct err *err;
};

struct keeper_client {
	struct loop *loop;
	struct keeper_listener listener;
	struct loop_source *watch; /* of the channel; NULL when there is none */
	struct loop_source *wake;  /* a worker left something in the channel's queue */
	_Atomic uint64_t number;

	pthread_mutex_t lock; /* all below; the channel is replaced under it and read by the loop's thread alone */
	struct rpc_channel *channel;
	bool fresh; /* there was no channel yet, and there may be one in a moment */
	pthread_cond_t joined;
	struct wait *waits;
	uint32_t last_id;
	uint64_t patience_ms; /* 0 = as said above */
	uint64_t changes;     /* that the keeper told of, and keepers that went */
	struct {
		struct buf prefix, body; /* what was asked and answered */
		uint64_t changes;        /* as of when it was asked; 0 = nothing is kept */
	} list;
};

/* ---------------------------------------------------------------------------------------------------------- waiting */

static void wait_end(struct wait *wait, int rc)
{
	wait->rc = rc;
	wait->over = true;
	pthread_cond_signal(&wait->answered);
}

/* Takes the one with that id out of the list; NULL when nobody waits (any more). */
static struct wait *wait_take(struct keeper_client *client, uint32_t id)
{
	for (struct wait **at = &client->waits; *at != NULL; at = &(*at)->next) {
		if ((*at)->id == id) {
			struct wait *wait = *at;
			*at = wait->next;
			return wait;
		}
	}
	return NULL;
}

/* Under the lock, which is let go of while it waits. */
static int wait_for(struct keeper_client *client, struct wait *wait, uint64_t ms)
{
	uint64_t deadline_ns = clock_monotonic_ns(NULL) + ms * TIME_MILLISECOND;
	bool in_time = true;
	while (!wait->over && in_time)
		in_time = wait_until(&wait->answered, &client->lock, deadline_ns);
	if (wait->over)
		return wait->rc;
	wait_take(client, wait->id);
	return fail(wait->err, ERR_UNAVAILABLE, "the keeper did not answer within %llu ms", (unsigned long long)ms);
}

/* Under the lock, which is let go of while it waits. Only workers ask: the loop's thread is who joins the pair. */
static void wait_for_first_pair(struct keeper_client *client)
{
	uint64_t deadline_ns = clock_monotonic_ns(NULL) + FIRST_PAIR_MS * TIME_MILLISECOND;
	bool in_time = true;
	while (client->fresh && in_time)
		in_time = wait_until(&client->joined, &client->lock, deadline_ns);
}

/* Under the lock. */
static void end_wait_for_first_pair(struct keeper_client *client)
{
	client->fresh = false;
	pthread_cond_broadcast(&client->joined);
}

/* --------------------------------------------------------------------------------------------------------- the loop */

/* On the loop's thread. Whoever waits for this keeper will not hear from it. */
static void detach(struct keeper_client *client)
{
	loop_source_free(TAKE(client->watch));
	pthread_mutex_lock(&client->lock);
	rpc_channel_free(TAKE(client->channel));
	client->changes++;
	while (client->waits != NULL) {
		struct wait *wait = client->waits;
		client->waits = wait->next;
		wait_end(wait, fail(wait->err, ERR_UNAVAILABLE, "the keeper ended before it answered; try again"));
	}
	pthread_mutex_unlock(&client->lock);
}

static int read_answer(struct wait *wait, struct str body)
{
	struct wire_reader r = wire_reader(body);
	if (wire_bool(&r)) {
		if (wait->arena != NULL)
			wait->body = arena_str(wait->arena, r.rest);
		return 0;
	}
	struct err *err = malloc(sizeof *err);
	if (err == NULL)
		BUG("out of memory");
	wire_get_err(&r, err);
	if (wire_done(&r, "answer", wait->err) == 0) {
		if (err->class == ERR_NONE)
			fail(err, ERR_PROTOCOL, "the keeper failed without saying how");
		if (wait->err != NULL)
			*wait->err = *err;
	}
	free(err);
	return -1;
}

static void on_answer(struct keeper_client *client, const struct rpc_frame *frame)
{
	pthread_mutex_lock(&client->lock);
	struct wait *wait = wait_take(client, frame->id);
	if (wait != NULL)
		wait_end(wait, read_answer(wait, frame->body));
	pthread_mutex_unlock(&client->lock);
	if (wait == NULL)
		log_debug("keeper_answer_delayed", log_u64("id", frame->id));
}

static int on_changed(struct keeper_client *client, struct str body, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct keeper_state state = {0};
	keeper_state_get(&r, &state);
	struct str reason = wire_str(&r);
	if (wire_done(&r, "changed", err) < 0)
		return -1;
	pthread_mutex_lock(&client->lock);
	client->changes++;
	pthread_mutex_unlock(&client->lock);
	if (client->listener.changed != NULL)
		client->listener.changed(client->listener.user, &state, reason);
	return 0;
}

static int on_noted(struct keeper_client *client, struct str body, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct str what = wire_str(&r);
	struct str path = wire_str(&r);
	uint64_t use = wire_u64(&r);
	struct str host = wire_str(&r);
	struct str detail = wire_str(&r);
	if (wire_done(&r, "noted", err) < 0)
		return -1;
	if (client->listener.noted != NULL)
		client->listener.noted(client->listener.user, what, path, use, host, detail);
	return 0;
}

/* The permit table has let nothing else through. */
static int on_frame(struct keeper_client *client, const struct rpc_frame *frame, struct err *err)
{
	switch (frame->type) {
	case KEEPER_ANSWER:
		on_answer(client, frame);
		return 0;
	case KEEPER_CHANGED:
		return on_changed(client, frame->body, err);
	case KEEPER_NOTED:
		return on_noted(client, frame->body, err);
	default:
		return fail(err, ERR_PROTOCOL, "the keeper sent a message of type %u", frame->type);
	}
}

static void flush(struct keeper_client *client)
{
	if (client->channel == NULL)
		return;
	/* A failure shows up as the end of what can be read. */
	(void)!rpc_flush(client->channel, NULL);
	loop_watch_set(client->watch, LOOP_READ | (rpc_queued(client->channel) > 0 ? LOOP_WRITE : 0));
}

static void on_wake(void *user, int what)
{
	(void)what;
	flush(user);
}

static void on_ready(void *user, int what)
{
	struct keeper_client *client = user;
	if ((what & LOOP_WRITE) != 0)
		flush(client);
	static struct err err; /* of the loop's thread */
	err_clear(&err);
	struct rpc_frame frame;
	int got;
	while ((got = rpc_pump(client->channel, &frame, &err)) == 1) {
		got = on_frame(client, &frame, &err);
		if (got < 0)
			break;
	}
	if (got == 2)
		return;
	if (got < 0)
		log_error("keeper_channel_broken", log_err(&err));
	detach(client);
}

/* ------------------------------------------------------------------------------------------------------- the client */

struct keeper_client *keeper_client_new(struct loop *loop, const struct keeper_listener *listener)
{
	struct keeper_client *client = NEW(struct keeper_client);
	client->loop = loop;
	client->listener = *listener;
	client->changes = 1;
	client->fresh = true;
	wait_init(&client->joined);
	buf_init(&client->list.prefix, VAULT_PATH_MAX);
	buf_init(&client->list.body, LIST_KEPT_MAX);
	/* A control that was restarted speaks to the same keeper: its numbers must not be those of the last one. */
	atomic_init(&client->number, rand_u64() >> 1);
	pthread_mutex_init(&client->lock, NULL);
	struct err err = {0};
	client->wake = loop_wakeup(loop, on_wake, client, &err);
	if (client->wake == NULL)
		BUG("%s", err.message);
	loop_source_background(client->wake);
	return client;
}

void keeper_client_free(struct keeper_client *client)
{
	if (client == NULL)
		return;
	detach(client);
	loop_source_free(client->wake);
	buf_release(&client->list.prefix);
	buf_release(&client->list.body);
	pthread_cond_destroy(&client->joined);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

void keeper_client_close(struct keeper_client *client)
{
	detach(client);
	pthread_mutex_lock(&client->lock);
	end_wait_for_first_pair(client);
	pthread_mutex_unlock(&client->lock);
}

int keeper_client_attach(struct keeper_client *client, int fd, struct err *err)
{
	detach(client);
	client->watch = loop_watch(client->loop, fd, LOOP_READ, on_ready, client, err);
	if (client->watch == NULL) {
		close(fd);
		return -1;
	}
	pthread_mutex_lock(&client->lock);
	client->channel = rpc_channel_new(fd, keeper_for_control_rules);
	end_wait_for_first_pair(client);
	pthread_mutex_unlock(&client->lock);
	return 0;
}

/* What the keeper would not take would end it; it is refused here. */
static int check_size(enum keeper_message type, struct str body, struct err *err)
{
	for (const struct rpc_rule *rule = keeper_control_rules; rule->name != NULL; rule++) {
		if (rule->type != type)
			continue;
		if (body.n > rule->max)
			return fail(err, ERR_LIMIT, "the message '%s' to the keeper is larger than %u bytes",
				    rule->name, rule->max);
		return 0;
	}
	BUG("the keeper takes no message of type %d from control", (int)type);
}

/* Under the lock. */
static int send(struct keeper_client *client, enum keeper_message type, uint32_t id, struct str body, struct err *err)
{
	if (client->channel == NULL)
		return fail(err, ERR_UNAVAILABLE, "the keeper is not running; try again in a moment");
	if (rpc_queue(client->channel, (uint16_t)type, id, &body, 1, NULL) < 0)
		return fail(err, ERR_UNAVAILABLE, "the keeper cannot be reached; try again in a moment");
	if (rpc_queued(client->channel) > 0)
		loop_wake(client->wake);
	return 0;
}

static uint32_t next_id(struct keeper_client *client)
{
	if (++client->last_id == 0)
		client->last_id = 1;
	return client->last_id;
}

static uint64_t patience(const struct keeper_client *client, enum keeper_message type)
{
	if (client->patience_ms != 0)
		return client->patience_ms;
	switch ((int)type) {
	case KEEPER_STATE:
		return ANSWER_STATE_MS;
	case KEEPER_SEALED:
	case KEEPER_TUNE:
		return ANSWER_SEALED_MS;
	default:
		return ANSWER_MS;
	}
}

void keeper_client_set_patience(struct keeper_client *client, uint64_t ms)
{
	pthread_mutex_lock(&client->lock);
	client->patience_ms = ms;
	pthread_mutex_unlock(&client->lock);
}

int keeper_ask(struct keeper_client *client, enum keeper_message type, struct str body, struct arena *arena,
	       struct str *ret_body, struct err *err)
{
	if (check_size(type, body, err) < 0)
		return -1;
	struct wait wait = {.arena = ret_body != NULL ? arena : NULL, .err = err};
	wait_init(&wait.answered);
	pthread_mutex_lock(&client->lock);
	wait_for_first_pair(client);
	wait.id = next_id(client);
	int rc = send(client, type, wait.id, body, err);
	if (rc == 0) {
		wait.next = client->waits;
		client->waits = &wait;
		rc = wait_for(client, &wait, patience(client, type));
	}
	pthread_mutex_unlock(&client->lock);
	pthread_cond_destroy(&wait.answered);
	if (rc == 0 && ret_body != NULL)
		*ret_body = wait.body;
	return rc;
}

int keeper_ask_sealed(struct keeper_client *client, const struct keeper_sealed *sealed, struct arena *arena,
		      struct str *ret_body, struct err *err)
{
	AUTO_BUF body = BUF_INIT(RPC_BODY_MAX);
	keeper_sealed_put(&body, sealed);
	if (buf_check(&body, "the sealed message", err) < 0)
		return -1;
	return keeper_ask(client, KEEPER_SEALED, buf_str(&body), arena, ret_body, err);
}

int keeper_ask_state(struct keeper_client *client, struct arena *arena, struct keeper_state *ret, struct err *err)
{
	struct str body;
	if (keeper_ask(client, KEEPER_STATE, STR_EMPTY, arena, &body, err) < 0)
		return -1;
	struct wire_reader r = wire_reader(body);
	struct keeper_state state = {0};
	keeper_state_get(&r, &state);
	if (wire_done(&r, "state", err) < 0)
		return -1;
	*ret = state;
	return 0;
}

/*
 * Each call of a connector asks for the bindings of its kind. The last answer is good until the keeper tells of a change,
 * which it does before it answers whoever made it; an answer that a change may have overtaken is not kept. False: ask, and
 * give *ret_changes to keep_list() then.
 */
static bool find_list(struct keeper_client *client, struct str prefix, struct arena *arena, struct str *ret_body,
		      uint64_t *ret_changes)
{
	pthread_mutex_lock(&client->lock);
	bool found = client->list.changes == client->changes && str_eq(buf_str(&client->list.prefix), prefix);
	if (found)
		*ret_body = arena_str(arena, buf_str(&client->list.body));
	*ret_changes = client->changes;
	pthread_mutex_unlock(&client->lock);
	return found;
}

static void keep_list(struct keeper_client *client, struct str prefix, struct str body, uint64_t changes)
{
	pthread_mutex_lock(&client->lock);
	buf_clear(&client->list.prefix);
	buf_clear(&client->list.body);
	buf_add_str(&client->list.prefix, prefix);
	buf_add_str(&client->list.body, body);
	bool whole = buf_ok(&client->list.prefix) && buf_ok(&client->list.body);
	client->list.changes = whole ? changes : 0;
	pthread_mutex_unlock(&client->lock);
}

/* Five strings and a generation. */
#define ENTRY_MIN (5 * 4 + 8)

int keeper_ask_list(struct keeper_client *client, struct str prefix, struct arena *arena, struct keeper_entry **ret,
		    size_t *ret_n, bool *ret_verified, struct err *err)
{
	AUTO_BUF request = BUF_INIT(RPC_BODY_MAX);
	wire_put_str(&request, prefix);
	struct str body;
	uint64_t changes;
	bool kept = find_list(client, prefix, arena, &body, &changes);
	if (!kept && keeper_ask(client, KEEPER_LIST, buf_str(&request), arena, &body, err) < 0)
		return -1;
	struct wire_reader r = wire_reader(body);
	bool verified = wire_bool(&r);
	uint32_t n = wire_count(&r, ENTRY_MIN);
	struct keeper_entry *entries = arena_array(arena, n, sizeof *entries);
	for (uint32_t i = 0; i < n; i++)
		keeper_entry_get(&r, &entries[i]);
	if (wire_done(&r, "list", err) < 0)
		return -1;
	if (!kept)
		keep_list(client, prefix, body, changes);
	*ret = entries;
	*ret_n = n;
	*ret_verified = verified;
	return 0;
}

void keeper_tell_end_use(struct keeper_client *client, uint64_t use)
{
	AUTO_BUF body = BUF_INIT(16);
	wire_put_u64(&body, use);
	pthread_mutex_lock(&client->lock);
	/* A keeper that is gone has forgotten the use. */
	(void)!send(client, KEEPER_END_USE, 0, buf_str(&body), NULL);
	pthread_mutex_unlock(&client->lock);
}

uint64_t keeper_new_number(struct keeper_client *client)
{
	return atomic_fetch_add(&client->number, 1) + 1;
}
