#include "cli/print.h"
#include "base/escape.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "os/file.h"
#include "text/json_writer.h"
#include <errno.h>
#include <sys/ioctl.h>

#define NOTE_MAX    ((size_t)16 << 10)
#define LABEL_WIDTH 14

/* ------------------------------------------------------------------------------------------------------------- printer */

static bool wants_colours(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	return (no == NULL || no[0] == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
}

void printer_init(struct printer *printer, int fd)
{
	struct winsize size = {0};
	bool terminal = isatty(fd) == 1;
	*printer = (struct printer){.out = BUF_INIT(PRINT_MAX), .fd = fd, .terminal = terminal};
	printer->colours = terminal && wants_colours();
	if (terminal && ioctl(fd, TIOCGWINSZ, &size) == 0)
		printer->width = size.ws_col;
}

void printer_release(struct printer *printer)
{
	buf_release(&printer->out);
}

int print_flush(struct printer *printer, struct err *err)
{
	static struct err failure;
	if (buf_check(&printer->out, "the output", err) < 0)
		return -1;
	int rc = file_write_fd(printer->fd, "standard output", buf_str(&printer->out), &failure);
	buf_clear(&printer->out);
	if (rc == 0 || failure.os_errno == EPIPE)
		return 0;
	if (err != NULL)
		*err = failure;
	return -1;
}

void print_text(struct printer *printer, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_addv(&printer->out, fmt, ap);
	va_end(ap);
}

static void begin_style(struct printer *printer, enum print_style style)
{
	static const char *const codes[] = {
		[PRINT_PLAIN] = "",  [PRINT_BOLD] = "1", [PRINT_GOOD] = "32",
		[PRINT_WARN] = "33", [PRINT_BAD] = "31", [PRINT_FAINT] = "2",
	};
	if (printer->colours && style != PRINT_PLAIN)
		buf_addf(&printer->out, "\033[%sm", codes[style]);
}

static void end_style(struct printer *printer, enum print_style style)
{
	if (printer->colours && style != PRINT_PLAIN)
		buf_add_z(&printer->out, "\033[0m");
}

void print_styled(struct printer *printer, enum print_style style, const char *fmt, ...)
{
	va_list ap;
	begin_style(printer, style);
	va_start(ap, fmt);
	buf_addv(&printer->out, fmt, ap);
	va_end(ap);
	end_style(printer, style);
}

void print_from(struct printer *printer, struct str text)
{
	escape_visible(&printer->out, text);
}

void print_pair(struct printer *printer, const char *label, struct str value)
{
	print_text(printer, "%-*s ", LABEL_WIDTH - 1, label);
	print_from(printer, value);
	print_text(printer, "\n");
}

void print_pair_styled(struct printer *printer, const char *label, enum print_style style, const char *value)
{
	print_text(printer, "%-*s ", LABEL_WIDTH - 1, label);
	print_styled(printer, style, "%s", value);
	print_text(printer, "\n");
}

/* JSON has hidden characters inside of strings alone, where \u escapes mean the same. */
static void add_without_hidden(struct buf *out, struct str json)
{
	size_t plain = 0; /* bytes at the front that need nothing */
	while (plain < json.n) {
		struct utf8_char c = utf8_next(str_slice(json, plain, json.n));
		if (c.code != UTF8_INVALID && !escape_hides(c.code)) {
			plain += c.n;
			continue;
		}
		buf_add(out, json.p, plain);
		escape_json(out, str_slice(json, plain, plain + c.n));
		json = str_slice(json, plain + c.n, json.n);
		plain = 0;
	}
	buf_add_str(out, json);
}

void print_json(struct printer *printer, const struct json *value)
{
	AUTO_BUF text = BUF_INIT(PRINT_MAX);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_value(&w, value);
	add_without_hidden(&printer->out, buf_str(&text));
	print_text(printer, "\n");
}

static void begin_line(struct printer *printer, unsigned depth)
{
	print_text(printer, "\n%*s", (int)(2 * depth), "");
}

static void put_scalar(struct printer *printer, const struct json *value)
{
	AUTO_BUF text = BUF_INIT(PRINT_MAX);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_value(&w, value);
	add_without_hidden(&printer->out, buf_str(&text));
}

static void put_name(struct printer *printer, struct str name)
{
	print_text(printer, "\"");
	escape_json(&printer->out, name);
	print_text(printer, "\": ");
}

/* Parsed values nest at most JSON_DEPTH_MAX deep. */
static void put_page(struct printer *printer, const struct json *value, unsigned depth)
{
	struct json_iter it;
	bool array = json_kind(value) == JSON_KIND_ARRAY;
	size_t n = 0;
	if (json_length(value) == 0) {
		put_scalar(printer, value);
		return;
	}
	print_text(printer, array ? "[" : "{");
	for (json_iter_init(&it, value); json_iter_next(&it);) {
		print_text(printer, n++ > 0 ? "," : "");
		begin_line(printer, depth + 1);
		put_name(printer, it.name);
		put_page(printer, it.value, depth + 1);
	}
	for (size_t i = 0; array && i < json_length(value); i++) {
		print_text(printer, i > 0 ? "," : "");
		begin_line(printer, depth + 1);
		put_page(printer, json_at(value, i), depth + 1);
	}
	begin_line(printer, depth);
	print_text(printer, array ? "]" : "}");
}

void print_json_page(struct printer *printer, const struct json *value)
{
	put_page(printer, value, 0);
	print_text(printer, "\n");
}

void print_json_list(struct printer *printer, const struct json *array)
{
	if (json_length(array) == 0)
		print_text(printer, "[]\n");
	for (size_t i = 0; i < json_length(array); i++)
		print_json(printer, json_at(array, i));
}

/* ------------------------------------------------------------------------------------------------------ standard error */

void print_note(const char *fmt, ...)
{
	AUTO_BUF text = BUF_INIT(NOTE_MAX);
	AUTO_BUF line = BUF_INIT(5 * NOTE_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_addv(&text, fmt, ap);
	va_end(ap);
	buf_add_z(&line, "aileron: ");
	escape_visible(&line, buf_str(&text));
	buf_add_char(&line, '\n');
	(void)!file_write_fd(STDERR_FILENO, "standard error", buf_str(&line), NULL);
}

void print_failure(const struct err *err)
{
	static char text[ERR_MESSAGE_MAX + ERR_FILE_MAX + 128];
	/* What programs may act on, and what is wrong in a text, is named; usage and what the system says need no name. */
	if (err_class_is_closed(err->class) || err->class >= ERR_INVALID_REQUEST || err->class == ERR_PARSE_ERROR ||
	    err->class == ERR_VALIDATION_ERROR)
		print_note("%s", err_text_at(err, text, sizeof text));
	else
		print_note("%s", err->message);
}

/* --------------------------------------------------------------------------------------------------------------- width */

struct range {
	uint32_t first, last;
};

/* Unicode 15: combining marks that people meet, and joiners; and what East_Asian_Width calls wide. */
static const struct range without_width[] = {
	{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a}, {0x064b, 0x065f}, {0x0900, 0x0902},
	{0x093c, 0x093c}, {0x0941, 0x0948}, {0x094d, 0x094d}, {0x0e31, 0x0e31}, {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e},
	{0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200c, 0x200d}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
};
static const struct range wide[] = {
	{0x1100, 0x115f},   {0x231a, 0x231b},   {0x23e9, 0x23ec}, {0x25fd, 0x25fe},   {0x2614, 0x2615},
	{0x26a1, 0x26a1},   {0x26bd, 0x26be},   {0x2705, 0x2705}, {0x270a, 0x270b},   {0x274c, 0x274c},
	{0x2753, 0x2755},   {0x2795, 0x2797},   {0x2e80, 0x303e}, {0x3041, 0x33ff},   {0x3400, 0x4dbf},
	{0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xa960, 0xa97f}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},
	{0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
	{0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};

static bool is_in(const struct range *ranges, size_t n, uint32_t code)
{
	for (size_t i = 0; i < n; i++) {
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	}
	return false;
}

static unsigned width_of(uint32_t code)
{
	if (is_in(without_width, ARRAY_LEN(without_width), code))
		return 0;
	return is_in(wide, ARRAY_LEN(wide), code) ? 2 : 1;
}

unsigned print_width(struct str text)
{
	unsigned width = 0;
	while (text.n > 0) {
		struct utf8_char c = utf8_next(text);
		width += width_of(c.code);
		text = str_slice(text, c.n, text.n);
	}
	return width;
}

struct str print_cut(struct arena *arena, struct str text, unsigned width)
{
	if (print_width(text) <= width || width == 0)
		return text;
	unsigned used = 0;
	size_t n = 0;
	while (n < text.n) {
		struct utf8_char c = utf8_next(str_slice(text, n, text.n));
		if (used + width_of(c.code) > width - 1)
			break;
		used += width_of(c.code);
		n += c.n;
	}
	return arena_printf(arena, "%.*s\xe2\x80\xa6", (int)n, text.p);
}
