#include "connector/runner.h"
#include "base/limits.h"
#include "base/time.h"
#include "confine/policies.h"
#include "text/wire.h"
#include <poll.h>

#define NO_DEADLINE UINT64_MAX

/* A call's id is its slot and the slot's generation, so that a late word about an old call finds nobody. */
#define SLOT_BITS 10
_Static_assert(RUNNER_CALLS_MAX == 1 << SLOT_BITS, "a slot's number is the lower part of an id");

enum slot_state {
	SLOT_FREE,
	SLOT_WAITING, /* for the runner to be ready */
	SLOT_SENT,
};

struct slot {
	enum slot_state state;
	uint32_t generation; /* never 0 */
	bool http_open, spawn_open, audit_open, cancelled;
	uint32_t next_free;
	uint64_t logs, audits;
	uint64_t deadline;
	uint64_t answer_end; /* where its last answer ends in all that was sent to the runner */
	const struct runner_sink *sink;
	void *owner;
	struct runner_call call;
};

struct runner {
	struct peer peer;
	enum runner_phase phase;
	const struct connector_manifest *manifest;
	char *allowed;
	struct runner_start start;
	bool proven; /* `proof` is there */
	struct confine_report proof;
	uint64_t load_ns;
	uint64_t start_deadline;
	uint64_t deadline; /* no later than any slot's; may be earlier than all of them */
	uint64_t sent;     /* bytes of frames, in the socket or queued */
	bool deaf;         /* it leaves so much unread that a frame could not be queued */
	size_t open;
	uint32_t first_free; /* RUNNER_CALLS_MAX = none */
	uint32_t slots_used; /* slots from here on were never used */
	struct slot *slots;
	struct err error;
	struct err scratch; /* for what is received; an err is large, and most frames need none */
};

static void ignore_log(void *owner, struct str level, struct str message)
{
	(void)owner, (void)level, (void)message;
}
static void ignore_http(void *owner, enum runner_envelope kind, struct str envelope)
{
	(void)owner, (void)kind, (void)envelope;
}
static void ignore_spawn(void *owner, unsigned which)
{
	(void)owner, (void)which;
}
static void ignore_trace(void *owner, struct str text, uint64_t nanoseconds)
{
	(void)owner, (void)text, (void)nanoseconds;
}
static void ignore_audit(void *owner, struct str text)
{
	(void)owner, (void)text;
}
static void ignore_done(void *owner, const struct runner_done *done)
{
	(void)owner, (void)done;
}
static void ignore_lost(void *owner, const struct err *err)
{
	(void)owner, (void)err;
}
/* For a call that was forgotten: the runner ends it in its own time. */
static const struct runner_sink nobody = {ignore_log,   ignore_http, ignore_spawn, ignore_trace,
					  ignore_audit, ignore_done, ignore_lost};

/* ------------------------------------------------------------------------------------------------------------ slots */

static uint32_t id_of(const struct runner *runner, const struct slot *slot)
{
	return slot->generation << SLOT_BITS | (uint32_t)(slot - runner->slots);
}

static struct slot *slot_of(struct runner *runner, uint32_t id)
{
	uint32_t number = id & (RUNNER_CALLS_MAX - 1);
	if (number >= runner->slots_used)
		return NULL;
	struct slot *slot = &runner->slots[number];
	return slot->state != SLOT_FREE && slot->generation == id >> SLOT_BITS ? slot : NULL;
}

static struct slot *take_slot(struct runner *runner)
{
	struct slot *slot;
	if (runner->first_free < RUNNER_CALLS_MAX) {
		slot = &runner->slots[runner->first_free];
		runner->first_free = slot->next_free;
	} else if (runner->slots_used < RUNNER_CALLS_MAX) {
		slot = &runner->slots[runner->slots_used++];
	} else {
		return NULL;
	}
	uint32_t generation = (slot->generation + 1) & (UINT32_MAX >> SLOT_BITS);
	*slot = (struct slot){.generation = generation > 0 ? generation : 1};
	runner->open++;
	return slot;
}

static void free_slot(struct runner *runner, struct slot *slot)
{
	slot->state = SLOT_FREE;
	slot->next_free = runner->first_free;
	runner->first_free = (uint32_t)(slot - runner->slots);
	runner->open--;
}

