#include "control/known_connectors.h"
#include "base/mem.h"
#include <pthread.h>
#include <stdlib.h>

struct known {
	struct str name; /* as it was asked for */
	struct connector_row row;
};

struct known_connectors {
	pthread_mutex_t lock; /* held for moments */
	uint64_t version;
	size_t changes; /* under way */
	size_t n, next;
	struct known items[KNOWN_CONNECTORS_MAX];
	struct arena *arenas[KNOWN_CONNECTORS_MAX]; /* where an item's strings live */
};

struct known_connectors *known_connectors_new(void)
{
	struct known_connectors *known = NEW(struct known_connectors);
	pthread_mutex_init(&known->lock, NULL);
	return known;
}

void known_connectors_free(struct known_connectors *known)
{
	if (known == NULL)
		return;
	for (size_t i = 0; i < KNOWN_CONNECTORS_MAX; i++)
		arena_free(known->arenas[i]);
	pthread_mutex_destroy(&known->lock);
	free(known);
}

static struct connector_row copy_row(struct arena *arena, const struct connector_row *row)
{
	return (struct connector_row){
		.fqn = arena_str(arena, row->fqn),
		.path = arena_str(arena, row->path),
		.name = arena_str(arena, row->name),
		.content_hash = arena_str(arena, row->content_hash),
		.version = arena_str(arena, row->version),
		.linked_ns = row->linked_ns,
	};
}

/* Under the lock. */
static struct known *find(struct known_connectors *known, struct str name)
{
	for (size_t i = 0; i < known->n; i++) {
		if (str_eq(known->items[i].name, name))
			return &known->items[i];
	}
	return NULL;
}

bool known_connectors_find(struct known_connectors *known, struct arena *arena, struct str name,
			   struct connector_row *ret)
{
	pthread_mutex_lock(&known->lock);
	const struct known *item = find(known, name);
	if (item != NULL)
		*ret = copy_row(arena, &item->row);
	pthread_mutex_unlock(&known->lock);
	return item != NULL;
}

uint64_t known_connectors_version(struct known_connectors *known)
{
	pthread_mutex_lock(&known->lock);
	uint64_t version = known->version;
	pthread_mutex_unlock(&known->lock);
	return version;
}

void known_connectors_keep(struct known_connectors *known, uint64_t version, struct str name,
			   const struct connector_row *row)
{
	pthread_mutex_lock(&known->lock);
	if (known->version == version && known->changes == 0 && find(known, name) == NULL) {
		size_t at = known->next++ % KNOWN_CONNECTORS_MAX;
		if (known->arenas[at] == NULL)
			known->arenas[at] = arena_new();
		arena_clear(known->arenas[at]);
		known->items[at].name = arena_str(known->arenas[at], name);
		known->items[at].row = copy_row(known->arenas[at], row);
		known->n = MAX(known->n, at + 1);
	}
	pthread_mutex_unlock(&known->lock);
}

void known_connectors_change_begin(struct known_connectors *known)
{
	pthread_mutex_lock(&known->lock);
	known->changes++;
	known->version++;
	known->n = known->next = 0;
	pthread_mutex_unlock(&known->lock);
}

void known_connectors_change_end(struct known_connectors *known)
{
	pthread_mutex_lock(&known->lock);
	known->changes--;
	known->version++; /* what was read meanwhile may be of before */
	pthread_mutex_unlock(&known->lock);
}
