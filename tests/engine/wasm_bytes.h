/*
 * wasm_bytes: a small assembler for test modules
 *
 * Modules are built section by section; code is a buf to which instructions are appended. Indices are what the functions
 * return: imported functions come first and must all be declared before the first own one. No checks: a test that builds
 * nonsense wants nonsense.
 */
#pragma once
#include "base/buf.h"
#include "base/mem.h"
#include <stdlib.h>

enum {
	WASM_TYPES,
	WASM_IMPORTS,
	WASM_FUNCTIONS,
	WASM_TABLES,
	WASM_MEMORIES,
	WASM_EXPORTS,
	WASM_ELEMENTS,
	WASM_CODE,
	WASM_DATA,
	WASM_PARTS
};

struct wasm {
	struct buf parts[WASM_PARTS];
	uint32_t counts[WASM_PARTS];
	uint32_t functions; /* imported and own */
	int64_t start;      /* -1 = none */
	struct buf bytes;
};

#define WASM_MAX    ((size_t)160 << 20)
#define WASM_UNUSED __attribute__((unused))

WASM_UNUSED static void wasm_u32(struct buf *b, uint64_t v)
{
	do {
		buf_add_char(b, (char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0)));
		v >>= 7;
	} while (v > 0);
}

WASM_UNUSED static void wasm_s64(struct buf *b, int64_t v)
{
	for (;;) {
		uint8_t byte = (uint8_t)(v & 0x7f);
		v >>= 7;
		bool last = (v == 0 && (byte & 0x40) == 0) || (v == -1 && (byte & 0x40) != 0);
		buf_add_char(b, (char)(byte | (last ? 0 : 0x80)));
		if (last)
			return;
	}
}

WASM_UNUSED static void wasm_name(struct buf *b, const char *name)
{
	wasm_u32(b, strlen(name));
	buf_add_z(b, name);
}

WASM_UNUSED static void wasm_init(struct wasm *m)
{
	*m = (struct wasm){.start = -1};
	for (int i = 0; i < WASM_PARTS; i++)
		buf_init(&m->parts[i], WASM_MAX);
	buf_init(&m->bytes, WASM_MAX);
}

WASM_UNUSED static void wasm_release(struct wasm *m)
{
	for (int i = 0; i < WASM_PARTS; i++)
		buf_release(&m->parts[i]);
	buf_release(&m->bytes);
}
#define AUTO_WASM __attribute__((cleanup(wasm_release))) struct wasm

WASM_UNUSED static void wasm_kinds(struct buf *b, const char *letters)
{
	wasm_u32(b, strlen(letters));
	for (; *letters != '\0'; letters++)
		buf_add_char(b, (char)(*letters == 'i'   ? 0x7f
				       : *letters == 'I' ? 0x7e
				       : *letters == 'f' ? 0x7d
							 : 0x7c));
}

/* Letters: i = i32, I = i64, f = f32, F = f64. */
WASM_UNUSED static uint32_t wasm_type(struct wasm *m, const char *params, const char *results)
{
	struct buf *b = &m->parts[WASM_TYPES];
	buf_add_char(b, 0x60);
	wasm_kinds(b, params);
	wasm_kinds(b, results);
	return m->counts[WASM_TYPES]++;
}

WASM_UNUSED static uint32_t wasm_import(struct wasm *m, const char *module, const char *name, const char *params,
					const char *results)
{
	uint32_t type = wasm_type(m, params, results);
	struct buf *b = &m->parts[WASM_IMPORTS];
	wasm_name(b, module);
	wasm_name(b, name);
	buf_add_char(b, 0);
	wasm_u32(b, type);
	m->counts[WASM_IMPORTS]++;
	return m->functions++;
}

/* A body with its locals: `locals` i32 ones, then `code` and the final end. */
WASM_UNUSED static uint32_t wasm_function(struct wasm *m, uint32_t type, uint32_t locals, const struct buf *code)
{
	wasm_u32(&m->parts[WASM_FUNCTIONS], type);
	m->counts[WASM_FUNCTIONS]++;
	AUTO_BUF body = BUF_INIT(WASM_MAX);
	if (locals > 0) {
		wasm_u32(&body, 1);
		wasm_u32(&body, locals);
		buf_add_char(&body, 0x7f);
	} else {
		wasm_u32(&body, 0);
	}
	buf_add_str(&body, buf_str(code));
	buf_add_char(&body, 0x0b);
	wasm_u32(&m->parts[WASM_CODE], body.n);
	buf_add_str(&m->parts[WASM_CODE], buf_str(&body));
	m->counts[WASM_CODE]++;
	return m->functions++;
}

WASM_UNUSED static void wasm_memory(struct wasm *m, uint32_t pages)
{
	buf_add_char(&m->parts[WASM_MEMORIES], 0);
	wasm_u32(&m->parts[WASM_MEMORIES], pages);
	m->counts[WASM_MEMORIES]++;
}