static void set_deadline(struct runner *runner, struct slot *slot, uint64_t deadline)
{
	slot->deadline = deadline;
	runner->deadline = MIN(runner->deadline, deadline);
}

/* ------------------------------------------------------------------------------------------------------------ the end */

/* What a caller may be told by a runner's own word; the rest becomes CONNECTOR_RUNTIME_ERROR. */
static bool is_about_connector(enum err_class class)
{
	return class == ERR_CONNECTOR_LOAD_FAILED || class == ERR_CAPABILITY_DENIED ||
	       class == ERR_RESOURCE_LIMIT_EXCEEDED || class == ERR_HASH_MISMATCH || class == ERR_UNCONFINED;
}

/* Ends the runner with runner->error and tells every open call. */
static int lose(struct runner *runner, struct err *err)
{
	peer_stop(&runner->peer);
	if (!is_about_connector(runner->error.class)) {
		bool served = runner->phase == RUNNER_PHASE_SERVING;
		fail(&runner->scratch, ERR_CONNECTOR_RUNTIME_ERROR, "%s%s", runner->error.message,
		     served ? "; the next call starts a new one" : "");
		runner->error = runner->scratch;
	}
	runner->phase = RUNNER_PHASE_ENDED;
	runner->deadline = runner->start_deadline = NO_DEADLINE;
	runner->deaf = false;
	for (uint32_t i = 0; i < runner->slots_used; i++) {
		struct slot *slot = &runner->slots[i];
		if (slot->state == SLOT_FREE)
			continue;
		const struct runner_sink *sink = slot->sink;
		void *owner = slot->owner;
		free_slot(runner, slot);
		sink->lost(owner, &runner->error);
	}
	if (err != NULL)
		*err = runner->error;
	return -1;
}

static int lose_liar(struct runner *runner, const char *lie)
{
	return peer_break(&runner->peer, &runner->error, "it %s", lie);
}

/* ---------------------------------------------------------------------------------------------------------- sending */

static void put_u32_part(char bytes[4], size_t n)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (char)(n >> (8 * i) & 0xff);
}

/*
 * A frame that cannot be sent means that the runner is gone, which the next receive finds out and explains, or that it
 * does not read, which the next runner_process() ends it for.
 */
static void send_frame(struct runner *runner, uint16_t type, uint32_t id, const struct str *parts, size_t n)
{
	if (peer_send(&runner->peer, type, id, parts, n) < 0) {
		runner->deaf = peer_runs(&runner->peer) && rpc_queued(runner->peer.channel) > 0;
		return;
	}
	runner->sent += RPC_HEADER;
	for (size_t i = 0; i < n; i++)
		runner->sent += parts[i].n;
}

static void send_answer(struct runner *runner, struct slot *slot, uint16_t type, const struct str *parts, size_t n)
{
	send_frame(runner, type, id_of(runner, slot), parts, n);
	slot->answer_end = runner->sent;
}

/* At worst this call starts when those before it have used up their time, `threads` at once. */
static uint64_t last_moment(const struct runner *runner, const struct slot *slot)
{
	uint64_t turns = 1 + (runner->open - 1) / MAX(runner->start.threads, 1U);
	uint64_t wall = slot->call.wall_time_ns;
	for (uint32_t i = 0; turns > 1 && i < runner->slots_used; i++) {
		if (runner->slots[i].state != SLOT_FREE)
			wall = MAX(wall, runner->slots[i].call.wall_time_ns);
	}
	return clock_monotonic_ns(NULL) + turns * wall + RUNNER_GRACE_NS;
}

static void send_call(struct runner *runner, struct slot *slot)
{
	AUTO_BUF head = BUF_INIT(256);
	runner_call_put_head(&head, &slot->call);
	const struct str parts[] = {buf_str(&head), slot->call.input};
	slot->state = SLOT_SENT;
	set_deadline(runner, slot, last_moment(runner, slot));
	send_frame(runner, RUNNER_CALL, id_of(runner, slot), parts, ARRAY_LEN(parts));
}

/* -------------------------------------------------------------------------------------------------- frames: the start */

