#include "base/buf.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>

/* Shared by every buffer that has no memory yet; nothing is ever written to it. */
char buf_empty[1] = "";

void buf_init(struct buf *buf, size_t cap)
{
	*buf = BUF_INIT(cap);
}

void buf_release(struct buf *buf)
{
	if (buf->room > 0) {
		if (buf->secret)
			mem_wipe(buf->p, buf->room);
		free(buf->p);
	}
	*buf = (struct buf){.p = buf_empty, .cap = buf->cap, .secret = buf->secret};
}

void buf_clear(struct buf *buf)
{
	if (buf->secret && buf->room > 0)
		mem_wipe(buf->p, buf->room);
	buf->n = 0;
	buf->failed = false;
	if (buf->room > 0)
		buf->p[0] = '\0';
}

/* Doubles, so that n appends cost O(n); never more than the cap and its NUL. */
static void grow(struct buf *buf, size_t need)
{
	size_t room = buf->room > 0 ? buf->room : 64;
	while (room < need)
		room = room > SIZE_MAX / 2 ? need : room * 2;
	if (room - 1 > buf->cap)
		room = buf->cap + 1;
	if (buf->secret || buf->room == 0) {
		char *p = xmalloc(room);
		memcpy(p, buf->p, buf->n + 1);
		if (buf->room > 0) {
			mem_wipe(buf->p, buf->room);
			free(buf->p);
		}
		buf->p = p;
	} else {
		buf->p = xrealloc(buf->p, room);
	}
	buf->room = room;
}

char *buf_reserve(struct buf *buf, size_t n)
{
	if (buf->failed || n > buf->cap - buf->n) {
		buf->failed = true;
		return NULL;
	}
	if (buf->n + n + 1 > buf->room)
		grow(buf, buf->n + n + 1);
	return buf->p + buf->n;
}

void buf_commit(struct buf *buf, size_t n)
{
	if (n == 0 && buf->room == 0)
		return;
	if (buf->n + n >= buf->room)
		BUG("%zu bytes committed to a buffer with less reserved", n);
	buf->n += n;
	buf->p[buf->n] = '\0';
}

void buf_add(struct buf *buf, const void *bytes, size_t n)
{
	if (n == 0)
		return;
	char *to = buf_reserve(buf, n);
	if (to == NULL)
		return;
	memcpy(to, bytes, n);
	buf_commit(buf, n);
}

void buf_add_str(struct buf *buf, struct str s)
{
	buf_add(buf, s.p, s.n);
}

void buf_add_z(struct buf *buf, const char *z)
{
	buf_add(buf, z, strlen(z));
}

void buf_add_char(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

void buf_addv(struct buf *buf, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0)
		BUG("a format string that cannot be printed: '%s'", fmt);
	char *to = buf_reserve(buf, (size_t)n);
	if (to != NULL && n > 0) {
		vsnprintf(to, (size_t)n + 1, fmt, again);
		buf_commit(buf, (size_t)n);
	}
	va_end(again);
}

void buf_addf(struct buf *buf, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_addv(buf, fmt, ap);
	va_end(ap);
}

void buf_truncate(struct buf *buf, size_t n)
{
	if (n >= buf->n)
		return;
	if (buf->secret)
		mem_wipe(buf->p + n, buf->n - n);
	buf->n = n;
	buf->p[n] = '\0';
}

void buf_consume(struct buf *buf, size_t n)
{
	if (n > buf->n)
		n = buf->n;
	if (n == 0)
		return;
	size_t left = buf->n - n;
	memmove(buf->p, buf->p + n, left);
	buf_truncate(buf, left);
}

char *buf_steal(struct buf *buf, size_t *ret_n)
{
	char *p = buf->room > 0 ? buf->p : xstrdup("");
	if (ret_n != NULL)
		*ret_n = buf->n;
	*buf = (struct buf){.p = buf_empty, .cap = buf->cap, .secret = buf->secret};
	return p;
}

int buf_check(const struct buf *buf, const char *what, struct err *err)
{
	if (buf->failed)
		return fail(err, ERR_LIMIT, "%s is larger than %zu bytes", what, buf->cap);
	return 0;
}
