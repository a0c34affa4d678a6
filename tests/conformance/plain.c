/* Tools that answer at once, tell something meanwhile, or ask the client as revisions with a handshake do. */
#include "fixtures.h"
#include "text/json_writer.h"

#define ASK_MS 20000

static void fail_on_purpose(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	(void)call;
	mcp_answer_tool_error(answer, S("This tool intentionally returns an error for testing"));
}

static void tell_progress(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	for (unsigned done = 0; done <= 100; done += 50) {
		mcp_call_progress(call, done, 100, STR_EMPTY);
		fixture_pause(50);
	}
	say(answer, "Done.");
}

static void tell_logs(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	static const char *const texts[] = {"\"Tool execution started\"", "\"Tool processing data\"",
					    "\"Tool execution completed\""};
	(void)user;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		mcp_call_log(call, MCP_INFO, STR_EMPTY, str_from(texts[i]));
		fixture_pause(50);
	}
	say(answer, "Done.");
}

static void put_string(struct buf *out, struct str text)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_str(&w, text);
}

/* Asks, and says what the client answered; a client that cannot be asked makes it an error of the tool. */
static struct json *ask(struct mcp_call *call, struct mcp_answer *answer, const char *method, struct str params)
{
	struct err err = {0};
	struct json *got = mcp_call_ask(call, str_from(method), params, ASK_MS, &err);
	if (got == NULL)
		mcp_answer_tool_error(answer, str_from(err.message));
	return got;
}

static void sample(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	AUTO_BUF params = BUF_INIT(MCP_MESSAGE_MAX);
	buf_add_str(&params, S("{\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":"));
	put_string(&params, argument_of(call, "prompt"));
	buf_add_str(&params, S("}}],\"maxTokens\":100}"));
	AUTO(json) *got = ask(call, answer, "sampling/createMessage", buf_str(&params));
	if (got == NULL)
		return;
	struct str text = STR_EMPTY;
	(void)json_get_str(json_member(json_member(got, S("content")), S("text")), &text);
	say(answer, "LLM response: %.*s", STR_FMT(text));
}

/* Says the answer to a form as `prefix` and its action and content. */
static void ask_form(struct mcp_call *call, struct mcp_answer *answer, struct str params, const char *prefix)
{
	AUTO(json) *got = ask(call, answer, "elicitation/create", params);
	if (got == NULL)
		return;
	struct str action = STR_EMPTY;
	(void)json_get_str(json_member(got, S("action")), &action);
	AUTO_BUF content = BUF_INIT(MCP_MESSAGE_MAX);
	struct json_writer w;
	jsonw_init(&w, &content, JSON_WRITER_PLAIN);
	jsonw_value(&w, json_member(got, S("content")));
	say(answer, "%s action=%.*s, content=%s", prefix, STR_FMT(action), content.p);
}

static void elicit(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	AUTO_BUF params = BUF_INIT(MCP_MESSAGE_MAX);
	buf_add_str(&params, S("{\"message\":"));
	put_string(&params, argument_of(call, "message"));
	buf_add_str(&params,
		    S(",\"requestedSchema\":{\"type\":\"object\",\"properties\":{\"username\":{\"type\":\"string\"},"
		      "\"email\":{\"type\":\"string\"}},\"required\":[\"username\",\"email\"]}}"));
	ask_form(call, answer, buf_str(&params), "User response:");
}

static void elicit_defaults(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	ask_form(call, answer,
		 S("{\"message\":\"Please look over the "
		   "defaults\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{"
		   "\"name\":{\"type\":\"string\",\"default\":\"John Doe\"},"
		   "\"age\":{\"type\":\"integer\",\"default\":30},"
		   "\"score\":{\"type\":\"number\",\"default\":95.5},"
		   "\"status\":{\"type\":\"string\",\"enum\":[\"active\",\"inactive\",\"pending\"],\"default\":"
		   "\"active\"},"
		   "\"verified\":{\"type\":\"boolean\",\"default\":true}},\"required\":[]}}"),
		 "Elicitation completed:");
}

#define CHOICES "\"option1\",\"option2\",\"option3\""
#define TITLED                                                                                                         \
	"{\"const\":\"value1\",\"title\":\"First Option\"},{\"const\":\"value2\",\"title\":\"Second Option\"},"        \
	"{\"const\":\"value3\",\"title\":\"Third Option\"}"
static void elicit_choices(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	ask_form(call, answer,
		 S("{\"message\":\"Please choose\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{"
		   "\"untitledSingle\":{\"type\":\"string\",\"enum\":[" CHOICES "]},"
		   "\"titledSingle\":{\"type\":\"string\",\"oneOf\":[" TITLED "]},"
		   "\"legacyEnum\":{\"type\":\"string\",\"enum\":[\"opt1\",\"opt2\",\"opt3\"],"
		   "\"enumNames\":[\"Option One\",\"Option Two\",\"Option Three\"]},"
		   "\"untitledMulti\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":[" CHOICES "]}},"
		   "\"titledMulti\":{\"type\":\"array\",\"items\":{\"anyOf\":[" TITLED "]}}},\"required\":[]}}"),
		 "Elicitation completed:");
}

static void need_sampling(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	if (mcp_call_can(call, MCP_CAN_SAMPLING))
		say(answer, "The client can sample.");
	else
		mcp_answer_needs(answer, S("\"sampling\":{}"));
}

static void stream_elicitation(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	if (mcp_call_input(call, S("who")) != NULL)
		say(answer, "Thank you.");
	else
		mcp_answer_ask(answer, S("who"), S("elicitation/create"), S(FORM_NAME));
}

