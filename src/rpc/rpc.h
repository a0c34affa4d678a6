/*
 * rpc: framed messages between two processes of ours
 *
 * A frame is a 12-byte header (u32 body length, u16 type, u16 zero, u32 id; little-endian) and a body. Each side has a
 * permit table: a row says which type may arrive in which states and how long its body may be. What the table does not
 * permit (unknown type, wrong state, too long, non-zero reserved field) is a PROTOCOL error, after which the channel is
 * dead and the peer is to be ended. docs/formats/rpc.md is the format.
 *
 * Sending is safe from several threads (a lock per channel keeps frames whole). Receiving is one thread at a time.
 * The channel owns its descriptor. Blocking and non-blocking descriptors both work: see rpc_recv() and rpc_pump().
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <sys/uio.h>

#define RPC_HEADER    12
#define RPC_BODY_MAX  ((size_t)80 << 20)  /* no row may allow more */
#define RPC_PARTS_MAX 15                  /* of one frame sent */
#define RPC_QUEUE_MAX ((size_t)512 << 20) /* bytes that rpc_queue() may hold back */

struct rpc_rule {
	uint16_t type;
	uint16_t states;  /* bits of the states in which it may arrive */
	uint32_t max;     /* most bytes of body */
	const char *name; /* for errors */
};

struct rpc_channel;

struct rpc_frame {
	uint16_t type;
	uint32_t id;
	struct str body; /* borrowed: valid until the next receive on this channel, unless taken */
};

/* Takes over fd. `rules` (ended by a row with name NULL) must outlive the channel. state starts as 1. */
struct rpc_channel *rpc_channel_new(int fd, const struct rpc_rule *rules) __attribute__((warn_unused_result));
void rpc_channel_free(struct rpc_channel *channel); /* closes the descriptor; NULL is fine */
DEFINE_AUTO(rpc_channel, rpc_channel_free)
int rpc_fd(const struct rpc_channel *channel);
/* One bit. By the receiving thread, between two receives: a frame is held against the state when it is taken up. */
void rpc_set_state(struct rpc_channel *channel, uint16_t state);
/*
 * For a channel that carries secrets: whatever was received is wiped when it is no longer borrowed (at the next
 * receive, when it is taken, when the channel is freed), and so is what rpc_queue() held back.
 */
void rpc_set_sensitive(struct rpc_channel *channel, bool sensitive);

/*
 * Waits for a frame: 1, 0 at the end between frames (the peer closed, or was ended), -1 on error: PROTOCOL when the
 * peer broke the rules or ended within a frame, SYSTEM when the socket failed. After -1 every receive fails.
 */
int rpc_recv(struct rpc_channel *channel, struct rpc_frame *ret, struct err *err) __attribute__((warn_unused_result));
/*
 * Never waits, whatever the descriptor: 1 with a frame, 0 at the end, 2 when more bytes must arrive first, -1. Reads the
 * descriptor at most once per call and only when no whole frame is buffered: call until 2.
 */
int rpc_pump(struct rpc_channel *channel, struct rpc_frame *ret, struct err *err) __attribute__((warn_unused_result));
/* Whether rpc_recv() would return without reading: a whole frame is buffered. */
bool rpc_has_frame(const struct rpc_channel *channel);
/* The body as memory of its own, for free(); large bodies are moved, not copied. The frame's body stays valid in it. */
char *rpc_take_body(struct rpc_channel *channel, struct rpc_frame *frame);

/*
 * Sends one frame whose body is the parts in order; blocks until all is written (waiting with poll() when the
 * descriptor is non-blocking). SYSTEM with EPIPE when the peer is gone. Parts are not copied, so secrets go from their
 * own memory into the socket. A sum of more than RPC_BODY_MAX bytes is LIMIT and sends nothing.
 */
int rpc_send(struct rpc_channel *channel, uint16_t type, uint32_t id, const struct str *parts, size_t n_parts,
	     struct err *err) __attribute__((warn_unused_result));

/*
 * For event loops: never waits, whatever the descriptor's mode. What the socket does not take is queued (copied), and
 * rpc_flush() goes on when it is writable; it is done when rpc_queued() says 0. rpc_queued() is the back-pressure: stop
 * producing above a mark of your own (above RPC_QUEUE_MAX the frame is refused with LIMIT). Any thread; do not mix with
 * rpc_send() on one channel.
 */
int rpc_queue(struct rpc_channel *channel, uint16_t type, uint32_t id, const struct str *parts, size_t n_parts,
	      struct err *err) __attribute__((warn_unused_result));
int rpc_flush(struct rpc_channel *channel, struct err *err) __attribute__((warn_unused_result));
size_t rpc_queued(const struct rpc_channel *channel);
