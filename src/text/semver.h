/*
 * semver: exact versions (docs/formats/manifest.md)
 *
 * MAJOR.MINOR.PATCH[-PRERELEASE][+BUILD], no leading "v", no range. The core's numbers have no leading zero and any
 * length; the tails are one or more of [0-9A-Za-z.-], looser than SemVer 2.0 (an empty identifier and leading zeros
 * pass), because published artifacts are pinned that way. Parts are views into the text. No allocation; any thread.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

#define SEMVER_MAX ((size_t)256) /* characters */

struct semver {
	struct str raw;
	struct str major, minor, patch; /* digits */
	struct str prerelease, build;   /* without '-' and '+'; empty = none */
};

/* VALIDATION_ERROR when the text is no version; the message quotes it. */
int semver_parse(struct str text, struct semver *ret, struct err *err) __attribute__((warn_unused_result));
bool semver_is_valid(struct str text);

/*
 * Precedence of SemVer 2.0, section 11: <0, 0, >0. Build metadata does not count. Identifiers that 2.0 would refuse
 * have their natural place: leading zeros do not count, an empty identifier comes before any other text.
 */
int semver_compare(const struct semver *a, const struct semver *b);
static inline bool semver_is_prerelease(const struct semver *version)
{
	return version->prerelease.n > 0;
}
