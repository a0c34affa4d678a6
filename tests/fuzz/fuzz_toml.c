/* Any bytes: the reader answers with a tree that can be walked, or with an error that has a place. */
#include "base/arena.h"
#include "base/err.h"
#include "text/toml.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t walk(const struct toml_value *value, unsigned depth)
{
	if (depth > TOML_DEPTH_MAX || toml_line(value) == 0 || toml_column(value) == 0)
		abort();
	size_t values = 1, children = 0;
	struct toml_iter it;
	for (toml_iter_init(&it, value); toml_iter_next(&it); children++)
		values += walk(it.value, depth + 1);
	if (children != toml_length(value))
		abort();
	return values;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct err err;
	err_clear(&err);
	AUTO(arena) *arena = arena_new();
	const struct toml_value *root = NULL;
	if (toml_parse(arena, str_of(data, n), "fuzz.toml", &root, &err) == 0) {
		if (toml_type(root) != TOML_TABLE || walk(root, 0) > TOML_VALUES_MAX)
			abort();
	} else if (root != NULL || err.class != ERR_PARSE_ERROR || err.line == 0 || err.message[0] == '\0') {
		abort();
	}
	return 0;
}
