#include "base/limits.h"
#include "base/version.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/verb_functions.h"

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
	if (words.n == 0)
		help_all(&cli->out, verbs);
	else if (verb != NULL)
		help_verb(&cli->out, verb);
	else if (verb_is_group(verbs, buf_str(&words)))
		help_group(&cli->out, verbs, buf_str(&words));
	else
		return verb_refuse(verbs, buf_str(&words), err);
	return CLI_OK;
}

int verb_completion(struct cli *cli, struct err *err)
{
	static const struct {
		const char *shell;
		void (*put)(struct buf *out, const struct verb *table);
	} shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};
	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		if (strcmp(cli_argument(cli, 0), shells[i].shell) == 0) {
			shells[i].put(&cli->out.out, verbs);
			return CLI_OK;
		}
	}
	return fail(err, ERR_USAGE, "'%s' is no shell that is known: bash, zsh or fish", cli_argument(cli, 0));
}

int verb_manual(struct cli *cli, struct err *err)
{
	(void)err;
	manual_page(&cli->out.out, verbs);
	return CLI_OK;
}
