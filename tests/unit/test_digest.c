#include "base/hex.h"
#include "crypto/constant_time.h"
#include "crypto/digest.h"
#include "crypto/provider.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* FIPS 180-4 examples; the last is a million times 'a'. */
static const struct {
	const char *text, *hex;
} rows[] = {
	{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};
static const char million_hex[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void agrees_with_the_standard(void **state)
{
	(void)state;
	char text[SHA256_HEX_TEXT_SIZE];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(sha256_hex(str_from(rows[i].text), text), rows[i].hex);
	assert_string_equal(sha256_hex(STR_EMPTY, text), rows[0].hex);
}

static void starts_anew_after_it_was_finished(void **state)
{
	(void)state;
	AUTO(digest) *digest = digest_new();
	char text[SHA256_HEX_TEXT_SIZE], thousand[1000];
	unsigned char bytes[SHA256_SIZE];
	memset(thousand, 'a', sizeof thousand);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 1000; i++)
			digest_add(digest, str_of(thousand, sizeof thousand));
		digest_finish(digest, bytes);
		assert_string_equal(hex_format(str_of(bytes, sizeof bytes), text), million_hex);
	}
	digest_finish(digest, bytes);
	assert_string_equal(hex_format(str_of(bytes, sizeof bytes), text), rows[0].hex);
	digest_free(NULL);
}

/* Where the text is cut makes no difference. */
static void parts_are_as_the_whole(void **state)
{
	(void)state;
	char text[200];
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 7);
	unsigned char whole[SHA256_SIZE], parts[SHA256_SIZE], added[SHA256_SIZE];
	sha256(str_of(text, sizeof text), whole);
	for (size_t cut = 0; cut <= sizeof text; cut++) {
		struct str both[2] = {str_of(text, cut), str_of(text + cut, sizeof text - cut)};
		sha256_parts(both, 2, parts);
		assert_memory_equal(parts, whole, sizeof whole);
		AUTO(digest) *digest = digest_new();
		digest_add(digest, both[0]);
		digest_add(digest, STR_EMPTY);
		digest_add(digest, both[1]);
		digest_finish(digest, added);
		assert_memory_equal(added, whole, sizeof whole);
	}
}

/* NULL, or the context when a digest was wrong. */
static void *digest_many(void *context)
{
	for (int i = 0; i < 2000; i++) {
		char text[SHA256_HEX_TEXT_SIZE];
		if (strcmp(sha256_hex(str_from(rows[1].text), text), rows[1].hex) != 0)
			return context;
	}
	return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
	(void)state;
	pthread_t threads[4];
	char names[ARRAY_LEN(threads)];
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, digest_many, &names[i]), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
}

static void compares_whole_values(void **state)
{
	(void)state;
	char a[64] = "tag", b[64] = "tag";
	assert_true(constant_time_eq(str_of(a, 64), str_of(b, 64)));
	for (size_t i = 0; i < 64; i++) {
		b[i] ^= 1;
		assert_false(constant_time_eq(str_of(a, 64), str_of(b, 64)));
		b[i] ^= 1;
	}
	assert_false(constant_time_eq(str_of(a, 64), str_of(b, 63)));
	assert_true(constant_time_eq(STR_EMPTY, S("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_standard), cmocka_unit_test(starts_anew_after_it_was_finished),
		cmocka_unit_test(parts_are_as_the_whole),   cmocka_unit_test(threads_do_not_disturb_each_other),
		cmocka_unit_test(compares_whole_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
