/* What the files of this folder share and nobody else sees. */
#pragma once
#include "connector/engine/engine.h"
#include "connector/engine/program.h"
#include <wasmtime.h>
#if AILERON_WASMTIME_EXTRAS
#include <aileron_wasmtime.h>
#endif

struct engine {
	wasm_engine_t *wasm;
	enum runner_strategy strategy;
};

struct program {
	struct engine *engine;
	const struct host_module *modules;
	wasmtime_module_t *module;
	wasmtime_instance_pre_t *ready;
	wasm_importtype_vec_t imports;
	bool has_start;
	uint64_t memory_at_start; /* bytes of the exported memory */
};

/* What every import is linked to; env is its struct host_function. In guest.c. */
wasm_trap_t *guest_enter_host(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n);
