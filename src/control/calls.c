#include "control/calls.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/time.h"
#include "connector/load.h"
#include "control/calls_private.h"
#include "control/loads.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#define RUNNER_THREADS 8
#define RUNNER_IDLE_NS (300 * TIME_SECOND)
#define RUN_TRIES      3
#define OUTPUT_MAX     (6 * LIMIT_STDOUT + MIB)

/* ------------------------------------------------------------------------------------------------------------ one call */

struct run {
	struct task task;
	const struct calls_spec *spec;
	struct calls_result *ret;
	struct run *next; /* that are running */
	struct call *call;
	bool missing; /* no runner: load one */
	bool ended;
	bool cancel; /* under calls->lock */
};

static void on_log(void *owner, struct str level, struct str message)
{
	struct run *run = owner;
	if (run->spec->log != NULL)
		run->spec->log(run->spec->user, level, message);
}

static void on_trace(void *owner, struct str text, uint64_t nanoseconds)
{
	struct run *run = owner;
	if (run->spec->traced != NULL)
		run->spec->traced(run->spec->user, text, nanoseconds);
}

static int32_t on_audit(void *owner, struct str object)
{
	struct run *run = owner;
	return run->spec->audit != NULL ? run->spec->audit(run->spec->user, object) : 0;
}

static void on_ended(void *owner)
{
	struct run *run = owner;
	run->ended = true;
}

static const struct call_events events = {.log = on_log, .trace = on_trace, .audit = on_audit, .ended = on_ended};

static struct served *find_served(struct calls *calls, const struct runner *runner)
{
	for (size_t i = 0; i < calls->served.n; i++) {
		if (calls->served.items[i].runner == runner)
			return &calls->served.items[i];
	}
	return NULL;
}

static void begin_run(struct calls *calls, struct task *task)
{
	struct run *run = (struct run *)task;
	const struct calls_spec *spec = run->spec;
	struct runner *runner = runner_pool_find(calls->pool, spec->content_hash, clock_monotonic_ns(NULL));
	/* One that has ended meanwhile, and told it on its socket, is as good as none. */
	run->missing = runner == NULL || runner_process(runner, NULL) < 0;
	if (run->missing) {
		calls_finish(calls, task);
		return;
	}
	const struct call_spec call = {
		.op = spec->op,
		.args = spec->args,
		.limits = spec->limits,
		.grant = spec->grant,
		.trace = spec->trace,
		.events = &events,
		.owner = run,
	};
	run->call = call_start(&call, runner, calls->link, &run->ret->error);
	if (run->call == NULL) {
		calls_finish(calls, task);
		return;
	}
	struct served *served = find_served(calls, runner);
	if (served != NULL)
		served->calls++;
	run->next = calls->running;
	calls->running = run;
}

static void conclude_run(struct run *run)
{
	struct calls_result *ret = run->ret;
	const struct err *error = call_error(run->call);
	ret->report = *call_report(run->call);
	ret->ok = error == NULL;
	if (error != NULL)
		ret->error = *error;
	else
		buf_add_str(&ret->output, call_output(run->call));
	call_free(run->call);
}

bool calls_is_one_run(const struct calls *calls)
{
	return calls->running != NULL && calls->running->next == NULL;
}

void calls_tend_runs(struct calls *calls, bool stopping)
{
	for (struct run **at = &calls->running; *at != NULL;) {
		struct run *run = *at;
		pthread_mutex_lock(&calls->lock);
		bool cancel = run->cancel || stopping;
		pthread_mutex_unlock(&calls->lock);
		if (cancel && !run->ended)
			call_cancel(run->call);
		if (!run->ended) {
			at = &run->next;
			continue;
		}
		*at = run->next;
		conclude_run(run);
		calls_finish(calls, &run->task);
	}
}

static void tick_run(struct calls *calls, struct task *task)
{
	struct run *run = (struct run *)task;
	if (run->spec->gone == NULL || !run->spec->gone(run->spec->user))
		return;
	pthread_mutex_lock(&calls->lock);
	run->cancel = true;
	pthread_mutex_unlock(&calls->lock);
	calls_wake(calls);
}

/* ------------------------------------------------------------------------------------------------------------ a runner */

struct add {
	struct task task;
	const struct calls_spec *spec;
	struct runner *runner; /* NULL: only look whether there is one */
	bool found;
	int rc;
	struct err *err;
};

static void forget_served(struct calls *calls, size_t i)
{
	free(calls->served.items[i].connector);
	pthread_mutex_lock(&calls->lock);
	vec_swap_remove(&calls->served, i);
	pthread_mutex_unlock(&calls->lock);
}

