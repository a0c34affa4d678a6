/*
 * lines: what a guest says during a call, as a JSON array that is always whole
 *
 * A line may take six times its length as JSON, so how many fit is not known by their number. What might not fit any more
 * is dropped and counted; the array is closed in any case. One thread at a time.
 */
#pragma once
#include "base/buf.h"
#include "text/json_writer.h"

struct lines {
	struct buf text;
	struct json_writer json;
	uint64_t dropped;
};

/* At most `max` bytes in all. `lines` stays where it is until lines_release(). */
void lines_begin(struct lines *lines, size_t max);
void lines_add_log(struct lines *lines, struct str level, struct str message);    /* {"level","message"} */
void lines_add_trace(struct lines *lines, struct str text, uint64_t nanoseconds); /* {"text","us"} */
/* The whole array; borrowed. Nothing is added afterwards. */
struct str lines_end(struct lines *lines);
void lines_release(struct lines *lines); /* also of one that was never begun, when it is zeroed */
