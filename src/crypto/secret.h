/*
 * secret: bytes that must not leak
 *
 * Locked in memory, left out of core dumps and of forked children, between guard pages, wiped when freed. Opaque: it
 * cannot be printed, and the only ways to the bytes are secret_borrow() and, for filling, secret_borrow_mut(), whose
 * results must not outlive the call that uses them nor be copied anywhere but into another secret, a digest, or the
 * connection that they are for. Up to SECRET_MAX bytes. A secret may be read by several threads; making and freeing is
 * any thread's, one at a time per object. Small secrets that were freed leave their wiped pages, guards and lock
 * included, to the next ones: a use after free would meet another secret there, not a fault.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define SECRET_MAX ((size_t)64 << 10)

struct secret;

/* n zero bytes, to be filled through secret_borrow_mut(). LIMIT when n > SECRET_MAX, SYSTEM when memory cannot be had. */
struct secret *secret_new(size_t n, struct err *err) __attribute__((warn_unused_result));
struct secret *secret_from(struct str bytes, struct err *err) __attribute__((warn_unused_result));
/* Moves the value of an environment variable: reads it, wipes it where it stood, removes it. NULL without error when unset. */
struct secret *secret_from_env(const char *name, struct err *err) __attribute__((warn_unused_result));
void secret_free(struct secret *secret); /* NULL is fine */
DEFINE_AUTO(secret, secret_free)

size_t secret_size(const struct secret *secret);
struct str secret_borrow(const struct secret *secret);
/* For filling; same rules. */
char *secret_borrow_mut(struct secret *secret);
bool secret_eq(const struct secret *a, struct str b); /* in constant time for equal lengths */
/* Whether its pages could be locked (RLIMIT_MEMLOCK may forbid it), which is never fatal. */
bool secret_locked(const struct secret *secret);
/*
 * For those that must be locked: n zero bytes, or SYSTEM when they cannot be, naming what the user can do. SECRET_LOCKED_MAX
 * bounds what one process holds this way, in whole pages; LIMIT beyond.
 */
#define SECRET_LOCKED_MAX ((size_t)1 << 20)
struct secret *secret_new_locked(size_t n, struct err *err) __attribute__((warn_unused_result));
