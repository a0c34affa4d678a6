/*
 * grant: a person's yes to an action for a while
 *
 * Rows of grants, each with its events. Reading: any transaction; strings live in the arena. Writing: in a job of the writer.
 */
#pragma once
#include "audit/audit.h"
#include "base/arena.h"
#include "store/db.h"

#define GRANT_S (UINT64_C(15) * 60)

/* "Allow this for 15 minutes in this session": `bound` is APPROVAL_TEXT_GRANT of digest.h. */
struct grant {
	struct str id, caller, session, action, bound;
	struct str caller_name;                   /* for people; of one that was read */
	uint64_t issued_ns, expires_ns, ended_ns; /* ended: 0 = not yet */
	struct str ended_why;
};
struct grant_list {
	struct grant *items;
	size_t n;
};
int grant_issue(struct db_tx *tx, const struct grant *grant, const struct audit_event *who, struct err *err)
	__attribute__((warn_unused_result));
/* One that holds at that time for that caller and exactly that text: 1 with its id in the arena, 0, -1. */
int grant_find(struct db_tx *tx, struct arena *arena, const struct grant *like, uint64_t now_ns, struct str *ret_id,
	       struct err *err) __attribute__((warn_unused_result));
/* Whether that one holds at that time: 1, 0, -1. */
int grant_holds(struct db_tx *tx, struct str id, uint64_t now_ns, struct err *err) __attribute__((warn_unused_result));
/* Those that hold, newest first. */
int grant_list(struct db_tx *tx, struct arena *arena, uint64_t now_ns, struct grant_list *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Ends the one of that id, those of a session, or all ("" and ""), with an event each; how many, or -1. */
struct grant_end {
	struct str id, session, why;
	uint64_t now_ns;
	struct audit_event who;
};
int64_t grant_end(struct db_tx *tx, const struct grant_end *end, struct err *err) __attribute__((warn_unused_result));
