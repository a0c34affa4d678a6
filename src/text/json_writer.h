/*
 * json_writer: JSON out, without building a tree
 *
 * Writes compact JSON into a buf; commas and nesting are its business. Strings that are not UTF-8 get U+FFFD for each
 * bad byte. Nothing fails here: a full buf remembers it (buf_check). Closing what was not opened ends the program.
 *
 *     jsonw_begin_object(&w); jsonw_key(&w, S("op")); jsonw_str(&w, op); jsonw_end_object(&w);
 *
 * JSON_WRITER_GO writes byte for byte what Go's encoding/json makes of the same value, which the standard input of
 * connectors pins: `<`, `>`, `&`, U+2028 and U+2029 as `\u003c` …, a bad byte as the six characters `\ufffd`, and in
 * jsonw_value() sorted members and every number a double.
 */
#pragma once
#include "base/buf.h"
#include "text/json.h"

enum json_writer_mode { JSON_WRITER_PLAIN, JSON_WRITER_GO };

struct json_writer {
	struct buf *out;
	enum json_writer_mode mode;
	unsigned depth;
	bool need_comma;
};

void jsonw_init(struct json_writer *w, struct buf *out, enum json_writer_mode mode);
void jsonw_begin_object(struct json_writer *w);
void jsonw_end_object(struct json_writer *w);
void jsonw_begin_array(struct json_writer *w);
void jsonw_end_array(struct json_writer *w);
void jsonw_key(struct json_writer *w, struct str key);
void jsonw_str(struct json_writer *w, struct str value);
void jsonw_int(struct json_writer *w, int64_t value); /* as an integer, in both modes */
/*
 * The fewest digits that read back as the same double, as Go and ECMAScript write them: no decimal point when integral,
 * an exponent outside [1e-6, 1e21) spelled 1e+21 or 1e-7. What JSON cannot say (infinite, not a number) becomes null.
 */
void jsonw_real(struct json_writer *w, double value);
void jsonw_bool(struct json_writer *w, bool value);
void jsonw_null(struct json_writer *w);
/* Text that is one JSON value already. */
void jsonw_raw(struct json_writer *w, struct str json);
/* Members without their braces, as struct err keeps its details; "" is none. */
void jsonw_raw_members(struct json_writer *w, struct str members);
/*
 * A parsed value. In GO mode members are sorted by key bytes and every number is written as a double, as Go does with
 * what it decoded; in PLAIN mode order and integers are kept.
 */
void jsonw_value(struct json_writer *w, const struct json *value);
