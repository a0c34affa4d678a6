/* From text to document. Everything is bounded and of exactly one form; nothing is believed. */
#include "base/base64.h"
#include "base/hex.h"
#include "text/json.h"
#include "vault/vault_document.h"

/* The file ends in the MAC of all that stands before it. */
#define TAIL      S("\"\n}\n")
#define MAC_TEXT  ((size_t)44)
#define MAC_FIELD S("\n  \"mac\": \"")

/*
 * The members of one JSON object, each taken once and by name. The first that is missing, of another type or out of bounds
 * is remembered; what is read after it is empty.
 */
struct fields {
	struct arena *arena;
	struct buf *scratch;
	const struct json *object;
	size_t taken;
	const char *bad; /* its name; NULL = none */
};

static struct fields fields_of(const struct fields *outer, const struct json *object)
{
	return (struct fields){.arena = outer->arena, .scratch = outer->scratch, .object = object};
}

static const struct json *take(struct fields *f, const char *name, enum json_kind kind)
{
	const struct json *value = json_member(f->object, str_from(name));
	if (f->bad != NULL)
		return NULL;
	if (value == NULL || json_kind(value) != kind) {
		f->bad = name;
		return NULL;
	}
	f->taken++;
	return value;
}

static struct str take_str(struct fields *f, const char *name)
{
	struct str text = STR_EMPTY;
	json_get_str(take(f, name, JSON_KIND_STR), &text);
	return arena_str(f->arena, text);
}

static uint64_t take_int(struct fields *f, const char *name, int64_t max)
{
	int64_t value = 0;
	json_get_int(take(f, name, JSON_KIND_INT), &value);
	if (f->bad == NULL && (value < 0 || value > max))
		f->bad = name;
	return f->bad == NULL ? (uint64_t)value : 0;
}

static struct str take_bytes(struct fields *f, const char *name, size_t min, size_t max)
{
	struct str text = STR_EMPTY;
	json_get_str(take(f, name, JSON_KIND_STR), &text);
	buf_clear(f->scratch);
	if (f->bad != NULL)
		return STR_EMPTY;
	if (base64_decode(f->scratch, text, BASE64_STANDARD, NULL) < 0 || f->scratch->n < min || f->scratch->n > max) {
		f->bad = name;
		return STR_EMPTY;
	}
	return arena_str(f->arena, buf_str(f->scratch));
}

static int fields_done(const struct fields *f, const char *what, struct err *err)
{
	if (f->bad != NULL)
		return fail(err, ERR_VAULT_FILE_TAMPERED, "%s has no '%s', or not one of the format", what, f->bad);
	if (f->taken != json_length(f->object))
		return fail(err, ERR_VAULT_FILE_TAMPERED, "%s has members that are not of the format", what);
	return 0;
}

/* -------------------------------------------------------------------------------------------------------------- members */

static int read_kdf(const struct fields *outer, const struct json *object, struct vault_member *member, struct err *err)
{
	struct fields f = fields_of(outer, object);
	struct str alg = take_str(&f, "alg");
	member->salt = take_bytes(&f, "salt", VAULT_SALT, VAULT_SALT);
	if (member->kind == VAULT_MEMBER_PASSPHRASE) {
		member->cost.time = (uint32_t)take_int(&f, "time", UINT32_MAX);
		member->cost.memory_kib = (uint32_t)take_int(&f, "memory_kib", UINT32_MAX);
		member->cost.lanes = (uint32_t)take_int(&f, "lanes", UINT32_MAX);
	}
	if (fields_done(&f, "a member's 'kdf'", err) < 0)
		return -1;
	bool passphrase = member->kind == VAULT_MEMBER_PASSPHRASE;
	if (!str_eq(alg, passphrase ? S("argon2id") : S("hkdf-sha256")))
		return fail(err, ERR_VAULT_UNSUPPORTED, "the key derivation of member '%.*s' is not known here",
			    STR_FMT(member->name));
	static struct err why;
	err_clear(&why);
	if (passphrase && argon2_cost_check(&member->cost, &why) < 0)
		return fail(err, ERR_VAULT_UNSUPPORTED, "member '%.*s': %s", STR_FMT(member->name), why.message);
	return 0;
}

static bool kind_named(struct str name, enum vault_member_kind *ret)
{
	for (int kind = 0; kind < VAULT_MEMBER_KIND__MAX; kind++) {
		if (str_eq(name, str_from(vault_member_kind_name((enum vault_member_kind)kind)))) {
			*ret = (enum vault_member_kind)kind;
			return true;
		}
	}
	return false;
}

