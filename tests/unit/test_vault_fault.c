/*
 * What happens to a vault when the system refuses, or the process dies, at any of the calls that a write makes. Each call
 * that touches the folder is counted here on its way to the kernel, and the Nth fails, or kills.
 */
#include "base/mem.h"
#include "base/rand.h"
#include "os/file.h"
#include "vault/vault_file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static const struct argon2_cost cheap = {.time = 1, .memory_kib = ARGON2_MEMORY_MIN, .lanes = 1};
static const struct vault_unlock plainly;
static char folder[] = "/tmp/aileron-vault-fault-XXXXXX";
static struct err err;

/* ------------------------------------------------------------------------------------------------- calls on their way */

enum { NOTHING, FAIL_ONE, FAIL_FROM, DIE };
static int mode = NOTHING;
static long nth, count;

/* Whether this call is to fail. */
static bool strikes(void)
{
	if (mode == NOTHING)
		return false;
	count++;
	if (mode == DIE && count == nth)
		kill(getpid(), SIGKILL);
	bool now = mode == FAIL_ONE ? count == nth : mode == FAIL_FROM && count >= nth;
	if (now)
		errno = EIO;
	return now;
}

/* These take the place of the C library's for everything that is linked into this program. */
int openat(int at, const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	unsigned permissions = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, unsigned) : 0;
	va_end(ap);
	return strikes() ? -1 : (int)syscall(SYS_openat, at, path, flags, permissions);
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	unsigned permissions = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, unsigned) : 0;
	va_end(ap);
	return strikes() ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, permissions);
}

ssize_t read(int fd, void *bytes, size_t n)
{
	return strikes() ? -1 : syscall(SYS_read, fd, bytes, n);
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	return strikes() ? -1 : syscall(SYS_write, fd, bytes, n);
}

