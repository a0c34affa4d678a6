#include "connector/abi/invocation.h"
#include "base/limits.h"
#include "base/time.h"
#include "base/wait.h"
#include "connector/engine/failure.h"
#include "text/wire.h"
#include <stdlib.h>

/* A buffer that one call made larger than this is given back after it. */
#define KEEP_BUFFER (256 * KIB)

void invocation_init(struct invocation *call, const struct invocation_link *link)
{
	*call = (struct invocation){.link = link};
	buf_init(&call->output, LIMIT_STDOUT);
	buf_init(&call->tail, 2 * LIMIT_STDERR_TAIL);
	buf_init(&call->text, 2 * FAILURE_TEXT_MAX);
	buf_init(&call->frame, LIMIT_STDERR_TAIL + 3 * FAILURE_TEXT_MAX);
	pthread_mutex_init(&call->lock, NULL);
	wait_init(&call->changed);
}

static void drop_response(struct invocation *call)
{
	free(call->body_memory);
	call->body_memory = NULL;
	call->body = STR_EMPTY;
	call->has_response = false;
	call->status = 0;
}

static void drop_answer(struct invocation_answer *answer)
{
	free(answer->memory);
	*answer = (struct invocation_answer){0};
}

void invocation_release(struct invocation *call)
{
	drop_response(call);
	drop_answer(&call->answer);
	buf_release(&call->output);
	buf_release(&call->tail);
	buf_release(&call->text);
	buf_release(&call->frame);
	pthread_cond_destroy(&call->changed);
	pthread_mutex_destroy(&call->lock);
}

static void renew(struct buf *buf)
{
	if (buf->room > KEEP_BUFFER)
		buf_release(buf);
	else
		buf_clear(buf);
}

void invocation_begin(struct invocation *call, uint32_t id, const struct runner_call *ask)
{
	call->id = id;
	call->ask = *ask;
	call->stop = STOP_NOT;
	call->exit_code = 0;
	call->input_at = 0;
	memset(call->closed, 0, sizeof call->closed);
	call->output_full = call->tail_cut = false;
	call->log_lines = call->audit_lines = 0;
	call->logs_dropped = 0;
	call->awaits = 0;
	atomic_store(&call->cancelled, false);
	atomic_store(&call->deadline, 0);
}

/* ---- ending ---- */

static enum invocation_stop reason_to_stop(struct invocation *call)
{
	if (atomic_load(&call->cancelled))
		return STOP_CANCELLED;
	uint64_t deadline = atomic_load_explicit(&call->deadline, memory_order_relaxed);
	return deadline != 0 && clock_monotonic_ns(NULL) >= deadline ? STOP_DEADLINE : STOP_NOT;
}

/* For the engine, which stops the guest itself. */
static bool should_stop(void *host)
{
	struct invocation *call = host;
	call->stop = reason_to_stop(call);
	return call->stop != STOP_NOT;
}

bool invocation_must_stop(struct invocation *call, struct guest *guest)
{
	if (!should_stop(call))
		return false;
	guest_stop(guest);
	return true;
}

void invocation_exit(struct invocation *call, struct guest *guest, uint32_t code)
{
	call->stop = STOP_EXITED;
	call->exit_code = code;
	guest_stop(guest);
}

void invocation_cancel(struct invocation *call)
{
	atomic_store(&call->cancelled, true);
	pthread_mutex_lock(&call->lock);
	pthread_cond_signal(&call->changed);
	pthread_mutex_unlock(&call->lock);
}

bool invocation_overdue(struct invocation *call, uint64_t now)
{
	uint64_t deadline = atomic_load_explicit(&call->deadline, memory_order_relaxed);
	return deadline != 0 && (now >= deadline || atomic_load(&call->cancelled));
}

/* ---- waiting ---- */

struct invocation *invocation_of(struct guest *guest)
{
	return guest_host(guest);
}

/* With the lock held: until something changes, or until `until`, or until the deadline. */
static void wait_once(struct invocation *call, uint64_t until)
{
	(void)wait_until(&call->changed, &call->lock, MIN(until, atomic_load(&call->deadline)));
}

bool invocation_sleep(struct invocation *call, struct guest *guest, uint64_t nanoseconds)
{
	if (nanoseconds == 0)
		return !invocation_must_stop(call, guest);
	uint64_t now = clock_monotonic_ns(NULL);
	uint64_t until = nanoseconds > UINT64_MAX - now ? UINT64_MAX : now + nanoseconds;
	call->link->before_wait(call->link->context);
	pthread_mutex_lock(&call->lock);
	while (reason_to_stop(call) == STOP_NOT && clock_monotonic_ns(NULL) < until)
		wait_once(call, until);
	pthread_mutex_unlock(&call->lock);
	return !invocation_must_stop(call, guest);
}

void invocation_send(struct invocation *call, struct guest *guest, uint16_t type, const struct str *parts, size_t n)
{
	if (rpc_send(call->link->channel, type, call->id, parts, n, NULL) == 0)
		return;
	/* Nobody will read the outcome; what matters is that the guest ends. */
	atomic_store(&call->cancelled, true);
	invocation_must_stop(call, guest);
}

