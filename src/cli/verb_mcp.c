#include "cli/list.h"
#include "cli/registration.h"
#include "cli/verb_functions.h"
#include "text/json_members.h"
#include <stdlib.h>

#define ENTRY_MAX ((size_t)64 << 10)

static const char *get_variable(void *user, const char *name)
{
	(void)user;
	return getenv(name);
}

static const struct program *program_of(struct cli *cli, struct err *err)
{
	const char *name = cli_argument(cli, 0);
	const struct program *program = program_named(str_from(name));
	if (program == NULL)
		fail(err, ERR_USAGE, "'%s' is no agent that is known here: %.*s", name,
		     STR_FMT(program_names(cli->arena, false)));
	return program;
}

/* Of the two names that some programs read, the one that is there. */
static int read_file(struct cli *cli, const struct program *program, struct person_file *ret, struct err *err)
{
	struct program_paths paths;
	if (program_paths(program, cli->arena, get_variable, NULL, &paths, err) < 0)
		return -1;
	bool other = paths.instead.n > 0 && access(paths.instead.p, F_OK) == 0;
	return person_file_read(cli, other ? paths.instead : paths.file, ret, err);
}

struct looked {
	const struct program *program;
	struct person_file file;
	enum program_found found;
	char id[PROGRAM_ID_SIZE]; /* PROGRAM_OURS */
};

static void looked_release(struct looked *looked)
{
	person_file_release(&looked->file);
}
#define AUTO_LOOKED __attribute__((cleanup(looked_release))) struct looked

static int look(struct cli *cli, struct looked *ret, struct err *err)
{
	ret->program = program_of(cli, err);
	if (ret->program == NULL || read_file(cli, ret->program, &ret->file, err) < 0)
		return -1;
	if (program_find(ret->program, buf_str(&ret->file.text), ret->file.path.p, &ret->found, ret->id, err) < 0)
		return -1;
	ret->file.ours = ret->found == PROGRAM_OURS;
	return 0;
}

/* --------------------------------------------------------------------------------------------------------------- install */

static void show_entry(struct cli *cli, const struct looked *looked, struct str entry)
{
	print_text(&cli->out, "  %s, %s:\n", looked->program->key, PROGRAM_SERVER);
	while (entry.n > 0) {
		struct str line;
		entry = str_cut(entry, '\n', &line);
		print_text(&cli->out, "    ");
		print_from(&cli->out, line);
		print_text(&cli->out, "\n");
	}
}

struct deed {
	const char *done, *id; /* id: NULL = none */
	struct str backup;
	const bool *gone; /* of `uninstall`: whether the file goes with its entry */
};

static void put_what_was_done(struct cli *cli, const struct looked *looked, const struct deed *deed)
{
	AUTO_BUF text = BUF_INIT(ENTRY_MAX);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_z(&w, "agent", looked->program->name);
	member_z(&w, "done", deed->done);
	member_str(&w, "file", looked->file.path);
	member_str_given(&w, "id", str_from(deed->id));
	member_str_given(&w, "backup", deed->backup);
	if (deed->gone != NULL)
		member_bool(&w, "gone", *deed->gone);
	jsonw_end_object(&w);
	buf_add_str(&cli->out.out, buf_str(&text));
	print_text(&cli->out, "\n");
}

/* The changed text, from an entry for that id. */
static int edited(struct cli *cli, const struct looked *looked, struct str id, struct buf *entry, struct buf *out,
		  struct err *err)
{
	struct program_guest guest;
	if (registration_guest(cli, id, &guest, err) < 0 || program_put_entry(looked->program, &guest, entry, err) < 0)
		return -1;
	return program_edit(looked->program, buf_str(&looked->file.text), looked->file.path.p, buf_str(entry), out,
			    err);
}

static int show_dry_run(struct cli *cli, const struct looked *looked, struct err *err)
{
	AUTO_BUF entry = BUF_INIT(ENTRY_MAX), text = BUF_INIT(PROGRAM_FILE_MAX + ENTRY_MAX);
	if (edited(cli, looked, S("ID-OF-THE-AGENT"), &entry, &text, err) < 0)
		return -1;
	if (cli->json) {
		put_what_was_done(cli, looked, &(struct deed){.done = "nothing"});
		return CLI_OK;
	}
	print_text(&cli->out, "Nothing was changed. It would be registered with %s in '", looked->program->title);
	print_from(&cli->out, looked->file.path);
	print_text(&cli->out, "':\n");
	show_entry(cli, looked, buf_str(&entry));
	return CLI_OK;
}

