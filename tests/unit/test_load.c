#include "fake_peer.h"
#include "connector/compile.h"
#include "connector/content_hash.h"
#include "connector/load.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

/* The module is the script of the compiler, and what the compiler emits is the script of the server. */
#define COMPILER "hello\nstart\n"
#define GOOD     "emit hello|start|ready|hang|\ncompiled\n"

static char folder[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/test-load-XXXXXX");
	return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
	(void)state;
	DIR *dir = opendir(folder);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	return rmdir(folder);
}

static struct load_spec spec_of(int module_fd, struct code_cache *cache)
{
	return (struct load_spec){
		.runner_program = "/proc/self/exe",
		.module_fd = module_fd,
		.module_path = "connector.wasm",
		.manifest_bytes = S("manifest"),
		.cache = cache,
		.baseline = true,
		.threads = 1,
		.memory_max = MIB,
		.cancel_fd = -1,
	};
}

/* One load of a module in a cache: what it was made by, or the error. */
static enum err_class load(const char *module, struct code_cache *cache, bool baseline, struct load_report *report,
			   struct err *err)
{
	AUTO_FD fd = fake_script(module);
	struct load_spec spec = spec_of(fd, cache);
	spec.baseline = baseline;
	AUTO(runner) *runner = load_connector(&spec, report, err);
	assert_int_equal(runner == NULL, err->class != ERR_NONE);
	if (runner != NULL)
		assert_int_equal(runner_phase(runner), RUNNER_PHASE_SERVING);
	return err->class;
}

static void code_is_compiled_once(void **state)
{
	(void)state;
	AUTO(code_cache) *cache = code_cache_open(folder, MIB, NULL);
	struct load_report report;
	struct err err = {0};
	assert_int_equal(load(COMPILER GOOD, cache, true, &report, &err), ERR_NONE);
	assert_false(report.from_cache);
	assert_int_equal(report.strategy, RUNNER_WINCH);
	assert_true(report.compile_ns > 0);
	assert_int_equal(load(COMPILER GOOD, cache, true, &report, &err), ERR_NONE);
	assert_true(report.from_cache);
	assert_int_equal(report.compile_ns, 0);
	/* Another module is another entry. */
	assert_int_equal(load(COMPILER GOOD "\n", cache, true, &report, &err), ERR_NONE);
	assert_false(report.from_cache);
}

static void optimised_code_is_preferred_and_can_be_demanded(void **state)
{
	(void)state;
	AUTO(code_cache) *cache = code_cache_open(folder, MIB, NULL);
	struct load_report report;
	struct err err = {0};
	assert_int_equal(load(COMPILER GOOD, cache, true, &report, &err), ERR_NONE);
	assert_int_equal(load(COMPILER GOOD, cache, false, &report, &err), ERR_NONE);
	assert_false(report.from_cache); /* the baseline's code will not do */
	assert_int_equal(report.strategy, RUNNER_CRANELIFT);
	assert_int_equal(load(COMPILER GOOD, cache, true, &report, &err), ERR_NONE);
	assert_true(report.from_cache);
	assert_int_equal(report.strategy, RUNNER_CRANELIFT);
}

#define REFUSED                                                                                                        \
	COMPILER "only-winch\nemit half of it\nfailed connector_load_failed winch_unsupported\nhang\nalways\n" GOOD

static void what_the_baseline_compiler_cannot_do_the_other_one_does(void **state)
{
	(void)state;
	AUTO(code_cache) *cache = code_cache_open(folder, MIB, NULL);
	struct load_report report;
	struct err err = {0};
	assert_int_equal(load(REFUSED, cache, true, &report, &err), ERR_NONE);
	assert_int_equal(report.strategy, RUNNER_CRANELIFT);
	assert_int_equal(load(REFUSED, NULL, true, &report, &err), ERR_NONE);
	assert_int_equal(report.strategy, RUNNER_CRANELIFT);
}

static void without_a_cache_code_lives_in_memory(void **state)
{
	(void)state;
	struct load_report report;
	struct err err = {0};
	assert_int_equal(load(COMPILER GOOD, NULL, true, &report, &err), ERR_NONE);
	assert_false(report.from_cache);
	/* So it does where the cache cannot be written to any more. */
	AUTO(code_cache) *cache = code_cache_open(folder, MIB, NULL);
	AUTO_FREE char *moved = xasprintf("%s-moved", folder);
	assert_int_equal(rename(folder, moved), 0);
	assert_int_equal(load(COMPILER GOOD, cache, true, &report, &err), ERR_NONE);
	assert_string_not_equal(report.cache_trouble, "");
	assert_int_equal(rename(moved, folder), 0);
}

/* Puts an entry in the place of a module's own. */
static void plant(struct code_cache *cache, const char *module, const char *code)
{
	AUTO_FD fd = fake_script(module);
	uint8_t hash[32];
	assert_int_equal(content_hash(fd, "m", S("manifest"), hash, NULL), 0);
	AUTO_DRAFT draft = FILE_DRAFT_INIT;
	assert_int_equal(code_cache_begin(cache, &draft, NULL), 0);
	assert_int_equal(write(draft.fd, code, strlen(code)), (ssize_t)strlen(code));
	assert_int_equal(code_cache_store(cache, &draft, hash, RUNNER_WINCH, NULL), 0);
}

