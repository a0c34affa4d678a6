/*
 * keeper_kind: the kinds of credentials, and what the keeper does with each
 */
#pragma once
#include "base/str.h"

enum keeper_kind_use {
	KEEPER_KIND_VALUE, /* released as it is */
	KEEPER_KIND_TOKEN, /* the access token is released, and refreshed when it is due */
	KEEPER_KIND_AWS,   /* signs, in AWS's way */
	KEEPER_KIND_KEY,   /* signs bytes */
};
struct keeper_kind {
	struct str name;
	enum keeper_kind_use use;
};
const struct keeper_kind *keeper_kind_named(struct str name); /* NULL when there is no such kind */