/* The same entry for the agent that is registered already, and a token that works: nothing to do. */
static int is_installed(struct cli *cli, const struct looked *looked, bool *ret, struct err *err)
{
	*ret = false;
	if (looked->found != PROGRAM_OURS)
		return 0;
	AUTO_BUF entry = BUF_INIT(ENTRY_MAX), text = BUF_INIT(PROGRAM_FILE_MAX + ENTRY_MAX);
	bool valid = false;
	if (registration_is_valid(cli, looked->id, &valid, err) < 0)
		return -1;
	if (!valid)
		return 0;
	if (edited(cli, looked, str_from(looked->id), &entry, &text, err) < 0)
		return -1;
	*ret = str_eq(buf_str(&text), buf_str(&looked->file.text));
	return 0;
}

static int write_entry(struct cli *cli, const struct looked *looked, const char *id, struct err *err)
{
	AUTO_BUF entry = BUF_INIT(ENTRY_MAX), text = BUF_INIT(PROGRAM_FILE_MAX + ENTRY_MAX);
	struct str backup;
	if (edited(cli, looked, str_from(id), &entry, &text, err) < 0 ||
	    person_file_write(cli, &looked->file, buf_str(&text), &backup, err) < 0)
		return -1;
	if (cli->json) {
		put_what_was_done(cli, looked, &(struct deed){.done = "installed", .id = id, .backup = backup});
		return 0;
	}
	print_text(&cli->out, "Registered with %s, as agent %s, in '", looked->program->title, id);
	print_from(&cli->out, looked->file.path);
	print_text(&cli->out, "':\n");
	show_entry(cli, looked, buf_str(&entry));
	if (backup.n > 0) {
		print_text(&cli->out, "What was there before it was first changed is in '");
		print_from(&cli->out, backup);
		print_text(&cli->out, "'.\n");
	}
	return 0;
}

int verb_mcp_install(struct cli *cli, struct err *err)
{
	AUTO_LOOKED looked = {.file = {.text = BUF_INIT(0)}};
	if (look(cli, &looked, err) < 0)
		return -1;
	if (looked.found == PROGRAM_FOREIGN && !verb_switch(cli->line, "force"))
		return fail(err, ERR_CONFLICT,
			    "'%s' has a server named '" PROGRAM_SERVER "' that is not ours; --force replaces it",
			    looked.file.path.p);
	if (verb_switch(cli->line, "dry-run"))
		return show_dry_run(cli, &looked, err);
	bool installed;
	if (is_installed(cli, &looked, &installed, err) < 0)
		return -1;
	if (installed && cli->json)
		put_what_was_done(cli, &looked, &(struct deed){.done = "nothing", .id = looked.id});
	else if (installed)
		print_text(&cli->out, "%s has it already, as agent %s.\n", looked.program->title, looked.id);
	if (installed)
		return CLI_OK;
	const struct registration_request request = {
		.name = looked.program->name, .kind = "registered", .program = looked.program->name};
	char id[PROGRAM_ID_SIZE];
	if (registration_make(cli, &request, id, err) < 0)
		return -1;
	if (write_entry(cli, &looked, id, err) < 0) {
		registration_undo(cli, id);
		return -1;
	}
	/* The one that the entry stood for until now. */
	if (looked.found == PROGRAM_OURS)
		registration_undo(cli, looked.id);
	return CLI_OK;
}

/* ------------------------------------------------------------------------------------------------------------- uninstall */

/*
 * When all that has come since our first change is the entry, what was there before comes back, byte for byte: the entry
 * itself does not say whether its parent was there, or how its file ended. Where nothing was, the file goes, unless a link
 * leads to it, which is none of our making. Else everything but the entry stays as it is.
 */
static int without_entry(struct cli *cli, const struct looked *looked, struct buf *out, bool *ret_goes, struct err *err)
{
	static struct err unused;
	AUTO_LOOKED before = {.program = looked->program, .file = {.text = BUF_INIT(0)}};
	AUTO_BUF entry = BUF_INIT(ENTRY_MAX), text = BUF_INIT(PROGRAM_FILE_MAX + ENTRY_MAX);
	err_clear(&unused);
	if (person_file_before(cli, &looked->file, &before.file, &unused) == 0 &&
	    (before.file.exists || !looked->file.linked) &&
	    edited(cli, &before, str_from(looked->id), &entry, &text, &unused) == 0 &&
	    str_eq(buf_str(&text), buf_str(&looked->file.text))) {
		buf_add_str(out, buf_str(&before.file.text));
		*ret_goes = !before.file.exists;
		return 0;
	}
	return program_edit(looked->program, buf_str(&looked->file.text), looked->file.path.p, (struct str){0}, out,
			    err);
}

static void tell_dry_removal(struct cli *cli, const struct looked *looked, bool goes)
{
	if (cli->json) {
		put_what_was_done(cli, looked, &(struct deed){.done = "nothing", .id = looked->id, .gone = &goes});
		return;
	}
	print_text(&cli->out, "Nothing was changed. '" PROGRAM_SERVER "' would be removed from '");
	print_from(&cli->out, looked->file.path);
	print_text(&cli->out, "'%s, and the token of agent %s revoked.\n", goes ? ", which would go with it" : "",
		   looked->id);
}

