#include "connector/call_limits.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/size.h"
#include "base/time.h"
#include <stddef.h>

#define WASM_PAGE (64 * KIB)

enum amount { AMOUNT_DURATION, AMOUNT_SIZE, AMOUNT_COUNT };

struct limit_row {
	const char *name;
	enum amount amount;
	size_t field;
	uint64_t preset, ceiling;
};

static const struct limit_row limit_rows[] = {
	{"wall_time", AMOUNT_DURATION, offsetof(struct call_limits, wall_time), LIMIT_WALL_DEFAULT_MS *MS,
	 LIMIT_WALL_CEILING_MS *MS},
	{"memory", AMOUNT_SIZE, offsetof(struct call_limits, memory), LIMIT_MEMORY_DEFAULT, LIMIT_MEMORY_CEILING},
	{"stdout", AMOUNT_SIZE, offsetof(struct call_limits, stdout_bytes), LIMIT_STDOUT, LIMIT_STDOUT},
	{"log", AMOUNT_COUNT, offsetof(struct call_limits, log_lines), LIMIT_LOG_LINES, LIMIT_LOG_LINES},
	{"request_body", AMOUNT_SIZE, offsetof(struct call_limits, request_body), LIMIT_REQUEST_BODY,
	 LIMIT_REQUEST_BODY},
	{"response_body", AMOUNT_SIZE, offsetof(struct call_limits, response_body), LIMIT_RESPONSE_BODY,
	 LIMIT_RESPONSE_BODY},
};

static uint64_t *field_of(struct call_limits *limits, const struct limit_row *row)
{
	return (uint64_t *)(void *)((char *)limits + row->field);
}

static uint64_t value_of(const struct call_limits *limits, const struct limit_row *row)
{
	return *(const uint64_t *)(const void *)((const char *)limits + row->field);
}

static const struct limit_row *row_named(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(limit_rows); i++) {
		if (str_eq(name, str_from(limit_rows[i].name)))
			return &limit_rows[i];
	}
	return NULL;
}

struct call_limits call_limits_resolve(const struct call_limits *asked, const struct manifest_limits *manifest)
{
	struct call_limits limits = *asked;
	if (manifest != NULL && limits.wall_time == 0)
		limits.wall_time = MIN(manifest->wall_time_ms, LIMIT_WALL_CEILING_MS) * MS;
	if (manifest != NULL && limits.memory == 0)
		limits.memory = manifest->memory_bytes;
	for (size_t i = 0; i < ARRAY_LEN(limit_rows); i++) {
		uint64_t *value = field_of(&limits, &limit_rows[i]);
		if (*value == 0)
			*value = limit_rows[i].preset;
		*value = MIN(*value, limit_rows[i].ceiling);
	}
	limits.memory = (limits.memory + WASM_PAGE - 1) / WASM_PAGE * WASM_PAGE;
	return limits;
}

static int parse_amount(enum amount amount, struct str text, uint64_t *ret, struct err *err)
{
	switch (amount) {
	case AMOUNT_DURATION:
		return duration_parse(text, UINT64_MAX, ret, err);
	case AMOUNT_SIZE:
		return size_parse(text, UINT64_MAX, ret, err);
	case AMOUNT_COUNT:
		break;
	}
	if (!str_to_u64(text, UINT64_MAX, ret))
		return fail(err, ERR_VALIDATION_ERROR, "'%.*s' is not a whole number", STR_FMT(text));
	return 0;
}

static int fail_unknown(struct str name, struct err *err)
{
	AUTO_BUF known = BUF_INIT(512);
	for (size_t i = 0; i < ARRAY_LEN(limit_rows); i++)
		buf_addf(&known, "%s%s", i > 0 ? ", " : "", limit_rows[i].name);
	return fail(err, ERR_USAGE, "there is no limit '%.*s'; there are: %s", STR_FMT(name), known.p);
}

int call_limits_set(struct call_limits *limits, struct str assignment, struct err *err)
{
	if (str_find_char(assignment, '=') == STR_NPOS)
		return fail(err, ERR_USAGE, "the limit '%.*s' has no value; write name=value", STR_FMT(assignment));
	struct str name;
	struct str text = str_cut(assignment, '=', &name);
	const struct limit_row *row = row_named(name);
	if (row == NULL)
		return fail_unknown(name, err);
	uint64_t value;
	struct err why = {0};
	if (parse_amount(row->amount, text, &value, &why) < 0)
		return fail(err, ERR_USAGE, "the limit '%s' cannot be set: %s", row->name, why.message);
	if (value == 0)
		return fail(err, ERR_USAGE, "the limit '%s' must be more than 0", row->name);
	*field_of(limits, row) = value;
	return 0;
}

int call_limits_exceeded(const struct call_limits *limits, struct str name, struct err *err)
{
	const struct limit_row *row = row_named(name);
	if (row == NULL)
		return fail(err, ERR_CONNECTOR_RUNTIME_ERROR,
			    "the runner stopped the call for a limit that does not exist");

	char text[DURATION_TEXT_SIZE > SIZE_TEXT_SIZE ? DURATION_TEXT_SIZE : SIZE_TEXT_SIZE];
	uint64_t value = value_of(limits, row);
	const char *configured =
		row->amount == AMOUNT_DURATION ? duration_format(value, text) : size_format(value, text);
	fail(err, ERR_RESOURCE_LIMIT_EXCEEDED, "the connector reached its %s limit of %s", row->name, configured);
	err_detail(err, "limit", name);
	err_detail(err, "configured", str_from(configured));
	return -1;
}
