#include "audit/seal.h"
#include "audit/line.h"
#include "base/hex.h"

static void put_hex(struct buf *out, const char *name, const unsigned char *bytes, size_t n)
{
	buf_addf(out, "\"%s\":\"", name);
	hex_encode(out, str_of(bytes, n));
	buf_add_char(out, '"');
}

void audit_seal_put(struct buf *out, const struct audit_seal *seal)
{
	buf_add_z(out, seal->is_head ? "{\"head\":{" : "{\"checkpoint\":{");
	if (seal->is_head)
		buf_addf(out, "\"count\":%llu,", (unsigned long long)seal->count);
	put_hex(out, "hash", seal->hash, sizeof seal->hash);
	buf_add_char(out, ',');
	put_hex(out, "public_key", seal->public_key, sizeof seal->public_key);
	buf_addf(out, ",\"seq\":%llu,", (unsigned long long)seal->seq);
	put_hex(out, "signature", seal->signature, sizeof seal->signature);
	buf_add_z(out, "}}");
}

static bool read_hex(const struct json *object, const char *name, unsigned char *ret, size_t n)
{
	struct str text;
	return json_get_str(json_member(object, str_from(name)), &text) && audit_hex(text, ret, n);
}

static bool read_count(const struct json *object, const char *name, uint64_t *ret)
{
	int64_t value;
	if (!json_get_int(json_member(object, str_from(name)), &value) || value < 0)
		return false;
	*ret = (uint64_t)value;
	return true;
}

bool audit_seal_read(struct str text, struct audit_seal *ret)
{
	AUTO(json) *json = json_parse(text, JSON_READ_SENSITIVE, NULL);
	const struct json *head = json_member(json, S("head"));
	const struct json *body = head != NULL ? head : json_member(json, S("checkpoint"));
	struct audit_seal seal = {.is_head = head != NULL};
	if (!read_count(body, "seq", &seal.seq) || !read_hex(body, "hash", seal.hash, sizeof seal.hash) ||
	    !read_hex(body, "public_key", seal.public_key, sizeof seal.public_key) ||
	    !read_hex(body, "signature", seal.signature, sizeof seal.signature))
		return false;
	seal.count = seal.seq;
	if (seal.is_head && !read_count(body, "count", &seal.count))
		return false;
	AUTO_BUF again = BUF_INIT(text.n);
	audit_seal_put(&again, &seal);
	if (!buf_ok(&again) || !str_eq(buf_str(&again), text))
		return false;
	*ret = seal;
	return true;
}

bool audit_seal_verify(const struct audit_seal *seal)
{
	struct audit_head head = {.seq = seal->seq};
	memcpy(head.hash, seal->hash, sizeof head.hash);
	unsigned char message[AUDIT_HEAD_MESSAGE];
	audit_head_message(&head, seal->count, message);
	return sign_verify(str_of(seal->public_key, sizeof seal->public_key), str_of(message, sizeof message),
			   str_of(seal->signature, sizeof seal->signature));
}

static bool copy_exactly(struct str from, unsigned char *to, size_t n)
{
	if (from.n == n)
		memcpy(to, from.p, n);
	return from.n == n;
}

bool audit_seal_of_row(const struct db_stmt *stmt, struct audit_seal *ret)
{
	uint64_t seq = (uint64_t)db_int(stmt, 0);
	*ret = (struct audit_seal){.seq = seq, .count = seq};
	return copy_exactly(db_blob(stmt, 1), ret->hash, sizeof ret->hash) &&
	       copy_exactly(db_blob(stmt, 2), ret->public_key, sizeof ret->public_key) &&
	       copy_exactly(db_blob(stmt, 3), ret->signature, sizeof ret->signature);
}
