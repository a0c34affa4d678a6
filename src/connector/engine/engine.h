/*
 * engine: Wasmtime, configured once for the whole program
 *
 * An engine either compiles or runs; the same configuration stands behind both, so that code made by one process loads
 * in another. WebAssembly core 2.0 with fixed-width SIMD and nothing beyond it: every later proposal that the C API can
 * name is switched off by name. Guest code can be interrupted at every loop and call (epochs).
 *
 * Only this folder and connector/abi know Wasmtime's types. An engine may be used by many threads at once.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "connector/runner_protocol.h"

struct engine;

struct engine_options {
	enum runner_strategy strategy;
	/* Memory for `instances` instances is set aside at the start, else each takes its own. Few tables a module (engine.c). */
	bool pooling;
	uint32_t instances; /* with pooling: most that live at once */
};

/* Ends the program when the configuration is impossible on this machine or memory cannot be reserved. */
struct engine *engine_new(const struct engine_options *options) __attribute__((warn_unused_result, returns_nonnull));
void engine_free(struct engine *engine); /* NULL is fine; after all its programs */
DEFINE_AUTO(engine, engine_free)

/* Makes every guest that runs ask its `should_stop` soon (engine/program.h). Any thread. */
void engine_interrupt(struct engine *engine);

/*
 * Compiles a module into the file `out_fd`, from its start, without making anything executable, and tells how long the
 * code is. The module must have passed prescan_module(). Fails with
 *   CONNECTOR_LOAD_FAILED, details.reason "invalid_module"     it is no valid module within our features
 *   CONNECTOR_LOAD_FAILED, details.reason "winch_unsupported"  it is valid, but the baseline compiler cannot do it:
 *                                                              take Cranelift
 *   RESOURCE_LIMIT_EXCEEDED, details.limit "compile"           the code is over LIMIT_COMPILED_CODE
 *   SYSTEM                                                     the file cannot be written
 * Running out of memory in the compiler ends the process.
 */
int engine_compile(struct engine *engine, struct str wasm, int out_fd, uint64_t *ret_bytes, struct err *err)
	__attribute__((warn_unused_result));
