#include "control/credential_uses.h"
#include "base/err.h"
#include "base/map.h"
#include <pthread.h>
#include <stdlib.h>

#define USES_MAX   65536 /* more than there can be calls, each with 64 permits */
#define ENDED_KEPT 1024

struct credential_uses {
	pthread_mutex_t lock; /* guards what follows */
	struct map *calls;    /* struct credential_call by the number's bytes */
	uint64_t ended[ENDED_KEPT];
	size_t next_ended; /* in the ring */
};

static struct str key_of(const uint64_t *use)
{
	return str_of(use, sizeof *use);
}

static void call_free(void *value)
{
	struct credential_call *call = value;
	if (call == NULL)
		return;
	free((void *)(uintptr_t)call->execution.p);
	free((void *)(uintptr_t)call->operation.p);
	free(call);
}

struct credential_uses *credential_uses_new(void)
{
	struct credential_uses *uses = NEW(struct credential_uses);
	pthread_mutex_init(&uses->lock, NULL);
	uses->calls = map_new(USES_MAX);
	return uses;
}

void credential_uses_free(struct credential_uses *uses)
{
	if (uses == NULL)
		return;
	map_free_with(uses->calls, call_free);
	pthread_mutex_destroy(&uses->lock);
	free(uses);
}

void credential_uses_add(struct credential_uses *uses, uint64_t use, const struct credential_call *call)
{
	struct credential_call *own = NEW(struct credential_call);
	own->execution = str_of(str_dup(call->execution), call->execution.n);
	own->operation = str_of(str_dup(call->operation), call->operation.n);
	pthread_mutex_lock(&uses->lock);
	bool added = map_add(uses->calls, key_of(&use), own);
	pthread_mutex_unlock(&uses->lock);
	if (!added)
		call_free(own);
}

void credential_uses_end(struct credential_uses *uses, uint64_t use)
{
	pthread_mutex_lock(&uses->lock);
	uint64_t *place = &uses->ended[uses->next_ended++ % ENDED_KEPT];
	call_free(map_remove(uses->calls, key_of(place))); /* no use has the number 0 */
	*place = use;
	pthread_mutex_unlock(&uses->lock);
}

struct credential_call credential_uses_find(struct credential_uses *uses, struct arena *arena, uint64_t use)
{
	struct credential_call found = {0};
	pthread_mutex_lock(&uses->lock);
	const struct credential_call *call = map_get(uses->calls, key_of(&use));
	if (call != NULL) {
		found.execution = arena_str(arena, call->execution);
		found.operation = arena_str(arena, call->operation);
	}
	pthread_mutex_unlock(&uses->lock);
	return found;
}
