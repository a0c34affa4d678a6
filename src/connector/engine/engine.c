#include "connector/engine/engine.h"
#include "base/limits.h"
#include "connector/engine/engine_private.h"
#include "connector/engine/failure.h"
#include <errno.h>

/* Native stack that guest code may use; threads that run guests must have more (abi/serve.c). */
#define GUEST_STACK (512 * KIB)

/* Address space that each linear memory reserves; with it, code needs no bounds checks. */
#define MEMORY_RESERVATION (4 * GIB)

/*
 * Of one module in the pool, which maps all tables at their full size, 8 MiB each: what compilers make has one. A module
 * with more is refused by an engine that pools.
 */
#define TABLES_PER_MODULE 2

/*
 * How much of a linear memory the pool cleans by hand after a call instead of giving the pages back to the kernel. A C
 * program lives within its two pages and never faults again; a Go program writes to most of its first two megabytes
 * while it starts, and taking those faults anew at each call costs more than clearing them.
 */
#define KEEP_RESIDENT (2 * MIB)

/* Metadata of one instance: its globals and one small record a function that may be called indirectly. */
#define INSTANCE_SIZE_MAX (16 * MIB)

static void set_features(wasm_config_t *config)
{
	wasmtime_config_wasm_simd_set(config, true);
	wasmtime_config_wasm_bulk_memory_set(config, true);
	wasmtime_config_wasm_multi_value_set(config, true);

	wasmtime_config_shared_memory_set(config, false);
	wasmtime_config_wasm_tail_call_set(config, false);
	wasmtime_config_wasm_relaxed_simd_set(config, false);
	wasmtime_config_wasm_multi_memory_set(config, false);
	wasmtime_config_wasm_memory64_set(config, false);
	wasmtime_config_wasm_wide_arithmetic_set(config, false);
	wasmtime_config_wasm_branch_hinting_set(config, false);
	wasmtime_config_wasm_custom_page_sizes_set(config, false);
	wasmtime_config_wasm_stack_switching_set(config, false);
	wasmtime_config_gc_support_set(config, false);
#ifdef WASMTIME_FEATURE_THREADS
	wasmtime_config_wasm_threads_set(config, false);
#endif
#ifdef WASMTIME_FEATURE_GC /* absent from our own build, where garbage collection is not compiled in */
	wasmtime_config_wasm_reference_types_set(config, true);
	wasmtime_config_wasm_function_references_set(config, false);
	wasmtime_config_wasm_gc_set(config, false);
	wasmtime_config_wasm_exceptions_set(config, false);
#endif
#ifdef WASMTIME_FEATURE_COMPONENT_MODEL
	wasmtime_config_wasm_component_model_set(config, false);
#endif
#if AILERON_WASMTIME_EXTRAS /* those without a switch in the C API, and all that a later release may bring */
	aileron_wasmtime_core2(config);
#endif
}

static void set_pooling(wasm_config_t *config, uint32_t instances)
{
	wasmtime_pooling_allocation_config_t *pool = wasmtime_pooling_allocation_config_new();
	wasmtime_pooling_allocation_config_total_core_instances_set(pool, instances);
	wasmtime_pooling_allocation_config_total_memories_set(pool, instances);
	wasmtime_pooling_allocation_config_total_tables_set(pool, instances * TABLES_PER_MODULE);
	wasmtime_pooling_allocation_config_max_tables_per_module_set(pool, TABLES_PER_MODULE);
	wasmtime_pooling_allocation_config_table_elements_set(pool, LIMIT_TABLE_ELEMENTS);
	wasmtime_pooling_allocation_config_max_core_instance_size_set(pool, INSTANCE_SIZE_MAX);
	/* A module may ask for more than any call grants; that must be found at the call, where it has a name. */
	wasmtime_pooling_allocation_config_max_memory_size_set(pool, MEMORY_RESERVATION);
	wasmtime_pooling_allocation_config_max_unused_warm_slots_set(pool, instances);
	wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pool, KEEP_RESIDENT);
	wasmtime_pooling_allocation_config_table_keep_resident_set(pool, KEEP_RESIDENT);
	wasmtime_pooling_allocation_strategy_set(config, pool);
	wasmtime_pooling_allocation_config_delete(pool);
}

