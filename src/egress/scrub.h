/*
 * scrub: the secret is struck out of what comes back
 *
 * Services echo what they are sent. Wherever an answer (or an error text) has the secret in one of these forms, it is
 * replaced by a mark that is never longer than what it replaces ("[secret removed]", "[removed]" or "****"), so that a
 * body only shrinks:
 *
 *     raw           also with '+' for spaces, as forms spell them
 *     base64        both alphabets, at any offset in a longer text, with or without padding
 *     hex           in any case
 *     URL-escaped   any mix of plain and %XX bytes, hex in any case
 *     JSON-escaped  any mix of plain bytes, \uXXXX (surrogate pairs too) and short escapes
 *
 * and base64, hex and raw also where they lie line-wrapped, inside JSON, inside a URL, or one inside the other (two
 * deep). Where escapes are undone a form may lack its first five characters (two, when it has fewer than 15; none,
 * when fewer than 8): a guest's byte in front may have made an escape of them. Forms of fewer than SCRUB_MIN bytes
 * are left alone: they would hit ordinary text (the whole header value of so short a credential is a form of its
 * own). Of forms longer than SCRUB_KEY the last SCRUB_KEY characters decide, and what stands in front is struck out
 * as far as it is the secret's. A body without any form stays as it is, byte for byte.
 *
 * Time grows linearly with the body. A scrubber keeps no copy of a secret; its tables lie in secret memory. Not
 * thread-safe for scrub_add(); any number of threads may then use it.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/secret.h"

#define SCRUB_MIN     4
#define SCRUB_KEY     64
#define SCRUB_SECRETS 8 /* secrets of one scrubber */

struct scrubber;

/* SYSTEM when secret memory cannot be had. */
struct scrubber *scrubber_new(struct err *err) __attribute__((warn_unused_result));
void scrubber_free(struct scrubber *scrubber); /* NULL is fine */
DEFINE_AUTO(scrubber, scrubber_free)

/*
 * One more secret to look for: the credential itself, and each injected_header's `secret`. Borrowed: it must live as
 * long as the scrubber. LIMIT when there are more than SCRUB_SECRETS.
 */
int scrub_add(struct scrubber *scrubber, const struct secret *secret, struct err *err)
	__attribute__((warn_unused_result));

void scrub_forget(struct scrubber *scrubber); /* all of them */

/*
 * Strikes out in place; returns the new length (at most n) and in *ret_found (may be NULL) how many places there were.
 * LIMIT when working memory of about n bytes cannot be had; the text must then not be passed on.
 */
int scrub_text(const struct scrubber *scrubber, char *text, size_t n, size_t *ret_n, size_t *ret_found, struct err *err)
	__attribute__((warn_unused_result));

/* The same for message and details of an error; when working memory is missing, both are emptied. */
void scrub_err(const struct scrubber *scrubber, struct err *subject);
