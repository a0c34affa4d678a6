/*
 * keeper_device: the key that signs the audit's head
 *
 * Ed25519, made at the first start: 32 bytes of seed in `device.key` (mode 0600) in the vault's folder. It is usable while
 * the vault is locked, and signs nothing but heads of the audit.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "crypto/sign.h"

#define KEEPER_DEVICE_ID 17 /* 16 hex digits of the public key's SHA-256, and a NUL */

struct keeper_device;
/* VALIDATION_ERROR when the file is no key: it says what to do. */
struct keeper_device *keeper_device_open(const char *folder, struct err *err) __attribute__((warn_unused_result));
void keeper_device_free(struct keeper_device *device); /* NULL is fine */
DEFINE_AUTO(keeper_device, keeper_device_free)
void keeper_device_public(const struct keeper_device *device, unsigned char ret[ED25519_PUBLIC_SIZE]);
const char *keeper_device_id(const struct keeper_device *device);
/* INVALID_REQUEST for a message that is no head of the audit ("aileron-audit-head-1" and a NUL in front). */
int keeper_device_sign_head(const struct keeper_device *device, struct str message,
			    unsigned char ret[ED25519_SIGNATURE_SIZE], struct err *err)
	__attribute__((warn_unused_result));
