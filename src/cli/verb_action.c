#include "action/action.h"
#include "cli/cli.h"
#include "cli/verb_runs.h"
#include "os/file.h"
#include "text/json_members.h"

/* ------------------------------------------------------------------------------------------------------------ validate */

/* One problem: "file:line: message", or an object a line. */
static void tell_problem(struct cli *cli, const char *file, const struct err *problem)
{
	struct json_writer w;
	if (cli->json) {
		jsonw_init(&w, &cli->out.out, JSON_WRITER_PLAIN);
		jsonw_begin_object(&w);
		member_z(&w, "file", file);
		if (problem->class != ERR_NONE) {
			member_z(&w, "class", err_row(problem->class)->name);
			member_z(&w, "message", problem->message);
			member_u64_given(&w, "line", problem->line);
		}
		member_bool(&w, "valid", problem->class == ERR_NONE);
		jsonw_end_object(&w);
		buf_add_char(&cli->out.out, '\n');
		return;
	}
	if (problem->class == ERR_NONE)
		return;
	print_from(&cli->out, str_from(file));
	if (problem->line > 0)
		print_text(&cli->out, ":%u", problem->line);
	print_text(&cli->out, ": ");
	print_from(&cli->out, str_from(problem->message));
	print_text(&cli->out, "\n");
}

static int check_alone(const struct action *action, struct err *problem)
{
	for (size_t i = 0; i < action->n_steps; i++) {
		if (action_check_step(action, i, problem) < 0)
			return -1;
	}
	return 0;
}

static struct action *read_action(const char *path, struct err *problem)
{
	AUTO_BUF text = BUF_INIT(ACTION_MAX);
	if (file_read(path, &text, problem) < 0)
		return NULL;
	AUTO(action) *action = action_parse(buf_str(&text), path, problem);
	if (action == NULL || check_alone(action, problem) < 0)
		return NULL;
	return TAKE(action);
}

/* The files that are good alone are a set, of which a preview's operation must be. */
static bool check_set(struct cli *cli, struct action **actions, size_t n)
{
	static struct err problem;
	const struct action **good = arena_array(cli->arena, n, sizeof(struct action *));
	size_t n_good = 0;
	bool all = true;
	for (size_t i = 0; i < n; i++) {
		if (actions[i] != NULL)
			good[n_good++] = actions[i];
	}
	for (size_t i = 0; i < n_good; i++) {
		err_clear(&problem);
		all &= action_check_in_set(good[i], good, n_good, &problem) == 0;
		tell_problem(cli, good[i]->file.p, &problem);
	}
	return all;
}

int verb_action_validate(struct cli *cli, struct err *err)
{
	(void)err;
	static struct err problem;
	size_t n = cli->line->n_arguments;
	struct action **actions = arena_array(cli->arena, n, sizeof(struct action *));
	bool all = true;
	for (size_t i = 0; i < n; i++) {
		err_clear(&problem);
		actions[i] = read_action(cli_argument(cli, i), &problem);
		if (actions[i] != NULL)
			continue;
		all = false;
		tell_problem(cli, cli_argument(cli, i), &problem);
	}
	all &= check_set(cli, actions, n);
	for (size_t i = 0; i < n; i++)
		action_free(actions[i]);
	if (all && !cli->json)
		print_text(&cli->out, "%zu %s: no problem\n", n, n == 1 ? "file" : "files");
	return all ? CLI_OK : CLI_FAILED;
}