WASM_UNUSED static void wasm_table(struct wasm *m, uint64_t elements)
{
	buf_add(&m->parts[WASM_TABLES], "\x70\x00", 2);
	wasm_u32(&m->parts[WASM_TABLES], elements);
	m->counts[WASM_TABLES]++;
}

enum { WASM_FUNC = 0, WASM_TABLE = 1, WASM_MEMORY = 2 };
WASM_UNUSED static void wasm_export(struct wasm *m, const char *name, int kind, uint32_t index)
{
	wasm_name(&m->parts[WASM_EXPORTS], name);
	buf_add_char(&m->parts[WASM_EXPORTS], (char)kind);
	wasm_u32(&m->parts[WASM_EXPORTS], index);
	m->counts[WASM_EXPORTS]++;
}

/* Puts a function into slot `at` of table 0. */
WASM_UNUSED static void wasm_element(struct wasm *m, uint32_t at, uint32_t function)
{
	struct buf *b = &m->parts[WASM_ELEMENTS];
	buf_add(b, "\x00\x41", 2);
	wasm_s64(b, at);
	buf_add(b, "\x0b\x01", 2);
	wasm_u32(b, function);
	m->counts[WASM_ELEMENTS]++;
}

WASM_UNUSED static void wasm_data(struct wasm *m, uint32_t at, struct str bytes)
{
	struct buf *b = &m->parts[WASM_DATA];
	buf_add(b, "\x00\x41", 2);
	wasm_s64(b, at);
	buf_add_char(b, 0x0b);
	wasm_u32(b, bytes.n);
	buf_add_str(b, bytes);
	m->counts[WASM_DATA]++;
}

WASM_UNUSED static struct str wasm_finish(struct wasm *m)
{
	static const uint8_t ids[WASM_PARTS] = {1, 2, 3, 4, 5, 7, 9, 10, 11};
	buf_clear(&m->bytes);
	buf_add(&m->bytes, "\0asm\1\0\0\0", 8);
	for (int i = 0; i < WASM_PARTS; i++) {
		if (i == WASM_ELEMENTS && m->start >= 0) {
			AUTO_BUF start = BUF_INIT(16);
			wasm_u32(&start, (uint64_t)m->start);
			buf_add_char(&m->bytes, 8);
			wasm_u32(&m->bytes, start.n);
			buf_add_str(&m->bytes, buf_str(&start));
		}
		if (m->counts[i] == 0)
			continue;
		AUTO_BUF count = BUF_INIT(16);
		wasm_u32(&count, m->counts[i]);
		buf_add_char(&m->bytes, (char)ids[i]);
		wasm_u32(&m->bytes, count.n + m->parts[i].n);
		buf_add_str(&m->bytes, buf_str(&count));
		buf_add_str(&m->bytes, buf_str(&m->parts[i]));
	}
	return buf_str(&m->bytes);
}

/* ---- instructions ---- */

WASM_UNUSED static void op(struct buf *code, int byte)
{
	buf_add_char(code, (char)byte);
}
WASM_UNUSED static void op_i32(struct buf *code, uint32_t v)
{
	op(code, 0x41);
	wasm_s64(code, (int32_t)v);
}
WASM_UNUSED static void op_i64(struct buf *code, uint64_t v)
{
	op(code, 0x42);
	wasm_s64(code, (int64_t)v);
}
WASM_UNUSED static void op_call(struct buf *code, uint32_t function)
{
	op(code, 0x10);
	wasm_u32(code, function);
}
WASM_UNUSED static void op_load(struct buf *code)
{
	buf_add(code, "\x28\x02\x00", 3);
}
/* value under address: pushes must be address, value */
WASM_UNUSED static void op_store(struct buf *code)
{
	buf_add(code, "\x36\x02\x00", 3);
}
WASM_UNUSED static void op_drop(struct buf *code)
{
	op(code, 0x1a);
}
WASM_UNUSED static void op_unreachable(struct buf *code)
{
	op(code, 0x00);
}
WASM_UNUSED static void op_loop_for_ever(struct buf *code)
{
	buf_add(code, "\x03\x40\x0c\x00\x0b", 5);
}
/* memory.grow by that many pages; leaves the old size or -1. */
WASM_UNUSED static void op_grow(struct buf *code, uint32_t pages)
{
	op_i32(code, pages);
	buf_add(code, "\x40\x00", 2);
}
/* Writes an iovec {at, n} at `iovec` and calls fd_write(fd, iovec, 1, iovec + 8), dropping the errno. */
WASM_UNUSED static void op_write(struct buf *code, uint32_t fd_write, uint32_t fd, uint32_t iovec, uint32_t at,
				 uint32_t n)
{
	op_i32(code, iovec);
	op_i32(code, at);
	op_store(code);
	op_i32(code, iovec + 4);
	op_i32(code, n);
	op_store(code);
	op_i32(code, fd);
	op_i32(code, iovec);
	op_i32(code, 1);
	op_i32(code, iovec + 8);
	op_call(code, fd_write);
	op_drop(code);
}
