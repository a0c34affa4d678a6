#include "cli/list.h"
#include "cli/passphrase.h"
#include "cli/prompt.h"
#include "cli/sealing.h"
#include "cli/verb_functions.h"
#include "text/json_members.h"

static void put_member(struct cli *cli, struct table *table, const struct json *member)
{
	bool key_file = str_eq(cli_str(member, "kind"), S("key_file"));
	table_cell(table, cli_str(member, "name"));
	table_cell(table, key_file ? S("key file") : cli_str(member, "kind"));
	table_cell(table, cli_time(cli, cli_str(member, "created_at")));
}

int verb_member_list(struct cli *cli, struct err *err)
{
	static const struct table_column columns[] = {{"NAME", 12}, {"UNLOCKS WITH", 0}, {"SINCE", 0}};
	const struct cli_list list = {OP_MEMBER_LIST, STR_EMPTY, "members", columns, ARRAY_LEN(columns), put_member};
	return cli_list(cli, &list, err);
}

static void add_body(struct json_writer *w, struct str sealed, const void *user)
{
	const struct str *name = user;
	member_str(w, "name", *name);
	sealing_body_alone(w, sealed, NULL);
}

int verb_member_add(struct cli *cli, struct err *err)
{
	struct str name = str_from(cli_argument(cli, 0));
	AUTO_PASSPHRASE proof = {.bytes = NULL};
	AUTO_PASSPHRASE wanted = {.bytes = NULL};
	AUTO(json) *answer = NULL;
	if (passphrase_need(cli, &passphrase_present, &proof, err) < 0 ||
	    passphrase_need(cli, &passphrase_new, &wanted, err) < 0)
		return -1;
	const struct sealed_request request = {
		.request = {.operation = OP_MEMBER_ADD},
		.sealing = {.operation = KEEPER_OP_MEMBER_ADD,
			    .path = name,
			    .fields = {passphrase_field(&proof), passphrase_new_field(&wanted)},
			    .n_fields = 2},
		.body = add_body,
		.user = &name,
	};
	if (sealing_call(cli, &request, &answer, err) < 0) {
		passphrase_unmake(&wanted, err);
		return -1;
	}
	return cli_say(cli, answer, "Added %s\n", cli_argument(cli, 0));
}

/* ------------------------------------------------------------------------------------------------------------- backups */

static int delete_backup(struct cli *cli, struct str name, struct err *err)
{
	const struct client_request request = {.operation = OP_BACKUP_DELETE, .parameters = {name}};
	return cli_call(cli, &request, NULL, err);
}

/* What the old passphrase still opens is named, and goes when the person says so. */
static int offer_to_delete(struct cli *cli, const struct json *answer, struct err *err)
{
	const struct json *backups = json_member(answer, S("backups"));
	if (json_length(backups) == 0)
		return CLI_OK;
	struct str names = cli_joined(cli, backups, ", ");
	print_note("earlier files can still be opened as before: %s", names.p);
	int yes = verb_switch(cli->line, "delete-backups");
	if (yes == 0 && !verb_switch(cli->line, "keep-backups") && prompt_possible())
		yes = prompt_yes("Delete them?", false, err);
	if (yes < 0)
		return -1;
	for (size_t i = 0; yes == 1 && i < json_length(backups); i++) {
		struct str name;
		if (json_get_str(json_at(backups, i), &name) && delete_backup(cli, name, err) < 0)
			return -1;
	}
	if (yes == 0)
		print_note("they stay; 'aileron vault backup delete' deletes them");
	return CLI_OK;
}

int verb_member_remove(struct cli *cli, struct err *err)
{
	struct str name = str_from(cli_argument(cli, 0));
	AUTO_PASSPHRASE proof = {.bytes = NULL};
	AUTO(json) *answer = NULL;
	int yes = cli_confirm(cli, err, "Remove the member %s and encrypt everything anew?", cli_argument(cli, 0));
	if (yes <= 0)
		return yes;
	if (passphrase_need(cli, &passphrase_present, &proof, err) < 0)
		return -1;
	const struct sealed_request request = {
		.request = {.operation = OP_MEMBER_REMOVE, .parameters = {name}},
		.sealing = {.operation = KEEPER_OP_MEMBER_REMOVE,
			    .path = name,
			    .fields = {passphrase_field(&proof)},
			    .n_fields = 1},
		.body = sealing_body_alone,
	};
	if (sealing_call(cli, &request, &answer, err) < 0)
		return -1;
	(void)cli_say(cli, answer, "Removed %s\n", cli_argument(cli, 0));
	return offer_to_delete(cli, answer, err);
}

int verb_vault_passwd(struct cli *cli, struct err *err)
{
	AUTO_PASSPHRASE proof = {.bytes = NULL};
	AUTO_PASSPHRASE wanted = {.bytes = NULL};
	AUTO(json) *answer = NULL;
	if (passphrase_need(cli, &passphrase_present, &proof, err) < 0 ||
	    passphrase_need(cli, &passphrase_new, &wanted, err) < 0)
		return -1;
	const struct sealed_request request = {
		.request = {.operation = OP_VAULT_PASSWD},
		.sealing = {.operation = KEEPER_OP_PASSWD,
			    .fields = {passphrase_field(&proof), passphrase_new_field(&wanted)},
			    .n_fields = 2},
		.body = sealing_body_alone,
	};
	if (sealing_call(cli, &request, &answer, err) < 0) {
		passphrase_unmake(&wanted, err);
		return -1;
	}
	(void)cli_say(cli, answer, "Changed\n");
	return offer_to_delete(cli, answer, err);
}

static void put_backup(struct cli *cli, struct table *table, const struct json *backup)
{
	table_cell(table, cli_str(backup, "name"));
	table_cell(table, arena_printf(cli->arena, "%lld", (long long)cli_int(backup, "bytes")));
	table_cell(table, cli_time(cli, cli_str(backup, "modified_at")));
	table_cell(table, cli_str(backup, "version"));
}

int verb_backup_list(struct cli *cli, struct err *err)
{
	static const struct table_column columns[] = {{"NAME", 20}, {"BYTES", 0}, {"MODIFIED", 0}, {"VERSION", 0}};
	const struct cli_list list = {OP_BACKUP_LIST, STR_EMPTY, "backups", columns, ARRAY_LEN(columns), put_backup};
	return cli_list(cli, &list, err);
}

int verb_backup_delete(struct cli *cli, struct err *err)
{
	int yes = cli_confirm(cli, err, "Delete the backup %s?", cli_argument(cli, 0));
	if (yes <= 0)
		return yes;
	if (delete_backup(cli, str_from(cli_argument(cli, 0)), err) < 0)
		return -1;
	return cli_say(cli, NULL, "Deleted %s\n", cli_argument(cli, 0));
}
