#include "programs/dev-run/run.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/time.h"
#include "connector/load.h"
#include "programs/dev-run/report.h"
#include <fcntl.h>
#include <stdlib.h>

#define EXIT_CANCELLED 130
#define LOGS_JSON_MAX  (64 * MIB)

/* Everything of one run; released in the reverse order of what it is made from. */
struct run {
	const struct run_inputs *inputs;
	struct connector_manifest *manifest;
	struct str manifest_bytes;
	struct call_limits limits;
	struct credential credential;
	struct egress_grant grant;
	int wasm_fd, ca_fd;
	struct code_cache *cache;
	struct egress_link *link;
	struct runner *runner;
	struct call *call;
	struct load_report load;
	struct run_report report;
};

static void run_release(struct run *run)
{
	call_free(run->call);
	runner_free(run->runner);
	egress_link_free(run->link);
	code_cache_free(run->cache);
	connector_manifest_free(run->manifest);
	buf_release(&run->report.logs);
	if (run->wasm_fd >= 0)
		close(run->wasm_fd);
	if (run->ca_fd >= 0)
		close(run->ca_fd);
}

/* -------------------------------------------------------------------------------------------------- events of the call */

static void on_log(void *owner, struct str level, struct str message)
{
	struct run *run = owner;
	report_log(&run->report, level, message);
}

static void on_trace(void *owner, struct str text, uint64_t nanoseconds)
{
	(void)owner;
	report_trace(text, nanoseconds);
}

static int32_t on_audit(void *owner, struct str object)
{
	(void)owner;
	report_audit(object);
	return 0;
}

static void on_granted(void *owner)
{
	struct run *run = owner;
	if (!run->inputs->once)
		return;
	run->grant.secret = NULL;
	dev_binding_forget(run->inputs->binding);
}

static const struct call_events events = {.log = on_log, .trace = on_trace, .audit = on_audit, .granted = on_granted};

/* ------------------------------------------------------------------------------------------------------ before the run */

static int open_files(struct run *run, struct err *err)
{
	const struct dev_options *options = run->inputs->options;
	run->wasm_fd = open(options->wasm, O_RDONLY | O_CLOEXEC);
	if (run->wasm_fd < 0)
		return fail_errno(err, "cannot open '%s'", options->wasm);
	if (options->ca_file == NULL)
		return 0;
	run->ca_fd = open(options->ca_file, O_RDONLY | O_CLOEXEC);
	return run->ca_fd < 0 ? fail_errno(err, "cannot open '%s'", options->ca_file) : 0;
}

static int read_inputs(struct run *run, struct err *err)
{
	const struct dev_options *options = run->inputs->options;
	run->manifest = connector_manifest_load(options->manifest, &run->manifest_bytes, err);
	if (run->manifest == NULL || open_files(run, err) < 0)
		return -1;
	run->limits = call_limits_resolve(&options->limits, &run->manifest->limits);
	run->credential = dev_binding_for(run->inputs->binding, run->manifest);
	run->grant = grant_make(run->manifest, &run->limits, &run->credential,
				(struct grant_openings){options->openings, options->n_openings});
	return 0;
}

/*
 * Egress starts while the connector is loaded, and nobody waits for it before the connector asks for something: its
 * confinement is judged then. Where nothing can be reached it starts only when a connector asks all the same.
 */
static int start_egress(struct run *run, struct err *err)
{
	struct egress_link_spec spec = {.ca_fd = run->ca_fd, .allowed = buf_str(&run->inputs->options->allowed)};
	run->link = egress_link_new(&spec);
	return grant_has_network(run->manifest) ? egress_link_start(run->link, err) : 0;
}

static void open_cache(struct run *run)
{
	struct err why = {0};
	run->cache = code_cache_open(NULL, CODE_CACHE_MAX, &why);
	if (run->cache == NULL)
		report_note("compiled code is not kept: %s", why.message);
}

