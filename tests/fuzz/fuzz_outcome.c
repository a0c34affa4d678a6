/* Any standard output, however the call ended: an outcome that holds together, and output that is one JSON object. */
#include "base/limits.h"
#include "base/mem.h"
#include "connector/outcome.h"
#include "text/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The first byte says how it ended, the second what the host saw; the rest is standard output, message and tail. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 2)
		return 0;
	struct str text = str_of(data + 2, n - 2);
	static const char *const limits[] = {"", "", "", "wall_time", "stdout", "memory", "other", ""};
	struct runner_done done = {
		.end = (enum runner_end)(data[0] % RUNNER_END__MAX),
		.exit_code = data[0] >> 7,
		.limit = str_from(limits[data[0] >> 3 & 7]),
		.memory_refused = (data[0] >> 6 & 1) != 0,
		.output = text,
		.message = text,
		.trap = text,
		.stderr_tail = text,
	};
	static struct host_record record;
	record.status = (int32_t)data[1] * 4;
	static struct err err;
	err_clear(&err);
	AUTO_BUF out = BUF_INIT(64 * MIB);
	if (outcome_decide(&done, &record, &out, &err) == 0) {
		AUTO(json) *json = json_parse(buf_str(&out), JSON_READ_STRICT, NULL);
		if (json == NULL || json_kind(json) != JSON_KIND_OBJECT ||
		    str_find_char(buf_str(&out), '\n') != STR_NPOS)
			BUG("the output '%.200s' is not one object", out.p);
	} else if (err.class == ERR_NONE || err.class > ERR_APPROVAL_TIMEOUT) {
		if (err.class != ERR_CANCELLED)
			BUG("an outcome of class %d", (int)err.class);
	} else if (!str_is_utf8(str_from(err.message))) {
		BUG("a message that is not UTF-8");
	}
	return 0;
}
