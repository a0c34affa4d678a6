#include "control/calls.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/time.h"
#include "base/vec.h"
#include "base/wait.h"
#include "connector/load.h"
#include "connector/runner_pool.h"
#include "control/loads.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#define RUNNERS_MAX    32
#define RUNNER_THREADS 8
#define RUNNER_IDLE_NS (300 * TIME_SECOND)
#define GONE_POLL_NS   (250 * TIME_MILLISECOND) /* how often a waiting worker asks whether its client is still there */
#define RUN_TRIES      3
#define OUTPUT_MAX     (6 * LIMIT_STDOUT + MIB)

/*
 * The pool of runners and the link to egress are driven by one thread at a time: it leads. Whoever waits for a task leads when
 * nobody does, until that is done, so that a call alone pays for no switch of threads; then one of the others that wait does.
 * While nobody waits, the thread sees to what has its time, in a moment of leading.
 */

/* What a worker hands over and waits for; it lies on the worker's stack. */
struct task {
	struct task *next;
	struct task *next_awaited;
	void (*begin)(struct calls *calls, struct task *task);
	/* Every quarter of a second, without the lock; may be NULL. */
	void (*tick)(struct calls *calls, struct task *task);
	bool done;
	pthread_cond_t wake;
};

/* A runner of the pool, by name. */
struct served {
	const struct runner *runner;
	uint8_t hash[CODE_FILE_HASH];
	char *connector;
	uint64_t calls;
};

struct calls {
	const struct peer_launcher *launcher;
	struct code_cache *cache;
	struct str allowed; /* boundaries that the user goes without */
	struct loads *loads;
	pthread_t thread;
	int wake_fd, thread_fd; /* of who leads; of the thread */

	pthread_mutex_t lock; /* of what follows */
	struct task *first, **last;
	struct task *awaited; /* by somebody who does not lead */
	bool led;
	uint64_t thread_until; /* when the thread looks by itself */
	int egress_fd;         /* to be attached; -1 = none */
	bool stopping;
	VEC(struct served) served; /* changed by who leads alone */

	/* of who leads */
	struct runner_pool *pool;
	struct egress_link *link;
	struct run *running;
	uint64_t due; /* when there is something to do by the clock */
};

/* -------------------------------------------------------------------------------------------------- between the threads */

static void ring(int fd)
{
	const uint64_t one = 1;
	while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

/* Who leads looks again, and the thread, should that one have had its last look. */
static void wake(struct calls *calls)
{
	ring(calls->wake_fd);
	ring(calls->thread_fd);
}

static void task_init(struct task *task, void (*begin)(struct calls *, struct task *))
{
	*task = (struct task){.begin = begin};
	wait_init(&task->wake);
}

/* Under the lock. */
static void leave_awaited(struct calls *calls, const struct task *task)
{
	for (struct task **at = &calls->awaited; *at != NULL; at = &(*at)->next_awaited) {
		if (*at == task) {
			*at = task->next_awaited;
			return;
		}
	}
}

/* By who leads. The task is its worker's again, and may be gone at once. */
static void finish(struct calls *calls, struct task *task)
{
	pthread_mutex_lock(&calls->lock);
	task->done = true;
	leave_awaited(calls, task);
	pthread_cond_signal(&task->wake);
	pthread_mutex_unlock(&calls->lock);
}

/* Under the lock: one of those who wait leads on. */
static void pass_on(struct calls *calls)
{
	calls->led = false;
	if (calls->awaited != NULL)
		pthread_cond_signal(&calls->awaited->wake);
}

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
		finish(calls, task);
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
		finish(calls, task);
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

/* Gives back the runs that have ended, and cancels those whose worker asks for it. */
static void tend_runs(struct calls *calls, bool stopping)
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
		finish(calls, &run->task);
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
	wake(calls);
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

/* What the pool has ended meanwhile is served no more. */
static void prune_served(struct calls *calls)
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
			prune_served(calls);
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
	finish(calls, task);
}

/* ------------------------------------------------------------------------------------------------------------- leading */

static int until(uint64_t deadline)
{
	if (deadline == UINT64_MAX)
		return -1;
	uint64_t now = clock_monotonic_ns(NULL);
	uint64_t left = deadline > now ? (deadline - now + MS - 1) / MS : 0;
	return (int)MIN(left, UINT64_C(3600000));
}

static void wait_for_something(struct calls *calls, uint64_t deadline)
{
	struct pollfd fds[RUNNERS_MAX + 2];
	size_t n = 0;
	fds[n++] = (struct pollfd){.fd = calls->wake_fd, .events = POLLIN};
	fds[n++] = (struct pollfd){.fd = egress_link_fd(calls->link), .events = egress_link_events(calls->link)};
	deadline = MIN(deadline, egress_link_deadline(calls->link));
	for (size_t i = 0; i < runner_pool_count(calls->pool) && n < ARRAY_LEN(fds); i++) {
		const struct runner *runner = runner_pool_at(calls->pool, i);
		fds[n++] = (struct pollfd){.fd = runner_fd(runner), .events = runner_events(runner)};
		deadline = MIN(deadline, runner_deadline(runner));
	}
	(void)poll(fds, n, until(deadline));
	uint64_t count;
	if (fds[0].revents != 0)
		(void)!read(calls->wake_fd, &count, sizeof count);
}

