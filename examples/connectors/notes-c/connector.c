/* Notes, in C: the same three ops as ../notes-go against the same service. */
#include "aileron_connector.h"

#ifndef NOTES_URL /* `make run` has a service of its own */
#define NOTES_URL "https://notes.example.com/v1/notes"
#endif

static bool ask(struct al_call *call, struct al_request request, struct al_response *ret)
{
	request.credential = AL_S("api_key");
	request.headers[0] = (struct al_header){AL_S("Accept"), AL_S("application/json")};
	if (request.body.n > 0)
		request.headers[1] = (struct al_header){AL_S("Content-Type"), AL_S("application/json")};
	if (!al_http(&request, ret))
		return false;
	if (ret->status >= 300) {
		al_fail_status(call, "Notes", ret);
		return false;
	}
	return true;
}

/* greet {name} -> {greeting}: no network, for the first try and for measuring. */
static void greet(struct al_call *call)
{
	struct al_str name;
	if (!al_arg_str(call, "name", &name))
		return al_fail(call, "bad_argument", "'name' must be a string");
	struct al_out text = {0};
	al_add(&text, AL_S("hello, "));
	al_add(&text, name);
	al_put_key(al_output(call), "greeting");
	al_put_str(al_output(call), al_text(&text));
}

/* list_notes {} -> {notes: [{id, title}, …], count} */
static void list_notes(struct al_call *call)
{
	struct al_response res;
	if (!ask(call, (struct al_request){.url = AL_S(NOTES_URL)}, &res))
		return;
	struct al_json notes = al_json_get(al_json_of(res.body), "notes");
	int64_t count = 0;
	for (struct al_json at = {0}; al_json_next(notes, &at);)
		count++;
	struct al_out *out = al_output(call);
	al_put_key(out, "count");
	al_put_int(out, count);
	al_put_key(out, "notes");
	al_put_json(out, notes.p != NULL ? al_json_text(notes) : AL_S("[]"));
}

/* add_note {title} -> {id} */
static void add_note(struct al_call *call)
{
	struct al_str title;
	if (!al_arg_str(call, "title", &title) || title.n == 0)
		return al_fail(call, "bad_argument", "'title' must be a string that is not empty");
	struct al_out body = {0};
	al_put_begin(&body, "{");
	al_put_key(&body, "title");
	al_put_str(&body, title);
	al_put_end(&body, "}");
	struct al_response res;
	if (!ask(call, (struct al_request){.method = AL_S("POST"), .url = AL_S(NOTES_URL), .body = al_text(&body)},
		 &res))
		return;
	al_log("info", AL_S("a note was added"));
	al_put_key(al_output(call), "id");
	al_put_json(al_output(call), al_json_text(al_json_get(al_json_of(res.body), "id")));
}

AL_CONNECTOR({"greet", greet}, {"list_notes", list_notes}, {"add_note", add_note})