static void tell_removal(struct cli *cli, const struct looked *looked, struct str backup, bool gone)
{
	if (cli->json) {
		put_what_was_done(
			cli, looked,
			&(struct deed){.done = "uninstalled", .id = looked->id, .backup = backup, .gone = &gone});
		return;
	}
	print_text(&cli->out, "Removed from %s: '", looked->program->title);
	print_from(&cli->out, looked->file.path);
	print_text(&cli->out, "'%s. The token of agent %s is revoked.\n",
		   gone ? ", which was made for it alone and is gone" : "", looked->id);
}

static int uninstall(struct cli *cli, const struct looked *looked, struct err *err)
{
	AUTO_BUF text = BUF_INIT(PROGRAM_FILE_MAX);
	struct str backup = STR_EMPTY;
	bool goes = false;
	if (without_entry(cli, looked, &text, &goes, err) < 0)
		return -1;
	if (verb_switch(cli->line, "dry-run")) {
		tell_dry_removal(cli, looked, goes);
		return 0;
	}
	if ((goes ? person_file_remove(&looked->file, err)
		  : person_file_write(cli, &looked->file, buf_str(&text), &backup, err)) < 0)
		return -1;
	registration_undo(cli, looked->id);
	tell_removal(cli, looked, backup, goes);
	return 0;
}

int verb_mcp_uninstall(struct cli *cli, struct err *err)
{
	static const bool stays = false;
	AUTO_LOOKED looked = {.file = {.text = BUF_INIT(0)}};
	if (look(cli, &looked, err) < 0)
		return -1;
	if (looked.found == PROGRAM_FOREIGN)
		return fail(err, ERR_CONFLICT, "the server named '" PROGRAM_SERVER "' in '%s' is not ours: it stays",
			    looked.file.path.p);
	if (looked.found == PROGRAM_OURS)
		return uninstall(cli, &looked, err) < 0 ? -1 : CLI_OK;
	if (cli->json)
		put_what_was_done(cli, &looked, &(struct deed){.done = "nothing", .gone = &stays});
	else
		print_text(&cli->out, "%s does not have it.\n", looked.program->title);
	return CLI_OK;
}

/* ----------------------------------------------------------------------------------------------------------- the tokens */

static void put_agent(struct cli *cli, struct table *table, const struct json *agent)
{
	bool revoked = cli_str(agent, "revoked_at").n > 0;
	table_cell(table, cli_str(agent, "id"));
	table_cell(table, cli_str(agent, "name"));
	table_cell(table, cli_str(agent, "kind"));
	table_cell_styled(table, revoked ? PRINT_FAINT : PRINT_GOOD, revoked ? S("revoked") : S("valid"));
	table_cell(table, cli_time(cli, cli_str(agent, "created_at")));
	table_cell(table, cli_time(cli, cli_str(agent, "last_used_at")));
}

int verb_mcp_list(struct cli *cli, struct err *err)
{
	static const struct table_column columns[] = {
		{"ID", 0}, {"NAME", 8}, {"KIND", 0}, {"TOKEN", 0}, {"REGISTERED", 0}, {"LAST USED", 0},
	};
	const struct cli_list list = {OP_AGENT_LIST, STR_EMPTY, "items", columns, ARRAY_LEN(columns), put_agent};
	return cli_list(cli, &list, err);
}

int verb_mcp_token(struct cli *cli, struct err *err)
{
	AUTO_BUF body = BUF_INIT(ENTRY_MAX);
	struct json_writer w;
	jsonw_init(&w, &body, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_z(&w, "name", cli_argument(cli, 0));
	member_z(&w, "kind", "http");
	jsonw_end_object(&w);
	AUTO(json) *answer = NULL;
	const struct client_request call = {.operation = OP_AGENT_REGISTER, .body = buf_str(&body)};
	if (buf_check(&body, "the request", err) < 0 || cli_call(cli, &call, &answer, err) < 0)
		return -1;
	if (cli->json) {
		print_json(&cli->out, answer);
		return CLI_OK;
	}
	print_from(&cli->out, cli_str(answer, "token"));
	print_text(&cli->out, "\n");
	print_note("it is told this once; a client of %s/mcp sends it as 'Authorization: Bearer …', and `aileron mcp "
		   "revoke %.*s` ends it",
		   client_url(cli->client), STR_FMT(cli_str(answer, "id")));
	return CLI_OK;
}

int verb_mcp_revoke(struct cli *cli, struct err *err)
{
	const char *id = cli_argument(cli, 0);
	const struct client_request call = {.operation = OP_AGENT_REVOKE, .parameters = {str_from(id)}};
	if (cli_call(cli, &call, NULL, err) < 0)
		return -1;
	if (str_from(id).n == PROGRAM_ID_SIZE - 1 && strchr(id, '/') == NULL)
		registration_forget(cli, id);
	return cli_say(cli, NULL, "The token of agent %s is revoked.\n", id);
}
