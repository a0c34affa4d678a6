/*
 * Lines of a client and of a daemon that comes and goes, the first byte of each says whose it is: what was JSON when it came is
 * JSON when it goes on, and the structure that is seen without parsing is that of the parser.
 */
#include "guest/mediator.h"
#include "guest/scan.h"
#include "text/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct stage {
	bool is_json; /* the line that is under way */
};

static void check(void *user, struct str line)
{
	const struct stage *stage = user;
	AUTO(json) *json = json_parse(line, JSON_READ_LAST_DUPLICATE | JSON_READ_ALLOW_NUL, NULL);
	if (stage->is_json && json == NULL)
		BUG("'%.*s' was JSON before", STR_FMT(line));
}

static void compare(struct str text, const struct json *json)
{
	struct scan_member members[] = {{.name = "id"}, {.name = "method"}, {.name = "params"}};
	bool is_object = json != NULL && json_kind(json) == JSON_KIND_OBJECT;
	bool found = scan_object(text, members, ARRAY_LEN(members));
	if (is_object && !found)
		BUG("'%.*s' is an object", STR_FMT(text));
	bool is_plain = str_find_char(text, '\\') == STR_NPOS; /* names are compared as spelled */
	for (size_t i = 0; is_object && is_plain && i < ARRAY_LEN(members); i++) {
		const struct json *value = json_member(json, str_from(members[i].name));
		AUTO(json) *raw = json_parse(members[i].value, JSON_READ_LAST_DUPLICATE | JSON_READ_ALLOW_NUL, NULL);
		if (members[i].value.n > 0 && (raw == NULL || json_kind(raw) != json_kind(value)))
			BUG("'%s' of '%.*s' is another", members[i].name, STR_FMT(text));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct stage stage = {0};
	const struct mediator_options options = {check, check, &stage, S("1")};
	AUTO(mediator) *mediator = mediator_new(&options, 0);
	struct str text = str_of(data, n);
	for (uint64_t now = 0; text.n > 0; now += 100) {
		struct str line;
		text = str_cut(text, '\n', &line);
		if (line.n == 0)
			continue;
		char what = line.p[0];
		line = str_slice(line, 1, line.n);
		AUTO(json) *json = json_parse(line, JSON_READ_LAST_DUPLICATE | JSON_READ_ALLOW_NUL, NULL);
		stage.is_json = json != NULL;
		if (what == 'c' || what == 'd')
			compare(line, json);
		if (what != 'c' && what != 'd')
			stage.is_json = false; /* lines of before */
		if (what == 'c')
			mediator_from_client(mediator, line, now);
		else if (what == 'd')
			mediator_from_daemon(mediator, line);
		else if (what == '+')
			mediator_connected(mediator);
		else if (what == '-')
			mediator_disconnected(mediator, line, now);
		else
			mediator_tick(mediator, now * 10);
	}
	return 0;
}
