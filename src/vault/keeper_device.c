#include "vault/keeper_device.h"
#include "base/hex.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "os/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define HEAD_PREFIX "aileron-audit-head-1" /* with its NUL */
#define HEAD_MAX    256

struct keeper_device {
	struct sign_key *key;
	unsigned char public[ED25519_PUBLIC_SIZE];
	char id[KEEPER_DEVICE_ID];
};

static int make_file(const char *path, struct err *err)
{
	AUTO(secret) *seed = secret_new(ED25519_SEED_SIZE, err);
	if (seed == NULL)
		return -1;
	rand_bytes(secret_borrow_mut(seed), ED25519_SEED_SIZE);
	return file_create(path, secret_borrow(seed), 0600, err);
}

static int open_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT) {
		if (make_file(path, err) < 0)
			return -1;
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
	}
	return fd >= 0 ? fd : fail_errno(err, "cannot open '%s'", path);
}

/* Straight into a secret: the key stands nowhere else. */
static struct secret *read_file(const char *path, struct err *err)
{
	AUTO_FD fd = open_file(path, err);
	AUTO(secret) *seed = fd >= 0 ? secret_new(ED25519_SEED_SIZE, err) : NULL;
	if (seed == NULL)
		return NULL;
	size_t got = 0;
	char beyond;
	ssize_t n = 1;
	while (n > 0 && got < ED25519_SEED_SIZE) {
		n = read(fd, secret_borrow_mut(seed) + got, ED25519_SEED_SIZE - got);
		got += n > 0 ? (size_t)n : 0;
	}
	if (got == ED25519_SEED_SIZE)
		n = read(fd, &beyond, 1);
	if (n < 0) {
		fail_errno(err, "cannot read '%s'", path);
		return NULL;
	}
	if (got < ED25519_SEED_SIZE || n > 0) {
		fail(err, ERR_VALIDATION_ERROR,
		     "'%s' is not the %d bytes of a key; put a copy back, or remove it: a new one is made, and exports "
		     "that the old one signed verify with the old 'device.pub' alone",
		     path, ED25519_SEED_SIZE);
		return NULL;
	}
	return TAKE(seed);
}

struct keeper_device *keeper_device_open(const char *folder, struct err *err)
{
	AUTO_FREE char *path = xasprintf("%s/device.key", folder);
	AUTO(secret) *seed = read_file(path, err);
	AUTO(sign_key) *key = seed != NULL ? sign_key_new(seed, err) : NULL;
	if (key == NULL) {
		wrap(err, "opening the device key");
		return NULL;
	}
	struct keeper_device *device = NEW(struct keeper_device);
	device->key = TAKE(key);
	sign_key_public(device->key, device->public);
	unsigned char hash[SHA256_SIZE];
	sha256(str_of(device->public, sizeof device->public), hash);
	hex_format(str_of(hash, (KEEPER_DEVICE_ID - 1) / 2), device->id);
	return device;
}

void keeper_device_free(struct keeper_device *device)
{
	if (device == NULL)
		return;
	sign_key_free(device->key);
	free(device);
}

void keeper_device_public(const struct keeper_device *device, unsigned char ret[ED25519_PUBLIC_SIZE])
{
	memcpy(ret, device->public, ED25519_PUBLIC_SIZE);
}

const char *keeper_device_id(const struct keeper_device *device)
{
	return device->id;
}

int keeper_device_sign_head(const struct keeper_device *device, struct str message,
			    unsigned char ret[ED25519_SIGNATURE_SIZE], struct err *err)
{
	if (message.n > HEAD_MAX || !str_starts(message, str_of(HEAD_PREFIX, sizeof HEAD_PREFIX)))
		return fail(err, ERR_INVALID_REQUEST, "the device key signs heads of the audit alone");
	sign_message(device->key, message, ret);
	return 0;
}
