/*
 * The first line is a URL, each further line "Name: value". The canonical request has the lines it should have, its path
 * and query only what may stand there, and spelling the path's escapes differently changes nothing.
 */
#include "base/mem.h"
#include "egress/sigv4.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(struct str canonical, unsigned how)
{
	struct str method, path, query;
	canonical = str_cut(canonical, '\n', &method);
	canonical = str_cut(canonical, '\n', &path);
	str_cut(canonical, '\n', &query);
	if (!str_eq(method, S("GET")) || path.n == 0 || path.p[0] != '/')
		abort();
	for (size_t i = 0; i < path.n + query.n; i++) {
		char c = i < path.n ? path.p[i] : query.p[i - path.n];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!letter && (c == '\0' || strchr("-_.~%/=&", c) == NULL))
			abort();
	}
	if ((how & SIGV4_PATH_NORMALISED) != 0 &&
	    (str_find(path, S("//")) != STR_NPOS || str_find(path, S("/./")) != STR_NPOS ||
	     str_find(path, S("/../")) != STR_NPOS))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(arena) *arena = arena_new();
	struct str rest = str_of(data, n), line;
	rest = str_cut(rest, '\n', &line);
	struct str region, service;
	if (sigv4_host_scope(line, &region, &service) && (region.n == 0 || service.n == 0))
		abort();
	struct url url;
	if (url_parse(arena, line, &url, NULL) < 0)
		return 0;
	struct message_header headers[64];
	size_t n_headers = 0;
	while (rest.n > 0 && n_headers < ARRAY_LEN(headers)) {
		rest = str_cut(rest, '\n', &line);
		struct str name, value = str_cut(line, ':', &name);
		headers[n_headers++] = (struct message_header){name, value};
	}
	struct message message = {S("GET"), &url, headers, n_headers, STR_EMPTY};
	for (unsigned how = 0; how < 4; how++) {
		struct sigv4_canonical canonical;
		if (sigv4_canonicalise(arena, &message, S("-"), how, &canonical, NULL) == 0)
			check(canonical.request, how);
	}
	return 0;
}
