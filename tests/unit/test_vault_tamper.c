/*
 * Whoever can write the file and has no key: each way of changing it is refused with its own error, and none is read as
 * something else than was written.
 */
#include "base/arena.h"
#include "base/base64.h"
#include "os/file.h"
#include "vault/vault_document.h"
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static const struct argon2_cost cheap = {.time = 1, .memory_kib = ARGON2_MEMORY_MIN, .lanes = 1};
static const struct vault_unlock plainly;
static char folder[] = "/tmp/aileron-tamper-XXXXXX";
static struct err err;
static struct secret *owners, *others; /* key files, which cost nothing to try */
static struct buf original;

static struct vault_credential owner(void)
{
	return (struct vault_credential){.kind = VAULT_MEMBER_KEY_FILE, .secret = owners};
}

static void ok(int result, int line)
{
	if (result < 0)
		fail_msg("line %d: %s: %s", line, err_row(err.class)->name, err.message);
}
#define OK(call) ok((call), __LINE__)

static void write_file(struct str text)
{
	AUTO_FREE char *path = xasprintf("%s/secrets.json", folder);
	OK(file_replace(path, text, 0600, &err));
}

/* The class of the error that opening this text gives, ERR_NONE when it opens. */
static enum err_class open_text(struct str text, struct vault **ret)
{
	struct vault_unlocked done;
	struct vault_credential credential = owner();
	write_file(text);
	struct vault *vault = vault_new(folder, NULL, &cheap, &err);
	assert_non_null(vault);
	err_clear(&err);
	int opened = vault_unlock(vault, &credential, &plainly, &done, &err);
	if (opened == 0 && ret != NULL)
		*ret = vault;
	else
		vault_free(vault);
	return opened == 0 ? ERR_NONE : err.class;
}

static void assert_refused(struct str text, enum err_class wanted, int line)
{
	enum err_class class = open_text(text, NULL);
	if (class != wanted)
		fail_msg("line %d: %s: %s", line, class == ERR_NONE ? "opened" : err_row(class)->name, err.message);
}
#define REFUSED(buf, wanted) assert_refused(buf_str(buf), wanted, __LINE__)

/* The original with the first `from` behind `after` replaced by `to`. */
static void edit(struct buf *out, struct str after, struct str from, struct str to)
{
	struct str text = buf_str(&original);
	size_t start = str_find(text, after);
	assert_true(start != STR_NPOS);
	size_t at = str_find(str_slice(text, start, text.n), from);
	assert_true(at != STR_NPOS);
	buf_clear(out);
	buf_add_str(out, str_slice(text, 0, start + at));
	buf_add_str(out, to);
	buf_add_str(out, str_slice(text, start + at + from.n, text.n));
	assert_true(buf_ok(out) && !str_eq(buf_str(out), text));
}

/* The text between `from`, behind `after`, and the next `to`. */
static struct str between(struct str after, struct str from, struct str to)
{
	struct str text = buf_str(&original);
	text = str_slice(text, str_find(text, after), text.n);
	text = str_slice(text, str_find(text, from) + from.n, text.n);
	return str_slice(text, 0, str_find(text, to));
}

#define ONE S("\"api_key/one/a\": ")
#define TWO S("\"api_key/two/b\": ")

static struct str value_of(struct str entry)
{
	return between(entry, S("\"value\":\""), S("\""));
}

static struct str line_of(struct str entry)
{
	return between(entry, entry, S("}\n"));
}

static struct str line_but_last(struct str entry)
{
	return between(entry, entry, S("},\n"));
}

static void what_was_written_opens(void **state)
{
	(void)state;
	assert_int_equal(open_text(buf_str(&original), NULL), ERR_NONE);
}

static void two_swapped_values_are_misplaced(void **state)
{
	(void)state;
	AUTO_BUF one = BUF_INIT(65536);
	AUTO_BUF both = BUF_INIT(65536);
	AUTO_BUF first = BUF_INIT(1024);
	AUTO_BUF second = BUF_INIT(1024);
	buf_add_str(&first, value_of(ONE));
	buf_add_str(&second, value_of(TWO));
	edit(&one, ONE, buf_str(&first), buf_str(&second));
	REFUSED(&one, ERR_VAULT_ENTRY_MISPLACED);
	assert_string_equal(err.message, "the value of 'api_key/two/b' stands under 'api_key/one/a'");
	struct buf kept = original;
	original = one;
	edit(&both, TWO, buf_str(&second), buf_str(&first));
	one = original;
	original = kept;
	REFUSED(&both, ERR_VAULT_ENTRY_MISPLACED);
}

