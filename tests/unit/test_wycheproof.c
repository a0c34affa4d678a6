/* Project Wycheproof's cases for what crypto/ offers, read from the shared vectors. */
#include "base/hex.h"
#include "crypto/aead.h"
#include "crypto/constant_time.h"
#include "crypto/hmac.h"
#include "crypto/kdf.h"
#include "crypto/sign.h"
#include "text/json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "skips.h"

enum { FILE_MAX = 4 << 20 };

static struct json *read_vectors(const char *name)
{
	AUTO_FREE char *path = xasprintf("%s/wycheproof/%s", SHARED_VECTORS, name);
	FILE *file = fopen(path, "rb");
	if (file == NULL) {
		skip_because("no vectors in " SHARED_VECTORS);
	}
	AUTO_BUF text = BUF_INIT(FILE_MAX);
	char *to = buf_reserve(&text, FILE_MAX);
	size_t n = fread(to, 1, FILE_MAX, file);
	assert_true(n > 0 && feof(file));
	buf_commit(&text, n);
	fclose(file);
	struct err err = {0};
	struct json *json = json_parse(buf_str(&text), JSON_READ_STRICT, &err);
	if (json == NULL)
		fail_msg("%s: %s", name, err.message);
	return json;
}

static struct str text_of(const struct json *object, struct str name)
{
	struct str text = STR_EMPTY;
	assert_true(json_get_str(json_member(object, name), &text));
	return text;
}

static int64_t int_of(const struct json *object, struct str name)
{
	int64_t value = 0;
	assert_true(json_get_int(json_member(object, name), &value));
	return value;
}

static struct str bytes_of(struct buf *buf, const struct json *object, struct str name)
{
	buf_clear(buf);
	assert_int_equal(hex_decode(buf, text_of(object, name), NULL), 0);
	return buf_str(buf);
}

/*
 * Calls `holds` for each case and counts; a case is "valid" or "invalid", and holds() must agree. Groups that `concerns`
 * says no to are of sizes that we do not offer.
 */
static void run_all(const struct json *json, bool (*concerns)(const struct json *group),
		    bool (*holds)(const struct json *group, const struct json *test))
{
	const struct json *groups = json_member(json, S("testGroups"));
	int64_t ran = 0, left_out = 0;
	size_t valid = 0;
	for (size_t i = 0; i < json_length(groups); i++) {
		const struct json *tests = json_member(json_at(groups, i), S("tests"));
		if (concerns != NULL && !concerns(json_at(groups, i))) {
			left_out += (int64_t)json_length(tests);
			continue;
		}
		for (size_t k = 0; k < json_length(tests); k++, ran++) {
			const struct json *test = json_at(tests, k);
			struct str result = text_of(test, S("result"));
			bool expected = str_eq(result, S("valid"));
			assert_true(expected || str_eq(result, S("invalid")));
			if (holds(json_at(groups, i), test) != expected)
				fail_msg("case %ld (%.*s) should be %.*s", int_of(test, S("tcId")),
					 STR_FMT(text_of(test, S("comment"))), STR_FMT(result));
			valid += expected;
		}
	}
	assert_int_equal(ran + left_out, int_of(json, S("numberOfTests")));
	assert_true(valid > 0 && (int64_t)valid < ran);
	print_message("%ld cases, %zu of them valid\n", ran, valid);
}

static bool hmac_holds(const struct json *group, const struct json *test)
{
	AUTO_BUF key = BUF_INIT(FILE_MAX);
	AUTO_BUF message = BUF_INIT(FILE_MAX);
	AUTO_BUF tag = BUF_INIT(FILE_MAX);
	unsigned char computed[SHA256_SIZE];
	hmac_sha256(bytes_of(&key, test, S("key")), bytes_of(&message, test, S("msg")), computed);
	size_t tag_size = (size_t)int_of(group, S("tagSize")) / 8; /* some groups take the first half only */
	assert_true(tag_size <= sizeof computed);
	return constant_time_eq(bytes_of(&tag, test, S("tag")), str_of(computed, tag_size));
}

