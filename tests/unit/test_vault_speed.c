/* What is left to do once the passphrase's key is derived, for a vault of 1,000 secrets. */
#include "base/arena.h"
#include "base/time.h"
#include "vault/vault_document.h"
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(NDEBUG)
#define MEASURES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEASURES 0
#endif
#endif
#ifndef MEASURES
#define MEASURES 1
#endif

enum { ENTRIES = 1000, ROUNDS = 20, BUDGET_MS = 5 };

static struct err err;

static void ok(int result)
{
	if (result < 0)
		fail_msg("%s", err.message);
}

static void put_entries(struct vault_document *document, const struct vault_keys *keys)
{
	const struct vault_label labels[] = {
		{S("connector_fqn"), S("github.com/acme/stripe-connector")},
		{S("created_at"), S("1767225600")},
		{S("identity"), S("work")},
		{S("service"), S("stripe")},
		{S("status"), S("active")},
	};
	document->entries = arena_array(document->arena, ENTRIES, sizeof document->entries[0]);
	for (document->n_entries = 0; document->n_entries < ENTRIES; document->n_entries++) {
		struct vault_entry *entry = &document->entries[document->n_entries];
		AUTO_BUF value = BUF_INIT(1024);
		*entry = (struct vault_entry){
			.path = arena_printf(document->arena, "api_key/stripe/work-%04zu", document->n_entries),
			.type = S("api_key"),
			.labels = labels,
			.n_labels = ARRAY_LEN(labels),
			.consent = S("{\"hosts\":[\"api.stripe.com:443\"]}"),
			.generation = 1,
		};
		vault_keys_seal_value(keys, entry->path, 1, S("sk-0123456789abcdef0123456789abcdef"), &value);
		entry->value = arena_str(document->arena, buf_str(&value));
		entry->labels = arena_array(document->arena, ARRAY_LEN(labels), sizeof labels[0]);
		memcpy((void *)(uintptr_t)entry->labels, labels, sizeof labels);
	}
}

static void a_thousand_secrets_open_in_time(void **state)
{
	(void)state;
	static const unsigned char id[VAULT_ID] = "sixteen bytes id";
	AUTO(secret) *key_file = x25519_generate(NULL);
	struct vault_credential credential = {.kind = VAULT_MEMBER_KEY_FILE, .secret = key_file};
	AUTO(vault_document) *document = vault_document_new();
	AUTO(vault_keys) *keys = vault_keys_generate(id, &err);
	struct vault_member member;
	struct secret *made = NULL;
	ok(vault_member_make(document->arena, id, &(struct vault_member_spec){.name = S("owner")}, &credential, &member,
			     &made, &err));
	AUTO(secret) *private = made;
	ok(vault_member_give_key(document->arena, keys, private, &member, &err));
	vault_member_note(document->arena, keys, private, &member, &member, 1);
	memcpy(document->id, id, sizeof id);
	document->members = &member;
	document->n_members = 1;
	put_entries(document, keys);
	AUTO_BUF text = BUF_INIT(VAULT_FILE_MAX);
	ok(vault_document_write(document, keys, &text, &err));

	uint64_t reading = UINT64_MAX, opening = UINT64_MAX;
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = clock_monotonic_ns(NULL);
		AUTO(vault_document) *read = vault_document_read(buf_str(&text), &err);
		uint64_t between = clock_monotonic_ns(NULL);
		assert_non_null(read);
		AUTO(vault_keys) *taken = vault_member_take_key(&read->members[0], id, private, &err);
		assert_non_null(taken);
		ok(vault_document_verify(read, taken, &err));
		assert_int_equal(vault_member_knows(&read->members[0], taken, private), VAULT_SEEN);
		opening = MIN(opening, clock_monotonic_ns(NULL) - between);
		reading = MIN(reading, between - start);
	}
	print_message("%d secrets, %zu bytes: read in %.2f ms before the derivation, opened in %.2f ms after it\n",
		      ENTRIES, text.n, (double)reading / 1e6, (double)opening / 1e6);
	if (MEASURES)
		assert_true(opening <= BUDGET_MS * TIME_MILLISECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_thousand_secrets_open_in_time)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
