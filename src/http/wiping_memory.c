#include "http/wiping_memory.h"
#include "base/mem.h"
#include <malloc.h>
#include <stdlib.h>

void *wiping_malloc(size_t n)
{
	return malloc(n);
}

void *wiping_calloc(size_t count, size_t size)
{
	return calloc(count, size);
}

void wiping_free(void *p)
{
	if (p == NULL)
		return;
	mem_wipe(p, malloc_usable_size(p));
	free(p);
}

/* realloc() itself may move and leave a copy behind, so moving is done here. */
void *wiping_realloc(void *p, size_t n)
{
	if (p == NULL)
		return malloc(n);
	size_t have = malloc_usable_size(p);
	if (n > 0 && n <= have && n >= have / 2)
		return p;
	void *moved = malloc(n);
	if (moved == NULL)
		return NULL;
	memcpy(moved, p, MIN(have, n));
	wiping_free(p);
	return moved;
}

char *wiping_strdup(const char *z)
{
	return strdup(z);
}
