#include "egress/keeper_link.h"
#include "base/limits.h"
#include "base/map.h"
#include "os/loop.h"
#include "text/wire.h"
#include <stdlib.h>

#define FRAME_MAX (8 * MIB) /* of what is sent; the keeper's table says less for each */

/* A question that was sent, until its last answer came. */
struct open_ask {
	uint32_t number;
	uint16_t answer;       /* the message that ends it */
	bool refreshing;       /* the keeper waits for us */
	bool failing;          /* its answer was lost with the keeper */
	struct keeper_ask ask; /* `answered` NULL: forgotten */
};

struct keeper_link {
	struct keeper_link_options options;
	struct rpc_channel *channel; /* NULL while there is no keeper */
	struct loop_source *socket;
	int events;
	uint32_t last_number;
	struct map *asks; /* number -> struct open_ask */
	struct err err;
};

static struct str key_of(const uint32_t *number)
{
	return str_of(number, sizeof *number);
}

struct keeper_link *keeper_link_new(const struct keeper_link_options *options)
{
	struct keeper_link *link = NEW(struct keeper_link);
	link->options = *options;
	link->asks = map_new(KEEPER_ASKS_MAX);
	return link;
}

static void close_channel(struct keeper_link *link)
{
	loop_source_free(TAKE(link->socket));
	rpc_channel_free(TAKE(link->channel));
}

void keeper_link_free(struct keeper_link *link)
{
	if (link == NULL)
		return;
	close_channel(link);
	map_free_with(link->asks, free);
	free(link);
}

bool keeper_link_is_up(const struct keeper_link *link)
{
	return link->channel != NULL;
}

/* Takes the question out before its owner is told, who may ask anew. */
static void finish(struct keeper_link *link, struct open_ask *open, const struct keeper_answer *answer)
{
	struct keeper_ask ask = open->ask;
	map_remove(link->asks, key_of(&open->number));
	free(open);
	if (ask.answered != NULL)
		ask.answered(ask.context, answer);
}

/* With link->err. Whoever is told may ask a new keeper, if there is one by then: that question is not lost. */
static void lose(struct keeper_link *link)
{
	close_channel(link);
	struct err why;
	err_clear(&why);
	fail(&why, ERR_UNAVAILABLE, "%s", link->err.message);
	const struct keeper_answer lost = {.err = &why};
	struct map_iter all = {0};
	while (map_next(link->asks, &all))
		((struct open_ask *)all.value)->failing = true;
	for (bool more = true; more;) {
		struct map_iter it = {0};
		more = false;
		while (!more && map_next(link->asks, &it))
			more = ((struct open_ask *)it.value)->failing;
		if (more)
			finish(link, it.value, &lost);
	}
}

/* Asks the loop for what can be done now. */
static void balance(struct keeper_link *link)
{
	int events = LOOP_READ | (rpc_queued(link->channel) > 0 ? LOOP_WRITE : 0);
	if (events != link->events)
		loop_watch_set(link->socket, events);
	link->events = events;
}

/* ---- answers ---- */

/* Whether the answer is yes, or no with link->err; a malformed one makes the reader bad. */
static bool is_yes(struct keeper_link *link, struct wire_reader *r)
{
	if (wire_bool(r))
		return true;
	wire_get_err(r, &link->err);
	if (link->err.class == ERR_NONE)
		r->bad = true;
	return false;
}

static int on_refresh(struct keeper_link *link, struct open_ask *open, struct str body)
{
	struct keeper_exchange exchange;
	struct wire_reader r = wire_reader(body);
	keeper_exchange_get(&r, &exchange);
	if (wire_done(&r, "refresh", &link->err) != 0)
		return -1;
	if (open->answer != KEEPER_RELEASED || open->refreshing)
		return fail(&link->err, ERR_PROTOCOL, "message 'refresh' for what was not claimed");
	open->refreshing = true;
	link->options.refresh(link->options.context, open->number, &exchange);
	return 0;
}

