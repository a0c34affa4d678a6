/* daemon.json: what is read leads to this machine alone, and every text of it ends. */
#include "daemon/discovery.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct err err;
	err_clear(&err);
	AUTO_DISCOVERY got = {0};
	if (discovery_parse(str_of(data, n), &got, &err) != 0) {
		if (err.class == ERR_NONE)
			abort();
		return 0;
	}
	struct str url = str_from(got.url);
	if (!str_starts(url, S("http://127.0.0.1:")) && !str_starts(url, S("http://[::1]:")))
		abort();
	if (got.pid < 1 || memchr(got.socket, '\0', sizeof got.socket) == NULL ||
	    (got.token != NULL && secret_size(got.token) != DISCOVERY_TOKEN_DIGITS))
		abort();
	return 0;
}
