#include "programs/dev-run/options.c" /* a program's part, which no library holds */
#include "base/limits.h"
#include "os/file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ARGS_MAX 16

static int parse(struct dev_options *options, struct err *err, const char *const *args)
{
	static char *argv[ARGS_MAX + 2];
	static char copies[ARGS_MAX + 1][256];
	int argc = 1;
	argv[0] = copies[0];
	for (; args[argc - 1] != NULL; argc++) {
		snprintf(copies[argc], sizeof copies[argc], "%s", args[argc - 1]);
		argv[argc] = copies[argc];
	}
	argv[argc] = NULL;
	return dev_options_parse(options, argc, argv, err);
}
#define PARSE(options, err, ...) parse((options), (err), (const char *const[]){__VA_ARGS__, NULL})
#define REQUIRED                 "--wasm", "a.wasm", "--manifest", "m.toml", "--op", "x"

static void values_follow_in_every_spelling(void **state)
{
	(void)state;
	struct dev_options options;
	struct err err = {0};
	assert_int_equal(PARSE(&options, &err, "-wasm", "a.wasm", "--manifest=m.toml", "-op=x=y", "-args", "-"), 0);
	assert_string_equal(options.wasm, "a.wasm");
	assert_string_equal(options.manifest, "m.toml");
	assert_string_equal(options.op, "x=y");
	assert_string_equal(options.args, "-");
	dev_options_release(&options);

	assert_int_equal(PARSE(&options, &err, REQUIRED), 0);
	assert_string_equal(options.args, "{}");
	assert_false(options.verbose || options.json || options.trace || options.watch || options.optimize ||
		     options.help);
	dev_options_release(&options);

	/* A value may look like an option, and the last one holds. */
	assert_int_equal(PARSE(&options, &err, REQUIRED, "--op", "-v", "--"), 0);
	assert_string_equal(options.op, "-v");
	assert_false(options.verbose);
	dev_options_release(&options);
}

static void switches(void **state)
{
	(void)state;
	struct dev_options options;
	struct err err = {0};
	assert_int_equal(
		PARSE(&options, &err, REQUIRED, "-v", "--json=true", "--trace=1", "-watch", "--optimize=false"), 0);
	assert_true(options.verbose && options.json && options.trace && options.watch);
	assert_false(options.optimize);
	dev_options_release(&options);
	assert_int_equal(PARSE(&options, &err, REQUIRED, "--json=maybe"), -1);
	assert_int_equal(err.class, ERR_USAGE);
}

static void help_and_version_need_nothing_else(void **state)
{
	(void)state;
	struct dev_options options;
	struct err err = {0};
	static const char *const words[] = {"-h", "--h", "-help", "--help"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		assert_int_equal(PARSE(&options, &err, words[i]), 0);
		assert_true(options.help);
		dev_options_release(&options);
	}
	assert_int_equal(PARSE(&options, &err, "--version"), 0);
	assert_true(options.version);
	dev_options_release(&options);
}

static void mistakes_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *args[8];
		const char *message;
	} rows[] = {
		{{"--wasm"}, "--wasm needs a value: FILE"},
		{{"--nonsense"}, "there is no option '--nonsense'; --help lists them"},
		{{"---wasm", "x"}, "there is no option '---wasm'; --help lists them"},
		{{"--wasmx=1"}, "there is no option '--wasmx=1'; --help lists them"},
		{{"stray"}, "'stray' belongs to no option"},
		{{"-"}, "'-' belongs to no option"},
		{{"--", "--help"}, "'--help' belongs to no option"},
		{{"--limit", "x=1"},
		 "there is no limit 'x'; there are: wall_time, memory, stdout, log, request_body, response_body"},
		{{"--limit", "memory"}, "the limit 'memory' has no value; write name=value"},
		{{"--allow-private", "host"}, "'host' is not HOST:PORT, as --allow-private takes it"},
		{{"--allow-private", "host:0"}, "'host:0' is not HOST:PORT, as --allow-private takes it"},
		{{"--resolve", "a:1:b:2"},
		 "'a:1:b:2' is not HOST:PORT:ADDRESS:PORT with a numeric address, as --resolve takes it"},
		{{"--resolve", "a:1"},
		 "'a:1' is not HOST:PORT:ADDRESS:PORT with a numeric address, as --resolve takes it"},
		{{"--resolve", "a:1:1.2.3.4:x"},
		 "'a:1:1.2.3.4:x' is not HOST:PORT:ADDRESS:PORT with a numeric address, as --resolve takes it"},
		{{"--resolve", "[::1"},
		 "'[::1' is not HOST:PORT:ADDRESS:PORT with a numeric address, as --resolve takes it"},
		{{"--allow-unconfined", "everything"}, "'everything' is no boundary that --allow-unconfined knows"},
		{{"--allow-unconfined="}, "'' is no boundary that --allow-unconfined knows"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct dev_options options;
		struct err err = {0};
		assert_int_equal(parse(&options, &err, rows[i].args), -1);
		assert_int_equal(err.class, ERR_USAGE);
		assert_string_equal(err.message, rows[i].message);
	}
}

static void what_is_missing_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *args[8];
		const char *message;
	} rows[] = {
		{{NULL}, "--wasm is required"},
		{{"--manifest", "m"}, "--wasm is required"},
		{{"--wasm", "a", "--op", "x"}, "--manifest is required"},
		{{"--wasm", "a", "--manifest", "m"}, "--op is required"},
		{{"--wasm", "a", "--manifest", "m", "--op", ""}, "--op is required"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct dev_options options;
		struct err err = {0};
		assert_int_equal(parse(&options, &err, rows[i].args), 0);
		assert_int_equal(dev_options_check(&options, &err), -1);
		assert_int_equal(err.class, ERR_USAGE);
		assert_string_equal(err.message, rows[i].message);
		dev_options_release(&options);
	}
	struct dev_options options;
	assert_int_equal(PARSE(&options, NULL, REQUIRED), 0);
	assert_int_equal(dev_options_check(&options, NULL), 0);
	dev_options_release(&options);
}

