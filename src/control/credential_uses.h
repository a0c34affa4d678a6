/*
 * credential_uses: which call a permit's number belongs to
 *
 * The keeper names a use by its number; the record says whose call it was. A use is known from before it is permitted until
 * 1,024 others have ended after it: what the keeper tells of it comes on another way than the end of its call. Any thread.
 */
#pragma once
#include "base/arena.h"
#include "base/mem.h"

struct credential_uses;
struct credential_uses *credential_uses_new(void) __attribute__((warn_unused_result));
void credential_uses_free(struct credential_uses *uses); /* NULL is fine */
DEFINE_AUTO(credential_uses, credential_uses_free)

struct credential_call {
	struct str execution, operation; /* "" = of no connector's call */
};
void credential_uses_add(struct credential_uses *uses, uint64_t use, const struct credential_call *call);
void credential_uses_end(struct credential_uses *uses, uint64_t use);
/* Copies; both are "" of a use that is not known. */
struct credential_call credential_uses_find(struct credential_uses *uses, struct arena *arena, uint64_t use);
