/*
 * streams: egress's end of the channel of the gateway
 *
 * Frames of stream_protocol.h to and from streams (stream.h). The daemon's: control's end is attached, and may be replaced; with it
 * all its streams go. What the protocol does not allow ends the channel, never egress. One loop's thread.
 */
#pragma once
#include "egress/stream.h"

struct streams;
struct streams_options {
	const struct egress_net *net;
	struct keeper_link *keeper;
	/* One a provider (enum stream_provider); outlive them. */
	const struct stream_upstream *upstreams;
};
struct streams *streams_new(const struct streams_options *options) __attribute__((warn_unused_result, returns_nonnull));
void streams_free(struct streams *streams); /* NULL is fine */

/* The end of a pair, taken over, in the place of the one before. */
int streams_attach(struct streams *streams, int fd, struct err *err) __attribute__((warn_unused_result));
/* Streams under way, and one more while something waits to be sent. */
size_t streams_open(const struct streams *streams);
