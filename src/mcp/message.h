/*
 * message: one JSON-RPC message as it came
 *
 * Reads, classifies (by members, in this order: method with id, method, result or error), and finds values as their own
 * bytes, so that an id is echoed and arguments are passed on exactly as they were sent. The text is copied; everything in a
 * message lives as long as it.
 */
#pragma once
#include "base/mem.h"
#include "base/str.h"
#include "text/json.h"

#define MESSAGE_ID_MAX 1024 /* bytes of an id; a longer one is no id */

enum message_kind {
	MESSAGE_UNREADABLE, /* no JSON: `why` */
	MESSAGE_BATCH,      /* an array: message_each() */
	MESSAGE_REQUEST,
	MESSAGE_NOTIFICATION,
	MESSAGE_RESPONSE,
	MESSAGE_MALFORMED, /* anything else: `why`, and `id` when one could be read */
};

struct message {
	enum message_kind kind;
	struct json *document;
	char *copy;
	struct str text;           /* all of it */
	const char *why;           /* a literal */
	struct str id;             /* raw, quotes included; "" = none */
	struct str method;         /* of a request or notification */
	const struct json *params; /* an object, or NULL: none, or no object (has_bad_params) */
	const struct json *meta;   /* params._meta, an object, or NULL */
	bool has_bad_params;
	bool claims; /* params._meta names a version: a request that stands alone */
};
struct message *message_read(struct str text) __attribute__((warn_unused_result, returns_nonnull));
void message_free(struct message *message); /* NULL is fine */
DEFINE_AUTO(message, message_free)

/* The bytes of a member's value in the text of its object, "" when it has none; both are valid JSON and the same object. */
struct str message_raw_member(struct str text, const struct json *object, struct str name);
/* The bytes of the elements of an array, one after the other: *at begins as 0. There is a next one. */
struct str message_next_element(struct str text, size_t *at);
/* The bytes of a member of params, or of params._meta: "" when there is none. */
struct str message_raw_param(const struct message *message, struct str name);
struct str message_raw_meta(const struct message *message, struct str name);

/* Whether raw bytes are a string or an integer of any size, as ids and progress tokens are. */
bool message_is_id(struct str raw);