int fsync(int fd)
{
	return strikes() ? -1 : (int)syscall(SYS_fsync, fd);
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
	return strikes() ? -1 : (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
	return strikes() ? -1 : (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
}

int unlinkat(int at, const char *path, int flags)
{
	return strikes() ? -1 : (int)syscall(SYS_unlinkat, at, path, flags);
}

/* ---------------------------------------------------------------------------------------------------------- operations */

static struct secret *owners, *others; /* key files */

/* Secrets are not inherited by forked children, so they make their own. */
static void make_key_files(void)
{
	owners = secret_from(S("the owner's key file, 32 bytes.."), NULL);
	others = secret_from(S("another's key file, of 32 bytes."), NULL);
}

static struct vault_credential credential_of(const struct secret *secret)
{
	return (struct vault_credential){.kind = VAULT_MEMBER_KEY_FILE, .secret = secret};
}

static int put(struct vault *vault, struct str path, struct str value)
{
	struct vault_put put = {.path = path, .type = S("api_key"), .value = value};
	return vault_put(vault, &put, NULL, &err);
}

static int do_init(struct vault *vault)
{
	struct vault_credential credential = credential_of(owners);
	return vault_init(vault, &credential, &err);
}

static int do_put(struct vault *vault)
{
	return put(vault, S("changed"), S("new"));
}

static int do_delete(struct vault *vault)
{
	return vault_delete(vault, S("changed"), &err);
}

static int do_labels(struct vault *vault)
{
	const struct vault_label label = {S("status"), S("stale")};
	return vault_set_labels(vault, S("changed"), &label, 1, &err);
}

static int do_member_remove(struct vault *vault)
{
	struct vault_credential credential = credential_of(owners);
	return vault_member_remove(vault, S("other"), &credential, &err);
}

static int do_change(struct vault *vault)
{
	struct vault_credential credential = credential_of(owners);
	return vault_change_credential(vault, &credential, &credential, NULL, &err);
}

static const struct {
	const char *what;
	int (*run)(struct vault *vault);
} operations[] = {
	{"put", do_put},
	{"delete", do_delete},
	{"set_labels", do_labels},
	{"member_remove", do_member_remove},
	{"change_credential", do_change},
};

static int unlock(struct vault *vault)
{
	struct vault_unlocked done;
	struct vault_credential credential = credential_of(owners);
	return vault_unlock(vault, &credential, &plainly, &done, &err);
}

static void ok(int result, int line)
{
	mode = NOTHING;
	if (result < 0)
		fail_msg("line %d: %s: %s", line, err_row(err.class)->name, err.message);
}
#define OK(call) ok((call), __LINE__)

static void empty_folder(void)
{
	DIR *dir = opendir(folder);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

static struct vault *open_vault(void)
{
	struct vault *vault = vault_new(folder, NULL, &cheap, &err);
	if (vault == NULL)
		fail_msg("%s", err.message);
	return vault;
}

static struct vault *prepared(void)
{
	struct vault_credential owner = credential_of(owners), other = credential_of(others);
	empty_folder();
	struct vault *vault = open_vault();
	OK(do_init(vault));
	OK(put(vault, S("kept"), S("kept")));
	OK(put(vault, S("changed"), S("old")));
	OK(vault_member_add(vault, S("other"), &owner, &other, &err));
	return vault;
}

/* All that an operation may change, as text. */
static void describe(const struct vault *vault, struct buf *out)
{
	struct vault_status status;
	vault_get_status(vault, &status);
	buf_clear(out);
	buf_addf(out, "generation %llu members %zu entries %zu", (unsigned long long)status.generation,
		 status.n_members, status.n_entries);
	for (size_t i = 0; i < vault_count(vault); i++) {
		const struct vault_entry *entry = vault_entry_at(vault, i);
		struct secret *value = NULL;
		OK(vault_get(vault, entry->path, &value, &err));
		buf_addf(out, " %.*s=%.*s,%.*s", STR_FMT(entry->path), STR_FMT(secret_borrow(value)),
			 STR_FMT(vault_label_of(entry, S("status"))));
		secret_free(value);
	}
}

static void describe_folder(struct buf *out)
{
	AUTO(vault) *vault = open_vault();
	OK(unlock(vault));
	describe(vault, out);
}

static bool same(const struct buf *a, const struct buf *b)
{
	return str_eq(buf_str(a), buf_str(b));
}

/* --------------------------------------------------------------------------------------------------------------- tests */

/* Runs the operation with its Nth call failing; false when it has no Nth call. */
static bool fails_cleanly(size_t operation, long at)
{
	AUTO_BUF before = BUF_INIT(4096);
	AUTO_BUF memory = BUF_INIT(4096);
	AUTO_BUF disk = BUF_INIT(4096);
	AUTO(vault) *vault = prepared();
	describe(vault, &before);
	err_clear(&err);
	mode = FAIL_ONE;
	nth = at;
	count = 0;
	int result = operations[operation].run(vault);
	mode = NOTHING;
	bool struck = count >= at;
	if (result < 0 && (err.class != ERR_SYSTEM || err.os_errno != EIO))
		fail_msg("%s, call %ld: %s", operations[operation].what, at, err.message);
	describe(vault, &memory);
	if (same(&memory, &before) != (result < 0))
		fail_msg("%s, call %ld: %d, yet in memory %s", operations[operation].what, at, result, memory.p);
	describe_folder(&disk);
	if (!same(&memory, &disk))
		fail_msg("%s, call %ld: in memory %s, on the disk %s", operations[operation].what, at, memory.p,
			 disk.p);
	/* And it can be written as ever. */
	OK(put(vault, S("later"), S("x")));
	return struck;
}

static void one_refused_call_loses_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
		long at = 1;
		while (fails_cleanly(i, at))
			at++;
		print_message("%s: %ld calls\n", operations[i].what, at - 1);
		assert_true(at > 10); /* they are really seen here */
	}
}

/* When every further call fails, undoing does too: then the disk has the one generation or the other. */
static void a_broken_disk_leaves_a_whole_generation(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
		bool struck = true;
		for (long at = 1; struck; at++) {
			AUTO_BUF before = BUF_INIT(4096);
			AUTO_BUF memory = BUF_INIT(4096);
			AUTO_BUF disk = BUF_INIT(4096);
			AUTO(vault) *vault = prepared();
			describe(vault, &before);
			mode = FAIL_FROM;
			nth = at;
			count = 0;
			int result = operations[i].run(vault);
			mode = NOTHING;
			struck = count >= at;
			describe(vault, &memory);
			assert_int_equal(same(&memory, &before), result < 0);
			describe_folder(&disk); /* fails the test when it does not open */
			if (result == 0)
				assert_true(same(&memory, &disk));
		}
	}
}

