/*
 * load: from a connector's module to a runner that serves it
 *
 * Finds compiled code in the cache, or has the module compiled and stores the code, starts a runner with it and waits
 * until it is ready. An entry that the runner finds damaged or stale is removed and made again, once. Without a cache the
 * code lives in memory as long as the runner. Blocks; any thread, several at a time.
 */
#pragma once
#include "connector/code_cache.h"
#include "connector/runner.h"

struct load_spec {
	const char *runner_program; /* NULL = beside this program */
	const struct peer_launcher
		*launcher; /* who starts compiler and runner; NULL = this process. Outlives the runner */
	int module_fd;
	const char *module_path; /* for messages */
	struct str manifest_bytes;
	const struct connector_manifest *manifest;
	struct code_cache *cache; /* NULL = none */
	/*
	 * The author's loop: what is not in the cache is compiled by the baseline compiler, when it can, and optimised code
	 * that is there already is preferred. False: only optimised code will do.
	 */
	bool baseline;
	bool pooling;
	uint32_t threads;
	uint64_t memory_max;
	struct str allowed; /* boundaries that the user goes without (confine_judge) */
	int cancel_fd;      /* readable = give up compiling; -1 = none */
};

struct load_report {
	uint8_t content_hash[CODE_FILE_HASH];
	enum runner_strategy strategy;
	bool from_cache;
	bool rebuilt; /* an entry was damaged or stale */
	uint64_t hash_ns, compile_ns, start_ns, load_ns;
	char cache_trouble[256]; /* why the code could not be kept; "" = it could */
};

/*
 * A runner that serves, or NULL: the errors of content_hash(), compile_confined() and runner_error(). The report is filled
 * as far as things went, also on failure.
 */
struct runner *load_connector(const struct load_spec *spec, struct load_report *ret_report, struct err *err)
	__attribute__((warn_unused_result));
