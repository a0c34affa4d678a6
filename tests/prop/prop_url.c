/* Random URLs: the text of what was read reads as the same, and dot segments leave as a plain model says. */
#include "text/url.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static uint64_t seed = 20260101;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static struct str draw_text(struct arena *arena)
{
	static const char *const pieces[] = {
		"http",     "https", "ftp",         "HTTP",      ":",
		"://",      "//",    "/",           "?",         "#",
		"@",        "[",     "]",           "[::1]",     "[1:2::ffff:1.2.3.4]",
		"a",        "B.c",   "example.com", "127.0.0.1", ".",
		"..",       "/../",  "/./",         ":80",       ":443",
		":65535",   ":0",    "%",           "%2f",       "%zz",
		"{",        "|",     "\"",          " ",         "\\",
		"\xc3\xa9", "\xff",  "\n",          "-",         "_",
		"~",        "+",     "&",           "=",         ";",
	};
	char room[256];
	size_t n = 0;
	if (draw() % 4 != 0) {
		memcpy(room, "http://h", 8);
		n = 8;
	}
	for (uint64_t count = draw() % 10; count > 0; count--) {
		struct str piece = str_from(pieces[draw() % ARRAY_LEN(pieces)]);
		memcpy(room + n, piece.p, piece.n);
		n += piece.n;
	}
	return arena_str(arena, str_of(room, n));
}

static void assert_same(const struct url *a, const struct url *b)
{
	assert_true(str_eq(a->scheme, b->scheme));
	assert_true(str_eq(a->host, b->host));
	assert_int_equal(a->host_is_ipv6, b->host_is_ipv6);
	assert_int_equal(a->port, b->port);
	assert_int_equal(a->has_query, b->has_query);
	assert_true(str_eq(a->query, b->query));
	assert_true(url_same_origin(a, b));
}

static void assert_canonical(struct arena *arena, const struct url *url)
{
	struct str text = url_text(arena, url);
	for (size_t i = 0; i < text.n; i++)
		assert_true(text.p[i] > ' ' && text.p[i] < 0x7f && strchr("\"<>\\^`{|}", text.p[i]) == NULL);
	struct err err = {0};
	struct url again;
	if (url_parse(arena, text, &again, &err) < 0)
		fail_msg("'%.*s' cannot be read again: %s", STR_FMT(text), err.message);
	assert_same(url, &again);
	struct str second = url_text(arena, &again);
	if (!str_eq(text, second))
		fail_msg("'%.*s' became '%.*s'", STR_FMT(text), STR_FMT(second));
}

static void the_text_of_a_url_is_stable(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	size_t read = 0;
	for (int round = 0; round < 200000; round++) {
		arena_clear(arena);
		struct str text = draw_text(arena);
		struct url url;
		if (url_parse(arena, text, &url, NULL) < 0)
			continue;
		read++;
		assert_canonical(arena, &url);
	}
	assert_true(read > 10000); /* or the test says nothing */
}

static void what_a_reference_resolves_to_is_stable_and_without_dots(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	size_t read = 0;
	for (int round = 0; round < 100000; round++) {
		arena_clear(arena);
		struct url base, url;
		if (url_parse(arena, draw_text(arena), &base, NULL) < 0 ||
		    url_resolve(arena, &base, draw_text(arena), &url, NULL) < 0)
			continue;
		read++;
		assert_canonical(arena, &url);
	}
	assert_true(read > 1000);
}

/* The path as a list of segments: "." adds nothing, ".." takes one away, either of them last leaves a slash. */
static void dot_segments_leave_as_in_a_list(void **state)
{
	(void)state;
	static const char *const names[] = {".", "..", "a", "b", "", "...", ".a"};
	AUTO(arena) *arena = arena_new();
	struct url base;
	assert_int_equal(url_parse(arena, S("http://h/x"), &base, NULL), 0);
	for (int round = 0; round < 50000; round++) {
		const char *list[12];
		size_t n = 0;
		struct str path = STR_EMPTY;
		bool open = false;
		size_t count = 1 + draw() % 10;
		for (size_t i = 0; i < count; i++) {
			/* An empty first segment would read as a host. */
			const char *name = names[i == 0 ? draw() % 4 : draw() % ARRAY_LEN(names)];
			path = arena_printf(arena, "%.*s/%s", STR_FMT(path), name);
			open = name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
			if (open && name[1] == '.')
				n -= n > 0;
			else if (!open)
				list[n++] = name;
		}
		struct str want = STR_EMPTY;
		for (size_t i = 0; i < n; i++)
			want = arena_printf(arena, "%.*s/%s", STR_FMT(want), list[i]);
		if (open)
			want = arena_printf(arena, "%.*s/", STR_FMT(want));
		struct url url;
		assert_int_equal(url_resolve(arena, &base, path, &url, NULL), 0);
		if (!str_eq(url.path, want))
			fail_msg("'%.*s' became '%.*s', not '%.*s'", STR_FMT(path), STR_FMT(url.path), STR_FMT(want));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_text_of_a_url_is_stable),
		cmocka_unit_test(what_a_reference_resolves_to_is_stable_and_without_dots),
		cmocka_unit_test(dot_segments_leave_as_in_a_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
