/*
 * The floor of every call: Wasmtime alone, in this process, without a socket, limits or confinement. Pooling, copy-on-write,
 * pre-linked instances; the few host functions that a guest needs to start, read its input and write its output.
 *
 * bench_engine BIN
 */
#include "base/err.h"
#include "base/mem.h"
#include "measure.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <wasmtime.h>

#define INPUT "{\"args\":{\"name\":\"Ada\"},\"op\":\"greet\"}"

struct guest {
	size_t read, written;
	bool exited;
};

static void must(wasmtime_error_t *error)
{
	if (error == NULL)
		return;
	wasm_byte_vec_t text;
	wasmtime_error_message(error, &text);
	fprintf(stderr, "bench: %.*s\n", (int)text.size, text.data);
	exit(1);
}

static uint8_t *memory_of(wasmtime_caller_t *caller)
{
	wasmtime_extern_t item;
	if (!wasmtime_caller_export_get(caller, "memory", 6, &item))
		exit(1);
	return wasmtime_memory_data(wasmtime_caller_context(caller), &item.of.memory);
}

static uint32_t u32_at(const uint8_t *memory, uint32_t at)
{
	uint32_t value;
	memcpy(&value, memory + at, sizeof value);
	return value;
}

static wasm_trap_t *fd_read(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n)
{
	(void)env, (void)n;
	struct guest *guest = wasmtime_context_get_data(wasmtime_caller_context(caller));
	uint8_t *memory = memory_of(caller);
	uint32_t to = u32_at(memory, (uint32_t)raw[1].i32), room = u32_at(memory, (uint32_t)raw[1].i32 + 4);
	uint32_t count = (uint32_t)MIN((size_t)room, sizeof INPUT - 1 - guest->read);
	memcpy(memory + to, &INPUT[guest->read], count);
	memcpy(memory + (uint32_t)raw[3].i32, &count, sizeof count);
	guest->read += count;
	raw[0].i32 = 0;
	return NULL;
}

static wasm_trap_t *fd_write(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n)
{
	(void)env, (void)n;
	struct guest *guest = wasmtime_context_get_data(wasmtime_caller_context(caller));
	uint8_t *memory = memory_of(caller);
	uint32_t sum = 0;
	for (uint32_t i = 0; i < (uint32_t)raw[2].i32; i++)
		sum += u32_at(memory, (uint32_t)raw[1].i32 + 8 * i + 4);
	memcpy(memory + (uint32_t)raw[3].i32, &sum, sizeof sum);
	guest->written += sum;
	raw[0].i32 = 0;
	return NULL;
}

static wasm_trap_t *fd_prestat_get(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n)
{
	(void)env, (void)caller, (void)n;
	raw[0].i32 = 8; /* EBADF: there is nothing more to look for */
	return NULL;
}

static wasm_trap_t *proc_exit(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n)
{
	(void)env, (void)raw, (void)n;
	struct guest *guest = wasmtime_context_get_data(wasmtime_caller_context(caller));
	guest->exited = true;
	return wasmtime_trap_new("exit", 4);
}

static wasm_engine_t *engine(void)
{
	wasm_config_t *config = wasm_config_new();
	wasmtime_config_epoch_interruption_set(config, true);
	wasmtime_pooling_allocation_config_t *pool = wasmtime_pooling_allocation_config_new();
	wasmtime_pooling_allocation_config_total_core_instances_set(pool, 4);
	wasmtime_pooling_allocation_config_total_memories_set(pool, 4);
	wasmtime_pooling_allocation_config_total_tables_set(pool, 4);
	wasmtime_pooling_allocation_config_table_elements_set(pool, 100000);
	wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pool, 2 << 20);
	wasmtime_pooling_allocation_config_table_keep_resident_set(pool, 2 << 20);
	wasmtime_pooling_allocation_strategy_set(config, pool);
	wasmtime_pooling_allocation_config_delete(pool);
	return wasm_engine_new_with_config(config);
}

/* Everything else answers 0 and writes nothing, which is all that these guests need of it. */
static wasm_trap_t *answer_zero(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n)
{
	(void)env, (void)caller, (void)n;
	raw[0].i32 = 0;
	return NULL;
}

