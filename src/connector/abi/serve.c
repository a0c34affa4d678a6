#include "connector/abi/serve.h"
#include "base/limits.h"
#include "base/time.h"
#include "base/wait.h"
#include "connector/abi/invocation.h"
#include "connector/abi/host.h"
#include "connector/code_file.h"
#include "text/wire.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Native stack of a thread: what guests may use of it (engine.c) and ample room for the host, sanitizers included. */
#define THREAD_STACK (4 * MIB)

/* How often deadlines are looked at while calls run, and so how late a guest may be stopped. */
#define TICK_NS (2 * TIME_MILLISECOND)

/* The ticker goes to sleep after so many ticks without a call; waking it costs the next call a system call. */
#define IDLE_TICKS 100

/* A call that is expected to take longer than this is worth waking another thread for. */
#define LONG_CALL_NS (50 * TIME_MICROSECOND)

/* About ten microseconds. */
#define LOOKS_AFTER_CALL 30

struct worker {
	struct server *server;
	pthread_t thread;
	struct invocation_link link;
	struct invocation call;

	/* under the server's lock */
	bool runs;   /* a call, from its frame until all of it is cleaned up */
	uint32_t id; /* of the call, until DONE is sent; 0 = none */
	bool leads;
	uint64_t tick; /* when the call began */
	int looks;     /* how often the next receive looks before it sleeps; the thread's own */
};

/* A call that arrived while all threads were busy. */
struct waiting {
	struct waiting *next;
	uint32_t id;
	struct runner_call ask;
	char *body; /* what ask.input lies in */
};

struct server {
	struct rpc_channel *channel;
	struct engine *engine;
	struct program *program;
	uint64_t load_ns;
	uint64_t memory_max;
	uint32_t threads;

	pthread_mutex_t lock; /* guards what follows; a call's own lock is taken inside it */
	pthread_cond_t lead_is_free;
	pthread_cond_t ticker_wakes;
	bool led;
	bool ended;
	struct err error; /* why it ended, when not by an orderly close */
	uint32_t active;  /* calls that run */
	uint32_t idle;    /* threads that wait for the lead */
	struct waiting *first, **last;
	uint32_t n_waiting;
	uint64_t typical_ns; /* running average of a call's time */
	uint64_t ticks;
	bool ticker_sleeps;

	uint32_t n_workers; /* one more than `threads`: somebody always reads */
	struct worker workers[];
};

/* ---- the lead ---- */

/* With the lock held. There is always a thread that takes it: at most `threads` of one more run calls. */
static void free_lead(struct server *server, struct worker *worker)
{
	worker->leads = false;
	server->led = false;
	if (server->idle > 0)
		pthread_cond_signal(&server->lead_is_free);
}

static void before_wait(void *context)
{
	struct worker *worker = context;
	struct server *server = worker->server;
	pthread_mutex_lock(&server->lock);
	if (worker->leads)
		free_lead(server, worker);
	pthread_mutex_unlock(&server->lock);
}

static void before_done(void *context)
{
	struct worker *worker = context;
	pthread_mutex_lock(&worker->server->lock);
	worker->id = 0;
	pthread_mutex_unlock(&worker->server->lock);
}

/* ---- running ---- */

/* With the lock held, which is let go while the guest runs. `body` is consumed. */
static void run_call(struct worker *worker, uint32_t id, const struct runner_call *ask, char *body)
{
	struct server *server = worker->server;
	server->active++;
	worker->runs = true;
	worker->id = id;
	worker->tick = server->ticks;
	invocation_begin(&worker->call, id, ask);
	if (worker->leads && server->typical_ns > LONG_CALL_NS)
		free_lead(server, worker);
	if (server->ticker_sleeps)
		pthread_cond_signal(&server->ticker_wakes);
	pthread_mutex_unlock(&server->lock);

	uint64_t ns = invocation_run(&worker->call, server->program);
	free(body);

	pthread_mutex_lock(&server->lock);
	worker->runs = false;
	server->active--;
	server->typical_ns = (server->typical_ns * 7 + ns) / 8;
	worker->looks = server->typical_ns < LONG_CALL_NS ? LOOKS_AFTER_CALL : 0;
}

/* ---- waiting calls ---- */

