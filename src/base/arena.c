#include "base/arena.h"
#include "base/ascii.h"
#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Blocks in a list, the newest first. A request that does not fit starts a new block, twice the size of the last one or
 * as large as the request, whichever is more; the rest of the old block is left unused, at most half of what was had.
 */
struct block {
	struct block *older;
	size_t room;
	size_t used;
	_Alignas(max_align_t) char bytes[];
};

struct arena {
	struct block *newest;
	size_t used;
};

enum { FIRST_BLOCK = 4096 - (int)sizeof(struct block), BLOCK_MAX = 1 << 20 };

static struct block *block_new(size_t room, struct block *older)
{
	struct block *block = xcalloc(1, sizeof *block + room);
	block->older = older;
	block->room = room;
	return block;
}

struct arena *arena_new(void)
{
	struct arena *arena = NEW(struct arena);
	arena->newest = block_new(FIRST_BLOCK, NULL);
	return arena;
}

static void free_all_but_first(struct arena *arena)
{
	while (arena->newest->older != NULL) {
		struct block *older = arena->newest->older;
		free(arena->newest);
		arena->newest = older;
	}
}

void arena_free(struct arena *arena)
{
	if (arena == NULL)
		return;
	free_all_but_first(arena);
	free(arena->newest);
	free(arena);
}

void arena_clear(struct arena *arena)
{
	free_all_but_first(arena);
	memset(arena->newest->bytes, 0, arena->newest->used);
	arena->newest->used = 0;
	arena->used = 0;
}

void *arena_alloc(struct arena *arena, size_t n)
{
	if (n > SIZE_MAX / 2)
		BUG("%zu bytes asked of an arena", n);
	size_t aligned = (n + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t);
	struct block *block = arena->newest;
	if (aligned > block->room - block->used) {
		size_t room = MIN(block->room * 2, (size_t)BLOCK_MAX);
		block = block_new(MAX(room, aligned), block);
		arena->newest = block;
	}
	void *p = block->bytes + block->used;
	block->used += aligned;
	arena->used += aligned;
	return p;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	size_t n;
	if (__builtin_mul_overflow(count, size, &n))
		BUG("%zu items of %zu bytes asked of an arena", count, size);
	return arena_alloc(arena, n);
}

struct str arena_str(struct arena *arena, struct str s)
{
	return (struct str){arena_z(arena, s), s.n};
}

const char *arena_z(struct arena *arena, struct str s)
{
	char *copy = arena_alloc(arena, s.n + 1);
	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	return copy;
}

struct str arena_lower(struct arena *arena, struct str s)
{
	char *copy = arena_alloc(arena, s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		copy[i] = ascii_lower(s.p[i]);
	return (struct str){copy, s.n};
}

struct str arena_printf(struct arena *arena, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		BUG("a format string that cannot be printed: '%s'", fmt);
	char *text = arena_alloc(arena, (size_t)n + 1);
	vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	return (struct str){text, (size_t)n};
}

size_t arena_used(const struct arena *arena)
{
	return arena->used;
}
