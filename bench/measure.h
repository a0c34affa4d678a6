/*
 * measure: samples, percentiles and JSON lines for the benchmarks
 *
 * A benchmark prints one line a result: what was measured, the floor or the peer measured in the same run, the budget and
 * whether it was met. tools/bench collects the lines, tools/bench-verdict makes a table of them.
 */
#pragma once
#include "base/str.h"
#include "connector/runner_protocol.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct samples {
	double *us;
	size_t n, room;
};

double now_us(void);
void samples_add(struct samples *samples, double us);
/* 0.5 = median. Sorts. */
double samples_at(struct samples *samples, double quantile);
void samples_release(struct samples *samples);

/* {"bench":…,"subject":…,"value":…,"unit":…,"budget":…,"met":…}; budget 0 = none, the line is a floor or a peer. */
void report(const char *bench, const char *subject, double value, const char *unit, double budget);
/* For "at least". */
void report_at_least(const char *bench, const char *subject, double value, const char *unit, double budget);

/* Ends the program with the error's text. */
struct err;
_Noreturn void give_up(const struct err *err);

/* Reads a whole file; the memory is never freed. */
struct str slurp(const char *path);
/* Compiled, sealed code of the module at `path` in a memory file, as the cache would hold it. */
int compile_module(const char *path, enum runner_strategy strategy);
