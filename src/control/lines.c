#include "control/lines.h"
#include "base/time.h"
#include "text/json_members.h"

#define ESCAPED   6   /* bytes that one may take: \u0000 */
#define FRAME_MAX 128 /* names, quotes, a number, the comma, and the end of the array */

void lines_begin(struct lines *lines, size_t max)
{
	*lines = (struct lines){.text = BUF_INIT(max)};
	jsonw_init(&lines->json, &lines->text, JSON_WRITER_PLAIN);
	jsonw_begin_array(&lines->json);
}

static bool has_room(struct lines *lines, size_t n)
{
	size_t left = lines->text.cap - lines->text.n;
	bool fits = left > FRAME_MAX && (left - FRAME_MAX) / ESCAPED >= n;
	lines->dropped += !fits;
	return fits;
}

void lines_add_log(struct lines *lines, struct str level, struct str message)
{
	struct json_writer *w = &lines->json;
	if (!has_room(lines, level.n + message.n))
		return;
	jsonw_begin_object(w);
	member_str(w, "level", level);
	member_str(w, "message", message);
	jsonw_end_object(w);
}

void lines_add_trace(struct lines *lines, struct str text, uint64_t nanoseconds)
{
	struct json_writer *w = &lines->json;
	if (!has_room(lines, text.n))
		return;
	jsonw_begin_object(w);
	member_str(w, "text", text);
	member_u64(w, "us", nanoseconds / TIME_MICROSECOND);
	jsonw_end_object(w);
}

struct str lines_end(struct lines *lines)
{
	jsonw_end_array(&lines->json);
	return buf_str(&lines->text);
}

void lines_release(struct lines *lines)
{
	buf_release(&lines->text);
}
