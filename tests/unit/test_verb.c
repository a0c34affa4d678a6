#include "cli/verb.h"
#include "api/operation.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define ARGS_MAX 24

static struct verb_line line;
static struct err err;

static int parse(const char *const *args)
{
	static char copies[ARGS_MAX][256];
	static char *argv[ARGS_MAX + 2];
	int argc = 1;
	argv[0] = copies[0];
	for (; args[argc - 1] != NULL; argc++) {
		snprintf(copies[argc], sizeof copies[argc], "%s", args[argc - 1]);
		argv[argc] = copies[argc];
	}
	argv[argc] = NULL;
	err_clear(&err);
	return verb_parse(verbs, argc, argv, &line, &err);
}
#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static void assert_refused(const char *part)
{
	assert_int_equal(err.class, ERR_USAGE);
	if (strstr(err.message, part) == NULL)
		fail_msg("'%s' is not in '%s'", part, err.message);
}

/* -------------------------------------------------------------------------------------------------------------- parsing */

static void words_choose_the_verb(void **state)
{
	(void)state;
	assert_int_equal(PARSE("vault", "member", "add", "robot"), 0);
	assert_string_equal(line.verb->words, "vault member add");
	assert_int_equal(line.n_arguments, 1);
	assert_string_equal(line.arguments[0], "robot");
	assert_int_equal(PARSE("audit"), 0);
	assert_string_equal(line.verb->words, "audit list");
	assert_int_equal(PARSE("sessions", "--json"), 0);
	assert_string_equal(line.verb->words, "sessions list");
	assert_int_equal(PARSE("--help"), 0);
	assert_string_equal(line.verb->words, "help");
	assert_int_equal(PARSE("-v"), 0);
	assert_string_equal(line.verb->words, "version");
	assert_int_equal(PARSE("help", "vault", "member", "add"), 0);
	assert_int_equal(line.n_arguments, 3);
}

static void flags_stand_anywhere(void **state)
{
	(void)state;
	static const char *const orders[][8] = {
		{"connector", "call", "notes", "--op", "list", "--json", NULL},
		{"connector", "call", "-op=list", "-json", "notes", NULL},
		{"connector", "call", "--json=true", "notes", "--op=x", "--op", "list", NULL},
		{"connector", "call", "--op", "list", "--json", "--", "notes", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		assert_int_equal(parse(orders[i]), 0);
		assert_string_equal(verb_text(&line, "op"), "list");
		assert_true(verb_switch(&line, "json"));
		assert_int_equal(line.n_arguments, 1);
		assert_string_equal(line.arguments[0], "notes");
		assert_false(verb_switch(&line, "trace"));
		assert_null(verb_text(&line, "timeout"));
	}
	/* A value may look like a flag; a lone dash is an argument; behind "--" everything is. */
	assert_int_equal(PARSE("vault", "put", "a/b", "-", "--label", "-x=1", "--label=y="), 0);
	assert_string_equal(line.arguments[1], "-");
	assert_string_equal(verb_text_at(&line, "label", 0), "-x=1");
	assert_string_equal(verb_text_at(&line, "label", 1), "y=");
	assert_null(verb_text_at(&line, "label", 2));
	assert_int_equal(PARSE("vault", "get-meta", "--", "--json"), 0);
	assert_string_equal(line.arguments[0], "--json");
	assert_false(verb_switch(&line, "json"));
	assert_int_equal(PARSE("audit", "list", "--limit", "5"), 0);
	assert_int_equal(verb_number(&line, "limit", 100), 5);
	assert_int_equal(verb_number(&line, "limit", 100), 5);
	assert_int_equal(PARSE("audit", "list"), 0);
	assert_int_equal(verb_number(&line, "limit", 100), 100);
}

static void what_is_passed_on_is_not_read(void **state)
{
	(void)state;
	static const char *const lines[][9] = {
		{"launch", "--json", "claude", "--model", "m", "--json=x", "--", NULL},
		{"launch", "--json", "claude", "--", "--model", "m", "--json=x", "--", NULL},
		{"launch", "--json", "--", "claude", "--model", "m", "--json=x", "--", NULL},
	};
	static const char *const passed[] = {"claude", "--model", "m", "--json=x", "--"};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		assert_int_equal(parse(lines[i]), 0);
		assert_true(verb_switch(&line, "json"));
		assert_int_equal(line.n_arguments, ARRAY_LEN(passed));
		for (size_t n = 0; n < ARRAY_LEN(passed); n++)
			assert_string_equal(line.arguments[n], passed[n]);
	}
	/* The first is ours; what ends the agent's own flags is the agent's. */
	assert_int_equal(PARSE("launch", "--", "claude", "--", "--model"), 0);
	assert_int_equal(line.n_arguments, 3);
	assert_string_equal(line.arguments[1], "--");
	assert_int_equal(PARSE("launch", "claude", "--", "--", "--model"), 0);
	assert_int_equal(line.n_arguments, 3);
	assert_string_equal(line.arguments[1], "--");
	assert_int_equal(PARSE("launch", "claude", "--help"), 0);
	assert_false(line.help);
	assert_int_equal(PARSE("launch", "--model", "m", "claude"), -1);
	assert_refused("has no flag '--model'");
}

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	static const struct {
		const char *args[6];
		const char *part;
	} cases[] = {
		{{NULL}, "no verb"},
		{{"--json", "status"}, "behind the verb"},
		{{"statu"}, "did you mean 'status'?"},
		{{"valut", "list"}, "did you mean 'vault'?"},
		{{"vault", "lst"}, "did you mean 'vault list'?"},
		{{"vault", "member", "remvoe"}, "did you mean 'vault member remove'?"},
		{{"vault"}, "needs a verb"},
		{{"vault", "member"}, "needs a verb"},
		{{"qqqqqqq"}, "'aileron help' lists them"},
		{{"connector", "call"}, "needs an argument"},
		{{"connector", "call", "a", "b", "--op", "x"}, "one argument too many"},
		{{"status", "now"}, "'now' is one argument too many"},
		{{"status", "--jsn"}, "did you mean '--json'?"},
		{{"audit", "list", "--lmit", "3"}, "did you mean '--limit'?"},
		{{"audit", "list", "--limit"}, "needs a value"},
		{{"audit", "list", "--limit", "x"}, "whole number"},
		{{"audit", "list", "--limit=-1"}, "whole number"},
		{{"status", "--json=maybe"}, "=true or =false"},
		{{"status", "--zzzzzz"}, "'aileron help status' lists them"},
		{{"status", "-\033[31m"}, "-\\x1b[31m"},
		{{"vau", "list"}, "did you mean 'vault'?"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(parse(cases[i].args), -1);
		assert_refused(cases[i].part);
	}
}

