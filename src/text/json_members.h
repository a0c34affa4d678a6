/*
 * json_members: members of an object, one line each
 *
 * Into an object that a json_writer has open. Numbers are clamped to what every reader of JSON holds exactly, 2^53-1;
 * times are RFC 3339 in UTC with milliseconds. The `given` forms leave out what is empty or zero.
 */
#pragma once
#include "base/time.h"
#include "text/json_writer.h"

void member_str(struct json_writer *w, const char *name, struct str value);
void member_z(struct json_writer *w, const char *name, const char *value);
void member_u64(struct json_writer *w, const char *name, uint64_t value);
void member_bool(struct json_writer *w, const char *name, bool value);
void member_time(struct json_writer *w, const char *name, uint64_t wall_ns);
void member_raw(struct json_writer *w, const char *name, struct str json); /* one value already */
void member_list(struct json_writer *w, const char *name, const struct str *items, size_t n);
/* The pieces of a text between separators, without the empty ones. */
void member_words(struct json_writer *w, const char *name, struct str text, char separator);

void member_str_given(struct json_writer *w, const char *name, struct str value);
void member_u64_given(struct json_writer *w, const char *name, uint64_t value);
void member_time_given(struct json_writer *w, const char *name, uint64_t wall_ns);
void member_words_given(struct json_writer *w, const char *name, struct str text, char separator);

/* Open; ended by jsonw_end_object() and jsonw_end_array(). */
void member_begin_object(struct json_writer *w, const char *name);
void member_begin_array(struct json_writer *w, const char *name);
