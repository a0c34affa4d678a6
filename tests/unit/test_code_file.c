#include "base/limits.h"
#include "base/mem.h"
#include "connector/code_file.h"
#include "connector/engine_pin.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <cmocka.h>

static const uint8_t content[CODE_FILE_HASH] = {1, 2, 3}, other[CODE_FILE_HASH] = {3, 2, 1};

static int file_of(struct str bytes)
{
	int fd = memfd_create("code", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes.p, bytes.n), bytes.n);
	return fd;
}

static void expect(int fd, const uint8_t *hash, const uint8_t *fingerprint, const char *reason)
{
	static struct err err;
	err_clear(&err);
	int result = code_file_check(fd, hash, fingerprint, &err);
	if (reason == NULL) {
		assert_int_equal(result, 0);
		return;
	}
	assert_int_equal(result, -1);
	assert_int_equal(err.class, ERR_HASH_MISMATCH);
	AUTO_FREE char *detail = xasprintf("\"reason\":\"%s\"", reason);
	if (strstr(err.details, detail) == NULL)
		fail_msg("got %s (%s), wanted %s", err.details, err.message, reason);
}

static void a_sealed_file_checks(void **state)
{
	(void)state;
	uint8_t fingerprint[CODE_FILE_HASH];
	connector_code_fingerprint(RUNNER_CRANELIFT, fingerprint);
	AUTO_FD fd = file_of(S("some code"));
	assert_int_equal(code_file_seal(fd, content, fingerprint, NULL), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 9 + CODE_FILE_TRAILER);
	expect(fd, content, fingerprint, NULL);
	expect(fd, other, fingerprint, "damaged_code");
	expect(fd, content, other, "stale_code");
}

static void every_flipped_bit_is_found(void **state)
{
	(void)state;
	AUTO_FD fd = file_of(S("a small piece of code, not even one"));
	assert_int_equal(code_file_seal(fd, content, other, NULL), 0);
	off_t n = lseek(fd, 0, SEEK_END);
	for (off_t at = 0; at < n; at++) {
		for (int bit = 0; bit < 8; bit++) {
			char byte, flipped;
			assert_int_equal(pread(fd, &byte, 1, at), 1);
			flipped = (char)(byte ^ (1 << bit));
			assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
			expect(fd, content, other, at >= n - CODE_FILE_HASH ? "stale_code" : "damaged_code");
			assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		}
	}
	expect(fd, content, other, NULL);
}

static void every_cut_and_every_addition_is_found(void **state)
{
	(void)state;
	for (off_t less = 1; less <= 9 + CODE_FILE_TRAILER; less++) {
		AUTO_FD fd = file_of(S("some code"));
		assert_int_equal(code_file_seal(fd, content, other, NULL), 0);
		assert_int_equal(ftruncate(fd, 9 + CODE_FILE_TRAILER - less), 0);
		expect(fd, content, other, "damaged_code");
	}
	AUTO_FD longer = file_of(S("some code"));
	assert_int_equal(code_file_seal(longer, content, other, NULL), 0);
	assert_int_equal(pwrite(longer, "x", 1, 9 + CODE_FILE_TRAILER), 1);
	expect(longer, content, other, "damaged_code");
}

static void nothing_and_too_much_cannot_be_sealed(void **state)
{
	(void)state;
	static struct err err;
	AUTO_FD empty = file_of(S(""));
	assert_int_equal(code_file_seal(empty, content, other, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	expect(empty, content, other, "damaged_code");
	AUTO_FD large = file_of(S(""));
	assert_int_equal(ftruncate(large, (off_t)LIMIT_COMPILED_CODE + 1), 0);
	assert_int_equal(code_file_seal(large, content, other, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(code_file_seal(-1, content, other, &err), -1);
	assert_int_equal(err.class, ERR_SYSTEM);
}

static void fingerprints_differ_by_strategy_and_nothing_else(void **state)
{
	(void)state;
	uint8_t a[CODE_FILE_HASH], b[CODE_FILE_HASH], c[CODE_FILE_HASH];
	connector_code_fingerprint(RUNNER_CRANELIFT, a);
	connector_code_fingerprint(RUNNER_CRANELIFT, b);
	connector_code_fingerprint(RUNNER_WINCH, c);
	assert_memory_equal(a, b, sizeof a);
	assert_memory_not_equal(a, c, sizeof a);
	assert_memory_not_equal(a, a + 16, 16);
}

static void the_pin_is_the_one_that_is_built(void **state)
{
	(void)state;
	FILE *file = fopen(SOURCE_DIR "/deps/wasmtime/Cargo.toml", "r");
	assert_non_null(file);
	char line[256];
	bool found = false;
	while (fgets(line, sizeof line, file) != NULL)
		found |= strcmp(line, "version = \"=" ENGINE_PIN "\"\n") == 0;
	fclose(file);
	assert_true(found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_file_checks),
		cmocka_unit_test(every_flipped_bit_is_found),
		cmocka_unit_test(every_cut_and_every_addition_is_found),
		cmocka_unit_test(nothing_and_too_much_cannot_be_sealed),
		cmocka_unit_test(fingerprints_differ_by_strategy_and_nothing_else),
		cmocka_unit_test(the_pin_is_the_one_that_is_built),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
