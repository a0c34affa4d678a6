#include "connector/code_cache.h"
#include "connector/content_hash.h"
#include "base/limits.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char folder[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/test-code-cache-XXXXXX");
	return mkdtemp(folder) == NULL;
}

static int count(const char *suffix)
{
	int n = 0;
	DIR *dir = opendir(folder);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		n += entry->d_type == DT_REG && str_ends(str_from(entry->d_name), str_from(suffix));
	closedir(dir);
	return n;
}

static int tear_down(void **state)
{
	(void)state;
	DIR *dir = opendir(folder);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		(void)unlinkat(dirfd(dir), entry->d_name, entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	closedir(dir);
	return rmdir(folder);
}

static const uint8_t hash_a[32] = {0xaa}, hash_b[32] = {0xbb}, hash_c[32] = {0xcc};

static void store(struct code_cache *cache, const uint8_t hash[32], const char *code)
{
	AUTO_DRAFT draft = FILE_DRAFT_INIT;
	struct err err = {0};
	assert_int_equal(code_cache_begin(cache, &draft, &err), 0);
	assert_int_equal(write(draft.fd, code, strlen(code)), (ssize_t)strlen(code));
	assert_int_equal(code_cache_store(cache, &draft, hash, RUNNER_CRANELIFT, &err), 0);
}

static bool holds(struct code_cache *cache, const uint8_t hash[32], enum runner_strategy strategy)
{
	AUTO_FD fd = code_cache_find(cache, hash, strategy);
	return fd >= 0;
}

static int check(int fd, const uint8_t hash[32])
{
	uint8_t fingerprint[32];
	struct err err = {0};
	connector_code_fingerprint(RUNNER_CRANELIFT, fingerprint);
	return code_file_check(fd, hash, fingerprint, &err);
}

static void what_is_stored_is_found(void **state)
{
	(void)state;
	AUTO(code_cache) *cache = code_cache_open(folder, MIB, NULL);
	assert_false(holds(cache, hash_a, RUNNER_CRANELIFT));
	store(cache, hash_a, "compiled");
	AUTO_FD fd = code_cache_find(cache, hash_a, RUNNER_CRANELIFT);
	assert_true(fd >= 0);
	assert_int_equal(check(fd, hash_a), 0);
	assert_int_equal(check(fd, hash_b), -1);
	char got[8];
	assert_int_equal(pread(fd, got, 8, 0), 8);
	assert_memory_equal(got, "compiled", 8);
	assert_int_equal(write(fd, "x", 1), -1); /* open for reading alone */
	assert_false(holds(cache, hash_b, RUNNER_CRANELIFT));
	assert_false(holds(cache, hash_a, RUNNER_WINCH)); /* another compiler's code is another entry */

	/* A second cache of the same folder, as another process would open it. */
	AUTO(code_cache) *other = code_cache_open(folder, MIB, NULL);
	assert_true(holds(other, hash_a, RUNNER_CRANELIFT));
	code_cache_remove(other, hash_a, RUNNER_CRANELIFT);
	assert_false(holds(cache, hash_a, RUNNER_CRANELIFT));
	code_cache_remove(other, hash_a, RUNNER_CRANELIFT);
}

static void the_files_are_the_owners_alone(void **state)
{
	(void)state;
	AUTO(code_cache) *cache = code_cache_open(folder, MIB, NULL);
	store(cache, hash_a, "compiled");
	AUTO_FD fd = code_cache_find(cache, hash_a, RUNNER_CRANELIFT);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0400);
	/* One that others can write to is not used. */
	assert_int_equal(fchmod(fd, 0622), 0);
	assert_false(holds(cache, hash_a, RUNNER_CRANELIFT));
}

static void a_folder_that_others_can_enter_is_refused(void **state)
{
	(void)state;
	static const mode_t modes[] = {0755, 0770, 0707, 0711};
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct err err = {0};
		assert_int_equal(chmod(folder, modes[i]), 0);
		assert_null(code_cache_open(folder, MIB, &err));
		assert_non_null(strstr(err.message, folder));
		assert_non_null(strstr(err.message, "chmod 700"));
	}
	assert_int_equal(chmod(folder, 0700), 0);
	code_cache_free(code_cache_open(folder, MIB, NULL));
}

