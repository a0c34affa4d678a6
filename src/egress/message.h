/*
 * message: one HTTP request as it is about to be sent, as signers see it
 *
 * Plain borrowed text. Headers are those that will really be sent (Host, hop-by-hop and dropped ones are not among
 * them; Host follows from the URL), each name once, in any case and order.
 */
#pragma once
#include "base/str.h"
#include "text/url.h"

struct message_header {
	struct str name, value;
};

struct message {
	struct str method; /* as sent */
	const struct url *url;
	const struct message_header *headers;
	size_t n_headers;
	struct str body;
};

/* The value of a header by name without case, or NULL. */
const struct message_header *message_header_find(const struct message *message, struct str name);