static void two_swapped_entries_are_misplaced(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(65536);
	AUTO_BUF first = BUF_INIT(4096);
	buf_add_str(&first, line_but_last(ONE));
	edit(&text, TWO, line_of(TWO), buf_str(&first));
	REFUSED(&text, ERR_VAULT_ENTRY_MISPLACED);
	assert_string_equal(err.message, "the entry of 'api_key/one/a' stands under 'api_key/two/b'");
}

static void edited_metadata_is_told(void **state)
{
	(void)state;
	const struct {
		struct str from, to;
	} edits[] = {
		{S("\"status\":\"active\""), S("\"status\":\"stale\"")},
		{S("\"status\""), S("\"status2\"")},
		{S("\"status\":\"active\""), S("\"status\":\"active\",\"t\":\"1\"")},
		{S(",\"status\":\"active\""), S("")},
		{S("\"type\":\"api_key\""), S("\"type\":\"oauth2\"")},
		{S("\"environment\":\"\""), S("\"environment\":\"x\"")},
		{S("api.example.com"), S("api.example.net")},
		{S("\"generation\":2"), S("\"generation\":3")},
		{S("\"mac\":\""), S("\"mac\":\"AAAA")},
	};
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		AUTO_BUF text = BUF_INIT(65536);
		edit(&text, ONE, edits[i].from, edits[i].to);
		bool form = str_ends(edits[i].to, S("AAAA")); /* too long to be a MAC */
		assert_refused(buf_str(&text), form ? ERR_VAULT_FILE_TAMPERED : ERR_VAULT_METADATA_TAMPERED, (int)i);
	}
	AUTO_BUF text = BUF_INIT(65536);
	edit(&text, ONE, S("api_key/one/a"), S("api_key/one/b"));
	REFUSED(&text, ERR_VAULT_METADATA_TAMPERED);
}

static void an_edited_value_is_told(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(65536);
	AUTO_BUF value = BUF_INIT(1024);
	buf_add_str(&value, value_of(ONE));
	value.p[20] = value.p[20] == 'A' ? 'B' : 'A';
	edit(&text, ONE, value_of(ONE), buf_str(&value));
	REFUSED(&text, ERR_VAULT_VALUE_TAMPERED);
}

static void everything_else_is_told_by_the_file(void **state)
{
	(void)state;
	AUTO_BUF gone = BUF_INIT(65536);
	AUTO_BUF line = BUF_INIT(4096);
	buf_add_str(&line, ONE);
	buf_add_str(&line, line_but_last(ONE));
	buf_add_str(&line, S("},\n    "));
	edit(&gone, ONE, buf_str(&line), S(""));
	REFUSED(&gone, ERR_VAULT_FILE_TAMPERED);
	const struct {
		struct str after, from, to;
	} edits[] = {
		{S("{"), S("\"generation\": "), S("\"generation\": 1")},
		{S("{"), S("\n  \"members\""), S("\n   \"members\"")},
		{S("{"), S("\"version\": 2"), S("\"version\":  2")},
		{S("\n  \"mac\": \""), S("\""), S("\"AAAA")},
		{S("{"), S("\"vault_id\": "), S("\"more\": 1, \"vault_id\": ")},
		{S("{"), S("\"version\": 2"), S("\"version\": 1")},
		{S("{"), S("\"known\":\""), S("\"known\":\"AAAA")},
	};
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		AUTO_BUF text = BUF_INIT(65536);
		edit(&text, edits[i].after, edits[i].from, edits[i].to);
		assert_refused(buf_str(&text), ERR_VAULT_FILE_TAMPERED, (int)i);
	}
}

static void a_file_cut_anywhere_is_truncated(void **state)
{
	(void)state;
	for (size_t n = 0; n < original.n; n++) {
		err_clear(&err);
		AUTO(vault_document) *document = vault_document_read(str_slice(buf_str(&original), 0, n), &err);
		if (document != NULL || err.class != ERR_VAULT_TRUNCATED)
			fail_msg("%zu bytes: %s", n, document != NULL ? "read" : err.message);
	}
}