static int on_answer(struct keeper_link *link, struct open_ask *open, const struct rpc_frame *frame)
{
	struct keeper_exchange exchange;
	struct keeper_answer answer = {.err = NULL};
	struct wire_reader r = wire_reader(frame->body);
	if (!is_yes(link, &r)) {
		answer.err = &link->err;
	} else if (frame->type == KEEPER_RELEASED) {
		answer.kind = wire_str(&r);
		answer.username = wire_str(&r);
		answer.pool = wire_str(&r);
		answer.secret = wire_str(&r);
	} else if (frame->type == KEEPER_SIGNED) {
		answer.signature = wire_str(&r);
	} else if (frame->type == KEEPER_TICKET) {
		keeper_exchange_get(&r, &exchange);
		answer.exchange = &exchange;
	}
	struct err *err = &link->err;
	if (r.bad || r.rest.n > 0)
		return fail(err, ERR_PROTOCOL, "message of type %u is malformed", frame->type);
	if (frame->type != open->answer)
		return fail(err, ERR_PROTOCOL, "message of type %u answers another question", frame->type);
	finish(link, open, &answer);
	return 0;
}

static int on_frame(struct keeper_link *link, const struct rpc_frame *frame)
{
	struct open_ask *open = map_get(link->asks, key_of(&frame->id));
	if (open == NULL)
		return fail(&link->err, ERR_PROTOCOL, "message of type %u answers no question", frame->type);
	return frame->type == KEEPER_REFRESH ? on_refresh(link, open, frame->body) : on_answer(link, open, frame);
}

/* A callback may attach another keeper: then what is left of this one's is nobody's. */
static void read_frames(struct keeper_link *link)
{
	const struct rpc_channel *channel = link->channel;
	for (;;) {
		struct rpc_frame frame;
		int got = rpc_pump(link->channel, &frame, &link->err);
		if (got == 2)
			break;
		if (got == 0)
			fail(&link->err, ERR_UNAVAILABLE, "the keeper of the vault ended");
		else if (got < 0 || on_frame(link, &frame) != 0)
			wrap(&link->err, "the keeper of the vault was let go");
		else if (link->channel == channel)
			continue;
		else
			return;
		lose(link);
		return;
	}
	balance(link);
}

static void on_socket(void *user, int what)
{
	struct keeper_link *link = user;
	/* A failure to write shows up as the end of what can be read. */
	if ((what & LOOP_WRITE) != 0)
		(void)!rpc_flush(link->channel, NULL);
	if ((what & (LOOP_READ | LOOP_GONE)) != 0)
		read_frames(link);
	else
		balance(link);
}

int keeper_link_attach(struct keeper_link *link, int fd, struct err *err)
{
	struct rpc_channel *channel = rpc_channel_new(fd, keeper_for_egress_rules);
	rpc_set_sensitive(channel, true);
	if (link->channel != NULL) {
		fail(&link->err, ERR_UNAVAILABLE, "the keeper of the vault was started anew");
		lose(link);
	}
	link->channel = channel;
	link->events = LOOP_READ;
	link->socket = loop_watch(link->options.loop, fd, link->events, on_socket, link, err);
	if (link->socket != NULL)
		return 0;
	close_channel(link);
	return -1;
}

/* ---- questions ---- */

static uint32_t next_number(struct keeper_link *link)
{
	do {
		link->last_number++;
	} while (link->last_number == 0 || map_has(link->asks, key_of(&link->last_number)));
	return link->last_number;
}

static int send_body(struct keeper_link *link, uint16_t type, uint32_t id, const struct buf *body, struct err *err)
{
	if (link->channel == NULL)
		return fail(err, ERR_UNAVAILABLE, "the keeper of the vault does not run");
	if (buf_check(body, "what the keeper is asked", err) != 0)
		return -1;
	const struct str part = buf_str(body);
	if (rpc_queue(link->channel, type, id, &part, 1, err) != 0)
		return -1;
	balance(link);
	return 0;
}

static uint32_t send_ask(struct keeper_link *link, uint16_t type, const struct buf *body, const struct keeper_ask *ask,
			 struct err *err)
{
	static const uint16_t answers[] = {
		[KEEPER_CLAIM] = KEEPER_RELEASED,    [KEEPER_SIGN_SIGV4] = KEEPER_SIGNED,
		[KEEPER_SIGN_BYTES] = KEEPER_SIGNED, [KEEPER_EXCHANGE] = KEEPER_TICKET,
		[KEEPER_TOKENS] = KEEPER_STORED,     [KEEPER_DEVICE_CODE] = KEEPER_STORED,
		[KEEPER_EXTEND] = KEEPER_RELEASED,
	};
	if (map_count(link->asks) == KEEPER_ASKS_MAX) {
		fail(err, ERR_UNAVAILABLE, "the keeper of the vault has %d questions to answer already",
		     KEEPER_ASKS_MAX);
		return 0;
	}
	uint32_t number = next_number(link);
	if (send_body(link, type, number, body, err) != 0)
		return 0;
	struct open_ask *open = NEW(struct open_ask);
	*open = (struct open_ask){.number = number, .answer = answers[type], .ask = *ask};
	if (!map_add(link->asks, key_of(&number), open))
		BUG("a question that cannot be kept");
	return number;
}

