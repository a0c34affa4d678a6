#include "vault/sealed.h"
#include "crypto/aead.h"
#include "crypto/constant_time.h"
#include "crypto/digest.h"
#include "crypto/kdf.h"
#include "crypto/x25519.h"
#include "text/wire.h"
#include <stdlib.h>

_Static_assert(SEALED_PUBLIC == X25519_SIZE, "one curve");
_Static_assert(SEALED_OVERHEAD == 1 + SEALED_KEY_ID + SEALED_NONCE + SEALED_PUBLIC + AEAD_TAG, "as the layout says");

#define VERSION '\x01'

/* Where the parts begin. */
enum {
	AT_KEY_ID = 1,
	AT_NONCE = AT_KEY_ID + SEALED_KEY_ID,
	AT_EPHEMERAL = AT_NONCE + SEALED_NONCE,
	AT_CIPHERTEXT = AT_EPHEMERAL + SEALED_PUBLIC,
};

/* What a context may have at most: a name, a path, and metadata with all labels. */
#define AAD_MAX ((size_t)256 << 10)

void sealed_key_id(const unsigned char public_key[SEALED_PUBLIC], unsigned char ret[SEALED_KEY_ID])
{
	unsigned char hash[SHA256_SIZE];
	sha256(str_of(public_key, SEALED_PUBLIC), hash);
	memcpy(ret, hash, SEALED_KEY_ID);
}

static int put_aad(struct buf *out, struct str head, const struct sealed_context *context, struct err *err)
{
	buf_add(out, "aileron-sealed-1", sizeof "aileron-sealed-1"); /* with its NUL */
	buf_add_str(out, str_slice(head, AT_KEY_ID, AT_EPHEMERAL));
	wire_put_str(out, context->operation);
	wire_put_str(out, context->path);
	wire_put_str(out, context->metadata);
	return buf_check(out, "what a sealed message is about", err);
}

/* Key and iv, in one secret. */
static struct secret *derive(const struct secret *private, const unsigned char *peer, const unsigned char *ephemeral,
			     const unsigned char *public_key, struct err *err)
{
	AUTO(secret) *shared = x25519_shared(private, peer, err);
	AUTO(secret) *derived = shared != NULL ? secret_new(AEAD_KEY + AEAD_NONCE, err) : NULL;
	if (derived == NULL)
		return NULL;
	unsigned char salt[2 * SEALED_PUBLIC];
	memcpy(salt, ephemeral, SEALED_PUBLIC);
	memcpy(salt + SEALED_PUBLIC, public_key, SEALED_PUBLIC);
	hkdf_sha256(secret_borrow(shared), str_of(salt, sizeof salt), S("aileron-sealed-1"), secret_borrow_mut(derived),
		    secret_size(derived));
	return TAKE(derived);
}

static struct str key_of(const struct secret *derived)
{
	return str_slice(secret_borrow(derived), 0, AEAD_KEY);
}

static const unsigned char *iv_of(const struct secret *derived)
{
	return (const unsigned char *)secret_borrow(derived).p + AEAD_KEY;
}

/* --------------------------------------------------------------------------------------------------- the sender's side */

static int put_fields(struct buf *out, const struct sealed_field *fields, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (fields[i].bytes.n > SECRET_MAX)
			return fail(err, ERR_LIMIT, "a secret is larger than %zu bytes", SECRET_MAX);
		wire_put_u8(out, (uint8_t)fields[i].tag);
		wire_put_str(out, fields[i].bytes);
	}
	return buf_check(out, "what is to be sealed", err);
}

int sealed_make(struct buf *out, const unsigned char public_key[SEALED_PUBLIC], const unsigned char nonce[SEALED_NONCE],
		const struct sealed_context *context, const struct sealed_field *fields, size_t n_fields,
		struct err *err)
{
	AUTO_BUF plain = BUF_INIT_SECRET(SEALED_FIELDS_MAX);
	AUTO(secret) *private = NULL;
	if (put_fields(&plain, fields, n_fields, err) != 0 || (private = x25519_generate(err)) == NULL)
		return -1;

	unsigned char head[AT_CIPHERTEXT] = {VERSION};
	sealed_key_id(public_key, head + AT_KEY_ID);
	memcpy(head + AT_NONCE, nonce, SEALED_NONCE);
	x25519_public(private, head + AT_EPHEMERAL);
	AUTO_BUF aad = BUF_INIT(AAD_MAX);
	AUTO(secret) *derived = derive(private, public_key, head + AT_EPHEMERAL, public_key, err);
	if (derived == NULL || put_aad(&aad, str_of(head, sizeof head), context, err) != 0)
		return -1;

