/* Prompts and resources. */
#include "fixtures.h"
#include "text/json_writer.h"

#define ITEM(n, rest)                                                                                                  \
	{                                                                                                              \
		{n, sizeof(n) - 1},                                                                                    \
		{                                                                                                      \
			"{\"name\":\"" n "\"," rest "}", sizeof("{\"name\":\"" n "\"," rest "}") - 1                   \
		}                                                                                                      \
	}
#define ABOUT(text) "\"description\":\"" text "\""
#define ARGUMENT(n) "{\"name\":\"" n "\",\"description\":\"one text\",\"required\":true}"
static const struct mcp_item prompts[] = {
	ITEM("test_simple_prompt", ABOUT("One message")),
	ITEM("test_prompt_with_arguments",
	     ABOUT("Repeats its arguments") ",\"arguments\":[" ARGUMENT("arg1") "," ARGUMENT("arg2") "]"),
	ITEM("test_prompt_with_embedded_resource",
	     ABOUT("Holds a resource") ",\"arguments\":[" ARGUMENT("resourceUri") "]"),
	ITEM("test_prompt_with_image", ABOUT("Holds an image")),
	ITEM("test_input_required_result_prompt", ABOUT("Asks first")),
};
const struct mcp_items fixture_prompts = {prompts, ARRAY_LEN(prompts)};

#define AT(uri, type) "\"uri\":\"" uri "\",\"mimeType\":\"" type "\""
static const struct mcp_item resources[] = {
	ITEM("static-text", AT("test://static-text", "text/plain")),
	ITEM("static-binary", AT("test://static-binary", "image/png")),
	ITEM("watched-resource", AT("test://watched-resource", "text/plain")),
};
const struct mcp_items fixture_resources = {resources, ARRAY_LEN(resources)};

static const struct mcp_item templates[] = {
	ITEM("template-data", "\"uriTemplate\":\"test://template/{id}/data\",\"mimeType\":\"application/json\""),
};
const struct mcp_items fixture_templates = {templates, ARRAY_LEN(templates)};

static void put_string(struct buf *out, struct str text)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_str(&w, text);
}

/* ---- Prompts ---- */

#define MESSAGE(content) "{\"role\":\"user\",\"content\":" content "}"
#define TEXT(text)       "{\"type\":\"text\",\"text\":\"" text "\"}"

