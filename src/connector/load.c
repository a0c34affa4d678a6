#include "connector/load.h"
#include "base/time.h"
#include "connector/compile.h"
#include "connector/content_hash.h"
#include <fcntl.h>
#include <sys/mman.h>

struct loading {
	const struct load_spec *spec;
	struct load_report *report;
	int code_fd;
};

static void note_trouble(struct load_report *report, const struct err *why)
{
	struct str text = str_slice(str_from(why->message), 0, sizeof report->cache_trouble - 1);
	memcpy(report->cache_trouble, text.p, text.n);
	report->cache_trouble[text.n] = '\0';
}

static bool find_code(struct loading *loading)
{
	const struct load_spec *spec = loading->spec;
	static const enum runner_strategy preference[] = {RUNNER_CRANELIFT, RUNNER_WINCH};
	size_t n = spec->baseline ? 2 : 1;
	for (size_t i = 0; spec->cache != NULL && i < n; i++) {
		loading->code_fd = code_cache_find(spec->cache, loading->report->content_hash, preference[i]);
		loading->report->strategy = preference[i];
		if (loading->code_fd >= 0)
			return true;
	}
	return false;
}

/* The code in memory, for when there is no cache or it cannot be written to. */
static int seal_in_memory(struct loading *loading, int fd, enum runner_strategy strategy, struct err *err)
{
	uint8_t fingerprint[CODE_FILE_HASH];
	connector_code_fingerprint(strategy, fingerprint);
	if (code_file_seal(fd, loading->report->content_hash, fingerprint, err) < 0)
		return -1;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return fail_errno(err, "cannot seal compiled code in memory");
	loading->code_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return loading->code_fd < 0 ? fail_errno(err, "cannot keep compiled code") : 0;
}

static int compile_to(struct loading *loading, int module_fd, int output_fd, enum runner_strategy *strategy,
		      struct err *err)
{
	struct compile_spec spec = {
		.program = loading->spec->runner_program,
		.launcher = loading->spec->launcher,
		.module_fd = module_fd,
		.output_fd = output_fd,
		.strategy = *strategy,
		.allowed = loading->spec->allowed,
		.cancel_fd = loading->spec->cancel_fd,
	};
	struct runner_compiled compiled;
	bool refused;
	if (compile_confined(&spec, &compiled, &refused, err) == 0)
		return 0;
	if (!refused)
		return -1;
	/* The baseline compiler does not know all that the optimising one does. */
	if (ftruncate(output_fd, 0) < 0 || lseek(output_fd, 0, SEEK_SET) < 0)
		return fail_errno(err, "cannot empty the file of compiled code");
	err_clear(err);
	spec.strategy = *strategy = RUNNER_CRANELIFT;
	return compile_confined(&spec, &compiled, &refused, err);
}

static int compile_in_memory(struct loading *loading, int module_fd, enum runner_strategy strategy, struct err *err)
{
	AUTO_FD fd = memfd_create("connector.code", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return fail_errno(err, "cannot make a file in memory");
	if (compile_to(loading, module_fd, fd, &strategy, err) < 0)
		return -1;
	loading->report->strategy = strategy;
	return seal_in_memory(loading, fd, strategy, err);
}

static int compile_into_cache(struct loading *loading, int module_fd, struct file_draft *draft,
			      enum runner_strategy strategy, struct err *err)
{
	struct code_cache *cache = loading->spec->cache;
	if (compile_to(loading, module_fd, draft->fd, &strategy, err) < 0)
		return -1;
	loading->report->strategy = strategy;
	if (code_cache_store(cache, draft, loading->report->content_hash, strategy, err) < 0)
		return -1;
	loading->code_fd = code_cache_find(cache, loading->report->content_hash, strategy);
	if (loading->code_fd < 0)
		return fail(err, ERR_SYSTEM, "compiled code that was stored a moment ago is gone; run again");
	return 0;
}

static int make_code(struct loading *loading, struct err *err)
{
	const struct load_spec *spec = loading->spec;
	enum runner_strategy strategy = spec->baseline ? RUNNER_WINCH : RUNNER_CRANELIFT;
	AUTO_FD module_fd = content_copy(spec->module_fd, spec->module_path, spec->manifest_bytes,
					 loading->report->content_hash, err);
	if (module_fd < 0)
		return -1;
	AUTO_DRAFT draft = FILE_DRAFT_INIT;
	struct err why = {0};
	if (spec->cache == NULL)
		return compile_in_memory(loading, module_fd, strategy, err);
	if (code_cache_begin(spec->cache, &draft, &why) < 0) {
		note_trouble(loading->report, &why);
		return compile_in_memory(loading, module_fd, strategy, err);
	}
	int rc = compile_into_cache(loading, module_fd, &draft, strategy, err);
	if (rc == 0 || err->class != ERR_SYSTEM)
		return rc;
	/* A full disk is no reason not to run. */
	note_trouble(loading->report, err);
	err_clear(err);
	return compile_in_memory(loading, module_fd, strategy, err);
}

static int obtain_code(struct loading *loading, struct err *err)
{
	uint64_t start = clock_monotonic_ns(NULL);
	loading->report->from_cache = find_code(loading);
	if (loading->report->from_cache)
		return 0;
	int rc = make_code(loading, err);
	loading->report->compile_ns += clock_monotonic_ns(NULL) - start;
	return rc;
}

static struct runner *serve_code(struct loading *loading, struct err *err)
{
	const struct load_spec *spec = loading->spec;
	struct load_report *report = loading->report;
	struct runner_spec serve = {
		.program = spec->runner_program,
		.launcher = spec->launcher,
		.code_fd = loading->code_fd,
		.start = {.strategy = report->strategy,
			  .pooling = spec->pooling,
			  .threads = spec->threads,
			  .memory_max = spec->memory_max},
		.allowed = spec->allowed,
		.manifest = spec->manifest,
	};
	memcpy(serve.start.content_hash, report->content_hash, sizeof serve.start.content_hash);
	uint64_t start = clock_monotonic_ns(NULL);
	AUTO(runner)
	*runner = runner_start(&serve, err);
	close(TAKE_FD(loading->code_fd));
	if (runner == NULL || runner_wait_ready(runner, err) < 0)
		return NULL;
	report->start_ns = clock_monotonic_ns(NULL) - start;
	report->load_ns = runner_load_ns(runner);
	return TAKE(runner);
}

struct runner *load_connector(const struct load_spec *spec, struct load_report *ret_report, struct err *err)
{
	struct err ignored;
	err = err != NULL ? err : &ignored;
	*ret_report = (struct load_report){0};
	struct loading loading = {.spec = spec, .report = ret_report, .code_fd = -1};
	uint64_t start = clock_monotonic_ns(NULL);
	if (content_hash(spec->module_fd, spec->module_path, spec->manifest_bytes, ret_report->content_hash, err) < 0)
		return NULL;
	ret_report->hash_ns = clock_monotonic_ns(NULL) - start;
	for (;;) {
		if (obtain_code(&loading, err) < 0)
			return NULL;
		struct runner *runner = serve_code(&loading, err);
		if (runner != NULL || err->class != ERR_HASH_MISMATCH || ret_report->rebuilt || !ret_report->from_cache)
			return runner;
		code_cache_remove(spec->cache, ret_report->content_hash, ret_report->strategy);
		ret_report->rebuilt = true;
		err_clear(err);
	}
}
