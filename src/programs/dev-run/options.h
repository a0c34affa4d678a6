/*
 * options: the command line of aileron-connector-dev-run
 *
 * One table holds every option: it is what is parsed, what --help prints, and what a test holds the man page against. The
 * syntax is that of Go's flag package: one or two dashes, --x=v or --x v, a switch alone or as --x=true; "--" and anything
 * that is no option ends them, and nothing may follow.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "connector/call_limits.h"
#include "egress/egress_protocol.h"

#define OPTIONS_OPENINGS_MAX 64

struct dev_options {
	const char *wasm, *manifest, *op, *args, *ca_file;
	bool verbose, json, trace, watch, optimize;
	bool help, version; /* nothing else counts */
	struct call_limits limits;
	struct egress_opening openings[OPTIONS_OPENINGS_MAX];
	const char *opening_texts[OPTIONS_OPENINGS_MAX]; /* as written */
	size_t n_openings;
	struct buf allowed; /* boundaries, comma-separated */
	struct arena *arena;
};

/* `argv` must outlive the result. USAGE says what is wrong; the result is then released. */
int dev_options_parse(struct dev_options *ret, int argc, char **argv, struct err *err)
	__attribute__((warn_unused_result));
/* Whether all is there that a run needs. USAGE names what is not. */
int dev_options_check(const struct dev_options *options, struct err *err) __attribute__((warn_unused_result));
void dev_options_release(struct dev_options *options);

/* What --help prints. */
void dev_options_help(struct buf *out);
