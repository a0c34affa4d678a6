/*
 * page: the files that a browser gets
 *
 * `aileron open` opens a view of the page with a code in the URL's fragment. The files are built into the program
 * (page_files.c, made from web/ by tools/embed-page), without a word of script or style in the HTML: the policy that they are
 * sent with (Content-Security-Policy) lets the page load these, talk to us, and nothing else; with Trusted Types no text
 * becomes markup by a mistake. They hold nothing that is anybody's, so they need no token. Each view of the page is a path
 * ("/approvals", "/runs") that gives the same HTML.
 */
#pragma once
#include "http/server/server.h"

struct page_file {
	const char *path, *content_type;
	struct str bytes;
};
extern const struct page_file page_files[]; /* ended by path NULL; the first is the HTML */

/* Answers GET of a file or a view of the page; false, and nothing done, when it is something else. Loop's thread. */
bool page_answer(struct http_exchange *x);
