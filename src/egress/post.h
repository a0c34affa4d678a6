/*
 * post: what the daemon sends to where the user wants his traces
 *
 * One POST each (OTLP over HTTP), no secret in it, answered by a status alone: what the receiver says in the body is read,
 * up to POST_ANSWER_MAX, and dropped. rc is 0 for any status. One loop's thread; `done` comes from the loop, and for what is
 * refused at once before posts_send() returns.
 */
#pragma once
#include "base/limits.h"
#include "egress/egress_protocol.h"

#define POSTS_MAX       16 /* at once; NETWORK_ERROR above */
#define POST_ANSWER_MAX (64 * KIB)

struct egress_net;
struct posts;

struct posts_options {
	const struct egress_net *net;                                                 /* outlives them */
	void (*done)(void *context, uint32_t id, const struct egress_result *result); /* once for each; borrowed */
	void *context;
};
struct posts *posts_new(const struct posts_options *options) __attribute__((returns_nonnull));
void posts_free(struct posts *posts); /* gives up what is under way; NULL is fine */

/* `body` (malloc'd, taken over) is what `post` borrows from. */
void posts_send(struct posts *posts, uint32_t id, const struct egress_post *post, char *body);
/* Whoever asked is gone. */
void posts_drop(struct posts *posts);
size_t posts_open(const struct posts *posts);
