#include "base/base64.h"
#include "base/rand.h"
#include "os/file.h"
#include "vault/vault_file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include "skips.h"

/* The sanitizers turn mlock() into nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOCKING_IS_REAL 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LOCKING_IS_REAL 0
#endif
#endif
#ifndef LOCKING_IS_REAL
#define LOCKING_IS_REAL 1
#endif

/* The least that is accepted, so that a test takes its time for other things. */
static const struct argon2_cost cheap = {.time = 1, .memory_kib = ARGON2_MEMORY_MIN, .lanes = 1};
static const struct vault_unlock plainly;
static char folder[] = "/tmp/aileron-vault-XXXXXX";

static struct vault *open_vault(void)
{
	struct err err = {0};
	struct vault *vault = vault_new(folder, NULL, &cheap, &err);
	if (vault == NULL)
		fail_msg("%s", err.message);
	return vault;
}

/* Credentials live as long as a test. */
static struct secret *secrets[64];
static size_t n_secrets;

static struct vault_credential passphrase(const char *text)
{
	assert_true(n_secrets < ARRAY_LEN(secrets));
	secrets[n_secrets] = secret_from(str_from(text), NULL);
	return (struct vault_credential){.kind = VAULT_MEMBER_PASSPHRASE, .secret = secrets[n_secrets++]};
}

static struct vault_credential key_file(unsigned char fill)
{
	unsigned char bytes[VAULT_KEY_FILE];
	memset(bytes, fill, sizeof bytes);
	assert_true(n_secrets < ARRAY_LEN(secrets));
	secrets[n_secrets] = secret_from(str_of(bytes, sizeof bytes), NULL);
	return (struct vault_credential){.kind = VAULT_MEMBER_KEY_FILE, .secret = secrets[n_secrets++]};
}

static void ok(int result, const struct err *err, int line)
{
	if (result < 0)
		fail_msg("line %d: %s: %s", line, err_row(err->class)->name, err->message);
}
#define OK(call) ok((call), &err, __LINE__)
#define FAILS(call, wanted)                                                                                            \
	do {                                                                                                           \
		err_clear(&err);                                                                                       \
		assert_int_equal((call), -1);                                                                          \
		if (err.class != (wanted))                                                                             \
			fail_msg("line %d: %s: %s", __LINE__, err_row(err.class)->name, err.message);                  \
	} while (0)

static struct err err; /* of whatever was called last */

static int put(struct vault *vault, const char *path, const char *value)
{
	const struct vault_label labels[] = {{S("service"), S("stripe")}, {S("account"), S("me")}};
	struct vault_put put = {
		.path = str_from(path),
		.type = S("api_key"),
		.labels = labels,
		.n_labels = ARRAY_LEN(labels),
		.consent = S("{\"hosts\":[\"api.example.com:443\"]}"),
		.value = str_from(value),
	};
	return vault_put(vault, &put, NULL, &err);
}

static void assert_value(const struct vault *vault, const char *path, const char *value)
{
	struct secret *got = NULL;
	OK(vault_get(vault, str_from(path), &got, &err));
	if (!secret_eq(got, str_from(value)))
		fail_msg("'%s' is not '%s'", path, value);
	assert_true(secret_locked(got));
	secret_free(got);
}

static int unlock(struct vault *vault, struct vault_credential credential)
{
	struct vault_unlocked done;
	return vault_unlock(vault, &credential, &plainly, &done, &err);
}

static int init(struct vault *vault, struct vault_credential credential)
{
	return vault_init(vault, &credential, &err);
}

static char *path_of(const char *name)
{
	return xasprintf("%s/%s", folder, name);
}

static struct str read_name(struct buf *out, const char *name)
{
	AUTO_FREE char *path = path_of(name);
	buf_clear(out);
	assert_int_equal(file_read(path, out, NULL), 0);
	return buf_str(out);
}

static void write_name(const char *name, struct str text)
{
	AUTO_FREE char *path = path_of(name);
	OK(file_replace(path, text, 0600, &err));
}

/* Every name in the folder but one, for looking at what is left behind. */
static size_t count_others(const char *but)
{
	size_t n = 0;
	DIR *dir = opendir(folder);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		     strcmp(entry->d_name, but) != 0;
	closedir(dir);
	return n;
}

static int empty_folder(void **state)
{
	(void)state;
	DIR *dir = opendir(folder);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
	while (n_secrets > 0)
		secret_free(secrets[--n_secrets]);
	return 0;
}

/* ----------------------------------------------------------------------------------------------------------- ordinary use */