static void limits_and_openings_add_up(void **state)
{
	(void)state;
	struct dev_options options;
	struct err err = {0};
	assert_int_equal(PARSE(&options, &err, REQUIRED, "--limit", "wall_time=1500ms", "--limit=memory=32MiB",
			       "--allow-private", "LocalHost:8080", "--resolve", "API.example.com:443:127.0.0.1:8443",
			       "--resolve", "[::1]:80:[fe80::1]:81"),
			 0);
	assert_int_equal(options.limits.wall_time, 1500 * MS);
	assert_int_equal(options.limits.memory, 32 * MIB);
	assert_int_equal(options.n_openings, 3);
	const struct egress_opening *o = options.openings;
	assert_true(str_eq(o[0].host, S("localhost")) && o[0].port == 8080 && o[0].address.n == 0);
	assert_true(str_eq(o[1].host, S("api.example.com")) && o[1].port == 443);
	assert_true(str_eq(o[1].address, S("127.0.0.1")) && o[1].address_port == 8443);
	assert_true(str_eq(o[2].host, S("::1")) && o[2].port == 80);
	assert_true(str_eq(o[2].address, S("fe80::1")) && o[2].address_port == 81);
	assert_string_equal(options.opening_texts[0], "LocalHost:8080");
	dev_options_release(&options);
}

static void boundaries_are_collected(void **state)
{
	(void)state;
	struct dev_options options;
	struct err err = {0};
	assert_int_equal(
		PARSE(&options, &err, REQUIRED, "--allow-unconfined=landlock", "--allow-unconfined", "namespaces,root"),
		0);
	assert_string_equal(options.allowed.p, "landlock,namespaces,root");
	dev_options_release(&options);
}

static void openings_are_bounded(void **state)
{
	(void)state;
	struct dev_options options = {.arena = arena_new(), .allowed = BUF_INIT(16)};
	struct err err = {0};
	for (int i = 0; i < OPTIONS_OPENINGS_MAX; i++)
		assert_int_equal(set_allow_private(&options, "a:1", &err), 0);
	assert_int_equal(set_allow_private(&options, "a:1", &err), -1);
	dev_options_release(&options);
}

/* ------------------------------------------------------------------------------------------- help, man page and table */

static void the_help_lists_every_option(void **state)
{
	(void)state;
	AUTO_BUF help = BUF_INIT(64 * KIB);
	dev_options_help(&help);
	assert_true(buf_ok(&help));
	for (size_t i = 0; i < ARRAY_LEN(option_rows); i++) {
		AUTO_FREE char *line =
			xasprintf("  %s%s", option_rows[i].name[1] == '\0' ? "-" : "--", option_rows[i].name);
		assert_non_null(strstr(help.p, line));
		assert_non_null(strstr(help.p, option_rows[i].help));
	}
}

/* The name that a line ".It Fl -name Ar value" of the man page is about, or "". */
static struct str option_of(struct str line)
{
	struct str name;
	if (!str_starts(line, S(".It Fl ")))
		return STR_EMPTY;
	line = str_slice(line, 7, line.n);
	str_cut(line, ' ', &name);
	return str_starts(name, S("-")) ? str_slice(name, 1, name.n) : name;
}

static void the_man_page_lists_the_same_options(void **state)
{
	(void)state;
	AUTO_BUF page = BUF_INIT(1 * MIB);
	assert_int_equal(file_read(SOURCE_DIR "/docs/man/aileron-connector-dev-run.1", &page, NULL), 0);
	bool seen[ARRAY_LEN(option_rows)] = {false};
	struct str rest = buf_str(&page);
	while (rest.n > 0) {
		struct str line;
		rest = str_cut(rest, '\n', &line);
		struct str name = option_of(line);
		if (name.n == 0)
			continue;
		const struct option_row *row = row_named(name);
		if (row == NULL) {
			fail_msg("the man page has '%.*s', which is no option", STR_FMT(name));
			return;
		}
		seen[row - option_rows] = true;
		assert_int_equal(row->value != NULL, str_find(line, S(" Ar ")) != STR_NPOS);
	}
	for (size_t i = 0; i < ARRAY_LEN(option_rows); i++) {
		if (!seen[i])
			fail_msg("the man page lacks --%s", option_rows[i].name);
	}
}

static void every_boundary_is_a_word_of_the_help_and_the_page(void **state)
{
	(void)state;
	AUTO_BUF page = BUF_INIT(1 * MIB);
	assert_int_equal(file_read(SOURCE_DIR "/docs/man/aileron-connector-dev-run.1", &page, NULL), 0);
	AUTO_BUF help = BUF_INIT(64 * KIB);
	dev_options_help(&help);
	static const char *const words[] = {"namespaces", "root", "landlock", "capabilities", "seccomp"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		struct str word = str_from(words[i]);
		assert_true(confine_is_boundary(word));
		assert_true(str_find(buf_str(&help), word) != STR_NPOS);
		assert_true(str_find(buf_str(&page), word) != STR_NPOS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_follow_in_every_spelling),
		cmocka_unit_test(switches),
		cmocka_unit_test(help_and_version_need_nothing_else),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(limits_and_openings_add_up),
		cmocka_unit_test(boundaries_are_collected),
		cmocka_unit_test(openings_are_bounded),
		cmocka_unit_test(the_help_lists_every_option),
		cmocka_unit_test(the_man_page_lists_the_same_options),
		cmocka_unit_test(every_boundary_is_a_word_of_the_help_and_the_page),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
