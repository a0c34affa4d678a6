#include "base/hex.h"
#include "crypto/secret.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "skips.h"

/* The sanitizers turn mlock() into nothing, so what it did cannot be seen there. */
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

static void holds_its_bytes_and_compares_them(void **state)
{
	(void)state;
	AUTO(secret) *secret = secret_from(S("p\0w"), NULL);
	assert_non_null(secret);
	assert_int_equal(secret_size(secret), 3);
	assert_true(str_eq(secret_borrow(secret), S("p\0w")));
	assert_true(secret_eq(secret, S("p\0w")));
	assert_false(secret_eq(secret, S("p\0x")));
	assert_false(secret_eq(secret, S("p\0")));
	assert_false(secret_eq(secret, STR_EMPTY));
	secret_free(NULL);
}

static void a_new_one_is_zero_and_writable_to_its_last_byte(void **state)
{
	(void)state;
	static const char zeros[SECRET_MAX];
	static const size_t sizes[] = {0, 1, 15, 16, 4095, 4096, 4097, SECRET_MAX};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO(secret) *secret = secret_new(sizes[i], NULL);
		assert_non_null(secret);
		assert_int_equal(secret_size(secret), sizes[i]);
		assert_memory_equal(secret_borrow(secret).p, zeros, sizes[i]);
		memset(secret_borrow_mut(secret), 0xa5, sizes[i]);
	}
}

static void more_than_the_maximum_is_refused(void **state)
{
	(void)state;
	struct err err = {0};
	assert_null(secret_new(SECRET_MAX + 1, &err));
	assert_int_equal(err.class, ERR_LIMIT);
	assert_string_equal(err.message, "secret of 65537 bytes: at most 65536 are accepted");
}

/* Runs in a child that ends with the result of `act`, or by the signal that its memory gives. */
static int in_child(int (*act)(struct secret *secret), struct secret *secret)
{
	pid_t child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		fclose(stderr);
		_exit(act(secret));
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int read_past_the_end(struct secret *secret)
{
	return *(volatile const char *)(secret_borrow(secret).p + secret_size(secret)) & 0;
}

static int read_before_the_page(struct secret *secret)
{
	uintptr_t page = (uintptr_t)secret_borrow(secret).p & ~(uintptr_t)(sysconf(_SC_PAGESIZE) - 1);
	return *((volatile const char *)page - 1) & 0;
}

static int read_the_last_byte(struct secret *secret)
{
	return *(volatile const char *)(secret_borrow(secret).p + secret_size(secret) - 1) & 0;
}

static void lies_between_pages_that_cannot_be_touched(void **state)
{
	(void)state;
	AUTO(secret) *secret = secret_from(S("password"), NULL);
	assert_int_equal(in_child(read_the_last_byte, secret), 0);
	assert_int_equal(in_child(read_past_the_end, secret), -SIGSEGV);
	assert_int_equal(in_child(read_before_the_page, secret), -SIGSEGV);
}

static int count_what_is_left(struct secret *secret)
{
	int left = 0;
	for (size_t i = 0; i < secret_size(secret); i++)
		left += secret_borrow(secret).p[i] != 0;
	return left;
}

static void a_forked_child_finds_zeros(void **state)
{
	(void)state;
	AUTO(secret) *secret = secret_from(S("password"), NULL);
	assert_int_equal(in_child(count_what_is_left, secret), 0);
	assert_int_equal(count_what_is_left(secret), 8);
}

/* "7f00-7f10 rw-p …": whether the line of /proc/self/smaps begins a mapping, and whether that holds the address. */
static bool begins_mapping(const char *line, uintptr_t address, bool *ret_inside)
{
	struct str range, from;
	str_cut(str_from(line), ' ', &range);
	struct str to = str_cut(range, '-', &from);
	uintptr_t ends[2] = {0};
	for (int side = 0; side < 2; side++) {
		struct str digits = side == 0 ? from : to;
		for (size_t i = 0; i < digits.n; i++) {
			if (hex_digit(digits.p[i]) < 0)
				return false;
			ends[side] = ends[side] << 4 | (uintptr_t)hex_digit(digits.p[i]);
		}
	}
	*ret_inside = address >= ends[0] && address < ends[1];
	return to.n > 0;
}

/* What the kernel says about the mapping that holds the address: two-letter flags. */
static bool has_flag(const void *address, const char *flag)
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	assert_non_null(maps);
	char line[512];
	bool inside = false, found = false, told = false;
	while (fgets(line, sizeof line, maps) != NULL) {
		if (begins_mapping(line, (uintptr_t)address, &inside) || !inside)
			continue;
		if (str_starts(str_from(line), S("VmFlags:"))) {
			told = true;
			found = strstr(line, flag) != NULL;
		}
	}
	fclose(maps);
	assert_true(told);
	return found;
}