static void a_vault_is_made_and_opened_again(void **state)
{
	(void)state;
	struct vault_status status;
	AUTO(vault) *vault = open_vault();
	vault_get_status(vault, &status);
	assert_int_equal(status.state, VAULT_STATE_MISSING);
	FAILS(unlock(vault, passphrase("a")), ERR_VAULT_MISSING);
	OK(init(vault, passphrase("correct horse")));
	OK(put(vault, "api_key/stripe/work", "sk-1"));
	OK(put(vault, "api_key/stripe/home", "sk-2"));
	assert_value(vault, "api_key/stripe/work", "sk-1");
	FAILS(init(vault, passphrase("b")), ERR_VAULT_EXISTS);
	vault_get_status(vault, &status);
	assert_int_equal(status.state, VAULT_STATE_UNLOCKED);
	assert_int_equal(status.generation, 3);
	assert_int_equal(status.n_entries, 2);
	assert_int_equal(status.n_members, 1);
	assert_int_equal(strlen(status.vault_id), 32);
	assert_int_equal(count_others("secrets.json"), 0);

	AUTO(vault) *again = open_vault();
	FAILS(unlock(again, passphrase("correct horsf")), ERR_WRONG_PASSPHRASE);
	FAILS(unlock(again, key_file('a')), ERR_WRONG_PASSPHRASE);
	FAILS(unlock(again, passphrase("")), ERR_VALIDATION_ERROR);
	assert_false(vault_is_unlocked(again));
	OK(unlock(again, passphrase("correct horse")));
	assert_value(again, "api_key/stripe/work", "sk-1");
	assert_value(again, "api_key/stripe/home", "sk-2");
	FAILS(init(again, passphrase("b")), ERR_VAULT_EXISTS);
}

static void the_file_is_private_and_says_its_version(void **state)
{
	(void)state;
	AUTO(vault) *vault = open_vault();
	OK(init(vault, passphrase("a")));
	OK(put(vault, "api_key/stripe/work", "sk-in-the-clear"));
	AUTO_FREE char *path = path_of("secrets.json");
	struct stat info;
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	AUTO_BUF text = BUF_INIT(65536);
	read_name(&text, "secrets.json");
	assert_true(str_starts(buf_str(&text), S("{\n  \"version\": 2,\n")));
	assert_int_equal(str_find(buf_str(&text), S("sk-in-the-clear")), STR_NPOS);
}

static void while_locked_only_lists_work(void **state)
{
	(void)state;
	struct secret *got = NULL;
	struct vault_imported imported;
	AUTO_BUF out = BUF_INIT(65536);
	struct vault_credential a = passphrase("a");
	AUTO(vault) *vault = open_vault();
	OK(init(vault, a));
	OK(put(vault, "api_key/stripe/work", "sk-1"));
	vault_lock(vault);
	vault_lock(vault);
	assert_false(vault_is_unlocked(vault));
	assert_int_equal(vault_count(vault), 1);
	const struct vault_entry *entry = vault_find(vault, S("api_key/stripe/work"));
	assert_non_null(entry);
	assert_true(str_eq(vault_label_of(entry, S("account")), S("me")));
	assert_true(str_eq(entry->consent, S("{\"hosts\":[\"api.example.com:443\"]}")));
	FAILS(vault_get(vault, S("api_key/stripe/work"), &got, &err), ERR_VAULT_LOCKED);
	FAILS(put(vault, "a/b/c", "x"), ERR_VAULT_LOCKED);
	FAILS(vault_delete(vault, S("api_key/stripe/work"), &err), ERR_VAULT_LOCKED);
	FAILS(vault_set_labels(vault, S("api_key/stripe/work"), NULL, 0, &err), ERR_VAULT_LOCKED);
	FAILS(vault_set_consent(vault, S("api_key/stripe/work"), S(""), &err), ERR_VAULT_LOCKED);
	FAILS(vault_prove(vault, &a, NULL, &err), ERR_VAULT_LOCKED);
	FAILS(vault_change_credential(vault, &a, &a, NULL, &err), ERR_VAULT_LOCKED);
	FAILS(vault_member_add(vault, S("x"), &a, &a, &err), ERR_VAULT_LOCKED);
	FAILS(vault_member_remove(vault, S("x"), &a, &err), ERR_VAULT_LOCKED);
	FAILS(vault_export(vault, &a, &out, &err), ERR_VAULT_LOCKED);
	FAILS(vault_import(vault, &a, S("{}"), false, &imported, &err), ERR_VAULT_LOCKED);
	assert_null(got);
	OK(unlock(vault, a));
	assert_value(vault, "api_key/stripe/work", "sk-1");
}

