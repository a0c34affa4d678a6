#include "text/json_members.h"

#define EXACT_MAX ((UINT64_C(1) << 53) - 1)

void member_str(struct json_writer *w, const char *name, struct str value)
{
	jsonw_key(w, str_from(name));
	jsonw_str(w, value);
}

void member_z(struct json_writer *w, const char *name, const char *value)
{
	member_str(w, name, str_from(value));
}

void member_u64(struct json_writer *w, const char *name, uint64_t value)
{
	jsonw_key(w, str_from(name));
	jsonw_int(w, (int64_t)MIN(value, EXACT_MAX));
}

void member_bool(struct json_writer *w, const char *name, bool value)
{
	jsonw_key(w, str_from(name));
	jsonw_bool(w, value);
}

void member_time(struct json_writer *w, const char *name, uint64_t wall_ns)
{
	char text[TIME_RFC3339_SIZE];
	member_z(w, name, time_format_rfc3339(wall_ns, 3, text));
}

void member_raw(struct json_writer *w, const char *name, struct str json)
{
	jsonw_key(w, str_from(name));
	jsonw_raw(w, json);
}

void member_list(struct json_writer *w, const char *name, const struct str *items, size_t n)
{
	member_begin_array(w, name);
	for (size_t i = 0; i < n; i++)
		jsonw_str(w, items[i]);
	jsonw_end_array(w);
}

void member_words(struct json_writer *w, const char *name, struct str text, char separator)
{
	member_begin_array(w, name);
	while (text.n > 0) {
		struct str word;
		text = str_cut(text, separator, &word);
		if (word.n > 0)
			jsonw_str(w, word);
	}
	jsonw_end_array(w);
}

void member_str_given(struct json_writer *w, const char *name, struct str value)
{
	if (value.n > 0)
		member_str(w, name, value);
}

void member_u64_given(struct json_writer *w, const char *name, uint64_t value)
{
	if (value > 0)
		member_u64(w, name, value);
}

void member_time_given(struct json_writer *w, const char *name, uint64_t wall_ns)
{
	if (wall_ns > 0)
		member_time(w, name, wall_ns);
}

void member_words_given(struct json_writer *w, const char *name, struct str text, char separator)
{
	if (text.n > 0)
		member_words(w, name, text, separator);
}

void member_begin_object(struct json_writer *w, const char *name)
{
	jsonw_key(w, str_from(name));
	jsonw_begin_object(w);
}

void member_begin_array(struct json_writer *w, const char *name)
{
	jsonw_key(w, str_from(name));
	jsonw_begin_array(w);
}
