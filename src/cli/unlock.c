#include "cli/unlock.h"
#include "cli/passphrase.h"
#include "cli/prompt.h"
#include "cli/sealing.h"
#include "text/json_members.h"

static void unlock_body(struct json_writer *w, struct str sealed, const void *user)
{
	const bool *accept_rollback = user;
	sealing_body_alone(w, sealed, NULL);
	if (*accept_rollback)
		member_bool(w, "accept_rollback", true);
}

static int unlock_once(struct cli *cli, const struct passphrase *passphrase, bool accept_rollback, struct json **ret,
		       struct err *err)
{
	AUTO_BUF terms = BUF_INIT(SEALED_TERMS_MAX);
	sealed_terms_put(&terms, accept_rollback, STR_EMPTY);
	const struct sealed_request request = {
		.request = {.operation = OP_VAULT_UNLOCK},
		.sealing = {.operation = KEEPER_OP_UNLOCK,
			    .metadata = buf_str(&terms),
			    .fields = {passphrase_field(passphrase)},
			    .n_fields = 1},
		.body = unlock_body,
		.user = &accept_rollback,
	};
	return sealing_call(cli, &request, ret, err);
}

int unlock_vault(struct cli *cli, bool accept_rollback, struct json **ret, struct err *err)
{
	for (int attempt = 1;; attempt++) {
		static struct err failure;
		AUTO_PASSPHRASE passphrase = {.bytes = NULL};
		int got = passphrase_get(cli, &passphrase_present, &passphrase, err);
		if (got == 0)
			return fail(err, ERR_VAULT_LOCKED,
				    "the vault is locked, and there is no terminal to ask for its passphrase: give "
				    "--passphrase-file, --key-file or AILERON_VAULT_PASSPHRASE");
		if (got < 0)
			return -1;
		err_clear(&failure);
		if (unlock_once(cli, &passphrase, accept_rollback, ret, &failure) == 0) {
			if (passphrase.typed)
				cli->typed = TAKE(passphrase.bytes);
			return 0;
		}
		if (failure.class != ERR_WRONG_PASSPHRASE || !passphrase.typed || attempt == 2) {
			if (err != NULL)
				*err = failure;
			return -1;
		}
		prompt_say("That is not the passphrase; once more.\n");
	}
}

int unlock_make_vault(struct cli *cli, struct json **ret, struct err *err)
{
	AUTO_PASSPHRASE passphrase = {.bytes = NULL};
	int got = passphrase_get(cli, &passphrase_first, &passphrase, err);
	if (got == 0)
		return fail(err, ERR_VAULT_MISSING,
			    "there is no vault yet, and no terminal to ask for a passphrase: give --passphrase-file, "
			    "--key-file or AILERON_VAULT_PASSPHRASE");
	if (got < 0)
		return -1;
	const struct sealed_request request = {
		.request = {.operation = OP_VAULT_INIT},
		.sealing = {.operation = KEEPER_OP_INIT, .fields = {passphrase_field(&passphrase)}, .n_fields = 1},
		.body = sealing_body_alone,
	};
	if (sealing_call(cli, &request, ret, err) == 0)
		return 0;
	passphrase_unmake(&passphrase, err);
	return -1;
}

/* Somebody else may have been quicker: then there is a vault, and it is theirs to open. */
static int make_vault_first(struct cli *cli, struct err *err)
{
	static struct err failure;
	AUTO(json) *answer = NULL;
	if (prompt_possible())
		prompt_say("There is no vault yet. It keeps secrets on this machine, encrypted to a passphrase that "
			   "only you\n"
			   "know; without the passphrase they are lost.\n");
	err_clear(&failure);
	if (unlock_make_vault(cli, &answer, &failure) == 0) {
		print_note("made the vault");
		return 0;
	}
	if (failure.class == ERR_VAULT_EXISTS)
		return unlock_vault(cli, false, &answer, err);
	if (err != NULL)
		*err = failure;
	return -1;
}

int unlock_before_verb(struct cli *cli, struct err *err)
{
	AUTO(json) *status = NULL;
	AUTO(json) *answer = NULL;
	if (cli_call(cli, &(struct client_request){.operation = OP_VAULT_STATUS, .timeout_ms = 5000}, &status, err) < 0)
		return -1;
	struct str state = cli_str(status, "state");
	if (str_eq(state, S("unlocked")))
		return 0;
	if (str_eq(state, S("missing")))
		return make_vault_first(cli, err);
	return unlock_vault(cli, false, &answer, err);
}

bool unlock_is_wanted(const struct err *err)
{
	struct str required, ran;
	return err->class == ERR_VAULT_LOCKED ||
	       (err->class == ERR_BINDING_REQUIRED && err_detail_get(err, "required", &required) &&
		str_eq(required, S("vault.passphrase")) && err_detail_get(err, "ran", &ran) && str_eq(ran, S("no")));
}