static void hmac_sha256_passes(void **state)
{
	(void)state;
	AUTO(json) *json = read_vectors("hmac_sha256_test.json");
	run_all(json, NULL, hmac_holds);
}

static bool signature_holds(const struct json *group, const struct json *test)
{
	AUTO_BUF public = BUF_INIT(FILE_MAX);
	AUTO_BUF message = BUF_INIT(FILE_MAX);
	AUTO_BUF signature = BUF_INIT(FILE_MAX);
	bytes_of(&public, json_member(group, S("publicKey")), S("pk"));
	return sign_verify(buf_str(&public), bytes_of(&message, test, S("msg")), bytes_of(&signature, test, S("sig")));
}

static void ed25519_passes(void **state)
{
	(void)state;
	AUTO(json) *json = read_vectors("ed25519_test.json");
	run_all(json, NULL, signature_holds);
}

static bool is_ours(const struct json *group)
{
	return int_of(group, S("keySize")) == 8 * AEAD_KEY && int_of(group, S("ivSize")) == 8 * AEAD_NONCE &&
	       int_of(group, S("tagSize")) == 8 * AEAD_TAG;
}

/* Opening says what the case says; sealing gives the same bytes again. */
static bool aead_holds(const struct json *group, const struct json *test)
{
	(void)group;
	AUTO_BUF key = BUF_INIT(FILE_MAX);
	AUTO_BUF iv = BUF_INIT(FILE_MAX);
	AUTO_BUF aad = BUF_INIT(FILE_MAX);
	AUTO_BUF message = BUF_INIT(FILE_MAX);
	AUTO_BUF sealed = BUF_INIT(FILE_MAX);
	AUTO_BUF tag = BUF_INIT(FILE_MAX);
	bytes_of(&key, test, S("key"));
	bytes_of(&aad, test, S("aad"));
	bytes_of(&message, test, S("msg"));
	bytes_of(&sealed, test, S("ct"));
	buf_add_str(&sealed, bytes_of(&tag, test, S("tag")));
	const unsigned char *nonce = (const unsigned char *)bytes_of(&iv, test, S("iv")).p;
	unsigned char text[1024], again[1024];
	assert_true(sealed.n <= sizeof text);
	if (!aead_open(buf_str(&key), nonce, buf_str(&aad), buf_str(&sealed), text))
		return false;
	assert_int_equal(sealed.n, message.n + AEAD_TAG);
	assert_memory_equal(text, message.p, message.n);
	aead_seal(buf_str(&key), nonce, buf_str(&aad), buf_str(&message), again);
	assert_memory_equal(again, sealed.p, sealed.n);
	return true;
}

static void aes_gcm_passes(void **state)
{
	(void)state;
	AUTO(json) *json = read_vectors("aes_gcm_test.json");
	run_all(json, is_ours, aead_holds);
}

static bool hkdf_holds(const struct json *group, const struct json *test)
{
	(void)group;
	AUTO_BUF key = BUF_INIT(FILE_MAX);
	AUTO_BUF salt = BUF_INIT(FILE_MAX);
	AUTO_BUF info = BUF_INIT(FILE_MAX);
	AUTO_BUF wanted = BUF_INIT(FILE_MAX);
	static unsigned char got[HKDF_MAX];
	size_t n = (size_t)int_of(test, S("size"));
	if (n > HKDF_MAX)
		return false;
	hkdf_sha256(bytes_of(&key, test, S("ikm")), bytes_of(&salt, test, S("salt")), bytes_of(&info, test, S("info")),
		    got, n);
	return str_eq(str_of(got, n), bytes_of(&wanted, test, S("okm")));
}

static void hkdf_sha256_passes(void **state)
{
	(void)state;
	AUTO(json) *json = read_vectors("hkdf_sha256_test.json");
	run_all(json, NULL, hkdf_holds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmac_sha256_passes),
		cmocka_unit_test(ed25519_passes),
		cmocka_unit_test(aes_gcm_passes),
		cmocka_unit_test(hkdf_sha256_passes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
