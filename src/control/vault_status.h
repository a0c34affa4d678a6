/*
 * vault_status: the state of the vault, as the API shows it
 */
#pragma once
#include "control/keeper_client.h"
#include "text/json_writer.h"

const char *vault_state_name(enum keeper_lock_state state); /* "missing", "locked", "unlocked" */
/* The members of the API's VaultStatus, into an object that is open. */
void vault_status_put_members(struct json_writer *w, const struct keeper_state *state);