/* Real, as the runner's: with a clock that stands still a Go program does half the work while it starts. */
static wasm_trap_t *clock_time_get(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n)
{
	(void)env, (void)n;
	struct timespec t;
	clock_gettime(raw[0].i32 == 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC, &t);
	uint64_t ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	memcpy(memory_of(caller) + (uint32_t)raw[2].i32, &ns, 8);
	raw[0].i32 = 0;
	return NULL;
}

static const struct {
	const char *name;
	wasmtime_func_unchecked_callback_t run;
} functions[] = {{"fd_read", fd_read},
		 {"fd_write", fd_write},
		 {"fd_prestat_get", fd_prestat_get},
		 {"proc_exit", proc_exit},
		 {"clock_time_get", clock_time_get}};

static wasmtime_func_unchecked_callback_t function_named(const wasm_name_t *name)
{
	for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
		if (str_eq(str_of(name->data, name->size), str_from(functions[i].name)))
			return functions[i].run;
	}
	return answer_zero;
}

static void define_all(wasmtime_linker_t *linker, const wasmtime_module_t *module)
{
	wasm_importtype_vec_t imports;
	wasmtime_module_imports(module, &imports);
	wasmtime_linker_allow_shadowing(linker, true);
	for (size_t i = 0; i < imports.size; i++) {
		const wasm_name_t *from = wasm_importtype_module(imports.data[i]);
		const wasm_name_t *name = wasm_importtype_name(imports.data[i]);
		const wasm_functype_t *type = wasm_externtype_as_functype_const(wasm_importtype_type(imports.data[i]));
		must(wasmtime_linker_define_func_unchecked(linker, from->data, from->size, name->data, name->size, type,
							   function_named(name), NULL, NULL));
	}
	wasm_importtype_vec_delete(&imports);
}

static double call_us(wasm_engine_t *wasm, wasmtime_instance_pre_t *ready)
{
	struct guest guest = {0};
	double start = now_us();
	wasmtime_store_t *store = wasmtime_store_new(wasm, &guest, NULL);
	wasmtime_context_t *context = wasmtime_store_context(store);
	wasmtime_context_set_epoch_deadline(context, 1000);
	wasmtime_instance_t instance;
	wasm_trap_t *trap = NULL;
	must(wasmtime_instance_pre_instantiate(ready, context, &instance, &trap));
	wasmtime_extern_t item;
	if (trap != NULL || !wasmtime_instance_export_get(context, &instance, "_start", 6, &item))
		exit(1);
	wasmtime_error_t *error = wasmtime_func_call(context, &item.of.func, NULL, 0, NULL, 0, &trap);
	bool ended_well = guest.exited || (error == NULL && trap == NULL);
	if (trap != NULL)
		wasm_trap_delete(trap);
	if (error != NULL)
		wasmtime_error_delete(error);
	wasmtime_store_delete(store);
	double took = now_us() - start;
	if (guest.written < 30 || !ended_well) {
		fprintf(stderr, "bench: the guest did not answer\n");
		exit(1);
	}
	return took;
}

static void floor_of(const char *what, const char *path, int calls)
{
	wasm_engine_t *wasm = engine();
	struct str bytes = slurp(path);
	wasmtime_module_t *module;
	must(wasmtime_module_new(wasm, (const uint8_t *)bytes.p, bytes.n, &module));
	wasmtime_linker_t *linker = wasmtime_linker_new(wasm);
	define_all(linker, module);
	wasmtime_instance_pre_t *ready;
	must(wasmtime_linker_instantiate_pre(linker, module, &ready));
	struct samples samples = {0};
	for (int i = 0; i < calls + calls / 10; i++) {
		double us = call_us(wasm, ready);
		if (i >= calls / 10)
			samples_add(&samples, us);
	}
	char subject[64];
	snprintf(subject, sizeof subject, "floor: %s, Wasmtime alone, p50", what);
	report("engine", subject, samples_at(&samples, 0.5), "us", 0);
	samples_release(&samples);
}

int main(int argc, char **argv)
{
	const char *bin = argc == 2 ? argv[1] : "build/release/bin";
	AUTO_FREE char *c = xasprintf("%s/../examples/notes-c/connector.wasm", bin);
	AUTO_FREE char *go = xasprintf("%s/../examples/notes-go/connector.wasm", bin);
	floor_of("c", c, 20000);
	floor_of("go", go, 300);
	return 0;
}