static void assert_same(const struct vault *vault)
{
	static const char *const paths[] = {"api_key/one/a", "api_key/two/b"};
	assert_int_equal(vault_count(vault), 2);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct secret *value = NULL;
		OK(vault_get(vault, str_from(paths[i]), &value, &err));
		assert_true(secret_eq(value, str_from(paths[i])));
		secret_free(value);
	}
}

static void a_flipped_byte_is_refused_or_read_the_same(void **state)
{
	(void)state;
	static const unsigned char masks[] = {0x01, 0x02, 0x20, 0x80};
	size_t by_class[ERR_CLASS__MAX] = {0};
	AUTO_BUF text = BUF_INIT(65536);
	buf_add_str(&text, buf_str(&original));
	for (size_t i = 0; i < text.n; i++) {
		unsigned char mask = masks[i % ARRAY_LEN(masks)];
		struct vault *vault = NULL;
		text.p[i] = (char)((unsigned char)text.p[i] ^ mask);
		enum err_class class = open_text(buf_str(&text), &vault);
		text.p[i] = (char)((unsigned char)text.p[i] ^ mask);
		by_class[class]++;
		if (class == ERR_NONE)
			assert_same(vault);
		vault_free(vault);
	}
	for (int class = 0; class < ERR_CLASS__MAX; class ++) {
		if (by_class[class] > 0)
			print_message("%zu %s\n", by_class[class],
				      class == ERR_NONE ? "the same" : err_row((enum err_class) class)->name);
	}
	assert_int_equal(by_class[ERR_NONE], 0); /* every byte is authenticated */
	assert_true(by_class[ERR_VAULT_METADATA_TAMPERED] > 0 && by_class[ERR_VAULT_VALUE_TAMPERED] > 0 &&
		    by_class[ERR_VAULT_FILE_TAMPERED] > 0 && by_class[ERR_WRONG_PASSPHRASE] > 0);
	assert_true(by_class[ERR_VAULT_TRUNCATED] < 8); /* the last bytes, which say that it is whole */
	assert_int_equal(by_class[ERR_SYSTEM] + by_class[ERR_INTERNAL] + by_class[ERR_VAULT_MISSING], 0);
}

/*
 * Whoever knows a member's public key can seal to it: a vault made anew around a key of the attacker's own must not be taken
 * for the member's, or what is put into it next is the attacker's.
 */
static void a_vault_key_from_a_stranger_is_refused(void **state)
{
	(void)state;
	AUTO(vault_document) *document = vault_document_read(buf_str(&original), &err);
	AUTO(secret) *own = x25519_generate(NULL);
	AUTO(vault_keys) *keys = vault_keys_generate(document->id, &err);
	AUTO_BUF text = BUF_INIT(65536);
	struct vault_member *member = &document->members[0];
	OK(vault_member_give_key(document->arena, keys, own, member, &err));
	document->n_entries = 0;
	document->generation += 10;
	OK(vault_document_write(document, keys, &text, &err));
	REFUSED(&text, ERR_VAULT_FILE_TAMPERED);
	assert_true(str_find(str_from(err.message), S("does not know")) != STR_NPOS);

	/* Nor does it help to note the stranger as known, for want of the member's private key. */
	AUTO_BUF known = BUF_INIT(1024);
	buf_add_str(&known, member->sealed_by);
	member->known = buf_str(&known);
	buf_clear(&text);
	OK(vault_document_write(document, keys, &text, &err));
	REFUSED(&text, ERR_VAULT_FILE_TAMPERED);

	/* What the person accepts by name is accepted. */
	struct vault_unlocked done;
	struct vault_credential credential = owner();
	AUTO(vault) *vault = vault_new(folder, NULL, &cheap, &err);
	OK(vault_unlock(vault, &credential, &(struct vault_unlock){.accept_older = true}, &done, &err));
}

