#include "connector/content_hash.h"
#include "base/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PIECE (32 * KIB) /* from the heap at hand: a larger one is mapped, and its pages cleared, each time */

/* Up to `n` bytes: how many, 0 at the end, -1. */
static ssize_t read_piece(int fd, char *to, size_t n)
{
	ssize_t got;
	do
		got = read(fd, to, n);
	while (got < 0 && errno == EINTR);
	return got;
}

static int write_piece(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, bytes, n);
		if (put < 0 && errno != EINTR)
			return -1;
		if (put > 0) {
			bytes += put;
			n -= (size_t)put;
		}
	}
	return 0;
}

static int fail_size(const char *path, struct err *err)
{
	fail(err, ERR_RESOURCE_LIMIT_EXCEEDED, "the module '%s' is larger than %lluMiB", path,
	     (unsigned long long)(LIMIT_MODULE / MIB));
	err_detail(err, "limit", S("compile"));
	err_detail(err, "rule", S("module_size"));
	return -1;
}

/* Digests the module and, when copy_fd is not -1, copies it there. */
static int digest_module(struct digest *digest, int fd, const char *path, int copy_fd, struct err *err)
{
	AUTO_FREE char *piece = xmalloc(PIECE);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return fail_errno(err, "cannot read '%s'", path);
	uint64_t total = 0;
	for (;;) {
		ssize_t n = read_piece(fd, piece, PIECE);
		if (n < 0)
			return fail_errno(err, "cannot read '%s'", path);
		if (n == 0)
			return 0;
		total += (uint64_t)n;
		if (total > LIMIT_MODULE)
			return fail_size(path, err);
		digest_add(digest, str_of(piece, (size_t)n));
		if (copy_fd >= 0 && write_piece(copy_fd, piece, (size_t)n) < 0)
			return fail_errno(err, "cannot copy '%s' into memory", path);
	}
}

static int hash_and_copy(int fd, const char *path, struct str manifest, int copy_fd, uint8_t ret[SHA256_SIZE],
			 struct err *err)
{
	AUTO(digest)
	*digest = digest_new();
	if (digest_module(digest, fd, path, copy_fd, err) < 0)
		return -1;
	digest_add(digest, manifest);
	digest_finish(digest, ret);
	return 0;
}

int content_hash(int fd, const char *path, struct str manifest, uint8_t ret[SHA256_SIZE], struct err *err)
{
	return hash_and_copy(fd, path, manifest, -1, ret, err);
}

int content_copy(int fd, const char *path, struct str manifest, const uint8_t hash[SHA256_SIZE], struct err *err)
{
	AUTO_FD copy = memfd_create("connector.wasm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return fail_errno(err, "cannot make a file in memory");
	uint8_t now[SHA256_SIZE];
	if (hash_and_copy(fd, path, manifest, copy, now, err) < 0)
		return -1;
	if (memcmp(now, hash, SHA256_SIZE) != 0)
		return fail(err, ERR_HASH_MISMATCH, "the module '%s' changed while it was read; run again", path);
	if (lseek(copy, 0, SEEK_SET) < 0 ||
	    fcntl(copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return fail_errno(err, "cannot seal a file in memory");
	return TAKE_FD(copy);
}
