#include "vault/binding.h"
#include "base/ascii.h"
#include "base/map.h"
#include "crypto/digest.h"
#include "text/canonical.h"
#include "text/fqn.h"
#include "text/json.h"
#include "text/json_writer.h"
#include "vault/path.h"
#include <stdlib.h>

#define CONSENT_MAX      ((size_t)64 << 10) /* bytes of the text */
#define CONSENT_LIST_MAX 1024               /* entries of one list */

/* ------------------------------------------------------------------------------------------------------------ metadata */

static void put_label(struct json_writer *w, struct str key, struct str value)
{
	if (value.n == 0)
		return;
	jsonw_key(w, key);
	jsonw_str(w, value);
}

/* Keys stand in the order of their bytes, which is what makes it canonical. */
void binding_metadata_put(struct buf *out, const struct binding_fields *fields)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	jsonw_key(&w, S("environment"));
	jsonw_str(&w, S(""));
	jsonw_key(&w, S("labels"));
	jsonw_begin_object(&w);
	put_label(&w, S("access_key_id"), fields->access_key_id);
	put_label(&w, S("account"), fields->account);
	put_label(&w, S("connector_fqn"), fields->connector_fqn);
	put_label(&w, S("identity"), fields->identity);
	put_label(&w, S("region"), fields->region);
	put_label(&w, S("scope"), fields->scope);
	put_label(&w, S("service"), fields->service);
	put_label(&w, S("username"), fields->username);
	jsonw_end_object(&w);
	jsonw_key(&w, S("type"));
	jsonw_str(&w, fields->kind);
	jsonw_end_object(&w);
}

static bool is_scope_part(struct str value)
{
	for (size_t i = 0; i < value.n; i++) {
		if (!ascii_is_alnum(value.p[i]) && str_find_char(S("-_."), value.p[i]) == STR_NPOS)
			return false;
	}
	return true;
}

int binding_fields_check(const struct binding_fields *fields, struct err *err)
{
	for (size_t i = 0; i < fields->username.n; i++) {
		unsigned char c = (unsigned char)fields->username.p[i];
		if (c == ':' || c < ' ' || c == 0x7f)
			return fail(err, ERR_INVALID_REQUEST, "a user name can have no ':' and no control character");
	}
	if (!is_scope_part(fields->region))
		return fail(err, ERR_INVALID_REQUEST,
			    "a region is letters, digits and '-', as in 'eu-west-1'; leave it out for any");
	if (!is_scope_part(fields->access_key_id))
		return fail(err, ERR_INVALID_REQUEST, "an access key id is letters, digits, '-', '_' and '.'");
	return 0;
}

struct str binding_service(struct str connector_fqn, struct str given)
{
	struct fqn fqn;
	if (given.n > 0)
		return given;
	if (fqn_parse(connector_fqn, &fqn, NULL) < 0)
		return STR_EMPTY;
	return fqn.repo.n > 0 ? fqn.repo : fqn.owner;
}

int binding_name_put(struct buf *out, const struct binding_fields *fields, struct err *err)
{
	AUTO_BUF name = BUF_INIT(VAULT_PATH_MAX);
	buf_add_str(&name, fields->kind);
	buf_add_char(&name, '/');
	buf_add_str(&name, fields->service);
	buf_add_char(&name, '/');
	buf_add_str(&name, fields->identity);
	struct str kind, service, identity;
	if (!buf_ok(&name) || !vault_binding_split(buf_str(&name), &kind, &service, &identity))
		return fail(err, ERR_INVALID_IDENTITY,
			    "'%.*s' and '%.*s' do not name a binding: service and identity are lower-case letters, "
			    "digits and '._-', and begin with a letter or digit",
			    STR_FMT(fields->service), STR_FMT(fields->identity));
	buf_add_str(out, buf_str(&name));
	return buf_check(out, "the binding's name", err);
}

/* ------------------------------------------------------------------------------------------------------------- consent */

static int by_bytes(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void put_items(struct json_writer *w, const struct str *items, size_t n)
{
	struct str *sorted = xcalloc(n + 1, sizeof *sorted);
	for (size_t i = 0; i < n; i++)
		sorted[i] = items[i];
	qsort(sorted, n, sizeof *sorted, by_bytes);
	jsonw_begin_array(w);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || !str_eq(sorted[i], sorted[i - 1]))
			jsonw_str(w, sorted[i]);
	}
	jsonw_end_array(w);
	free(sorted);
}

static void put_list(struct json_writer *w, struct str key, const struct str *items, size_t n)
{
	jsonw_key(w, key);
	put_items(w, items, n);
}

void binding_consent_put(struct buf *out, const struct binding_consent *consent)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	if (consent->n_allow_private > 0)
		put_list(&w, S("allow_private"), consent->allow_private, consent->n_allow_private);
	put_label(&w, S("authorize_url"), consent->authorize_url);
	put_label(&w, S("client_id"), consent->client_id);
	put_label(&w, S("client_secret"), consent->client_secret);
	put_label(&w, S("device_authorization_url"), consent->device_authorization_url);
	put_list(&w, S("hosts"), consent->hosts, consent->n_hosts);
	if (consent->n_scopes > 0)
		put_list(&w, S("scopes"), consent->scopes, consent->n_scopes);
	put_label(&w, S("token_url"), consent->token_url);
	jsonw_end_object(&w);
}

