/*
 * mem: allocation that does not fail, and ownership by scope
 *
 * x* functions end the program when memory runs out; they are for small internal objects. Whatever is sized from
 * outside goes through a capped buffer (base/buf.h). Any thread.
 */
#pragma once
#include "base/str.h"
#include <stddef.h>
#include <string.h>
#include <unistd.h>

void *xmalloc(size_t n) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xrealloc(void *p, size_t n) __attribute__((returns_nonnull, warn_unused_result));
char *xstrdup(const char *z) __attribute__((malloc, returns_nonnull, warn_unused_result));
char *str_dup(struct str s) __attribute__((malloc, returns_nonnull, warn_unused_result)); /* NUL-terminated copy */
char *xasprintf(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), malloc, returns_nonnull, warn_unused_result));

/* A new zeroed object: struct foo *foo = NEW(struct foo); */
#define NEW(type) ((type *)xcalloc(1, sizeof(type)))

/*
 * AUTO(type) declares a pointer that is freed by type_free() at the end of its scope; AUTO_FREE one that is freed by
 * free(); AUTO_FD a descriptor that is closed. TAKE moves the value out.
 *
 *     AUTO(arena) *arena = arena_new();        needs DEFINE_AUTO(arena, arena_free) beside arena_free()
 *     return TAKE(arena);
 */
#define DEFINE_AUTO(type, destructor)                                                                                  \
	static inline void auto_##type(struct type **p)                                                                \
	{                                                                                                              \
		destructor(*p);                                                                                        \
	}
#define AUTO(type) __attribute__((cleanup(auto_##type))) struct type

static inline void auto_free_(void *p)
{
	void *v;
	memcpy(&v, p, sizeof v);
	extern void free(void *);
	free(v);
}
#define AUTO_FREE __attribute__((cleanup(auto_free_)))

static inline void auto_close_(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define AUTO_FD __attribute__((cleanup(auto_close_))) int

#define TAKE(p)                                                                                                        \
	({                                                                                                             \
		__auto_type take_ = (p);                                                                               \
		(p) = NULL;                                                                                            \
		take_;                                                                                                 \
	})
#define TAKE_FD(fd)                                                                                                    \
	({                                                                                                             \
		int take_ = (fd);                                                                                      \
		(fd) = -1;                                                                                             \
		take_;                                                                                                 \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)    ((a) < (b) ? (a) : (b))
#define MAX(a, b)    ((a) > (b) ? (a) : (b))

/* memset that no compiler removes. For what held a secret. */
void mem_wipe(void *p, size_t n);
