/*
 * link: the parent's end of its link to a child, on a loop
 *
 * Neither reading nor writing ever waits. What the child's queue has no room for is kept here, in order, with its
 * descriptors; a child that leaves LINK_QUEUE_MAX frames unread is cut off. One thread.
 */
#pragma once
#include "base/err.h"
#include "os/loop.h"
#include "supervise/supervise.h"

#define LINK_QUEUE_MAX 512

struct link;
struct link_listener {
	/* A frame. The descriptors are closed afterwards unless the function took them (-1 in their place). */
	void (*message)(void *user, struct supervise_message *m);
	/* Once, at its end, or with PROTOCOL when it sent what is no frame. Nothing more is read. */
	void (*gone)(void *user, const struct err *why);
	void *user;
};
/* Takes over the descriptor, in any case. */
struct link *link_new(struct loop *loop, int fd, const struct link_listener *listener, struct err *err)
	__attribute__((warn_unused_result));
void link_free(struct link *link); /* never inside a function of the listener; NULL is fine */
DEFINE_AUTO(link, link_free)

/* The descriptors stay the caller's. What cannot be sent is told by `gone`. */
void link_send(struct link *link, uint32_t type, uint32_t id, struct str body, const int *fds, size_t n_fds);
/* Reads what the child sent before it ended. */
void link_drain(struct link *link);
