/*
 * lines: header fields as the transport takes them
 *
 * "Name: value" strings of the request's own fields and of the injected ones, which replace those of the same name. A
 * line with a secret in it lies in secret memory; the others in the arena.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "egress/headers.h"
#include "egress/inject.h"

/* What we call ourselves unless the guest says otherwise. */
#define LINES_USER_AGENT "aileron-connector/1"

struct lines {
	const char **items;
	size_t n;
	struct secret *secrets[INJECTED_MAX]; /* memory of some of them */
	size_t n_secrets;
};

/* SYSTEM or LIMIT when secret memory cannot be had. Release the result. */
int lines_make(struct arena *arena, const struct header_list *headers, const struct injection *injection,
	       struct lines *ret, struct err *err) __attribute__((warn_unused_result));
void lines_release(struct lines *lines); /* safe on a zeroed one and twice */
