/*
 * memory: the guest's memory, with every access checked
 *
 * Pointers and lengths are what the guest says: offsets into its memory, unsigned 32 bit. A span is inside when offset +
 * length is not past the end; one of length 0 may lie at the very end. Nothing here keeps a pointer: a view is good until
 * the host function that took it returns.
 */
#pragma once
#include "base/mem.h"
#include "connector/engine/program.h"

/* The n bytes at `at`, or NULL when they are not all inside. */
static inline uint8_t *memory_span(struct guest_memory memory, uint64_t at, uint64_t n)
{
	if (memory.p == NULL || n > memory.n || at > memory.n - n)
		return NULL;
	return memory.p + at;
}

static inline void memory_store(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t memory_load(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* Little-endian integers; false when not inside, and then nothing is written. */
static inline bool memory_put_u32(struct guest_memory memory, uint64_t at, uint32_t v)
{
	uint8_t *p = memory_span(memory, at, 4);
	if (p != NULL)
		memory_store(p, v, 4);
	return p != NULL;
}

static inline bool memory_put_u64(struct guest_memory memory, uint64_t at, uint64_t v)
{
	uint8_t *p = memory_span(memory, at, 8);
	if (p != NULL)
		memory_store(p, v, 8);
	return p != NULL;
}