static void a_damaged_entry_is_made_again(void **state)
{
	(void)state;
	AUTO(code_cache) *cache = code_cache_open(folder, MIB, NULL);
	struct load_report report;
	struct err err = {0};
	plant(cache, COMPILER GOOD, "hello\nstart\nfailed hash_mismatch damaged_code\nhang\n");
	assert_int_equal(load(COMPILER GOOD, cache, true, &report, &err), ERR_NONE);
	assert_true(report.rebuilt);
	assert_false(report.from_cache);
	err = (struct err){0};
	assert_int_equal(load(COMPILER GOOD, cache, true, &report, &err), ERR_NONE);
	assert_true(report.from_cache);
	assert_false(report.rebuilt);
}

static void what_is_damaged_twice_is_an_error(void **state)
{
	(void)state;
	AUTO(code_cache) *cache = code_cache_open(folder, MIB, NULL);
	struct load_report report;
	struct err err = {0};
	assert_int_equal(load(COMPILER "emit hello|start|failed hash_mismatch damaged_code|hang|\ncompiled\n", cache,
			      true, &report, &err),
			 ERR_HASH_MISMATCH);
}

/* Any other failure leaves the entry where it is. */
static void failures_to_load_keep_their_class(void **state)
{
	(void)state;
	AUTO(code_cache) *cache = code_cache_open(folder, MIB, NULL);
	struct load_report report;
	struct err err = {0};
	static const char module[] =
		COMPILER "emit hello|start|failed connector_load_failed missing_import|hang|\ncompiled\n";
	assert_int_equal(load(module, cache, true, &report, &err), ERR_CONNECTOR_LOAD_FAILED);
	assert_non_null(strstr(err.details, "\"reason\":\"missing_import\""));
	assert_int_equal(load(module, cache, true, &report, &err), ERR_CONNECTOR_LOAD_FAILED);
	assert_true(report.from_cache);
}

/* --------------------------------------------------------------------------------------------------------- compiling */

static enum err_class compile(const char *script, int cancel_fd, struct err *err)
{
	AUTO_FD module = fake_script(script);
	AUTO_FD output = memfd_create("output", MFD_CLOEXEC);
	struct compile_spec spec = {
		.program = "/proc/self/exe",
		.module_fd = module,
		.output_fd = output,
		.strategy = RUNNER_WINCH,
		.cancel_fd = cancel_fd,
	};
	struct runner_compiled compiled;
	bool refused;
	return compile_confined(&spec, &compiled, &refused, err) == 0 ? ERR_NONE : err->class;
}

static void how_a_compiler_fails(void **state)
{
	(void)state;
	static const struct {
		const char *script;
		enum err_class class;
		const char *details;
	} rows[] = {
		{COMPILER GOOD, ERR_NONE, NULL},
		{COMPILER "failed connector_load_failed invalid_module", ERR_CONNECTOR_LOAD_FAILED,
		 "\"reason\":\"invalid_module\""},
		{COMPILER "failed resource_limit_exceeded x", ERR_RESOURCE_LIMIT_EXCEEDED, ""},
		{COMPILER "failed capability_denied x", ERR_SYSTEM, NULL}, /* not a compiler's to say */
		{COMPILER "quit 86", ERR_RESOURCE_LIMIT_EXCEEDED, "\"limit\":\"compile\",\"configured\":\"2GiB\""},
		{COMPILER "quit 1", ERR_CONNECTOR_LOAD_FAILED, "\"reason\":\"invalid_module\""},
		{COMPILER "die 9", ERR_CONNECTOR_LOAD_FAILED, NULL}, /* the fake is init of its namespace: it exits */
		{"quit 1", ERR_CONNECTOR_LOAD_FAILED, NULL},
		{"hello-open\nhang", ERR_UNCONFINED, NULL},
		{COMPILER "raw 4 0 8\nhang", ERR_PROTOCOL, NULL},
		{COMPILER "raw 2 0 3\nhang", ERR_PROTOCOL, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = {0};
		enum err_class got = compile(rows[i].script, -1, &err);
		if (got != rows[i].class)
			fail_msg("%s\ngave %s: %s", rows[i].script, got == ERR_NONE ? "nothing" : err_row(got)->name,
				 err.message);
		if (rows[i].details != NULL && strstr(err.details, rows[i].details) == NULL)
			fail_msg("%s\nhas the details %s", rows[i].script, err.details);
	}
}

static void compiling_can_be_cancelled(void **state)
{
	(void)state;
	AUTO_FD cancel = eventfd(1, EFD_CLOEXEC);
	struct err err = {0};
	assert_int_equal(compile(COMPILER "hang", cancel, &err), ERR_CANCELLED);
}

#define LOAD_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(int argc, char **argv)
{
	fake_main(argc, argv);
	const struct CMUnitTest tests[] = {
		LOAD_TEST(code_is_compiled_once),
		LOAD_TEST(optimised_code_is_preferred_and_can_be_demanded),
		LOAD_TEST(what_the_baseline_compiler_cannot_do_the_other_one_does),
		LOAD_TEST(without_a_cache_code_lives_in_memory),
		LOAD_TEST(a_damaged_entry_is_made_again),
		LOAD_TEST(what_is_damaged_twice_is_an_error),
		LOAD_TEST(failures_to_load_keep_their_class),
		cmocka_unit_test(how_a_compiler_fails),
		cmocka_unit_test(compiling_can_be_cancelled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