static void attach_egress(struct calls *calls, int fd)
{
	struct err err = {0};
	if (egress_link_attach(calls->link, fd, &err) < 0)
		log_error("egress_not_attached", log_err(&err));
}

/* Takes over what workers handed in. True when all is to end. */
static bool take_tasks(struct calls *calls)
{
	pthread_mutex_lock(&calls->lock);
	struct task *task = TAKE(calls->first);
	calls->last = &calls->first;
	int egress = TAKE_FD(calls->egress_fd);
	bool stopping = calls->stopping;
	pthread_mutex_unlock(&calls->lock);
	if (egress >= 0)
		attach_egress(calls, egress);
	while (task != NULL) {
		struct task *next = task->next;
		task->begin(calls, task);
		task = next;
	}
	return stopping;
}

static void process_runners(struct calls *calls)
{
	for (size_t i = 0; i < runner_pool_count(calls->pool); i++)
		(void)runner_process(runner_pool_at(calls->pool, i), NULL);
}

/* What there is to do now. */
static void look_round(struct calls *calls)
{
	bool stopping = take_tasks(calls);
	egress_link_process(calls->link);
	process_runners(calls);
	tend_runs(calls, stopping);
	uint64_t now = clock_monotonic_ns(NULL);
	calls->due = MIN(runner_pool_expire(calls->pool, now), egress_link_deadline(calls->link));
	if (runner_pool_count(calls->pool) != calls->served.n)
		prune_served(calls);
	if (loads_tend(calls->loads))
		calls->due = MIN(calls->due, now + LOADS_POLL_NS);
}

/* Under the lock, which is let go of meanwhile: until the task is done. */
static void lead(struct calls *calls, struct task *task)
{
	calls->led = true;
	pthread_mutex_unlock(&calls->lock);
	uint64_t poll_ns = clock_monotonic_ns(NULL) + GONE_POLL_NS;
	for (;;) {
		look_round(calls);
		if (task->done) /* by us alone, now */
			break;
		wait_for_something(calls, task->tick != NULL ? MIN(poll_ns, calls->due) : calls->due);
		if (task->tick != NULL && clock_monotonic_ns(NULL) >= poll_ns) {
			task->tick(calls, task);
			poll_ns = clock_monotonic_ns(NULL) + GONE_POLL_NS;
		}
	}
	pthread_mutex_lock(&calls->lock);
	pass_on(calls);
	/* Who waits sees to everything; when nobody does, the thread. */
	if (calls->awaited == NULL && (calls->due < calls->thread_until || calls->egress_fd >= 0 || calls->stopping))
		ring(calls->thread_fd);
}

/* Under the lock: until it is done, or its turn to lead may have come. */
static void follow(struct calls *calls, struct task *task)
{
	uint64_t poll_ns = task->tick != NULL ? clock_monotonic_ns(NULL) + GONE_POLL_NS : UINT64_MAX;
	task->next_awaited = calls->awaited;
	calls->awaited = task;
	while (!task->done && calls->led) {
		if (wait_until(&task->wake, &calls->lock, poll_ns) || task->done)
			continue;
		pthread_mutex_unlock(&calls->lock);
		task->tick(calls, task);
		pthread_mutex_lock(&calls->lock);
		poll_ns = clock_monotonic_ns(NULL) + GONE_POLL_NS;
	}
	leave_awaited(calls, task);
}

/* Hands it over and waits until it is done. */
static void perform(struct calls *calls, struct task *task)
{
	pthread_mutex_lock(&calls->lock);
	*calls->last = task;
	calls->last = &task->next;
	if (calls->led)
		ring(calls->wake_fd);
	while (!task->done) {
		if (calls->led)
			follow(calls, task);
		else
			lead(calls, task);
	}
	pthread_mutex_unlock(&calls->lock);
	pthread_cond_destroy(&task->wake);
}

