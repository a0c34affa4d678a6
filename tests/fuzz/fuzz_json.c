/* Any bytes: the first chooses the flags, the rest is read, written in both modes, and what was written reads back. */
#include "text/json_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_round_trip(const struct json *json, enum json_writer_mode mode)
{
	AUTO_BUF text = BUF_INIT(64 << 20);
	struct json_writer w;
	jsonw_init(&w, &text, mode);
	jsonw_value(&w, json);
	AUTO(json) *read = json_parse(buf_str(&text), JSON_READ_ALLOW_NUL, NULL);
	if (read == NULL)
		BUG("what was written cannot be read: %s", text.p);
	AUTO_BUF again = BUF_INIT(64 << 20);
	jsonw_init(&w, &again, mode);
	jsonw_value(&w, read);
	if (!str_eq(buf_str(&text), buf_str(&again)))
		BUG("'%s' became '%s'", text.p, again.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n == 0)
		return 0;
	struct err err = {0};
	AUTO(json) *json = json_parse(str_of(data + 1, n - 1), data[0] & 7u, &err);
	if (json == NULL && err.class != ERR_PARSE_ERROR)
		BUG("refused without a reason");
	if (json == NULL)
		return 0;
	check_round_trip(json, JSON_WRITER_PLAIN);
	check_round_trip(json, JSON_WRITER_GO);
	return 0;
}
