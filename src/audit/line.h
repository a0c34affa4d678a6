/*
 * line: the text of one event, put together and taken apart (docs/formats/audit.md)
 *
 *     {"event":{…},"hash":"…","prev":"…","seq":17,"trace_id":"…"}
 *     `--- front ---'        `------------- back --------------'
 *
 * The hash is over front and back, so over the text as if it had no member `hash`.
 */
#pragma once
#include "audit/audit.h"
#include "crypto/digest.h"

/* The first event follows this. */
extern const unsigned char audit_no_hash[SHA256_SIZE];

struct audit_link {
	uint64_t seq;
	unsigned char prev[SHA256_SIZE], hash[SHA256_SIZE];
};

/* The columns by which events are found; "" = NULL. Borrowed from the payload and the event. */
struct audit_columns {
	struct str connector, action, class, binding;
};
struct audit_columns audit_columns_of(const struct json *payload, struct str credential_binding);

/* `front` ends before `,"hash"`. Appends the rest to it, and fills link->hash from link->seq and link->prev. */
void audit_line_close(struct buf *front, struct str trace_id, struct audit_link *link);
/*
 * Whether a text is an event whose hash is its own; *ret is what it says of itself, and ret->seq is filled as far as it
 * can be read. `why` (AUDIT_WHY bytes) is filled when not.
 */
#define AUDIT_WHY 256
bool audit_line_read(struct str text, struct audit_link *ret, char *why);

/* The place of the next event: its seq and prev. */
int audit_next_link(struct db_tx *tx, struct audit_link *ret, struct err *err) __attribute__((warn_unused_result));
/* Whether arrays and objects of a JSON text are nested deeper than `most`. */
bool audit_is_deeper(struct str text, unsigned most);
/* Exactly n bytes from lower-case digits. */
bool audit_hex(struct str text, unsigned char *ret, size_t n);