static void send_cancelled(struct server *server, uint32_t id)
{
	struct runner_done done = {.end = RUNNER_END_CANCELLED};
	AUTO_BUF head = BUF_INIT(1 * KIB);
	runner_done_put_head(&head, &done);
	struct str part = buf_str(&head);
	(void)!rpc_send(server->channel, RUNNER_DONE, id, &part, 1, NULL);
}

static struct waiting *unqueue(struct server *server, struct waiting **at)
{
	struct waiting *waiting = *at;
	*at = waiting->next;
	if (*at == NULL)
		server->last = at;
	server->n_waiting--;
	return waiting;
}

static void waiting_free(struct waiting *waiting)
{
	free(waiting->body);
	free(waiting);
}

static void run_waiting(struct worker *worker)
{
	struct server *server = worker->server;
	struct waiting *waiting = unqueue(server, &server->first);
	if (!server->led && server->idle > 0)
		pthread_cond_signal(&server->lead_is_free);
	run_call(worker, waiting->id, &waiting->ask, TAKE(waiting->body));
	waiting_free(waiting);
}

static int queue(struct server *server, uint32_t id, const struct runner_call *ask, char *body, struct err *err)
{
	if (server->n_waiting == RUNNER_WAITING_MAX) {
		free(body);
		return fail(err, ERR_PROTOCOL, "more than %d calls wait", RUNNER_WAITING_MAX);
	}
	struct waiting *waiting = NEW(struct waiting);
	*waiting = (struct waiting){.id = id, .ask = *ask, .body = body};
	*server->last = waiting;
	server->last = &waiting->next;
	server->n_waiting++;
	return 0;
}

/* ---- frames ---- */

static struct worker *worker_of(struct server *server, uint32_t id)
{
	for (uint32_t i = 0; i < server->n_workers; i++) {
		if (server->workers[i].id == id)
			return &server->workers[i];
	}
	return NULL;
}

static int take_call(struct worker *worker, struct rpc_frame *frame, struct err *err)
{
	struct server *server = worker->server;
	struct runner_call ask;
	if (frame->id == 0)
		return fail(err, ERR_PROTOCOL, "a call has no id");
	char *body = rpc_take_body(server->channel, frame);
	if (runner_call_get(frame->body, &ask, err) != 0) {
		free(body);
		return -1;
	}
	ask.memory_bytes = MIN(ask.memory_bytes, server->memory_max);
	if (server->active == server->threads)
		return queue(server, frame->id, &ask, body, err);
	run_call(worker, frame->id, &ask, body);
	return 0;
}

static int take_answer(struct server *server, struct rpc_frame *frame, struct err *err)
{
	bool http = frame->type == RUNNER_HTTP_RESULT;
	struct invocation_answer answer = {.type = frame->type, .memory = rpc_take_body(server->channel, frame)};
	struct wire_reader r = wire_reader(frame->body);
	answer.rc = wire_i32(&r);
	if (http) {
		answer.status = wire_i32(&r);
		answer.body = wire_str(&r);
	}
	if (wire_done(&r, "answer of the parent", err) != 0) {
		free(answer.memory);
		return -1;
	}
	struct worker *worker = worker_of(server, frame->id);
	if (worker != NULL)
		invocation_deliver(&worker->call, &answer);
	else
		free(answer.memory); /* the call has ended meanwhile */
	return 0;
}

static void cancel(struct server *server, uint32_t id)
{
	for (struct waiting **at = &server->first; *at != NULL; at = &(*at)->next) {
		if ((*at)->id == id) {
			waiting_free(unqueue(server, at));
			send_cancelled(server, id);
			return;
		}
	}
	struct worker *worker = id != 0 ? worker_of(server, id) : NULL;
	if (worker != NULL) {
		invocation_cancel(&worker->call);
		engine_interrupt(server->engine);
	}
}

static int take_frame(struct worker *worker, struct rpc_frame *frame, struct err *err)
{
	switch (frame->type) {
	case RUNNER_CALL:
		return take_call(worker, frame, err);
	case RUNNER_HTTP_RESULT:
	case RUNNER_SPAWN_RESULT:
	case RUNNER_AUDIT_RESULT:
		return take_answer(worker->server, frame, err);
	case RUNNER_CANCEL:
		cancel(worker->server, frame->id);
		return 0;
	default:
		return fail(err, ERR_PROTOCOL, "message type %u has no place here", frame->type);
	}
}

