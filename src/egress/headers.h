/*
 * headers: the header fields of a guest's request, made fit to be sent
 *
 * Names are canonicalised as Go does it ("x-amz-target" becomes "X-Amz-Target") and there is one value a name: a later
 * one replaces an earlier. Names must be tokens and values free of control characters but tab (RFC 9110 5.1, 5.5);
 * blanks around values go. What the transport decides is dropped: Host, Content-Length and the hop-by-hop fields (RFC
 * 9110 7.6.1), any that Connection names included, and whatever is named Proxy or begins so.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "egress/message.h"

#define HEADERS_BYTES_MAX ((size_t)256 << 10) /* of all names and values */

struct header_list {
	struct message_header *items;
	size_t n;
};

/*
 * Makes the list, in the arena. Appends the names of dropped fields to `dropped`, comma-separated, in lower case.
 * CONNECTOR_RUNTIME_ERROR names the field that cannot be sent.
 */
int headers_make(struct arena *arena, const struct message_header *given, size_t n, struct header_list *ret,
		 struct buf *dropped, struct err *err) __attribute__((warn_unused_result));

const struct message_header *headers_find(const struct header_list *list, struct str name);
void headers_remove(struct header_list *list, struct str name);
/* The same, and told in `dropped` like a field that was never taken. */
void headers_withhold(struct header_list *list, struct str name, struct buf *dropped);
/* Fields that describe a body (Content-*), for a redirect that goes on without one. */
void headers_remove_content(struct header_list *list);
/* Authorization, Cookie and `key_header` (may be empty), for a redirect to another origin. */
void headers_remove_credentials(struct header_list *list, struct str key_header);

/* RFC 9110 5.6.2. */
bool headers_is_token(struct str s);
