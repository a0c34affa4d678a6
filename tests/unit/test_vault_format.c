/* The worked example of docs/formats/vault.md: made here again byte for byte, read from the page, and opened. */
#include "base/arena.h"
#include "base/hex.h"
#include "base/rand.h"
#include "os/file.h"
#include "vault/vault_document.h"
#include "vault/vault_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define PAGE       SOURCE_DIR "/docs/formats/vault.md"
#define PASSPHRASE S("correct horse battery staple")
#define VALUE      S("sk-example-0001")

static struct err err;

static void ok(int result)
{
	if (result < 0)
		fail_msg("%s", err.message);
}

/* The nth random string is the byte n again and again. */
static void fill_counting(void *context, void *ret, size_t n)
{
	unsigned char *count = context;
	memset(ret, ++*count, n);
}

static const struct vault_label labels[] = {
	{S("connector_fqn"), S("github.com/acme/stripe-connector")},
	{S("created_at"), S("1767225600")},
	{S("identity"), S("work")},
	{S("service"), S("stripe")},
	{S("status"), S("active")},
};

/* Everything in the order that the page names. */
static struct vault_keys *make_example(struct buf *out)
{
	unsigned char count = 0;
	const struct rand_source source = {fill_counting, &count};
	rand_replace(&source);
	AUTO(secret) *words = secret_from(PASSPHRASE, &err);
	struct vault_credential credential = {.kind = VAULT_MEMBER_PASSPHRASE, .secret = words};
	AUTO(vault_document) *document = vault_document_new();
	struct vault_member_spec spec = {
		.name = S(VAULT_FIRST_MEMBER), .created_at = 1767225600, .cost = ARGON2_DEFAULT};
	rand_bytes(document->id, VAULT_ID);
	document->generation = 2;
	document->members = ARENA_NEW(document->arena, struct vault_member);
	document->n_members = 1;
	struct secret *made = NULL;
	ok(vault_member_make(document->arena, document->id, &spec, &credential, document->members, &made, &err));
	AUTO(secret) *private = made;
	struct vault_keys *keys = vault_keys_generate(document->id, &err);
	ok(vault_member_give_key(document->arena, keys, private, document->members, &err));
	vault_member_note(document->arena, keys, private, document->members, document->members, 1);
	AUTO_BUF value = BUF_INIT(1024);
	struct vault_entry entry = {
		.path = S("api_key/stripe/work"),
		.type = S("api_key"),
		.labels = labels,
		.n_labels = sizeof labels / sizeof labels[0],
		.consent = S("{\"hosts\":[\"api.stripe.com:443\"]}"),
		.generation = 2,
	};
	vault_keys_seal_value(keys, entry.path, entry.generation, VALUE, &value);
	entry.value = buf_str(&value);
	document->entries = &entry;
	document->n_entries = 1;
	ok(vault_document_write(document, keys, out, &err));
	rand_replace(NULL);
	return keys;
}

static struct str read_page(struct buf *page)
{
	ok(file_read(PAGE, page, &err));
	return buf_str(page);
}

static struct str example_of(struct str page)
{
	struct str mark = S("```json\n");
	size_t start = str_find(page, mark);
	assert_true(start != STR_NPOS);
	struct str rest = str_slice(page, start + mark.n, page.n);
	return str_slice(rest, 0, str_find(rest, S("```")));
}

static void the_example_is_what_is_written(void **state)
{
	(void)state;
	AUTO_BUF page = BUF_INIT(1 << 20);
	AUTO_BUF made = BUF_INIT(1 << 20);
	vault_keys_free(make_example(&made));
	if (!str_eq(example_of(read_page(&page)), buf_str(&made))) {
		printf("%s", made.p); /* longer than a message may be */
		fail_msg("the page's example is not what is written now, which is above");
	}
}

static void assert_row(struct str page, const char *step, struct str bytes)
{
	AUTO_BUF row = BUF_INIT(4096);
	buf_addf(&row, "| %s | `", step);
	hex_encode(&row, bytes);
	buf_add_z(&row, "` |\n");
	if (str_find(page, buf_str(&row)) == STR_NPOS)
		fail_msg("the page lacks the row\n%s", row.p);
}

static void the_steps_of_the_example_are_right(void **state)
{
	(void)state;
	AUTO_BUF page = BUF_INIT(1 << 20);
	AUTO_BUF made = BUF_INIT(1 << 20);
	AUTO(vault_keys) *keys = make_example(&made);
	AUTO(vault_document) *document = vault_document_read(buf_str(&made), &err);
	const struct vault_member *member = &document->members[0];
	unsigned char bytes[48];
	read_page(&page);
	ok(argon2id(PASSPHRASE, member->salt, &ARGON2_DEFAULT, bytes, &err));
	assert_row(buf_str(&page), "member's own key", str_of(bytes, 32));
	assert_row(buf_str(&page), "public key", member->public_key);
	AUTO(secret) *words = secret_from(PASSPHRASE, &err);
	struct vault_credential credential = {.kind = VAULT_MEMBER_PASSPHRASE, .secret = words};
	struct secret *opened = NULL;
	assert_int_equal(vault_member_open(member, document->id, &credential, &opened, &err), 1);
	AUTO(secret) *private = opened;
	AUTO(secret) *shared = x25519_shared(private, (const unsigned char *)member->public_key.p, &err);
	assert_row(buf_str(&page), "shared secret", secret_borrow(shared));
	hkdf_sha256(secret_borrow(shared), str_slice(member->vault_key, 0, VAULT_KEY_SALT),
		    S("aileron-vault-2 vault key"), bytes, 44);
	assert_row(buf_str(&page), "key and nonce of the sealed vault key", str_of(bytes, 44));
	const struct {
		const char *step;
		struct str info;
	} derived[] = {
		{"value key", S("aileron-vault-2 value")},
		{"entry key", S("aileron-vault-2 entry")},
		{"file key", S("aileron-vault-2 file")},
	};
	for (size_t i = 0; i < sizeof derived / sizeof derived[0]; i++) {
		hkdf_sha256(vault_keys_root(keys), str_of(document->id, VAULT_ID), derived[i].info, bytes, 32);
		assert_row(buf_str(&page), derived[i].step, str_of(bytes, 32));
	}
}

static void the_example_opens(void **state)
{
	(void)state;
	char folder[] = "/tmp/aileron-vault-example-XXXXXX";
	AUTO_BUF page = BUF_INIT(1 << 20);
	assert_non_null(mkdtemp(folder));
	AUTO_FREE char *path = xasprintf("%s/secrets.json", folder);
	ok(file_replace(path, example_of(read_page(&page)), 0600, &err));
	AUTO(secret) *words = secret_from(PASSPHRASE, &err);
	struct vault_credential credential = {.kind = VAULT_MEMBER_PASSPHRASE, .secret = words};
	struct vault_unlocked done;
	struct secret *value = NULL;
	AUTO(vault) *vault = vault_new(folder, NULL, &ARGON2_DEFAULT, &err);
	ok(vault_unlock(vault, &credential, &(struct vault_unlock){.accept_older = false}, &done, &err));
	ok(vault_get(vault, S("api_key/stripe/work"), &value, &err));
	assert_true(secret_eq(value, VALUE));
	secret_free(value);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0); /* nothing was written beside it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_is_what_is_written),
		cmocka_unit_test(the_steps_of_the_example_are_right),
		cmocka_unit_test(the_example_opens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
