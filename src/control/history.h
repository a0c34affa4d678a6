/*
 * history: what is over and old is forgotten
 *
 * Runs that ended with their steps and tasks, sessions, grants, and agents that were revoked: their rows hold what agents said
 * and what was answered, and are kept as long as the events of the record that tell of them (audit_service.h). A session is
 * kept, too, while a run that it asked for has not ended: whether it is over decides what may be approved.
 */
#pragma once
#include "store/db.h"

#define HISTORY_AT_ONCE 256 /* rows of a kind: other writers wait for that long */
#define HISTORY_BYTES_AT_ONCE                                                                                          \
	((int64_t)4 << 20) /* of runs' arguments, results and previews; of one run, whatever it has */

/*
 * In a job: what began and ended before that time. How many rows went: call again, in another job, while it is more than 0.
 * -1 on failure.
 */
int64_t history_forget(struct db_tx *tx, uint64_t older_than_ns, struct err *err) __attribute__((warn_unused_result));
