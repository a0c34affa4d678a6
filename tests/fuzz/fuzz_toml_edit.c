/* Any bytes: what is taken is changed in that one place (which toml_edit() checks itself), and taking it out again works. */
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "text/toml_edit.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct err err;
	static const struct str path[] = {S("m"), S("a")};
	struct toml_edit edit = {path, ARRAY_LEN(path), S("x = 17\n\n[m.a.env]\ny = 1\n")};
	AUTO_BUF set = BUF_INIT(1 << 20), gone = BUF_INIT(1 << 20);
	bool changed = false;
	err_clear(&err);
	if (toml_edit(str_of(data, n), "fuzz.toml", &edit, &set, &changed, &err) < 0) {
		if (err.class == ERR_NONE || err.message[0] == '\0')
			abort();
		return 0;
	}
	edit.lines = STR_EMPTY;
	if (!changed || toml_edit(buf_str(&set), NULL, &edit, &gone, &changed, &err) < 0 || !changed)
		abort();
	return 0;
}