static int on_hello(struct runner *runner, const struct rpc_frame *frame)
{
	if (peer_judge(&runner->peer, frame->body, str_from(runner->allowed), &runner->proof, &runner->error) < 0)
		return -1;
	runner->proven = true;
	AUTO_BUF body = BUF_INIT(256);
	runner_start_put(&body, &runner->start);
	const struct str part = buf_str(&body);
	rpc_set_state(runner->peer.channel, RUNNER_STATE_LOADING);
	send_frame(runner, RUNNER_START, 0, &part, 1);
	return 0;
}

static int on_failed(struct runner *runner, const struct rpc_frame *frame)
{
	struct wire_reader r = wire_reader(frame->body);
	wire_get_err(&r, &runner->error);
	if (wire_done(&r, "failed", &runner->scratch) < 0)
		return lose_liar(runner, "sent a malformed 'failed'");
	return -1;
}

static bool is_granted(const struct connector_manifest *manifest, struct str import)
{
	for (size_t i = 0; i < manifest->imports.n; i++) {
		if (str_eq(manifest->imports.items[i], import))
			return true;
	}
	return false;
}

static int check_imports(struct runner *runner, const struct runner_ready *ready)
{
	const struct connector_manifest *manifest = runner->manifest;
	if (manifest == NULL || !manifest->has_imports)
		return 0;
	struct str refused[ARRAY_LEN(ready->imports)];
	size_t n = 0;
	AUTO_BUF names = BUF_INIT(1 * KIB);
	for (uint32_t i = 0; i < ready->n_imports; i++) {
		if (is_granted(manifest, ready->imports[i]))
			continue;
		buf_addf(&names, "%s'%.*s'", n > 0 ? ", " : "", STR_FMT(ready->imports[i]));
		refused[n++] = ready->imports[i];
	}
	if (n == 0)
		return 0;
	struct err *err = &runner->error;
	fail(err, ERR_CAPABILITY_DENIED,
	     "the module imports host functions that [capabilities.runtime].imports does not list: %s", names.p);
	err_detail_list(err, "requested", refused, n);
	err_detail_list(err, "granted", manifest->imports.items, manifest->imports.n);
	err_detail(err, "boundary_detail", S("connector_manifest"));
	return -1;
}

static int on_ready(struct runner *runner, const struct rpc_frame *frame)
{
	struct runner_ready ready;
	if (runner_ready_get(frame->body, &ready, &runner->scratch) < 0)
		return lose_liar(runner, "sent a malformed 'ready'");
	if (check_imports(runner, &ready) < 0)
		return -1;
	runner->load_ns = ready.load_nanoseconds;
	runner->manifest = NULL;
	runner->phase = RUNNER_PHASE_SERVING;
	runner->start_deadline = NO_DEADLINE;
	rpc_set_state(runner->peer.channel, RUNNER_STATE_SERVING);
	for (uint32_t i = 0; i < runner->slots_used; i++) {
		if (runner->slots[i].state == SLOT_WAITING)
			send_call(runner, &runner->slots[i]);
	}
	return 0;
}

/* --------------------------------------------------------------------------------------------------- frames: of calls */

static int on_log(struct runner *runner, struct slot *slot, struct str body)
{
	struct wire_reader r = wire_reader(body);
	struct str level = wire_str(&r);
	struct str message = wire_str(&r);
	if (wire_done(&r, "log", &runner->scratch) < 0)
		return lose_liar(runner, "sent a malformed 'log'");
	if (++slot->logs > slot->call.log_lines_max)
		return lose_liar(runner, "sent more log lines than it was allowed");
	slot->sink->log(slot->owner, level, message);
	return 0;
}

/*
 * One thing at a time, and the answer read before the next: else whoever asks without reading would fill this process's
 * memory with answers. A guest cannot do that; its runner can.
 */
static int check_turn(struct runner *runner, const struct slot *slot)
{
	if (slot->http_open || slot->spawn_open || slot->audit_open)
		return lose_liar(runner, "asked for a second thing before the first was answered");
	if (runner->sent - rpc_queued(runner->peer.channel) < slot->answer_end)
		return lose_liar(runner, "asked for a second thing without reading the answer to the first");
	return 0;
}

