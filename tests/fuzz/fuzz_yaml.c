/*
 * Any bytes: a tree whose spans lie in the text, or an error that has a place. What is set is there when the change was
 * taken, and everything else is as it was.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "text/yaml.h"
#include "text/yaml_edit.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void walk(const struct yaml_value *value, size_t n, unsigned depth)
{
	struct yaml_span span = yaml_span(value);
	if (depth > YAML_DEPTH_MAX || span.key > span.begin || span.begin > span.end || span.end > n)
		abort();
	struct yaml_iter it;
	size_t children = 0;
	for (yaml_iter_init(&it, value); yaml_iter_next(&it); children++)
		walk(it.value, n, depth + 1);
	if (children != yaml_length(value))
		abort();
}

static void change(struct arena *arena, struct str text, const struct yaml_value *before, struct err *err)
{
	static const struct str path[] = {S("k"), S("m")};
	const struct yaml_edit edit = {path, ARRAY_LEN(path), S("17")};
	AUTO_BUF out = BUF_INIT(1 << 20);
	const struct yaml_value *root;
	int64_t number = 0;
	if (yaml_edit(text, NULL, &edit, &out, NULL, err) < 0)
		return;
	if (yaml_parse(arena, buf_str(&out), NULL, &root, err) < 0)
		abort();
	if (!yaml_get_int(yaml_member(yaml_member(root, path[0]), path[1]), &number) || number != 17)
		abort();
	size_t members = yaml_length(before) + (yaml_member(before, path[0]) == NULL ? 1 : 0);
	if (yaml_length(root) != members)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct err err;
	err_clear(&err);
	AUTO(arena) *arena = arena_new();
	const struct yaml_value *root = NULL;
	struct str text = str_of(data, n);
	if (yaml_parse(arena, text, "fuzz.yaml", &root, &err) == 0) {
		walk(root, n, 0);
		change(arena, text, root, &err);
	} else if (root != NULL || err.class != ERR_PARSE_ERROR || err.line == 0 || err.message[0] == '\0') {
		abort();
	}
	return 0;
}
