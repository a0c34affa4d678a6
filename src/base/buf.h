/*
 * buf: a growing run of bytes with a hard cap and a sticky failure
 *
 * For everything sized from outside. The cap is given when it is made; an append that would pass it changes nothing
 * and sets `failed`, and every later append does nothing: a builder appends freely and asks once, with buf_ok() or
 * buf_check(). `p` is never NULL and always has a NUL after the last byte, so it can be printed.
 *
 * A value type: `struct buf b = BUF_INIT(cap)`; release it. Not thread-safe.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include <stdarg.h>

struct buf {
	char *p;
	size_t n;    /* bytes in use */
	size_t room; /* bytes allocated, 0 while p is the shared empty string */
	size_t cap;  /* most bytes ever */
	bool failed; /* an append did not fit */
	bool secret; /* wiped when it grows, is cleared or released */
};

extern char buf_empty[1];
#define BUF_INIT(max)        ((struct buf){.p = buf_empty, .cap = (max)})
#define BUF_INIT_SECRET(max) ((struct buf){.p = buf_empty, .cap = (max), .secret = true})
#define AUTO_BUF             __attribute__((cleanup(buf_release))) struct buf

void buf_init(struct buf *buf, size_t cap);
void buf_release(struct buf *buf); /* back to empty with the same cap; may be used again */
void buf_clear(struct buf *buf);   /* keeps the memory; forgets the failure */

void buf_add(struct buf *buf, const void *bytes, size_t n);
void buf_add_str(struct buf *buf, struct str s);
void buf_add_z(struct buf *buf, const char *z);
void buf_add_char(struct buf *buf, char c);
void buf_addf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_addv(struct buf *buf, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Room for n more bytes, to be filled by the caller and counted by buf_commit(); NULL when they would pass the cap. */
char *buf_reserve(struct buf *buf, size_t n);
void buf_commit(struct buf *buf, size_t n);

void buf_truncate(struct buf *buf, size_t n);    /* n > buf->n does nothing */
void buf_consume(struct buf *buf, size_t n);     /* drops the first n bytes */
char *buf_steal(struct buf *buf, size_t *ret_n); /* the memory, for free(); the buffer is then empty */

static inline struct str buf_str(const struct buf *buf)
{
	return (struct str){buf->p, buf->n};
}
static inline bool buf_ok(const struct buf *buf)
{
	return !buf->failed;
}
/* 0, or -1 with ERR_LIMIT that says what did not fit: "<what> is larger than <cap> bytes". */
int buf_check(const struct buf *buf, const char *what, struct err *err) __attribute__((warn_unused_result));