/* Any thread. It may end before it is asked: then the call provides another. */
static bool is_served(struct calls *calls, const uint8_t hash[CODE_FILE_HASH])
{
	bool found = false;
	pthread_mutex_lock(&calls->lock);
	for (size_t i = 0; i < calls->served.n && !found; i++)
		found = memcmp(calls->served.items[i].hash, hash, CODE_FILE_HASH) == 0;
	pthread_mutex_unlock(&calls->lock);
	return found;
}

void calls_prune_served(struct calls *calls)
{
	for (size_t i = calls->served.n; i > 0; i--) {
		bool lives = false;
		for (size_t k = 0; !lives && k < runner_pool_count(calls->pool); k++)
			lives = runner_pool_at(calls->pool, k) == calls->served.items[i - 1].runner;
		if (!lives)
			forget_served(calls, i - 1);
	}
}

static void begin_add(struct calls *calls, struct task *task)
{
	struct add *add = (struct add *)task;
	uint64_t now = clock_monotonic_ns(NULL);
	const uint8_t *hash = add->spec->content_hash;
	add->found = runner_pool_find(calls->pool, hash, now) != NULL;
	if (add->runner != NULL && !add->found) {
		add->rc = runner_pool_add(calls->pool, hash, add->runner, now, add->err);
		if (add->rc == 0) {
			calls_prune_served(calls);
			struct served served = {.runner = add->runner};
			memcpy(served.hash, hash, sizeof served.hash);
			served.connector = str_dup(add->spec->manifest->name);
			pthread_mutex_lock(&calls->lock);
			bool pushed = vec_push(&calls->served, served);
			pthread_mutex_unlock(&calls->lock);
			if (!pushed)
				BUG("more runners than the pool holds");
			add->runner = NULL;
		}
	}
	calls_finish(calls, task);
}

/* ------------------------------------------------------------------------------------------------------------ loading */

static struct runner *load(struct calls *calls, const struct calls_spec *spec, int cancel_fd, struct err *err)
{
	struct load_spec load = {
		.launcher = calls->launcher,
		.module_fd = spec->module_fd,
		.module_path = "connector.wasm",
		.manifest_bytes = spec->manifest_bytes,
		.manifest = spec->manifest,
		.cache = calls->cache,
		.baseline = true,
		.pooling = true,
		.threads = RUNNER_THREADS,
		.memory_max = spec->limits.memory,
		.allowed = calls->allowed,
		.cancel_fd = cancel_fd,
	};
	static _Thread_local struct load_report report;
	report = (struct load_report){0};
	AUTO(runner) *runner = load_connector(&load, &report, err);
	if (runner == NULL)
		return NULL;
	if (report.cache_trouble[0] != '\0')
		log_warn("compiled_code_not_kept", log_z("why", report.cache_trouble));
	if (memcmp(report.content_hash, spec->content_hash, CODE_FILE_HASH) != 0) {
		fail(err, ERR_HASH_MISMATCH, "the module of '%.*s' changed while it was being loaded; call again",
		     STR_FMT(spec->manifest->name));
		return NULL;
	}
	return TAKE(runner);
}

/* Gives the pool the runner that `add` has, or looks whether one is there. */
static void look_or_add(struct calls *calls, struct add *add)
{
	calls_task_init(&add->task, begin_add);
	calls_perform(calls, &add->task);
}

static void load_and_add(struct calls *calls, struct add *add, int cancel_fd)
{
	look_or_add(calls, add); /* whose turn ended a moment ago may have loaded it */
	if (add->found)
		return;
	add->runner = load(calls, add->spec, cancel_fd, add->err);
	add->rc = add->runner == NULL ? -1 : 0;
	if (add->rc == 0)
		look_or_add(calls, add);
	runner_free(TAKE(add->runner));
}

static int provide(struct calls *calls, const struct calls_spec *spec, struct err *err)
{
	struct add add = {.spec = spec, .err = err};
	struct load_turn turn = {.content_hash = spec->content_hash, .gone = spec->gone, .user = spec->user};
	for (;;) {
		look_or_add(calls, &add);
		if (add.found)
			return 0;
		int mine = loads_enter(calls->loads, &turn, err);
		if (mine < 0)
			return -1;
		if (mine > 0)
			break;
	}
	calls_wake(calls); /* it asks from now on whether somebody has gone */
	load_and_add(calls, &add, turn.cancel_fd);
	loads_leave(calls->loads, &turn);
	return add.rc;
}

int calls_prepare(struct calls *calls, const struct calls_spec *spec, struct err *err)
{
	return is_served(calls, spec->content_hash) ? 0 : provide(calls, spec, err);
}

