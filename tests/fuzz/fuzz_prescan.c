/* Any bytes: no read past the end (the sanitizer sees it), no endless loop, and a refusal always names its rule. */
#include "connector/prescan.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct err err;
	err_clear(&err);
	if (prescan_module(str_of(data, n), &err) != 0) {
		struct str details = str_from(err.details);
		if (err.class != ERR_RESOURCE_LIMIT_EXCEEDED || str_find(details, S("\"rule\"")) == STR_NPOS)
			abort();
	}
	return 0;
}
