/*
 * sealed: what a person types, for the keeper's eyes alone
 *
 *     sealed = 0x01 ‖ key id (8) ‖ nonce (16) ‖ ephemeral X25519 public key (32) ‖ ciphertext ‖ tag (16)
 *     shared = X25519(ephemeral private, keeper's public)
 *     key (32) ‖ iv (12) = HKDF-SHA256(shared, salt = ephemeral public ‖ keeper's public, info = "aileron-sealed-1", 44)
 *     ciphertext, tag = AES-256-GCM(key, iv, fields, aad)
 *     aad = "aileron-sealed-1\0" ‖ key id ‖ nonce ‖ u32 n ‖ operation ‖ u32 n ‖ path ‖ u32 n ‖ metadata
 *
 * The nonce is the keeper's, given out for one message and 60 seconds. `operation` is the operation's name ("vault.put"),
 * `path` the vault path or "", `metadata` the canonical JSON (text/canonical.h) of what the request says beside it, or "".
 * The key id is the first 8 bytes of SHA-256 of the public key. Fields: u8 tag, u32 length (little-endian), bytes; each tag at
 * most once. docs/formats/sealed.md is the format; a browser makes the same with WebCrypto.
 *
 * What proves that a person made a message is something in it that control cannot know: the value, the passphrase, or (for
 * OAuth) the PKCE verifier. Consented hosts count only beside one of them.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "crypto/secret.h"

#define SEALED_PUBLIC     32
#define SEALED_KEY_ID     8
#define SEALED_NONCE      16
#define SEALED_OVERHEAD   (1 + SEALED_KEY_ID + SEALED_NONCE + SEALED_PUBLIC + 16)
#define SEALED_FIELDS_MAX ((size_t)128 << 10)
#define SEALED_NONCE_S    60

enum sealed_tag {
	SEALED_PASSPHRASE = 1,     /* of the vault, or of the member that is meant */
	SEALED_NEW_PASSPHRASE = 2, /* passwd, member add, export */
	SEALED_VALUE = 3,          /* the secret */
	SEALED_KEY_FILE = 4,       /* 32 bytes, in the place of a passphrase */
	SEALED_NEW_KEY_FILE = 5,
	SEALED_CONSENT = 6,  /* canonical JSON, keeper_protocol.h */
	SEALED_VERIFIER = 7, /* PKCE code verifier, made by whoever seals */
	SEALED_TAG__MAX
};

struct sealed_context {
	struct str operation, path, metadata;
};
/*
 * Where an operation has no metadata, its terms stand there, so that whoever relays it cannot change them: canonical JSON
 * {"blob":"<SHA-256 of the file>"} ("" = none) with "consent":true in it when the person asked for what needs asking
 * (vault.unlock: an older file is accepted; vault.import: entries are replaced). Both sides make the same text.
 */
#define SEALED_TERMS_MAX 128
void sealed_terms_put(struct buf *out, bool consents, struct str blob);

struct sealed_field {
	enum sealed_tag tag;
	struct str bytes;
};

void sealed_key_id(const unsigned char public_key[SEALED_PUBLIC], unsigned char ret[SEALED_KEY_ID]);
/* The sender's side: appends the sealed message (binary) to `out`. Fields are read from where they lie; nothing is kept. */
int sealed_make(struct buf *out, const unsigned char public_key[SEALED_PUBLIC], const unsigned char nonce[SEALED_NONCE],
		const struct sealed_context *context, const struct sealed_field *fields, size_t n_fields,
		struct err *err) __attribute__((warn_unused_result));

/* The keeper's side. */
struct sealed_key; /* per start; never leaves the keeper */
struct sealed_key *sealed_key_new(struct err *err) __attribute__((warn_unused_result));
void sealed_key_free(struct sealed_key *key);
DEFINE_AUTO(sealed_key, sealed_key_free)
void sealed_key_public(const struct sealed_key *key, unsigned char ret[SEALED_PUBLIC]);
/* The nonce of a message, to be looked up before it is opened; SEALED_REFUSED when it is too short or for another key. */
int sealed_nonce(const struct sealed_key *key, struct str sealed, unsigned char ret[SEALED_NONCE], struct err *err)
	__attribute__((warn_unused_result));
/* The fields, in secret memory of their own (SEALED_TAG__MAX entries, NULL = absent); SEALED_REFUSED tells nothing more. */
struct sealed_opened {
	struct secret *fields[SEALED_TAG__MAX];
};
int sealed_open(const struct sealed_key *key, struct str sealed, const struct sealed_context *context,
		struct sealed_opened *ret, struct err *err) __attribute__((warn_unused_result));
void sealed_opened_release(struct sealed_opened *opened); /* wipes; safe on {0} and twice */
