#include "connector/engine/program.h"
#include "base/limits.h"
#include "connector/engine/engine_private.h"
#include "connector/engine/failure.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static struct str name_str(const wasm_name_t *name)
{
	return str_of(name->data, name->size);
}

/* ---- loading ---- */

#if AILERON_WASMTIME_EXTRAS
static wasmtime_error_t *map_code(struct engine *engine, int fd, wasmtime_module_t **ret)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0)
		return wasmtime_error_new("the descriptor of the code cannot be duplicated");
	return aileron_wasmtime_load(engine->wasm, own, ret);
}
#else
/* Without our extra the code is copied, since the C API opens files only by their path. */
static wasmtime_error_t *map_code(struct engine *engine, int fd, wasmtime_module_t **ret)
{
	struct stat st;
	if (fstat(fd, &st) != 0 || st.st_size <= 0)
		return wasmtime_error_new("the code cannot be looked at");
	size_t n = (size_t)st.st_size;
	void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return wasmtime_error_new("the code cannot be mapped");
	wasmtime_error_t *error = wasmtime_module_deserialize(engine->wasm, p, n, ret);
	munmap(p, n);
	return error;
}
#endif

static wasm_valkind_t kind_of(char letter)
{
	return letter == 'I' ? WASM_I64 : WASM_I32;
}

static bool same_type(const struct host_function *function, const wasm_functype_t *type)
{
	const wasm_valtype_vec_t *params = wasm_functype_params(type);
	const wasm_valtype_vec_t *results = wasm_functype_results(type);
	if (params->size != strlen(function->params) || results->size != (function->returns ? 1 : 0))
		return false;
	for (size_t i = 0; i < params->size; i++) {
		if (wasm_valtype_kind(params->data[i]) != kind_of(function->params[i]))
			return false;
	}
	return !function->returns || wasm_valtype_kind(results->data[0]) == WASM_I32;
}

static const struct host_module *find_module(const struct host_module *modules, struct str name)
{
	for (const struct host_module *m = modules; m->name != NULL; m++) {
		if (str_eq(str_from(m->name), name))
			return m;
	}
	return NULL;
}

static const struct host_function *find_function(const struct host_module *module, struct str name)
{
	for (const struct host_function *f = module->functions; f->name != NULL; f++) {
		if (str_eq(str_from(f->name), name))
			return f;
	}
	return NULL;
}

static int refuse_import(const char *reason, struct str module, struct str name, const char *why, struct err *err)
{
	AUTO_BUF path = BUF_INIT(1 * KIB);
	buf_add_str(&path, str_slice(module, 0, 255));
	buf_add_char(&path, '.');
	buf_add_str(&path, str_slice(name, 0, 255));
	fail(err, ERR_CONNECTOR_LOAD_FAILED, "the module imports '%s', %s", path.p, why);
	err_detail(err, "reason", str_from(reason));
	err_detail(err, "import", buf_str(&path));
	return -1;
}

static int check_import(const struct host_module *modules, const wasm_importtype_t *import, struct err *err)
{
	struct str module = name_str(wasm_importtype_module(import)), name = name_str(wasm_importtype_name(import));
	const struct host_module *host = find_module(modules, module);
	if (host == NULL)
		return refuse_import("missing_import", module, name, "but no module of that name is offered", err);
	const struct host_function *function = find_function(host, name);
	if (function == NULL)
		return refuse_import("missing_import", module, name, "which does not exist", err);
	const wasm_externtype_t *type = wasm_importtype_type(import);
	if (wasm_externtype_kind(type) != WASM_EXTERN_FUNC)
		return refuse_import("signature_mismatch", module, name, "not as the function that it is", err);
	if (!same_type(function, wasm_externtype_as_functype_const(type)))
		return refuse_import("signature_mismatch", module, name, "with other parameters or results than it has",
				     err);
	return 0;
}

static int check_imports(const struct program *program, struct err *err)
{
	for (size_t i = 0; i < program->imports.size; i++) {
		if (check_import(program->modules, program->imports.data[i], err) != 0)
			return -1;
	}
	return 0;
}

static int check_start(const wasm_externtype_t *type, struct program *program, struct err *err)
{
	if (wasm_externtype_kind(type) != WASM_EXTERN_FUNC)
		return 0;
	const wasm_functype_t *function = wasm_externtype_as_functype_const(type);
	if (wasm_functype_params(function)->size != 0 || wasm_functype_results(function)->size != 0) {
		fail(err, ERR_CONNECTOR_LOAD_FAILED, "the module's '_start' takes parameters or gives results");
		err_detail(err, "reason", S("signature_mismatch"));
		err_detail(err, "export", S("_start"));
		return -1;
	}
	program->has_start = true;
	return 0;
}

