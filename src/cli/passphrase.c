#include "cli/passphrase.h"
#include "cli/prompt.h"
#include "cli/secret_input.h"
#include <sys/stat.h>

const struct passphrase_wish passphrase_present = {
	.file_flag = "passphrase-file",
	.key_flag = "key-file",
	.variable = true,
	.question = "Vault passphrase: ",
};
const struct passphrase_wish passphrase_first = {
	.file_flag = "passphrase-file",
	.key_flag = "key-file",
	.variable = true,
	.made = true,
	.question = "New vault passphrase: ",
};
const struct passphrase_wish passphrase_new = {
	.file_flag = "new-passphrase-file",
	.key_flag = "new-key-file",
	.made = true,
	.question = "New passphrase: ",
};
const struct passphrase_wish passphrase_export = {
	.file_flag = "new-passphrase-file",
	.made = true,
	.question = "Passphrase for the export: ",
};
const struct passphrase_wish passphrase_import = {
	.file_flag = "import-passphrase-file",
	.question = "Passphrase of the export: ",
};

void passphrase_release(struct passphrase *passphrase)
{
	secret_free(TAKE(passphrase->bytes));
}

static const char *flag_value(const struct cli *cli, const char *flag)
{
	if (flag == NULL || verb_flag_named(cli->line->verb, str_from(flag)) == NULL)
		return NULL;
	return verb_text(cli->line, flag);
}

static int take_key_file(const char *path, bool make, struct passphrase *ret, struct err *err)
{
	bool made = false;
	ret->key_file = true;
	ret->bytes = make ? key_file_read_or_make(path, &made, err) : key_file_read(path, err);
	if (made) {
		ret->made = path;
		print_note("made the key file '%s': whoever has it can unlock the vault", path);
	}
	return ret->bytes != NULL ? 1 : -1;
}

/* A key file that others may read is refused, as it is made by us; a passphrase's file is the person's own affair. */
static int take_file(const char *path, struct passphrase *ret, struct err *err)
{
	struct stat st;
	ret->bytes = secret_input_line_file(path, err);
	if (ret->bytes == NULL)
		return -1;
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		print_note("others may read the passphrase in '%s': chmod 600 it", path);
	return 1;
}

static int take_typed(const struct passphrase_wish *wish, struct passphrase *ret, struct err *err)
{
	AUTO(secret) *first = prompt_hidden(wish->question, err);
	if (first == NULL)
		return -1;
	if (wish->made && secret_size(first) > 0) {
		AUTO(secret) *again = prompt_hidden("Confirm passphrase: ", err);
		if (again == NULL)
			return -1;
		if (!secret_eq(first, secret_borrow(again)))
			return fail(err, ERR_MISSING_PASSPHRASE, "the two passphrases are not the same");
	}
	ret->bytes = TAKE(first);
	ret->typed = true;
	return 1;
}

static int take(struct cli *cli, const struct passphrase_wish *wish, struct passphrase *ret, struct err *err)
{
	const char *key_path = flag_value(cli, wish->key_flag), *path = flag_value(cli, wish->file_flag);
	if (key_path != NULL && path != NULL)
		return fail(err, ERR_USAGE, "--%s and --%s exclude each other", wish->key_flag, wish->file_flag);
	if (key_path != NULL)
		return take_key_file(key_path, wish->made, ret, err);
	if (path != NULL)
		return take_file(path, ret, err);
	if (wish->variable && cli->passphrase != NULL && secret_size(cli->passphrase) > 0) {
		ret->bytes = secret_from(secret_borrow(cli->passphrase), err);
		return ret->bytes != NULL ? 1 : -1;
	}
	if (wish == &passphrase_present && cli->typed != NULL) {
		ret->bytes = secret_from(secret_borrow(cli->typed), err);
		return ret->bytes != NULL ? 1 : -1;
	}
	return prompt_possible() ? take_typed(wish, ret, err) : 0;
}

int passphrase_get(struct cli *cli, const struct passphrase_wish *wish, struct passphrase *ret, struct err *err)
{
	AUTO_PASSPHRASE got = {.bytes = NULL};
	int rc = take(cli, wish, &got, err);
	if (rc != 1)
		return rc;
	if (secret_size(got.bytes) == 0)
		return fail(err, ERR_MISSING_PASSPHRASE, "the passphrase is empty");
	*ret = got;
	got.bytes = NULL;
	return 1;
}

int passphrase_need(struct cli *cli, const struct passphrase_wish *wish, struct passphrase *ret, struct err *err)
{
	int rc = passphrase_get(cli, wish, ret, err);
	if (rc == 0)
		return fail(err, ERR_MISSING_PASSPHRASE, "there is no terminal to ask for a passphrase at: give --%s%s",
			    wish->file_flag, wish->variable ? " or AILERON_VAULT_PASSPHRASE" : "");
	return rc < 0 ? -1 : 0;
}

void passphrase_unmake(struct passphrase *passphrase, const struct err *failure)
{
	/* After these, nothing was changed. */
	static const enum err_class refusals[] = {
		ERR_CONFLICT,           ERR_INVALID_IDENTITY, ERR_INVALID_REQUEST, ERR_LIMIT,
		ERR_MISSING_PASSPHRASE, ERR_SEALED_REFUSED,   ERR_THROTTLED,       ERR_USAGE,
		ERR_VAULT_EXISTS,       ERR_VAULT_LOCKED,     ERR_VAULT_MISSING,   ERR_WRONG_PASSPHRASE};
	const char *path = TAKE(passphrase->made);
	for (size_t i = 0; path != NULL && failure != NULL && i < ARRAY_LEN(refusals); i++) {
		if (failure->class != refusals[i])
			continue;
		if (unlink(path) == 0)
			print_note("removed '%s' again", path);
		return;
	}
}

struct sealed_field passphrase_field(const struct passphrase *passphrase)
{
	return (struct sealed_field){
		.tag = passphrase->key_file ? SEALED_KEY_FILE : SEALED_PASSPHRASE,
		.bytes = secret_borrow(passphrase->bytes),
	};
}

struct sealed_field passphrase_new_field(const struct passphrase *passphrase)
{
	return (struct sealed_field){
		.tag = passphrase->key_file ? SEALED_NEW_KEY_FILE : SEALED_NEW_PASSPHRASE,
		.bytes = secret_borrow(passphrase->bytes),
	};
}
