/* The first line is a URL, each further line a covered component. What is accepted is written as one line each. */
#include "base/mem.h"
#include "egress/httpsig.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(arena) *arena = arena_new();
	struct str rest = str_of(data, n), line, components[HTTPSIG_COMPONENTS_MAX + 1];
	rest = str_cut(rest, '\n', &line);
	struct url url;
	if (url_parse(arena, line, &url, NULL) < 0)
		return 0;
	size_t n_components = 0;
	while (rest.n > 0 && n_components < ARRAY_LEN(components))
		rest = str_cut(rest, '\n', &components[n_components++]);
	static const struct message_header headers[] = {{S("Date"), S("today")}, {S("X-Any"), S(" thing ")}};
	struct message message = {S("GET"), &url, headers, ARRAY_LEN(headers), S("body")};
	struct httpsig_options options = {.components = components, .n_components = n_components, .key_id = line};
	struct httpsig_base base;
	if (httpsig_make_base(arena, &message, &options, &base, NULL) < 0)
		return 0;
	size_t lines = 0;
	for (size_t i = 0; i < base.base.n; i++)
		lines += base.base.p[i] == '\n';
	if (lines != n_components || !str_ends(base.base, base.params))
		abort();
	return 0;
}
