/*
 * vault_record: what was done to the vault, as an event
 *
 * A payload of names: the vault's state, a path with what it stands for, a member, a backup. Never a value. Worker
 * threads.
 */
#pragma once
#include "control/control.h"
#include "vault/keeper_protocol.h"

/* Of entries: of an export, or of an import. */
struct vault_record_counts {
	bool exported;
	uint32_t entries;               /* exported */
	uint32_t added, replaced, kept; /* imported */
};
struct vault_record {
	enum audit_type type;
	const struct keeper_state *state; /* NULL = not told */
	struct str path;                  /* "" = about no entry */
	struct str member, backup, reason;
	struct str kind;                          /* of a credential that is new: "passphrase", "key_file" */
	const struct vault_record_counts *counts; /* NULL = there are none to tell */
	const struct err *failure;                /* NULL = it succeeded */
};
int vault_record(struct request *request, const struct vault_record *record, struct err *err)
	__attribute__((warn_unused_result));
/* Of a failure: what the caller is told stays the failure, so a record that cannot be written is only logged. */
void vault_record_failure(struct request *request, enum audit_type type, const struct err *failure);