static void init_that_fails_leaves_no_vault(void **state)
{
	(void)state;
	bool struck = true;
	for (long at = 1; struck; at++) {
		struct vault_status status;
		empty_folder();
		AUTO(vault) *vault = open_vault();
		mode = FAIL_ONE;
		nth = at;
		count = 0;
		int result = do_init(vault);
		mode = NOTHING;
		struck = count >= at;
		AUTO(vault) *again = open_vault();
		vault_get_status(again, &status);
		assert_int_equal(vault_is_unlocked(vault), result == 0);
		if (status.state != (result == 0 ? VAULT_STATE_LOCKED : VAULT_STATE_MISSING))
			fail_msg("call %ld: %s", at, status.trouble_message);
	}
}

static const char version_1[] =
	"{\"version\":1,\"salt\":\"YWlsZXJvbi10ZXN0LXNsdA==\","
	"\"verification\":\"AAECAwQFBgcICQoL6FCEw8qboOuVKZufFAMr1tVnxbb27+vNhLOM2jHnr10=\",\"secrets\":{"
	"\"api_key/stripe/work\":{\"value\":\"EBESExQVFhcYGRobbS9HsPiv19gOVXOjhSNemSZ56sW3qhKvSQtD75OYig==\","
	"\"metadata\":{\"Type\":\"api_key\",\"Environment\":\"\",\"Labels\":null}}}}";

static void an_upgrade_that_fails_keeps_the_old_file(void **state)
{
	(void)state;
	bool struck = true;
	AUTO(secret) *words = secret_from(S("correct horse battery staple"), NULL);
	struct vault_credential credential = {.kind = VAULT_MEMBER_PASSPHRASE, .secret = words};
	for (long at = 1; struck; at++) {
		struct vault_unlocked done;
		struct secret *value = NULL;
		empty_folder();
		AUTO_FREE char *path = xasprintf("%s/secrets.json", folder);
		OK(file_replace(path, str_from(version_1), 0600, &err));
		AUTO(vault) *vault = open_vault();
		mode = FAIL_ONE;
		nth = at;
		count = 0;
		int result = vault_unlock(vault, &credential, &plainly, &done, &err);
		mode = NOTHING;
		struck = count >= at;
		AUTO(vault) *again = open_vault();
		struct vault_status status;
		vault_get_status(again, &status);
		assert_int_equal(status.version, result == 0 ? 2 : 1);
		OK(vault_unlock(again, &credential, &plainly, &done, &err));
		OK(vault_get(again, S("api_key/stripe/work"), &value, &err));
		assert_true(secret_eq(value, S("sk-example-0001")));
		secret_free(value);
		struct vault_backup_list list = VAULT_BACKUP_LIST_INIT;
		OK(vault_backups(again, &list, &err));
		assert_int_equal(list.backups.n, 1); /* the copy of an upgrade that failed is used again */
		vault_backup_list_release(&list);
	}
}

/* Killed at each call of a write: the one generation or the other, whole. */
static void a_killed_write_leaves_a_whole_generation(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
		bool killed = true;
		for (long at = 1; killed; at++) {
			AUTO_BUF before = BUF_INIT(4096);
			AUTO_BUF after = BUF_INIT(4096);
			vault_free(prepared());
			describe_folder(&before);
			pid_t child = fork();
			if (child == 0) {
				make_key_files();
				struct vault *vault = open_vault();
				if (unlock(vault) < 0)
					_exit(1);
				mode = DIE;
				nth = at;
				count = 0;
				_exit(operations[i].run(vault) == 0 ? 0 : 1);
			}
			int status = 0;
			assert_int_equal(waitpid(child, &status, 0), child);
			killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
			assert_true(killed || status == 0);
			describe_folder(&after);
			if (!killed)
				assert_false(same(&before, &after));
			AUTO(vault) *vault = open_vault();
			OK(unlock(vault));
			OK(put(vault, S("later"), S("x")));
		}
	}
}

enum { SEEN = 40 }; /* a generation beyond that of a prepared file */

/* Takes the file for an older one, as long as it is. */
static int accept_older(struct vault *vault)
{
	struct vault_status status;
	struct vault_unlocked done;
	struct vault_credential credential = credential_of(owners);
	vault_get_status(vault, &status);
	struct vault_unlock options = {
		.seen_vault_id = str_from(status.vault_id), .seen_generation = SEEN, .accept_older = true};
	return vault_unlock(vault, &credential, &options, &done, &err);
}