bool invocation_ask(struct invocation *call, struct guest *guest, uint16_t type, const struct str *parts, size_t n,
		    uint16_t answer_type, struct invocation_answer *ret)
{
	pthread_mutex_lock(&call->lock);
	call->awaits = answer_type;
	pthread_mutex_unlock(&call->lock);
	invocation_send(call, guest, type, parts, n);
	call->link->before_wait(call->link->context);

	pthread_mutex_lock(&call->lock);
	while (!call->answer.here && reason_to_stop(call) == STOP_NOT)
		wait_once(call, UINT64_MAX);
	call->awaits = 0;
	struct invocation_answer answer = call->answer;
	call->answer = (struct invocation_answer){0};
	pthread_mutex_unlock(&call->lock);

	if (invocation_must_stop(call, guest)) {
		drop_answer(&answer);
		return false;
	}
	*ret = answer;
	return true;
}

void invocation_deliver(struct invocation *call, struct invocation_answer *answer)
{
	pthread_mutex_lock(&call->lock);
	if (call->awaits == answer->type && !call->answer.here) {
		call->answer = *answer;
		call->answer.here = true;
		*answer = (struct invocation_answer){0};
		pthread_cond_signal(&call->changed);
	}
	pthread_mutex_unlock(&call->lock);
	drop_answer(answer);
}

/* ---- running ---- */

/* "fd_write(1, 0, 3, 24) = 0": numbers only, never what lies in the guest's memory. */
static void observe(void *host, const struct host_function *function, const uint64_t *args, uint32_t result,
		    uint64_t nanoseconds)
{
	struct invocation *call = host;
	AUTO_BUF text = BUF_INIT(512);
	buf_addf(&text, "%s(", function->name);
	for (size_t i = 0; function->params[i] != '\0'; i++)
		buf_addf(&text, "%s%llu", i > 0 ? ", " : "", (unsigned long long)args[i]);
	if (!function->returns || call->stop != STOP_NOT)
		buf_add_z(&text, ")");
	else
		buf_addf(&text, ") = %d", (int32_t)result);

	AUTO_BUF body = BUF_INIT(1 * KIB);
	wire_put_str(&body, buf_str(&text));
	wire_put_u64(&body, nanoseconds);
	struct str part = buf_str(&body);
	if (rpc_send(call->link->channel, RUNNER_TRACE, call->id, &part, 1, NULL) != 0)
		atomic_store(&call->cancelled, true);
}

static void fill_end(const struct invocation *call, struct runner_done *done)
{
	switch (call->run.end) {
	case PROGRAM_RETURNED:
		done->end = RUNNER_END_EXIT;
		break;
	case PROGRAM_TRAPPED:
		done->end = RUNNER_END_TRAP;
		done->trap = str_from(call->run.trap);
		break;
	case PROGRAM_NO_MEMORY:
		done->end = RUNNER_END_LIMIT;
		done->limit = S("memory");
		break;
	case PROGRAM_NOT_STARTED:
		done->end = RUNNER_END_NOT_STARTED;
		break;
	case PROGRAM_STOPPED:
		if (call->stop == STOP_EXITED) {
			done->end = RUNNER_END_EXIT;
			done->exit_code = call->exit_code;
		} else if (call->stop == STOP_DEADLINE) {
			done->end = RUNNER_END_LIMIT;
			done->limit = S("wall_time");
		} else {
			done->end = RUNNER_END_CANCELLED;
		}
		break;
	}
	/* Output that is cut is no output, whatever the guest made of it. */
	if (call->output_full) {
		done->limit = S("stdout");
		if (done->end != RUNNER_END_CANCELLED)
			done->end = RUNNER_END_LIMIT;
	}
}

/* The engine's last word on this run; the instance still stands. */
static void send_done(void *host)
{
	struct invocation *call = host;
	const struct program_run *run = &call->run;
	struct runner_done done = {.memory_refused = run->memory_refused,
				   .message = buf_str(&call->text),
				   .output = buf_str(&call->output),
				   .stderr_tail = buf_str(&call->tail),
				   .stderr_cut = call->tail_cut,
				   .logs_dropped = call->logs_dropped,
				   .instantiate_ns = run->instantiate_ns,
				   .run_ns = run->run_ns,
				   .memory_peak = run->memory_bytes_at_end};
	fill_end(call, &done);
	size_t max = call->ask.stderr_tail_max, n = done.stderr_tail.n;
	if (n > max) {
		done.stderr_tail = str_slice(done.stderr_tail, n - max, n);
		done.stderr_cut = true;
	}
	runner_done_put_head(&call->frame, &done);
	struct str parts[2] = {buf_str(&call->frame), done.output};
	call->link->before_done(call->link->context);
	(void)!rpc_send(call->link->channel, RUNNER_DONE, call->id, parts, 2, NULL);
}

uint64_t invocation_run(struct invocation *call, struct program *program)
{
	call->run = (struct program_run){.host = call,
					 .memory_bytes = call->ask.memory_bytes,
					 .should_stop = should_stop,
					 .observe = call->ask.trace ? observe : NULL,
					 .ended = send_done,
					 .text = &call->text};
	atomic_store(&call->deadline, clock_monotonic_ns(NULL) + call->ask.wall_time_ns);
	program_run(program, &call->run);
	atomic_store(&call->deadline, 0);
	drop_response(call);
	drop_answer(&call->answer);
	renew(&call->output);
	renew(&call->tail);
	renew(&call->text);
	renew(&call->frame);
	return call->run.instantiate_ns + call->run.run_ns;
}
