#include "artifact/manifest_rules.h"
#include "text/content_hash.h"
#include <inttypes.h>

#define TABLE "capabilities.spawn"

/* "/…", "~" or "~/…": a place that does not depend on where the program happens to run. */
static bool is_anchored(struct str path)
{
	return str_starts(path, S("/")) || str_eq(path, S("~")) || str_starts(path, S("~/"));
}

/* ^[a-z][a-z0-9_-]*$ */
static bool is_operation_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_lower(s.p[i]) && !(i > 0 && (is_digit(s.p[i]) || s.p[i] == '_' || s.p[i] == '-')))
			return false;
	}
	return s.n > 0;
}

/* ^[A-Za-z_][A-Za-z0-9_]*$ */
static bool is_variable_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool first = is_lower(s.p[i]) || (s.p[i] >= 'A' && s.p[i] <= 'Z') || s.p[i] == '_';
		if (!first && !(i > 0 && is_digit(s.p[i])))
			return false;
	}
	return s.n > 0;
}

static int check_programs(const struct rules *rules)
{
	char text[QUOTED_SIZE];
	const struct manifest_spawn *spawn = &rules->manifest->spawn;
	const struct toml_value *programs = place(rules, TABLE ".programs");
	if (spawn->n_programs == 0)
		return broken(rules, programs, "'" TABLE ".programs' needs at least one program");
	for (size_t i = 0; i < spawn->n_programs; i++) {
		const struct manifest_spawn_program *program = &spawn->programs[i];
		const struct toml_value *where = place_element(programs, i);
		if (str_blank(program->path))
			return broken(rules, where, "'" TABLE ".programs' entry %zu: path is required", i + 1);
		if (!is_anchored(program->path))
			return broken(rules, where,
				      "'" TABLE ".programs' entry %zu: path '%s' must be absolute or start with '~/'",
				      i + 1, quoted(program->path, text));
		if (program->hash.n > 0 && !content_hash_is_valid(program->hash))
			return broken(rules, where,
				      "'" TABLE ".programs' entry %zu: hash '%s' must be 'sha256:' and 64 lower-case "
				      "hexadecimal digits",
				      i + 1, quoted(program->hash, text));
	}
	return 0;
}

static int check_operations(const struct rules *rules)
{
	char text[QUOTED_SIZE];
	const struct manifest_spawn *spawn = &rules->manifest->spawn;
	const struct toml_value *operations = place(rules, TABLE ".operations");
	if (spawn->n_operations == 0)
		return broken(rules, operations, "'" TABLE ".operations' needs at least one operation");
	for (size_t i = 0; i < spawn->n_operations; i++) {
		const struct manifest_spawn_operation *operation = &spawn->operations[i];
		const struct toml_value *where = toml_member(operations, operation->name);
		if (!is_operation_name(operation->name))
			return broken(rules, where,
				      "'" TABLE ".operations' has '%s': a name is a-z, then a-z, 0-9, '_' or '-'",
				      quoted(operation->name, text));
		if (str_blank(operation->argv))
			return broken(rules, where, "'" TABLE ".operations.%s': argv is required",
				      quoted(operation->name, text));
	}
	return 0;
}

static int check_variables(const struct rules *rules, const char *dotted_key, const struct str_list *names)
{
	char text[QUOTED_SIZE];
	for (size_t i = 0; i < names->n; i++) {
		if (!is_variable_name(names->items[i]))
			return broken(rules, place_element(place(rules, dotted_key), i),
				      "'%s' entry %zu is '%s', which is not a name of an environment variable",
				      dotted_key, i + 1, quoted(names->items[i], text));
	}
	return 0;
}

static int check_environment(const struct rules *rules)
{
	char text[QUOTED_SIZE];
	const struct manifest_spawn *spawn = &rules->manifest->spawn;
	const struct str_list *keys = &spawn->credential_env_keys;
	if (check_variables(rules, TABLE ".env_passthrough", &spawn->env_passthrough) < 0 ||
	    check_variables(rules, TABLE ".credential_env_keys", keys) < 0)
		return -1;
	for (size_t i = 0; i < keys->n; i++) {
		if (!str_list_has(spawn->env_passthrough, keys->items[i]))
			return broken(rules, place_element(place(rules, TABLE ".credential_env_keys"), i),
				      "'" TABLE ".credential_env_keys' entry '%s' must also appear in env_passthrough",
				      quoted(keys->items[i], text));
	}
	return 0;
}

static int check_path(const struct rules *rules, const char *dotted_key, const struct toml_value *where,
		      struct str path)
{
	char text[QUOTED_SIZE];
	if (is_anchored(path))
		return 0;
	return broken(rules, where, "'%s' has '%s': a path must be absolute or start with '~/'", dotted_key,
		      quoted(path, text));
}

static int check_paths(const struct rules *rules, const char *dotted_key, const struct str_list *paths)
{
	for (size_t i = 0; i < paths->n; i++) {
		const struct toml_value *where = place_element(place(rules, dotted_key), i);
		if (check_path(rules, dotted_key, where, paths->items[i]) < 0)
			return -1;
	}
	return 0;
}

static int check_output(const struct rules *rules, const char *dotted_key, int64_t bytes)
{
	if (bytes <= 0)
		return broken(rules, place(rules, dotted_key), "'%s' must be positive", dotted_key);
	if (bytes > MANIFEST_SPAWN_OUTPUT_MAX)
		return broken(rules, place(rules, dotted_key),
			      "'%s' is %" PRId64 ", which exceeds the maximum of %" PRId64, dotted_key, bytes,
			      MANIFEST_SPAWN_OUTPUT_MAX);
	return 0;
}

int check_spawn(const struct rules *rules)
{
	const struct manifest_spawn *spawn = &rules->manifest->spawn;
	if (!spawn->present)
		return 0;
	if (check_programs(rules) < 0 || check_operations(rules) < 0 || check_environment(rules) < 0 ||
	    check_paths(rules, TABLE ".fs_read", &spawn->fs_read) < 0 ||
	    check_paths(rules, TABLE ".fs_write", &spawn->fs_write) < 0)
		return -1;
	if (spawn->cwd.n > 0 && check_path(rules, TABLE ".cwd", place(rules, TABLE ".cwd"), spawn->cwd) < 0)
		return -1;
	if (check_output(rules, TABLE ".limits.max_stdout_bytes", spawn->max_stdout_bytes) < 0)
		return -1;
	return check_output(rules, TABLE ".limits.max_stderr_bytes", spawn->max_stderr_bytes);
}
