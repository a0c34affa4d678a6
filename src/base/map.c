#include "base/map.h"
#include "base/err.h"
#include "base/rand.h"
#include "base/siphash.h"
#include <stdlib.h>

/*
 * Entries stand densely in the order of insertion; `slots` is an open-addressed index into them (0 = empty, else
 * position + 1). Removing leaves a hole in the entries (key NULL) that its slot still points to, so that probing goes
 * on past it; growing drops the holes. A slot table is a power of two, at most three quarters full, holes included.
 */
struct entry {
	char *key; /* NULL = removed */
	size_t n;
	void *value;
	uint64_t hash;
};

struct map {
	struct siphash_key seed;
	size_t cap;
	size_t count; /* entries that are not holes */
	size_t used;  /* entries, holes included */
	size_t room;  /* entries allocated: three quarters of the slots */
	struct entry *entries;
	uint32_t *slots;
	size_t mask; /* slots - 1 */
};

struct map *map_new(size_t cap)
{
	struct map *map = NEW(struct map);
	map->cap = MIN(cap, MAP_CAP_MAX);
	rand_bytes(&map->seed, sizeof map->seed);
	return map;
}

void map_free_with(struct map *map, void (*free_value)(void *value))
{
	if (map == NULL)
		return;
	for (size_t i = 0; i < map->used; i++) {
		if (map->entries[i].key == NULL)
			continue;
		free(map->entries[i].key);
		if (free_value != NULL)
			free_value(map->entries[i].value);
	}
	free(map->entries);
	free(map->slots);
	free(map);
}

void map_free(struct map *map)
{
	map_free_with(map, NULL);
}

size_t map_count(const struct map *map)
{
	return map->count;
}

size_t map_cap(const struct map *map)
{
	return map->cap;
}

static bool holds(const struct entry *entry, struct str key, uint64_t hash)
{
	return entry->key != NULL && entry->hash == hash && str_eq((struct str){entry->key, entry->n}, key);
}

static struct entry *find(const struct map *map, struct str key, uint64_t hash)
{
	if (map->count == 0)
		return NULL;
	for (size_t i = hash & map->mask; map->slots[i] != 0; i = (i + 1) & map->mask) {
		struct entry *entry = &map->entries[map->slots[i] - 1];
		if (holds(entry, key, hash))
			return entry;
	}
	return NULL;
}

static void put_slot(struct map *map, uint64_t hash, size_t position)
{
	size_t i = hash & map->mask;
	while (map->slots[i] != 0)
		i = (i + 1) & map->mask;
	map->slots[i] = (uint32_t)(position + 1);
}

/* Makes room for one more entry: squeezes the holes out, and doubles when that alone would not free a quarter. */
static void rebuild(struct map *map)
{
	size_t slots = map->slots == NULL ? 8 : map->mask + 1;
	if (map->count + 1 > slots / 2)
		slots *= 2;
	size_t room = slots / 4 * 3;

	struct entry *entries = xcalloc(room, sizeof *entries);
	size_t used = 0;
	for (size_t i = 0; i < map->used; i++) {
		if (map->entries[i].key != NULL)
			entries[used++] = map->entries[i];
	}
	free(map->entries);
	free(map->slots);
	map->entries = entries;
	map->used = used;
	map->room = room;
	map->slots = xcalloc(slots, sizeof *map->slots);
	map->mask = slots - 1;
	for (size_t i = 0; i < used; i++)
		put_slot(map, entries[i].hash, i);
}

static bool append(struct map *map, struct str key, uint64_t hash, void *value)
{
	if (map->count >= map->cap)
		return false;
	if (map->used == map->room)
		rebuild(map);
	map->entries[map->used] = (struct entry){.key = str_dup(key), .n = key.n, .value = value, .hash = hash};
	put_slot(map, hash, map->used);
	map->used++;
	map->count++;
	return true;
}

bool map_set(struct map *map, struct str key, void *value, void **ret_old)
{
	uint64_t hash = siphash(map->seed, key);
	struct entry *entry = find(map, key, hash);
	void *old = NULL;
	if (entry != NULL) {
		old = entry->value;
		entry->value = value;
	} else if (!append(map, key, hash, value)) {
		return false;
	}
	if (ret_old != NULL)
		*ret_old = old;
	return true;
}

bool map_add(struct map *map, struct str key, void *value)
{
	uint64_t hash = siphash(map->seed, key);
	return find(map, key, hash) == NULL && append(map, key, hash, value);
}

bool map_find(const struct map *map, struct str key, void **ret_value)
{
	const struct entry *entry = find(map, key, siphash(map->seed, key));
	if (entry != NULL)
		*ret_value = entry->value;
	return entry != NULL;
}

void *map_get(const struct map *map, struct str key)
{
	void *value = NULL;
	return map_find(map, key, &value) ? value : NULL;
}

bool map_has(const struct map *map, struct str key)
{
	void *ignored;
	return map_find(map, key, &ignored);
}

void *map_remove(struct map *map, struct str key)
{
	struct entry *entry = find(map, key, siphash(map->seed, key));
	if (entry == NULL)
		return NULL;
	void *value = entry->value;
	free(entry->key);
	*entry = (struct entry){0};
	map->count--;
	return value;
}

bool map_next(const struct map *map, struct map_iter *it)
{
	while (it->position < map->used) {
		const struct entry *entry = &map->entries[it->position++];
		if (entry->key == NULL)
			continue;
		it->key = (struct str){entry->key, entry->n};
		it->value = entry->value;
		return true;
	}
	return false;
}
