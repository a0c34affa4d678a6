/*
 * Rows of connectors between their uses: none outlives the table that it was read of.
 */
#include "base/mem.h"
#include "control/known_connectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct lab {
	struct known_connectors *known;
	struct arena *arena;
};

static int enter(void **state)
{
	struct lab *lab = NEW(struct lab);
	*lab = (struct lab){known_connectors_new(), arena_new()};
	*state = lab;
	return 0;
}

static int leave(void **state)
{
	struct lab *lab = *state;
	known_connectors_free(lab->known);
	arena_free(lab->arena);
	free(lab);
	return 0;
}

static void keep(struct lab *lab, const char *name, const char *fqn)
{
	const struct connector_row row = {.fqn = str_from(fqn),
					  .path = S("/home/ada/notes"),
					  .name = S("notes"),
					  .content_hash = S("sha256:00"),
					  .version = S("1.0.0"),
					  .manifest = S("[connector]"),
					  .linked_ns = 7,
					  .last_used_ns = 8};
	known_connectors_keep(lab->known, known_connectors_version(lab->known), str_from(name), &row);
}

static bool knows(struct lab *lab, const char *name)
{
	struct connector_row row;
	return known_connectors_find(lab->known, lab->arena, str_from(name), &row);
}

static void a_row_is_found_by_the_name_it_was_asked_for(void **state)
{
	struct lab *lab = *state;
	assert_false(knows(lab, "notes"));
	keep(lab, "notes", "github://acme/notes");
	assert_false(knows(lab, "github://acme/notes"));
	struct connector_row row;
	assert_true(known_connectors_find(lab->known, lab->arena, S("notes"), &row));
	assert_true(str_eq(row.fqn, S("github://acme/notes")) && str_eq(row.path, S("/home/ada/notes")));
	assert_true(str_eq(row.name, S("notes")) && str_eq(row.content_hash, S("sha256:00")));
	assert_true(str_eq(row.version, S("1.0.0")) && row.linked_ns == 7);
	assert_true(row.manifest.n == 0 && row.last_used_ns == 0);
}

static void what_was_found_outlives_the_table(void **state)
{
	struct lab *lab = *state;
	keep(lab, "notes", "github://acme/notes");
	struct connector_row row;
	assert_true(known_connectors_find(lab->known, lab->arena, S("notes"), &row));
	known_connectors_change_begin(lab->known);
	known_connectors_change_end(lab->known);
	keep(lab, "other", "github://acme/other");
	assert_true(str_eq(row.fqn, S("github://acme/notes")));
}

static void what_was_read_before_a_change_is_not_kept_after_it(void **state)
{
	struct lab *lab = *state;
	uint64_t before = known_connectors_version(lab->known);
	keep(lab, "notes", "github://acme/notes");
	known_connectors_change_begin(lab->known);
	assert_false(knows(lab, "notes"));
	uint64_t meanwhile = known_connectors_version(lab->known);
	keep(lab, "notes", "github://acme/notes");
	assert_false(knows(lab, "notes"));
	known_connectors_change_end(lab->known);
	const struct connector_row old = {.fqn = S("github://acme/notes")};
	known_connectors_keep(lab->known, before, S("notes"), &old);
	known_connectors_keep(lab->known, meanwhile, S("notes"), &old);
	assert_false(knows(lab, "notes"));
	keep(lab, "notes", "github://acme/notes");
	assert_true(knows(lab, "notes"));
}

static void the_one_that_was_kept_first_makes_room(void **state)
{
	struct lab *lab = *state;
	char name[16];
	for (int i = 0; i <= KNOWN_CONNECTORS_MAX; i++) {
		snprintf(name, sizeof name, "c%d", i);
		keep(lab, name, "github://acme/notes");
	}
	assert_false(knows(lab, "c0"));
	for (int i = 1; i <= KNOWN_CONNECTORS_MAX; i++) {
		snprintf(name, sizeof name, "c%d", i);
		assert_true(knows(lab, name));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_row_is_found_by_the_name_it_was_asked_for, enter, leave),
		cmocka_unit_test_setup_teardown(what_was_found_outlives_the_table, enter, leave),
		cmocka_unit_test_setup_teardown(what_was_read_before_a_change_is_not_kept_after_it, enter, leave),
		cmocka_unit_test_setup_teardown(the_one_that_was_kept_first_makes_room, enter, leave),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
