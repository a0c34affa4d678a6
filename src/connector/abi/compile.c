#include "connector/abi/compile.h"
#include "base/limits.h"
#include "base/time.h"
#include "connector/engine/engine.h"
#include "connector/prescan.h"
#include <sys/mman.h>
#include <sys/stat.h>

struct mapped {
	void *p;
	size_t n;
};

static void mapped_release(struct mapped *mapped)
{
	if (mapped->p != NULL)
		munmap(mapped->p, mapped->n);
}

static int map_module(int fd, struct mapped *ret, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return fail_errno(err, "cannot look at the module");
	if (st.st_size <= 0)
		return 0; /* the engine says what is wrong with an empty module */
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		return fail_errno(err, "cannot map the module");
	*ret = (struct mapped){p, (size_t)st.st_size};
	return 0;
}

int compile_module(const struct runner_start *start, int in_fd, int out_fd, struct runner_compiled *ret,
		   struct err *err)
{
	uint64_t begin = clock_monotonic_ns(NULL);
	__attribute__((cleanup(mapped_release))) struct mapped module = {0};
	if (map_module(in_fd, &module, err) != 0)
		return -1;
	struct str wasm = module.p != NULL ? str_of(module.p, module.n) : S("");
	if (prescan_module(wasm, err) != 0)
		return -1;

	struct engine_options options = {.strategy = start->strategy};
	AUTO(engine) *engine = engine_new(&options);
	uint64_t n = 0;
	if (engine_compile(engine, wasm, out_fd, &n, err) != 0)
		return -1;
	*ret = (struct runner_compiled){.code_bytes = n, .nanoseconds = clock_monotonic_ns(NULL) - begin};
	return 0;
}
