/*
 * call_limits: how much one call of a connector may use
 *
 * One table names every limit that a connector can meet, with its default and its ceiling (base/limits.h). From it come
 * the harness's `--limit name=value`, the resolution of a call's limits, and the words `limit` and `configured` in the
 * details of resource_limit_exceeded. Durations are nanoseconds, sizes bytes, `log` lines.
 */
#pragma once
#include "artifact/connector_manifest.h"
#include "base/err.h"
#include "base/str.h"

/* 0 = not given, which means the default. */
struct call_limits {
	uint64_t wall_time;
	uint64_t memory;
	uint64_t stdout_bytes;
	uint64_t log_lines;
	uint64_t request_body;
	uint64_t response_body;
};

/*
 * What holds for a call: the caller's value, else the manifest's, else the default; above the ceiling is clamped;
 * memory is rounded up to a page of 64 KiB. `manifest` may be NULL. Every field of the result is set.
 */
struct call_limits call_limits_resolve(const struct call_limits *asked, const struct manifest_limits *manifest);

/* Sets one field from "name=value" ("wall_time=1500ms", "memory=32MiB", "log=10"). USAGE when the name or value is bad.
 */
int call_limits_set(struct call_limits *limits, struct str assignment, struct err *err)
	__attribute__((warn_unused_result));

/*
 * RESOURCE_LIMIT_EXCEEDED for the limit of that name, with details `limit` and `configured` (a Go duration as "1m30s",
 * a size as "64MiB", or a count). A name that is not in the table gives CONNECTOR_RUNTIME_ERROR: a runner made it up.
 */
int call_limits_exceeded(const struct call_limits *limits, struct str name, struct err *err);
