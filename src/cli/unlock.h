/*
 * unlock: opening the vault, by its verb and before verbs that need it
 */
#pragma once
#include "cli/cli.h"

/*
 * Unlocks with what passphrase.h finds; a passphrase that was typed may be corrected once. *ret is the daemon's answer.
 * VAULT_LOCKED when there is no source and no terminal.
 */
int unlock_vault(struct cli *cli, bool accept_rollback, struct json **ret, struct err *err)
	__attribute__((warn_unused_result));
/* Makes the vault with what passphrase.h finds. */
int unlock_make_vault(struct cli *cli, struct json **ret, struct err *err) __attribute__((warn_unused_result));
/*
 * Before a verb whose operation needs the vault: looks at its state, unlocks it, or offers to make one. Nothing to do when
 * it is unlocked.
 */
int unlock_before_verb(struct cli *cli, struct err *err) __attribute__((warn_unused_result));
/*
 * Whether something that may need the vault failed for want of it, and nothing of it ran: asked once more behind
 * unlock_before_verb(), nothing runs twice.
 */
bool unlock_is_wanted(const struct err *err);