/* What a failure or a kill left: the older file as it was, which can be accepted still, or the newest. */
static bool is_newest_and_opens(void)
{
	struct vault_status status;
	AUTO(vault) *vault = open_vault();
	vault_get_status(vault, &status);
	OK(accept_older(vault));
	return status.generation > SEEN;
}

static void an_older_file_is_opened_when_it_is_the_newest(void **state)
{
	(void)state;
	bool struck = true;
	for (long at = 1; struck; at++) {
		vault_free(prepared());
		AUTO(vault) *vault = open_vault();
		mode = FAIL_ONE;
		nth = at;
		count = 0;
		int result = accept_older(vault);
		mode = NOTHING;
		struck = count >= at;
		assert_int_equal(vault_is_unlocked(vault), result == 0);
		assert_int_equal(is_newest_and_opens(), result == 0);
	}
}

static void a_killed_acceptance_leaves_a_whole_generation(void **state)
{
	(void)state;
	bool killed = true;
	for (long at = 1; killed; at++) {
		vault_free(prepared());
		pid_t child = fork();
		if (child == 0) {
			make_key_files();
			struct vault *vault = open_vault();
			mode = DIE;
			nth = at;
			count = 0;
			_exit(accept_older(vault) == 0 ? 0 : 1);
		}
		int status = 0;
		assert_int_equal(waitpid(child, &status, 0), child);
		killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		assert_true(killed || status == 0);
		assert_true(is_newest_and_opens() || killed);
	}
}

/* Puts numbers one after the other and tells each that was acknowledged, until it is killed. */
static _Noreturn void put_numbers(int to)
{
	make_key_files();
	struct vault *vault = open_vault();
	if (unlock(vault) < 0)
		_exit(1);
	for (uint32_t n = 1;; n++) {
		char text[16];
		snprintf(text, sizeof text, "%u", n);
		if (put(vault, S("changed"), str_from(text)) < 0 || write(to, &n, sizeof n) != sizeof n)
			_exit(1);
	}
}

static void no_acknowledged_write_is_lost_by_killing(void **state)
{
	(void)state;
	enum { KILLS = 40 };
	uint64_t acknowledged = 0;
	vault_free(prepared());
	for (int i = 0; i < KILLS; i++) {
		int pipe_fds[2];
		uint32_t last = 0, n = 0;
		assert_int_equal(pipe(pipe_fds), 0);
		pid_t child = fork();
		if (child == 0) {
			close(pipe_fds[0]);
			put_numbers(pipe_fds[1]);
		}
		close(pipe_fds[1]);
		/* The first is awaited, and some more by chance; then at any moment. */
		uint64_t wanted = 1 + rand_below(4), spin = rand_below(2000000);
		while (last < wanted && read(pipe_fds[0], &n, sizeof n) == sizeof n)
			last = n;
		for (volatile uint64_t k = 0; k < spin; k++)
			;
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, NULL, 0), child);
		while (read(pipe_fds[0], &n, sizeof n) == sizeof n)
			last = n;
		close(pipe_fds[0]);
		AUTO(vault) *vault = open_vault();
		OK(unlock(vault));
		struct secret *value = NULL;
		OK(vault_get(vault, S("changed"), &value, &err));
		uint64_t got = 0;
		assert_true(str_to_u64(secret_borrow(value), UINT32_MAX, &got));
		secret_free(value);
		if (got != last && got != last + 1)
			fail_msg("kill %d: %u was acknowledged, and the vault has %llu", i, last,
				 (unsigned long long)got);
		acknowledged += last;
	}
	print_message("%d kills, %llu writes\n", KILLS, (unsigned long long)acknowledged);
}

static int set_up(void **state)
{
	(void)state;
	make_key_files();
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	secret_free(owners);
	secret_free(others);
	empty_folder();
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_refused_call_loses_nothing),
		cmocka_unit_test(a_broken_disk_leaves_a_whole_generation),
		cmocka_unit_test(init_that_fails_leaves_no_vault),
		cmocka_unit_test(an_upgrade_that_fails_keeps_the_old_file),
		cmocka_unit_test(a_killed_write_leaves_a_whole_generation),
		cmocka_unit_test(an_older_file_is_opened_when_it_is_the_newest),
		cmocka_unit_test(a_killed_acceptance_leaves_a_whole_generation),
		cmocka_unit_test(no_acknowledged_write_is_lost_by_killing),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