uint32_t keeper_claim(struct keeper_link *link, uint64_t use, const struct keeper_target *target,
		      const struct keeper_ask *ask, struct err *err)
{
	AUTO_BUF body = BUF_INIT(FRAME_MAX);
	wire_put_u64(&body, use);
	keeper_target_put(&body, target);
	return send_ask(link, KEEPER_CLAIM, &body, ask, err);
}

uint32_t keeper_extend(struct keeper_link *link, uint64_t use, const struct keeper_target *target,
		       const struct keeper_ask *ask, struct err *err)
{
	AUTO_BUF body = BUF_INIT(FRAME_MAX);
	wire_put_u64(&body, use);
	keeper_target_put(&body, target);
	return send_ask(link, KEEPER_EXTEND, &body, ask, err);
}

uint32_t keeper_sign(struct keeper_link *link, const struct keeper_signing *signing, const struct keeper_ask *ask,
		     struct err *err)
{
	AUTO_BUF body = BUF_INIT(FRAME_MAX);
	wire_put_u64(&body, signing->use);
	keeper_target_put(&body, &signing->target);
	if (signing->scope != NULL) {
		wire_put_str(&body, str_from(signing->scope->day));
		wire_put_str(&body, signing->scope->region);
		wire_put_str(&body, signing->scope->service);
	} else {
		wire_put_u8(&body, (uint8_t)signing->algorithm);
	}
	wire_put_str(&body, signing->bytes);
	uint16_t type = signing->scope != NULL ? KEEPER_SIGN_SIGV4 : KEEPER_SIGN_BYTES;
	return send_ask(link, type, &body, ask, err);
}

uint32_t keeper_exchange(struct keeper_link *link, uint64_t ticket, const struct keeper_ask *ask, struct err *err)
{
	AUTO_BUF body = BUF_INIT(FRAME_MAX);
	wire_put_u64(&body, ticket);
	return send_ask(link, KEEPER_EXCHANGE, &body, ask, err);
}

uint32_t keeper_store_tokens(struct keeper_link *link, uint64_t ticket, const struct keeper_tokens *tokens,
			     const struct keeper_ask *ask, struct err *err)
{
	AUTO_BUF body = BUF_INIT_SECRET(FRAME_MAX);
	wire_put_u64(&body, ticket);
	keeper_tokens_put(&body, tokens);
	return send_ask(link, KEEPER_TOKENS, &body, ask, err);
}

uint32_t keeper_store_device_code(struct keeper_link *link, uint64_t ticket, struct str device_code,
				  const struct keeper_ask *ask, struct err *err)
{
	AUTO_BUF body = BUF_INIT_SECRET(FRAME_MAX);
	wire_put_u64(&body, ticket);
	wire_put_str(&body, device_code);
	return send_ask(link, KEEPER_DEVICE_CODE, &body, ask, err);
}

/* The entry stays until the answer has come: an answer that nobody asked for would be a lie. */
void keeper_forget(struct keeper_link *link, uint32_t number)
{
	struct open_ask *open = map_get(link->asks, key_of(&number));
	if (open != NULL)
		open->ask.answered = NULL;
}

/* ---- refreshing ---- */

static bool ends_refresh(struct keeper_link *link, uint32_t id)
{
	struct open_ask *open = map_get(link->asks, key_of(&id));
	if (open == NULL || !open->refreshing)
		return false;
	open->refreshing = false;
	return true;
}

void keeper_refreshed(struct keeper_link *link, uint32_t id, const struct keeper_tokens *tokens)
{
	if (!ends_refresh(link, id))
		return;
	AUTO_BUF body = BUF_INIT_SECRET(FRAME_MAX);
	keeper_tokens_put(&body, tokens);
	/* What cannot be sent is answered by the end of the channel. */
	(void)!send_body(link, KEEPER_REFRESHED, id, &body, NULL);
}

void keeper_refresh_failed(struct keeper_link *link, uint32_t id, const struct err *why)
{
	if (!ends_refresh(link, id))
		return;
	AUTO_BUF body = BUF_INIT(FRAME_MAX);
	wire_put_err(&body, why);
	(void)!send_body(link, KEEPER_REFRESH_FAILED, id, &body, NULL);
}
