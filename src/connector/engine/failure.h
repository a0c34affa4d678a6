/*
 * failure: Wasmtime's errors and traps in our words
 *
 * The one place where they are turned into struct err, names and text. Every function here consumes the error or trap.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include <wasmtime.h>

/* A backtrace has so many frames, each name so many bytes; the whole text of a failure fits FAILURE_TEXT_MAX. */
#define FAILURE_FRAMES   64
#define FAILURE_NAME     256
#define FAILURE_TEXT_MAX ((size_t)32 << 10)

/* CONNECTOR_LOAD_FAILED, "<what>: <the engine's text on one line>", details.reason = `reason`. Returns -1. */
int failure_load(struct err *err, const char *reason, const char *what, wasmtime_error_t *error);

/* The engine's text on one line, appended. */
void failure_text(struct buf *out, wasmtime_error_t *error);

struct failure_trap {
	const char *name; /* "unreachable", "memory_out_of_bounds", …; "" when it is none of the engine's */
	bool in_guest;    /* guest code was running: there is a backtrace */
};
/* What kind it is, and appends a sentence and one line a frame: "  0: name (function 12, offset 0x3f)". */
struct failure_trap failure_of_trap(struct buf *text, wasm_trap_t *trap);
/* The same for an error that guest code may have caused, such as an epoch callback's. */
struct failure_trap failure_of_error(struct buf *text, wasmtime_error_t *error);
