/* Any bytes: what is taken is changed in that one place (which jsonc_edit() checks itself), and taking it out again works. */
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "text/jsonc_edit.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct err err;
	static const struct str path[] = {S("k"), S("m")};
	struct jsonc_edit edit = {path, ARRAY_LEN(path), S("{\"x\":17}")};
	AUTO_BUF set = BUF_INIT(1 << 20), gone = BUF_INIT(1 << 20);
	bool changed = false;
	err_clear(&err);
	if (jsonc_edit(str_of(data, n), "fuzz.json", &edit, &set, &changed, &err) < 0) {
		if (err.class == ERR_NONE || err.message[0] == '\0')
			abort();
		return 0;
	}
	edit.value = STR_EMPTY;
	if (!changed || jsonc_edit(buf_str(&set), NULL, &edit, &gone, &changed, &err) < 0 || !changed)
		abort();
	return 0;
}