/* With the lock held: nobody reads any more, so no running call can be answered. */
static void end(struct server *server, const struct err *why)
{
	server->ended = true;
	if (why != NULL)
		server->error = *why;
	for (uint32_t i = 0; i < server->n_workers; i++) {
		if (server->workers[i].id != 0)
			invocation_cancel(&server->workers[i].call);
	}
	engine_interrupt(server->engine);
	pthread_cond_broadcast(&server->lead_is_free);
	pthread_cond_signal(&server->ticker_wakes);
}

/*
 * A caller that makes short calls one after the other is back within microseconds, and waking a thread that sleeps costs
 * as much as such a call. So after one it looks again for a while before it sleeps; an idle runner sleeps.
 */
static int receive(struct worker *worker, struct rpc_frame *ret, struct err *err)
{
	struct server *server = worker->server;
	int got = 2;
	for (int looks = worker->looks; looks > 0 && got == 2; looks--)
		got = rpc_pump(server->channel, ret, err);
	worker->looks = 0;
	return got == 2 ? rpc_recv(server->channel, ret, err) : got;
}

/* With the lock held, which is let go while it waits: reads one frame and does what it says. */
static void lead(struct worker *worker)
{
	struct server *server = worker->server;
	server->led = worker->leads = true;
	pthread_mutex_unlock(&server->lock);
	struct rpc_frame frame;
	struct err err;
	err_clear(&err);
	int got = receive(worker, &frame, &err);
	pthread_mutex_lock(&server->lock);

	if (got == 1)
		got = take_frame(worker, &frame, &err) == 0 ? 1 : -1;
	if (got <= 0 && !server->ended)
		end(server, got < 0 ? &err : NULL);
	if (worker->leads)
		server->led = worker->leads = false; /* whoever is next takes it; most often this very thread */
}

