#include "egress/escape_view.h"
#include "base/hex.h"
#include "base/mem.h"
#include <stdlib.h>

bool marks_init(struct marks *marks, size_t n)
{
	*marks = (struct marks){.bits = calloc(n / 8 + 1, 1)};
	return marks->bits != NULL;
}

void marks_release(struct marks *marks)
{
	free(marks->bits);
	*marks = (struct marks){.bits = NULL};
}

void marks_set(struct marks *marks, size_t from, size_t to)
{
	marks->any = true;
	for (; from < to; from++)
		marks->bits[from / 8] |= (unsigned char)(1U << (from % 8));
}

/* One unit of a text: how many bytes it takes there, and what it stands for. */
struct unit {
	size_t taken;
	size_t n;
	unsigned char bytes[4];
};

static struct unit take_line_end(const unsigned char *text, size_t n)
{
	(void)n;
	return (struct unit){1, text[0] == '\n' || text[0] == '\r' ? 0 : 1, {text[0]}};
}

static struct unit take_url(const unsigned char *text, size_t n)
{
	int high = n > 2 && text[0] == '%' ? hex_digit((char)text[1]) : -1;
	int low = high >= 0 ? hex_digit((char)text[2]) : -1;
	if (low < 0)
		return (struct unit){1, 1, {text[0]}};
	return (struct unit){3, 1, {(unsigned char)(high << 4 | low)}};
}

static struct unit take_latin1(const unsigned char *text, size_t n)
{
	if ((text[0] != 0xc2 && text[0] != 0xc3) || n < 2 || (text[1] & 0xc0) != 0x80)
		return (struct unit){1, 1, {text[0]}};
	return (struct unit){2, 1, {(unsigned char)(text[0] << 6 | (text[1] & 0x3f))}};
}

