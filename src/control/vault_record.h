/*
 * vault_record: what was done to the vault, as an event
 *
 * A payload of names: the vault's state, a path with what it stands for, a member, a backup. Never a value. Worker
 * threads.
 */
#pragma once
#include "control/control.h"
#include "control/vault_watch.h"
#include "vault/keeper_protocol.h"

struct vault_record {
	enum audit_type type;
	const struct keeper_state *state; /* NULL = not told */
	struct str path;                  /* "" = about no entry */
	struct str member, backup, reason;
	const struct err *failure;     /* NULL = it succeeded */
	const struct vault_mark *mark; /* set exactly, in the same job; NULL = left alone */
};
int vault_record(struct request *request, const struct vault_record *record, struct err *err)
	__attribute__((warn_unused_result));
/* Of a failure: what the caller is told stays the failure, so a record that cannot be written is only logged. */
void vault_record_failure(struct request *request, enum audit_type type, const struct err *failure);
