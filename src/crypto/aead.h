/*
 * aead: AES-256-GCM (NIST SP 800-38D) with a nonce of 12 bytes and a tag of 16 behind the ciphertext
 *
 * A nonce must never be used twice with one key: take it from rand_bytes(), at most 2^32 times a key, or derive it together
 * with a key that is used once. The key is borrowed from where it lies; what OpenSSL makes of it lives for the call and is
 * wiped. Any thread.
 */
#pragma once
#include "base/str.h"
#include <stdbool.h>

#define AEAD_KEY   32
#define AEAD_NONCE 12
#define AEAD_TAG   16
#define AEAD_MAX   ((size_t)1 << 30) /* bytes of text, and of associated data */

/*
 * Writes plain.n + AEAD_TAG bytes to `ret`, which may be plain.p itself but not overlap it otherwise. Ends the program
 * for a key of another length, or for more than AEAD_MAX: those are the caller's to check.
 */
void aead_seal(struct str key, const unsigned char nonce[AEAD_NONCE], struct str aad, struct str plain, void *ret);
/*
 * Writes sealed.n - AEAD_TAG bytes to `ret`, or answers false and leaves it zeroed: key, nonce, associated data or a byte
 * of `sealed` is not what it was, or it is too short or too long to be sealed at all. The tag is compared in constant time.
 */
bool aead_open(struct str key, const unsigned char nonce[AEAD_NONCE], struct str aad, struct str sealed, void *ret)
	__attribute__((warn_unused_result));
