/*
 * watch: waits until one of two files changes
 *
 * The folders are watched, not the files: compilers and editors replace a file as often as they write to it. Changes that
 * come close together (a compiler writes more than once) count as one. Single-threaded.
 */
#pragma once
#include "base/err.h"

struct watch;

struct watch *watch_new(const char *const *paths, size_t n, struct err *err) __attribute__((warn_unused_result));
void watch_free(struct watch *watch); /* NULL is fine */
/* 1: a file changed since the last time (or since it was made), 0: `cancel_fd` became readable, -1. */
int watch_wait(struct watch *watch, int cancel_fd, struct err *err) __attribute__((warn_unused_result));
