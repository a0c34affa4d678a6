/* A host's text: never a name when the C library reads it as an address, and a literal only when it is plain. */
#include "base/mem.h"
#include "egress/address.h"
#include <arpa/inet.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_FREE char *z = xmalloc(n + 1);
	if (n > 0)
		memcpy(z, data, n);
	z[n] = '\0';
	struct sockaddr_storage address;
	struct in_addr ignored;
	enum address_form form = address_parse(str_of(data, n), &address);
	/* inet_aton() stops at a blank; no URL has one. */
	bool libc = strlen(z) == n && strpbrk(z, " \t\n\v\f\r") == NULL && inet_aton(z, &ignored) != 0;
	if (libc && form == ADDRESS_IS_NAME)
		abort();
	if (form == ADDRESS_IS_LITERAL) {
		char text[ADDRESS_TEXT_MAX];
		struct sockaddr_storage again;
		address_text(&address, text);
		if (address_parse(str_from(text), &again) != ADDRESS_IS_LITERAL ||
		    memcmp(&address, &again, sizeof again) != 0)
			abort();
	}
	static const struct egress_grant grant = {.n_hosts = 0};
	struct url url = {.scheme = S("https"), .host = str_of(data, n), .port = 443};
	struct address_plan plan;
	if (address_plan(&grant, &url, &plan, NULL) == 0 && plan.source == ADDRESS_LITERAL &&
	    address_range_of(&plan.address) != NULL)
		abort();
	return 0;
}