static void entries_are_replaced_relabelled_and_deleted(void **state)
{
	(void)state;
	AUTO(vault) *vault = open_vault();
	OK(init(vault, passphrase("a")));
	OK(put(vault, "api_key/stripe/work", "sk-1"));
	OK(put(vault, "api_key/stripe/work", "sk-2"));
	assert_int_equal(vault_count(vault), 1);
	assert_value(vault, "api_key/stripe/work", "sk-2");
	assert_int_equal(vault_find(vault, S("api_key/stripe/work"))->generation, 3);

	const struct vault_label changes[] = {{S("status"), S("stale")}, {S("account"), S("")}, {S("gone"), S("")}};
	OK(vault_set_labels(vault, S("api_key/stripe/work"), changes, ARRAY_LEN(changes), &err));
	const struct vault_entry *entry = vault_find(vault, S("api_key/stripe/work"));
	assert_int_equal(entry->n_labels, 2);
	assert_true(str_eq(vault_label_of(entry, S("status")), S("stale")));
	assert_true(str_eq(vault_label_of(entry, S("service")), S("stripe")));
	assert_int_equal(entry->generation, 3); /* of the value, which is as it was */

	OK(vault_set_consent(vault, S("api_key/stripe/work"), S("{}"), &err));
	assert_true(str_eq(vault_find(vault, S("api_key/stripe/work"))->consent, S("{}")));
	OK(vault_set_value(vault, S("api_key/stripe/work"), S("sk-3"), changes, 1, &err));
	assert_value(vault, "api_key/stripe/work", "sk-3");
	assert_int_equal(vault_find(vault, S("api_key/stripe/work"))->generation, 6);

	OK(vault_delete(vault, S("api_key/stripe/work"), &err));
	assert_int_equal(vault_count(vault), 0);
	FAILS(vault_delete(vault, S("api_key/stripe/work"), &err), ERR_VAULT_NOT_FOUND);
	FAILS(vault_set_labels(vault, S("x"), changes, 1, &err), ERR_VAULT_NOT_FOUND);
	FAILS(vault_set_consent(vault, S("x"), S("{}"), &err), ERR_VAULT_NOT_FOUND);
	FAILS(vault_set_value(vault, S("x"), S("{}"), NULL, 0, &err), ERR_VAULT_NOT_FOUND);
	struct secret *got = NULL;
	FAILS(vault_get(vault, S("x"), &got, &err), ERR_VAULT_NOT_FOUND);
}

static void what_is_no_entry_is_refused_and_changes_nothing(void **state)
{
	(void)state;
	AUTO(vault) *vault = open_vault();
	OK(init(vault, passphrase("a")));
	OK(put(vault, "a/b/c", "x"));
	static char big[VAULT_VALUE_MAX + 1];
	const struct vault_label twice[] = {{S("a"), S("1")}, {S("a"), S("2")}};
	const struct vault_label odd[] = {{S("a\0b"), S("1")}};
	static struct vault_label many[VAULT_LABELS_MAX + 1];
	const struct vault_put bad[] = {
		{.path = S("")},
		{.path = S("../x")},
		{.path = S("a"), .type = S("\xff")},
		{.path = S("a"), .environment = S("\0")},
		{.path = S("a"), .consent = S("\xff")},
		{.path = S("a"), .labels = twice, .n_labels = 2},
		{.path = S("a"), .labels = odd, .n_labels = 1},
		{.path = S("a"), .labels = many, .n_labels = ARRAY_LEN(many)},
		{.path = S("a"), .value = str_of(big, sizeof big)},
	};
	AUTO_BUF before = BUF_INIT(65536);
	AUTO_BUF after = BUF_INIT(65536);
	read_name(&before, "secrets.json");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err_clear(&err);
		assert_int_equal(vault_put(vault, &bad[i], NULL, &err), -1);
		if (err.class != ERR_VALIDATION_ERROR && err.class != ERR_LIMIT)
			fail_msg("case %zu: %s", i, err.message);
	}
	assert_true(str_eq(read_name(&after, "secrets.json"), buf_str(&before)));
	assert_int_equal(vault_count(vault), 1);
	struct vault_put biggest = {.path = S("a"), .value = str_of(big, VAULT_VALUE_MAX)};
	OK(vault_put(vault, &biggest, NULL, &err));
	struct vault_put nothing = {.path = S("empty")};
	OK(vault_put(vault, &nothing, NULL, &err));
	assert_value(vault, "empty", "");
}

/* ---------------------------------------------------------------------------------------------------------------- members */

static void a_passphrase_is_changed_without_touching_values(void **state)
{
	(void)state;
	AUTO(vault) *vault = open_vault();
	struct vault_credential old = passphrase("old"), new = passphrase("new"), file = key_file('k');
	OK(init(vault, old));
	OK(put(vault, "a/b/c", "x"));
	AUTO_BUF before = BUF_INIT(1024);
	buf_add_str(&before, vault_find(vault, S("a/b/c"))->value);
	FAILS(vault_change_credential(vault, &new, &new, NULL, &err), ERR_WRONG_PASSPHRASE);
	OK(vault_change_credential(vault, &old, &new, NULL, &err));
	assert_true(str_eq(vault_find(vault, S("a/b/c"))->value, buf_str(&before)));
	assert_int_equal(count_others("secrets.json"), 0); /* nothing that the old one opens */
	vault_lock(vault);
	FAILS(unlock(vault, old), ERR_WRONG_PASSPHRASE);
	OK(unlock(vault, new));
	OK(vault_change_credential(vault, &new, &file, NULL, &err));
	vault_lock(vault);
	FAILS(unlock(vault, new), ERR_WRONG_PASSPHRASE);
	OK(unlock(vault, file));
	assert_value(vault, "a/b/c", "x");
	struct vault_member_info info;
	vault_member_at(vault, 0, &info);
	assert_int_equal(info.kind, VAULT_MEMBER_KEY_FILE);
}