static void a_text_that_may_be_left_out_stands_behind_its_sign(void **state)
{
	(void)state;
	assert_int_equal(PARSE("action", "run", "--wait", "send"), 0);
	assert_true(verb_switch(&line, "wait"));
	assert_null(verb_text(&line, "wait"));
	assert_int_equal(line.n_arguments, 1);
	assert_int_equal(PARSE("action", "run", "send", "--wait=5m"), 0);
	assert_true(verb_switch(&line, "wait"));
	assert_string_equal(verb_text(&line, "wait"), "5m");
	assert_int_equal(PARSE("action", "run", "send"), 0);
	assert_false(verb_switch(&line, "wait"));
}

static void nothing_is_abbreviated(void **state)
{
	(void)state;
	assert_int_equal(PARSE("stat"), -1);
	assert_int_equal(PARSE("vault", "li"), -1);
	assert_int_equal(PARSE("audit", "list", "--lim", "3"), -1);
	assert_int_equal(PARSE("status", "-j"), -1);
}

static void help_checks_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(PARSE("connector", "call", "--help"), 0);
	assert_true(line.help);
	assert_int_equal(PARSE("connector", "call", "-h"), 0);
	assert_true(line.help);
}

static void help_of_a_group_lists_its_verbs(void **state)
{
	(void)state;
	static const char *const flags[] = {"--help", "-help", "-h"};
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		assert_int_equal(PARSE("vault", flags[i]), 0);
		assert_string_equal(line.verb->words, "help");
		assert_int_equal(line.n_arguments, 1);
		assert_string_equal(line.arguments[0], "vault");
		assert_int_equal(PARSE("vault", "member", flags[i], "--json"), 0);
		assert_string_equal(line.verb->words, "help");
		assert_string_equal(line.arguments[1], "member");
	}
	assert_int_equal(PARSE("vault", "--halp"), -1);
	assert_int_equal(PARSE("vlt", "--help"), -1);
	assert_int_equal(PARSE("status", "--help"), 0);
	assert_string_equal(line.verb->words, "status");
	assert_true(line.help);
}

static void too_much_is_refused(void **state)
{
	(void)state;
	static char *argv[2 * VERB_VALUES_MAX + 8];
	static char words[][8] = {"aileron", "help", "x"};
	int argc = 0;
	argv[argc++] = words[0];
	argv[argc++] = words[1];
	while (argc < VERB_VALUES_MAX + 6)
		argv[argc++] = words[2];
	assert_int_equal(verb_parse(verbs, argc, argv, &line, &err), -1);
	assert_refused("more than");
}

