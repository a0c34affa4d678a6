#include "connector/runner_protocol.h"
#include "base/limits.h"
#include "text/wire.h"

enum {
	NEW = RUNNER_STATE_NEW,
	LOADING = RUNNER_STATE_LOADING,
	SERVING = RUNNER_STATE_SERVING,
};

/* Room for the fixed fields and short texts of any message. */
#define HEAD (16 * KIB)
/* A trap's backtrace is bounded by its maker (engine/failure.h); a peer may claim up to this. */
#define TEXT_MAX (64 * KIB)

const struct rpc_rule runner_parent_rules[] = {
	{RUNNER_HELLO, NEW, HEAD, "hello"},
	{RUNNER_COMPILED, LOADING, HEAD, "compiled"},
	{RUNNER_FAILED, NEW | LOADING, HEAD, "failed"},
	{RUNNER_READY, LOADING, HEAD, "ready"},
	{RUNNER_LOG, SERVING, 2 * LIMIT_LOG_LINE + HEAD, "log"},
	{RUNNER_HTTP, SERVING, LIMIT_ENVELOPE + HEAD, "http"},
	{RUNNER_SPAWN, SERVING, HEAD, "spawn"},
	{RUNNER_TRACE, SERVING, HEAD, "trace"},
	{RUNNER_AUDIT, SERVING, LIMIT_AUDIT_LINE + HEAD, "audit"},
	{RUNNER_DONE, SERVING, LIMIT_STDOUT + LIMIT_STDERR_TAIL + TEXT_MAX + HEAD, "done"},
	{0, 0, 0, NULL},
};

const struct rpc_rule runner_child_rules[] = {
	{RUNNER_START, NEW, HEAD, "start"},
	{RUNNER_CALL, SERVING, LIMIT_INPUT + HEAD, "call"},
	{RUNNER_HTTP_RESULT, SERVING, LIMIT_RESPONSE_BODY + HEAD, "http result"},
	{RUNNER_SPAWN_RESULT, SERVING, HEAD, "spawn result"},
	{RUNNER_CANCEL, SERVING, 0, "cancel"},
	{RUNNER_AUDIT_RESULT, SERVING, HEAD, "audit result"},
	{0, 0, 0, NULL},
};

#define THREADS_MAX 64

static void put_hash(struct buf *out, const uint8_t hash[32])
{
	wire_put_str(out, str_of(hash, 32));
}

static void get_hash(struct wire_reader *r, uint8_t ret[32])
{
	struct str hash = wire_str(r);
	if (hash.n == 32)
		memcpy(ret, hash.p, 32);
	else
		r->bad = true;
}

void runner_start_put(struct buf *out, const struct runner_start *m)
{
	wire_put_u8(out, (uint8_t)m->strategy);
	wire_put_bool(out, m->pooling);
	wire_put_u32(out, m->threads);
	wire_put_u64(out, m->memory_max);
	put_hash(out, m->content_hash);
}

int runner_start_get(struct str body, struct runner_start *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct runner_start m = {0};
	uint8_t strategy = wire_u8(&r);
	m.strategy = strategy == RUNNER_WINCH ? RUNNER_WINCH : RUNNER_CRANELIFT;
	m.pooling = wire_bool(&r);
	m.threads = wire_u32(&r);
	m.memory_max = wire_u64(&r);
	get_hash(&r, m.content_hash);
	if (wire_done(&r, "start", err) != 0)
		return -1;
	if (strategy > RUNNER_WINCH || m.threads > THREADS_MAX || m.memory_max > LIMIT_MEMORY_CEILING)
		return fail(err, ERR_PROTOCOL, "a field of 'start' is out of range");
	*ret = m;
	return 0;
}

void runner_compiled_put(struct buf *out, const struct runner_compiled *m)
{
	wire_put_u64(out, m->code_bytes);
	wire_put_u64(out, m->nanoseconds);
}

int runner_compiled_get(struct str body, struct runner_compiled *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct runner_compiled m = {.code_bytes = wire_u64(&r)};
	m.nanoseconds = wire_u64(&r);
	if (wire_done(&r, "compiled", err) != 0)
		return -1;
	*ret = m;
	return 0;
}

