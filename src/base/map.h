/*
 * map: from text keys to pointers, in the order of insertion, with a cap
 *
 * Keys are any bytes and are copied; values are borrowed, may be NULL, and are the caller's to release. The hash is
 * keyed with fresh randomness a map, so that keys chosen by somebody hostile cannot be made to collide. Not
 * thread-safe.
 *
 *     struct map_iter it = {0};
 *     while (map_next(map, &it))
 *             use(it.key, it.value);
 *
 * While iterating, any entry may be removed and the value of a present key replaced; adding ends the iteration's
 * meaning.
 */
#pragma once
#include "base/mem.h"
#include "base/str.h"

/* More entries than this no map can hold, whatever its cap. */
#define MAP_CAP_MAX ((size_t)1 << 30)

struct map;

struct map *map_new(size_t cap) __attribute__((warn_unused_result, returns_nonnull));
void map_free(struct map *map);                                       /* NULL is fine */
void map_free_with(struct map *map, void (*free_value)(void *value)); /* also calls it on each value */
DEFINE_AUTO(map, map_free)

size_t map_count(const struct map *map);
size_t map_cap(const struct map *map);

/*
 * Adds the key or replaces its value; *ret_old (may be NULL) gets the replaced value, NULL when there was none. False,
 * and nothing changed, when the key is new and the map is at its cap. A replaced key keeps its place in the order.
 */
bool map_set(struct map *map, struct str key, void *value, void **ret_old) __attribute__((warn_unused_result));
/* Adds the key; false when it is there already or the map is at its cap (map_has() tells which). */
bool map_add(struct map *map, struct str key, void *value) __attribute__((warn_unused_result));

void *map_get(const struct map *map, struct str key);                   /* NULL when absent */
bool map_find(const struct map *map, struct str key, void **ret_value); /* for maps that hold NULL */
bool map_has(const struct map *map, struct str key);
void *map_remove(struct map *map, struct str key); /* the value that was there, or NULL */

struct map_iter {
	struct str key; /* valid until the entry is removed */
	void *value;
	size_t position;
};
bool map_next(const struct map *map, struct map_iter *it);