static int on_http(struct runner *runner, struct slot *slot, struct str body)
{
	struct wire_reader r = wire_reader(body);
	uint8_t kind = wire_u8(&r);
	struct str envelope = wire_str(&r);
	if (wire_done(&r, "http", &runner->scratch) < 0 || kind > RUNNER_ENVELOPE_TOO_LONG)
		return lose_liar(runner, "sent a malformed 'http'");
	if (envelope.n > slot->call.envelope_max)
		return lose_liar(runner, "sent a longer request than it was allowed");
	if (check_turn(runner, slot) < 0)
		return -1;
	slot->http_open = true;
	slot->sink->http(slot->owner, (enum runner_envelope)kind, envelope);
	return 0;
}

static int on_spawn(struct runner *runner, struct slot *slot, struct str body)
{
	struct wire_reader r = wire_reader(body);
	unsigned which = wire_u8(&r);
	if (wire_done(&r, "spawn", &runner->scratch) < 0 || which > 1)
		return lose_liar(runner, "sent a malformed 'spawn'");
	if (check_turn(runner, slot) < 0)
		return -1;
	slot->spawn_open = true;
	slot->sink->spawn(slot->owner, which);
	return 0;
}

static int on_trace(struct runner *runner, struct slot *slot, struct str body)
{
	struct wire_reader r = wire_reader(body);
	struct str text = wire_str(&r);
	uint64_t nanoseconds = wire_u64(&r);
	if (wire_done(&r, "trace", &runner->scratch) < 0 || !slot->call.trace)
		return lose_liar(runner, "sent a 'trace' that is malformed or was not asked for");
	slot->sink->trace(slot->owner, text, nanoseconds);
	return 0;
}

static int on_audit(struct runner *runner, struct slot *slot, struct str body)
{
	struct wire_reader r = wire_reader(body);
	struct str text = wire_str(&r);
	if (wire_done(&r, "audit", &runner->scratch) < 0 || text.n > LIMIT_AUDIT_LINE)
		return lose_liar(runner, "sent a malformed 'audit'");
	if (++slot->audits > LIMIT_AUDIT_LINES)
		return lose_liar(runner, "sent more lines for the audit than it was allowed");
	if (check_turn(runner, slot) < 0)
		return -1;
	slot->audit_open = true;
	slot->sink->audit(slot->owner, text);
	return 0;
}

static int on_done(struct runner *runner, struct slot *slot, struct str body)
{
	struct runner_done done;
	if (runner_done_get(body, &done, &runner->scratch) < 0)
		return lose_liar(runner, "sent a malformed 'done'");
	if (done.output.n > slot->call.stdout_max || done.stderr_tail.n > slot->call.stderr_tail_max)
		return lose_liar(runner, "sent more output than it was allowed");
	if (done.end == RUNNER_END_CANCELLED && !slot->cancelled)
		return lose_liar(runner, "cancelled a call by itself");
	const struct runner_sink *sink = slot->sink;
	void *owner = slot->owner;
	free_slot(runner, slot);
	sink->done(owner, &done);
	return 0;
}

typedef int call_frame_handler(struct runner *runner, struct slot *slot, struct str body);

static call_frame_handler *const call_frame_handlers[] = {
	[RUNNER_LOG] = on_log,     [RUNNER_HTTP] = on_http, [RUNNER_SPAWN] = on_spawn,
	[RUNNER_TRACE] = on_trace, [RUNNER_DONE] = on_done, [RUNNER_AUDIT] = on_audit,
};

static int dispatch(struct runner *runner, const struct rpc_frame *frame)
{
	switch (frame->type) {
	case RUNNER_HELLO:
		return on_hello(runner, frame);
	case RUNNER_FAILED:
		return on_failed(runner, frame);
	case RUNNER_READY:
		return on_ready(runner, frame);
	default:
		break;
	}
	call_frame_handler *handler =
		frame->type < ARRAY_LEN(call_frame_handlers) ? call_frame_handlers[frame->type] : NULL;
	if (handler == NULL)
		return lose_liar(runner, "sent a message that is not a server's");
	struct slot *slot = slot_of(runner, frame->id);
	if (slot == NULL || slot->state != SLOT_SENT)
		return lose_liar(runner, "spoke of a call that is not open");
	return handler(runner, slot, frame->body);
}

/* ------------------------------------------------------------------------------------------------------- the outside */

