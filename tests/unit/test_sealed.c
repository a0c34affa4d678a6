#include "vault/sealed.h"
#include "base/hex.h"
#include "base/rand.h"
#include "os/file.h"
#include "text/wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static const unsigned char nonce[SEALED_NONCE] = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
						  0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
static const struct sealed_context context = {
	.operation = {"vault.put", 9},
	.path = {"api_key/stripe/work", 19},
	.metadata = {"{\"environment\":\"\",\"labels\":{},\"type\":\"api_key\"}", 47},
};
static const struct sealed_field fields[] = {
	{SEALED_VALUE, {"sk-example-0001", 15}},
	{SEALED_CONSENT, {"{\"hosts\":[\"api.example.com:443\"]}", 33}},
};

static struct sealed_key *new_key(unsigned char public_key[SEALED_PUBLIC])
{
	struct sealed_key *key = sealed_key_new(NULL);
	assert_non_null(key);
	sealed_key_public(key, public_key);
	return key;
}

static void seal(struct buf *out, const unsigned char *public_key, const struct sealed_field *what, size_t n)
{
	*out = BUF_INIT(SEALED_OVERHEAD + SEALED_FIELDS_MAX);
	assert_int_equal(sealed_make(out, public_key, nonce, &context, what, n, NULL), 0);
}

static void assert_refused(const struct sealed_key *key, struct str sealed, const struct sealed_context *as)
{
	static struct err err;
	err_clear(&err);
	struct sealed_opened opened = {0};
	assert_int_equal(sealed_open(key, sealed, as, &opened, &err), -1);
	assert_int_equal(err.class, ERR_SEALED_REFUSED);
	for (size_t i = 0; i < SEALED_TAG__MAX; i++)
		assert_null(opened.fields[i]);
}

static void what_is_sealed_is_what_is_opened(void **state)
{
	(void)state;
	unsigned char public_key[SEALED_PUBLIC], read[SEALED_NONCE];
	AUTO(sealed_key) *key = new_key(public_key);
	AUTO_BUF message;
	seal(&message, public_key, fields, ARRAY_LEN(fields));
	assert_int_equal(message.n, SEALED_OVERHEAD + 5 + fields[0].bytes.n + 5 + fields[1].bytes.n);
	assert_int_equal(str_find(buf_str(&message), S("sk-example")), STR_NPOS);

	assert_int_equal(sealed_nonce(key, buf_str(&message), read, NULL), 0);
	assert_memory_equal(read, nonce, sizeof nonce);
	struct sealed_opened opened = {0};
	assert_int_equal(sealed_open(key, buf_str(&message), &context, &opened, NULL), 0);
	assert_true(secret_eq(opened.fields[SEALED_VALUE], fields[0].bytes));
	assert_true(secret_eq(opened.fields[SEALED_CONSENT], fields[1].bytes));
	assert_null(opened.fields[SEALED_PASSPHRASE]);
	sealed_opened_release(&opened);
	sealed_opened_release(&opened);
}

