/*
 * oauth_answer: what a token endpoint says
 *
 * JSON of RFC 6749 5.1 and 5.2 and RFC 8628 3.2 and 3.5, read strictly and in place: texts point into the answer itself,
 * which is secret memory and is wiped as a whole, so that no token is ever copied to the ordinary heap. One JSON object,
 * valid UTF-8, no member that matters twice, nesting of what does not matter at most OAUTH_ANSWER_DEPTH. Unknown members
 * are skipped; null is the same as absent. Numbers of seconds may be written as text, as some services do.
 *
 * Errors name the member and never quote the answer. Any thread.
 */
#pragma once
#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

#define OAUTH_ANSWER_MAX   (256 * KIB)
#define OAUTH_ANSWER_DEPTH 32
#define OAUTH_CODE_MAX     64 /* bytes of an error code; longer ones, and ones with odd characters, are "" */

struct oauth_answer {
	struct str access_token, refresh_token, device_code; /* visible ASCII; "" = absent, as everywhere here */
	struct str token_type, scope;
	bool has_scope;
	uint64_t expires_in; /* seconds, at most 10 years; 0 = not said, or not positive */
	uint64_t interval;   /* the same */
	struct str user_code, verification_uri, verification_uri_complete; /* printable */
	bool has_error;
	struct str error; /* letters, digits, '_', '-' and '.' */
};

/* Writes over `text`. PARSE_ERROR when it is not such JSON, VALIDATION_ERROR when a member cannot be. */
int oauth_answer_parse(char *text, size_t n, struct oauth_answer *ret, struct err *err)
	__attribute__((warn_unused_result));