struct runner *runner_start(const struct runner_spec *spec, struct err *err)
{
	AUTO(runner)
	*runner = NEW(struct runner);
	runner->peer = PEER_INIT;
	struct peer_spec peer = {
		.name = "aileron-runner",
		.title = "the runner",
		.program = spec->program,
		.life = "serve",
		.launcher = spec->launcher,
		.rules = runner_parent_rules,
		.fds = {{spec->code_fd, RUNNER_FD_INPUT}},
		.n_fds = 1,
		.policy = &confine_runner_serve,
		.connector = spec->manifest != NULL ? spec->manifest->name : STR_EMPTY,
	};
	if (peer_start(&runner->peer, &peer, err) < 0)
		return NULL;
	runner->slots = xcalloc(RUNNER_CALLS_MAX, sizeof runner->slots[0]);
	runner->first_free = RUNNER_CALLS_MAX;
	runner->manifest = spec->manifest;
	runner->allowed = str_dup(spec->allowed);
	runner->start = spec->start;
	runner->deadline = NO_DEADLINE;
	runner->start_deadline = clock_monotonic_ns(NULL) + RUNNER_LOAD_MS * MS;
	return TAKE(runner);
}

void runner_free(struct runner *runner)
{
	if (runner == NULL)
		return;
	peer_stop(&runner->peer);
	free(runner->slots);
	free(runner->allowed);
	free(runner);
}

enum runner_phase runner_phase(const struct runner *runner)
{
	return runner->phase;
}

const struct err *runner_error(const struct runner *runner)
{
	return &runner->error;
}

uint64_t runner_load_ns(const struct runner *runner)
{
	return runner->load_ns;
}

size_t runner_open_calls(const struct runner *runner)
{
	return runner->open;
}

int runner_pid(const struct runner *runner)
{
	return runner->peer.child.pid;
}

uint32_t runner_relay(const struct runner *runner)
{
	return runner->peer.launcher != NULL ? runner->peer.id : 0;
}

const struct confine_report *runner_proof(const struct runner *runner)
{
	return runner->proven ? &runner->proof : NULL;
}

int runner_fd(const struct runner *runner)
{
	return peer_fd(&runner->peer);
}

short runner_events(const struct runner *runner)
{
	return peer_events(&runner->peer);
}

uint64_t runner_deadline(const struct runner *runner)
{
	return runner->deaf ? 0 : MIN(runner->deadline, runner->start_deadline);
}

/* The runner hangs: 0, or -1 with runner->error. Otherwise the next deadline is found anew. */
static int check_deadlines(struct runner *runner)
{
	if (runner_deadline(runner) == NO_DEADLINE)
		return 0;
	uint64_t now = clock_monotonic_ns(NULL);
	if (now < runner_deadline(runner))
		return 0;
	if (now >= runner->start_deadline)
		return fail(&runner->error, ERR_CONNECTOR_RUNTIME_ERROR,
			    "the runner was not ready in time and was killed");
	runner->deadline = NO_DEADLINE;
	for (uint32_t i = 0; i < runner->slots_used; i++) {
		struct slot *slot = &runner->slots[i];
		if (slot->state != SLOT_SENT)
			continue;
		if (now >= slot->deadline)
			return fail(&runner->error, ERR_CONNECTOR_RUNTIME_ERROR,
				    "the runner did not answer in time and was killed");
		runner->deadline = MIN(runner->deadline, slot->deadline);
	}
	return 0;
}

int runner_process(struct runner *runner, struct err *err)
{
	if (runner->phase == RUNNER_PHASE_ENDED) {
		if (err != NULL)
			*err = runner->error;
		return -1;
	}
	/* What one read brought, and no more: a runner that never stops talking does not keep the caller from other work. */
	do {
		struct rpc_frame frame;
		int got = peer_receive(&runner->peer, &frame, &runner->error);
		if (got == 0)
			break;
		if (got < 0 || dispatch(runner, &frame) < 0)
			return lose(runner, err);
	} while (peer_has_frame(&runner->peer));
	if (runner->deaf) {
		lose_liar(runner, "does not read what it is sent");
		return lose(runner, err);
	}
	return check_deadlines(runner) < 0 ? lose(runner, err) : 0;
}