static void log_when_asked(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	mcp_call_log(call, MCP_INFO, S("fixtures"), S("\"a line\""));
	say(answer, "Logged, if that was wanted.");
}

static void change_tools(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)call;
	mcp_changed(((struct fixtures *)user)->mcp, MCP_TOOLS);
	say(answer, "The tools have changed.");
}

static void change_prompts(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)call;
	mcp_changed(((struct fixtures *)user)->mcp, MCP_PROMPTS);
	say(answer, "The prompts have changed.");
}

static void repeat_header(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	say(answer, "Region: %.*s", STR_FMT(argument_of(call, "region")));
}

static void wait_to_be_cancelled(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	for (unsigned i = 0; i < 3000 && !mcp_call_is_cancelled(call); i++)
		fixture_pause(10);
	say(answer, mcp_call_is_cancelled(call) ? "Cancelled." : "Nobody cancelled.");
}

#define TEXT(text) "{\"type\":\"text\",\"text\":\"" text "\"}"
#define IMAGE      "{\"type\":\"image\",\"data\":\"" PNG "\",\"mimeType\":\"image/png\"}"
#define ONE_STRING(name, about)                                                                                        \
	"{\"type\":\"object\",\"properties\":{\"" name "\":{\"type\":\"string\",\"description\":\"" about              \
	"\"}},\"required\":[\"" name "\"]}"
const struct fixture plain_fixtures[] = {
	/* The first of the list is called with {} by a scenario, and answers. */
	{"test_simple_text", "Answers with one text", NULL, TEXT("This is a simple text response for testing."), NULL},
	{"test_image_content", "Answers with an image", NULL, IMAGE, NULL},
	{"test_audio_content", "Answers with a sound", NULL,
	 "{\"type\":\"audio\",\"data\":\"" WAV "\",\"mimeType\":\"audio/wav\"}", NULL},
	{"test_embedded_resource", "Answers with a resource", NULL,
	 "{\"type\":\"resource\",\"resource\":{\"uri\":\"test://embedded-resource\",\"mimeType\":\"text/plain\","
	 "\"text\":\"This is an embedded resource content.\"}}",
	 NULL},
	{"test_multiple_content_types", "Answers with a text, an image and a resource", NULL,
	 TEXT("Multiple content types test:") "," IMAGE ",{\"type\":\"resource\",\"resource\":{\"uri\":\"test://"
					      "mixed-content-resource\","
					      "\"mimeType\":\"application/"
					      "json\",\"text\":\"{\\\"test\\\":\\\"data\\\",\\\"value\\\":123}\"}}",
	 NULL},
	{"test_error_handling", "Fails", NULL, NULL, fail_on_purpose},
	{"test_tool_with_progress", "Tells its progress three times", NULL, NULL, tell_progress},
	{"test_tool_with_logging", "Logs three lines", NULL, NULL, tell_logs},
	{"test_sampling", "Has the client's model answer a prompt", ONE_STRING("prompt", "what the model is asked"),
	 NULL, sample},
	{"test_elicitation", "Has the person fill in a form", ONE_STRING("message", "what the person is shown"), NULL,
	 elicit},
	{"test_elicitation_sep1034_defaults", "Has the person fill in a form with defaults", NULL, NULL,
	 elicit_defaults},
	{"test_elicitation_sep1330_enums", "Has the person choose, in five ways", NULL, NULL, elicit_choices},
	{"test_missing_capability", "Needs a client that samples", NULL, NULL, need_sampling},
	{"test_streaming_elicitation", "Asks for a name", NULL, NULL, stream_elicitation},
	{"test_logging_tool", "Logs a line when that is wanted", NULL, NULL, log_when_asked},
	{"test_trigger_tool_change", "Says that the tools have changed", NULL, NULL, change_tools},
	{"test_trigger_prompt_change", "Says that the prompts have changed", NULL, NULL, change_prompts},
	{"test_custom_header", "Takes an argument that a header repeats",
	 "{\"type\":\"object\",\"properties\":{\"region\":{\"type\":\"string\",\"description\":\"where\",\"x-mcp-"
	 "header\":"
	 "\"Region\"}},\"required\":[]}",
	 NULL, repeat_header},
	{"test_cancellation", "Goes on until it is cancelled", NULL, NULL, wait_to_be_cancelled},
	{"json_schema_2020_12_tool", "Has a schema with much in it",
	 "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"$defs\":{\"address\":{"
	 "\"$anchor\":\"addressDef\",\"type\":\"object\",\"properties\":{\"street\":{\"type\":\"string\"},\"city\":{"
	 "\"type\":"
	 "\"string\"}}}},\"properties\":{\"name\":{\"type\":\"string\"},\"address\":{\"$ref\":\"#/$defs/address\"},"
	 "\"contactMethod\":{\"type\":\"string\",\"enum\":[\"phone\",\"email\"]},\"phone\":{\"type\":\"string\"},"
	 "\"email\":{"
	 "\"type\":\"string\"}},\"allOf\":[{\"anyOf\":[{\"required\":[\"phone\"]},{\"required\":[\"email\"]}]}],\"if\":"
	 "{"
	 "\"properties\":{\"contactMethod\":{\"const\":\"phone\"}},\"required\":[\"contactMethod\"]},\"then\":{"
	 "\"required\":["
	 "\"phone\"]},\"else\":{\"required\":[\"email\"]},\"additionalProperties\":false}",
	 TEXT("The schema is the point."), NULL},
};
const size_t n_plain_fixtures = ARRAY_LEN(plain_fixtures);