/* Looks when it is rung for and when it is time, until all is to end and nobody waits for anything. */
static void *thread_main(void *user)
{
	struct calls *calls = user;
	pthread_mutex_lock(&calls->lock);
	for (;;) {
		calls->thread_until = UINT64_MAX; /* the last who leads rings */
		if (!calls->led) {
			calls->led = true;
			pthread_mutex_unlock(&calls->lock);
			look_round(calls);
			pthread_mutex_lock(&calls->lock);
			calls->thread_until = calls->due;
			pass_on(calls);
			if (calls->stopping && calls->awaited == NULL && calls->running == NULL)
				break;
			if (calls->egress_fd >= 0) /* came after the look */
				continue;
		}
		struct pollfd bell = {.fd = calls->thread_fd, .events = POLLIN};
		uint64_t count, until_ns = calls->thread_until;
		pthread_mutex_unlock(&calls->lock);
		(void)poll(&bell, 1, until(until_ns));
		(void)!read(calls->thread_fd, &count, sizeof count);
		pthread_mutex_lock(&calls->lock);
	}
	pthread_mutex_unlock(&calls->lock);
	return NULL;
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
	task_init(&add->task, begin_add);
	perform(calls, &add->task);
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
	wake(calls); /* it asks from now on whether somebody has gone */
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
		task_init(&run.task, begin_run);
		run.task.tick = tick_run;
		perform(calls, &run.task);
		if (!run.missing)
			return;
		ret->warm = false;
		if (tries < RUN_TRIES && provide(calls, spec, &ret->error) < 0)
			return;
	}
	fail(&ret->error, ERR_CONNECTOR_RUNTIME_ERROR, "the runner of '%.*s' ends before it is used",
	     STR_FMT(spec->manifest->name));
}

/* ------------------------------------------------------------------------------------------------------------- errands */

struct errand {
	struct task task;
	struct calls *calls;
	const struct egress_oauth *oauth;
	const struct egress_post *post;
	struct arena *arena;
	struct egress_oauth_result *ret_oauth;
	struct err *err;
	int rc;
	int status;
};

static void on_oauth(void *owner, const struct egress_oauth_result *result)
{
	struct errand *errand = owner;
	struct arena *arena = errand->arena;
	struct egress_oauth_result *ret = errand->ret_oauth;
	*ret = *result;
	ret->scope = arena_str(arena, result->scope);
	ret->user_code = arena_str(arena, result->user_code);
	ret->verification_uri = arena_str(arena, result->verification_uri);
	ret->verification_uri_complete = arena_str(arena, result->verification_uri_complete);
	errand->rc = result->err.class == ERR_NONE ? 0 : -1;
	if (errand->rc < 0 && errand->err != NULL)
		*errand->err = result->err;
	finish(errand->calls, &errand->task);
}

static void on_post(void *owner, const struct egress_result *result)
{
	struct errand *errand = owner;
	errand->rc = result->rc == 0 ? 0 : -1;
	errand->status = result->status;
	if (errand->rc < 0 && errand->err != NULL)
		*errand->err = result->err;
	finish(errand->calls, &errand->task);
}

static void begin_errand(struct calls *calls, struct task *task)
{
	struct errand *errand = (struct errand *)task;
	if (errand->oauth != NULL)
		egress_link_oauth(calls->link, errand->oauth, on_oauth, errand);
	else
		egress_link_post(calls->link, errand->post, on_post, errand);
}

int calls_oauth(struct calls *calls, const struct egress_oauth *request, struct arena *arena,
		struct egress_oauth_result *ret, struct err *err)
{
	struct errand errand = {.calls = calls, .oauth = request, .arena = arena, .ret_oauth = ret, .err = err};
	task_init(&errand.task, begin_errand);
	perform(calls, &errand.task);
	return errand.rc;
}

int calls_post(struct calls *calls, const struct egress_post *request, int *ret_status, struct err *err)
{
	struct errand errand = {.calls = calls, .post = request, .err = err};
	task_init(&errand.task, begin_errand);
	perform(calls, &errand.task);
	if (errand.rc == 0)
		*ret_status = errand.status;
	return errand.rc;
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
	process_runners(calls); /* some may have ended since somebody looked */
	(void)runner_pool_expire(calls->pool, clock_monotonic_ns(NULL));
	prune_served(calls);
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
	finish(calls, task);
}

size_t calls_list_runners(struct calls *calls, struct arena *arena, struct calls_runner **ret)
{
	struct listing listing = {.arena = arena};
	task_init(&listing.task, begin_listing);
	perform(calls, &listing.task);
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
	calls->served.cap = RUNNERS_MAX;
	pthread_mutex_init(&calls->lock, NULL);
	calls->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	calls->thread_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	calls->cache = code_cache_open(cache, CODE_CACHE_MAX, err);
	calls->pool = runner_pool_new(RUNNERS_MAX, RUNNER_IDLE_NS);
	calls->link = egress_link_new(&link);
	if (calls->cache == NULL || calls->wake_fd < 0 || calls->thread_fd < 0) {
		int rc = calls->cache == NULL ? wrap(err, "opening the cache of compiled code")
					      : fail_errno(err, "cannot make an event descriptor");
		release(calls);
		(void)rc;
		return NULL;
	}
	int failed = pthread_create(&calls->thread, NULL, thread_main, calls);
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
	ring(calls->wake_fd);
	ring(calls->thread_fd);
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
	wake(calls);
}