/* Milliseconds until `deadline`, and at most `ms` (-1 = no bound). */
static int bounded_wait(uint64_t deadline, int ms)
{
	int until = time_ms_until(deadline, clock_monotonic_ns(NULL));
	return until < 0 || (ms >= 0 && ms < until) ? ms : until;
}

int runner_wait(struct runner *runner, int ms, struct err *err)
{
	if (runner->phase != RUNNER_PHASE_ENDED && !peer_has_frame(&runner->peer)) {
		struct pollfd fd = {.fd = runner_fd(runner), .events = runner_events(runner)};
		(void)poll(&fd, 1, bounded_wait(runner_deadline(runner), ms));
	}
	return runner_process(runner, err);
}

int runner_wait_ready(struct runner *runner, struct err *err)
{
	while (runner->phase == RUNNER_PHASE_STARTING) {
		if (runner_wait(runner, -1, err) < 0)
			return -1;
	}
	return runner_process(runner, err);
}

uint32_t runner_call(struct runner *runner, const struct runner_call *call, const struct runner_sink *sink, void *owner,
		     struct err *err)
{
	if (runner->phase == RUNNER_PHASE_ENDED) {
		if (err != NULL)
			*err = runner->error;
		return 0;
	}
	struct slot *slot = take_slot(runner);
	if (slot == NULL) {
		fail(err, ERR_LIMIT, "the connector has %d calls under way, which is the most; try again later",
		     RUNNER_CALLS_MAX);
		return 0;
	}
	slot->call = *call;
	slot->sink = sink;
	slot->owner = owner;
	slot->deadline = NO_DEADLINE;
	slot->state = SLOT_WAITING;
	if (runner->phase == RUNNER_PHASE_SERVING)
		send_call(runner, slot);
	return id_of(runner, slot);
}

void runner_answer_http(struct runner *runner, uint32_t id, int32_t rc, int32_t status, struct str body)
{
	struct slot *slot = slot_of(runner, id);
	if (slot == NULL || !slot->http_open)
		return;
	slot->http_open = false;
	char length[4];
	put_u32_part(length, body.n);
	AUTO_BUF head = BUF_INIT(16);
	wire_put_i32(&head, rc);
	wire_put_i32(&head, status);
	const struct str parts[] = {buf_str(&head), str_of(length, sizeof length), body};
	send_answer(runner, slot, RUNNER_HTTP_RESULT, parts, ARRAY_LEN(parts));
}

static void answer_number(struct runner *runner, struct slot *slot, uint16_t type, int32_t rc)
{
	AUTO_BUF body = BUF_INIT(16);
	wire_put_i32(&body, rc);
	const struct str part = buf_str(&body);
	send_answer(runner, slot, type, &part, 1);
}

void runner_answer_spawn(struct runner *runner, uint32_t id, int32_t rc)
{
	struct slot *slot = slot_of(runner, id);
	if (slot == NULL || !slot->spawn_open)
		return;
	slot->spawn_open = false;
	answer_number(runner, slot, RUNNER_SPAWN_RESULT, rc);
}

void runner_answer_audit(struct runner *runner, uint32_t id, int32_t rc)
{
	struct slot *slot = slot_of(runner, id);
	if (slot == NULL || !slot->audit_open)
		return;
	slot->audit_open = false;
	answer_number(runner, slot, RUNNER_AUDIT_RESULT, rc);
}

/* A call that waits for the runner to be ready was never sent: it ends here. */
void runner_cancel(struct runner *runner, uint32_t id)
{
	struct slot *slot = slot_of(runner, id);
	if (slot == NULL || slot->cancelled)
		return;
	slot->cancelled = true;
	if (slot->state == SLOT_WAITING) {
		const struct runner_sink *sink = slot->sink;
		void *owner = slot->owner;
		free_slot(runner, slot);
		sink->done(owner, &(struct runner_done){.end = RUNNER_END_CANCELLED});
		return;
	}
	set_deadline(runner, slot, MIN(slot->deadline, clock_monotonic_ns(NULL) + RUNNER_GRACE_NS));
	send_frame(runner, RUNNER_CANCEL, id, NULL, 0);
}

void runner_forget(struct runner *runner, uint32_t id)
{
	struct slot *slot = slot_of(runner, id);
	if (slot == NULL)
		return;
	slot->sink = &nobody;
	slot->owner = NULL;
	runner_cancel(runner, id);
}
