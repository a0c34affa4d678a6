#include "base/hex.h"
#include "crypto/kdf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "skips.h"

static void hkdf_gives_the_values_of_rfc_5869(void **state)
{
	(void)state;
	AUTO_BUF key = BUF_INIT(64);
	AUTO_BUF wanted = BUF_INIT(64);
	/* A.3: no salt, no info. */
	assert_int_equal(hex_decode(&key, S("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"), NULL), 0);
	assert_int_equal(hex_decode(&wanted,
				    S("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a"
				      "96c8"),
				    NULL),
			 0);
	unsigned char got[42];
	hkdf_sha256(buf_str(&key), STR_EMPTY, STR_EMPTY, got, sizeof got);
	assert_memory_equal(got, wanted.p, sizeof got);
}

/* Computed by another implementation, for a version 1 vault: 64 MiB, 3 passes, 4 lanes. */
static void argon2id_gives_a_known_key(void **state)
{
	(void)state;
	unsigned char key[ARGON2_KEY];
	assert_int_equal(argon2id(S("correct horse battery staple"), S("aileron-test-slt"), &ARGON2_DEFAULT, key, NULL),
			 0);
	char digits[2 * sizeof key + 1];
	assert_string_equal(hex_format(str_of(key, sizeof key), digits),
			    "ab663dec850420bdaeb1c13b36fb20b8bfe35b936000fa7afa0e56b9b17c8a2d");
}

static void costs_out_of_bounds_are_refused_before_any_work(void **state)
{
	(void)state;
	static const struct {
		struct argon2_cost cost;
		const char *message;
	} cases[] = {
		{{0, 64 << 10, 4}, "Argon2id with 0 passes: 1 to 16 are accepted"},
		{{17, 64 << 10, 4}, "Argon2id with 17 passes: 1 to 16 are accepted"},
		{{3, (19 << 10) - 1, 4}, "Argon2id with 19455 KiB of memory: 19456 to 1048576 are accepted"},
		{{3, (1 << 20) + 1, 4}, "Argon2id with 1048577 KiB of memory: 19456 to 1048576 are accepted"},
		{{3, UINT32_MAX, 4}, "Argon2id with 4294967295 KiB of memory: 19456 to 1048576 are accepted"},
		{{3, 64 << 10, 0}, "Argon2id with 0 lanes: 1 to 16 are accepted"},
		{{3, 64 << 10, 17}, "Argon2id with 17 lanes: 1 to 16 are accepted"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		static struct err err;
		unsigned char key[ARGON2_KEY] = "untouched";
		err_clear(&err);
		assert_int_equal(argon2id(S("x"), S("aileron-test-slt"), &cases[i].cost, key, &err), -1);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
		assert_string_equal(err.message, cases[i].message);
		assert_string_equal(key, "untouched");
	}
	assert_int_equal(argon2_cost_check(&(struct argon2_cost){1, ARGON2_MEMORY_MIN, 1}, NULL), 0);
	assert_int_equal(argon2_cost_check(&(struct argon2_cost){16, ARGON2_MEMORY_MAX, 16}, NULL), 0);
}

static void an_empty_passphrase_and_a_short_salt_are_refused(void **state)
{
	(void)state;
	static struct err err;
	unsigned char key[ARGON2_KEY];
	assert_int_equal(argon2id(STR_EMPTY, S("aileron-test-slt"), &ARGON2_DEFAULT, key, &err), -1);
	assert_string_equal(err.message, "the passphrase is empty");
	assert_int_equal(argon2id(S("x"), S("aileron-test-sl"), &ARGON2_DEFAULT, key, &err), -1);
	assert_string_equal(err.message, "a salt of 15 bytes: at least 16 are needed");
}

static int derive_with_little_memory(void)
{
	static struct err err;
	unsigned char key[ARGON2_KEY] = "untouched";
	struct rlimit limit = {64 << 20, 64 << 20};
	if (setrlimit(RLIMIT_AS, &limit) != 0)
		return 2;
	if (argon2id(S("x"), S("aileron-test-slt"), &ARGON2_DEFAULT, key, &err) == 0)
		return 3;
	return err.class == ERR_SYSTEM && strcmp((char *)key, "untouched") == 0 ? 0 : 4;
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
	(void)state;
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	skip_because("a sanitizer's shadow memory does not fit under the limit");
#endif
#endif
	pid_t child = fork();
	if (child == 0)
		_exit(derive_with_little_memory());
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hkdf_gives_the_values_of_rfc_5869),
		cmocka_unit_test(argon2id_gives_a_known_key),
		cmocka_unit_test(costs_out_of_bounds_are_refused_before_any_work),
		cmocka_unit_test(an_empty_passphrase_and_a_short_salt_are_refused),
		cmocka_unit_test(memory_that_cannot_be_had_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