static int load(struct run *run, struct err *err)
{
	const struct dev_options *options = run->inputs->options;
	struct load_spec spec = {
		.module_fd = run->wasm_fd,
		.module_path = options->wasm,
		.manifest_bytes = run->manifest_bytes,
		.manifest = run->manifest,
		.cache = run->cache,
		.baseline = !options->optimize,
		.threads = 1,
		.memory_max = run->limits.memory,
		.allowed = buf_str(&options->allowed),
		.cancel_fd = run->inputs->cancel_fd,
	};
	run->runner = load_connector(&spec, &run->load, err);
	if (run->load.cache_trouble[0] != '\0')
		report_note("compiled code is not kept: %s", run->load.cache_trouble);
	if (run->load.rebuilt)
		report_note("the compiled code in the cache was damaged or out of date and was made again");
	log_debug("connector_loaded", log_bool("from_cache", run->load.from_cache),
		  log_z("compiler", run->load.strategy == RUNNER_WINCH ? "winch" : "cranelift"),
		  log_duration("compile", run->load.compile_ns), log_duration("start", run->load.start_ns));
	return run->runner == NULL ? -1 : 0;
}

static int prepare(struct run *run, struct err *err)
{
	if (read_inputs(run, err) < 0 || start_egress(run, err) < 0)
		return -1;
	open_cache(run);
	return load(run, err);
}

/* ------------------------------------------------------------------------------------------------------------- the run */

static int do_call(struct run *run, struct err *err)
{
	struct call_spec spec = {
		.op = str_from(run->inputs->options->op),
		.args = run->inputs->args,
		.limits = run->limits,
		.grant = &run->grant,
		.trace = run->inputs->options->trace,
		.events = &events,
		.owner = run,
	};
	run->call = call_start(&spec, run->runner, run->link, err);
	if (run->call == NULL)
		return -1;
	call_wait(run->call, run->inputs->cancel_fd);
	run->report.call = call_report(run->call);
	run->report.output = call_output(run->call);
	if (call_error(run->call) == NULL)
		return 0;
	*err = *call_error(run->call);
	return -1;
}

/* The first group of errors.def: what the callers of connectors see. */
static bool is_outcome(const struct run *run, const struct err *err)
{
	return err_class_is_closed(err->class) || (err->class == ERR_CANCELLED && run->report.call != NULL);
}

static void explain(const struct run *run, const struct err *err)
{
	if (err->class == ERR_BINDING_REQUIRED && run->credential.binding == BINDING_MISSING)
		report_note("the manifest declares a credential of kind '%s'; set %s to give one",
			    credential_kind_name(run->manifest->credential.kind),
			    dev_binding_variable(run->manifest->credential.kind));
}

static int print_outcome(struct run *run)
{
	struct err err = {0};
	AUTO_BUF line = BUF_INIT(SIZE_MAX / 2);
	report_rest(&run->report);
	if (report_line(&line, &run->report, &err) == 0 && report_write(STDOUT_FILENO, buf_str(&line), &err) == 0)
		return 0;
	report_failure(&err);
	return -1;
}

static int conclude(struct run *run, const struct err *err)
{
	int status = err == NULL ? 0 : err->class == ERR_CANCELLED ? EXIT_CANCELLED : 1;
	if (err != NULL && !is_outcome(run, err)) {
		report_failure(err);
		return status;
	}
	if (err != NULL)
		explain(run, err);
	run->report.err = err;
	return print_outcome(run) < 0 ? 1 : status;
}

int run_once(const struct run_inputs *inputs)
{
	struct run run = {
		.inputs = inputs,
		.wasm_fd = -1,
		.ca_fd = -1,
		.report = {.json = inputs->options->json, .logs = BUF_INIT(LOGS_JSON_MAX)},
	};
	struct err err = {0};
	uint64_t start = clock_monotonic_ns(NULL);
	bool failed = prepare(&run, &err) < 0 || do_call(&run, &err) < 0;
	run.report.load = &run.load;
	run.report.total_ns = clock_monotonic_ns(NULL) - start;
	int status = conclude(&run, failed ? &err : NULL);
	run_release(&run);
	return status;
}