static void members_come_and_go(void **state)
{
	(void)state;
	AUTO(vault) *vault = open_vault();
	struct vault_credential owner = passphrase("owner"), robot = key_file('r'), friend = passphrase("friend");
	char name[VAULT_MEMBER_NAME + 1];
	OK(init(vault, owner));
	OK(put(vault, "a/b/c", "x"));
	OK(put(vault, "a/b/d", "y"));
	OK(vault_member_add(vault, S("robot"), &owner, &robot, &err));
	OK(vault_member_add(vault, S("friend"), &owner, &friend, &err));
	FAILS(vault_member_add(vault, S("friend"), &owner, &friend, &err), ERR_CONFLICT);
	FAILS(vault_member_add(vault, S("Friend"), &owner, &friend, &err), ERR_INVALID_IDENTITY);
	struct vault_credential short_file = {.kind = VAULT_MEMBER_KEY_FILE, .secret = owner.secret};
	FAILS(vault_member_add(vault, S("short"), &owner, &short_file, &err), ERR_VALIDATION_ERROR);
	assert_int_equal(vault_member_count(vault), 3);
	OK(vault_prove(vault, &friend, name, &err));
	assert_string_equal(name, "friend");

	/* Each opens it, and what each then writes the others read. */
	const struct vault_credential all[] = {robot, friend, owner};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		vault_lock(vault);
		OK(unlock(vault, all[i]));
		assert_value(vault, "a/b/c", "x");
		OK(put(vault, "a/b/e", "z"));
	}
	FAILS(vault_member_remove(vault, S("friend"), &friend, &err), ERR_INVALID_REQUEST);
	FAILS(vault_member_remove(vault, S("nobody"), &owner, &err), ERR_NOT_FOUND);
	struct vault_credential wrong = passphrase("wrong");
	FAILS(vault_member_remove(vault, S("friend"), &wrong, &err), ERR_WRONG_PASSPHRASE);

	AUTO_BUF before = BUF_INIT(1024);
	buf_add_str(&before, vault_find(vault, S("a/b/c"))->value);
	OK(vault_member_remove(vault, S("friend"), &owner, &err));
	assert_false(str_eq(vault_find(vault, S("a/b/c"))->value, buf_str(&before)));
	assert_value(vault, "a/b/d", "y");
	vault_lock(vault);
	FAILS(unlock(vault, friend), ERR_WRONG_PASSPHRASE);
	OK(unlock(vault, robot));
	assert_value(vault, "a/b/c", "x");
	/* The one who unlocked is removed by another: it goes on under that one. */
	OK(vault_member_remove(vault, S("robot"), &owner, &err));
	OK(put(vault, "a/b/f", "w"));
	OK(vault_member_add(vault, S("again"), &owner, &robot, &err));
	vault_lock(vault);
	OK(unlock(vault, robot));
	assert_value(vault, "a/b/f", "w");
	assert_int_equal(vault_member_count(vault), 2);
}

/* A member who adds another knows him: what that one sets later is from no stranger, whoever had unlocked the vault. */
static void who_proves_knows_the_member_that_he_adds(void **state)
{
	(void)state;
	AUTO(vault) *vault = open_vault();
	struct vault_credential owner = passphrase("owner"), bob = passphrase("bob"), robot = key_file('r');
	struct vault_credential wrong = passphrase("wrong");
	OK(init(vault, owner));
	OK(put(vault, "a/b/c", "x"));
	OK(vault_member_add(vault, S("bob"), &owner, &bob, &err));
	FAILS(vault_member_add(vault, S("robot"), &wrong, &robot, &err), ERR_WRONG_PASSPHRASE);
	OK(vault_member_add(vault, S("robot"), &bob, &robot, &err));
	OK(vault_member_remove(vault, S("owner"), &robot, &err));
	vault_lock(vault);
	OK(unlock(vault, bob));
	assert_value(vault, "a/b/c", "x");
}

static void a_member_can_be_named(void **state)
{
	(void)state;
	AUTO(vault) *vault = open_vault();
	struct vault_credential same = passphrase("same"), named = same;
	struct vault_unlocked done;
	OK(init(vault, same));
	OK(vault_member_add(vault, S("second"), &same, &same, &err));
	vault_lock(vault);
	named.member = S("second");
	OK(vault_unlock(vault, &named, &plainly, &done, &err));
	assert_string_equal(done.member, "second");
	named.member = S("third");
	FAILS(vault_unlock(vault, &named, &plainly, &done, &err), ERR_NOT_FOUND);
	OK(vault_unlock(vault, &same, &plainly, &done, &err));
	assert_string_equal(done.member, "owner");
}

/* ------------------------------------------------------------------------------------------------------ older generations */

