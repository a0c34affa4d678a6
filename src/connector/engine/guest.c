#include "base/limits.h"
#include "base/time.h"
#include "connector/engine/engine_private.h"
#include "connector/engine/failure.h"
#include "connector/engine/program.h"

struct guest {
	struct program_run *run;
	wasmtime_context_t *context;
	wasmtime_caller_t *caller; /* while a host function runs */
	bool has_instance;
	bool has_memory;
	bool stopped;
	wasmtime_instance_t instance;
	wasmtime_memory_t memory;
#if AILERON_WASMTIME_EXTRAS
	struct aileron_memory_limit limit;
#endif
};

void *guest_host(const struct guest *guest)
{
	return guest->run->host;
}

void guest_stop(struct guest *guest)
{
	guest->stopped = true;
}

/* The handle of the exported memory stays the same for the life of the instance; only its base and size change. */
static bool find_memory(struct guest *guest)
{
	if (guest->has_memory)
		return true;
	wasmtime_extern_t item;
	bool found = guest->has_instance
			     ? wasmtime_instance_export_get(guest->context, &guest->instance, "memory", 6, &item)
		     : guest->caller != NULL ? wasmtime_caller_export_get(guest->caller, "memory", 6, &item)
					     : false;
	if (!found || item.kind != WASMTIME_EXTERN_MEMORY)
		return false;
	guest->memory = item.of.memory;
	guest->has_memory = true;
	return true;
}

struct guest_memory guest_memory(struct guest *guest)
{
	if (!find_memory(guest))
		return (struct guest_memory){NULL, 0};
	return (struct guest_memory){wasmtime_memory_data(guest->context, &guest->memory),
				     wasmtime_memory_data_size(guest->context, &guest->memory)};
}

wasm_trap_t *guest_enter_host(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n)
{
	(void)n;
	const struct host_function *function = env;
	struct guest *guest = wasmtime_context_get_data(wasmtime_caller_context(caller));
	uint64_t args[HOST_PARAMS_MAX];
	for (size_t i = 0; function->params[i] != '\0'; i++)
		args[i] = function->params[i] == 'I' ? (uint64_t)raw[i].i64 : (uint64_t)(uint32_t)raw[i].i32;

	guest->caller = caller;
	struct program_run *run = guest->run;
	uint64_t before = run->observe != NULL ? clock_monotonic_ns(NULL) : 0;
	uint32_t result = function->run(guest, args);
	if (run->observe != NULL)
		run->observe(run->host, function, args, result, clock_monotonic_ns(NULL) - before);
	guest->caller = NULL;
	if (guest->stopped)
		return wasmtime_trap_new("stopped", 7);
	if (function->returns)
		raw[0].i32 = (int32_t)result;
	return NULL;
}

/* Runs on the guest's thread when the epoch has moved: somebody is to stop, perhaps this one. */
static wasmtime_error_t *at_interrupt(wasmtime_context_t *context, void *data, uint64_t *delta,
				      wasmtime_update_deadline_kind_t *kind)
{
	(void)context;
	struct guest *guest = data;
	if (guest->run->should_stop(guest->run->host)) {
		guest->stopped = true;
		return wasmtime_error_new("stopped");
	}
	*delta = 1;
	*kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
	return NULL;
}

static void set_limits(wasmtime_store_t *store, struct guest *guest)
{
	uint64_t bytes = guest->run->memory_bytes;
#if AILERON_WASMTIME_EXTRAS
	guest->limit = (struct aileron_memory_limit){.bytes = bytes, .table_elements = LIMIT_TABLE_ELEMENTS};
	aileron_wasmtime_limit(store, &guest->limit);
#else
	wasmtime_store_limiter(store, (int64_t)bytes, (int64_t)LIMIT_TABLE_ELEMENTS, 1, -1, -1);
#endif
}

static void note_memory(struct guest *guest)
{
	struct program_run *run = guest->run;
	run->memory_bytes_at_end = guest_memory(guest).n;
#if AILERON_WASMTIME_EXTRAS
	run->memory_refused = guest->limit.refused;
#else
	/* The plain limiter does not tell. What fails with less than an eighth of its memory left is taken as refused. */
	run->memory_refused = run->memory_bytes_at_end > run->memory_bytes - run->memory_bytes / 8;
#endif
}

/* `started`: guest code may have run. */
static void note_failure(struct guest *guest, wasmtime_error_t *error, wasm_trap_t *trap, bool started)
{
	struct program_run *run = guest->run;
	if (guest->stopped) {
		if (error != NULL)
			wasmtime_error_delete(error);
		if (trap != NULL)
			wasm_trap_delete(trap);
		run->end = PROGRAM_STOPPED;
		return;
	}
	struct failure_trap failure =
		trap != NULL ? failure_of_trap(run->text, trap) : failure_of_error(run->text, error);
	if (started || failure.in_guest) {
		run->end = PROGRAM_TRAPPED;
		run->trap = failure.name;
		return;
	}
	note_memory(guest);
	run->end = run->memory_refused && AILERON_WASMTIME_EXTRAS ? PROGRAM_NO_MEMORY : PROGRAM_NOT_STARTED;
}

static void call_start(struct guest *guest)
{
	wasmtime_extern_t start;
	if (!wasmtime_instance_export_get(guest->context, &guest->instance, "_start", 6, &start))
		BUG("an export is gone");
	wasmtime_val_raw_t none[1];
	wasm_trap_t *trap = NULL;
	wasmtime_error_t *error = wasmtime_func_call_unchecked(guest->context, &start.of.func, none, 1, &trap);
	if (error != NULL || trap != NULL)
		note_failure(guest, error, trap, true);
}

static void run_in_store(const struct program *program, struct guest *guest)
{
	struct program_run *run = guest->run;
	uint64_t begin = clock_monotonic_ns(NULL);
	wasm_trap_t *trap = NULL;
	wasmtime_error_t *error =
		wasmtime_instance_pre_instantiate(program->ready, guest->context, &guest->instance, &trap);
	uint64_t ready = clock_monotonic_ns(NULL);
	run->instantiate_ns = ready - begin;
	if (error != NULL || trap != NULL) {
		note_failure(guest, error, trap, false);
		return;
	}
	guest->has_instance = true;
	if (program->has_start)
		call_start(guest);
	run->run_ns = clock_monotonic_ns(NULL) - ready;
}

void program_run(struct program *program, struct program_run *run)
{
	run->end = PROGRAM_RETURNED;
	run->trap = "";
	run->memory_refused = false;
	run->memory_bytes_at_end = 0;
	run->instantiate_ns = run->run_ns = 0;
	if (program->memory_at_start > run->memory_bytes) {
		run->end = PROGRAM_NO_MEMORY;
		run->memory_refused = true;
		run->ended(run->host);
		return;
	}

	struct guest guest = {.run = run};
	wasmtime_store_t *store = wasmtime_store_new(program->engine->wasm, &guest, NULL);
	guest.context = wasmtime_store_context(store);
	set_limits(store, &guest);
	wasmtime_store_epoch_deadline_callback(store, at_interrupt, &guest, NULL);
	wasmtime_context_set_epoch_deadline(guest.context, 1);
	run_in_store(program, &guest);
	note_memory(&guest);
	run->ended(run->host);
	wasmtime_store_delete(store);
}
