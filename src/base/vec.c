#include "base/vec.h"
#include "base/err.h"
#include <stdlib.h>

/* Doubles, so that n pushes cost O(n); never more than the cap. */
void *vec_grow(void *items, size_t *room, size_t need, size_t cap, size_t size)
{
	size_t wanted = *room > cap / 2 ? cap : MAX(*room * 2, MIN(cap, (size_t)8));
	wanted = MAX(wanted, need);
	size_t bytes;
	if (__builtin_mul_overflow(wanted, size, &bytes))
		BUG("an array of %zu items of %zu bytes", wanted, size);
	items = xrealloc(items, bytes);
	*room = wanted;
	return items;
}

void vec_check_index(size_t i, size_t n)
{
	if (i >= n)
		BUG("item %zu of an array of %zu", i, n);
}

void auto_vec_(void *vec)
{
	/* Every VEC(…) begins with its items, whatever their type. */
	auto_free_(vec);
}
