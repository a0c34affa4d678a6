/* approval watch: what waits for a person, as it comes; at a terminal each is decided there. It outlives the daemon. */
#include "base/time.h"
#include "cli/approving.h"
#include "cli/event_stream.h"
#include "cli/prompt.h"
#include "cli/verb_functions.h"
#include "text/json_members.h"
#include <time.h>

#define RETRY_NS (500 * TIME_MILLISECOND)

struct seen {
	struct str id;
	const struct seen *next;
};
struct watching {
	struct cli *cli;
	struct event_stream events;
	const struct seen *asked; /* what the person saw and answered */
	bool interactive;
	bool open; /* the daemon has said something since it was reached */
	bool over; /* the person has gone, or something failed: then `err` says what */
	struct err *err;
};

/* --------------------------------------------------------------------------------------------------------- at a terminal */

/* What a decision failed with is told, and the next one is asked about; one that reached nobody is asked about anew. */
static int decide(struct watching *watching, const struct json *pending, const struct approving *approving,
		  struct err *err)
{
	static struct err failure;
	struct cli *cli = watching->cli;
	err_clear(&failure);
	if (approving_decide(cli, pending, approving, &failure) < 0) {
		if (failure.class == ERR_UNREACHABLE && err != NULL)
			*err = failure;
		else
			print_failure(&failure);
		return failure.class == ERR_UNREACHABLE ? -1 : 0;
	}
	print_text(&cli->out, approving->approved ? "Approved " : "Denied ");
	print_from(&cli->out, cli_str(pending, "id"));
	print_text(&cli->out, "\n\n");
	return 0;
}

static int deny(struct watching *watching, const struct json *pending, struct err *err)
{
	AUTO_BUF reason = BUF_INIT(PROMPT_MAX);
	if (prompt_line("Why, if you want to say (it is told to who asked): ", &reason, err) < 0)
		return -1;
	const struct approving approving = {.reason = buf_str(&reason)};
	return decide(watching, pending, &approving, err);
}

static int ask(struct watching *watching, const struct json *pending, struct err *err)
{
	for (;;) {
		AUTO_BUF answer = BUF_INIT(PROMPT_MAX);
		if (prompt_line("a(pprove), d(eny) or s(kip)? ", &answer, err) < 0)
			return -1;
		struct str word = buf_str(&answer);
		if (str_eq_fold(word, S("a")) || str_eq_fold(word, S("approve"))) {
			const struct approving approving = {.approved = true};
			return decide(watching, pending, &approving, err);
		}
		if (str_eq_fold(word, S("d")) || str_eq_fold(word, S("deny")))
			return deny(watching, pending, err);
		if (str_eq_fold(word, S("s")) || str_eq_fold(word, S("skip")))
			return 0;
	}
}

static bool was_asked(const struct watching *watching, struct str id)
{
	for (const struct seen *seen = watching->asked; seen != NULL; seen = seen->next) {
		if (str_eq(seen->id, id))
			return true;
	}
	return false;
}

static void remember(struct watching *watching, struct str id)
{
	struct seen *seen = ARENA_NEW(watching->cli->arena, struct seen);
	*seen = (struct seen){.id = arena_str(watching->cli->arena, id), .next = watching->asked};
	watching->asked = seen;
}

/* As it is now, which is not what the stream said while another one was asked about. */
static int offer(struct watching *watching, struct str id, struct err *err)
{
	AUTO(json) *pending = NULL;
	struct cli *cli = watching->cli;
	if (was_asked(watching, id))
		return 0;
	if (approving_get(cli, id, &pending, err) < 0)
		return -1;
	if (!str_eq(cli_str(pending, "state"), S("pending_approval")))
		return 0;
	approving_show(cli, &cli->out, pending, false);
	print_text(&cli->out, "\n");
	if (print_flush(&cli->out, err) < 0 || ask(watching, pending, err) < 0)
		return -1;
	remember(watching, id);
	return print_flush(&cli->out, err);
}

/* ------------------------------------------------------------------------------------------------------------- a line */

