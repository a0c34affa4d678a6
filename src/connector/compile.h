/*
 * compile: a module becomes compiled code, in a process of its own
 *
 * `aileron-runner compile` gets the module and an empty file by descriptor, proves its confinement, writes the code and
 * exits; it never runs any of it. Blocks, at most LIMIT_COMPILE_MS. Any thread.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "connector/peer.h"
#include "connector/runner_protocol.h"

struct compile_spec {
	const char *program;                  /* path of aileron-runner; NULL = beside this program */
	const struct peer_launcher *launcher; /* who starts it; NULL = this process */
	int module_fd;
	int output_fd; /* empty; gets the bare code, without the trailer of code_file.h */
	enum runner_strategy strategy;
	struct str allowed; /* boundaries that the user goes without (confine_judge) */
	int cancel_fd;      /* readable = give up; -1 = none */
};

/*
 * RESOURCE_LIMIT_EXCEEDED (`limit` = compile) when time, memory or a limit of the module is passed; CONNECTOR_LOAD_FAILED
 * when the module is invalid; CANCELLED; UNCONFINED; SYSTEM when the process cannot be started. *ret_refused (with -1): it
 * was not the module but the strategy, which does not know something that the module uses.
 */
int compile_confined(const struct compile_spec *spec, struct runner_compiled *ret, bool *ret_refused, struct err *err)
	__attribute__((warn_unused_result));