static void with_arguments(struct mcp_call *call, struct buf *out)
{
	AUTO_BUF text = BUF_INIT(MCP_MESSAGE_MAX);
	buf_addf(&text, "Prompt with arguments: arg1='%.*s', arg2='%.*s'", STR_FMT(argument_of(call, "arg1")),
		 STR_FMT(argument_of(call, "arg2")));
	buf_add_str(out, S("{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":"));
	put_string(out, buf_str(&text));
	buf_add_str(out, S("}}"));
}

static void with_resource(struct mcp_call *call, struct buf *out)
{
	buf_add_str(out, S("{\"role\":\"user\",\"content\":{\"type\":\"resource\",\"resource\":{\"uri\":"));
	put_string(out, argument_of(call, "resourceUri"));
	buf_add_str(out, S(",\"mimeType\":\"text/plain\",\"text\":\"Embedded resource content for testing.\"}}},"));
	buf_add_str(out, S(MESSAGE(TEXT("Please process the embedded resource above."))));
}

static void put_messages(struct mcp_call *call, struct str name, struct buf *out)
{
	if (str_eq(name, S("test_simple_prompt")))
		buf_add_str(out, S(MESSAGE(TEXT("This is a simple prompt for testing."))));
	else if (str_eq(name, S("test_prompt_with_arguments")))
		with_arguments(call, out);
	else if (str_eq(name, S("test_prompt_with_embedded_resource")))
		with_resource(call, out);
	else if (str_eq(name, S("test_prompt_with_image")))
		buf_add_str(
			out,
			S(MESSAGE("{\"type\":\"image\",\"data\":\"" PNG "\",\"mimeType\":\"image/png\"}") "," MESSAGE(
				TEXT("Please analyze the image above."))));
	else
		buf_add_str(out, S(MESSAGE(TEXT("The context is here."))));
}

void fixture_get_prompt(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	struct str name = mcp_call_name(call);
	bool is_known = false;
	for (size_t i = 0; i < ARRAY_LEN(prompts); i++)
		is_known = is_known || str_eq(prompts[i].name, name);
	if (!is_known) {
		mcp_answer_error(answer, MCP_INVALID_PARAMS, S("there is no such prompt"), STR_EMPTY);
		return;
	}
	if (str_eq(name, S("test_input_required_result_prompt")) && mcp_call_input(call, S("user_context")) == NULL) {
		mcp_answer_ask(answer, S("user_context"), S("elicitation/create"),
			       S(FORM("What is the context?", "\"context\":{\"type\":\"string\"}", "\"context\"")));
		return;
	}
	buf_add_str(&answer->content, S("\"messages\":["));
	put_messages(call, name, &answer->content);
	buf_add_char(&answer->content, ']');
}

void fixture_complete(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	struct str name;
	const struct json *ref = json_member(mcp_call_params(call), S("ref"));
	bool is_known = json_get_str(json_member(ref, S("uri")), &name);
	if (json_get_str(json_member(ref, S("name")), &name)) {
		for (size_t i = 0; i < ARRAY_LEN(prompts); i++)
			is_known = is_known || str_eq(prompts[i].name, name);
	}
	if (is_known)
		buf_add_str(&answer->content,
			    S("\"completion\":{\"values\":[\"testValue\"],\"total\":1,\"hasMore\":false}"));
	else
		mcp_answer_error(answer, MCP_INVALID_PARAMS, S("there is nothing of that name to complete"), STR_EMPTY);
}

/* ---- Resources ---- */

static void not_found(struct str uri, struct mcp_answer *answer)
{
	AUTO_BUF data = BUF_INIT(MCP_MESSAGE_MAX);
	buf_add_str(&data, S("{\"uri\":"));
	put_string(&data, uri);
	buf_add_char(&data, '}');
	mcp_answer_error(answer, MCP_RESOURCE_NOT_FOUND, S("there is no such resource"), buf_str(&data));
}

static void put_contents(struct str uri, const char *rest, struct mcp_answer *answer)
{
	buf_add_str(&answer->content, S("\"contents\":[{\"uri\":"));
	put_string(&answer->content, uri);
	buf_add_z(&answer->content, rest);
	buf_add_str(&answer->content, S("}]"));
}

void fixture_read(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	struct str uri = mcp_call_name(call), begin = S("test://template/"), end = S("/data");
	if (str_eq(uri, S("test://static-text"))) {
		put_contents(
			uri,
			",\"mimeType\":\"text/plain\",\"text\":\"This is the content of the static text resource.\"",
			answer);
	} else if (str_eq(uri, S("test://static-binary"))) {
		put_contents(uri, ",\"mimeType\":\"image/png\",\"blob\":\"" PNG "\"", answer);
	} else if (str_eq(uri, S("test://watched-resource"))) {
		put_contents(uri, ",\"mimeType\":\"text/plain\",\"text\":\"Watched.\"", answer);
	} else if (str_starts(uri, begin) && str_ends(uri, end) && uri.n > begin.n + end.n) {
		struct str id = str_slice(uri, begin.n, uri.n - end.n);
		AUTO_BUF text = BUF_INIT(MCP_MESSAGE_MAX), rest = BUF_INIT(MCP_MESSAGE_MAX);
		buf_addf(&text, "{\"id\":\"%.*s\",\"templateTest\":true,\"data\":\"Data for ID: %.*s\"}", STR_FMT(id),
			 STR_FMT(id));
		buf_add_str(&rest, S(",\"mimeType\":\"application/json\",\"text\":"));
		put_string(&rest, buf_str(&text));
		put_contents(uri, rest.p, answer);
	} else {
		not_found(uri, answer);
	}
}
