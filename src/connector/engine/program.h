/*
 * program: a compiled connector, ready to run any number of times
 *
 * program_load() maps compiled code, holds the module's imports against the table of host functions and links them
 * once; program_run() then makes a fresh instance, calls its `_start` and destroys it. Nothing of one run is left for
 * the next. A program may be run by many threads at once.
 *
 * A host function gets the `struct guest` whose code called it. The guest's memory is seen through guest_memory(), a
 * view that is good until the host function returns: guest code may grow, and so move, its memory.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "connector/engine/engine.h"

struct guest;

#define HOST_PARAMS_MAX 9

/*
 * One function that guests may import. `params` has a letter for each parameter: 'i' = i32, 'I' = i64; a 32-bit
 * argument arrives zero-extended. The result is one i32, or nothing when `returns` is false. It is not looked at after
 * guest_stop().
 */
struct host_function {
	const char *name;
	const char *params;
	bool returns;
	uint32_t (*run)(struct guest *guest, const uint64_t *args);
};

struct host_module {
	const char *name;
	const struct host_function *functions; /* ended by name NULL */
};

struct program;

/*
 * Maps the code in `fd`, which stays the caller's and must have passed code_file_check(). `modules` (ended by name
 * NULL) must outlive the program. Fails with
 *   CONNECTOR_LOAD_FAILED, details.reason "missing_import"      and details.import "module.name": no such function
 *   CONNECTOR_LOAD_FAILED, details.reason "signature_mismatch"  and details.import: it has another type; or
 *                                                               details.export "_start": so has that
 *   HASH_MISMATCH, details.reason "stale_code"                  the engine refuses the code
 */
struct program *program_load(struct engine *engine, int fd, const struct host_module *modules, struct err *err)
	__attribute__((warn_unused_result));
void program_free(struct program *program); /* NULL is fine; after all its runs */
DEFINE_AUTO(program, program_free)

/* The names that the module imports from `module`, each once, in its order, at most `max`; returns how many. */
uint32_t program_imports(const struct program *program, const char *module, struct str *ret, uint32_t max);

enum program_end {
	PROGRAM_RETURNED,    /* also when there is no `_start` */
	PROGRAM_STOPPED,     /* by guest_stop() or should_stop: the host knows why */
	PROGRAM_TRAPPED,     /* trap and text */
	PROGRAM_NO_MEMORY,   /* its memory is larger at the start than memory_bytes */
	PROGRAM_NOT_STARTED, /* text */
};

struct program_run {
	/* in */
	void *host;                      /* for guest_host() */
	uint64_t memory_bytes;           /* most that its linear memory may have */
	bool (*should_stop)(void *host); /* asked after engine_interrupt(), on the thread of the run */
	/* Called after each host function when not NULL. `result` is not meaningful for one that returns nothing. */
	void (*observe)(void *host, const struct host_function *function, const uint64_t *args, uint32_t result,
			uint64_t nanoseconds);
	/* Called when all that follows is known and before the instance is destroyed, which takes as long as making it. */
	void (*ended)(void *host);
	struct buf *text; /* gets the text of a trap or failure */

	/* out */
	enum program_end end;
	const char *trap;    /* its name, "" when not trapped */
	bool memory_refused; /* it asked for more memory than it may have, at some time */
	uint64_t memory_bytes_at_end;
	uint64_t instantiate_ns, run_ns;
};
void program_run(struct program *program, struct program_run *run);

/* For host functions. */
void *guest_host(const struct guest *guest);
/* Ends the guest as soon as the host function returns. */
void guest_stop(struct guest *guest);

struct guest_memory {
	uint8_t *p;
	size_t n;
};
struct guest_memory guest_memory(struct guest *guest); /* {NULL, 0} when it exports none */
