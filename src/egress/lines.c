#include "egress/lines.h"

static bool is_injected(const struct injection *injection, struct str name)
{
	for (size_t i = 0; i < injection->n; i++) {
		if (str_eq_fold(injection->headers[i].name, name))
			return true;
	}
	return false;
}

static void add_plain(struct lines *lines, struct arena *arena, struct str name, struct str value)
{
	lines->items[lines->n++] = arena_printf(arena, "%.*s: %.*s", STR_FMT(name), STR_FMT(value)).p;
}

static int add_secret(struct lines *lines, const struct injected_header *header, struct err *err)
{
	struct str value = secret_borrow(header->secret);
	struct secret *line = secret_new(header->name.n + 2 + value.n + 1, err);
	if (line == NULL)
		return -1;
	char *p = secret_borrow_mut(line); /* zeroed, so the NUL is there */
	memcpy(p, header->name.p, header->name.n);
	memcpy(p + header->name.n, ": ", 2);
	memcpy(p + header->name.n + 2, value.p, value.n);
	lines->secrets[lines->n_secrets++] = line;
	lines->items[lines->n++] = p;
	return 0;
}

int lines_make(struct arena *arena, const struct header_list *headers, const struct injection *injection,
	       struct lines *ret, struct err *err)
{
	struct lines lines = {.items = arena_array(arena, headers->n + injection->n + 1, sizeof *lines.items)};
	for (size_t i = 0; i < headers->n; i++) {
		if (!is_injected(injection, headers->items[i].name))
			add_plain(&lines, arena, headers->items[i].name, headers->items[i].value);
	}
	if (headers_find(headers, S("User-Agent")) == NULL && !is_injected(injection, S("User-Agent")))
		add_plain(&lines, arena, S("User-Agent"), S(LINES_USER_AGENT));
	for (size_t i = 0; i < injection->n; i++) {
		const struct injected_header *header = &injection->headers[i];
		if (header->secret == NULL) {
			add_plain(&lines, arena, header->name, header->plain);
		} else if (add_secret(&lines, header, err) != 0) {
			lines_release(&lines);
			return -1;
		}
	}
	*ret = lines;
	return 0;
}

void lines_release(struct lines *lines)
{
	while (lines->n_secrets > 0)
		secret_free(lines->secrets[--lines->n_secrets]);
	lines->n = 0;
}
