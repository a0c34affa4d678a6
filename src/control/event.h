/*
 * event: one event of the record, from its payload to its row
 *
 * One size holds for all, so that whatever control can do it can also record: the longest payload is that of a binding,
 * with the hosts of a consent (VAULT_CONSENT_MAX). What is done elsewhere than in the database (by the keeper) gets its event
 * ended before it is done, where that is possible: an event that would be too long then stops it.
 *
 *     AUTO_EVENT event;
 *     event_begin(&event, request_event(r, AUDIT_BINDING_REVOKED));
 *     member_str(&event.json, "aileron.binding.name", name);
 *     if (event_end(&event, err) < 0) …
 */
#pragma once
#include "audit/audit.h"
#include "text/json_members.h"

#define EVENT_PAYLOAD_MAX (AUDIT_TEXT_MAX - ((size_t)12 << 10)) /* the rest is for who did it and for the chain */

struct event {
	struct audit_event audit;
	struct buf payload;
	struct json_writer json; /* an object that is open */
};
#define AUTO_EVENT __attribute__((cleanup(event_release))) struct event

/* Who does it, by request_event() or audit_of_service(); the event borrows from that, and stays where it is. */
void event_begin(struct event *event, struct audit_event who);
void event_release(struct event *event);
/* LIMIT when the payload is too long. */
int event_end(struct event *event, struct err *err) __attribute__((warn_unused_result));

/* In a job of the writer, after event_end(). */
int event_append(struct db_tx *tx, const struct event *event, struct err *err) __attribute__((warn_unused_result));
/*
 * Ends it and has it written, without waiting, in the order of the jobs; takes over the payload and copies the rest. One
 * that cannot be written is logged as event_lost. Any thread.
 */
void event_later(struct db *db, struct event *event);
