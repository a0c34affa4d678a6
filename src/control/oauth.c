#include "control/oauth.h"
#include "base/base64.h"
#include "base/rand.h"
#include "base/vec.h"
#include "crypto/constant_time.h"
#include <pthread.h>
#include <stdlib.h>

struct kept {
	struct arena *arena;
	struct oauth_flow flow;
	uint64_t ends;
};

struct oauth_flows {
	const struct clock *clock;
	pthread_mutex_t lock;
	VEC(struct kept) kept;
};

struct oauth_flows *oauth_flows_new(const struct clock *clock)
{
	struct oauth_flows *flows = NEW(struct oauth_flows);
	flows->clock = clock;
	flows->kept.cap = OAUTH_FLOWS;
	pthread_mutex_init(&flows->lock, NULL);
	return flows;
}

void oauth_flows_free(struct oauth_flows *flows)
{
	if (flows == NULL)
		return;
	for (size_t i = 0; i < flows->kept.n; i++)
		arena_free(flows->kept.items[i].arena);
	vec_release(&flows->kept);
	pthread_mutex_destroy(&flows->lock);
	free(flows);
}

struct str oauth_random(struct arena *arena)
{
	unsigned char bytes[32];
	AUTO_BUF text = BUF_INIT(64);
	rand_bytes(bytes, sizeof bytes);
	base64_encode(&text, str_of(bytes, sizeof bytes), BASE64_URL_NOPAD);
	return arena_str(arena, buf_str(&text));
}

static struct oauth_flow copy(struct arena *arena, const struct oauth_flow *flow)
{
	struct oauth_flow made = *flow;
	made.id = arena_str(arena, flow->id);
	made.state = arena_str(arena, flow->state);
	made.binding = arena_str(arena, flow->binding);
	made.connector_fqn = arena_str(arena, flow->connector_fqn);
	made.redirect_uri = arena_str(arena, flow->redirect_uri);
	made.return_to = arena_str(arena, flow->return_to);
	made.scopes = arena_str(arena, flow->scopes);
	return made;
}

static void drop(struct oauth_flows *flows, size_t i)
{
	arena_free(flows->kept.items[i].arena);
	vec_remove(&flows->kept, i);
}

static void expire(struct oauth_flows *flows)
{
	uint64_t now = clock_monotonic_ns(flows->clock);
	for (size_t i = flows->kept.n; i > 0; i--) {
		if (now >= flows->kept.items[i - 1].ends)
			drop(flows, i - 1);
	}
}

int oauth_flow_add(struct oauth_flows *flows, const struct oauth_flow *flow, struct err *err)
{
	struct kept kept = {.arena = arena_new()};
	kept.flow = copy(kept.arena, flow);
	kept.ends = clock_monotonic_ns(flows->clock) + OAUTH_FLOW_S * TIME_SECOND;
	pthread_mutex_lock(&flows->lock);
	expire(flows);
	bool fits = vec_push(&flows->kept, kept);
	pthread_mutex_unlock(&flows->lock);
	if (fits)
		return 0;
	arena_free(kept.arena);
	return fail(err, ERR_THROTTLED, "%d OAuth flows are under way; finish one, or wait %d minutes", OAUTH_FLOWS,
		    OAUTH_FLOW_S / 60);
}

/* The text by which a flow is known. Compared in constant time: both are secrets of whoever holds them. */
typedef struct str flow_key(const struct oauth_flow *flow);
static struct str key_id(const struct oauth_flow *flow)
{
	return flow->id;
}
static struct str key_state(const struct oauth_flow *flow)
{
	return flow->state;
}

static int find(struct oauth_flows *flows, struct arena *arena, flow_key *key, struct str wanted, bool take,
		struct oauth_flow *ret)
{
	int found = -1;
	pthread_mutex_lock(&flows->lock);
	expire(flows);
	for (size_t i = 0; found < 0 && wanted.n > 0 && i < flows->kept.n; i++) {
		if (!constant_time_eq(key(&flows->kept.items[i].flow), wanted))
			continue;
		*ret = copy(arena, &flows->kept.items[i].flow);
		if (take)
			drop(flows, i);
		found = 0;
	}
	pthread_mutex_unlock(&flows->lock);
	return found;
}

static int refuse(struct err *err)
{
	return fail(err, ERR_SESSION_NOT_FOUND, "this OAuth flow is unknown, over or used; begin again");
}

int oauth_flow_take(struct oauth_flows *flows, struct arena *arena, struct str id, struct oauth_flow *ret,
		    struct err *err)
{
	return find(flows, arena, key_id, id, true, ret) == 0 ? 0 : refuse(err);
}

int oauth_flow_take_by_state(struct oauth_flows *flows, struct arena *arena, struct str state, struct oauth_flow *ret,
			     struct err *err)
{
	return find(flows, arena, key_state, state, true, ret) == 0 ? 0 : refuse(err);
}

int oauth_flow_look(struct oauth_flows *flows, struct arena *arena, struct str id, struct oauth_flow *ret,
		    struct err *err)
{
	return find(flows, arena, key_id, id, false, ret) == 0 ? 0 : refuse(err);
}

void oauth_flow_slow_down(struct oauth_flows *flows, struct str id, uint32_t seconds)
{
	pthread_mutex_lock(&flows->lock);
	for (size_t i = 0; i < flows->kept.n; i++) {
		struct oauth_flow *flow = &flows->kept.items[i].flow;
		if (constant_time_eq(flow->id, id))
			flow->interval = MIN(flow->interval + seconds, (uint32_t)OAUTH_FLOW_S);
	}
	pthread_mutex_unlock(&flows->lock);
}
