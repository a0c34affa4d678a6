#include "connector/prescan.h"
#include "base/limits.h"
#include <stddef.h>

/* Where the scan stands. `bad` is sticky and makes every further read give zero. */
struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

struct totals {
	uint64_t functions;
	uint64_t table_elements;
};

enum section { SECTION_IMPORT = 2, SECTION_FUNCTION = 3, SECTION_TABLE = 4, SECTION_CODE = 10 };

static size_t left(const struct cursor *c)
{
	return c->bad ? 0 : (size_t)(c->end - c->p);
}

static uint8_t read_byte(struct cursor *c)
{
	if (left(c) == 0) {
		c->bad = true;
		return 0;
	}
	return *c->p++;
}

/* An unsigned LEB128 number of at most 32 bits. */
static uint32_t read_u32(struct cursor *c)
{
	uint32_t v = 0;
	for (unsigned shift = 0; shift < 35; shift += 7) {
		uint8_t byte = read_byte(c);
		if (shift == 28 && (byte & 0xf0) != 0)
			break;
		v |= (uint32_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return v;
	}
	c->bad = true;
	return 0;
}

/* The next n bytes as a cursor of their own; a claim that goes past the end makes both bad. */
static struct cursor take(struct cursor *c, uint32_t n)
{
	if (n > left(c))
		c->bad = true;
	if (c->bad)
		return (struct cursor){.bad = true};
	struct cursor part = {c->p, c->p + n, false};
	c->p += n;
	return part;
}

static int over(struct err *err, const char *rule, uint64_t found, uint64_t allowed, const char *what)
{
	fail(err, ERR_RESOURCE_LIMIT_EXCEEDED, "the module has %llu %s, %llu are allowed", (unsigned long long)found,
	     what, (unsigned long long)allowed);
	err_detail(err, "limit", S("compile"));
	err_detail(err, "rule", str_from(rule));
	err_detail_int(err, "found", (int64_t)found);
	err_detail_int(err, "allowed", (int64_t)allowed);
	return -1;
}

static int count_functions(struct cursor section, struct totals *totals, struct err *err)
{
	totals->functions += read_u32(&section);
	if (totals->functions > LIMIT_FUNCTIONS)
		return over(err, "functions", totals->functions, LIMIT_FUNCTIONS, "functions");
	return 0;
}

static int scan_tables(struct cursor section, struct totals *totals, struct err *err)
{
	uint32_t n = read_u32(&section);
	for (uint32_t i = 0; i < n && !section.bad; i++) {
		read_byte(&section); /* reference type */
		uint8_t flags = read_byte(&section);
		totals->table_elements += read_u32(&section);
		if ((flags & 1) != 0)
			read_u32(&section);
		if (totals->table_elements > LIMIT_TABLE_ELEMENTS)
			return over(err, "table_elements", totals->table_elements, LIMIT_TABLE_ELEMENTS,
				    "table elements");
	}
	return 0;
}

static int scan_locals(struct cursor body, uint32_t index, struct err *err)
{
	uint64_t locals = 0;
	uint32_t groups = read_u32(&body);
	for (uint32_t i = 0; i < groups && !body.bad; i++) {
		locals += read_u32(&body);
		read_byte(&body); /* value type: one byte in core 2.0 */
		if (locals > LIMIT_LOCALS) {
			over(err, "locals", locals, LIMIT_LOCALS, "locals in one function");
			err_detail_int(err, "function", index);
			return -1;
		}
	}
	return 0;
}

static int scan_code(struct cursor section, struct err *err)
{
	uint32_t n = read_u32(&section);
	if (n > LIMIT_FUNCTIONS)
		return over(err, "functions", n, LIMIT_FUNCTIONS, "functions");
	for (uint32_t i = 0; i < n && !section.bad; i++) {
		uint32_t size = read_u32(&section);
		struct cursor body = take(&section, size);
		if (size > LIMIT_FUNCTION_BODY) {
			over(err, "function_body", size, LIMIT_FUNCTION_BODY, "bytes in one function");
			err_detail_int(err, "function", i);
			return -1;
		}
		if (scan_locals(body, i, err) != 0)
			return -1;
	}
	return 0;
}

static int scan_section(uint8_t id, struct cursor section, struct totals *totals, struct err *err)
{
	switch (id) {
	case SECTION_IMPORT: /* every import counts as a function: the engine makes a trampoline for each */
	case SECTION_FUNCTION:
		return count_functions(section, totals, err);
	case SECTION_TABLE:
		return scan_tables(section, totals, err);
	case SECTION_CODE:
		return scan_code(section, err);
	default:
		return 0;
	}
}

int prescan_module(struct str wasm, struct err *err)
{
	static const uint8_t header[8] = {0, 'a', 's', 'm', 1, 0, 0, 0};
	if (wasm.n > LIMIT_MODULE)
		return over(err, "module_size", wasm.n, LIMIT_MODULE, "bytes");
	if (!str_starts(wasm, str_of(header, sizeof header)))
		return 0;

	const uint8_t *p = (const uint8_t *)wasm.p;
	struct cursor all = {p + sizeof header, p + wasm.n, false};
	struct totals totals = {0};
	while (left(&all) > 0) {
		uint8_t id = read_byte(&all);
		struct cursor section = take(&all, read_u32(&all));
		if (scan_section(id, section, &totals, err) != 0)
			return -1;
	}
	return 0;
}
