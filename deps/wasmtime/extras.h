/*
 * What the runner needs of Wasmtime and its C API lacks; implemented in src/lib.rs of this folder.
 * Absent from a system copy named by WASMTIME_DIR: engine.c then takes the plain calls (see AILERON_WASMTIME_EXTRAS).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wasmtime.h>

/* Switches off whatever is not WebAssembly core 2.0 with fixed-width SIMD. */
void aileron_wasmtime_core2(wasm_config_t *config);

/* Maps compiled code from `fd`, which is consumed on success and failure alike. The caller vouches for the bytes. */
wasmtime_error_t *aileron_wasmtime_load(const wasm_engine_t *engine, int fd, wasmtime_module_t **ret_module);

/* Compiles to bytes without mapping anything executable. Free the result with wasm_byte_vec_delete(). */
wasmtime_error_t *aileron_wasmtime_compile(const wasm_engine_t *engine, const uint8_t *wasm, size_t n,
                                           wasm_byte_vec_t *ret_code);

/* Limits of one store, owned by the caller and outliving the store. `refused` is set when memory was denied. */
struct aileron_memory_limit {
	size_t bytes;
	size_t table_elements; /* left for all tables together */
	bool refused;
};
void aileron_wasmtime_limit(wasmtime_store_t *store, struct aileron_memory_limit *limit);
