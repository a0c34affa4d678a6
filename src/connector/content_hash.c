#include "connector/content_hash.h"
#include "base/buf.h"
#include "base/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PIECE (32 * KIB) /* from the heap at hand: a larger one is mapped, and its pages cleared, each time */

/* Up to `n` bytes from `at`: how many, 0 at the end, -1. Others may read the same descriptor. */
static ssize_t read_piece(int fd, char *to, size_t n, uint64_t at)
{
	ssize_t got;
	do
		got = pread(fd, to, n, (off_t)at);
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

/* Digests the module and copies it, to copy_fd when that is not -1 and to `copy` when that is not NULL. */
static int digest_module(struct digest *digest, int fd, const char *path, int copy_fd, struct buf *copy,
			 struct err *err)
{
	AUTO_FREE char *piece = xmalloc(PIECE);
	uint64_t total = 0;
	for (;;) {
		ssize_t n = read_piece(fd, piece, PIECE, total);
		if (n < 0)
			return fail_errno(err, "cannot read '%s'", path);
		if (n == 0)
			return 0;
		total += (uint64_t)n;
		if (total > LIMIT_MODULE)
			return fail_size(path, err);
		digest_add(digest, str_of(piece, (size_t)n));
		if (copy != NULL)
			buf_add(copy, piece, (size_t)n);
		if (copy_fd >= 0 && write_piece(copy_fd, piece, (size_t)n) < 0)
			return fail_errno(err, "cannot copy '%s' into memory", path);
	}
}

static int hash_and_copy(int fd, const char *path, struct str manifest, int copy_fd, struct buf *copy,
			 uint8_t ret[SHA256_SIZE], struct err *err)
{
	AUTO(digest)
	*digest = digest_new();
	if (digest_module(digest, fd, path, copy_fd, copy, err) < 0)
		return -1;
	digest_add(digest, manifest);
	digest_finish(digest, ret);
	return 0;
}

/* -------------------------------------------------------------------------------------------------- what was hashed last */

/*
 * The bytes that were hashed, with their hash: what is the same, byte for byte, has the same one, and comparing takes a tenth of
 * the time. A file's number only says with what to compare. Whoever compares has it for himself; others hash meanwhile.
 */
#define KEPT     8
#define KEPT_MAX (512 * KIB) /* of a module with its manifest */

struct kept {
	dev_t device;
	ino_t file;
	size_t module_n;
	struct buf bytes; /* module and manifest */
	uint8_t hash[SHA256_SIZE];
};

static struct {
	pthread_mutex_t lock;
	struct kept *items[KEPT];
	size_t oldest;
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void kept_free(struct kept *kept)
{
	if (kept == NULL)
		return;
	buf_release(&kept->bytes);
	free(kept);
}

/* Under the lock: the place of a file's, or an empty one, or that whose turn it is to go. */
static struct kept **place_of(const struct stat *st)
{
	struct kept **empty = NULL;
	for (size_t i = 0; i < KEPT; i++) {
		struct kept **at = &memory.items[i];
		if (*at == NULL)
			empty = at;
		else if ((*at)->device == st->st_dev && (*at)->file == st->st_ino)
			return at;
	}
	return empty != NULL ? empty : &memory.items[memory.oldest++ % KEPT];
}

/* What is kept of the file, the caller's then; NULL = nothing. */
static struct kept *kept_take(const struct stat *st)
{
	pthread_mutex_lock(&memory.lock);
	struct kept *kept = NULL;
	for (size_t i = 0; i < KEPT && kept == NULL; i++) {
		const struct kept *item = memory.items[i];
		if (item != NULL && item->device == st->st_dev && item->file == st->st_ino)
			kept = TAKE(memory.items[i]);
	}
	pthread_mutex_unlock(&memory.lock);
	return kept;
}

static void kept_put(const struct stat *st, struct kept *kept)
{
	kept->device = st->st_dev;
	kept->file = st->st_ino;
	pthread_mutex_lock(&memory.lock);
	struct kept **at = place_of(st);
	struct kept *before = *at;
	*at = kept;
	pthread_mutex_unlock(&memory.lock);
	kept_free(before);
}

/* False too when the file cannot be read: hashing it says so. */
static bool is_same(const struct kept *kept, int fd, struct str manifest)
{
	AUTO_FREE char *piece = xmalloc(PIECE);
	struct str rest = str_slice(buf_str(&kept->bytes), 0, kept->module_n);
	if (!str_eq(str_slice(buf_str(&kept->bytes), kept->module_n, kept->bytes.n), manifest))
		return false;
	for (;;) {
		ssize_t n = read_piece(fd, piece, PIECE, kept->module_n - rest.n);
		if (n <= 0)
			return n == 0 && rest.n == 0;
		if ((size_t)n > rest.n || memcmp(piece, rest.p, (size_t)n) != 0)
			return false;
		rest = str_slice(rest, (size_t)n, rest.n);
	}
}

static int hash_and_keep(int fd, const char *path, struct str manifest, const struct stat *st, uint8_t ret[SHA256_SIZE],
			 struct err *err)
{
	struct kept *kept = NEW(struct kept);
	kept->bytes = BUF_INIT(KEPT_MAX);
	int rc = hash_and_copy(fd, path, manifest, -1, &kept->bytes, ret, err);
	kept->module_n = kept->bytes.n;
	buf_add_str(&kept->bytes, manifest);
	if (rc < 0 || !buf_ok(&kept->bytes)) {
		kept_free(kept);
		return rc;
	}
	memcpy(kept->hash, ret, SHA256_SIZE);
	kept_put(st, kept);
	return 0;
}

int content_hash(int fd, const char *path, struct str manifest, uint8_t ret[SHA256_SIZE], struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0 || st.st_size > (off_t)KEPT_MAX)
		return hash_and_copy(fd, path, manifest, -1, NULL, ret, err);
	struct kept *kept = kept_take(&st);
	if (kept == NULL || !is_same(kept, fd, manifest)) {
		kept_free(kept);
		return hash_and_keep(fd, path, manifest, &st, ret, err);
	}
	memcpy(ret, kept->hash, SHA256_SIZE);
	kept_put(&st, kept);
	return 0;
}

int content_copy(int fd, const char *path, struct str manifest, const uint8_t hash[SHA256_SIZE], struct err *err)
{
	AUTO_FD copy = memfd_create("connector.wasm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return fail_errno(err, "cannot make a file in memory");
	uint8_t now[SHA256_SIZE];
	if (hash_and_copy(fd, path, manifest, copy, NULL, now, err) < 0)
		return -1;
	if (memcmp(now, hash, SHA256_SIZE) != 0)
		return fail(err, ERR_HASH_MISMATCH, "the module '%s' changed while it was read; run again", path);
	if (lseek(copy, 0, SEEK_SET) < 0 ||
	    fcntl(copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return fail_errno(err, "cannot seal a file in memory");
	return TAKE_FD(copy);
}
