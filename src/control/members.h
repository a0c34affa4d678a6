/*
 * members: members of an answer, one line each
 *
 * Into an object that a json_writer has open. The `given` forms leave out what is empty or zero.
 */
#pragma once
#include "base/time.h"
#include "text/json_writer.h"

static inline void member_str(struct json_writer *w, const char *name, struct str value)
{
	jsonw_key(w, str_from(name));
	jsonw_str(w, value);
}

static inline void member_z(struct json_writer *w, const char *name, const char *value)
{
	member_str(w, name, str_from(value));
}

static inline void member_u64(struct json_writer *w, const char *name, uint64_t value)
{
	jsonw_key(w, str_from(name));
	jsonw_int(w, (int64_t)value);
}

static inline void member_bool(struct json_writer *w, const char *name, bool value)
{
	jsonw_key(w, str_from(name));
	jsonw_bool(w, value);
}

/* RFC 3339 with milliseconds, UTC. */
static inline void member_time(struct json_writer *w, const char *name, uint64_t wall_ns)
{
	char text[TIME_RFC3339_SIZE];
	member_z(w, name, time_format_rfc3339(wall_ns, 3, text));
}

static inline void member_str_given(struct json_writer *w, const char *name, struct str value)
{
	if (value.n > 0)
		member_str(w, name, value);
}

static inline void member_u64_given(struct json_writer *w, const char *name, uint64_t value)
{
	if (value > 0)
		member_u64(w, name, value);
}

static inline void member_time_given(struct json_writer *w, const char *name, uint64_t wall_ns)
{
	if (wall_ns > 0)
		member_time(w, name, wall_ns);
}