static void an_older_file_is_refused_until_it_is_accepted(void **state)
{
	(void)state;
	AUTO(vault) *vault = open_vault();
	struct vault_credential a = passphrase("a");
	struct vault_unlocked done;
	struct vault_status status;
	OK(init(vault, a));
	OK(put(vault, "a/b/c", "old"));
	AUTO_BUF old = BUF_INIT(65536);
	read_name(&old, "secrets.json");
	OK(put(vault, "a/b/c", "new"));
	vault_get_status(vault, &status);
	struct vault_unlock seen = {.seen_vault_id = str_from(status.vault_id), .seen_generation = status.generation};
	vault_lock(vault);
	OK(vault_unlock(vault, &a, &seen, &done, &err));
	assert_false(done.older);
	vault_lock(vault);
	write_name("secrets.json", buf_str(&old));
	FAILS(vault_unlock(vault, &a, &seen, &done, &err), ERR_VAULT_ROLLED_BACK);
	assert_false(vault_is_unlocked(vault));
	struct vault_unlock another = {.seen_vault_id = S("00000000000000000000000000000000")};
	FAILS(vault_unlock(vault, &a, &another, &done, &err), ERR_VAULT_ROLLED_BACK);
	seen.accept_older = true;
	OK(vault_unlock(vault, &a, &seen, &done, &err));
	assert_true(done.older);
	assert_value(vault, "a/b/c", "old");
}

static uint64_t generation_of(const struct vault *vault)
{
	struct vault_status status;
	vault_get_status(vault, &status);
	return status.generation;
}

static void what_an_accepted_file_replaces_is_older(void **state)
{
	(void)state;
	AUTO(vault) *vault = open_vault();
	struct vault_credential a = passphrase("a"), b = passphrase("b");
	struct vault_unlocked done;
	struct vault_status status;
	OK(init(vault, a));
	OK(vault_member_add(vault, S("two"), &a, &b, &err));
	OK(put(vault, "a/b/c", "old"));
	uint64_t sealed = vault_find(vault, S("a/b/c"))->generation;
	AUTO_BUF old = BUF_INIT(65536), given_up = BUF_INIT(65536);
	read_name(&old, "secrets.json");
	OK(put(vault, "a/b/c", "given up"));
	read_name(&given_up, "secrets.json");
	vault_get_status(vault, &status);
	struct vault_unlock seen = {
		.seen_vault_id = str_from(status.vault_id), .seen_generation = status.generation, .accept_older = true};
	vault_lock(vault);
	write_name("secrets.json", buf_str(&old));
	/* A number that no vault has is not written down. */
	struct vault_unlock made_up = seen;
	made_up.seen_generation = INT64_MAX - 1;
	assert_int_equal(vault_unlock(vault, &a, &made_up, &done, &err), -1);
	assert_int_equal(err.class, ERR_VAULT_ROLLED_BACK);
	OK(vault_unlock(vault, &a, &seen, &done, &err));
	assert_int_equal(generation_of(vault), seen.seen_generation + 1);
	assert_int_equal(vault_find(vault, S("a/b/c"))->generation, sealed);
	assert_int_equal(count_others("secrets.json"), 0);
	/* It is the newest on the disk, for every member, and nothing needs to be accepted any more. */
	seen = (struct vault_unlock){.seen_vault_id = seen.seen_vault_id, .seen_generation = generation_of(vault)};
	vault_lock(vault);
	OK(vault_unlock(vault, &b, &seen, &done, &err));
	assert_false(done.older);
	assert_value(vault, "a/b/c", "old");
	OK(put(vault, "a/b/c", "new"));
	seen.seen_generation = generation_of(vault);
	vault_lock(vault);
	write_name("secrets.json", buf_str(&given_up));
	FAILS(vault_unlock(vault, &a, &seen, &done, &err), ERR_VAULT_ROLLED_BACK);
}

/* ------------------------------------------------------------------------------------------------------ versions 0 and 1 */

/* Of docs/formats/vault.md; made by another program. */
static const char version_1[] =
	"{\n  \"version\": 1,\n  \"salt\": \"YWlsZXJvbi10ZXN0LXNsdA==\",\n"
	"  \"verification\": \"AAECAwQFBgcICQoL6FCEw8qboOuVKZufFAMr1tVnxbb27+vNhLOM2jHnr10=\",\n"
	"  \"secrets\": {\n    \"api_key/stripe/work\": {\n"
	"      \"value\": \"EBESExQVFhcYGRobbS9HsPiv19gOVXOjhSNemSZ56sW3qhKvSQtD75OYig==\",\n"
	"      \"metadata\": {\n        \"Type\": \"api_key\",\n        \"Environment\": \"\",\n        \"Labels\": {\n"
	"          \"connector_fqn\": \"github.com/acme/stripe-connector\",\n"
	"          \"created_at\": \"1767225600\",\n          \"identity\": \"work\",\n"
	"          \"service\": \"stripe\",\n          \"status\": \"active\"\n        }\n      }\n    }\n  }\n}";
