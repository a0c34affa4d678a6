/*
 * run: one run of the harness, from the files on disk to the line on standard output
 *
 * Blocking, single-threaded. What fails before the connector could be judged (files, manifest, confinement) is told on
 * standard error and nothing is printed on standard output; a failure of the connector or of its call is the outcome.
 */
#pragma once
#include "programs/dev-run/binding.h"
#include "programs/dev-run/options.h"
#include "text/json.h"

struct run_inputs {
	const struct dev_options *options;
	const struct json *args;
	struct dev_binding *binding;
	bool once;     /* the secret is forgotten as soon as egress has it */
	int cancel_fd; /* readable = the user gave up */
};

/* The exit status: 0, 1, or 130 when it was cancelled. */
int run_once(const struct run_inputs *inputs);