/* ------------------------------------------------------------------------------------------------------------ the table */

static bool is_word(const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if (!((*c >= 'a' && *c <= 'z') || *c == '-' || *c == ' '))
			return false;
	}
	return text[0] != '\0';
}

static void rows_are_whole(void **state)
{
	(void)state;
	for (const struct verb *verb = verbs; verb->words != NULL; verb++) {
		assert_true(is_word(verb->words));
		assert_non_null(verb->run);
		assert_non_null(verb->arguments);
		assert_true(verb->least <= verb->most);
		assert_true(verb->summary[0] >= 'a' && verb->summary[0] <= 'z');
		assert_true(verb->summary[strlen(verb->summary) - 1] != '.');
		assert_true(verb->about[0] == '\0' || verb->about[strlen(verb->about) - 1] == '.');
		assert_true((verb->arguments[0] != '\0') == (verb->most > 0));
		for (const struct verb *other = verbs; other != verb; other++)
			assert_string_not_equal(other->words, verb->words);
		for (const struct verb_flag *flag = verb->flags; flag != NULL && flag->name != NULL; flag++) {
			assert_true(is_word(flag->name));
			assert_true((flag->value == NULL) == (flag->kind == FLAG_SWITCH));
			for (const struct verb_flag *other = verb->flags; other != flag; other++)
				assert_string_not_equal(other->name, flag->name);
			for (const struct verb_flag *other = verb_common_flags; other->name != NULL; other++)
				assert_string_not_equal(other->name, flag->name);
		}
	}
}

/* Verbs of one group stand together, so that help and manual show them so. */
static void groups_stand_together(void **state)
{
	(void)state;
	struct str seen[32];
	size_t n = 0;
	for (const struct verb *verb = verbs; verb->words != NULL; verb++) {
		struct str group;
		(void)str_cut(str_from(verb->words), ' ', &group);
		if (n > 0 && str_eq(seen[n - 1], group))
			continue;
		for (size_t i = 0; i < n; i++)
			assert_false(str_eq(seen[i], group) && verb_is_group(verbs, group));
		seen[n++] = group;
	}
}

static bool uses(const struct verb *verb, enum api_operation_id id)
{
	for (unsigned i = 0; i < verb->n_operations; i++) {
		if (verb->operations[i] == id)
			return true;
	}
	return false;
}

static void operations_and_verbs_know_each_other(void **state)
{
	(void)state;
	for (enum api_operation_id id = 0; id < OP__MAX; id++) {
		const char *words = operation_at(id)->verb;
		const struct verb *verb = verb_named(verbs, str_from(words));
		if (words[0] == '\0')
			continue;
		if (verb == NULL || !uses(verb, id))
			fail_msg("operation %s is of the verb '%s', which does not use it", operation_at(id)->name,
				 words);
	}
	for (const struct verb *verb = verbs; verb->words != NULL; verb++) {
		for (unsigned i = 0; i < verb->n_operations; i++)
			assert_true(verb->operations[i] < OP__MAX);
	}
}

/* What a person may ask while nothing runs. */
static void some_verbs_never_start_the_daemon(void **state)
{
	(void)state;
	static const char *const never[] = {
		"version",    "help",        "completion",    "status",          "doctor",     "open",
		"stop",       "daemon stop", "daemon status", "manual",          "daemon run", "config list",
		"config get", "config set",  "config unset",  "action validate", "notify",     "names"};
	size_t n = 0;
	for (const struct verb *verb = verbs; verb->words != NULL; verb++)
		n += (verb->marks & VERB_NEVER_SPAWNS) != 0;
	assert_int_equal(n, ARRAY_LEN(never));
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		assert_true((verb_named(verbs, str_from(never[i]))->marks & VERB_NEVER_SPAWNS) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_choose_the_verb),
		cmocka_unit_test(flags_stand_anywhere),
		cmocka_unit_test(what_is_passed_on_is_not_read),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(a_text_that_may_be_left_out_stands_behind_its_sign),
		cmocka_unit_test(nothing_is_abbreviated),
		cmocka_unit_test(help_checks_nothing_else),
		cmocka_unit_test(help_of_a_group_lists_its_verbs),
		cmocka_unit_test(too_much_is_refused),
		cmocka_unit_test(rows_are_whole),
		cmocka_unit_test(groups_stand_together),
		cmocka_unit_test(operations_and_verbs_know_each_other),
		cmocka_unit_test(some_verbs_never_start_the_daemon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
