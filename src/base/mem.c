#include "base/mem.h"
#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static _Noreturn void out_of_memory(size_t n)
{
	err_bug("memory", 0, "out of memory: %zu bytes could not be had", n);
}

void *xmalloc(size_t n)
{
	void *p = malloc(n > 0 ? n : 1);
	if (p == NULL)
		out_of_memory(n);
	return p;
}

void *xcalloc(size_t count, size_t size)
{
	void *p = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
	if (p == NULL)
		out_of_memory(size);
	return p;
}

void *xrealloc(void *p, size_t n)
{
	void *moved = realloc(p, n > 0 ? n : 1);
	if (moved == NULL)
		out_of_memory(n);
	return moved;
}

char *str_dup(struct str s)
{
	char *copy = xmalloc(s.n + 1);
	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}

char *xstrdup(const char *z)
{
	return str_dup(str_from(z));
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *text = NULL;
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory(0);
	return text;
}

void mem_wipe(void *p, size_t n)
{
	if (n > 0)
		explicit_bzero(p, n);
}