static void *work(void *context)
{
	struct worker *worker = context;
	struct server *server = worker->server;
	pthread_mutex_lock(&server->lock);
	while (!server->ended) {
		if (server->first != NULL && server->active < server->threads) {
			run_waiting(worker);
		} else if (!server->led) {
			lead(worker);
		} else {
			server->idle++;
			pthread_cond_wait(&server->lead_is_free, &server->lock);
			server->idle--;
		}
	}
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

/* ---- the ticker ---- */

/*
 * With the lock held. Interrupts guests whose time is over, and takes the lead from a thread that has a call for long: it
 * computes, or it cannot send because the parent waits for us to read.
 */
static void tick(struct server *server)
{
	uint64_t now = clock_monotonic_ns(NULL);
	bool overdue = false;
	server->ticks++;
	for (uint32_t i = 0; i < server->n_workers; i++) {
		struct worker *worker = &server->workers[i];
		if (!worker->runs)
			continue;
		overdue |= invocation_overdue(&worker->call, now);
		if (worker->leads && server->ticks - worker->tick > 1)
			free_lead(server, worker);
	}
	if (overdue)
		engine_interrupt(server->engine);
}

static void *keep_time(void *context)
{
	struct server *server = context;
	unsigned idle = 0;
	pthread_mutex_lock(&server->lock);
	/* To the end of the last call, which may need to be interrupted still. */
	while (!server->ended || server->active > 0) {
		idle = server->active > 0 ? 0 : idle + 1;
		if (idle > IDLE_TICKS) {
			server->ticker_sleeps = true;
			pthread_cond_wait(&server->ticker_wakes, &server->lock);
			server->ticker_sleeps = false;
			idle = 0;
			continue;
		}
		(void)wait_until(&server->ticker_wakes, &server->lock, clock_monotonic_ns(NULL) + TICK_NS);
		tick(server);
	}
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

/* ---- life ---- */

static void init_locks(struct server *server)
{
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->lead_is_free, NULL);
	wait_init(&server->ticker_wakes);
}

/* What does not fit into a pool (it has many tables) has memory of its own for each call. */
static struct program *load(struct engine_options options, int code_fd, struct engine **ret_engine, struct err *err)
{
	AUTO(engine) *engine = engine_new(&options);
	struct program *program = program_load(engine, code_fd, host_modules, err);
	if (program == NULL && options.pooling) {
		options.pooling = false;
		return load(options, code_fd, ret_engine, err);
	}
	if (program != NULL)
		*ret_engine = TAKE(engine);
	return program;
}

struct server *server_new(struct rpc_channel *channel, const struct runner_start *start, int code_fd, struct err *err)
{
	uint64_t begin = clock_monotonic_ns(NULL);
	uint8_t fingerprint[CODE_FILE_HASH];
	connector_code_fingerprint(start->strategy, fingerprint);
	if (code_file_check(code_fd, start->content_hash, fingerprint, err) != 0)
		return NULL;

	uint32_t threads = MAX(start->threads, 1U);
	const struct engine_options options = {
		.strategy = start->strategy, .pooling = start->pooling, .instances = threads};
	AUTO(engine) *engine = NULL;
	struct program *program = load(options, code_fd, &engine, err);
	if (program == NULL)
		return NULL;

	struct server *server = xcalloc(1, sizeof *server + (threads + 1) * sizeof server->workers[0]);
	server->channel = channel;
	server->engine = TAKE(engine);
	server->program = program;
	server->memory_max = start->memory_max;
	server->threads = threads;
	server->n_workers = threads + 1;
	server->last = &server->first;
	server->typical_ns = LONG_CALL_NS;
	init_locks(server);
	for (uint32_t i = 0; i < server->n_workers; i++) {
		struct worker *worker = &server->workers[i];
		worker->server = server;
		worker->link = (struct invocation_link){channel, before_wait, before_done, worker};
		invocation_init(&worker->call, &worker->link);
	}
	server->load_ns = clock_monotonic_ns(NULL) - begin;
	return server;
}

void server_free(struct server *server)
{
	if (server == NULL)
		return;
	while (server->first != NULL)
		waiting_free(unqueue(server, &server->first));
	for (uint32_t i = 0; i < server->n_workers; i++)
		invocation_release(&server->workers[i].call);
	program_free(server->program);
	engine_free(server->engine);
	pthread_cond_destroy(&server->ticker_wakes);
	pthread_cond_destroy(&server->lead_is_free);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

static int send_ready(struct server *server, struct err *err)
{
	struct runner_ready ready = {.load_nanoseconds = server->load_ns};
	ready.n_imports = program_imports(server->program, HOST_MODULE, ready.imports, ARRAY_LEN(ready.imports));
	AUTO_BUF body = BUF_INIT(4 * KIB);
	runner_ready_put(&body, &ready);
	struct str part = buf_str(&body);
	return rpc_send(server->channel, RUNNER_READY, 0, &part, 1, err);
}

static int start_thread(pthread_t *thread, void *(*run)(void *), void *context, struct err *err)
{
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	int error = pthread_create(thread, &attributes, run, context);
	pthread_attr_destroy(&attributes);
	return error == 0 ? 0 : fail(err, ERR_SYSTEM, "cannot start a thread: error %d", error);
}

int server_run(struct server *server, struct err *err)
{
	rpc_set_state(server->channel, RUNNER_STATE_SERVING);
	if (send_ready(server, err) != 0)
		return -1;
	pthread_t ticker;
	if (start_thread(&ticker, keep_time, server, err) != 0)
		return -1;
	uint32_t started = 0;
	while (started < server->n_workers &&
	       start_thread(&server->workers[started].thread, work, &server->workers[started], &server->error) == 0)
		started++;
	if (started < server->n_workers) {
		pthread_mutex_lock(&server->lock);
		end(server, NULL);
		pthread_mutex_unlock(&server->lock);
		shutdown(rpc_fd(server->channel), SHUT_RD); /* one of them may be reading */
	}
	for (uint32_t i = 0; i < started; i++)
		pthread_join(server->workers[i].thread, NULL);
	pthread_mutex_lock(&server->lock);
	pthread_cond_signal(&server->ticker_wakes);
	pthread_mutex_unlock(&server->lock);
	pthread_join(ticker, NULL);
	if (server->error.class == ERR_NONE)
		return 0;
	if (err != NULL)
		*err = server->error;
	return -1;
}