	AUTO_BUF message = BUF_INIT(SEALED_OVERHEAD + SEALED_FIELDS_MAX);
	buf_add(&message, head, sizeof head);
	char *to = buf_reserve(&message, plain.n + AEAD_TAG);
	if (to == NULL)
		return buf_check(&message, "a sealed message", err);
	aead_seal(key_of(derived), iv_of(derived), buf_str(&aad), buf_str(&plain), to);
	buf_commit(&message, plain.n + AEAD_TAG);
	buf_add_str(out, buf_str(&message));
	return buf_check(out, "a sealed message", err);
}

/* --------------------------------------------------------------------------------------------------- the keeper's side */

struct sealed_key {
	struct secret *private;
	unsigned char public[SEALED_PUBLIC];
	unsigned char id[SEALED_KEY_ID];
};

struct sealed_key *sealed_key_new(struct err *err)
{
	AUTO(sealed_key) *key = NEW(struct sealed_key);
	key->private = x25519_generate(err);
	if (key->private == NULL)
		return NULL;
	x25519_public(key->private, key->public);
	sealed_key_id(key->public, key->id);
	return TAKE(key);
}

void sealed_key_free(struct sealed_key *key)
{
	if (key == NULL)
		return;
	secret_free(key->private);
	free(key);
}

void sealed_key_public(const struct sealed_key *key, unsigned char ret[SEALED_PUBLIC])
{
	memcpy(ret, key->public, SEALED_PUBLIC);
}

/* One text for everything: who tries things out learns nothing from it. */
static int refuse(struct err *err)
{
	return fail(err, ERR_SEALED_REFUSED,
		    "the sealed message cannot be opened: it was used before, is older than %d seconds, or was sealed "
		    "for something else; seal it again with a new nonce",
		    SEALED_NONCE_S);
}

int sealed_nonce(const struct sealed_key *key, struct str sealed, unsigned char ret[SEALED_NONCE], struct err *err)
{
	if (sealed.n < SEALED_OVERHEAD || sealed.n > SEALED_OVERHEAD + SEALED_FIELDS_MAX || sealed.p[0] != VERSION ||
	    !str_eq(str_slice(sealed, AT_KEY_ID, AT_NONCE), str_of(key->id, SEALED_KEY_ID)))
		return refuse(err);
	memcpy(ret, sealed.p + AT_NONCE, SEALED_NONCE);
	return 0;
}

static int read_fields(struct str plain, struct sealed_opened *ret, struct err *err)
{
	struct wire_reader r = wire_reader(plain);
	while (!r.bad && r.rest.n > 0) {
		uint8_t tag = wire_u8(&r);
		struct str bytes = wire_str(&r);
		if (r.bad || tag == 0 || tag >= SEALED_TAG__MAX || ret->fields[tag] != NULL || bytes.n > SECRET_MAX)
			return refuse(err);
		ret->fields[tag] = secret_from(bytes, err);
		if (ret->fields[tag] == NULL)
			return -1;
	}
	return r.bad ? refuse(err) : 0;
}

static int open_with(const struct secret *derived, struct str aad, struct str sealed, struct sealed_opened *ret,
		     struct err *err)
{
	AUTO_BUF plain = BUF_INIT_SECRET(SEALED_FIELDS_MAX);
	struct str ciphertext = str_slice(sealed, AT_CIPHERTEXT, sealed.n);
	char *to = buf_reserve(&plain, ciphertext.n - AEAD_TAG);
	if (to == NULL || !aead_open(key_of(derived), iv_of(derived), aad, ciphertext, to))
		return refuse(err);
	buf_commit(&plain, ciphertext.n - AEAD_TAG);
	struct sealed_opened opened = {0};
	if (read_fields(buf_str(&plain), &opened, err) != 0) {
		sealed_opened_release(&opened);
		return -1;
	}
	*ret = opened;
	return 0;
}

int sealed_open(const struct sealed_key *key, struct str sealed, const struct sealed_context *context,
		struct sealed_opened *ret, struct err *err)
{
	unsigned char nonce[SEALED_NONCE];
	if (sealed_nonce(key, sealed, nonce, err) != 0)
		return -1;
	AUTO_BUF aad = BUF_INIT(AAD_MAX);
	const unsigned char *ephemeral = (const unsigned char *)sealed.p + AT_EPHEMERAL;
	AUTO(secret) *derived = derive(key->private, ephemeral, ephemeral, key->public, NULL);
	if (derived == NULL || put_aad(&aad, sealed, context, NULL) != 0)
		return refuse(err);
	return open_with(derived, buf_str(&aad), sealed, ret, err);
}

void sealed_opened_release(struct sealed_opened *opened)
{
	for (size_t i = 0; i < SEALED_TAG__MAX; i++)
		secret_free(TAKE(opened->fields[i]));
}

void sealed_terms_put(struct buf *out, bool consents, struct str blob)
{
	char digits[SHA256_HEX_TEXT_SIZE] = "";
	if (blob.n > 0)
		sha256_hex(blob, digits);
	buf_addf(out, "{\"blob\":\"%s\"%s}", digits, consents ? ",\"consent\":true" : "");
}
