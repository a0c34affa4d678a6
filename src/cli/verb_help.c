#include "base/limits.h"
#include "base/version.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/verb_functions.h"
#include "text/json_members.h"

#define PAGE_MAX ((size_t)1 << 20)

int verb_version(struct cli *cli, struct err *err)
{
	(void)err;
	if (cli->json)
		print_text(&cli->out, "{\"version\":\"%s\",\"api_revision\":%d}\n", AILERON_VERSION, API_REVISION);
	else
		print_text(&cli->out, "aileron %s\n", AILERON_VERSION);
	return CLI_OK;
}

int verb_help(struct cli *cli, struct err *err)
{
	AUTO_BUF words = BUF_INIT(KIB);
	for (size_t i = 0; i < cli->line->n_arguments; i++)
		buf_addf(&words, "%s%s", i > 0 ? " " : "", cli->line->arguments[i]);
	const struct verb *verb = verb_named(verbs, buf_str(&words));
	bool group = words.n == 0 || verb_is_group(verbs, buf_str(&words));
	if (verb == NULL && !group)
		return verb_refuse(verbs, buf_str(&words), err);
	if (verb != NULL)
		(cli->json ? help_verb_json : help_verb)(&cli->out, verb);
	else if (cli->json)
		help_group_json(&cli->out, verbs, buf_str(&words));
	else if (words.n == 0)
		help_all(&cli->out, verbs);
	else
		help_group(&cli->out, verbs, buf_str(&words));
	return CLI_OK;
}

/* A text that another program reads: itself, or with --json as the only member. */
static void put_made(struct cli *cli, const char *member, void (*make)(struct buf *out, const struct verb *table))
{
	if (!cli->json)
		return make(&cli->out.out, verbs);
	AUTO_BUF text = BUF_INIT(PAGE_MAX);
	struct json_writer w;
	make(&text, verbs);
	jsonw_init(&w, &cli->out.out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str(&w, member, buf_str(&text));
	jsonw_end_object(&w);
	print_text(&cli->out, "\n");
}

int verb_completion(struct cli *cli, struct err *err)
{
	static const struct {
		const char *shell;
		void (*put)(struct buf *out, const struct verb *table);
	} shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};
	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		if (strcmp(cli_argument(cli, 0), shells[i].shell) == 0) {
			put_made(cli, "script", shells[i].put);
			return CLI_OK;
		}
	}
	return fail(err, ERR_USAGE, "'%s' is no shell that is known: bash, zsh or fish", cli_argument(cli, 0));
}

int verb_manual(struct cli *cli, struct err *err)
{
	(void)err;
	put_made(cli, "page", manual_page);
	return CLI_OK;
}
