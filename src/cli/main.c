#include "cli/main.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/unlock.h"
#include "daemon/state_dir.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Neither a core dump nor another process of the same user may show what is typed here. */
static int harden(struct err *err)
{
	const struct rlimit none = {0, 0};
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		return fail_errno(err, "cannot keep this process's memory to itself");
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static bool needs_vault(const struct verb *verb)
{
	return verb->n_operations > 0 && (operation_at(verb->operations[0])->flags & API_NEEDS_VAULT) != 0;
}

static int run(struct cli *cli, struct err *err)
{
	const struct verb *verb = cli->line->verb;
	if (cli->line->help) {
		(cli->json ? help_verb_json : help_verb)(&cli->out, verb);
		return print_flush(&cli->out, err);
	}
	if (needs_vault(verb) && unlock_before_verb(cli, err) < 0)
		return -1;
	int status = verb->run(cli, err);
	/* What was said before a failure is said, and the failure stays the first one. */
	if (print_flush(&cli->out, status < 0 ? NULL : err) < 0 && status >= 0)
		return -1;
	return status;
}

static int prepare_and_run(struct cli *cli, struct err *err)
{
	static struct err missing;
	AUTO_FREE char *state_dir = state_dir_path(err);
	err_clear(&missing);
	cli->token = secret_from_env("AILERON_TOKEN", &missing);
	cli->passphrase = secret_from_env("AILERON_VAULT_PASSPHRASE", &missing);
	if (state_dir == NULL || missing.class != ERR_NONE) {
		if (state_dir != NULL && err != NULL)
			*err = missing;
		return -1;
	}
	cli->state_dir = state_dir;
	cli->arena = arena_new();
	cli->json = verb_switch(cli->line, "json");
	printer_init(&cli->out, STDOUT_FILENO);
	int status = run(cli, err);
	printer_release(&cli->out);
	client_free(cli->client);
	secret_free(cli->token);
	secret_free(cli->passphrase);
	secret_free(cli->typed);
	arena_free(cli->arena);
	return status;
}

int cli_main(int argc, char **argv)
{
	static struct err err;
	struct verb_line line;
	struct cli cli = {.line = &line};
	int status = harden(&err);
	if (status == 0)
		status = verb_parse(verbs, argc, argv, &line, &err);
	if (status == 0)
		status = prepare_and_run(&cli, &err);
	if (status >= 0)
		return status;
	print_failure(&err);
	return err_row(err.class)->exit_status;
}