/* The same vault before there were verifiers, with an entry whose labels are null. */
static const char version_0[] =
	"{\"salt\":\"YWlsZXJvbi10ZXN0LXNsdA==\",\"secrets\":{\"api_key/stripe/work\":{\"value\":"
	"\"EBESExQVFhcYGRobbS9HsPiv19gOVXOjhSNemSZ56sW3qhKvSQtD75OYig==\",\"metadata\":{\"Type\":\"api_key\","
	"\"Environment\":\"\",\"Labels\":null}}}}";
#define OLD_PASSPHRASE "correct horse battery staple"

static void assert_upgrades(const char *text, unsigned version)
{
	struct vault_status status;
	struct vault_unlocked done;
	AUTO_BUF backup = BUF_INIT(65536);
	write_name("secrets.json", str_from(text));
	AUTO(vault) *vault = open_vault();
	vault_get_status(vault, &status);
	assert_int_equal(status.state, VAULT_STATE_LOCKED);
	assert_int_equal(status.version, version);
	assert_int_equal(vault_count(vault), 1);
	FAILS(unlock(vault, passphrase("wrong")), ERR_WRONG_PASSPHRASE);
	FAILS(unlock(vault, key_file('x')), ERR_WRONG_PASSPHRASE);
	FAILS(init(vault, passphrase("wrong")), ERR_VAULT_EXISTS);
	assert_int_equal(count_others("secrets.json"), 0);

	struct vault_credential right = passphrase(OLD_PASSPHRASE);
	OK(vault_unlock(vault, &right, &plainly, &done, &err));
	assert_int_equal(done.version, version);
	assert_string_equal(done.member, VAULT_FIRST_MEMBER);
	assert_value(vault, "api_key/stripe/work", "sk-example-0001");
	assert_true(str_eq(read_name(&backup, done.backup), str_from(text)));
	AUTO_FREE char *path = path_of(done.backup);
	struct stat info;
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	vault_lock(vault);
	OK(vault_unlock(vault, &right, &plainly, &done, &err));
	assert_int_equal(done.version, 2);
	assert_string_equal(done.backup, "");
	assert_value(vault, "api_key/stripe/work", "sk-example-0001");
	assert_int_equal(count_others("secrets.json"), 1);
}

static void version_1_is_upgraded_and_a_copy_kept(void **state)
{
	(void)state;
	assert_upgrades(version_1, 1);
	AUTO(vault) *vault = open_vault();
	OK(unlock(vault, passphrase(OLD_PASSPHRASE)));
	const struct vault_entry *entry = vault_find(vault, S("api_key/stripe/work"));
	assert_int_equal(entry->n_labels, 5);
	assert_true(str_eq(entry->type, S("api_key")));
	assert_true(str_eq(vault_label_of(entry, S("connector_fqn")), S("github.com/acme/stripe-connector")));
}

static void version_0_is_upgraded_and_a_copy_kept(void **state)
{
	(void)state;
	assert_upgrades(version_0, 0);
}

static void version_0_without_secrets_is_no_vault(void **state)
{
	(void)state;
	static const char *const texts[] = {"{}", "{\"salt\":\"YWlsZXJvbi10ZXN0LXNsdA==\",\"secrets\":{}}",
					    "{\"version\":0,\"secrets\":null}"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct vault_status status;
		write_name("secrets.json", str_from(texts[i]));
		AUTO(vault) *vault = open_vault();
		vault_get_status(vault, &status);
		assert_int_equal(status.state, VAULT_STATE_MISSING);
		FAILS(unlock(vault, passphrase("anything")), ERR_VAULT_MISSING);
		OK(init(vault, passphrase("a")));
		assert_int_equal(count_others("secrets.json"), 0);
	}
}

static void an_old_file_beside_a_newer_mark_is_refused(void **state)
{
	(void)state;
	struct vault_unlocked done;
	struct vault_unlock seen = {.seen_vault_id = S("00112233445566778899aabbccddeeff"), .seen_generation = 4};
	struct vault_credential right = passphrase(OLD_PASSPHRASE);
	write_name("secrets.json", str_from(version_1));
	AUTO(vault) *vault = open_vault();
	FAILS(vault_unlock(vault, &right, &seen, &done, &err), ERR_VAULT_ROLLED_BACK);
	assert_int_equal(count_others("secrets.json"), 0);
	seen.accept_older = true;
	OK(vault_unlock(vault, &right, &seen, &done, &err));
	assert_true(done.older);
}

static void a_bad_value_stops_the_upgrade(void **state)
{
	(void)state;
	AUTO_FREE char *text = xstrdup(version_1);
	char *value = strstr(text, "EBES");
	value[24] = value[24] == 'A' ? 'B' : 'A';
	write_name("secrets.json", str_from(text));
	AUTO(vault) *vault = open_vault();
	FAILS(unlock(vault, passphrase(OLD_PASSPHRASE)), ERR_VAULT_VALUE_TAMPERED);
	assert_int_equal(count_others("secrets.json"), 0);
	AUTO_BUF now = BUF_INIT(65536);
	assert_true(str_eq(read_name(&now, "secrets.json"), str_from(text)));
}