static void a_link_in_the_place_of_the_folder_is_refused(void **state)
{
	(void)state;
	AUTO_FREE char *link = xasprintf("%s/link", folder);
	assert_int_equal(symlink("/tmp", link), 0);
	assert_null(code_cache_open(link, MIB, NULL));
}

static void missing_folders_are_made(void **state)
{
	(void)state;
	AUTO_FREE char *cache_home = xasprintf("%s/x", folder);
	AUTO_FREE char *outer = xasprintf("%s/x/aileron", folder);
	AUTO_FREE char *inner = xasprintf("%s/x/aileron/compiled", folder);
	setenv("XDG_CACHE_HOME", cache_home, 1);
	AUTO(code_cache) *cache = code_cache_open(NULL, MIB, NULL);
	assert_non_null(cache);
	struct stat st;
	assert_int_equal(stat(inner, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(rmdir(inner) | rmdir(outer) | rmdir(cache_home), 0);
}

/* A link to somebody else's file is no entry. */
static void links_are_not_followed(void **state)
{
	(void)state;
	AUTO(code_cache) *cache = code_cache_open(folder, MIB, NULL);
	store(cache, hash_a, "compiled");
	DIR *dir = opendir(folder);
	char name[256] = "";
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (str_ends(str_from(entry->d_name), S(".code")))
			snprintf(name, sizeof name, "%s", entry->d_name);
	}
	assert_int_equal(renameat(dirfd(dir), name, dirfd(dir), "elsewhere"), 0);
	assert_int_equal(symlinkat("elsewhere", dirfd(dir), name), 0);
	closedir(dir);
	assert_false(holds(cache, hash_a, RUNNER_CRANELIFT));
	code_cache_remove(cache, hash_a, RUNNER_CRANELIFT);
	assert_int_equal(count("elsewhere"), 1);
}

static void every_flipped_byte_is_noticed(void **state)
{
	(void)state;
	AUTO(code_cache) *cache = code_cache_open(folder, MIB, NULL);
	store(cache, hash_a, "some compiled code, of no great length");
	AUTO_FD fd = code_cache_find(cache, hash_a, RUNNER_CRANELIFT);
	char bytes[512];
	ssize_t n = pread(fd, bytes, sizeof bytes, 0);
	assert_in_range(n, 100, 511);
	for (ssize_t i = 0; i < n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			AUTO_FD copy = memfd_create("flipped", MFD_CLOEXEC);
			bytes[i] = (char)(bytes[i] ^ (1 << bit));
			assert_int_equal(write(copy, bytes, (size_t)n), n);
			assert_int_equal(check(copy, hash_a), -1);
			bytes[i] = (char)(bytes[i] ^ (1 << bit));
		}
	}
	/* So is every length but the right one. */
	for (ssize_t length = 0; length < n; length++) {
		AUTO_FD copy = memfd_create("cut", MFD_CLOEXEC);
		assert_int_equal(write(copy, bytes, (size_t)length), length);
		assert_int_equal(check(copy, hash_a), -1);
	}
}

static void a_draft_that_is_not_stored_vanishes(void **state)
{
	(void)state;
	AUTO(code_cache) *cache = code_cache_open(folder, MIB, NULL);
	struct file_draft draft = FILE_DRAFT_INIT;
	assert_int_equal(code_cache_begin(cache, &draft, NULL), 0);
	assert_int_equal(write(draft.fd, "half", 4), 4);
	file_draft_release(&draft);
	assert_int_equal(count(""), 0);
	/* An empty one cannot be stored. */
	AUTO_DRAFT empty = FILE_DRAFT_INIT;
	struct err err = {0};
	assert_int_equal(code_cache_begin(cache, &empty, NULL), 0);
	assert_int_equal(code_cache_store(cache, &empty, hash_a, RUNNER_CRANELIFT, &err), -1);
	assert_false(holds(cache, hash_a, RUNNER_CRANELIFT));
}

static void touch(struct code_cache *cache, const uint8_t hash[32], time_t seconds)
{
	AUTO_FD fd = code_cache_find(cache, hash, RUNNER_CRANELIFT);
	struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
	assert_int_equal(futimens(fd, times), 0);
}