static int read_member(const struct fields *outer, const struct json *object, struct vault_member *ret, struct err *err)
{
	struct fields f = fields_of(outer, object);
	ret->name = take_str(&f, "name");
	struct str kind = take_str(&f, "kind");
	ret->created_at = take_int(&f, "created_at", INT64_MAX);
	const struct json *kdf = take(&f, "kdf", JSON_KIND_OBJECT);
	ret->public_key = take_bytes(&f, "public_key", X25519_SIZE, X25519_SIZE);
	ret->private_key = take_bytes(&f, "private_key", VAULT_PRIVATE_SEALED, VAULT_PRIVATE_SEALED);
	ret->vault_key = take_bytes(&f, "vault_key", VAULT_KEY_SEALED, VAULT_KEY_SEALED);
	ret->sealed_by = take_bytes(&f, "sealed_by", X25519_SIZE, X25519_SIZE);
	ret->known = take_bytes(&f, "known", X25519_SIZE, (size_t)VAULT_MEMBERS_MAX * X25519_SIZE);
	ret->known_mac = take_bytes(&f, "known_mac", VAULT_MAC, VAULT_MAC);
	ret->key_mac = take_bytes(&f, "seen_mac", VAULT_MAC, VAULT_MAC);
	if (fields_done(&f, "a member", err) < 0)
		return -1;
	if (ret->name.n > VAULT_MEMBER_NAME || !vault_identity_is_valid(ret->name) || ret->known.n % X25519_SIZE != 0)
		return fail(err, ERR_VAULT_FILE_TAMPERED, "a member's name or list is not of the format");
	if (!kind_named(kind, &ret->kind))
		return fail(err, ERR_VAULT_UNSUPPORTED, "the kind of member '%.*s' is not known here",
			    STR_FMT(ret->name));
	return read_kdf(&f, kdf, ret, err);
}

static int read_members(struct vault_document *document, const struct fields *f, const struct json *list,
			struct err *err)
{
	size_t n = json_length(list);
	if (n < 1 || n > VAULT_MEMBERS_MAX)
		return fail(err, ERR_VAULT_FILE_TAMPERED, "the vault has %zu members; 1 to %d are accepted", n,
			    VAULT_MEMBERS_MAX);
	document->members = arena_array(document->arena, n, sizeof document->members[0]);
	document->n_members = n;
	for (size_t i = 0; i < n; i++) {
		if (read_member(f, json_at(list, i), &document->members[i], err) < 0)
			return -1;
		for (size_t k = 0; k < i; k++) {
			if (str_eq(document->members[k].name, document->members[i].name))
				return fail(err, ERR_VAULT_FILE_TAMPERED, "two members have the name '%.*s'",
					    STR_FMT(document->members[i].name));
		}
	}
	return 0;
}

/* -------------------------------------------------------------------------------------------------------------- entries */

static int read_labels(const struct fields *f, const struct json *object, struct vault_entry *entry, struct err *err)
{
	struct json_iter it;
	if (json_length(object) > VAULT_LABELS_MAX)
		return fail(err, ERR_VAULT_FILE_TAMPERED, "'%.*s' has more than %d labels", STR_FMT(entry->path),
			    VAULT_LABELS_MAX);
	struct vault_label *labels = arena_array(f->arena, json_length(object), sizeof labels[0]);
	for (json_iter_init(&it, object); json_iter_next(&it);) {
		struct str value = STR_EMPTY;
		if (!json_get_str(it.value, &value))
			return fail(err, ERR_VAULT_FILE_TAMPERED, "a label of '%.*s' is no text", STR_FMT(entry->path));
		labels[entry->n_labels++] = (struct vault_label){
			.key = arena_str(f->arena, it.name),
			.value = arena_str(f->arena, value),
		};
	}
	entry->labels = labels;
	return 0;
}

static int read_entry(const struct fields *outer, const struct json_iter *it, struct vault_entry *ret, struct err *err)
{
	struct fields f = fields_of(outer, it->value);
	if (it->name.n > VAULT_PATH_MAX)
		return fail(err, ERR_VAULT_FILE_TAMPERED, "an entry's path has %zu bytes", it->name.n);
	ret->path = arena_str(f.arena, it->name);
	ret->generation = take_int(&f, "generation", INT64_MAX);
	ret->type = take_str(&f, "type");
	ret->environment = take_str(&f, "environment");
	const struct json *labels = take(&f, "labels", JSON_KIND_OBJECT);
	ret->consent = take_str(&f, "consent");
	ret->value = take_bytes(&f, "value", VAULT_OVERHEAD, VAULT_VALUE_MAX + VAULT_OVERHEAD);
	ret->mac = take_bytes(&f, "mac", VAULT_MAC, VAULT_MAC);
	if (fields_done(&f, "an entry", err) < 0 || read_labels(&f, labels, ret, err) < 0)
		return -1;
	static struct err why;
	err_clear(&why);
	if (vault_entry_check(ret, &why) < 0)
		return fail(err, ERR_VAULT_FILE_TAMPERED, "%s", why.message);
	return 0;
}

