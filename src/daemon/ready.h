/*
 * ready: the verdict on a start, from the daemon to its starter, through a pipe
 *
 * One byte 0: it is ready. Or a byte 1 and an err (text/wire.h): it refused to start. The end of the pipe without either:
 * it died.
 */
#pragma once
#include "base/err.h"

/* Both close the descriptor; -1 is nothing. */
void ready_tell(int fd);
void ready_tell_failure(int fd, const struct err *why);

/* 1 ready; 0 refused, with why; -1 it died, or nothing came within `ms` (UNREACHABLE). */
int ready_wait(int fd, int ms, struct err *ret_why) __attribute__((warn_unused_result));
