/*
 * fdpass: open descriptors through a socket
 *
 * One message is one byte and 1 to FDPASS_MAX descriptors (SCM_RIGHTS). Both sides agree on when such a message comes;
 * it must not fall between the bytes of an rpc frame. Source: unix(7).
 */
#pragma once
#include "base/err.h"
#include <stddef.h>

#define FDPASS_MAX 16

/* The descriptors stay the caller's. Waits until it is sent. */
int fdpass_send(int socket, const int *fds, size_t n, struct err *err) __attribute__((warn_unused_result));
/*
 * Waits for one message of exactly `n` descriptors, which are close-on-exec and then the caller's: 1, or 0 when the peer
 * closed. PROTOCOL when another number came (those are closed), or a byte without any.
 */
int fdpass_recv(int socket, int *ret_fds, size_t n, struct err *err) __attribute__((warn_unused_result));
