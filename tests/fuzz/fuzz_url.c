/* Any bytes: a URL, or a base and a reference with a newline between; what is read writes text that reads as the same. */
#include "text/url.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_stable(struct arena *arena, const struct url *url)
{
	struct str text = url_text(arena, url);
	struct url again;
	struct err err = {0};
	if (url_parse(arena, text, &again, &err) < 0)
		BUG("'%.*s' cannot be read again: %s", STR_FMT(text), err.message);
	if (!url_same_origin(url, &again) || !str_eq(text, url_text(arena, &again)))
		BUG("'%.*s' reads as something else", STR_FMT(text));
	(void)url_authority(arena, url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(arena) *arena = arena_new();
	struct err err = {0};
	struct url base;
	struct url url;
	struct str first;
	struct str text = str_of(data, n);
	struct str reference = str_cut(text, '\n', &first);
	if (url_parse(arena, first, &base, &err) < 0) {
		if (err.class != ERR_PARSE_ERROR)
			BUG("refused without a reason");
		return 0;
	}
	check_stable(arena, &base);
	if (url_resolve(arena, &base, reference, &url, &err) == 0)
		check_stable(arena, &url);
	return 0;
}