static void tell_json(struct cli *cli, const char *event, const struct json *item)
{
	AUTO_BUF text = BUF_INIT(PRINT_MAX);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_z(&w, "event", event);
	jsonw_key(&w, S("approval"));
	jsonw_value(&w, item);
	jsonw_end_object(&w);
	AUTO(json) *line = json_parse(buf_str(&text), JSON_READ_STRICT, NULL);
	if (line != NULL)
		print_json(&cli->out, line);
}

static void tell(struct cli *cli, const char *event, const struct json *item)
{
	static const char *const members[] = {"id", "state", "action_name", "title", "reason"};
	print_text(&cli->out, "%s", event);
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		if (cli_str(item, members[i]).n == 0)
			continue;
		print_text(&cli->out, "  ");
		print_from(&cli->out, cli_str(item, members[i]));
	}
	print_text(&cli->out, "\n");
}

static int take_item(struct watching *watching, const char *event, const struct json *item, struct err *err)
{
	struct cli *cli = watching->cli;
	bool pending = strcmp(event, "pending") == 0;
	if (watching->interactive && pending)
		return offer(watching, cli_str(item, "id"), err);
	/* What the person has decided here needs no second word. */
	if (watching->interactive && was_asked(watching, cli_str(item, "id")))
		return 0;
	if (cli->json)
		tell_json(cli, event, item);
	else
		tell(cli, event, item);
	return print_flush(&cli->out, err);
}

/* ---------------------------------------------------------------------------------------------------------- the stream */

static int take_event(void *user, struct str name, struct str data, struct err *err)
{
	struct watching *watching = user;
	AUTO(json) *json = json_parse(data, JSON_READ_STRICT, err);
	if (json == NULL)
		return wrap(err, "reading the daemon's stream");
	if (str_eq(name, S("pending")))
		return take_item(watching, "pending", json, err);
	if (str_eq(name, S("resolved")))
		return take_item(watching, "resolved", json, err);
	/* A snapshot has the newest first; who waits longest comes first here. */
	const struct json *items = json_member(json, S("items"));
	for (size_t i = json_length(items); i-- > 0;) {
		if (take_item(watching, "pending", json_at(items, i), err) < 0)
			return -1;
	}
	return 0;
}

static int take_piece(void *user, struct str bytes)
{
	struct watching *watching = user;
	watching->open = true;
	watching->over = event_stream_take(&watching->events, bytes, watching->err) < 0;
	return watching->over ? -1 : 0;
}

/* The stream has a connection of its own: decisions go over another. */
static int follow(struct watching *watching, struct err *err)
{
	AUTO(client) *streaming = TAKE(watching->cli->client);
	const struct client_request request = {.operation = OP_APPROVAL_WATCH};
	event_stream_init(&watching->events, take_event, watching);
	watching->over = false;
	int rc = client_stream(streaming, &request, take_piece, watching, err);
	event_stream_release(&watching->events);
	return rc < 0 || watching->over ? -1 : 0;
}

static bool is_away(const struct err *err)
{
	return err->class == ERR_UNREACHABLE || err->class == ERR_UNAVAILABLE;
}

/* Somebody else starts it; this does not. */
static int await_daemon(struct cli *cli, struct err *err)
{
	const struct timespec pause = {.tv_nsec = RETRY_NS};
	for (;;) {
		nanosleep(&pause, NULL);
		client_free(TAKE(cli->client));
		err_clear(err);
		int found = cli_client_if_alive(cli, err);
		if (found != 0 && (found > 0 || !is_away(err)))
			return found > 0 ? 0 : -1;
	}
}

int verb_approval_watch(struct cli *cli, struct err *err)
{
	bool told = false;
	struct watching watching = {
		.cli = cli,
		.interactive = !cli->json && cli->out.terminal && prompt_possible(),
		.err = err,
	};
	if (cli_client(cli, err) == NULL)
		return -1;
	if (watching.interactive)
		print_note("what waits for you is shown here as it comes; Ctrl-C ends this");
	for (;;) {
		int rc = follow(&watching, err);
		told = told && !watching.open;
		if (rc < 0 && (!is_away(err) || !(watching.open || told)))
			return -1;
		watching.open = false;
		if (!told)
			print_note("the daemon has ended; this goes on when it runs again, and Ctrl-C ends this");
		told = true;
		if (await_daemon(cli, err) < 0)
			return -1;
	}
}
