#include "crypto/kdf.h"
#include "base/mem.h"
#include "crypto/hmac.h"
#include <argon2.h>
#include <sys/mman.h>

void hkdf_sha256(struct str key, struct str salt, struct str info, void *ret, size_t n)
{
	if (n > HKDF_MAX)
		BUG("%zu bytes of HKDF", n);
	unsigned char extracted[SHA256_SIZE], block[SHA256_SIZE];
	hmac_sha256(salt, key, extracted);
	unsigned char *to = ret;
	for (unsigned char counter = 1; n > 0; counter++) {
		struct str previous = counter > 1 ? str_of(block, sizeof block) : STR_EMPTY;
		const struct str parts[] = {previous, info, str_of(&counter, 1)};
		hmac_sha256_parts(str_of(extracted, sizeof extracted), parts, ARRAY_LEN(parts), block);
		size_t take = MIN(n, sizeof block);
		memcpy(to, block, take);
		to += take;
		n -= take;
	}
	mem_wipe(extracted, sizeof extracted);
	mem_wipe(block, sizeof block);
}

int argon2_cost_check(const struct argon2_cost *cost, struct err *err)
{
	if (cost->time < 1 || cost->time > ARGON2_TIME_MAX)
		return fail(err, ERR_VALIDATION_ERROR, "Argon2id with %u passes: 1 to %d are accepted", cost->time,
			    ARGON2_TIME_MAX);
	if (cost->memory_kib < ARGON2_MEMORY_MIN || cost->memory_kib > ARGON2_MEMORY_MAX)
		return fail(err, ERR_VALIDATION_ERROR, "Argon2id with %u KiB of memory: %u to %u are accepted",
			    cost->memory_kib, ARGON2_MEMORY_MIN, ARGON2_MEMORY_MAX);
	if (cost->lanes < 1 || cost->lanes > ARGON2_LANES_MAX)
		return fail(err, ERR_VALIDATION_ERROR, "Argon2id with %u lanes: 1 to %d are accepted", cost->lanes,
			    ARGON2_LANES_MAX);
	return 0;
}

static int map_blocks(uint8_t **ret, size_t n)
{
	void *blocks = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (blocks == MAP_FAILED)
		return ARGON2_MEMORY_ALLOCATION_ERROR; /* the library looks at *ret, which is NULL */
	if (madvise(blocks, n, MADV_DONTDUMP) != 0) {
		munmap(blocks, n);
		return ARGON2_MEMORY_ALLOCATION_ERROR;
	}
	madvise(blocks, n, MADV_HUGEPAGE); /* a third faster where the kernel has them */
	*ret = blocks;
	return ARGON2_OK;
}

static void unmap_blocks(uint8_t *blocks, size_t n)
{
	mem_wipe(blocks, n);
	munmap(blocks, n);
}

/* The library asks for pointers that it may write through, and does so only under flags that are not given. */
static uint8_t *input(struct str s)
{
	union {
		const char *in;
		uint8_t *out;
	} pointer = {.in = s.p};
	return pointer.out;
}

int argon2id(struct str passphrase, struct str salt, const struct argon2_cost *cost, void *ret, struct err *err)
{
	if (passphrase.n == 0)
		return fail(err, ERR_VALIDATION_ERROR, "the passphrase is empty");
	if (salt.n < ARGON2_SALT_MIN || salt.n > UINT32_MAX || passphrase.n > UINT32_MAX)
		return fail(err, ERR_VALIDATION_ERROR, "a salt of %zu bytes: at least %d are needed", salt.n,
			    ARGON2_SALT_MIN);
	if (argon2_cost_check(cost, err) < 0)
		return -1;
	unsigned char key[ARGON2_KEY];
	argon2_context context = {
		.out = key,
		.outlen = sizeof key,
		.pwd = input(passphrase),
		.pwdlen = (uint32_t)passphrase.n,
		.salt = input(salt),
		.saltlen = (uint32_t)salt.n,
		.t_cost = cost->time,
		.m_cost = cost->memory_kib,
		.lanes = cost->lanes,
		.threads = 1,
		.version = ARGON2_VERSION_13,
		.allocate_cbk = map_blocks,
		.free_cbk = unmap_blocks,
		.flags = ARGON2_DEFAULT_FLAGS,
	};
	int result = argon2_ctx(&context, Argon2_id);
	if (result == ARGON2_OK)
		memcpy(ret, key, sizeof key);
	mem_wipe(key, sizeof key);
	if (result == ARGON2_MEMORY_ALLOCATION_ERROR)
		return fail(err, ERR_SYSTEM, "cannot get %u KiB of memory for Argon2id", cost->memory_kib);
	return result == ARGON2_OK ? 0 : fail(err, ERR_INTERNAL, "Argon2id failed: %s", argon2_error_message(result));
}
