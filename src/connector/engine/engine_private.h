/* What the files of this folder share and nobody else sees. */
#pragma once
#include "connector/engine/engine.h"
#include <wasmtime.h>
#if AILERON_WASMTIME_EXTRAS
#include <aileron_wasmtime.h>
#endif

struct engine {
	wasm_engine_t *wasm;
	enum runner_strategy strategy;
};
