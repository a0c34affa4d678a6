#include "connector/abi/host.h"
#include "connector/abi/invocation.h"
#include "base/limits.h"
#include "connector/abi/wasi.h"
#include <stdlib.h>

/* Answers of this module, as compiled connectors know them. */
enum {
	NONE_YET = -1,
	NO_SPAWN_YET = -2,
	AUDIT_NO_OBJECT = -1,
	AUDIT_TOO_LONG = -2,
	AUDIT_TOO_MANY = -3,
};

/* At most `max` bytes of a span; one that is not inside is empty. */
static struct str span_str(struct guest_memory memory, uint64_t at, uint64_t n, uint32_t max)
{
	const uint8_t *p = memory_span(memory, at, n);
	return p != NULL ? str_of(p, MIN(n, (uint64_t)max)) : STR_EMPTY;
}

static void put_length(uint8_t to[4], struct str s)
{
	memory_store(to, s.n, 4);
}

/* log(level, length, message, length) */
static uint32_t host_log(struct guest *guest, const uint64_t *args)
{
	struct invocation *call = invocation_of(guest);
	if (call->log_lines >= call->ask.log_lines_max) {
		call->logs_dropped++;
		return 0;
	}
	call->log_lines++;
	struct guest_memory memory = guest_memory(guest);
	struct str level = span_str(memory, args[0], args[1], call->ask.log_line_max);
	struct str message = span_str(memory, args[2], args[3], call->ask.log_line_max);
	uint8_t level_n[4], message_n[4];
	put_length(level_n, level);
	put_length(message_n, message);
	struct str parts[] = {str_of(level_n, 4), level, str_of(message_n, 4), message};
	invocation_send(call, guest, RUNNER_LOG, parts, ARRAY_LEN(parts));
	return 0;
}

static void keep_response(struct invocation *call, struct invocation_answer *answer)
{
	free(call->body_memory);
	call->body_memory = TAKE(answer->memory);
	call->body = answer->body;
	call->status = answer->status;
	call->has_response = true;
}

/* http_request(envelope, length): 0, -1 or -2. After a failure the previous response stays readable. */
static uint32_t host_http_request(struct guest *guest, const uint64_t *args)
{
	struct invocation *call = invocation_of(guest);
	const uint8_t *p = memory_span(guest_memory(guest), args[0], args[1]);
	uint8_t head[5] = {RUNNER_ENVELOPE_PRESENT};
	struct str envelope = STR_EMPTY;
	if (p == NULL || args[1] == 0)
		head[0] = RUNNER_ENVELOPE_MISSING;
	else if (args[1] > call->ask.envelope_max)
		head[0] = RUNNER_ENVELOPE_TOO_LONG;
	else
		envelope = str_of(p, args[1]);
	put_length(head + 1, envelope);

	struct str parts[] = {str_of(head, sizeof head), envelope};
	struct invocation_answer answer;
	if (!invocation_ask(call, guest, RUNNER_HTTP, parts, ARRAY_LEN(parts), RUNNER_HTTP_RESULT, &answer))
		return 0;
	if (answer.rc == 0)
		keep_response(call, &answer);
	free(answer.memory);
	return (uint32_t)answer.rc;
}

static uint32_t host_http_response_size(struct guest *guest, const uint64_t *args)
{
	(void)args;
	const struct invocation *call = invocation_of(guest);
	return call->has_response ? (uint32_t)call->body.n : (uint32_t)NONE_YET;
}

static uint32_t host_http_response_status(struct guest *guest, const uint64_t *args)
{
	(void)args;
	const struct invocation *call = invocation_of(guest);
	return call->has_response ? (uint32_t)call->status : (uint32_t)NONE_YET;
}

/* http_response_read(to, length): always from the first byte; how many, or -1. */
static uint32_t host_http_response_read(struct guest *guest, const uint64_t *args)
{
	const struct invocation *call = invocation_of(guest);
	if (!call->has_response)
		return (uint32_t)NONE_YET;
	size_t n = (size_t)MIN(args[1], (uint64_t)call->body.n);
	if (n == 0)
		return 0;
	uint8_t *to = memory_span(guest_memory(guest), args[0], n);
	if (to == NULL)
		return (uint32_t)-1;
	memcpy(to, call->body.p, n);
	return (uint32_t)n;
}

static uint32_t ask_spawn(struct guest *guest, uint8_t kind)
{
	struct invocation_answer answer;
	struct str part = str_of(&kind, 1);
	if (!invocation_ask(invocation_of(guest), guest, RUNNER_SPAWN, &part, 1, RUNNER_SPAWN_RESULT, &answer))
		return 0;
	free(answer.memory);
	return (uint32_t)answer.rc;
}

/* Programs cannot be started yet: the parent records why and answers -3. */
static uint32_t host_spawn(struct guest *guest, const uint64_t *args)
{
	(void)args;
	return ask_spawn(guest, 0);
}

static uint32_t host_spawn_op(struct guest *guest, const uint64_t *args)
{
	(void)args;
	return ask_spawn(guest, 1);
}

static uint32_t host_spawn_status(struct guest *guest, const uint64_t *args)
{
	(void)guest, (void)args;
	return (uint32_t)NO_SPAWN_YET;
}

static uint32_t host_spawn_output(struct guest *guest, const uint64_t *args)
{
	(void)guest, (void)args;
	return (uint32_t)NONE_YET;
}

/* audit_emit(text, length): the parent, which keeps the audit, says whether it is a JSON object and stored. */
static uint32_t host_audit_emit(struct guest *guest, const uint64_t *args)
{
	struct invocation *call = invocation_of(guest);
	const uint8_t *p = memory_span(guest_memory(guest), args[0], args[1]);
	if (p == NULL || args[1] == 0)
		return (uint32_t)AUDIT_NO_OBJECT;
	if (args[1] > LIMIT_AUDIT_LINE)
		return (uint32_t)AUDIT_TOO_LONG;
	if (call->audit_lines >= LIMIT_AUDIT_LINES)
		return (uint32_t)AUDIT_TOO_MANY;
	call->audit_lines++;
	uint8_t text_n[4];
	struct str text = str_of(p, args[1]);
	put_length(text_n, text);
	struct str parts[] = {str_of(text_n, 4), text};
	struct invocation_answer answer;
	if (!invocation_ask(call, guest, RUNNER_AUDIT, parts, ARRAY_LEN(parts), RUNNER_AUDIT_RESULT, &answer))
		return 0;
	free(answer.memory);
	return (uint32_t)answer.rc;
}

const struct host_function host_functions[] = {
	{"log", "iiii", false, host_log},
	{"http_request", "ii", true, host_http_request},
	{"http_response_size", "", true, host_http_response_size},
	{"http_response_status", "", true, host_http_response_status},
	{"http_response_read", "ii", true, host_http_response_read},
	{"spawn", "ii", true, host_spawn},
	{"spawn_op", "iiii", true, host_spawn_op},
	{"spawn_status", "", true, host_spawn_status},
	{"spawn_output_size", "i", true, host_spawn_output},
	{"spawn_output_read", "iii", true, host_spawn_output},
	{"audit_emit", "ii", true, host_audit_emit},
	{NULL, NULL, false, NULL},
};

const struct host_module host_modules[] = {
	{HOST_MODULE, host_functions},
	{WASI_MODULE, wasi_functions},
	{NULL, NULL},
};
