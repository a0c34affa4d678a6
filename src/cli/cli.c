#include "cli/cli.h"
#include "api/timestamp.h"
#include "base/escape.h"
#include "base/time.h"
#include "base/version.h"
#include "cli/prompt.h"
#include <stdlib.h>

/* ----------------------------------------------------------------------------------------------------------- the daemon */

/* A daemon of another version speaks the same revision of the API, and may lack what this program's manual says. */
static void tell_skew(const struct cli *cli)
{
	struct str version = cli_str(client_health(cli->client), "version");
	if (!str_eq(version, S(AILERON_VERSION)))
		print_note("the running daemon is version %.*s, this program " AILERON_VERSION
			   "; 'aileron daemon restart' starts this one's",
			   STR_FMT(version));
}

static int find_client(struct cli *cli, bool spawn, struct err *err)
{
	const char *api_url = getenv("AILERON_API_URL");
	if (cli->client != NULL)
		return 1;
	const struct client_options options = {
		.state_dir = cli->state_dir,
		.api_url = api_url != NULL && api_url[0] != '\0' ? api_url : NULL,
		.token = cli->token,
		.spawn = spawn,
	};
	int found = client_open(&options, &cli->client, err);
	if (found == 1)
		tell_skew(cli);
	return found;
}

int cli_absolute(struct cli *cli, const char *path, struct str *ret, struct err *err)
{
	if (path[0] == '/') {
		*ret = str_from(path);
		return 0;
	}
	AUTO_FREE char *here = getcwd(NULL, 0);
	if (here == NULL)
		return fail_errno(err, "cannot tell the working directory");
	*ret = arena_printf(cli->arena, "%s/%s", here, path);
	return 0;
}

int cli_client_if_alive(struct cli *cli, struct err *err)
{
	return find_client(cli, false, err);
}

struct client *cli_client(struct cli *cli, struct err *err)
{
	int found = find_client(cli, (cli->line->verb->marks & VERB_NEVER_SPAWNS) == 0, err);
	if (found == 0)
		fail(err, ERR_UNREACHABLE, "the daemon is not running; 'aileron daemon start' starts it");
	return found == 1 ? cli->client : NULL;
}

/* A daemon that was just dying when it was found is looked for once more, where asking twice is asking once. */
int cli_call(struct cli *cli, const struct client_request *request, struct json **ret, struct err *err)
{
	static struct err first;
	struct client *client = cli_client(cli, err);
	if (client == NULL)
		return -1;
	err_clear(&first);
	if (client_call(client, request, ret, &first) == 0)
		return 0;
	if (first.class == ERR_UNREACHABLE && strcmp(operation_at(request->operation)->method, "GET") == 0) {
		client_free(TAKE(cli->client));
		client = cli_client(cli, err);
		return client != NULL ? client_call(client, request, ret, err) : -1;
	}
	if (err != NULL)
		*err = first;
	return -1;
}

/* -------------------------------------------------------------------------------------------------- reading the answer */

const char *cli_argument(const struct cli *cli, size_t n)
{
	return n < cli->line->n_arguments ? cli->line->arguments[n] : NULL;
}

struct str cli_str(const struct json *object, const char *name)
{
	struct str text = STR_EMPTY;
	(void)json_get_str(json_member(object, str_from(name)), &text);
	return text;
}

int64_t cli_int(const struct json *object, const char *name)
{
	int64_t number = 0;
	(void)json_get_int(json_member(object, str_from(name)), &number);
	return number;
}

bool cli_bool(const struct json *object, const char *name)
{
	bool value = false;
	(void)json_get_bool(json_member(object, str_from(name)), &value);
	return value;
}

struct str cli_visible(struct cli *cli, struct str text)
{
	AUTO_BUF visible = BUF_INIT(4 * text.n + ESCAPE_CHAR_MAX);
	escape_visible(&visible, text);
	return arena_str(cli->arena, buf_str(&visible));
}

struct str cli_joined(struct cli *cli, const struct json *array, const char *between)
{
	AUTO_BUF all = BUF_INIT(PRINT_MAX);
	for (size_t i = 0; i < json_length(array); i++) {
		struct str text;
		if (!json_get_str(json_at(array, i), &text))
			continue;
		buf_addf(&all, "%s%.*s", all.n > 0 ? between : "", STR_FMT(text));
	}
	return arena_str(cli->arena, buf_str(&all));
}

struct str cli_time(struct cli *cli, struct str rfc3339)
{
	uint64_t ns;
	char text[TIME_RFC3339_SIZE];
	if (timestamp_parse(rfc3339, &ns, NULL) < 0)
		return rfc3339;
	time_format_rfc3339(ns, 0, text);
	struct str s = str_from(text);
	return arena_printf(cli->arena, "%.*s %.*s", STR_FMT(str_slice(s, 0, 10)), STR_FMT(str_slice(s, 11, 19)));
}

int cli_refuse(const char *flag, struct err *err)
{
	if (err != NULL)
		err->class = ERR_USAGE;
	return wrap(err, "reading --%s", flag);
}

int cli_since(struct cli *cli, const char *flag, struct str *ret, struct err *err)
{
	const char *text = verb_text(cli->line, flag);
	uint64_t ns;
	char formatted[TIME_RFC3339_SIZE];
	if (text == NULL) {
		*ret = STR_EMPTY;
		return 0;
	}
	if (timestamp_parse(str_from(text), &ns, NULL) == 0) {
		*ret = str_from(text);
		return 0;
	}
	uint64_t now = clock_wall_ns(NULL);
	if (duration_parse(str_from(text), now, &ns, NULL) < 0)
		return fail(err, ERR_USAGE,
			    "--%s takes a time (2026-01-02T03:04:05Z) or how long ago (90m, 2h), not '%s'", flag, text);
	*ret = arena_str(cli->arena, str_from(time_format_rfc3339(now - ns, 0, formatted)));
	return 0;
}

int cli_confirm(struct cli *cli, struct err *err, const char *fmt, ...)
{
	AUTO_BUF question = BUF_INIT(PROMPT_MAX);
	va_list ap;
	if (verb_switch(cli->line, "yes"))
		return 1;
	va_start(ap, fmt);
	buf_addv(&question, fmt, ap);
	va_end(ap);
	if (!prompt_possible())
		return fail(err, ERR_USAGE, "there is no terminal to ask at: '%s'; --yes answers it", question.p);
	int yes = prompt_yes(question.p, false, err);
	if (yes == 0)
		print_note("cancelled");
	return yes;
}

int cli_say(struct cli *cli, const struct json *answer, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!cli->json)
		buf_addv(&cli->out.out, fmt, ap);
	else if (answer != NULL)
		print_json(&cli->out, answer);
	else
		print_text(&cli->out, "{\"deleted\":true}\n");
	va_end(ap);
	return CLI_OK;
}
