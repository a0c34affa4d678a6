/*
 * Any lines to the door of lines, in both eras: whatever comes, each line that is said is one JSON object (or an array of them),
 * there are no more answers than messages, an answer has the id of a message as it was written, and nothing stays under way.
 */
#include "mcp/message.h"
#include "../unit/mcp_lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* One message of ours; true when it is an answer. */
static bool check_said(struct str text, struct str input)
{
	AUTO(json) *said = json_parse(text, JSON_READ_STRICT, NULL);
	struct str version;
	if (said == NULL || json_kind(said) != JSON_KIND_OBJECT ||
	    !json_get_str(json_member(said, S("jsonrpc")), &version) || !str_eq(version, S("2.0")))
		BUG("what was said is no message");
	bool is_answer = json_member(said, S("result")) != NULL || json_member(said, S("error")) != NULL;
	if (is_answer == (json_member(said, S("method")) != NULL))
		BUG("neither an answer nor anything else");
	struct str id = message_raw_member(text, said, S("id"));
	if (is_answer && id.n > 0 && str_find(input, id) == STR_NPOS)
		BUG("an answer to what was not asked");
	return is_answer;
}

static size_t check_line(struct str line, struct str input)
{
	AUTO(json) *said = json_parse(line, JSON_READ_STRICT, NULL);
	if (json_kind(said) != JSON_KIND_ARRAY)
		return check_said(line, input);
	size_t answers = 0;
	for (size_t i = 0, at = 0; i < json_length(said); i++)
		answers += check_said(message_next_element(line, &at), input);
	return answers;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(mcp_lab) *lab = mcp_lab_new(1);
	lab->is_tame = true;
	lab->jobs_max = LAB_JOBS;
	lab_connect(lab, "a");
	struct str input = str_of(data, n), rest = input, line;
	size_t asked = 0, answered = 0;
	while (rest.n > 0) {
		rest = str_cut(rest, '\n', &line);
		asked += 1 + (str_starts(str_trim(line), S("[")) ? line.n / 2 : 0);
		mcp_peer_feed(lab->peer, line);
		if (lab->n_jobs > LAB_JOBS / 2)
			lab_work(lab);
	}
	lab_work(lab);
	lab->now_ns += TIME_MINUTE;
	mcp_changed(lab->mcp, MCP_TOOLS);
	mcp_tick(lab->mcp);
	if (mcp_peer_open(lab->peer) != 0)
		BUG("a request is still under way");
	for (struct str said = buf_str(&lab->out); said.n > 0;) {
		said = str_cut(said, '\n', &line);
		answered += check_line(line, input);
	}
	if (answered > asked)
		BUG("%zu answers to %zu messages", answered, asked);
	return 0;
}
