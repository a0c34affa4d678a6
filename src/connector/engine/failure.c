#include "connector/engine/failure.h"
#include "base/ascii.h"
#include "base/mem.h"
#include <stdio.h>

/* Indexed by wasmtime_trap_code_t. Codes of proposals that are switched off have no row. */
static const struct {
	const char *name;
	const char *sentence;
} traps[] = {
	[WASMTIME_TRAP_CODE_STACK_OVERFLOW] = {"stack_overflow", "call stack exhausted"},
	[WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS] = {"memory_out_of_bounds", "memory access out of bounds"},
	[WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS] = {"table_out_of_bounds", "table access out of bounds"},
	[WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL] = {"indirect_call_to_null", "indirect call to an empty table slot"},
	[WASMTIME_TRAP_CODE_BAD_SIGNATURE] = {"bad_signature", "indirect call to a function of another type"},
	[WASMTIME_TRAP_CODE_INTEGER_OVERFLOW] = {"integer_overflow", "integer overflow"},
	[WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO] = {"integer_divide_by_zero", "integer divided by zero"},
	[WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER] = {"bad_conversion_to_integer",
							  "float that does not fit converted to an integer"},
	[WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED] = {"unreachable", "unreachable instruction executed"},
	[WASMTIME_TRAP_CODE_INTERRUPT] = {"interrupt", "interrupted"},
	[WASMTIME_TRAP_CODE_NULL_REFERENCE] = {"null_reference", "null reference used"},
	[WASMTIME_TRAP_CODE_ALLOCATION_TOO_LARGE] = {"allocation_too_large", "allocation too large"},
};

/* The engine's chain of causes, which it writes over many lines, as one: "outer: inner: innermost". */
static void add_on_one_line(struct buf *out, struct str text)
{
	bool first = true;
	while (text.n > 0) {
		struct str line;
		text = str_cut(text, '\n', &line);
		line = str_trim(line);
		if (line.n == 0 || str_eq(line, S("Caused by:")))
			continue;
		/* "0: reason" in a chain of several */
		if (!first && line.n > 3 && ascii_is_digit(line.p[0]) && line.p[1] == ':')
			line = str_trim(str_slice(line, 2, line.n));
		if (!first)
			buf_add_z(out, ": ");
		first = false;
		buf_add_str(out, line);
	}
}

void failure_text(struct buf *out, wasmtime_error_t *error)
{
	wasm_name_t message;
	wasmtime_error_message(error, &message);
	add_on_one_line(out, str_of(message.data, message.size));
	wasm_byte_vec_delete(&message);
	wasmtime_error_delete(error);
}

int failure_load(struct err *err, const char *reason, const char *what, wasmtime_error_t *error)
{
	AUTO_BUF text = BUF_INIT(FAILURE_TEXT_MAX);
	failure_text(&text, error);
	fail(err, ERR_CONNECTOR_LOAD_FAILED, "%s: %.*s", what, STR_FMT(buf_str(&text)));
	err_detail(err, "reason", str_from(reason));
	return -1;
}

static void add_frame(struct buf *text, size_t i, const wasm_frame_t *frame)
{
	const wasm_name_t *name = wasmtime_frame_func_name(frame);
	struct str shown = name != NULL ? str_slice(str_of(name->data, name->size), 0, FAILURE_NAME) : S("?");
	buf_addf(text, "\n  %zu: %.*s (function %u, offset 0x%zx)", i, STR_FMT(shown), wasm_frame_func_index(frame),
		 wasm_frame_func_offset(frame));
}

/* Whether there was any guest frame. */
static bool add_backtrace(struct buf *text, wasm_frame_vec_t *frames)
{
	size_t n = frames->size;
	for (size_t i = 0; i < n && i < FAILURE_FRAMES; i++)
		add_frame(text, i, frames->data[i]);
	if (n > FAILURE_FRAMES)
		buf_addf(text, "\n  and %zu more", n - FAILURE_FRAMES);
	wasm_frame_vec_delete(frames);
	return n > 0;
}

static const char *name_of(bool known, wasmtime_trap_code_t code, struct buf *text)
{
	if (!known || code >= ARRAY_LEN(traps) || traps[code].name == NULL)
		return NULL;
	buf_add_z(text, traps[code].sentence);
	return traps[code].name;
}

struct failure_trap failure_of_trap(struct buf *text, wasm_trap_t *trap)
{
	wasmtime_trap_code_t code = 0;
	bool known = wasmtime_trap_code(trap, &code);
	struct failure_trap result = {.name = name_of(known, code, text)};
	if (result.name == NULL) {
		wasm_message_t message;
		wasm_trap_message(trap, &message);
		/* The engine counts its final NUL. */
		add_on_one_line(text, str_of(message.data, message.size > 0 ? message.size - 1 : 0));
		wasm_byte_vec_delete(&message);
		result.name = known ? "other" : "";
	}
	wasm_frame_vec_t frames;
	wasm_trap_trace(trap, &frames);
	result.in_guest = add_backtrace(text, &frames);
	wasm_trap_delete(trap);
	return result;
}

struct failure_trap failure_of_error(struct buf *text, wasmtime_error_t *error)
{
	AUTO_BUF trace = BUF_INIT(FAILURE_TEXT_MAX);
	wasm_frame_vec_t frames;
	wasmtime_error_wasm_trace(error, &frames);
	struct failure_trap result = {.name = "", .in_guest = add_backtrace(&trace, &frames)};
	failure_text(text, error);
	buf_add_str(text, buf_str(&trace));
	return result;
}