static int read_entries(struct vault_document *document, const struct fields *f, const struct json *object,
			struct err *err)
{
	struct json_iter it;
	size_t n = json_length(object);
	if (n > VAULT_ENTRIES_MAX)
		return fail(err, ERR_VAULT_FILE_TAMPERED, "the vault has %zu entries; at most %d are accepted", n,
			    VAULT_ENTRIES_MAX);
	document->entries = arena_array(document->arena, n, sizeof document->entries[0]);
	for (json_iter_init(&it, object); json_iter_next(&it);) {
		struct vault_entry *entry = &document->entries[document->n_entries];
		if (read_entry(f, &it, entry, err) < 0)
			return -1;
		if (document->n_entries > 0 && str_cmp(entry[-1].path, entry->path) >= 0)
			return fail(err, ERR_VAULT_FILE_TAMPERED, "entries are not in the order of their paths");
		document->n_entries++;
	}
	return 0;
}

/* ----------------------------------------------------------------------------------------------------------- the whole */

/* The last lines are fixed to the byte, so that all but the 44 characters is authenticated or known. */
static bool find_mac(struct str text, size_t *ret_start)
{
	if (text.n < TAIL.n + MAC_TEXT || !str_ends(text, TAIL))
		return false;
	size_t start = text.n - TAIL.n - MAC_TEXT;
	*ret_start = start;
	return str_ends(str_slice(text, 0, start), MAC_FIELD);
}

static int read_tail(struct vault_document *document, struct str text, struct err *err)
{
	size_t start = 0;
	AUTO_BUF mac = BUF_INIT(64);
	if (!str_ends(text, S("\n")))
		return fail(err, ERR_VAULT_TRUNCATED, "the vault file lacks its last byte");
	if (!find_mac(text, &start) ||
	    base64_decode(&mac, str_slice(text, start, start + MAC_TEXT), BASE64_STANDARD, NULL) < 0 ||
	    mac.n != VAULT_MAC)
		return fail(err, ERR_VAULT_FILE_TAMPERED, "the vault file does not end in its MAC");
	memcpy(document->mac, mac.p, VAULT_MAC);
	document->authentic = start;
	return 0;
}

static int read_current(struct vault_document *document, const struct json *root, struct str text, struct err *err)
{
	AUTO_BUF scratch = BUF_INIT(VAULT_VALUE_MAX + VAULT_OVERHEAD);
	struct fields f = {.arena = document->arena, .scratch = &scratch, .object = root};
	take_int(&f, "version", INT64_MAX);
	struct str id = take_str(&f, "vault_id");
	document->generation = take_int(&f, "generation", INT64_MAX);
	const struct json *members = take(&f, "members", JSON_KIND_ARRAY);
	const struct json *secrets = take(&f, "secrets", JSON_KIND_OBJECT);
	take(&f, "mac", JSON_KIND_STR);
	if (read_tail(document, text, err) < 0 || fields_done(&f, "the vault file", err) < 0)
		return -1;
	AUTO_BUF bytes = BUF_INIT(VAULT_ID);
	if (id.n != VAULT_ID_TEXT - 1 || hex_decode(&bytes, id, NULL) < 0)
		return fail(err, ERR_VAULT_FILE_TAMPERED, "the vault's id is not %d hex digits", VAULT_ID_TEXT - 1);
	memcpy(document->id, bytes.p, VAULT_ID);
	buf_add_str(&document->text, text);
	return read_members(document, &f, members, err) < 0 || read_entries(document, &f, secrets, err) < 0 ? -1 : 0;
}

/* Whether the end is missing: something that was begun is still open, and there is no MAC. */
static bool is_cut(struct str text)
{
	size_t depth = 0, mac;
	bool in_string = false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '{' || c == '['))
			depth++;
		else if (!in_string && (c == '}' || c == ']') && depth > 0)
			depth--;
	}
	return (depth > 0 || in_string || str_blank(text)) && !find_mac(text, &mac);
}

struct vault_document *vault_document_read(struct str text, struct err *err)
{
	static struct err why;
	err_clear(&why);
	AUTO(json) *root = json_parse(text, JSON_READ_SENSITIVE, &why);
	if (root == NULL) {
		fail(err, is_cut(text) ? ERR_VAULT_TRUNCATED : ERR_VAULT_FILE_TAMPERED,
		     "the vault file cannot be read: %s", why.message);
		return NULL;
	}
	int64_t version = 0;
	bool absent = json_member(root, S("version")) == NULL;
	if (json_kind(root) != JSON_KIND_OBJECT ||
	    (!absent && (!json_get_int(json_member(root, S("version")), &version) || version < 0))) {
		fail(err, ERR_VAULT_FILE_TAMPERED, "the vault file is no object with a 'version'");
		return NULL;
	}
	if (version > 2) {
		fail(err, ERR_VAULT_UNSUPPORTED,
		     "the vault file is of version %lld, and this program reads up to 2; "
		     "update aileron",
		     (long long)version);
		return NULL;
	}
	AUTO(vault_document) *document = vault_document_new();
	document->version = (unsigned)version;
	int read = version == 2 ? read_current(document, root, text, err)
				: vault_document_read_legacy(document, root, err);
	return read == 0 ? TAKE(document) : NULL;
}