static void the_least_recently_used_goes_first(void **state)
{
	(void)state;
	char code[1001];
	memset(code, 'x', 1000);
	code[1000] = '\0';
	AUTO(code_cache) *cache = code_cache_open(folder, 2 * (1000 + CODE_FILE_TRAILER), NULL);
	store(cache, hash_a, code);
	store(cache, hash_b, code);
	touch(cache, hash_b, 1000);
	touch(cache, hash_a, 2000);
	store(cache, hash_c, code);
	assert_true(holds(cache, hash_a, RUNNER_CRANELIFT));
	assert_false(holds(cache, hash_b, RUNNER_CRANELIFT));
	assert_true(holds(cache, hash_c, RUNNER_CRANELIFT));
	/* Finding is using. */
	touch(cache, hash_c, 1000);
	touch(cache, hash_a, 500);
	assert_true(holds(cache, hash_a, RUNNER_CRANELIFT));
	store(cache, hash_b, code);
	assert_false(holds(cache, hash_c, RUNNER_CRANELIFT));
	assert_true(holds(cache, hash_a, RUNNER_CRANELIFT));
}

static void what_a_crash_left_behind_is_cleared(void **state)
{
	(void)state;
	AUTO(code_cache) *cache = code_cache_open(folder, MIB, NULL);
	struct file_draft young = FILE_DRAFT_INIT, old = FILE_DRAFT_INIT;
	assert_int_equal(code_cache_begin(cache, &young, NULL), 0);
	assert_int_equal(code_cache_begin(cache, &old, NULL), 0);
	struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	assert_int_equal(futimens(old.fd, long_ago), 0);
	store(cache, hash_a, "compiled");
	assert_int_equal(count(young.name), 1);
	assert_int_equal(count(old.name), 0);
	file_draft_release(&young);
	file_draft_release(&old);
}

/* Several at once store, find and remove the same entries: whoever finds one finds a whole one. */
static void *rummage(void *unused)
{
	(void)unused;
	AUTO(code_cache) *cache = code_cache_open(folder, 3000, NULL);
	for (int i = 0; i < 60; i++) {
		const uint8_t *hash = i % 3 == 0 ? hash_a : i % 3 == 1 ? hash_b : hash_c;
		store(cache, hash, i % 2 == 0 ? "compiled code" : "compiled code, and more of it");
		AUTO_FD fd = code_cache_find(cache, hash, RUNNER_CRANELIFT);
		if (fd >= 0 && check(fd, hash) != 0)
			return cache;
		if (i % 7 == 0)
			code_cache_remove(cache, hash, RUNNER_CRANELIFT);
	}
	return NULL;
}

static void several_at_once_do_not_hurt(void **state)
{
	(void)state;
	pthread_t threads[4];
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, rummage, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *bad = NULL;
		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
	assert_in_range(count(".code"), 0, 3);
}

/* ----------------------------------------------------------------------------------------------------- content hash */

static int file_of(const void *bytes, size_t n)
{
	int fd = memfd_create("module", MFD_CLOEXEC);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	return fd;
}

static void the_content_hash_is_of_module_then_manifest(void **state)
{
	(void)state;
	AUTO_FD fd = file_of("wasm", 4);
	uint8_t got[32], expected[32];
	assert_int_equal(content_hash(fd, "m", S("toml"), got, NULL), 0);
	sha256(S("wasmtoml"), expected);
	assert_memory_equal(got, expected, 32);
	assert_int_equal(content_hash(fd, "m", S("toml"), got, NULL), 0); /* from the start each time */
	assert_memory_equal(got, expected, 32);
}

static void large_modules_are_hashed_in_pieces(void **state)
{
	(void)state;
	size_t n = 300000;
	AUTO_FREE char *bytes = xcalloc(n, 1);
	bytes[n - 1] = 'x';
	AUTO_FD fd = file_of(bytes, n);
	uint8_t got[32], expected[32];
	assert_int_equal(content_hash(fd, "m", STR_EMPTY, got, NULL), 0);
	sha256(str_of(bytes, n), expected);
	assert_memory_equal(got, expected, 32);
}

static void assert_hash(int fd, const char *manifest, struct str whole)
{
	uint8_t got[32], expected[32];
	assert_int_equal(content_hash(fd, "m", str_from(manifest), got, NULL), 0);
	sha256(whole, expected);
	assert_memory_equal(got, expected, 32);
}

