/* Names, references, versions, hashes, durations and sizes: accepted parts lie within the text and mean the same again. */
#include "base/mem.h"
#include "base/size.h"
#include "base/time.h"
#include "text/content_hash.h"
#include "text/fqn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void within(struct str part, struct str whole)
{
	if (part.n > 0 && (part.p < whole.p || part.p + part.n > whole.p + whole.n))
		BUG("a part lies outside its text");
}

static void check_version(const struct semver *version, struct str text)
{
	const struct str parts[] = {version->raw,   version->major,      version->minor,
				    version->patch, version->prerelease, version->build};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		within(parts[i], text);
	if (semver_compare(version, version) != 0)
		BUG("a version is not equal to itself");
}

static void check_fqn(const struct fqn *fqn, struct str text)
{
	const struct str parts[] = {fqn->raw,     fqn->owner,     fqn->repo,
				    fqn->subpath, fqn->authority, fqn->owner_authority};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		within(parts[i], text);
	struct fqn again;
	if (fqn_parse(fqn->authority, &again, NULL) < 0 || !str_eq(again.authority, fqn->authority))
		BUG("an authority is no FQN");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str text = str_of(data, n);
	struct err err = {0};
	struct fqn fqn;
	struct fqn_ref ref;
	struct semver version;
	if (fqn_parse(text, &fqn, &err) == 0)
		check_fqn(&fqn, text);
	if (fqn_ref_parse(text, &ref, &err) == 0) {
		check_fqn(&ref.fqn, text);
		check_version(&ref.version, text);
	}
	if (semver_parse(text, &version, &err) == 0)
		check_version(&version, text);
	if (content_hash_is_valid(text) && n != CONTENT_HASH_TEXT_SIZE)
		BUG("a content hash of %zu characters", n);

	uint64_t value, back;
	char written[DURATION_TEXT_SIZE];
	if (duration_parse(text, UINT64_MAX, &value, &err) == 0 &&
	    (duration_parse(str_from(duration_format(value, written)), UINT64_MAX, &back, &err) < 0 || back != value))
		BUG("a duration does not come back");
	if (size_parse(text, UINT64_MAX, &value, &err) == 0 &&
	    (size_parse(str_from(size_format(value, written)), UINT64_MAX, &back, &err) < 0 || back != value))
		BUG("a size does not come back");
	return 0;
}