static void is_locked_and_kept_out_of_dumps_and_children(void **state)
{
	(void)state;
	AUTO(secret) *secret = secret_from(S("password"), NULL);
	const char *bytes = secret_borrow(secret).p;
	assert_true(has_flag(bytes, " dd"));
	assert_true(has_flag(bytes, " wf"));
	if (LOCKING_IS_REAL)
		assert_int_equal(has_flag(bytes, " lo"), secret_locked(secret));
	assert_false(has_flag(&secret, " dd")); /* the flag says something */
}

/* Exit status of the child: 0 = works unlocked and says so. */
static int use_without_the_right_to_lock(struct secret *ignored)
{
	(void)ignored;
	struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0))
		return 10;
	struct err err = {0};
	AUTO(secret) *secret = secret_from(S("password"), &err);
	if (secret == NULL)
		return 11;
	if (!secret_eq(secret, S("password")))
		return 12;
	return secret_locked(secret) ? 13 : 0;
}

static void works_without_the_right_to_lock_and_says_so(void **state)
{
	(void)state;
	if (!LOCKING_IS_REAL) {
		skip_because("the sanitizer replaces mlock()");
	}
	assert_int_equal(in_child(use_without_the_right_to_lock, NULL), 0);
	AUTO(secret) *secret = secret_new(1, NULL);
	assert_true(secret_locked(secret));
}

/* Exit status of the child: 0 = the failure is an error and leaves nothing behind. */
static int use_without_address_space(struct secret *ignored)
{
	(void)ignored;
	struct rlimit none = {1 << 20, 1 << 20};
	if (setrlimit(RLIMIT_AS, &none) != 0)
		return 10;
	struct err err = {0};
	if (secret_new(SECRET_MAX, &err) != NULL)
		return 11;
	if (err.class != ERR_SYSTEM || err.os_errno != ENOMEM)
		return 12;
	setenv("A_SECRET", "still here", 1);
	if (secret_from_env("A_SECRET", &err) != NULL || err.class != ERR_SYSTEM)
		return 13;
	return getenv("A_SECRET") != NULL && strcmp(getenv("A_SECRET"), "still here") == 0 ? 0 : 14;
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
	(void)state;
	if (!LOCKING_IS_REAL) {
		skip_because("the sanitizer needs address space of its own");
	}
	assert_int_equal(in_child(use_without_address_space, NULL), 0);
}