/* What was hashed before is compared: any byte of either, and where one ends. */
static void a_module_that_changed_has_another_hash(void **state)
{
	(void)state;
	static char bytes[70000];
	AUTO_FD fd = file_of(bytes, sizeof bytes);
	size_t places[] = {0, 32767, 32768, sizeof bytes - 1};
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		assert_hash(fd, "", str_of(bytes, sizeof bytes));
		bytes[places[i]] = 'x';
		assert_int_equal(pwrite(fd, "x", 1, (off_t)places[i]), 1);
		assert_hash(fd, "", str_of(bytes, sizeof bytes));
		assert_hash(fd, "", str_of(bytes, sizeof bytes));
	}
	assert_int_equal(ftruncate(fd, 5), 0);
	assert_int_equal(pwrite(fd, "wasmt", 5, 0), 5);
	assert_hash(fd, "oml", S("wasmtoml"));
	assert_hash(fd, "omL", S("wasmtomL"));
	assert_int_equal(ftruncate(fd, 4), 0);
	assert_hash(fd, "oml", S("wasmoml"));
	assert_hash(fd, "toml", S("wasmtoml"));
	assert_int_equal(pwrite(fd, "wasmtoml", 8, 0), 8);
	assert_hash(fd, "", S("wasmtoml"));
	assert_hash(fd, "", S("wasmtoml"));
}

static void more_modules_than_are_kept_are_hashed(void **state)
{
	(void)state;
	enum { MANY = 20 };
	int fds[MANY];
	char bytes[2] = {'0', 0};
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < MANY; i++) {
			bytes[1] = (char)i;
			if (round == 0)
				fds[i] = file_of(bytes, sizeof bytes);
			assert_hash(fds[i], "", str_of(bytes, sizeof bytes));
			assert_hash(fds[i], "", str_of(bytes, sizeof bytes));
		}
	}
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
}

static void too_large_a_module_is_refused(void **state)
{
	(void)state;
	AUTO_FD fd = file_of("x", 1);
	assert_int_equal(ftruncate(fd, (off_t)LIMIT_MODULE + 1), 0);
	uint8_t got[32];
	struct err err = {0};
	assert_int_equal(content_hash(fd, "big.wasm", STR_EMPTY, got, &err), -1);
	assert_int_equal(err.class, ERR_RESOURCE_LIMIT_EXCEEDED);
	assert_non_null(strstr(err.details, "\"limit\":\"compile\""));
	AUTO_FD folder_fd = open("/", O_RDONLY);
	assert_int_equal(content_hash(folder_fd, "/", STR_EMPTY, got, &err), -1);
	assert_int_equal(err.class, ERR_SYSTEM);
}

static void a_copy_is_sealed_and_is_the_one_that_was_hashed(void **state)
{
	(void)state;
	AUTO_FD fd = file_of("wasm", 4);
	uint8_t hash[32];
	struct err err = {0};
	assert_int_equal(content_hash(fd, "m", S("toml"), hash, NULL), 0);
	AUTO_FD copy = content_copy(fd, "m", S("toml"), hash, &err);
	assert_true(copy >= 0);
	char got[5] = "";
	assert_int_equal(read(copy, got, 4), 4);
	assert_string_equal(got, "wasm");
	assert_int_equal(pwrite(copy, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(pwrite(fd, "W", 1, 0), 1);
	assert_int_equal(content_copy(fd, "m", S("toml"), hash, &err), -1);
	assert_int_equal(err.class, ERR_HASH_MISMATCH);
}

#define CACHE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CACHE_TEST(what_is_stored_is_found),
		CACHE_TEST(the_files_are_the_owners_alone),
		CACHE_TEST(a_folder_that_others_can_enter_is_refused),
		CACHE_TEST(a_link_in_the_place_of_the_folder_is_refused),
		CACHE_TEST(missing_folders_are_made),
		CACHE_TEST(links_are_not_followed),
		CACHE_TEST(every_flipped_byte_is_noticed),
		CACHE_TEST(a_draft_that_is_not_stored_vanishes),
		CACHE_TEST(the_least_recently_used_goes_first),
		CACHE_TEST(what_a_crash_left_behind_is_cleared),
		CACHE_TEST(several_at_once_do_not_hurt),
		cmocka_unit_test(the_content_hash_is_of_module_then_manifest),
		cmocka_unit_test(large_modules_are_hashed_in_pieces),
		cmocka_unit_test(a_module_that_changed_has_another_hash),
		cmocka_unit_test(more_modules_than_are_kept_are_hashed),
		cmocka_unit_test(too_large_a_module_is_refused),
		cmocka_unit_test(a_copy_is_sealed_and_is_the_one_that_was_hashed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