static void nothing_and_much_can_be_sealed(void **state)
{
	(void)state;
	unsigned char public_key[SEALED_PUBLIC];
	AUTO(sealed_key) *key = new_key(public_key);
	AUTO_BUF message;
	struct sealed_opened opened = {0};
	seal(&message, public_key, NULL, 0);
	assert_int_equal(sealed_open(key, buf_str(&message), &context, &opened, NULL), 0);
	buf_release(&message);

	AUTO_FREE char *much = xcalloc(SECRET_MAX + 1, 1);
	struct sealed_field field = {SEALED_VALUE, str_of(much, SECRET_MAX)};
	seal(&message, public_key, &field, 1);
	assert_int_equal(sealed_open(key, buf_str(&message), &context, &opened, NULL), 0);
	assert_int_equal(secret_size(opened.fields[SEALED_VALUE]), SECRET_MAX);
	sealed_opened_release(&opened);

	static struct err err;
	field.bytes.n++;
	AUTO_BUF none = BUF_INIT(1 << 20);
	assert_int_equal(sealed_make(&none, public_key, nonce, &context, &field, 1, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(none.n, 0);
}

static void only_its_keeper_opens_it(void **state)
{
	(void)state;
	unsigned char public_key[SEALED_PUBLIC], other_public[SEALED_PUBLIC], read[SEALED_NONCE];
	AUTO(sealed_key) *key = new_key(public_key), *other = new_key(other_public);
	AUTO_BUF message;
	seal(&message, public_key, fields, ARRAY_LEN(fields));
	assert_int_equal(sealed_nonce(key, buf_str(&message), read, NULL), 0);
	assert_refused(other, buf_str(&message), &context);
	assert_int_equal(sealed_nonce(other, buf_str(&message), read, NULL), -1);
	/* Told that it is for the other one, it is not for that either. */
	sealed_key_id(other_public, (unsigned char *)message.p + 1);
	assert_int_equal(sealed_nonce(other, buf_str(&message), read, NULL), 0);
	assert_refused(other, buf_str(&message), &context);
}

static void only_what_it_was_sealed_for(void **state)
{
	(void)state;
	unsigned char public_key[SEALED_PUBLIC];
	AUTO(sealed_key) *key = new_key(public_key);
	AUTO_BUF message;
	seal(&message, public_key, fields, ARRAY_LEN(fields));
	struct sealed_context as = context;
	as.operation = S("vault.pu");
	assert_refused(key, buf_str(&message), &as);
	as = context;
	as.path = S("api_key/stripe/worc");
	assert_refused(key, buf_str(&message), &as);
	as = context;
	as.metadata = S("");
	assert_refused(key, buf_str(&message), &as);
	/* The boundary between two of them is part of it. */
	as = context;
	as.operation = S("vault.puta");
	as.path = str_slice(context.path, 1, context.path.n);
	assert_refused(key, buf_str(&message), &as);
}

static void no_byte_of_it_can_be_changed(void **state)
{
	(void)state;
	unsigned char public_key[SEALED_PUBLIC];
	AUTO(sealed_key) *key = new_key(public_key);
	AUTO_BUF message;
	seal(&message, public_key, fields, ARRAY_LEN(fields));
	for (size_t i = 0; i < message.n; i++) {
		message.p[i] ^= 0x40;
		assert_refused(key, buf_str(&message), &context);
		message.p[i] ^= 0x40;
	}
	for (size_t n = 0; n < message.n; n++)
		assert_refused(key, str_slice(buf_str(&message), 0, n), &context);
	buf_add_char(&message, 'x');
	assert_refused(key, buf_str(&message), &context);
}

static void a_point_of_small_order_is_refused(void **state)
{
	(void)state;
	unsigned char public_key[SEALED_PUBLIC];
	AUTO(sealed_key) *key = new_key(public_key);
	AUTO_BUF message;
	seal(&message, public_key, fields, ARRAY_LEN(fields));
	memset(message.p + 1 + SEALED_KEY_ID + SEALED_NONCE, 0, SEALED_PUBLIC);
	assert_refused(key, buf_str(&message), &context);
}

static void each_tag_once_and_only_known_ones(void **state)
{
	(void)state;
	static const struct sealed_field bad[][2] = {
		{{SEALED_VALUE, {"a", 1}}, {SEALED_VALUE, {"b", 1}}},
		{{SEALED_VALUE, {"a", 1}}, {SEALED_TAG__MAX, {"b", 1}}},
		{{SEALED_VALUE, {"a", 1}}, {(enum sealed_tag)0, {"b", 1}}},
		{{SEALED_VALUE, {"a", 1}}, {(enum sealed_tag)255, {"b", 1}}},
	};
	unsigned char public_key[SEALED_PUBLIC];
	AUTO(sealed_key) *key = new_key(public_key);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_BUF message;
		seal(&message, public_key, bad[i], 2);
		assert_refused(key, buf_str(&message), &context);
	}
}

/* 0, 1, 2 … so that whoever writes another implementation can repeat it. */
static void count_up(void *next, void *ret, size_t n)
{
	unsigned char *counter = next, *to = ret;
	for (size_t i = 0; i < n; i++)
		to[i] = (*counter)++;
}

static void assert_in_docs(const char *docs, struct str bytes)
{
	AUTO_BUF text = BUF_INIT(4096);
	hex_encode(&text, bytes);
	/* Lines of 64 digits. */
	for (size_t at = 0; at < text.n; at += 64) {
		AUTO_FREE char *line = str_dup(str_slice(buf_str(&text), at, at + 64));
		if (strstr(docs, line) == NULL)
			fail_msg("docs/formats/sealed.md lacks %s of\n%s", line, text.p);
	}
}

static void the_vector_of_the_documentation(void **state)
{
	(void)state;
	unsigned char counter = 0;
	const struct rand_source source = {.fill = count_up, .context = &counter};
	rand_replace(&source);
	unsigned char public_key[SEALED_PUBLIC], id[SEALED_KEY_ID];
	AUTO(sealed_key) *key = new_key(public_key);
	AUTO_BUF message;
	seal(&message, public_key, fields, ARRAY_LEN(fields));
	rand_replace(NULL);

	AUTO_BUF docs = BUF_INIT(1 << 20);
	assert_int_equal(file_read(SOURCE_DIR "/docs/formats/sealed.md", &docs, NULL), 0);
	sealed_key_id(public_key, id);
	assert_in_docs(docs.p, str_of(public_key, sizeof public_key));
	assert_in_docs(docs.p, str_of(id, sizeof id));
	assert_in_docs(docs.p, buf_str(&message));
	assert_non_null(strstr(docs.p, context.metadata.p));
	struct sealed_opened opened = {0};
	assert_int_equal(sealed_open(key, buf_str(&message), &context, &opened, NULL), 0);
	assert_true(secret_eq(opened.fields[SEALED_VALUE], fields[0].bytes));
	sealed_opened_release(&opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sealed_is_what_is_opened),
		cmocka_unit_test(nothing_and_much_can_be_sealed),
		cmocka_unit_test(only_its_keeper_opens_it),
		cmocka_unit_test(only_what_it_was_sealed_for),
		cmocka_unit_test(no_byte_of_it_can_be_changed),
		cmocka_unit_test(a_point_of_small_order_is_refused),
		cmocka_unit_test(each_tag_once_and_only_known_ones),
		cmocka_unit_test(the_vector_of_the_documentation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
