/*
 * compile: a runner's first life: a module in, compiled code out
 *
 * It never runs guest code and makes nothing executable.
 */
#pragma once
#include "base/err.h"
#include "connector/runner_protocol.h"

/*
 * Scans the module behind `in_fd` (prescan.h), compiles it, and writes the bare code to `out_fd`, which is empty; the
 * parent seals it (code_file.h). Fails as prescan_module() and engine_compile() do.
 */
int compile_module(const struct runner_start *start, int in_fd, int out_fd, struct runner_compiled *ret,
		   struct err *err) __attribute__((warn_unused_result));