static void backups_are_listed_tried_and_dropped(void **state)
{
	(void)state;
	write_name("secrets.json", str_from(version_1));
	write_name("notes.txt", S("mine"));
	AUTO(vault) *vault = open_vault();
	struct vault_credential right = passphrase(OLD_PASSPHRASE), other = passphrase("other");
	OK(unlock(vault, right));
	struct vault_backup_list list = VAULT_BACKUP_LIST_INIT;
	OK(vault_backups(vault, &list, &err));
	assert_int_equal(list.backups.n, 1);
	const struct vault_backup *backup = &list.backups.items[0];
	assert_int_equal(backup->bytes, strlen(version_1));
	assert_int_equal(backup->version, 1);
	assert_true(backup->mtime > 1700000000);
	struct str name = str_from(backup->name);
	bool opens = false;
	OK(vault_backup_opens(vault, name, &right, &opens, &err));
	assert_true(opens);
	OK(vault_backup_opens(vault, name, &other, &opens, &err));
	assert_false(opens);
	FAILS(vault_backup_delete(vault, S("secrets.json"), &err), ERR_NOT_FOUND);
	FAILS(vault_backup_delete(vault, S("notes.txt"), &err), ERR_NOT_FOUND);
	FAILS(vault_backup_delete(vault, S("backup-v1-/../notes.txt.json"), &err), ERR_NOT_FOUND);
	FAILS(vault_backup_opens(vault, S("backup-v1-no.json"), &right, &opens, &err), ERR_NOT_FOUND);
	OK(vault_backup_delete(vault, name, &err));
	OK(vault_backups(vault, &list, &err));
	assert_int_equal(list.backups.n, 0);
	vault_backup_list_release(&list);
}

/* --------------------------------------------------------------------------------------------------- export and import */

static void what_is_exported_can_be_imported(void **state)
{
	(void)state;
	AUTO_BUF file = BUF_INIT(VAULT_FILE_MAX);
	struct vault_credential a = passphrase("a"), out = passphrase("out"), b = passphrase("b");
	struct vault_imported done;
	struct vault_status one, other;
	AUTO(vault) *vault = open_vault();
	OK(init(vault, a));
	OK(put(vault, "a/b/c", "x"));
	OK(put(vault, "a/b/d", "y"));
	OK(vault_export(vault, &out, &file, &err));
	vault_get_status(vault, &one);
	empty_folder(NULL);
	b = passphrase("b");
	out = passphrase("out");

	AUTO(vault) *second = open_vault();
	OK(init(second, b));
	OK(put(second, "a/b/d", "mine"));
	vault_get_status(second, &other);
	assert_string_not_equal(one.vault_id, other.vault_id);
	FAILS(vault_import(second, &b, buf_str(&file), false, &done, &err), ERR_WRONG_PASSPHRASE);
	OK(vault_import(second, &out, buf_str(&file), false, &done, &err));
	assert_int_equal(done.added, 1);
	assert_int_equal(done.kept, 1);
	assert_int_equal(done.replaced, 0);
	assert_value(second, "a/b/c", "x");
	assert_value(second, "a/b/d", "mine");
	OK(vault_import(second, &out, buf_str(&file), true, &done, &err));
	assert_int_equal(done.replaced, 2);
	assert_value(second, "a/b/d", "y");
	assert_true(str_eq(vault_label_of(vault_find(second, S("a/b/c")), S("account")), S("me")));
	struct vault_credential old = passphrase(OLD_PASSPHRASE);
	OK(vault_import(second, &old, str_from(version_1), false, &done, &err));
	assert_int_equal(done.added, 1);
	assert_value(second, "api_key/stripe/work", "sk-example-0001");
	FAILS(vault_import(second, &old, S("{\"version\":2"), false, &done, &err), ERR_VAULT_TRUNCATED);
	/* The export is a vault by itself. */
	write_name("secrets.json", buf_str(&file));
	AUTO(vault) *third = open_vault();
	OK(unlock(third, out));
	assert_value(third, "a/b/d", "y");
}

/* -------------------------------------------------------------------------------------------------------------- trouble */

static void a_file_in_trouble_is_never_overwritten(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum err_class class;
	} cases[] = {
		{"", ERR_VAULT_TRUNCATED},
		{"{\"version\": 2,", ERR_VAULT_TRUNCATED},
		{"{\"version\": 2}", ERR_VAULT_TRUNCATED},
		{"{\"version\": 2}\n", ERR_VAULT_FILE_TAMPERED},
		{"{\"version\": 3}\n", ERR_VAULT_UNSUPPORTED},
		{"{\"version\": -1}\n", ERR_VAULT_FILE_TAMPERED},
		{"{\"version\": \"2\"}\n", ERR_VAULT_FILE_TAMPERED},
		{"[]", ERR_VAULT_FILE_TAMPERED},
		{"{]", ERR_VAULT_FILE_TAMPERED},
		{"nonsense", ERR_VAULT_FILE_TAMPERED},
		{"{\"secrets\": [1, 2]}", ERR_VAULT_FILE_TAMPERED},
		{"{\"secrets\": {\"a\": {\"value\": 1}}}", ERR_VAULT_FILE_TAMPERED},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct vault_status status;
		AUTO_BUF after = BUF_INIT(65536);
		write_name("secrets.json", str_from(cases[i].text));
		AUTO(vault) *vault = open_vault();
		vault_get_status(vault, &status);
		assert_int_equal(status.state, VAULT_STATE_LOCKED);
		if (status.trouble != cases[i].class)
			fail_msg("'%s': %s", cases[i].text, status.trouble_message);
		FAILS(unlock(vault, passphrase("a")), cases[i].class);
		FAILS(init(vault, passphrase("a")), ERR_VAULT_EXISTS);
		FAILS(put(vault, "a/b/c", "x"), ERR_VAULT_LOCKED);
		assert_true(str_eq(read_name(&after, "secrets.json"), str_from(cases[i].text)));
		assert_int_equal(vault_count(vault), 0);
	}
}

