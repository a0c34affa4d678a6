/*
 * redirect: where the authorization server sends the browser back to
 *
 * A listener on 127.0.0.1, at a port that the kernel picks, for one flow: the first GET of /callback is taken and everything else
 * answered with an error; a connection has REDIRECT_HEAD_MS for its request, the whole REDIRECT_WAIT_MS. The browser waits until the
 * flow has ended, and is then told how. Nothing of the request is shown in the page. One thread.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#define REDIRECT_HEAD_MS 5000
#define REDIRECT_WAIT_MS 300000

struct redirect;
struct redirect *redirect_new(struct err *err) __attribute__((warn_unused_result));
void redirect_free(struct redirect *redirect); /* closes; a browser that waits is not told. NULL is fine */
DEFINE_AUTO(redirect, redirect_free)
const char *redirect_uri(const struct redirect *redirect); /* "http://127.0.0.1:53999/callback" */
/*
 * Waits for it, at most `wait_ms`; the query is appended to `query` and the listener closed. APPROVAL_TIMEOUT when
 * nobody came.
 */
int redirect_wait(struct redirect *redirect, unsigned wait_ms, struct buf *query, struct err *err)
	__attribute__((warn_unused_result));
/* Tells the browser that waits. */
void redirect_answer(struct redirect *redirect, bool worked);
