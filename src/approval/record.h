/*
 * record: the payload of the events of runs; inside this folder only
 *
 *     AUTO_RECORD record;
 *     record_begin(&record, AUDIT_RUN_STARTED, who, run);
 *     member_str(&record.json, …);
 *     if (record_append(tx, &record, ret_id, err) < 0) …
 */
#pragma once
#include "approval/run.h"
#include "audit/audit.h"
#include "text/json_members.h"

struct record {
	struct audit_event audit;
	struct buf payload;
	struct json_writer json; /* an object that is open */
};
#define AUTO_RECORD __attribute__((cleanup(record_release))) struct record

/* With who asked and for what. */
void record_begin(struct record *record, enum audit_type type, const struct audit_event *who, const struct run *run);
void record_release(struct record *record);
/* ret_id may be NULL. */
int record_append(struct db_tx *tx, struct record *record, char *ret_id, struct err *err)
	__attribute__((warn_unused_result));
/* A long message is cut: the record says what happened, not all that was said. */
void record_put_failure(struct json_writer *w, const struct err *error);