static void a_generation_that_is_left_alone_is_not_lost(void **state)
{
	(void)state;
	AUTO(vault) *vault = open_vault();
	OK(init(vault, passphrase("a")));
	AUTO_FREE char *from = path_of("secrets.json");
	AUTO_FREE char *to = path_of("secrets.json.prev");
	assert_int_equal(rename(from, to), 0);
	AUTO(vault) *again = open_vault();
	FAILS(init(again, passphrase("b")), ERR_VAULT_EXISTS);
	assert_int_equal(rename(to, from), 0);
	/* And what a crash left beside a good file goes with the next unlocking. */
	write_name("secrets.json.prev", S("whatever"));
	write_name(".draft-0123456789abcdef", S("half"));
	AUTO(vault) *third = open_vault();
	OK(unlock(third, passphrase("a")));
	assert_int_equal(count_others("secrets.json"), 0);
}

static int unlock_without_locked_memory(void)
{
	struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0)
		return 2;
	/* root may lock without a limit, so it becomes somebody else, who has the folder. */
	AUTO_FREE char *path = path_of("secrets.json");
	if (geteuid() == 0 &&
	    (chown(folder, 65534, 65534) != 0 || chown(path, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
		return 3;
	AUTO(vault) *vault = open_vault();
	err_clear(&err);
	if (unlock(vault, passphrase("a")) == 0 || vault_is_unlocked(vault))
		return 4;
	return err.class == ERR_SYSTEM && (err.os_errno == EPERM || err.os_errno == ENOMEM) ? 0 : 5;
}

static void keys_that_cannot_be_locked_are_not_opened(void **state)
{
	(void)state;
	if (!LOCKING_IS_REAL)
		skip_because("the sanitizer replaces mlock()");
	AUTO(vault) *vault = open_vault();
	OK(init(vault, passphrase("a")));
	pid_t child = fork();
	if (child == 0)
		_exit(unlock_without_locked_memory());
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void tuning_proposes_what_is_accepted(void **state)
{
	(void)state;
	struct argon2_cost cost;
	uint32_t took = 0;
	FAILS(vault_tune(10, NULL, &cost, &took, &err), ERR_VALIDATION_ERROR);
	FAILS(vault_tune(20000, NULL, &cost, &took, &err), ERR_VALIDATION_ERROR);
	OK(vault_tune(100, NULL, &cost, &took, &err));
	OK(argon2_cost_check(&cost, &err));
	assert_true(took > 0);
	print_message("100 ms: %u passes, %u MiB, %u lanes took %u ms\n", cost.time, cost.memory_kib / 1024, cost.lanes,
		      took);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
	empty_folder(state);
	return rmdir(folder);
}

#define TEST(name) cmocka_unit_test_teardown(name, empty_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_vault_is_made_and_opened_again),
		TEST(the_file_is_private_and_says_its_version),
		TEST(while_locked_only_lists_work),
		TEST(entries_are_replaced_relabelled_and_deleted),
		TEST(what_is_no_entry_is_refused_and_changes_nothing),
		TEST(a_passphrase_is_changed_without_touching_values),
		TEST(members_come_and_go),
		TEST(who_proves_knows_the_member_that_he_adds),
		TEST(a_member_can_be_named),
		TEST(an_older_file_is_refused_until_it_is_accepted),
		TEST(what_an_accepted_file_replaces_is_older),
		TEST(version_1_is_upgraded_and_a_copy_kept),
		TEST(version_0_is_upgraded_and_a_copy_kept),
		TEST(version_0_without_secrets_is_no_vault),
		TEST(an_old_file_beside_a_newer_mark_is_refused),
		TEST(a_bad_value_stops_the_upgrade),
		TEST(backups_are_listed_tried_and_dropped),
		TEST(what_is_exported_can_be_imported),
		TEST(a_file_in_trouble_is_never_overwritten),
		TEST(a_generation_that_is_left_alone_is_not_lost),
		TEST(keys_that_cannot_be_locked_are_not_opened),
		TEST(tuning_proposes_what_is_accepted),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
