/*
 * x25519: Diffie-Hellman over Curve25519 (RFC 7748)
 *
 * Private keys are 32 bytes in a struct secret; OpenSSL's copies are in its secure heap for the call and wiped. A shared
 * secret is raw: put it through hkdf_sha256() with both public keys before it is used. Any thread.
 */
#pragma once
#include "base/err.h"
#include "crypto/secret.h"

#define X25519_SIZE 32

/* 32 random bytes. Fails as secret_new() does. */
struct secret *x25519_generate(struct err *err) __attribute__((warn_unused_result));
/* Ends the program when `private` is not 32 bytes. */
void x25519_public(const struct secret *private, unsigned char ret[X25519_SIZE]);
/*
 * 32 bytes that both sides reach. VALIDATION_ERROR when `peer` is a point of small order, which would make the result zero
 * whatever the private key; else fails as secret_new() does.
 */
struct secret *x25519_shared(const struct secret *private, const unsigned char peer[X25519_SIZE], struct err *err)
	__attribute__((warn_unused_result));
