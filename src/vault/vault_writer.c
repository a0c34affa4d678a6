/* The text of version 2: one line a member, one line an entry, always the same text for the same document. */
#include "base/base64.h"
#include "base/hex.h"
#include "text/json_writer.h"
#include "vault/vault_document.h"

static void put_bytes(struct json_writer *w, struct str key, struct str bytes)
{
	jsonw_key(w, key);
	AUTO_BUF text = BUF_INIT(base64_size(VAULT_VALUE_MAX + VAULT_OVERHEAD, BASE64_STANDARD));
	base64_encode(&text, bytes, BASE64_STANDARD);
	jsonw_str(w, buf_str(&text));
}

static void put_str(struct json_writer *w, struct str key, struct str value)
{
	jsonw_key(w, key);
	jsonw_str(w, value);
}

static void put_int(struct json_writer *w, struct str key, uint64_t value)
{
	jsonw_key(w, key);
	jsonw_int(w, (int64_t)value);
}

static void put_kdf(struct json_writer *w, const struct vault_member *member)
{
	jsonw_key(w, S("kdf"));
	jsonw_begin_object(w);
	if (member->kind == VAULT_MEMBER_PASSPHRASE) {
		put_str(w, S("alg"), S("argon2id"));
		put_int(w, S("time"), member->cost.time);
		put_int(w, S("memory_kib"), member->cost.memory_kib);
		put_int(w, S("lanes"), member->cost.lanes);
	} else {
		put_str(w, S("alg"), S("hkdf-sha256"));
	}
	put_bytes(w, S("salt"), member->salt);
	jsonw_end_object(w);
}

static void put_member(struct json_writer *w, const struct vault_member *member)
{
	jsonw_begin_object(w);
	put_str(w, S("name"), member->name);
	put_str(w, S("kind"), str_from(vault_member_kind_name(member->kind)));
	put_int(w, S("created_at"), member->created_at);
	put_kdf(w, member);
	put_bytes(w, S("public_key"), member->public_key);
	put_bytes(w, S("private_key"), member->private_key);
	put_bytes(w, S("vault_key"), member->vault_key);
	put_bytes(w, S("sealed_by"), member->sealed_by);
	put_bytes(w, S("known"), member->known);
	put_bytes(w, S("known_mac"), member->known_mac);
	put_bytes(w, S("seen_mac"), member->key_mac);
	jsonw_end_object(w);
}

static void put_entry(struct json_writer *w, const struct vault_entry *entry, const struct vault_keys *keys)
{
	unsigned char mac[VAULT_MAC];
	vault_keys_entry_mac(keys, entry->path, entry, mac);
	jsonw_begin_object(w);
	put_int(w, S("generation"), entry->generation);
	put_str(w, S("type"), entry->type);
	put_str(w, S("environment"), entry->environment);
	jsonw_key(w, S("labels"));
	jsonw_begin_object(w);
	for (size_t i = 0; i < entry->n_labels; i++)
		put_str(w, entry->labels[i].key, entry->labels[i].value);
	jsonw_end_object(w);
	put_str(w, S("consent"), entry->consent);
	put_bytes(w, S("value"), entry->value);
	put_bytes(w, S("mac"), str_of(mac, sizeof mac));
	jsonw_end_object(w);
}

/* Commas between lines are ours: the writer is begun anew for each. */
static void put_lines(const struct vault_document *document, const struct vault_keys *keys, struct buf *out)
{
	char id[VAULT_ID_TEXT];
	buf_addf(out, "{\n  \"version\": 2,\n  \"vault_id\": \"%s\",\n  \"generation\": %llu,\n  \"members\": [",
		 hex_format(str_of(document->id, VAULT_ID), id), (unsigned long long)document->generation);
	for (size_t i = 0; i < document->n_members; i++) {
		struct json_writer w;
		jsonw_init(&w, out, JSON_WRITER_PLAIN);
		buf_add_z(out, i == 0 ? "\n    " : ",\n    ");
		put_member(&w, &document->members[i]);
	}
	buf_add_z(out, "\n  ],\n  \"secrets\": {");
	for (size_t i = 0; i < document->n_entries; i++) {
		struct json_writer w;
		jsonw_init(&w, out, JSON_WRITER_PLAIN);
		buf_add_z(out, i == 0 ? "\n    " : ",\n    ");
		jsonw_str(&w, document->entries[i].path);
		buf_add_z(out, ": ");
		jsonw_init(&w, out, JSON_WRITER_PLAIN);
		put_entry(&w, &document->entries[i], keys);
	}
	buf_add_z(out, document->n_entries > 0 ? "\n  },\n  \"mac\": \"" : "},\n  \"mac\": \"");
}

int vault_document_write(const struct vault_document *document, const struct vault_keys *keys, struct buf *out,
			 struct err *err)
{
	if (document->n_entries > VAULT_ENTRIES_MAX)
		return fail(err, ERR_LIMIT, "the vault has %d entries, and cannot hold more", VAULT_ENTRIES_MAX);
	if (document->generation > INT64_MAX)
		return fail(err, ERR_LIMIT, "the vault was written as often as its format can count");
	for (size_t i = 0; i < document->n_entries; i++) {
		if (vault_entry_check(&document->entries[i], err) < 0)
			return -1;
	}
	size_t start = out->n;
	put_lines(document, keys, out);
	if (buf_ok(out)) {
		unsigned char mac[VAULT_MAC];
		vault_keys_file_mac(keys, str_slice(buf_str(out), start, out->n), mac);
		base64_encode(out, str_of(mac, sizeof mac), BASE64_STANDARD);
		buf_add_z(out, "\"\n}\n");
	}
	return buf_check(out, "the vault file", err);
}
