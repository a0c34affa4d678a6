/* All that is done with a vault, under the keeper's confinement: what it needs of the system is what the policy allows. */
#include "base/mem.h"
#include "confine/policies.h"
#include "os/file.h"
#include "vault/vault_file.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define PASSPHRASE "correct horse battery staple"
static const char version_1[] =
	"{\"version\":1,\"salt\":\"YWlsZXJvbi10ZXN0LXNsdA==\","
	"\"verification\":\"AAECAwQFBgcICQoL6FCEw8qboOuVKZufFAMr1tVnxbb27+vNhLOM2jHnr10=\",\"secrets\":{"
	"\"api_key/stripe/work\":{\"value\":\"EBESExQVFhcYGRobbS9HsPiv19gOVXOjhSNemSZ56sW3qhKvSQtD75OYig==\","
	"\"metadata\":{\"Type\":\"api_key\",\"Environment\":\"\",\"Labels\":null}}}}";

static const struct argon2_cost cheap = {.time = 1, .memory_kib = ARGON2_MEMORY_MIN, .lanes = 1};
static char folder[] = "/tmp/aileron-vault-confined-XXXXXX";
static struct err err;

/* The number of the step that failed, which the child ends with; its message goes to standard error. */
static int step;
#define STEP(call)                                                                                                     \
	do {                                                                                                           \
		step++;                                                                                                \
		if ((call) < 0) {                                                                                      \
			fprintf(stderr, "step %d: %s\n", step, err.message);                                           \
			return step;                                                                                   \
		}                                                                                                      \
	} while (0)

static int use_members(struct vault *vault, const struct vault_credential *old)
{
	AUTO(secret) *file = secret_new(VAULT_KEY_FILE, &err);
	struct vault_credential robot = {.kind = VAULT_MEMBER_KEY_FILE, .secret = file};
	AUTO(secret) *words = secret_from(S("another passphrase"), &err);
	struct vault_credential new = {.kind = VAULT_MEMBER_PASSPHRASE, .secret = words};
	STEP(vault_member_add(vault, S("robot"), old, &robot, &err));
	STEP(vault_change_credential(vault, old, &new, NULL, &err));
	STEP(vault_member_remove(vault, S("robot"), &new, &err));
	AUTO_BUF out = BUF_INIT(VAULT_FILE_MAX);
	struct vault_imported imported;
	STEP(vault_export(vault, &new, &out, &err));
	STEP(vault_import(vault, &new, buf_str(&out), true, &imported, &err));
	return 0;
}

static int use_backups(struct vault *vault, const struct vault_credential *old)
{
	struct vault_backup_list list = VAULT_BACKUP_LIST_INIT;
	bool opens = false;
	STEP(vault_backups(vault, &list, &err));
	STEP(list.backups.n == 1 ? 0 : -1);
	struct str name = str_from(list.backups.items[0].name);
	STEP(vault_backup_opens(vault, name, old, &opens, &err));
	STEP(opens ? 0 : -1);
	STEP(vault_backup_delete(vault, name, &err));
	vault_backup_list_release(&list);
	return 0;
}

static int use_vault(void)
{
	AUTO(secret) *words = secret_from(S(PASSPHRASE), &err);
	struct vault_credential owner = {.kind = VAULT_MEMBER_PASSPHRASE, .secret = words};
	const struct vault_unlock plainly = {.accept_older = false};
	struct vault_unlocked done;
	struct argon2_cost cost;
	uint32_t took;
	AUTO(vault) *vault = vault_new(".", NULL, &cheap, &err);
	STEP(vault != NULL ? 0 : -1);
	STEP(vault_unlock(vault, &owner, &plainly, &done, &err));
	struct vault_put put = {.path = S("secret/a"), .value = S("x")};
	STEP(vault_put(vault, &put, NULL, &err));
	vault_lock(vault);
	STEP(vault_unlock(vault, &owner, &plainly, &done, &err));
	STEP(vault_delete(vault, S("secret/a"), &err));
	int failed = use_backups(vault, &owner);
	if (failed == 0)
		failed = use_members(vault, &owner);
	if (failed == 0)
		STEP(vault_tune(50, NULL, &cost, &took, &err));
	return failed;
}

static int make_vault(void)
{
	AUTO(secret) *words = secret_from(S(PASSPHRASE), &err);
	struct vault_credential owner = {.kind = VAULT_MEMBER_PASSPHRASE, .secret = words};
	AUTO(vault) *vault = vault_new(".", NULL, &cheap, &err);
	STEP(vault != NULL ? 0 : -1);
	STEP(vault_init(vault, &owner, &err));
	return 0;
}

static int confined(int (*use)(void))
{
	static struct confine_report report;
	enum { FOLDER = STDERR_FILENO + 1 };
	int fd = open(folder, O_RDONLY | O_DIRECTORY);
	if (fd < 0 || (fd != FOLDER && dup2(fd, FOLDER) != FOLDER))
		return 100;
	const struct confine_options options = {.keep_fds = FOLDER + 1, .own_folder = FOLDER};
	if (confine_apply(&confine_keeper, &options, &report, &err) != 0 || !report.seccomp)
		return 101;
	return use();
}

static void assert_works(int (*use)(void))
{
	pid_t child = fork();
	if (child == 0)
		_exit(confined(use));
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	if (status != 0)
		fail_msg("status 0x%x", (unsigned)status);
}

static void a_vault_is_made_under_the_keepers_policy(void **state)
{
	(void)state;
	assert_works(make_vault);
}

static void everything_works_under_the_keepers_policy(void **state)
{
	(void)state;
	AUTO_FREE char *path = xasprintf("%s/secrets.json", folder);
	assert_int_equal(file_replace(path, str_from(version_1), 0600, NULL), 0);
	assert_works(use_vault);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	AUTO_FREE char *path = xasprintf("%s/secrets.json", folder);
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vault_is_made_under_the_keepers_policy),
		cmocka_unit_test(everything_works_under_the_keepers_policy),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