/* Members by name: a text, or a list. */
struct consent_row {
	struct str name;
	size_t text; /* offset of a struct str, or … */
	size_t list, count;
	bool is_list;
};
#define TEXT_ROW(member)                                                                                               \
	{                                                                                                              \
		S(#member), offsetof(struct binding_consent, member), 0, 0, false                                      \
	}
#define LIST_ROW(member)                                                                                               \
	{                                                                                                              \
		S(#member), 0, offsetof(struct binding_consent, member), offsetof(struct binding_consent, n_##member), \
			true                                                                                           \
	}
static const struct consent_row consent_rows[] = {
	LIST_ROW(allow_private),
	TEXT_ROW(authorize_url),
	TEXT_ROW(client_id),
	TEXT_ROW(client_secret),
	TEXT_ROW(device_authorization_url),
	LIST_ROW(hosts),
	LIST_ROW(scopes),
	TEXT_ROW(token_url),
};

static const struct consent_row *find_row(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(consent_rows); i++) {
		if (str_eq(consent_rows[i].name, name))
			return &consent_rows[i];
	}
	return NULL;
}

static bool read_list(struct arena *arena, const struct json *value, const struct str **ret, size_t *ret_n)
{
	size_t n = json_length(value);
	if (json_kind(value) != JSON_KIND_ARRAY || n > CONSENT_LIST_MAX)
		return false;
	struct str *items = arena_array(arena, n + 1, sizeof *items);
	for (size_t i = 0; i < n; i++) {
		struct str item;
		if (!json_get_str(json_at(value, i), &item) || item.n == 0)
			return false;
		items[i] = arena_str(arena, item);
	}
	*ret = items;
	*ret_n = n;
	return true;
}

static bool read_member(struct arena *arena, const struct json_iter *it, struct binding_consent *consent)
{
	const struct consent_row *row = find_row(it->name);
	char *base = (char *)consent;
	struct str text;
	if (row == NULL)
		return false;
	if (row->is_list)
		return read_list(arena, it->value, (const struct str **)(void *)(base + row->list),
				 (size_t *)(void *)(base + row->count));
	if (!json_get_str(it->value, &text) || text.n == 0)
		return false;
	*(struct str *)(void *)(base + row->text) = arena_str(arena, text);
	return true;
}

int binding_consent_get(struct arena *arena, struct str text, struct binding_consent *ret, struct err *err)
{
	if (text.n > CONSENT_MAX || !json_is_canonical(text))
		return fail(err, ERR_VALIDATION_ERROR, "the consent is not canonical JSON");
	AUTO(json) *json = json_parse(text, JSON_READ_SENSITIVE, err);
	if (json == NULL)
		return wrap(err, "reading the consent");
	struct binding_consent consent = {0};
	struct json_iter it;
	for (json_iter_init(&it, json); json_iter_next(&it);) {
		if (!read_member(arena, &it, &consent))
			return fail(err, ERR_VALIDATION_ERROR, "the consent's member '%.*s' is wrong",
				    STR_FMT(it.name));
	}
	if (json_kind(json) != JSON_KIND_OBJECT || consent.hosts == NULL)
		return fail(err, ERR_VALIDATION_ERROR, "the consent names no hosts");
	*ret = consent;
	return 0;
}

bool binding_consent_allows(const struct binding_consent *consent, struct str host_port)
{
	for (size_t i = 0; i < consent->n_hosts; i++) {
		if (str_eq(consent->hosts[i], S("*")) || str_eq_fold(consent->hosts[i], host_port))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------------------------------------------------------- version */

static void put_words(struct json_writer *w, struct str words)
{
	AUTO_FREE struct str *items = xcalloc(CONSENT_LIST_MAX, sizeof *items);
	size_t n = 0;
	for (struct str rest = words; rest.n > 0 && n < CONSENT_LIST_MAX;) {
		struct str word;
		rest = str_cut(rest, ' ', &word);
		if (word.n > 0)
			items[n++] = word;
	}
	put_items(w, items, n);
}

uint64_t binding_version_number(const struct binding_version *version)
{
	if (!str_eq(version->kind, S("oauth2")))
		return version->generation;
	AUTO_BUF text = BUF_INIT(4 * CONSENT_MAX);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_begin_array(&w);
	jsonw_int(&w, (int64_t)version->created_at);
	jsonw_str(&w, version->account);
	put_words(&w, version->granted_scopes);
	jsonw_end_array(&w);
	binding_consent_put(&text, version->consent);
	unsigned char digest[SHA256_SIZE];
	sha256(buf_str(&text), digest);
	uint64_t number;
	memcpy(&number, digest, sizeof number);
	return number >> 11; /* as many bits as JSON holds exactly */
}