static int check_exports(struct program *program, struct err *err)
{
	wasm_exporttype_vec_t exports;
	wasmtime_module_exports(program->module, &exports);
	int result = 0;
	for (size_t i = 0; i < exports.size && result == 0; i++) {
		struct str name = name_str(wasm_exporttype_name(exports.data[i]));
		const wasm_externtype_t *type = wasm_exporttype_type(exports.data[i]);
		if (str_eq(name, S("_start")))
			result = check_start(type, program, err);
		else if (str_eq(name, S("memory")) && wasm_externtype_kind(type) == WASM_EXTERN_MEMORY)
			program->memory_at_start =
				64 * KIB * wasmtime_memorytype_minimum(wasm_externtype_as_memorytype_const(type));
	}
	wasm_exporttype_vec_delete(&exports);
	return result;
}

/* ---- linking ---- */

static wasm_functype_t *type_of(const struct host_function *function)
{
	wasm_valtype_t *params[HOST_PARAMS_MAX], *results[1] = {wasm_valtype_new(WASM_I32)};
	size_t n = strlen(function->params);
	if (n > HOST_PARAMS_MAX)
		BUG("'%s' has %zu parameters", function->name, n);
	for (size_t i = 0; i < n; i++)
		params[i] = wasm_valtype_new(kind_of(function->params[i]));
	wasm_valtype_vec_t in, out;
	wasm_valtype_vec_new(&in, n, params);
	wasm_valtype_vec_new(&out, function->returns ? 1 : 0, results);
	if (!function->returns)
		wasm_valtype_delete(results[0]);
	return wasm_functype_new(&in, &out);
}

/* The linker keeps the row as a plain pointer and only reads it. */
static void *row_pointer(const struct host_function *function)
{
	union {
		const void *in;
		void *out;
	} pointer = {.in = function};
	return pointer.out;
}

static wasmtime_error_t *define(wasmtime_linker_t *linker, const struct host_module *module,
				const struct host_function *function)
{
	wasm_functype_t *type = type_of(function);
	wasmtime_error_t *error = wasmtime_linker_define_func_unchecked(linker, module->name, strlen(module->name),
									function->name, strlen(function->name), type,
									guest_enter_host, row_pointer(function), NULL);
	wasm_functype_delete(type);
	return error;
}

/* Defines only what the module imports: all 56 would cost each start of a runner 0.1 ms. */
static wasmtime_error_t *define_imports(wasmtime_linker_t *linker, const struct program *program)
{
	wasmtime_linker_allow_shadowing(linker, true); /* a module may import one function twice */
	for (size_t i = 0; i < program->imports.size; i++) {
		const wasm_importtype_t *import = program->imports.data[i];
		const struct host_module *module =
			find_module(program->modules, name_str(wasm_importtype_module(import)));
		if (module == NULL)
			BUG("an import was not checked");
		const struct host_function *function = find_function(module, name_str(wasm_importtype_name(import)));
		if (function == NULL)
			BUG("an import was not checked");
		wasmtime_error_t *error = define(linker, module, function);
		if (error != NULL)
			return error;
	}
	return NULL;
}

static int link_program(struct program *program, struct err *err)
{
	wasmtime_linker_t *linker = wasmtime_linker_new(program->engine->wasm);
	wasmtime_error_t *error = define_imports(linker, program);
	if (error == NULL)
		error = wasmtime_linker_instantiate_pre(linker, program->module, &program->ready);
	wasmtime_linker_delete(linker);
	return error == NULL ? 0 : failure_load(err, "instantiation", "cannot link the module", error);
}

struct program *program_load(struct engine *engine, int fd, const struct host_module *modules, struct err *err)
{
	AUTO(program) *program = NEW(struct program);
	program->engine = engine;
	program->modules = modules;
	wasmtime_error_t *error = map_code(engine, fd, &program->module);
	if (error != NULL) {
		AUTO_BUF text = BUF_INIT(FAILURE_TEXT_MAX);
		failure_text(&text, error);
		fail(err, ERR_HASH_MISMATCH, "the engine refuses the compiled code: %.*s", STR_FMT(buf_str(&text)));
		err_detail(err, "reason", S("stale_code"));
		return NULL;
	}
	wasmtime_module_imports(program->module, &program->imports);
	if (check_imports(program, err) != 0 || check_exports(program, err) != 0 || link_program(program, err) != 0)
		return NULL;
	return TAKE(program);
}

void program_free(struct program *program)
{
	if (program == NULL)
		return;
	if (program->ready != NULL)
		wasmtime_instance_pre_delete(program->ready);
	if (program->module != NULL) {
		wasm_importtype_vec_delete(&program->imports);
		wasmtime_module_delete(program->module);
	}
	free(program);
}

static bool is_listed(const struct str *names, uint32_t n, struct str name)
{
	for (uint32_t i = 0; i < n; i++) {
		if (str_eq(names[i], name))
			return true;
	}
	return false;
}

uint32_t program_imports(const struct program *program, const char *module, struct str *ret, uint32_t max)
{
	uint32_t n = 0;
	for (size_t i = 0; i < program->imports.size && n < max; i++) {
		struct str name = name_str(wasm_importtype_name(program->imports.data[i]));
		if (str_eq(name_str(wasm_importtype_module(program->imports.data[i])), str_from(module)) &&
		    !is_listed(ret, n, name))
			ret[n++] = name;
	}
	return n;
}
