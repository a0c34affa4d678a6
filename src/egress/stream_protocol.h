/*
 * stream_protocol: requests that control passes on without keeping them, and answers as they come
 *
 * The gateway's: what an agent sends to a provider of models goes through control to egress in pieces, and so does the answer on
 * its way back. A socket pair of their own between the two (SUPERVISE_GATEWAY), so that a long answer waits for nobody else's
 * frames. For each stream, by an id of control's that is not 0 and not in use: OPEN, the pieces of the body, at any time
 * CANCEL; from egress HEAD, pieces, and exactly one ENDED, after which the id is free. Whoever sends pieces may send as many bytes
 * as the other gave credit for; at the start that is STREAM_WINDOW each way. What arrives for a stream that has ended crossed its
 * ENDED and is ignored. docs/formats/egress.md is the format.
 *
 * Neither side believes the other: names and values of headers are checked where they are read, and a target is one that
 * cannot leave the upstream's prefix (stream_target_is_good()).
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"
#include "rpc/rpc.h"

#define STREAM_PIECE       (64 * KIB)  /* bytes of one BODY or DATA */
#define STREAM_WINDOW      (256 * KIB) /* bytes that may be under way in one direction of a stream */
#define STREAMS_MAX        256         /* at once; above, OPEN is answered by ENDED with UNAVAILABLE */
#define STREAM_HEADERS_MAX 256         /* fields of one head */
#define STREAM_HEAD_MAX    (128 * KIB) /* bytes of OPEN and HEAD */
#define STREAM_TARGET_MAX  (16 * KIB)
/* TRACE would have the upstream repeat a key that was injected; CONNECT is a tunnel. */
#define STREAM_METHODS    "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
#define STREAM_STATUS_MIN 200
#define STREAM_STATUS_MAX 599

enum stream_message {
	STREAM_OPEN = 1,   /* to egress; id; stream_open */
	STREAM_BODY = 2,   /* to egress; id; bytes */
	STREAM_MORE = 3,   /* both ways; id; u32 bytes that the other may send in addition */
	STREAM_CANCEL = 4, /* to egress; id; empty. ENDED follows, unless it is on its way */
	STREAM_HEAD = 16,  /* to control; id; stream_head */
	STREAM_DATA = 17,  /* to control; id; bytes */
	STREAM_ENDED = 18, /* to control; id; u8 whole, else err */
};
extern const struct rpc_rule stream_egress_rules[];  /* what egress accepts */
extern const struct rpc_rule stream_control_rules[]; /* … and control */

/* The upstreams that a person set; egress has their URLs from the parent, control cannot name another. */
enum stream_provider { STREAM_ANTHROPIC, STREAM_OPENAI, STREAM_PROVIDER__MAX };
const char *stream_provider_name(enum stream_provider provider); /* in addresses, the record and logs: "anthropic" */

struct stream_header {
	struct str name, value; /* as sent */
};
struct stream_headers {
	const struct stream_header *items;
	size_t n;
};

struct stream_open {
	enum stream_provider provider;
	struct str method; /* one of STREAM_METHODS */
	struct str target; /* path and query behind the upstream's own path */
	struct stream_headers headers;
	uint64_t length; /* of the body */
	uint64_t use;    /* of the key that is to be injected (keeper_protocol.h); 0 = none */
};
struct stream_head {
	unsigned status; /* STREAM_STATUS_MIN to STREAM_STATUS_MAX */
	struct stream_headers headers;
};

void stream_open_put(struct buf *out, const struct stream_open *m);
void stream_head_put(struct buf *out, const struct stream_head *m);
/* Arrays in `arena`, texts borrowed from `body`. PROTOCOL for what is out of range. */
int stream_open_get(struct arena *arena, struct str body, struct stream_open *ret, struct err *err)
	__attribute__((warn_unused_result));
int stream_head_get(struct arena *arena, struct str body, struct stream_head *ret, struct err *err)
	__attribute__((warn_unused_result));

bool stream_method_is_good(struct str method);
bool stream_status_is_good(unsigned status);
/*
 * Begins with '/', printable ASCII without '#' and '\', at most STREAM_TARGET_MAX bytes, and no segment of its path is "." or
 * "..", however the dots are spelled, and also when escapes of '/' and '\' are taken for what they stand for.
 */
bool stream_target_is_good(struct str target);
/*
 * Whether a field belongs to one connection and not to the message (RFC 9110 7.6.1), or to how it is framed: Connection and
 * what it lists, Content-Length, Expect, Host, …. `connection`: the values of Connection, joined by commas.
 */
bool stream_header_is_of_hop(struct str name, struct str connection);
/* The values of Connection of a head, joined, in `arena`. */
struct str stream_connection_of(struct arena *arena, const struct stream_headers *headers);
/* A token, and a value without control characters (but tab). */
bool stream_header_is_good(const struct stream_header *header);
