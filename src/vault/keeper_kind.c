#include "vault/keeper_kind.h"
#include "base/mem.h"

static const struct keeper_kind kinds[] = {
	{{"api_key", 7}, KEEPER_KIND_VALUE}, {{"basic", 5}, KEEPER_KIND_VALUE},      {{"oauth2", 6}, KEEPER_KIND_TOKEN},
	{{"aws_sigv4", 9}, KEEPER_KIND_AWS}, {{"signing_key", 11}, KEEPER_KIND_KEY},
};

const struct keeper_kind *keeper_kind_named(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (str_eq(kinds[i].name, name))
			return &kinds[i];
	}
	return NULL;
}
