#include "connector/code_file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "connector/engine_pin.h"
#include <errno.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xxhash.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const char MAGIC[8] = "AILCODE1";

struct trailer {
	char magic[8];
	uint8_t length[8];
	XXH128_canonical_t checksum;
	uint8_t content_hash[CODE_FILE_HASH];
	uint8_t fingerprint[CODE_FILE_HASH];
};
_Static_assert(sizeof(struct trailer) == CODE_FILE_TRAILER, "the trailer is a format");

struct mapping {
	void *p;
	size_t n;
};

static void mapping_release(struct mapping *mapping)
{
	if (mapping->p != NULL)
		munmap(mapping->p, mapping->n);
}
#define AUTO_MAPPING __attribute__((cleanup(mapping_release))) struct mapping

/* The whole file for reading. Its size is bounded before it is mapped. */
static int map_file(int fd, struct mapping *ret, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return fail_errno(err, "cannot look at the compiled code");
	if (st.st_size <= 0 || (uint64_t)st.st_size > LIMIT_COMPILED_CODE + CODE_FILE_TRAILER)
		return fail(err, ERR_LIMIT, "compiled code of %lld bytes is not within 1 to %llu",
			    (long long)st.st_size, (unsigned long long)LIMIT_COMPILED_CODE);
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		return fail_errno(err, "cannot map the compiled code");
	*ret = (struct mapping){p, (size_t)st.st_size};
	return 0;
}

static void put_u64(uint8_t out[8], uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		out[i] = (uint8_t)(v >> (8 * i));
}

static void make_trailer(const void *code, size_t n, const uint8_t *content_hash, const uint8_t *fingerprint,
			 struct trailer *ret)
{
	memcpy(ret->magic, MAGIC, sizeof ret->magic);
	put_u64(ret->length, n);
	XXH128_canonicalFromHash(&ret->checksum, XXH3_128bits(code, n));
	memcpy(ret->content_hash, content_hash, CODE_FILE_HASH);
	memcpy(ret->fingerprint, fingerprint, CODE_FILE_HASH);
}

int code_file_seal(int fd, const uint8_t content_hash[CODE_FILE_HASH], const uint8_t fingerprint[CODE_FILE_HASH],
		   struct err *err)
{
	AUTO_MAPPING file = {0};
	if (map_file(fd, &file, err) != 0)
		return -1;
	if (file.n > LIMIT_COMPILED_CODE)
		return fail(err, ERR_LIMIT, "compiled code is larger than %llu bytes",
			    (unsigned long long)LIMIT_COMPILED_CODE);

	struct trailer trailer;
	make_trailer(file.p, file.n, content_hash, fingerprint, &trailer);
	const char *p = (const char *)&trailer;
	for (size_t done = 0; done < sizeof trailer;) {
		ssize_t n = pwrite(fd, p + done, sizeof trailer - done, (off_t)(file.n + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_errno(err, "cannot write the trailer of compiled code");
		done += (size_t)n;
	}
	return 0;
}

static int refuse(struct err *err, const char *reason, const char *what)
{
	fail(err, ERR_HASH_MISMATCH, "the compiled code in the cache %s; it is to be compiled again", what);
	err_detail(err, "reason", str_from(reason));
	return -1;
}

int code_file_check(int fd, const uint8_t content_hash[CODE_FILE_HASH], const uint8_t fingerprint[CODE_FILE_HASH],
		    struct err *err)
{
	AUTO_MAPPING file = {0};
	struct err why = {0};
	if (map_file(fd, &file, &why) != 0) {
		if (why.class == ERR_LIMIT)
			return refuse(err, "damaged_code", "is empty or too large");
		return fail(err, why.class, "%s", why.message);
	}
	if (file.n <= sizeof(struct trailer))
		return refuse(err, "damaged_code", "is cut short");

	struct trailer found, wanted;
	size_t n = file.n - sizeof found;
	memcpy(&found, (const char *)file.p + n, sizeof found);
	make_trailer(file.p, n, content_hash, fingerprint, &wanted);
	if (memcmp(found.magic, wanted.magic, sizeof found.magic) != 0 ||
	    memcmp(found.length, wanted.length, sizeof found.length) != 0)
		return refuse(err, "damaged_code", "has no whole trailer");
	if (memcmp(&found.checksum, &wanted.checksum, sizeof found.checksum) != 0)
		return refuse(err, "damaged_code", "does not match its checksum");
	if (memcmp(found.content_hash, wanted.content_hash, CODE_FILE_HASH) != 0)
		return refuse(err, "damaged_code", "was made from another module");
	if (memcmp(found.fingerprint, wanted.fingerprint, CODE_FILE_HASH) != 0)
		return refuse(err, "stale_code", "was made for another engine or processor");
	return 0;
}

/* Everything by which the engine chooses instructions. Identity and topology of the processor are left out. */
static void add_processor(XXH3_state_t *state)
{
#if defined(__x86_64__)
	static const struct {
		unsigned leaf, subleaf;
		bool a, b, c, d;
	} leaves[] = {
		{1, 0, false, false, true, true},
		{7, 0, false, true, true, true},
		{7, 1, true, false, false, false},
		{0x80000001, 0, false, false, true, true},
	};
	for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
		unsigned a = 0, b = 0, c = 0, d = 0;
		if (__get_cpuid_count(leaves[i].leaf, leaves[i].subleaf, &a, &b, &c, &d) == 0)
			continue;
		unsigned seen[] = {leaves[i].leaf,      leaves[i].subleaf,   leaves[i].a ? a : 0,
				   leaves[i].b ? b : 0, leaves[i].c ? c : 0, leaves[i].d ? d : 0};
		XXH3_128bits_update(state, seen, sizeof seen);
	}
#else
	unsigned long seen[] = {getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
	XXH3_128bits_update(state, seen, sizeof seen);
#endif
}

void connector_code_fingerprint(enum runner_strategy strategy, uint8_t ret[CODE_FILE_HASH])
{
	char words[128];
	int n = snprintf(words, sizeof words, "wasmtime %s config %d strategy %d", ENGINE_PIN, ENGINE_CONFIG_VERSION,
			 (int)strategy);
	/* Two seeds make 256 bits of a 128-bit hash; it tells configurations apart and withstands nobody. */
	for (unsigned half = 0; half < 2; half++) {
		XXH3_state_t *state = XXH3_createState();
		if (state == NULL)
			BUG("out of memory");
		XXH3_128bits_reset_withSeed(state, half);
		XXH3_128bits_update(state, words, (size_t)n);
		add_processor(state);
		XXH128_canonical_t sum;
		XXH128_canonicalFromHash(&sum, XXH3_128bits_digest(state));
		memcpy(ret + 16 * half, &sum, 16);
		XXH3_freeState(state);
	}
}