/* The code unit of "\uXXXX", or -1. */
static int32_t code_unit(const unsigned char *text, size_t n)
{
	if (n < 6 || text[0] != '\\' || text[1] != 'u')
		return -1;
	int32_t unit = 0;
	for (size_t i = 2; i < 6; i++) {
		int digit = hex_digit((char)text[i]);
		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

static struct unit utf8_unit(size_t taken, uint32_t c)
{
	if (c < 0x80)
		return (struct unit){taken, 1, {(unsigned char)c}};
	static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
	struct unit unit = {.taken = taken, .n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4};
	for (size_t i = unit.n - 1; i > 0; i--, c >>= 6)
		unit.bytes[i] = (unsigned char)(0x80 | (c & 0x3f));
	unit.bytes[0] = (unsigned char)(leads[unit.n] | c);
	return unit;
}

/* What a letter behind a backslash means, or 0. */
static unsigned char short_escape(unsigned char letter)
{
	switch (letter) {
	case '"':
	case '\\':
	case '/':
		return letter;
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	default:
		return 0;
	}
}

static struct unit take_json(const unsigned char *text, size_t n)
{
	if (text[0] != '\\' || n < 2)
		return (struct unit){1, 1, {text[0]}};
	unsigned char meaning = short_escape(text[1]);
	if (meaning != 0)
		return (struct unit){2, 1, {meaning}};
	int32_t first = code_unit(text, n);
	if (first < 0)
		return (struct unit){1, 1, {text[0]}};
	int32_t second = first >= 0xd800 && first < 0xdc00 ? code_unit(text + 6, n - 6) : -1;
	if (second >= 0xdc00 && second < 0xe000)
		return utf8_unit(12, (uint32_t)(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
	return utf8_unit(6, (uint32_t)first);
}

static const struct row {
	struct unit (*take)(const unsigned char *text, size_t n);
	unsigned char leads[2]; /* what an escape begins with */
} rows[ESCAPE__MAX] = {
	[ESCAPE_JSON] = {take_json, {'\\', '\\'}},
	[ESCAPE_URL] = {take_url, {'%', '%'}},
	[ESCAPE_LATIN1] = {take_latin1, {0xc2, 0xc3}},
	[ESCAPE_LINE_END] = {take_line_end, {'\n', '\r'}},
};

/* Where the next byte is that an escape may begin with, or n. Escapes come close together, or hardly at all. */
static size_t next_lead(const struct row *row, const unsigned char *text, size_t at, size_t n)
{
	enum { NEAR = 16 };
	unsigned char first = row->leads[0], second = row->leads[1];
	size_t near = first != second || n - at < NEAR ? n : at + NEAR;
	while (at < near && text[at] != first && text[at] != second)
		at++;
	if (at < near || at == n)
		return at;
	const unsigned char *found = memchr(text + at, first, n - at);
	return found == NULL ? n : (size_t)(found - text);
}

/* Where the first escape is, or n. */
static size_t first_escape(const struct row *row, const unsigned char *text, size_t n)
{
	for (size_t at = next_lead(row, text, 0, n); at < n; at = next_lead(row, text, at + 1, n)) {
		struct unit unit = row->take(text + at, n - at);
		if (unit.taken != 1 || unit.n != 1)
			return at;
	}
	return n;
}

static bool make_room(struct escape_view *view, size_t n)
{
	if (n <= view->room) {
		memset(view->marks.bits, 0, n / 8 + 1);
		view->marks.any = false;
		return true;
	}
	escape_view_release(view);
	struct escape_view made = {.bytes = malloc(n), .room = n};
	if (made.bytes == NULL || !marks_init(&made.marks, n)) {
		free(made.bytes);
		return false;
	}
	*view = made;
	return true;
}

enum escape_result escape_view_make(struct escape_view *view, enum escape escape, const unsigned char *text, size_t n)
{
	const struct row *row = &rows[escape];
	size_t at = first_escape(row, text, n);
	view->n = 0;
	if (at == n)
		return ESCAPE_NONE_FOUND;
	if (!make_room(view, n))
		return ESCAPE_NO_MEMORY;
	unsigned char *bytes = view->bytes;
	memcpy(bytes, text, at);
	size_t made = at;
	while (at < n) {
		struct unit unit = row->take(text + at, n - at);
		for (size_t i = 0; i < unit.n; i++)
			bytes[made++] = unit.bytes[i];
		at += unit.taken;
		size_t next = next_lead(row, text, at, n);
		memcpy(bytes + made, text + at, next - at);
		made += next - at;
		at = next;
	}
	view->n = made;
	return ESCAPE_UNDONE;
}

void escape_view_release(struct escape_view *view)
{
	if (view->bytes != NULL)
		mem_wipe(view->bytes, view->room);
	free(view->bytes);
	marks_release(&view->marks);
	*view = (struct escape_view){.bytes = NULL};
}

/* Copies the marks of n bytes that stand for themselves; returns whether the last is marked. */
static bool carry_plain(const struct marks *from, size_t at, size_t n, struct marks *to, size_t base)
{
	bool last = false;
	for (size_t i = 0; i < n; i++) {
		if ((at + i) % 8 == 0 && n - i > 8 && from->bits[(at + i) / 8] == 0) {
			i += 7;
			continue;
		}
		last = marks_at(from, at + i);
		if (last)
			marks_set(to, base + i, base + i + 1);
	}
	return last;
}

void escape_view_carry(const struct escape_view *view, enum escape escape, const unsigned char *text, size_t n,
		       struct marks *ret_marks, size_t base)
{
	const struct row *row = &rows[escape];
	size_t made = 0;
	bool before = false; /* what is in front is marked: a line end between two marked bytes goes too */
	for (size_t at = 0; at < n;) {
		size_t next = next_lead(row, text, at, n);
		if (next > at)
			before = carry_plain(&view->marks, made, next - at, ret_marks, base + at);
		made += next - at;
		at = next;
		if (at == n)
			break;
		struct unit unit = row->take(text + at, n - at);
		bool hit = unit.n == 0 && before && made < view->n && marks_at(&view->marks, made);
		for (size_t i = 0; i < unit.n; i++)
			hit = hit || marks_at(&view->marks, made + i);
		if (hit)
			marks_set(ret_marks, base + at, base + at + unit.taken);
		before = hit;
		made += unit.n;
		at += unit.taken;
	}
}