void runner_ready_put(struct buf *out, const struct runner_ready *m)
{
	wire_put_u64(out, m->load_nanoseconds);
	wire_put_u32(out, m->n_imports);
	for (uint32_t i = 0; i < m->n_imports; i++)
		wire_put_str(out, m->imports[i]);
}

int runner_ready_get(struct str body, struct runner_ready *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct runner_ready m = {.load_nanoseconds = wire_u64(&r)};
	m.n_imports = wire_count(&r, sizeof(uint32_t));
	if (m.n_imports > ARRAY_LEN(m.imports))
		return fail(err, ERR_PROTOCOL, "'ready' lists %u imports, more than there are", m.n_imports);
	for (uint32_t i = 0; i < m.n_imports; i++)
		m.imports[i] = wire_str(&r);
	if (wire_done(&r, "ready", err) != 0)
		return -1;
	*ret = m;
	return 0;
}

void runner_call_put_head(struct buf *out, const struct runner_call *m)
{
	wire_put_u64(out, m->wall_time_ns);
	wire_put_u64(out, m->memory_bytes);
	wire_put_u32(out, m->stdout_max);
	wire_put_u32(out, m->stderr_tail_max);
	wire_put_u32(out, m->log_lines_max);
	wire_put_u32(out, m->log_line_max);
	wire_put_u32(out, m->envelope_max);
	wire_put_bool(out, m->trace);
	wire_put_u32(out, (uint32_t)m->input.n);
}

int runner_call_get(struct str body, struct runner_call *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct runner_call m = {.wall_time_ns = wire_u64(&r)};
	m.memory_bytes = wire_u64(&r);
	m.stdout_max = wire_u32(&r);
	m.stderr_tail_max = wire_u32(&r);
	m.log_lines_max = wire_u32(&r);
	m.log_line_max = wire_u32(&r);
	m.envelope_max = wire_u32(&r);
	m.trace = wire_bool(&r);
	m.input = wire_str(&r);
	if (wire_done(&r, "call", err) != 0)
		return -1;
	if (m.wall_time_ns > LIMIT_WALL_CEILING_MS * MS || m.memory_bytes > LIMIT_MEMORY_CEILING ||
	    m.stdout_max > LIMIT_STDOUT || m.stderr_tail_max > LIMIT_STDERR_TAIL || m.log_line_max > LIMIT_LOG_LINE ||
	    m.envelope_max > LIMIT_ENVELOPE)
		return fail(err, ERR_PROTOCOL, "a limit of 'call' is above its ceiling");
	*ret = m;
	return 0;
}

void runner_done_put_head(struct buf *out, const struct runner_done *m)
{
	wire_put_u8(out, (uint8_t)m->end);
	wire_put_u32(out, m->exit_code);
	wire_put_str(out, m->trap);
	wire_put_str(out, m->limit);
	wire_put_bool(out, m->memory_refused);
	wire_put_str(out, m->message);
	wire_put_str(out, m->stderr_tail);
	wire_put_bool(out, m->stderr_cut);
	wire_put_u64(out, m->logs_dropped);
	wire_put_u64(out, m->instantiate_ns);
	wire_put_u64(out, m->run_ns);
	wire_put_u64(out, m->memory_peak);
	wire_put_u32(out, (uint32_t)m->output.n);
}

int runner_done_get(struct str body, struct runner_done *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct runner_done m = {0};
	uint8_t end = wire_u8(&r);
	m.exit_code = wire_u32(&r);
	m.trap = wire_str(&r);
	m.limit = wire_str(&r);
	m.memory_refused = wire_bool(&r);
	m.message = wire_str(&r);
	m.stderr_tail = wire_str(&r);
	m.stderr_cut = wire_bool(&r);
	m.logs_dropped = wire_u64(&r);
	m.instantiate_ns = wire_u64(&r);
	m.run_ns = wire_u64(&r);
	m.memory_peak = wire_u64(&r);
	m.output = wire_str(&r);
	if (wire_done(&r, "done", err) != 0)
		return -1;
	if (end >= RUNNER_END__MAX)
		return fail(err, ERR_PROTOCOL, "'done' has an unknown end %u", end);
	m.end = (enum runner_end)end;
	*ret = m;
	return 0;
}