/* A member who says yes while a stranger's vault is open does not come to know the stranger by it. */
static void nobody_comes_to_know_a_stranger_by_proving(void **state)
{
	(void)state;
	AUTO(vault_document) *document = vault_document_read(buf_str(&original), &err);
	AUTO(vault_keys) *keys = vault_keys_generate(document->id, &err);
	const struct vault_member_spec spec = {.name = S("mallory")};
	struct vault_credential one = owner(), two = {.kind = VAULT_MEMBER_KEY_FILE, .secret = others};
	struct vault_member members[2] = {document->members[0]};
	struct secret *made = NULL;
	OK(vault_member_make(document->arena, document->id, &spec, &two, &members[1], &made, &err));
	AUTO(secret) *mallorys = made;
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		OK(vault_member_give_key(document->arena, keys, mallorys, &members[i], &err));
	vault_member_note(document->arena, keys, mallorys, &members[1], members, ARRAY_LEN(members));
	document->members = members;
	document->n_members = ARRAY_LEN(members);
	document->n_entries = 0;
	AUTO_BUF text = BUF_INIT(65536);
	OK(vault_document_write(document, keys, &text, &err));
	write_file(buf_str(&text));

	struct vault_unlocked done;
	AUTO(secret) *thirds = x25519_generate(NULL);
	struct vault_credential three = {.kind = VAULT_MEMBER_KEY_FILE, .secret = thirds};
	AUTO(vault) *vault = vault_new(folder, NULL, &cheap, &err);
	OK(vault_unlock(vault, &two, &plainly, &done, &err));
	OK(vault_member_add(vault, S("three"), &one, &three, &err));
	vault_lock(vault);
	assert_int_equal(vault_unlock(vault, &one, &plainly, &done, &err), -1);
	assert_int_equal(err.class, ERR_VAULT_FILE_TAMPERED);
}

/* Two members who know each other: a new key that one set while the other was away is fine. */
static void a_vault_key_from_a_known_member_is_taken(void **state)
{
	(void)state;
	struct vault_unlocked done;
	struct vault_credential one = owner(), two = {.kind = VAULT_MEMBER_KEY_FILE, .secret = others};
	write_file(buf_str(&original));
	AUTO(vault) *vault = vault_new(folder, NULL, &cheap, &err);
	OK(vault_unlock(vault, &one, &plainly, &done, &err));
	OK(vault_member_add(vault, S("two"), &one, &two, &err));
	AUTO(secret) *thirds = x25519_generate(NULL);
	struct vault_credential three = {.kind = VAULT_MEMBER_KEY_FILE, .secret = thirds};
	OK(vault_member_add(vault, S("three"), &one, &three, &err));
	/* "two" is to know "one" alone, as when it last came before "three" was there. */
	OK(vault_member_remove(vault, S("three"), &one, &err));
	vault_lock(vault);
	OK(vault_unlock(vault, &two, &plainly, &done, &err));
	assert_same(vault);
}

static int set_up(void **state)
{
	(void)state;
	struct vault_unlocked done;
	if (mkdtemp(folder) == NULL)
		return -1;
	owners = x25519_generate(NULL); /* 32 random bytes */
	others = x25519_generate(NULL);
	original = BUF_INIT(65536);
	struct vault *vault = vault_new(folder, NULL, &cheap, &err);
	struct vault_credential credential = owner();
	const struct vault_label labels[] = {{S("service"), S("stripe")}, {S("status"), S("active")}};
	struct vault_put put = {
		.type = S("api_key"),
		.labels = labels,
		.n_labels = ARRAY_LEN(labels),
		.consent = S("{\"hosts\":[\"api.example.com:443\"]}"),
	};
	OK(vault_init(vault, &credential, &err));
	put.path = put.value = S("api_key/one/a");
	OK(vault_put(vault, &put, NULL, &err));
	put.path = put.value = S("api_key/two/b");
	OK(vault_put(vault, &put, NULL, &err));
	vault_lock(vault);
	OK(vault_unlock(vault, &credential, &plainly, &done, &err));
	vault_free(vault);
	AUTO_FREE char *path = xasprintf("%s/secrets.json", folder);
	return file_read(path, &original, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	AUTO_FREE char *path = xasprintf("%s/secrets.json", folder);
	secret_free(owners);
	secret_free(others);
	buf_release(&original);
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_opens),
		cmocka_unit_test(two_swapped_values_are_misplaced),
		cmocka_unit_test(two_swapped_entries_are_misplaced),
		cmocka_unit_test(edited_metadata_is_told),
		cmocka_unit_test(an_edited_value_is_told),
		cmocka_unit_test(everything_else_is_told_by_the_file),
		cmocka_unit_test(a_file_cut_anywhere_is_truncated),
		cmocka_unit_test(a_flipped_byte_is_refused_or_read_the_same),
		cmocka_unit_test(a_vault_key_from_a_stranger_is_refused),
		cmocka_unit_test(nobody_comes_to_know_a_stranger_by_proving),
		cmocka_unit_test(a_vault_key_from_a_known_member_is_taken),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
