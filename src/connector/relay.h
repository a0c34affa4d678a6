/*
 * relay: egress between a serving runner and control
 *
 * A runner's words may hold what a service said, and a service may have said the credential in a form that was not struck
 * out where it came in. So what a runner says goes to control through egress, which alone knows the secrets: in the texts
 * of LOG, TRACE, HTTP, AUDIT and DONE the secrets of the call that the frame is about are struck out, as they are in
 * answers. What control says passes as it is. Frames stay whole and in order.
 *
 * Both sides are held to the runner protocol's permit tables, one state after the other (START, READY); what a table does
 * not permit, a text that cannot be searched, or the end of either side ends both. What was received from a runner before
 * its end still reaches control. A relay reads from one side only while less than RELAY_QUEUE bytes wait for the other. A
 * text over RELAY_SEARCH_AT_ONCE bytes is searched by another thread, with secrets of its own, while the runner's next
 * words wait.
 *
 * One loop's thread.
 */
#pragma once
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include <stdint.h>

#define RELAY_QUEUE          (4 * MIB)
#define RELAY_SEARCH_AT_ONCE (64 * KIB)

struct loop;
struct relay;
struct watchlist;

struct relay_options {
	struct loop *loop;
	uint32_t id;
	int runner_fd, control_fd; /* taken over, also on failure */
	/* What to look for in words about this call; NULL = nothing. Borrowed for the moment. */
	const struct watchlist *(*watchlist)(void *context, uint32_t relay, uint32_t call);
	/* Once, from the loop, unless it was freed before; `err` NULL: one side was closed between frames. Frees it. */
	void (*ended)(void *context, struct relay *relay, const struct err *err);
	void *context;
};

struct relay *relay_new(const struct relay_options *options, struct err *err) __attribute__((warn_unused_result));
/* Closes both sides. NULL is fine. */
void relay_free(struct relay *relay);
DEFINE_AUTO(relay, relay_free)
uint32_t relay_id(const struct relay *relay);