void calls_run(struct calls *calls, const struct calls_spec *spec, struct calls_result *ret)
{
	ret->ok = false;
	err_clear(&ret->error);
	buf_init(&ret->output, OUTPUT_MAX);
	ret->report = (struct call_report){0};
	ret->warm = true;
	/* A runner may end between being provided and being used; when it does so each time it is the connector's fault. */
	for (int tries = 1; tries <= RUN_TRIES; tries++) {
		struct run run = {.spec = spec, .ret = ret};
		calls_task_init(&run.task, begin_run);
		run.task.tick = tick_run;
		calls_perform(calls, &run.task);
		if (!run.missing)
			return;
		ret->warm = false;
		if (tries < RUN_TRIES && provide(calls, spec, &ret->error) < 0)
			return;
	}
	fail(&ret->error, ERR_CONNECTOR_RUNTIME_ERROR, "the runner of '%.*s' ends before it is used",
	     STR_FMT(spec->manifest->name));
}

/* -------------------------------------------------------------------------------------------------------------- status */

struct listing {
	struct task task;
	struct arena *arena;
	struct calls_runner *items;
	size_t n;
};

static void begin_listing(struct calls *calls, struct task *task)
{
	struct listing *listing = (struct listing *)task;
	calls_process_runners(calls); /* some may have ended since somebody looked */
	(void)runner_pool_expire(calls->pool, clock_monotonic_ns(NULL));
	calls_prune_served(calls);
	listing->items = arena_array(listing->arena, calls->served.n + 1, sizeof *listing->items);
	for (size_t i = 0; i < calls->served.n; i++) {
		const struct served *served = &calls->served.items[i];
		const struct confine_report *proof = runner_proof(served->runner);
		AUTO_BUF hash = BUF_INIT(128);
		hex_encode(&hash, str_of(served->hash, sizeof served->hash));
		struct calls_runner *item = &listing->items[listing->n++];
		item->pid = runner_pid(served->runner);
		item->calls = served->calls;
		item->connector = arena_str(listing->arena, str_from(served->connector));
		item->content_hash = arena_printf(listing->arena, "sha256:%s", hash.p);
		if (proof != NULL) {
			struct confine_report *copy = ARENA_NEW(listing->arena, struct confine_report);
			*copy = *proof;
			item->proof = copy;
		}
	}
	calls_finish(calls, task);
}

size_t calls_list_runners(struct calls *calls, struct arena *arena, struct calls_runner **ret)
{
	struct listing listing = {.arena = arena};
	calls_task_init(&listing.task, begin_listing);
	calls_perform(calls, &listing.task);
	*ret = listing.items;
	return listing.n;
}

/* ----------------------------------------------------------------------------------------------------------- life cycle */

static void release(struct calls *calls)
{
	runner_pool_free(calls->pool);
	egress_link_free(calls->link);
	code_cache_free(calls->cache);
	while (calls->served.n > 0)
		forget_served(calls, 0);
	vec_release(&calls->served);
	if (calls->egress_fd >= 0)
		close(calls->egress_fd);
	if (calls->wake_fd >= 0)
		close(calls->wake_fd);
	if (calls->thread_fd >= 0)
		close(calls->thread_fd);
	pthread_mutex_destroy(&calls->lock);
	loads_free(calls->loads);
	free(calls);
}

struct calls *calls_new(const struct peer_launcher *launcher, const char *cache, struct str allowed, struct err *err)
{
	struct calls *calls = NEW(struct calls);
	struct egress_link_spec link = {.ca_fd = -1, .foreign = true};
	calls->launcher = launcher;
	calls->allowed = allowed;
	calls->loads = loads_new();
	calls->last = &calls->first;
	calls->egress_fd = -1;
	calls->served.cap = CALLS_RUNNERS_MAX;
	pthread_mutex_init(&calls->lock, NULL);
	calls->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	calls->thread_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	calls->cache = code_cache_open(cache, CODE_CACHE_MAX, err);
	calls->pool = runner_pool_new(CALLS_RUNNERS_MAX, RUNNER_IDLE_NS);
	calls->link = egress_link_new(&link);
	if (calls->cache == NULL || calls->wake_fd < 0 || calls->thread_fd < 0) {
		int rc = calls->cache == NULL ? wrap(err, "opening the cache of compiled code")
					      : fail_errno(err, "cannot make an event descriptor");
		release(calls);
		(void)rc;
		return NULL;
	}
	int failed = pthread_create(&calls->thread, NULL, calls_thread, calls);
	if (failed != 0) {
		errno = failed;
		(void)fail_errno(err, "cannot start the thread of calls");
		release(calls);
		return NULL;
	}
	return calls;
}

void calls_free(struct calls *calls)
{
	if (calls == NULL)
		return;
	pthread_mutex_lock(&calls->lock);
	calls->stopping = true;
	pthread_mutex_unlock(&calls->lock);
	calls_wake(calls);
	pthread_join(calls->thread, NULL);
	release(calls);
}

void calls_attach_egress(struct calls *calls, int fd)
{
	pthread_mutex_lock(&calls->lock);
	int old = calls->egress_fd;
	calls->egress_fd = fd;
	pthread_mutex_unlock(&calls->lock);
	if (old >= 0)
		close(old);
	calls_wake(calls);
}
