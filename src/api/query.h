/*
 * query: the query of a request, and names in its path, as text
 *
 * A query is `name=value` pairs joined by '&' (application/x-www-form-urlencoded: %XX and '+'); a name without '=' has an
 * empty value. Refused: a name that the operation does not have (unless it is API_LAX_QUERY), one that is repeated, an escape
 * that is none, a value that is not UTF-8 or holds a control character, a value that is not of its field's type:
 * integers are decimal, booleans true, false, 1 or 0. No state; any thread.
 */
#pragma once
#include "api/operation.h"

#define API_QUERY_MAX ((size_t)16 << 10) /* bytes, as it comes */

/*
 * The query as an object of strings, in the order of the text; every value fits its field. `query` is without its '?'.
 * INVALID_REQUEST names the parameter. The caller frees the document.
 */
struct json *api_query(const struct operation *operation, struct str query, struct err *err)
	__attribute__((warn_unused_result));

/* One value, unescaped, as the operation's field of that name wants it; a name that it does not have is refused too. */
int api_query_check(const struct operation *operation, struct str name, struct str value, struct err *err)
	__attribute__((warn_unused_result));

/*
 * One parameter of a query that is no operation's (a redirect's, an address that the daemon made): 1, its value appended; 0 when
 * it is absent; -1 with INVALID_REQUEST when it stands there more than once, or something has a wrong escape.
 */
int api_query_get(struct str query, struct str name, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

/* Appends a segment of a path without its escapes ("api_key%2Fstripe%2Fwork"); '+' stays. INVALID_REQUEST as above. */
int api_unescape(struct buf *out, struct str segment, struct err *err) __attribute__((warn_unused_result));
/* The other way round: everything but letters, digits and "-._~" as %XX. For segments and for values of a query. */
void api_escape(struct buf *out, struct str text);
