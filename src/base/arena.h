/*
 * arena: memory that is released all at once
 *
 * For what lives as long as one call, one document or one command. Allocations are aligned for any type, zeroed, and
 * never released one by one. Sizes from outside must be checked before: there is no cap but the one given, and passing
 * it (or running out of memory) ends the program. Not thread-safe.
 */
#pragma once
#include "base/mem.h"
#include "base/str.h"

struct arena;

struct arena *arena_new(void) __attribute__((warn_unused_result, returns_nonnull));
void arena_free(struct arena *arena);  /* NULL is fine */
void arena_clear(struct arena *arena); /* keeps the first block for reuse */
DEFINE_AUTO(arena, arena_free)

void *arena_alloc(struct arena *arena, size_t n) __attribute__((returns_nonnull));
void *arena_array(struct arena *arena, size_t count, size_t size)
	__attribute__((returns_nonnull));                  /* checked product */
struct str arena_str(struct arena *arena, struct str s);   /* a copy, with a NUL behind it */
const char *arena_z(struct arena *arena, struct str s);    /* the same as a NUL-terminated string */
struct str arena_lower(struct arena *arena, struct str s); /* a copy with ASCII letters in lower case */
struct str arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t arena_used(const struct arena *arena); /* bytes handed out since the last clear */

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
