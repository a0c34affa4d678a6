/* Tools of revision 2026-07-28 that ask for inputs in one or more rounds. */
#include "fixtures.h"

static void ask_name(struct mcp_answer *answer, const char *key)
{
	mcp_answer_ask(answer, str_from(key), S("elicitation/create"), S(FORM_NAME));
}

static void elicit(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	const struct json *got = mcp_call_input(call, S("user_name"));
	if (got == NULL)
		ask_name(answer, "user_name");
	else
		say(answer, "Hello, %.*s!", STR_FMT(content_of(got, "name")));
}

static void sample(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	const struct json *got = mcp_call_input(call, S("capital_question"));
	struct str text = STR_EMPTY;
	(void)json_get_str(json_member(json_member(got, S("content")), S("text")), &text);
	if (got == NULL)
		mcp_answer_ask(answer, S("capital_question"), S("sampling/createMessage"),
			       S(SAMPLE("What is the capital of France?", "100")));
	else
		say(answer, "%.*s", STR_FMT(text));
}

static void list_roots(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	const struct json *got = mcp_call_input(call, S("client_roots"));
	if (got == NULL) {
		mcp_answer_ask(answer, S("client_roots"), S("roots/list"), S("{}"));
		return;
	}
	const struct json *roots = json_member(got, S("roots"));
	AUTO_BUF text = BUF_INIT(MCP_MESSAGE_MAX);
	for (size_t i = 0; i < json_length(roots); i++) {
		struct str uri = STR_EMPTY;
		(void)json_get_str(json_member(json_at(roots, i), S("uri")), &uri);
		buf_addf(&text, " %.*s", STR_FMT(uri));
	}
	say(answer, "Roots:%s", text.p);
}

static void carry_state(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	if (mcp_call_input(call, S("confirm")) != NULL && str_eq(mcp_call_state(call), S("asked"))) {
		say(answer, "Confirmed: state-ok");
		return;
	}
	mcp_answer_ask(answer, S("confirm"), S("elicitation/create"),
		       S(FORM("Is that right?", "\"ok\":{\"type\":\"boolean\"}", "\"ok\"")));
	buf_add_str(&answer->state, S("asked"));
}

static void ask_three(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	if (mcp_call_input(call, S("user_name")) != NULL && mcp_call_input(call, S("greeting")) != NULL &&
	    mcp_call_input(call, S("client_roots")) != NULL) {
		say(answer, "All three answers are here.");
		return;
	}
	ask_name(answer, "user_name");
	mcp_answer_ask(answer, S("greeting"), S("sampling/createMessage"), S(SAMPLE("Generate a greeting", "50")));
	mcp_answer_ask(answer, S("client_roots"), S("roots/list"), S("{}"));
	buf_add_str(&answer->state, S("three"));
}

static void ask_twice(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	struct str state = mcp_call_state(call);
	if (str_eq(state, S("2")) && mcp_call_input(call, S("step2")) != NULL) {
		say(answer, "Both steps are done.");
	} else if (str_eq(state, S("1")) && mcp_call_input(call, S("step1")) != NULL) {
		mcp_answer_ask(answer, S("step2"), S("elicitation/create"),
			       S(FORM("What is your favorite color?", "\"color\":{\"type\":\"string\"}", "\"color\"")));
		buf_add_str(&answer->state, S("2"));
	} else {
		ask_name(answer, "step1");
		buf_add_str(&answer->state, S("1"));
	}
}

static void ask_what_it_can(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	const struct json *inputs = json_member(mcp_call_params(call), S("inputResponses"));
	if (inputs != NULL) {
		say(answer, "Thank you.");
		return;
	}
	if (mcp_call_can(call, MCP_CAN_ELICITATION))
		ask_name(answer, "user_name");
	if (mcp_call_can(call, MCP_CAN_SAMPLING))
		mcp_answer_ask(answer, S("greeting"), S("sampling/createMessage"),
			       S(SAMPLE("Generate a greeting", "50")));
	if (mcp_call_can(call, MCP_CAN_ROOTS))
		mcp_answer_ask(answer, S("client_roots"), S("roots/list"), S("{}"));
	if (answer->asked == 0)
		say(answer, "The client can be asked nothing.");
}

#define NAMED(end) "test_input_required_result_" end
const struct fixture round_fixtures[] = {
	{NAMED("elicitation"), "Asks for a name", NULL, NULL, elicit},
	{NAMED("sampling"), "Asks the client's model", NULL, NULL, sample},
	{NAMED("list_roots"), "Asks for the client's roots", NULL, NULL, list_roots},
	{NAMED("request_state"), "Asks, and has a state carried back", NULL, NULL, carry_state},
	{NAMED("multiple_inputs"), "Asks for three things at once", NULL, NULL, ask_three},
	{NAMED("multi_round"), "Asks twice", NULL, NULL, ask_twice},
	{NAMED("tampered_state"), "Asks, and has a state carried back that nobody may change", NULL, NULL, carry_state},
	{NAMED("capabilities"), "Asks only what the client can answer", NULL, NULL, ask_what_it_can},
};
const size_t n_round_fixtures = ARRAY_LEN(round_fixtures);
