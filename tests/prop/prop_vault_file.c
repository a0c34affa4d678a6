/* A vault against a plain array: whatever is put, labelled, deleted, re-keyed and reopened, both hold the same. */
#include "base/mem.h"
#include "prop/generator.h"
#include "vault/vault_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

enum { PATHS = 12, VALUE = 300, STEPS = 250 };

struct model {
	struct {
		bool there;
		char value[VALUE];
		size_t n;
		char status[24]; /* a label; "" = none */
		char consent[24];
	} entries[PATHS];
	size_t count;
	uint64_t generation;
};

static const struct argon2_cost cheap = {.time = 1, .memory_kib = ARGON2_MEMORY_MIN, .lanes = 1};
static char folder[] = "/tmp/aileron-vault-prop-XXXXXX";
static struct err err;
static struct secret *owners, *robots;
static bool has_robot;
/* Letters, and what JSON escapes. */
#define ALPHABET S("ab\"\\/\n\x7f<&")

static void ok(int result)
{
	if (result < 0)
		fail_msg("%s: %s", err_row(err.class)->name, err.message);
}

static struct str path_of(size_t k, char room[32])
{
	return (struct str){room, (size_t)snprintf(room, 32, k % 3 == 0 ? "p%zu" : "kind/p%zu", k)};
}

static struct vault_credential owner(void)
{
	return (struct vault_credential){.kind = VAULT_MEMBER_KEY_FILE, .secret = owners};
}

static struct vault_credential robot(void)
{
	return (struct vault_credential){.kind = VAULT_MEMBER_KEY_FILE, .secret = robots};
}

static void agrees(const struct vault *vault, const struct model *model)
{
	struct vault_status status;
	vault_get_status(vault, &status);
	assert_int_equal(status.generation, model->generation);
	assert_int_equal(vault_count(vault), model->count);
	for (size_t i = 1; i < vault_count(vault); i++)
		assert_true(str_cmp(vault_entry_at(vault, i - 1)->path, vault_entry_at(vault, i)->path) < 0);
	for (size_t k = 0; k < PATHS; k++) {
		char room[32];
		struct secret *value = NULL;
		const struct vault_entry *entry = vault_find(vault, path_of(k, room));
		assert_int_equal(entry != NULL, model->entries[k].there);
		if (entry == NULL)
			continue;
		assert_true(str_eq(vault_label_of(entry, S("status")), str_from(model->entries[k].status)));
		assert_true(str_eq(entry->consent, str_from(model->entries[k].consent)));
		ok(vault_get(vault, path_of(k, room), &value, &err));
		assert_true(secret_eq(value, str_of(model->entries[k].value, model->entries[k].n)));
		secret_free(value);
	}
}

static void fill_text(struct generator *g, char text[24])
{
	struct str s = generate_text(g, ALPHABET, text, 24);
	text[s.n] = '\0';
}

static void put(struct generator *g, struct vault *vault, struct model *model, size_t k)
{
	char room[32];
	uint64_t generation = 0;
	__auto_type entry = &model->entries[k];
	entry->n = generate_bytes(g, entry->value, VALUE).n;
	fill_text(g, entry->status);
	fill_text(g, entry->consent);
	const struct vault_label label = {S("status"), str_from(entry->status)};
	struct vault_put put = {
		.path = path_of(k, room),
		.value = str_of(entry->value, entry->n),
		.consent = str_from(entry->consent),
		.labels = &label,
		.n_labels = 1,
	};
	ok(vault_put(vault, &put, &generation, &err));
	model->count += !entry->there;
	entry->there = true;
	assert_int_equal(generation, ++model->generation);
}

static void relabel(struct generator *g, struct vault *vault, struct model *model, size_t k)
{
	char room[32], text[24];
	bool with_value = generate_below(g, 2) == 0;
	fill_text(g, text);
	const struct vault_label label = {S("status"), str_from(text)};
	__auto_type entry = &model->entries[k];
	int result = with_value ? vault_set_value(vault, path_of(k, room), S("renewed"), &label, 1, &err)
				: vault_set_labels(vault, path_of(k, room), &label, 1, &err);
	assert_int_equal(result, entry->there ? 0 : -1);
	if (!entry->there)
		return;
	memcpy(entry->status, text, sizeof text);
	if (with_value)
		memcpy(entry->value, "renewed", entry->n = 7);
	model->generation++;
}

static void drop(struct vault *vault, struct model *model, size_t k)
{
	char room[32];
	int result = vault_delete(vault, path_of(k, room), &err);
	assert_int_equal(result, model->entries[k].there ? 0 : -1);
	model->count -= model->entries[k].there;
	model->generation += model->entries[k].there;
	model->entries[k].there = false;
}

/* The robot comes, or goes and takes the vault key with it. */
static void change_members(struct vault *vault, struct model *model)
{
	struct vault_credential staying = owner(), coming = robot();
	if (has_robot)
		ok(vault_member_remove(vault, S("robot"), &staying, &err));
	else
		ok(vault_member_add(vault, S("robot"), &staying, &coming, &err));
	has_robot = !has_robot;
	model->generation++;
}

/* As one member or the other; a member who sees something new may note it, which is a generation more. */
static void reopen(struct generator *g, struct vault **vault, struct model *model)
{
	struct vault_credential credential = has_robot && generate_below(g, 2) == 0 ? robot() : owner();
	struct vault_unlocked done;
	struct vault_status status;
	vault_free(*vault);
	*vault = vault_new(folder, NULL, &cheap, &err);
	assert_non_null(*vault);
	ok(vault_unlock(*vault, &credential, &(struct vault_unlock){.accept_older = false}, &done, &err));
	vault_get_status(*vault, &status);
	assert_true(status.generation - model->generation <= 1);
	model->generation = status.generation;
}

static void step(struct generator *g, struct vault **vault, struct model *model)
{
	size_t k = generate_below(g, PATHS);
	switch (generate_below(g, 8)) {
	case 0:
	case 1:
	case 2:
		put(g, *vault, model, k);
		break;
	case 3:
	case 4:
		relabel(g, *vault, model, k);
		break;
	case 5:
		drop(*vault, model, k);
		break;
	case 6:
		change_members(*vault, model);
		break;
	default:
		reopen(g, vault, model);
	}
}

static void behaves_like_an_array(void **state)
{
	(void)state;
	static struct model model;
	struct generator g = {11};
	struct vault_credential credential = owner();
	struct vault *vault = vault_new(folder, NULL, &cheap, &err);
	assert_non_null(vault);
	ok(vault_init(vault, &credential, &err));
	model.generation = 1;
	for (int i = 0; i < STEPS; i++) {
		step(&g, &vault, &model);
		agrees(vault, &model);
	}
	vault_free(vault);
}

static int set_up(void **state)
{
	(void)state;
	owners = secret_from(S("the owner's key file, 32 bytes.."), NULL);
	robots = secret_from(S("the robot's key file, 32 bytes.."), NULL);
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	AUTO_FREE char *path = xasprintf("%s/secrets.json", folder);
	secret_free(owners);
	secret_free(robots);
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(behaves_like_an_array)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
