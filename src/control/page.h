/*
 * page: the files that a browser gets
 *
 * `aileron open` opens "/" with a code in the URL's fragment. Three files, built into the program (page_files.c, made
 * from page.html, page.js and page.css by tools/embed-page), without a word of script or style in the HTML: the policy
 * that they are sent with (Content-Security-Policy) lets the page load these two, talk to us, and nothing else. They
 * hold nothing that is anybody's, so they need no token.
 */
#pragma once
#include "http/server/server.h"

struct page_file {
	const char *path, *content_type;
	struct str bytes;
};
extern const struct page_file page_files[]; /* ended by path NULL */

/* Answers GET of a file of the page; false, and nothing done, when it is something else. Loop's thread. */
bool page_answer(struct http_exchange *x);