struct engine *engine_new(const struct engine_options *options)
{
	wasm_config_t *config = wasm_config_new();
	bool winch = options->strategy == RUNNER_WINCH;
	wasmtime_config_strategy_set(config, winch ? WASMTIME_STRATEGY_WINCH : WASMTIME_STRATEGY_CRANELIFT);
	set_features(config);
	wasmtime_config_epoch_interruption_set(config, true);
	wasmtime_config_max_wasm_stack_set(config, GUEST_STACK);
	wasmtime_config_memory_reservation_set(config, MEMORY_RESERVATION);
	/* Images of code that was copied, not mapped, would need a memfd of their own when the first instance is made. */
	wasmtime_config_memory_init_cow_set(config, AILERON_WASMTIME_EXTRAS != 0);
	/* Only native debuggers read it; without, code is smaller and nothing is registered with libgcc at load. */
	wasmtime_config_native_unwind_info_set(config, false);
	if (options->pooling)
		set_pooling(config, options->instances);

	struct engine *engine = NEW(struct engine);
	engine->strategy = options->strategy;
	engine->wasm = wasm_engine_new_with_config(config);
	return engine;
}

void engine_free(struct engine *engine)
{
	if (engine == NULL)
		return;
	wasm_engine_delete(engine->wasm);
	free(engine);
}

void engine_interrupt(struct engine *engine)
{
	wasmtime_engine_increment_epoch(engine->wasm);
}

/* Compiled code as bytes. The official C API cannot compile without mapping the code too; our extra can. */
static wasmtime_error_t *compile(struct engine *engine, struct str wasm, wasm_byte_vec_t *ret)
{
	const uint8_t *bytes = (const uint8_t *)wasm.p;
#if AILERON_WASMTIME_EXTRAS
	return aileron_wasmtime_compile(engine->wasm, bytes, wasm.n, ret);
#else
	wasmtime_module_t *module = NULL;
	wasmtime_error_t *error = wasmtime_module_new(engine->wasm, bytes, wasm.n, &module);
	if (error != NULL)
		return error;
	error = wasmtime_module_serialize(module, ret);
	wasmtime_module_delete(module);
	return error;
#endif
}

static int write_all(int fd, const char *p, size_t n, struct err *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t wrote = pwrite(fd, p + done, n - done, (off_t)done);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return fail_errno(err, "cannot write the compiled code");
		done += (size_t)wrote;
	}
	return 0;
}

static int refuse_code_size(size_t n, struct err *err)
{
	fail(err, ERR_RESOURCE_LIMIT_EXCEEDED, "the compiled code has %zu bytes, %llu are allowed", n,
	     (unsigned long long)LIMIT_COMPILED_CODE);
	err_detail(err, "limit", S("compile"));
	err_detail(err, "rule", S("code_size"));
	err_detail_int(err, "found", (int64_t)n);
	err_detail_int(err, "allowed", (int64_t)LIMIT_COMPILED_CODE);
	return -1;
}

int engine_compile(struct engine *engine, struct str wasm, int out_fd, uint64_t *ret_bytes, struct err *err)
{
	wasm_byte_vec_t code;
	wasmtime_error_t *error = compile(engine, wasm, &code);
	if (error != NULL) {
		/* What validates and still cannot be compiled is beyond the baseline compiler. */
		wasmtime_error_t *invalid = wasmtime_module_validate(engine->wasm, (const uint8_t *)wasm.p, wasm.n);
		const char *reason = "invalid_module";
		if (invalid == NULL && engine->strategy == RUNNER_WINCH)
			reason = "winch_unsupported";
		if (invalid != NULL)
			wasmtime_error_delete(invalid);
		return failure_load(err, reason, "compile WASM", error);
	}
	int result = code.size > LIMIT_COMPILED_CODE ? refuse_code_size(code.size, err)
						     : write_all(out_fd, code.data, code.size, err);
	if (result == 0)
		*ret_bytes = code.size;
	wasm_byte_vec_delete(&code);
	return result;
}