static void moves_a_variable_out_of_the_environment(void **state)
{
	(void)state;
	extern char **environ;
	char entry[] = "TEST_SECRET=password", again[] = "TEST_SECRET=second", other[] = "OTHER=kept",
	     longer[] = "TEST_SECRET_2=kept";
	char *entries[] = {other, entry, longer, again, NULL};
	char **kept = environ;
	environ = entries;
	struct err err = {0};
	AUTO(secret) *secret = secret_from_env("TEST_SECRET", &err);
	bool gone = getenv("TEST_SECRET") == NULL;
	bool other_kept = getenv("OTHER") != NULL;
	AUTO(secret) *unset = secret_from_env("TEST_SECRET", &err);
	environ = kept;

	assert_non_null(secret);
	assert_true(secret_eq(secret, S("password")));
	assert_true(gone && other_kept);
	static const char zeros[8];
	assert_memory_equal(entry, "TEST_SECRET=", 12);
	assert_memory_equal(entry + 12, zeros, 8); /* where it stood, too */
	assert_memory_equal(again + 12, zeros, 6);
	assert_string_equal(longer, "TEST_SECRET_2=kept");
	assert_null(unset);
	assert_int_equal(err.class, ERR_NONE);
}

static void an_empty_variable_is_an_empty_secret(void **state)
{
	(void)state;
	setenv("TEST_SECRET", "", 1);
	AUTO(secret) *secret = secret_from_env("TEST_SECRET", NULL);
	assert_non_null(secret);
	assert_int_equal(secret_size(secret), 0);
	assert_null(getenv("TEST_SECRET"));
}

static void a_variable_that_is_too_long_is_named(void **state)
{
	(void)state;
	AUTO_FREE char *value = xmalloc(SECRET_MAX + 2);
	memset(value, 'x', SECRET_MAX + 1);
	value[SECRET_MAX + 1] = '\0';
	setenv("TEST_SECRET", value, 1);
	struct err err = {0};
	assert_null(secret_from_env("TEST_SECRET", &err));
	assert_string_equal(err.message,
			    "reading the variable 'TEST_SECRET': secret of 65537 bytes: at most 65536 are accepted");
	assert_int_equal(err.class, ERR_LIMIT);
	unsetenv("TEST_SECRET");
}

static int lock_without_permission(struct secret *secret)
{
	(void)secret;
	static struct err err;
	struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0))
		return 2;
	if (secret_new_locked(32, &err) != NULL)
		return 3;
	return err.class == ERR_SYSTEM && (err.os_errno == EPERM || err.os_errno == ENOMEM) ? 0 : 4;
}

static void one_that_must_be_locked_is_refused_when_it_cannot_be(void **state)
{
	(void)state;
	if (!LOCKING_IS_REAL)
		skip_because("the sanitizer replaces mlock()");
	assert_int_equal(in_child(lock_without_permission, NULL), 0);
}

static void what_must_be_locked_is_bounded(void **state)
{
	(void)state;
	static struct secret *held[SECRET_LOCKED_MAX / SECRET_MAX];
	static struct err err;
	for (size_t i = 0; i < ARRAY_LEN(held); i++) {
		held[i] = secret_new_locked(SECRET_MAX, &err);
		assert_non_null(held[i]);
		assert_true(secret_locked(held[i]));
	}
	assert_null(secret_new_locked(1, &err));
	assert_int_equal(err.class, ERR_LIMIT);
	secret_free(held[0]);
	held[0] = secret_new_locked(1, &err);
	assert_non_null(held[0]);
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		secret_free(held[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_its_bytes_and_compares_them),
		cmocka_unit_test(a_new_one_is_zero_and_writable_to_its_last_byte),
		cmocka_unit_test(more_than_the_maximum_is_refused),
		cmocka_unit_test(lies_between_pages_that_cannot_be_touched),
		cmocka_unit_test(a_forked_child_finds_zeros),
		cmocka_unit_test(is_locked_and_kept_out_of_dumps_and_children),
		cmocka_unit_test(works_without_the_right_to_lock_and_says_so),
		cmocka_unit_test(memory_that_cannot_be_had_is_an_error),
		cmocka_unit_test(moves_a_variable_out_of_the_environment),
		cmocka_unit_test(an_empty_variable_is_an_empty_secret),
		cmocka_unit_test(a_variable_that_is_too_long_is_named),
		cmocka_unit_test(one_that_must_be_locked_is_refused_when_it_cannot_be),
		cmocka_unit_test(what_must_be_locked_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
